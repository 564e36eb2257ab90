//! `traces explain`: where the slower of two sides lost its time, or where the time of
//! one goes.

use std::io::Write;

use anyclaude_traces::Kind;
use anyclaude_traces::ask::answers;
use anyclaude_traces::error::Skipped;
use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::select::OneOrTwoSides;
use anyhow::bail;

use super::direct::measured;
use super::{reading, report_skipped};
use crate::cli::{ExplainArgs, Format};
use crate::exit::Status;
use crate::render::select_error::FEW_MODELS;
use crate::render::{explain as render, json, page};
use crate::select;

pub(crate) fn run(args: &ExplainArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use Format::{Json, Table};
    let reader = select::reader(&args.filter, KindFilter::Only(Kind::Conversation))?
        .with_tasks()
        .with_costs(args.cache.options());
    let mut sides = reading(&reader, &args.output, || {
        OneOrTwoSides::select(&reader, args.fast.as_ref(), args.slow.as_ref())
    })?;
    let direct = match (&sides.right, args.measured.direct.as_slice()) {
        (None, []) => None,
        (None, _) => bail!("--direct: {FEW_MODELS}"),
        (Some(right), files) => measured(files, &sides.left, right)?,
    };
    let found = reading(&reader, &args.output, || answers::explain(&reader, &mut sides, direct));
    let skipped: Vec<Skipped> = sides.skipped.iter().map(Skipped::from).collect();
    let status = report_skipped(&skipped, &args.output);
    match args.output.format {
        Json => json::document(out, &found)?,
        _ => page::print(out, &render::page(&found, args.output.format == Table), &args.output)?,
    }
    Ok(status)
}
