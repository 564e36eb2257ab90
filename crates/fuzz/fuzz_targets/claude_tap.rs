//! Any bytes are records of claude-tap, its bundle, or records of claude-trace.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a fuzz target fails by panicking")]

use anyclaude_traces::formats::fuzzing::Recorder;
use libfuzzer_sys::fuzz_target;

#[path = "recorders/check.rs"]
mod check;

fuzz_target!(|bytes: &[u8]| {
    for recorder in [Recorder::ClaudeTap, Recorder::ClaudeTapBundle, Recorder::ClaudeTrace] {
        check::check(recorder, bytes);
    }
});
