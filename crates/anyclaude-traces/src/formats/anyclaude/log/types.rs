//! The result of parsing a log: runs and their requests.

use std::sync::Arc;

use serde::Serialize;

use crate::model::time::Timestamp;
use crate::model::timing::{Confidence, Outcome, PromptOverhead, TokenSource, TtftSource};
use crate::model::{Amount, LogFacts};

/// The proxy's own work on a request before it sent it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct ProxyTime {
    /// When the proxy had read the request: the stamp in the request log.
    pub received: Timestamp,
    /// From there to `[Request Start]`, in milliseconds.
    pub ms: u64,
    /// How sure it is that the entry is this request's.
    pub confidence: Confidence,
}

/// One request that the proxy sent to a backend, as recorded in the debug log.
///
/// Times are in milliseconds from [`start`](Self::start). `None` is unknown: not logged at
/// this debug level or by this version, lost, or indistinguishable from another request's.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LogRequest {
    /// The proxy's name for the backend: `lmstudio`, `local`, …
    pub provider: Arc<str>,
    /// The configured model, which can be just `current-model`.
    pub model: Arc<str>,
    /// When the proxy sent the request on: the instant in `[Request Start]`.
    pub start: Timestamp,
    /// Whether the reply was streamed; `None` where nothing tells (2025-10).
    pub streamed: Option<bool>,
    /// How it ended.
    pub outcome: Outcome,
    /// How sure it is that the ends and times below are this request's.
    pub confidence: Confidence,
    /// Time to first token.
    pub ttft_ms: Amount,
    /// Where [`ttft_ms`](Self::ttft_ms) comes from.
    pub ttft_source: Option<TtftSource>,
    /// The log holds a first part that is this request's or an overlapping
    /// one's; `ttft_ms` is `None` then, not a guess.
    pub ttft_ambiguous: bool,
    /// Time to the end of the reply.
    pub total_ms: Amount,
    /// Keepalives sent while waiting, one each 10 s; known from level 2, for
    /// streamed requests with an end.
    pub keepalives: Amount,
    /// Anthropic stream events sent; not tokens.
    pub events: Amount,
    /// Size of these events in UTF-16 code units.
    pub event_bytes: Amount,
    /// Stream parts received from the backend; not tokens.
    pub parts: Amount,
    /// Tokens of the prompt, counted by the backend.
    pub prompt_tokens: Amount,
    /// Where [`prompt_tokens`](Self::prompt_tokens) comes from.
    pub prompt_tokens_source: Option<TokenSource>,
    /// Tokens generated.
    pub output_tokens: Amount,
    /// Where [`output_tokens`](Self::output_tokens) comes from.
    pub output_tokens_source: Option<TokenSource>,
    /// The model that the backend's answer names, in its `finish-step` chunk.
    pub response_model: Option<Arc<str>>,
    /// The error in the backend's or the connection's words, at most 500 bytes.
    pub error: Option<String>,
    /// Further facts from the log. In a box of their own, which the request gets that they are of.
    pub facts: Box<LogFacts>,
    /// The proxy's ⚡ figure, as logged.
    pub reported_tokens_per_second: Option<f64>,
    /// Tools sent to the backend.
    pub tool_count: Amount,
    /// Messages sent to the backend.
    pub message_count: Amount,
    /// `max_tokens` of the request.
    pub max_tokens: Amount,
    /// Sizes after the proxy's edits.
    pub prompt: Option<Box<PromptOverhead>>,
    /// File name of the trace, where a capture of standard error names it.
    pub saved_trace: Option<String>,
    /// The proxy's own work, once a request log was matched
    /// ([`match_request_log`](super::match_request_log)).
    pub proxy: Option<ProxyTime>,
}

/// One anyclaude process, as far as one file records it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LogRun {
    /// When the process began: the banner's time, else the first stamp seen.
    pub started: Option<Timestamp>,
    /// The last stamp seen.
    pub last_seen: Option<Timestamp>,
    /// The time in the closing footer, which is usually missing.
    pub ended: Option<Timestamp>,
    /// Whether lines carry stamps; those of October 2025 do not.
    pub stamped: bool,
    /// The debug level that the banner names, else the lowest that explains
    /// the lines seen.
    pub level: Option<u8>,
    /// `Backend Mode:` as written: `lmstudio`, `local`, …
    pub mode: Option<String>,
    /// `Model:` as configured; can be just `current-model`.
    pub configured_model: Option<String>,
    /// The model that the backend named, asked once per process.
    pub detected_model: Option<String>,
    /// The context length that the backend named, in tokens.
    pub context_length_tokens: Option<u64>,
    /// `Backend URL:` as written.
    pub backend_url: Option<String>,
    /// Bytes of this run in the file.
    pub log_bytes: u64,
    /// Lines of this run in the file.
    pub log_lines: u64,
    /// Lines (ends, first tokens, …) that fit none of the requests.
    pub unattributed_lines: u64,
    /// The requests, in the order of their starts in the log.
    pub requests: Vec<LogRequest>,
    /// File names of the traces that standard error named, in order.
    pub saved_traces: Vec<String>,
    /// File name of the debug log that standard error named.
    pub debug_log: Option<String>,
}

/// What one file holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ParsedLog {
    /// The runs, in the order in which they begin in the file.
    pub runs: Vec<LogRun>,
    /// Bytes fed.
    pub bytes: u64,
    /// Lines seen, the last one even without a line ending.
    pub lines: u64,
    /// Lines that should hold a fact and cannot be read (cut, garbled), and, in a file
    /// without any log line, all lines with text.
    pub unreadable_lines: u64,
}

impl ParsedLog {
    /// Whether the file holds no bytes at all, as a crash at the start leaves it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}
