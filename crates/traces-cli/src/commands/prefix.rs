//! `traces prefix`: what a prompt cache could reuse, and what broke it.

use std::io::Write;
use std::num::NonZeroU64;

use anyclaude_traces::ask::answers;
use anyclaude_traces::error::Skipped;
use anyclaude_traces::model::scope::KindFilter;

use super::{check_limits, nothing_read, reading, report_skipped};
use crate::cli::{OutputArgs, OutputFormat, PrefixArgs};
use crate::exit::Status;
use crate::render::columns::{Columns, order_line};
use crate::render::ids::Ids;
use crate::render::{csv, json, notes, page, prefix as render};
use crate::select;

pub(crate) fn run(args: &PrefixArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use OutputFormat::{Csv, Json, Ndjson};
    let (reader, inputs) = select::reader_of(&args.filter, &args.inputs, KindFilter::All)?;
    let reader = reader.with_costs(args.cache_options());
    let (selection, mut found) = reading(&reader, &args.output, || {
        let mut selection = reader.select(&inputs)?;
        let mut options = answers::PrefixOptions::default();
        (options.context_tokens, options.text) = (args.context.map(NonZeroU64::get), args.text);
        let found = answers::prefix(&reader, &mut selection, options);
        anyhow::Ok((selection, found))
    })?;
    let skipped = report_skipped(&selection.skipped_list(), &args.output);
    let nothing = selection.requests.is_empty();
    if nothing && args.output.format != Json {
        return Err(nothing_read(&args.filter, &args.inputs));
    }
    let all = found.requests.len();
    let order = args.rows.order(&found.requests, csv::PREFIX, &["lost_bytes"])?;
    let columns = Columns::of(&args.rows, &order, csv::PREFIX)?;
    order.arrange(&mut found.requests);
    match args.output.format {
        Json => json::document(out, &found)?,
        Ndjson => json::lines(out, &found.requests)?,
        Csv => csv::requests(out, &found.requests, &columns, csv::PREFIX)?,
        _ => {
            let rows = (!args.show_rows.no_rows).then_some(&columns);
            let shown = render::ShownRows { rows, all, line: order_line(&order, found.requests.len(), all) };
            let page = render::page(&found, selection.is_sitting, shown, Ids(args.output.ids));
            page::print(out, &page, &args.output)?;
        }
    }
    let lost = found.skipped.get(selection.skipped.len()..).unwrap_or_default();
    say_lost(lost, &args.output);
    let lost = if lost.is_empty() { Status::Done } else { Status::Skipped };
    if nothing {
        return Err(nothing_read(&args.filter, &args.inputs));
    }
    Ok(check_limits(&selection.requests, &args.limits.fail_over).and(skipped).and(lost))
}

/// Says which elements could not be read again.
pub(super) fn say_lost(lost: &[Skipped], output: &OutputArgs) {
    for file in lost.iter().filter(|_| !output.quiet) {
        notes::warn(&format!(
            "{}: {}. What it has in common with others counts as far as is known",
            file.path, file.detail
        ));
    }
}
