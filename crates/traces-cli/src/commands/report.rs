//! `traces report`: all that is known, on a page to send around.

use std::io::Write;

use anyclaude_traces::Kind;
use anyclaude_traces::Request;
use anyclaude_traces::Store;
use anyclaude_traces::analysis::content::Content;
use anyclaude_traces::analysis::explain::Direct;
use anyclaude_traces::analysis::explain::read_prompts;
use anyclaude_traces::analysis::report::{self, PromptText, report};
use anyclaude_traces::analysis::timing::timing;
use anyclaude_traces::cost::speeds_by_model;
use anyclaude_traces::model::group::Grouping;
use anyclaude_traces::model::scope::KindFilter;
use anyhow::{Context as _, bail};

use super::direct::measured;
use super::explain::explained;
use super::prefix::simulated;
use super::{reading, report_skipped};
use crate::cli::{Format, ReportArgs};
use crate::exit::Status;
use crate::render::select_error::FEW_MODELS;
use crate::render::{json, notes, page, report as render, units};
use crate::save::{OutputFile, is_stdout};
use crate::select;
use anyclaude_traces::select::{ALL_REQUESTS, Selection, Side, faster_first, last_two_models};

pub(crate) fn run(args: &ReportArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    let file = args.file.as_deref().filter(|file| !is_stdout(file));
    let target = file.map(|file| OutputFile::new(file, args.force)).transpose()?;
    if args.file.is_none() && args.output.format == Format::Html {
        bail!(
            "name a file for the page, as in `traces report -o report.html` (-o - prints it), or choose \
             --format markdown"
        );
    }
    let reader =
        select::reader(&args.filter, KindFilter::Only(Kind::Conversation))?.with_costs(args.cache.options());
    let mut selection = reading(&reader, &args.output, || reader.select(&args.inputs))?;
    if selection.requests.is_empty() {
        report_skipped(&selection.skipped, &args.output);
        bail!("none of these files could be read as a trace");
    }
    let models = last_two_models(&selection, reader.kind()).map(faster_first);
    if models.is_none() && !args.measured.direct.is_empty() {
        bail!("--direct: {FEW_MODELS}");
    }
    let direct = match &models {
        Some([left, right]) => measured(&args.measured.direct, left, right)?,
        None => None,
    };
    let (asked, unreadable) = reading(&reader, &args.output, || {
        let compared = models.iter().flatten().flat_map(|side| &side.requests);
        read_prompts(reader.store(), compared)
    });
    selection.skipped.extend(unreadable);
    let (kind, store, elements) = (reader.kind(), reader.store().clone(), reader.into_prompts());
    let prefix = simulated(
        &store,
        &elements,
        selection.scope,
        &selection.passing(),
        args.cache.options(),
        speeds_by_model(selection.of_all_kinds()),
        &args.output,
    );
    let status = report_skipped(&selection.skipped, &args.output);
    let all = || Side::of_selection(ALL_REQUESTS.to_owned(), &selection);
    let sides: Vec<Side> = models.map_or_else(|| vec![all()], Vec::from);
    let explanation =
        sides.first().map(|left| explained(selection.scope, left, sides.get(1), &asked, direct.clone()));
    let direct = direct.map_or_else(Vec::new, |(left, right)| vec![left, right]);
    let direct = direct.into_iter().map(Some).chain(std::iter::repeat(None));
    let sides: Vec<report::Side<'_>> = sides.iter().zip(direct).map(side).collect();
    let texts = if args.include_text { texts(&store, &sides)? } else { Vec::new() };
    let is_sitting = selection.is_sitting;
    let skipped = selection.skipped_list();
    let Selection { requests, others, scope, joined, .. } = selection;
    let found = report(report::ReportInput {
        timing: timing(scope, requests, &others, &joined, skipped, kind, &Grouping::by_model()),
        others: &others,
        sides: &sides,
        explanation,
        prefix: Some(prefix),
        texts,
    });
    let mut content = Vec::new();
    match args.output.format {
        Format::Json => json::document(&mut content, &found)?,
        Format::Markdown => page::print(&mut content, &render::page(&found, is_sitting), &args.output)?,
        _ => content.extend(render::html(&found, is_sitting).into_bytes()),
    }
    match target {
        None => out.write_all(&content)?,
        Some(target) => {
            target.write(&content)?;
            if !args.output.quiet {
                let size = units::bytes(content.len() as u64);
                notes::warn(&format!("wrote {} ({size})", target.path().display()));
            }
        }
    }
    Ok(status)
}

/// A side by its model, where all its requests have the same.
fn side((side, direct): (&Side, Option<Direct>)) -> report::Side<'_> {
    report::Side {
        name: side.model().unwrap_or(&side.selector).to_owned(),
        requests: side.requests.iter().collect(),
        direct,
    }
}

/// The text of each side's newest request.
fn texts(store: &Store, sides: &[report::Side<'_>]) -> anyhow::Result<Vec<PromptText>> {
    let text = |side: &report::Side<'_>| -> anyhow::Result<Option<PromptText>> {
        let Some(newest): Option<&&Request> = side.requests.last() else { return Ok(None) };
        let mut content = Content::with_text();
        store.read_one(newest.path.as_ref(), &mut content).context("the file changed while it was read")?;
        Ok(Some(PromptText::of(&side.name, newest, &content)))
    };
    sides.iter().filter_map(|side| text(side).transpose()).collect()
}
