//! Two models take turns in a backend that holds one.
//!
//! Condition: [`LEAST_SWAPS`] requests or more that came right after another model had answered
//! in the same backend, and paid for that: they waited for a load; or the simulation says that
//! their cache was gone, and they took at least half as long as reading it again takes (else the
//! backend holds both models); or the backend's own count says that it was gone, and finds it in
//! requests that did not follow another model. Cost: these loads, and the time to read again
//! what the cache lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::model_load::{ReadAgain, again_tokens, basis, cost, load_ms, loaded_ms};
use super::scene::{Entry, Model, Scene, finding, float};
use super::words::{Count, ModelName, Ms, NameList, by_number};
use super::{Advice, Evidence, Finding, FindingKind, Rule, RuleCheck};
use crate::analysis::prefix::Cause;
use crate::model::request::Kind;

const LEAST_SWAPS: usize = 2;
/// A request that lost fewer tokens does not count.
const LEAST_TOKENS: u64 = 500;

pub(super) struct ModelSwap;

impl Rule for ModelSwap {
    fn kind(&self) -> FindingKind {
        FindingKind::ModelSwap
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        if scene.entries.iter().all(|entry| loaded_ms(entry).is_none()) {
            return RuleCheck::NotEnoughData;
        }
        let found: Vec<Finding> =
            swaps(scene).iter().map(|(model, swaps)| build_finding(scene, model, swaps)).collect();
        RuleCheck::of(found)
    }
}

fn build_finding(scene: &Scene<'_>, model: &Model, swaps: &[usize]) -> Finding {
    let entries: Vec<&Entry<'_>> = swaps.iter().filter_map(|at| scene.entries.get(*at)).collect();
    let before = swaps.iter().filter_map(|at| scene.before(*at)?.model.clone());
    let others: BTreeSet<_> = before.collect();
    let evidence = Evidence::ModelSwap(ModelSwaps {
        model: model.clone(),
        others: others.iter().cloned().collect(),
        loads: swaps.len() as u64,
        load_ms: load_ms(&entries),
        again_tokens: again_tokens(&entries),
    });
    let mut found = finding(FindingKind::ModelSwap, entries.iter().copied(), evidence)
        .costing(cost(scene, &entries), basis(&entries));
    let models: BTreeSet<Model> = others.into_iter().map(Some).chain([model.clone()]).collect();
    found.advice = Some(advice(scene, &models));
    found
}

/// What to do where these models take turns.
pub(super) fn advice(scene: &Scene<'_>, models: &BTreeSet<Model>) -> Advice {
    main(scene, models).map_or(Advice::RoomForBoth, |main| Advice::OneModel { main })
}

/// The model that answers conversations, if all others answer nothing but background requests.
fn main(scene: &Scene<'_>, models: &BTreeSet<Model>) -> Option<Arc<str>> {
    let (mains, sides): (Vec<_>, Vec<_>) =
        models.iter().partition(|model| scene.answered_by(model).any(Entry::is_conversation));
    let [main] = mains.as_slice() else { return None };
    let is_background = |entry: &Entry<'_>| entry.request.kind == Kind::Background;
    sides.iter().all(|side| scene.answered_by(side).all(is_background)).then(|| (*main).clone())?
}

/// For each model the indices of the entries that came right after another model's answer and
/// paid for it; empty where these are fewer than [`LEAST_SWAPS`] in all.
pub(super) fn swaps<'s>(scene: &'s Scene<'_>) -> &'s BTreeMap<Model, Vec<usize>> {
    scene.swaps.get_or_init(|| found_swaps(scene))
}

fn found_swaps(scene: &Scene<'_>) -> BTreeMap<Model, Vec<usize>> {
    let mut swaps: BTreeMap<Model, Vec<usize>> = BTreeMap::new();
    let is_after_other =
        |at: usize, entry: &Entry<'_>| scene.before(at).is_some_and(|before| before.model != entry.model);
    // A missing cache shows a swap only if the model finds its cache after its own answers.
    let found = scene.entries.iter().enumerate().filter(|(_, entry)| finds_cache(entry) == Some(true));
    let found_after_own = found.filter(|(at, entry)| !is_after_other(*at, entry));
    let keeps: BTreeSet<&Model> = found_after_own.map(|(_, entry)| &entry.model).collect();
    for (at, entry) in scene.entries.iter().enumerate() {
        let paid = loaded_ms(entry).is_some_and(|ms| ms > 0)
            || has_lost_cache(scene, entry)
            || finds_cache(entry) == Some(false) && keeps.contains(&entry.model);
        if paid && entry.model.is_some() && is_after_other(at, entry) {
            swaps.entry(entry.model.clone()).or_default().push(at);
        }
    }
    // Models that take turns are swapped in one after the other: those of all count.
    let all: usize = swaps.values().map(Vec::len).sum();
    if all < LEAST_SWAPS { BTreeMap::new() } else { swaps }
}

/// Whether a request found its cache, by the backend's own count: `true` with at least half of
/// what its prompt repeats, `false` with less than a tenth, else `None`.
pub(super) fn finds_cache(entry: &Entry<'_>) -> Option<bool> {
    let repeated = entry.reusable_tokens().filter(|tokens| *tokens >= LEAST_TOKENS)?;
    let cached = entry.timing()?.cached_tokens.get().filter(|_| entry.counts_cached())?;
    if cached * 2 >= repeated {
        return Some(true);
    }
    (cached * 10 < repeated).then_some(false)
}

/// Whether the simulation says that another model emptied its cache, and it took at least half
/// as long as reading that again takes.
fn has_lost_cache(scene: &Scene<'_>, entry: &Entry<'_>) -> bool {
    let is_swapped = entry.cause() == Some(Cause::ModelSwapped);
    let Some(lost) = entry.lost_tokens().filter(|lost| is_swapped && *lost >= LEAST_TOKENS) else {
        return false;
    };
    let takes = scene.speeds.get(&entry.model).and_then(|speeds| speeds.reading_ms(float(lost)));
    let took = entry.timing().and_then(|timing| timing.read_ms.get()).map(float);
    takes.zip(took).is_some_and(|(takes, took)| took * 2.0 >= takes)
}

/// How often a model was loaded again after others had answered, and what that took.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelSwaps {
    /// The model that was loaded again.
    pub model: Option<Arc<str>>,
    /// The models that had answered in between.
    pub others: Vec<Arc<str>>,
    /// How many times.
    pub loads: u64,
    /// How long requests waited for it.
    pub load_ms: u64,
    /// What had to be read again because the cache was gone.
    pub again_tokens: u64,
}

impl Display for ModelSwaps {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} to {} came right after {} had answered in the same backend, which holds one model at a time",
            Count(self.loads, "request"),
            ModelName(&self.model),
            NameList(&self.others),
        )?;
        if self.load_ms > 0 {
            let who = by_number(self.loads, "it", "they");
            write!(f, "; {who} waited {} until the model was loaded again", Ms(self.load_ms))?;
        }
        write!(f, "{}", ReadAgain(self.again_tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check, check_with, find, speeds};
    use super::*;
    use crate::model::CacheUse;

    fn turns(models: &[&'static str]) -> Vec<Made> {
        let made = models.iter().zip(0..);
        made.map(|(model, at)| Made::new().at(at * 10_000).model(model).load(3_000)).collect()
    }

    #[test]
    fn two_loads_after_another_model_are_a_swap() {
        let RuleCheck::Found(found) = check(&ModelSwap, &turns(&["a", "b", "a"])) else { panic!() };
        assert_eq!(found.iter().filter_map(|one| one.cost_ms).sum::<u64>(), 6_000);
        assert_eq!(found[0].advice, Some(Advice::RoomForBoth));
    }

    #[test]
    fn a_cache_that_is_gone_is_a_swap_and_a_model_that_is_still_there_is_not() {
        let turns = |read_ms| {
            let lost = |at: i64| {
                Made::new()
                    .at(at * 10_000)
                    .prompt(9_000)
                    .read(9_000, read_ms)
                    .broke(Cause::ModelSwapped, 8_000)
            };
            let other = |at: i64| Made::new().at(at * 10_000).model("b").load(0);
            check_with(&ModelSwap, &[other(0), lost(1), other(2), lost(3)], |input| {
                input.speeds = speeds(CacheUse::Unknown);
            })
        };
        let RuleCheck::Found(found) = turns(18_000) else { panic!() };
        assert_eq!((found[0].requests.len(), found[0].cost_ms), (2, Some(32_000)));
        assert_eq!(turns(7_999), RuleCheck::Ok);
    }

    #[test]
    fn what_answered_in_between_is_seen_though_nothing_is_said_of_it() {
        let mut made = turns(&["a", "b", "a", "b", "a"]);
        for at in [1, 3] {
            made[at] = made[at].clone().background().beside();
        }
        let RuleCheck::Found(found) = check(&ModelSwap, &made) else { panic!() };
        let [one] = found.as_slice() else { panic!("of `a` alone: {found:?}") };
        assert_eq!((one.requests.len(), one.cost_ms), (2, Some(6_000)));
        assert_eq!(one.advice, Some(Advice::OneModel { main: "a".into() }));
        let made: Vec<Made> = made.into_iter().step_by(2).collect();
        assert_eq!(check(&ModelSwap, &made), RuleCheck::Ok, "alone, nothing came in between");
    }

    /// A recording that has no time to first token shows no loads.
    #[test]
    fn a_cache_that_is_empty_after_the_other_model_alone_is_a_swap() {
        let turn = |at: i64, cached| {
            let made = Made::new().at(at * 10_000).prompt(9_000).reusable(90).cached(cached, true);
            made.again(8_100 - i64::try_from(cached).unwrap()).load(0)
        };
        let other = |at: i64| Made::new().at(at * 10_000).model("b").load(0);
        let found = |in_turn| {
            let made = [
                turn(0, in_turn),
                turn(1, in_turn),
                other(2),
                turn(3, 0),
                other(4),
                turn(5, 0),
                other(6),
                turn(7, 0),
            ];
            find(&made).into_iter().map(|one| (one.kind, one.requests.len(), one.cost_ms)).collect::<Vec<_>>()
        };
        assert_eq!(found(8_100), [(FindingKind::ModelSwap, 3, None)]);
        assert_eq!(found(0), [(FindingKind::CacheUnused, 5, None)], "it is as empty after its own answers");
    }

    #[test]
    fn what_no_model_answered_did_not_come_in_between() {
        let with_nobody = |models| -> Vec<Made> {
            let made = turns(models).into_iter().zip(0..);
            made.flat_map(|(one, at)| [one, Made::new().at(at * 10_000 + 5_000).without_model()]).collect()
        };
        assert_eq!(check(&ModelSwap, &with_nobody(&["a", "a", "a"])), RuleCheck::Ok);
        let RuleCheck::Found(found) = check(&ModelSwap, &with_nobody(&["a", "b", "a"])) else { panic!() };
        assert_eq!(found.iter().filter_map(|one| one.cost_ms).sum::<u64>(), 6_000);
    }

    #[test]
    fn a_single_load_after_another_model_is_no_swap() {
        assert_eq!(check(&ModelSwap, &turns(&["a", "a", "b"])), RuleCheck::Ok);
    }

    #[test]
    fn background_requests_can_go_to_the_model_of_the_conversation() {
        let mut made = turns(&["a", "b", "a"]);
        made[1] = made[1].clone().background();
        let RuleCheck::Found(found) = check(&ModelSwap, &made) else { panic!() };
        assert_eq!(found[0].advice, Some(Advice::OneModel { main: "a".into() }));
    }
}
