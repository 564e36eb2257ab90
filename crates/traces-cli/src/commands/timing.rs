//! `traces timing`: how long everything took.

use std::io::Write;

use anyclaude_traces::Kind;
use anyclaude_traces::ask::answers;
use anyclaude_traces::model::scope::KindFilter;

use anyhow::bail;

use super::list::SLOWEST;
use super::{NOTHING_READ, grouping, reading_once, report_skipped};
use crate::cli::{OutputFormat, TimingArgs};
use crate::exit::Status;
use crate::render::columns::{Columns, order_line};
use crate::render::{csv, json, notes, page, timing as render, units};
use crate::select;

pub(crate) fn run(args: &TimingArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use OutputFormat::{Csv, Json, Ndjson};
    let (reader, inputs) = select::reader_of(&args.filter, &args.inputs, KindFilter::All)?;
    let reader = reader.with_logs(&args.logs)?.with_tasks().with_times(args.cache.options());
    let groups_kind = args.filter.kind.map_or(KindFilter::Only(Kind::Conversation), KindFilter::from);
    let (mut found, is_sitting) = reading_once(reader, &args.output, |reader| {
        let (selection, store) = reader.select_once(&inputs)?;
        let is_sitting = selection.is_sitting;
        anyhow::Ok((answers::timing(&store, selection, groups_kind, &grouping(args.by)), is_sitting))
    })?;
    let status = report_skipped(&found.skipped, &args.output);
    let nothing =
        found.requests.is_empty() && found.unmatched_log_requests.is_empty() && found.server_logs.is_empty();
    if nothing && args.output.format != Json {
        bail!(NOTHING_READ);
    }
    let all = found.requests.len();
    let order = args.rows.order(&found.requests, csv::REQUEST, SLOWEST)?;
    let columns = Columns::of(&args.rows, &order, csv::REQUEST, render::SHOWN)?;
    order.arrange(&mut found.requests);
    match args.output.format {
        Json => json::document(out, &found)?,
        Ndjson => json::lines(out, &found.requests)?,
        Csv => csv::requests(out, &found.requests, &columns)?,
        _ => {
            let rows = (!args.show_rows.no_rows).then_some(&columns);
            let line = order_line(&order, found.requests.len(), all);
            page::print(out, &render::page(&found, args.by, is_sitting, rows, line), &args.output)?;
        }
    }
    if nothing {
        bail!(NOTHING_READ);
    }
    let is_list = matches!(args.output.format, Csv | Ndjson);
    let tasks = found.unmatched_log_requests.len();
    if is_list && found.requests.is_empty() && tasks > 0 && !args.output.quiet {
        let tasks = units::count(tasks as u64, "task");
        notes::warn(&format!("no request was recorded; for the {tasks} of the log use --format json"));
    }
    Ok(status)
}
