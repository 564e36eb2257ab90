//! What a follower tells of a recording while it is written is what it tells of the same
//! recording once it is finished.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use anyclaude_traces::Timestamp;
use anyclaude_traces::follow::{Event, Follower};
use anyclaude_traces::model::timing::Outcome;
use anyclaude_traces::prompt_cache::CacheOptions;
use anyclaude_traces::select::Filter;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tempfile::TempDir;

/// A recording of two models, with logs of several levels.
fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/home/.anyclaude")
}

/// Something that a writer does at a moment.
#[derive(Debug, Clone)]
struct Write {
    at: Timestamp,
    /// Below the root.
    file: PathBuf,
    bytes: Vec<u8>,
}

/// Everything that was written on this day, in order of time.
fn writes(day: &str) -> Vec<Write> {
    writes_below(&recorded(), day)
}

fn writes_below(root: &Path, day: &str) -> Vec<Write> {
    let mut writes = Vec::new();
    for file in files_below(root) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if !name.contains(day) {
            continue;
        }
        let below = file.strip_prefix(root).unwrap().to_owned();
        let bytes = fs::read(&file).unwrap();
        if below.starts_with("traces") {
            writes.push(Write { at: Timestamp::from_file_name(&name).unwrap(), file: below, bytes });
            continue;
        }
        let named = name.trim_start_matches("debug-session-").trim_end_matches(".log");
        let mut at = Timestamp::from_file_name(&format!("{named}-000Z"));
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            at = stamp(line).or(at).max(at);
            if let Some(at) = at.or_else(|| format!("{day}T00:00:00Z").parse().ok()) {
                writes.push(Write { at, file: below.clone(), bytes: line.to_owned() });
            }
        }
    }
    // A trace is written just before its request is sent.
    writes.sort_by_key(|write| (write.at, !write.file.starts_with("traces")));
    writes
}

/// The first stamp of a line.
fn stamp(line: &[u8]) -> Option<Timestamp> {
    let text = String::from_utf8_lossy(line);
    let at = text.find("20")?;
    text.get(at..at + 24)?.parse().ok()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

fn follower(root: &Path) -> Follower {
    let mut filter = Filter::default();
    filter.roots = vec![root.to_owned()];
    filter.is_whole = true;
    Follower::new(filter, CacheOptions::default()).unwrap()
}

fn append(root: &Path, file: &Path, bytes: &[u8]) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
}

/// The same, as if it were written at this moment.
fn append_at(root: &Path, file: &Path, bytes: &[u8], at: Timestamp) {
    append(root, file, bytes);
    let written = UNIX_EPOCH + Duration::from_millis(at.unix_ms().unsigned_abs());
    let file = fs::File::options().write(true).open(root.join(file)).unwrap();
    file.set_modified(written).unwrap();
}

/// Looks twice, so that nothing is held back, and once when every silence is over.
fn last_looks(follower: &mut Follower, end: Timestamp) -> Vec<Event> {
    [1_000, 2_000, 10_000, 3_600_000].into_iter().flat_map(|ms| follower.look(end.plus_ms(ms))).collect()
}

fn id(event: &Event) -> Option<String> {
    match event {
        Event::Request(began) => Some(began.request.id.to_string()),
        Event::Keepalive(keepalive) => Some(keepalive.id.to_string()),
        Event::FirstToken(first) => Some(first.id.to_string()),
        Event::Completed(ended) | Event::Failed(ended) => Some(ended.request.id.to_string()),
        _ => None,
    }
}

/// What must be the same of each request, however it was followed: that it began, and how
/// it ended.
fn ends(events: &[Event]) -> BTreeMap<String, Vec<String>> {
    let mut ends: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in events {
        let told = match event {
            Event::Request(_) => "request".to_owned(),
            Event::Completed(ended) | Event::Failed(ended) => {
                let is_failed = matches!(event, Event::Failed(_));
                let timing = ended.request.timing.as_deref();
                let facts = timing.map(|timing| {
                    let tokens = (timing.prompt_tokens, timing.output_tokens);
                    (timing.outcome, timing.ttft_ms, timing.total_ms, timing.keepalives, tokens)
                });
                format!("failed: {is_failed} at {} {:?} {facts:?}", ended.at, ended.request.model)
            }
            _ => continue,
        };
        ends.entry(id(event).unwrap()).or_default().push(told);
    }
    ends
}

/// Fails unless the events of each request come in their order, none twice.
fn check_order(events: &[Event]) -> Result<(), TestCaseError> {
    let mut stages: HashMap<String, (u8, u64)> = HashMap::new();
    for event in events {
        let Some(id) = id(event) else { continue };
        let stage = stages.entry(id.clone()).or_default();
        match event {
            Event::Request(_) => {
                prop_assert_eq!(stage.0, 0, "{} began twice", id);
                stage.0 = 1;
            }
            Event::Keepalive(keepalive) => {
                prop_assert_eq!((stage.0, stage.1 + 1), (1, keepalive.n), "{}", id);
                stage.1 += 1;
            }
            Event::FirstToken(_) => {
                prop_assert_eq!(stage.0, 1, "first token of {}", id);
                stage.0 = 2;
            }
            Event::Completed(_) | Event::Failed(_) => {
                prop_assert!((1..=2).contains(&stage.0), "{} ended at stage {}", id, stage.0);
                stage.0 = 3;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Follows a writer who pauses after so many writes, each of which may be torn.
fn followed(writes: &[Write], pauses: &[usize], tear: usize) -> (TempDir, Vec<Event>) {
    let folder = tempfile::tempdir().unwrap();
    let follower = follower(folder.path());
    followed_by(folder, follower, writes, pauses, tear)
}

fn followed_by(
    folder: TempDir,
    mut follower: Follower,
    writes: &[Write],
    pauses: &[usize],
    tear: usize,
) -> (TempDir, Vec<Event>) {
    let (mut events, mut left) = (Vec::new(), writes);
    for pause in pauses.iter().cycle() {
        let Some((last, before)) = left.get(..(*pause).min(left.len())).and_then(<[Write]>::split_last)
        else {
            break;
        };
        before.iter().for_each(|write| append_at(folder.path(), &write.file, &write.bytes, write.at));
        let (head, tail) = last.bytes.split_at(tear.min(last.bytes.len()));
        append_at(folder.path(), &last.file, head, last.at);
        events.extend(follower.look(last.at));
        append_at(folder.path(), &last.file, tail, last.at);
        events.extend(follower.look(last.at.plus_ms(1)));
        left = left.get(before.len() + 1..).unwrap_or_default();
    }
    events.extend(last_looks(&mut follower, writes.last().unwrap().at));
    (folder, events)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, max_shrink_iters: 8, ..ProptestConfig::default() })]

    #[test]
    fn a_growing_recording_tells_what_the_finished_one_tells(
        pauses in prop::collection::vec(20_usize..2_000, 1..6),
        tear in 0_usize..2_000,
    ) {
        let writes = writes("2025-11-16");
        let (folder, growing) = followed(&writes, &pauses, tear);
        let finished = last_looks(&mut follower(folder.path()), writes.last().unwrap().at);
        check_order(&growing)?;
        check_order(&finished)?;
        prop_assert!(ends(&finished).len() > 40, "{} requests", ends(&finished).len());
        prop_assert_eq!(ends(&growing), ends(&finished));
        let skipped = growing.iter().filter(|event| matches!(event, Event::Skipped(_))).count();
        prop_assert_eq!(skipped, 0, "a file that is being written is no bad file");
    }
}

/// What must be the same where a request's figures come from several files, one after the
/// other: which requests there were, and which of them failed.
fn outlines(events: &[Event]) -> BTreeMap<String, Vec<&'static str>> {
    let mut outlines: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
    for (event, name) in events.iter().zip(all_names(events)) {
        if matches!(event, Event::Request(_) | Event::Completed(_) | Event::Failed(_)) {
            outlines.entry(id(event).unwrap()).or_default().push(name);
        }
    }
    outlines
}

/// The last moment that a text names.
fn last_moment(text: &[u8]) -> Option<Timestamp> {
    let text = String::from_utf8_lossy(text);
    let nanos = text.split('"').filter(|piece| piece.len() == 19);
    let nanos = nanos.filter_map(|piece| Timestamp::from_unix_ms(piece.parse::<i64>().ok()? / 1_000_000));
    nanos.chain(text.split('"').filter_map(|piece| piece.parse().ok())).max()
}

/// What Claude Code writes of itself, in the order of time: a line when the last thing that
/// it tells of is over, a body when it is sent, an answer when it has come.
fn writes_of_claude_code(recording: &str) -> Vec<Write> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/claude-code").join(recording);
    let mut writes = Vec::new();
    let mut written: HashMap<String, Timestamp> = HashMap::new();
    let files = files_below(&root);
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "jsonl")) {
        let content = fs::read(file).unwrap();
        let mut last = last_moment(&content).unwrap();
        for line in content.split_inclusive(|byte| *byte == b'\n').rev() {
            let text = String::from_utf8_lossy(line);
            let at = last_moment(line).unwrap_or(last);
            last = at;
            for record in text.split("\"timeUnixNano\":\"").skip(1) {
                let sent = record.get(..13).and_then(|ms| Timestamp::from_unix_ms(ms.parse().ok()?)).unwrap();
                for name in record.split(['"', '/']).filter(|name| name.ends_with(".request.json")) {
                    written.entry(name.to_owned()).or_insert(sent);
                }
            }
            for name in text.split('"').filter(|name| name.ends_with(".response.json")) {
                written.entry(name.to_owned()).or_insert(at.plus_ms(-5));
            }
            writes.push(Write {
                at,
                file: file.strip_prefix(&root).unwrap().to_owned(),
                bytes: line.to_owned(),
            });
        }
    }
    writes.reverse();
    let first = writes.iter().map(|write| write.at).min().unwrap();
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "json")) {
        let at = written.get(&*file.file_name().unwrap().to_string_lossy()).copied().unwrap_or(first);
        let bytes = fs::read(file).unwrap();
        writes.push(Write { at, file: file.strip_prefix(&root).unwrap().to_owned(), bytes });
    }
    writes.sort_by_key(|write| (write.at, write.file.extension().is_some_and(|ending| ending == "jsonl")));
    writes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 8, ..ProptestConfig::default() })]

    #[test]
    fn a_growing_recording_of_claude_code_tells_what_the_finished_one_tells(
        recording in prop::sample::select(vec!["two-models", "troubles", "older"]),
        pauses in prop::collection::vec(1_usize..9, 1..6),
        tear in 0_usize..2_000,
    ) {
        let writes = writes_of_claude_code(recording);
        let folder = tempfile::tempdir().unwrap();
        // It is recognised as a recording by what is there when it begins.
        fs::create_dir(folder.path().join("bodies")).unwrap();
        let follower = follower(folder.path());
        let (folder, growing) = followed_by(folder, follower, &writes, &pauses, tear);
        let finished = last_looks(&mut self::follower(folder.path()), writes.last().unwrap().at);
        check_order(&growing)?;
        check_order(&finished)?;
        prop_assert!(!outlines(&finished).is_empty());
        prop_assert_eq!(outlines(&growing), outlines(&finished));
    }

    #[test]
    fn a_growing_log_of_the_server_changes_no_request(
        pauses in prop::collection::vec(1_usize..60, 1..6),
        tear in 0_usize..200,
    ) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/served");
        let mut writes = writes_below(&root.join(".anyclaude"), "2025-12-08");
        let log = fs::read(root.join("server.log")).unwrap();
        let lines: Vec<&[u8]> = log.split_inclusive(|byte| *byte == b'\n').collect();
        // Nothing tells when its lines were written: about when the client's were.
        let moments: Vec<Timestamp> = writes.iter().map(|write| write.at).collect();
        // A log that is named must be one.
        let (first, lines) = lines.split_first().unwrap();
        for (place, line) in lines.iter().enumerate() {
            let at = moments[place * moments.len() / lines.len()];
            writes.push(Write { at, file: "server.log".into(), bytes: line.to_vec() });
        }
        writes.sort_by_key(|write| (write.at, !write.file.starts_with("traces")));
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("server.log"), first).unwrap();
        let by_log = |root: &Path| {
            let mut filter = Filter::default();
            (filter.roots, filter.is_whole) = (vec![root.to_owned()], true);
            filter.server_logs = vec![root.join("server.log")];
            Follower::new(filter, CacheOptions::default()).unwrap()
        };
        let follower = by_log(folder.path());
        let (folder, growing) = followed_by(folder, follower, &writes, &pauses, tear);
        let finished = last_looks(&mut by_log(folder.path()), writes.last().unwrap().at);
        check_order(&growing)?;
        prop_assert!(outlines(&finished).len() > 3);
        prop_assert_eq!(outlines(&growing), outlines(&finished));
    }
}

#[test]
fn a_look_at_which_nothing_changed_tells_nothing() {
    let mut follower = follower(&recorded());
    let end = "2025-11-17T00:00:00Z".parse().unwrap();
    assert!(!last_looks(&mut follower, end).is_empty());
    assert!(last_looks(&mut follower, end).is_empty());
}

/// Events by name.
fn names(events: &[Event]) -> Vec<&'static str> {
    all_names(events).into_iter().filter(|name| *name != "finding").collect()
}

fn all_names(events: &[Event]) -> Vec<&'static str> {
    let name = |event: &Event| match event {
        Event::Request(_) => "request",
        Event::Keepalive(_) => "keepalive",
        Event::FirstToken(_) => "first_token",
        Event::Completed(_) => "completed",
        Event::Failed(_) => "failed",
        Event::Skipped(_) => "skipped",
        _ => "finding",
    };
    events.iter().map(name).collect()
}

const TRACE: &str = r#"{"timestamp": "2025-11-16T08:00:00.000Z", "mode": "lmstudio", "request": {"url": "/v1/messages",
    "body": {"stream": true, "max_tokens": 32000, "tools": [{"name": "Bash"}],
    "messages": [{"role": "user", "content": "Hello"}]}}}"#;

/// A debug log at level 2, line by line.
fn log() -> Vec<String> {
    let line = |at: &str, text: &str| format!("[2025-11-16T08:{at}Z] [ANYCLAUDE DEBUG] {text}\n");
    let rule = "═".repeat(60);
    vec![
        format!("{rule}\nANYCLAUDE DEBUG SESSION - Level 2\nStarted: 2025-11-16T07:59:00.000Z\n{rule}\n"),
        line("00:00.005", "[Request Start] lmstudio/qwen3 at 2025-11-16T08:00:00.005Z"),
        line("00:00.006", "[Streaming] Starting stream conversion and pipe for lmstudio/qwen3"),
        line("00:10.010", "[Keepalive] Sent keepalive #1 (waiting for LMStudio)"),
        line("00:20.010", "[Keepalive] Sent keepalive #2 (waiting for LMStudio)"),
        line("00:25.005", "[Timing] First token received at 25000ms"),
        line("00:25.006", "[Keepalive] Cleared (stream started after 2 keepalives)"),
        line(
            "00:31.005",
            "[Request Complete] lmstudio/qwen3: 31000ms (90 chunks, 9000 bytes) | ⚡ 12.0 tok/s",
        ),
    ]
}

fn at(second: i64) -> Timestamp {
    "2025-11-16T08:00:00Z".parse::<Timestamp>().unwrap().plus_ms(second * 1000)
}

const LOG: &str = "logs/debug-session-2025-11-16T07-59-00.log";

#[test]
fn a_request_is_followed_from_its_start_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut follower = follower(folder.path());
    let lines = log();
    append(folder.path(), Path::new(LOG), lines[0].as_bytes());
    assert!(follower.look(at(-10)).is_empty());
    append(folder.path(), Path::new("traces/lmstudio/2025-11-16T08-00-00-000Z.json"), TRACE.as_bytes());
    append(folder.path(), Path::new(LOG), (lines[1].clone() + &lines[2]).as_bytes());
    let mut told = follower.look(at(1));
    let running: Vec<_> = follower.running().map(|running| running.request.model.clone()).collect();
    assert_eq!(running, [Some("qwen3".into())]);
    for (line, second) in lines[3..].iter().zip([10, 20, 25, 25, 31]) {
        append(folder.path(), Path::new(LOG), line.as_bytes());
        told.extend(follower.look(at(second)));
    }
    assert_eq!(names(&told), ["request", "keepalive", "keepalive", "first_token"], "its usage may follow");
    told.extend(follower.look(at(32)));
    assert_eq!(names(&told)[4..], ["completed"]);
    assert_eq!(follower.running().count(), 0);
    let ats: Vec<i64> =
        told.iter().filter(|event| id(event).is_some()).map(|event| event.at().ms_since(at(0))).collect();
    assert_eq!(ats, [0, 10_005, 20_005, 25_005, 31_005]);
}

#[test]
fn a_writer_that_dies_leaves_a_request_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let mut follower = follower(folder.path());
    append(folder.path(), Path::new("traces/lmstudio/2025-11-16T08-00-00-000Z.json"), TRACE.as_bytes());
    append(folder.path(), Path::new(LOG), log()[..4].concat().as_bytes());
    for file in files_below(folder.path()) {
        fs::File::options()
            .write(true)
            .open(file)
            .unwrap()
            .set_modified(UNIX_EPOCH + Duration::from_millis(at(11).unix_ms().unsigned_abs()))
            .unwrap();
    }
    assert_eq!(names(&follower.look(at(11))), ["request", "keepalive"]);
    assert!(follower.look(at(900)).is_empty(), "the proxy itself waits for 10 minutes");
    assert_eq!(names(&follower.look(at(11 + 900))), ["failed"]);
    assert!(follower.look(at(3600)).is_empty());
    assert_eq!(follower.running().count(), 0);
}

/// A recording that was copied a moment ago is as old as what it tells; one that goes on is
/// followed, however old its stamps are.
#[test]
fn a_copy_of_a_request_without_an_end_is_not_waited_for() {
    let copied = |sent_before_s: i64| {
        let folder = tempfile::tempdir().unwrap();
        let now = at(sent_before_s);
        append_at(
            folder.path(),
            Path::new("traces/lmstudio/2025-11-16T08-00-00-000Z.json"),
            TRACE.as_bytes(),
            now,
        );
        append_at(folder.path(), Path::new(LOG), log()[..3].concat().as_bytes(), now);
        let mut follower = follower(folder.path());
        let told = names(&follower.look(now));
        (told, follower.running().count(), folder, follower)
    };
    let (told, running, ..) = copied(3_600);
    assert_eq!((&told[..], running), (&["request", "failed"][..], 0));
    let (told, running, folder, mut follower) = copied(600);
    assert_eq!((&told[..], running), (&["request"][..], 1), "it may have been sent just now");
    append_at(folder.path(), Path::new(LOG), log()[3].as_bytes(), at(610));
    assert_eq!(names(&follower.look(at(610))), ["keepalive"]);
    assert!(follower.look(at(1_500)).is_empty(), "it was heard of since");
    assert_eq!(names(&follower.look(at(1_510))), ["failed"]);
}

/// Claude Code tells of an end when it comes. In a finished recording a request without one
/// was given up; in one that goes on it is waited for.
#[test]
fn a_request_that_is_waited_for_was_not_given_up() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("bodies")).unwrap();
    let mut follower = follower(folder.path());
    let body = r#"{"model":"m","max_tokens":99,"messages":[{"role":"user","content":"Hello"}],"tools":[{"name":"Bash"}]}"#;
    let attribute =
        |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#);
    let attributes = [
        ("session.id", "s"),
        ("event.name", "api_request_body"),
        ("body_ref", "/home/heron/bodies/a.request.json"),
        ("model", "m"),
        ("query_source", "sdk"),
        ("request_body_id", "a"),
    ];
    let attributes = attributes.map(|(key, value)| attribute(key, value)).join(",");
    let nanos = at(0).unix_ms() * 1_000_000;
    let event = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"{nanos}","body":{{"stringValue":"claude_code.api_request_body"}},"attributes":[{attributes}]}}]}}]}}]}}"#
    );
    let mut told = follower.look(at(0));
    // Whichever is seen first.
    append_at(folder.path(), Path::new("logs.jsonl"), (event + "\n").as_bytes(), at(1));
    told.extend(follower.look(at(1)));
    append_at(folder.path(), Path::new("bodies/a.request.json"), body.as_bytes(), at(0));
    told.extend(follower.look(at(2)));
    told.extend(follower.look(at(5)));
    assert_eq!(all_names(&told), ["request"], "nothing is found out yet");
    let outcome = |event: &Event| match event {
        Event::Request(began) => began.request.timing.as_ref().and_then(|timing| timing.outcome),
        Event::Failed(ended) => ended.request.timing.as_ref().and_then(|timing| timing.outcome),
        _ => None,
    };
    assert_eq!((outcome(&told[0]), follower.running().count()), (None, 1));
    let told = follower.look(at(900));
    assert_eq!(all_names(&told), ["failed", "finding"]);
    assert_eq!((outcome(&told[0]), follower.running().count()), (Some(Outcome::Disconnected), 0));
}

/// Its log goes on with others, so that it is never silent.
#[test]
fn a_request_that_its_process_left_behind_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let mut follower = follower(folder.path());
    append(folder.path(), Path::new("traces/lmstudio/2025-11-16T08-00-00-000Z.json"), TRACE.as_bytes());
    append(folder.path(), Path::new(LOG), log()[..3].concat().as_bytes());
    assert_eq!(names(&follower.look(at(1))), ["request"]);
    for minute in [5, 14, 16] {
        let later = |text: &str| text.replace("T08:00:", &format!("T08:{minute:02}:"));
        let name = format!("traces/lmstudio/2025-11-16T08-{minute:02}-00-000Z.json");
        append(folder.path(), Path::new(&name), later(TRACE).replace("Hello", &name).as_bytes());
        append(folder.path(), Path::new(LOG), later(&log()[1..].concat()).as_bytes());
        let told = [0, 31, 32].map(|second| names(&follower.look(at(60 * minute + second)))).concat();
        let failed = told.iter().filter(|name| **name == "failed").count();
        assert_eq!(failed, usize::from(minute == 16), "{minute}: {told:?}");
    }
    assert_eq!(follower.running().count(), 0);
}

#[test]
fn a_log_that_is_cut_or_replaced_tells_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut follower = follower(folder.path());
    append(folder.path(), Path::new("traces/lmstudio/2025-11-16T08-00-00-000Z.json"), TRACE.as_bytes());
    append(folder.path(), Path::new(LOG), log()[..4].concat().as_bytes());
    let mut told = follower.look(at(11));
    let path = folder.path().join(LOG);
    fs::write(&path, log()[..2].concat()).unwrap();
    told.extend(follower.look(at(12)));
    fs::rename(&path, path.with_extension("log.1")).unwrap();
    told.extend(follower.look(at(13)));
    fs::write(&path, log().concat()).unwrap();
    told.extend(follower.look(at(33)));
    told.extend(follower.look(at(34)));
    assert_eq!(names(&told), ["request", "keepalive", "keepalive", "first_token", "completed"]);
}

#[test]
fn a_file_that_stays_cut_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut follower = follower(folder.path());
    assert!(follower.look(at(0)).is_empty());
    append(folder.path(), Path::new("traces/a.json"), &TRACE.as_bytes()[..60]);
    append(folder.path(), Path::new("traces/b.json"), b"nonsense");
    let told = [1, 2, 4, 9].map(|second| names(&follower.look(at(second))));
    assert_eq!(told, [vec!["skipped"], vec![], vec!["skipped"], vec![]]);
    append(folder.path(), Path::new("traces/a.json"), &TRACE.as_bytes()[60..]);
    follower.look(at(10));
    assert_eq!(names(&follower.look(at(11))), ["request"]);
}

/// Who begins to look while a file is written does not call it a bad one; one that was left
/// half written is.
#[test]
fn a_file_that_is_cut_at_the_first_look_has_as_long_as_any() {
    let folder = tempfile::tempdir().unwrap();
    append(folder.path(), Path::new("traces/a.json"), &TRACE.as_bytes()[..60]);
    let written = UNIX_EPOCH + Duration::from_millis(at(0).unix_ms().unsigned_abs());
    let path = folder.path().join("traces/a.json");
    fs::File::options().write(true).open(path).unwrap().set_modified(written).unwrap();
    let told = |first, second| {
        let mut follower = follower(folder.path());
        [first, second].map(|second| names(&follower.look(at(second))))
    };
    assert_eq!(told(1, 2), [vec![], vec!["skipped"]]);
    assert_eq!(told(9, 10), [vec!["skipped"], vec![]]);
}

/// However many looks come between the line that ends a request and that of its usage.
#[test]
fn an_end_waits_for_its_usage() {
    let folder = tempfile::tempdir().unwrap();
    let mut follower = follower(folder.path());
    append(folder.path(), Path::new("traces/lmstudio/2025-11-16T08-00-00-000Z.json"), TRACE.as_bytes());
    append(folder.path(), Path::new(LOG), log().concat().as_bytes());
    let looks = [31_005, 31_006, 31_100].map(|ms| follower.look(at(0).plus_ms(ms)));
    assert!(looks.iter().flatten().all(|event| !matches!(event, Event::Completed(_))));
    let usage =
        r#"[Cache Metrics] Recorded streaming response metrics {"inputTokens":900,"outputTokens":80}"#;
    let line = format!("[2025-11-16T08:00:31.006Z] [ANYCLAUDE DEBUG] {usage}\n");
    append(folder.path(), Path::new(LOG), line.as_bytes());
    let told = follower.look(at(0).plus_ms(31_101));
    let counted = |event: &Event| match event {
        Event::Completed(ended) => {
            ended.request.timing.as_ref().and_then(|timing| timing.prompt_tokens.get())
        }
        _ => None,
    };
    assert_eq!(told.iter().filter_map(counted).collect::<Vec<_>>(), [900]);
}

/// A follower of a recording, and of the servers' logs at this path.
fn follower_by(root: &Path, server_log: &Path) -> Follower {
    let mut filter = Filter::default();
    (filter.roots, filter.is_whole) = (vec![root.to_owned()], true);
    filter.server_logs = vec![server_log.to_owned()];
    Follower::new(filter, CacheOptions::default()).unwrap()
}

/// What is said of all requests, and how many of them a server's log tells of.
fn figures(follower: &Follower) -> (Vec<String>, usize) {
    let requests = &follower.situation().requests;
    let told = requests.iter().map(|request| format!("{} {:?}", request.id, request.timing)).collect();
    (told, requests.iter().filter(|request| request.server_task().is_some()).count())
}

#[test]
fn a_servers_log_that_is_rotated_tells_what_one_file_tells() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/served");
    let text = fs::read(root.join("server.log")).unwrap();
    let recorded = root.join(".anyclaude");
    let end = "2025-12-09T00:00:00Z".parse().unwrap();
    let mut whole = follower_by(&recorded, &root.join("server.log"));
    let events = last_looks(&mut whole, end);
    let expected = figures(&whole);
    assert!(expected.1 > 3, "{expected:?}");
    for (place, rotate) in [3, 6, 8].into_iter().zip(["rename", "copy", "rename and compress"]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let (before, after) = text.split_at(text.len() * place / 10);
        let (seen, unseen) = before.split_at(before.len() - 90);
        fs::write(&path, seen).unwrap();
        let mut follower = follower_by(&recorded, &path);
        let mut told = follower.look(end.plus_ms(-10));
        append(folder.path(), Path::new("server.log"), unseen);
        match rotate {
            "rename" => fs::rename(&path, folder.path().join("server.log.1")).unwrap(),
            "copy" => {
                fs::copy(&path, folder.path().join("server.log.1")).unwrap();
                fs::write(&path, "").unwrap();
            }
            _ => {
                let compressed = folder.path().join("server.log.1.gz");
                let mut gzip = flate2::write::GzEncoder::new(
                    fs::File::create(compressed).unwrap(),
                    flate2::Compression::fast(),
                );
                gzip.write_all(before).unwrap();
                gzip.finish().unwrap();
                fs::remove_file(&path).unwrap();
            }
        }
        told.extend(follower.look(end.plus_ms(-5)));
        append(folder.path(), Path::new("server.log"), after);
        told.extend(last_looks(&mut follower, end));
        check_order(&told).unwrap();
        assert_eq!(figures(&follower), expected, "{rotate}");
        assert_eq!(outlines(&told), outlines(&events), "{rotate}");
    }
}

/// LM Studio begins another file at midnight, whatever it is working on.
#[test]
fn a_log_that_comes_beside_others_is_followed_as_one_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let line = |at: &str, text: &str| format!("[{at}][INFO][m] {text}\n");
    let received = |at: &str| {
        format!(
            "[{at}][DEBUG] Received request: POST to /v1/messages with body {{\n  \"model\": \"m\",\n  \"messages\": [],\n  \"stream\": true\n}}\n"
        )
    };
    let mut follower = {
        let day = received("2026-06-24 23:59:40")
            + &line("2026-06-24 23:59:40", "Running chat completion on conversation with 1 messages.")
            + &line("2026-06-24 23:59:45", "Finished streaming response")
            + &received("2026-06-24 23:59:50")
            + &line("2026-06-24 23:59:50", "Running chat completion on conversation with 3 messages.");
        append(folder.path(), Path::new("2026-06-24.1.log"), day.as_bytes());
        fs::create_dir(folder.path().join("recorded")).unwrap();
        follower_by(&folder.path().join("recorded"), folder.path())
    };
    let at = |second: i64| "2026-06-24T23:59:00Z".parse::<Timestamp>().unwrap().plus_ms(second * 1_000);
    let mut told = follower.look(at(55));
    assert_eq!(all_names(&told), ["request", "completed", "request"]);
    let rest = line("2026-06-25 00:00:04", "Finished streaming response")
        + &received("2026-06-25 00:00:10")
        + &line("2026-06-25 00:00:10", "Running chat completion on conversation with 5 messages.");
    append(folder.path(), Path::new("2026-06-25.1.log"), rest.as_bytes());
    told.extend([71, 72].map(|second| follower.look(at(second))).concat());
    assert_eq!(all_names(&told)[3..], ["completed", "request"]);
    check_order(&told).unwrap();
    fs::rename(folder.path().join("2026-06-24.1.log"), folder.path().join("elsewhere.txt")).unwrap();
    let end = line("2026-06-25 00:00:20", "Finished streaming response");
    append(folder.path(), Path::new("2026-06-25.1.log"), end.as_bytes());
    told.extend([81, 82].map(|second| follower.look(at(second))).concat());
    assert_eq!(all_names(&told)[5..], ["completed"]);
    check_order(&told).unwrap();
}

#[test]
fn a_recording_that_is_removed_and_comes_back_tells_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("recorded");
    fs::create_dir(&root).unwrap();
    let mut follower = follower(&root);
    let trace = Path::new("traces/lmstudio/2025-11-16T08-00-00-000Z.json");
    append(&root, trace, TRACE.as_bytes());
    append(&root, Path::new(LOG), log()[..4].concat().as_bytes());
    let mut told = [11, 12].map(|second| follower.look(at(second))).concat();
    fs::rename(&root, folder.path().join("away")).unwrap();
    told.extend([13, 14].map(|second| follower.look(at(second))).concat());
    assert_eq!((names(&told), follower.running().count()), (vec!["request", "keepalive"], 0));
    fs::rename(folder.path().join("away"), &root).unwrap();
    append(&root, Path::new(LOG), log()[4..].concat().as_bytes());
    told.extend([33, 34].map(|second| follower.look(at(second))).concat());
    assert_eq!(names(&told)[2..], ["keepalive", "first_token", "completed"]);
    fs::remove_dir_all(&root).unwrap();
    assert!(follower.look(at(35)).is_empty());
    assert!(follower.situation().requests.is_empty());
}

/// As a machine's clock does that was wrong.
#[test]
fn a_clock_that_steps_back_loses_nothing_and_tells_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut follower = follower(folder.path());
    let trace = Path::new("traces/lmstudio/2025-11-16T08-00-00-000Z.json");
    append(folder.path(), trace, TRACE.as_bytes());
    let mut told = Vec::new();
    for (line, second) in log().iter().zip([0, 1, 2, 10, -3_600, -3_590, -3_580, -3_570]) {
        append(folder.path(), Path::new(LOG), line.as_bytes());
        told.extend(follower.look(at(second)));
    }
    told.extend(follower.look(at(-3_500)));
    assert_eq!(names(&told), ["request", "keepalive", "keepalive", "first_token", "completed"]);
    append(folder.path(), Path::new("traces/b.json"), &TRACE.as_bytes()[..60]);
    let told = [-3_490, 60, 70].map(|second| names(&follower.look(at(second))));
    assert_eq!(told.concat(), ["skipped"], "a file that stays cut");
}

/// Whoever may read anything is not stopped by permissions: the test tells nothing then.
#[test]
#[cfg(unix)]
fn a_folder_that_may_not_be_read_any_more_is_told_of_once() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let mut follower = follower(folder.path());
    append(folder.path(), Path::new("traces/lmstudio/2025-11-16T08-00-00-000Z.json"), TRACE.as_bytes());
    let mut told = [1, 2].map(|second| follower.look(at(second))).concat();
    let traces = folder.path().join("traces/lmstudio");
    let allow = |mode| fs::set_permissions(&traces, fs::Permissions::from_mode(mode)).unwrap();
    let later = TRACE.replace("T08:00:00", "T08:01:00").replace("Hello", "Bye");
    append(folder.path(), Path::new("traces/lmstudio/2025-11-16T08-01-00-000Z.json"), later.as_bytes());
    allow(0o000);
    let is_stopped = fs::read_dir(&traces).is_err();
    told.extend([3, 4, 5].map(|second| follower.look(at(second))).concat());
    allow(0o755);
    told.extend([6, 7].map(|second| follower.look(at(second))).concat());
    let expected =
        if is_stopped { vec!["request", "skipped", "request"] } else { vec!["request", "request"] };
    assert_eq!(names(&told), expected);
}
