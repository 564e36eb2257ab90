//! Any bytes are a request log: how they come in pieces makes no difference, and
//! every line is an entry, empty, or counted as unreadable. Its entries belong to the
//! requests of a debug log, each to one at most. The first byte is the size of a piece; behind
//! a NUL comes the debug log.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a fuzz target fails by panicking")]

use std::collections::HashMap;

use anyclaude_traces::formats::anyclaude::log::{
    LogParser, ParsedRequestLog, RequestLogParser, match_request_log,
};
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((size, bytes)) = input.split_first() else { return Corpus::Reject };
    let nul = bytes.iter().position(|byte| *byte == 0);
    let (bytes, debug_log) = bytes.split_at(nul.unwrap_or(bytes.len()));
    let log = parsed([bytes]);
    assert_eq!(log, parsed(bytes.chunks(usize::from(*size).max(1))));
    assert_eq!(log.bytes, bytes.len() as u64);
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').count() as u64;
    assert!(log.entries.len() as u64 + log.unreadable_lines <= lines);

    let mut parser = LogParser::new();
    parser.feed(debug_log);
    let mut runs = parser.finish().runs;
    let unmatched = match_request_log(&mut runs, &log.entries, &HashMap::new());
    let matched: Vec<_> =
        runs.iter().flat_map(|run| &run.requests).filter_map(|request| request.proxy).collect();
    assert_eq!(matched.len() + unmatched.len(), log.entries.len());
    for proxy in matched {
        assert!(log.entries.iter().any(|entry| entry.timestamp == proxy.received));
    }
    Corpus::Keep
});

fn parsed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> ParsedRequestLog {
    let mut parser = RequestLogParser::new();
    pieces.into_iter().for_each(|piece| parser.feed(piece));
    parser.finish()
}
