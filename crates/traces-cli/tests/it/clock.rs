//! Clocks: days of 23 and 25 hours, midnights that do not exist or come twice, leap
//! seconds, and clocks that are set back.
#![cfg(unix)]
#![allow(clippy::print_stderr, reason = "a test that cannot be run here says so")]

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::common::{self, Folder, Ran, body, program, run, trace};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

/// Runs `traces LINE` where clocks show the time of this zone; `None` where the
/// system does not know it.
fn in_zone(folder: &Folder, zone: &str, line: &str) -> Option<Ran> {
    let known = ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"];
    if !known.iter().any(|at| Path::new(at).join(zone).exists()) {
        eprintln!("left out: this system does not know the time of {zone}");
        return None;
    }
    let mut command = program(folder.path());
    command.env("TZ", zone);
    Some(run(command, line, &[] as &[&str]))
}

/// A zone, a day there, its first instant, and the first one after it. Python's
/// `zoneinfo` says the same.
const DAYS: [(&str, &str, &str, &str); 15] = [
    // 23 and 25 hours.
    ("Europe/Berlin", "2025-03-30", "2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z"),
    ("Europe/Berlin", "2025-10-26", "2025-10-25T22:00:00Z", "2025-10-26T23:00:00Z"),
    ("America/New_York", "2025-03-09", "2025-03-09T05:00:00Z", "2025-03-10T04:00:00Z"),
    ("America/New_York", "2025-11-02", "2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z"),
    // 23 ½ hours.
    ("Australia/Lord_Howe", "2025-10-05", "2025-10-04T13:30:00Z", "2025-10-05T13:00:00Z"),
    // The day begins at 1:00.
    ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"),
    ("Asia/Beirut", "2025-03-30", "2025-03-29T22:00:00Z", "2025-03-30T21:00:00Z"),
    ("Africa/Cairo", "2025-04-25", "2025-04-24T22:00:00Z", "2025-04-25T21:00:00Z"),
    ("America/Santiago", "2025-09-07", "2025-09-07T04:00:00Z", "2025-09-08T03:00:00Z"),
    // Its last hour comes twice.
    ("America/Sao_Paulo", "2018-02-17", "2018-02-17T02:00:00Z", "2018-02-18T03:00:00Z"),
    ("Asia/Beirut", "2025-10-25", "2025-10-24T21:00:00Z", "2025-10-25T22:00:00Z"),
    // Its first hour comes twice.
    ("America/Havana", "2025-11-02", "2025-11-02T04:00:00Z", "2025-11-03T05:00:00Z"),
    // Far from Greenwich, and not by whole hours.
    ("Pacific/Kiritimati", "2025-11-16", "2025-11-15T10:00:00Z", "2025-11-16T10:00:00Z"),
    ("Asia/Kathmandu", "2025-11-16", "2025-11-15T18:15:00Z", "2025-11-16T18:15:00Z"),
    // A day that never was.
    ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z"),
];

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn stamp(instant: DateTime<Utc>, ms: i64) -> String {
    (instant + TimeDelta::milliseconds(ms)).to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// The names of the files that are listed.
fn listed(ran: &Ran) -> Vec<String> {
    let name = |request: &Value| request["path"].as_str().unwrap().trim_start_matches("in/").to_owned();
    ran.ndjson().iter().map(name).collect()
}

#[test]
fn a_day_is_whole_however_long_it_is() {
    for (zone, day, begin, end) in DAYS {
        let folder = Folder::new();
        let (begin, end) = (instant(begin), instant(end));
        let times =
            [("0-before", begin, -1), ("1-first", begin, 0), ("2-last", end, -1), ("3-after", end, 0)];
        for (name, at, ms) in times {
            folder.trace(format!("in/{name}"), &stamp(at, ms), &body(name));
        }
        // A day without time has no first and no last moment.
        let is_some = begin < end;
        let names: Vec<&str> = times.iter().map(|(name, ..)| *name).collect();
        let files: Vec<String> = names.iter().map(|name| format!("in/{name}")).collect();
        let list = format!("list {} --format ndjson", files.join(" "));
        let Some(since) = in_zone(&folder, zone, &format!("{list} --since {day}")) else { continue };
        let expected = if is_some { &["1-first", "2-last", "3-after"][..] } else { &["1-first", "3-after"] };
        assert_eq!(listed(&since.ends_with(0)), expected, "{zone} since {day}");
        let until = in_zone(&folder, zone, &format!("{list} --until {day}")).unwrap();
        let mut until = listed(&until.ends_with(0));
        until.sort();
        let expected = if is_some { &["0-before", "1-first", "2-last"][..] } else { &["0-before", "2-last"] };
        assert_eq!(until, expected, "{zone} until {day}");
        let both = in_zone(&folder, zone, &format!("{list} --since {day} --until {day}")).unwrap();
        if is_some {
            assert_eq!(listed(&both.ends_with(0)), ["1-first", "2-last"], "{zone} {day}");
            // Tables tell the day by the same clock.
            let table = in_zone(&folder, zone, &format!("summary {} --by day", files.join(" "))).unwrap();
            let row = table
                .stdout
                .lines()
                .find(|row| row.contains(day))
                .unwrap_or_else(|| panic!("{zone}: {table:?}"));
            assert!(row.split_whitespace().nth(1) == Some("2"), "{zone} {day}: {row}");
        } else {
            both.ends_with(2).says(&["4 requests"]);
        }
    }
}

#[test]
fn an_hour_that_comes_twice_is_told_by_the_instant() {
    let folder = Folder::new();
    // 2:30 in Berlin, and 2:30 again.
    folder.trace("in/b.json", "2025-10-26T00:30:00.000Z", &body("a"));
    folder.trace("in/a.json", "2025-10-26T01:30:00.000Z", &body("b"));
    let Some(ran) = in_zone(&folder, "Europe/Berlin", "list in --format ndjson") else { return };
    assert_eq!(listed(&ran.ends_with(0)), ["b.json", "a.json"]);
    let table = in_zone(&folder, "Europe/Berlin", "list in").unwrap().ends_with(0).stdout;
    assert_eq!(table.matches("26 Oct 02:30:00").count(), 2, "{table}");
    for (offset, expected) in [("+02:00", &["b.json", "a.json"][..]), ("+01:00", &["a.json"])] {
        let line = format!("list in --format ndjson --since 2025-10-26T02:30:00{offset}");
        let since = in_zone(&folder, "Europe/Berlin", &line).unwrap().ends_with(0);
        assert_eq!(listed(&since), expected, "{offset}");
    }
    // 2 h are two hours, whatever clocks show in the meantime.
    let ran = in_zone(&folder, "Europe/Berlin", "list in --since 2h").unwrap();
    ran.ends_with(2).says(&["2 requests"]);
}

#[test]
fn a_leap_second_is_the_beginning_of_the_next() {
    let folder = Folder::new();
    for (name, time) in [
        ("a.json", "2016-12-31T23:59:59.999Z"),
        ("b.json", "2016-12-31T23:59:60.500Z"),
        ("c.json", "2017-01-01T00:00:01.000Z"),
    ] {
        folder.trace(format!("in/{name}"), time, &body(name));
    }
    let all = folder.traces("list in --format ndjson").ends_with(0);
    assert_eq!(listed(&all), ["a.json", "b.json", "c.json"]);
    assert_eq!(all.ndjson()[1]["timestamp"], "2017-01-01T00:00:00.500Z");
    let list =
        |filter: &str| listed(&folder.traces(&format!("list in --format ndjson {filter}")).ends_with(0));
    assert_eq!(list("--since 2016-12-31T23:59:60Z"), ["b.json", "c.json"]);
    assert_eq!(list("--until 2016-12-31T23:59:60Z"), ["a.json"]);
    assert_eq!(list("--since 2017-01-01T01:00:00.500+01:00"), ["b.json", "c.json"]);
    assert_eq!(list("--until 2016-12-31"), ["a.json"]);
    for nonsense in ["2016-12-31T23:59:61Z", "2016-12-31T24:00:00Z", "2017-02-29", "2016-12-31T23:60:00Z"] {
        let ran = folder.traces(&format!("list in --since {nonsense}")).ends_with(2);
        ran.says(&["--since", nonsense, "2025-11-16"]);
    }
}

#[test]
fn the_first_and_the_last_day_of_all_can_be_asked_for() {
    let folder = Folder::new();
    folder.trace("in/a.json", "2025-11-16T10:00:00.000Z", &body("a"));
    for zone in ["UTC", "Pacific/Kiritimati", "America/New_York"] {
        for line in [
            "--since 0001-01-01",
            "--until 9999-12-30",
            "--since 0001-01-01 --until 9999-12-30",
            "--since 99999d",
        ] {
            let Some(ran) = in_zone(&folder, zone, &format!("list in {line}")) else { continue };
            ran.ends_with(0);
        }
        for line in ["--since 9999-12-31", "--until 0000-01-01", "--until 9999-12-31", "--since 999999999d"] {
            let Some(ran) = in_zone(&folder, zone, &format!("list in {line}")) else { continue };
            assert!([0, 2].contains(&ran.code) && !ran.stderr.contains("panicked"), "{zone} {line}: {ran:?}");
        }
    }
}

/// The proxy's clock was set back an hour while it waited for an answer.
fn log_of_a_clock_set_back(banner: &str) -> String {
    let line = |stamp: &str, text: &str| format!("[2025-11-16T{stamp}Z] [ANYCLAUDE DEBUG] {text}\n");
    let name = "lmstudio/qwen3";
    let start = |stamp: &str| line(stamp, &format!("[Request Start] {name} at 2025-11-16T{stamp}Z"));
    let streams =
        |stamp: &str| line(stamp, &format!("[Streaming] Starting stream conversion and pipe for {name}"));
    [
        line("09:59:00.000", banner),
        start("10:00:00.100"),
        streams("10:00:00.101"),
        line("10:00:10.101", "[Keepalive] Sent keepalive #1 (waiting for LMStudio)"),
        // It measures with the clock that was set: what it says is less than nothing.
        line("09:00:12.100", "[Timing] First token received at -3588000ms"),
        line(
            "09:00:20.100",
            &format!("[Request Complete] {name}: -3580000ms (288 chunks, 34757 bytes) | ⚡ 9.6 tok/s"),
        ),
        start("09:00:30.000"),
        streams("09:00:30.001"),
        line("09:00:31.500", "[Timing] First token received at 1500ms"),
        line(
            "09:00:33.000",
            &format!("[Request Complete] {name}: 3000ms (12 chunks, 900 bytes) | ⚡ 7.3 tok/s"),
        ),
    ]
    .concat()
}

#[test]
fn a_clock_that_is_set_back_makes_times_unknown_and_none_negative() {
    let folder = Folder::new();
    let mut streamed = body("a");
    streamed["stream"] = json!(true);
    folder.trace("traces/lmstudio/2025-11-16T10-00-00-099Z.json", "2025-11-16T10:00:00.099Z", &streamed);
    streamed["messages"][0]["content"] = json!("b");
    folder.trace("traces/lmstudio/2025-11-16T09-00-29-999Z.json", "2025-11-16T09:00:29.999Z", &streamed);
    let log = "logs/debug-session-2025-11-16T09-59-00.log";
    folder.write(log, log_of_a_clock_set_back("[Backend Query] Detected model: qwen3"));
    let line = |stamp: &str| {
        format!(
            "{{\"timestamp\":\"2025-11-16T{stamp}Z\",\"systemSize\":31,\"toolCount\":2,\"messageCount\":1,\"streaming\":true,\"provider\":\"lmstudio\",\"model\":\"qwen3\"}}\n"
        )
    };
    folder.write("request-logs/2025-11-16.jsonl", line("10:00:00.050") + &line("09:00:29.900"));
    let found = folder.traces("timing --root . --all --format json").ends_with(0).json();
    let requests = found["requests"].as_array().unwrap();
    // The instant orders them, not the log.
    assert_eq!(
        common::members(&found["requests"], "timestamp"),
        ["2025-11-16T09:00:29.999Z", "2025-11-16T10:00:00.099Z"]
    );
    let (after, before) = (&requests[0]["timing"], &requests[1]["timing"]);
    for (name, ms) in [("ttft_ms", 1500), ("total_ms", 3000), ("generation_ms", 1500)] {
        assert_eq!(after[name], ms, "{name}: {after}");
        assert_eq!(before[name], Value::Null, "{name}: {before}");
    }
    for verb in ["summary", "list", "timing", "prefix", "report --format markdown", "show"] {
        let ran = folder.traces(&format!("{verb} --root . --all")).ends_with(0);
        assert!(!ran.stdout.contains(" -3") && !ran.stdout.contains(" -1"), "{verb}: {}", ran.stdout);
    }
    // When the file was written, by a clock that was wrong, changes nothing.
    let written = File::options().write(true).open(folder.path().join(log)).unwrap();
    for at in [
        SystemTime::now() + Duration::from_secs(400 * 86_400),
        SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 33),
    ] {
        written.set_modified(at).unwrap();
        assert_eq!(folder.traces("timing --root . --all --format json").ends_with(0).json(), found);
    }
}

/// A copy or a restored backup is written at another time than its lines say.
#[test]
fn no_log_is_lost_by_its_name_or_time_of_writing() {
    let folder = Folder::new();
    let mut streamed = body("a");
    streamed["stream"] = json!(true);
    folder.trace("traces/lmstudio/2025-11-16T10-00-00-099Z.json", "2025-11-16T10:00:00.099Z", &streamed);
    let line = |stamp: &str, text: &str| format!("[2025-11-16T{stamp}Z] [ANYCLAUDE DEBUG] {text}\n");
    let log = [
        line("09:59:00.000", "[Backend Query] Detected model: qwen3"),
        line("10:00:00.100", "[Request Start] lmstudio/qwen3 at 2025-11-16T10:00:00.100Z"),
        line("10:00:00.101", "[Streaming] Starting stream conversion and pipe for lmstudio/qwen3"),
        line("10:00:01.600", "[Timing] First token received at 1500ms"),
        line(
            "10:00:03.100",
            "[Request Complete] lmstudio/qwen3: 3000ms (12 chunks, 900 bytes) | ⚡ 7.3 tok/s",
        ),
    ]
    .concat();
    let timed = |name: &str, written: SystemTime, log: &str| {
        folder.write(name, log);
        File::options().write(true).open(folder.path().join(name)).unwrap().set_modified(written).unwrap();
        let ttft_ms = ["--all", ""].map(|all| {
            let line = format!("timing --root . {all} --format json");
            folder.traces(&line).ends_with(0).json()["requests"][0]["timing"]["ttft_ms"].take()
        });
        std::fs::remove_file(folder.path().join(name)).unwrap();
        assert_eq!(ttft_ms[0], ttft_ms[1]);
        ttft_ms[0].clone()
    };
    let instant = |stamp: &str| {
        let ms = stamp.parse::<anyclaude_traces::Timestamp>().unwrap().unix_ms();
        SystemTime::UNIX_EPOCH + Duration::from_millis(ms.unsigned_abs())
    };
    let name = "logs/debug-session-2025-11-16T09-59-00.log";
    let (then, before) = (instant("2025-11-16T10:00:10Z"), instant("2025-11-16T05:00:00Z"));
    let expected = json!(1500);
    assert_eq!(timed(name, then, &log), expected);
    assert_eq!(timed(name, before, &log), expected, "written five hours before its lines");
    let unstamped = "x".repeat(100_000);
    assert_eq!(timed(name, before, &format!("{log}{unstamped}")), expected, "it ends in a long line");
    let renamed = "logs/debug-session-2025-12-24T09-59-00.log";
    assert_eq!(timed(renamed, then, &log), expected, "named after a later time");
}

/// The reply is stamped earlier than its request.
#[test]
fn a_reply_before_its_request_has_no_time() {
    let folder = Folder::new();
    let mut request = trace("2025-11-16T10:00:00.000Z", &body("a"));
    request["mode"] = json!("claude");
    folder.write("in/a.json", request.to_string());
    request["timestamp"] = json!("2025-11-16T09:00:05.000Z");
    request["response"] = json!({ "statusCode": 200, "headers": {}, "body": { "content": [] } });
    folder.write("in/b.json", request.to_string());
    let found = folder.traces("list in --format ndjson").ends_with(0).ndjson();
    for request in &found {
        assert!(request["timing"].is_null() || request["timing"]["total_ms"].is_null(), "{request}");
    }
    assert_eq!(found.len(), 2, "an earlier file answers no later one");
}

#[test]
fn a_zone_that_has_no_end_is_refused() {
    let folder = Folder::new();
    folder.trace("in/a.json", "2025-11-16T10:00:00.000Z", &crate::common::body("a"));
    for zone in ["/dev/zero", ":/dev/zero"] {
        let mut command = crate::common::program(folder.path());
        command.env("TZ", zone);
        let ran = crate::common::run(command, "list in", &[] as &[&str]).ends_with(2);
        ran.says(&["TZ", "/dev/zero"]);
    }
}
