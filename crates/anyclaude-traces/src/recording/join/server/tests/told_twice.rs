//! The file and the stream that LM Studio writes of the same requests.

use super::*;
use crate::formats::backend::LmStudioParser;

/// A request: its second, its model, and how long it took.
type Told = (u32, &'static str, u32);

const TOLD: [Told; 3] = [(0, "small", 3), (4, "large", 9), (20, "small", 2)];

/// The messages of a server's log, each with its second.
fn messages(requests: &[Told]) -> Vec<(u32, String)> {
    let of_one = |&(second, model, took): &Told| {
        let body = format!("{{\n  \"model\": \"{model}\",\n  \"stream\": true\n}}");
        let load = format!("Requested model ({model}) is not loaded. Loading \"{model}\" now...");
        [
            (second, format!("[DEBUG] Received request: POST to /v1/messages with body {body}")),
            (second, format!("[INFO][JIT] {load}")),
            (second + 1, format!("[INFO][{model}] Running chat completion on conversation with 2 messages.")),
            (second + took, format!("[INFO][{model}] Finished streaming response")),
        ]
    };
    requests.iter().flat_map(of_one).collect()
}

fn headed((second, text): &(u32, String)) -> String {
    format!("[2026-06-24 13:{:02}:{:02}]{text}", second / 60, second % 60)
}

fn parsed(name: &str, text: &str) -> LogFile<BackendLog> {
    let mut parser = LmStudioParser::new();
    parser.feed(text.as_bytes());
    LogFile { path: name.into(), content: parser.finish() }
}

fn file(requests: &[Told]) -> LogFile<BackendLog> {
    let lines: String = messages(requests).iter().map(|message| headed(message) + "\n").collect();
    parsed("file.log", &lines)
}

/// The stream of a server whose zone is two hours ahead of UTC, written a little after each head.
fn stream(requests: &[Told]) -> LogFile<BackendLog> {
    let noon_ms = "2026-06-24T11:00:00Z".parse::<Timestamp>().unwrap().unix_ms();
    let event = |message: &(u32, String)| {
        let timestamp = noon_ms + 1_000 * i64::from(message.0) + 970;
        let data = serde_json::json!({"type": "server.log", "content": headed(message), "level": "info"});
        format!("{{\"timestamp\":{timestamp},\"data\":{data}}}\n")
    };
    parsed("stream.jsonl", &messages(requests).iter().map(event).collect::<String>())
}

/// Of each log: its own requests, those that another has too, and its loads; and how many requests
/// there are in all.
fn counted(logs: &[LogFile<BackendLog>]) -> (Vec<(u64, u64, usize)>, usize) {
    let (servers, unmatched) = joined(&mut [], logs);
    let of = |log: &ServerLog| {
        let repeats = log.repeats.as_ref().map_or(0, |repeats| repeats.requests);
        (log.requests, repeats, log.loads.len())
    };
    (servers.iter().map(of).collect(), unmatched.len())
}

#[test]
fn what_file_and_stream_both_tell_counts_once() {
    assert_eq!(counted(&[file(&TOLD)]), (vec![(3, 0, 3)], 3));
    for logs in [[file(&TOLD), stream(&TOLD)], [stream(&TOLD), file(&TOLD)]] {
        let (servers, unmatched) = joined(&mut [], &logs);
        let dropped = servers.iter().find(|log| &*log.log == "file.log").unwrap();
        let repeats = dropped.repeats.as_ref().unwrap();
        assert_eq!((dropped.requests, &*repeats.log, repeats.requests), (0, "stream.jsonl", 3));
        assert_eq!(servers.iter().map(|log| log.loads.len()).sum::<usize>(), 3);
        assert_eq!(unmatched.len(), 3);
        assert!(unmatched.iter().all(|one| one.log.as_deref() == Some("stream.jsonl")));
    }
}

#[test]
fn what_only_one_of_them_tells_stays() {
    let (servers, all) = counted(&[file(&TOLD), stream(&TOLD[1..])]);
    assert_eq!((servers, all), (vec![(1, 2, 1), (2, 0, 2)], 3));
    let (servers, all) = counted(&[file(&TOLD[..2]), stream(&TOLD)]);
    assert_eq!((servers, all), (vec![(0, 2, 0), (3, 0, 3)], 3));
}

#[test]
fn the_logs_of_two_servers_both_stay() {
    // One second later, another model, another length: none of these is the same request.
    for other in [(1, "small", 3), (0, "large", 3), (0, "small", 8)] {
        let other = [other, (14, "small", 5), (33, "large", 1)];
        assert_eq!(counted(&[file(&TOLD), stream(&other)]).1, 6, "{other:?}");
    }
    // One that happens to be the same is no sign.
    let other = [TOLD[0], (6, "small", 5), (13, "large", 1), (21, "large", 7)];
    assert_eq!(counted(&[file(&TOLD), stream(&other)]).1, 7);
    // Nor are two files of the same told once: a copy is named by whoever wants it.
    assert_eq!(counted(&[file(&TOLD), file(&TOLD)]).1, 6);
}
