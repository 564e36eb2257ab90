//! Ctrl-C ends every verb with 130, and leaves nothing half done.
#![cfg(unix)]

use std::fs::{self, File};
use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::common::{Folder, body, program};
use nix::pty::{Winsize, openpty};
use serde_json::json;

/// A folder that takes long to read, and little room: one large file under many names.
fn endless() -> Folder {
    let folder = Folder::new();
    let mut large = body("a question");
    large["system"] = json!("a line of the prompt ".repeat(500_000));
    folder.trace("large", "2025-11-16T10:00:00.000Z", &large);
    fs::create_dir(folder.path().join("in")).unwrap();
    for at in 0..400 {
        fs::hard_link(folder.path().join("large"), folder.path().join(format!("in/{at:03}.json"))).unwrap();
    }
    folder
}

/// Interrupts `traces LINE` while it shows that it reads, and returns what was on the
/// terminal, where its errors go; it must have ended with 130.
fn interrupted(folder: &Folder, line: &str) -> String {
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(&size, None).unwrap();
    let mut command = program(folder.path());
    command.args(line.split_whitespace()).env("TERM", "xterm-256color");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(pty.slave);
    let mut child = command.spawn().unwrap();
    drop(command);
    let (mut seen, mut buffer, mut is_told) = (Vec::new(), [0; 4096], false);
    let mut terminal = File::from(pty.master);
    while let Ok(n @ 1..) = terminal.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..n]);
        if !is_told && String::from_utf8_lossy(&seen).contains(" of 400 files") {
            is_told = true;
            Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        }
    }
    let text = String::from_utf8(seen).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{line}: {text}");
    assert!(is_told, "{line}: {text}");
    text
}

#[test]
fn every_verb_that_reads_ends_with_130_and_a_clean_line() {
    let folder = endless();
    let before = names(&folder);
    for line in [
        "summary in",
        "list in --format ndjson",
        "show in",
        "diff in large",
        "timing in",
        "prefix in",
        "explain in in/000.json",
        "report in -o page.html",
        "report in --format markdown",
        "replay in --url http://127.0.0.1:9 --save out.json",
    ] {
        let text = interrupted(&folder, line);
        assert!(text.ends_with("\r\u{1b}[K"), "{line}: {text:?}");
        assert_eq!(names(&folder), before, "{line} leaves something behind");
    }
}

/// Without a terminal nothing is drawn, and the signal alone ends it.
#[test]
fn without_a_terminal_it_ends_with_130_too() {
    let folder = endless();
    for line in ["list in --no-progress", "summary in --format json", "report in -o page.html"] {
        let mut command = program(folder.path());
        command.args(line.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        // It reads for much longer than this.
        std::thread::sleep(std::time::Duration::from_secs(1));
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{line}: {output:?}");
        assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&[][..], &[][..]), "{line}");
        assert!(!folder.path().join("page.html").exists());
    }
}

/// What the folder holds, by name.
fn names(folder: &Folder) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}
