//! `traces summary`: what a session looked like.

use std::io::Write;
use std::mem::ManuallyDrop;

use anyclaude_traces::Kind;
use anyclaude_traces::ask::answers;
use anyclaude_traces::model::scope::KindFilter;

use super::{check_limits, grouping, next_step, nothing_read, reading, report_skipped};
use crate::cli::{OutputFormat, SummaryArgs};
use crate::exit::Status;
use crate::render::ids::Ids;
use crate::render::{csv, json, page, summary};
use crate::select;

pub(crate) fn run(args: &SummaryArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use OutputFormat::{Csv, Json};
    let (reader, inputs) =
        select::reader_of(&args.filter, &args.inputs, KindFilter::Only(Kind::Conversation))?;
    // The program ends behind it: to free every request and prompt was a fiftieth of its time.
    let reader = ManuallyDrop::new(reader.with_tasks().with_costs(args.cache.options()));
    let (selection, found) = reading(&reader, &args.output, || {
        let mut selection = reader.select(&inputs)?;
        let found = answers::summary(&reader, &mut selection, &grouping(args.by));
        anyhow::Ok((ManuallyDrop::new(selection), found))
    })?;
    let skipped = report_skipped(&found.skipped, &args.output);
    if selection.requests.is_empty() && args.output.format != Json {
        return Err(nothing_read(&args.filter, &args.inputs));
    }
    match args.output.format {
        Csv => csv::groups(out, &found.groups)?,
        Json => json::document(out, &found)?,
        _ => {
            let next = next_step(&reader, &args.filter, &args.inputs, &selection.requests);
            let ids = Ids(args.output.ids);
            let page = |detail| summary::page(&found, args.by, selection.is_sitting, &next, ids, detail);
            let pages = summary::SummaryDetail::levels().map(page);
            page::print_first_fitting(out, pages, page::Room::Terminal, &args.output)?;
        }
    }
    if selection.requests.is_empty() {
        return Err(nothing_read(&args.filter, &args.inputs));
    }
    Ok(check_limits(&selection.requests, &args.limits.fail_over).and(skipped))
}
