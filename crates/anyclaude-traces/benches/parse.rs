//! How fast bytes become records: one trace of each shape, and one log.
//!
//! ```text
//! cargo bench -p anyclaude-traces
//! ```

use std::hint::black_box;

use anyclaude_traces::formats::anyclaude::log::LogParser;
use anyclaude_traces::formats::anyclaude::trace::Parser;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};

const CODE: &str =
    "    if state.count != 12:\n        return \"no match in the table\"  # read on\n\tnext = last_index\n";

/// A request with this many tools and turns, and so much text in each.
fn trace(tools: usize, turns: usize, lines: usize) -> String {
    let text = CODE.repeat(lines);
    let tool = |at: usize| {
        let properties = json!({ "path": { "type": "string", "description": "Where the file lies." } });
        let schema = json!({ "type": "object", "properties": properties, "required": ["path"] });
        json!({ "name": format!("Tool{at}"), "description": "Reads every line.", "input_schema": schema })
    };
    let turn = |at: usize| {
        let id = format!("toolu_{at}");
        let input = json!({ "path": "src/main.py", "limit": at });
        let call = json!({ "type": "tool_use", "id": id, "name": "Tool0", "input": input });
        let said = json!({ "type": "text", "text": "Let me look at the file first." });
        let result = json!({ "tool_use_id": id, "type": "tool_result", "content": text });
        [
            json!({ "role": "assistant", "content": [said, call] }),
            json!({ "role": "user", "content": [result] }),
        ]
    };
    let body = json!({
        "model": "claude-test",
        "messages": (0..turns).flat_map(turn).collect::<Vec<Value>>(),
        "system": [{ "type": "text", "text": text, "cache_control": { "type": "ephemeral" } }],
        "tools": (0..tools).map(tool).collect::<Vec<Value>>(),
        "max_tokens": 32_000,
        "stream": true,
    });
    let request = json!({ "method": "POST", "url": "/v1/messages?beta=true", "headers": {}, "body": body });
    let trace = json!({ "timestamp": "2025-11-16T02:30:45.123Z", "mode": "lmstudio", "request": request });
    format!("{trace:#}")
}

/// The log of this many requests at debug level 2, whose replies come in parts.
fn log(requests: usize) -> String {
    let line = |at: usize, ms: usize, text: &str| {
        let (minute, second) = (at / 60 % 60, at % 60);
        format!(
            "[2025-11-16T{:02}:{minute:02}:{second:02}.{ms:03}Z] [ANYCLAUDE DEBUG] {text}\n",
            3 + at / 3600
        )
    };
    let mut log = line(0, 0, "Level 2");
    for at in 0..requests {
        let stamp = format!("2025-11-16T{:02}:{:02}:{:02}.000Z", 3 + at / 3600, at / 60 % 60, at % 60);
        log += &line(at, 0, &format!("[Request Start] lmstudio/lab/m at {stamp}"));
        log += &line(at, 90, "[Timing] First token received at 90ms");
        for part in 2..40 {
            let text = format!("[Stream Conversion] Received chunk {part} of type: text-delta");
            log += &line(at, 100 + part, &text);
        }
        log += &line(at, 200, "[Stream Conversion] Stream complete. Total chunks: 40");
        log += &line(at, 200, "[Request Complete] lmstudio/lab/m: 200ms (40 chunks, 3475 bytes)");
    }
    log
}

fn traces(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("trace");
    for (name, trace) in [("long_texts", trace(40, 100, 60)), ("short_texts", trace(12, 2, 2))] {
        group.throughput(Throughput::Bytes(trace.len() as u64));
        let mut parser = Parser::default();
        group.bench_function(name, |bench| {
            bench.iter(|| parser.parse(black_box(trace.as_bytes()), &mut ()));
        });
    }
    group.finish();
}

fn logs(criterion: &mut Criterion) {
    let log = log(5_000);
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Bytes(log.len() as u64));
    group.bench_function("level_2", |bench| {
        bench.iter(|| {
            let mut parser = LogParser::new();
            parser.feed(black_box(log.as_bytes()));
            parser.finish()
        });
    });
    group.finish();
}

criterion_group!(benches, traces, logs);
criterion_main!(benches);
