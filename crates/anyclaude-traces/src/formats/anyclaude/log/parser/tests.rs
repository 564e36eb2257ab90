//! Whole logs, line by line.

use super::*;
use crate::formats::anyclaude::log::{LogRequest, LogRun};
use crate::model::ProxyEdit;
use crate::model::timing::{Confidence, Outcome};

fn parse(text: &str) -> ParsedLog {
    let mut parser = LogParser::new();
    for chunk in text.as_bytes().chunks(7) {
        parser.feed(chunk);
    }
    parser.finish()
}

fn banner(level: u8, second: u8, model: &str) -> String {
    let (thick, thin) = ("═".repeat(60), "─".repeat(60));
    format!(
        "{thick}\nANYCLAUDE DEBUG SESSION - Level {level}\nStarted: 2025-11-16T10:00:{second:02}.000Z\n{thick}\n\n\
         {}\n{thin}\nSESSION CONFIGURATION\n{thin}\nBackend Mode: local\nModel: {model}\n\
         Backend URL: http://localhost:1234/v1\nProxy URL: http://localhost:9\n\nConfiguration:\n{{\n}}\n{thin}\n\n",
        line(second, 1, "[server-launcher] No config found").trim_end()
    )
}

fn line(second: u8, ms: u16, message: &str) -> String {
    format!("[2025-11-16T10:00:{second:02}.{ms:03}Z] [ANYCLAUDE DEBUG] {message}\n")
}

fn start(second: u8, ms: u16, model: &str) -> String {
    let at = format!("2025-11-16T10:00:{second:02}.{ms:03}Z");
    line(second, ms, &format!("[Request Start] local/{model} at {at}"))
}

fn complete(second: u8, ms: u16, model: &str, total: i64) -> String {
    line(second, ms, &format!("[Request Complete] local/{model}: {total}ms (5 chunks, 99 bytes)"))
}

fn totals(run: &LogRun) -> Vec<Option<u64>> {
    run.requests.iter().map(|request| request.total_ms.get()).collect()
}

#[test]
fn an_empty_file_holds_no_run_and_says_so() {
    let log = parse("");
    assert!(log.is_empty() && log.runs.is_empty());
    assert_eq!((log.lines, log.unreadable_lines), (0, 0));
}

#[test]
fn a_file_that_is_no_log_is_unreadable() {
    let log = parse("one\n\ntwo\n");
    assert!(!log.is_empty() && log.runs.is_empty());
    assert_eq!((log.lines, log.unreadable_lines), (3, 2));
}

#[test]
fn the_banner_tells_of_the_process() {
    let text = banner(2, 1, "lab/m") + &line(2, 0, "[Backend Query] Detected model: lab/real");
    let text = text + &line(2, 5, "[Backend Query] [Local] context length: 32768 tokens");
    for text in [text.clone(), text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
        let log = parse(&text);
        assert_eq!((log.runs.len(), log.unreadable_lines), (1, 0));
        let run = &log.runs[0];
        assert_eq!(run.started.unwrap().to_string(), "2025-11-16T10:00:01.000Z");
        assert_eq!(run.last_seen.unwrap().to_string(), "2025-11-16T10:00:02.005Z");
        assert_eq!((run.ended, run.level, run.stamped), (None, Some(2), true));
        assert_eq!(run.mode.as_deref(), Some("local"));
        assert_eq!(run.configured_model.as_deref(), Some("lab/m"));
        assert_eq!(run.detected_model.as_deref(), Some("lab/real"));
        assert_eq!(run.context_length_tokens, Some(32_768));
        assert_eq!(run.backend_url.as_deref(), Some("http://localhost:1234/v1"));
        assert_eq!((run.log_bytes, run.log_lines), (log.bytes, log.lines));
    }
}

#[test]
fn every_start_in_one_file_is_a_run() {
    let first = banner(1, 1, "a") + &start(2, 0, "a") + &complete(3, 0, "a", 1000);
    let thick = "═".repeat(60);
    let footer = format!("\n{thick}\nSession ended: 2025-11-16T10:00:04.000Z\n{thick}\n");
    let second = banner(2, 30, "b") + &start(31, 0, "b") + &complete(33, 1, "b", 2000);
    let log = parse(&(first + &footer + &second));
    let facts: Vec<_> = log.runs.iter().map(|run| (run.level, totals(run), run.ended.is_some())).collect();
    assert_eq!(facts, [(Some(1), vec![Some(1000)], true), (Some(2), vec![Some(2000)], false)]);
    assert_eq!(log.runs.iter().map(|run| run.log_bytes).sum::<u64>(), log.bytes);
    assert_eq!(log.runs.iter().map(|run| run.log_lines).sum::<u64>(), log.lines);
}

#[test]
fn two_processes_that_share_a_file_keep_their_ends() {
    let text = banner(1, 1, "a") + &start(1, 500, "a") + &banner(1, 2, "b") + &start(2, 500, "b");
    let usage = "[Cache Metrics] Recorded streaming response metrics {\"inputTokens\":7,\"outputTokens\":8}";
    let log =
        parse(&(text + &complete(5, 500, "a", 4000) + &line(5, 500, usage) + &complete(6, 500, "b", 4000)));
    assert_eq!(log.runs.iter().map(totals).collect::<Vec<_>>(), [[Some(4000)], [Some(4000)]]);
    assert_eq!(log.runs[0].requests[0].prompt_tokens, Some(7));
    assert_eq!(log.runs.iter().map(|run| run.unattributed_lines).sum::<u64>(), 0);
}

#[test]
fn text_that_imitates_a_log_changes_nothing() {
    let imitation = format!(
        "{}\nnot a title\nANYCLAUDE DEBUG SESSION - Level 3\nBackend Mode: x\nModel: x\n[TRACE] Saved to: /x.json\n\
         [ANYCLAUDE DEBUG] [Request Start] local/a at 2025-11-16T10:00:02.100Z\n\
         [Request Complete] local/a: 1ms\n 2025-11-16T10:00:02.100Z\n{}\nelse\nSESSION CONFIGURATION\n",
        "═".repeat(60),
        "─".repeat(60),
    );
    let text = banner(1, 1, "a") + &start(2, 0, "a") + &imitation + &complete(4, 0, "a", 2000) + &imitation;
    let log = parse(&text);
    assert_eq!((log.runs.len(), log.unreadable_lines), (1, 0));
    let run = &log.runs[0];
    assert_eq!((run.level, run.mode.as_deref(), totals(run)), (Some(1), Some("local"), vec![Some(2000)]));
    assert_eq!(run.saved_traces, [""; 0]);
}

#[test]
fn json_over_many_lines_is_passed_over() {
    let schema = "[Tool 1/2] Read {\n  \"description\": \"reads\",\n  \"input_schema\": {}\n}";
    let log = parse(&(start(1, 0, "a") + &line(1, 1, schema) + &complete(2, 0, "a", 1000)));
    assert_eq!((log.runs.len(), log.unreadable_lines, log.lines), (1, 0, 6));
    assert_eq!(totals(&log.runs[0]), [Some(1000)]);
}

#[test]
fn a_crash_leaves_a_torn_line_and_unfinished_requests() {
    let text = banner(2, 1, "a")
        + &start(2, 0, "a")
        + &line(2, 1, "[Streaming] Starting stream conversion and pipe for local/a")
        + &line(9, 0, "[Timing] First token received at 7000ms");
    for torn in
        ["[2025-11-16T10:0", "[2025-11-16T10:00:10.000Z] [ANYCLAUDE DEBUG] [Request Complete] local/a: 80"]
    {
        let log = parse(&format!("{text}{torn}"));
        assert_eq!(log.unreadable_lines, 1, "{torn}");
        let request = &log.runs[0].requests[0];
        assert_eq!(
            (request.outcome, request.ttft_ms.get(), request.keepalives.get()),
            (Outcome::Unfinished, Some(7000), None)
        );
    }
}

#[test]
fn lines_that_fit_no_request_are_counted() {
    let log = parse(&(start(1, 0, "a") + &complete(9, 0, "a", 1000) + &complete(9, 0, "other", 8000)));
    assert_eq!((log.unreadable_lines, log.runs[0].unattributed_lines), (0, 2));
    assert_eq!(totals(&log.runs[0]), [None]);
}

#[test]
fn standard_error_names_the_traces_of_a_debug_log() {
    let capture = "starting\n[anyclaude] Debug mode (level 2): C:\\Users\\me\\logs\\debug-session-x.log\n\
                   [TRACE] Saved to: /home/me/.anyclaude/traces/local/2025-11-16T10-00-02-010Z.json\n";
    let log = parse(capture);
    assert_eq!(log.unreadable_lines, 0);
    let run = &log.runs[0];
    assert_eq!((run.level, run.stamped), (Some(2), false));
    assert_eq!(run.debug_log.as_deref(), Some("debug-session-x.log"));
    assert_eq!(run.saved_traces, ["2025-11-16T10-00-02-010Z.json"]);
}

#[test]
fn october_names_traces_beside_their_requests() {
    let log = parse(
        "[ANYCLAUDE DEBUG] [Request Start] lmstudio/m at 2025-10-26T08:00:00.000Z\n\
         [TRACE] Saved to: \\\\srv\\x\\2025-10-26T08-00-00-012Z.json\n\
         [ANYCLAUDE DEBUG] [Request Start] lmstudio/m at 2025-10-26T08:00:05.000Z\n\
         [ANYCLAUDE DEBUG] [Request Complete] lmstudio/m: 9000ms\n\
         [ANYCLAUDE DEBUG] [Request Start] lmstudio/m at 2025-10-26T08:00:11.000Z\n\
         [ANYCLAUDE DEBUG] [Request Complete] lmstudio/m: 7000ms\n",
    );
    let run = &log.runs[0];
    assert_eq!((run.stamped, run.level), (false, Some(1)));
    assert_eq!(totals(run), [Some(9000), Some(7000), None], "two ended, in this order");
    assert_eq!(run.requests[0].saved_trace.as_deref(), Some("2025-10-26T08-00-00-012Z.json"));
    assert_eq!(run.requests[0].confidence, Confidence::Exact);
    assert_eq!(run.requests[2].outcome, Outcome::Unfinished);
}

#[test]
fn stream_ends_belong_to_the_completions_after_them() {
    let parts = |second, ms, parts| {
        line(second, ms, &format!("[Stream Conversion] Stream complete. Total chunks: {parts}"))
    };
    let text = start(1, 0, "a")
        + &start(2, 0, "a")
        + &start(3, 0, "a")
        + &parts(4, 0, 6)
        + &parts(16, 0, 7)
        + &parts(16, 1, 9)
        + &complete(16, 1, "a", 14_001)
        + &complete(16, 2, "a", 15_002);
    let log = parse(&text);
    let parts: Vec<_> = log.runs[0].requests.iter().map(|request| request.parts).collect();
    assert_eq!(parts, [Some(9), Some(7), None], "the first one's completion is lost");
}

#[test]
fn an_error_before_the_second_request_is_the_first_ones() {
    let stream = |second, ms| line(second, ms, "[Streaming] Starting stream conversion and pipe for local/a");
    let text = banner(2, 0, "a")
        + &start(5, 100, "a")
        + &stream(5, 110)
        + &line(5, 300, "Error for local/a: {\"name\":\"AI_APICallError\"}")
        + &start(7, 200, "a")
        + &stream(7, 210)
        + &line(17, 212, "[Keepalive] Sent keepalive #1 (waiting for LMStudio)")
        + &line(19, 202, "[Timeout] Request to local/a exceeded 12000ms");
    let log = parse(&text);
    let ends: Vec<_> = log.runs[0]
        .requests
        .iter()
        .map(|request| (request.outcome, request.keepalives.get(), request.confidence))
        .collect();
    assert_eq!(
        ends,
        [(Outcome::Failed, Some(0), Confidence::Exact), (Outcome::TimedOut, Some(1), Confidence::Exact)]
    );
}

fn stream(second: u8, ms: u16) -> String {
    line(second, ms, "[streamText] About to call streamText for local/a")
        + &line(second, ms + 1, "[Streaming] Starting stream conversion and pipe for local/a")
}

fn closed(second: u8) -> String {
    line(second, 0, "[Client Disconnect] Connection closed by client")
}

#[test]
fn a_client_that_leaves_alone_gave_its_request_up() {
    let done = start(1, 0, "a") + &stream(1, 1) + &complete(3, 0, "a", 2000) + &closed(3);
    let left = start(5, 0, "a") + &stream(5, 1) + &closed(20);
    let run = &parse(&(banner(2, 0, "a") + &done + &left)).runs[0];
    let ends = |run: &LogRun| run.requests.iter().map(|r| (r.outcome, r.total_ms.get())).collect::<Vec<_>>();
    assert_eq!(ends(run), [(Outcome::Completed, Some(2000)), (Outcome::Disconnected, Some(15_000))]);
    assert_eq!(
        (run.requests[1].keepalives.get(), run.requests[1].facts.backend_ms.get()),
        (Some(0), Some(15_000))
    );

    // Two are open: it may have been either.
    let other = start(6, 0, "a") + &stream(6, 1);
    let both = start(5, 0, "a") + &stream(5, 1) + &other + &closed(20);
    let run = &parse(&(banner(2, 0, "a") + &done + &both)).runs[0];
    assert_eq!(ends(run)[1..], [(Outcome::Unfinished, None), (Outcome::Unfinished, None)]);

    // The close of a failed request is its own.
    let failed = start(5, 0, "a") + &stream(5, 1) + &line(8, 0, "Error for local/a: no") + &closed(8);
    let waits = start(9, 0, "a") + &stream(9, 1);
    let run = &parse(&(banner(2, 0, "a") + &failed + &waits)).runs[0];
    assert_eq!(ends(run), [(Outcome::Failed, None), (Outcome::Unfinished, None)]);
    assert_eq!(run.requests[0].facts.backend_ms, Some(3000));
}

#[test]
fn an_answer_in_one_piece_ends_with_its_on_finish() {
    let called = |second| line(second, 1, "[streamText] About to call streamText for local/a");
    let finished = |second| line(second, 0, "[streamText onFinish] Called, stop reason: stop");
    let probe = |second| start(second, 0, "a") + &called(second) + &line(second, 2, "[Context] x");
    let streamed = start(3, 0, "a") + &stream(3, 1);
    let ends = |text: &str| {
        let run = parse(text).runs.remove(0);
        run.requests.iter().map(|r| (r.outcome, r.total_ms.get())).collect::<Vec<_>>()
    };
    let text = banner(1, 1, "a") + &probe(2) + &streamed + &finished(4) + &finished(6);
    let whole = ends(&(text.clone() + &complete(6, 0, "a", 3000)));
    assert_eq!(whole, [(Outcome::NotStreamed, Some(2000)), (Outcome::Completed, Some(3000))]);
    assert_eq!(ends(&text)[0], (Outcome::NotStreamed, None), "the stream may have ended first");
    let two = banner(1, 1, "a") + &probe(2) + &probe(3) + &finished(4);
    assert_eq!(ends(&two), [(Outcome::NotStreamed, None); 2]);
    let latency = line(4, 0, "[Circuit Breaker] Recorded latency: 1000ms");
    assert_eq!(ends(&(two + &latency))[1], (Outcome::NotStreamed, Some(1000)));
}

#[test]
fn replies_in_one_piece_that_cannot_be_told_apart_end_with_the_last_of_their_lines() {
    let called = |second| line(second, 1, "[streamText] About to call streamText for local/a");
    let finished = |second| line(second, 0, "[streamText onFinish] Called, stop reason: stop");
    let request = |second| start(second, 0, "a") + &called(second) + &line(second, 2, "[Context] x");
    let times = |text: &str| {
        let run = parse(text).runs.remove(0);
        run.requests.iter().map(|r| (r.total_ms.get(), r.facts.backend_ms.get())).collect::<Vec<_>>()
    };
    let both = banner(1, 1, "a") + &request(2) + &request(3) + &finished(5) + &finished(8);
    let log_end = line(50, 0, "[Context] x");
    assert_eq!(times(&(both.clone() + &log_end)), [(None, Some(6000)), (None, Some(5000))]);
    // Both have ended, so the next line belongs to the request that came after them.
    let later = both + &request(10) + &finished(12) + &log_end;
    assert_eq!(times(&later)[2], (Some(2000), Some(2000)));
    // One line for two requests: either may still be running.
    let one = banner(1, 1, "a") + &request(2) + &request(3) + &finished(5) + &log_end;
    assert_eq!(times(&one), [(None, Some(48_000)), (None, Some(47_000))]);
    // The failed request may have caused the first line, so two lines are not enough.
    let failed = line(6, 0, "Error for local/a: no");
    let three = banner(1, 1, "a") + &request(2) + &request(3) + &request(4) + &finished(5) + &failed;
    assert_eq!(times(&(three + &finished(7) + &log_end))[..2], [(None, Some(48_000)), (None, Some(47_000))]);
}

#[test]
fn errors_keep_their_words() {
    let error_of = |text: &str| parse(text).runs[0].requests[0].error.clone();
    let failing = start(1, 0, "a") + &stream(1, 1);
    let one_line = failing.clone() + &line(2, 0, "Error for local/a: n_ctx is 4096\u{7}");
    assert_eq!(error_of(&one_line).as_deref(), Some("n_ctx is 4096"));
    let many = failing.clone()
        + &line(2, 0, "Error for local/a: {")
        + "  \"name\": \"E\"\n}\n"
        + &closed(3)
        + "text\n";
    assert_eq!(error_of(&many).as_deref(), Some("{ \"name\": \"E\" }"));
    let long = failing + &line(2, 0, &format!("Error for local/a: {}", "é".repeat(900)));
    assert_eq!(error_of(&long).map(|words| words.len()), Some(500));
}

#[test]
fn a_line_that_is_passed_over_ends_an_error_too() {
    let delta = "[Stream Conversion] Received chunk 6 of type: text-delta";
    let text = banner(2, 0, "a")
        + &start(1, 0, "a")
        + &stream(1, 1)
        + &line(1, 5, "[NodeWritable] Chunk #1 of type: message_start (10 bytes, total so far: 10 bytes)")
        + &line(2, 0, "Error for local/a: {\"name\":\"E\"}")
        + &line(2, 1, delta)
        + "text\n"
        + &line(2, 2, delta);
    let mut whole = LogParser::new();
    whole.feed(text.as_bytes());
    let whole = whole.finish();
    assert_eq!(whole, parse(&text));
    assert_eq!(whole.runs[0].requests[0].error.as_deref(), Some("{\"name\":\"E\"}"));
}

#[test]
fn zero_cached_tokens_count_where_the_backend_counts() {
    let request = |second: u8, cached: u64| {
        let usage = format!(
            "[Cache Metrics] Recorded streaming response metrics \
             {{\"inputTokens\":50,\"outputTokens\":8,\"cacheReadTokens\":{cached}}}"
        );
        start(second, 0, "a") + &complete(second + 1, 0, "a", 1000) + &line(second + 1, 0, &usage)
    };
    let cached = |text: &str| {
        let run = parse(text).runs.remove(0);
        run.requests.iter().map(|request| request.facts.cached_tokens).collect::<Vec<_>>()
    };
    assert_eq!(cached(&(request(1, 0) + &request(3, 40))), [Some(0), Some(40)]);
    assert_eq!(cached(&(request(1, 0) + &request(3, 0))), [None, None]);
    let unknown = request(1, 40) + &request(3, 0).replace("\"outputTokens\":8", "\"outputTokens\":0");
    let run = parse(&unknown).runs.remove(0);
    let counts = |r: &LogRequest| (r.prompt_tokens.get(), r.output_tokens.get(), r.facts.cached_tokens.get());
    assert_eq!(
        run.requests.iter().map(counts).collect::<Vec<_>>(),
        [(Some(50), Some(8), Some(40)), (None, None, None)]
    );
}

#[test]
fn edits_belong_to_the_request_that_is_sent_next() {
    let edit = |second, text: &str| line(second, 0, text);
    let text = edit(1, "⚠️  Context limit exceeded: 300 tokens > 200 limit")
        + &start(1, 5, "a")
        + &edit(1, "[Think Suppression] Appended /no_think for model: a")
        + &stream(1, 6)
        + &edit(2, "[Tool Allowlist] 9 → 2 tools (7 filtered)")
        + &start(2, 5, "a");
    let run = parse(&text).runs.remove(0);
    let facts: Vec<_> = run.requests.iter().map(|r| &r.facts).collect();
    assert_eq!(facts[0].truncation.as_deref().and_then(|cut| cut.limit_tokens), Some(200));
    assert_eq!(facts[0].edits, [ProxyEdit::ThinkingSuppressed]);
    assert_eq!(facts[1].edits, [ProxyEdit::ToolsFiltered { before: 9, after: 2 }]);
}

#[test]
fn a_file_of_two_processes_counts_keepalives_only_where_both_would_log_them() {
    let ended = |second: u8| start(second, 0, "a") + &stream(second, 1) + &complete(second + 2, 0, "a", 2000);
    let keepalives = |other: u8| {
        let log = parse(&(banner(other, 1, "a") + &banner(2, 2, "a") + &ended(5)));
        log.runs[1].requests[0].keepalives
    };
    assert_eq!((keepalives(1).get(), keepalives(2).get()), (None, Some(0)));
}

#[test]
fn an_error_of_a_connection_belongs_to_a_stream_that_was_open() {
    let called = line(1, 1, "[streamText] About to call streamText for local/a") + &line(1, 2, "[Context] x");
    let whole = start(1, 0, "a") + &called;
    let broken = line(4, 0, "[Write Error] Writable stream error: {}");
    let done = start(3, 0, "a") + &stream(3, 1) + &broken + &complete(6, 0, "a", 3000);
    let ends = |text: &str| {
        let run = parse(text).runs.remove(0);
        let ends = run.requests.iter().map(|r| (r.outcome, r.confidence)).collect::<Vec<_>>();
        (ends, run.unattributed_lines)
    };
    let (exact, ambiguous) = (Confidence::Exact, Confidence::Ambiguous);
    let text = banner(1, 0, "a") + &whole + &done;
    let kept = vec![(Outcome::NotStreamed, exact), (Outcome::Completed, exact)];
    assert_eq!(ends(&text), (kept, 0));
    let other = start(2, 0, "a") + &stream(2, 1);
    let either = vec![(Outcome::Failed, ambiguous), (Outcome::Completed, exact)];
    assert_eq!(ends(&(banner(1, 0, "a") + &other + &done)), (either, 0), "one of two open streams");
}

#[test]
fn ends_of_twin_starts_are_ambiguous_whatever_the_streams_say() {
    let details = |tools: u8, limit: u16| {
        format!(
            "[Request Details] local/a {{\"system\":\"s\",\"toolCount\":{tools},\"messageCount\":1,\"maxTokens\":{limit}}}"
        )
    };
    let call = |ms| line(1, ms, "[streamText] About to call streamText for local/a");
    let pipe = |ms| line(1, ms, "[Streaming] Starting stream conversion and pipe for local/a");
    let text = banner(2, 0, "a")
        + &start(1, 0, "a")
        + &line(1, 0, &details(0, 512))
        + &start(1, 0, "a")
        + &line(1, 0, &details(17, 32_000))
        + &start(1, 2, "a")
        + &line(1, 2, &details(0, 1))
        + &call(12)
        + &call(40)
        + &pipe(41)
        + &call(42)
        + &pipe(43)
        + &line(1, 500, "[Timing] First token received at 500ms")
        + &complete(1, 900, "a", 900)
        + &line(10, 0, "[Timing] First token received at 9000ms")
        + &complete(31, 0, "a", 30_000);
    let run = parse(&text).runs.remove(0);
    let confidence: Vec<_> = run.requests.iter().map(|request| request.confidence).collect();
    assert_eq!(confidence[..2], [Confidence::Ambiguous; 2]);
    assert_eq!(run.requests[2].outcome, Outcome::NotStreamed);
}

/// In one piece, a log is passed over in places where it is read line by line in small ones.
#[test]
fn what_a_line_announces_is_not_passed_over() {
    let announcing = [
        "[streamText] About to call streamText for local/a",
        "[Stream Conversion] Received chunk 6 of type: finish-step",
        "[Timing] First token received at 900ms",
        "Error for local/a: {",
        "[NodeWritable] Chunk #1 of type: message_start (10 bytes, total: 10 bytes)",
        "[Stream Conversion] Received chunk 4 of type: reasoning-start",
    ];
    let announced = [
        r#"[Stream Conversion] Raw chunk: {"type":"finish-step","usage":{"inputTokens":9,"cachedInputTokens":4}}"#,
        r#"[Stream Conversion] Raw stream chunk: {"type":"finish-step","response":{"modelId":"real"},"usage":{"cachedInputTokens":4}}"#,
        "[Keepalive] Cleared (stream started after 3 keepalives)",
        "[Stream Conversion] Received chunk 5 of type: text-delta",
        "[Stream Conversion] Received chunk 5 of type: text-start",
        r#"[Stream Chunk] {"type":"message_stop"}"#,
        "[NodeWritable] Write callback",
    ];
    for level in [1, 2] {
        for first in announcing {
            for then in announced {
                let text = banner(level, 0, "a")
                    + &start(1, 0, "a")
                    + &stream(1, 1)
                    + &line(1, 3, "[Stream Conversion] Received chunk 1 of type: start")
                    + &line(1, 5, first)
                    + &line(1, 6, then)
                    + "  \"text\"\n";
                for text in [text.clone(), text + &complete(1, 900, "a", 900)] {
                    let mut whole = LogParser::new();
                    whole.feed(text.as_bytes());
                    assert_eq!(whole.finish(), parse(&text), "{first}\n{then}");
                }
            }
        }
    }
    // A request that was passed on is one that was sent, whatever comes between.
    let sent = banner(2, 0, "a")
        + &line(1, 0, "[Cleanup] x")
        + &start(1, 0, "a")
        + &line(1, 1, announcing[0])
        + &line(1, 2, announced[3]);
    let mut whole = LogParser::new();
    whole.feed(sent.as_bytes());
    assert_eq!(whole.finish().runs[0].requests[0].outcome, Outcome::NotStreamed);
}
