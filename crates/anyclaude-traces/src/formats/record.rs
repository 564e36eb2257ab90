//! The facts of one recorded request: numbers and names, no content.

use std::sync::Arc;

use crate::formats::body::Body;
use crate::model::request::{Api, Join, ModelSource, Source, TimestampSource};
use crate::model::time::Timestamp;
use crate::model::timing::Timing;
use crate::model::{Amount, Identity, Response, Sizes, ToolSize};

/// One recorded request: everything that the analyses need, without its content.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TraceRecord {
    /// What recorded it.
    pub source: Source,
    /// The API that its body has the shape of; `None` where it does not tell.
    pub api: Option<Api>,
    /// When it was recorded, by the recording itself; `None` where that is missing or cannot
    /// be read as a time.
    pub timestamp: Option<Timestamp>,
    /// Where [`timestamp`](Self::timestamp) comes from, where the recording has none.
    pub timestamp_source: Option<TimestampSource>,
    /// The proxy's mode, as written (`lmstudio`, `claude`, …). anyclaude alone has modes.
    pub mode: Option<Arc<str>>,
    /// The URL's path without its query.
    pub endpoint: Option<Arc<str>>,
    /// `body.model`: the model that Claude Code asked for, which may not be the
    /// local model that ran.
    pub requested_model: Option<Arc<str>>,
    /// The model that ran, where the recording names it, and how.
    pub model: Option<(Arc<str>, ModelSource)>,
    /// Who sent the request.
    pub sender: Sender,
    /// All sizes and counts.
    pub sizes: Sizes,
    /// The recorder replaced parts of the body.
    pub body_redacted: bool,
    /// Every text of the body was replaced by another as long.
    pub(crate) is_masked: bool,
    /// `body.max_tokens`, where it is a whole number.
    pub max_tokens: Option<u64>,
    /// `body.stream`; false where it is missing.
    pub stream: bool,
    /// Every tool in the file's order.
    pub tools: Vec<ToolSize>,
    /// The identity of every message, in order.
    pub history: Vec<Identity>,
    /// The identity of the whole body's compact JSON, by which anyclaude's two
    /// files of one request are known to belong together. Taken in mode
    /// `claude` only, the one that writes two.
    pub body: Option<Identity>,
    /// The times and counts that the recording itself holds.
    pub timing: Option<Box<Timing>>,
    /// How they were found, where they stand in another file than the body.
    pub join: Option<Box<Join>>,
    /// The response, where the file holds one.
    pub response: Option<Box<Response>>,
}

/// Who sent a request: the session by the headers, else by `metadata.user_id`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sender {
    /// The session's id, where one is named.
    pub session_id: Option<Arc<str>>,
    /// The hash of the whole `user_id`, which distinguishes users where no session is named.
    pub user: Option<Identity>,
    /// The subagent, by `x-claude-code-agent-id`.
    pub agent: Option<Arc<str>>,
    /// The agent that started it, by `x-claude-code-parent-agent-id`.
    pub parent_agent: Option<Arc<str>>,
    /// Claude Code's version, by `user-agent: claude-cli/2.1.116 (external, cli)`.
    pub client_version: Option<Arc<str>>,
}

/// Collects the facts of one request, in whatever order a file tells them, and makes a
/// [`TraceRecord`] of them.
#[derive(Debug)]
pub(crate) struct RecordDraft {
    pub(crate) source: Source,
    pub(crate) api: Option<Api>,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) mode: Option<Arc<str>>,
    pub(crate) endpoint: Option<Arc<str>>,
    pub(crate) model: Option<(Arc<str>, ModelSource)>,
    /// By the headers; what the body says of the sender fills the gaps.
    pub(crate) sender: Sender,
    pub(crate) body_redacted: bool,
    pub(crate) is_masked: bool,
    pub(crate) body_identity: Option<Identity>,
    pub(crate) response: Option<Box<Response>>,
    timing: Option<Box<Timing>>,
    body: Option<Body>,
}

impl RecordDraft {
    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            api: None,
            timestamp: None,
            mode: None,
            endpoint: None,
            model: None,
            sender: Sender::default(),
            body_redacted: false,
            is_masked: false,
            body_identity: None,
            response: None,
            timing: None,
            body: None,
        }
    }

    /// Takes what was seen of the body. The last one counts.
    pub(crate) fn set_body(&mut self, body: Option<Body>) {
        self.body = body;
    }

    pub(crate) fn body(&self) -> Option<&Body> {
        self.body.as_ref()
    }

    /// The times and counts that the recording itself holds.
    pub(crate) fn timing(&mut self) -> &mut Timing {
        self.timing.get_or_insert_default()
    }

    /// The record; else why it is none. `file_bytes` is the size of the file.
    pub(crate) fn finish(self, file_bytes: usize) -> Result<TraceRecord, &'static str> {
        let mut draft = self;
        let body = draft.body.take().ok_or("it has no object at `request.body`")?;
        if !body.is_prompt() {
            return Err("its `request.body` has none of `model`, `messages`, `system` and `tools`");
        }
        Ok(draft.build(body, file_bytes))
    }

    /// The record of a request whose body was not recorded: all its sizes but that of the
    /// file are unknown.
    pub(crate) fn finish_without_body(self, file_bytes: usize) -> TraceRecord {
        self.build(Body::unknown(), file_bytes)
    }

    /// The record of a request with this body, whatever it holds.
    pub(crate) fn finish_with(self, body: Body, file_bytes: usize) -> TraceRecord {
        self.build(body, file_bytes)
    }

    fn build(self, body: Body, file_bytes: usize) -> TraceRecord {
        let mut timing = self.timing;
        if let Some(timing) = &mut timing {
            timing.fill_sums();
        }
        TraceRecord {
            source: self.source,
            api: self.api.or(body.api),
            timestamp: self.timestamp,
            timestamp_source: None,
            mode: self.mode,
            endpoint: self.endpoint,
            requested_model: body.model,
            model: self.model,
            sender: Sender {
                session_id: self.sender.session_id.or(body.sender.session_id),
                user: body.sender.user,
                ..self.sender
            },
            sizes: Sizes { file_bytes: Amount::from(file_bytes as u64), ..body.sizes },
            body_redacted: self.body_redacted,
            is_masked: self.is_masked,
            max_tokens: body.max_tokens,
            stream: body.stream,
            tools: body.tools,
            history: body.history,
            body: self.body_identity,
            timing,
            join: None,
            response: self.response,
        }
    }
}

/// A URL's path: without query and fragment, and without scheme and host.
pub(crate) fn path_of(url: &str) -> &str {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = url.get(..end).unwrap_or(url);
    let Some((scheme, host_and_path)) = url.split_once("://") else { return url };
    if scheme.contains('/') {
        return url;
    }
    host_and_path.find('/').and_then(|slash| host_and_path.get(slash..)).unwrap_or("/")
}
