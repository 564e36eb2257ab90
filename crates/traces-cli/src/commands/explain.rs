//! `traces explain`: where the slower of two models lost its time.

use std::collections::HashMap;
use std::io::Write;

use anyclaude_traces::Kind;
use anyclaude_traces::explain::{Question, explain};
use anyclaude_traces::measure::{Measure, Value};
use anyclaude_traces::recording::read_prompts;
use anyclaude_traces::scope::KindFilter;
use anyclaude_traces::stats::Stats;

use super::{check_format, report_skipped};
use crate::cli::{ExplainArgs, Format};
use crate::exit::Status;
use crate::render::{explain as render, json, page};
use crate::select::{FewModels, Reader, Side, Sides};

pub(crate) fn run(args: &ExplainArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use Format::{Json, Markdown, Table};
    check_format(&args.output, "explain", &[Table, Json, Markdown])?;
    let reader = Reader::new(&args.filter, KindFilter::Only(Kind::Conversation))?;
    let mut sides = Sides::select(&reader, args.fast.as_ref(), args.slow.as_ref(), FewModels::Fail)?;
    if args.fast.is_none() && takes(&sides.left) > takes(&sides.right) {
        std::mem::swap(&mut sides.left, &mut sides.right);
    }
    let both = || sides.left.requests.iter().chain(&sides.right.requests);
    let (prompts, unreadable) = read_prompts(reader.store(), both());
    sides.skipped.extend(unreadable);
    let status = report_skipped(&sides.skipped, &args.output);
    let found = explain(&Question {
        scope: sides.scope,
        left_selector: &sides.left.selector,
        left: sides.left.requests.iter().collect(),
        right_selector: &sides.right.selector,
        right: sides.right.requests.iter().collect(),
        prompts: &prompts,
        reuse: &HashMap::new(),
        direct: None,
    });
    match args.output.format {
        Json => json::document(out, &found)?,
        _ => page::print(out, &render::page(&found, args.output.format == Table), &args.output)?,
    }
    Ok(status)
}

/// How long a side's requests take, where that is known.
fn takes(side: &Side) -> Option<Value> {
    let totals = side.requests.iter().filter_map(|request| Measure::TotalMs.of(request));
    Stats::of(totals).map(|stats| stats.p50)
}
