//! Files that were cut anywhere, and files of which any one bit has flipped: they
//! are read or skipped, and what is said of them is never wrong.
#![allow(clippy::print_stdout, reason = "what was tried is counted, to be quoted")]

use std::collections::BTreeMap;

use crate::common::{Folder, body};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

/// A trace as `JSON.stringify` writes it, in which every kind of token occurs: four
/// widths of characters, escapes, numbers, words, white space, a reply.
const SMALL: &str = r#"{
  "timestamp": "2025-11-16T10:00:00.000Z",
  "mode": "lmstudio",
  "request": {
    "method": "POST",
    "url": "/v1/messages?beta=true",
    "headers": {},
    "body": {
      "model": "claude-sonnet-4-20250514",
      "max_tokens": 32000,
      "temperature": -1.5e-2,
      "stream": true,
      "system": [
        { "type": "text", "text": "Antworte kürzer: 日本 😀.", "cache_control": null }
      ],
      "tools": [
        { "name": "mcp__a__b", "input_schema": { "type": "object", "properties": {} } }
      ],
      "messages": [
        { "role": "user", "content": "a \"b\" \\ \u00e9 \ud83d\n" },
        { "role": "assistant", "content": [{ "type": "text", "text": "" }] }
      ]
    }
  },
  "response": {
    "statusCode": 200,
    "body": { "usage": { "output_tokens": 3 }, "content": [], "stop_reason": "end_turn" }
  }
}
"#;

/// A good trace beside the others, whose numbers must stay as they are.
fn with_a_good_one() -> Folder {
    let folder = Folder::new();
    folder.trace("in/good.json", "2025-11-15T10:00:00.000Z", &body("a question"));
    folder
}

/// The requests and the skips of a list, by the names of their files; fails unless
/// the good one is as it is alone.
fn listed(folder: &Folder) -> (BTreeMap<String, Value>, BTreeMap<String, Value>) {
    let alone = folder.traces("list in/good.json --format json").ends_with(0).json();
    let mut found = folder.traces("list in --format json").ends_with(3).json();
    let mut by_name = |member: &str| -> BTreeMap<String, Value> {
        let name = |object: &Value| object["path"].as_str().unwrap().trim_start_matches("in/").to_owned();
        let Value::Array(all) = found[member].take() else { panic!("{member} is no list") };
        all.into_iter().map(|object| (name(&object), object)).collect()
    };
    let (mut requests, skipped) = (by_name("requests"), by_name("skipped"));
    assert_eq!(requests.remove("good.json").as_ref(), alone["requests"].get(0));
    (requests, skipped)
}

#[test]
fn a_trace_cut_at_any_byte_is_truncated() {
    let folder = with_a_good_one();
    let whole = format!("\u{feff}{SMALL}").into_bytes();
    for length in 0..=whole.len() {
        folder.write(format!("in/{length:05}.json"), &whole[..length]);
    }
    let (mut requests, skipped) = listed(&folder);
    assert_eq!(requests.len() + skipped.len(), whole.len() + 1);
    // Without the line ending it is whole.
    let last = requests.remove(&format!("{:05}.json", whole.len() - 1)).unwrap();
    let mut all = requests.remove(&format!("{:05}.json", whole.len())).unwrap();
    assert_eq!(requests.len(), 0, "{requests:?}");
    for name in ["path", "paths", "id", "file_bytes", "session", "thread"] {
        all[name] = last[name].clone();
    }
    assert_eq!(all, last);
    for (name, skip) in &skipped {
        let length: usize = name[..5].parse().unwrap();
        let expected = if length == 0 || length == 3 { "empty" } else { "truncated" };
        assert_eq!(skip["reason"], expected, "{name}: {skip}");
        if expected == "truncated" {
            // It ends there, or inside of the character before.
            let detail = skip["detail"].as_str().unwrap();
            let ends = (length.saturating_sub(3)..=length).any(|at| detail.contains(&format!("byte {at} ")));
            assert!(ends, "{name}: {detail}");
        }
    }
    for line in ["summary in", "timing in", "prefix in", "show in", "report in --format markdown"] {
        folder.traces(line).ends_with(3).says(&[&format!("skipped {} files", skipped.len())]);
    }
    println!("{} truncation points of a trace", whole.len() + 1);
}

/// The file as another parser reads it.
#[derive(Deserialize)]
struct Trace<'a> {
    #[serde(borrow)]
    request: Request<'a>,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    system: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
}

/// Bytes of a value less the white space outside of strings.
fn compact(json: &RawValue) -> u64 {
    let (mut bytes, mut quoted, mut escaped) = (0, false, false);
    for byte in json.get().bytes() {
        bytes += u64::from(quoted || !byte.is_ascii_whitespace());
        (quoted, escaped) = match byte {
            _ if escaped => (quoted, false),
            b'\\' => (quoted, true),
            b'"' => (!quoted, false),
            _ => (quoted, false),
        };
    }
    bytes
}

/// Fails unless the sections add up, and are what the other parser says where that
/// can tell.
fn adds_up(name: &str, request: &Value, text: &str) {
    let number = |member: &str| request[member].as_u64().unwrap_or_else(|| panic!("{name}: {request}"));
    let sections = ["system_bytes", "tools_bytes", "messages_bytes", "other_bytes"].map(number);
    assert_eq!(sections.iter().sum::<u64>(), number("body_bytes"), "{name}: {request}");
    assert_eq!(number("file_bytes"), text.len() as u64, "{name}");
    let Ok(trace) = serde_json::from_str::<Trace<'_>>(text) else { return };
    assert_eq!(number("body_bytes"), compact(trace.request.body), "{name}");
    let Ok(body) = serde_json::from_str::<Body<'_>>(trace.request.body.get()) else { return };
    let expected = [body.system, body.tools, body.messages].map(|part| part.map_or(0, compact));
    assert_eq!(sections[..3], expected, "{name}");
}

#[test]
fn a_trace_with_any_one_bit_flipped_is_read_right_or_skipped() {
    let folder = with_a_good_one();
    let flipped = |at: usize| -> Vec<u8> {
        let mut bytes = SMALL.as_bytes().to_vec();
        bytes[at / 8] ^= 1 << (at % 8);
        bytes
    };
    let bits = 8 * SMALL.len();
    for at in 0..bits {
        folder.write(format!("in/{at:05}.json"), flipped(at));
    }
    let (requests, skipped) = listed(&folder);
    assert_eq!(requests.len() + skipped.len(), bits);
    let bytes = |name: &String| flipped(name[..5].parse().unwrap());
    for (name, request) in &requests {
        let bytes = bytes(name);
        let text = str::from_utf8(&bytes).unwrap_or_else(|_| panic!("{name} is no UTF-8"));
        assert!(serde_json::from_str::<IgnoredAny>(text).is_ok(), "{name} is no JSON:\n{text}");
        adds_up(name, request, text);
    }
    for (name, skip) in &skipped {
        let bytes = bytes(name);
        let text = str::from_utf8(&bytes);
        let is_json = text.is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        let expected = match skip["reason"].as_str().unwrap() {
            "invalid_utf8" => text.is_err(),
            "invalid_json" | "truncated" => text.is_ok() && !is_json,
            "not_a_trace" => is_json,
            _ => false,
        };
        assert!(expected, "{name}: {skip}");
    }
    // Most flips inside of text and numbers leave a trace.
    assert!(requests.len() > bits / 4 && skipped.len() > bits / 4, "{} read", requests.len());
    println!("{bits} flipped bits of a trace: {} read, {} skipped", requests.len(), skipped.len());
}

/// The debug log of one process with two requests, from this moment on.
fn debug_log(from: DateTime<Utc>) -> String {
    let at = |ms: i64| stamp(from, ms);
    let rule = |c: &str| c.repeat(60);
    let head = format!(
        "{heavy}\nANYCLAUDE DEBUG SESSION - Level 2\nStarted: {}\n{heavy}\n\n{light}\nSESSION CONFIGURATION\n\
         {light}\nBackend Mode: lmstudio\nModel: current-model\nBackend URL: http://localhost:1234/v1\n{light}\n",
        at(0),
        heavy = rule("═"),
        light = rule("─"),
    );
    let name = "lmstudio/current-model";
    let lines: [(i64, String); 11] = [
        (100, format!("[Request Start] {name} at {}", at(100))),
        (100, "[Backend Query] Detected model: qwen3-30b-a3b".into()),
        (101, format!("[Streaming] Starting stream conversion and pipe for {name}")),
        (10_102, "[Keepalive] Sent keepalive #1 (waiting for LMStudio)".into()),
        (12_600, "[Timing] First token received at 12500ms".into()),
        (14_000, "[Stream Conversion] Stream complete. Total chunks: 290".into()),
        (14_100, format!("[Request Complete] {name}: 14000ms (288 chunks, 34757 bytes) | ⚡ 188.0 tok/s")),
        (
            14_101,
            "[Cache Metrics] Recorded streaming response metrics {\"hash\":\"2a1fb151\",\
             \"inputTokens\":14644,\"outputTokens\":282,\"cacheReadTokens\":0}"
                .into(),
        ),
        (20_000, format!("[Request Start] {name} at {}", at(20_000))),
        (20_900, format!("[Request Complete] {name}: 900ms (12 chunks, 900 bytes)")),
        (20_901, "a line of a prompt\nand a raw one [Request Complete] x: 1ms".into()),
    ];
    lines.iter().fold(head, |log, (ms, line)| log + &format!("[{}] [ANYCLAUDE DEBUG] {line}\n", at(*ms)))
}

fn stamp(from: DateTime<Utc>, ms: i64) -> String {
    (from + TimeDelta::milliseconds(ms)).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

fn midnight() -> DateTime<Utc> {
    "2025-11-16T00:00:00Z".parse().unwrap()
}

/// When the log number `at` begins: so far apart that they share no request.
fn begins(at: usize) -> DateTime<Utc> {
    midnight() + TimeDelta::minutes(10 * i64::try_from(at).unwrap())
}

/// What `timing` says of the processes and requests of each log in a folder without
/// traces: of log number `at`, whose times follow `begins(at)`.
fn timed(folder: &Folder) -> BTreeMap<usize, Vec<Value>> {
    let mut found = folder.traces("timing --root . --all --format json").ends_with(0).json();
    let mut by_log: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
    for (member, time) in [("unmatched_log_requests", "start"), ("runs", "started")] {
        for mut object in found[member].as_array_mut().unwrap().drain(..) {
            let start: DateTime<Utc> = object[time].as_str().unwrap().parse().unwrap();
            let at = usize::try_from((start - midnight()).num_minutes() / 10).unwrap();
            object[time] = (start - begins(at)).num_milliseconds().into();
            // These say which log it is, and how long.
            for name in ["run", "log", "id", "log_bytes"] {
                object.as_object_mut().unwrap().remove(name);
            }
            by_log.entry(at).or_default().push(object);
        }
    }
    by_log
}

/// Fails unless each figure of a cut log is one that the log has without the line
/// that is cut, or with the whole of it: a cut number is no other number.
fn has_the_figures_of_whole_lines(folder: &Folder, log: &str) {
    let timed = timed(folder);
    let of = |at: usize| timed.get(&at).map(Vec::as_slice).unwrap_or_default();
    let mut from = 0;
    for line in log.split_inclusive('\n') {
        let to = from + line.len();
        for at in from..to {
            let (before, cut, after) = (of(from), of(at), of(to));
            assert!([before.len(), after.len()].contains(&cut.len()), "cut at {at}, in {line}: {cut:?}");
            for (index, object) in cut.iter().enumerate() {
                for (name, value) in object.as_object().unwrap() {
                    let known = [before, after].map(|all| all.get(index).map(|object| &object[name]));
                    assert!(known.contains(&Some(value)), "{name} {value} of {known:?}, cut at {at}: {line}");
                }
            }
        }
        from = to;
    }
}

#[test]
fn a_debug_log_cut_at_any_byte_gives_no_figure_that_the_whole_has_not() {
    let folder = Folder::new();
    let log = debug_log(midnight());
    for at in 0..=log.len() {
        folder.write(format!("logs/{at:05}.log"), &debug_log(begins(at)).as_bytes()[..at]);
    }
    has_the_figures_of_whole_lines(&folder, &log);
    let whole = &timed(&folder)[&log.len()];
    assert_eq!(whole.len(), 3, "{whole:?}");
    assert_eq!(
        (&whole[0]["total_ms"], &whole[0]["output_tokens"]),
        (&14_000.into(), &282.into()),
        "{whole:?}"
    );
    println!("{} truncation points of a debug log", log.len() + 1);
}

/// The request log of a process with two requests.
fn request_log(from: DateTime<Utc>) -> String {
    let line = |ms: i64, chars: u64| {
        format!(
            "{{\"timestamp\":\"{}\",\"systemSize\":{chars},\"toolCount\":2,\"messageCount\":1,\
             \"streaming\":true,\"provider\":\"lmstudio\",\"model\":\"qwen/qwen3-30b-a3b\"}}\n",
            stamp(from, ms)
        )
    };
    line(90, 31) + &line(20_000, 15)
}

#[test]
fn a_request_log_cut_at_any_byte_names_no_model_that_the_whole_does_not() {
    let folder = Folder::new();
    let log = request_log(midnight());
    let streamed = {
        let mut body = body("a question");
        body["stream"] = true.into();
        body
    };
    for at in 0..=log.len() {
        // A process of its own each: a gap tells them apart.
        folder.write(format!("request-logs/{at:05}.jsonl"), &request_log(begins(at)).as_bytes()[..at]);
        for (name, ms) in [("first", 100), ("second", 20_010)] {
            folder.trace(format!("traces/{name}-{at:05}.json"), &stamp(begins(at), ms), &streamed);
        }
    }
    let line = log.find('\n').unwrap();
    for request in folder.traces("list --root . --all --format ndjson").ends_with(0).ndjson() {
        let path = request["path"].as_str().unwrap();
        let at: usize = path[path.len() - 10..path.len() - 5].parse().unwrap();
        // Without its line ending a line is whole.
        let known = at >= if path.contains("first") { line } else { log.len() - 1 };
        let model = if known { "qwen/qwen3-30b-a3b".into() } else { Value::Null };
        assert_eq!(request["model"], model, "cut at {at}: {request}");
    }
    println!("{} truncation points of a request log", log.len() + 1);
}

/// A log whose rules are as long as they should be.
fn lengthened(log: &[u8]) -> Vec<u8> {
    let mut long = Vec::new();
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let rule = ["═\n", "─\n"].into_iter().find(|rule| line == rule.as_bytes());
        long.extend(rule.map_or(line.to_vec(), |rule| format!("{}\n", rule.trim().repeat(60)).into()));
    }
    long
}

#[test]
fn logs_with_any_one_bit_flipped_are_read_as_far_as_they_make_sense() {
    let folder = Folder::new();
    folder.write("logs/good.log", debug_log(midnight() - TimeDelta::days(400)));
    let good = folder.traces("timing --root . --all --format json").ends_with(0).json();
    // One request, and one line of each rule, is like the others.
    let log = debug_log(midnight());
    let one = &log[..log.rfind("[Request Start]").unwrap()];
    let short = one.replace(&"═".repeat(60), "═").replace(&"─".repeat(60), "─");
    let logs = [("logs", "log", short), ("request-logs", "jsonl", request_log(midnight()))];
    let mut bits = 0;
    for (below, ending, log) in &logs {
        for at in 0..8 * log.len() {
            let mut flipped = log.as_bytes().to_vec();
            flipped[at / 8] ^= 1 << (at % 8);
            folder.write(format!("{below}/{at:05}.{ending}"), lengthened(&flipped));
            bits += 1;
        }
    }
    let found = folder.traces("timing --root . --all --format json").ends_with(0).json();
    let requests = found["unmatched_log_requests"].as_array().unwrap();
    assert!(requests.len() > 6 * logs[0].2.len(), "{}", requests.len());
    for one in good["unmatched_log_requests"].as_array().unwrap() {
        assert!(requests.contains(one), "the good log's request is another now: {one}");
    }
    for request in requests {
        let number = |name: &str| request[name].as_u64();
        if let (Some(ttft), Some(total)) = (number("ttft_ms"), number("total_ms")) {
            // Only what is left of the total generates.
            assert_eq!(number("generation_ms"), total.checked_sub(ttft), "{request}");
        }
        let known = ["completed", "failed", "timed_out", "unfinished", "not_streamed"];
        assert!(known.contains(&request["outcome"].as_str().unwrap()), "{request}");
    }
    println!("{bits} flipped bits of logs");
}
