//! One request to a model: what was sent, by whom, and the facts from the logs.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::model::time::Timestamp;
use crate::model::timing::{Confidence, PromptOverhead, Timing};
use crate::model::{LogFacts, Response, ServerJoin, ServerTask, Sizes, SpeedSample, ToolSize};

/// One request, from one trace file or, in mode `claude`, from two.
///
/// Serialises as a line of `traces list --format ndjson`; members that only the
/// analyses need are left out of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Request {
    /// The trace file; of two, the one with the response.
    pub path: TracePath,
    /// All files of this request, in the order of time.
    pub paths: Vec<TracePath>,
    /// When the request was recorded.
    pub timestamp: Option<Timestamp>,
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
    /// The model that ran.
    pub model: Option<Arc<str>>,
    /// Where [`model`](Self::model) comes from.
    pub model_source: Option<ModelSource>,
    /// Sizes of the prompt.
    #[serde(flatten)]
    pub sizes: Sizes,
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
    pub server_join: Option<Box<ServerJoin>>,
    /// What the recorded response says.
    pub response: Option<Box<Response>>,
    /// Its tools, in the order of the file.
    #[serde(skip)]
    pub tools: Arc<[ToolSize]>,
    /// The process that [`run`](Self::run) names.
    #[serde(skip)]
    pub process: Option<Arc<Run>>,
    /// What the proxy was about to send, after its edits.
    #[serde(skip)]
    pub proxied: Option<Box<PromptOverhead>>,
    /// Further facts from the log: stalls, cached tokens, the proxy's edits.
    #[serde(skip)]
    pub log_facts: Option<Box<LogFacts>>,
    /// What the server's own log tells of it.
    #[serde(skip)]
    pub server_task: Option<Box<ServerTask>>,
    /// Which speeds of its model it takes part in. Set by [`cost`](crate::cost).
    #[serde(skip)]
    pub speed_sample: SpeedSample,
    /// How many requests of its thread came before it.
    #[serde(skip)]
    pub turn: u32,
    /// What else the backend was doing; known from logs only.
    #[serde(skip)]
    pub concurrency: Option<Concurrency>,
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

impl Request {
    /// The group that the request is in when requests are grouped by model: the
    /// model that ran; of a process that only said `current-model`, the process.
    #[must_use]
    pub fn model_group(&self) -> Option<Arc<str>> {
        let unnamed = || self.run.as_ref().map(|run| format!("unnamed, run {run}").into());
        self.model.clone().or_else(unnamed)
    }

    /// How long ago `earlier` was recorded, seen from this request.
    #[must_use]
    pub fn ms_since(&self, earlier: &Self) -> Option<i64> {
        Some(self.timestamp?.ms_since(earlier.timestamp?))
    }

    /// Where the request stands in the defined order: by time, then path;
    /// requests without a time come last.
    #[must_use]
    pub fn order(&self) -> (bool, Option<Timestamp>, &Path) {
        (self.timestamp.is_none(), self.timestamp, &self.path.0)
    }
}

/// The path of a trace file. Serialised as text, with U+FFFD for what is not
/// UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TracePath(pub Arc<Path>);

impl TracePath {
    /// The folder whose `traces/` the file is below, as its path is written: what was
    /// recorded elsewhere went to another backend, as far as is known.
    pub(crate) fn root(&self) -> Option<&Path> {
        let traces =
            self.0.ancestors().skip(1).find(|folder| folder.file_name().is_some_and(|name| name == "traces"));
        traces?.parent()
    }
}

impl AsRef<Path> for TracePath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Serialize for TracePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Checking for UTF-8 is faster than a lossy conversion, and nearly every path is.
        match self.0.to_str() {
            Some(path) => serializer.serialize_str(path),
            None => serializer.serialize_str(&self.0.to_string_lossy()),
        }
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
    /// All kinds, the one that people look for first.
    pub const ALL: [Self; 4] = [Self::Conversation, Self::Background, Self::Probe, Self::CountTokens];

    /// The kind of a request with this path, token limit and number of tools.
    ///
    /// ```
    /// use anyclaude_traces::Kind;
    ///
    /// assert_eq!(Kind::of(Some("/v1/messages/count_tokens"), Some(1), 23), Kind::CountTokens);
    /// assert_eq!(Kind::of(Some("/v1/messages"), Some(32_000), 0), Kind::Background);
    /// assert_eq!(Kind::of(Some("/v1/messages"), Some(32_000), 23), Kind::Conversation);
    /// ```
    #[must_use]
    pub fn of(endpoint: Option<&str>, max_tokens: Option<u64>, tool_count: u64) -> Self {
        if endpoint.is_some_and(|path| path.ends_with("/count_tokens")) {
            Self::CountTokens
        } else if max_tokens == Some(1) {
            Self::Probe
        } else if tool_count == 0 {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Caches and swaps are told apart by it.
    #[test]
    fn a_root_is_what_holds_the_folder_of_traces() {
        let root = |path: &str| TracePath(Path::new(path).into()).root().map(Path::to_owned);
        assert_eq!(root("a/.anyclaude/traces/lmstudio/1.json"), Some("a/.anyclaude".into()));
        assert_ne!(root("a/.anyclaude/traces/lmstudio/1.json"), root("b/.anyclaude/traces/lmstudio/1.json"));
        assert_eq!(root("a/1.json"), None);
    }
}
