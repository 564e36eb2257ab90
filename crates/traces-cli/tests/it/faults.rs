//! Recordings that were once answered wrongly, each the smallest of its kind.
//!
//! Others of that time have their tests where their subject is: wide cells, texts with
//! nothing in common and formulas in `extremes`, names of many marks in `terminal`, logs
//! written at another time in `clock`.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::common::{Folder, body, tool};

/// The model that serves where a test names none.
const MODEL: &str = "small-model";

/// A moment, in milliseconds after ten o'clock.
fn at(ms: i64) -> String {
    let ten: DateTime<Utc> = "2026-03-02T10:00:00Z".parse().unwrap();
    (ten + TimeDelta::milliseconds(ms)).format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// A moment as file names have it.
fn name(ms: i64) -> String {
    at(ms).replace([':', '.'], "-")
}

/// The body of a streamed request with so many tools and messages.
fn sent(tools: usize, messages: usize, max_tokens: u64) -> Value {
    let tools: Vec<Value> = (0..tools).map(|at| tool(&format!("Tool{at}"), "Does a thing.")).collect();
    let message = |at: usize| {
        let role = if at.is_multiple_of(2) { "user" } else { "assistant" };
        json!({ "role": role, "content": format!("step {at}") })
    };
    let mut body = body("unused");
    body["tools"] = json!(tools);
    body["messages"] = (0..messages).map(message).collect();
    body["max_tokens"] = json!(max_tokens);
    body["stream"] = json!(true);
    body
}

/// A debug log of one process, as it grows.
struct Log {
    started: i64,
    model: String,
    text: String,
}

impl Log {
    fn new(started: i64, model: &str) -> Self {
        let text = format!(
            "ANYCLAUDE DEBUG SESSION - Level 2\nStarted: {}\n\nBackend Mode: lmstudio\nModel: {model}\n\n",
            at(started)
        );
        Self { started, model: model.to_owned(), text }
    }

    fn line(&mut self, ms: i64, message: &str) {
        self.text += &format!("[{}] [ANYCLAUDE DEBUG] {message}\n", at(ms));
    }

    /// A request reaches the backend.
    fn start(&mut self, ms: i64, tools: usize, messages: usize, max_tokens: u64) {
        let model = &self.model;
        let start = format!("[Request Start] lmstudio/{model} at {}", at(ms));
        let details = format!(
            "[Request Details] lmstudio/{model} {{\"system\":\"s\",\"toolCount\":{tools},\
             \"messageCount\":{messages},\"maxTokens\":{max_tokens}}}"
        );
        self.line(ms, &start);
        self.line(ms, &details);
    }

    fn call(&mut self, ms: i64) {
        self.line(ms, &format!("[streamText] About to call streamText for lmstudio/{}", self.model));
    }

    fn stream(&mut self, ms: i64) {
        let line = format!("[Streaming] Starting stream conversion and pipe for lmstudio/{}", self.model);
        self.line(ms, &line);
    }

    /// A request reaches the backend, and its answer is streamed.
    fn streamed(&mut self, ms: i64, tools: usize, messages: usize) {
        self.start(ms, tools, messages, 32_000);
        self.call(ms + 1);
        self.stream(ms + 2);
    }

    /// The first token of the request that started at `start`.
    fn first_token(&mut self, start: i64, ttft_ms: i64) {
        self.line(start + ttft_ms, &format!("[Timing] First token received at {ttft_ms}ms"));
    }

    /// The end of the request that started at `start`.
    fn end(&mut self, start: i64, total_ms: i64) {
        let model = &self.model;
        let end = format!(
            "[Request Complete] lmstudio/{model}: {total_ms}ms (20 chunks, 900 bytes) | ⚡ 9.6 tok/s"
        );
        self.line(start + total_ms, &end);
    }

    fn usage(&mut self, ms: i64, prompt_tokens: u64, output_tokens: u64) {
        let usage = format!(
            "[Cache Metrics] Recorded streaming response metrics {{\"hash\":\"2a\",\
             \"inputTokens\":{prompt_tokens},\"outputTokens\":{output_tokens},\"cacheReadTokens\":0,\
             \"cacheCreationTokens\":0}}"
        );
        self.line(ms, &usage);
    }

    /// A whole request.
    fn request(&mut self, start: i64, ttft_ms: i64, total_ms: i64) {
        self.streamed(start, 2, 1);
        self.first_token(start, ttft_ms);
        self.end(start, total_ms);
        self.usage(start + total_ms, 1_000, 20);
    }

    fn write(&self, folder: &Folder) {
        let started = name(self.started);
        folder.write(format!("logs/debug-session-{}.log", &started[..19]), &self.text);
    }
}

fn trace(folder: &Folder, ms: i64, body: &Value) {
    folder.trace(format!("traces/lmstudio/{}.json", name(ms)), &at(ms), body);
}

/// The lines of a request log, each with a number of tools and a model.
fn request_log(folder: &Folder, lines: &[(i64, usize, &str)]) {
    let line = |&(ms, tools, model): &(i64, usize, &str)| {
        let line = json!({
            "timestamp": at(ms), "systemSize": 1, "toolCount": tools, "messageCount": 1,
            "streaming": true, "provider": "lmstudio", "model": model,
        });
        format!("{line}\n")
    };
    folder.write("request-logs/2026-03-02.jsonl", lines.iter().map(line).collect::<String>());
}

fn timing(folder: &Folder) -> Value {
    folder.traces("timing --root . --format json").ends_with(0).json()
}

/// What `timing` says of the request whose trace is of this moment.
#[track_caller]
fn request(found: &Value, ms: i64) -> Value {
    let is_it = |request: &&Value| request["timestamp"] == at(ms);
    found["requests"].as_array().unwrap().iter().find(is_it).expect("it is there").clone()
}

#[track_caller]
fn has_times(request: &Value, ttft_ms: i64, total_ms: i64) {
    let timing = &request["timing"];
    assert_eq!((&timing["ttft_ms"], &timing["total_ms"]), (&json!(ttft_ms), &json!(total_ms)), "{request}");
}

#[test]
fn latest_is_the_same_request_for_every_verb() {
    let folder = Folder::new();
    trace(&folder, 0, &sent(1, 1, 100));
    trace(&folder, 500, &sent(1, 3, 100));
    trace(&folder, 1_000, &sent(1, 1, 1));
    let ends_with = |path: &Value, ms: i64| path.as_str().unwrap().ends_with(&format!("{}.json", name(ms)));
    for (latest, ms) in [("latest", 500), ("latest~1", 0)] {
        for verb in ["list", "timing", "prefix"] {
            let found = folder.traces(&format!("{verb} {latest} --root . --format json")).ends_with(0).json();
            assert_eq!(found["requests"].as_array().unwrap().len(), 1, "{verb}: {found}");
            assert!(ends_with(&found["requests"][0]["path"], ms), "{verb} {latest}: {found}");
        }
        let shown = folder.traces(&format!("show {latest} --root . --format json")).ends_with(0).json();
        assert!(ends_with(&shown["path"], ms), "show {latest}: {shown}");
    }
    let compared = folder.traces("diff latest~1 latest --root . --format json").ends_with(0).json();
    assert!(ends_with(&compared["left"]["path"], 0), "{compared}");
    assert!(ends_with(&compared["right"]["path"], 500), "{compared}");
}

/// The proxy's own log counts the tools that are left, the request log those that came.
#[test]
fn the_request_log_is_matched_by_what_the_client_sent() {
    let folder = Folder::new();
    trace(&folder, 54_001, &sent(5, 1, 32_000));
    trace(&folder, 55_001, &sent(5, 1, 32_000));
    request_log(&folder, &[(46_000, 5, MODEL), (47_000, 4, MODEL), (54_500, 5, MODEL)]);
    let mut log = Log::new(45_000, MODEL);
    for (start, left) in [(54_000, 5), (55_000, 4)] {
        log.streamed(start, left, 1);
        log.first_token(start, 300);
        log.end(start, 500);
    }
    log.write(&folder);
    let found = timing(&folder);
    assert_eq!(request(&found, 55_001)["timing"]["proxy_ms"], 500, "{found}");
    assert_eq!(request(&found, 54_001)["timing"]["proxy_ms"], 8_000, "{found}");
}

#[test]
fn a_reply_in_one_piece_is_no_unfinished_stream() {
    let folder = Folder::new();
    let mut whole = sent(0, 1, 1);
    whole["stream"] = json!(false);
    trace(&folder, 1_210, &whole);
    let saved = format!("/home/someone/.anyclaude/traces/lmstudio/{}.json", name(1_210));
    folder.write(
        "stderr.txt",
        format!(
            "[ANYCLAUDE DEBUG] [Request Start] lmstudio/{MODEL} at {}\n[TRACE] Saved to: {saved}\n",
            at(1_210)
        ),
    );
    let found = folder.traces("timing --root . --log stderr.txt --format json").ends_with(0).json();
    assert_eq!(request(&found, 1_210)["timing"]["outcome"], "not_streamed", "{found}");
}

/// Tracing was off, or its files were deleted: the logs still tell the times.
#[test]
fn logs_without_traces_are_answered_from() {
    let folder = Folder::new();
    request_log(&folder, &[(49_980, 2, MODEL)]);
    let mut log = Log::new(45_000, MODEL);
    log.request(50_000, 300, 500);
    log.write(&folder);
    let all = folder.traces("timing --root . --all --format json").ends_with(0);
    let unmatched = &all.json()["unmatched_log_requests"];
    assert_eq!(unmatched.as_array().unwrap().len(), 1, "{unmatched}");
    assert_eq!((&unmatched[0]["ttft_ms"], &unmatched[0]["total_ms"]), (&json!(300), &json!(500)));
    assert_eq!(unmatched[0]["proxy_ms"], 20, "{unmatched}");
    let lines = ["timing --root . --format json", "timing . --format json"];
    for line in lines {
        assert_eq!(folder.traces(line), all, "{line}");
    }
    // An empty folder of traces changes nothing.
    std::fs::create_dir_all(folder.path().join("traces/lmstudio")).unwrap();
    for line in lines {
        assert_eq!(folder.traces(line), all, "{line}, with an empty folder of traces");
    }
    assert!(folder.traces("timing --root .").ends_with(0).stdout.contains("300 ms"));
    // Nothing but timing can answer without a prompt.
    folder.traces("list --root .").ends_with(2).says(&["nothing is recorded"]);
}

/// The folder above a root, or the folder of traces in it: the root is named instead.
#[test]
fn a_folder_beside_a_root_names_the_root() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path().join("home/.anyclaude/traces/lmstudio")).unwrap();
    for named in ["home", "home/.anyclaude/traces"] {
        let meant = "Did you mean `--root home/.anyclaude`?";
        folder.traces(&format!("list --root {named}")).ends_with(2).says(&[meant]);
    }
}

/// A backend without usage: the proxy logs an estimate of the prompt, and 0.
#[test]
fn an_answer_without_usage_has_an_unknown_number_of_tokens() {
    let folder = Folder::new();
    trace(&folder, 50_001, &sent(2, 1, 32_000));
    let mut log = Log::new(45_000, MODEL);
    log.streamed(50_000, 2, 1);
    log.first_token(50_000, 300);
    log.line(
        52_300,
        "[Cache Metrics] Captured usage from message_delta: {\"input_tokens\":0,\"output_tokens\":0,\
         \"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0}",
    );
    log.line(52_302, &format!("[Request Complete] lmstudio/{MODEL}: 2300ms (94 chunks, 12037 bytes)"));
    log.usage(52_302, 114, 0);
    log.write(&folder);
    let timing = &request(&timing(&folder), 50_001)["timing"];
    for name in ["output_tokens", "output_tokens_source", "prompt_tokens", "prompt_tokens_source"] {
        assert_eq!(timing[name], Value::Null, "{name}: {timing}");
    }
    assert_eq!(timing["total_ms"], 2_300);
}

#[test]
fn a_summary_in_place_of_the_conversation_is_a_compaction() {
    let summary = "This session is being continued from a previous conversation that ran out of context. \
                   The user wants a sorted list.";
    for (text, cause) in [(summary, "compacted"), ("What is the weather like?", "other_conversation")] {
        let folder = Folder::new();
        let mut turn = sent(1, 3, 100);
        trace(&folder, 0, &sent(1, 1, 100));
        trace(&folder, 1_000, &turn);
        turn["messages"] = json!([{ "role": "user", "content": [{ "type": "text", "text": text }] }]);
        trace(&folder, 2_000, &turn);
        let found = folder.traces("prefix --root . --format json").ends_with(0).json();
        assert_eq!(request(&found, 2_000)["break"]["cause"], cause, "{found}");
        assert_eq!(request(&found, 1_000)["break"], Value::Null, "{found}");
    }
}

/// A line about a stream that goes on to complete tells of no failure, least of all of a
/// request that has no stream.
#[test]
fn a_write_error_fails_no_request_that_cannot_have_it() {
    let folder = Folder::new();
    let mut whole = sent(0, 1, 32_000);
    whole["stream"] = json!(false);
    trace(&folder, 46_001, &whole);
    trace(&folder, 50_001, &sent(2, 1, 32_000));
    let mut log = Log::new(45_000, MODEL);
    log.start(46_000, 0, 1, 32_000);
    log.call(46_001);
    log.line(46_800, "[streamText onFinish] Called, stop reason: stop");
    log.streamed(50_000, 2, 1);
    log.line(50_500, "[Write Error] Writable stream error: {}");
    log.end(50_000, 2_300);
    log.write(&folder);
    let found = timing(&folder);
    assert_eq!(request(&found, 46_001)["timing"]["outcome"], "not_streamed", "{found}");
    assert_eq!(request(&found, 50_001)["timing"]["outcome"], "completed", "{found}");
}

/// The trace of the first is lost; the next two came soon after.
#[test]
fn a_request_without_its_trace_takes_no_other_ones() {
    let folder = Folder::new();
    trace(&folder, 1_901, &sent(5, 5, 32_000));
    trace(&folder, 2_701, &sent(5, 7, 32_000));
    let mut log = Log::new(0, MODEL);
    log.start(1_000, 0, 1, 512);
    log.call(1_001);
    log.stream(1_002);
    log.first_token(1_000, 100);
    log.end(1_000, 300);
    log.streamed(1_900, 5, 5);
    log.streamed(2_700, 5, 7);
    log.first_token(1_900, 7_000);
    log.first_token(2_700, 9_000);
    log.end(1_900, 30_000);
    log.end(2_700, 40_000);
    log.write(&folder);
    let found = timing(&folder);
    has_times(&request(&found, 1_901), 7_000, 30_000);
    has_times(&request(&found, 2_701), 9_000, 40_000);
    let unmatched = found["unmatched_log_requests"].as_array().unwrap();
    let starts: Vec<&Value> = unmatched.iter().map(|one| &one["start"]).collect();
    assert_eq!(starts, [&json!(at(1_000))], "{found}");
}

/// Two start in one millisecond, and the log does not tell which lines are whose.
#[test]
fn times_of_twin_starts_are_right_or_ambiguous() {
    let folder = Folder::new();
    trace(&folder, 1_040, &sent(0, 1, 512));
    trace(&folder, 1_042, &sent(5, 5, 32_000));
    let mut log = Log::new(0, MODEL);
    log.start(1_000, 0, 1, 512);
    log.start(1_000, 5, 5, 32_000);
    for called in [1_040, 1_042] {
        log.call(called);
        log.stream(called + 1);
    }
    log.first_token(1_000, 500);
    log.end(1_000, 900);
    log.first_token(1_000, 9_000);
    log.end(1_000, 30_000);
    log.write(&folder);
    let found = timing(&folder);
    for (ms, ttft_ms, total_ms) in [(1_040, 500, 900), (1_042, 9_000, 30_000)] {
        let request = request(&found, ms);
        if request["join"]["confidence"] != "ambiguous" {
            has_times(&request, ttft_ms, total_ms);
        }
    }
}

/// A question whose prompt begins like no other one.
fn asked(question: &str) -> Value {
    let mut asked = sent(2, 1, 32_000);
    asked["system"] = json!(format!("{question} {}", "word ".repeat(800)));
    asked["messages"][0]["content"] = json!(question);
    asked
}

/// One question a minute to a model, each with its times; before them one that only this
/// model is asked. Gives the starts.
fn questions(folder: &Folder, log: &mut Log, times: &[(i64, i64)]) -> Vec<i64> {
    let first = log.started + 1_000;
    trace(folder, first + 1, &asked(&format!("Greet {}.", log.model)));
    log.request(first, 500, 700);
    let mut starts = Vec::new();
    for (at, (ttft_ms, total_ms)) in (1..).zip(times) {
        let start = first + at * 60_000;
        trace(folder, start + 1, &asked(&format!("Question {at}.")));
        log.request(start, *ttft_ms, *total_ms);
        starts.push(start);
    }
    starts
}

/// A request that timed out has no total, and is in the backend until its line.
#[test]
fn a_request_that_timed_out_is_company_until_its_end() {
    let speeds = |gives_up: bool| {
        let folder = Folder::new();
        let mut fast = Log::new(0, "fast-model");
        questions(&folder, &mut fast, &[(1_000, 6_000); 2]);
        fast.write(&folder);
        let mut slow = Log::new(3_600_000, "slow-model");
        if gives_up {
            trace(&folder, 3_600_501, &asked("Think for long."));
            slow.streamed(3_600_500, 2, 1);
        }
        questions(&folder, &mut slow, &[(30_000, 40_000); 2]);
        if gives_up {
            slow.line(4_200_500, "[Timeout] Request to lmstudio/slow-model exceeded 600000ms");
        }
        slow.write(&folder);
        let found = timing(&folder);
        if gives_up {
            let given_up = &request(&found, 3_600_501)["timing"];
            assert_eq!((&given_up["outcome"], &given_up["total_ms"]), (&json!("timed_out"), &Value::Null));
        }
        let found = folder.traces("explain --root . --format json").ends_with(0).json();
        assert_eq!(found["right"]["model"], "slow-model", "{found}");
        assert_eq!(found["left"]["speeds"]["n_read"], 2, "{found}");
        (found["right"]["speeds"]["n_read"].clone(), found["missing"].to_string())
    };
    let (alone, company) = (speeds(false), speeds(true));
    assert_eq!(alone.0, 2, "{alone:?}");
    assert!(!alone.1.contains("overlapped"), "{alone:?}");
    // Nothing tells how fast the model reads while it does other work besides.
    assert_eq!(company.0, 0, "{company:?}");
    assert!(company.1.contains("2 of 2 requests of slow-model overlapped others"), "{company:?}");
}

/// The proxy's own time is known of one pair of five. Its ten seconds are not those of all.
#[test]
fn the_proxy_time_of_one_pair_is_not_the_mean_of_all() {
    let folder = Folder::new();
    let mut starts = Vec::new();
    for (started, model, total_ms) in [(0, "fast-model", 5_000), (3_600_000, "slow-model", 5_400)] {
        let mut log = Log::new(started, model);
        starts.push(questions(&folder, &mut log, &[(1_000, total_ms); 5]));
        log.write(&folder);
    }
    let lines = [(starts[0][2] - 10, 2, "fast-model"), (starts[1][2] - 10_000, 2, "slow-model")];
    request_log(&folder, &lines);
    let found = timing(&folder);
    assert_eq!(request(&found, starts[1][2] + 1)["timing"]["proxy_ms"], 10_000, "{found}");
    let found = folder.traces("explain --root . --format json").ends_with(0).json();
    for side in ["left", "right"] {
        assert_eq!(found[side]["time"]["proxy_ms"], Value::Null, "{found}");
    }
    let proxy = found["contributions"].as_array().unwrap().iter().find(|one| one["cause"] == "proxy");
    assert_eq!(proxy.unwrap()["ms"], Value::Null, "{found}");
    assert!((found["delta_ms"].as_f64().unwrap() - 400.0).abs() < 1.0, "{found}");
    assert_eq!(found["verdict"]["proxy_is_bottleneck"], Value::Null, "{found}");
}
