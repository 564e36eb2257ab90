//! A recording that goes on, through the program.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::common::{Folder, HOME, program, traces};

const TRACE: &str = r#"{"timestamp": "2025-11-16T08:00:00.000Z", "mode": "lmstudio", "request": {"url": "/v1/messages",
    "body": {"stream": true, "max_tokens": 32000, "tools": [{"name": "Bash"}],
    "messages": [{"role": "user", "content": "Hello"}]}}}"#;

fn append(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn line(at: &str, text: &str) -> String {
    format!("[2025-11-16T08:{at}Z] [ANYCLAUDE DEBUG] {text}\n")
}

/// A clone has files of just now: what has no end in them would still be waited for.
fn an_hour_ago(folder: &Path) {
    let at = std::time::SystemTime::now() - Duration::from_secs(3600);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            an_hour_ago(&path);
        } else {
            OpenOptions::new().append(true).open(path).unwrap().set_modified(at).unwrap();
        }
    }
}

#[test]
fn what_was_recorded_is_told_once_and_in_order() {
    an_hour_ago(&Path::new("../..").join(HOME));
    let events = traces(&format!("watch --root {HOME} --once --format ndjson")).ends_with(0).ndjson();
    let named = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert!(named("request") > 50 && named("finding") > 2, "{} requests", named("request"));
    assert_eq!(named("keepalive") + named("first_token"), 0, "all of them had ended");
    let mut ended = Vec::new();
    for event in events.iter().filter(|event| event["event"] == "completed") {
        assert!(event["timing"].is_object() && !ended.contains(&&event["id"]), "{event}");
        ended.push(&event["id"]);
    }
    let at = |event: &Value| event["at"].as_str().unwrap().to_owned();
    assert!(events.is_sorted_by_key(at));
    assert!(events.iter().all(|event| event["schema_version"] == 1));
}

/// The same figures as elsewhere.
#[test]
fn a_request_that_ended_is_the_one_that_list_prints() {
    let listed =
        traces(&format!("list --root {HOME} --format ndjson --kind conversation")).ends_with(0).ndjson();
    let events = traces(&format!("watch --root {HOME} --once --format ndjson --kind conversation")).ndjson();
    let mut compared = 0;
    for event in events.iter().filter(|event| event["event"] == "completed") {
        let row = listed.iter().find(|row| row["id"] == event["id"]).expect("list has it");
        let (timing, expected) = (&event["timing"], &row["timing"]);
        for member in ["ttft_ms", "total_ms", "proxy_ms", "read_ms", "write_ms", "prompt_tokens", "outcome"] {
            assert_eq!(timing[member], expected[member], "{member} of {}", event["id"]);
        }
        compared += 1;
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn lines_and_picture_hold_no_control_characters() {
    let folder = Folder::new();
    let hostile = TRACE.replace("Bash", "\\u001b[31mred\\u202e");
    append(folder.path(), "traces/lmstudio/2025-11-16T08-00-00-000Z.json", &hostile);
    let log =
        line("00:00.005", "[Request Start] lmstudio/evil\u{1b}]0;title\u{7} at 2025-11-16T08:00:00.005Z");
    append(folder.path(), "logs/debug-session-2025-11-16T07-59-00.log", &log);
    append(folder.path(), "traces/bad\u{1b}[2J.json", "nonsense");
    for how in ["--plain", "", "--format ndjson"] {
        let ran = folder.traces(&format!("watch --root . --once {how}")).ends_with(3);
        assert!(!ran.stdout.is_empty(), "{how}");
        assert!(!ran.stdout.chars().any(|c| c.is_control() && c != '\n'), "{how}: {:?}", ran.stdout);
        assert!(how == "--format ndjson" || !ran.stdout.contains('\u{202e}'), "{how}: {:?}", ran.stdout);
    }
}

#[test]
fn the_picture_fits_and_names_what_is_there() {
    an_hour_ago(&Path::new("../..").join(HOME));
    let ran = traces(&format!("watch --root {HOME} --once")).ends_with(0);
    for words in ["No request is running", "LAST", "WHAT COSTS TIME"] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
    assert!(ran.stdout.lines().count() < 24 && !ran.stdout.contains("q end"), "{}", ran.stdout);
    assert!(ran.stdout.lines().all(|line| crate::common::width(line) <= 80), "{}", ran.stdout);
    let folder = Folder::new();
    folder.traces("watch --once --root nowhere").ends_with(2).says(&["nowhere"]);
    append(folder.path(), "traces/lmstudio/2025-11-16T08-00-00-000Z.json", TRACE);
    let few = folder.traces("watch --root . --once").ends_with(0).stdout;
    assert!(few.lines().count() < 10 && !few.contains("\n\n\n") && few.contains("1 request in"), "{few}");
}

/// The exit code is that of other verbs.
#[test]
fn one_look_that_sees_nothing_ends_with_an_error() {
    let folder = Folder::new();
    for how in ["", "--plain", "--format ndjson"] {
        let once = |more: &str| folder.traces(&format!("watch --root . --once {how} {more}")).ends_with(2);
        fs::create_dir_all(folder.path().join("traces")).unwrap();
        let nothing = once("").says(&["nothing is recorded yet below .", "traces help recording"]);
        assert_eq!(nothing.stdout, "");
        append(folder.path(), "traces/bad.json", "{\"timestamp\": 2025,, }");
        once("").says(&["none of these files could be read as a trace"]);
        append(folder.path(), "traces/lmstudio/2025-11-16T08-00-00-000Z.json", TRACE);
        once("--kind probe").says(&["no request below . passes the filters", "traces list"]);
        fs::remove_dir_all(folder.path().join("traces")).unwrap();
    }
}

/// What ends says what it could not read, as every verb does.
#[test]
fn files_that_cannot_be_read_are_named_beside_the_others() {
    let folder = Folder::new();
    append(folder.path(), "traces/lmstudio/2025-11-16T08-00-00-000Z.json", TRACE);
    append(folder.path(), "traces/lmstudio/broken.json", "{\"timestamp\": 2025,, }");
    folder.traces("watch --root . --once").ends_with(3).says(&["skipped 1 file", "broken.json"]);
    for lines in ["--plain", "--format ndjson"] {
        let ran = folder.traces(&format!("watch --root . --once {lines}")).ends_with(3);
        assert!(ran.stdout.contains("broken.json") && ran.stderr.is_empty(), "{}{}", ran.stdout, ran.stderr);
    }
}

/// A writer that takes its time, and a reader of lines.
#[test]
fn events_are_printed_as_they_happen() {
    let folder = Folder::new();
    let mut watching = program(folder.path())
        .args(["watch", "--root", ".", "--format", "ndjson"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    // What is there at the first look is taken for a copy, as its stamps are old.
    append(folder.path(), "traces/nothing.json", "nonsense");
    assert_eq!(next()["event"], "skipped");
    let log = "logs/debug-session-2025-11-16T07-59-00.log";
    append(folder.path(), "traces/lmstudio/2025-11-16T08-00-00-000Z.json", TRACE);
    let started = line("00:00.005", "[Request Start] lmstudio/qwen3 at 2025-11-16T08:00:00.005Z")
        + &line("00:00.006", "[Streaming] Starting stream conversion and pipe for lmstudio/qwen3");
    append(folder.path(), log, &started);
    let request = next();
    assert_eq!(request["event"], "request");
    append(folder.path(), log, &line("00:10.010", "[Keepalive] Sent keepalive #1 (waiting for LMStudio)"));
    let keepalive = next();
    assert_eq!((&keepalive["event"], &keepalive["n"]), (&"keepalive".into(), &1.into()));
    assert_eq!((&keepalive["id"], &keepalive["waiting_ms"]), (&request["id"], &10_000.into()));
    append(folder.path(), log, &line("00:15.005", "[Timing] First token received at 15000ms"));
    assert_eq!(next()["ttft_ms"], 15_000);
    let end = "[Request Complete] lmstudio/qwen3: 31000ms (90 chunks, 9000 bytes) | ⚡ 12.0 tok/s";
    append(folder.path(), log, &line("00:31.005", end));
    let completed = next();
    assert_eq!(
        (&completed["event"], &completed["timing"]["total_ms"]),
        (&"completed".into(), &31_000.into())
    );
    watching.kill().unwrap();
    watching.wait().unwrap();
}
