//! `traces prefix`: what a prompt cache could reuse, and what broke it.

use std::io::Write;

use anyclaude_traces::Request;
use anyclaude_traces::Store;
use anyclaude_traces::analysis::context_window::context;
use anyclaude_traces::analysis::prefix::{CacheInput, PrefixInput, PrefixReport, Prompts, prefix};
use anyclaude_traces::analysis::tool_cost::read_tool_costs;
use anyclaude_traces::cost::speeds_by_model;
use anyclaude_traces::error::Skipped;
use anyclaude_traces::model::ModelSpeeds;
use anyclaude_traces::model::scope::{KindFilter, Scope};
use anyclaude_traces::prompt_cache::{CacheOptions, element_text, simulate};
use anyhow::bail;

use super::{check_limits, reading, report_skipped};
use crate::cli::{Format, Output, PrefixArgs};
use crate::exit::Status;
use crate::render::{csv, json, notes, page, prefix as render};
use crate::select;

pub(crate) fn run(args: &PrefixArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use Format::{Csv, Json, Ndjson};
    let reader = select::reader(&args.filter, KindFilter::All)?.with_costs(args.cache_options());
    let (selection, price_list) = reading(&reader, &args.output, || {
        let mut selection = reader.select(&args.inputs)?;
        let price_list = read_tool_costs(&mut selection, reader.store());
        match args.context {
            Some(_) => selection.count_all_tokens(reader.store()),
            None => selection.count_tokens(reader.store()),
        }
        anyhow::Ok((selection, price_list))
    })?;
    let skipped = report_skipped(&selection.skipped, &args.output);
    let nothing = selection.requests.is_empty();
    if nothing && args.output.format != Json {
        bail!("none of these files could be read as a trace");
    }
    let (store, prompts) = (reader.store().clone(), reader.into_prompts());
    let mut fetch = |path: &_, place| element_text(&store, path, place);
    let passing = selection.passing();
    let mut simulation = simulate(&requests(&passing), &prompts, args.cache_options(), &mut fetch);
    let mut input = PrefixInput::new(selection.scope, &passing);
    input.speeds = speeds_by_model(selection.of_all_kinds());
    input.tool_costs = Some(price_list);
    input.context = args.context.map(|tokens| {
        let requests: Vec<&Request> = selection.requests.iter().collect();
        context(&requests, tokens.get())
    });
    (input.text, input.skipped) = (args.text, selection.skipped_list());
    let found = prefix(input, &mut simulation);
    match args.output.format {
        Json => json::document(out, &found)?,
        Ndjson => json::lines(out, &found.requests)?,
        Csv => csv::prefix(out, &found.requests)?,
        _ => page::print(out, &render::page(&found, selection.is_sitting), &args.output)?,
    }
    let lost = found.skipped.get(selection.skipped.len()..).unwrap_or_default();
    say_lost(lost, &args.output);
    let lost = if lost.is_empty() { Status::Done } else { Status::Skipped };
    let nothing = if nothing { Status::Unusable } else { Status::Done };
    Ok(check_limits(&selection.requests, &args.limits.fail_over).and(skipped).and(lost).and(nothing))
}

/// What each request could have reused, where these pass through a cache as it is by
/// default. Elements that cannot be read again are said.
pub(super) fn simulated(
    store: &Store,
    prompts: &Prompts,
    scope: Scope,
    passing: &[CacheInput<'_>],
    options: CacheOptions,
    speeds: Vec<ModelSpeeds>,
    output: &Output,
) -> PrefixReport {
    let mut fetch = |path: &_, place| element_text(store, path, place);
    let mut simulation = simulate(&requests(passing), prompts, options, &mut fetch);
    let mut input = PrefixInput::new(scope, passing);
    input.speeds = speeds;
    let found = prefix(input, &mut simulation);
    say_lost(&found.skipped, output);
    found
}

fn requests<'a>(passing: &[CacheInput<'a>]) -> Vec<&'a Request> {
    passing.iter().map(|input| input.request).collect()
}

fn say_lost(lost: &[Skipped], output: &Output) {
    for file in lost.iter().filter(|_| !output.quiet) {
        notes::warn(&format!(
            "{}: {}. What it has in common with others counts as far as is known",
            file.path, file.detail
        ));
    }
}
