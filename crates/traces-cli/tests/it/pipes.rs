//! What happens when nobody reads the output, or when it cannot be written.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use crate::common::server::{Server, anthropic};
use crate::common::{FORMATS, Folder, HOME, body, program, repo};
use serde_json::json;

/// More than any pipe holds, in every verb.
fn large() -> Folder {
    let folder = Folder::new();
    for at in 0..600 {
        folder.trace(format!("in/{at:04}.json"), "2025-11-16T10:00:00.000Z", &body("a question"));
    }
    let mut long = body("a question");
    long["system"] = json!(format!("{}\n", "a long line of the prompt ".repeat(20)).repeat(800));
    folder.trace("long.json", "2025-11-16T10:00:01.000Z", &long);
    folder.trace("short.json", "2025-11-16T10:00:01.000Z", &body("a question"));
    folder
}

fn command(folder: &Folder, line: &str) -> Command {
    let mut command = program(folder.path());
    command.args(line.split_whitespace()).stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
fn a_reader_that_goes_away_ends_the_program_quietly_with_0() {
    let folder = large();
    let lines = [
        "list in",
        "list in --format ndjson",
        "list in --format json",
        "list in --format csv",
        "list in --format markdown",
        "export in",
        "export in --format otlp",
        "show long.json --text",
        "show long.json --text --format json",
        "show long.json --text --format markdown",
        "diff long.json short.json --text",
        "diff long.json short.json --text --format json",
    ];
    for line in lines {
        let mut child = command(&folder, line).stdout(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        let mut stdout = BufReader::with_capacity(16, child.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        assert!(!first.is_empty(), "{line}");
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
    }
}

/// Every verb in every format on the recording in testdata.
fn every_output(server: &Server) -> Vec<String> {
    let mut lines =
        vec!["man".to_owned(), "--help".to_owned(), "list --help".to_owned(), "--version".to_owned()];
    lines.extend(["bash", "elvish", "fish", "powershell", "zsh"].map(|shell| format!("completions {shell}")));
    for (verb, formats) in FORMATS {
        let more = if verb == "replay" { format!("--url {}", server.url) } else { "--all".to_owned() };
        lines.extend(formats.iter().map(|format| format!("{verb} --root {HOME} {more} --format {format}")));
    }
    lines
}

fn server() -> Server {
    Server::new(|_, answer| {
        answer.stream();
        answer.events(&anthropic(&["a", "b"]));
    })
}

fn at_home(line: &str) -> Command {
    let mut command = program(&repo());
    command.args(line.split_whitespace()).stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
fn a_reader_that_is_gone_before_the_first_line_is_no_error_either() {
    let server = server();
    for line in every_output(&server) {
        // The other end of this one is closed.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = at_home(&line).stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}: {output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("pipe"), "{line}: {output:?}");
    }
}

#[test]
fn all_of_a_large_output_arrives() {
    let folder = large();
    let mut child = command(&folder, "list in --format ndjson").stdout(Stdio::piped()).spawn().unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(text.lines().count(), 600);
    assert!(text.len() > 300_000, "too little to fill a pipe");
}

/// Only Linux has this device.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_without_a_panic() {
    let server = server();
    for line in every_output(&server) {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = at_home(&line).stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}: {stderr}");
        assert!(!stderr.contains("panicked") && stderr.contains("No space left"), "{line}: {stderr}");
        assert!(stderr.contains("cannot write to the standard output"), "{line}: {stderr}");
    }
}
