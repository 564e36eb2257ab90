//! How a file becomes records: the one interface that every format implements.

use std::borrow::Cow;

use crate::error::{ParseError, SkipReason};
use crate::formats::body::Visit;
use crate::formats::claude_code::Facts;
use crate::formats::json::cursor::Cursor;
use crate::formats::json::fault::{Fault, FaultKind};
use crate::formats::json::scratch::Scratch;
use crate::formats::record::TraceRecord;

/// One kind of file.
pub(crate) trait Format: Sync + std::fmt::Debug {
    /// Whether a file holds many requests, each with what the backend counted: an answer with
    /// tokens then counts the prompts of all.
    fn holds_counted_requests(&self) -> bool {
        false
    }

    /// Reads every record of a file, in one pass.
    ///
    /// # Errors
    ///
    /// When the file as a whole cannot be used; then nothing of it counts. What concerns one
    /// record alone goes to [`RecordSink::skip`].
    fn read(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        sink: &mut dyn RecordSink,
    ) -> Result<(), ParseError>;
}

/// The number of a record: its place in the order of the file, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RecordNumber(pub(crate) u32);

/// Takes what a format finds.
pub(crate) trait RecordSink {
    /// What is asked of the file should be found in this pass: to read it again takes long,
    /// or will be needed for nearly all of it.
    fn in_one_pass(&mut self) {}

    /// Whether nothing more of the file is wanted.
    fn is_done(&self) -> bool {
        false
    }

    /// The number of the next record. Numbers follow the file, so that they are the same
    /// whenever it is read: it is called where a request to a model begins, whether or not
    /// that turns out to be complete.
    fn begin(&mut self) -> RecordNumber;

    /// Who sees the body of this record. Several records may be open at once.
    fn visitor(&mut self, number: RecordNumber) -> &mut dyn Visit;

    /// The record is complete.
    fn finish(&mut self, number: RecordNumber, record: TraceRecord);

    /// The record is no request to a model: what was seen of its body is not wanted.
    fn abandon(&mut self, _: RecordNumber) {}

    /// What Claude Code tells of requests whose bodies stand in other files.
    fn claude_code(&mut self, facts: Facts);

    /// A record that cannot be read; the others of the file count.
    fn skip(&mut self, error: ParseError);
}

/// The bytes of one file, decompressed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) bytes: &'a [u8],
}

impl<'a> Input<'a> {
    /// The whole file as text, without a byte order mark.
    ///
    /// # Errors
    ///
    /// When it is not UTF-8, or ends inside a character. A fault of the JSON before such an
    /// end is named instead.
    pub(crate) fn text(&self) -> Result<SourceText<'a>, ParseError> {
        let bytes = self.bytes;
        match simdutf8::basic::from_utf8(bytes) {
            Ok(text) => Ok(SourceText::new(text, 0, bytes)),
            Err(_) => Err(self.explain_bad_utf8()),
        }
    }

    /// The lines of JSON Lines that are not blank.
    pub(crate) fn lines(&self) -> impl Iterator<Item = SourceLine<'a>> + use<'a> {
        let file = self.bytes;
        let mut at = 0;
        std::iter::from_fn(move || {
            let rest = file.get(at..).filter(|rest| !rest.is_empty())?;
            let length = memchr::memchr(b'\n', rest);
            let bytes = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
            let start = at;
            at += bytes.len() + 1;
            Some(SourceLine { text: line_text(bytes, start, file), is_last: length.is_none() })
        })
        .filter(|line| !matches!(&line.text, Ok(text) if text.is_blank()))
    }

    fn explain_bad_utf8(&self) -> ParseError {
        let bytes = self.bytes;
        let Err(fault) = std::str::from_utf8(bytes) else {
            return ParseError::new(SkipReason::InvalidUtf8, bytes, 0, "not UTF-8");
        };
        let at = fault.valid_up_to();
        if fault.error_len().is_some() {
            return ParseError::new(SkipReason::InvalidUtf8, bytes, at, "a byte that is not UTF-8");
        }
        let whole = bytes.get(..at).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or_default();
        let text = SourceText::new(whole, 0, bytes);
        let mut scratch = Scratch::default();
        let mut cursor = Cursor::new(text.as_str(), &mut scratch);
        match cursor.skip().and_then(|()| cursor.end()) {
            Err(fault) if matches!(fault.kind, FaultKind::Expected(_)) => text.fault(*fault),
            _ => ParseError::new(SkipReason::Truncated, bytes, at, "the file ends inside a character"),
        }
    }

    /// The size of the file.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// A line of a file.
#[derive(Debug)]
pub(crate) struct SourceLine<'a> {
    /// Its text without the line break, unless it is not UTF-8.
    pub(crate) text: Result<SourceText<'a>, ParseError>,
    /// No line break follows: it may be cut, or still being written.
    pub(crate) is_last: bool,
}

/// The text of a line that begins at this byte of the file.
fn line_text<'a>(bytes: &'a [u8], start: usize, file: &'a [u8]) -> Result<SourceText<'a>, ParseError> {
    if let Ok(text) = simdutf8::basic::from_utf8(bytes) {
        return Ok(SourceText::new(text, start, file));
    }
    let fault = std::str::from_utf8(bytes).err();
    let at = start + fault.map_or(0, |fault| fault.valid_up_to());
    let is_cut = start + bytes.len() == file.len() && fault.is_some_and(|fault| fault.error_len().is_none());
    Err(if is_cut {
        ParseError::new(SkipReason::Truncated, file, at, "the file ends inside a character")
    } else {
        ParseError::new(SkipReason::InvalidUtf8, file, at, "a byte that is not UTF-8")
    })
}

/// A piece of a file's text that knows where it stands, so that what is wrong with it is
/// said with the byte and line of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourceText<'a> {
    text: &'a str,
    at: usize,
    file: &'a [u8],
}

impl<'a> SourceText<'a> {
    /// `text` stands at byte `at` of the file. A byte order mark is passed.
    pub(crate) fn new(text: &'a str, at: usize, file: &'a [u8]) -> Self {
        let stripped = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { text: stripped, at: at + text.len() - stripped.len(), file }
    }

    pub(crate) fn as_str(&self) -> &'a str {
        self.text
    }

    fn is_blank(&self) -> bool {
        self.text.bytes().all(|byte| b" \t\r\n".contains(&byte))
    }

    /// What is wrong with its JSON.
    pub(crate) fn fault(&self, Fault { at, kind }: Fault) -> ParseError {
        match kind {
            _ if self.is_blank() => ParseError::new(SkipReason::Empty, self.file, 0, "the file is empty"),
            FaultKind::Truncated => self.refuse(SkipReason::Truncated, at, "the file ends inside a value"),
            FaultKind::Expected(what) => self.refuse(SkipReason::InvalidJson, at, format!("expected {what}")),
        }
    }

    /// What is wrong with it at this byte of it.
    pub(crate) fn refuse(
        &self,
        reason: SkipReason,
        at: usize,
        what: impl Into<Cow<'static, str>>,
    ) -> ParseError {
        ParseError::new(reason, self.file, self.at + at, what)
    }

    /// Why it is no recorded request.
    pub(crate) fn not_a_trace(&self, why: impl Into<Cow<'static, str>>) -> ParseError {
        self.refuse(SkipReason::NotATrace, 0, why)
    }
}
