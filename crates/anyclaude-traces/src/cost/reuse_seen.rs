//! Whether a model's backend is seen to reuse prompts, by how long requests wait.
//!
//! A *cold* request is one of which the simulated cache holds next to nothing, a *warm* one one
//! of which it holds most. Cold requests read everything under either hypothesis, and so tell
//! how long that takes ([`by_cold`]): a warm request that takes clearly less proves reuse,
//! several that take as long prove that nothing is reused. Without a cold request, the
//! hypothesis under which the pace of all requests is more even decides ([`by_spread`]).

use super::case::{Case, float};
use super::constant_wait::{ConstantTerm, error_of};
use crate::model::CacheUse;
use crate::model::stats::median;
use crate::prompt_cache::by_times::{CLEARLY_READ, CLEARLY_REUSED, COLD_SHARE, LEAST_READ, WARM_SHARE};

/// One hypothesis is preferred if the paces under it are this many times as even as under the
/// other.
const CLEARLY_BETTER: f64 = 1.5;

/// A warm request is compared with cold ones of at least this share of its own size: what each
/// request costs anyway is most of the time of a short one.
const LEAST_COLD_SIZE: f64 = 0.5;

// What it takes to say that warm requests read their whole prompts although cold ones took
// longer (`is_of_whole_prompts`):
/// there are at least this many warm requests, …
const LEAST_WARM: usize = 4;
/// … one pace over whole prompts explains their waits with no more than this error, …
const MOST_ERROR: f64 = 0.1;
/// … and a pace over new tokens, beside a constant, leaves at least this error, …
const LEAST_ERROR: f64 = 0.05;
/// … which is at least this many times as large.
const CLEARLY: f64 = 2.0;

/// An overlap with another request that takes no more than this share of the wait is ignored.
const MOST_SHARED: f64 = 0.1;

/// Whether the backend of one model's requests reuses prompts: by a count of cached tokens,
/// where there is any, else by their times.
pub(super) fn judge(cases: &[&Case]) -> CacheUse {
    let counted = |case: &&Case| {
        let logged = case.server.as_deref().and_then(|server| server.cached_tokens.get());
        logged.or(case.reported_cached_tokens.get()).is_some_and(|tokens| tokens > 0)
    };
    if cases.iter().any(counted) {
        return CacheUse::Reuses;
    }
    let points: Vec<ReusePoint> = cases.iter().filter_map(|case| ReusePoint::of(case)).collect();
    match by_cold(&points) {
        WarmVerdict::Reused if is_of_whole_prompts(&points) => CacheUse::ReadsAll,
        WarmVerdict::Reused => CacheUse::Reuses,
        WarmVerdict::ReadWhole(_) | WarmVerdict::Unclear if is_of_new_tokens(&points) => CacheUse::Reuses,
        WarmVerdict::ReadWhole(n) if n >= LEAST_READ => CacheUse::ReadsAll,
        WarmVerdict::Unclear => CacheUse::Unknown,
        WarmVerdict::ReadWhole(n) => {
            let seen = by_spread(&points);
            // Even one warm request that was read whole speaks against reuse.
            if n > 0 && seen == CacheUse::Reuses { CacheUse::Unknown } else { seen }
        }
    }
}

/// An undisturbed request: how long it waited, and what it read under either hypothesis.
struct ReusePoint {
    wait_ms: f64,
    /// What it read if nothing is reused.
    prompt_tokens: f64,
    /// What it read if the cache works as simulated.
    new_tokens: f64,
}

impl ReusePoint {
    fn of(case: &Case) -> Option<Self> {
        let is_timed = case.is_undisturbed() || is_next_to_undisturbed(case);
        let reuse = case.reuse.filter(|reuse| reuse.prompt_bytes > 0 && is_timed)?;
        let prompt_tokens = float(case.prompt_tokens.get().filter(|tokens| *tokens > 0)?);
        let new_share = 1.0 - float(reuse.reusable_bytes) / float(reuse.prompt_bytes);
        let wait_ms = if case.is_measured() { case.read_ms() } else { case.wait_ms() };
        let wait_ms = float(wait_ms.filter(|ms| *ms > 0)?);
        Some(Self { wait_ms, prompt_tokens, new_tokens: (prompt_tokens * new_share).max(1.0) })
    }

    /// The share of the prompt that the simulated cache held.
    fn reusable_share(&self) -> f64 {
        1.0 - self.new_tokens / self.prompt_tokens
    }
}

/// Whether other requests were in the backend only for a small part of its wait: the first
/// request of a conversation most often comes right behind a short one for its title.
fn is_next_to_undisturbed(case: &Case) -> bool {
    let Some((shared, wait)) = case.overlap.shared_until_ms.get().zip(case.wait_ms()) else {
        return false;
    };
    let is_short = float(shared) <= MOST_SHARED * float(wait);
    is_short
        && case.overlap.is_alone_at_first
        && case.is_certain
        && !case.writes_unseen()
        && case.logged_load_ms().is_none()
}

/// What warm requests show, beside the time that their whole prompts would take.
enum WarmVerdict {
    /// At least one took clearly less.
    Reused,
    /// This many took as long, and none less. There may be none at all.
    ReadWhole(usize),
    /// Some took less, but none clearly.
    Unclear,
}

/// Compares the wait of each warm request with the time that its whole prompt would take at the
/// pace of the cold ones of half its size or more.
fn by_cold(points: &[ReusePoint]) -> WarmVerdict {
    let is_cold = |point: &&ReusePoint| point.reusable_share() < COLD_SHARE;
    let mut cold: Vec<&ReusePoint> = points.iter().filter(is_cold).collect();
    cold.sort_by(|a, b| b.prompt_tokens.total_cmp(&a.prompt_tokens));
    // At each place, the sums over the cold requests up to there, the largest first: how long
    // they waited, and their tokens.
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
    let warm = points.iter().filter(|point| point.reusable_share() >= WARM_SHARE);
    let of_whole: Vec<f64> = warm.filter_map(of_whole).collect();
    if of_whole.iter().any(|share| *share < CLEARLY_REUSED) {
        WarmVerdict::Reused
    } else if of_whole.iter().all(|share| *share >= CLEARLY_READ) {
        WarmVerdict::ReadWhole(of_whole.len())
    } else {
        WarmVerdict::Unclear
    }
}

/// Whether one pace over whole prompts explains the waits of the warm requests, and one over
/// their new tokens does not, even with a constant beside it. Then nothing is reused, and the
/// cold requests took longer for another reason, most often because the model was loaded.
fn is_of_whole_prompts(points: &[ReusePoint]) -> bool {
    let whole: Explanation = (|point| point.prompt_tokens, ConstantTerm::Without);
    is_only_of(points, whole, (|point| point.new_tokens, ConstantTerm::With))
}

/// Whether one pace over new tokens, with a constant beside it, explains the waits of the warm
/// requests, and one over their whole prompts does not. Then prompts are reused, and the cold
/// requests found in the cache what an earlier recording had left there.
fn is_of_new_tokens(points: &[ReusePoint]) -> bool {
    let new: Explanation = (|point| point.new_tokens, ConstantTerm::With);
    is_only_of(points, new, (|point| point.prompt_tokens, ConstantTerm::With))
}

/// The tokens that may explain waits, and whether a constant stands beside their pace.
type Explanation = (fn(&ReusePoint) -> f64, ConstantTerm);

/// Whether the one explains the waits of the warm requests, and the other clearly less.
fn is_only_of(points: &[ReusePoint], one: Explanation, other: Explanation) -> bool {
    let warm: Vec<&ReusePoint> = points.iter().filter(|point| point.reusable_share() >= WARM_SHARE).collect();
    let error = |(tokens, constant): Explanation| {
        error_of(warm.iter().map(|point| (point.wait_ms, tokens(point))), constant)
    };
    let Some((one, other)) = error(one).zip(error(other)) else { return false };
    warm.len() >= LEAST_WARM && one <= MOST_ERROR && other >= LEAST_ERROR.max(CLEARLY * one)
}

/// By the hypothesis under which the milliseconds per token vary less between requests.
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
