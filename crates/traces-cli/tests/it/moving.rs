//! Files that change while they are read, that lie about their size, and that are
//! many, large or deep.
#![allow(clippy::print_stdout, reason = "what was tried is counted, to be quoted")]

use std::fs::{self, File};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::common::server::{Server, anthropic, openai};
use crate::common::{self, Folder, body, trace};
use serde_json::{Value, json};

const STAMP: &str = "2025-11-16T10:00:00.000Z";

/// Does something to files again and again until it is dropped.
struct Meanwhile {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Meanwhile {
    fn new(mut act: impl FnMut(usize) + Send + 'static) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&done);
        let thread = thread::spawn(move || {
            for round in 0.. {
                if flag.load(Ordering::Relaxed) {
                    break;
                }
                act(round);
            }
        });
        Self { done, thread: Some(thread) }
    }
}

impl Drop for Meanwhile {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(thread::panicking() || ended.is_ok());
    }
}

/// A trace of some 400 kB in `in/moving.json`, between good ones.
fn folder() -> (Folder, Vec<u8>) {
    let folder = Folder::new();
    for name in ["a", "z"] {
        let mut body = body(name);
        body["stream"] = json!(true);
        folder.trace(format!("in/{name}.json"), STAMP, &body);
    }
    let mut large = body("a question");
    large["system"] = json!("a line of the prompt, \"quoted\"\n".repeat(12_000));
    let whole = trace(STAMP, &large).to_string().into_bytes();
    folder.write("in/moving.json", &whole);
    (folder, whole)
}

/// What may be said of a file that changes.
const MOVING: [&str; 4] = ["empty", "truncated", "invalid_json", "unreadable"];

/// Runs every verb on a folder of which one file changes. The others must be there
/// with the numbers that they have alone.
fn reads_the_others(folder: &Folder, whole: &[u8]) {
    let alone = folder.traces("list in/a.json in/z.json --format json").ends_with(0).json();
    let alone = alone["requests"].as_array().unwrap();
    let body_bytes = {
        let whole: Value = serde_json::from_slice(whole).unwrap();
        whole["request"]["body"].to_string().len() as u64
    };
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    for _ in 0..25 {
        let ran = folder.traces("list in --format json");
        assert!(!ran.stderr.contains("panicked") && [0, 3].contains(&ran.code), "{ran:?}");
        let found = ran.json();
        let (moving, others): (Vec<&Value>, Vec<&Value>) = found["requests"]
            .as_array()
            .unwrap()
            .iter()
            .partition(|request| request["path"] == "in/moving.json");
        for (other, alone) in others.iter().zip(alone) {
            for name in ["path", "body_bytes", "system_bytes", "tools_bytes", "messages_bytes", "other_bytes"]
            {
                assert_eq!(other[name], alone[name], "{name}");
            }
        }
        assert_eq!(others.len(), 2, "{found}");
        assert!(moving.iter().all(|moving| moving["body_bytes"] == body_bytes), "{moving:?}");
        let skipped = found["skipped"].as_array().unwrap();
        assert!(skipped.iter().all(|skip| skip["path"] == "in/moving.json"), "{skipped:?}");
        let reasons = common::members(&found["skipped"], "reason");
        assert!(reasons.iter().all(|reason| MOVING.contains(&reason.as_str())), "{skipped:?}");
        let end = reasons.first().map_or("read", String::as_str);
        *seen
            .entry(if moving.is_empty() && reasons.is_empty() { "gone" } else { end }.to_owned())
            .or_default() += 1;
    }
    for line in [
        "summary in",
        "show in/moving.json --text",
        "diff in/moving.json in/a.json --text",
        "timing in",
        "prefix in --text",
        "explain in/a.json in",
        "report in --include-text --format markdown",
        "list in --label x=in/moving.json",
    ] {
        let ran = folder.traces(line);
        assert!(!ran.stderr.contains("panicked"), "{line}: {}", ran.stderr);
        assert!([0, 2, 3].contains(&ran.code), "{line}: {ran:?}");
        assert!(ran.code == 0 || ran.stderr.contains("moving.json"), "{line}: {ran:?}");
    }
    println!("a file that moves was {seen:?}");
}

#[test]
fn a_file_that_grows_and_shrinks_hides_no_other() {
    let (folder, whole) = folder();
    let path = folder.path().join("in/moving.json");
    let content = whole.clone();
    let _writer = Meanwhile::new(move |round| {
        use std::io::Write as _;
        // As the proxy writes it: emptied, then filled piece by piece.
        let mut file = File::create(&path).unwrap();
        for piece in content.chunks(20_000 + round % 7 * 9_000) {
            file.write_all(piece).unwrap();
            thread::yield_now();
        }
        let length = content.len() as u64;
        file.set_len(length - (round as u64 * 7_919) % length).unwrap();
        file.set_len(length).unwrap();
        fs::write(&path, &content).unwrap();
        thread::sleep(Duration::from_millis(round as u64 % 3));
    });
    reads_the_others(&folder, &whole);
}

#[test]
fn a_file_that_comes_and_goes_hides_no_other() {
    let (folder, whole) = folder();
    let (path, beside) = (folder.path().join("in/moving.json"), folder.path().join("beside"));
    let content = whole.clone();
    let _mover = Meanwhile::new(move |round| {
        fs::write(&beside, &content).unwrap();
        fs::rename(&beside, &path).unwrap();
        thread::sleep(Duration::from_millis(round as u64 % 3));
        if round % 3 > 0 {
            fs::remove_file(&path).unwrap();
        }
        if round % 3 == 2 {
            fs::create_dir(&path).unwrap();
            fs::remove_dir(&path).unwrap();
        }
    });
    reads_the_others(&folder, &whole);
}

/// As a file's place may be for a moment.
#[test]
fn an_empty_folder_is_named() {
    let (folder, _) = folder();
    std::fs::create_dir(folder.path().join("bare")).unwrap();
    for line in ["list bare", "diff bare in/a.json", "show bare", "summary bare", "prefix bare"] {
        let ran = folder.traces(line).ends_with(2);
        assert!(ran.stderr.contains("bare: there are no recordings there"), "{line}: {}", ran.stderr);
    }
}

/// What the kernel makes as it is read has no size, or a wrong one.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_lies_about_its_size_is_read_to_its_end() {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    let whole = trace(STAMP, &body(&"a question ".repeat(300))).to_string();
    // The first argument of a process can be read in /proc, with a zero behind it.
    let mut cat =
        Command::new("cat").arg0(&whole).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let folder = Folder::new();
    let path = format!("/proc/{}/cmdline", cat.id());
    // Until it has become `cat`, it is this program.
    while !fs::read(&path).unwrap().starts_with(b"{") {
        thread::yield_now();
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    let found = folder.traces(&format!("list {path} --format json")).ends_with(2).json();
    let detail = found["skipped"][0]["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("byte {} ", whole.len())), "{detail}");
    let ran = folder.traces(&format!("list {path} --max-file-size 100 --format json")).ends_with(2).json();
    assert_eq!(ran["skipped"][0]["reason"], "too_large");
    drop(cat.stdin.take());
    cat.wait().unwrap();
    for path in ["/proc/self/mem", "/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled"] {
        let ran = folder.traces(&format!("list {path}")).ends_with(2);
        ran.says(&["skipped 1 file", path]);
    }
}

/// Each file has 200 names: a hundred thousand files would take most of the time to
/// make.
#[test]
fn a_hundred_thousand_files_are_listed_in_their_order() {
    const FILES: usize = 100_000;
    const TIMES: usize = 500;
    let folder = Folder::new();
    let name = |number: usize| folder.path().join(format!("in/{number:06}.json"));
    let mut expected = Vec::new();
    for number in 0..FILES {
        // The newest has the first name.
        let ms = 999 - number % TIMES;
        if number < TIMES {
            folder.trace(name(number), &format!("2025-11-16T10:00:00.{ms}Z"), &body("a"));
        } else {
            fs::hard_link(name(number % TIMES), name(number)).unwrap();
        }
        expected.push((ms, number));
    }
    folder.write("in/broken.json", "{");
    let listed = folder.traces("list in").ends_with(3).says(&["skipped 1 file", "broken.json"]).stdout;
    let file = |row: &str| row.split(' ').next_back()?.strip_suffix(".json")?.parse().ok();
    let rows = listed.lines().filter(|row| row.contains("  16 Nov "));
    let numbers: Vec<usize> = rows.filter_map(file).collect();
    expected.sort_unstable();
    assert!(numbers.iter().eq(expected.iter().map(|(_, number)| number)), "{} files", numbers.len());
}

/// The file is 2 GiB of which the disk holds a page. Larger than the limit, it is not
/// read; what is read of such a file is 64 MiB, as 2 GiB would need as much memory.
#[test]
fn a_file_of_2_gb_is_left_alone_unless_asked_for() {
    let folder = Folder::new();
    folder.trace("in/good.json", STAMP, &body("a"));
    folder.trace("in/huge.json", STAMP, &body("a"));
    let huge = File::options().write(true).open(folder.path().join("in/huge.json")).unwrap();
    let end = huge.metadata().unwrap().len();
    huge.set_len(2 << 30).unwrap();
    for line in ["list in", "summary in", "prefix in", "report in --format markdown"] {
        let ran = folder.traces(line).ends_with(3);
        ran.says(&["too_large: 2147483648 bytes are more than the limit of 1073741824", "--max-file-size"]);
    }
    folder
        .traces(&format!("list in --max-file-size {}", (2_u64 << 30) - 1))
        .ends_with(3)
        .says(&["too_large"]);
    huge.set_len(64 << 20).unwrap();
    let ran = folder.traces("list in").ends_with(3);
    ran.says(&["invalid_json", &format!("byte {end} ")]);
}

/// 20,000 arrays or objects in one another, wherever a value may stand.
#[test]
fn twenty_thousand_deep_is_not_too_deep() {
    const DEPTH: usize = 20_000;
    let folder = Folder::new();
    let tools = r#""tools":[{"name":"a"}]"#;
    let question = r#""messages":[{"role":"user","content":"a"}]"#;
    let mut names = Vec::new();
    for (kind, open, close) in [("arrays", "[", "]"), ("objects", "{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(DEPTH), close.repeat(DEPTH));
        let places = [
            ("system", format!(r#"{tools},{question},"system":{deep}"#)),
            ("tool", format!(r#""tools":[{{"name":"a","input_schema":{deep}}}],{question}"#)),
            ("content", format!(r#"{tools},"messages":[{{"role":"user","content":{deep}}}]"#)),
            (
                "block",
                format!(r#"{tools},"messages":[{{"content":[{{"type":"tool_result","content":{deep}}}]}}]"#),
            ),
            ("parameter", format!(r#"{tools},{question},"metadata":{{"user_id":{deep}}},"more":{deep}"#)),
            ("model", format!(r#"{tools},{question},"model":{deep}"#)),
        ];
        for (place, members) in places {
            let body = format!(r#"{{"max_tokens":5,{members}}}"#);
            let reply = format!(r#"{{"statusCode":200,"body":{{"usage":{deep},"content":{deep}}}}}"#);
            names.push(format!("{place}-{kind}.json"));
            let trace = format!(
                r#"{{"timestamp":"{STAMP}","mode":"claude","more":{deep},"request":{{"body":{body}}},"response":{reply}}}"#
            );
            folder.write(format!("in/{place}-{kind}.json"), trace);
        }
    }
    let listed = folder.traces("list in --format ndjson").ends_with(0).ndjson();
    assert_eq!(listed.len(), names.len());
    for line in ["summary in", "timing in", "prefix in --text", "report in --include-text -o page.html"] {
        folder.traces(line).ends_with(0);
    }
    for name in &names {
        for format in ["table", "json"] {
            folder.traces(&format!("show in/{name} --text --format {format}")).ends_with(0);
        }
        folder.traces(&format!("diff in/{name} in/{} --text", names[0])).ends_with(0);
    }
    let server = Server::new(|received, answer| {
        answer.stream();
        match received.path.as_str() {
            "/v1/messages" if received.body.len() > DEPTH => answer.events(&anthropic(&["a", "b"])),
            "/v1/chat/completions" => answer.write(openai(&["a", "b"])),
            other => panic!("{other}: {} bytes", received.body.len()),
        }
    });
    for name in names.iter().filter(|name| name.starts_with("tool") || name.starts_with("block")) {
        for api in ["anthropic", "openai"] {
            for cold in ["", "--cold"] {
                let line = format!("replay in/{name} --api {api} --url {} {cold}", server.url);
                folder.traces(&line).ends_with(0);
            }
        }
    }
}
