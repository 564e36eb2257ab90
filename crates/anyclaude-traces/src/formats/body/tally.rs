//! What is counted and measured while a body is walked.

use super::Body;
use crate::formats::json::text::TextSize;
use crate::model::Sizes;

/// Counts and sizes of the parts of a body.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The decoded text of the system prompt.
    pub(super) system_text: TextSize,
    pub(super) system_blocks: u32,
    /// Compact JSON of the values that hold the system prompt.
    pub(super) system_bytes: u64,
    /// Compact JSON of the arrays of tools.
    pub(super) tools_bytes: u64,
    /// Compact JSON of the messages as an array, without those that are the system's.
    pub(super) messages_bytes: u64,
}

impl Tally {
    /// All sizes of a body of so many bytes of compact JSON.
    pub(super) fn sizes(&self, body: &Body, body_bytes: u64) -> Sizes {
        let sections = [self.system_bytes, self.tools_bytes, self.messages_bytes];
        let other_bytes = sections.iter().fold(body_bytes, |rest, bytes| rest.saturating_sub(*bytes));
        Sizes {
            system_chars: self.system_text.chars.into(),
            system_text_bytes: self.system_text.utf8_bytes.into(),
            system_blocks: u64::from(self.system_blocks).into(),
            system_bytes: self.system_bytes.into(),
            tool_count: (body.tools.len() as u64).into(),
            tools_bytes: self.tools_bytes.into(),
            message_count: (body.history.len() as u64).into(),
            messages_bytes: self.messages_bytes.into(),
            other_bytes: other_bytes.into(),
            body_bytes: body_bytes.into(),
            ..Sizes::EMPTY
        }
    }

    /// Takes the messages' bytes from those of each: an array has brackets, and a comma
    /// between two items.
    pub(super) fn set_messages(&mut self, count: usize, bytes: u64) {
        self.messages_bytes = 2 + bytes + (count as u64).saturating_sub(1);
    }
}
