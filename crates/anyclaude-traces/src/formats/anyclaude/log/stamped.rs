//! Ties lines to requests in logs whose lines carry stamps.
//!
//! The proxy measures durations and takes stamps with the same clock, and logs at once. So
//! the stamp of an end less its duration is the start of its request, within a millisecond
//! or two, even where the clock was set in the meantime.

use std::collections::{BTreeSet, VecDeque};

use super::ends::Ends;
use super::events::Events;
use super::keepalives::{self, Keepalives};
use super::limits::{DRAIN_MS, EXACT_MS, LONGEST_MS, MAX_CANDIDATES, TIMER_LATE_MS};
use super::partial::{End, FirstPart, PartialRequest};
use super::parts::{Claim, EndedStream, Parts, Settled};
use crate::model::timing::Confidence;

/// A line may be logged this late where the process was interrupted between measuring and
/// logging; accepted only if exactly one request fits.
const LATE_MS: i64 = 50;
/// The errors that a timeout causes follow it within this.
const ABORT_MS: i64 = 2_000;

/// An error's words are cut to this length.
const MAX_ERROR_BYTES: usize = 500;

/// The words of an error on one line, without control characters; `None` where there
/// are none.
pub(super) fn error_words(words: &[u8]) -> Option<Box<str>> {
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

/// The state of one run: its open requests and the lines not yet assigned.
#[derive(Debug, Default)]
pub(super) struct Stamped {
    /// All requests, by start.
    starts: BTreeSet<(i64, usize)>,
    /// Requests without an end, by start.
    open: BTreeSet<(i64, usize)>,
    /// The latest requests whose stream has not begun.
    starting: Vec<usize>,
    keepalives: Keepalives,
    pub(super) parts: Parts,
    /// `Stream complete` lines without their `[Request Complete]` yet: stamp, number of parts,
    /// the stream.
    stream_ends: VecDeque<(i64, u64, EndedStream)>,
    /// The request whose first token was the line before this one.
    pub(super) after_first_token: Option<usize>,
    /// The events of the open streams.
    pub(super) events: Events,
    pub(super) ends: Ends,
    /// Timeouts and errors, assigned once every end is known.
    aborts: Vec<Abort>,
    /// The request that completed last, which the usage line after it belongs to.
    pub(super) last_complete: Option<usize>,
}

/// A line that logs the failure of a request, which it does not name.
#[derive(Debug)]
enum Abort {
    /// One of the `fitting` requests, which had run so long, timed out.
    Timeout { at: i64, fitting: Vec<usize> },
    /// One of the requests that had started by then failed.
    Failure(Failure),
}

/// An error line.
#[derive(Debug)]
struct Failure {
    at: i64,
    label: Option<u32>,
    /// How many requests had started by then.
    started: usize,
    words: Option<Box<str>>,
    /// How many streams were open then, where the line names no request: one that
    /// completes later can have caused it as well.
    open_streams: usize,
}

impl Stamped {
    pub(super) fn start(&mut self, index: usize, start: i64) {
        self.starts.insert((start, index));
        self.open.insert((start, index));
        if self.starting.len() == MAX_CANDIDATES {
            self.starting.remove(0);
        }
        self.starting.push(index);
    }

    /// Assigns the line that a stream began to the latest start, which precedes it closely.
    pub(super) fn streaming(&mut self, label: u32, at: i64, partials: &mut [PartialRequest]) -> bool {
        let fits = |index: &usize| partials.get(*index).is_some_and(|partial| partial.label == label);
        let asks_more = |index: &usize| fits(index) && partials.get(*index).is_some_and(|p| !p.is_probe());
        let likely = self.starting.iter().rposition(asks_more);
        let Some(place) = likely.or_else(|| self.starting.iter().rposition(fits)) else { return false };
        let index = self.starting.remove(place);
        let Some(partial) = partials.get_mut(index) else { return false };
        partial.stream_start = Some(at);
        if partial.end.is_none() && partial.first_token_ms.is_none() {
            self.keepalives.wait(index, partial);
        }
        true
    }

    /// Requests without an end that started `ms` before `at`.
    fn started(&self, at: i64, ms: i64, fits: impl Fn(usize) -> bool) -> Vec<(i64, usize)> {
        let start = at.saturating_sub(ms);
        let within = |from: i64, to: i64| -> Vec<(i64, usize)> {
            let range = (start.saturating_sub(to), 0)..=(start.saturating_sub(from), usize::MAX);
            let near = self.open.range(range).rev().take(MAX_CANDIDATES);
            near.copied().filter(|(_, index)| fits(*index)).collect()
        };
        let near = within(0, EXACT_MS);
        if !near.is_empty() {
            return near;
        }
        // A request with this start that has ended already may have been given the line of
        // another with the same start; then this line is not a late one.
        let twin = (start.saturating_sub(EXACT_MS), 0)..=(start, usize::MAX);
        if self.starts.range(twin).next().is_some() {
            return near;
        }
        let late = within(-1, LATE_MS);
        if late.len() == 1 { late } else { Vec::new() }
    }

    /// Picks one of the requests that started when this line says. Where several did, all
    /// of them are ambiguous. Probes are picked only where nothing else fits, as they are not
    /// streamed.
    fn pick(
        &self,
        mut fitting: Vec<(i64, usize)>,
        start: i64,
        partials: &mut [PartialRequest],
    ) -> Option<usize> {
        if fitting.len() > 1 {
            let asks_more = |index: usize| partials.get(index).is_some_and(|partial| !partial.is_probe());
            if fitting.iter().any(|&(_, index)| asks_more(index)) {
                fitting.retain(|&(_, index)| asks_more(index));
            }
        }
        let &(found, index) = fitting.first()?;
        if fitting.len() > 1 {
            for (_, index) in &fitting {
                partials.get_mut(*index)?.lower_confidence(Confidence::Ambiguous);
            }
        } else if !(0..=EXACT_MS).contains(&start.saturating_sub(found)) {
            partials.get_mut(index)?.lower_confidence(Confidence::Likely);
        }
        Some(index)
    }

    /// Corrects an assignment: this request is streamed, so the line that its stream began,
    /// which was assigned to a request that started just after it, is its own.
    fn claim_stream(&mut self, index: usize, partials: &mut [PartialRequest]) {
        let Some(partial) = partials.get(index) else { return };
        if partial.stream_start.is_some() {
            return;
        }
        let (label, start) = (partial.label, partial.start);
        let neighbours = partials.iter().enumerate().skip(index + 1).take(8);
        let taken = neighbours.into_iter().find_map(|(other, partial)| {
            let at = partial.stream_start?;
            let settled = partial.end.is_some() || partial.first_token_ms.is_some();
            let near = (0..2_000).contains(&at.saturating_sub(start));
            (partial.label == label && !settled && near).then_some((other, at))
        });
        self.starting.retain(|other| *other != index);
        let Some((other, at)) = taken else { return };
        if let Some(partial) = partials.get_mut(other) {
            self.keepalives.leave(other, partial);
            partial.stream_start = None;
            self.starting.push(other);
            let lent = std::mem::take(&mut partial.keepalives);
            if let Some(partial) = partials.get_mut(index) {
                partial.stream_start = Some(at);
                partial.keepalives = lent;
            }
        }
    }

    pub(super) fn first_token(&mut self, at: i64, ms: i64, partials: &mut [PartialRequest]) -> bool {
        let fits = |index: usize| partials.get(index).is_some_and(|partial| partial.first_token_ms.is_none());
        let fitting = self.started(at, ms, fits);
        let Some(index) = self.pick(fitting, at.saturating_sub(ms), partials) else { return false };
        self.claim_stream(index, partials);
        if let Some(partial) = partials.get_mut(index) {
            self.keepalives.leave(index, partial);
            partial.first_token_ms = Some(ms);
        }
        self.events.first_token(index, at);
        self.after_first_token = Some(index);
        true
    }

    pub(super) fn keepalive(&mut self, number: u64, at: i64, partials: &mut [PartialRequest]) -> bool {
        self.keepalives.sent(number, at, partials)
    }

    /// The line after a first token says how many keepalives its stream had.
    pub(super) fn keepalives_cleared(&mut self, index: usize, count: u64, partials: &mut [PartialRequest]) {
        self.keepalives.confirm(index, count, partials);
    }

    pub(super) fn stream_end(&mut self, at: i64, parts: u64) {
        let stream = self.parts.end(parts);
        if self.stream_ends.len() == MAX_CANDIDATES {
            self.stream_ends.pop_front();
        }
        self.stream_ends.push_back((at, parts, stream));
    }

    pub(super) fn complete(
        &mut self,
        label: u32,
        at: i64,
        mut end: End,
        partials: &mut [PartialRequest],
    ) -> bool {
        self.last_complete = None;
        let fits = |index: usize| partials.get(index).is_some_and(|partial| partial.label == label);
        let fitting = self.started(at, end.ms, fits);
        let Some(index) = self.pick(fitting, at.saturating_sub(end.ms), partials) else { return false };
        self.claim_stream(index, partials);
        while self.stream_ends.front().is_some_and(|(seen, ..)| at.saturating_sub(*seen) > DRAIN_MS) {
            self.stream_ends.pop_front();
        }
        // Every event comes from a part, so the stream has at least as many parts.
        let enough = |parts: u64| end.events.is_none_or(|events| parts >= events);
        if let Some(place) = self.stream_ends.iter().position(|(_, parts, _)| enough(*parts))
            && let Some((_, parts, stream)) = self.stream_ends.remove(place)
        {
            end.parts = Some(parts);
            end.firsts = stream.firsts;
            end.deltas = stream.deltas;
        }
        let events = self.events.end(index, end.events, end.bytes);
        if let Some(partial) = partials.get_mut(index) {
            self.open.remove(&(partial.start, index));
            self.keepalives.leave(index, partial);
            partial.end = Some(end);
            if let Some(events) = events {
                partial.take_events(events);
            }
        }
        self.last_complete = Some(index);
        true
    }

    /// Notes that the proxy aborted a request that had run so long; `false` when none has.
    pub(super) fn timeout(
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
            self.aborts.push(Abort::Timeout { at, fitting });
        }
        fits
    }

    /// An error line; `false` when no request is open that it could end.
    pub(super) fn failure(
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
            Some(Abort::Failure(last)) => label.is_none() && at.saturating_sub(last.at) < ABORT_MS,
            _ => false,
        };
        let fits = !again && self.aborts.len() <= 2 * self.open.len();
        if fits {
            self.aborts.push(Abort::Failure(Failure {
                at,
                label,
                started,
                words: error_words(words),
                open_streams,
            }));
        }
        fits || again
    }

    /// Adds a line that continues the last error.
    pub(super) fn continue_failure(&mut self, text: &[u8]) {
        if let Some(Abort::Failure(Failure { words: Some(words), .. })) = self.aborts.last_mut()
            && words.len() < MAX_ERROR_BYTES
            && let Some(joined) = error_words(&[words.as_bytes(), b" ", text.trim_ascii()].concat())
        {
            *words = joined;
        }
    }

    /// Assigns the logged total of a request that was not streamed; of streamed ones it is
    /// known from other lines.
    pub(super) fn latency(&self, at: i64, ms: i64, partials: &mut [PartialRequest]) {
        let start = at.saturating_sub(ms);
        let range = (start.saturating_sub(EXACT_MS), 0)..=(start, usize::MAX);
        let mut near = self.open.range(range);
        if let (Some(&(_, index)), None) = (near.next(), near.next())
            && let Some(partial) =
                partials.get_mut(index).filter(|partial| partial.sent && !partial.is_streamed())
        {
            partial.whole_reply_at = Some(at);
        }
    }

    /// Assigns the lines that had to wait for the end of the log. Returns how many of them fit
    /// no request.
    pub(super) fn finish(mut self, partials: &mut [PartialRequest]) -> u64 {
        self.settle_first_parts(partials);
        let mut lost = 0;
        let mut groups = Vec::new();
        let mut timeouts: Vec<(i64, usize)> = Vec::new();
        // Errors that only one request can have had are assigned first. Then timeouts: the
        // age of a request limits the candidates. The remaining errors come last.
        let (late, failed): (Vec<Abort>, Vec<Abort>) = std::mem::take(&mut self.aborts)
            .into_iter()
            .partition(|abort| matches!(abort, Abort::Timeout { .. }));
        let failed = self.settle_certain_failures(failed, &late, partials);
        for abort in late.into_iter().chain(failed) {
            let group = match abort {
                Abort::Timeout { at, fitting } => self.timed_out(at, fitting, &mut timeouts, partials),
                Abort::Failure(failure) => self.failed(failure, &timeouts, partials),
            };
            match group {
                Some(group) if group.len() > 1 => groups.push(group),
                Some(_) => {}
                None => lost += 1,
            }
        }
        for group in groups {
            // Where all of them ended alike, the outcome does not depend on the assignment.
            let mut ends = group.iter().filter_map(|index| partials.get(*index)).map(|partial| {
                if partial.failed || partial.timed_out { Some(partial.timed_out) } else { None }
            });
            let first = ends.next().flatten();
            let confidence = match first {
                Some(_) if ends.all(|end| end == first) => Confidence::Likely,
                _ => Confidence::Ambiguous,
            };
            for index in group {
                if let Some(partial) = partials.get_mut(index) {
                    partial.lower_confidence(confidence);
                    // How long each of them waited is not known.
                    partial.keepalives_unsure = true;
                }
            }
        }
        for stream in std::mem::take(&mut self.events).unended() {
            let partial = stream.request.and_then(|index| partials.get_mut(index));
            if let Some(partial) = partial.filter(|partial| partial.end.is_none()) {
                partial.take_events(stream);
            }
        }
        self.ends.settle(partials);
        lost
    }

    /// Assigns each error that only one request can have had to that request, and returns
    /// the others. An error right after a timeout may be caused by the timeout.
    fn settle_certain_failures(
        &mut self,
        failed: Vec<Abort>,
        late: &[Abort],
        partials: &mut [PartialRequest],
    ) -> Vec<Abort> {
        let timeouts: Vec<i64> = late
            .iter()
            .filter_map(|abort| match abort {
                Abort::Timeout { at, .. } => Some(*at),
                Abort::Failure(_) => None,
            })
            .collect();
        let mut doubtful = Vec::new();
        for abort in failed {
            let Abort::Failure(failure) = &abort else { continue };
            let at = failure.at;
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
    fn timed_out(
        &mut self,
        at: i64,
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
        partial.aborted_at = Some(at);
        keepalives::cut(index, at, partials);
        if let Some(partial) = partials.get(index) {
            self.open.remove(&(partial.start, index));
        }
        timeouts.push((at, index));
        Some(fitting)
    }

    /// Assigns an error to the first of the requests that it can have ended, and returns all
    /// of these.
    fn failed(
        &mut self,
        failure: Failure,
        timeouts: &[(i64, usize)],
        partials: &mut [PartialRequest],
    ) -> Option<Vec<usize>> {
        let Failure { at, label, .. } = failure;
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
        let Failure { at, label, started, .. } = *failure;
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
        let at = failure.at;
        if let Some(partial) = partials.get_mut(index) {
            partial.failed = true;
            partial.aborted_at = Some(at);
            partial.error = failure.words;
            self.open.remove(&(partial.start, index));
        }
        keepalives::cut(index, at, partials);
    }

    fn settle_first_parts(&self, partials: &mut [PartialRequest]) {
        let mut claims = Vec::new();
        for (index, partial) in partials.iter_mut().enumerate() {
            if let Some(end) = partial.end.as_mut().filter(|_| partial.first_token_ms.is_none()) {
                let pace = end.usage.map(|usage| usage.output).filter(|output| *output > 0);
                claims.push(Claim {
                    request: index,
                    from: partial.stream_start.unwrap_or(partial.start),
                    to: partial.start.saturating_add(end.ms).saturating_add(EXACT_MS),
                    possible: std::mem::take(&mut end.firsts),
                    pace: pace.zip(end.tokens_per_second),
                });
            }
        }
        for (index, settled) in self.parts.settle(&claims) {
            let Some(partial) = partials.get_mut(index) else { continue };
            match settled {
                Settled::None => {}
                Settled::Exact(at) => partial.first_part = FirstPart::At(at),
                Settled::Likely(at) => {
                    partial.first_part = FirstPart::At(at);
                    partial.lower_confidence(Confidence::Likely);
                }
                Settled::Ambiguous => partial.first_part = FirstPart::Ambiguous,
            }
        }
    }
}
