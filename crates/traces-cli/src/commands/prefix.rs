//! `traces prefix`: what a prompt cache could reuse, and what broke it.

use std::io::Write;

use anyclaude_traces::Request;
use anyclaude_traces::Store;
use anyclaude_traces::analysis::context_window::context;
use anyclaude_traces::analysis::prefix::{CacheInput, PrefixInput, PrefixReport, Prompts, prefix};
use anyclaude_traces::cost::{fit, speeds_by_model};
use anyclaude_traces::error::Skipped;
use anyclaude_traces::model::ModelSpeeds;
use anyclaude_traces::model::scope::{KindFilter, Scope};
use anyclaude_traces::prompt_cache::{CacheOptions, Fetch, Simulation, element_text, simulate};
use anyclaude_traces::recording::join::UnmatchedLogRequest;
use anyhow::bail;

use super::{check_limits, reading, report_skipped};
use crate::cli::{Format, Output, PrefixArgs};
use crate::exit::Status;
use crate::render::{csv, json, notes, page, prefix as render};
use crate::select::{Reader, within};

pub(crate) fn run(args: &PrefixArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use Format::{Csv, Json, Ndjson};
    let reader = Reader::new(&args.filter, KindFilter::All)?.with_prompts();
    let (mut selection, price_list) = reading(&reader, &args.output, || {
        let mut selection = reader.select(&args.inputs)?;
        let price_list = selection.prices(reader.store());
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
    let mut passing = Passing::of(&selection.passing());
    let mut simulation =
        passing.through(&prompts, args.cache_options(), &mut selection.joined.unmatched, &mut fetch);
    let inputs = passing.inputs();
    let mut input = PrefixInput::new(selection.scope, &inputs);
    input.speeds = passing.speeds(selection.scope);
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
    output: &Output,
) -> PrefixReport {
    let mut fetch = |path: &_, place| element_text(store, path, place);
    let mut passing = Passing::of(passing);
    let mut simulation = passing.through(prompts, CacheOptions::default(), &mut [], &mut fetch);
    let inputs = passing.inputs();
    let mut input = PrefixInput::new(scope, &inputs);
    input.speeds = passing.speeds(scope);
    let found = prefix(input, &mut simulation);
    say_lost(&found.skipped, output);
    found
}

/// Requests that pass through a cache, and whether each is reported.
pub(super) struct Passing {
    requests: Vec<Request>,
    reported: Vec<bool>,
}

impl Passing {
    pub(super) fn of(inputs: &[CacheInput<'_>]) -> Self {
        Self {
            requests: inputs.iter().map(|input| input.request.clone()).collect(),
            reported: inputs.iter().map(|input| input.reported).collect(),
        }
    }

    /// Lets them through, and tells what their times then say.
    pub(super) fn through<'a>(
        &mut self,
        prompts: &'a Prompts,
        options: CacheOptions,
        elsewhere: &mut [UnmatchedLogRequest],
        fetch: &'a mut Fetch<'a>,
    ) -> Simulation<'a> {
        let simulation = simulate(&self.requests.iter().collect::<Vec<_>>(), prompts, options, fetch);
        fit(&mut self.requests.iter_mut().collect::<Vec<_>>(), elsewhere, &simulation.reuse);
        simulation
    }

    pub(super) fn inputs(&self) -> Vec<CacheInput<'_>> {
        let both = self.requests.iter().zip(&self.reported);
        both.map(|(request, reported)| CacheInput { request, reported: *reported }).collect()
    }

    /// The speeds of the models in this time.
    pub(super) fn speeds(&self, scope: Scope) -> Vec<ModelSpeeds> {
        speeds_by_model(self.requests.iter().filter(|request| within(request, scope.from, scope.to)))
    }
}

fn say_lost(lost: &[Skipped], output: &Output) {
    for file in lost.iter().filter(|_| !output.quiet) {
        notes::warn(&format!(
            "{}: {}. What it has in common with others counts as far as is known",
            file.path, file.detail
        ));
    }
}
