//! Whether a model's backend is seen to reuse prompts.

use super::case::{Case, float};
use crate::model::CacheUse;
use crate::model::stats::median;
use crate::prompt_cache::by_times::{CLEARLY_READ, CLEARLY_REUSED, COLD_SHARE, LEAST_READ, WARM_SHARE};

/// So many times as even must the one speed be to be preferred to the other.
const CLEARLY_BETTER: f64 = 1.5;

/// A cold request whose prompt is shorter than this share of the warm ones' tells nothing of
/// how long reading one of these takes.
const LEAST_COLD_SIZE: f64 = 0.2;
/// An overlap that takes no more than this share of the wait hides nothing.
const MOST_SHARED: f64 = 0.1;

/// What the times of one model's requests tell. Counts of cached tokens tell more.
pub(super) fn of(cases: &[&Case]) -> CacheUse {
    let counted = |case: &&Case| {
        let logged = case.server.as_deref().and_then(|server| server.cached_tokens);
        logged.or(case.reported_cached_tokens).is_some_and(|tokens| tokens > 0)
    };
    if cases.iter().any(counted) {
        return CacheUse::Reuses;
    }
    let points: Vec<ReusePoint> = cases.iter().filter_map(|case| ReusePoint::of(case)).collect();
    let is_warm = |point: &&ReusePoint| point.share() >= WARM_SHARE;
    let least_tokens = least_cold_tokens(points.iter().filter(is_warm).map(|point| point.prompt_tokens));
    let is_cold = |point: &&ReusePoint| point.share() < COLD_SHARE && point.prompt_tokens >= least_tokens;
    let cold: Vec<&ReusePoint> = points.iter().filter(is_cold).collect();
    let tokens: f64 = cold.iter().map(|point| point.prompt_tokens).sum();
    if tokens > 0.0 {
        let ms: f64 = cold.iter().map(|point| point.wait_ms).sum();
        by_cold(&points, ms / tokens)
    } else {
        by_spread(&points)
    }
}

/// So many tokens must a cold prompt have to tell of these warm ones.
pub(super) fn least_cold_tokens(warm: impl Iterator<Item = f64>) -> f64 {
    median(warm.collect()).map_or(0.0, |tokens| LEAST_COLD_SIZE * tokens)
}

/// An undisturbed request.
struct ReusePoint {
    wait_ms: f64,
    prompt_tokens: f64,
    /// What a cache would have left to read.
    new_tokens: f64,
}

impl ReusePoint {
    fn of(case: &Case) -> Option<Self> {
        let is_told = case.is_undisturbed() || is_next_to_undisturbed(case);
        let reuse = case.reuse.filter(|reuse| reuse.prompt_bytes > 0 && is_told)?;
        let prompt_tokens = float(case.prompt_tokens.filter(|tokens| *tokens > 0)?);
        let new_share = 1.0 - float(reuse.reusable_bytes) / float(reuse.prompt_bytes);
        let wait_ms = if case.is_measured() { case.read_ms() } else { case.wait_ms() };
        let wait_ms = float(wait_ms.filter(|ms| *ms > 0)?);
        Some(Self { wait_ms, prompt_tokens, new_tokens: (prompt_tokens * new_share).max(1.0) })
    }

    fn share(&self) -> f64 {
        1.0 - self.new_tokens / self.prompt_tokens
    }
}

/// Whether all that shared the backend with it before its first token had ended soon: the
/// first request of a conversation most often comes right behind one for its title.
fn is_next_to_undisturbed(case: &Case) -> bool {
    let Some((shared, wait)) = case.overlap.ended_before_first_ms.zip(case.wait_ms()) else { return false };
    let is_short = float(shared) <= MOST_SHARED * float(wait);
    is_short && case.overlap.is_alone_at_first && case.is_certain && case.hidden.is_none() && !case.is_untold
}

/// By what warm requests take beside cold ones, which take `ms_per_token`.
fn by_cold(points: &[ReusePoint], ms_per_token: f64) -> CacheUse {
    let warm = points.iter().filter(|point| point.share() >= WARM_SHARE);
    let of_all: Vec<f64> = warm.map(|point| point.wait_ms / (ms_per_token * point.prompt_tokens)).collect();
    if of_all.iter().any(|share| *share < CLEARLY_REUSED) {
        CacheUse::Reuses
    } else if of_all.len() >= LEAST_READ && of_all.iter().all(|share| *share >= CLEARLY_READ) {
        CacheUse::ReadsAll
    } else {
        CacheUse::Unknown
    }
}

/// By which of the two makes one speed of all requests.
fn by_spread(points: &[ReusePoint]) -> CacheUse {
    let spread = |tokens: fn(&ReusePoint) -> f64| {
        let paces: Vec<f64> = points.iter().map(|point| point.wait_ms / tokens(point)).collect();
        let middle = median(paces.clone())?;
        median(paces.iter().map(|pace| (pace - middle).abs() / middle).collect())
    };
    match (spread(|point| point.new_tokens), spread(|point| point.prompt_tokens)) {
        (Some(new), Some(all)) if new < all && new * CLEARLY_BETTER <= all => CacheUse::Reuses,
        (Some(new), Some(all)) if all < new && all * CLEARLY_BETTER <= new => CacheUse::ReadsAll,
        _ => CacheUse::Unknown,
    }
}
