//! Where the backend loaded the model first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Model;
use super::case::{Case, float, whole};
use super::rate::{Rate, Sample};

/// A backend that was not asked for so long may have unloaded its model.
const IDLE_MS: i64 = 5 * 60 * 1000;
/// So much longer than reading all of its prompt must a request have waited, …
const LEAST_EXCESS_MS: f64 = 1_000.0;
/// … and so many times as long.
const LEAST_EXCESS: f64 = 1.25;
/// So many others must tell how fast the model reads, …
const LEAST_OTHERS: usize = 2;
/// … of which the slowest takes less than this many times as long as the fastest.
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

/// The cases before which the model may have been unloaded: the first of a process, the
/// first after a pause, the first after another model.
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
        if (is_first || is_after_break) && !case.is_measured() {
            suspects.insert(at);
        }
        let end = before.map_or(end, |before| before.end.max(end));
        last.insert(&case.origin.backend, Last { end, model: &case.origin.model });
    }
    suspects
}

/// How fast a model reads, by requests that were not suspected of a load; by all, where
/// these are too few.
#[derive(Debug, Default)]
struct Paces {
    samples: BTreeMap<usize, Sample>,
    rate: Rate,
    /// Milliseconds per token, sorted.
    sorted: Vec<f64>,
}

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
        let mut sorted: Vec<f64> = samples.iter().map(|(_, sample)| sample.ms_per_token()).collect();
        sorted.sort_by(f64::total_cmp);
        let rate = samples.iter().map(|(_, sample)| *sample).collect();
        (model, Paces { samples: samples.into_iter().collect(), rate, sorted })
    };
    samples.into_iter().map(of_model).collect()
}

impl Paces {
    /// The pace of all but the case at this place, where they are even.
    fn without(&self, at: usize) -> Option<f64> {
        let own = self.samples.get(&at);
        if self.sorted.len() - usize::from(own.is_some()) < LEAST_OTHERS {
            return None;
        }
        let own_pace = own.map(|sample| sample.ms_per_token());
        // Of two that are equal, it does not matter which one is left out.
        let (mut fastest, mut slowest) = (self.sorted.first()?, self.sorted.last()?);
        if own_pace == Some(*fastest) {
            fastest = self.sorted.get(1)?;
        } else if own_pace == Some(*slowest) {
            slowest = self.sorted.get(self.sorted.len().checked_sub(2)?)?;
        }
        let rate = own.map_or(self.rate, |own| self.rate.without(*own));
        rate.ms_per_token().filter(|_| *slowest < EVEN * fastest)
    }
}

/// What the wait of the case at its place has beyond reading all of its prompt.
fn load_ms(case: &Case, at: usize, paces: &Paces) -> Option<u64> {
    let waited = float(case.wait_ms()?.saturating_sub(case.queue_ms));
    let reading = paces.without(at)? * float(case.prompt_tokens.get()?);
    let is_load = waited >= reading + LEAST_EXCESS_MS && waited >= LEAST_EXCESS * reading;
    (is_load && case.hidden.is_none() && !case.is_untold).then(|| whole(waited - reading))
}
