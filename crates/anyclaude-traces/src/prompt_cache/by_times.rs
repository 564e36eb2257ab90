//! Whether times prove that a backend holds one prompt only, where it counts no cached tokens:
//! the requests that were slow are those whose prompts a cache of one slot has lost.
//!
//! All requests are simulated with a large cache and with a small one, of one slot. Of those that
//! had the backend for themselves, the ones for which neither cache holds anything tell how long
//! reading a token takes. The proof is that, for each model, of those that only the large cache
//! holds [`LEAST_READ`] or more took as long as reading all of their prompt, and none was quick;
//! and of those that both caches hold at least one was quick.

use std::collections::BTreeMap;

use crate::model::SimulatedReuse;
use crate::model::request::Request;
use crate::model::stats::float;
use crate::model::timing::{Confidence, Outcome, TokenSource};

/// A request is cold if a cache holds less than this share of its prompt: it reads nearly all of
/// it, whether the backend reuses prompts or not.
pub(crate) const COLD_SHARE: f64 = 0.2;
/// A request is warm if a cache holds at least this share: its time tells whether the backend
/// reuses prompts.
pub(crate) const WARM_SHARE: f64 = 0.8;
/// A warm request that took less than this share of the time for all of its prompt has
/// found it in the cache.
pub(crate) const CLEARLY_REUSED: f64 = 0.5;
/// One that took this share of it or more has not.
pub(crate) const CLEARLY_READ: f64 = 0.8;
/// This many such requests prove that their prompts were not in the cache.
pub(crate) const LEAST_READ: usize = 3;

/// Whether the times of these requests prove a cache of one slot. `large` and `small` are what
/// either cache held of each.
pub(super) fn prove_one_slot(
    requests: &[&Request],
    large: &[SimulatedReuse],
    small: &[SimulatedReuse],
) -> bool {
    let mut models: BTreeMap<_, Vec<ReadingSample>> = BTreeMap::new();
    for (at, request) in requests.iter().enumerate() {
        let point = ReadingSample::of(request, large.get(at), small.get(at));
        if let Some(point) = point {
            models.entry(&request.model).or_default().push(point);
        }
    }
    let verdicts: Vec<bool> = models.values().filter_map(|points| is_one_slot(points)).collect();
    !verdicts.is_empty() && verdicts.iter().all(|is_one| *is_one)
}

/// Whether one model's requests prove it; `None` where none of them tells the caches apart.
fn is_one_slot(points: &[ReadingSample]) -> Option<bool> {
    let cold = || points.iter().filter(|point| point.large < COLD_SHARE);
    let tokens: f64 = cold().map(|point| point.prompt_tokens).sum();
    let ms_per_token = cold().map(|point| point.wait_ms).sum::<f64>() / tokens;
    let of_whole = |point: &ReadingSample| point.wait_ms / (ms_per_token * point.prompt_tokens);
    let differing = || points.iter().filter(|point| point.large >= WARM_SHARE && point.small < COLD_SHARE);
    if tokens <= 0.0 || differing().next().is_none() {
        return None;
    }
    let read = differing().filter(|point| of_whole(point) >= CLEARLY_READ).count();
    let mut in_both = points.iter().filter(|point| point.small >= WARM_SHARE);
    Some(
        read >= LEAST_READ
            && differing().all(|point| of_whole(point) >= CLEARLY_REUSED)
            && in_both.any(|point| of_whole(point) < CLEARLY_REUSED),
    )
}

/// A request whose time to first token is that of its reading.
struct ReadingSample {
    wait_ms: f64,
    prompt_tokens: f64,
    /// The shares of the prompt that the caches hold.
    large: f64,
    small: f64,
}

impl ReadingSample {
    fn of(request: &Request, large: Option<&SimulatedReuse>, small: Option<&SimulatedReuse>) -> Option<Self> {
        let timing = request.timing.as_deref()?;
        let is_timed = request.stream
            && timing.outcome == Some(Outcome::Completed)
            && !request.concurrency().is_some_and(|with| with.overlapped)
            && timing.prompt_tokens_source != Some(TokenSource::Implausible)
            && request.join.as_deref().is_none_or(|join| join.confidence != Confidence::Ambiguous);
        let wait_ms = float(timing.ttft_ms.get().filter(|ms| is_timed && *ms > 0)?);
        let prompt_tokens = float(timing.prompt_tokens.get().filter(|tokens| *tokens > 0)?);
        Some(Self { wait_ms, prompt_tokens, large: share(large?)?, small: share(small?)? })
    }
}

fn share(reuse: &SimulatedReuse) -> Option<f64> {
    (reuse.prompt_bytes > 0).then(|| float(reuse.reusable_bytes) / float(reuse.prompt_bytes))
}
