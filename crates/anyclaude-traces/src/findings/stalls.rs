//! Answers stood still.
//!
//! Condition: stall parts. Cost: their sum. There is no advice that is known to help: it
//! says when, and whether anything else was in the backend then.

use super::scene::{Entry, Scene, finding, sum_whole};
use super::{CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck};

pub(super) struct Stalls;

impl Rule for Stalls {
    fn kind(&self) -> FindingKind {
        FindingKind::Stalls
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        let known = scene.by_model(|entry| stall_ms(entry).is_some());
        if known.is_empty() {
            return RuleCheck::NotEnoughData;
        }
        let mut found: Vec<Finding> = Vec::new();
        for (model, entries) in known {
            let stalled: Vec<&Entry<'_>> =
                entries.iter().copied().filter(|entry| stall_ms(entry).is_some_and(|ms| ms > 0)).collect();
            if stalled.is_empty() {
                continue;
            }
            let cost = sum_whole(stalled.iter().map(|entry| stall_ms(entry)));
            let mut stalls: Vec<_> =
                stalled.iter().filter_map(|entry| Some((stall_ms(entry)?, entry.start()))).collect();
            stalls.sort_by_key(|(ms, start)| (std::cmp::Reverse(*ms), *start));
            let is_shared =
                |entry: &&&Entry<'_>| entry.request.concurrency().is_some_and(|one| one.overlapped);
            let evidence = Evidence::Stalls {
                model,
                stalls,
                of: entries.len() as u64,
                overlapped: stalled.iter().filter(is_shared).count() as u64,
            };
            found.push(finding(FindingKind::Stalls, stalled, evidence).costing(cost, CostBasis::Measured));
        }
        RuleCheck::of(found)
    }
}

fn stall_ms(entry: &Entry<'_>) -> Option<u64> {
    entry.timing()?.stall_ms.get()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check};
    use super::*;

    #[test]
    fn silences_are_summed_and_named() {
        let made = [Made::new().stall(0), Made::new().stall(64_000), Made::new().stall(90_000).overlapped()];
        let RuleCheck::Found(found) = check(&Stalls, &made) else { panic!() };
        assert_eq!((found[0].requests.len(), found[0].cost_ms), (2, Some(154_000)));
        let said = found[0].evidence.to_string();
        assert!(
            said.contains("2 of 3 answers") && said.contains("1 m 30 s") && said.contains("1 of them shared"),
            "{said}"
        );
    }

    #[test]
    fn answers_without_stalls_are_no_finding_and_unknown_ones_not_enough_data() {
        assert_eq!(check(&Stalls, &[Made::new().stall(0)]), RuleCheck::Ok);
        assert_eq!(check(&Stalls, &[Made::new()]), RuleCheck::NotEnoughData);
    }
}
