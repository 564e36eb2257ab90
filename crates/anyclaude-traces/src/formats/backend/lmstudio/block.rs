//! JSON that begins on one line and is closed on a later one.

use std::mem;

use memchr::memmem;

use crate::formats::lines::line_ends;

/// How much of a body is kept, and no more than one at a time. None that a model could read
/// is longer.
pub(super) const MAX_BODY_BYTES: usize = 64 << 20;
/// How much is kept of an answer, of which only the end is read.
const MAX_ANSWER_BYTES: usize = 4 << 20;
/// What stands in place of the middle of a string that the log cuts.
const CUT: &[u8] = b"... <Truncated in logs> ...";
/// What is left of a cut string is shorter than this; in a longer one somebody quotes a log.
const MAX_CUT_STRING_BYTES: usize = 1_000;

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LmStudioBlockKind {
    /// The body of the last request.
    Body,
    /// An answer in one piece.
    Answer,
    /// A piece of a streamed answer.
    Packet,
    /// What the server says went wrong.
    Error,
    /// Anything else: it is passed over.
    Other,
}

/// A block whose end has not come yet.
#[derive(Debug, Clone)]
pub(super) struct LmStudioBlock {
    pub(super) kind: LmStudioBlockKind,
    text: Vec<u8>,
    is_too_long: bool,
}

impl LmStudioBlock {
    /// A block that begins with this text. `memory` is a buffer to use.
    pub(super) fn begin(kind: LmStudioBlockKind, text: &[u8], memory: &mut Vec<u8>) -> Self {
        let mut block = Self { kind, text: mem::take(memory), is_too_long: false };
        block.text.clear();
        block.push(text);
        block
    }

    /// Adds a line. True once it closes the block: what is inside is indented.
    pub(super) fn line(&mut self, line: &[u8]) -> bool {
        if self.kind != LmStudioBlockKind::Other {
            self.push(b"\n");
            self.push(line);
        }
        matches!(line.first(), Some(b'}' | b']'))
    }

    /// Adds the lines at the start of `text` that are indented, and so inside of it, as far as
    /// they are whole: how many bytes and how many lines these are.
    pub(super) fn indented(&mut self, text: &[u8]) -> (usize, u64) {
        let (mut length, mut lines) = (0, 0);
        for end in line_ends(text) {
            if text.get(length) != Some(&b' ') {
                break;
            }
            (length, lines) = (end + 1, lines + 1);
        }
        if self.kind != LmStudioBlockKind::Other
            && let Some(inside) = length.checked_sub(1).and_then(|end| text.get(..end))
        {
            self.push(b"\n");
            self.push(inside);
        }
        (length, lines)
    }

    fn push(&mut self, text: &[u8]) {
        let room = match self.kind {
            LmStudioBlockKind::Body => MAX_BODY_BYTES,
            _ => MAX_ANSWER_BYTES,
        };
        if self.text.len() + text.len() > room {
            self.is_too_long = true;
        } else if !self.is_too_long {
            self.text.extend_from_slice(text);
        }
    }

    /// Its text; `None` where it is too long to be kept.
    pub(super) fn text(&self) -> Option<&[u8]> {
        (!self.is_too_long).then_some(&self.text)
    }

    /// Gives the memory back.
    pub(super) fn into_memory(self) -> Vec<u8> {
        self.text
    }
}

/// Whether the log cut strings of this JSON: their sizes are lost.
pub(super) fn has_cut_strings(json: &[u8]) -> bool {
    memmem::find_iter(json, CUT).any(|at| {
        let before = json.get(at.saturating_sub(MAX_CUT_STRING_BYTES)..at).unwrap_or_default();
        let after = json.get(at + CUT.len()..).unwrap_or_default();
        let after = after.get(..MAX_CUT_STRING_BYTES).unwrap_or(after);
        let length = string_start(before).zip(string_end(after)).map(|(before, after)| before + after);
        length.is_some_and(|length| length < MAX_CUT_STRING_BYTES)
    })
}

/// How many bytes of a string stand at the end of this text.
fn string_start(before: &[u8]) -> Option<usize> {
    let quote = memchr::memrchr_iter(b'"', before).find(|at| !is_escaped(before, *at))?;
    Some(before.len() - quote)
}

/// How many bytes of a string stand at the beginning of this text.
fn string_end(after: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'"', after).find(|at| !is_escaped(after, *at))
}

fn is_escaped(text: &[u8], at: usize) -> bool {
    let slashes = text.get(..at).unwrap_or_default().iter().rev().take_while(|byte| **byte == b'\\').count();
    slashes % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_string_is_told_from_one_that_quotes_a_log() {
        let cut = br#"{"content": "I am the first half of a lo... <Truncated in logs> ...ng \"text\", and its end."}"#;
        assert!(has_cut_strings(cut));
        let quoted = format!(r#"{{"content": "{} a... <Truncated in logs> ...b"}}"#, "x".repeat(2_000));
        assert!(!has_cut_strings(quoted.as_bytes()));
        let half = "x".repeat(600);
        let quoted = format!(r#"{{"content": "{half}... <Truncated in logs> ...{half}"}}"#);
        assert!(!has_cut_strings(quoted.as_bytes()), "of a string that was cut less is left");
        assert!(!has_cut_strings(br#"{"content": "whole"}"#));
    }

    #[test]
    fn a_block_is_closed_by_what_is_not_indented() {
        let mut block = LmStudioBlock::begin(LmStudioBlockKind::Body, b"{", &mut Vec::new());
        assert!(!block.line(b"  \"tools\": ["));
        assert!(!block.line(b"  ]"));
        assert!(block.line(b"}"));
        assert_eq!(block.text(), Some(&b"{\n  \"tools\": [\n  ]\n}"[..]));
    }

    #[test]
    fn indented_lines_are_taken_at_once() {
        let mut block = LmStudioBlock::begin(LmStudioBlockKind::Body, b"{", &mut Vec::new());
        assert_eq!(block.indented(b"  \"a\": [\r\n    1\n  ]\n}\n  x\n"), (20, 3));
        assert_eq!(block.text(), Some(&b"{\n  \"a\": [\r\n    1\n  ]"[..]));
        // The last line is not whole.
        assert_eq!(block.indented(b"  2"), (0, 0));
        assert_eq!(block.indented(b"}\n  2\n"), (0, 0));
        assert_eq!(block.text(), Some(&b"{\n  \"a\": [\r\n    1\n  ]"[..]));
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let mut block = LmStudioBlock::begin(LmStudioBlockKind::Answer, b"{", &mut Vec::new());
        let line = vec![b' '; MAX_ANSWER_BYTES];
        assert!(!block.line(&line) && block.line(b"}"));
        assert_eq!(block.text(), None);
    }
}
