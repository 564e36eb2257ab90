//! Whole logs, line by line.

use super::*;
use crate::formats::anyclaude::log::LogRun;
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
    run.requests.iter().map(|request| request.total_ms).collect()
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
            (request.outcome, request.ttft_ms, request.keepalives),
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
        .map(|request| (request.outcome, request.keepalives, request.confidence))
        .collect();
    assert_eq!(
        ends,
        [(Outcome::Failed, Some(0), Confidence::Exact), (Outcome::TimedOut, Some(1), Confidence::Exact)]
    );
}
