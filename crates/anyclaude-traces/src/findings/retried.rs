//! Requests were sent again after a failure.
//!
//! Condition: the same body again after a request that brought no answer. Cost: the time of
//! such tries that no other finding accounts for; unknown where no log tells it.

use std::collections::HashSet;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::given_up::with_longer_limit;
use super::scene::{Entry, Model, Scene, finding, median, sum_whole};
use super::words::{Count, ModelName, Ms, WholeNumber, by_number};
use super::{CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck};

pub(super) struct Retried;

impl Rule for Retried {
    fn kind(&self) -> FindingKind {
        FindingKind::Retried
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        if scene.entries.iter().all(|entry| entry.prompt.is_none()) {
            return RuleCheck::NotEnoughData;
        }
        let models = scene.by_model(|entry| entry.sent_again.is_some());
        let found: Vec<Finding> = models.into_iter().map(|one| build_finding(scene, one)).collect();
        RuleCheck::of(found)
    }
}

fn build_finding(scene: &Scene<'_>, (model, entries): (Model, Vec<&Entry<'_>>)) -> Finding {
    let bodies: HashSet<_> = entries.iter().map(|entry| entry.prompt).collect();
    let pause = |entry: &&Entry<'_>| {
        let next = scene.entries.get(entry.sent_again?)?;
        let from = entry.end().or(entry.start())?;
        u64::try_from(next.start()?.ms_since(from)).ok()
    };
    let own = || entries.iter().filter(|entry| entry.claim == Some(FindingKind::Retried));
    let total_ms = |entry: &&Entry<'_>| entry.timing()?.total_ms.get();
    let cost = sum_whole(own().map(total_ms));
    let longest_ms = own().filter_map(total_ms).max();
    let evidence = Evidence::Retried(RetriedRequests {
        model,
        tries: entries.len() as u64,
        bodies: bodies.len() as u64,
        pause_ms: median(entries.iter().filter_map(pause)),
        longest_ms,
    });
    let found = finding(FindingKind::Retried, entries, evidence).costing(cost, CostBasis::Measured);
    with_longer_limit(found, longest_ms)
}

/// How often requests were sent again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RetriedRequests {
    /// The model.
    pub model: Option<Arc<str>>,
    /// How many tries brought no answer.
    pub tries: u64,
    /// How many bodies these were.
    pub bodies: u64,
    /// How long the client waited until it sent again: the median.
    pub pause_ms: Option<u64>,
    /// The longest of the tries that no other finding accounts for.
    pub longest_ms: Option<u64>,
}

impl Display for RetriedRequests {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let tries = self.tries;
        write!(f, "{} to {} brought no answer", Count(tries, "request"), ModelName(&self.model))?;
        if let Some(ms) = self.longest_ms {
            write!(f, " in {}{}", Ms(ms), by_number(tries, "", " at most"))?;
        }
        f.write_str(", and the client sent the same prompt again")?;
        if let Some(ms) = self.pause_ms {
            write!(f, " {} later{}", Ms(ms), by_number(tries, "", " (median)"))?;
        }
        if self.bodies > 1 {
            write!(f, ", for {} different prompts", WholeNumber(self.bodies))?;
        }
        f.write_str(".")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Advice;
    use super::super::testing::{Made, check, find};
    use super::*;
    use crate::model::request::Source;
    use crate::model::timing::Outcome;

    fn refused(at: i64, body: usize) -> Made {
        Made::new().claude().at(at).body(body)
    }

    #[test]
    fn the_same_prompt_after_no_answer_is_a_retry() {
        let made = [refused(0, 1), refused(20_000, 1).answered(3_000)];
        let RuleCheck::Found(found) = check(&Retried, &made) else { panic!() };
        assert_eq!((found[0].requests.len(), found[0].cost_ms), (1, None));
        let said = found[0].evidence.to_string();
        assert!(said.contains("20.0 s later."), "{said}");
    }

    #[test]
    fn another_prompt_an_answer_before_or_a_long_pause_is_no_retry() {
        assert_eq!(check(&Retried, &[refused(0, 1), refused(20_000, 2).answered(3_000)]), RuleCheck::Ok);
        let twice = [refused(0, 1).answered(3_000), refused(20_000, 1).answered(3_000)];
        assert_eq!(check(&Retried, &twice), RuleCheck::Ok);
        assert_eq!(check(&Retried, &[refused(0, 1), refused(601_000, 1).answered(3_000)]), RuleCheck::Ok);
    }

    #[test]
    fn an_answer_that_broke_off_is_none_where_the_recorder_saw_it_end() {
        let tried = |source| {
            let first = Made::new().body(1).outcome(Outcome::Unfinished, 30_000).of(source);
            check(&Retried, &[first, Made::new().at(33_000).body(1).of(source)])
        };
        let RuleCheck::Found(found) = tried(Source::ClaudeTap) else { panic!() };
        assert_eq!((found[0].requests.len(), found[0].cost_ms), (1, Some(30_000)));
        assert!(found[0].evidence.to_string().contains("no answer in 30.0 s, and"), "{}", found[0].evidence);
        assert_eq!(found[0].advice, Some(Advice::LongerTimeout { ms: 60_000 }));
        assert_eq!(tried(Source::Anyclaude), RuleCheck::Ok, "its log may have lost the end");
    }

    #[test]
    fn the_time_of_a_failed_try_is_claimed_once() {
        let made = [Made::new().body(1).failed("out of memory"), Made::new().at(9_000).body(1)];
        let found = find(&made);
        let of = |kind| found.iter().find(|one| one.kind == kind).unwrap();
        assert_eq!(of(FindingKind::Failed).cost_ms, Some(350));
        assert_eq!(of(FindingKind::Retried).cost_ms, None);
    }
}
