//! The proxy's own work takes a large share of the time of a model's requests.
//!
//! Condition: the median of the proxy's time is at least [`LEAST_SHARE`] of the median wall time,
//! in at least [`LEAST_REQUESTS`] conversation requests of a model. Cost: all of the proxy's
//! time. Refuted where its share of the summed wall time is less.

use std::cell::LazyCell;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::debug_logging::{self, Gain};
use super::history_truncated::truncation;
use super::scene::{Entry, Model, Scene, finding, float, median, sum_whole};
use super::words::{Count, ModelName, Ms, Percent};
use super::{Advice, CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck};
use crate::model::ProxyEdit;

const LEAST_SHARE: f64 = 0.25;
const LEAST_REQUESTS: usize = 3;

pub(super) struct ProxySlow;

impl Rule for ProxySlow {
    fn kind(&self) -> FindingKind {
        FindingKind::ProxySlow
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        let mut models = scene.by_model(|entry| entry.is_conversation() && times(entry).is_some());
        models.retain(|_, entries| entries.len() >= LEAST_REQUESTS);
        if models.is_empty() {
            return RuleCheck::NotEnoughData;
        }
        let gain = LazyCell::new(|| debug_logging::gain(scene));
        let of = |(model, entries): (Model, Vec<&Entry<'_>>)| {
            let mut found = build_finding(model, &entries)?;
            found.advice = lower_level(&entries, gain.as_ref());
            Some(found)
        };
        RuleCheck::of(models.into_iter().filter_map(of).collect())
    }

    fn is_refuted(&self, finding: &Finding, scene: &Scene<'_>) -> bool {
        let (proxy, wall) = scene
            .of(finding)
            .filter_map(times)
            .fold((0, 0), |(proxy, wall), times| (proxy + times.proxy_ms, wall + times.wall_ms));
        float(proxy) < float(wall) * LEAST_SHARE
    }
}

fn build_finding(model: Model, entries: &[&Entry<'_>]) -> Option<Finding> {
    let times: Vec<ProxyTimes> = entries.iter().filter_map(|entry| times(entry)).collect();
    let proxy_ms = median(times.iter().map(|times| times.proxy_ms))?;
    let wall_ms = median(times.iter().map(|times| times.wall_ms))?;
    if float(proxy_ms) < float(wall_ms) * LEAST_SHARE {
        return None;
    }
    let count = |is_one: &dyn Fn(&&&Entry<'_>) -> bool| entries.iter().filter(is_one).count() as u64;
    let evidence = Evidence::ProxySlow(SlowProxy {
        model,
        requests: entries.len() as u64,
        proxy_ms,
        wall_ms,
        truncated: count(&|entry| truncation(entry).is_some()),
        edited: count(&|entry| is_edited(entry)),
    });
    let cost = sum_whole(times.iter().map(|times| Some(times.proxy_ms)));
    let found = finding(FindingKind::ProxySlow, entries.iter().copied(), evidence);
    Some(found.costing(cost, CostBasis::Measured))
}

/// A lower debug level, where one of these requests ran at a level that is seen to be slower.
fn lower_level(entries: &[&Entry<'_>], gain: Option<&Gain>) -> Option<Advice> {
    let level = |entry: &&Entry<'_>| entry.request.process().and_then(|process| process.level);
    let gain = gain?;
    let is_at_high = entries.iter().filter_map(level).any(|level| level == gain.high);
    is_at_high.then_some(Advice::LowerDebugLevel { high: gain.high, low: gain.low, gain_ms: gain.delta_ms })
}

/// One request's time in the proxy, and all of its time.
struct ProxyTimes {
    proxy_ms: u64,
    wall_ms: u64,
}

/// The times of a request of which both are known.
fn times(entry: &Entry<'_>) -> Option<ProxyTimes> {
    let timing = entry.timing()?;
    Some(ProxyTimes { proxy_ms: timing.proxy_ms.get()?, wall_ms: timing.wall_ms.get()? })
}

/// Whether the proxy changed the system prompt or the tools.
fn is_edited(entry: &Entry<'_>) -> bool {
    let edits = entry.request.log_facts().map(|facts| &facts.edits);
    edits.is_some_and(|edits| edits.iter().any(|edit| !matches!(edit, ProxyEdit::MessagesRemoved { .. })))
}

/// How much of a model's time passes in the proxy.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SlowProxy {
    /// The model.
    pub model: Option<Arc<str>>,
    /// How many requests have times of the proxy.
    pub requests: u64,
    /// The proxy's median time.
    pub proxy_ms: u64,
    /// The median of the whole time.
    pub wall_ms: u64,
    /// Requests whose history the proxy cut.
    pub truncated: u64,
    /// Requests whose tools or system prompt the proxy changed.
    pub edited: u64,
}

impl Display for SlowProxy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The proxy works {} on a request before it sends it on, {} of the {} that a request to {} \
             takes (medians of {})",
            Ms(self.proxy_ms),
            Percent(self.proxy_ms, self.wall_ms),
            Ms(self.wall_ms),
            ModelName(&self.model),
            Count(self.requests, "request"),
        )?;
        match (self.truncated, self.edited) {
            (0, 0) => f.write_str("; no line of its log says at what."),
            (0, edited) => write!(f, "; it rewrote the system prompt or tools of {edited} of them."),
            (cut, 0) => write!(f, "; it counted tokens and cut the history of {cut} of them."),
            (cut, edited) => write!(
                f,
                "; it cut the history of {cut} of them and rewrote the system prompt or tools of {edited}."
            ),
        }
    }
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
