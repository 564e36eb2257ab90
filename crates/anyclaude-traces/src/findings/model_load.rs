//! A request waited until the model was loaded.
//!
//! Condition: load parts of requests that `model_swap` does not account for. Cost: these parts,
//! and the time to read again what the loads emptied the cache of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::model_swap::{self, finds_cache};
use super::scene::{self, Entry, Scene, finding, sum_whole};
use super::words::{Count, ModelName, Ms, TokenCount, by_number};
use super::{Advice, CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck};
use crate::analysis::prefix::Cause;
use crate::model::request::Source;
use crate::model::timing::Outcome;

/// A shorter pause before a load is not named as its reason.
const LEAST_IDLE_MS: i64 = 60_000;
/// A shorter load part is no finding: it is the end of a load that began before the request.
const LEAST_LOAD_MS: u64 = 100;

pub(super) struct ModelLoad;

impl Rule for ModelLoad {
    fn kind(&self) -> FindingKind {
        FindingKind::ModelLoad
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        if scene.entries.iter().all(|entry| loaded_ms(entry).is_none()) {
            return RuleCheck::NotEnoughData;
        }
        let swaps: BTreeSet<usize> = model_swap::swaps(scene).values().flatten().copied().collect();
        let loads = scene.entries.iter().enumerate().filter(|(at, entry)| {
            loaded_ms(entry).is_some_and(|ms| ms >= LEAST_LOAD_MS) && !swaps.contains(at)
        });
        let mut models: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (at, entry) in loads {
            models.entry(entry.model.clone()).or_default().push(at);
        }
        let found: Vec<Finding> = models.into_values().map(|loads| build_finding(scene, &loads)).collect();
        RuleCheck::of(found)
    }
}

fn build_finding(scene: &Scene<'_>, loads: &[usize]) -> Finding {
    let entries: Vec<&Entry<'_>> = loads.iter().filter_map(|at| scene.entries.get(*at)).collect();
    let mut reasons: Vec<(LoadReason, u64)> = Vec::new();
    for &at in loads {
        let reason = reason(scene, at);
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, n)) => *n += 1,
            None => reasons.push((reason, 1)),
        }
    }
    let advice = advice(&reasons);
    let (load_ms, again_tokens) = (load_ms(&entries), again_tokens(&entries));
    let evidence = Evidence::ModelLoad(ModelLoads {
        model: entries.first().and_then(|entry| entry.model.clone()),
        reasons,
        load_ms,
        again_tokens,
    });
    let mut found = finding(FindingKind::ModelLoad, entries.iter().copied(), evidence)
        .costing(cost(scene, &entries), basis(&entries));
    found.advice = advice;
    found
}

/// What would have spared loads for these reasons.
fn advice(reasons: &[(LoadReason, u64)]) -> Option<Advice> {
    // What failed has its own advice.
    let mut others =
        reasons.iter().map(|(reason, _)| *reason).filter(|reason| *reason != LoadReason::Failure);
    let first = others.next()?;
    // A model that gives way to another one does not stay loaded, however long it may.
    if first == LoadReason::OtherModel && others.clone().all(|reason| reason == LoadReason::OtherModel) {
        return Some(Advice::RoomForBoth);
    }
    let idle_minutes = std::iter::once(first).chain(others).filter_map(|reason| match reason {
        LoadReason::Idle { minutes } => Some(minutes),
        _ => None,
    });
    Some(Advice::KeepLoaded { idle_minutes: idle_minutes.max() })
}

/// Why the model had to be loaded.
fn reason(scene: &Scene<'_>, at: usize) -> LoadReason {
    let Some(entry) = scene.entries.get(at) else { return LoadReason::Unknown };
    let before = scene.before(at);
    if before.is_some_and(|before| before.model != entry.model) {
        return LoadReason::OtherModel;
    }
    if before
        .is_some_and(|before| before.timing().is_some_and(|timing| timing.outcome == Some(Outcome::Failed)))
    {
        return LoadReason::Failure;
    }
    let idle = before.and_then(|before| Some(entry.start()?.ms_since(before.end()?)));
    match idle {
        Some(ms) if ms >= LEAST_IDLE_MS => {
            LoadReason::Idle { minutes: u64::try_from(ms / 60_000).unwrap_or(0) }
        }
        _ if entry.request.concurrency().is_some_and(|concurrency| concurrency.cold_start) => first(entry),
        None => first(entry),
        Some(_) => LoadReason::Unknown,
    }
}

/// The reason of a load before the first request: of the proxy's process, or of the recording.
fn first(entry: &Entry<'_>) -> LoadReason {
    match entry.request.source {
        Source::Anyclaude => LoadReason::ProcessStart,
        _ => LoadReason::FirstRecorded,
    }
}

/// How long a request waited for a load, in milliseconds.
pub(super) fn loaded_ms(entry: &Entry<'_>) -> Option<u64> {
    entry.timing()?.load_ms.get()
}

/// How long these waited for a load in all, in milliseconds.
pub(super) fn load_ms(entries: &[&Entry<'_>]) -> u64 {
    sum_whole(entries.iter().map(|entry| loaded_ms(entry))).unwrap_or(0)
}

/// The tokens that these had to read again because a load had emptied the cache.
pub(super) fn again_tokens(entries: &[&Entry<'_>]) -> u64 {
    entries.iter().map(|entry| lost_by_load(entry)).sum()
}

fn lost_by_load(entry: &Entry<'_>) -> u64 {
    // The cache was still there: what came with the load was another model, or a cache that the
    // server keeps.
    if finds_cache(entry) == Some(true) {
        return 0;
    }
    let swapped = (entry.cause() == Some(Cause::ModelSwapped)).then(|| entry.lost_tokens()).flatten();
    swapped.unwrap_or(0).max(entry.again_tokens())
}

/// The milliseconds that loading and reading again took.
pub(super) fn cost(scene: &Scene<'_>, entries: &[&Entry<'_>]) -> Option<u64> {
    let again = scene.sum_reading_ms(entries.iter().map(|entry| (*entry, lost_by_load(entry))));
    match (load_ms(entries), again) {
        // Without a reading speed, the only part of the cost is unknown.
        (0, None) if again_tokens(entries) > 0 => None,
        (load_ms, again) => Some(load_ms + again.unwrap_or(0)),
    }
}

/// The basis of [`cost`]: reading again is counted by the fitted speed.
pub(super) fn basis(entries: &[&Entry<'_>]) -> CostBasis {
    if again_tokens(entries) == 0 { scene::basis(entries) } else { CostBasis::Fitted }
}

/// How long requests waited for a model to be loaded, and why.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelLoads {
    /// The model.
    pub model: Option<Arc<str>>,
    /// How many requests waited for a load, by what came before it.
    pub reasons: Vec<(LoadReason, u64)>,
    /// How long they waited.
    pub load_ms: u64,
    /// What had to be read again because the load emptied the cache.
    pub again_tokens: u64,
}

/// Why a model had to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LoadReason {
    /// It was the first request of a process.
    ProcessStart,
    /// It was the first request of a recording that no proxy made.
    FirstRecorded,
    /// Nothing had been asked for so many minutes.
    Idle {
        /// Whole minutes.
        minutes: u64,
    },
    /// Another model had answered.
    OtherModel,
    /// The request before it had failed.
    Failure,
    /// Nothing tells.
    Unknown,
}

impl Display for ModelLoads {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let loads: u64 = self.reasons.iter().map(|(_, n)| n).sum();
        write!(
            f,
            "{} waited {}{} until {} was loaded: ",
            Count(loads, "request"),
            Ms(self.load_ms),
            by_number(loads, "", " in all"),
            ModelName(&self.model)
        )?;
        for (at, (reason, n)) in self.reasons.iter().enumerate() {
            let joint = if at == 0 { "" } else { ", " };
            let times = if loads > 1 { format!("{n} × ") } else { String::new() };
            write!(f, "{joint}{times}{reason}")?;
        }
        write!(f, "{}", ReadAgain(self.again_tokens))
    }
}

impl Display for LoadReason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProcessStart => f.write_str("at the first request after the proxy started"),
            Self::FirstRecorded => f.write_str("at the first request of the recording"),
            Self::Idle { minutes } => write!(f, "after {} of idleness", Count(*minutes, "minute")),
            Self::OtherModel => f.write_str("after another model had answered"),
            Self::Failure => f.write_str("after a request had failed"),
            Self::Unknown => f.write_str("for a reason that no log tells"),
        }
    }
}

/// The end of a sentence about loads: so many tokens had to be read again, if any.
pub(super) struct ReadAgain(pub(super) u64);

impl Display for ReadAgain {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("."),
            tokens => {
                write!(f, "; the prompt cache was gone, and {} had to be read again.", TokenCount(tokens))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check, check_with, speeds};
    use super::*;
    use crate::model::CacheUse;

    #[test]
    fn a_load_after_idleness_is_named_and_what_the_cache_lost_counted() {
        let made =
            [Made::new().at(0), Made::new().at(40 * 60_000).load(9_000).again(2_000).read(4_000, 2_500)];
        let found = check_with(&ModelLoad, &made, |input| input.speeds = speeds(CacheUse::Reuses));
        let RuleCheck::Found(found) = found else { panic!() };
        // 2,000 tokens would take 4 s; it read for 2.5 s in all.
        assert_eq!(found[0].cost_ms, Some(9_000 + 2_500));
        assert_eq!(found[0].advice, Some(Advice::KeepLoaded { idle_minutes: Some(39) }));
    }

    /// The backend's own count outranks what the load makes likely.
    #[test]
    fn a_load_that_left_the_cache_has_emptied_none() {
        let loaded = |cached| {
            let made = Made::new().load(9_000).prompt(9_000).reusable(90).again(100).cached(cached, true);
            let RuleCheck::Found(found) = check(&ModelLoad, &[Made::new().at(0), made]) else { panic!() };
            found[0].evidence.to_string()
        };
        assert!(!loaded(8_000).contains("the prompt cache was gone"), "{}", loaded(8_000));
        assert!(loaded(0).contains("the prompt cache was gone"), "{}", loaded(0));
    }

    #[test]
    fn a_load_after_a_crash_is_not_to_be_ended_by_keeping_the_model() {
        let made = [Made::new(), Made::new().failed("The model has crashed"), Made::new().load(22_000)];
        let RuleCheck::Found(found) = check(&ModelLoad, &made) else { panic!() };
        assert!(
            found[0].evidence.to_string().contains("after a request had failed"),
            "{}",
            found[0].evidence
        );
        assert_eq!(found[0].advice, None);
    }

    #[test]
    fn a_model_that_gave_way_to_another_is_not_kept_by_waiting_longer() {
        let advice = |made: &[Made]| {
            let RuleCheck::Found(found) = check(&ModelLoad, made) else { panic!() };
            found[0].advice.clone()
        };
        let (other, loaded) = (Made::new().at(0).model("b"), Made::new().at(40_000).load(3_000));
        assert_eq!(advice(&[other.clone(), loaded.clone()]), Some(Advice::RoomForBoth));
        let idle = Made::new().at(400_000).load(3_000);
        assert_eq!(advice(&[other, loaded, idle]), Some(Advice::KeepLoaded { idle_minutes: Some(5) }));
    }

    #[test]
    fn the_end_of_a_load_that_nobody_noticed_is_none() {
        let load = |ms| check(&ModelLoad, &[Made::new().at(0).load(ms).measured()]);
        assert_eq!(load(99), RuleCheck::Ok);
        assert_ne!(load(100), RuleCheck::Ok);
    }

    #[test]
    fn a_load_in_the_servers_log_is_measured() {
        let basis = |made: Made| {
            let RuleCheck::Found(found) = check(&ModelLoad, &[Made::new().at(0), made]) else { panic!() };
            found[0].cost_basis
        };
        let loaded = Made::new().at(40 * 60_000).load(9_000);
        assert_eq!(basis(loaded.clone()), Some(CostBasis::Fitted));
        assert_eq!(basis(loaded.clone().measured()), Some(CostBasis::Measured));
        assert_eq!(basis(loaded.measured().again(2_000)), Some(CostBasis::Fitted));
    }

    #[test]
    fn requests_without_loads_are_no_finding_and_unknown_ones_not_enough_data() {
        assert_eq!(check(&ModelLoad, &[Made::new().load(0)]), RuleCheck::Ok);
        assert_eq!(check(&ModelLoad, &[Made::new()]), RuleCheck::NotEnoughData);
    }

    #[test]
    fn loads_of_models_that_take_turns_are_left_to_the_other_rule() {
        let turn = |at: i64, model: &'static str| Made::new().at(at * 10_000).model(model).load(3_000);
        let made = [turn(0, "a"), turn(1, "b"), turn(2, "a"), turn(3, "b"), turn(4, "a")];
        let RuleCheck::Found(found) = check(&ModelLoad, &made) else { panic!() };
        assert_eq!(found.iter().map(|one| one.requests.len()).sum::<usize>(), 1);
    }
}
