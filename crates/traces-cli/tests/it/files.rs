//! Files that are none, links, and names that no one should choose.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use crate::common::{self, Folder, body};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// A folder with one good trace in `in/`.
fn good() -> Folder {
    let folder = Folder::new();
    folder.trace("in/good.json", "2025-11-16T10:00:00.000Z", &body("a"));
    folder
}

fn fifo(folder: &Folder, name: &str) {
    mkfifo(&folder.path().join(name), Mode::S_IRWXU).unwrap();
}

#[test]
fn what_is_no_regular_file_is_passed_over_in_silence() {
    let folder = good();
    fifo(&folder, "in/fifo.json");
    let _socket = UnixListener::bind(folder.path().join("in/socket.json")).unwrap();
    symlink("/dev/null", folder.path().join("in/null.json")).unwrap();
    symlink(folder.path().join("in/fifo.json"), folder.path().join("in/to-fifo.json")).unwrap();
    fs::create_dir(folder.path().join("in/folder.json")).unwrap();
    for line in ["list in --format ndjson", "summary in", "show in", "show in/good.json", "diff in in"] {
        let ran = folder.traces(line).ends_with(0);
        assert_eq!(ran.stderr, "", "{line}");
    }
    assert_eq!(folder.traces("list in --format ndjson").ndjson().len(), 1);
}

#[test]
fn what_is_no_regular_file_is_an_error_when_named() {
    let folder = good();
    fifo(&folder, "fifo.json");
    let _socket = UnixListener::bind(folder.path().join("socket.json")).unwrap();
    for name in ["fifo.json", "socket.json", "/dev/null"] {
        for verb in ["list", "summary", "show", "timing", "diff in/good.json"] {
            let ran = folder.traces(&format!("{verb} {name}")).ends_with(2);
            assert_eq!(ran.stdout, "", "{verb} {name}");
            ran.says(&[name, "not a regular file"]);
        }
        let beside = folder.traces(&format!("list {name} in --format json")).ends_with(3).json();
        assert_eq!(beside["skipped"][0]["reason"], "unreadable");
        for more in ["timing in --log", "report in -o", "replay in --save", "list --root"] {
            folder.traces(&format!("{more} {name}")).ends_with(2).says(&[name]);
        }
    }
}

/// A file for which there is no memory.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_does_not_fit_into_memory_is_skipped() {
    let folder = good();
    let large = fs::File::create(folder.path().join("in/large.json")).unwrap();
    large.set_len(900_000_000).unwrap();
    let mut shell = std::process::Command::new("sh");
    shell.current_dir(folder.path()).env("HOME", folder.path());
    shell.args(["-c", "ulimit -v 700000 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_traces")]);
    let ran = common::run(shell, "list in --format json", &[] as &[&str]).ends_with(3);
    let found = ran.json();
    assert_eq!(found["requests"].as_array().unwrap().len(), 1);
    assert_eq!(found["skipped"][0]["reason"], "unreadable");
    assert_eq!(found["skipped"][0]["detail"], "not enough memory to read 900000000 bytes");
}

#[test]
fn links_to_files_are_followed_and_links_to_folders_only_when_named() {
    let folder = good();
    folder.trace("else/where.json", "2025-11-16T10:00:01.000Z", &body("b"));
    symlink(folder.path().join("else/where.json"), folder.path().join("in/link.json")).unwrap();
    symlink(folder.path().join("else"), folder.path().join("in/folder")).unwrap();
    symlink(folder.path().join("in"), folder.path().join("in/loop")).unwrap();
    let count = |line: &str| folder.traces(line).ends_with(0).ndjson().len();
    assert_eq!(count("list in --format ndjson"), 2);
    assert_eq!(count("list in/folder --format ndjson"), 1);
    fs::remove_file(folder.path().join("in/link.json")).unwrap();
    assert_eq!(count("list in --format ndjson"), 1);
}

#[test]
fn links_that_lead_in_circles_are_named_and_hide_nothing() {
    let folder = good();
    for (name, target) in [("self.json", "self.json"), ("a.json", "b.json"), ("b.json", "a.json")] {
        symlink(target, folder.path().join("in").join(name)).unwrap();
    }
    // A folder that holds itself, and one that holds that one.
    symlink(".", folder.path().join("in/here")).unwrap();
    symlink("../in", folder.path().join("in/above.json")).unwrap();
    for verb in ["list", "summary", "show", "timing", "prefix"] {
        let ran = folder.traces(&format!("{verb} in")).ends_with(3);
        ran.says(&["skipped 3 files", "in/self.json: unreadable: Too many levels", "in/a.json", "in/b.json"]);
    }
    for line in
        ["list in/self.json", "show in/a.json", "diff in/good.json in/b.json", "timing --log in/a.json"]
    {
        folder.traces(line).ends_with(2).says(&["Too many levels"]);
    }
    for line in ["list in/here/here/here --format ndjson", "list in/above.json --format ndjson"] {
        assert_eq!(folder.traces(line).ends_with(3).ndjson().len(), 1, "{line}");
    }
    let written = folder.traces("report in -o in/self.json").ends_with(2);
    written.says(&["in/self.json", "already exists"]);
}

#[test]
fn unreadable_files_are_skipped_in_the_systems_own_words() {
    let folder = good();
    symlink(folder.path().join("nowhere"), folder.path().join("in/dangling.json")).unwrap();
    let ran = folder.traces("list in --format json").ends_with(3);
    let found = ran.says(&["dangling.json", "unreadable", "No such file"]).json();
    assert_eq!(found["requests"].as_array().unwrap().len(), 1);
    assert_eq!(found["skipped"][0]["reason"], "unreadable");

    let locked = folder.path().join("in/locked.json");
    fs::write(&locked, "{}").unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&locked).is_err() {
        let ran = folder.traces("list in --format json").ends_with(3);
        let found = ran.says(&["locked.json", "unreadable", "ermission denied"]).json();
        assert_eq!(found["skipped"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn an_unreadable_folder_hides_no_other() {
    let folder = good();
    folder.trace("in/locked/c.json", "2025-11-16T10:00:01.000Z", &body("c"));
    let locked = folder.path().join("in/locked");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read_dir(&locked).is_err() {
        let ran = folder.traces("list in --format json").ends_with(3);
        assert_eq!(ran.json()["requests"].as_array().unwrap().len(), 1);
        ran.says(&["locked", "unreadable"]);
    }
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
}

/// Names that hold what a terminal obeys.
const NAMES: [&str; 4] = [
    "line\nbreak.json",
    "red\u{1b}[31m.json",
    "clip\u{1b}]52;c;eA==\u{7}.json",
    "c1\u{9b}31m\u{202e}nosj.json",
];

#[test]
fn file_names_reach_the_terminal_without_what_it_obeys() {
    let folder = Folder::new();
    for (at, name) in NAMES.iter().enumerate() {
        folder.trace(format!("in/{name}"), &format!("2025-11-16T10:00:0{at}.000Z"), &body("a"));
        folder.write(format!("broken/{name}"), "{");
    }
    for line in ["list in", "list in broken --format markdown", "show in", "show in --format markdown"] {
        let ran = folder.traces(line);
        assert!([0, 3].contains(&ran.code), "{line}");
        for text in [&ran.stdout, &ran.stderr] {
            let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!text.contains(steers), "{line}: {text:?}");
            assert!(!text.lines().any(|row| row.starts_with("break")), "{line}: {text:?}");
        }
    }
    let list = folder.traces("list in --format json").ends_with(0);
    assert!(!list.stdout.contains(|c: char| c.is_control() && c != '\n'));
    let paths = common::members(&list.json()["requests"], "path");
    assert_eq!(paths, NAMES.map(|name| format!("in/{name}")));
}

#[test]
fn a_name_of_any_kind_can_be_given() {
    let folder = Folder::new();
    for name in NAMES.into_iter().chain(["two words.json", "-dash.json", "日本語.json"]) {
        folder.trace(name, "2025-11-16T10:00:00.000Z", &body("a"));
        let ran = folder.traces_with("show --format json --", &[name]).ends_with(0);
        assert_eq!(ran.json()["path"], name);
    }
    let missing = folder.traces_with("list", &["no\u{1b}[31m\u{9b}31m\nsuch.json"]).ends_with(2);
    assert!(!missing.stderr.contains(|c: char| c.is_control() && c != '\n'), "{:?}", missing.stderr);
}

/// Some systems refuse such names.
#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_utf_8_is_printed_with_replacement_characters_and_taken_as_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let folder = Folder::new();
    let name = OsStr::from_bytes(b"raw\xff\x9b31m.json");
    folder.trace(name, "2025-11-16T10:00:00.000Z", &body("a"));
    folder.trace("other.json", "2025-11-16T10:00:01.000Z", &body("a"));
    let shown = folder.traces_with("show --format json", &[name]).ends_with(0).json();
    assert_eq!(shown["path"], "raw\u{fffd}\u{fffd}31m.json");
    for format in ["table", "markdown", "csv", "json", "ndjson"] {
        let ran = folder.traces(&format!("list . --format {format}")).ends_with(0);
        assert!(!ran.stdout.contains(|c: char| c.is_control() && c != '\n'));
    }
    folder.traces_with("diff other.json", &[name]).ends_with(0);
}
