//! What can be named as INPUT besides a trace and a folder of traces.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::common::{Folder, body, trace, traces};

const RECORDERS: &str = "testdata/recorders";

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn piped(folder: &Folder, line: &str, input: &[u8]) -> (Option<i32>, String, String) {
    let mut command = assert_cmd::Command::cargo_bin("traces").unwrap();
    let ran = command.current_dir(folder.path()).args(line.split(' ')).write_stdin(input).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (ran.status.code(), text(&ran.stdout), text(&ran.stderr))
}

fn one(stdout: &str) -> Value {
    let rows: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 1, "{stdout}");
    rows.into_iter().next().unwrap()
}

#[test]
fn the_standard_input_is_a_trace_a_body_or_another_recording_compressed_or_not() {
    let folder = Folder::new();
    let body = body("Hello");
    let whole = trace("2025-11-16T03:20:00.000Z", &body).to_string();
    for input in [whole.clone().into_bytes(), gzip(whole.as_bytes())] {
        let (code, stdout, stderr) = piped(&folder, "list - --format ndjson", &input);
        assert_eq!(code, Some(0), "{stderr}");
        let row = one(&stdout);
        assert_eq!((row["path"].as_str(), row["source"].as_str()), (Some("-"), Some("anyclaude")));
        assert_eq!(row["file_bytes"], input.len());
        assert_eq!(row["body_bytes"], body.to_string().len());
    }
    let (code, stdout, stderr) = piped(&folder, "show - --format json", body.to_string().as_bytes());
    assert_eq!(code, Some(0), "{stderr}");
    let shown: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((shown["source"].as_str(), shown["timestamp"].is_null()), (Some("body"), true));
    let (code, _, stderr) = piped(&folder, "list -", b"");
    assert_eq!(code, Some(2));
    assert!(stderr.contains("empty"), "{stderr}");
}

#[test]
fn compressed_files_are_found_and_read_and_bombs_left() {
    let folder = Folder::new();
    let text = trace("2025-11-16T03:20:00.000Z", &body("Hello")).to_string();
    folder.write("a.json", &text);
    folder.write("b.json.gz", gzip(text.as_bytes()));
    folder.write("cut.json.gz", &gzip(text.as_bytes())[..60]);
    folder.write("bomb.json.gz", gzip(&vec![b' '; 4 << 20]));
    folder.write("notes.log", "a line of no recording\n");
    folder.write("notes.jsonl", "{\"a\":1}\n{\"b\":2}\n");
    let ran = folder.traces("list . --format json --max-file-size 1000000").ends_with(3);
    let found = ran.json();
    assert_eq!(found["requests"].as_array().unwrap().len(), 2);
    let reasons: Vec<&str> =
        found["skipped"].as_array().unwrap().iter().map(|one| one["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["too_large", "truncated"], "logs that are none are passed over");
    folder.traces("list notes.log").ends_with(2);
    folder.traces("list notes.jsonl").ends_with(2);
}

#[test]
fn a_request_of_many_in_a_file_is_found_again_by_its_id() {
    let rows = traces(&format!("list {RECORDERS}/claude-tap.jsonl --format ndjson")).ends_with(0).ndjson();
    assert!(rows.len() > 1);
    let folder = Folder::new();
    let text = std::fs::read(crate::common::repo().join(RECORDERS).join("claude-tap.jsonl")).unwrap();
    folder.write("root/traces/claude-tap.jsonl", text);
    for row in rows {
        let id = row["id"].as_str().unwrap();
        let shown = folder.traces(&format!("show {id} --root root --format json")).ends_with(0).json();
        assert_eq!(shown["id"], row["id"], "the same wherever the file lies");
        assert_eq!(shown["message_count"], row["message_count"]);
        assert_eq!(
            shown["messages"].as_array().unwrap().len() as u64,
            row["message_count"].as_u64().unwrap()
        );
    }
    folder.traces("show 0123456789 --root root").ends_with(2).says(&["0123456789"]);
}
