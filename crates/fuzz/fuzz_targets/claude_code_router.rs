//! Any bytes are a log of claude-code-router, or of LiteLLM.
#![no_main]
#![allow(clippy::unwrap_used, reason = "a fuzz target fails by panicking")]

use anyclaude_traces::formats::fuzzing::Recorder;
use libfuzzer_sys::fuzz_target;

#[path = "recorders/check.rs"]
mod check;

fuzz_target!(|bytes: &[u8]| {
    for recorder in [Recorder::ClaudeCodeRouter, Recorder::Litellm] {
        check::check(recorder, bytes);
    }
});
