//! The simulation, request by request, and what comes of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::cache_breaks::{self, Counted};
use super::opening::Openings;
use super::row::{Row, TokensPerByte, float, prompt_tokens, rounded};
use super::speed::{self, Point, ReadingSpeed};
use super::{Break, CacheInput, PrefixReport, PrefixRequest, Totals};
use crate::error::Skipped;
use crate::model::request::{Request, TracePath};
use crate::model::scope::Scope;
use crate::prompt_cache::Simulation;

/// What a simulated cache could reuse of these requests, which passed through it.
/// `requests` are those that were simulated, in the same order; with `text`, what
/// was and what is now is quoted around each first difference.
///
/// ```
/// use anyclaude_traces::analysis::prefix::{CacheInput, PrefixVisitor, Prompts, prefix};
/// use anyclaude_traces::model::scope::{KindFilter, Scope};
/// use anyclaude_traces::prompt_cache::{CacheOptions, simulate};
/// use anyclaude_traces::recording::element_text;
/// use anyclaude_traces::{Recording, Request, Store};
///
/// let (store, mut prompts) = (Store::default(), Prompts::default());
/// let traces = ["../../testdata/home/.anyclaude/traces"];
/// let recording =
///     Recording::read_with(&store, traces, PrefixVisitor::default, |file, seen| prompts.add(file, seen));
/// let requests: Vec<&Request> = recording.requests.iter().collect();
/// let mut fetch = |path: &_, place| element_text(&store, path, place);
/// let mut simulation = simulate(&requests, &prompts, CacheOptions::default(), &mut fetch);
///
/// let scope = Scope::new(None, None, KindFilter::All, requests.len() as u64);
/// let inputs: Vec<_> = requests.iter().map(|request| CacheInput { request, reported: true }).collect();
/// let found = prefix(scope, &inputs, &mut simulation, false, Vec::new());
/// assert!(found.totals.reusable_bytes > found.totals_one_slot.reusable_bytes);
/// ```
#[must_use]
pub fn prefix(
    scope: Scope,
    requests: &[CacheInput<'_>],
    simulation: &mut Simulation<'_>,
    text: bool,
    skipped: Vec<Skipped>,
) -> PrefixReport {
    let mut openings = Openings::default();
    let mut rows: Vec<Option<Row>> = vec![None; requests.len()];
    for at in simulation.turns.clone() {
        let mut row = Row::of(simulation, at, &mut openings);
        let is_quoted = text && requests.get(at).is_some_and(|input| input.reported);
        row.iter_mut().filter(|_| is_quoted).for_each(|row| row.quote(simulation));
        if let Some(place) = rows.get_mut(at) {
            *place = row;
        }
    }
    let found = || requests.iter().zip(&rows).filter_map(|(input, row)| Some((input, row.as_ref()?)));
    let speeds = Speeds::of(found());
    let path = |at: usize| requests.get(at).map(|input| input.request.path.clone());
    let (mut totals, mut totals_one_slot) = (Totals::default(), Totals::default());
    let (mut reported, mut counted) = (Vec::new(), Vec::new());
    for (input, row) in found().filter(|(input, _)| input.reported) {
        totals.add(row.prompt_bytes, row.reusable_bytes);
        totals_one_slot.add(row.prompt_bytes, row.reusable_bytes_one_slot);
        reported.push(request(input.request, row, &speeds, &path));
        counted.push(Counted { request: input.request, row });
    }
    let kind = |at: usize| requests.get(at).map(|input| input.request.kind);
    let models: BTreeSet<_> = reported.iter().map(|request: &PrefixRequest| request.model.clone()).collect();
    let reading: Vec<ReadingSpeed> =
        models.iter().filter_map(|model| speeds.speeds.get(model).cloned()).collect();
    PrefixReport {
        scope,
        order: simulation.order,
        view: simulation.view,
        slots: simulation.cache.slots,
        cache: simulation.cache,
        simulated: found().count() as u64,
        breakers: cache_breaks::breakers(&reported),
        evictions: cache_breaks::evictions(&counted, &speeds, kind, |row| row.broken.as_ref()),
        evictions_one_slot: cache_breaks::evictions(&counted, &speeds, kind, |row| {
            row.broken_one_slot.as_ref()
        }),
        price_list: None,
        context: None,
        notes: speed::notes(&reading),
        requests: reported,
        totals,
        totals_one_slot,
        reading,
        skipped: skipped.into_iter().chain(simulation.errors().iter().map(Skipped::from)).collect(),
    }
}

/// How fast the models read, and how many tokens a byte of each is.
pub(super) struct Speeds {
    speeds: HashMap<Option<Arc<str>>, ReadingSpeed>,
    tokens_per_byte: TokensPerByte,
}

impl Speeds {
    fn of<'r>(found: impl Iterator<Item = (&'r CacheInput<'r>, &'r Row)> + Clone) -> Self {
        let mut points: HashMap<Option<Arc<str>>, Vec<Point>> = HashMap::new();
        for (input, row) in found.clone() {
            if let Some(point) = point(input.request, row) {
                points.entry(input.request.model.clone()).or_default().push(point);
            }
        }
        let speed = |(model, points): (Option<Arc<str>>, Vec<Point>)| {
            Some((model.clone(), ReadingSpeed::of(model, &points)?))
        };
        Self {
            speeds: points.into_iter().filter_map(speed).collect(),
            tokens_per_byte: TokensPerByte::of(found.map(|(input, row)| (input.request, row))),
        }
    }

    pub(super) fn tokens(&self, request: &Request, row: &Row, bytes: u64) -> Option<f64> {
        self.tokens_per_byte.tokens(request, row, bytes)
    }

    pub(super) fn ms(&self, request: &Request, tokens: Option<f64>) -> Option<f64> {
        Some(self.speeds.get(&request.model)?.ms_per_token * tokens?)
    }
}

fn point(request: &Request, row: &Row) -> Option<Point> {
    let share = |reusable: u64| float(row.prompt_bytes - reusable) / float(row.prompt_bytes.max(1));
    Point::of(request, share(row.reusable_bytes), share(row.reusable_bytes_one_slot))
}

fn request(
    request: &Request,
    row: &Row,
    speeds: &Speeds,
    path: &impl Fn(usize) -> Option<TracePath>,
) -> PrefixRequest {
    let point = point(request, row);
    let both = speeds.speeds.get(&request.model).zip(point.as_ref());
    let new_tokens = speeds.tokens(request, row, row.prompt_bytes - row.reusable_bytes);
    let lost_bytes = row.broken.as_ref().map_or(0, |broken| broken.lost_bytes);
    let lost_tokens = speeds.tokens(request, row, lost_bytes);
    let timing = request.timing.as_ref();
    PrefixRequest {
        path: request.path.clone(),
        timestamp: request.timestamp,
        kind: request.kind,
        model: request.model.clone(),
        session: request.session.clone(),
        thread: request.thread.clone(),
        prompt_bytes: row.prompt_bytes,
        reusable_bytes: row.reusable_bytes,
        reusable_bytes_one_slot: row.reusable_bytes_one_slot,
        reused_from: row.reused_from.and_then(path),
        break_: row.broken.as_ref().zip(row.element).map(|(broken, element)| {
            let (was, now) = broken.excerpt.clone().unwrap_or_default();
            Break {
                element,
                cause: broken.change.cause,
                common_bytes: broken.common_bytes,
                volatile: broken.change.volatile,
                tools: broken.change.tools.clone(),
                lost_bytes,
                lost_tokens: lost_tokens.and_then(rounded),
                lost_ms: speeds.ms(request, lost_tokens).and_then(rounded),
                evicted_by: broken.evicted_by.and_then(path),
                was,
                now,
            }
        }),
        lost_bytes,
        lost_tokens: lost_tokens.and_then(rounded),
        cached_tokens: timing.and_then(|timing| timing.cached_tokens),
        cached_source: timing.and_then(|timing| timing.cached_source),
        new_tokens: new_tokens.and_then(rounded).filter(|_| prompt_tokens(request).is_some()),
        ttft_ms: timing.and_then(|timing| timing.ttft_ms),
        expected_ttft_ms: both.and_then(|(speed, point)| rounded(speed.expected_ms(point))),
        cold_although_warm: both.map(|(speed, point)| speed.is_cold_although_warm(point)),
    }
}
