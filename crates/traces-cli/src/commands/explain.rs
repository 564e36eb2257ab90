//! `traces explain`: where the slower of two sides lost its time, or where the time of
//! one goes.

use std::collections::HashMap;
use std::io::Write;

use anyclaude_traces::Error;
use anyclaude_traces::Kind;
use anyclaude_traces::analysis::explain::{
    Direct, ExplainInput, Explanation, Prompt, SideInput, explain, read_prompts,
};
use anyclaude_traces::cost;
use anyclaude_traces::model::request::TracePath;
use anyclaude_traces::model::scope::{KindFilter, Scope};
use anyhow::bail;

use super::direct::measured;
use super::{reading, report_skipped};
use crate::cli::{ExplainArgs, Format};
use crate::exit::Status;
use crate::render::{explain as render, json, page};
use crate::select::{
    FEW_MODELS, FewModels, Reader, Selection, Selector, Side, Sides, faster_first, last_two_models,
};

pub(crate) fn run(args: &ExplainArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use Format::{Json, Table};
    let reader = Reader::new(&args.filter, KindFilter::Only(Kind::Conversation))?.with_prompts();
    let mut asked = reading(&reader, &args.output, || asked(&reader, args))?;
    let direct = match (&asked.right, args.measured.direct.as_slice()) {
        (None, [_, ..]) => bail!("--direct: {FEW_MODELS}"),
        (None, []) => None,
        (Some(right), files) => measured(files, &asked.left, right)?,
    };
    let (prompts, unreadable) = reading(&reader, &args.output, || {
        let sides = [Some(&asked.left), asked.right.as_ref()];
        // One side alone has nothing to be paired with.
        let compared = sides.into_iter().flatten().filter(|_| asked.right.is_some());
        read_prompts(reader.store(), compared.flat_map(|side| &side.requests))
    });
    let found = explained(asked.scope, &asked.left, asked.right.as_ref(), &prompts, direct);
    asked.skipped.extend(unreadable);
    let status = report_skipped(&asked.skipped, &args.output);
    match args.output.format {
        Json => json::document(out, &found)?,
        _ => page::print(out, &render::page(&found, args.output.format == Table), &args.output)?,
    }
    Ok(status)
}

/// The sides that the arguments name.
struct Asked {
    left: Side,
    right: Option<Side>,
    skipped: Vec<Error>,
    scope: Scope,
}

/// Two sides; one that is named; without names the two models used last, the faster one
/// left, or all requests where fewer models are known.
fn asked(reader: &Reader<'_>, args: &ExplainArgs) -> anyhow::Result<Asked> {
    match (&args.fast, &args.slow) {
        (Some(_), Some(_)) => {
            let Sides { left, right, skipped, scope, .. } =
                Sides::select(reader, args.fast.as_ref(), args.slow.as_ref(), FewModels::Fail)?;
            Ok(Asked { left, right: Some(right), skipped, scope })
        }
        (Some(one), None) => {
            let selector = Selector::parse(one)?;
            let mut selections = reader.select_each(&[&selector])?;
            alone(selections.remove(0), one.to_string_lossy().into_owned())
        }
        _ => {
            let selection = reader.select(&[])?;
            let Some(models) = last_two_models(&selection, reader.kind)? else {
                return alone(selection, "all requests".to_owned());
            };
            let [left, right] = faster_first(models);
            Ok(Asked { left, right: Some(right), skipped: selection.skipped, scope: selection.scope })
        }
    }
}

fn alone(selection: Selection, selector: String) -> anyhow::Result<Asked> {
    let Selection { requests, others, rest, skipped, scope, .. } = selection;
    if requests.is_empty() {
        let why =
            skipped.first().map_or_else(|| "no request fits".to_owned(), |error| error.kind().to_string());
        bail!("{selector}: {why}");
    }
    let others = others.into_iter().chain(rest).collect();
    Ok(Asked { left: Side { selector, requests, others }, right: None, skipped, scope })
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
