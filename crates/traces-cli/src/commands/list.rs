//! `traces list`: one row per request.

use std::io::Write;

use anyclaude_traces::ask::answers;
use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::prompt_cache::CacheOptions;

use super::{check_limits, next_step, nothing_read, reading, report_skipped};
use crate::cli::{ListArgs, OutputFormat};
use crate::exit::Status;
use crate::render::columns::{Columns, order_line};
use crate::render::{csv, json, list, page};
use crate::select;

/// What the slowest requests are known by, else the largest.
pub(super) const SLOWEST: &[&str] = &["timing.wall_ms", "timing.total_ms", "body_bytes"];

pub(crate) fn run(args: &ListArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use OutputFormat::{Csv, Json, Ndjson};
    let (reader, inputs) = select::reader_of(&args.filter, &args.inputs, KindFilter::All)?;
    let reader = reader.with_times(CacheOptions::default());
    let (mut found, is_sitting) = reading(&reader, &args.output, || {
        let selection = reader.select(&inputs)?;
        let is_sitting = selection.is_sitting;
        anyhow::Ok((answers::list(&reader, selection), is_sitting))
    })?;
    let skipped = report_skipped(&found.skipped, &args.output);
    if found.requests.is_empty() && args.output.format != Json {
        return Err(nothing_read(&args.filter, &args.inputs));
    }
    let limits = check_limits(&found.requests, &args.limits.fail_over);
    let all = found.requests.len();
    let order = args.rows.order(&found.requests, csv::REQUEST, SLOWEST)?;
    let columns = Columns::of(&args.rows, &order, csv::REQUEST)?;
    order.arrange(&mut found.requests);
    match args.output.format {
        Json => json::document(out, &found)?,
        Ndjson => json::lines(out, &found.requests)?,
        Csv => csv::requests(out, &found.requests, &columns, csv::REQUEST)?,
        _ => {
            // What stands first of a sorted table, last of one by time.
            let shown = match order.sort {
                Some(_) => found.requests.get(..1).unwrap_or_default(),
                None => &found.requests,
            };
            let next = next_step(&reader, &args.filter, &args.inputs, shown);
            let line = order_line(&order, found.requests.len(), all);
            page::print(out, &list::page(&found, is_sitting, &columns, line, &next), &args.output)?;
        }
    }
    if found.requests.is_empty() {
        return Err(nothing_read(&args.filter, &args.inputs));
    }
    // Process exits now: skip dropping 100k requests.
    std::mem::forget(found);
    Ok(limits.and(skipped))
}
