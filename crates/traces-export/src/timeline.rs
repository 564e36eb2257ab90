//! When a request began and ended, and what its time was spent on, in order.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use anyclaude_traces::Request;
use anyclaude_traces::model::timing::Timing;

/// The last moment that is placed, in 2255: JavaScript, and with it the viewers of
/// timelines, counts microseconds exactly up to 2^53.
const LAST_MS: u64 = (1 << 53) / 1000;

/// The parts of a request's time by the cost model, in the order in which they are drawn:
/// how long each took is known, and where a silence lay inside the answer is not.
pub(crate) const PARTS: [Part; 7] = [
    Part { name: "proxy", ms: |timing| timing.proxy_ms },
    Part { name: "load", ms: |timing| timing.load_ms },
    Part { name: "queue", ms: |timing| timing.queue_ms },
    Part { name: "read", ms: |timing| timing.read_ms },
    Part { name: "write", ms: |timing| timing.write_ms },
    Part { name: "stall", ms: |timing| timing.stall_ms },
    Part { name: "other", ms: |timing| timing.other_ms },
];

/// One part of the time of a request.
pub(crate) struct Part {
    /// Its name, as in JSON, less the unit.
    pub(crate) name: &'static str,
    ms: fn(&Timing) -> Option<u64>,
}

/// A stretch of time, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) begin_ms: u64,
    /// How long it took; `None` where its end is unknown.
    pub(crate) length_ms: Option<u64>,
}

impl Span {
    /// When the request was with the proxy and the backend. `None` without a time, and
    /// with one that no viewer can draw.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let timing = request.timing.as_deref();
        let start = timing.and_then(|timing| timing.start);
        let begin = match (start, timing.and_then(|timing| timing.proxy_ms)) {
            (Some(start), proxy_ms) => ms(start.unix_ms())?.checked_sub(proxy_ms.unwrap_or(0))?,
            (None, _) => ms(request.timestamp?.unix_ms())?,
        };
        let length_ms = timing.and_then(|timing| timing.wall_ms.or(timing.total_ms));
        let end = begin.checked_add(length_ms.unwrap_or(0))?;
        (end <= LAST_MS).then_some(Self { begin_ms: begin, length_ms })
    }

    pub(crate) fn end_ms(self) -> u64 {
        self.begin_ms + self.length_ms.unwrap_or(0)
    }

    /// The parts of the request's time that took any, one after the other. They never
    /// leave the span.
    pub(crate) fn parts(self, request: &Request) -> impl Iterator<Item = (&'static str, Span)> {
        let mut begin_ms = self.begin_ms;
        let timing = request.timing.as_deref();
        PARTS.iter().filter_map(move |part| {
            let length = (part.ms)(timing?).unwrap_or(0).min(self.end_ms() - begin_ms);
            let span = Self { begin_ms, length_ms: Some(length) };
            begin_ms += length;
            (length > 0).then_some((part.name, span))
        })
    }
}

fn ms(unix_ms: i64) -> Option<u64> {
    u64::try_from(unix_ms).ok()
}

/// Lanes of a track: requests that overlap are put into different ones.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    /// The lanes in use, by when they are free again.
    busy: BinaryHeap<Reverse<(u64, usize)>>,
    free: BTreeSet<usize>,
}

impl Lanes {
    /// The first lane that is free when the span begins. Spans come in the order of their
    /// beginnings.
    pub(crate) fn place(&mut self, span: Span) -> usize {
        let is_over = |&&Reverse((end_ms, _)): &&Reverse<(u64, usize)>| end_ms <= span.begin_ms;
        while let Some(&Reverse((_, lane))) = self.busy.peek().filter(is_over) {
            self.busy.pop();
            self.free.insert(lane);
        }
        let lane = self.free.pop_first().unwrap_or(self.busy.len());
        self.busy.push(Reverse((span.end_ms(), lane)));
        lane
    }
}
