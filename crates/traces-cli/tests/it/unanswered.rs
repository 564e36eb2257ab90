//! Requests of a server's log that were refused or given up: nobody waited for their answer.

use serde_json::json;

use crate::common::{Folder, repo};

/// The requests of the log, and as many behind them that do not fit into the context.
fn with_refused(refused: usize) -> String {
    let log = std::fs::read_to_string(repo().join("testdata/server-logs/llama-server.log")).unwrap();
    let refuse = |task: usize| {
        format!(
            "9.00.{task}.500 I slot launch_slot_: id  0 | task {task} | processing task, is_child = 0\n\
             9.00.{task}.600 E srv    send_error: task id = {task}, error: request (9500 tokens) exceeds the available \
             context size (8192 tokens), try increasing it\n\
             9.00.{task}.700 I slot      release: id  0 | task {task} | stop processing: n_tokens = 0, truncated = 0\n"
        )
    };
    log + &(900..900 + refused).map(refuse).collect::<String>()
}

#[test]
fn the_wait_of_the_summary_is_that_of_answered_requests() {
    let folder = Folder::new();
    folder.write("a.log", with_refused(5));
    let page = folder.traces("--server-log a.log").ends_with(0).stdout;
    let row: Vec<&str> =
        page.lines().find(|line| line.starts_with("fern-1b  ")).unwrap().split("  ").collect();
    let row: Vec<&str> = row.iter().map(|cell| cell.trim()).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(row[..3], ["fern-1b", "8", "2.0 s"], "{page}");
    assert!(page.contains("Medians, WAIT of answered requests; WHERE"), "{page}");
    let found = folder.traces("--server-log a.log --format json").ends_with(0).json();
    let group = &found["groups"][0];
    let spread = |name: &str| [&group[name]["n"], &group[name]["p50"]].map(Clone::clone);
    assert_eq!(spread("answered_wall_ms"), [json!(3), json!(2_000)]);
    assert_eq!(spread("wall_ms"), [json!(8), json!(0)], "a measure is of all requests of which it is known");
    folder.write("b.log", with_refused(0));
    let page = folder.traces("--server-log b.log").ends_with(0).stdout;
    assert!(page.contains("Medians; WHERE"), "{page}");
}

#[test]
fn nothing_is_missing_of_what_never_ran() {
    let line = |second: u32, text: &str| format!("[2025-11-17 09:30:{second:02}]{text}\n");
    let asked = |second| {
        line(second, "[DEBUG] Received request: POST to /v1/chat/completions with body [Sensitive]")
            + &line(second, "[INFO][m] Running chat completion on conversation with 2 messages.")
    };
    let refused = |second| {
        asked(second)
            + &line(
                second,
                "[ERROR][m] The number of tokens to keep from the initial prompt is greater than the context length. \
                 Try to load the model with a larger context length, or provide a shorter input",
            )
    };
    let answered = asked(30)
        + &line(30, "[INFO][m] Streaming response...")
        + &line(34, "[INFO][m] Finished streaming response");
    let folder = Folder::new();
    folder.write("refused.log", refused(10) + &refused(20));
    folder.write("both.log", refused(10) + &refused(20) + &answered);
    let said = |log: &str| folder.traces(&format!("timing --tz UTC --server-log {log}")).ends_with(0).stdout;
    let refused = said("refused.log");
    assert!(refused.contains("failed") && !refused.contains("verbose logging"), "{refused}");
    let both = said("both.log");
    assert!(both.contains("Missing: 1 request without the engine's lines"), "{both}");
}
