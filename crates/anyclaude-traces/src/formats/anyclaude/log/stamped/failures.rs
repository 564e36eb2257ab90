//! Errors and timeouts, which name no request: which one they ended is settled once every
//! other end is known.

use super::super::keepalives::{self, Moment};
use super::super::limits::{EXACT_MS, LONGEST_MS, MAX_CANDIDATES, TIMER_LATE_MS};
use super::super::partial::PartialRequest;
use super::Stamped;
use crate::model::timing::Confidence;

/// The errors that a timeout causes follow it within this.
const ABORT_MS: i64 = 2_000;

/// An error's words are cut to this length.
const MAX_ERROR_BYTES: usize = 500;

/// The words of an error on one line, without control characters; `None` where there
/// are none.
pub(in super::super) fn error_words(words: &[u8]) -> Option<Box<str>> {
    let head = words.get(..4 * MAX_ERROR_BYTES).unwrap_or(words);
    let text = String::from_utf8_lossy(head);
    let mut kept = String::new();
    for character in text.trim().chars() {
        let character = if character.is_control() { ' ' } else { character };
        if kept.len() + character.len_utf8() > MAX_ERROR_BYTES {
            break;
        }
        kept.push(character);
    }
    let kept = kept.trim_end();
    (!kept.is_empty()).then(|| kept.into())
}

/// A line that logs the failure of a request, which it does not name.
#[derive(Debug, Clone)]
pub(super) enum Abort {
    /// One of the `fitting` requests, which had run so long, timed out.
    Timeout { logged: Moment, fitting: Vec<usize> },
    /// One of the requests that had started by then failed.
    Failure(Failure),
}

/// An error line.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    logged: Moment,
    label: Option<u32>,
    /// How many requests had started by then.
    started: usize,
    words: Option<Box<str>>,
    /// How many streams were open then, where the line names no request: one that
    /// completes later can have caused it as well.
    open_streams: usize,
}

impl Stamped {
    /// Notes that the proxy aborted a request that had run so long; `false` when none has.
    pub(in super::super) fn timeout(
        &mut self,
        label: u32,
        at: i64,
        after_ms: u64,
        partials: &[PartialRequest],
    ) -> bool {
        let start = at.saturating_sub(i64::try_from(after_ms).unwrap_or(i64::MAX));
        let range = (start.saturating_sub(TIMER_LATE_MS), 0)..=(start.saturating_add(EXACT_MS), usize::MAX);
        let mine = |index: &usize| partials.get(*index).is_some_and(|partial| partial.label == label);
        let near = self.open.range(range).rev().take(MAX_CANDIDATES);
        let fitting: Vec<usize> = near.map(|&(_, index)| index).filter(mine).collect();
        let fits = !fitting.is_empty() && self.aborts.len() <= 2 * self.open.len();
        if fits {
            self.aborts.push(Abort::Timeout { logged: self.keepalives.moment(at), fitting });
        }
        fits
    }

    /// An error line; `false` when no request is open that it could end.
    pub(in super::super) fn failure(
        &mut self,
        label: Option<u32>,
        at: i64,
        words: &[u8],
        partials: &[PartialRequest],
    ) -> bool {
        let started = partials.len();
        let near = self.open.iter().rev().take(MAX_CANDIDATES);
        let is_open = |(start, index): &&(i64, usize)| {
            at.saturating_sub(*start) <= LONGEST_MS
                && partials.get(*index).is_some_and(PartialRequest::is_streamed)
        };
        let open_streams = near.filter(is_open).count();
        let again = match self.aborts.last() {
            Some(Abort::Failure(last)) => label.is_none() && at.saturating_sub(last.logged.at) < ABORT_MS,
            _ => false,
        };
        let fits = !again && self.aborts.len() <= 2 * self.open.len();
        if fits {
            self.aborts.push(Abort::Failure(Failure {
                logged: self.keepalives.moment(at),
                label,
                started,
                words: error_words(words),
                open_streams,
            }));
        }
        fits || again
    }

    /// Adds a line that continues the last error.
    pub(in super::super) fn continue_failure(&mut self, text: &[u8]) {
        if let Some(Abort::Failure(Failure { words: Some(words), .. })) = self.aborts.last_mut()
            && words.len() < MAX_ERROR_BYTES
            && let Some(joined) = error_words(&[words.as_bytes(), b" ", text.trim_ascii()].concat())
        {
            *words = joined;
        }
    }

    /// Assigns each error that only one request can have had to that request, and returns
    /// the others. An error right after a timeout may be caused by the timeout.
    pub(super) fn settle_certain_failures(
        &mut self,
        failed: Vec<Abort>,
        late: &[Abort],
        partials: &mut [PartialRequest],
    ) -> Vec<Abort> {
        let timeouts: Vec<i64> = late
            .iter()
            .filter_map(|abort| match abort {
                Abort::Timeout { logged, .. } => Some(logged.at),
                Abort::Failure(_) => None,
            })
            .collect();
        let mut doubtful = Vec::new();
        for abort in failed {
            let Abort::Failure(failure) = &abort else { continue };
            let at = failure.logged.at;
            let before = timeouts.partition_point(|timeout| *timeout <= at);
            let last = before.checked_sub(1).and_then(|index| timeouts.get(index));
            let is_aftermath = last.is_some_and(|timeout| at.saturating_sub(*timeout) < ABORT_MS);
            let is_certain = !is_aftermath && (failure.label.is_some() || failure.open_streams <= 1);
            match (self.may_have_failed(failure, partials).as_slice(), abort) {
                (&[index], Abort::Failure(failure)) if is_certain => self.fail(index, failure, partials),
                (_, abort) => doubtful.push(abort),
            }
        }
        doubtful
    }

    /// Assigns a timeout to one of these: the one that started last, as timers are rarely
    /// late.
    pub(super) fn timed_out(
        &mut self,
        logged: Moment,
        mut fitting: Vec<usize>,
        timeouts: &mut Vec<(i64, usize)>,
        partials: &mut [PartialRequest],
    ) -> Option<Vec<usize>> {
        fitting.retain(|index| {
            partials.get(*index).is_some_and(|partial| !partial.timed_out && !partial.failed)
        });
        for prefer in [|partial: &PartialRequest| partial.end.is_none(), PartialRequest::is_streamed] {
            let preferred = |index: &usize| partials.get(*index).is_some_and(prefer);
            if fitting.iter().any(preferred) {
                fitting.retain(preferred);
            }
        }
        let &index = fitting.first()?;
        let partial = partials.get_mut(index)?;
        partial.timed_out = true;
        partial.aborted_at = Some(logged.at);
        keepalives::cut(index, logged, partials);
        if let Some(partial) = partials.get(index) {
            self.open.remove(&(partial.start, index));
        }
        timeouts.push((logged.at, index));
        Some(fitting)
    }

    /// Assigns an error to the first of the requests that it can have ended, and returns all
    /// of these.
    pub(super) fn failed(
        &mut self,
        failure: Failure,
        timeouts: &[(i64, usize)],
        partials: &mut [PartialRequest],
    ) -> Option<Vec<usize>> {
        let (at, label) = (failure.logged.at, failure.label);
        let mine = |partial: &PartialRequest| label.is_none_or(|label| partial.label == label);
        let before = timeouts.partition_point(|(timeout, _)| *timeout <= at);
        let aborted = timeouts.iter().take(before).rev().take(MAX_CANDIDATES).find(|(timeout, index)| {
            at.saturating_sub(*timeout) < ABORT_MS && partials.get(*index).is_some_and(mine)
        });
        if let Some(&(_, index)) = aborted {
            partials.get_mut(index)?.error = failure.words;
            return Some(vec![index]);
        }
        let fitting = self.may_have_failed(&failure, partials);
        let Some(&index) = fitting.first() else {
            // The error may belong to a stream that completed all the same.
            return (label.is_none() && failure.open_streams > 0).then(Vec::new);
        };
        let others_completed = label.is_none() && failure.open_streams > fitting.len();
        self.fail(index, failure, partials);
        if others_completed {
            partials.get_mut(index)?.lower_confidence(Confidence::Ambiguous);
        }
        Some(fitting)
    }

    /// The requests that can have failed with this error, those that started last first.
    fn may_have_failed(&self, failure: &Failure, partials: &[PartialRequest]) -> Vec<usize> {
        let Failure { logged: Moment { at, .. }, label, started, .. } = *failure;
        let mine = |partial: &PartialRequest| label.is_none_or(|label| partial.label == label);
        let range = (i64::MIN, 0)..=(at.saturating_add(EXACT_MS), usize::MAX);
        let earlier = self.open.range(range).rev().take(MAX_CANDIDATES).map(|&(_, index)| index);
        let mut fitting: Vec<usize> =
            earlier.filter(|&index| index < started && partials.get(index).is_some_and(mine)).collect();
        let streamed = |index: &usize| partials.get(*index).is_some_and(PartialRequest::is_streamed);
        if fitting.iter().any(streamed) || label.is_none() {
            fitting.retain(streamed);
        } else {
            let recent = |index: &usize| {
                partials.get(*index).is_some_and(|partial| at.saturating_sub(partial.start) < LONGEST_MS)
            };
            fitting.retain(recent);
        }
        fitting
    }

    fn fail(&mut self, index: usize, failure: Failure, partials: &mut [PartialRequest]) {
        let logged = failure.logged;
        if let Some(partial) = partials.get_mut(index) {
            partial.failed = true;
            partial.aborted_at = Some(logged.at);
            partial.error = failure.words;
            self.open.remove(&(partial.start, index));
        }
        keepalives::cut(index, logged, partials);
    }
}
