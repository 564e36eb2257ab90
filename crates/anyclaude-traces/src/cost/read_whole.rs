//! Requests whose own time refutes the simulated cached tokens, in either direction.
//!
//! *Read whole*: the simulated cache held much of the prompt, and yet the request waited as long
//! as reading all of it takes. Its cached tokens become 0. The time that reading takes is known
//! from the model's cold requests. A wait that is even longer has another reason, and refutes
//! nothing.
//!
//! *Read too fast*: the simulated cache held little, and the request waited a fraction of the
//! time that reading the rest takes. The real cache held more, but nothing tells how much: its
//! cached tokens become unknown.

use super::cached::CachedTokens;
use super::case::{Case, LEAST_READ_TOKENS, float};
use super::rate::{Rate, Sample};
use super::{Model, by_model};
use crate::model::CacheUse;
use crate::model::stats::median;
use crate::prompt_cache::by_times::{CLEARLY_READ, COLD_SHARE};

/// A wait of more than this many times the time that reading the whole prompt takes has another
/// reason.
const MOST_OF_WHOLE: f64 = 1.25;
/// The wait must differ from what the simulated cache explains by at least this.
const LEAST_EXCESS_MS: f64 = 1_000.0;

/// To be read whole, a request must have at least this share of its prompt in the simulated
/// cache, …
const LEAST_SHARE: f64 = 0.4;
/// … and wait at least this many times as long as reading the rest takes.
const LEAST_EXCESS: f64 = 1.5;
/// Cold requests whose prompts are shorter than this share of the median warm prompt are not
/// counted: what each request costs anyway would be most of their time.
const LEAST_COLD_SIZE: f64 = 0.2;
/// To be read too fast, a request must be read at least this many times as fast as the model
/// reads otherwise, …
const TIMES_TOO_FAST: f64 = 3.0;
/// … which must be known from at least this many samples.
const LEAST_PACES: usize = 4;
/// Reads of at least this many tokens tell how fast a cold request can be: what each request
/// costs anyway is little of them, …
const LEAST_LONG_READ: u64 = 1_000;
/// … and there must be at least this many.
const LEAST_LONG_READS: usize = 3;

/// Takes back the simulated cached tokens that a request's time refutes.
pub(super) fn find(cases: &mut [Case]) {
    // Where only a server's log is known, nothing is simulated.
    if cases.iter().all(|case| simulated_share(case).is_none()) {
        return;
    }
    find_read_too_fast(cases, least_ms_per_token_of_cold, is_cold);
    find_read_whole(cases);
    find_read_too_fast(cases, fastest_ms_per_token, |_| true);
}

/// Sets the cached tokens of requests that were read whole to 0.
fn find_read_whole(cases: &mut [Case]) {
    let paces = by_model(cases, cold_rate);
    let pace = |model: &Model| paces.get(model).and_then(|rate| rate.ms_per_token());
    let is_found = |case: &&mut Case| pace(&case.origin.model).is_some_and(|pace| is_read_whole(case, pace));
    for case in cases.iter_mut().filter(is_found) {
        case.cached = Some(CachedTokens::NothingReused);
    }
}

/// Forgets the cached tokens of those requests that were read too fast by a pace of their model.
fn find_read_too_fast(cases: &mut [Case], pace: fn(&[&Case]) -> Option<f64>, is_in: fn(&Case) -> bool) {
    let paces = by_model(cases, pace);
    let pace = |model: &Model| paces.get(model).copied().flatten();
    let is_found = |case: &&mut Case| {
        is_in(case) && pace(&case.origin.model).is_some_and(|pace| is_read_too_fast(case, pace))
    };
    for case in cases.iter_mut().filter(is_found) {
        case.cached = None;
    }
}

/// The fastest pace of long reads that are not cold: a cold request is faster only where an
/// earlier recording left its prompt in the cache.
fn least_ms_per_token_of_cold(cases: &[&Case]) -> Option<f64> {
    let warm = cases.iter().filter(|case| !is_cold(case)).filter_map(|case| case.read_sample());
    let paces: Vec<f64> =
        warm.filter(|sample| sample.tokens >= LEAST_LONG_READ).map(Sample::ms_per_token).collect();
    paces.iter().copied().min_by(f64::total_cmp).filter(|_| paces.len() >= LEAST_LONG_READS)
}

/// The pace of the fastest cold request, or the median pace where that is faster: the cold
/// requests may all have waited for a load.
fn fastest_ms_per_token(cases: &[&Case]) -> Option<f64> {
    let pace = |case: &&Case| case.read_sample().map(Sample::ms_per_token);
    let all: Vec<f64> = cases.iter().filter_map(pace).collect();
    let cold = cases.iter().filter(|case| is_cold(case));
    let fastest_cold = cold.filter_map(pace).min_by(f64::total_cmp);
    let middle = (all.len() >= LEAST_PACES).then(|| median(all)).flatten()?;
    Some(fastest_cold.map_or(middle, |cold| cold.min(middle)))
}

/// Whether the simulated cache held next to nothing of it.
fn is_cold(case: &Case) -> bool {
    simulated_share(case).is_some_and(|share| share < COLD_SHARE)
}

/// Whether it waited a fraction of the time that reading what the simulated cache left takes.
fn is_read_too_fast(case: &Case, ms_per_token: f64) -> bool {
    // Only a backend that reuses prompts can have held more.
    let is_simulated = case.seen == CacheUse::Reuses && simulated_share(case).is_some();
    let Some((tokens, ms)) = case.read_tokens().zip(alone_ms(case)) else { return false };
    let usual_ms = ms_per_token * float(tokens);
    is_simulated && usual_ms >= TIMES_TOO_FAST * float(ms) && usual_ms >= float(ms) + LEAST_EXCESS_MS
}

/// How fast the model reads prompts of which the simulated cache held next to nothing.
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

/// Whether it waited as long as reading all of its prompt takes, and clearly longer than
/// reading what the simulated cache left.
fn is_read_whole(case: &Case, ms_per_token: f64) -> bool {
    let Some((alone_ms, share)) = alone_ms(case).zip(simulated_share(case)) else { return false };
    let whole_ms = ms_per_token * float(case.prompt_tokens.get().unwrap_or(0));
    let of_whole = float(alone_ms) / whole_ms;
    let rest_ms = (1.0 - share) * whole_ms;
    share >= LEAST_SHARE
        && (CLEARLY_READ..=MOST_OF_WHOLE).contains(&of_whole)
        && float(alone_ms) >= (LEAST_EXCESS * rest_ms).max(rest_ms + LEAST_EXCESS_MS)
}

/// The share of its prompt that was in the cache, where only the simulation says so.
fn simulated_share(case: &Case) -> Option<f64> {
    let prompt = case.prompt_tokens.get().filter(|tokens| *tokens > 0)?;
    let Some(CachedTokens::Simulated(tokens)) = case.cached else { return None };
    Some(float(tokens) / float(prompt))
}

/// How long it had the backend for itself until its first token, in milliseconds; `None` where
/// its wait is not certain, or another request was there at its end.
fn alone_ms(case: &Case) -> Option<u64> {
    let is_inferred = !case.is_measured() && case.logged_load_ms().is_none();
    let is_told = case.is_certain && is_inferred && !case.writes_unseen();
    let shared_ms = case.overlap.shared_until_ms.get().unwrap_or(0);
    (is_told && case.overlap.is_alone_at_first).then(|| case.wait_ms())??.checked_sub(shared_ms)
}
