//! Any bytes are a log: all of them are counted, and how they come in pieces makes no
//! difference. The first byte is the size of a piece.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a fuzz target fails by panicking")]

use anyclaude_traces::formats::anyclaude::log::{LogParser, ParsedLog, attach_saved_traces};
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((size, bytes)) = input.split_first() else { return Corpus::Reject };
    let mut log = parsed([bytes]);
    let pieces = parsed(bytes.chunks(usize::from(*size).max(1)));
    assert_eq!(serde_json::to_string(&log).unwrap(), serde_json::to_string(&pieces).unwrap());
    check_counts(&log, bytes);
    // Standard error names the traces of requests that a debug log holds, even its own.
    for run in &mut log.runs {
        assert!(attach_saved_traces(run, &run.clone()) <= run.requests.len());
    }
    Corpus::Keep
});

fn parsed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> ParsedLog {
    let mut parser = LogParser::new();
    pieces.into_iter().for_each(|piece| parser.feed(piece));
    parser.finish()
}

fn check_counts(log: &ParsedLog, bytes: &[u8]) {
    assert_eq!(log.bytes, bytes.len() as u64);
    assert_eq!(log.lines, bytes.split_inclusive(|byte| *byte == b'\n').count() as u64);
    assert!(log.unreadable_lines <= log.lines);
    assert!(log.runs.iter().map(|run| run.log_bytes).sum::<u64>() <= log.bytes);
    assert!(log.runs.iter().map(|run| run.log_lines).sum::<u64>() <= log.lines);
    for run in &log.runs {
        for request in &run.requests {
            assert_eq!(request.ttft_ms.is_known(), request.ttft_source.is_some());
            assert!(!(request.ttft_ambiguous && request.ttft_ms.is_known()));
        }
    }
}
