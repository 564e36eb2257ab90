//! When a request began and ended, and what its time was spent on, in order.

use anyclaude_traces::Request;
use anyclaude_traces::analysis::explain::Part;

/// The last moment that is placed, in 2255: JavaScript, and with it the viewers of
/// timelines, counts microseconds exactly up to 2^53.
const LAST_MS: u64 = (1 << 53) / 1000;

/// A stretch of time, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeSpan {
    pub(crate) begin_ms: u64,
    /// How long it took; `None` where its end is unknown.
    pub(crate) length_ms: Option<u64>,
}

impl TimeSpan {
    /// When the request was with the proxy and the backend. `None` without a time, and
    /// with one that no viewer can draw.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        let timing = request.timing.as_deref();
        let start = timing.and_then(|timing| timing.start);
        let begin = match (start, timing.and_then(|timing| timing.proxy_ms.get())) {
            (Some(start), proxy_ms) => ms(start.unix_ms())?.checked_sub(proxy_ms.unwrap_or(0))?,
            (None, _) => ms(request.timestamp?.unix_ms())?,
        };
        let length_ms = timing.and_then(|timing| timing.wall_ms.or(timing.total_ms).get());
        let end = begin.checked_add(length_ms.unwrap_or(0))?;
        (end <= LAST_MS).then_some(Self { begin_ms: begin, length_ms })
    }

    pub(crate) fn end_ms(self) -> u64 {
        self.begin_ms + self.length_ms.unwrap_or(0)
    }

    /// The parts of the request's time that took any, by name, one after the other: how long
    /// each took is known, and where a silence lay inside the answer is not. They never
    /// leave the span.
    pub(crate) fn parts(self, request: &Request) -> impl Iterator<Item = (&'static str, TimeSpan)> {
        let mut begin_ms = self.begin_ms;
        let timing = request.timing.as_deref();
        Part::ALL.into_iter().filter_map(move |part| {
            let length = part.of_request(timing?).unwrap_or(0).min(self.end_ms() - begin_ms);
            let span = Self { begin_ms, length_ms: Some(length) };
            begin_ms += length;
            (length > 0).then_some((part.name(), span))
        })
    }
}

fn ms(unix_ms: i64) -> Option<u64> {
    u64::try_from(unix_ms).ok()
}
