//! Which of Claude Code's files it is, by the names of the first members.

use super::files::{IndexFile, ReceiptFile, ResponseFile, TelemetryFile, TranscriptFile};
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::RawStr;
use crate::formats::source::Format;

/// How many lines are looked at: transcripts begin with some of the client's own.
const MAX_LINES: usize = 8;

/// The format of a file that Claude Code wrote; `None` for any other, and for a body.
pub(crate) fn recognise(bytes: &[u8], scratch: &mut Scratch) -> Option<&'static dyn Format> {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    // Only what is looked at need be UTF-8: a later fault is named when the file is read.
    let first = of_value(text, scratch);
    if first.is_some() {
        return first;
    }
    // Byte by byte, to find the end of a body's one line took longer than to read it.
    let ends = memchr::memchr_iter(b'\n', text).take(MAX_LINES);
    let lines = ends.scan(0, |start, end| text.get(std::mem::replace(start, end + 1)..end));
    let last = memchr::memrchr(b'\n', text).map_or(0, |end| end + 1);
    let lines = lines.chain(text.get(last..)).skip(1).take(MAX_LINES - 1);
    lines.filter(|line| line.starts_with(b"{")).find_map(|line| of_line(line, scratch))
}

/// A later line tells of a transcript alone.
fn of_line(line: &[u8], scratch: &mut Scratch) -> Option<&'static dyn Format> {
    let text = valid(line);
    let mut cursor = Cursor::new(text, scratch);
    let (mut has_session, mut has_type) = (false, false);
    // A cut line tells what stands before the cut.
    let _ = cursor.members_or_skip(|cursor, key| {
        has_session |= key == "sessionId";
        has_type |= key == "type";
        cursor.skip()
    });
    (has_session && has_type).then_some(&TranscriptFile as _)
}

fn of_value(bytes: &[u8], scratch: &mut Scratch) -> Option<&'static dyn Format> {
    let text = valid(bytes);
    let mut cursor = Cursor::new(text, scratch);
    let mut found = SniffedMembers::default();
    let format = found.read(&mut cursor);
    format.ok().flatten().or_else(|| found.decide())
}

/// The text up to the first byte that is not UTF-8.
fn valid(bytes: &[u8]) -> &str {
    match simdutf8::compat::from_utf8(bytes) {
        Ok(text) => text,
        Err(fault) => {
            let valid = bytes.get(..fault.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(valid).unwrap_or_default()
        }
    }
}

/// What was seen of the first value.
#[derive(Default)]
struct SniffedMembers {
    is_message: bool,
    has_role: bool,
    has_session: bool,
    has_type: bool,
}

impl SniffedMembers {
    /// Reads members until one decides. What is behind it is not looked at.
    fn read(&mut self, cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<&'static dyn Format>> {
        if cursor.shape()? != Shape::Object {
            return Ok(None);
        }
        let mut walk = Walk::default();
        while let Some(key) = cursor.next_member(&mut walk)? {
            let format: Option<&'static dyn Format> = match key.as_ref() {
                "resourceLogs" | "resourceSpans" | "resourceMetrics" => Some(&TelemetryFile),
                "request_file" | "response_file" | "query_source" => Some(&IndexFile),
                "parentUuid" | "isSidechain" | "leafUuid" => Some(&TranscriptFile),
                "recording" => Some(&ReceiptFile),
                // A trace, or another recorder's record.
                "request" | "response" | "log" | "records" => return Ok(None),
                "type" => {
                    let kind = cursor.string_or_skip()?.map(RawStr::decode);
                    self.is_message |= kind.as_deref() == Some("message");
                    self.has_type = true;
                    continue;
                }
                "role" => {
                    self.has_role = true;
                    None
                }
                "sessionId" => {
                    self.has_session = true;
                    None
                }
                _ => None,
            };
            if format.is_some() {
                return Ok(format);
            }
            if let Some(format) = self.decide() {
                return Ok(Some(format));
            }
            cursor.skip()?;
        }
        Ok(None)
    }

    fn decide(&self) -> Option<&'static dyn Format> {
        if self.is_message && self.has_role {
            return Some(&ResponseFile);
        }
        if self.has_type && self.has_session {
            return Some(&TranscriptFile);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_recognised(text: &str) -> bool {
        recognise(text.as_bytes(), &mut Scratch::default()).is_some()
    }

    #[test]
    fn the_first_members_tell() {
        for text in [
            r#"{"resourceLogs":[]}"#,
            "\u{feff}{\"resourceSpans\":[",
            r#"{"timestamp":"t","session_id":"s","query_source":"sdk"}"#,
            r#"{"id":"m","type":"message","role":"assistant","content":[]}"#,
            "{\"type\":\"mode\"}\n{\"type\":\"user\",\"sessionId\":\"s\"}\n",
            r#"{"type":"summary","summary":"x","leafUuid":"u"}"#,
            r#"{"schema_version":1,"recording":"claude_code"}"#,
        ] {
            assert!(is_recognised(text), "{text}");
        }
        for text in [
            "",
            "[]",
            "null",
            "{",
            r#"{"timestamp":"t","mode":"lmstudio","request":{"body":{"messages":[]}}}"#,
            r#"{"request":{"body":{"model":"m","messages":[]}},"messages":[]}"#,
            r#"{"log":{"entries":[]}}"#,
            r#"{"path":"/v1/messages","messages":2,"tools":24,"system":3}"#,
            "\u{0}\u{0}",
        ] {
            assert!(!is_recognised(text), "{text}");
        }
    }
}
