//! Debug logs and request logs → runs of timed requests.
//!
//! A trace names neither the local model that ran nor how long anything took;
//! the logs do. The parsers here are fed bytes in chunks of any size, touch no
//! file and no clock, and never fail: a line that does not read is counted.
//!
//! # How lines are tied to requests
//!
//! No line of a debug log carries a request id, and requests overlap. What
//! ties them is arithmetic on the stamps:
//!
//! * A start names its own instant. The details and sizes that follow it are
//!   written at once, before anything else can run, and so are its own.
//! * The stamp of `[Request Complete]` less its duration is the start of its
//!   request, within 2 ms. The same holds for `[Timing] First token received`.
//!   Both come from one clock, so this is true even when the clock was set in
//!   between. Where the process was interrupted between measuring and logging,
//!   up to 50 ms are allowed, if one request alone fits; it is then *likely*.
//! * A keepalive k belongs to a stream that has had k − 1, still waits, and
//!   began 10 s · k before or earlier; of several, to the one that began last.
//!   The line after a first token says how many its stream had, and settles it.
//! * The usage line follows its `[Request Complete]`, and `Stream complete`
//!   precedes it.
//! * At level 1 nothing names the time to first token. The first part with
//!   content tells it; its stream is followed by the numbers of its parts.
//!   Where two streams stood at the same number, the reported tokens per second
//!   tell how long before the end the answer began. Where even that leaves two
//!   possibilities, the time stays unknown and
//!   [`LogRequest::ttft_ambiguous`] says so.
//! * A timeout belongs to the oldest request that has run so long, an error to
//!   the only streamed request that has no other end. Where several have none
//!   and not all failed, all of them are *ambiguous*.
//!
//! The logs of October 2025 have no stamps on their lines. There a request can
//! have ended between two known instants (starts, and the names of the traces
//! saved beside them) only if its start and duration lead there; where this
//! leaves several, all of them are *ambiguous*. The last event of a reply says
//! how many keepalives there were. Whether a request without an end was streamed
//! is not known there, nor are times to first token.
//!
//! [`Confidence`](crate::model::timing::Confidence) is the worst of what went into a request. Requests whose
//! starts lie within 2 ms of each other are the one case that stamps cannot
//! tell apart; if both were streamed, both are *ambiguous*.
//!
//! # What a run is
//!
//! A run is one anyclaude process. Its banner begins it; a file can hold
//! several, because files are named by the second and appended to. A capture of
//! standard error is read by the same parser: its runs hold the names of the
//! saved traces, which [`attach_saved_traces`] gives to the requests of the
//! debug log that the capture names.

mod edits;
mod ends;
mod events;
mod keepalives;
mod limits;
mod lines;
mod message;
mod parser;
mod partial;
mod parts;
mod request_log;
mod run;
mod scan;
mod stamped;
mod stamps;
mod types;
mod unstamped;

pub(crate) use limits::MAX_CANDIDATES;
pub use parser::LogParser;
pub use request_log::{
    ParsedRequestLog, RequestLogEntry, RequestLogParser, SentCounts, attach_saved_traces, match_request_log,
};
pub(crate) use stamps::line_stamps;
pub use types::{LogRequest, LogRun, ParsedLog, ProxyTime};
