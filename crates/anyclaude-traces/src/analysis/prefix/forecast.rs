//! What a request will take whose tokens nobody has counted yet.

use std::collections::HashMap;
use std::sync::Arc;

use super::row::{Row, prompt_tokens, rounded};
use super::{CacheInput, Rows};
use crate::model::request::{Request, TracePath};
use crate::model::stats::{Stats, float};
use crate::model::timing::Outcome;
use crate::model::{CacheUse, ModelSpeeds};
use crate::prompt_cache::Simulation;

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

impl Rows {
    /// What is expected of those of these requests whose tokens are not counted. Those of a
    /// byte are as many as in the model's other prompts; to the time of reading comes what
    /// the model's last requests of the same sort (appended or not) took beyond it, in the
    /// median: the backend's own work, and the tokens of its template.
    pub(crate) fn forecasts(
        &self,
        passing: &[CacheInput<'_>],
        simulation: &Simulation<'_>,
        speeds: &[ModelSpeeds],
    ) -> Vec<Forecast> {
        let rates = self.rates(passing, speeds);
        let mut late_ms: HashMap<(Option<Arc<str>>, bool), Vec<f64>> = HashMap::new();
        let mut forecasts = Vec::new();
        for (at, (input, row)) in passing.iter().zip(self.each()).enumerate() {
            let (request, Some(row)) = (input.request, row) else { continue };
            let continued = simulation.reuse.get(at).and_then(|reuse| reuse.continues);
            let unread = unread_bytes(request, row, speeds, continued.map(|of| of.bytes_behind_answer));
            let read_tokens = rates.tokens(request, row, unread);
            let read_ms = rates.ms(request, read_tokens);
            let sort = (request.model_group(), row.broken.is_none());
            let late_ms = late_ms.entry(sort).or_default();
            if prompt_tokens(request).is_none() {
                let whole = rates.tokens(request, row, row.prompt_bytes).and_then(rounded);
                let Some((prompt_tokens, read_tokens)) = whole.zip(read_tokens.and_then(rounded)) else {
                    continue;
                };
                let last = late_ms.get(late_ms.len().saturating_sub(LAST)..).unwrap_or_default();
                let late_ms = Stats::of(last.to_vec()).map_or(0.0, |late| late.p50);
                let ttft_ms = read_ms.map(|ms| (ms + late_ms).max(0.0)).and_then(rounded);
                let path = request.path.clone();
                forecasts.push(Forecast { path, prompt_tokens, read_tokens, ttft_ms });
            } else if let Some(late) = waited_ms(request).zip(read_ms).map(|(waited, read)| waited - read) {
                late_ms.push(late);
            }
        }
        forecasts
    }
}

/// How long a request that was answered waited for reading alone, by its time to first
/// token.
fn waited_ms(request: &Request) -> Option<f64> {
    let timing = request.timing.as_deref().filter(|timing| timing.outcome == Some(Outcome::Completed))?;
    let others_ms = timing.load_ms.unwrap_or(0) + timing.queue_ms.unwrap_or(0);
    Some(float(timing.ttft_ms?.saturating_sub(others_ms)))
}

/// The bytes of a prompt that its backend has to read, as far as it is seen to reuse any.
fn unread_bytes(request: &Request, row: &Row, speeds: &[ModelSpeeds], behind_answer: Option<u64>) -> u64 {
    let model = request.model_group();
    let reads_all = speeds.iter().any(|of| of.model == model && of.speeds.cache == CacheUse::ReadsAll);
    if reads_all {
        return row.prompt_bytes;
    }
    let new = row.prompt_bytes - row.reusable_bytes;
    // The cache holds the answer too, which came back as a part of this prompt.
    behind_answer.map_or(new, |behind| new.min(behind))
}
