//! Recordings that a test writes, read as a folder.

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
    assert_eq!(request.client_version.as_deref(), Some("2.1.332"));
    assert_eq!(request.model.as_deref(), Some("answering-llm"));
    assert_eq!(request.model_source, Some(ModelSource::Response));
    assert_eq!(request.requested_model.as_deref(), Some("small-llm"));
    let timing = request.timing.as_deref().unwrap();
    assert_eq!(timing.start, request.timestamp);
    assert_eq!((timing.ttft_ms, timing.ttft_source), (Some(1_330), Some(TtftSource::FirstContent)));
    assert_eq!((timing.total_ms, timing.generation_ms), (Some(3_560), Some(2_230)));
    assert_eq!((timing.prompt_tokens, timing.output_tokens), (Some(2_439), Some(104)));
    assert_eq!((timing.cached_tokens, timing.outcome), (None, Some(Outcome::Completed)));
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
        (timing.prompt_tokens.unwrap(), timing.cached_tokens, timing.cached_source)
    };
    assert_eq!(cached(&requests[0]), (2_000, Some(0), Some(CachedSource::Reported)));
    assert_eq!(cached(&requests[1]), (2_059, Some(2_009), Some(CachedSource::Reported)));
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
    recording.turn(2_900, 4_500);
    let found: Vec<_> = recording
        .requests()
        .iter()
        .map(|request| {
            let timing = request.timing.as_deref().unwrap();
            (name(request).chars().next().unwrap(), timing.outcome.unwrap(), timing.total_ms)
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
    assert_eq!((timing(1).outcome, timing(1).total_ms), (Some(Outcome::Completed), Some(186)));
    assert_eq!((timing(1).ttft_ms, timing(1).output_tokens), (None, Some(111)));
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
    assert_eq!((timing.outcome, timing.total_ms), (Some(Outcome::Failed), Some(23)));
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
    assert_eq!((name(&requests[0]).as_str(), output(0)), ("title.request.json", Some(17)));
    assert_eq!((name(&requests[1]).as_str(), output(1)), ("main.request.json", Some(28)));
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
    assert_eq!((timing.ttft_ms, timing.total_ms), (Some(96), Some(150)));
    assert_eq!((timing.prompt_tokens, timing.cached_tokens), (Some(1_200), Some(200)));
    assert_eq!(answered.sizes.body_bytes.get(), None, "unknown, not small");
    assert_ne!(failed.id, answered.id);
}

#[test]
fn without_events_the_index_ties_bodies_to_spans() {
    let mut recording = Recording::new();
    recording.body("a", 2, |_| ());
    recording.response("a", 160, [1_017, 0, 93]);
    recording.span(&[0], 158, 93, json!({"first_content_ms": 100, "input_tokens": 1_017}));
    let entry = json!({"timestamp": stamp(163), "session_id": SESSION, "query_source": "sdk",
        "request_file": "a.request.json", "response_file": "a.response.json"});
    recording.write("bodies/index.jsonl", &format!("{entry}\n"), 163);
    let [request] = &recording.requests()[..] else { panic!() };
    assert_eq!(name(request), "a.request.json");
    let timing = request.timing.as_deref().unwrap();
    assert_eq!((timing.ttft_ms, timing.total_ms, timing.output_tokens), (Some(100), Some(158), Some(93)));
}

#[test]
fn bodies_alone_have_the_times_of_their_files() {
    let recording = Recording::new();
    recording.body("a", 0, |_| ());
    recording.response("x", 700, [800, 0, 12]);
    recording.body("b", 2_000, |_| ());
    let requests = recording.requests();
    assert_eq!(requests[0].timestamp.unwrap().to_string(), stamp(0));
    assert_eq!(requests[0].timestamp_source, Some(TimestampSource::Mtime));
    let timing = requests[0].timing.as_deref().unwrap();
    assert_eq!((timing.total_ms, timing.prompt_tokens), (Some(700), Some(800)));
    assert_eq!(requests[1].timing, None, "nothing tells how it ended");
}

#[test]
fn times_of_copies_tell_nothing() {
    let recording = Recording::new();
    recording.body("a", 0, |_| ());
    recording.body("b", 1, |_| ());
    // Sooner than any backend answers.
    recording.response("x", 2, [800, 0, 400]);
    assert!(recording.requests().iter().all(|request| request.timing.is_none()));
    let entry = json!({"timestamp": stamp(500_000), "session_id": SESSION,
        "request_file": "a.request.json", "response_file": "x.response.json"});
    recording.write("bodies/index.jsonl", &entry.to_string(), 0);
    let requests = recording.requests();
    let indexed = requests.iter().find(|request| name(request) == "a.request.json").unwrap();
    assert_eq!(indexed.timestamp.unwrap().to_string(), stamp(500_000), "by the index");
    let timing = indexed.timing.as_deref().unwrap();
    assert_eq!((timing.total_ms, timing.start, timing.output_tokens), (None, None, Some(400)));
}

#[test]
fn bodies_in_events_are_read_unless_they_are_cut() {
    let mut recording = Recording::new();
    let body = r#"{"model":"m","messages":[],"tools":[{"name":"Read"}],"betas":["x"],"stream":true}"#;
    recording.event("api_request_body", 0, json!({"body": body, "body_length": "80"}));
    recording.end(100, 100, [900, 0, 5]);
    let cut = json!({"body": body.get(..40).unwrap(), "body_truncated": "true"});
    recording.event("api_request_body", 1_000, cut);
    recording.end(1_100, 100, [900, 0, 5]);
    let requests = recording.requests();
    let sizes = |at: usize| (requests[at].sizes.body_bytes.get(), requests[at].sizes.tool_count.get());
    assert_eq!(sizes(0), (Some(body.len() as u64 - 14), Some(1)));
    assert_eq!(sizes(1), (None, None));
    assert_ne!(requests[0].path, requests[1].path, "two records of one file");
}

#[test]
fn a_body_that_is_named_is_joined_with_what_its_recording_tells() {
    let mut recording = Recording::new();
    for (id, at) in [("a", 0), ("b", 1_000)] {
        recording.body(id, at, |_| ());
        recording.begin(id, at);
        recording.end(at + 500, 500, [900, 0, 5]);
        recording.answer(id, at + 501);
        recording.response(id, at + 502, [900, 0, 5]);
    }
    recording.read();
    let folder = recording.folder.path();
    let body = RequestSet::read(&Store::default(), [folder.join("bodies/b.request.json")]);
    let [request] = &body.requests[..] else { panic!("others are not asked for: {:?}", body.requests) };
    assert_eq!((name(request).as_str(), request.timestamp_source), ("b.request.json", None));
    assert_eq!(request.timing.as_deref().unwrap().total_ms, Some(500));
    assert_eq!(request.model.as_deref(), Some("answering-llm"));
    let bodies = RequestSet::read(&Store::default(), [folder.join("bodies")]);
    assert_eq!(bodies.requests.len(), 2);
    let logs = RequestSet::read(&Store::default(), [folder.join("logs.jsonl")]);
    assert!(logs.requests.iter().all(|request| request.sizes.body_bytes.get().is_none()));
    assert_eq!(logs.requests.len(), 2);
}

#[test]
fn thinking_that_was_not_recorded_is_marked() {
    let recording = Recording::new();
    recording.body("a", 0, |body| {
        let thinking = json!({"type": "thinking", "thinking": "<REDACTED>", "signature": ""});
        body["messages"] = json!([{"role": "assistant", "content": [thinking]}]);
    });
    recording.body("b", 1, |body| {
        body["messages"] = json!([{"role": "user", "content": [{"type": "text", "text": "<REDACTED>"}]}]);
    });
    let redacted: Vec<bool> = recording.requests().iter().map(|request| request.body_redacted).collect();
    assert_eq!(redacted, [true, false]);
}

#[test]
fn transcripts_name_subagents() {
    let mut recording = Recording::new();
    recording.body("a", 0, |_| ());
    recording.begin("a", 0);
    recording.end(400, 400, [700, 0, 8]);
    recording.answer("a", 401);
    recording.response("a", 402, [700, 0, 8]);
    fs::create_dir(recording.folder.path().join("transcripts")).unwrap();
    let line = |message: &str| {
        json!({"type": "assistant", "sessionId": SESSION, "agentId": "a1b2", "isSidechain": true,
            "timestamp": stamp(400), "message": {"id": message, "usage": {"output_tokens": 8}}})
        .to_string()
    };
    recording.write("transcripts/agent-a1b2.jsonl", &(line("msg-a") + "\n" + &line("msg-other") + "\n"), 0);
    let [request] = &recording.requests()[..] else { panic!() };
    assert_eq!(request.agent.as_deref(), Some("a1b2"));
}

/// No event tells that it failed, nor why.
#[test]
fn a_transcript_tells_why_a_try_failed_and_when() {
    let mut recording = Recording::new();
    for (id, at) in [("a", 0), ("b", 600), ("c", 1_300)] {
        recording.body(id, at, |_| ());
        recording.begin(id, at);
    }
    recording.end(5_000, 3_690, [90, 0, 3]);
    fs::create_dir(recording.folder.path().join("transcripts")).unwrap();
    let failed = |at: u64, words: &str| {
        json!({
            "type": "system", "subtype": "api_error", "sessionId": SESSION, "timestamp": stamp(at),
            "error": {"message": "503 {}", "formatted": words, "status": 503}, "retryAttempt": 1,
        })
        .to_string()
    };
    let other = failed(100, "of another session").replace(SESSION, "22222222-2222-4333-8444-555555555555");
    let lines = [failed(620, "503 Busy"), failed(25, "503 Loading model"), other].join("\n");
    recording.write("transcripts/s.jsonl", &lines, 0);
    let set = recording.read();
    let found: Vec<_> = set
        .requests
        .iter()
        .map(|request| {
            let timing = request.timing.as_deref().unwrap();
            (name(request), timing.outcome, timing.total_ms, timing.error.clone())
        })
        .collect();
    let failed = |id: &str, ms, words: &str| {
        (format!("{id}.request.json"), Some(Outcome::Failed), Some(ms), Some(words.to_owned()))
    };
    assert_eq!(found[0], failed("a", 25, "503 Loading model"));
    assert_eq!(found[1], failed("b", 20, "503 Busy"));
    assert_eq!(found[2], ("c.request.json".to_owned(), Some(Outcome::Completed), Some(3_690), None));
    let status = set.requests[0].response.as_deref().and_then(|response| response.status);
    assert_eq!(status, Some(503));
}

#[test]
fn compressed_files_are_joined_as_the_others() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;
    let mut recording = Recording::new();
    recording.body("a", 0, |_| ());
    recording.response("a", 5_000, [90, 10, 3]);
    recording.begin("a", 0);
    recording.end(5_000, 4_990, [90, 10, 3]);
    recording.answer("a", 5_001);
    let facts = |set: &RequestSet| {
        let [request] = &set.requests[..] else { panic!("{:?}", set.requests) };
        (request.timing.clone(), request.response.clone(), request.model.clone(), request.source)
    };
    let plain = facts(&recording.read());
    for name in ["bodies/a.request.json", "bodies/a.response.json", "logs.jsonl"] {
        let path = recording.folder.path().join(name);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&fs::read(&path).unwrap()).unwrap();
        fs::write(format!("{}.gz", path.display()), encoder.finish().unwrap()).unwrap();
        fs::remove_file(path).unwrap();
    }
    let folder = recording.folder.path();
    assert_eq!(facts(&RequestSet::read(&Store::default(), [folder])), plain);
    // A body that is named is joined with what stands beside it.
    let body = folder.join("bodies/a.request.json.gz");
    assert_eq!(facts(&RequestSet::read(&Store::default(), [body])), plain);
}

#[test]
fn damage_costs_no_more_than_its_line() {
    let mut recording = Recording::new();
    recording.begin("a", 0);
    recording.end(400, 400, [700, 0, 8]);
    recording.read();
    let path = recording.folder.path().join("logs.jsonl");
    let whole = fs::read(&path).unwrap();
    let second = memchr::memchr(b'\n', &whole).unwrap() + 1;
    for cut in (second..whole.len()).step_by(5) {
        fs::write(&path, &whole[..cut]).unwrap();
        let set = RequestSet::read(&Store::default(), [&path]);
        assert_eq!(set.requests.len(), 1, "cut at {cut}");
        let reasons: Vec<SkipReason> = set.skipped.iter().map(crate::Error::reason).collect();
        assert!(reasons.iter().all(|reason| *reason == SkipReason::Truncated), "cut at {cut}: {reasons:?}");
    }
    let mut damaged = whole.clone();
    damaged.splice(second..second, *b"{\"resourceLogs\": [}\n\xFF\xFE\n\n");
    fs::write(&path, damaged).unwrap();
    let set = RequestSet::read(&Store::default(), [&path]);
    assert_eq!((set.requests.len(), set.skipped.len(), set.joined.unreadable_lines), (1, 0, 2));
}

#[test]
fn an_answer_that_was_never_written_is_no_fault() {
    let recording = Recording::new();
    recording.body("a", 0, |_| ());
    recording.write("bodies/a.response.json", "", 100);
    let set = RequestSet::read(&Store::default(), [recording.folder.path()]);
    assert_eq!((set.requests.len(), set.skipped.len()), (1, 0), "{:?}", set.skipped);
    let set = RequestSet::read(&Store::default(), [recording.folder.path().join("bodies/a.request.json")]);
    assert_eq!((set.requests.len(), set.skipped.len()), (1, 0), "{:?}", set.skipped);
    let named = RequestSet::read(&Store::default(), [recording.folder.path().join("bodies/a.response.json")]);
    assert_eq!(
        named.skipped.iter().map(crate::error::Error::reason).collect::<Vec<_>>(),
        [SkipReason::Empty]
    );
}

#[test]
fn a_file_without_requests_is_refused_when_named() {
    let recording = Recording::new();
    recording.body("a", 0, |_| ());
    recording.response("a", 100, [700, 0, 8]);
    recording.write("metrics.jsonl", "{\"resourceMetrics\":[]}\n", 0);
    recording.write("receipt.json", "{\"schema_version\":1,\"recording\":\"claude_code\"}", 0);
    let folder = RequestSet::read(&Store::default(), [recording.folder.path()]);
    assert!(folder.skipped.is_empty(), "passed over in a folder: {:?}", folder.skipped);
    for name in ["metrics.jsonl", "receipt.json", "bodies/a.response.json"] {
        let set = RequestSet::read(&Store::default(), [recording.folder.path().join(name)]);
        let [error] = &set.skipped[..] else { panic!("{name}: {:?}", set.skipped) };
        assert_eq!((error.reason(), set.requests.len()), (SkipReason::NotATrace, 0), "{name}");
    }
}
