//! What other recorders wrote: every verb reads it, and says what is in it.

use std::fs;

use serde_json::{Value, json};

use crate::common::{Folder, repo, traces};

const RECORDERS: &str = "testdata/recorders";

/// The lines of the truth, by file.
fn truth() -> Vec<Value> {
    let text = fs::read_to_string(repo().join(RECORDERS).join("truth.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn files() -> Vec<String> {
    let mut files: Vec<String> = truth().iter().map(|row| row["file"].as_str().unwrap().to_owned()).collect();
    files.dedup();
    files
}

fn rows(path: &str) -> Vec<Value> {
    let ran = traces(&format!("list {path} --format ndjson")).ends_with(0);
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The truth is made by testdata/generate.py, which shares no code with the parsers.
#[test]
fn every_recorder_is_read_as_what_it_recorded() {
    for file in files() {
        let rows = rows(&format!("{RECORDERS}/{file}"));
        let expected: Vec<Value> = truth().into_iter().filter(|row| row["file"] == file.as_str()).collect();
        assert_eq!(rows.len(), expected.len(), "{file}");
        let mut expected = expected;
        expected.sort_by_key(|row| row["start"].to_string());
        for (row, expected) in rows.iter().zip(&expected) {
            for (name, value) in expected.as_object().unwrap() {
                let found = match name.as_str() {
                    "file" => continue,
                    "start" | "total_ms" | "ttft_ms" | "proxy_ms" | "prompt_tokens" | "output_tokens" => {
                        &row["timing"][name]
                    }
                    // A file that counts no cached tokens at all leaves its zeros unknown.
                    "cached_tokens" => &row["timing"][name],
                    _ => &row[name],
                };
                assert_eq!(found, value, "{name} of {file} at {}", expected["start"]);
            }
            assert_eq!(row["timing"]["outcome"], "completed", "{file}");
            let response = &row["response"];
            let parts = ["input_tokens", "cache_read_tokens"].map(|name| response[name].as_u64().unwrap());
            assert_eq!(Some(parts.iter().sum()), expected["prompt_tokens"].as_u64(), "{file}");
            let sections = ["system_bytes", "tools_bytes", "messages_bytes", "other_bytes"];
            if let Some(body) = row["body_bytes"].as_u64() {
                assert_eq!(sections.iter().map(|name| row[*name].as_u64().unwrap()).sum::<u64>(), body);
            }
        }
        let ids: Vec<_> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{file}: {ids:?}");
    }
}

#[test]
fn every_verb_works_on_each() {
    for file in files() {
        let path = format!("{RECORDERS}/{file}");
        for verb in ["summary", "list", "show", "timing", "prefix", "explain"] {
            let ran = traces(&format!("{verb} {path}")).ends_with(0);
            assert!(!ran.stdout.is_empty(), "{verb} {file}");
            traces(&format!("{verb} {path} --format json")).ends_with(0);
        }
        traces(&format!("report {path} --format markdown")).ends_with(0);
        traces(&format!("diff {path} {RECORDERS}/claude-tap.jsonl")).ends_with(0);
    }
}

/// A server may answer with another model than was asked for: no answer, no model.
#[test]
fn what_failed_has_no_model_whatever_was_asked_for() {
    let folder = Folder::new();
    let line = |minute: u32, asked: &str, status: u32| {
        let message = json!([{"role": "user", "content": format!("Turn {minute}")}]);
        let body = json!({"model": asked, "max_tokens": 99, "stream": true, "messages": message,
            "tools": [{"name": "Read", "description": "Reads", "input_schema": {"type": "object"}}]});
        let answer = match status {
            200 => json!({"type": "message", "model": "qwen3", "content": [], "stop_reason": "end_turn",
                "usage": {"input_tokens": 500, "output_tokens": 20}}),
            _ => json!({"type": "error", "error": {"type": "api_error", "message": "Out of memory"}}),
        };
        let record = json!({"timestamp": format!("2026-01-05T10:{minute:02}:10.000Z"), "duration_ms": 5000,
            "request": {"method": "POST", "path": "/v1/messages", "headers": {}, "body": body},
            "response": {"status": status, "headers": {}, "body": answer}});
        format!("{record}\n")
    };
    let asked = [("claude", 200), ("claude", 500), ("claude", 200), ("haiku", 500)];
    let lines = (1..).zip(asked).map(|(minute, (asked, status))| line(minute, asked, status));
    folder.write("a.jsonl", lines.collect::<String>());
    let rows = folder.traces("list a.jsonl --format ndjson").ends_with(0);
    let named: Vec<Value> =
        rows.ndjson().iter().map(|row| json!([row["model"], row["model_source"]])).collect();
    let (known, unknown) = (json!(["qwen3", "response"]), json!([null, null]));
    assert_eq!(named, [&known, &unknown, &known, &unknown].map(Value::clone));
}

/// Each request but the first only adds to the one before, in whichever shape its body is.
#[test]
fn the_prefix_of_every_api_is_seen() {
    for file in files() {
        let ran = traces(&format!("prefix {RECORDERS}/{file} --as sent --format json")).ends_with(0);
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        let requests = report["requests"].as_array().unwrap();
        // LiteLLM's third request went through another API.
        let appended = if file == "litellm.jsonl" { &requests[1..2] } else { &requests[1..] };
        for request in appended {
            assert_eq!(request["break"], Value::Null, "{file}: {request}");
            assert!(request["reusable_bytes"].as_u64().unwrap() > 4000, "{file}: {request}");
        }
    }
}

/// The tools that the conversation called are known by their names in every shape.
#[test]
fn calls_are_seen_in_every_shape() {
    for file in ["mitmproxy.har", "codex.jsonl", "claude-tap-bundle.json"] {
        let ran = traces(&format!("show {RECORDERS}/{file}")).ends_with(0);
        let read = ran.stdout.lines().find(|line| line.starts_with("Read ")).unwrap();
        assert!(read.contains(" yes "), "{file}: {read}");
    }
}

fn refused(name: &str, content: &str) -> String {
    let folder = Folder::new();
    folder.write(name, content);
    let ran = folder.traces(&format!("list {name}")).ends_with(2);
    assert_eq!(ran.stdout, "", "{name}");
    ran.stderr
}

#[test]
fn what_holds_no_request_that_is_read_is_refused_by_name() {
    for (name, content, says) in [
        ("a.har", r#"{"log":{"entries":[]}}"#, "a HAR file without a request to a model"),
        (
            "google.jsonl",
            r#"{"timestamp":"2026-02-03T09:15:00Z","turn":1,"request":{"method":"POST","path":"/v1beta/models/g:streamGenerateContent","body":{"contents":[]}},"response":{"status":200}}"#,
            "`contents`",
        ),
        ("flat.json", r#"[{"turn":1,"duration_ms":2,"messages":[]}]"#, "`compact`"),
        ("ccr.log", "{\"level\":30,\"time\":1,\"pid\":2,\"msg\":\"x\"}\n", "a log of claude-code-router"),
        (
            "trace.jsonl",
            r#"{"request":{"timestamp":1.0,"url":"/x","body":{}},"response":null}"#,
            "claude-trace",
        ),
        ("litellm.jsonl", r#"{"call_type":"aembedding","litellm_call_id":"x"}"#, "a log of LiteLLM"),
        ("rollout.jsonl", r#"{"timestamp":"t","type":"session_meta","payload":{}}"#, "Codex"),
        ("traces.sqlite3", "SQLite format 3\0", "SQLite"),
        (
            "a.lhar",
            "{\"type\":\"session\",\"trace_id\":\"t\"}\n{\"type\":\"entry\",\"trace_id\":\"t\"}\n",
            "LHAR",
        ),
        ("a.lhar.json", r#"{"lhar":{"version":"0.1.0","sessions":[],"entries":[]}}"#, "LHAR"),
        (
            "all_captured_1.jsonl",
            r#"{"_session_id":"s","type":"request","id":"r","method":"POST","url":"https://x/v1/messages","body":{}}"#,
            "LLM Interceptor",
        ),
        (
            "rows.json",
            r#"[{"id":1,"request_id":"r","path":"/v1/messages","request_body_text":"{}"}]"#,
            "Claude Code Router newer than 2.0",
        ),
        (
            "openinference.jsonl",
            "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"name\":\"a\",\"attributes\":[{\"key\":\"openinference.span.kind\",\"value\":{\"stringValue\":\"LLM\"}}]}]}]}]}\n",
            "OpenInference",
        ),
        (
            "phoenix.json",
            r#"{"name":"a","attributes":{"openinference":{"span":{"kind":"LLM"}}}}"#,
            "OpenInference",
        ),
        ("gemini.json", r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#, "`contents`"),
        (
            "socket.har",
            r#"{"log":{"entries":[{"request":{"url":"wss://x/v1/responses"},"response":{"status":101},"_webSocketMessages":[{"type":"send","data":"{}"}]}]}}"#,
            "messages over 1 WebSocket",
        ),
        ("notes.jsonl", "{\"a\":1}\n{\"b\":2}\n", "lines of JSON, of no kind that is read"),
    ] {
        let said = refused(name, content);
        assert!(said.contains(says), "{name}: {said}");
    }
}

/// What is recognised and not read beside requests that are is said, and the requests count.
#[test]
fn what_is_not_read_beside_requests_is_said() {
    let text = fs::read_to_string(repo().join(RECORDERS).join("mitmproxy.har")).unwrap();
    let mut har: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
    let entries = har["log"]["entries"].as_array_mut().unwrap();
    let rows = rows(&format!("{RECORDERS}/mitmproxy.har")).len();
    for (url, member) in [
        ("https://x/v1beta/models/g:streamGenerateContent", "comment"),
        ("https://x/v1/responses", "_webSocketMessages"),
        // Nobody's model.
        ("wss://x/chat", "_webSocketMessages"),
    ] {
        let mut entry = serde_json::json!({ "startedDateTime": "2026-02-03T09:15:00Z", "time": 1,
            "request": { "method": "POST", "url": url }, "response": { "status": 200 } });
        entry[member] = serde_json::json!([]);
        entries.push(entry);
    }
    let folder = Folder::new();
    folder.write("a.har", har.to_string());
    let ran = folder.traces("list a.har --format ndjson").ends_with(3);
    assert_eq!(ran.stdout.lines().count(), rows);
    ran.says(&["1 request to Google's API", "messages over 1 WebSocket, "]);
}

/// A recording that goes on, or was cut, in its last line.
#[test]
fn a_cut_last_line_is_skipped_and_the_lines_before_count() {
    for file in ["claude-tap.jsonl", "codex.jsonl", "claude-trace.jsonl", "litellm.jsonl", "ccr.log"] {
        let text = fs::read_to_string(repo().join(RECORDERS).join(file)).unwrap();
        let folder = Folder::new();
        folder.write(file, &text[..text.len() - 40]);
        let ran = folder.traces(&format!("list {file} --format ndjson")).ends_with(3);
        let expected = if file == "ccr.log" { 3 } else { 2 };
        assert_eq!(ran.stdout.lines().count(), expected, "{file}");
        assert!(ran.stderr.contains("truncated"), "{file}: {}", ran.stderr);
    }
    for file in ["mitmproxy.har", "claude-tap-bundle.json"] {
        let text = fs::read_to_string(repo().join(RECORDERS).join(file)).unwrap();
        let said = refused(file, &text[..text.len() - 40]);
        assert!(said.contains("truncated"), "{file}: {said}");
    }
}

/// Seven turns as claude-tap records them, each of which only appends these messages; by their
/// usage, the cache served so many of the tokens of each turn.
fn appending(added: impl Fn(u64) -> Vec<Value>, cached_tokens: impl Fn(u64) -> u64) -> String {
    let text = |text: String| json!([{"type": "text", "text": text}]);
    let mut messages = vec![json!({"role": "user", "content": text("Begin. ".repeat(300))})];
    let mut lines = String::new();
    for turn in 1..8 {
        let call = json!({"type": "tool_use", "id": format!("toolu_{turn}"), "name": "Read", "input": {}});
        let (prompt, cached) = (3_000 + 600 * turn, cached_tokens(turn));
        let usage =
            json!({"input_tokens": prompt - cached, "cache_read_input_tokens": cached, "output_tokens": 20});
        let line = json!({
            "timestamp": format!("2026-03-02T09:0{turn}:00Z"), "turn": turn, "duration_ms": 9_000,
            "request": {"method": "POST", "path": "/v1/messages", "headers": {}, "body": {
                "model": "m", "stream": true, "max_tokens": 100, "messages": messages,
                "system": text("Rule. ".repeat(2_000)),
            }},
            "response": {"status": 200, "headers": {}, "body": {
                "id": format!("msg_{turn}"), "type": "message", "role": "assistant", "model": "m",
                "content": [call], "stop_reason": "tool_use", "usage": usage,
            }},
        });
        lines += &format!("{line}\n");
        messages.push(json!({"role": "assistant", "content": [call]}));
        let result = json!([{"type": "tool_result", "tool_use_id": format!("toolu_{turn}"), "content": "Line. ".repeat(350)}]);
        messages.push(json!({"role": "user", "content": result}));
        messages.extend(added(turn));
    }
    lines
}

#[test]
fn what_a_prompt_appends_and_a_server_does_not_leave_in_its_place_is_named() {
    let said = |lines: String| {
        let folder = Folder::new();
        folder.write("trace.jsonl", lines);
        let found = folder.traces("explain trace.jsonl --format json").ends_with(0).json();
        let found = found["findings"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["kind"] == "cache_unused")
            .unwrap()
            .clone();
        ["evidence", "advice"].map(|name| found[name].as_str().unwrap().to_owned())
    };
    let message = |role: &str| json!({"role": role, "content": "So many tokens are left."});
    let held = |turn: u64| 2_400 + 600 * turn;

    let [evidence, advice] = said(appending(|_| vec![message("system")], |_| 1_000));
    assert!(evidence.contains("each of them adds a message of the role system"), "{evidence}");
    assert!(advice.contains("leave system messages where they stand"), "{advice}");

    let writes = |turn: u64| if turn.is_multiple_of(2) { vec![message("user")] } else { Vec::new() };
    let [evidence, advice] =
        said(appending(writes, |turn| if turn > 2 && turn % 2 == 1 { 1_000 } else { held(turn) }));
    assert!(evidence.contains("those in which the user writes again"), "{evidence}");
    assert!(advice.contains("keeps the thinking of earlier turns"), "{advice}");

    let [evidence, advice] = said(appending(|_| Vec::new(), |_| 1_000));
    assert!(evidence.ends_with("tokens of earlier ones."), "{evidence}");
    assert!(advice.contains("number of slots"), "{advice}");
}
