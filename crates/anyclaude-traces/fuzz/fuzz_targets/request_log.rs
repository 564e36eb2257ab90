//! Any bytes are a request log, and how they come in chunks makes no difference.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a fuzz target fails by panicking")]

use anyclaude_traces::log::RequestLogParser;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (chunk, bytes) = input;
    let mut whole = RequestLogParser::new();
    whole.feed(bytes);
    let mut pieces = RequestLogParser::new();
    bytes.chunks(usize::from(chunk).max(1)).for_each(|piece| pieces.feed(piece));
    assert_eq!(whole.finish(), pieces.finish());
});
