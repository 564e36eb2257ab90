//! `traces timing`: how long everything took.

use std::io::Write;

use anyclaude_traces::Kind;
use anyclaude_traces::analysis::timing::TimingReport;
use anyclaude_traces::ask::answers;
use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::select::Row;

use anyhow::bail;

use super::list::SLOWEST;
use super::{NOTHING_READ, grouping, reading_once, report_skipped};
use crate::cli::{OutputFormat, TimingArgs};
use crate::exit::Status;
use crate::render::columns::{Columns, order_line};
use crate::render::{csv, json, page, timing as render};
use crate::select;

pub(crate) fn run(args: &TimingArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    let (reader, inputs) = select::reader_of(&args.filter, &args.inputs, KindFilter::All)?;
    let reader = reader.with_logs(&args.logs)?.with_tasks().with_times(args.cache.options());
    let groups_kind = args.filter.kind.map_or(KindFilter::Only(Kind::Conversation), KindFilter::from);
    let (found, is_sitting) = reading_once(reader, &args.output, |reader| {
        let (selection, store) = reader.select_once(&inputs)?;
        let is_sitting = selection.is_sitting;
        anyhow::Ok((answers::timing(&store, selection, groups_kind, &grouping(args.by)), is_sitting))
    })?;
    let status = report_skipped(&found.skipped, &args.output);
    let nothing =
        found.requests.is_empty() && found.unmatched_log_requests.is_empty() && found.server_logs.is_empty();
    if nothing && args.output.format != OutputFormat::Json {
        bail!(NOTHING_READ);
    }
    print(args, found, is_sitting, out)?;
    if nothing {
        bail!(NOTHING_READ);
    }
    Ok(status)
}

/// Prints the rows that are asked for: those of recorded requests, and of requests that only a log
/// has.
fn print(
    args: &TimingArgs,
    mut found: TimingReport,
    is_sitting: bool,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    use OutputFormat::{Csv, Json, Ndjson};
    let (recorded, logged) = (&mut found.requests, &mut found.unmatched_log_requests);
    let members = if recorded.is_empty() && !logged.is_empty() { csv::LOGGED } else { csv::REQUEST };
    let mut rows = Row::of_both(&*recorded, &*logged);
    let all = rows.len();
    let order = args.rows.order(&rows, members, SLOWEST)?;
    let columns = Columns::of(&args.rows, &order, members)?;
    if matches!(args.output.format, Csv | Ndjson) {
        order.arrange(&mut rows);
        return match args.output.format {
            Csv => csv::requests(out, &rows, &columns, members),
            _ => json::lines(out, &rows),
        };
    }
    order.arrange_both(recorded, logged);
    if args.output.format == Json {
        return json::document(out, &found);
    }
    let line = order_line(&order, recorded.len() + logged.len(), all);
    let columns = (!args.show_rows.no_rows).then_some(&columns);
    Ok(page::print(out, &render::page(&found, args.by, is_sitting, columns, line), &args.output)?)
}
