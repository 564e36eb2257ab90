//! Which requests waited until the backend had loaded the model, and how long.
//!
//! A load is inferred only at an event before which the model may have been unloaded
//! ([`suspects`]), and only where the request waited clearly longer than reading all of its
//! prompt takes, at the pace of the model's other requests ([`Paces`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Model;
use super::case::{Case, float, whole};
use super::rate::{Rate, Sample};

/// A backend that no request reached for this long may have unloaded its model.
const IDLE_MS: i64 = 5 * 60 * 1000;
/// A load makes a request wait at least this much longer than reading all of its prompt takes, …
const LEAST_EXCESS_MS: f64 = 1_000.0;
/// … and at least this many times as long.
const LEAST_EXCESS: f64 = 1.25;
/// The pace must be known from at least this many other requests, …
const LEAST_OTHERS: usize = 2;
/// … the slowest of which took less than this many times as long per token as the fastest.
const EVEN: f64 = 1.5;

/// Finds the loads. `cases` are in the order of their starts.
pub(super) fn find(cases: &mut [Case]) {
    let suspects = suspects(cases);
    if suspects.is_empty() {
        return;
    }
    let paces = paces(cases, &suspects);
    let loads: Vec<(usize, u64)> = suspects
        .into_iter()
        .filter_map(|at| {
            let case = cases.get(at)?;
            Some((at, load_ms(case, at, paces.get(&case.origin.model)?)?))
        })
        .collect();
    for (at, load_ms) in loads {
        if let Some(case) = cases.get_mut(at) {
            case.load_ms = load_ms;
        }
    }
}

/// The indices of the cases before which the model may have been unloaded: the first of a
/// process, the first after a pause, the first after another model. Those that a server's log
/// measured, or tells the load of, are none.
pub(super) fn suspects(cases: &[Case]) -> BTreeSet<usize> {
    struct Last<'a> {
        end: i64,
        model: &'a Model,
    }
    let mut last: BTreeMap<&Option<Arc<str>>, Last<'_>> = BTreeMap::new();
    let mut begun: BTreeSet<&Arc<str>> = BTreeSet::new();
    let mut suspects = BTreeSet::new();
    for (at, case) in cases.iter().enumerate() {
        let (Some(start), Some(end)) = (case.start_ms, case.end_ms()) else { continue };
        let is_first = case.origin.run.as_ref().is_some_and(|run| begun.insert(run));
        let before = last.get(&case.origin.backend);
        let is_after_break = before.is_none_or(|before| {
            start.saturating_sub(before.end) >= IDLE_MS || *before.model != case.origin.model
        });
        let is_logged = case.is_measured() || case.logged_load_ms().is_some();
        if (is_first || is_after_break) && !is_logged {
            suspects.insert(at);
        }
        let end = before.map_or(end, |before| before.end.max(end));
        last.insert(&case.origin.backend, Last { end, model: &case.origin.model });
    }
    suspects
}

/// How fast a model reads, by the requests that are not suspected of a load; where these are
/// too few, by all.
#[derive(Debug, Default)]
struct Paces {
    /// By the index of the case.
    samples: BTreeMap<usize, Sample>,
    /// All samples together.
    rate: Rate,
    /// Milliseconds per token of each sample, the fastest first.
    sorted_ms_per_token: Vec<f64>,
}

/// The paces of each model.
fn paces(cases: &[Case], suspects: &BTreeSet<usize>) -> BTreeMap<Model, Paces> {
    let mut samples: BTreeMap<Model, Vec<(usize, Sample)>> = BTreeMap::new();
    for (at, case) in cases.iter().enumerate() {
        if let Some(sample) = case.read_sample() {
            samples.entry(case.origin.model.clone()).or_default().push((at, sample));
        }
    }
    let of_model = |(model, mut samples): (Model, Vec<(usize, Sample)>)| {
        let is_free = |(at, _): &&(usize, Sample)| !suspects.contains(at);
        if samples.iter().filter(is_free).count() >= LEAST_OTHERS {
            samples.retain(|sample| is_free(&sample));
        }
        let mut sorted_ms_per_token: Vec<f64> =
            samples.iter().map(|(_, sample)| sample.ms_per_token()).collect();
        sorted_ms_per_token.sort_by(f64::total_cmp);
        let rate = samples.iter().map(|(_, sample)| *sample).collect();
        (model, Paces { samples: samples.into_iter().collect(), rate, sorted_ms_per_token })
    };
    samples.into_iter().map(of_model).collect()
}

impl Paces {
    /// Milliseconds per token of all but the case at this index; `None` where they are too few
    /// or differ too much.
    fn ms_per_token_without(&self, at: usize) -> Option<f64> {
        let own = self.samples.get(&at);
        let paces = &self.sorted_ms_per_token;
        if paces.len() - usize::from(own.is_some()) < LEAST_OTHERS {
            return None;
        }
        let own_pace = own.map(|sample| sample.ms_per_token());
        // Where another has the same pace, leaving out that one gives the same result.
        let (mut fastest, mut slowest) = (paces.first()?, paces.last()?);
        if own_pace == Some(*fastest) {
            fastest = paces.get(1)?;
        } else if own_pace == Some(*slowest) {
            slowest = paces.get(paces.len().checked_sub(2)?)?;
        }
        let rate = own.map_or(self.rate, |own| self.rate.without(*own));
        rate.ms_per_token().filter(|_| *slowest < EVEN * fastest)
    }
}

/// How much longer the case at this index waited than reading all of its prompt takes; `None`
/// where that is not clearly a load.
fn load_ms(case: &Case, at: usize, paces: &Paces) -> Option<u64> {
    let waited = float(case.wait_ms()?.saturating_sub(case.queue_ms));
    let reading = paces.ms_per_token_without(at)? * float(case.prompt_tokens.get()?);
    let is_load = waited >= reading + LEAST_EXCESS_MS && waited >= LEAST_EXCESS * reading;
    (is_load && !case.writes_unseen()).then(|| whole(waited - reading))
}
