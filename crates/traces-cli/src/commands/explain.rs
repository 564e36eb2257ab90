//! `traces explain`: where the slower of two models lost its time.

use std::collections::HashMap;
use std::io::Write;

use anyclaude_traces::Kind;
use anyclaude_traces::analysis::explain::read_prompts;
use anyclaude_traces::analysis::explain::{Direct, ExplainInput, Explanation, Prompt, Reuse, explain};
use anyclaude_traces::analysis::prefix::{PrefixReport, PrefixRequest};
use anyclaude_traces::model::request::TracePath;
use anyclaude_traces::model::scope::{KindFilter, Scope};

use super::direct::measured;
use super::prefix::simulated;
use super::{reading, report_skipped};
use crate::cli::{ExplainArgs, Format};
use crate::exit::Status;
use crate::render::{explain as render, json, page};
use crate::select;
use anyclaude_traces::select::{FewModels, Side, Sides, faster_first};

pub(crate) fn run(args: &ExplainArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use Format::{Json, Table};
    let reader =
        select::reader(&args.filter, KindFilter::Only(Kind::Conversation))?.with_costs(args.cache.options());
    let mut sides = reading(&reader, &args.output, || {
        Sides::select(&reader, args.fast.as_ref(), args.slow.as_ref(), FewModels::Fail)
    })?;
    if args.fast.is_none() {
        [sides.left, sides.right] = faster_first([sides.left, sides.right]);
    }
    let direct = measured(&args.measured.direct, &sides.left, &sides.right)?;
    let (prompts, unreadable) = reading(&reader, &args.output, || {
        read_prompts(reader.store(), sides.left.requests.iter().chain(&sides.right.requests))
    });
    let (store, elements) = (reader.store().clone(), reader.into_prompts());
    let mut reuse = HashMap::new();
    for side in [&sides.left, &sides.right] {
        reuse.extend(reuses(&simulated(
            &store,
            &elements,
            sides.scope,
            &side.passing(),
            args.cache.options(),
            Vec::new(),
            &args.output,
        )));
    }
    let found = between(sides.scope, &sides.left, &sides.right, &prompts, &reuse, direct);
    sides.skipped.extend(unreadable);
    let status = report_skipped(&sides.skipped, &args.output);
    match args.output.format {
        Json => json::document(out, &found)?,
        _ => page::print(out, &render::page(&found, args.output.format == Table), &args.output)?,
    }
    Ok(status)
}

/// Where the slower of two sides lost its time.
pub(super) fn between(
    scope: Scope,
    left: &Side,
    right: &Side,
    prompts: &HashMap<TracePath, Prompt>,
    reuse: &HashMap<TracePath, Reuse>,
    direct: Option<(Direct, Direct)>,
) -> Explanation {
    explain(&ExplainInput {
        scope,
        left_selector: &left.selector,
        left: left.requests.iter().collect(),
        right_selector: &right.selector,
        right: right.requests.iter().collect(),
        prompts,
        reuse,
        direct,
    })
}

/// What a prompt cache could have reused of each request.
pub(super) fn reuses(report: &PrefixReport) -> HashMap<TracePath, Reuse> {
    let reuse = |request: &PrefixRequest| {
        let PrefixRequest { reusable_bytes, prompt_bytes, .. } = *request;
        (request.path.clone(), Reuse { reusable_bytes, prompt_bytes })
    };
    report.requests.iter().map(reuse).collect()
}
