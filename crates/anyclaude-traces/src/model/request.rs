//! One request to a model: what was sent, by whom, and the facts from the logs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::bookkeeping::Bookkeeping;
use crate::model::time::Timestamp;
use crate::model::timing::{Confidence, Timing};
use crate::model::{Response, ServerJoin, Sizes};

pub use crate::model::request_id::{InvalidRequestId, RequestId};
pub use crate::model::request_paths::RequestPaths;
pub use crate::model::source::{Api, Source, TimestampSource};
pub use crate::model::trace_path::TracePath;
pub(crate) use crate::model::trace_path::folder_bytes;

/// One request, from a record of a file or, in anyclaude's mode `claude`, from two files.
///
/// Serialised, it is one entry of a list of requests: members that only analyses use are
/// left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Request {
    /// The file; of two, the one with the response. Several requests may share one.
    pub path: TracePath,
    /// All files of this request, in the order of time.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<TracePath>"))]
    pub paths: RequestPaths,
    /// Its short name.
    pub id: RequestId,
    /// What recorded it.
    pub source: Source,
    /// The API that it was sent in; `None` where its body does not tell.
    pub api: Option<Api>,
    /// When the request was recorded.
    pub timestamp: Option<Timestamp>,
    /// Where [`timestamp`](Self::timestamp) comes from, where the recording has none.
    pub timestamp_source: Option<TimestampSource>,
    /// The proxy's mode.
    pub mode: Option<Arc<str>>,
    /// What sort of request it is.
    pub kind: Kind,
    /// The session it belongs to: the id that the trace names, else derived from
    /// conversation and time.
    pub session: Option<Arc<str>>,
    /// The chain of growing histories that it belongs to, within the session.
    pub thread: Option<Arc<str>>,
    /// The anyclaude process that served it; known from logs only.
    pub run: Option<Arc<str>>,
    /// Who sent it, where to, and for which model: shared by all requests of the same.
    #[serde(flatten)]
    pub caller: Arc<Caller>,
    /// The model that ran.
    pub model: Option<Arc<str>>,
    /// Where [`model`](Self::model) comes from.
    pub model_source: Option<ModelSource>,
    /// Sizes of the prompt.
    #[serde(flatten)]
    pub sizes: Sizes,
    /// The recorder replaced parts of the body: its sizes are those of what is left.
    pub body_redacted: bool,
    /// The most tokens that the answer may have.
    pub max_tokens: Option<u64>,
    /// Whether the answer was to be streamed.
    pub stream: bool,
    /// Tokens of the prompt.
    pub tokens: Option<Box<Tokens>>,
    /// Times and counts.
    pub timing: Option<Box<Timing>>,
    /// How the times were found.
    pub join: Option<Box<Join>>,
    /// How it was found in the log of the server that ran the model.
    pub server_join: Option<Arc<ServerJoin>>,
    /// What the recorded response says.
    pub response: Option<Box<Response>>,
    /// Facts that only analyses use.
    #[serde(skip)]
    pub(crate) bookkeeping: Bookkeeping,
}

/// Who sent a request, where to, and for which model: of a recording's requests, few differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Caller {
    /// The URL's path without its query.
    pub endpoint: Option<Arc<str>>,
    /// The version of the client that sent it, by its `user-agent`.
    pub client_version: Option<Arc<str>>,
    /// The subagent that sent it, where its headers name one.
    pub agent: Option<Arc<str>>,
    /// The agent that started [`agent`](Self::agent).
    pub parent_agent: Option<Arc<str>>,
    /// The model that Claude Code asked for.
    pub requested_model: Option<Arc<str>>,
}

/// What else the backend was doing while it served a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Concurrency {
    /// Another request was in the backend at the same time.
    pub overlapped: bool,
    /// It was the first streamed request of its process, and may have had to wait
    /// for the model to be loaded.
    pub cold_start: bool,
}

/// One anyclaude process, as recorded in its log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Run {
    /// Its name: the time of its start, as anyclaude writes times into file names.
    pub id: Arc<str>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// Its debug level; `None` where it is known from a request log only.
    pub level: Option<u8>,
    /// The log file.
    pub log: Arc<str>,
    /// How many requests the log has of it.
    pub requests: u64,
    /// How many bytes it wrote to the log.
    pub log_bytes: u64,
    /// The proxy's mode.
    pub mode: Option<String>,
    /// The model that it was told to use.
    pub configured_model: Option<String>,
    /// The model that it found loaded in the backend.
    pub detected_model: Option<String>,
    /// The context length that the backend named, in tokens.
    pub context_length_tokens: Option<u64>,
    /// Where the backend is: `Backend URL:` as written.
    #[serde(skip)]
    pub backend_url: Option<String>,
}

#[cfg(test)]
impl Run {
    /// A process that logs at this level; `None` where that is unknown.
    pub(crate) fn at_level(id: Arc<str>, level: Option<u8>) -> Arc<Self> {
        Arc::new(Self {
            id,
            started: None,
            level,
            log: "log".into(),
            requests: 1,
            log_bytes: 0,
            mode: None,
            configured_model: None,
            detected_model: None,
            context_length_tokens: None,
            backend_url: None,
        })
    }
}

impl Request {
    /// The group that the request is in when requests are grouped by model: the
    /// model that ran; of a process that only said `current-model`, the process.
    #[must_use]
    pub fn model_group(&self) -> Option<Arc<str>> {
        let unnamed = || self.run.as_ref().map(|run| format!("unnamed, run {run}").into());
        self.model.clone().or_else(unnamed)
    }

    /// Whether its body was recorded, or at least the sections of it. What only telemetry
    /// or a server's log tells of has none.
    #[must_use]
    pub fn has_body(&self) -> bool {
        self.sizes.body_bytes.get().or(self.sizes.messages_bytes.get()).is_some()
    }

    /// How long ago `earlier` was recorded, seen from this request.
    #[must_use]
    pub fn ms_since(&self, earlier: &Self) -> Option<i64> {
        Some(self.timestamp?.ms_since(earlier.timestamp?))
    }

    /// Where the request stands in the defined order: by time, then path;
    /// requests without a time come last.
    #[must_use]
    pub fn order(&self) -> (bool, Option<Timestamp>, &TracePath) {
        (self.timestamp.is_none(), self.timestamp, &self.path)
    }
}

/// What sort of request it is: the first of these that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Asks how many tokens a prompt has: its path ends in `/count_tokens`.
    CountTokens,
    /// Tests whether the backend answers: its `max_tokens` is 1.
    Probe,
    /// Titles, topics and the like: it has no tools.
    Background,
    /// A turn of the conversation.
    Conversation,
}

impl Kind {
    /// All kinds. Conversations come first: most questions are about them.
    pub const ALL: [Self; 4] = [Self::Conversation, Self::Background, Self::Probe, Self::CountTokens];

    /// The kind of a request with this path, token limit and number of tools, as far as
    /// they are known.
    ///
    /// ```
    /// use anyclaude_traces::Kind;
    ///
    /// assert_eq!(Kind::of(Some("/v1/messages/count_tokens"), Some(1), Some(23)), Kind::CountTokens);
    /// assert_eq!(Kind::of(Some("/v1/messages"), Some(32_000), Some(0)), Kind::Background);
    /// assert_eq!(Kind::of(Some("/v1/messages"), Some(32_000), Some(23)), Kind::Conversation);
    /// ```
    #[must_use]
    pub fn of(endpoint: Option<&str>, max_tokens: Option<u64>, tool_count: Option<u64>) -> Self {
        if endpoint.is_some_and(|path| path.ends_with("/count_tokens")) {
            Self::CountTokens
        } else if max_tokens == Some(1) {
            Self::Probe
        } else if tool_count == Some(0) {
            Self::Background
        } else {
            Self::Conversation
        }
    }

    /// The kind's name in JSON and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CountTokens => "count_tokens",
            Self::Probe => "probe",
            Self::Background => "background",
            Self::Conversation => "conversation",
        }
    }
}

/// Where the name of the model that ran comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModelSource {
    /// The user said so.
    Label,
    /// The backend's answer names it: the log's `finish-step` chunk.
    Response,
    /// The debug log's `[Request Start]`.
    DebugLog,
    /// The model that the process found loaded in the backend.
    Detected,
    /// The request log.
    RequestLog,
    /// The server's own log.
    ServerLog,
    /// The trace itself, in mode `claude`, where the model asked for runs.
    Trace,
}

/// Tokens of the prompt by section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Tokens {
    /// Of the system prompt.
    pub system: u64,
    /// Of the tool definitions.
    pub tools: u64,
    /// Of the messages.
    pub messages: u64,
    /// Of all of it.
    pub total: u64,
    /// How they were counted.
    pub method: TokenMethod,
}

/// How tokens were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenMethod {
    /// The backend's own count, shared out over the sections.
    Reported,
    /// A fitted count over the text.
    Estimate,
}

/// How a trace was tied to its log lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Join {
    /// The log file.
    pub log: Arc<str>,
    /// From `[Request Start]` to the trace's timestamp.
    pub gap_ms: Option<i64>,
    /// How sure it is.
    pub confidence: Confidence,
}
