//! Facts from a recorded response.

use serde::{Deserialize, Serialize};

use super::Amount;

/// Facts from the response. Recorded in mode `claude` only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// How many tools the answer calls, server tools included; `None` where the body cannot be
    /// parsed, for example because it is compressed.
    pub tool_calls: Option<u64>,
    /// What the answer consists of. JSON has none of it.
    #[serde(skip)]
    pub(crate) content: AnswerContent,
}

/// How much of an answer its recording shows: what was generated beside that was unseen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AnswerContent {
    /// Bytes of its texts and of its tools' names and arguments; unknown of a stream that was
    /// not put together.
    pub(crate) bytes: Amount,
    /// Output tokens that were reasoning, by its usage.
    pub(crate) reasoning_tokens: Amount,
    /// Whether it shows reasoning, with its text or without.
    pub(crate) has_reasoning: bool,
}

impl AnswerContent {
    /// Adds what another piece of the same answer holds.
    pub(crate) fn add(&mut self, piece: Self) {
        let sum = |more: u64| self.bytes.get().unwrap_or(0).saturating_add(more);
        self.bytes = piece.bytes.get().map(sum).or(self.bytes.get()).into();
        self.reasoning_tokens = piece.reasoning_tokens.get().or(self.reasoning_tokens.get()).into();
        self.has_reasoning |= piece.has_reasoning;
    }

    /// This, and what only `other`, another recording of the answer, knows.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.get().or(other.bytes.get()).into(),
            reasoning_tokens: self.reasoning_tokens.get().or(other.reasoning_tokens.get()).into(),
            has_reasoning: self.has_reasoning || other.has_reasoning,
        }
    }
}
