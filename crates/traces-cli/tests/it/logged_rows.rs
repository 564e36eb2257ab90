//! The rows of `timing` for requests that only a log has: they obey what is asked of rows.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::common::{Folder, Ran};

/// Runs `timing` on a server's log, in a home without recordings.
fn timing(log: &str, options: &str) -> Ran {
    let log = crate::common::repo().join("testdata/server-logs").join(log);
    Folder::new().traces(&format!("timing --tz UTC {options} --server-log {}", log.display())).ends_with(0)
}

const TASKS: &str = "llama-server.log";
/// Four requests, and a task that none of these lines is of.
const REQUESTS_AND_TASK: &str = "lm-studio-stream.ndjson";

/// The lines of a page that hold the name of the model, up to the first line that holds `end`.
fn rows<'p>(page: &'p str, model: &str, end: &str) -> Vec<&'p str> {
    page.lines().take_while(|line| !line.contains(end)).filter(|line| line.contains(model)).collect()
}

fn csv(ran: &Ran) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(ran.stdout.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn they_are_sorted_and_cut() {
    // They read 2,000, 70 and 160 tokens.
    let page = timing(TASKS, "--sort read_ms --top 2").stdout;
    let shown = rows(&page, "fern-1b", "llama-server.log");
    assert_eq!(shown.len(), 2, "{page}");
    assert!(shown[0].contains("2.0 s") && shown[1].contains("400 ms"), "{page}");
    assert!(page.contains("The first 2 of 3 rows, by read_ms."), "{page}");
    let page = timing(TASKS, "--top 1").stdout;
    assert!(page.contains("The first 1 of 3 rows, by wall_ms."), "{page}");
    let found = timing(TASKS, "--sort output_tokens --top 1 --format json").json();
    let tasks = found["unmatched_log_requests"].as_array().unwrap();
    assert_eq!((tasks.len(), &tasks[0]["output_tokens"]), (1, &41.into()));
    assert_eq!(found["server_logs"][0]["requests"], 3, "what is said of the log is not of the rows");
}

/// Where a log has request lines and tasks without one, the first rows are those of both.
#[test]
fn with_recorded_requests_they_are_one_list() {
    let count = |found: &Value, name: &str| found[name].as_array().unwrap().len();
    let found = timing(REQUESTS_AND_TASK, "--sort total_ms --top 2 --format json").json();
    // The task took 30 s, until its client left.
    assert_eq!((count(&found, "requests"), count(&found, "unmatched_log_requests")), (1, 1), "{found}");
    let page = timing(REQUESTS_AND_TASK, "--sort total_ms --top 2").stdout;
    assert!(page.contains("The first 2 of 5 rows, by total_ms."), "{page}");
    let lines = timing(REQUESTS_AND_TASK, "--sort total_ms --format ndjson").ndjson();
    let totals = lines.iter().map(|line| line["timing"]["total_ms"].as_u64().or(line["total_ms"].as_u64()));
    let totals: Vec<_> = totals.collect();
    assert_eq!((totals.len(), totals[0]), (5, Some(30_000)));
    assert!(totals.iter().rev().is_sorted(), "{totals:?}");
}

#[test]
fn their_columns_are_those_that_are_asked_for() {
    let page = timing(TASKS, "--columns model,read_ms").stdout;
    let table: Vec<Vec<&str>> =
        page.lines().skip(2).take(4).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(table[0], ["MODEL", "READ_MS"], "{page}");
    assert_eq!((&*table[1], &*table[2]), (&["fern-1b", "2.0", "s"][..], &["fern-1b", "250", "ms"][..]));
    for options in ["--columns +ttft_ms", "--sort ttft_ms"] {
        let page = timing(TASKS, options).stdout;
        let added = |line: &str| line.contains("OUTCOME") && line.ends_with("TTFT_MS");
        assert!(page.lines().any(added), "{page}");
    }
    assert!(!timing(TASKS, "--sort read_ms").stdout.contains("READ_MS"), "it is shown already");
    let page = timing(TASKS, "--columns model,read_ms --format markdown").stdout;
    assert!(page.contains("| MODEL | READ_MS |") && page.contains("| fern-1b | 250 ms |"), "{page}");
    let table = csv(&timing(TASKS, "--columns model,read_ms --sort read_ms --top 1 --format csv"));
    assert_eq!(table, [["model", "read_ms"], ["fern-1b", "2000"]]);
    // Beside recorded requests, their times are under the names that these have.
    let table =
        csv(&timing(REQUESTS_AND_TASK, "--columns model,total_ms --sort total_ms --top 1 --format csv"));
    assert_eq!(table, [["model", "timing.total_ms"], ["qwen3-4b", "30000"]]);
    let log = crate::common::repo().join("testdata/server-logs").join(TASKS);
    let refused =
        Folder::new().traces(&format!("timing --columns body_bytes {}", log.display())).ends_with(2);
    refused.says(&["no column `body_bytes`", "read_ms"]);
}

#[test]
fn they_are_left_out_with_the_other_rows() {
    for log in [TASKS, REQUESTS_AND_TASK] {
        let all = timing(log, "--rows").stdout;
        assert_eq!(all, timing(log, "").stdout);
        assert!(all.contains("OUTCOME"), "{all}");
        let page = timing(log, "--no-rows").stdout;
        assert!(!page.contains("OUTCOME") && page.contains("MEASURE"), "{page}");
    }
}

/// A row has the members of the document, under their names.
#[test]
fn lines_and_cells_are_those_of_the_document() {
    for log in [TASKS, REQUESTS_AND_TASK] {
        let found = timing(log, "--format json").json();
        let (requests, tasks) = (&found["requests"], &found["unmatched_log_requests"]);
        let of_document = requests.as_array().unwrap().iter().chain(tasks.as_array().unwrap());
        let lines = timing(log, "--format ndjson").ndjson();
        assert_eq!(lines.len(), of_document.clone().count());
        for (line, whole) in lines.iter().zip(of_document) {
            let mut line = line.clone();
            assert_eq!(line.as_object_mut().unwrap().remove("schema_version"), Some(1.into()));
            assert_eq!(&line, whole);
        }
        assert_eq!(csv(&timing(log, "--format csv")).len(), lines.len() + 1);
    }
    let found = timing(TASKS, "--format json").json();
    let tasks = found["unmatched_log_requests"].as_array().unwrap();
    let table = csv(&timing(TASKS, "--format csv"));
    let members: BTreeSet<&str> = tasks[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(table[0].iter().map(String::as_str).collect::<BTreeSet<_>>(), members);
    for (row, task) in table[1..].iter().zip(tasks) {
        for (name, cell) in table[0].iter().zip(row) {
            let text = match &task[name] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(*cell, text, "{name}");
        }
    }
}

/// Requests of which only the proxy's log is left are rows like any.
#[test]
fn requests_of_the_proxys_log_are_rows_too() {
    let folder = Folder::new();
    let logs = crate::common::repo().join(crate::common::HOME).join("logs");
    for entry in std::fs::read_dir(logs).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        folder.write(format!(".anyclaude/logs/{name}"), std::fs::read(path).unwrap());
    }
    let all = folder.traces("timing --all").ends_with(0).stdout;
    assert!(all.contains("LOGGED WITHOUT TRACE"), "{all}");
    let found = folder.traces("timing --all --format json").ends_with(0).json();
    let logged = found["unmatched_log_requests"].as_array().unwrap();
    assert_eq!(folder.traces("timing --all --format ndjson").ndjson().len(), logged.len());
    let slowest = logged.iter().filter_map(|one| one["total_ms"].as_u64()).max().unwrap();
    let first = folder.traces("timing --all --sort total_ms --top 1 --format json").ends_with(0).json();
    assert_eq!(first["unmatched_log_requests"].as_array().map(Vec::len), Some(1));
    assert_eq!(first["unmatched_log_requests"][0]["total_ms"], slowest);
    let page = folder.traces("timing --all --no-rows").ends_with(0).stdout;
    assert!(!page.contains("LOGGED WITHOUT TRACE"), "{page}");
}
