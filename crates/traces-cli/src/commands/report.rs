//! `traces report`: all that is known, on a page to send around.

use std::io::Write;

use anyclaude_traces::Kind;
use anyclaude_traces::analysis::report::Report;
use anyclaude_traces::ask::answers;
use anyclaude_traces::model::scope::KindFilter;
use anyhow::{Context as _, bail};

use super::direct::measured;
use super::prefix::say_lost;
use super::{NOTHING_READ, reading, report_skipped};
use crate::browser;
use crate::cli::{OutputFormat, ReportArgs};
use crate::exit::Status;
use crate::render::ids::Ids;
use crate::render::select_error::FEW_MODELS;
use crate::render::{json, notes, page, report as render, units};
use crate::save::{OutputFile, is_stdout};
use crate::select;

pub(crate) fn run(args: &ReportArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    let target = target(args)?;
    let (reader, inputs) =
        select::reader_of(&args.filter, &args.inputs, KindFilter::Only(Kind::Conversation))?;
    let reader = reader.with_logs(&[])?.with_tasks().with_costs(args.cache.options());
    let selection = reading(&reader, &args.output, || reader.select(&inputs))?;
    let has_logs = !selection.joined.unmatched.is_empty() || !selection.joined.server_logs.is_empty();
    if selection.requests.is_empty() && !has_logs {
        report_skipped(&selection.skipped_list(), &args.output);
        bail!(NOTHING_READ);
    }
    let mut options = answers::ReportOptions::default();
    options.text = args.include_text;
    options.direct = match answers::compared_models(&selection, reader.kind()) {
        None if !args.measured.direct.is_empty() => bail!("--direct: {FEW_MODELS}"),
        None => None,
        Some([left, right]) => measured(&args.measured.direct, [left.model(), right.model()])?,
    };
    let is_sitting = selection.is_sitting;
    let mut found =
        reading(&reader, &args.output, || answers::report(&reader, selection, reader.kind(), options))
            .context("the file changed while it was read")?;
    let status = report_skipped(&found.skipped, &args.output);
    found.prefix.iter().for_each(|prefix| say_lost(&prefix.skipped, &args.output));
    if args.output.format == OutputFormat::Json && target.is_none() {
        // Of 20,000 requests it is 34 MB: to hold it whole was a fifth of all memory, and a
        // twentieth of the time.
        write_json(out, &mut found)?;
        return Ok(status);
    }
    let mut content = Vec::new();
    match args.output.format {
        OutputFormat::Json => write_json(&mut content, &mut found)?,
        OutputFormat::Markdown => page::print(&mut content, &render::page(&found, is_sitting), &args.output)?,
        _ => content.extend(render::html(&found, is_sitting, Ids(args.output.ids)).into_bytes()),
    }
    let Some(target) = target else {
        out.write_all(&content)?;
        return Ok(status);
    };
    target.write(&content)?;
    if !args.output.quiet {
        let size = units::bytes(content.len() as u64);
        notes::warn(&format!("wrote {} ({size})", target.path().display()));
    }
    if args.open {
        browser::open(target.path())?;
    }
    Ok(status)
}

/// Writes the report, whose rows are nearly all of it, and are taken out of it for that.
fn write_json(out: &mut impl Write, found: &mut Report) -> anyhow::Result<()> {
    let requests = std::mem::take(&mut found.requests);
    let rows = found.prefix.as_mut().map(|prefix| std::mem::take(&mut prefix.requests));
    json::SplicedDocument::new(out, found)?
        .splice(&["prefix", "requests"], &rows.unwrap_or_default())?
        .splice(&["requests"], &requests)?
        .end()
}

/// The file that is written; `None` for the standard output.
fn target(args: &ReportArgs) -> anyhow::Result<Option<OutputFile>> {
    let is_page = args.output.format == OutputFormat::Html;
    if args.open && !is_page {
        bail!("--open shows the page of HTML: leave --format out");
    }
    match args.file.as_deref() {
        Some(file) if !is_stdout(file) => Ok(Some(OutputFile::new(file, args.force)?)),
        Some(_) if args.open => {
            bail!("--open shows a file, and `-o -` writes none: name one, or leave -o out")
        }
        None if args.open => Ok(Some(OutputFile::temporary("traces-report-", ".html")?)),
        None if is_page => bail!(
            "name a file for the page, as in `traces report -o report.html` (-o - prints it), show it with \
             --open, or choose --format markdown"
        ),
        _ => Ok(None),
    }
}
