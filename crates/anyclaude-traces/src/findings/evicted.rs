//! Other conversations took the cache's slots.
//!
//! Condition: requests that found their sequence gone because another conversation had
//! taken its slot. Cost: the time to read it again. Refuted where the backend reuses
//! nothing anyway, or read less than that.

use super::scene::{Entry, Model, Scene, finding};
use super::{Advice, Check, CostBasis, Evidence, Finding, FindingKind, Rule};
use crate::model::CacheUse;

pub(super) struct Evicted;

impl Rule for Evicted {
    fn kind(&self) -> FindingKind {
        FindingKind::Evicted
    }

    fn check(&self, scene: &Scene<'_>) -> Check {
        if scene.entries.iter().all(|entry| entry.row.is_none()) {
            return Check::NotEnoughData;
        }
        let is_evicted = |entry: &Entry<'_>| {
            let by_other = entry.broken().is_some_and(|broken| broken.evicted_by.is_some());
            entry.loss == Some(FindingKind::Evicted) && by_other && entry.lost_tokens() > Some(0)
        };
        let of = |(model, entries): (Model, Vec<&Entry<'_>>)| {
            let (tokens, cost) = scene.loss(&entries);
            let outcomes: Vec<_> = scene.more_slots(&model).collect();
            let evidence = Evidence::Evicted {
                model: model.clone(),
                requests: u64::try_from(entries.len()).unwrap_or(u64::MAX),
                tokens,
                slots: scene.simulated.map(|cache| cache.slots),
            };
            let mut found = finding(FindingKind::Evicted, entries, evidence).costing(cost, CostBasis::Fitted);
            let enough = outcomes.iter().find(|outcome| outcome.evicted_requests == 0);
            found.advice = match (enough, outcomes.last()) {
                (Some(enough), _) => Some(Advice::MoreSlots { slots: enough.slots }),
                (None, Some(most)) => Some(Advice::SlotsDoNotHelp { tried: most.slots }),
                (None, None) => None,
            };
            found
        };
        let found: Vec<Finding> = scene.by_model(is_evicted).into_iter().map(of).collect();
        if found.is_empty() { Check::Ok } else { Check::Found(found) }
    }

    fn is_refuted(&self, finding: &Finding, scene: &Scene<'_>) -> bool {
        scene.cache(&finding.model) == CacheUse::ReadsAll
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check_with, find_with, speeds};
    use super::super::{FindingsInput, MoreSlots};
    use super::*;
    use crate::analysis::prefix::Cause;

    fn made() -> Vec<Made> {
        let evicted = Made::new().prompt(10_000).read(9_000, 18_000).broke(Cause::Evicted, 5_000);
        vec![evicted.clone().evicted_by(0), evicted]
    }

    fn outcomes(evicted: &[(u64, u64)]) -> impl Fn(&mut FindingsInput<'_>) + use<'_> {
        |input| {
            input.speeds = speeds(CacheUse::Reuses);
            input.slots = evicted
                .iter()
                .map(|&(slots, evicted_requests)| MoreSlots {
                    model: Some("m".into()),
                    slots,
                    evicted_requests,
                })
                .collect();
        }
    }

    #[test]
    fn what_others_took_counts_and_what_a_conversation_took_itself_does_not() {
        let Check::Found(found) = check_with(&Evicted, &made(), outcomes(&[])) else { panic!() };
        assert_eq!((found[0].requests.len(), found[0].cost_ms), (1, Some(10_000)));
        assert_eq!(found[0].advice, None);
    }

    #[test]
    fn the_smallest_number_of_slots_that_helps_is_named() {
        let advice = |evicted: &[(u64, u64)]| match check_with(&Evicted, &made(), outcomes(evicted)) {
            Check::Found(found) => found[0].advice.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(advice(&[(4, 1), (6, 0), (8, 0)]), Some(Advice::MoreSlots { slots: 6 }));
        assert_eq!(advice(&[(4, 1), (32, 1)]), Some(Advice::SlotsDoNotHelp { tried: 32 }));
    }

    #[test]
    fn a_backend_that_reuses_nothing_refutes_it() {
        let found = find_with(&made(), |input| input.speeds = speeds(CacheUse::ReadsAll));
        assert!(found.is_empty());
    }
}
