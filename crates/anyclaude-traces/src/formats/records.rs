//! All records of the bytes of one file, whatever recorded it.

use crate::error::ParseError;
use crate::formats::anyclaude::trace::AnyclaudeTrace;
use crate::formats::body::Visit;
use crate::formats::claude_code::Facts;
use crate::formats::json::scratch::Scratch;
use crate::formats::record::TraceRecord;
use crate::formats::sniff::sniff;
use crate::formats::source::{Format, Input, RecordNumber, RecordSink};

/// What a file holds.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct FileRecords {
    /// Its requests to a model, in the order in which the file completes them.
    pub records: Vec<TraceRecord>,
    /// Records that cannot be read; the others count.
    pub skipped: Vec<ParseError>,
}

impl TraceRecord {
    /// Parses the bytes of a file of any kind that is read: what it is shows in its content.
    ///
    /// ```
    /// use anyclaude_traces::TraceRecord;
    ///
    /// let har = br#"{"log": {"entries": [{
    ///     "startedDateTime": "2025-11-16T03:20:00Z", "time": 1500,
    ///     "request": {"url": "http://localhost:1234/v1/chat/completions", "postData": {
    ///         "text": "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"}]}"}},
    ///     "response": {"status": 0, "content": {}}}]}}"#;
    /// let file = TraceRecord::all_from_slice(har)?;
    /// assert_eq!(file.records[0].sizes.system_chars.get(), Some(9));
    /// # Ok::<(), anyclaude_traces::error::ParseError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When nothing of the bytes can be used; the error says why, and at which byte and line.
    pub fn all_from_slice(bytes: &[u8]) -> Result<FileRecords, ParseError> {
        let format = sniff(&Input { bytes }, &mut Scratch::default())?;
        read_as(format.unwrap_or(&AnyclaudeTrace), bytes)
    }
}

/// Reads bytes as a file of this format.
pub(crate) fn read_as(format: &dyn Format, bytes: &[u8]) -> Result<FileRecords, ParseError> {
    let mut sink = Collected::default();
    format.read(&Input { bytes }, &mut Scratch::default(), &mut sink)?;
    Ok(sink.found)
}

/// Keeps every record, and shows bodies to nobody.
#[derive(Default)]
struct Collected {
    begun: u32,
    nobody: (),
    found: FileRecords,
}

impl RecordSink for Collected {
    fn begin(&mut self) -> RecordNumber {
        let number = RecordNumber(self.begun);
        self.begun += 1;
        number
    }

    fn visitor(&mut self, _: RecordNumber) -> &mut dyn Visit {
        &mut self.nobody
    }

    fn finish(&mut self, _: RecordNumber, record: TraceRecord) {
        self.found.records.push(record);
    }

    /// Events without bodies become requests once a whole recording is read.
    fn claude_code(&mut self, _: Facts) {}

    fn skip(&mut self, error: ParseError) {
        self.found.skipped.push(error);
    }
}
