//! Any bytes are a log, and how they come in chunks makes no difference.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a fuzz target fails by panicking")]

use anyclaude_traces::log::LogParser;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (chunk, bytes) = input;
    let mut whole = LogParser::new();
    whole.feed(bytes);
    let mut pieces = LogParser::new();
    bytes.chunks(usize::from(chunk).max(1)).for_each(|piece| pieces.feed(piece));
    let (whole, pieces) = (whole.finish(), pieces.finish());
    assert_eq!(serde_json::to_string(&whole).unwrap(), serde_json::to_string(&pieces).unwrap());
});
