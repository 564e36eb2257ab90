//! What the logs do not tell of requests, and how to have it logged next time.

use std::fmt::{self, Display, Formatter};

use serde::{Serialize, Serializer};

/// How to have everything logged next time: a setting of anyclaude's.
pub(super) const RECORD: &str = "record with ANYCLAUDE_DEBUG=2 anyclaude";

/// What was not logged. Serialised as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotLogged {
    /// A sentence that was read back from JSON.
    Text(String),
    /// Something is unknown of requests.
    Requests {
        /// What is unknown.
        gap: Gap,
        /// Of how many requests.
        requests: u64,
    },
    /// A log has no line.
    EmptyLog {
        /// Which one.
        log: String,
    },
    /// Lines of logs that could not be read.
    UnreadableLines {
        /// How many.
        lines: u64,
    },
}

/// Why something is unknown of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gap {
    /// There is no log of its time.
    NoLog,
    /// It stands in a request log, and in no debug log.
    RequestLogOnly,
    /// Its process logged at level 1.
    FirstLevel,
    /// It completed, and the log has no time to first token.
    Ttft,
    /// Its recorder keeps no time to first token.
    TtftNotRecorded,
    /// Its recorder keeps no times.
    TimesNotRecorded,
    /// It completed, and the backend counted no prompt tokens.
    PromptTokens,
    /// It completed, and no line of a request log is certainly its own.
    ProxyTime,
    /// Its log lines could be another's.
    AmbiguousLines,
    /// The log has no end of it.
    NoEnd,
    /// It was not streamed.
    NotStreamed,
    /// It went to Anthropic.
    ClaudeMode,
    /// It stands in the log, and there is no trace of it.
    NoTrace,
    /// The log of the server that ran its model was not read.
    NoServerLog,
    /// Its log has stamps of whole seconds.
    WholeSeconds,
    /// LM Studio's log has no line of its engine about it.
    NoEngineLines,
    /// llama-server's log tells neither when it came nor how long it waited.
    NoArrival,
    /// llama-server's log tells how long it waited, but has no dates.
    NoDate,
    /// LM Studio's log has no body of it, or cuts or hides it.
    BodyNotWhole,
}

impl NotLogged {
    /// This gap, if any request has it.
    pub(super) fn of(gap: Gap, requests: usize) -> Option<Self> {
        let requests = requests as u64;
        (requests > 0).then_some(Self::Requests { gap, requests })
    }
}

impl Display for NotLogged {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Requests { gap, requests: 1 } => write!(f, "1 request {gap}"),
            Self::Requests { gap, requests } => write!(f, "{requests} requests {gap}"),
            Self::EmptyLog { log } => {
                write!(f, "{log} is empty: that anyclaude ended before it wrote a line")
            }
            Self::UnreadableLines { lines: 1 } => f.write_str("1 log line could not be read"),
            Self::UnreadableLines { lines } => write!(f, "{lines} log lines could not be read"),
        }
    }
}

impl Display for Gap {
    /// What follows `3 requests`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLog => write!(f, "without any log: model and times are unknown; {RECORD}"),
            Self::RequestLogOnly => write!(f, "in a request log only: times are unknown; {RECORD}"),
            Self::FirstLevel => write!(
                f,
                "logged at level 1: keepalives are unknown, and TTFT is the first part's stamp; {RECORD}"
            ),
            Self::Ttft => f.write_str("without a time to first token in the log"),
            Self::TtftNotRecorded => f.write_str(
                "from a recording that has no time to first token: reading and writing cannot be told apart; \
                 the server's own log tells them",
            ),
            Self::TimesNotRecorded => f.write_str("from a recording that has no times"),
            Self::PromptTokens => f.write_str("without prompt tokens from the backend"),
            Self::ProxyTime => {
                f.write_str("without a certain line in a request log: the proxy's own time is unknown")
            }
            Self::AmbiguousLines => {
                f.write_str("overlapping others so that their log lines could be another's")
            }
            Self::NoEnd => {
                f.write_str("without an end in the log: cancelled, still running, or lost in a crash")
            }
            Self::NotStreamed => f.write_str("not streamed: anyclaude logs no end of these"),
            Self::ClaudeMode => f.write_str("to Anthropic in mode claude, which logs no times but the total"),
            Self::NoServerLog => f.write_str(
                "without the log of their server, which knows what came from its cache and when it loaded \
                 the model: for LM Studio set File Logging Mode in its server settings, or run `lms log \
                 stream -s server --json >> FILE`; keep the standard error of llama-server",
            ),
            Self::WholeSeconds => f.write_str(
                "with times to the second only: `lms log stream -s server --json >> FILE` has milliseconds",
            ),
            Self::NoEngineLines => f.write_str(
                "without the engine's lines in LM Studio's log: what came from the cache is unknown; switch \
                 verbose logging on in its server settings",
            ),
            Self::NoArrival => f.write_str(
                "in a log without dates and arrivals: when they came, and how long they waited for a slot, is \
                 unknown; llama-server logs arrivals with -lv 4",
            ),
            Self::NoDate => f.write_str(
                "in a log without dates: when they came is known only where their recording is read beside it",
            ),
            Self::BodyNotWhole => f.write_str(
                "whose body LM Studio's log cuts, hides or does not have: sizes are unknown",
            ),
            Self::NoTrace => f.write_str(
                "in the log without a trace: two in one millisecond overwrite each other, or tracing was off",
            ),
        }
    }
}

impl Serialize for NotLogged {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
