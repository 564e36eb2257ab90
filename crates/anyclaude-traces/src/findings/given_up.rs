//! The client, or the proxy's time limit, left before the answer was there.
//!
//! Condition: requests that ended so. Cost: the time that they waited for nothing. A longer limit
//! is advised only if the client sent the same again: otherwise its user wanted to stop.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::scene::{Entry, Model, Scene, finding, sum_whole};
use super::words::{Count, ModelName, Ms, by_number};
use super::{Advice, CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck, Setting, SettingValue};
use crate::model::timing::Outcome;

/// A client that left sooner did not do so because of a time limit.
const LEAST_LIMIT_MS: u64 = 10_000;

pub(super) struct GivenUp;

impl Rule for GivenUp {
    fn kind(&self) -> FindingKind {
        FindingKind::GivenUp
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        if scene.entries.iter().all(|entry| outcome(entry).is_none()) {
            return RuleCheck::NotEnoughData;
        }
        let models = scene.by_model(|entry| entry.claim == Some(FindingKind::GivenUp));
        let found: Vec<Finding> = models.into_iter().map(build_finding).collect();
        RuleCheck::of(found)
    }
}

fn build_finding((model, entries): (Model, Vec<&Entry<'_>>)) -> Finding {
    let count = |is_one: &dyn Fn(&&&Entry<'_>) -> bool| entries.iter().filter(is_one).count() as u64;
    let by_client = |entry: &&&Entry<'_>| outcome(entry) == Some(Outcome::Disconnected);
    let waited = entries.iter().filter_map(|entry| total_ms(entry));
    let evidence = Evidence::GivenUp(GivenUpRequests {
        model,
        by_client: count(&by_client),
        by_time_limit: count(&|entry| !by_client(entry)),
        sent_again: count(&|entry| entry.sent_again.is_some()),
        longest_ms: waited.max(),
    });
    let cost = sum_whole(entries.iter().map(|entry| total_ms(entry)));
    let limited = |entry: &&&Entry<'_>| by_client(entry) && entry.sent_again.is_some();
    let limit = entries.iter().filter(limited).filter_map(|entry| total_ms(entry)).max();
    let found = finding(FindingKind::GivenUp, entries, evidence).costing(cost, CostBasis::Measured);
    with_longer_limit(found, limit)
}

/// Advises a limit that lasts longer than this, where a limit may have ended the wait.
pub(super) fn with_longer_limit(mut found: Finding, waited_ms: Option<u64>) -> Finding {
    let ms = waited_ms.filter(|ms| *ms >= LEAST_LIMIT_MS).map(longer);
    found.advice = ms.map(|ms| Advice::LongerTimeout { ms });
    found.settings =
        ms.map(|ms| vec![Setting::of_claude_code("env.API_TIMEOUT_MS", SettingValue::Text(ms.to_string()))]);
    found
}

/// Twice the wait, in whole minutes.
fn longer(ms: u64) -> u64 {
    ms.saturating_mul(2).div_ceil(60_000).saturating_mul(60_000)
}

fn outcome(entry: &Entry<'_>) -> Option<Outcome> {
    entry.timing()?.outcome
}

fn total_ms(entry: &Entry<'_>) -> Option<u64> {
    entry.timing()?.total_ms.get()
}

/// Which requests ended before their answer was there.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GivenUpRequests {
    /// The model.
    pub model: Option<Arc<str>>,
    /// How many the client left.
    pub by_client: u64,
    /// How many the proxy's time limit ended.
    pub by_time_limit: u64,
    /// How many of them the client sent again.
    pub sent_again: u64,
    /// How long the longest was waited for.
    pub longest_ms: Option<u64>,
}

impl Display for GivenUpRequests {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let all = self.by_client + self.by_time_limit;
        let (requests, model) = (Count(all, "request"), ModelName(&self.model));
        write!(f, "{requests} to {model} ended before the answer was there")?;
        match (self.by_client, self.by_time_limit) {
            (_, 0) => f.write_str(": the client left")?,
            (0, limit) => write!(f, ": the proxy's time limit ended {}", by_number(limit, "it", "them"))?,
            (client, limit) => {
                write!(f, ": the client left {client}, the proxy's time limit ended {limit}")?;
            }
        }
        if let Some(ms) = self.longest_ms {
            write!(f, ", after {}{}", Ms(ms), by_number(all, "", " at most"))?;
        }
        match (self.sent_again, all) {
            (0, _) => f.write_str("."),
            (1, 1) => f.write_str("; it was sent again, and the work began anew."),
            (1, _) => f.write_str("; 1 was sent again, and the work began anew."),
            (n, _) => write!(f, "; {n} were sent again, and the work began anew."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check};
    use super::*;

    fn left(body: usize, ms: u64) -> Made {
        Made::new().body(body).outcome(Outcome::Disconnected, ms)
    }

    #[test]
    fn who_left_and_sent_the_same_again_needs_a_longer_limit() {
        let made = [left(1, 300_000), Made::new().at(301_000).body(1)];
        let RuleCheck::Found(found) = check(&GivenUp, &made) else { panic!() };
        assert_eq!(found[0].cost_ms, Some(300_000));
        assert_eq!(found[0].advice, Some(Advice::LongerTimeout { ms: 600_000 }));
    }

    #[test]
    fn who_left_for_good_gets_no_advice() {
        let RuleCheck::Found(found) = check(&GivenUp, &[left(1, 300_000), Made::new().at(301_000).body(2)])
        else {
            panic!()
        };
        assert_eq!((found[0].advice.as_ref(), found[0].settings.as_ref()), (None, None));
        assert_eq!(check(&GivenUp, &[Made::new()]), RuleCheck::Ok);
        assert_eq!(check(&GivenUp, &[]), RuleCheck::NotEnoughData);
    }
}
