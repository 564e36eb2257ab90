//! How many tokens of each prompt came from the backend's cache.
//!
//! Evidence outranks simulation: first the count of the server's log, then the one that the
//! backend reported, then, where the backend is seen to reuse prompts, the simulated one.

use super::CacheUses;
use super::case::{Case, float};
use crate::model::timing::CachedSource;
use crate::model::{CacheUse, SimulatedReuse};
use crate::prompt_cache::{AnswerTokens, cached_tokens};

/// Where a cache could hold less than this share of the prompt, times cannot show whether it
/// did, so that the simulated figure is given whatever is seen of the backend.
const NEXT_TO_NOTHING: f64 = 0.05;

/// The tokens of a prompt that came from the cache, by what tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CachedTokens {
    /// The count of the server's log.
    ServerLog(u64),
    /// The count that the backend reported.
    Reported(u64),
    /// What the simulated cache held.
    Simulated(u64),
    /// The backend is seen to reuse nothing, or the request took as long as reading all takes.
    NothingReused,
}

impl CachedTokens {
    pub(super) fn tokens(self) -> u64 {
        match self {
            Self::ServerLog(tokens) | Self::Reported(tokens) | Self::Simulated(tokens) => tokens,
            Self::NothingReused => 0,
        }
    }

    pub(super) fn source(self) -> CachedSource {
        match self {
            Self::ServerLog(_) => CachedSource::ServerLog,
            Self::Reported(_) => CachedSource::Reported,
            Self::Simulated(_) => CachedSource::Simulated,
            Self::NothingReused => CachedSource::None,
        }
    }
}

/// Fills the cached tokens of all cases whose prompt tokens are believed.
pub(super) fn fill(cases: &mut [Case], seen: &CacheUses) {
    // The index of the case of each request.
    let mut places: Vec<Option<u32>> = Vec::new();
    for (at, case) in (0..).zip(cases.iter()) {
        let Some(request) = case.request_index() else { continue };
        if places.len() <= request {
            places.resize(request + 1, None);
        }
        if let Some(place) = places.get_mut(request) {
            *place = Some(at);
        }
    }
    let earlier = |from: usize| places.get(from).copied().flatten().and_then(|at| cases.get(at as usize));
    let found: Vec<_> = cases
        .iter()
        .map(|case| {
            let seen = seen.get(&case.origin.model).copied().unwrap_or_default();
            (seen, cached(case, seen, &earlier))
        })
        .collect();
    for (case, found) in cases.iter_mut().zip(found) {
        (case.seen, case.cached) = found;
    }
}

/// Sets simulated cached tokens to 0 where the model was loaded first: its cache was empty.
pub(super) fn forget_loaded(cases: &mut [Case]) {
    for case in cases.iter_mut().filter(|case| case.load_ms > 0) {
        if let Some(CachedTokens::Simulated(tokens)) = &mut case.cached {
            *tokens = 0;
        }
    }
}

fn cached<'a>(
    case: &Case,
    seen: CacheUse,
    earlier: &impl Fn(usize) -> Option<&'a Case>,
) -> Option<CachedTokens> {
    let prompt_tokens = case.prompt_tokens.get()?;
    let logged = case.server.as_deref().and_then(|server| server.cached_tokens.get());
    if let Some(logged) = logged.filter(|cached| *cached <= prompt_tokens) {
        return Some(CachedTokens::ServerLog(logged));
    }
    if let Some(reported) = case.reported_cached_tokens.get().filter(|cached| *cached <= prompt_tokens) {
        return Some(CachedTokens::Reported(reported));
    }
    let simulated = case.reuse.map(|reuse| simulated(prompt_tokens, reuse, earlier));
    match (seen, simulated) {
        (CacheUse::Reuses, Some(tokens)) => Some(CachedTokens::Simulated(tokens)),
        (_, Some(tokens)) if float(tokens) < NEXT_TO_NOTHING * float(prompt_tokens) => {
            Some(CachedTokens::Simulated(tokens))
        }
        (CacheUse::ReadsAll, _) => Some(CachedTokens::NothingReused),
        _ => None,
    }
}

/// The tokens that a simulated cache held of a prompt. The last one is always read:
/// the first token of the answer is made of it.
fn simulated<'a>(
    prompt_tokens: u64,
    reuse: SimulatedReuse,
    earlier: &impl Fn(usize) -> Option<&'a Case>,
) -> u64 {
    let answer = |case: &Case| {
        let output = case.output_tokens.get().unwrap_or(0);
        Some(AnswerTokens::new(case.prompt_tokens.get()?, output, case.has_reasoned()))
    };
    let answer = reuse.continues.and_then(|continued| answer(earlier(continued.from)?));
    cached_tokens(&reuse, prompt_tokens, answer).min(prompt_tokens.saturating_sub(1))
}
