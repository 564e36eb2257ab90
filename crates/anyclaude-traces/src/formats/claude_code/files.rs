//! The kinds of files that are no bodies: each becomes [`Facts`].

use super::body::read_body;
use super::index::read_entry;
use super::response::read_response;
use super::telemetry::{Export, Records, Telemetry, read_export};
use super::transcript::{self, TranscriptTold};
use super::{Facts, FactsKind};
use crate::error::ParseError;
use crate::formats::json::cursor::Cursor;
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::record::RecordDraft;
use crate::formats::source::{Format, Input, RecordNumber, RecordSink};
use crate::model::request::{Api, Source};

/// OTLP/JSON: one export a line.
#[derive(Debug)]
pub(super) struct TelemetryFile;

impl Format for TelemetryFile {
    fn read(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        sink: &mut dyn RecordSink,
    ) -> Result<(), ParseError> {
        let mut facts = Facts::of(FactsKind::Metrics);
        let unreadable = each_line(input, sink, |line, sink| {
            let mut records = InlineBodies { sink, file_bytes: input.len() };
            match read_export(line, scratch, &mut records, &mut facts.telemetry)? {
                Export::Told => facts.kind = FactsKind::Telemetry,
                Export::Metrics | Export::Foreign => {}
            }
            Ok(())
        });
        facts.unreadable_lines = unreadable;
        let is_untold = facts.kind == FactsKind::Telemetry && facts.telemetry == Telemetry::default();
        if is_untold && memchr::memmem::find(input.bytes, b"openinference.span.kind").is_some() {
            facts.kind = FactsKind::OpenInference;
        }
        sink.claude_code(facts);
        Ok(())
    }
}

/// Reads the bodies that stand in events as records of their file.
struct InlineBodies<'s> {
    sink: &'s mut dyn RecordSink,
    file_bytes: usize,
}

impl Records for InlineBodies<'_> {
    fn begin(&mut self) -> u32 {
        self.sink.begin().0
    }

    fn read(&mut self, number: u32, body: &str) -> bool {
        let (number, mut scratch) = (RecordNumber(number), Scratch::default());
        let mut cursor = Cursor::new(body, &mut scratch);
        let mut draft = RecordDraft::new(Source::ClaudeCode);
        draft.api = Some(Api::Anthropic);
        let read = read_body(&mut cursor, &mut draft, self.sink.visitor(number));
        let Ok(()) = read.and_then(|()| cursor.end()) else { return false };
        let Ok(record) = draft.finish(self.file_bytes) else { return false };
        self.sink.finish(number, record);
        true
    }
}

/// `index.jsonl`.
#[derive(Debug)]
pub(super) struct IndexFile;

impl Format for IndexFile {
    fn read(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        sink: &mut dyn RecordSink,
    ) -> Result<(), ParseError> {
        each_fact(FactsKind::Index, input, sink, |facts, line| {
            facts.index.extend(read_entry(line, scratch)?);
            Ok(())
        });
        Ok(())
    }
}

/// A transcript.
#[derive(Debug)]
pub(super) struct TranscriptFile;

impl Format for TranscriptFile {
    fn read(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        sink: &mut dyn RecordSink,
    ) -> Result<(), ParseError> {
        each_fact(FactsKind::Transcript, input, sink, |facts, line| {
            match transcript::read_line(line, scratch)? {
                Some(TranscriptTold::Answer(answer)) => facts.answers.push(answer),
                Some(TranscriptTold::FailedTry(failed)) => facts.failed_tries.push(failed),
                None => {}
            }
            Ok(())
        });
        Ok(())
    }
}

/// `<id>.response.json`.
#[derive(Debug)]
pub(super) struct ResponseFile;

impl Format for ResponseFile {
    fn read(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        sink: &mut dyn RecordSink,
    ) -> Result<(), ParseError> {
        let text = input.text()?;
        let mut facts = Facts::of(FactsKind::Response);
        facts.response = Some(read_response(text.as_str(), scratch).map_err(|fault| text.fault(*fault))?);
        sink.claude_code(facts);
        Ok(())
    }
}

/// What `record` notes of a recording: nothing that is needed to read it.
#[derive(Debug)]
pub(super) struct ReceiptFile;

impl Format for ReceiptFile {
    fn read(&self, _: &Input<'_>, _: &mut Scratch, sink: &mut dyn RecordSink) -> Result<(), ParseError> {
        sink.claude_code(Facts::of(FactsKind::Receipt));
        Ok(())
    }
}

/// Hands over the facts that `add` finds in each line.
fn each_fact(
    kind: FactsKind,
    input: &Input<'_>,
    sink: &mut dyn RecordSink,
    mut add: impl FnMut(&mut Facts, &str) -> ParseResult<()>,
) {
    let mut facts = Facts::of(kind);
    let unreadable_lines = each_line(input, sink, |line, _| add(&mut facts, line));
    sink.claude_code(Facts { unreadable_lines, ..facts });
}

/// Calls `read` with each line. A last line that cannot be read may be cut, and is skipped
/// by name; how many others could not be read is returned.
fn each_line(
    input: &Input<'_>,
    sink: &mut dyn RecordSink,
    mut read: impl FnMut(&str, &mut dyn RecordSink) -> ParseResult<()>,
) -> u64 {
    let mut unreadable = 0;
    for line in input.lines() {
        let result = line.text.and_then(|text| read(text.as_str(), sink).map_err(|fault| text.fault(*fault)));
        match result {
            Ok(()) => {}
            Err(error) if line.is_last => sink.skip(error),
            Err(_) => unreadable += 1,
        }
    }
    unreadable
}
