//! Bounds that several parts of the log parser share.

/// The proxy takes a duration and the stamp of the line that logs it at most this far
/// apart, in milliseconds.
pub(super) const EXACT_MS: i64 = 2;
/// A timer of the proxy fires at most this late, when the proxy is busy.
pub(super) const TIMER_LATE_MS: i64 = 10_000;
/// The lines of an ended stream (`onFinish`, `Stream complete`) precede its
/// `[Request Complete]` by at most this: as late as a timer when the proxy is busy in
/// between.
pub(super) const DRAIN_MS: i64 = TIMER_LATE_MS;
/// The longest a request can run: the proxy aborts it after 10 minutes, plus a late timer.
pub(super) const LONGEST_MS: i64 = 660_000;
/// The parser follows at most this many streams at once; LM Studio runs four.
pub(super) const MAX_STREAMS: usize = 64;
/// At most this many candidates are compared for one line or request, which bounds the
/// work on logs in which very many requests overlap.
pub(crate) const MAX_CANDIDATES: usize = 64;
