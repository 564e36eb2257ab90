//! Runs the program as a user does, and writes traces for it to read.
#![cfg_attr(not(unix), allow(dead_code, reason = "some tests are for Unix alone"))]

pub(crate) mod hostile;
pub(crate) mod server;
#[cfg(unix)]
pub(crate) mod terminal;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assert_cmd::Command;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Every verb, in the order of the help.
pub(crate) const ALL_VERBS: [&str; 14] = [
    "summary",
    "list",
    "show",
    "diff",
    "timing",
    "prefix",
    "explain",
    "report",
    "watch",
    "record",
    "replay",
    "export",
    "completions",
    "man",
];

/// The root of the recording in testdata.
pub(crate) const HOME: &str = "testdata/home/.anyclaude";

/// A run that takes longer hangs, however busy the machine is.
pub(crate) const HANGS: Duration = Duration::from_secs(600);

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The same run, which must have ended with this code.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// Fails unless every one of these is in what was said on stderr.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in:\n{}", self.stderr);
        }
        self
    }

    /// What was printed, as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}:\n{self:?}"))
    }

    /// What was printed, as one JSON document a line.
    #[track_caller]
    pub(crate) fn ndjson(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }

    /// What was printed, as CSV: the headings and the rows.
    #[track_caller]
    pub(crate) fn csv(&self) -> (Vec<String>, Vec<BTreeMap<String, String>>) {
        let mut reader = csv::Reader::from_reader(self.stdout.as_bytes());
        let headings = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let rows = reader.deserialize().collect::<Result<_, _>>().unwrap();
        (headings, rows)
    }
}

/// The repository.
pub(crate) fn repo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The program, with nothing in its environment that changes what it prints.
pub(crate) fn program(folder: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_traces"));
    command.current_dir(folder).env("TZ", "UTC");
    // The second is the home folder's name on Windows.
    command.env("HOME", folder).env("USERPROFILE", folder);
    for name in ["TRACES_ROOT", "NO_COLOR", "COLUMNS", "CLICOLOR", "CLICOLOR_FORCE", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command
}

/// Runs `traces LINE` in the repository; the line is split at spaces.
pub(crate) fn traces(line: &str) -> Ran {
    run(program(&repo()), line, &[] as &[&str])
}

/// Runs a prepared command with the words of a line and more arguments.
pub(crate) fn run(mut command: std::process::Command, line: &str, more: &[impl AsRef<OsStr>]) -> Ran {
    command.args(line.split_whitespace()).args(more);
    let output = Command::from_std(command).timeout(HANGS).output().unwrap();
    Ran {
        code: output.status.code().expect("the program is ended by no signal"),
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}

/// A folder of its own for a test, removed at its end.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes a trace of a request with this body.
    pub(crate) fn trace(&self, name: impl AsRef<Path>, timestamp: &str, body: &Value) {
        self.write(name, trace(timestamp, body).to_string());
    }

    /// Runs `traces LINE` in this folder.
    pub(crate) fn traces(&self, line: &str) -> Ran {
        run(program(self.path()), line, &[] as &[&str])
    }

    /// Runs `traces LINE ARGS…` in this folder.
    pub(crate) fn traces_with(&self, line: &str, args: &[impl AsRef<OsStr>]) -> Ran {
        run(program(self.path()), line, args)
    }
}

/// A trace as the proxy writes it.
pub(crate) fn trace(timestamp: &str, body: &Value) -> Value {
    json!({
        "timestamp": timestamp,
        "mode": "lmstudio",
        "request": { "method": "POST", "url": "/v1/messages?beta=true", "headers": {}, "body": body },
    })
}

/// The body of a conversation's first turn.
pub(crate) fn body(text: &str) -> Value {
    json!({
        "model": "claude-sonnet-4-20250514",
        "max_tokens": 32000,
        "system": "Answer in one word.",
        "tools": [tool("Bash", "Runs a command."), tool("Read", "Reads a file.")],
        "messages": [{ "role": "user", "content": text }],
    })
}

/// The same body as part of a session, which is known by the first digits of its id.
pub(crate) fn body_of_session(text: &str, digits: &str) -> Value {
    let mut body = body(text);
    let id = format!("{digits:0<8}-1111-4111-8111-111111111111");
    let user = "5f".repeat(32);
    body["metadata"] = json!({ "user_id": format!("user_{user}_account_{id}_session_{id}") });
    body
}

/// A tool's definition.
pub(crate) fn tool(name: &str, description: &str) -> Value {
    json!({ "name": name, "description": description, "input_schema": { "type": "object" } })
}

/// The member of every object in an array.
pub(crate) fn members(array: &Value, name: &str) -> Vec<String> {
    let member = |object: &Value| object[name].as_str().unwrap_or("(none)").to_owned();
    array.as_array().expect("an array").iter().map(member).collect()
}

/// The display width of a line.
pub(crate) fn width(line: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(line)
}

/// Every verb that prints what it reads, with every format that it has.
pub(crate) const FORMATS: [(&str, &[&str]); 10] = [
    ("summary", &["table", "json", "csv", "markdown"]),
    ("list", &["table", "json", "ndjson", "csv", "markdown"]),
    ("show", &["table", "json", "markdown"]),
    ("diff", &["table", "json", "csv", "markdown"]),
    ("timing", &["table", "json", "ndjson", "csv", "markdown"]),
    ("prefix", &["table", "json", "ndjson", "csv", "markdown"]),
    ("explain", &["table", "json", "markdown"]),
    ("report", &["json", "markdown"]),
    ("replay", &["table", "json", "markdown"]),
    ("export", &["chrome", "otlp"]),
];
