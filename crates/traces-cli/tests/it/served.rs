//! A recording with the log of the server that ran its model.
#![cfg(unix)]

use serde_json::Value;

use crate::common::{Folder, traces};

/// The recording and the log: see `testdata/corpus_served.py`.
const WITH_LOG: &str = "--root testdata/served/.anyclaude --server-log testdata/served/server.log";

#[track_caller]
fn golden(name: &str, verb: &str) {
    let ran = traces(&format!("{verb} {WITH_LOG}"));
    let text =
        format!("$ traces {verb} …\nexit code {}\n\n{}\n── stderr ──\n{}", ran.code, ran.stdout, ran.stderr);
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn what_the_server_logged_is_shown() {
    golden("served-timing", "timing");
    golden("served-explain", "explain");
    golden("served-timing-json", "timing --last 2 --format json");
}

fn timing(line: &str) -> Value {
    traces(line).ends_with(0).json()
}

/// The figures of the corpus: what the script wrote into the log is what is said.
#[test]
fn times_are_those_of_the_server() {
    let found = timing(&format!("timing --format json {WITH_LOG}"));
    let log = &found["server_logs"][0];
    assert_eq!((&log["requests"], &log["joined"], &log["ambiguous"]), (&9.into(), &8.into(), &0.into()));
    assert_eq!((&log["format"], &log["loads"][0]["load_ms"]), (&"llama_server".into(), &30_000.into()));
    let other = &found["unmatched_log_requests"];
    assert_eq!(other.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&other[0]["prompt_tokens"], &other[0]["read_ms"], &other[0]["output_tokens"]),
        (&311.into(), &300.into(), &17.into())
    );
    assert_eq!(other[0]["model"], "qwen/qwen3-30b-a3b", "as the proxy calls it, not by its file");
    assert_eq!(other[0]["start"].as_str().map(|start| &start[..10]), Some("2025-12-08"));
    for request in found["requests"].as_array().unwrap() {
        let timing = &request["timing"];
        assert_eq!(
            (&timing["cached_source"], &timing["prompt_tokens_source"]),
            (&"server_log".into(), &"server_log".into())
        );
        let ms = |name: &str| timing[name].as_u64().unwrap();
        let parts =
            ["proxy_ms", "load_ms", "queue_ms", "read_ms", "write_ms", "stall_ms", "other_ms"].map(ms);
        assert_eq!(parts.iter().sum::<u64>(), ms("wall_ms"), "{request}");
        // One token a millisecond, and 4 % more or less.
        assert!(ms("read_ms").abs_diff(ms("read_tokens")) * 20 <= ms("read_tokens") + 20, "{timing}");
    }
    let parts = |name: &str| -> Vec<u64> {
        found["requests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["timing"][name].as_u64().unwrap())
            .collect()
    };
    let loads = parts("load_ms");
    assert!((29_900..=30_000).contains(&loads[0]) && loads[1..].iter().all(|ms| *ms == 0), "{loads:?}");
    let queues = parts("queue_ms");
    assert_eq!(queues.iter().filter(|ms| **ms > 100).count(), 1, "{queues:?}");
}

/// A copy of the recording, and its server's log as `change` leaves it.
fn with_changed_log(change: impl Fn(&str) -> String) -> Folder {
    let folder = Folder::new();
    let log = std::fs::read_to_string(crate::common::repo().join("testdata/served/server.log")).unwrap();
    folder.write("server.log", change(&log));
    folder
}

/// A log without times says that a load came before a task, and not when: what the request waited
/// is that load, as nothing else was there.
#[test]
fn a_load_is_no_queue_in_a_log_without_times() {
    let without_times = |log: &str| -> String {
        log.lines().map(|line| format!("{}\n", line.split_once(" I ").unwrap().1)).collect()
    };
    let folder = with_changed_log(without_times);
    let log = folder.path().join("server.log");
    let with_log = format!("--root testdata/served/.anyclaude --server-log {}", log.display());
    let found = timing(&format!("timing --format json {with_log}"));
    let parts = |name: &str| -> Vec<u64> {
        let requests = found["requests"].as_array().unwrap();
        requests.iter().map(|one| one["timing"][name].as_u64().unwrap()).collect()
    };
    let (loads, queues) = (parts("load_ms"), parts("queue_ms"));
    assert!((29_900..=30_100).contains(&loads[0]) && loads[1..].iter().all(|ms| *ms == 0), "{loads:?}");
    assert!(queues[0] == 0 && queues.iter().filter(|ms| **ms > 100).count() == 1, "{queues:?}");
    let explained = traces(&format!("explain {with_log}")).ends_with(0).stdout;
    assert!(explained.contains("loading the model"), "{explained}");
}

/// A log that is cut while the model is loaded again still tells of the load before.
#[test]
fn a_load_without_an_end_takes_none_along() {
    let folder = with_changed_log(|log| format!("{log}9.00.000.000 I srv          init: loading model\n"));
    let log = folder.path().join("server.log");
    let line =
        format!("timing --format json --root testdata/served/.anyclaude --server-log {}", log.display());
    let found = timing(&line);
    let load = found["requests"][0]["timing"]["load_ms"].as_u64().unwrap();
    assert!((29_900..=30_000).contains(&load), "{load}");
    assert_eq!(found["server_logs"][0]["loads"].as_array().map(Vec::len), Some(2));
}

/// What a slot has is a part of what the server was given.
#[test]
fn a_context_that_slots_divide_is_advised_for_all_of_them() {
    let with = |slots: &str, unified: &str| {
        let folder = with_changed_log(|log| {
            let log = log.replace("n_slots = 1,", &format!("n_slots = {slots},"));
            let log = log.replace("kv_unified = 'false'", &format!("kv_unified = '{unified}'"));
            log.replacen("truncated = 0", "truncated = 1", 1)
        });
        let log = folder.path().join("server.log");
        let line =
            format!("explain --format json --root testdata/served/.anyclaude --server-log {}", log.display());
        let findings = traces(&line).ends_with(0).json()["findings"].clone();
        let overflow = findings.as_array().unwrap().iter().find(|one| one["kind"] == "context_overflow");
        overflow.unwrap()["advice"].as_str().unwrap().to_owned()
    };
    let enough = "131,072 tokens would have been enough, answer included.";
    let divided = with("4", "false");
    let said = format!("{enough} The server divides its context among its 4 slots: give it 524,288 in all");
    assert!(divided.contains(&said), "{divided}");
    for (slots, unified) in [("1", "false"), ("4", "true")] {
        let whole = with(slots, unified);
        assert!(whole.contains(enough) && !whole.contains("divides"), "{whole}");
    }
}

/// Every verb says the speed that the log tells, and where it is from.
#[test]
fn speeds_are_the_servers() {
    let summary = traces(&format!("summary --format json {WITH_LOG}")).ends_with(0).json();
    let speeds = &summary["groups"][0]["speeds"];
    assert_eq!((&speeds["source"], &speeds["cache"]), (&"server_log".into(), &"reuses".into()));
    let without = traces("summary --format json --root testdata/served/.anyclaude").ends_with(0).json();
    assert_eq!(without["groups"][0]["speeds"]["source"], "requests");
}

#[test]
fn what_is_no_log_of_a_server_is_refused_by_name() {
    let folder = Folder::new();
    folder.write("a.log", "Dear diary\n");
    folder.write("empty.log", "");
    for (name, said) in
        [("a.log", "no log of a server"), ("empty.log", "no log of a server"), ("gone.log", "gone.log")]
    {
        let path = folder.path().join(name);
        let ran =
            traces(&format!("timing --root testdata/served/.anyclaude --server-log {}", path.display()));
        ran.ends_with(2).says(&[name, said]);
    }
    // In a folder, what is no such log is passed over.
    let line = format!(
        "timing --format json --root testdata/served/.anyclaude --server-log {}",
        folder.path().display()
    );
    assert_eq!(timing(&line)["server_logs"], Value::Array(Vec::new()));
}
