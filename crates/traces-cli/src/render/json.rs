//! JSON and NDJSON: the library's results, serialised.

use std::io::{self, Write};

use anyclaude_traces::Request;
use anyclaude_traces::error::Skipped;
use anyclaude_traces::scope::Scope;
use serde::Serialize;

use crate::select::Selection;

/// The version of every shape that we print; it rises when a name changes its
/// meaning or goes.
const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize)]
struct Versioned<T> {
    schema_version: u32,
    #[serde(flatten)]
    body: T,
}

impl<T> Versioned<T> {
    fn new(body: T) -> Self {
        Self { schema_version: SCHEMA_VERSION, body }
    }
}

#[derive(Serialize)]
struct List<'a> {
    scope: Scope,
    requests: &'a [Request],
    skipped: Vec<Skipped>,
}

/// Prints one result.
pub(crate) fn document(out: &mut impl Write, result: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(Escaping(&mut *out), &Versioned::new(result))?;
    Ok(writeln!(out)?)
}

/// Prints requests and what was skipped.
pub(crate) fn list(out: &mut impl Write, selection: &Selection) -> anyhow::Result<()> {
    let (scope, requests) = (selection.scope, selection.requests.as_slice());
    document(out, &List { scope, requests, skipped: selection.skipped_list() })
}

/// Prints one request a line.
pub(crate) fn lines(out: &mut impl Write, requests: &[impl Serialize]) -> anyhow::Result<()> {
    for request in requests {
        serde_json::to_writer(Escaping(&mut *out), &Versioned::new(request))?;
        writeln!(out)?;
    }
    Ok(())
}

/// Escapes the control characters that JSON lets stand: DEL and C1. In JSON they
/// can only be inside strings, and are never cut in two by the serialiser.
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some((plain, control, tail)) = split_at_control(rest) {
            self.0.write_all(plain)?;
            write!(self.0, "\\u{control:04x}")?;
            rest = tail;
        }
        self.0.write_all(rest)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn split_at_control(bytes: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let at = bytes.iter().enumerate().position(|(at, &byte)| {
        byte == 0x7f || (byte == 0xC2 && matches!(bytes.get(at + 1), Some(0x80..=0x9f)))
    })?;
    let (plain, rest) = bytes.split_at(at);
    match rest {
        [0x7f, tail @ ..] => Some((plain, 0x7f, tail)),
        [_, control, tail @ ..] => Some((plain, *control, tail)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_the_rest_kept() {
        let mut out = Vec::new();
        let text = "a\u{1b}[31m\u{7f}\u{9b}é\u{a0}\u{202e}日";
        serde_json::to_writer(Escaping(&mut out), text).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, "\"a\\u001b[31m\\u007f\\u009bé\u{a0}\u{202e}日\"");
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
    }
}
