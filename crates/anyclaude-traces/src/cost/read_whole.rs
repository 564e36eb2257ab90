//! Requests whose own time refutes the simulated cache: it held much of their prompt, and
//! yet they took as long as reading all of it takes; or it held little, and they took a
//! fraction of what reading the rest takes.
//!
//! How long that is, the model's cold requests tell. A wait that is longer than reading all
//! is explained by neither, and proves nothing. How much more a cache held that was faster
//! than the simulated one is not known.

use super::case::{Case, LEAST_READ_TOKENS, float};
use super::rate::{Rate, Sample};
use super::{Model, by_model};
use crate::model::CacheUse;
use crate::model::stats::median;
use crate::model::timing::CachedSource;
use crate::prompt_cache::by_times::{CLEARLY_READ, COLD_SHARE};

/// More than this share of the time that reading the whole prompt takes, and something
/// else took it.
const MOST_OF_WHOLE: f64 = 1.25;
/// So much longer than the simulated cache explains must it have waited.
const LEAST_EXCESS_MS: f64 = 1_000.0;

/// So much of its prompt must the simulated cache have held, …
const LEAST_SHARE: f64 = 0.4;
/// … and so many times as long as reading the rest must it have waited.
const LEAST_EXCESS: f64 = 1.5;
/// A cold request whose prompt is shorter than this share of theirs tells nothing of them.
const LEAST_COLD_SIZE: f64 = 0.2;
/// So many times as fast as the model reads anything else, and the cache held more.
const TIMES_TOO_FAST: f64 = 3.0;
/// So many requests must tell how fast it reads.
const LEAST_PACES: usize = 4;

/// Takes back what was simulated of them: nothing came from the cache, or more than is known.
pub(super) fn find(cases: &mut [Case]) {
    // A server's log alone tells what came from its cache: nothing is simulated.
    if cases.iter().all(|case| simulated_share(case).is_none()) {
        return;
    }
    let paces = by_model(cases, cold_rate);
    let pace = |model: &Model| paces.get(model).and_then(|rate| rate.ms_per_token());
    let is_found = |case: &&mut Case| pace(&case.origin.model).is_some_and(|pace| is_read_whole(case, pace));
    for case in cases.iter_mut().filter(is_found) {
        case.cached = Some((0, CachedSource::None));
    }
    let fastest = by_model(cases, fastest_ms_per_token);
    let pace = |model: &Model| fastest.get(model).copied().flatten();
    let is_found =
        |case: &&mut Case| pace(&case.origin.model).is_some_and(|pace| is_read_too_fast(case, pace));
    for case in cases.iter_mut().filter(is_found) {
        case.cached = None;
    }
}

/// The pace of the fastest cold request, or the median pace where that is less: a cold
/// request may have waited for a load.
fn fastest_ms_per_token(cases: &[&Case]) -> Option<f64> {
    let samples = |is_in: &dyn Fn(&Case) -> bool| -> Vec<f64> {
        let paces = cases.iter().filter(|case| is_in(case)).filter_map(|case| case.read_sample());
        paces.map(Sample::ms_per_token).collect()
    };
    let all = samples(&|_| true);
    let is_first = |case: &Case| simulated_share(case).is_some_and(|share| share < COLD_SHARE);
    let cold = samples(&is_first).into_iter().min_by(f64::total_cmp);
    let middle = median(all.clone()).filter(|_| all.len() >= LEAST_PACES)?;
    Some(cold.map_or(middle, |cold| cold.min(middle)))
}

/// Whether it read what the simulated cache left in a fraction of the time that this takes.
fn is_read_too_fast(case: &Case, ms_per_token: f64) -> bool {
    // A backend that reuses nothing holds no more than that.
    let is_simulated = case.seen == CacheUse::Reuses && simulated_share(case).is_some();
    let Some((tokens, ms)) = case.read_tokens().zip(alone_ms(case)) else { return false };
    let usual_ms = ms_per_token * float(tokens);
    is_simulated && usual_ms >= TIMES_TOO_FAST * float(ms) && usual_ms >= float(ms) + LEAST_EXCESS_MS
}

/// How fast the model reads prompts of which a cache could hold next to nothing.
fn cold_rate(cases: &[&Case]) -> Rate {
    let warm = cases.iter().filter(|case| simulated_share(case).is_some_and(|share| share >= LEAST_SHARE));
    let warm = median(warm.filter_map(|case| case.prompt_tokens.get().map(float)).collect());
    let least_tokens = LEAST_COLD_SIZE * warm.unwrap_or(0.0);
    let sample = |case: &&Case| {
        let is_cold = simulated_share(case)? < COLD_SHARE;
        let is_enough = |tokens: &u64| *tokens >= LEAST_READ_TOKENS && float(*tokens) >= least_tokens;
        let tokens = case.prompt_tokens.get().filter(is_enough)?;
        let ms = alone_ms(case).filter(|ms| is_cold && *ms > 0)?;
        Some(Sample { tokens, ms })
    };
    cases.iter().filter_map(sample).collect()
}

fn is_read_whole(case: &Case, ms_per_token: f64) -> bool {
    let Some((alone_ms, share)) = alone_ms(case).zip(simulated_share(case)) else { return false };
    let whole_ms = ms_per_token * float(case.prompt_tokens.get().unwrap_or(0));
    let of_whole = float(alone_ms) / whole_ms;
    let rest_ms = (1.0 - share) * whole_ms;
    share >= LEAST_SHARE
        && (CLEARLY_READ..=MOST_OF_WHOLE).contains(&of_whole)
        && float(alone_ms) >= (LEAST_EXCESS * rest_ms).max(rest_ms + LEAST_EXCESS_MS)
}

/// The share of its prompt that only a simulation says was in the cache.
fn simulated_share(case: &Case) -> Option<f64> {
    let prompt = case.prompt_tokens.get().filter(|tokens| *tokens > 0)?;
    let (tokens, source) = case.cached?;
    (source == CachedSource::Simulated).then(|| float(tokens) / float(prompt))
}

/// How long it had the backend for itself before its first token, where that was the end
/// of the wait.
fn alone_ms(case: &Case) -> Option<u64> {
    let is_told = case.is_certain && !case.is_measured() && case.hidden.is_none() && !case.is_untold;
    let shared_ms = case.overlap.ended_before_first_ms.get().unwrap_or(0);
    (is_told && case.overlap.is_alone_at_first).then(|| case.wait_ms())??.checked_sub(shared_ms)
}
