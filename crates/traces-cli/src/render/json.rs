//! JSON and NDJSON: the library's results, serialised.

use std::io::{self, BufWriter, Write};

use anyclaude_traces::SCHEMA_VERSION;
use memchr::memchr2_iter;
use serde::Serialize;

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

/// Prints one result.
pub(crate) fn document(out: &mut impl Write, result: &impl Serialize) -> anyhow::Result<()> {
    // The serialiser writes piece by piece: to look for control characters in each was a fifth
    // of `report --format json`.
    let mut pieces = BufWriter::with_capacity(PIECES_BYTES, Escaping(&mut *out));
    serde_json::to_writer_pretty(&mut pieces, &Versioned::new(result))?;
    pieces.flush()?;
    drop(pieces);
    Ok(writeln!(out)?)
}

/// How much of a document is looked through at once.
const PIECES_BYTES: usize = 1 << 14;

/// Prints one request a line.
pub(crate) fn lines(out: &mut impl Write, requests: &[impl Serialize]) -> anyhow::Result<()> {
    let mut line = Vec::new();
    for request in requests {
        line.clear();
        serde_json::to_writer(&mut line, &Versioned::new(request))?;
        line.push(b'\n');
        Escaping(&mut *out).write_all(&line)?;
    }
    Ok(())
}

const DEL: u8 = 0x7f;
/// What C1 control characters begin with, in UTF-8.
const C1_LEAD: u8 = 0xC2;

/// Escapes the control characters that JSON allows unescaped: DEL and C1. They can only be
/// inside strings, and neither the serialiser nor a buffer behind it splits one between two
/// writes.
pub(crate) struct Escaping<W>(pub(crate) W);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut plain = 0;
        for at in memchr2_iter(DEL, C1_LEAD, bytes) {
            let (control, length) = match bytes.get(at..) {
                Some([DEL, ..]) => (DEL, 1),
                Some([_, control @ 0x80..=0x9f, ..]) => (*control, 2),
                _ => continue,
            };
            self.0.write_all(bytes.get(plain..at).unwrap_or_default())?;
            write!(self.0, "\\u{control:04x}")?;
            plain = at + length;
        }
        self.0.write_all(bytes.get(plain..).unwrap_or_default())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_the_rest_kept() {
        let mut out = Vec::new();
        let long = "\u{9b}é".repeat(PIECES_BYTES);
        document(&mut out, &std::collections::BTreeMap::from([("a", long.as_str()), ("b", "\u{7f}")]))
            .unwrap();
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((read["a"].as_str(), read["b"].as_str()), (Some(long.as_str()), Some("\u{7f}")));
        assert!(!out.contains(&DEL) && memchr::memmem::find(&out, "\u{9b}".as_bytes()).is_none());
        out.clear();
        let text = "a\u{1b}[31m\u{7f}\u{9b}é\u{a0}\u{202e}日";
        serde_json::to_writer(Escaping(&mut out), text).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, "\"a\\u001b[31m\\u007f\\u009bé\u{a0}\u{202e}日\"");
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
    }
}
