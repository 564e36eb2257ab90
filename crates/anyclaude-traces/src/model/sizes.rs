//! Sizes of a prompt.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::Amount;

/// Sizes of a request's prompt. Bytes are of compact JSON: a value's own bytes
/// as they stand in the file, less the white space outside strings. What was not recorded
/// is unknown.
///
/// Where all of them are known,
/// `system_bytes + tools_bytes + messages_bytes + other_bytes == body_bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Sizes {
    /// Unicode scalar values of the system text, escapes decoded.
    pub system_chars: Amount,
    /// The same text in bytes of UTF-8.
    pub system_text_bytes: Amount,
    /// 1 for a string, 0 for an empty one, else the number of blocks.
    pub system_blocks: Amount,
    /// Compact JSON of `body.system`; 0 where it is missing.
    pub system_bytes: Amount,
    /// Length of `body.tools`; 0 where that is missing or no array.
    pub tool_count: Amount,
    /// Compact JSON of `body.tools`; 0 where it is missing.
    pub tools_bytes: Amount,
    /// Length of `body.messages`; 0 where that is missing or no array.
    pub message_count: Amount,
    /// Compact JSON of `body.messages`; 0 where it is missing.
    pub messages_bytes: Amount,
    /// `body_bytes` less system, tools and messages.
    pub other_bytes: Amount,
    /// Compact JSON of the body.
    pub body_bytes: Amount,
    /// The file's size on disk.
    pub file_bytes: Amount,
}

impl Sizes {
    /// The sizes of a body without members.
    pub const EMPTY: Self = Self::all(Amount::ZERO);
    /// The sizes of a body that was not recorded.
    pub const UNKNOWN: Self = Self::all(Amount::UNKNOWN);

    const fn all(size: Amount) -> Self {
        Self {
            system_chars: size,
            system_text_bytes: size,
            system_blocks: size,
            system_bytes: size,
            tool_count: size,
            tools_bytes: size,
            message_count: size,
            messages_bytes: size,
            other_bytes: size,
            body_bytes: size,
            file_bytes: size,
        }
    }

    /// System, tools and messages: what a model reads of the body.
    #[must_use]
    pub fn prompt_bytes(&self) -> Amount {
        self.system_bytes + self.tools_bytes + self.messages_bytes
    }
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
