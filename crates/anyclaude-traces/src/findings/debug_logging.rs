//! A higher debug level makes the proxy slower.
//!
//! Condition: prompts that ran at two levels with one model, in [`LEAST_PAIRS`] pairs or
//! more, and most of them slower at the higher level. Cost: the median difference ×
//! requests at the higher level. Refuted by the pairs themselves, where they disagree.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use super::scene::{Entry, Scene, finding, float, median, whole};
use super::words::{Count, Ms};
use super::{Advice, CostBasis, Evidence, FindingKind, Rule, RuleCheck};

const LEAST_PAIRS: usize = 3;
/// So many of the pairs must agree.
const LEAST_AGREEING: f64 = 0.75;

pub(super) struct DebugLogging;

/// What a lower debug level was seen to save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gain {
    pub(super) high: u8,
    pub(super) low: u8,
    pub(super) pairs: u64,
    pub(super) delta_ms: u64,
}

impl Rule for DebugLogging {
    fn kind(&self) -> FindingKind {
        FindingKind::DebugLogging
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        let pairs = pairs(scene);
        if !pairs.values().any(|deltas| deltas.len() >= LEAST_PAIRS) {
            return RuleCheck::NotEnoughData;
        }
        let Some(Gain { high, low, pairs, delta_ms }) = gain(scene) else { return RuleCheck::Ok };
        let slowed: Vec<&Entry<'_>> =
            scene.entries.iter().filter(|entry| level(entry) == Some(high)).collect();
        let requests = slowed.len() as u64;
        let evidence = Evidence::DebugLogging(SlowLogging { low, high, pairs, delta_ms, requests });
        let mut found = finding(FindingKind::DebugLogging, slowed, evidence)
            .costing(Some(delta_ms.saturating_mul(requests)), CostBasis::Measured);
        found.advice = Some(Advice::LowerDebugLevel { high, low, gain_ms: delta_ms });
        RuleCheck::Found(vec![found])
    }
}

/// The largest gain that enough pairs agree on.
pub(super) fn gain(scene: &Scene<'_>) -> Option<Gain> {
    let gains = pairs(scene).into_iter().filter(|(_, deltas)| deltas.len() >= LEAST_PAIRS);
    let gain = |((low, high), deltas): ((u8, u8), Vec<f64>)| {
        let slower = deltas.iter().filter(|delta| **delta > 0.0).count() as f64;
        let delta_ms = whole(median(deltas.iter().copied())?);
        let agrees = slower >= deltas.len() as f64 * LEAST_AGREEING;
        let pairs = deltas.len() as u64;
        (agrees && delta_ms > 0).then_some(Gain { high, low, pairs, delta_ms })
    };
    gains.filter_map(gain).max_by_key(|gain| gain.delta_ms)
}

/// The differences of prompts that ran at two levels, by these.
fn pairs(scene: &Scene<'_>) -> BTreeMap<(u8, u8), Vec<f64>> {
    let mut by_body: BTreeMap<_, Vec<(u8, &Entry<'_>)>> = BTreeMap::new();
    for entry in &scene.entries {
        if let (Some(body), Some(level)) = (entry.prompt, level(entry)) {
            by_body.entry((body, entry.model.clone())).or_default().push((level, entry));
        }
    }
    let mut pairs: BTreeMap<(u8, u8), Vec<f64>> = BTreeMap::new();
    for same in by_body.values() {
        let levels: std::collections::BTreeSet<u8> = same.iter().map(|(level, _)| *level).collect();
        for &low in &levels {
            for &high in levels.range(low + 1..) {
                let of = |wanted: u8| same.iter().filter(move |(level, _)| *level == wanted);
                for ((_, fast), (_, slow)) in of(low).zip(of(high)) {
                    pairs.entry((low, high)).or_default().extend(delta(fast, slow));
                }
            }
        }
    }
    pairs
}

/// What the second took longer in the proxy, before it sent and for each event.
fn delta(fast: &Entry<'_>, slow: &Entry<'_>) -> Option<f64> {
    let proxy = |entry: &Entry<'_>| entry.timing()?.proxy_ms.get().map(float);
    let per_event = |entry: &Entry<'_>| {
        let timing = entry.timing()?;
        let events = timing.events.get().filter(|events| *events > 0)?;
        Some(float(timing.generation_ms.get()?) / float(events))
    };
    let events = float(slow.timing()?.events.get()?);
    let waited = proxy(slow).zip(proxy(fast)).map_or(0.0, |(slow, fast)| slow - fast);
    Some(waited + (per_event(slow)? - per_event(fast)?) * events)
}

fn level(entry: &Entry<'_>) -> Option<u8> {
    entry.request.process()?.level
}

/// How much longer the same prompts took at a higher debug level.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SlowLogging {
    /// The lower level.
    pub low: u8,
    /// The higher level.
    pub high: u8,
    /// How many prompts ran at both.
    pub pairs: u64,
    /// The median difference.
    pub delta_ms: u64,
    /// How many requests ran at the higher level.
    pub requests: u64,
}

impl Display for SlowLogging {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { low, high, .. } = self;
        write!(
            f,
            "The same prompt takes {} longer at debug level {high} than at level {low} (median of {}); {} ran \
             at level {high}.",
            Ms(self.delta_ms),
            Count(self.pairs, "pair"),
            Count(self.requests, "request"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check};
    use super::*;

    fn pair(body: usize, slower_ms: u64) -> [Made; 2] {
        let at = |level, ms| Made::new().body(body).level(level).answer(100, 2_000 + ms);
        [at(1, 0), at(3, slower_ms)]
    }

    #[test]
    fn three_pairs_that_agree_show_it() {
        let made: Vec<Made> = (1..=3).flat_map(|body| pair(body, 300)).collect();
        let RuleCheck::Found(found) = check(&DebugLogging, &made) else { panic!() };
        assert_eq!(found[0].cost_ms, Some(900));
        assert_eq!(found[0].advice, Some(Advice::LowerDebugLevel { high: 3, low: 1, gain_ms: 300 }));
        assert_eq!(check(&DebugLogging, &made[..4]), RuleCheck::NotEnoughData);
    }

    #[test]
    fn pairs_that_disagree_refute_it() {
        let mut made: Vec<Made> = (1..=2).flat_map(|body| pair(body, 300)).collect();
        let [slow, fast] = pair(3, 300);
        made.extend([slow.level(3), fast.level(1)]);
        assert_eq!(check(&DebugLogging, &made), RuleCheck::Ok);
    }
}
