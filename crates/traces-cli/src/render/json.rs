//! JSON and NDJSON: the library's results, serialised.

use std::io::{self, BufWriter, Write};

use anyclaude_traces::SCHEMA_VERSION;
use memchr::memchr2_iter;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

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
    let mut serializer = Serializer::with_formatter(&mut pieces, Indented::default());
    Versioned::new(result).serialize(&mut serializer)?;
    pieces.flush()?;
    drop(pieces);
    Ok(writeln!(out)?)
}

/// How much of a document is looked through at once.
const PIECES_BYTES: usize = 1 << 14;

/// What ends a line and indents the next one, as far as it mostly is.
const NEXT_LINE: &str = ",\n                                ";
const INDENT: &str = "  ";

/// Indents as [`PrettyFormatter`](serde_json::ser::PrettyFormatter) does, with one write for
/// each line instead of one for each level.
#[derive(Debug, Default)]
struct Indented {
    level: usize,
    has_value: bool,
}

impl Indented {
    fn begin(&mut self, out: &mut (impl Write + ?Sized), bracket: &[u8]) -> io::Result<()> {
        self.level += 1;
        self.has_value = false;
        out.write_all(bracket)
    }

    fn end(&mut self, out: &mut (impl Write + ?Sized), bracket: &[u8]) -> io::Result<()> {
        self.level -= 1;
        if self.has_value {
            self.next_line(out, true)?;
        }
        out.write_all(bracket)
    }

    fn next_line(&self, out: &mut (impl Write + ?Sized), is_first: bool) -> io::Result<()> {
        let begin = usize::from(is_first);
        let most_levels = (NEXT_LINE.len() - ",\n".len()) / INDENT.len();
        let written = self.level.min(most_levels);
        let line = NEXT_LINE.get(begin..",\n".len() + written * INDENT.len()).unwrap_or_default();
        out.write_all(line.as_bytes())?;
        (written..self.level).try_for_each(|_| out.write_all(INDENT.as_bytes()))
    }
}

impl Formatter for Indented {
    fn begin_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"[")
    }

    fn end_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"]")
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.next_line(out, first)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }

    fn begin_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.begin(out, b"{")
    }

    fn end_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.end(out, b"}")
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.next_line(out, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }
}

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
    fn documents_are_indented_as_is_usual() {
        let deep = (0..40).fold(serde_json::json!([]), |inner, _| serde_json::json!([inner, {}]));
        let result = serde_json::json!({ "a": [], "b": {}, "c": [1, [2], { "d": null }], "e": deep });
        let mut out = Vec::new();
        document(&mut out, &result).unwrap();
        let usual = serde_json::to_string_pretty(&Versioned::new(&result)).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), usual + "\n");
    }

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
