//! What servers' logs tell without any recording, and what is said to be unknown.

use serde_json::json;

use crate::common::{Folder, Ran, repo};

/// Runs in a home without recordings.
fn alone(folder: &Folder, line: &str, log: &str) -> Ran {
    let log = repo().join("testdata/server-logs").join(log);
    folder.traces(&format!("{line} --tz UTC --server-log {}", log.display()))
}

/// The lines of a log of llama-server.
fn lines_of_llama_server() -> Vec<String> {
    let log = std::fs::read_to_string(repo().join("testdata/server-logs/llama-server.log")).unwrap();
    log.lines().map(str::to_owned).collect()
}

/// A log that was read is not named once more as what would tell what it does not.
#[test]
fn what_a_log_does_not_tell_is_not_looked_for_in_it() {
    let folder = Folder::new();
    for log in ["llama-server.log", "lm-studio", "lm-studio-stream.ndjson", "lm-studio-window.txt"] {
        let page = alone(&folder, "explain", log).ends_with(0).stdout;
        assert!(!page.contains("`--server-log FILE`"), "{log}: {page}");
    }
    folder.write("plain.log", in_one_piece(3));
    let page = folder.traces("explain --server-log plain.log").ends_with(0).stdout;
    assert!(
        page.contains("To find out, switch verbose logging on in LM Studio's server settings."),
        "{page}"
    );
}

/// LM Studio's log of answers that were not streamed, without the lines of an engine.
fn in_one_piece(requests: u32) -> String {
    let request = |n: u32| {
        let body = json!({"model": "fern-1b", "stream": false, "tools": [{"type": "function", "function": {"name": "Fern"}}],
            "messages": [{"role": "user", "content": "Name a fern."}]});
        let answer = json!({"model": "fern-1b", "choices": [{"message": {"role": "assistant", "content": "Bracken."}}],
            "usage": {"prompt_tokens": 1_200, "completion_tokens": 60, "total_tokens": 1_260}});
        format!(
            "[2025-11-17 10:0{n}:00][DEBUG] Received request: POST to /v1/chat/completions with body {body:#}\n\
             [2025-11-17 10:0{n}:00][INFO][fern-1b] Running chat completion on conversation with 1 messages.\n\
             [2025-11-17 10:0{n}:00][INFO][fern-1b] Prompt processing progress: 0.0%\n\
             [2025-11-17 10:0{n}:03][INFO][fern-1b] Prompt processing progress: 100.0%\n\
             [2025-11-17 10:0{n}:09][INFO][fern-1b] Generated prediction: {answer:#}\n"
        )
    };
    (0..requests).map(request).collect()
}

/// The server saw the first token of an answer that its client got in one piece.
#[test]
fn answers_in_one_piece_are_explained_by_their_servers_log() {
    let folder = Folder::new();
    folder.write("plain.log", in_one_piece(3));
    let found = folder.traces("explain --server-log plain.log --format json").ends_with(0).json();
    let (time, verdict) = (&found["left"]["time"], &found["verdict"]);
    assert_eq!(
        (&found["n"], &time["read_ms"], &time["write_ms"]),
        (&json!(3), &json!(3_000.0), &json!(6_000.0))
    );
    assert_eq!(verdict["cause"], "write", "{verdict}");
    let page = folder.traces("explain --server-log plain.log").ends_with(0).stdout;
    assert!(page.contains("No proxy stood between client and server."), "{page}");
    // Those that nobody saw are left out, and nothing is advised that a proxy would tell.
    let blind: String = in_one_piece(3)
        .lines()
        .filter(|line| !line.contains("progress"))
        .flat_map(|line| [line, "\n"])
        .collect();
    folder.write("blind.log", blind);
    let page = folder.traces("explain --server-log blind.log").ends_with(0).stdout;
    assert!(page.starts_with("No verdict") && page.contains("No proxy stood between"), "{page}");
    assert!(!page.contains("ANYCLAUDE_DEBUG"), "{page}");
}

/// A report of a server's log alone gives the answer that `explain` gives, and asks for no proxy.
#[test]
fn the_report_of_a_log_has_the_answer_of_explain() {
    let folder = Folder::new();
    let explained = alone(&folder, "explain --format json", "llama-server.log").ends_with(0).json();
    let report = alone(&folder, "report --format json", "llama-server.log").ends_with(0).json();
    assert_eq!(report["headline"], explained["verdict"]["headline"]);
    let page = alone(&folder, "report --format markdown", "llama-server.log").ends_with(0).stdout;
    assert!(page.contains("unknown time · 3 requests"), "{page}");
    for words in ["ANYCLAUDE_DEBUG", "traces replay"] {
        assert!(!page.contains(words), "{words}: {page}");
    }
}

/// What a log tells of waiting is not said to be unknown.
#[test]
fn arrivals_that_are_logged_are_not_asked_for() {
    let folder = Folder::new();
    let log = lines_of_llama_server();
    let arrived = |line: &String| {
        let Some((head, _)) = line.split_once("launch_slot_") else { return format!("{line}\n") };
        let head = head.replace("I slot ", "I srv  ");
        format!("{head}server_strea: conv_id=\n{line}\n")
    };
    folder.write("four.log", log.iter().map(arrived).collect::<String>());
    let missing = |log: &str| {
        let found = folder.traces(&format!("timing --server-log {log} --format json")).ends_with(0).json();
        found["missing"].to_string()
    };
    folder.write("three.log", log.join("\n"));
    assert!(missing("three.log").contains("-lv 4"), "{}", missing("three.log"));
    let known = missing("four.log");
    assert!(!known.contains("-lv 4") && known.contains("without dates"), "{known}");
}

/// What stamps a container's lines with instants gives the tasks in them dates.
#[test]
fn stamps_before_the_servers_own_time_are_dates() {
    let folder = Folder::new();
    let stamped = |prefix: fn(&str, &str) -> String| -> String {
        let line = |line: &String| {
            let (time, _) = line.split_once(' ').unwrap();
            let (seconds, ms) = (&time[2..4], &time[5..8]);
            prefix(&format!("2025-11-17T09:30:{seconds}.{ms}"), line) + "\n"
        };
        lines_of_llama_server().iter().map(line).collect()
    };
    folder.write("container.log", stamped(|stamp, line| format!("{stamp}123456Z {line}")));
    folder.write("journal.log", stamped(|stamp, line| format!("{stamp}+0000 host llama-server[7]: {line}")));
    for log in ["container.log", "journal.log"] {
        let found = folder.traces(&format!("timing --server-log {log} --format json")).ends_with(0).json();
        let tasks = found["unmatched_log_requests"].as_array().unwrap();
        let starts: Vec<_> = tasks.iter().map(|task| task["start"].as_str().unwrap_or_default()).collect();
        let at = |seconds: u32| format!("2025-11-17T09:30:{seconds}.000Z");
        assert_eq!(starts, [at(10), at(24), at(36)], "{log}");
        let log = &found["server_logs"][0];
        assert_eq!(log["starts"], json!(["2025-11-17T09:30:00.000Z"]));
        assert_eq!(log["loads"][0]["start"], "2025-11-17T09:30:00.010Z");
        assert!(!found["missing"].to_string().contains("dates"), "{}", found["missing"]);
    }
}

/// One slot and two prompts that take turns: the log tells that each throws the other out.
#[test]
fn prompts_that_take_a_slot_from_each_other_are_told() {
    let folder = Folder::new();
    let task = |n: u32, read: u32, cached: u32| {
        let at =
            |seconds: u32| format!("{}.{:02}.000.000 I", (n * 20 + seconds) / 60, (n * 20 + seconds) % 60);
        let last = if n == 0 { "-1" } else { "7" };
        format!(
            "{} slot get_availabl: id  0 | task -1 | selected slot by LRU, t_last = {last}\n\
             {} slot launch_slot_: id  0 | task {n} | processing task, is_child = 0\n\
             {} slot print_timing: id  0 | task {n} | prompt eval time =    4000.00 ms / {read:5} tokens (x)\n\
             {} slot print_timing: id  0 | task {n} |        eval time =    1000.00 ms /    31 tokens (x)\n\
             {} slot      release: id  0 | task {n} | stop processing: n_tokens = {}, truncated = 0\n",
            at(0),
            at(0),
            at(5),
            at(5),
            at(5),
            read + cached + 30
        )
    };
    let explained = |cached: u32| {
        let log: String = (0..6).map(|n| task(n, if n % 2 == 0 { 4_000 } else { 300 }, cached)).collect();
        folder.write("server.log", log);
        folder.traces("explain --server-log server.log").ends_with(0).stdout
    };
    let told = "by the server's log; 5 of 6 requests took a slot from another prompt.";
    assert!(explained(2).contains(told), "{}", explained(2));
    assert!(!explained(9_000).contains("took a slot"), "most came from main memory: {}", explained(9_000));
}
