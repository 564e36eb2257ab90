//! How attempts ended that no event ends.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::attempt::{Attempt, ByTime, StartSource};
use crate::formats::claude_code::Interaction;
use crate::model::time::Timestamp;
use crate::model::timing::Outcome;

/// The longest turn that an end is looked for in.
const LONGEST_TURN_MS: i64 = 24 * 60 * 60 * 1000;

/// How an attempt ended, and when, as far as is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct AttemptOutcome {
    pub(super) outcome: Option<Outcome>,
    /// When it was interrupted.
    pub(super) interrupted: Option<Timestamp>,
}

/// How each attempt ended.
///
/// Claude Code logs no end of an attempt that failed and was tried again, nor of one that
/// was interrupted. The last of its process that has none was interrupted: whatever had
/// come after a failure would have been logged.
pub(super) fn of(attempts: &[Attempt], interactions: &[&Interaction]) -> Vec<AttemptOutcome> {
    let last = last_of_each_process(attempts);
    let newest = newest_unlogged(attempts);
    let turns =
        ByTime::new(interactions.iter().enumerate().map(|(place, turn)| (&turn.session, turn.end, place)));
    let ended = |(place, attempt): (usize, &Attempt)| {
        let outcome = match (&attempt.end, attempt.source) {
            (Some(end), _) if end.has_failed => Some(Outcome::Failed),
            (Some(_), _) => Some(Outcome::Completed),
            (None, StartSource::Event) if last.contains(&place) => Some(Outcome::Disconnected),
            (None, StartSource::Event | StartSource::Span) => Some(Outcome::Failed),
            (None, _) => newest.contains(&place).then_some(Outcome::Disconnected),
        };
        let interrupted = attempt.started.filter(|_| outcome == Some(Outcome::Disconnected));
        let interrupted = interrupted.and_then(|started| {
            let after = started..=started.plus_ms(LONGEST_TURN_MS);
            let turns = turns.within(&attempt.caller.session, after);
            let around =
                turns.filter(|(_, turn)| interactions.get(*turn).is_some_and(|turn| turn.start <= started));
            around.map(|(end, _)| end).min()
        });
        AttemptOutcome { outcome, interrupted }
    };
    attempts.iter().enumerate().map(ended).collect()
}

/// The last attempt of each process and source of requests.
fn last_of_each_process(attempts: &[Attempt]) -> HashSet<usize> {
    type ProcessKey<'a> = (&'a Option<Arc<str>>, Option<u32>, &'a Option<Arc<str>>);
    let mut last: BTreeMap<ProcessKey<'_>, (Option<Timestamp>, usize)> = BTreeMap::new();
    for (place, attempt) in attempts.iter().enumerate().filter(|(_, attempt)| attempt.process.is_some()) {
        let key = (&attempt.caller.session, attempt.process, &attempt.caller.query_source);
        let newest = last.entry(key).or_insert((attempt.started, place));
        *newest = (*newest).max((attempt.started, place));
    }
    last.into_values().map(|(_, place)| place).collect()
}

/// Of each session with events, the body that was written after all of them: a process that
/// is killed loses its last events, and not its bodies.
fn newest_unlogged(attempts: &[Attempt]) -> HashSet<usize> {
    let mut newest: BTreeMap<&Option<Arc<str>>, (Option<Timestamp>, usize)> = BTreeMap::new();
    let mut logged: HashSet<&Option<Arc<str>>> = HashSet::new();
    for (place, attempt) in attempts.iter().enumerate() {
        if attempt.process.is_some() {
            logged.insert(&attempt.caller.session);
        }
        let at = attempt.started.max(attempt.end.as_ref().and_then(|end| end.at));
        let entry = newest.entry(&attempt.caller.session).or_insert((at, place));
        *entry = (*entry).max((at, place));
    }
    newest.into_iter().filter(|(session, _)| logged.contains(session)).map(|(_, (_, place))| place).collect()
}
