//! The facts from one trace file: numbers and names, no content.

use std::sync::Arc;

use crate::model::time::Timestamp;
use crate::model::{Identity, Response, Sizes, ToolSize};

/// One parsed trace: everything that the analyses need, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceRecord {
    /// When anyclaude wrote the file, by the file's own `timestamp`; `None`
    /// where that is missing or cannot be read as a time.
    pub timestamp: Option<Timestamp>,
    /// The proxy's mode, as written (`lmstudio`, `claude`, …).
    pub mode: Option<Arc<str>>,
    /// The URL's path without its query.
    pub endpoint: Option<Arc<str>>,
    /// `body.model`: the model that Claude Code asked for, which is not the
    /// local model that ran.
    pub requested_model: Option<Arc<str>>,
    /// Who sent the request.
    pub sender: Sender,
    /// All sizes and counts.
    pub sizes: Sizes,
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
