//! Runs every example on the test corpus.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The corpus, as seen from this package's folder, where tests run.
const TRACES: &str = "../testdata/home/.anyclaude/traces";
const CLAUDE: &str = "../testdata/home/.anyclaude/traces/claude";
const DAMAGED: &str = "../testdata/damaged";

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(example: &str, args: &[&str]) -> Ran {
    let output = Command::new(program(example)).args(args).output().unwrap();
    // Below a folder that was named with `/`, Windows goes on with `\`.
    let text = |bytes| String::from_utf8(bytes).unwrap().replace('\\', "/");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Cargo builds the examples beside the tests, but does not tell tests where.
fn program(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join(format!("{example}{}", std::env::consts::EXE_SUFFIX));
    assert!(program.is_file(), "{} is not built: run `cargo test -p traces-examples`", program.display());
    program
}

#[test]
fn largest_prompt_names_the_file_and_its_biggest_section() {
    let ran = run("largest_prompt", &[TRACES]);
    assert_eq!(
        ran.out,
        "path     ../testdata/home/.anyclaude/traces/lmstudio/2025-11-16T02-54-39-659Z.json\n\
         body     18840 bytes\n\
         biggest  tools, 10799 bytes\n"
    );
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}

#[test]
fn largest_prompt_names_every_file_that_it_could_not_read() {
    let files = std::fs::read_dir(DAMAGED).unwrap();
    let damaged =
        files.filter(|file| file.as_ref().unwrap().path().extension() == Some("json".as_ref())).count();
    let ran = run("largest_prompt", &[DAMAGED]);
    assert_eq!(
        ran.err.lines().filter(|line| line.starts_with("skipped ../testdata/damaged/")).count(),
        damaged
    );
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
}

#[test]
fn session_growth_says_what_each_request_adds_to_its_thread() {
    let ran = run("session_growth", &[CLAUDE]);
    let session = "44444444-aaaa-4bbb-8ccc-000000000004";
    assert_eq!(
        ran.out,
        format!(
            "session,thread,timestamp,message_count,body_bytes,added_bytes\n\
             {session},{session}#1,2025-11-16T01:10:00.118Z,1,5412,\n\
             {session},{session}#1,2025-11-16T01:10:04.204Z,3,5878,466\n\
             {session},{session}#1,2025-11-16T01:10:09.870Z,5,7866,1988\n\
             {session},{session}#1,2025-11-16T01:10:15.600Z,7,8261,395\n"
        )
    );
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
}

#[test]
fn budget_check_passes_what_is_within() {
    let ran = run("budget_check", &["8261", "4", CLAUDE]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "16 requests checked\n"));
}

#[test]
fn budget_check_names_what_is_not() {
    let ran = run("budget_check", &["8000", "4", CLAUDE]);
    assert_eq!(
        ran.out,
        "../testdata/home/.anyclaude/traces/claude/2025-11-16T01-10-15-600Z.json: 8261 bytes, 8000 allowed\n\
         16 requests checked\n"
    );
    assert_eq!(ran.code, Some(1));

    let ran = run("budget_check", &["8000", "3", CLAUDE]);
    assert!(ran.out.contains("/2025-11-16T01-10-02-535Z.json: 4 tools, 3 allowed\n"), "{}", ran.out);
    assert_eq!(ran.code, Some(1));
}

#[test]
fn budget_check_does_not_pass_what_it_did_not_see() {
    assert_eq!(run("budget_check", &["8000", "3", DAMAGED]).code, Some(2));
    assert_eq!(run("budget_check", &["8000", "3"]).code, Some(2));
    assert_eq!(run("budget_check", &["much", "3", CLAUDE]).code, Some(2));
}

#[test]
fn timeline_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("timeline.json");
    let args = ["../testdata/home/.anyclaude", file.to_str().unwrap()];
    let ran = run("timeline", &args);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "63 requests, 0 without a time\n"), "{}", ran.err);
    let timeline: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert!(timeline["traceEvents"].as_array().unwrap().len() > 63);
    assert_eq!(run("timeline", &args).code, Some(1), "it exists");
}
