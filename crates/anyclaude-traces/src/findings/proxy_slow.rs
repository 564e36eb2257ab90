//! The proxy's own work takes a large share of the time of a model's requests.
//!
//! Condition: at least [`LEAST_SHARE`] of the median wall time. Cost: all of it.
//! Refuted where the means of the same requests say that it is less.

use super::history_truncated::truncation;
use super::scene::{Entry, Scene, finding, float, median, sum_whole};
use super::{Advice, CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck, debug_logging};
use crate::model::ProxyEdit;

const LEAST_SHARE: f64 = 0.25;
const LEAST_REQUESTS: usize = 3;

pub(super) struct ProxySlow;

impl Rule for ProxySlow {
    fn kind(&self) -> FindingKind {
        FindingKind::ProxySlow
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        let mut found = Vec::new();
        let mut is_known = false;
        for (model, entries) in scene.by_model(|entry| entry.is_conversation() && times(entry).is_some()) {
            if entries.len() < LEAST_REQUESTS {
                continue;
            }
            is_known = true;
            let of = |part: fn((u64, u64)) -> u64| {
                entries.iter().filter_map(|entry| times(entry)).map(part).collect::<Vec<u64>>()
            };
            let (proxy, wall) = (of(|times| times.0), of(|times| times.1));
            let (Some(proxy_ms), Some(wall_ms)) =
                (median(proxy.iter().copied()), median(wall.iter().copied()))
            else {
                continue;
            };
            if float(proxy_ms) < float(wall_ms) * LEAST_SHARE {
                continue;
            }
            let count = |is_one: &dyn Fn(&&&Entry<'_>) -> bool| {
                u64::try_from(entries.iter().filter(is_one).count()).unwrap_or(u64::MAX)
            };
            let evidence = Evidence::ProxySlow {
                model,
                requests: u64::try_from(entries.len()).unwrap_or(u64::MAX),
                proxy_ms,
                wall_ms,
                truncated: count(&|entry| truncation(entry).is_some()),
                edited: count(&|entry| is_edited(entry)),
            };
            let cost = sum_whole(proxy.into_iter().map(Some));
            let mut one = finding(FindingKind::ProxySlow, entries.iter().copied(), evidence)
                .costing(cost, CostBasis::Measured);
            let level = |entry: &&Entry<'_>| entry.request.process().and_then(|process| process.level);
            one.advice = debug_logging::gain(scene)
                .filter(|gain| entries.iter().filter_map(level).any(|level| level == gain.high))
                .map(|gain| Advice::LowerDebugLevel {
                    high: gain.high,
                    low: gain.low,
                    gain_ms: gain.delta_ms,
                });
            found.push(one);
        }
        match found.is_empty() {
            false => RuleCheck::Found(found),
            true if is_known => RuleCheck::Ok,
            true => RuleCheck::NotEnoughData,
        }
    }

    fn is_refuted(&self, finding: &Finding, scene: &Scene<'_>) -> bool {
        let (proxy, wall) = scene
            .of(finding)
            .filter_map(times)
            .fold((0, 0), |(proxy, wall), times| (proxy + times.0, wall + times.1));
        float(proxy) < float(wall) * LEAST_SHARE
    }
}

/// The proxy's time and all of it, where both are known.
fn times(entry: &Entry<'_>) -> Option<(u64, u64)> {
    let timing = entry.timing()?;
    Some((timing.proxy_ms.get()?, timing.wall_ms.get()?))
}

/// Whether the proxy changed the system prompt or the tools.
fn is_edited(entry: &Entry<'_>) -> bool {
    let edits = entry.request.log_facts().map(|facts| &facts.edits);
    edits.is_some_and(|edits| edits.iter().any(|edit| !matches!(edit, ProxyEdit::MessagesRemoved { .. })))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check, refuted};
    use super::*;

    fn of(proxy: &[u64]) -> Vec<Made> {
        proxy.iter().map(|&proxy| Made::new().times(proxy, 3_000 - proxy)).collect()
    }

    #[test]
    fn a_quarter_of_the_median_is_slow_and_less_is_not() {
        let RuleCheck::Found(found) = check(&ProxySlow, &of(&[750, 750, 750])) else { panic!() };
        assert_eq!((found.len(), found[0].cost_ms), (1, Some(2_250)));
        assert_eq!(found[0].advice, None);
        assert_eq!(check(&ProxySlow, &of(&[749, 749, 749])), RuleCheck::Ok);
    }

    #[test]
    fn two_requests_say_nothing() {
        assert_eq!(check(&ProxySlow, &of(&[900, 900])), RuleCheck::NotEnoughData);
    }

    #[test]
    fn means_that_say_otherwise_refute_it() {
        let made =
            [Made::new().times(800, 2_200), Made::new().times(800, 2_200), Made::new().times(10, 60_000)];
        assert!(refuted(&ProxySlow, &made));
        assert!(!refuted(&ProxySlow, &of(&[800, 800, 800])));
    }
}
