//! Whether a model's backend is seen to reuse prompts.

use super::case::{Case, float};
use super::constant_wait::error_of;
use crate::model::CacheUse;
use crate::model::stats::median;
use crate::prompt_cache::by_times::{CLEARLY_READ, CLEARLY_REUSED, COLD_SHARE, LEAST_READ, WARM_SHARE};

/// So many times as even must the one speed be to be preferred to the other.
const CLEARLY_BETTER: f64 = 1.5;

/// A cold request tells of warm ones whose prompts are not more than twice as long: what each
/// request costs anyway is most of the time of a short one.
const LEAST_COLD_SIZE: f64 = 0.5;
/// So many warm requests must refute what a cold one tells, …
const LEAST_WARM: usize = 4;
/// … from the times of whose whole prompts they are so far at most, …
const MOST_ERROR: f64 = 0.1;
/// … and so far at least from any that reuse explains, …
const LEAST_ERROR: f64 = 0.05;
/// … which is so many times as far.
const CLEARLY: f64 = 2.0;
/// An overlap that takes no more than this share of the wait hides nothing.
const MOST_SHARED: f64 = 0.1;

/// What the times of one model's requests tell. Counts of cached tokens tell more.
pub(super) fn of(cases: &[&Case]) -> CacheUse {
    let counted = |case: &&Case| {
        let logged = case.server.as_deref().and_then(|server| server.cached_tokens.get());
        logged.or(case.reported_cached_tokens.get()).is_some_and(|tokens| tokens > 0)
    };
    if cases.iter().any(counted) {
        return CacheUse::Reuses;
    }
    let points: Vec<ReusePoint> = cases.iter().filter_map(|case| ReusePoint::of(case)).collect();
    match by_cold(&points) {
        Judgement::Reused if is_of_whole_prompts(&points) => CacheUse::ReadsAll,
        Judgement::Reused => CacheUse::Reuses,
        Judgement::Read(n) if n >= LEAST_READ => CacheUse::ReadsAll,
        Judgement::Between => CacheUse::Unknown,
        Judgement::Read(n) => {
            let seen = by_spread(&points);
            if n > 0 && seen == CacheUse::Reuses { CacheUse::Unknown } else { seen }
        }
    }
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
        let prompt_tokens = float(case.prompt_tokens.get().filter(|tokens| *tokens > 0)?);
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
    let Some((shared, wait)) = case.overlap.ended_before_first_ms.get().zip(case.wait_ms()) else {
        return false;
    };
    let is_short = float(shared) <= MOST_SHARED * float(wait);
    is_short && case.overlap.is_alone_at_first && case.is_certain && case.hidden.is_none() && !case.is_untold
}

/// What cold requests tell of warm ones.
enum Judgement {
    /// One at least took clearly less than its whole prompt takes.
    Reused,
    /// So many took as long, and none less.
    Read(usize),
    /// Some took less, none clearly.
    Between,
}

/// By what warm requests take beside cold ones of half their size or more.
fn by_cold(points: &[ReusePoint]) -> Judgement {
    let is_cold = |point: &&ReusePoint| point.share() < COLD_SHARE;
    let mut cold: Vec<&ReusePoint> = points.iter().filter(is_cold).collect();
    cold.sort_by(|a, b| b.prompt_tokens.total_cmp(&a.prompt_tokens));
    // Of the largest so many: how long they took, and their tokens.
    let sums: Vec<(f64, f64)> = cold
        .iter()
        .scan((0.0, 0.0), |(ms, tokens), point| {
            (*ms, *tokens) = (*ms + point.wait_ms, *tokens + point.prompt_tokens);
            Some((*ms, *tokens))
        })
        .collect();
    let of_whole = |point: &ReusePoint| {
        let least = LEAST_COLD_SIZE * point.prompt_tokens;
        let (ms, tokens) =
            sums.get(cold.partition_point(|cold| cold.prompt_tokens >= least).checked_sub(1)?)?;
        Some(point.wait_ms / (ms / tokens * point.prompt_tokens))
    };
    let warm = points.iter().filter(|point| point.share() >= WARM_SHARE);
    let of_whole: Vec<f64> = warm.filter_map(of_whole).collect();
    if of_whole.iter().any(|share| *share < CLEARLY_REUSED) {
        Judgement::Reused
    } else if of_whole.iter().all(|share| *share >= CLEARLY_READ) {
        Judgement::Read(of_whole.len())
    } else {
        Judgement::Between
    }
}

/// Whether warm requests took as long as their whole prompts at one pace, which what is new in
/// them does not explain even beside a constant: then the cold ones waited for something else,
/// most often for the model to be loaded.
fn is_of_whole_prompts(points: &[ReusePoint]) -> bool {
    let warm: Vec<&ReusePoint> = points.iter().filter(|point| point.share() >= WARM_SHARE).collect();
    let waits = |tokens: fn(&ReusePoint) -> f64| warm.iter().map(move |point| (point.wait_ms, tokens(point)));
    let of_prompts = error_of(waits(|point| point.prompt_tokens), false);
    let of_new = error_of(waits(|point| point.new_tokens), true);
    let Some((of_prompts, of_new)) = of_prompts.zip(of_new) else { return false };
    let is_clear = of_new >= LEAST_ERROR.max(CLEARLY * of_prompts);
    warm.len() >= LEAST_WARM && of_prompts <= MOST_ERROR && is_clear
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
