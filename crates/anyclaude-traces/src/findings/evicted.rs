//! Other conversations took the cache's slots.
//!
//! Condition: requests that found their sequence gone because another conversation had
//! taken its slot. Cost: the time to read it again. Refuted where the backend reuses
//! nothing anyway, or read less than that.
//!
//! Where the backend is seen to reuse nothing, or some requests took as long as reading all
//! of their prompt takes, the reason may be that it has one slot, as well as that its engine
//! cannot reuse prompts. Both findings are made if a simulated cache of one slot would have lost
//! the prompts of exactly these requests (`FindingsInput::slots_without_ram`).

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::cache_unused::{LEAST_REQUESTS, LEAST_REUSABLE};
use super::scene::{Entry, Model, Scene, finding};
use super::words::{Count, ModelName, TokenCount, by_number};
use super::{Advice, CostBasis, Evidence, Finding, FindingKind, MoreSlots, Rule, RuleCheck};
use crate::model::CacheUse;

pub(super) struct Evicted;

impl Rule for Evicted {
    fn kind(&self) -> FindingKind {
        FindingKind::Evicted
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        if scene.entries.iter().all(|entry| entry.cached.is_none()) {
            return RuleCheck::NotEnoughData;
        }
        let is_evicted = |entry: &Entry<'_>| {
            let by_other = entry.broken().is_some_and(|broken| broken.evicted_by.is_some());
            entry.loss == Some(FindingKind::Evicted) && by_other && entry.lost_tokens() > Some(0)
        };
        let more_slots = scene.more_slots();
        let of = |(model, entries): (Model, Vec<&Entry<'_>>)| {
            let (tokens, cost) = scene.loss(&entries);
            let advice = advice(more_slots.get(&model).into_iter().flatten().copied());
            let evidence = Evidence::Evicted(Evictions {
                model: model.clone(),
                requests: entries.len() as u64,
                tokens,
                slots: scene.simulated.map(|cache| cache.slots),
            });
            let mut found = finding(FindingKind::Evicted, entries, evidence).costing(cost, CostBasis::Fitted);
            found.advice = advice;
            found
        };
        let evicted = scene.by_model(is_evicted).into_iter().map(of);
        let found: Vec<Finding> = evicted.chain(by_one_slot(scene)).collect();
        RuleCheck::of(found)
    }

    fn is_refuted(&self, finding: &Finding, scene: &Scene<'_>) -> bool {
        let is_simulated_here = matches!(finding.evidence, Evidence::Evicted(_));
        is_simulated_here && scene.cache(&finding.model) == CacheUse::ReadsAll
    }
}

/// The smallest number of slots with which nothing is evicted, of those that were simulated with
/// the fewest first; or that none of them helps.
fn advice<'m>(outcomes: impl Iterator<Item = &'m MoreSlots>) -> Option<Advice> {
    let mut most = None;
    for outcome in outcomes {
        if outcome.evicted_requests == 0 {
            return Some(Advice::MoreSlots { slots: outcome.slots });
        }
        most = Some(outcome.slots);
    }
    most.map(|tried| Advice::SlotsDoNotHelp { tried })
}

/// A finding for each model that read again what a backend with one slot would have read again.
fn by_one_slot<'s>(scene: &'s Scene<'_>) -> impl Iterator<Item = Finding> + use<'s> {
    scene.slots_without_ram.iter().filter_map(|outcome| {
        let model = &outcome.model;
        let repeats = |entry: &Entry<'_>| {
            !entry.counts_cached()
                && (entry.is_read_whole() || scene.cache(model) == CacheUse::ReadsAll)
                && entry.reusable_share().is_some_and(|share| share >= LEAST_REUSABLE)
        };
        let entries: Vec<&Entry<'_>> = scene.of_model(model).filter(|entry| repeats(entry)).collect();
        if entries.len() < LEAST_REQUESTS {
            return None;
        }
        let again = |entry: &Entry<'_>| entry.reusable_tokens().unwrap_or(0);
        let evidence = Evidence::EvictedByOneSlot(EvictionsByOneSlot {
            model: model.clone(),
            requests: entries.len() as u64,
            tokens: entries.iter().map(|entry| again(entry)).sum(),
        });
        let cost = scene.sum_reading_ms(entries.iter().map(|entry| (*entry, again(entry))));
        let mut found = finding(FindingKind::Evicted, entries, evidence).costing(cost, CostBasis::Estimated);
        found.advice = advice(std::iter::once(outcome));
        Some(found)
    })
}

/// What other conversations displaced from the cache.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Evictions {
    /// The model.
    pub model: Option<Arc<str>>,
    /// How many requests found their sequence gone.
    pub requests: u64,
    /// What they had to read again.
    pub tokens: u64,
    /// How many slots were simulated; `None` where that is unknown.
    pub slots: Option<u64>,
}

/// What a backend with one slot and no cache in main memory would have lost: as much as was
/// read again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EvictionsByOneSlot {
    /// The model.
    pub model: Option<Arc<str>>,
    /// How many requests would have found their sequence gone.
    pub requests: u64,
    /// What they had to read again.
    pub tokens: u64,
}

impl Display for Evictions {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} to {} found that other conversations had taken the place of {} in the prompt cache, so that \
             {} had to be read again",
            Count(self.requests, "request"),
            ModelName(&self.model),
            by_number(self.requests, "its own", "theirs"),
            TokenCount(self.tokens),
        )?;
        match self.slots {
            Some(slots) => write!(f, " (simulated with {}).", Count(slots, "slot")),
            None => f.write_str("."),
        }
    }
}

impl Display for EvictionsByOneSlot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The backend of {} may hold one conversation at a time instead: with one slot and no cache in main \
             memory, others take its place before {} that {} an earlier prompt, and as much is read again, {}. \
             Times alone do not tell which it is.",
            ModelName(&self.model),
            Count(self.requests, "request"),
            by_number(self.requests, "repeats", "repeat"),
            TokenCount(self.tokens),
        )
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
        let RuleCheck::Found(found) = check_with(&Evicted, &made(), outcomes(&[])) else { panic!() };
        assert_eq!((found[0].requests.len(), found[0].cost_ms), (1, Some(10_000)));
        assert_eq!(found[0].advice, None);
    }

    #[test]
    fn what_the_backend_counts_as_cached_was_not_taken() {
        let counted = |cached| {
            let made: Vec<Made> =
                made().into_iter().map(|one| one.reusable(0).cached(cached, true)).collect();
            check_with(&Evicted, &made, |input| input.speeds = speeds(CacheUse::Reuses))
        };
        assert_eq!(counted(9_000), RuleCheck::Ok);
        assert!(matches!(counted(1_000), RuleCheck::Found(_)));
    }

    #[test]
    fn the_smallest_number_of_slots_that_helps_is_named() {
        let advice = |evicted: &[(u64, u64)]| match check_with(&Evicted, &made(), outcomes(evicted)) {
            RuleCheck::Found(found) => found[0].advice.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(advice(&[(4, 1), (6, 0), (8, 0)]), Some(Advice::MoreSlots { slots: 6 }));
        assert_eq!(advice(&[(4, 1), (32, 1)]), Some(Advice::SlotsDoNotHelp { tried: 32 }));
    }

    #[test]
    fn one_slot_is_named_beside_an_engine_that_cannot_reuse() {
        let turn = Made::new().prompt(10_000).reusable(90).cached(0, false).read(10_000, 20_000);
        let with = |slots, evicted_requests| {
            let outcome = MoreSlots { model: Some("m".into()), slots, evicted_requests };
            find_with(&vec![turn.clone(); 3], |input| {
                input.speeds = speeds(CacheUse::ReadsAll);
                input.slots_without_ram = vec![outcome.clone()];
            })
        };
        let of = |found: &[Finding]| {
            let two = found
                .iter()
                .filter(|one| matches!(one.kind, FindingKind::CacheUnused | FindingKind::Evicted));
            two.map(|one| (one.kind, one.requests.len(), one.cost_ms, one.advice.clone())).collect::<Vec<_>>()
        };
        assert_eq!(
            of(&with(3, 0)),
            [
                (FindingKind::CacheUnused, 3, Some(54_000), Some(Advice::OtherEngine)),
                (FindingKind::Evicted, 3, Some(54_000), Some(Advice::MoreSlots { slots: 3 })),
            ]
        );
        assert_eq!(of(&with(32, 2))[1].3, Some(Advice::SlotsDoNotHelp { tried: 32 }));
        assert_eq!(
            of(&find_with(&vec![turn.clone(); 3], |input| input.speeds = speeds(CacheUse::ReadsAll))).len(),
            1
        );
    }

    #[test]
    fn a_backend_that_reuses_nothing_refutes_it() {
        let found = find_with(&made(), |input| input.speeds = speeds(CacheUse::ReadsAll));
        assert!(found.is_empty());
    }
}
