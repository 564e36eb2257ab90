//! `traces explain`: where the slower of two models lost its time.

use std::collections::HashMap;
use std::io::Write;

use anyclaude_traces::explain::{Direct, Explanation, Question, explain};
use anyclaude_traces::recording::read_prompts;
use anyclaude_traces::scope::{KindFilter, Scope};
use anyclaude_traces::{Error, Kind, Store};

use super::direct::measured;
use super::{check_format, reading, report_skipped};
use crate::cli::{ExplainArgs, Format};
use crate::exit::Status;
use crate::render::{explain as render, json, page};
use crate::select::{FewModels, Reader, Side, Sides, faster_first};

pub(crate) fn run(args: &ExplainArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use Format::{Json, Markdown, Table};
    check_format(&args.output, "explain", &[Table, Json, Markdown])?;
    let reader = Reader::new(&args.filter, KindFilter::Only(Kind::Conversation))?;
    let mut sides = reading(&reader, &args.output, || {
        Sides::select(&reader, args.fast.as_ref(), args.slow.as_ref(), FewModels::Fail)
    })?;
    if args.fast.is_none() {
        [sides.left, sides.right] = faster_first([sides.left, sides.right]);
    }
    let direct = measured(&args.measured.direct, &sides.left, &sides.right)?;
    let (found, unreadable) = reading(&reader, &args.output, || {
        between(reader.store(), sides.scope, &sides.left, &sides.right, direct)
    });
    sides.skipped.extend(unreadable);
    let status = report_skipped(&sides.skipped, &args.output);
    match args.output.format {
        Json => json::document(out, &found)?,
        _ => page::print(out, &render::page(&found, args.output.format == Table), &args.output)?,
    }
    Ok(status)
}

/// Where the slower of two sides lost its time, and what could not be read for it.
pub(super) fn between(
    store: &Store,
    scope: Scope,
    left: &Side,
    right: &Side,
    direct: Option<(Direct, Direct)>,
) -> (Explanation, Vec<Error>) {
    let (prompts, unreadable) = read_prompts(store, left.requests.iter().chain(&right.requests));
    let found = explain(&Question {
        scope,
        left_selector: &left.selector,
        left: left.requests.iter().collect(),
        right_selector: &right.selector,
        right: right.requests.iter().collect(),
        prompts: &prompts,
        reuse: &HashMap::new(),
        direct,
    });
    (found, unreadable)
}
