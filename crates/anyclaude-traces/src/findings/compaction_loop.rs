//! A conversation is compacted again and again.
//!
//! Condition: [`LEAST_CONTINUATIONS`] continuations from a summary or more in one session,
//! each within [`MOST_TURNS`] turns of the last (or of the session's beginning). Cost: what
//! each continuation had to read behind the first difference, and the request that wrote
//! the summary.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use super::history_truncated::truncation;
use super::scene::{Entry, Scene, finding, sum_whole};
use super::words::{Count, Ms, TokenCount};
use super::{Advice, CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck};
use crate::analysis::prefix::Cause;

const LEAST_CONTINUATIONS: usize = 2;
const MOST_TURNS: u64 = 10;

pub(super) struct CompactionLoop;

impl Rule for CompactionLoop {
    fn kind(&self) -> FindingKind {
        FindingKind::CompactionLoop
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        if scene.entries.iter().all(|entry| entry.cached.is_none()) {
            return RuleCheck::NotEnoughData;
        }
        let found: Vec<Finding> =
            loops(&scene.entries).iter().filter_map(|one| build_finding(scene, one)).collect();
        RuleCheck::of(found)
    }
}

/// The continuations of one session, each with the turns since the last.
#[derive(Debug, Default)]
struct Loop {
    continuations: Vec<(usize, u64)>,
}

fn build_finding(scene: &Scene<'_>, one: &Loop) -> Option<Finding> {
    let places = || one.continuations.iter().map(|(at, _)| *at);
    let entries: Vec<&Entry<'_>> = places().filter_map(|at| scene.entries.get(at)).collect();
    let read = || entries.iter().filter_map(|entry| Some((*entry, entry.tokens_behind_difference()?)));
    let read_ms = scene.sum_reading_ms(read());
    let summary_ms = sum_whole(places().map(|at| summary_ms(scene, at)));
    let begins_with = entries.iter().filter_map(|entry| entry.prompt_tokens()).max();
    let evidence = Evidence::CompactionLoop(RepeatedCompaction {
        continuations: entries.len() as u64,
        within_turns: one.continuations.iter().map(|(_, turns)| *turns).max()?,
        tokens: sum_whole(read().map(|(_, tokens)| Some(tokens))),
        read_ms,
        summary_ms,
    });
    let cost = sum_whole([read_ms, summary_ms]);
    let mut found = finding(FindingKind::CompactionLoop, entries, evidence).costing(cost, CostBasis::Fitted);
    found.advice = Some(Advice::RoomBetweenCompactions { begins_with_tokens: begins_with });
    Some(found)
}

/// Which of these entries are continuations in a loop.
pub(super) fn continuations(entries: &[Entry<'_>]) -> BTreeSet<usize> {
    loops(entries).iter().flat_map(|one| one.continuations.iter().map(|(at, _)| *at)).collect()
}

fn loops(entries: &[Entry<'_>]) -> Vec<Loop> {
    // To group all requests by session, twice, took a twentieth of `summary`'s time after reading.
    if !entries.iter().any(|entry| entry.cause() == Some(Cause::Compacted)) {
        return Vec::new();
    }
    let mut sessions: BTreeMap<_, (u64, Vec<Loop>)> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.is_conversation()) {
        let (turns, loops) = sessions.entry(&entry.request.session).or_insert_with(|| (0, Vec::new()));
        // A history that the proxy cut belongs to `history_truncated`.
        if entry.cause() == Some(Cause::Compacted) && truncation(entry).is_none() {
            if *turns > MOST_TURNS || loops.is_empty() {
                loops.push(Loop::default());
            }
            if *turns <= MOST_TURNS
                && let Some(one) = loops.last_mut()
            {
                one.continuations.push((at, *turns));
            }
            *turns = 0;
        }
        *turns += 1;
    }
    let loops = sessions.into_values().flat_map(|(_, loops)| loops);
    loops.filter(|one| one.continuations.len() >= LEAST_CONTINUATIONS).collect()
}

/// How long the request took that wrote the summary from which the one at `at` goes on:
/// the last of the session before it.
pub(super) fn summary_ms(scene: &Scene<'_>, at: usize) -> Option<u64> {
    let timing = scene.before_in_session(at)?.timing()?;
    timing.wall_ms.or(timing.total_ms).get()
}

/// How often a conversation was compacted, and what that took.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RepeatedCompaction {
    /// How many continuations.
    pub continuations: u64,
    /// After how many turns each, at most.
    pub within_turns: u64,
    /// What they had to read.
    pub tokens: Option<u64>,
    /// How long that took.
    pub read_ms: Option<u64>,
    /// How long the summaries took.
    pub summary_ms: Option<u64>,
}

impl Display for RepeatedCompaction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "A conversation was replaced by its summary {}, each time within {} of the last",
            Count(self.continuations, "time"),
            Count(self.within_turns, "turn"),
        )?;
        if let Some(tokens) = self.tokens {
            write!(f, "; what follows the summary had to be read anew, {}", TokenCount(tokens))?;
            self.read_ms.map_or(Ok(()), |ms| write!(f, " in {}", Ms(ms)))?;
        }
        if let Some(ms) = self.summary_ms {
            write!(f, "; writing the summaries took {}", Ms(ms))?;
        }
        f.write_str(".")
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check_with, find_with, speeds};
    use super::*;
    use crate::model::CacheUse;

    /// Sessions in which every so many turns a summary takes the place of the history.
    fn session(continuations: usize, turns: usize) -> Vec<Made> {
        let turn = || Made::new().prompt(10_000).read(1_000, 2_000).times(0, 5_000);
        let mut made = vec![turn(); turns];
        for _ in 0..continuations {
            made.push(turn().read(8_000, 16_000).broke(Cause::Compacted, 100));
            made.extend(vec![turn(); turns - 1]);
        }
        made
    }

    fn check(made: &[Made]) -> RuleCheck {
        check_with(&CompactionLoop, made, |input| input.speeds = speeds(CacheUse::Reuses))
    }

    #[test]
    fn two_continuations_within_ten_turns_each_show_it() {
        let RuleCheck::Found(found) = check(&session(2, 10)) else { panic!() };
        assert_eq!((found[0].requests.len(), found[0].cost_ms), (2, Some(2 * (16_000 + 5_000))));
        assert_eq!(check(&session(1, 10)), RuleCheck::Ok);
        assert_eq!(check(&session(3, 11)), RuleCheck::Ok);
    }

    #[test]
    fn a_history_that_the_proxy_cuts_is_no_loop() {
        let made: Vec<Made> = session(3, 3).into_iter().map(|turn| turn.truncated(4, 8_192)).collect();
        assert_eq!(check(&made), RuleCheck::Ok);
    }

    #[test]
    fn the_loop_alone_accounts_for_its_continuations() {
        let found = find_with(&session(2, 3), |input| input.speeds = speeds(CacheUse::Reuses));
        assert!(found.iter().all(|one| one.kind != FindingKind::CacheBroken), "{found:?}");
    }
}
