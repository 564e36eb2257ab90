//! The rows of all requests that passed through the simulation, and the report that sums them up.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cache_breaks::{self, CountedRow};
use super::opening::Openings;
use super::row::{SimulatedRow, TokensPerByte, prompt_tokens, rounded};
use super::{Break, CacheInput, CachedPrompt, PrefixInput, PrefixReport, PrefixRequest, PrefixTotals};
use crate::both::in_halves;
use crate::error::Skipped;
use crate::model::request::{Request, TracePath};
use crate::model::stats::float;
use crate::model::{ModelSpeeds, Speeds};
use crate::prompt_cache::{SimulatedSteps, Simulation};

/// What a simulated cache could reuse of these requests, which passed through it.
///
/// ```
/// use anyclaude_traces::analysis::prefix::{CacheInput, PrefixInput, PrefixVisitor, Prompts, prefix};
/// use anyclaude_traces::model::scope::{KindFilter, Scope};
/// use anyclaude_traces::prompt_cache::{CacheOptions, ElementTexts, simulate};
/// use anyclaude_traces::recording::RequestSet;
/// use anyclaude_traces::{Request, Store};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// # let trace = |n: u32| format!(
/// #     r#"{{"timestamp": "2025-11-16T03:20:0{n}.000Z", "request": {{"body": {{"system": "Be brief.",
/// #         "tools": [{{"name": "Bash"}}], "messages": [{{"role": "user", "content": "Hello {n}"}}]}}}}}}"#
/// # );
/// # std::fs::write(folder.join("a.json"), trace(1))?;
/// # std::fs::write(folder.join("b.json"), trace(2))?;
/// let (store, mut prompts) = (Store::default(), Prompts::default());
/// let set =
///     RequestSet::read_with(&store, [folder], PrefixVisitor::default, |file, seen| prompts.add(file, seen));
/// let requests: Vec<&Request> = set.requests.iter().collect();
/// let mut texts = ElementTexts::new(&store);
/// let mut fetch = |path: &_, place| texts.read(path, place);
/// let (simulation, steps) = simulate(&requests, &prompts, CacheOptions::default(), &mut fetch);
///
/// let scope = Scope::new(None, None, KindFilter::All, requests.len() as u64);
/// let inputs: Vec<_> = requests.iter().map(|request| CacheInput { request, reported: true }).collect();
/// let found = prefix(PrefixInput::new(scope, &inputs), &simulation, steps);
/// assert!(found.totals.reusable_bytes > 0, "both have the same system prompt and tools");
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn prefix(input: PrefixInput<'_>, simulation: &Simulation<'_>, steps: SimulatedSteps) -> PrefixReport {
    let (requests, text) = (input.requests, input.text);
    let is_quoted = |at: usize| text && requests.get(at).is_some_and(|input| input.reported);
    Rows::of(simulation, steps, is_quoted).report(input, simulation)
}

/// What happened to each request that passed through a cache, at its place.
#[derive(Debug)]
pub(crate) struct Rows(Vec<Option<SimulatedRow>>);

impl Rows {
    /// Of all requests, with what was and what is around the first difference of some. Nobody
    /// needs their steps any more then.
    #[allow(clippy::needless_pass_by_value, reason = "of 100,000 requests the steps take 18 MB")]
    pub(crate) fn of(
        simulation: &Simulation<'_>,
        steps: SimulatedSteps,
        is_quoted: impl Fn(usize) -> bool,
    ) -> Self {
        let mut openings = Openings::default();
        let mut rows: Vec<Option<SimulatedRow>> = vec![None; simulation.reuse.len()];
        for at in simulation.turns.each() {
            let mut row = SimulatedRow::of(simulation, &steps, at, &mut openings);
            row.iter_mut().filter(|_| is_quoted(at)).for_each(|row| row.quote(simulation));
            if let Some(place) = rows.get_mut(at) {
                *place = row;
            }
        }
        Self(rows)
    }

    /// The row of each request, at its place.
    pub(super) fn each(&self) -> impl Iterator<Item = Option<&SimulatedRow>> {
        self.0.iter().map(Option::as_ref)
    }

    /// The rates by which these requests' bytes are tokens, and tokens times.
    pub(super) fn rates<'a>(&self, passing: &[CacheInput<'_>], speeds: &'a [ModelSpeeds]) -> Rates<'a> {
        let found = passing.iter().zip(self.each()).filter_map(|(input, row)| Some((input.request, row?)));
        Rates::of(speeds, TokensPerByte::of(found))
    }

    /// What it says in short of the reported ones of these requests, which are those that
    /// passed. Rows of all of them were a seventh of `summary`'s time after reading.
    pub(crate) fn cached_prompts(&self, passing: &[CacheInput<'_>]) -> Vec<Option<CachedPrompt>> {
        let rates = self.rates(passing, &[]);
        let path = |at: usize| passing.get(at).map(|input| input.request.path.clone());
        let cached = |(input, row): (&CacheInput<'_>, Option<&SimulatedRow>)| {
            let row = row?;
            Some(CachedPrompt {
                prompt_bytes: row.prompt_bytes,
                reusable_bytes: row.reusable_bytes,
                reusable_bytes_one_slot: row.reusable_bytes_one_slot,
                broken: broken(input.request, row, &rates, &path),
                adds: row.adds,
            })
        };
        passing.iter().zip(self.each()).filter(|(input, _)| input.reported).map(cached).collect()
    }

    /// The reported ones of these requests, which are those that passed, that broke the cache.
    pub(crate) fn breaks(&self, passing: &[CacheInput<'_>], speeds: &[ModelSpeeds]) -> Vec<PrefixRequest> {
        let rates = self.rates(passing, speeds);
        let path = |at: usize| passing.get(at).map(|input| input.request.path.clone());
        let has_break = |row: &&SimulatedRow| row.broken.is_some() && row.element.is_some();
        let reported = passing.iter().zip(self.each()).filter(|(input, _)| input.reported);
        let broken = reported.filter_map(|(input, row)| Some((input.request, row.filter(has_break)?)));
        broken.map(|(broken, row)| request(broken, row, &rates, &path)).collect()
    }

    /// What comes of it for the reported ones of these requests, which are those that
    /// passed.
    pub(crate) fn report(&self, input: PrefixInput<'_>, simulation: &Simulation<'_>) -> PrefixReport {
        report(input, &self.0, simulation)
    }
}

fn report(
    input: PrefixInput<'_>,
    rows: &[Option<SimulatedRow>],
    simulation: &Simulation<'_>,
) -> PrefixReport {
    let PrefixInput { scope, requests, speeds, tool_costs, context, text: _, skipped } = input;
    let found = || requests.iter().zip(rows).filter_map(|(input, row)| Some((input, row.as_ref()?)));
    let of_requests = found().map(|(input, row)| (input.request, row));
    let rates = Rates::of(&speeds, TokensPerByte::of(of_requests));
    let path = |at: usize| requests.get(at).map(|input| input.request.path.clone());
    let reported = found().filter(|(input, _)| input.reported);
    let counted: Vec<CountedRow<'_>> =
        reported.map(|(input, row)| CountedRow { request: input.request, row }).collect();
    let totals = |reusable_bytes: fn(&SimulatedRow) -> u64| {
        let mut totals = PrefixTotals::default();
        counted.iter().for_each(|one| totals.add(one.row.prompt_bytes, reusable_bytes(one.row)));
        totals
    };
    let (totals, totals_one_slot) =
        (totals(|row| row.reusable_bytes), totals(|row| row.reusable_bytes_one_slot));
    let reported = in_halves(&counted, |counted| {
        counted.iter().map(|one| request(one.request, one.row, &rates, &path)).collect()
    });
    let kind = |at: usize| requests.get(at).map(|input| input.request.kind);
    PrefixReport {
        scope,
        order: simulation.order,
        view: simulation.view,
        slots: simulation.cache.slots,
        cache: simulation.cache,
        simulated: found().count() as u64,
        breakers: cache_breaks::breakers(&reported),
        evictions: cache_breaks::evictions(
            &counted,
            &rates,
            kind,
            |row| row.broken.as_deref(),
            |request, tokens| rates.lost_ms(request, tokens),
        ),
        // A cache of one slot was not there: what it would lose would cost all the time of reading,
        // whatever the requests took.
        evictions_one_slot: cache_breaks::evictions(
            &counted,
            &rates,
            kind,
            |row| row.broken_one_slot.as_deref(),
            |request, tokens| rates.ms(request, tokens),
        ),
        price_list: tool_costs,
        context,
        requests: reported,
        totals,
        totals_one_slot,
        speeds,
        skipped: skipped.into_iter().chain(simulation.errors().iter().map(Skipped::from)).collect(),
    }
}

/// How fast each model reads, and how many tokens a byte of a prompt is.
pub(super) struct Rates<'a> {
    speeds: BTreeMap<&'a Option<Arc<str>>, &'a Speeds>,
    tokens_per_byte: TokensPerByte,
}

impl<'a> Rates<'a> {
    fn of(speeds: &'a [ModelSpeeds], tokens_per_byte: TokensPerByte) -> Self {
        Self { speeds: speeds.iter().map(|of| (&of.model, &of.speeds)).collect(), tokens_per_byte }
    }

    /// The speeds of the model that answered a request.
    pub(super) fn speeds(&self, request: &Request) -> Option<&'a Speeds> {
        self.speeds.get(&request.model_group()).copied()
    }

    pub(super) fn tokens(&self, request: &Request, row: &SimulatedRow, bytes: u64) -> Option<f64> {
        self.tokens_per_byte.tokens(request, row, bytes)
    }

    pub(super) fn ms(&self, request: &Request, tokens: Option<f64>) -> Option<f64> {
        self.speeds(request)?.reading_ms(tokens?)
    }

    /// How many milliseconds it took to read these tokens again: no more than reading all took.
    pub(super) fn lost_ms(&self, request: &Request, tokens: Option<f64>) -> Option<f64> {
        let ms = self.ms(request, tokens)?;
        Some(request.timing.as_ref().map_or(ms, |timing| timing.most_of_reading(ms)))
    }
}

fn request(
    request: &Request,
    row: &SimulatedRow,
    rates: &Rates<'_>,
    path: &impl Fn(usize) -> Option<TracePath>,
) -> PrefixRequest {
    let counted = request.timing.as_ref().and_then(|timing| timing.read_tokens.get());
    let by_bytes = rates.tokens(request, row, row.prompt_bytes - row.reusable_bytes);
    let by_bytes = by_bytes.filter(|_| prompt_tokens(request).is_some());
    let new_tokens = counted.map(float).or(by_bytes);
    let lost_bytes = row.broken.as_ref().map_or(0, |broken| broken.lost_bytes);
    let timing = request.timing.as_ref();
    PrefixRequest {
        path: request.path.clone(),
        id: request.id,
        timestamp: request.timestamp,
        kind: request.kind,
        model: request.model.clone(),
        session: request.session.clone(),
        thread: request.thread.clone(),
        prompt_bytes: row.prompt_bytes,
        reusable_bytes: row.reusable_bytes,
        reusable_bytes_one_slot: row.reusable_bytes_one_slot,
        reused_from: row.reused_from.and_then(path),
        break_: broken(request, row, rates, path),
        lost_bytes,
        lost_tokens: rates.tokens(request, row, lost_bytes).and_then(rounded).into(),
        cached_tokens: timing.map(|timing| timing.cached_tokens).unwrap_or_default(),
        cached_source: timing.and_then(|timing| timing.cached_source),
        new_tokens: new_tokens.and_then(rounded).into(),
        ttft_ms: timing.map(|timing| timing.ttft_ms).unwrap_or_default(),
        expected_ttft_ms: rates.ms(request, new_tokens).and_then(rounded).into(),
    }
}

/// Where a request broke.
fn broken(
    request: &Request,
    row: &SimulatedRow,
    rates: &Rates<'_>,
    path: &impl Fn(usize) -> Option<TracePath>,
) -> Option<Box<Break>> {
    let (broken, element) = row.broken.as_deref().zip(row.element)?;
    let (was, now) = broken.excerpt.clone().unwrap_or_default();
    let lost_tokens = rates.tokens(request, row, broken.lost_bytes);
    Some(Box::new(Break {
        element,
        cause: broken.change.cause,
        common_bytes: broken.common_bytes,
        volatile: broken.change.volatile,
        tools: broken.change.tools.clone(),
        lost_bytes: broken.lost_bytes,
        lost_tokens: lost_tokens.and_then(rounded),
        lost_ms: rates.lost_ms(request, lost_tokens).and_then(rounded),
        evicted_by: broken.evicted_by.and_then(path),
        was,
        now,
    }))
}
