//! Ties lines to requests in logs whose lines carry stamps.
//!
//! The proxy measures durations and takes stamps with the same clock, and logs at once. So
//! the stamp of an end less its duration is the start of its request, within a millisecond
//! or two, even where the clock was set in the meantime.

mod failures;
mod lines;

use std::collections::{BTreeSet, VecDeque};

use super::ends::{Close, Ends};
use super::events::Events;
use super::keepalives::{self, Keepalives};
use super::limits::{DRAIN_MS, EXACT_MS, MAX_CANDIDATES};
use super::partial::{FirstPart, LoggedEnd, PartialRequest};
use super::parts::{Claim, EndedStream, LoggedParts, Settled};
use crate::model::timing::Confidence;
use failures::Abort;
pub(super) use failures::error_words;
use lines::Announced;

/// A line may be logged this late where the process was interrupted between measuring and
/// logging; accepted only if exactly one request fits.
const LATE_MS: i64 = 50;
/// The state of one run: its open requests and the lines not yet assigned.
#[derive(Debug, Default, Clone)]
pub(super) struct Stamped {
    /// All requests, by start.
    starts: BTreeSet<(i64, usize)>,
    /// Requests without an end, by start.
    open: BTreeSet<(i64, usize)>,
    /// The latest requests whose stream has not begun.
    starting: Vec<usize>,
    keepalives: Keepalives,
    parts: LoggedParts,
    /// `Stream complete` lines without their `[Request Complete]` yet: stamp, number of parts,
    /// the stream.
    stream_ends: VecDeque<(i64, u64, EndedStream)>,
    announced: Announced,
    /// The request whose first token was the line before this one.
    pub(super) after_first_token: Option<usize>,
    /// The events of the open streams.
    events: Events,
    ends: Ends,
    /// Timeouts and errors, assigned once every end is known.
    aborts: Vec<Abort>,
    /// How many `[Request Complete]` lines there were.
    completions: u64,
    /// The request that completed last, which the usage line after it belongs to.
    last_complete: Option<usize>,
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
    fn streaming(&mut self, label: u32, at: i64, partials: &mut [PartialRequest]) -> bool {
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

    fn first_token(&mut self, at: i64, ms: i64, partials: &mut [PartialRequest]) -> bool {
        let fits = |index: usize| partials.get(index).is_some_and(|partial| partial.first_token_ms.is_none());
        let (fitting, start) = (self.started(at, ms, fits), at.saturating_sub(ms));
        let is_probe = |index: usize| partials.get(index).is_some_and(PartialRequest::is_probe);
        if fitting.iter().all(|&(_, index)| is_probe(index))
            && let Some(twin) = self.completed_without_first_token(start, partials)
        {
            twin.first_token_ms = Some(ms);
            return true;
        }
        let Some(index) = self.pick(fitting, start, partials) else { return false };
        self.claim_stream(index, partials);
        if let Some(partial) = partials.get_mut(index) {
            self.keepalives.leave(index, partial);
            partial.first_token_ms = Some(ms);
        }
        self.events.first_token(index, at);
        self.after_first_token = Some(index);
        true
    }

    /// A request of this start that completed without a first token: the line of its token was
    /// given to another, which started with it and may have this one's.
    fn completed_without_first_token<'p>(
        &self,
        start: i64,
        partials: &'p mut [PartialRequest],
    ) -> Option<&'p mut PartialRequest> {
        let near = self.starts.range((start.saturating_sub(EXACT_MS), 0)..=(start, usize::MAX));
        let is_without = |partial: &PartialRequest| {
            let is_ambiguous = partial.confidence == Confidence::Ambiguous;
            is_ambiguous && partial.end.is_some() && partial.first_token_ms.is_none()
        };
        let mut near = near.take(MAX_CANDIDATES).map(|&(_, index)| index);
        let index = near.find(|index| partials.get(*index).is_some_and(is_without))?;
        partials.get_mut(index)
    }

    /// A connection was closed.
    fn closed(&mut self, at: i64) {
        self.ends.closed(Close { logged: self.keepalives.moment(at), completions: self.completions });
    }

    fn stream_end(&mut self, at: i64, parts: u64) {
        let stream = self.parts.end(parts);
        if self.stream_ends.len() == MAX_CANDIDATES {
            self.stream_ends.pop_front();
        }
        self.stream_ends.push_back((at, parts, stream));
    }

    fn complete(&mut self, label: u32, at: i64, mut end: LoggedEnd, partials: &mut [PartialRequest]) -> bool {
        self.last_complete = None;
        end.number = self.completions;
        self.completions += 1;
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

    /// Assigns the logged total of a request that was not streamed; of streamed ones it is
    /// known from other lines.
    fn latency(&self, at: i64, ms: i64, partials: &mut [PartialRequest]) {
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
                Abort::Timeout { logged, fitting } => {
                    self.timed_out(logged, fitting, &mut timeouts, partials)
                }
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
        keepalives::doubt(partials);
        lost
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
