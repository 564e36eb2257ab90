//! Starts and traces that could be paired in several ways.

use super::*;
use crate::formats::anyclaude::log::{LogParser, ParsedRequestLog};

/// Tools, messages and token limit.
type Counts = [u64; 3];

const SAME: Counts = [1, 1, 1];

fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(1_763_287_200_000 + ms).unwrap()
}

/// A debug log with requests that began so many milliseconds after it.
fn debug_log(name: &str, starts: &[(i64, Counts)]) -> LogFile<ParsedLog> {
    let line = |(ms, _): &(i64, Counts)| {
        format!("[{}] [ANYCLAUDE DEBUG] [Request Start] lmstudio/m at {}\n", at(*ms), at(*ms))
    };
    let mut parser = LogParser::new();
    parser.feed(starts.iter().map(line).collect::<String>().as_bytes());
    let mut content = parser.finish();
    for (request, (_, [tools, messages, limit])) in content.runs[0].requests.iter_mut().zip(starts) {
        (request.tool_count, request.message_count) = ((*tools).into(), (*messages).into());
        request.max_tokens = (*limit).into();
    }
    LogFile { path: name.into(), content }
}

/// A trace that was written so many milliseconds after the log's beginning.
fn trace((ms, [tools, messages, limit]): (i64, Counts)) -> Request {
    let mut request = Request::builder(format!("{ms}.json")).timestamp(at(ms)).mode("lmstudio").build();
    request.sizes.tool_count = Amount::from(tools);
    request.sizes.message_count = Amount::from(messages);
    request.max_tokens = Some(limit);
    request
}

/// When each request began by the log, and how sure that is.
fn found(requests: &[Request]) -> Vec<Option<(i64, Confidence)>> {
    let of = |request: &Request| {
        let start = request.timing.as_ref()?.start?;
        Some((start.ms_since(at(0)), request.join.as_ref()?.confidence))
    };
    requests.iter().map(of).collect()
}

fn joined(starts: &[(i64, Counts)], traces: &[(i64, Counts)]) -> Vec<Option<(i64, Confidence)>> {
    let mut requests: Vec<Request> = traces.iter().copied().map(trace).collect();
    let logs = Logs { debug: vec![debug_log("a.log", starts)], requests: Vec::new() };
    let _ = join(&mut requests.iter_mut().collect::<Vec<_>>(), logs, Vec::new());
    found(&requests)
}

fn likely(start: i64) -> Option<(i64, Confidence)> {
    Some((start, Confidence::Likely))
}

fn ambiguous(start: i64) -> Option<(i64, Confidence)> {
    Some((start, Confidence::Ambiguous))
}

#[test]
fn fewer_mismatches_outweigh_a_shorter_gap() {
    let found = joined(&[(0, [5, 3, 1])], &[(10, [9, 8, 1]), (20, [9, 3, 1])]);
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);
    assert_eq!(joined(&[(0, [5, 3, 1])], &[(20, [9, 3, 1])]), [likely(0)]);
}

#[test]
fn an_unusual_gap_with_other_counts_joins_nothing() {
    // In the order of the starts neither trace is near to its start, and none has its counts.
    let found = joined(&[(0, [1, 1, 1]), (140, [1, 2, 1])], &[(200, [1, 1, 2]), (500, [1, 1, 1])]);
    assert_eq!(found, [None, None]);
}

#[test]
fn with_another_limit_any_start_nearby_could_be_it() {
    let starts = [(0, SAME), (100, SAME)];
    assert_eq!(joined(&starts, &[(10, SAME), (110, [1, 1, 2])]), [likely(0), ambiguous(100)]);
    assert_eq!(joined(&starts, &[(10, SAME), (110, [1, 2, 1])]), [likely(0), likely(100)]);
}

#[test]
fn starts_of_one_moment_are_told_apart_by_counts_alone() {
    let other = [2, 1, 1];
    assert_eq!(joined(&[(0, SAME), (1, SAME)], &[(10, SAME), (12, SAME)]), [ambiguous(0), ambiguous(1)]);
    assert_eq!(joined(&[(0, SAME), (1, other)], &[(10, SAME), (12, other)]), [likely(0), likely(1)]);
}

#[test]
fn a_start_or_a_trace_that_is_left_over_could_belong_to_its_likes_nearby() {
    let other = [9, 1, 1];
    // Directly, …
    assert_eq!(joined(&[(0, SAME), (20, SAME)], &[(30, SAME)]), [ambiguous(20)]);
    assert_eq!(joined(&[(0, SAME)], &[(10, SAME), (25, SAME)]), [ambiguous(0), None]);
    // … but none that fits worse, …
    assert_eq!(joined(&[(0, other), (20, SAME)], &[(30, SAME)]), [likely(20)]);
    assert_eq!(joined(&[(0, SAME)], &[(10, SAME), (25, other)]), [likely(0), None]);
    // … or in a chain, each link of which may be shifted by one.
    let shifted = joined(&[(0, SAME), (100, SAME), (200, SAME)], &[(110, SAME), (210, SAME)]);
    assert_eq!(shifted, [ambiguous(100), ambiguous(200)]);
    let shifted = joined(&[(0, SAME), (100, SAME)], &[(10, SAME), (110, SAME), (210, SAME)]);
    assert_eq!(shifted, [ambiguous(0), ambiguous(100), None]);
}

#[test]
fn a_trace_that_is_named_stays_with_its_start() {
    let logs = || {
        let mut log = debug_log("a.log", &[(0, SAME), (10, SAME)]);
        log.content.runs[0].requests[1].saved_trace = Some("20.json".to_owned());
        Logs { debug: vec![log], requests: Vec::new() }
    };
    let mut requests = [trace((20, SAME)), trace((50, SAME))];
    let _ = join(&mut requests.iter_mut().collect::<Vec<_>>(), logs(), Vec::new());
    let starts: Vec<_> = found(&requests).into_iter().map(|found| found.map(|(start, _)| start)).collect();
    assert_eq!(starts, [Some(10), Some(0)]);

    // What went to Anthropic is in no debug log, whatever its name.
    let mut requests = [trace((20, SAME))];
    requests[0].mode = Some("claude".into());
    let _ = join(&mut requests.iter_mut().collect::<Vec<_>>(), logs(), Vec::new());
    assert_eq!(found(&requests), [None]);
}

#[test]
fn a_capture_is_of_the_run_with_as_many_requests() {
    let mut log = debug_log("a.log", &[(0, SAME)]);
    log.content.runs.extend(debug_log("a.log", &[(60_000, SAME), (60_500, SAME)]).content.runs);
    let mut capture = debug_log("err.txt", &[(60_000, SAME)]);
    let run = &mut capture.content.runs[0];
    run.debug_log = Some("a.log".to_owned());
    let name = |ms| format!("{}.json", at(ms).to_string().replace([':', '.'], "-"));
    run.saved_traces = vec![name(60_010), name(60_510)];
    let mut requests = [trace((60_010, SAME)), trace((60_510, SAME))];
    for (request, name) in requests.iter_mut().zip([name(60_010), name(60_510)]) {
        request.paths = crate::model::request::TracePath::new(std::path::PathBuf::from(name)).into();
    }
    let logs = Logs { debug: vec![log], requests: Vec::new() };
    let _ = join(&mut requests.iter_mut().collect::<Vec<_>>(), logs, vec![capture]);
    let exact = |start| Some((start, Confidence::Exact));
    assert_eq!(found(&requests), [exact(60_000), exact(60_500)]);
}

#[test]
fn a_request_log_alone_is_of_several_runs() {
    let entry = |minute: i64, provider: &str, model: &str| RequestLogEntry {
        timestamp: at(minute * 60_000),
        tool_count: None,
        message_count: None,
        streaming: None,
        provider: Some(provider.to_owned()),
        model: Some(model.to_owned()),
    };
    let entries = vec![
        entry(0, "lmstudio", "a"),
        entry(30, "lmstudio", "a"),
        entry(61, "lmstudio", "a"),
        entry(62, "local", "a"),
        entry(63, "local", "b"),
    ];
    let content = ParsedRequestLog { entries, bytes: 1, unreadable_lines: 0 };
    let logs = Logs { debug: Vec::new(), requests: vec![LogFile { path: "r.jsonl".into(), content }] };
    let runs = join(&mut [], logs, Vec::new()).runs;
    let runs: Vec<_> = runs.iter().map(|run| (run.started, run.requests)).collect();
    let began = |minute: i64| Some(at(minute * 60_000));
    assert_eq!(runs, [(began(0), 2), (began(61), 1), (began(62), 1), (began(63), 1)]);
}
