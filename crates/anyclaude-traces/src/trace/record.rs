//! What one trace file says, in numbers and names.

use std::sync::Arc;

use serde::Serialize;

use super::visit::Identity;
use crate::time::Timestamp;

/// One parsed trace: everything that the analyses need, and no content.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceRecord {
    /// When anyclaude wrote the file, by the file's own `timestamp`; `None`
    /// where that is missing or no time.
    pub timestamp: Option<Timestamp>,
    /// The proxy's mode, as written (`lmstudio`, `claude`, …).
    pub mode: Option<Arc<str>>,
    /// The URL's path without its query.
    pub endpoint: Option<Arc<str>>,
    /// `body.model`: the model that Claude Code asked for, which is not the
    /// local model that ran.
    pub requested_model: Option<Arc<str>>,
    /// Who sent the request, by `metadata.user_id`.
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

/// Whom `metadata.user_id` names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sender {
    /// The session's id, where one is named.
    pub session_id: Option<Arc<str>>,
    /// Stands for the whole `user_id`, which tells users apart where no session
    /// is named.
    pub user: Option<Identity>,
}

/// Sizes of a request's prompt. Bytes are of compact JSON: a value's own bytes
/// as they stand in the file, less the white space outside strings.
///
/// `system_bytes + tools_bytes + messages_bytes + other_bytes == body_bytes`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Sizes {
    /// Unicode scalar values of the system text, escapes decoded.
    pub system_chars: u64,
    /// The same text in bytes of UTF-8.
    pub system_text_bytes: u64,
    /// 1 for a string, 0 for an empty one, else the number of blocks.
    pub system_blocks: u64,
    /// Compact JSON of `body.system`; 0 where it is missing.
    pub system_bytes: u64,
    /// Length of `body.tools`; 0 where that is missing or no array.
    pub tool_count: u64,
    /// Compact JSON of `body.tools`; 0 where it is missing.
    pub tools_bytes: u64,
    /// Length of `body.messages`; 0 where that is missing or no array.
    pub message_count: u64,
    /// Compact JSON of `body.messages`; 0 where it is missing.
    pub messages_bytes: u64,
    /// `body_bytes` less system, tools and messages.
    pub other_bytes: u64,
    /// Compact JSON of `request.body`.
    pub body_bytes: u64,
    /// The file's size on disk.
    pub file_bytes: u64,
}

/// A tool and how much of the prompt it takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ToolSize {
    /// Its name, where it has one.
    pub name: Option<Arc<str>>,
    /// Compact JSON of its definition.
    pub bytes: u64,
}

/// What the response says of itself. Recorded in mode `claude` only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Response {
    /// The HTTP status.
    pub status: Option<u64>,
    /// Tokens of the prompt that no cache held.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
    /// Tokens of the prompt that were written to a cache.
    pub cache_creation_tokens: Option<u64>,
    /// Tokens of the prompt that came from a cache.
    pub cache_read_tokens: Option<u64>,
    /// Why the answer ended.
    pub stop_reason: Option<String>,
    /// How many tools the answer calls, server tools included; `None` where the
    /// body could not be understood (compressed, say).
    pub tool_calls: Option<u64>,
}
