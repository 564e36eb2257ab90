//! How many tokens a request that is still being read has, and when its first token is expected.

use std::collections::HashMap;
use std::sync::Arc;

use super::report::Rates;
use super::row::{SimulatedRow, prompt_tokens, rounded};
use super::{CacheInput, Rows};
use crate::model::request::{Request, TracePath};
use crate::model::stats::{float, median, whole};
use crate::model::timing::Outcome;
use crate::model::{CacheUse, ModelSpeeds};
use crate::prompt_cache::{Simulation, answer_tokens, cached_tokens};

/// What is expected of a request that is still being read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Forecast {
    /// The request.
    pub path: TracePath,
    /// The tokens of its prompt.
    pub prompt_tokens: u64,
    /// Of these, what has to be read.
    pub read_tokens: u64,
    /// How long that takes at the model's speed; `None` where that is unknown.
    pub ttft_ms: Option<u64>,
}

/// How many of a model's last requests tell how late its first tokens come.
const LAST: usize = 9;

/// A request that was answered: how long it waited, and what would have been expected.
#[derive(Debug, Clone, Copy)]
struct Answered {
    waited_ms: f64,
    read_tokens: f64,
    /// At the model's speed, where that is known.
    read_ms: Option<f64>,
}

impl Rows {
    /// What is expected of those of these requests whose tokens are not counted yet.
    ///
    /// Their tokens are those of the request that they continue, and, for the bytes behind
    /// that one, as many for each byte as in the model's other prompts. Some of them are in the
    /// simulated cache, as the cost model counts it; the rest is read at the model's speed. To
    /// that the median of what the model's last requests of the same sort (appended or not)
    /// took longer is added: the backend's own work, and the tokens of its template. Where no
    /// speed is known, each token takes as long as it took those requests in all.
    pub(crate) fn forecasts(
        &self,
        passing: &[CacheInput<'_>],
        simulation: &Simulation<'_>,
        speeds: &[ModelSpeeds],
    ) -> Vec<Forecast> {
        let rates = self.rates(passing, speeds);
        let rows: Vec<Option<&SimulatedRow>> = self.each().collect();
        let mut answered: HashMap<(Option<Arc<str>>, bool), Vec<Answered>> = HashMap::new();
        let mut forecasts = Vec::new();
        for (at, input) in passing.iter().enumerate() {
            let request = input.request;
            let Some((row, reuse)) = rows.get(at).copied().flatten().zip(simulation.reuse.get(at)) else {
                continue;
            };
            let earlier = reuse.continues.and_then(|continued| {
                let row = rows.get(continued.from).copied().flatten()?;
                Some((passing.get(continued.from)?.request, row))
            });
            let known = prompt_tokens(request).or_else(|| estimated_tokens(&rates, request, row, earlier));
            let Some(all_tokens) = known else { continue };
            let answer = earlier.and_then(|(before, _)| answer_tokens(before));
            let held = if reads_all(&rates, request) { 0 } else { cached_tokens(reuse, all_tokens, answer) };
            let read_tokens = all_tokens.saturating_sub(held).max(1);
            let read_ms = rates.ms(request, Some(float(read_tokens)));
            let sort = (request.model_group(), row.broken.is_none());
            let answered = answered.entry(sort).or_default();
            if prompt_tokens(request).is_none() {
                let ttft_ms = expected_ms(answered, float(read_tokens), read_ms).and_then(rounded);
                let path = request.path.clone();
                forecasts.push(Forecast { path, prompt_tokens: all_tokens, read_tokens, ttft_ms });
            } else if let Some(waited_ms) = waited_ms(request) {
                answered.push(Answered { waited_ms, read_tokens: float(read_tokens), read_ms });
            }
        }
        forecasts
    }
}

/// The tokens of a prompt that is not counted yet: those of the earlier one that it continues,
/// and the estimate of the bytes behind that.
fn estimated_tokens(
    rates: &Rates<'_>,
    request: &Request,
    row: &SimulatedRow,
    earlier: Option<(&Request, &SimulatedRow)>,
) -> Option<u64> {
    let before = earlier.and_then(|(before, row)| Some((prompt_tokens(before)?, row.prompt_bytes)));
    let (tokens, bytes) = before.unwrap_or_default();
    let behind = row.prompt_bytes.saturating_sub(bytes);
    rates.tokens(request, row, behind).map(|behind| tokens + whole(behind))
}

/// How long a request will wait that has to read so much, where these were answered before
/// it.
fn expected_ms(answered: &[Answered], read_tokens: f64, read_ms: Option<f64>) -> Option<f64> {
    let last = || answered.iter().rev().take(LAST);
    match read_ms {
        Some(read_ms) => {
            let late = last().filter_map(|one| Some(one.waited_ms - one.read_ms?));
            Some((read_ms + median(late.collect()).unwrap_or(0.0)).max(0.0))
        }
        None => median(last().map(|one| one.waited_ms / one.read_tokens).collect())
            .map(|ms_per_token| ms_per_token * read_tokens),
    }
}

/// How long a request that was answered waited for reading alone, by its time to first
/// token.
fn waited_ms(request: &Request) -> Option<f64> {
    let timing = request.timing.as_deref().filter(|timing| timing.outcome == Some(Outcome::Completed))?;
    let others_ms = timing.load_ms.get().unwrap_or(0) + timing.queue_ms.get().unwrap_or(0);
    Some(float(timing.ttft_ms.get()?.saturating_sub(others_ms)))
}

/// Whether the backend is seen to read all of each prompt.
fn reads_all(rates: &Rates<'_>, request: &Request) -> bool {
    rates.speeds(request).is_some_and(|speeds| speeds.cache == CacheUse::ReadsAll)
}
