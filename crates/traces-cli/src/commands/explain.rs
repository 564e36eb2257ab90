//! `traces explain`: where the slower of two sides lost its time, or where the time of
//! one goes.

use std::ffi::OsString;
use std::io::Write;

use anyclaude_traces::Kind;
use anyclaude_traces::ask::answers;
use anyclaude_traces::error::Skipped;
use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::select::OneOrTwoSides;
use anyhow::{anyhow, bail};

use super::direct::measured;
use super::{next_step, nothing_read, reading, report_skipped};
use crate::cli::{ExplainArgs, OutputFormat};
use crate::exit::Status;
use crate::render::select_error::{FEW_MODELS, unknown_name};
use crate::render::{explain as render, json, page, what_if};
use crate::select;

pub(crate) fn run(args: &ExplainArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use OutputFormat::{Json, Table};
    let inputs: Vec<_> = args.fast.iter().chain(&args.slow).cloned().collect();
    let (reader, named) = select::reader_of(&args.filter, &inputs, KindFilter::Only(Kind::Conversation))?;
    let reader = reader.with_tasks().with_costs(args.cache.options());
    let mut sides =
        reading(&reader, &args.output, || OneOrTwoSides::select(&reader, named.first(), named.get(1)))?;
    if sides.right.is_none() && inputs.len() == 2 && named.len() < 2 {
        return Err(one_side_of_two(&inputs, &named, &sides));
    }
    if sides.left.requests.is_empty() && sides.right.is_none() {
        let skipped: Vec<Skipped> = sides.skipped.iter().map(Skipped::from).collect();
        report_skipped(&skipped, &args.output);
        return Err(nothing_read(&args.filter, &inputs));
    }
    let direct = match (&sides.right, args.measured.direct.as_slice()) {
        (None, []) => None,
        (None, _) => bail!("--direct: {FEW_MODELS}"),
        (Some(right), files) => measured(files, [sides.left.model(), right.model()])?,
    };
    let change = Some(args.what_if.change(&args.cache)).filter(|change| !change.is_empty());
    let what_if = change
        .map(|change| reading(&reader, &args.output, || answers::what_if(&reader, &mut sides, change)))
        .transpose()
        .map_err(|unknown| anyhow!(unknown_name(&unknown)))?;
    let mut found = reading(&reader, &args.output, || answers::explain(&reader, &mut sides, direct));
    found.what_if = what_if;
    let skipped: Vec<Skipped> = sides.skipped.iter().map(Skipped::from).collect();
    let status = report_skipped(&skipped, &args.output);
    match args.output.format {
        Json => json::document(out, &found)?,
        format => {
            let next = next_step(&reader, &args.filter, &inputs, &[]);
            match &found.what_if {
                Some(what_if) => {
                    page::print(out, &what_if::page(what_if, &next.same("explain")), &args.output)?;
                }
                None if format == Table => {
                    let pages =
                        render::ExplainDetail::levels().map(|screen| render::screen(&found, screen, &next));
                    page::print_first_fitting(out, pages, page::Room::Screen, &args.output)?;
                }
                None => page::print(out, &render::page(&found), &args.output)?,
            }
        }
    }
    Ok(status)
}

/// Why two inputs of which servers' logs are one or both make one side: logs are read beside the
/// other input, and only models tell their requests apart.
fn one_side_of_two(inputs: &[OsString], named: &[OsString], sides: &OneOrTwoSides) -> anyhow::Error {
    let shown: Vec<String> = inputs.iter().map(|input| input.to_string_lossy().into_owned()).collect();
    // A side without a model's name would be no side beside one that has a label.
    if named.is_empty() && sides.left.requests.iter().all(|request| request.model.is_none()) {
        let names = ["FAST", "SLOW"].into_iter().zip(&shown);
        let labels: Vec<String> = names.map(|(name, path)| format!("--label {name}={path}")).collect();
        return anyhow!(
            "servers' logs do not name the models of these requests. Labels do: `{}`",
            labels.join(" ")
        );
    }
    anyhow!(
        "all of these requests are of one model, and a server's log is no side of its own. A label names one side's \
         model: `--label NAME={}`",
        shown.first().map_or("", String::as_str)
    )
}
