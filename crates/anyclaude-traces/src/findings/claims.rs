//! Which kind of finding may count a request's time as lost, so that none is counted twice.
//!
//! Two times can be claimed: all of a request that brought no answer (`Entry::claim`), and what
//! a request read again because its prompt broke (`Entry::loss`). Each is given to one kind, by
//! the order in which [`claim`] and [`loss`] ask.

use std::collections::{BTreeMap, HashMap};

use super::scene::{Entry, Scene};
use super::{FindingKind, compaction_loop, context_overflow, history_truncated};
use crate::analysis::prefix::Cause;
use crate::model::request::{Kind, Source};
use crate::model::timing::Outcome;

/// The same prompt after a longer time than this is not the same request sent again.
const MOST_WAIT_MS: i64 = 600_000;

/// Sets the claims of all entries.
pub(super) fn settle(scene: &mut Scene<'_>) {
    let again = sent_again(&scene.entries);
    for (at, next) in again {
        if let Some(entry) = scene.entries.get_mut(at) {
            entry.sent_again = Some(next);
        }
    }
    let claims: Vec<Option<FindingKind>> = scene.entries.iter().map(claim).collect();
    let loops = compaction_loop::continuations(&scene.entries);
    for (at, (entry, claim)) in scene.entries.iter_mut().zip(claims).enumerate() {
        entry.claim = claim;
        entry.loss = loss(entry, loops.contains(&at));
    }
}

/// The kind that may count the time of a request without an answer.
fn claim(entry: &Entry<'_>) -> Option<FindingKind> {
    match entry.timing().and_then(|timing| timing.outcome) {
        Some(Outcome::Disconnected | Outcome::TimedOut) => Some(FindingKind::GivenUp),
        Some(Outcome::Failed) if context_overflow::is_refused(entry) => Some(FindingKind::ContextOverflow),
        Some(Outcome::Failed) => Some(FindingKind::Failed),
        _ => entry.sent_again.map(|_| FindingKind::Retried),
    }
}

/// The kind that may count what a broken prompt lost.
fn loss(entry: &Entry<'_>, is_in_loop: bool) -> Option<FindingKind> {
    let cause = entry.cause()?;
    if history_truncated::truncation(entry).is_some() && !cause.is_new_prompt() {
        return Some(FindingKind::HistoryTruncated);
    }
    match cause {
        Cause::Evicted => Some(FindingKind::Evicted),
        Cause::ModelSwapped => Some(FindingKind::ModelSwap),
        Cause::VolatileOpening => Some(FindingKind::VolatileOpening),
        Cause::Compacted if is_in_loop => Some(FindingKind::CompactionLoop),
        _ if cause.is_new_prompt() => None,
        _ => Some(FindingKind::CacheBroken),
    }
}

/// For the index of each request without an answer that of the next one with the same prompt.
fn sent_again(entries: &[Entry<'_>]) -> BTreeMap<usize, usize> {
    let mut unanswered: HashMap<usize, usize> = HashMap::new();
    let mut again = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        let Some(body) = entry.prompt else { continue };
        if let Some(before) = unanswered.remove(&body)
            && let Some(earlier) = entries.get(before)
            && earlier.request.session == entry.request.session
            && entry.request.ms_since(earlier.request).is_some_and(|ms| ms <= MOST_WAIT_MS)
        {
            again.insert(before, at);
        }
        if is_unanswered(entry) {
            unanswered.insert(body, at);
        }
    }
    again
}

/// Whether a request is known to have brought no answer.
fn is_unanswered(entry: &Entry<'_>) -> bool {
    // Probes and token counts repeat the same prompt anyway.
    if !matches!(entry.request.kind, Kind::Conversation | Kind::Background) {
        return false;
    }
    let timing = entry.timing();
    match timing.and_then(|timing| timing.outcome) {
        Some(Outcome::Failed | Outcome::TimedOut | Outcome::Disconnected) => true,
        // A recorder between client and server saw the connection end before the answer was
        // complete. anyclaude's log may just lack the end.
        Some(Outcome::Unfinished) => {
            entry.request.source != Source::Anyclaude
                && timing.is_some_and(|timing| timing.total_ms.is_known())
        }
        Some(_) => false,
        // Only mode `claude` records answers.
        None => entry.request.mode.as_deref() == Some("claude") && entry.request.response.is_none(),
    }
}
