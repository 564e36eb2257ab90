//! `traces explain`: where the slower of two sides lost its time, or where the time of
//! one goes.

use std::collections::HashMap;
use std::io::Write;

use anyclaude_traces::Kind;
use anyclaude_traces::analysis::explain::{
    Direct, ExplainInput, Explanation, Prompt, SideInput, explain, read_prompts,
};
use anyclaude_traces::cost;
use anyclaude_traces::model::request::TracePath;
use anyclaude_traces::model::scope::{KindFilter, Scope};
use anyclaude_traces::select::{OneOrTwoSides, Side};
use anyhow::bail;

use super::direct::measured;
use super::{reading, report_skipped};
use crate::cli::{ExplainArgs, Format};
use crate::exit::Status;
use crate::render::select_error::FEW_MODELS;
use crate::render::{explain as render, json, page};
use crate::select;

pub(crate) fn run(args: &ExplainArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use Format::{Json, Table};
    let reader =
        select::reader(&args.filter, KindFilter::Only(Kind::Conversation))?.with_costs(args.cache.options());
    let mut sides = reading(&reader, &args.output, || {
        OneOrTwoSides::select(&reader, args.fast.as_ref(), args.slow.as_ref())
    })?;
    let direct = match (&sides.right, args.measured.direct.as_slice()) {
        (None, []) => None,
        (None, _) => bail!("--direct: {FEW_MODELS}"),
        (Some(right), files) => measured(files, &sides.left, right)?,
    };
    let (prompts, unreadable) = reading(&reader, &args.output, || {
        // One side alone has nothing to be paired with.
        let compared = sides.right.iter().flat_map(|right| [&sides.left, right]);
        read_prompts(reader.store(), compared.flat_map(|side| &side.requests))
    });
    let found = explained(sides.scope, &sides.left, sides.right.as_ref(), &prompts, direct);
    sides.skipped.extend(unreadable);
    let status = report_skipped(&sides.skipped, &args.output);
    match args.output.format {
        Json => json::document(out, &found)?,
        _ => page::print(out, &render::page(&found, args.output.format == Table), &args.output)?,
    }
    Ok(status)
}

/// Where the slower of two sides lost its time, or where the time of one goes.
pub(super) fn explained(
    scope: Scope,
    left: &Side,
    right: Option<&Side>,
    prompts: &HashMap<TracePath, Prompt>,
    direct: Option<(Direct, Direct)>,
) -> Explanation {
    let (left, right) = (input(left), right.map(input));
    explain(ExplainInput { scope, left, right, prompts, direct, findings: Vec::new() })
}

fn input(side: &Side) -> SideInput<'_> {
    SideInput {
        selector: &side.selector,
        requests: side.requests.iter().collect(),
        speeds: cost::speeds_by_model(side.requests.iter().chain(&side.others)),
    }
}
