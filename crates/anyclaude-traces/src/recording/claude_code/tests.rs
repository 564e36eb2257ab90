//! Recordings that a test writes, read as a folder.

mod files;

use std::fs::{self, File};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::SkipReason;
use crate::model::request::{ModelSource, Request, Source, TimestampSource};
use crate::model::timing::{CachedSource, Confidence, Outcome, TtftSource};
use crate::read::Store;
use crate::recording::RequestSet;

/// 2026-01-05T10:00:00Z, in milliseconds.
const ZERO: u64 = 1_767_607_200_000;
const SESSION: &str = "11111111-2222-4333-8444-555555555555";

/// A recording; times are in milliseconds from its beginning.
struct Recording {
    folder: TempDir,
    events: Vec<Value>,
    spans: Vec<Value>,
    sequence: u64,
}

impl Recording {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bodies")).unwrap();
        Self { folder, events: Vec::new(), spans: Vec::new(), sequence: 0 }
    }

    fn write(&self, name: &str, text: &str, at: u64) {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        let modified = UNIX_EPOCH + Duration::from_millis(ZERO + at);
        File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
    }

    /// Writes a body, and returns the text that was sent.
    fn body(&self, id: &str, at: u64, change: impl FnOnce(&mut Value)) -> String {
        let mut body = json!({
            "model": "small-llm",
            "messages": [{"role": "user", "content": format!("Häh? {id}")}],
            "system": [{"type": "text", "text": "Be brief."}],
            "tools": [{"name": "Read", "description": "Reads.", "input_schema": {"type": "object"}}],
            "metadata": {"user_id": format!("{{\"session_id\":\"{SESSION}\"}}")},
            "max_tokens": 32_000,
            "stream": true,
        });
        change(&mut body);
        let sent = body.to_string();
        let recorded = sent.replacen(r#""max_tokens""#, r#""betas":["a-1","b-2"],"max_tokens""#, 1);
        self.write(&format!("bodies/{id}.request.json"), &recorded, at);
        sent
    }

    fn response(&self, id: &str, at: u64, usage: [u64; 3]) {
        let [input, cached, output] = usage;
        let response = json!({
            "id": format!("msg-{id}"), "type": "message", "role": "assistant", "model": "answering-llm",
            "content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {}}], "stop_reason": "tool_use",
            "usage": {"input_tokens": input, "cache_read_input_tokens": cached, "output_tokens": output},
        });
        self.write(&format!("bodies/{id}.response.json"), &response.to_string(), at);
    }

    fn event(&mut self, name: &str, at: u64, attributes: Value) {
        let mut all = json!({
            "session.id": SESSION, "event.name": name, "event.sequence": self.sequence,
            "event.timestamp": stamp(at), "query_source": "sdk", "model": "small-llm",
        });
        self.sequence += 1;
        merge(&mut all, attributes);
        self.events.push(json!({
            "timeUnixNano": format!("{}000000", ZERO + at),
            "body": {"stringValue": format!("claude_code.{name}")},
            "attributes": attributes_of(&all),
        }));
    }

    fn begin(&mut self, id: &str, at: u64) {
        let file = format!("/elsewhere/bodies/{id}.request.json");
        self.event("api_request_body", at, json!({"body_ref": file, "body_length": "999"}));
    }

    fn end(&mut self, at: u64, duration: u64, usage: [u64; 3]) {
        let [input, cached, output] = usage;
        let counts = json!({
            "duration_ms": duration, "input_tokens": input, "output_tokens": output,
            "cache_read_tokens": cached, "cache_creation_tokens": 0,
        });
        self.event("api_request", at, counts);
    }

    fn answer(&mut self, id: &str, at: u64) {
        self.event("api_response_body", at, json!({"body_ref": format!("C:\\bodies\\{id}.response.json")}));
    }

    fn span(&mut self, attempts: &[u64], end: u64, output: u64, attributes: Value) {
        let mut all =
            json!({"session.id": SESSION, "model": "small-llm", "success": true, "output_tokens": output});
        merge(&mut all, attributes);
        let events: Vec<Value> = attempts
            .iter()
            .map(|at| json!({"name": "gen_ai.request.attempt", "timeUnixNano": format!("{}123456", ZERO + at)}))
            .collect();
        let start = attempts.first().copied().unwrap_or(end).saturating_sub(6);
        self.spans.push(json!({
            "name": "claude_code.llm_request", "startTimeUnixNano": format!("{}000000", ZERO + start),
            "endTimeUnixNano": format!("{}654321", ZERO + end), "events": events, "attributes": attributes_of(&all),
        }));
    }

    fn turn(&mut self, start: u64, end: u64) {
        self.spans.push(json!({
            "name": "claude_code.interaction", "startTimeUnixNano": format!("{}000000", ZERO + start),
            "endTimeUnixNano": format!("{}000000", ZERO + end),
            "attributes": attributes_of(&json!({"session.id": SESSION})),
        }));
    }

    /// Writes events and spans, and reads the folder.
    fn read(&self) -> RequestSet {
        let resource = json!({"attributes": attributes_of(&json!({"service.version": "2.1.332"}))});
        if !self.events.is_empty() {
            // A line for each, as if each had been exported alone, and one twice.
            let line = |event: &Value| {
                let scope = json!([{"logRecords": [event]}]);
                json!({"resourceLogs": [{"scopeLogs": scope, "resource": resource}]}).to_string() + "\n"
            };
            let again = self.events.first().map(line).unwrap_or_default();
            self.write("logs.jsonl", &(self.events.iter().map(line).collect::<String>() + &again), 0);
        }
        if !self.spans.is_empty() {
            let export =
                json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": self.spans}]}]});
            self.write("traces.jsonl", &format!("{export}\n"), 0);
        }
        RequestSet::read(&Store::default(), [self.folder.path()])
    }

    fn requests(&self) -> Vec<Request> {
        let set = self.read();
        assert!(set.skipped.is_empty(), "{:?}", set.skipped);
        set.requests
    }
}

fn stamp(at: u64) -> String {
    crate::model::time::Timestamp::from_unix_ms((ZERO + at).cast_signed()).unwrap().to_string()
}

fn merge(all: &mut Value, more: Value) {
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
}

fn attributes_of(all: &Value) -> Value {
    let value = |value: &Value| match value {
        Value::String(text) => json!({"stringValue": text}),
        Value::Bool(flag) => json!({"boolValue": flag}),
        // As protobuf writes them.
        number => json!({"intValue": number.to_string()}),
    };
    all.as_object().unwrap().iter().map(|(key, of)| json!({"key": key, "value": value(of)})).collect()
}

fn name(request: &Request) -> String {
    request.path.file().file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn no_first_token_comes_after_the_end() {
    let mut recording = Recording::new();
    for (at, ttft_ms) in [(0, 500_u64), (10_000, 2_001), (20_000, 2_000), (30_000, u64::MAX)] {
        let id = format!("b{at}");
        recording.body(&id, at, |_| {});
        recording.begin(&id, at);
        recording.end(at + 2_000, 2_000, [1_000, 0, 10]);
        recording.span(&[at + 1], at + 2_000, 10, json!({"first_content_ms": ttft_ms}));
    }
    let requests = recording.requests();
    let firsts: Vec<_> = requests
        .iter()
        .map(|request| request.timing.as_ref().and_then(|timing| timing.ttft_ms.get()))
        .collect();
    assert_eq!(firsts, [Some(500), None, Some(2_000), None]);
}

#[test]
fn a_body_its_events_its_span_and_its_answer_are_one_request() {
    let mut recording = Recording::new();
    let sent = recording.body("a", 2, |_| ());
    recording.begin("a", 0);
    recording.end(3_557, 3_560, [2_439, 0, 104]);
    recording.answer("a", 3_558);
    recording.response("a", 3_560, [2_439, 0, 104]);
    recording.span(&[0], 3_558, 104, json!({"ttft_ms": 1_329, "first_content_ms": 1_330}));
    let [request] = &recording.requests()[..] else { panic!() };
    assert_eq!((request.source, request.body_redacted), (Source::ClaudeCode, false));
    assert_eq!(request.sizes.body_bytes, sent.len() as u64, "without `betas`, which was not sent");
    assert_eq!(request.timestamp.unwrap().to_string(), stamp(0));
    assert_eq!(request.timestamp_source, None);
    assert_eq!(request.session.as_deref(), Some(SESSION));
    assert_eq!(request.caller.client_version.as_deref(), Some("2.1.332"));
    assert_eq!(request.model.as_deref(), Some("answering-llm"));
    assert_eq!(request.model_source, Some(ModelSource::Response));
    assert_eq!(request.caller.requested_model.as_deref(), Some("small-llm"));
    let timing = request.timing.as_deref().unwrap();
    assert_eq!(timing.start, request.timestamp);
    assert_eq!((timing.ttft_ms.get(), timing.ttft_source), (Some(1_330), Some(TtftSource::FirstContent)));
    assert_eq!((timing.total_ms.get(), timing.generation_ms.get()), (Some(3_560), Some(2_230)));
    assert_eq!((timing.prompt_tokens.get(), timing.output_tokens.get()), (Some(2_439), Some(104)));
    assert_eq!((timing.cached_tokens.get(), timing.outcome), (None, Some(Outcome::Completed)));
    let response = request.response.as_deref().unwrap();
    assert_eq!((response.tool_calls, response.stop_reason.as_deref()), (Some(1), Some("tool_use")));
    assert_eq!(request.join.as_deref().unwrap().confidence, Confidence::Exact);
}

#[test]
fn a_zero_of_cached_tokens_is_one_where_others_are_reported() {
    let mut recording = Recording::new();
    for (at, usage) in [(0, [2_000, 0, 10]), (1_000, [50, 2_009, 10])] {
        recording.body(&at.to_string(), at, |_| ());
        recording.begin(&at.to_string(), at);
        recording.end(at + 500, 500, usage);
    }
    let requests = recording.requests();
    let cached = |request: &Request| {
        let timing = request.timing.as_deref().unwrap();
        (timing.prompt_tokens.get().unwrap(), timing.cached_tokens, timing.cached_source)
    };
    assert_eq!(cached(&requests[0]), (2_000, 0.into(), Some(CachedSource::Reported)));
    assert_eq!(cached(&requests[1]), (2_059, 2_009.into(), Some(CachedSource::Reported)));
}

#[test]
fn what_was_tried_again_failed_and_the_last_of_a_process_was_interrupted() {
    let mut recording = Recording::new();
    for (id, at) in [("a", 0), ("b", 550), ("c", 1_761), ("d", 3_000)] {
        recording.body(id, at, |_| ());
        recording.begin(id, at);
        if id == "c" {
            recording.end(1_922, 164, [649, 0, 56]);
        }
    }
    recording.turn(0, 2_000);
    // The next turn begins while the one before still ends.
    recording.turn(3_100, 3_400);
    recording.turn(2_900, 4_500);
    let found: Vec<_> = recording
        .requests()
        .iter()
        .map(|request| {
            let timing = request.timing.as_deref().unwrap();
            (name(request).chars().next().unwrap(), timing.outcome.unwrap(), timing.total_ms.get())
        })
        .collect();
    let expected = [
        ('a', Outcome::Failed, None),
        ('b', Outcome::Failed, None),
        ('c', Outcome::Completed, Some(164)),
        ('d', Outcome::Disconnected, Some(1_500)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn each_process_has_a_last_request() {
    let mut recording = Recording::new();
    recording.body("a", 0, |_| ());
    recording.begin("a", 0);
    recording.sequence = 0;
    recording.body("b", 9_000, |_| ());
    recording.begin("b", 9_000);
    recording.end(9_500, 500, [600, 0, 5]);
    let outcome = |request: &Request| request.timing.as_deref().unwrap().outcome.unwrap();
    let requests = recording.requests();
    assert_eq!((outcome(&requests[0]), outcome(&requests[1])), (Outcome::Disconnected, Outcome::Completed));
}

#[test]
fn a_duration_that_counts_a_refused_stream_is_cut_at_the_body() {
    let mut recording = Recording::new();
    recording.body("a", 0, |_| ());
    recording.body("b", 11, |body| body["stream"] = false.into());
    recording.begin("a", 0);
    recording.begin("b", 11);
    recording.end(197, 200, [1_001, 0, 111]);
    recording.span(&[0, 11], 198, 111, json!({"ttft_ms": 0}));
    let requests = recording.requests();
    let timing = |at: usize| requests[at].timing.as_deref().unwrap();
    assert_eq!((name(&requests[0]), timing(0).outcome), ("a.request.json".to_owned(), Some(Outcome::Failed)));
    assert_eq!((timing(1).outcome, timing(1).total_ms.get()), (Some(Outcome::Completed), Some(186)));
    assert_eq!((timing(1).ttft_ms.get(), timing(1).output_tokens.get()), (None, Some(111)));
}

#[test]
fn an_error_names_what_the_server_said() {
    let mut recording = Recording::new();
    recording.body("a", 0, |_| ());
    recording.begin("a", 0);
    let error =
        json!({"error": "the prompt is too long", "status_code": 400, "duration_ms": 23, "attempt": 1});
    recording.event("api_error", 20, error);
    let [request] = &recording.requests()[..] else { panic!() };
    let timing = request.timing.as_deref().unwrap();
    assert_eq!((timing.outcome, timing.total_ms.get()), (Some(Outcome::Failed), Some(23)));
    assert_eq!(timing.error.as_deref(), Some("the prompt is too long"));
    assert_eq!(request.response.as_deref().unwrap().status, Some(400));
}

#[test]
fn requests_of_several_sources_at_once_keep_their_ends() {
    let mut recording = Recording::new();
    for (id, at) in [("title", 0), ("main", 15)] {
        recording.body(id, at, |_| ());
    }
    let of = |source: &str| json!({"query_source": source, "body_ref": format!("x/{source}.request.json")});
    recording.event("api_request_body", 0, of("title"));
    recording.event("api_request_body", 15, of("main"));
    let end = |source: &str, output: u64| json!({"query_source": source, "duration_ms": 111, "input_tokens": 500, "output_tokens": output});
    // In the order of their ends, the durations fit neither better.
    recording.event("api_request", 178, end("main", 28));
    recording.event("api_request", 110, end("title", 17));
    let requests = recording.requests();
    let output = |at: usize| requests[at].timing.as_deref().unwrap().output_tokens;
    assert_eq!((name(&requests[0]).as_str(), output(0).get()), ("title.request.json", Some(17)));
    assert_eq!((name(&requests[1]).as_str(), output(1).get()), ("main.request.json", Some(28)));
}

#[test]
fn two_attempts_that_fit_one_end_are_ambiguous() {
    let mut recording = Recording::new();
    for (id, at) in [("a", 0), ("b", 1)] {
        recording.body(id, at, |_| ());
        recording.begin(id, at);
    }
    recording.end(500, 500, [600, 0, 5]);
    recording.end(800, 799, [600, 0, 9]);
    let confidences: Vec<Confidence> =
        recording.requests().iter().map(|request| request.join.as_deref().unwrap().confidence).collect();
    assert_eq!(confidences, [Confidence::Ambiguous, Confidence::Ambiguous]);
}

#[test]
fn a_named_answer_takes_no_end_of_another_source() {
    let mut recording = Recording::new();
    for source in ["title", "main"] {
        recording.body(source, 0, |_| ());
        let file = format!("x/{source}.request.json");
        let of = json!({"query_source": source, "body_ref": file, "request_body_id": source});
        recording.event("api_request_body", 0, of);
    }
    let end = json!({"query_source": "title", "duration_ms": 500, "input_tokens": 500, "output_tokens": 17});
    recording.event("api_request", 500, end);
    // The event with its end, and the other's answer, were lost.
    recording.event("api_response_body", 505, json!({"query_source": "main", "request_body_id": "main"}));
    let mut found: Vec<_> = recording
        .requests()
        .iter()
        .map(|request| (name(request), request.timing.as_deref().unwrap().output_tokens.get()))
        .collect();
    found.sort();
    let expected = [("main.request.json".to_owned(), None), ("title.request.json".to_owned(), Some(17))];
    assert_eq!(found, expected);
}

#[test]
fn a_span_that_ended_otherwise_is_another_request() {
    let outputs = |recording: &Recording| -> Vec<_> {
        let requests = recording.requests();
        requests.iter().map(|request| request.timing.as_deref().unwrap().output_tokens).collect()
    };
    let mut recording = Recording::new();
    recording.begin("a", 0);
    recording.event("api_error", 20, json!({"error": "overloaded", "duration_ms": 20}));
    recording.span(&[10], 25, 5, json!({}));
    assert_eq!(outputs(&recording), [None, Some(5)], "one failed");
    let mut recording = Recording::new();
    recording.begin("a", 0);
    recording.end(500, 500, [600, 0, 5]);
    recording.span(&[300], 520, 9, json!({}));
    assert_eq!(outputs(&recording), [Some(5), Some(9)], "they wrote other numbers of tokens");
}

/// A machine that is busy writes the span long after the event of its end.
#[test]
fn a_late_span_is_no_other_request() {
    for (late, requests) in [(40, 1), (400, 1), (1_400, 2)] {
        let mut recording = Recording::new();
        recording.begin("a", 1_000);
        recording.end(9_000, 8_000, [10, 0, 24]);
        recording.span(&[1_000 - late.min(400)], 9_000 + late, 24, json!({"ttft_ms": 700}));
        assert_eq!(recording.requests().len(), requests, "{late} ms late");
    }
    let mut recording = Recording::new();
    recording.begin("a", 1_000);
    recording.end(9_000, 8_000, [10, 0, 24]);
    recording.span(&[7_000], 9_400, 24, json!({"ttft_ms": 700}));
    assert_eq!(recording.requests().len(), 2, "it began later, and ended with it by chance");
}

#[test]
fn spans_alone_tell_of_every_attempt() {
    let mut recording = Recording::new();
    let counts =
        json!({"ttft_ms": 90, "first_content_ms": 96, "input_tokens": 1_000, "cache_read_tokens": 200});
    recording.span(&[0, 550], 700, 41, counts);
    let requests = recording.requests();
    let [failed, answered] = &requests[..] else { panic!() };
    assert_eq!(failed.timing.as_deref().unwrap().outcome, Some(Outcome::Failed));
    let timing = answered.timing.as_deref().unwrap();
    assert_eq!(answered.timestamp.unwrap().to_string(), stamp(550));
    assert_eq!((timing.ttft_ms.get(), timing.total_ms.get()), (Some(96), Some(150)));
    assert_eq!((timing.prompt_tokens.get(), timing.cached_tokens.get()), (Some(1_200), Some(200)));
    assert_eq!(answered.sizes.body_bytes.get(), None, "unknown, not small");
    assert_ne!(failed.id, answered.id);
}

#[test]
fn a_span_has_an_error_where_its_request_failed() {
    let told = |attributes: Value| {
        let mut recording = Recording::new();
        recording.span(&[0], 20, 3, attributes);
        let requests = recording.requests();
        let timing = requests[0].timing.as_deref().unwrap();
        (timing.outcome, timing.error.clone())
    };
    let overloaded = Some("overloaded".into());
    assert_eq!(told(json!({"error": "overloaded"})), (Some(Outcome::Completed), None));
    assert_eq!(
        told(json!({"error": "overloaded", "success": false})),
        (Some(Outcome::Failed), overloaded.clone())
    );
    assert_eq!(told(json!({"error": "overloaded", "success": null})), (Some(Outcome::Failed), overloaded));
}
