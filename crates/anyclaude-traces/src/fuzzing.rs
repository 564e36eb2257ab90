//! An entry point for the fuzz targets; compiled for them alone.

use std::path::Path;

use crate::error::ParseError;
use crate::formats::body::Visit;
use crate::formats::claude_code::{self, Facts};
use crate::formats::json::scratch::Scratch;
use crate::formats::record::TraceRecord;
use crate::formats::source::{Input, RecordNumber, RecordSink};
use crate::model::request::{Request, Source, TracePath};
use crate::read::{FactsFile, TraceFile};
use crate::recording::assemble::RequestBuilder;
use crate::recording::claude_code::join;

/// The requests of a recording that Claude Code made of itself, whose files have these
/// names and hold these bytes.
#[must_use]
pub fn claude_code_requests(files: &[(&str, &[u8])]) -> Vec<Request> {
    let (mut scratch, mut sink) = (Scratch::default(), Files::default());
    for (name, bytes) in files {
        (sink.path, sink.begun) = (name, 0);
        if let Some(format) = claude_code::recognise(bytes, &mut scratch) {
            // What is refused is of no interest.
            let _ = format.read(&Input { bytes }, &mut scratch, &mut sink);
        }
    }
    sink.records.sort_by(|a, b| a.path.cmp(&b.path));
    sink.facts.sort_by(|a, b| a.path.cmp(&b.path));
    let asked = sink.facts.len();
    let mut builder = RequestBuilder::default();
    join(sink.records, &sink.facts, asked).into_iter().for_each(|file| builder.add(file));
    builder.requests()
}

#[derive(Default)]
struct Files<'n> {
    path: &'n str,
    begun: u32,
    nobody: (),
    records: Vec<TraceFile>,
    facts: Vec<FactsFile>,
}

impl RecordSink for Files<'_> {
    fn begin(&mut self) -> RecordNumber {
        self.begun += 1;
        RecordNumber(self.begun - 1)
    }

    fn visitor(&mut self, _: RecordNumber) -> &mut dyn Visit {
        &mut self.nobody
    }

    fn finish(&mut self, number: RecordNumber, mut record: TraceRecord) {
        record.source = Source::ClaudeCode;
        let path = TracePath::of_record(Path::new(self.path), number.0);
        self.records.push(TraceFile { path, record });
    }

    fn claude_code(&mut self, facts: Facts) {
        self.facts.push(FactsFile { path: Path::new(self.path).into(), modified: None, facts });
    }

    fn skip(&mut self, _: ParseError) {}
}
