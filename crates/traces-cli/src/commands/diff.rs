//! `traces diff`: two requests or two groups, side by side.

use std::io::Write;

use anyclaude_traces::Kind;
use anyclaude_traces::ask::answers;
use anyclaude_traces::error::Skipped;
use anyclaude_traces::model::scope::KindFilter;
use anyhow::bail;

use super::{next_step, reading, report_skipped};
use crate::cli::{DiffArgs, OutputFormat};
use crate::exit::Status;
use crate::render::ids::Ids;
use crate::render::{csv, diff as render, json, notes, page};
use crate::select;
use anyclaude_traces::select::{FewModels, Sides};

pub(crate) fn run(args: &DiffArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use OutputFormat::{Csv, Json};
    let inputs: Vec<_> = args.left.iter().chain(&args.right).cloned().collect();
    let kind = KindFilter::Only(Kind::Conversation);
    // Two logs are two sides; one is read as a recording.
    let (reader, named) = match inputs.as_slice() {
        [_] => select::reader_of(&args.filter, &inputs, kind)?,
        _ => (select::reader(&args.filter, kind)?, inputs.clone()),
    };
    let sides = reading(&reader, &args.output, || {
        Sides::select(&reader, named.first(), named.get(1), FewModels::CompareRequests)
    })?;
    if sides.is_fallback && !args.output.quiet {
        notes::warn(
            "fewer than two models are known here: comparing the newest request with the one before. \
             `--label NAME=session:ID` names the model of a session",
        );
    }
    let skipped: Vec<Skipped> = sides.skipped.iter().map(Skipped::from).collect();
    let status = report_skipped(&skipped, &args.output);
    let found = answers::diff(&reader, [&sides.left, &sides.right], args.text)?;
    if args.exit_code && found.system.is_none() {
        bail!(
            "--exit-code: the prompts of these requests are not recorded, so that whether they differ is unknown"
        );
    }
    match args.output.format {
        Csv => csv::measures(out, &found.measures)?,
        Json => json::document(out, &found)?,
        _ => {
            let next = next_step(&reader, &args.filter, &inputs, &[]);
            // Text that was asked for is shown, however long it is.
            let levels = render::DiffDetail::levels().take(if args.text { 1 } else { usize::MAX });
            let pages = levels.map(|detail| render::page(&found, &next, Ids(args.output.ids), detail));
            page::print_first_fitting(out, pages, page::Room::Terminal, &args.output)?;
        }
    }
    Ok(Status::exceeded_if(args.exit_code && !found.is_empty()).and(status))
}
