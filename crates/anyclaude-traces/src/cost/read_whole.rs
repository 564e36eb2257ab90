//! Requests whose own time refutes the simulated cache: it held nearly all of their
//! prompt, and yet they took as long as reading all of it takes.
//!
//! How long that is, the model's cold requests tell. A wait that is longer than that is
//! explained by neither, and proves nothing.

use super::case::{Case, LEAST_READ_TOKENS, float};
use super::rate::{Rate, Sample};
use super::{Model, by_model};
use crate::model::timing::CachedSource;
use crate::prompt_cache::by_times::{CLEARLY_READ, COLD_SHARE, WARM_SHARE};

/// More than this share of the time that reading the whole prompt takes, and something
/// else took it.
const MOST_OF_WHOLE: f64 = 1.25;
/// So much longer than the simulated cache explains must it have waited.
const LEAST_EXCESS_MS: f64 = 1_000.0;

/// Takes back what was simulated of them: nothing came from the cache.
pub(super) fn find(cases: &mut [Case]) {
    let paces = by_model(cases, cold_rate);
    let pace = |model: &Model| paces.get(model).and_then(|rate| rate.ms_per_token());
    let is_found = |case: &&mut Case| pace(&case.model).is_some_and(|pace| is_read_whole(case, pace));
    for case in cases.iter_mut().filter(is_found) {
        case.cached = Some((0, CachedSource::None));
    }
}

/// How fast the model reads prompts of which a cache could hold next to nothing.
fn cold_rate(cases: &[&Case]) -> Rate {
    let sample = |case: &&Case| {
        let is_cold = simulated_share(case)? < COLD_SHARE;
        let tokens = case.prompt_tokens.filter(|tokens| *tokens >= LEAST_READ_TOKENS)?;
        let ms = alone_ms(case).filter(|ms| is_cold && *ms > 0)?;
        Some(Sample { tokens, ms })
    };
    cases.iter().filter_map(sample).collect()
}

fn is_read_whole(case: &Case, ms_per_token: f64) -> bool {
    let Some((alone_ms, share)) = alone_ms(case).zip(simulated_share(case)) else { return false };
    let whole_ms = ms_per_token * float(case.prompt_tokens.unwrap_or(0));
    let of_whole = float(alone_ms) / whole_ms;
    share >= WARM_SHARE
        && (CLEARLY_READ..=MOST_OF_WHOLE).contains(&of_whole)
        && float(alone_ms) >= (1.0 - share) * whole_ms + LEAST_EXCESS_MS
}

/// The share of its prompt that only a simulation says was in the cache.
fn simulated_share(case: &Case) -> Option<f64> {
    let prompt = case.prompt_tokens.filter(|tokens| *tokens > 0)?;
    let (tokens, source) = case.cached?;
    (source == CachedSource::Simulated).then(|| float(tokens) / float(prompt))
}

/// How long it had the backend for itself before its first token, where that was the end
/// of the wait.
fn alone_ms(case: &Case) -> Option<u64> {
    let is_told = case.is_certain && !case.is_measured() && case.hidden.is_none() && !case.is_untold;
    let shared_ms = case.overlap.ended_before_first_ms.unwrap_or(0);
    (is_told && case.overlap.is_alone_at_first).then(|| case.wait_ms())??.checked_sub(shared_ms)
}
