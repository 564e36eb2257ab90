//! Ctrl-C ends every verb with 130, and leaves nothing half done.
#![cfg(unix)]

use std::fs;
use std::process::Stdio;

use crate::common::terminal::{Terminal, interrupt};
use crate::common::{Folder, body, program};
use serde_json::json;

/// A folder that takes long to read, and little room: one large file under many names.
struct Endless {
    folder: Folder,
    names: usize,
}

impl Endless {
    fn new() -> Self {
        let folder = Folder::new();
        let mut large = body("a question");
        large["system"] = json!("a line of the prompt ".repeat(500_000));
        folder.trace("large", "2025-11-16T10:00:00.000Z", &large);
        fs::create_dir(folder.path().join("in")).unwrap();
        let mut new = Self { folder, names: 0 };
        new.grow_to(400);
        new
    }

    fn grow_to(&mut self, names: usize) {
        let path = self.folder.path();
        for at in self.names..names {
            fs::hard_link(path.join("large"), path.join(format!("in/{at:03}.json"))).unwrap();
        }
        self.names = names;
    }

    /// Interrupts `traces LINE` while it shows that it reads, and returns what was on the
    /// terminal, where its errors go; it must have ended with 130. On a machine that
    /// reads so fast that nothing is shown, the folder grows.
    fn interrupted(&mut self, line: &str) -> String {
        loop {
            let mut command = program(self.folder.path());
            command.args(line.split_whitespace()).env("TERM", "xterm-256color");
            let mut terminal = Terminal::start_with_stdout(command, 80, Stdio::null());
            if terminal.shows("Reading: ") {
                terminal.interrupt();
                let (text, mut child) = terminal.end();
                assert_eq!(child.wait().unwrap().code(), Some(130), "{line}: {text}");
                return text;
            }
            terminal.end().1.wait().unwrap();
            assert!(self.names < 50_000, "{line} does not show that it reads");
            self.grow_to(4 * self.names);
        }
    }
}

#[test]
fn every_verb_that_reads_ends_with_130_and_a_clean_line() {
    let mut endless = Endless::new();
    let before = names(&endless.folder);
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
        "export in -o timeline.json",
        "export in --format otlp -o spans.jsonl",
        #[cfg(feature = "parquet")]
        "export in --format parquet -o tables",
        "replay in --url http://127.0.0.1:9 --save out.json",
    ] {
        let text = endless.interrupted(line);
        assert!(text.ends_with("\r\u{1b}[K"), "{line}: {text:?}");
        assert_eq!(names(&endless.folder), before, "{line} leaves something behind");
    }
}

/// Without a terminal nothing is drawn, and the signal alone ends it. Only Linux says
/// which files a program has open.
#[cfg(target_os = "linux")]
#[test]
fn without_a_terminal_it_ends_with_130_too() {
    let folder = Endless::new().folder;
    let inside = fs::canonicalize(folder.path().join("in")).unwrap();
    for line in ["list in --no-progress", "summary in --format json", "report in -o page.html"] {
        let mut command = program(folder.path());
        command.args(line.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let opened = format!("/proc/{}/fd", child.id());
        let reads = || {
            let mut open = fs::read_dir(&opened).into_iter().flatten().flatten();
            open.any(|file| fs::read_link(file.path()).is_ok_and(|path| path.starts_with(&inside)))
        };
        while !reads() {
            assert_eq!(child.try_wait().unwrap(), None, "{line} ends before it reads");
            std::thread::yield_now();
        }
        interrupt(&child);
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
