//! Sizes of a prompt.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Sizes of a request's prompt. Bytes are of compact JSON: a value's own bytes
/// as they stand in the file, less the white space outside strings.
///
/// `system_bytes + tools_bytes + messages_bytes + other_bytes == body_bytes`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
