//! `traces list`: one row per request.

use std::io::Write;

use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::prompt_cache::CacheOptions;

use anyhow::bail;

use super::{check_limits, next_step, reading, report_skipped};
use crate::cli::{Format, ListArgs};
use crate::exit::Status;
use crate::render::{csv, json, list, page};
use crate::select;

pub(crate) fn run(args: &ListArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use Format::{Csv, Json, Ndjson};
    let reader = select::reader(&args.filter, KindFilter::All)?.with_costs(CacheOptions::default());
    let selection = reading(&reader, &args.output, || {
        let mut selection = reader.select(&args.inputs)?;
        selection.count_tokens(reader.store());
        anyhow::Ok(selection)
    })?;
    let skipped = report_skipped(&selection.skipped, &args.output);
    if selection.requests.is_empty() && args.output.format != Json {
        bail!("none of these files could be read as a trace");
    }
    match args.output.format {
        Json => json::list(out, &selection)?,
        Ndjson => json::lines(out, &selection.requests)?,
        Csv => csv::requests(out, &selection.requests)?,
        _ => {
            let next = next_step(&args.filter, &args.inputs, &selection.requests);
            page::print(out, &list::page(&selection, &next), &args.output)?;
        }
    }
    let nothing = if selection.requests.is_empty() { Status::Unusable } else { Status::Done };
    let limits = check_limits(&selection.requests, &args.limits.fail_over);
    // Process exits now: skip dropping 100k requests.
    std::mem::forget(selection);
    Ok(limits.and(skipped).and(nothing))
}
