//! Any bytes are the log of a server: all of them are counted, and how they come in pieces
//! makes no difference. The first byte is the size of a piece.
#![no_main]

use anyclaude_traces::formats::backend::{BackendLog, LlamaServerParser, LmStudioParser, OllamaParser};
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((size, bytes)) = input.split_first() else { return Corpus::Reject };
    let size = usize::from(*size).max(1);
    for parse in [llama_server, lm_studio, ollama] {
        let log = parse(&mut std::iter::once(bytes));
        assert_eq!(log, parse(&mut bytes.chunks(size)));
        check(&log, bytes);
    }
    Corpus::Keep
});

fn llama_server(pieces: &mut dyn Iterator<Item = &[u8]>) -> BackendLog {
    let mut parser = LlamaServerParser::new();
    pieces.for_each(|piece| parser.feed(piece));
    parser.finish()
}

fn lm_studio(pieces: &mut dyn Iterator<Item = &[u8]>) -> BackendLog {
    let mut parser = LmStudioParser::new();
    pieces.for_each(|piece| parser.feed(piece));
    parser.finish()
}

fn ollama(pieces: &mut dyn Iterator<Item = &[u8]>) -> BackendLog {
    let mut parser = OllamaParser::new();
    pieces.for_each(|piece| parser.feed(piece));
    parser.finish()
}

fn check(log: &BackendLog, bytes: &[u8]) {
    assert_eq!(log.bytes, bytes.len() as u64);
    assert_eq!(log.lines, bytes.split_inclusive(|byte| *byte == b'\n').count() as u64);
    assert!(log.known_lines <= log.lines && log.unreadable_lines <= log.lines);
    for task in &log.tasks {
        assert!(task.process == 0 || task.process < log.processes.len());
        if let (Some(prompt), Some(cached)) = (task.prompt_tokens, task.cached_tokens) {
            let is_settled = task.read_tokens.is_some_and(|read| prompt >= read);
            assert!(!is_settled || cached <= prompt);
        }
    }
}
