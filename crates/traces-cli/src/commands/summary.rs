//! `traces summary`: what a session looked like.

use std::io::Write;

use anyclaude_traces::Kind;
use anyclaude_traces::analysis::summary::summarize;
use anyclaude_traces::analysis::tool_cost::read_tool_costs;
use anyclaude_traces::model::scope::KindFilter;

use anyhow::bail;

use super::{check_limits, grouping, next_step, reading, report_skipped};
use crate::cli::{Format, SummaryArgs};
use crate::exit::Status;
use crate::render::{csv, json, page, summary};
use crate::select;

pub(crate) fn run(args: &SummaryArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use Format::{Csv, Json};
    let reader =
        select::reader(&args.filter, KindFilter::Only(Kind::Conversation))?.with_costs(args.cache.options());
    let (selection, price_list) = reading(&reader, &args.output, || {
        let mut selection = reader.select(&args.inputs)?;
        let price_list = read_tool_costs(&mut selection, reader.store());
        anyhow::Ok((selection, price_list))
    })?;
    let skipped = report_skipped(&selection.skipped, &args.output);
    if selection.requests.is_empty() && args.output.format != Json {
        bail!("none of these files could be read as a trace");
    }
    let requests = selection.of_all_kinds();
    let mut found = summarize(selection.scope, &requests, selection.skipped_list(), &grouping(args.by));
    found.price_list = Some(price_list);
    match args.output.format {
        Csv => csv::groups(out, &found.groups)?,
        Json => json::document(out, &found)?,
        _ => {
            let next = next_step(&args.filter, &args.inputs, &selection.requests);
            page::print(out, &summary::page(&found, args.by, selection.is_sitting, &next), &args.output)?;
        }
    }
    let nothing = if selection.requests.is_empty() { Status::Unusable } else { Status::Done };
    Ok(check_limits(&selection.requests, &args.limits.fail_over).and(skipped).and(nothing))
}
