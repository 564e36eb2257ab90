//! Ends that are logged without a `[Request Complete]`: of replies in one piece, and of
//! clients that gave up. They are assigned once every other end is known.
//!
//! Every request logs `[streamText onFinish]` when its answer is complete, and every
//! streamed one `[Client Disconnect]` when its connection closes, whether it was done or
//! not. Neither names a request. So each line is first assigned to a completed stream whose
//! end it precedes (`onFinish`) or follows (`Client Disconnect`). Between the `onFinish` of a
//! stream and its end stands its part `finish-step`, at once after the former, while a busy
//! proxy logs the end seconds later. A line that is left over is evidence only where one
//! request alone can have caused it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::keepalives::{self, Moment};
use super::limits::{DRAIN_MS, EXACT_MS, LONGEST_MS};
use super::partial::PartialRequest;

/// Where several `onFinish` lines lie within this before one completion, any of them may
/// be its own.
const CLOSE_MS: i64 = 250;
/// A connection closes at most this long after its request has ended.
const CLOSING_MS: i64 = 10_000;
/// At most this many different finish reasons are kept for one run.
const MAX_REASONS: usize = 16;

/// A `[Client Disconnect]` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Close {
    pub(super) logged: Moment,
    /// How many `[Request Complete]` lines the log had before it.
    pub(super) completions: u64,
}

impl Close {
    /// Whether the request had ended by then. A request is logged as complete before its
    /// connection closes, so that the order of these lines tells what stamps of the same
    /// millisecond do not.
    fn follows(self, partial: &PartialRequest) -> bool {
        match &partial.end {
            Some(end) => end.number < self.completions,
            None => partial.ended_at().is_some_and(|end| end <= self.logged.at.saturating_add(EXACT_MS)),
        }
    }
}

/// The lines of one run that log such ends.
#[derive(Debug, Default, Clone)]
pub(super) struct Ends {
    closes: Vec<Close>,
    /// Stamps of the `onFinish` lines, each with the index of its finish reason.
    finishes: Vec<(i64, u8)>,
    /// Stamps of the parts `finish-step`.
    finish_steps: Vec<i64>,
    reasons: Vec<Arc<str>>,
}

impl Ends {
    /// A connection was closed.
    pub(super) fn closed(&mut self, close: Close) {
        self.closes.push(close);
    }

    /// A stream came to its `finish-step` at `at`, if the line is one.
    pub(super) fn finish_step(&mut self, at: Option<i64>) {
        self.finish_steps.extend(at);
    }

    /// An answer was complete at `at`.
    pub(super) fn finished(&mut self, at: i64, reason: &str) {
        let number = self.reasons.iter().position(|known| &**known == reason).unwrap_or(self.reasons.len());
        if number == self.reasons.len() && number < MAX_REASONS {
            self.reasons.push(reason.into());
        }
        self.finishes.push((at, u8::try_from(number).unwrap_or(u8::MAX)));
    }

    /// Assigns all of them to requests.
    pub(super) fn settle(mut self, partials: &mut [PartialRequest]) {
        self.finishes.sort_unstable();
        self.closes.sort_unstable();
        let left = self.settle_streams(partials);
        settle_whole_replies(&left, partials);
        self.settle_closes(partials);
    }

    /// Assigns to each completed stream the last `onFinish` before its end. Returns the
    /// stamps of those that no stream can have caused.
    fn settle_streams(&self, partials: &mut [PartialRequest]) -> Vec<i64> {
        let mut unused: BTreeSet<(i64, usize)> =
            self.finishes.iter().enumerate().map(|(index, (at, _))| (*at, index)).collect();
        let mut steps: BTreeSet<(i64, usize)> =
            self.finish_steps.iter().enumerate().map(|(index, at)| (*at, index)).collect();
        let mut contested = BTreeSet::new();
        for (end, index) in by_end(partials) {
            let mut until = (end.saturating_add(EXACT_MS), usize::MAX);
            let Some(partial) = partials.get_mut(index) else { continue };
            let from = (end.saturating_sub(DRAIN_MS).max(partial.start), 0);
            if from > until {
                continue;
            }
            if let Some(&step) = steps.range(from..=until).next_back() {
                steps.remove(&step);
                until.0 = until.0.min(step.0.saturating_add(EXACT_MS));
            }
            let Some(&(at, finish)) = unused.range(from..=until).next_back() else { continue };
            let near: Vec<(i64, usize)> =
                unused.range((at.saturating_sub(CLOSE_MS), 0)..=until).copied().collect();
            let reason = |finish: usize| self.finishes.get(finish).map(|(_, reason)| *reason);
            if near.iter().all(|(_, other)| reason(*other) == reason(finish)) {
                let words = reason(finish).and_then(|reason| self.reasons.get(usize::from(reason)));
                partial.facts.finish_reason = words.cloned();
            }
            if near.len() > 1 {
                contested.extend(near);
            }
            unused.remove(&(at, finish));
        }
        unused.difference(&contested).map(|(at, _)| *at).collect()
    }

    /// A close that follows the end of no request is a client that gave up. It ends a request
    /// where that was the only one open.
    fn settle_closes(&self, partials: &mut [PartialRequest]) {
        let mut starts: Vec<(i64, usize)> = Vec::new();
        for (index, partial) in partials.iter().enumerate().filter(|(_, partial)| partial.is_streamed()) {
            starts.push((partial.start, index));
        }
        starts.sort_unstable();
        let (mut starts, mut open) = (starts.into_iter().peekable(), Vec::new());
        for &close in &self.closes {
            let at = close.logged.at;
            while let Some((_, index)) = starts.next_if(|(start, _)| *start <= at) {
                open.push(index);
            }
            let end_of = |index: usize| partials.get(index).and_then(PartialRequest::ended_at);
            let ended = |index: &usize| partials.get(*index).is_some_and(|partial| close.follows(partial));
            open.retain(|&index| match (end_of(index), partials.get(index)) {
                (Some(end), _) => at.saturating_sub(end) <= CLOSING_MS,
                (None, Some(partial)) => at.saturating_sub(partial.start) <= LONGEST_MS,
                (None, None) => false,
            });
            let earliest = (0..open.len())
                .filter(|place| open.get(*place).is_some_and(ended))
                .min_by_key(|place| open.get(*place).and_then(|index| end_of(*index)));
            if let Some(place) = earliest {
                open.remove(place);
            } else if let [index] = open[..]
                && end_of(index).is_none()
            {
                open.clear();
                if let Some(partial) = partials.get_mut(index) {
                    partial.disconnected = Some(at);
                }
                keepalives::cut(index, close.logged, partials);
            }
        }
    }
}

/// Completed streams by the time of their end.
fn by_end(partials: &[PartialRequest]) -> Vec<(i64, usize)> {
    let end = |(index, partial): (usize, &PartialRequest)| {
        let ms = partial.end.as_ref()?.ms;
        Some((partial.start.saturating_add(ms), index))
    };
    let mut ends: Vec<(i64, usize)> = partials.iter().enumerate().filter_map(end).collect();
    ends.sort_unstable();
    ends
}

/// Ends replies in one piece by the `onFinish` lines that no stream can have caused.
///
/// Where only one request waits, the line is its own. Where several wait, any of them may
/// have caused it; but each causes one such line at most, so after as many lines as there
/// are requests all of them have ended. A stream that has no end of its own counts among
/// those that wait, and gets no end here.
fn settle_whole_replies(finishes: &[i64], partials: &mut [PartialRequest]) {
    let waits = |partial: &PartialRequest| partial.end.is_none() && (partial.sent || partial.is_streamed());
    let mut starts: Vec<(i64, usize)> = partials
        .iter()
        .enumerate()
        .filter(|(_, partial)| waits(partial))
        .map(|(index, partial)| (partial.start, index))
        .collect();
    starts.sort_unstable();
    let (mut starts, mut open) = (starts.into_iter().peekable(), Vec::new());
    // At least so many of the open requests have ended.
    let mut ended: usize = 0;
    for &at in finishes {
        while let Some((_, index)) = starts.next_if(|(start, _)| *start <= at) {
            open.push(index);
        }
        let before = open.len();
        open.retain(|&index: &usize| {
            partials.get(index).is_some_and(|partial| {
                at.saturating_sub(partial.start) <= LONGEST_MS
                    && partial.ended_at().is_none_or(|end| end > at)
            })
        });
        // Each that is gone may have caused one of the earlier lines.
        ended = ended.saturating_sub(before - open.len()) + 1;
        if let [index] = open[..]
            && let Some(partial) = partials.get_mut(index).filter(|partial| !partial.is_streamed())
        {
            partial.whole_reply_at = Some(at);
            open.clear();
        } else if ended >= open.len() {
            open.retain(|&index| {
                let partial = partials.get_mut(index).filter(|partial| !partial.is_streamed());
                partial.map(|partial| partial.ended_by = Some(at)).is_none()
            });
        }
        ended = ended.min(open.len());
    }
}

#[cfg(test)]
mod tests;
