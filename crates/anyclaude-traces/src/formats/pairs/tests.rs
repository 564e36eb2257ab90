//! Small recordings of each kind, and damaged ones.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::error::{ParseError, SkipReason};
use crate::formats::body::Visit;
use crate::formats::json::scratch::Scratch;
use crate::formats::record::TraceRecord;
use crate::formats::source::{Format, Input, RecordNumber, RecordSink};
use crate::model::Amount;
use crate::model::request::{Api, Source};
use crate::model::time::Timestamp;
use crate::model::timing::Outcome;

/// Keeps what a format finds.
#[derive(Default)]
struct Collected {
    begun: u32,
    nobody: (),
    records: BTreeMap<u32, TraceRecord>,
    skipped: Vec<ParseError>,
}

impl RecordSink for Collected {
    fn begin(&mut self) -> RecordNumber {
        self.begun += 1;
        RecordNumber(self.begun - 1)
    }

    fn visitor(&mut self, number: RecordNumber) -> &mut dyn Visit {
        assert!(number.0 < self.begun);
        &mut self.nobody
    }

    fn finish(&mut self, number: RecordNumber, record: TraceRecord) {
        assert!(self.records.insert(number.0, record).is_none(), "finished twice");
    }

    fn claude_code(&mut self, _: crate::formats::claude_code::Facts) {}

    fn skip(&mut self, error: ParseError) {
        self.skipped.push(error);
    }
}

fn read(format: &dyn Format, bytes: &[u8]) -> Result<Collected, ParseError> {
    let mut sink = Collected::default();
    format.read(&Input { bytes }, &mut Scratch::default(), &mut sink)?;
    Ok(sink)
}

/// The records of a file in which nothing is wrong.
fn records(format: &dyn Format, text: &str) -> Vec<TraceRecord> {
    let found = read(format, text.as_bytes()).unwrap();
    assert!(found.skipped.is_empty(), "{:?}", found.skipped);
    found.records.into_values().collect()
}

fn refusal(format: &dyn Format, text: &str) -> String {
    let error = read(format, text.as_bytes()).map(|_| ()).unwrap_err();
    assert_eq!(error.reason(), SkipReason::NotATrace);
    error.to_string()
}

const ANTHROPIC: &str = r#"{"model":"m","system":"Be brief.","messages":[{"role":"user","content":"Hi"}],
    "tools":[{"name":"Read","input_schema":{}}],"max_tokens":100,"stream":true}"#;
const CHAT: &str = r#"{"model":"m","messages":[{"role":"system","content":"Be brief."},
    {"role":"user","content":"Hi"}],"stream":true}"#;
const STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"ran\",\
    \"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":90}}}\n\n\
    event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\
    \"usage\":{\"output_tokens\":7}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn at(stamp: &str) -> Option<Timestamp> {
    Some(stamp.parse().unwrap())
}

/// Timing as `[ttft, total, proxy, prompt, cached, output]`.
fn numbers(record: &TraceRecord) -> [Option<u64>; 6] {
    let timing = record.timing.as_ref().unwrap();
    [
        timing.ttft_ms.get(),
        timing.total_ms.get(),
        timing.proxy_ms.get(),
        timing.prompt_tokens.get(),
        timing.cached_tokens.get(),
        timing.output_tokens.get(),
    ]
}

fn outcome(record: &TraceRecord) -> (Option<Outcome>, Option<&str>) {
    let timing = record.timing.as_ref().unwrap();
    (timing.outcome, timing.error.as_deref())
}

fn ran(record: &TraceRecord) -> Option<&str> {
    record.model.as_ref().map(|(name, _)| &**name)
}

fn har(entries: &[String]) -> String {
    format!(r#"{{"log":{{"version":"1.2","entries":[{}]}}}}"#, entries.join(","))
}

fn har_entry(url: &str, body: &str, response: &str) -> String {
    format!(
        r#"{{"startedDateTime":"2026-03-01T12:00:00.250+01:00","time":1500.4,
            "timings":{{"wait":3}},"request":{{"method":"POST","url":"{url}",
            "headers":[{{"name":"User-Agent","value":"claude-cli/2.1.9 (x)"}},
                {{"name":"X-Claude-Code-Session-Id","value":"s1"}}],
            "postData":{{"mimeType":"application/json","text":{}}}}},"response":{response}}}"#,
        quoted(body)
    )
}

#[test]
fn har_entries_that_go_to_a_model_are_requests() {
    let answered = format!(r#"{{"status":200,"content":{{"text":{}}}}}"#, quoted(STREAM));
    let encoded = STANDARD.encode(STREAM);
    let in_base64 = format!(r#"{{"status":200,"content":{{"encoding":"base64","text":"{encoded}"}}}}"#);
    let url = "http://localhost:1/v1/messages?beta=true";
    let text = har(&[
        har_entry("http://localhost:1/", "", r#"{"status":200,"content":{}}"#),
        har_entry(url, ANTHROPIC, &answered),
        har_entry(url, ANTHROPIC, &in_base64),
        har_entry("http://localhost:1/v1/chat/completions", CHAT, r#"{"status":0,"content":{}}"#),
        har_entry(
            url,
            ANTHROPIC,
            r#"{"status":529,"content":{"text":"{\"error\":{\"message\":\"Overloaded\"}}"}}"#,
        ),
        har_entry(url, ANTHROPIC, &answered.replace("message_stop", "message_more")),
        har_entry("http://localhost:1/v1/embeddings", r#"{"model":"m","input":"x"}"#, "null"),
    ]);
    for text in [text.clone(), format!("\u{feff}{text}")] {
        let records = records(&Har, &text);
        assert_eq!(records.len(), 5);
        for record in &records[..2] {
            assert_eq!((record.source, record.api), (Source::Har, Some(Api::Anthropic)));
            assert_eq!(record.endpoint.as_deref(), Some("/v1/messages"));
            assert_eq!(record.timestamp, at("2026-03-01T11:00:00.250Z"));
            assert_eq!(record.timing.as_ref().unwrap().start, record.timestamp);
            assert_eq!(numbers(record), [None, Some(1500), None, Some(100), Some(90), Some(7)]);
            assert_eq!((ran(record), record.requested_model.as_deref()), (Some("ran"), Some("m")));
            assert_eq!(outcome(record), (Some(Outcome::Completed), None));
            assert_eq!(record.sender.session_id.as_deref(), Some("s1"));
            assert_eq!(record.sender.client_version.as_deref(), Some("2.1.9"));
            assert_eq!(record.sizes.system_chars.get(), Some(9));
        }
        assert_eq!(records[2].api, Some(Api::OpenaiChat));
        assert_eq!((outcome(&records[2]), &records[2].response), ((Some(Outcome::Unfinished), None), &None));
        assert_eq!(outcome(&records[3]), (Some(Outcome::Failed), Some("Overloaded")));
        assert_eq!(outcome(&records[4]).0, Some(Outcome::Unfinished));
    }
    assert!(refusal(&Har, &har(&[])).contains("a HAR file without a request to a model"));
    let google =
        har(&[har_entry("http://h/v1beta/models/g:streamGenerateContent", r#"{"contents":[]}"#, "null")]);
    assert!(refusal(&Har, &google).contains("`contents`"));
}

fn tap_line(response: &str) -> String {
    let body = ANTHROPIC.replace('\n', "");
    format!(
        r#"{{"timestamp":"2026-03-01T11:00:02.000+00:00","request_id":"r","turn":1,"duration_ms":1500,"request":{{"method":"POST","path":"/v1/messages?beta=true","headers":{{"X-Claude-Code-Session-Id":"s1"}},"body":{body}}},"response":{response}}}"#
    )
}

const TAP_ANSWER: &str = r#"{"status":200,"body":{"type":"message","model":"ran","content":[],"stop_reason":"end_turn","usage":{"input_tokens":10,"cache_read_input_tokens":90,"output_tokens":7}}}"#;

#[test]
fn claude_tap_writes_the_end() {
    let events = r#"{"status":200,"body":null,"sse_events":[{"event":"message_start","data":{"type":"message_start","message":{"model":"ran","usage":{"input_tokens":10,"cache_read_input_tokens":90}}}},{"event":"message_delta","data":"{\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}"},{"event":"message_stop","data":{"type":"message_stop"}}]}"#;
    let other = r#"{"timestamp":"2026-03-01T11:00:00Z","request":{"method":"GET","path":"/v1/models","body":null},"response":{"status":200,"body":{}}}"#;
    let text = [&tap_line(TAP_ANSWER), other, "", &tap_line(events)].join("\r\n");
    let records = records(&ClaudeTap, &text);
    assert_eq!(records.len(), 2);
    for record in &records {
        assert_eq!(record.timestamp, at("2026-03-01T11:00:00.500Z"));
        assert_eq!(numbers(record), [None, Some(1500), None, Some(100), Some(90), Some(7)]);
        assert_eq!((outcome(record).0, ran(record)), (Some(Outcome::Completed), Some("ran")));
    }
    assert!(refusal(&ClaudeTap, other).contains("a recording of claude-tap without a request to a model"));
    assert!(refusal(&ClaudeTapFlat, "[]").contains("`compact`"));
}

/// A socket is one request: what was asked last, and the usage of its answer.
#[test]
fn a_web_socket_is_one_request() {
    let socket = r#"{"timestamp":"2026-03-01T11:00:02Z","duration_ms":10,"transport":"websocket","request":{"method":"WEBSOCKET","path":"/backend-api/codex/responses","body":{"type":"response.create","model":"m","instructions":"S","input":[{"role":"user","content":"Hi"}]}},"response":{"status":101,"body":null,"ws_events":[{"type":"response.created","response":{}},{"type":"response.completed","response":{"model":"ran","usage":{"input_tokens":5,"output_tokens":1}}},{"type":"response.created","response":{}},{"type":"response.completed","response":{"model":"ran","usage":{"input_tokens":100,"output_tokens":7,"input_tokens_details":{"cached_tokens":90}}}}]}}"#;
    let records = records(&ClaudeTap, socket);
    assert_eq!((records.len(), records[0].api), (1, Some(Api::OpenaiResponses)));
    assert_eq!(numbers(&records[0]), [None, Some(10), None, Some(100), Some(90), Some(7)]);
    assert_eq!(records[0].response.as_ref().unwrap().input_tokens, Some(10));
}

#[test]
fn a_line_that_is_cut_or_damaged_is_skipped_and_the_others_count() {
    let line = tap_line(TAP_ANSWER);
    for end in 1..line.len() {
        let text = format!("{line}\n{}", &line[..end]);
        let found = read(&ClaudeTap, text.as_bytes()).unwrap();
        assert_eq!((found.records.len(), found.skipped.len()), (1, 1), "{end}");
        let skipped = &found.skipped[0];
        assert_eq!((skipped.reason(), skipped.line()), (SkipReason::Truncated, 2), "{end}");
    }
    let found = read(&ClaudeTap, format!("{line}\n{{\"x\" 1}}\n\u{0}\n{line}\n").as_bytes()).unwrap();
    assert_eq!(found.records.keys().copied().collect::<Vec<_>>(), [0, 3], "numbers follow the file");
    assert_eq!(found.skipped.iter().map(ParseError::line).collect::<Vec<_>>(), [2, 3]);
    let bad = [line.as_bytes(), b"\n{\"a\":\"\xff\"}\n", line.as_bytes(), b"\n{\"a\":\"\xc3"].concat();
    let found = read(&ClaudeTap, &bad).unwrap();
    let reasons: Vec<_> = found.skipped.iter().map(ParseError::reason).collect();
    assert_eq!((found.records.len(), reasons), (2, vec![SkipReason::InvalidUtf8, SkipReason::Truncated]));
}

#[test]
fn references_of_a_bundle_are_filled_in() {
    let reference =
        |hash: &str| format!(r#"{{ "__claude_tap_blob_ref__": {{"version":1,"hash":"{hash}"}} }}"#);
    let record = tap_line(TAP_ANSWER);
    let tools = r#"[{"name":"Read","input_schema":{}}]"#;
    let message = r#"{"role":"user","content":"Hi"}"#;
    // The words of a reference inside a text are no reference.
    let spoken =
        r#"{"role":"user","content":"{\"__claude_tap_blob_ref__\":1}","x":"__claude_tap_blob_ref__"}"#;
    let whole = record.replace(message, &format!("{message},{spoken}"));
    let shared = whole.replace(tools, &reference("sha256:t")).replace(message, &reference("sha256:m"));
    assert_ne!(whole, shared);
    let bundle = |record: &str| {
        format!(
            r#"{{"__claude_tap_compact_trace__":{{"version":1}},"records":[{{"__claude_tap_compact_record__":{{}},
                "record":{record}}}],"blobs":{{"sha256:t":{{"kind":"json","payload":{tools}}},
                "sha256:m":{{"payload":{message}}}}}}}"#
        )
    };
    let (expected, found) = (records(&ClaudeTap, &whole), records(&ClaudeTapBundle, &bundle(&shared)));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].sizes.body_bytes, &found[0].history),
        (expected[0].sizes.body_bytes, &expected[0].history)
    );
    assert_eq!(found[0].tools, expected[0].tools);
    let missing =
        read(&ClaudeTapBundle, bundle(&shared.replace("sha256:t", "sha256:gone")).as_bytes()).unwrap();
    assert!(missing.records.is_empty() && missing.skipped[0].to_string().contains("`sha256:gone`"));
}

fn trace_line(response: &str, logged_at: &str) -> String {
    let body = ANTHROPIC.replace('\n', "");
    format!(
        r#"{{"request":{{"timestamp":1772362800.5,"method":"POST","url":"http://h/v1/messages","headers":{{}},"body":{body}}},"response":{response},"logged_at":"{logged_at}"}}"#
    )
}

#[test]
fn claude_trace_of_both_generations() {
    let answer = format!(r#"{{"timestamp":1772362800.6,"status_code":200,"body_raw":{}}}"#, quoted(STREAM));
    let node = trace_line(&answer, "2026-03-01T11:00:02.000Z");
    let python = trace_line(&answer.replace("800.6", "802.0"), "2026-03-01T23:59:59.123456");
    for line in [node, python] {
        let records = records(&ClaudeTrace, &line);
        assert_eq!(records[0].timestamp, at("2026-03-01T11:00:00.500Z"));
        assert_eq!(numbers(&records[0]), [None, Some(1500), None, Some(100), Some(90), Some(7)]);
        assert_eq!(outcome(&records[0]).0, Some(Outcome::Completed));
    }
    let records = records(&ClaudeTrace, &trace_line("null", "2026-03-01T12:00:00.000Z"));
    assert_eq!((numbers(&records[0])[1], outcome(&records[0]).0), (None, Some(Outcome::Unfinished)));
}

/// The lines of one request in claude-code-router's log, from this time on.
fn router_lines(time: u64, process: u32, chunks: &[&str]) -> Vec<String> {
    let line = |after: u64, members: &str| {
        format!(
            r#"{{"level":20,"time":{},"pid":{process},"hostname":"h","reqId":"req-1",{members}}}"#,
            time + after
        )
    };
    let mut lines = vec![
        line(0, r#""req":{"method":"POST","url":"/v1/messages?beta=true"},"msg":"incoming request""#),
        line(2, &format!(r#""data":{},"type":"request body""#, ANTHROPIC.replace('\n', ""))),
        line(
            100,
            &format!(
                r#""request":{{"method":"POST","body":{}}},"requestUrl":"http://h/v1/chat/completions","msg":"final request""#,
                quoted(&CHAT.replace("\"m\"", "\"backend\""))
            ),
        ),
    ];
    for (at, chunk) in chunks.iter().enumerate() {
        lines.push(line(900 + at as u64, &format!(r#""type":"recieved data","data":{}"#, quoted(chunk))));
    }
    lines.push(line(1600, r#""res":{"statusCode":200},"responseTime":1599.6,"msg":"request completed""#));
    lines
}

#[test]
fn the_router_s_requests_are_what_the_backend_got() {
    let chunk = r#"{"model":"ran","choices":[{"delta":{"content":"He"}}]}"#;
    let usage = r#"{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":90}}}"#;
    let none = r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}"#;
    let start = 1_772_362_800_500;
    // Two processes, whose lines are mixed, count from 1 each.
    let (one, two) = (router_lines(start, 1, &[chunk, usage]), router_lines(start + 1, 2, &[chunk, none]));
    let mixed: Vec<String> = one.into_iter().zip(two).flat_map(|(a, b)| [a, b]).collect();
    let records = records(&ClaudeCodeRouter, &mixed.join("\n"));
    assert_eq!(records.len(), 2);
    let record = &records[0];
    assert_eq!(
        (record.api, record.endpoint.as_deref()),
        (Some(Api::OpenaiChat), Some("/v1/chat/completions"))
    );
    assert_eq!((record.requested_model.as_deref(), ran(record)), (Some("m"), Some("ran")));
    assert_eq!(record.timestamp, at("2026-03-01T11:00:00.500Z"));
    assert_eq!(record.timing.as_ref().unwrap().start, at("2026-03-01T11:00:00.600Z"));
    assert_eq!(numbers(record), [Some(800), Some(1500), Some(100), Some(100), Some(90), Some(7)]);
    let compact: serde_json::Value = serde_json::from_str(&CHAT.replace("\"m\"", "\"backend\"")).unwrap();
    assert_eq!(record.sizes.body_bytes.get(), Some(compact.to_string().len() as u64));
    assert_eq!(numbers(&records[1]), [Some(800), Some(1500), Some(100), None, None, None], "0 is unknown");
}

#[test]
fn at_level_info_the_router_tells_less() {
    let lines = router_lines(1_772_362_800_500, 1, &[]);
    let info: Vec<String> = lines.into_iter().filter(|line| !line.contains("final request")).collect();
    let found = records(&ClaudeCodeRouter, &info.join("\n"));
    let record = &found[0];
    assert_eq!((record.api, ran(record)), (Some(Api::Anthropic), None));
    assert_eq!(record.timing.as_ref().unwrap().start, record.timestamp);
    assert_eq!(numbers(record), [None, Some(1600), None, None, None, None]);
    // Still running, or the router was stopped.
    let open = records(&ClaudeCodeRouter, &info[..2].join("\n"));
    assert_eq!((numbers(&open[0])[1], outcome(&open[0]).0), (None, Some(Outcome::Unfinished)));
}

fn payload(call_type: &str, more: &str) -> String {
    format!(
        r#"{{"id":"x","litellm_call_id":"y","call_type":"{call_type}","stream":true,"status":"success","custom_llm_provider":"lm_studio","startTime":1772362800.5,"completionStartTime":1772362801.3,"endTime":1772362802.0,"model":"lm_studio/qwen/qwen3","metadata":{{"user_api_key_request_route":"/v1/x","user_agent":"claude-cli/2.1.9 (x)","requester_custom_headers":{{"x-claude-code-session-id":"s1"}},"usage_object":{{"prompt_tokens":100,"completion_tokens":7,"prompt_tokens_details":{{"cached_tokens":90}}}}}},"model_group":"local",{more}}}"#
    )
}

#[test]
fn litellm_s_sections_are_measured_and_its_body_is_unknown() {
    let chat = payload(
        "acompletion",
        r#""messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}],"model_parameters":{"stream":true,"tools":[{"type":"function","function":{"name":"f"}}]}"#,
    );
    let anthropic = payload(
        "anthropic_messages",
        r#""messages":[{"role":"user","content":"Hi"},{"role":"system","content":"late"}],"model_parameters":{"instructions":"Be brief.","max_output_tokens":9,"tools":[{"type":"function","name":"f"}]}"#,
    );
    let embedding = payload("aembedding", r#""messages":"x","model_parameters":{}"#);
    let redacted = payload(
        "acompletion",
        r#""messages":[{"role":"user","content":"redacted-by-litellm"}],"model_parameters":{}"#,
    );
    let records = records(&Litellm, &[chat, anthropic, embedding.clone(), redacted].join("\n"));
    assert_eq!(records.len(), 3);
    // Who quotes it has redacted nothing.
    let quoted = format!("redacted-by-litellm {}", "x".repeat(200));
    let quoting = payload(
        "acompletion",
        &format!(r#""messages":[{{"role":"user","content":"{quoted}"}}],"model_parameters":{{}}"#),
    );
    assert!(!self::records(&Litellm, &quoting)[0].body_redacted);
    // A part of a model's own name is no provider.
    let bare = quoting.replace("lm_studio/qwen/", "qwen/");
    assert_eq!(ran(&self::records(&Litellm, &bare)[0]), Some("qwen/qwen3"));
    for record in &records {
        assert_eq!(record.timestamp, at("2026-03-01T11:00:00.500Z"));
        assert_eq!(
            (ran(record), record.sizes.body_bytes, record.sizes.other_bytes),
            (Some("qwen/qwen3"), Amount::UNKNOWN, Amount::UNKNOWN)
        );
        assert_eq!(record.sender.client_version.as_deref(), Some("2.1.9"));
        assert_eq!(numbers(record)[1..], [Some(1500), None, Some(100), Some(90), Some(7)]);
    }
    assert_eq!(
        records.iter().map(|record| numbers(record)[0]).collect::<Vec<_>>(),
        [Some(800), None, Some(800)]
    );
    let sizes = |at: usize| {
        let sizes = &records[at].sizes;
        [sizes.system_chars, sizes.tool_count, sizes.message_count].map(Amount::get)
    };
    assert_eq!((records[0].api, sizes(0)), (Some(Api::OpenaiChat), [9, 1, 1].map(Some)));
    assert_eq!((records[1].api, sizes(1)), (Some(Api::Anthropic), [9, 1, 2].map(Some)));
    assert_eq!((records[2].body_redacted, sizes(2)), (true, [None; 3]));
    assert_eq!((records[1].requested_model.as_deref(), records[1].max_tokens), (Some("local"), Some(9)));
    assert!(refusal(&Litellm, &embedding).contains("a log of LiteLLM without a request to a model"));
}

#[test]
fn litellm_s_counts_are_those_of_the_usage_or_else_those_beside_it() {
    let of = |usage: &str, more: &str| {
        let line = payload("acompletion", &format!(r#""messages":[],"model_parameters":{{}}{more}"#));
        let (before, after) = line.split_once(r#","usage_object""#).unwrap();
        let (_, after) = after.split_once("}}}").unwrap();
        let found = records(&Litellm, &format!("{before}{usage}}}{after}"));
        let [.., prompt, cached, output] = numbers(&found[0]);
        (prompt, cached, output, outcome(&found[0]).0)
    };
    let completed = Some(Outcome::Completed);
    let beside = r#","total_tokens":48,"prompt_tokens":41,"completion_tokens":7"#;
    assert_eq!(of("", beside), (Some(41), None, Some(7), completed));
    let usage = r#","usage_object":{"prompt_tokens":40,"completion_tokens":6,"prompt_tokens_details":{"cached_tokens":9}}"#;
    assert_eq!(of(usage, beside), (Some(40), Some(9), Some(6), completed));
    let answer = r#","response":{"usage":{"prompt_tokens":39,"completion_tokens":5}}"#;
    assert_eq!(of("", &format!("{beside}{answer}")), (Some(39), None, Some(5), completed));
    // What was not counted is written as 0.
    let zeros = r#","total_tokens":0,"prompt_tokens":0,"completion_tokens":0"#;
    assert_eq!(of("", zeros), (None, None, None, completed));
    assert_eq!(of(r#","usage_object":null"#, beside), (Some(41), None, Some(7), completed));
}

#[test]
fn no_first_token_comes_after_the_end() {
    let line = payload("acompletion", r#""messages":[],"model_parameters":{}"#);
    let of = |first: &str| numbers(&records(&Litellm, &line.replace("1772362801.3", first))[0])[0];
    assert_eq!(of("1772362802.0"), Some(1500));
    assert_eq!(of("1772362802.001"), None);
}

#[test]
fn a_status_of_400_and_more_is_a_failure() {
    let of = |status: u64| {
        let answered = format!(r#"{{"status":{status},"content":{{"text":""}}}}"#);
        let found = records(&Har, &har(&[har_entry("http://h/v1/messages", ANTHROPIC, &answered)]));
        (outcome(&found[0]).0, outcome(&found[0]).1.map(str::to_owned))
    };
    assert_eq!(of(399), (None, None));
    assert_eq!(of(400), (Some(Outcome::Failed), Some("HTTP 400".to_owned())));
}

/// Recordings of every kind, small.
fn every_kind() -> Vec<(&'static dyn Format, String)> {
    let answered = format!(r#"{{"status":200,"content":{{"text":{}}}}}"#, quoted(STREAM));
    let bundle = format!(
        r#"{{"__claude_tap_compact_trace__":{{}},"records":[{{"record":{}}}],"blobs":{{}}}}"#,
        tap_line(TAP_ANSWER)
    );
    vec![
        (&Har, har(&[har_entry("http://h/v1/messages", ANTHROPIC, &answered)])),
        (&ClaudeTap, tap_line(TAP_ANSWER)),
        (&ClaudeTapBundle, bundle),
        (&ClaudeTrace, trace_line("null", "x")),
        (&ClaudeCodeRouter, router_lines(1_772_362_800_500, 1, &["[DONE]", "{", "7"]).join("\n")),
        (&Litellm, payload("acompletion", r#""messages":[],"model_parameters":{}"#)),
    ]
}

/// Whatever happens to a file, it is read or refused; and no request is made up.
#[test]
fn damaged_files_are_read_or_refused() {
    for (format, text) in every_kind() {
        assert_eq!(records(format, &text).len(), 1, "{format:?}");
        let bytes = text.as_bytes();
        for at in 0..bytes.len() {
            let cut = read(format, &bytes[..at]).map_or(0, |found| found.records.len());
            assert!(cut <= 1, "{format:?} cut at {at}");
            for byte in *b"\"}0\xff" {
                let mut damaged = bytes.to_vec();
                damaged[at] = byte;
                let found = read(format, &damaged).map_or(0, |found| found.records.len());
                assert!(found <= 1, "{format:?} with {byte} at {at}");
            }
        }
    }
}

/// Values of types that no recorder writes.
#[test]
fn members_of_other_types_tell_nothing() {
    for (format, text) in every_kind() {
        let value: serde_json::Value = serde_json::from_str(text.lines().next().unwrap_or_default())
            .unwrap_or_else(|_| serde_json::from_str(&text).unwrap());
        let members: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        for name in members {
            for other in ["null", "7", "-1e400", "\"x\"", "[]", "[[]]", "{}", "{\"request\":[]}"] {
                let mut value = value.clone();
                value[&name] = serde_json::from_str(other).unwrap_or_default();
                let _ = read(format, value.to_string().as_bytes());
            }
        }
    }
}
