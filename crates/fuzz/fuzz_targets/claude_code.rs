//! Any bytes are a recording of Claude Code: files behind each other, a NUL between two.
//! In which order they are read makes no difference, no request is told twice, and what is
//! known of one agrees.
#![no_main]

use std::collections::HashSet;

use anyclaude_traces::fuzzing::claude_code_requests;
use anyclaude_traces::model::timing::Outcome;
use libfuzzer_sys::fuzz_target;

/// Seeds name their files by these.
const NAMES: [&str; 6] =
    ["a.request.json", "a.response.json", "b.request.json", "index.jsonl", "logs.jsonl", "traces.jsonl"];

fuzz_target!(|input: &[u8]| {
    let files: Vec<(&str, &[u8])> = NAMES.into_iter().zip(input.split(|byte| *byte == 0)).collect();
    let requests = claude_code_requests(&files);
    let backwards: Vec<_> = files.into_iter().rev().collect();
    assert_eq!(claude_code_requests(&backwards), requests);
    let places: HashSet<_> = requests.iter().map(|request| &request.path).collect();
    assert_eq!(places.len(), requests.len());
    for request in &requests {
        let Some(timing) = request.timing.as_deref() else { continue };
        assert!(timing.outcome.is_some());
        assert!(timing.ttft_ms != Some(0) && timing.prompt_tokens != Some(0));
        assert!(timing.cached_tokens <= timing.prompt_tokens);
        assert!(timing.error.is_none() || timing.outcome == Some(Outcome::Failed));
    }
});
