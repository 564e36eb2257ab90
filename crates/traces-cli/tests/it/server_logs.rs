//! Servers' logs without any recording beside them.

use std::path::Path;

use serde_json::{Value, json};

use crate::common::{Folder, HOME, Ran};

const LOGS: &str = "testdata/server-logs";

/// Runs in a home without recordings.
fn alone(folder: &Folder, line: &str, log: &str) -> Ran {
    let log = crate::common::repo().join(LOGS).join(log);
    folder.traces(&format!("{line} --tz UTC --server-log {}", log.display()))
}

/// Of each task: tokens of the prompt, of them cached, read, of the answer, and both times.
fn figures(task: &Value) -> [Option<u64>; 6] {
    ["prompt_tokens", "cached_tokens", "read_tokens", "output_tokens", "read_ms", "write_ms"]
        .map(|name| task[name].as_u64())
}

const FIGURES: [[Option<u64>; 6]; 3] = [
    [Some(2_000), Some(0), Some(2_000), Some(31), Some(2_000), Some(2_000)],
    [Some(2_100), Some(2_030), Some(70), Some(41), Some(250), Some(1_750)],
    [Some(2_300), Some(2_140), Some(160), Some(21), Some(400), Some(1_600)],
];

#[test]
fn tasks_of_llama_server_are_rows_without_a_date() {
    let folder = Folder::new();
    let found = alone(&folder, "timing --format json", "llama-server.log").ends_with(0).json();
    let tasks = found["unmatched_log_requests"].as_array().unwrap();
    assert_eq!(tasks.iter().map(figures).collect::<Vec<_>>(), FIGURES);
    assert!(tasks.iter().all(|task| task["start"].is_null() && task["model"] == "fern-1b"));
    assert_eq!(found["requests"], json!([]));
    let log = &found["server_logs"][0];
    assert_eq!(
        (&log["format"], &log["requests"], &log["evictions"]),
        (&json!("llama_server"), &json!(3), &json!(2))
    );
    assert_eq!(log["loads"][0]["load_ms"], 4_500);
    assert_eq!(found["groups"][0]["name"], "fern-1b");
}

#[test]
fn tasks_count_as_requests_in_the_line_of_the_scope() {
    let page = alone(&Folder::new(), "timing", "llama-server.log").ends_with(0).stdout;
    assert!(page.starts_with("unknown time · 3 requests\n"), "{page}");
}

#[test]
fn request_lines_of_lm_studio_are_requests() {
    for (log, uncertainty) in [
        ("lm-studio/2025-11/2025-11-17.1.log", json!(1_000)),
        ("lm-studio-window.txt", json!(1_000)),
        ("lm-studio-stream.ndjson", Value::Null),
    ] {
        let folder = Folder::new();
        let found = alone(&folder, "timing --format json", log).ends_with(0).json();
        let requests = found["requests"].as_array().unwrap();
        let of_requests: Vec<_> = requests.iter().map(|request| figures(&request["timing"])).collect();
        assert_eq!(of_requests[..3], FIGURES, "{log}");
        assert_eq!(of_requests[3][..4], [Some(40), None, None, Some(11)], "{log}");
        for request in requests {
            assert_eq!((&request["source"], &request["model"]), (&json!("lm_studio"), &json!("qwen3-4b")));
            assert_eq!(request["timing"]["uncertainty_ms"], uncertainty, "{log}");
        }
        assert_eq!(requests[0]["timing"]["load_ms"], 6_000, "{log}");
        assert_eq!(requests[0]["timestamp"], "2025-11-17T09:30:00.000Z");
        let sizes: Vec<_> = requests.iter().map(|request| request["body_bytes"].as_u64()).collect();
        assert_eq!(sizes[0].is_none(), log.ends_with(".txt"), "{log}: cut strings have no size");
        assert_eq!(sizes[3], None, "it is hidden");
        assert_eq!(requests[0]["tool_count"], 1, "{log}");
        let task = &found["unmatched_log_requests"][0];
        assert_eq!((&task["outcome"], &task["total_ms"]), (&json!("disconnected"), &json!(30_000)));
        assert!(!found["missing"].as_array().unwrap().is_empty());
    }
}

#[test]
fn other_verbs_answer_from_the_log_too() {
    let folder = Folder::new();
    let file = "lm-studio/2025-11/2025-11-17.1.log";
    let listed = alone(&folder, "list --format ndjson", file).ends_with(0).ndjson();
    assert_eq!(listed.len(), 4);
    let summary = alone(&folder, "summary --format json", file).ends_with(0).json();
    assert_eq!(
        (&summary["totals"]["requests"], &summary["groups"][0]["name"]),
        (&json!(5), &json!("qwen3-4b"))
    );
    let explained = alone(&folder, "explain --format json", "llama-server.log").ends_with(0).json();
    assert_eq!(explained["left"]["requests"], 3);
    let prefix = alone(&folder, "prefix --format json", file).ends_with(0).json();
    assert_eq!(prefix["requests"][1]["break"], Value::Null, "its history only grows");
    let shown = alone(&folder, "show latest~1 --format json", file).ends_with(0).json();
    assert_eq!(shown["tools"][0]["name"], "Water");
}

/// A log that is named as an input is the same requests in every verb, with its times.
#[test]
fn a_log_is_one_input_in_every_verb() {
    let folder = Folder::new();
    let logs = ["lm-studio", "lm-studio-stream.ndjson"];
    for log in logs.map(|log| crate::common::repo().join(LOGS).join(log).display().to_string()) {
        let listed = folder.traces(&format!("list {log} --tz UTC --format ndjson")).ends_with(0).ndjson();
        assert_eq!(listed.len(), 4);
        let shown = folder.traces(&format!("show {log} --tz UTC --format json")).ends_with(0).json();
        for member in ["id", "timestamp", "model", "timing"] {
            assert_eq!(shown[member], listed[3][member], "{log}: {member}");
        }
        let compared = folder.traces(&format!("diff {log} --tz UTC --last 3 --format json"));
        assert!(compared.code == 2 && !compared.stderr.contains("*.json"), "{compared:?}");
        let exported = folder.traces(&format!("export {log} --tz UTC --force -o timeline.json")).ends_with(0);
        assert!(!exported.stderr.contains("without a time"), "{}", exported.stderr);
    }
}

/// What is no answer says so, also where a document without rows is printed.
#[test]
fn a_log_without_request_lines_is_named() {
    let folder = Folder::new();
    let log = crate::common::repo().join(LOGS).join("llama-server.log").display().to_string();
    for verb in ["list", "prefix", "show", "replay"] {
        let said = folder.traces(&format!("{verb} {log}")).ends_with(2);
        assert_eq!(said.stdout, "", "{verb}");
        said.says(&["llama-server.log", "no request lines", "traces timing"]);
    }
    for verb in ["list", "prefix"] {
        let said = folder.traces(&format!("{verb} {log} --format json")).ends_with(2);
        assert_eq!(said.json()["requests"], json!([]));
        said.says(&["llama-server.log", "no request lines"]);
    }
}

/// The newest of no requests is none, whichever way the log is named; of requests of another
/// kind it is said which there are.
#[test]
fn the_newest_request_of_a_log_without_any_says_what_is_there() {
    let folder = Folder::new();
    for verb in ["show", "show latest", "list latest", "prefix latest", "diff latest"] {
        let said = alone(&folder, verb, "llama-server.log").ends_with(2);
        said.says(&["llama-server.log", "no request lines", "traces timing"]);
    }
    let folder = Folder::new();
    let body = r#"{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "A title?"}]}"#;
    std::fs::create_dir_all(folder.path().join("traces/lmstudio")).unwrap();
    folder.write(
        "traces/lmstudio/a.json",
        format!(r#"{{"timestamp": "2025-11-16T03:20:00.000Z", "mode": "lmstudio", "request": {{"body": {body}}}}}"#),
    );
    let said = folder.traces("show latest --root .").ends_with(2);
    said.says(&["1 background", "--kind all"]);
}

/// A folder is what is recorded in it: other files of JSON are not.
#[test]
fn a_log_is_found_beside_json_that_is_no_recording() {
    let folder = Folder::new();
    let log = crate::common::repo().join(LOGS).join("llama-server.log");
    std::fs::create_dir_all(folder.path().join("server/ui")).unwrap();
    std::fs::copy(log, folder.path().join("server/llama.log")).unwrap();
    folder.write("server/ui/package.json", r#"{"name": "ui", "version": "1.0.0"}"#);
    let found = folder.traces("timing --format json server").ends_with(0).json();
    assert_eq!(found["server_logs"][0]["requests"], 3);
    // Beside a recording it is not the folder's content, and is named by itself.
    let body =
        r#"{"model": "m", "messages": [{"role": "user", "content": "Hello"}], "tools": [{"name": "Bash"}]}"#;
    folder.write(
        "server/a.json",
        format!(r#"{{"timestamp": "2025-11-16T03:20:00.000Z", "request": {{"body": {body}}}}}"#),
    );
    let found = folder.traces("timing --format json server").ends_with(3).json();
    assert_eq!((&found["server_logs"], found["requests"].as_array().map(Vec::len)), (&json!([]), Some(1)));
}

#[test]
fn two_logs_of_one_model_are_not_two_sides() {
    let folder = Folder::new();
    let log = crate::common::repo().join(LOGS).join("llama-server.log");
    std::fs::copy(log, folder.path().join("other.log")).unwrap();
    folder.write("one.log", std::fs::read(folder.path().join("other.log")).unwrap());
    folder.traces("explain one.log other.log").ends_with(2).says(&["one model", "--label NAME=one.log"]);
    let found =
        folder.traces("explain one.log other.log --label fast=one.log --format json").ends_with(0).json();
    assert_eq!((&found["left"]["requests"], &found["right"]["requests"]), (&json!(3), &json!(3)));
}

#[test]
fn a_time_without_requests_says_what_there_was() {
    let folder = Folder::new();
    let file = "lm-studio/2025-11/2025-11-17.1.log";
    alone(&folder, "timing --since 2025-12-01", "lm-studio-stream.ndjson").ends_with(2);
    let said = alone(&folder, "timing --since 2025-12-01", file).ends_with(2);
    assert!(said.stderr.contains("17 Nov"), "{}", said.stderr);
    assert_eq!(said.stdout, "");
    // The same of a proxy's log.
    let home = Folder::new();
    let log = std::fs::read(
        crate::common::repo()
            .join(HOME)
            .join("logs")
            .read_dir()
            .map_or_else(|error| panic!("{error}"), |mut logs| logs.next().unwrap().unwrap().path()),
    );
    home.write(".anyclaude/logs/debug-session-2025-11-16T02-30-45.log", log.unwrap());
    home.traces("timing --since 2030-01-01").ends_with(2).says(&["They are from"]);
}

#[test]
fn logs_of_lm_studio_are_found_in_the_home() {
    let home = Folder::new();
    let file = crate::common::repo().join(LOGS).join("lm-studio/2025-11/2025-11-17.1.log");
    home.write(".lmstudio/server-logs/2025-11/2025-11-17.1.log", std::fs::read(file).unwrap());
    // Without a recording, the way to read them is said.
    let folder = home.path().join(".lmstudio/server-logs");
    let way = format!("nothing is recorded in {}", home.path().join(".anyclaude/traces").display());
    let command = format!("`traces --server-log {}`", folder.display());
    for verb in ["", "list", "timing", "explain", "prefix", "show"] {
        home.traces(verb).ends_with(2).says(&[&way, &command, "Or record a session"]);
    }
    home.traces(&format!("--server-log {}", folder.display())).ends_with(0);
    std::fs::rename(&folder, home.path().join("elsewhere")).unwrap();
    std::fs::create_dir_all(folder.join("2025-11")).unwrap();
    let said = home.traces("timing").ends_with(2);
    assert!(!said.stderr.contains("--server-log") && said.stderr.contains("Record a session"), "{said:?}");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::rename(home.path().join("elsewhere"), &folder).unwrap();
    home.trace("traces/a.json", "2025-11-17T09:30:00.000Z", &crate::common::body("Hello."));
    // Nothing in it is this request, and what else it holds is nobody's business.
    let found = home.traces("timing traces/a.json --format json").ends_with(0).json();
    assert_eq!((&found["server_logs"], &found["unmatched_log_requests"]), (&json!([]), &json!([])));
}

#[test]
fn what_is_no_servers_log_is_refused_by_name() {
    let folder = Folder::new();
    folder.write("notes.txt", "Dear diary,\n");
    folder.traces("timing --server-log notes.txt").ends_with(2).says(&["notes.txt", "LM Studio"]);
    folder.traces("timing --server-log missing.log").ends_with(2).says(&["missing.log"]);
    folder.traces("timing --tz No/Where --server-log notes.txt").ends_with(2).says(&["+02:00"]);
}

/// A request that begins in one file and ends in the next is one request.
#[test]
fn logs_that_were_rotated_are_read_as_one() {
    let folder = Folder::new();
    let whole =
        std::fs::read_to_string(crate::common::repo().join(LOGS).join("lm-studio/2025-11/2025-11-17.1.log"))
            .unwrap();
    let log = |n: u32| folder.path().join(format!("logs/2025-11/2025-11-17.{n}.log"));
    std::fs::create_dir_all(log(1).parent().unwrap()).unwrap();
    // The first answer is a stream by then.
    let cut = whole.find("Streaming response").and_then(|at| Some(at + whole[at..].find('\n')? + 1)).unwrap();
    std::fs::write(log(1), &whole[..cut]).unwrap();
    std::fs::write(log(2), &whole[cut..]).unwrap();
    let line = format!("timing --format json --tz UTC --server-log {}", folder.path().join("logs").display());
    let found = folder.traces(&line).ends_with(0).json();
    let requests = found["requests"].as_array().unwrap();
    let of_requests: Vec<_> = requests.iter().map(|request| figures(&request["timing"])).collect();
    assert_eq!(of_requests[..3], FIGURES);
    assert_eq!(requests[0]["timing"]["outcome"], "completed");
    let files: Vec<&str> = requests.iter().map(|request| request["path"].as_str().unwrap()).collect();
    assert!(files[0].ends_with("17.1.log") && files[1].ends_with("17.2.log"), "{files:?}");
}

/// A load that goes on when a file ends is waited for by requests of the next.
#[test]
fn a_load_that_ends_in_the_next_file_is_waited_for() {
    let folder = Folder::new();
    let turn = |launched: &str, ended: &str, task: u32| {
        format!(
            "[2025-11-17 {launched}][INFO][m] Running chat completion on conversation with 2 messages.\n\
             [2025-11-17 {launched}][INFO][m] Streaming response...\n\
             [2025-11-17 {launched}][DEBUG] slot launch_slot_: id  0 | task {task} | processing task, is_child = 0\n\
             [2025-11-17 {ended}][DEBUG] slot print_timing: id  0 | task {task} | prompt eval time = 2000.00 ms / 2000 tokens\n\
             slot print_timing: id  0 | task {task} |        eval time = 2000.00 ms / 31 tokens\n\
             slot      release: id  0 | task {task} | stop processing: n_tokens = 2030, truncated = 0\n\
             [2025-11-17 {ended}][INFO][m] Finished streaming response\n"
        )
    };
    let load = "[2025-11-17 09:30:00][INFO][JIT] Requested model (m) is not loaded. Loading \"m\" now...\n";
    let turns = turn("09:30:20", "09:30:24", 0) + &turn("09:31:00", "09:31:04", 90);
    std::fs::create_dir_all(folder.path().join("logs/2025-11")).unwrap();
    folder.write("logs/2025-11/2025-11-17.1.log", load);
    folder.write("logs/2025-11/2025-11-17.2.log", &turns);
    let record = |start: f64, ttft: f64| {
        json!({"call_type": "acompletion", "litellm_call_id": format!("{start}"), "stream": true, "status": "success",
            "startTime": start, "completionStartTime": start + ttft, "endTime": start + ttft + 2.0, "model": "m",
            "metadata": {"usage_object": {"prompt_tokens": 2000, "completion_tokens": 31}},
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": format!("Turn at {start}")}],
            "model_parameters": {"stream": true, "tools": [{"type": "function", "function": {"name": "Grep"}}]}})
    };
    folder.write("a.jsonl", format!("{}\n{}\n", record(1_763_371_800.0, 22.0), record(1_763_371_860.0, 2.0)));
    let found = folder.traces("timing a.jsonl --format json --tz UTC --server-log logs").ends_with(0).json();
    let loads: Vec<_> =
        found["requests"].as_array().unwrap().iter().map(|one| &one["timing"]["load_ms"]).collect();
    assert_eq!(loads, [20_000, 0], "{found}");
    let logged: Vec<_> = found["server_logs"].as_array().unwrap().iter().map(|log| &log["loads"]).collect();
    assert_eq!(logged.iter().map(|loads| loads.as_array().unwrap().len()).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn a_compressed_log_is_an_input_like_any() {
    use std::io::Write as _;
    let folder = Folder::new();
    for (name, n) in [("llama-server.log", 3), ("lm-studio-stream.ndjson", 5)] {
        let log = std::fs::read(crate::common::repo().join(LOGS).join(name)).unwrap();
        let path = folder.path().join(format!("{name}.gz"));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&log).unwrap();
        std::fs::write(&path, gzip.finish().unwrap()).unwrap();
        for option in ["", "--server-log "] {
            let line = format!("timing --format json --tz UTC {option}{}", path.display());
            let found = folder.traces(&line).ends_with(0).json();
            assert_eq!(found["server_logs"][0]["requests"], n, "{line}");
        }
    }
}

#[test]
fn a_zone_moves_local_times() {
    let log = "lm-studio/2025-11/2025-11-17.1.log";
    let folder = Folder::new();
    let path = crate::common::repo().join(LOGS).join(log);
    for (zone, start) in [("+02:00", "2025-11-17T07:30:00.000Z"), ("-0330", "2025-11-17T13:00:00.000Z")] {
        let line = format!("list --format json --tz {zone} --server-log {}", path.display());
        assert_eq!(folder.traces(&line).json()["requests"][0]["timestamp"], start, "{zone}");
    }
}

/// The joins show which zone and how wrong a clock times are of: who reads them elsewhere is told.
#[test]
fn the_zone_and_the_clock_of_a_log_are_said() {
    let folder = Folder::new();
    let turn = |began: &str, ended: &str| {
        format!(
            "[2025-11-17 {began}][INFO][m] Running chat completion on conversation with 2 messages.\n\
             [2025-11-17 {began}][INFO][m] Streaming response...\n\
             [2025-11-17 {began}][DEBUG] slot launch_slot_: id  0 | task 0 | processing task, is_child = 0\n\
             [2025-11-17 {ended}][DEBUG] slot print_timing: id  0 | task 0 | prompt eval time = 2000.00 ms / 2000 tokens\n\
             slot print_timing: id  0 | task 0 |        eval time = 2000.00 ms / 31 tokens\n\
             slot      release: id  0 | task 0 | stop processing: n_tokens = 2030, truncated = 0\n\
             [2025-11-17 {ended}][INFO][m] Finished streaming response\n"
        )
    };
    let log = |turns: [[&str; 2]; 2]| turns.map(|[began, ended]| turn(began, ended)).concat();
    folder.write("here.log", log([["09:30:00", "09:30:04"], ["09:31:00", "09:31:04"]]));
    folder.write("west.log", log([["02:30:37", "02:30:41"], ["02:31:37", "02:31:41"]]));
    folder.write("behind.log", log([["09:29:40", "09:29:44"], ["09:30:40", "09:30:44"]]));
    let record = |start: f64| {
        json!({"call_type": "acompletion", "litellm_call_id": format!("{start}"), "stream": true, "status": "success",
            "startTime": start, "completionStartTime": start + 2.0, "endTime": start + 4.0, "model": "m",
            "metadata": {"usage_object": {"prompt_tokens": 2000, "completion_tokens": 31}},
            "messages": [{"role": "user", "content": format!("Turn at {start}")}],
            "model_parameters": {"stream": true}})
    };
    folder.write("a.jsonl", format!("{}\n{}\n", record(1_763_371_800.0), record(1_763_371_860.0)));
    for (log, said, offsets) in [
        ("here.log", "2 found in the recording.\n", [json!(0), json!(0)]),
        (
            "west.log",
            "2 found in the recording. Its times are those of UTC-07:00, and its clock is 37.0 s ahead of that of the \
             recording.\n",
            [json!(-25_200), json!(37_000)],
        ),
        (
            "behind.log",
            "2 found in the recording. Its clock is 20.0 s behind that of the recording.\n",
            [json!(0), json!(-20_000)],
        ),
    ] {
        let line = format!("timing a.jsonl --server-log {log}");
        let page = folder.traces(&line).ends_with(0).stdout;
        assert!(page.contains(said), "{page}");
        let found = folder.traces(&format!("{line} --format json")).ends_with(0).json();
        let found = &found["server_logs"][0];
        assert_eq!([&found["utc_offset_s"], &found["clock_offset_ms"]], offsets.each_ref(), "{log}");
        assert_eq!(folder.traces(&format!("{line} --top 1")).stdout.contains("Its "), said.contains("Its "));
    }
}

/// In the night in which clocks are set back, an hour comes twice.
#[cfg(unix)]
#[test]
fn a_zone_by_its_name_knows_when_clocks_are_changed() {
    if !Path::new("/usr/share/zoneinfo/Europe/Berlin").exists() {
        eprintln!("left out: this system does not know the time of Berlin");
        return;
    }
    let log = crate::common::repo().join(LOGS).join("lm-studio/2025-11/2025-11-17.1.log");
    let log = std::fs::read_to_string(log).unwrap();
    let at = |day: &str, [of_29, of_30, of_31]: [&str; 3]| {
        let of = |minute: &str| format!("[2025-11-17 {minute}:");
        let as_of = |minute: &str| format!("[{day} {minute}:");
        let log = log.replace(&of("09:29"), &as_of(of_29)).replace(&of("09:30"), &as_of(of_30));
        log.replace(&of("09:31"), &as_of(of_31))
    };
    let folder = Folder::new();
    let twice =
        at("2025-10-26", ["02:29", "02:30", "02:31"]) + &at("2025-10-26", ["02:05", "02:06", "02:07"]);
    folder.write("autumn.log", &twice);
    let spring =
        at("2025-03-30", ["01:57", "01:58", "01:59"]) + &at("2025-03-30", ["03:00", "03:01", "03:02"]);
    folder.write("spring.log", &spring);
    for (log, starts) in [
        ("autumn.log", ["2025-10-26T00:30:00", "2025-10-26T01:06:00"]),
        ("spring.log", ["2025-03-30T00:58:00", "2025-03-30T01:01:00"]),
    ] {
        let line = format!("list --all --format ndjson --tz Europe/Berlin --server-log {log}");
        let listed = folder.traces(&line).ends_with(0).ndjson();
        let times: Vec<&str> = listed.iter().filter_map(|request| request["timestamp"].as_str()).collect();
        for start in starts {
            assert!(times.iter().any(|time| time.starts_with(start)), "{log}: {start} in {times:?}");
        }
        assert!(times.is_sorted(), "{log}: {times:?}");
    }
    // A part of a path is no name.
    folder.traces("list --tz ../zoneinfo/Europe/Berlin --server-log spring.log").ends_with(2).says(&["--tz"]);
}

/// Ollama cuts prompts that do not fit, and has no log with finer stamps.
#[test]
fn prompts_that_ollama_cut_are_one_sentence_and_a_finding() {
    let folder = Folder::new();
    let task = |at: u32, prompt: u32| {
        format!(
            "time=2026-03-02T09:0{at}:00.000Z level=WARN source=llama_server.go:296 msg=\"truncating input prompt\" \
             limit=4096 prompt={prompt} keep=4 new=4095\n\
             slot launch_slot_: id  0 | task {at} | processing task, is_child = 0\n\
             slot print_timing: id  0 | task {at} | prompt eval time =    4000.00 ms /  4095 tokens (x)\n\
             slot print_timing: id  0 | task {at} |        eval time =    1000.00 ms /    31 tokens (x)\n\
             slot      release: id  0 | task {at} | stop processing: n_tokens = 4125, truncated = 0\n\
             [GIN] 2026/03/02 - 09:0{at}:05 | 200 |  5.000000000s |       127.0.0.1 | POST     \"/v1/messages\"\n"
        )
    };
    let log = |tasks: &[(u32, u32)]| tasks.iter().map(|(at, prompt)| task(*at, *prompt)).collect::<String>();
    folder.write("ollama.log", log(&[(1, 7_000), (2, 9_000), (3, 9_500)]));
    folder.write("one.log", log(&[(1, 7_000)]));
    let said = folder.traces("timing --tz UTC ollama.log").ends_with(0).stdout;
    let cut = "3 prompts of 7.0 k to 9.5 k tokens cut to the 4.1 k that fit, without a word to the client.";
    assert!(said.contains(cut) && !said.contains("lms log"), "{said}");
    let said = folder.traces("timing --tz UTC one.log").ends_with(0).stdout;
    assert!(said.contains("a prompt of 7.0 k tokens cut to the 4.1 k that fit"), "{said}");
    let found = folder.traces("summary --tz UTC --format json ollama.log").ends_with(0).json();
    assert_eq!(found["findings"][0]["kind"], "context_overflow");
}

#[test]
fn two_logs_without_names_of_models_are_compared_once_they_have_labels() {
    let folder = Folder::new();
    let log = std::fs::read_to_string(crate::common::repo().join(LOGS).join("llama-server.log")).unwrap();
    // Without the line that names the model's file.
    let unnamed: String =
        log.lines().filter(|line| !line.contains(".gguf")).map(|line| format!("{line}\n")).collect();
    folder.write("a.log", &unnamed);
    folder.write("b.log", unnamed.replace("2000.00 ms /  2000", "9000.00 ms /  2000"));
    let refused = folder.traces("explain a.log b.log").ends_with(2);
    let labels = "--label FAST=a.log --label SLOW=b.log";
    refused.says(&[labels]);
    let found = folder.traces(&format!("explain a.log b.log {labels}")).ends_with(0).stdout;
    assert!(found.contains("FAST") && found.contains("SLOW"), "{found}");
}

/// Its bodies are read in pieces, so that the size of a log is no limit.
#[test]
fn the_bodies_in_a_log_of_any_size_are_read() {
    let folder = Folder::new();
    let log = "lm-studio/2025-11/2025-11-17.1.log";
    let found = alone(&folder, "prefix --max-file-size 500", log).ends_with(0);
    assert_eq!((found.stderr.as_str(), found.stdout), ("", alone(&folder, "prefix", log).stdout));
}
