//! `traces summary`: what a session looked like.

use std::io::Write;
use std::sync::Arc;

use anyclaude_traces::scope::KindFilter;
use anyclaude_traces::summary::{Grouping, summarize};
use anyclaude_traces::{Kind, Request};

use anyhow::bail;

use super::{check_format, check_limits, report_skipped};
use crate::cli::{By, Format, SummaryArgs};
use crate::exit::Status;
use crate::render::{csv, json, page, summary, units};
use crate::select::Reader;

pub(crate) fn run(args: &SummaryArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use Format::{Csv, Json, Markdown, Table};
    check_format(&args.output, "summary", &[Table, Json, Csv, Markdown])?;
    let selection = Reader::new(&args.filter, KindFilter::Only(Kind::Conversation))?.select(&args.inputs)?;
    let skipped = report_skipped(&selection.skipped, &args.output);
    if selection.requests.is_empty() && args.output.format != Json {
        bail!("none of these files could be read as a trace");
    }
    let requests = selection.of_all_kinds();
    let found = summarize(selection.scope, &requests, selection.skipped_list(), &grouping(args.by));
    match args.output.format {
        Csv => csv::groups(out, &found.groups)?,
        Json => json::document(out, &found)?,
        _ => page::print(out, &summary::page(&found, args.by, selection.is_sitting), &args.output)?,
    }
    let nothing = if selection.requests.is_empty() { Status::Unusable } else { Status::Done };
    Ok(check_limits(&selection.requests, &args.limits.fail_over).and(skipped).and(nothing))
}

fn grouping(by: By) -> Grouping {
    let day = |request: &Request| request.timestamp.map(|stamp| Arc::from(units::day(stamp)));
    match by {
        By::Model => Grouping::by_model(),
        By::Mode => Grouping::by_name(|request| request.mode.clone()),
        By::Kind => Grouping::by_name(|request| Some(request.kind.name().into())),
        By::Session => Grouping::by_time(|request| request.session.clone()),
        By::Run => Grouping::by_time(|request| request.run.clone()),
        By::Level => Grouping::by_name(|_| None),
        By::Day => Grouping::by_time(day),
    }
}
