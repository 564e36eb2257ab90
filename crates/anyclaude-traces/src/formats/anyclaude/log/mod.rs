//! Parses debug logs and request logs into runs of timed requests.
//!
//! A trace names neither the local model that ran nor how long anything took;
//! the logs do. The parsers here are fed bytes in chunks of any size, touch no
//! file and no clock, and never fail: lines that cannot be read are counted.
//!
//! # How lines are tied to requests
//!
//! No line of a debug log carries a request id, and requests overlap. Lines are tied to
//! requests by arithmetic on their stamps:
//!
//! * `[Request Start]` names its own instant. The details and sizes that follow it are
//!   written at once, before anything else can run, so they belong to the same request.
//! * The stamp of `[Request Complete]` less its duration is the start of its
//!   request, within 2 ms. The same holds for `[Timing] First token received`.
//!   Both come from one clock, so this is true even when the clock was set in
//!   between. Where the process was interrupted between measuring and logging,
//!   up to 50 ms are allowed, if one request alone fits; it is then *likely*.
//! * Keepalive k belongs to a stream that has had k − 1, still waits, and
//!   began 10 s · k before or earlier; of several, to the one that began last.
//!   The line after a first token says how many its stream had, which corrects this.
//! * The usage line follows its `[Request Complete]`, and `Stream complete`
//!   precedes it.
//! * At level 1 no line names the time to first token. It is taken from the first part with
//!   content; parts are numbered, which tells the streams apart. Where two streams have
//!   reached the same number, the reported tokens per second tell how long before the end
//!   the answer began. Where even that leaves two possibilities, the time stays unknown
//!   and [`LogRequest::ttft_ambiguous`] is set.
//! * Where several replies in one piece could each have caused a line that ends one, none
//!   of them gets a total; all of them have ended after as many lines as there are requests.
//! * A timeout belongs to the latest request that has run so long, an error to
//!   the only streamed request that has no other end. Where several have none
//!   and not all failed, all of them are *ambiguous*.
//!
//! The logs of October 2025 have no stamps on their lines. The only known instants are the
//! starts and the stamps in the names of saved traces. A completion that is logged between
//! two of them belongs to a request whose start plus duration lies between them; where
//! several fit, all of them are *ambiguous*. The last event of a reply says how many
//! keepalives there were. Whether a request without an end was streamed is not known
//! there, nor are times to first token.
//!
//! The [`Confidence`](crate::model::timing::Confidence) of a request is that of the least
//! sure line that went into it. Requests whose starts lie within 2 ms of each other are the
//! one case that stamps cannot tell apart; if both were streamed, both are *ambiguous*.
//!
//! # What a run is
//!
//! A run is one anyclaude process, and begins with its banner. A file can hold several,
//! because files are named by the second and appended to. The same parser reads a capture of
//! standard error: its runs hold the names of the saved traces, which
//! [`attach_saved_traces`] adds to the requests of the debug log that the capture names.

mod edits;
mod ends;
mod events;
mod keepalives;
mod limits;
mod message;
mod parser;
mod partial;
mod parts;
mod request_log;
mod run;
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
