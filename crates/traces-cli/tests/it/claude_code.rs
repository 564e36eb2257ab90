//! What Claude Code records of itself, read without a proxy's traces or logs.
//! Paths are recorded as Unix writes them.
#![cfg(unix)]

use std::fs;

use serde_json::Value;

use crate::common::{Folder, repo, traces};

const RECORDINGS: &str = "testdata/claude-code";

/// Compares a run with the snapshot of this name.
#[track_caller]
fn golden(name: &str, line: &str) {
    let ran = traces(line);
    let text = format!(
        "$ traces {line}\nexit code {}\n\n── stdout ──\n{}\n── stderr ──\n{}",
        ran.code, ran.stdout, ran.stderr
    );
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn every_verb_reads_a_recording() {
    let (models, troubles) = (format!("{RECORDINGS}/two-models"), format!("{RECORDINGS}/troubles"));
    golden("claude-code-summary", &format!("summary {models}"));
    golden("claude-code-list", &format!("list {troubles}"));
    golden("claude-code-list-ndjson", &format!("list {troubles} --format ndjson --last 2"));
    golden("claude-code-timing", &format!("timing {models}"));
    golden("claude-code-timing-troubles", &format!("timing {troubles}"));
    golden("claude-code-prefix", &format!("prefix {models}"));
    golden("claude-code-explain", &format!("explain model:heron-4b model:heron-32b --root {models}"));
    golden("claude-code-diff", &format!("diff --root {models}"));
}

#[test]
fn a_part_of_a_recording_tells_what_it_has() {
    let models = format!("{RECORDINGS}/two-models");
    golden("claude-code-logs-alone", &format!("list {models}/logs.jsonl"));
    golden("claude-code-spans-alone", &format!("list {models}/traces.jsonl"));
    golden("claude-code-bodies", &format!("list {models}/bodies"));
}

/// The facts of each request that do not depend on its body, in order of time.
fn times(line: &str) -> Vec<Value> {
    let rows = traces(&format!("list {line} --format ndjson")).ends_with(0).ndjson();
    let of = |row: &Value| {
        let timing = &row["timing"];
        let members =
            ["start", "ttft_ms", "total_ms", "prompt_tokens", "output_tokens", "cached_tokens", "outcome"];
        members.iter().map(|member| timing[member].clone()).chain([row["session"].clone()]).collect()
    };
    rows.iter().map(of).collect()
}

/// Times stand in the logs; spans add first tokens, which 2.1.332 logs itself.
#[test]
fn bodies_make_no_difference_to_times() {
    let models = format!("{RECORDINGS}/two-models");
    let folder = Folder::new();
    for name in ["logs.jsonl", "traces.jsonl"] {
        fs::copy(repo().join(&models).join(name), folder.path().join(name)).unwrap();
    }
    let whole = times(&models);
    assert_eq!(whole.len(), 7);
    assert_eq!(times(&folder.path().display().to_string()), whole);
}

/// Who records no bodies gets times, and is told that of the prompts nothing is known.
#[test]
fn without_bodies_every_verb_tells_what_it_has() {
    let folder = Folder::new();
    let logs = fs::read(repo().join(RECORDINGS).join("two-models/logs.jsonl")).unwrap();
    folder.write("rec/logs.jsonl", logs);
    let traces = |line: &str| folder.traces(line);
    let shown = traces("show rec --format json").ends_with(0).json();
    assert!(shown["timing"]["total_ms"].is_u64() && shown["body_bytes"].is_null(), "{shown}");
    let page = traces("show rec").ends_with(0).stdout;
    assert!(page.contains("not recorded"), "{page}");
    let diff = "diff model:heron-4b model:heron-32b --root rec";
    let found = traces(&format!("{diff} --text --format json")).ends_with(0).json();
    for member in ["tools", "system", "messages"] {
        assert!(found[member].is_null(), "{member}: {found}");
    }
    assert!(found["measures"].as_array().unwrap().iter().any(|one| one["ratio"].is_f64()), "{found}");
    assert!(traces(diff).ends_with(0).stdout.contains("not recorded"));
    traces(&format!("{diff} --exit-code")).ends_with(2).says(&["--exit-code", "not recorded"]);
    traces("report rec --include-text --format json -o -").ends_with(0);
    traces("prefix rec --text").ends_with(0);
    let replayed = traces("replay rec --url http://127.0.0.1:9").ends_with(2);
    replayed.says(&["logs.jsonl", "not recorded"]);
}

/// All in one folder, and named twice.
#[test]
fn a_recording_may_be_moved() {
    let source = repo().join(RECORDINGS).join("older");
    let folder = Folder::new();
    for inner in ["", "bodies", "transcripts"] {
        let files = fs::read_dir(source.join(inner)).unwrap().flatten();
        for file in files.filter(|file| file.path().is_file()) {
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
    }
    let moved = folder.path().display();
    assert_eq!(times(&format!("{moved} {moved}/logs.jsonl")), times(&format!("{RECORDINGS}/older")));
}

#[test]
fn a_body_alone_has_its_sizes() {
    let recording = format!("{RECORDINGS}/older/bodies");
    let body = fs::read_dir(repo().join(&recording)).unwrap().flatten().map(|entry| entry.file_name());
    let body = body.into_iter().find(|name| name.to_string_lossy().ends_with(".request.json")).unwrap();
    // Beside its recording, it would have the times that tells.
    let folder = Folder::new();
    fs::copy(repo().join(&recording).join(&body), folder.path().join(&body)).unwrap();
    let line = format!("list {} --format ndjson", body.to_string_lossy());
    let [row] = &folder.traces(&line).ends_with(0).ndjson()[..] else { panic!() };
    assert_eq!((&row["source"], &row["timestamp_source"]), (&"claude_code".into(), &"mtime".into()));
    let text = fs::read_to_string(repo().join(&recording).join(&body)).unwrap();
    let mut sent: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    sent.remove("betas").unwrap();
    // Members are in another order, of the same size.
    assert_eq!(row["body_bytes"], serde_json::to_string(&sent).unwrap().len());
    assert_eq!(row["tool_count"], sent["tools"].as_array().unwrap().len());
}

/// Recordings hold settings and notes of those who made them.
#[test]
fn other_json_beside_a_recording_is_passed_quietly() {
    let folder = Folder::new();
    let names = ["bodies", "logs.jsonl", "traces.jsonl"];
    for name in names {
        let from = repo().join("testdata/claude-code/two-models").join(name);
        let to = folder.path().join("rec").join(name);
        if from.is_dir() {
            fs::create_dir_all(&to).unwrap();
            for file in fs::read_dir(from).unwrap().flatten() {
                fs::copy(file.path(), to.join(file.file_name())).unwrap();
            }
        } else {
            fs::copy(from, to).unwrap();
        }
    }
    folder.write("rec/setup.json", r#"{"client":"2.1.332","notes":["x"]}"#);
    folder.write("rec/list.json", "[1,2]");
    folder.traces("list rec").ends_with(0);
    // What is named is said, and so is what is damaged, or stands among anyclaude's traces.
    folder.traces("list rec rec/setup.json").ends_with(3).says(&["setup.json"]);
    folder.write("rec/cut.json", r#"{"client":"2.1"#);
    folder.traces("list rec").ends_with(3).says(&["cut.json"]);
    fs::remove_file(folder.path().join("rec/cut.json")).unwrap();
    folder.write(
        "traces/a.json",
        crate::common::trace("2025-11-16T03:20:00.000Z", &crate::common::body("Hello")).to_string(),
    );
    folder.write("traces/setup.json", "{}");
    folder.traces("list traces").ends_with(3).says(&["setup.json"]);
    folder.traces("list .").ends_with(3).says(&["traces/setup.json"]);
}

#[test]
fn transcripts_alone_are_named() {
    let folder = Folder::new();
    for name in ["a", "b"] {
        folder.write(
            format!("projects/x/{name}.jsonl"),
            "{\"type\":\"user\",\"sessionId\":\"s\",\"message\":{}}\n",
        );
    }
    folder.traces("list projects").ends_with(2).says(&["projects/x/a.jsonl", "transcript", "1 more"]);
}

#[test]
fn files_that_tell_of_no_request_are_refused_by_name() {
    let folder = Folder::new();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("metrics.jsonl", "{\"resourceMetrics\":[]}\n");
    write("session.jsonl", "{\"type\":\"user\",\"sessionId\":\"s\",\"message\":{}}\n");
    write("index.jsonl", "{\"request_file\":\"a\",\"response_file\":\"b\"}\n");
    for (name, word) in [("metrics", "metrics"), ("session", "transcript"), ("index", "folder")] {
        let file = folder.path().join(format!("{name}.jsonl"));
        traces(&format!("list {}", file.display())).ends_with(2).says(&[name, word]);
    }
}
