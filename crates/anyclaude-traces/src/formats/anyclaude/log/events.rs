//! Assigns the events of level 2 to their streams, by their running totals.
//!
//! `[NodeWritable] Chunk #4 of type: content_block_delta (118 bytes, total: 471 bytes)`
//! continues the stream whose third event brought its total to 353 bytes. Two streams
//! hardly ever have both the same number of events and the same total. The last event of a
//! stream has the numbers of its `[Request Complete]`; its first is followed by its
//! `[Timing]` line.
//!
//! The facts in a stream's own lines (silences, usage, the model that answered) are
//! collected here until the stream ends.

use super::limits::MAX_STREAMS;
use super::message::{FinishStep, LoggedUsage, WrittenEvent};

/// At most this many gaps are kept for one stream; the stalls of a longer one are unknown.
const MAX_GAPS: usize = 1 << 20;
/// A silence shorter than this is never a stall.
const SHORTEST_STALL_MS: u32 = 10_000;
/// A silence shorter than this many times the median gap is not a stall either.
const STALL_FACTOR: u32 = 20;
/// The first event and the line that names the time to it are stamped within this.
const AT_ONCE_MS: i64 = 2;

/// The facts collected from the events of one stream.
#[derive(Debug, Default, Clone)]
pub(super) struct StreamEvents {
    /// The number of its last event.
    event: u64,
    /// The total bytes at its last event.
    total: u64,
    /// The stamp of its last event.
    last: i64,
    /// The request whose first token was its first event.
    pub(super) request: Option<usize>,
    gaps: Vec<u32>,
    text_chunks: u64,
    reasoning_chunks: u64,
    /// Whether a block of reasoning was ever open, and whether one is.
    reasoning: bool,
    in_reasoning: bool,
    /// Some of its gaps are missing, or may be another stream's.
    unsure: bool,
    pub(super) usage: Option<LoggedUsage>,
    pub(super) finish: Option<FinishStep>,
}

/// Silences inside one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LoggedStalls {
    pub(super) count: u64,
    pub(super) ms: u64,
    pub(super) text_chunks: u64,
    pub(super) reasoning_chunks: u64,
    pub(super) reasoning: bool,
}

impl StreamEvents {
    /// Its stalls; `None` where its events may be another stream's.
    pub(super) fn stalls(&self) -> Option<LoggedStalls> {
        if self.unsure || self.gaps.len() == MAX_GAPS {
            return None;
        }
        let mut gaps = self.gaps.clone();
        let middle = gaps.len().saturating_sub(1) / 2;
        let median = if gaps.is_empty() { 0 } else { *gaps.select_nth_unstable(middle).1 };
        let limit = median.saturating_mul(STALL_FACTOR).max(SHORTEST_STALL_MS);
        let stalls = gaps.iter().filter(|gap| **gap > limit);
        let (count, ms) = stalls.fold((0, 0), |(n, ms), gap| (n + 1, ms + u64::from(gap - median)));
        let Self { text_chunks, reasoning_chunks, reasoning, .. } = *self;
        Some(LoggedStalls { count, ms, text_chunks, reasoning_chunks, reasoning })
    }

    fn has_long_gap(&self) -> bool {
        self.gaps.iter().any(|gap| *gap > SHORTEST_STALL_MS)
    }
}

/// The open streams, and the facts that belong to the next event.
#[derive(Debug, Default, Clone)]
pub(super) struct Events {
    streams: Vec<StreamEvents>,
    /// Usage, finish step and reasoning are logged just before the event that carries them.
    pub(super) captured: Option<LoggedUsage>,
    pub(super) finish: Option<FinishStep>,
    pub(super) reasoning: bool,
}

impl Events {
    /// An event was written at `at`.
    pub(super) fn written(&mut self, written: WrittenEvent, at: i64) {
        let WrittenEvent { event, bytes, total, is_delta } = written;
        let before = total.saturating_sub(bytes);
        let stream = match self.continued(event, before, at) {
            Some(stream) => stream,
            None => self.begin(event > 1),
        };
        let Some(stream) = self.streams.get_mut(stream) else { return };
        if stream.event > 0 && stream.gaps.len() < MAX_GAPS {
            let gap = at.saturating_sub(stream.last).max(0);
            stream.gaps.push(u32::try_from(gap).unwrap_or(u32::MAX));
        }
        (stream.event, stream.total, stream.last) = (event, total, at);
        stream.text_chunks += u64::from(is_delta);
        stream.reasoning_chunks += u64::from(is_delta && stream.in_reasoning);
        if !is_delta {
            stream.in_reasoning = std::mem::take(&mut self.reasoning);
            stream.reasoning |= stream.in_reasoning;
            stream.usage = self.captured.take().or(stream.usage.take());
            stream.finish = self.finish.take().or(stream.finish.take());
        }
    }

    /// The stream that this event continues. Where several fit, the gaps that each of them
    /// had so far may be another's: they become unsure if any of these gaps is long.
    fn continued(&mut self, event: u64, total: u64, at: i64) -> Option<usize> {
        let stands = |stream: &StreamEvents| stream.event + 1 == event && stream.total == total;
        let first = self.streams.iter().rposition(stands)?;
        if self.streams.iter().filter(|stream| stands(stream)).count() > 1 {
            let silence = |stream: &StreamEvents| at.saturating_sub(stream.last);
            let is_long = |stream: &StreamEvents| {
                stream.has_long_gap() || silence(stream) > i64::from(SHORTEST_STALL_MS)
            };
            if self.streams.iter().any(|stream| stands(stream) && is_long(stream)) {
                self.streams
                    .iter_mut()
                    .filter(|stream| stands(stream))
                    .for_each(|stream| stream.unsure = true);
            }
        }
        Some(first)
    }

    fn begin(&mut self, unsure: bool) -> usize {
        if self.streams.len() == MAX_STREAMS {
            let oldest = self.streams.iter().enumerate().min_by_key(|(_, stream)| stream.last);
            if let Some((oldest, _)) = oldest {
                self.streams.swap_remove(oldest);
            }
        }
        self.streams.push(StreamEvents { unsure, ..StreamEvents::default() });
        self.streams.len() - 1
    }

    /// The first token of this request was logged at `at`, so the stream that began last is
    /// its stream.
    pub(super) fn first_token(&mut self, request: usize, at: i64) {
        let begun = |stream: &&mut StreamEvents| {
            stream.event == 1 && stream.request.is_none() && at.saturating_sub(stream.last) <= AT_ONCE_MS
        };
        if let Some(stream) = self.streams.iter_mut().rev().find(begun) {
            stream.request = Some(request);
        }
    }

    /// Removes and returns the stream of a request that ended with these numbers.
    pub(super) fn end(
        &mut self,
        request: usize,
        events: Option<u64>,
        bytes: Option<u64>,
    ) -> Option<StreamEvents> {
        let by_numbers = |stream: &StreamEvents| events == Some(stream.event) && bytes == Some(stream.total);
        let several = self.streams.iter().filter(|stream| by_numbers(stream)).count() > 1;
        let place = self.streams.iter().position(by_numbers);
        let own = || self.streams.iter().position(|stream| stream.request == Some(request));
        let mut stream = self.streams.remove(place.or_else(own)?);
        stream.unsure |= place.is_none() || several && stream.has_long_gap();
        Some(stream)
    }

    /// The streams that no `[Request Complete]` ended.
    pub(super) fn unended(self) -> Vec<StreamEvents> {
        self.streams
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(events: &mut Events, event: u64, bytes: u64, total: u64, at: i64) {
        events.written(WrittenEvent { event, bytes, total, is_delta: event > 1 }, at);
    }

    #[test]
    fn a_silence_beyond_ten_seconds_and_twenty_medians_is_a_stall() {
        let mut events = Events::default();
        let mut at = 0;
        for event in 1..=10 {
            at += if event == 5 { 30_000 } else { 100 };
            write(&mut events, event, 10, event * 10, at);
        }
        write(&mut events, 11, 10, 110, at + 10_000);
        let stream = events.end(0, Some(11), Some(110)).unwrap();
        let stalls =
            LoggedStalls { count: 1, ms: 29_900, text_chunks: 10, reasoning_chunks: 0, reasoning: false };
        assert_eq!(stream.stalls(), Some(stalls));
    }

    #[test]
    fn slow_answers_do_not_stall() {
        let mut events = Events::default();
        for event in 1..=5_u8 {
            let at = i64::from(event) * 11_000;
            write(&mut events, event.into(), 10, u64::from(event) * 10, at);
        }
        assert_eq!(events.end(0, Some(5), Some(50)).unwrap().stalls().unwrap().count, 0);
    }

    #[test]
    fn streams_that_overlap_are_told_apart_by_their_totals() {
        let mut events = Events::default();
        write(&mut events, 1, 100, 100, 0);
        write(&mut events, 1, 100, 100, 50);
        events.first_token(7, 50);
        // Either may go on with these: no long silence, so nothing is in doubt.
        write(&mut events, 2, 11, 111, 60);
        write(&mut events, 2, 12, 112, 70);
        write(&mut events, 3, 10, 122, 40_000);
        write(&mut events, 3, 10, 121, 40_010);
        let (one, other) =
            (events.end(0, Some(3), Some(121)).unwrap(), events.end(1, Some(3), Some(122)).unwrap());
        assert!(one.stalls().is_some_and(|stalls| stalls.count == 1));
        assert!(other.stalls().is_some_and(|stalls| stalls.count == 1));
        write(&mut events, 1, 100, 100, 0);
        write(&mut events, 1, 100, 100, 50);
        write(&mut events, 2, 11, 111, 20_000);
        assert_eq!(
            events.end(0, Some(2), Some(111)).unwrap().stalls(),
            None,
            "the silence may be either stream's"
        );
    }

    #[test]
    fn usage_and_model_belong_to_the_event_that_follows() {
        let mut events = Events::default();
        write(&mut events, 1, 100, 100, 0);
        events.reasoning = true;
        events.captured = Some(LoggedUsage { prompt: 5, output: 2, cache_read: Some(0) });
        events.finish = Some(FinishStep { model: Some("m".into()), ..FinishStep::default() });
        events.written(WrittenEvent { event: 2, bytes: 10, total: 110, is_delta: false }, 1);
        write(&mut events, 3, 10, 120, 1);
        // The end of the block of reasoning, and what is said after it.
        events.written(WrittenEvent { event: 4, bytes: 10, total: 130, is_delta: false }, 2);
        write(&mut events, 5, 10, 140, 2);
        let stream = events.end(0, Some(5), Some(140)).unwrap();
        let stalls = stream.stalls().unwrap();
        assert_eq!((stalls.reasoning, stalls.reasoning_chunks, stalls.text_chunks), (true, 1, 2));
        assert_eq!(stream.usage.map(|usage| usage.prompt), Some(5));
        assert_eq!(stream.finish.and_then(|finish| finish.model).as_deref(), Some("m"));
    }

    #[test]
    fn many_streams_stay_bounded() {
        let mut events = Events::default();
        for at in 0..1_000 {
            write(&mut events, 1, 1, 1, at);
        }
        assert_eq!(events.unended().len(), MAX_STREAMS);
    }
}
