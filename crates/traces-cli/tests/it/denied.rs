//! What may not be read, and what cannot be written.
#![cfg(unix)]
#![allow(clippy::print_stderr, reason = "a test that cannot be run here says so")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::common::server::{Server, anthropic};
use crate::common::{Folder, Ran, body, program, run};

pub(crate) fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A root with a trace and its logs.
fn folder() -> Folder {
    let folder = Folder::new();
    for (at, name) in ["a", "b"].into_iter().enumerate() {
        folder.trace(
            format!("traces/lmstudio/{name}.json"),
            &format!("2025-11-16T10:00:0{at}.000Z"),
            &body(name),
        );
    }
    folder.trace("traces/other/c.json", "2025-11-16T10:00:05.000Z", &body("c"));
    folder.write("logs/debug-session-2025-11-16T09-59-59.log", "no line\n");
    folder.write("request-logs/2025-11-16.jsonl", "{}\n");
    folder.write("out/old.html", "old");
    folder
}

/// The program as somebody whom permissions bind. For root they do not, so that it is
/// run as nobody, under a name that nobody can reach; `None` where that cannot be.
pub(crate) fn bound(folder: &Folder) -> Option<Command> {
    let mut command = program(folder.path());
    let probe = folder.path().join("probe");
    if !probe.exists() {
        fs::write(&probe, "").unwrap();
        mode(&probe, 0o000);
    }
    if fs::read(&probe).is_err() {
        return Some(command);
    }
    let copy = folder.path().join("program");
    mode(folder.path(), 0o755);
    let original = env!("CARGO_BIN_EXE_traces");
    if !copy.exists() && fs::hard_link(original, &copy).is_err() {
        fs::copy(original, &copy).unwrap();
    }
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    // What was just written may be open for writing in a process that another test starts.
    let works = (0..50).any(|_| {
        let tried = Command::new("setpriv").args(nobody).arg(&copy).arg("--version").output();
        let works = tried.as_ref().is_ok_and(|output| output.status.success());
        if tried.is_ok() && !works {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        works
    });
    if !works {
        eprintln!("left out: permissions do not bind root, and setpriv cannot make it nobody");
        return None;
    }
    let mut setpriv = Command::new("setpriv");
    setpriv.current_dir(folder.path()).args(nobody).arg(copy);
    for (name, value) in command.env("HOME", folder.path()).get_envs() {
        match value {
            Some(value) => setpriv.env(name, value),
            None => setpriv.env_remove(name),
        };
    }
    Some(setpriv)
}

/// Runs `traces LINE` as somebody whom permissions bind.
fn denied(folder: &Folder, line: &str) -> Option<Ran> {
    bound(folder).map(|command| run(command, line, &[] as &[&str]))
}

const DENIED: &str = "ermission denied";

/// Where nothing is left, every verb says what it may not read.
#[test]
fn what_may_not_be_read_is_named_where_it_was_all() {
    let folder = folder();
    mode(&folder.path().join("traces"), 0o000);
    for verb in [
        "summary",
        "list",
        "show",
        "diff",
        "timing",
        "prefix",
        "explain",
        "report -o -",
        "export -o -",
        "replay",
    ] {
        let Some(ran) = denied(&folder, &format!("{verb} --root .")) else { return };
        ran.ends_with(2).says(&["traces", DENIED]);
    }
    mode(&folder.path().join("traces"), 0o700);
}

/// A log that may not be read is told of while it happens as it is afterwards.
#[test]
fn watch_names_the_log_that_it_may_not_read() {
    let folder = folder();
    for log in ["logs/debug-session-2025-11-16T09-59-59.log", "request-logs/2025-11-16.jsonl"] {
        mode(&folder.path().join(log), 0o000);
        let Some(ran) = denied(&folder, "watch --once --format ndjson --root .") else { return };
        let events = ran.ends_with(3).ndjson();
        let skipped: Vec<_> = events.iter().filter(|event| event["event"] == "skipped").collect();
        assert_eq!(skipped.len(), 1, "{skipped:?}");
        assert!(skipped[0]["path"].as_str().unwrap().ends_with(log), "{skipped:?}");
        mode(&folder.path().join(log), 0o644);
    }
}

/// A file that is named beside those of its folder is skipped once.
#[test]
fn a_link_to_itself_is_named_once() {
    let folder = folder();
    std::os::unix::fs::symlink("self.json", folder.path().join("traces/other/self.json")).unwrap();
    let ran = folder.traces("list traces/other/self.json").ends_with(2);
    ran.says(&["skipped 1 file", "self.json: unreadable"]);
}

/// The words of the system stand there once.
#[test]
fn a_cause_is_said_once() {
    let folder = folder();
    fs::create_dir(folder.path().join("locked")).unwrap();
    mode(&folder.path().join("locked"), 0o555);
    let Some(ran) = denied(&folder, "record --dir locked/new -- true") else { return };
    let said = ran.ends_with(2).says(&["locked/new"]).stderr;
    assert_eq!(said.matches(DENIED).count(), 1, "{said}");
    mode(&folder.path().join("traces/lmstudio"), 0o000);
    let said = denied(&folder, "list --root .").unwrap().ends_with(3).stderr;
    assert_eq!(said.matches("lmstudio").count(), 1, "{said}");
    mode(&folder.path().join("traces/lmstudio"), 0o700);
}

#[test]
fn what_may_not_be_read_is_named_and_hides_nothing() {
    // The path, its mode, what is skipped, and how many requests are left.
    let cases = [
        ("traces/lmstudio/a.json", 0o000, "a.json", 2),
        ("traces/lmstudio", 0o000, "lmstudio", 1),
        ("traces/lmstudio", 0o444, "a.json", 1),
        ("traces/lmstudio", 0o311, "lmstudio", 1),
        ("logs/debug-session-2025-11-16T09-59-59.log", 0o000, "09-59-59.log", 3),
        ("request-logs/2025-11-16.jsonl", 0o000, "2025-11-16.jsonl", 3),
        ("logs", 0o000, "logs", 3),
        ("request-logs", 0o000, "request-logs", 3),
    ];
    for (path, bits, named, left) in cases {
        let folder = folder();
        mode(&folder.path().join(path), bits);
        let Some(ran) = denied(&folder, "list --root . --format json") else { return };
        let found = ran.ends_with(3).says(&[named, "unreadable", DENIED]).json();
        assert_eq!(found["requests"].as_array().unwrap().len(), left, "{path} {bits:o}: {found}");
        assert_eq!(found["skipped"][0]["reason"], "unreadable");
        for verb in ["summary", "show", "timing", "prefix", "report --format markdown"] {
            denied(&folder, &format!("{verb} --root .")).unwrap().ends_with(3).says(&[named, DENIED]);
        }
        mode(&folder.path().join(path), 0o700);
    }
}

#[test]
fn where_nothing_may_be_read_it_is_2() {
    let cases = [
        ("traces/lmstudio/a.json", 0o000, "list traces/lmstudio/a.json"),
        ("traces/lmstudio/a.json", 0o000, "show traces/lmstudio/a.json"),
        ("traces/lmstudio/a.json", 0o000, "replay traces/lmstudio/a.json"),
        ("traces/lmstudio", 0o000, "list traces/lmstudio"),
        ("traces/lmstudio", 0o000, "list traces/lmstudio/a.json"),
        ("traces", 0o000, "list --root ."),
        ("traces", 0o000, "summary traces"),
        (
            "logs/debug-session-2025-11-16T09-59-59.log",
            0o000,
            "timing --log logs/debug-session-2025-11-16T09-59-59.log",
        ),
        (
            "out/old.html",
            0o000,
            "explain --root . --label x=traces/lmstudio/a.json --label y=traces/lmstudio/b.json --direct out/old.html out/old.html",
        ),
    ];
    for (path, bits, line) in cases {
        let folder = folder();
        mode(&folder.path().join(path), bits);
        let Some(ran) = denied(&folder, line) else { return };
        assert_eq!(ran.code, 2, "{line}: {ran:?}");
        assert!(ran.stderr.contains(DENIED), "{line}: {}", ran.stderr);
        assert!(!ran.stderr.contains("panicked") && ran.stdout.is_empty(), "{line}: {ran:?}");
        mode(&folder.path().join(path), 0o700);
    }
}

/// A folder's files and what is in them.
fn content(folder: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> =
        entries.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap())).collect();
    files.sort();
    files
}

/// The verbs that write a file, as far as its name.
fn writers(server: &Server) -> [String; 6] {
    [
        "report --root . -o".to_owned(),
        "report --root . --format markdown -o".to_owned(),
        "report --root . --format json -o".to_owned(),
        "export --root . -o".to_owned(),
        "export --root . --format otlp -o".to_owned(),
        format!("replay --root . --url {} --save", server.url),
    ]
}

fn server() -> Server {
    Server::new(|_, answer| {
        answer.stream();
        answer.events(&anthropic(&["a", "b"]));
    })
}

#[test]
fn a_folder_that_may_not_be_written_to_stays_as_it_is() {
    let (server, folder) = (server(), folder());
    let out = folder.path().join("out");
    mode(&out, 0o555);
    for line in writers(&server) {
        for name in ["out/new.html", "out/old.html --force"] {
            let Some(ran) = denied(&folder, &format!("{line} {name}")) else { return };
            ran.ends_with(2).says(&[name.split(' ').next().unwrap(), "cannot write", DENIED]);
            assert_eq!(content(&out), [("old.html".into(), b"old".into())], "{line} {name}");
        }
    }
}

/// The program when no file may be longer than half a kilobyte, as on a disk that
/// is full soon.
fn limited(folder: &Folder) -> Command {
    let plain = program(folder.path());
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 1; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_traces")]);
    command.current_dir(folder.path());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[test]
fn a_full_disk_leaves_no_half_file_and_the_old_one() {
    let (server, folder) = (server(), folder());
    for at in 0..20 {
        folder.trace(format!("traces/more/{at}.json"), "2025-11-16T10:00:02.000Z", &body("more"));
    }
    let out = folder.path().join("out");
    for line in writers(&server) {
        for name in ["out/new.html", "out/old.html --force"] {
            let ran = run(limited(&folder), &format!("{line} {name}"), &[] as &[&str]).ends_with(2);
            ran.says(&[name.split(' ').next().unwrap(), "cannot write", "File too large"]);
            assert_eq!(content(&out), [("old.html".into(), b"old".into())], "{line} {name}");
        }
    }
    // The same for a file that the shell opens.
    let file = fs::File::create(folder.path().join("listed")).unwrap();
    let mut command = limited(&folder);
    let output = command.args(["list", "--root", ".", "--format", "ndjson"]).stdout(file).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("File too large"));
}

/// What is written is for its owner alone, whatever the umask is and was there before.
#[test]
fn files_are_for_their_owner_alone() {
    let (server, folder) = (server(), folder());
    let lax = |line: &str| {
        let plain = program(folder.path());
        let mut command = Command::new("sh");
        command.args(["-c", "umask 000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_traces")]);
        command
            .current_dir(folder.path())
            .envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        run(command, line, &[] as &[&str])
    };
    let out = folder.path().join("out");
    let bits = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777;
    for line in writers(&server) {
        let new = out.join("new");
        lax(&format!("{line} out/new")).ends_with(0);
        assert_eq!(bits(&new), 0o600, "{line}");
        // Over an old file.
        for before in [0o666, 0o644, 0o4755] {
            mode(&new, before);
            lax(&format!("{line} out/new")).ends_with(2).says(&["out/new already exists", "--force"]);
            assert_eq!(bits(&new), before, "{line}");
            lax(&format!("{line} out/new --force")).ends_with(0);
            assert_eq!(bits(&new), 0o600, "{line} over {before:o}");
        }
        // A second name of the file keeps the old content: nothing is written into it.
        fs::write(&new, "old").unwrap();
        fs::hard_link(&new, out.join("second")).unwrap();
        lax(&format!("{line} out/new --force")).ends_with(0);
        assert_eq!(fs::read(out.join("second")).unwrap(), b"old");
        fs::remove_file(out.join("second")).unwrap();
        fs::remove_file(&new).unwrap();
        // A link is a file that exists; by force it is replaced, and where it led is left.
        for target in ["elsewhere", "../folder.html", "nowhere"] {
            fs::create_dir_all(folder.path().join("folder.html")).unwrap();
            fs::write(out.join("elsewhere"), "mine").unwrap();
            std::os::unix::fs::symlink(target, &new).unwrap();
            lax(&format!("{line} out/new")).ends_with(2).says(&["out/new"]);
            let forced = lax(&format!("{line} out/new --force"));
            if target == "../folder.html" {
                forced.ends_with(2).says(&["not a regular file"]);
            } else {
                forced.ends_with(0);
                assert!(fs::symlink_metadata(&new).unwrap().is_file());
                assert_eq!(bits(&new), 0o600, "{line} over a link");
            }
            assert_eq!(fs::read(out.join("elsewhere")).unwrap(), b"mine");
            assert!(!out.join("nowhere").exists());
            fs::remove_file(&new).unwrap();
            fs::remove_file(out.join("elsewhere")).unwrap();
        }
        lax(&format!("{line} out")).ends_with(2).says(&["out: not a regular file"]);
        assert_eq!(content(&out), [("old.html".into(), b"old".into())], "{line} leaves something");
    }
}

/// The system may allow no thread more, as where a user's processes are limited.
#[test]
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn without_another_thread_the_answers_are_the_same() {
    let folder = folder();
    for verb in ["list", "summary", "timing", "prefix", "explain", "report -o -", "export -o -"] {
        let with = run(program(folder.path()), verb, &[] as &[&str]);
        let mut alone = program(folder.path());
        // No stack is that large.
        alone.env("RUST_MIN_STACK", (1_u64 << 50).to_string());
        let alone = run(alone, verb, &[] as &[&str]);
        assert_eq!((alone.code, &alone.stdout), (with.code, &with.stdout), "{verb}: {}", alone.stderr);
    }
    let server = server();
    let mut alone = program(folder.path());
    alone.env("RUST_MIN_STACK", (1_u64 << 50).to_string());
    run(alone, &format!("replay --root . --url {}", server.url), &[] as &[&str]).ends_with(0);
}
