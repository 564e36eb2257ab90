//! JSON and NDJSON: the library's results, serialised.

use std::io::{self, BufWriter, Write};
use std::sync::mpsc::sync_channel;
use std::thread;

use anyclaude_traces::SCHEMA_VERSION;
use anyhow::Context as _;
use memchr::{memchr2_iter, memmem};
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
    let mut pieces = pieces(&mut *out);
    let mut serializer = Serializer::with_formatter(&mut pieces, Indented::default());
    Versioned::new(result).serialize(&mut serializer)?;
    pieces.flush()?;
    drop(pieces);
    Ok(writeln!(out)?)
}

/// How many bytes of a document are searched for control characters at once.
const PIECES_BYTES: usize = 1 << 14;

/// Collects the serialiser's many small writes: searching each of them for control characters
/// took a fifth of the time of `report --format json`.
fn pieces<W: Write>(out: W) -> BufWriter<Escaping<W>> {
    BufWriter::with_capacity(PIECES_BYTES, Escaping(out))
}

/// The end of a line and the indentation of the next one, of up to 16 levels.
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

    /// The formatter of a value that is in so many lists and objects.
    fn item(level: usize) -> Self {
        Self { level, has_value: false }
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

/// Writes a result whose longest lists were taken out of it, and puts each back where its empty
/// list stands. Two threads serialise the lists: of 20,000 requests, `report --format json` spent
/// a third of its time after reading on its text. In memory are the text without the lists, and
/// that of a few rows.
pub(crate) struct SplicedDocument<'o, W> {
    out: &'o mut W,
    /// What is not written yet.
    rest: Vec<u8>,
}

impl<'o, W: Write> SplicedDocument<'o, W> {
    /// `rest` has empty lists where rows belong.
    pub(crate) fn new(out: &'o mut W, rest: &impl Serialize) -> anyhow::Result<Self> {
        let mut text = Vec::new();
        document(&mut text, rest)?;
        Ok(Self { out, rest: text })
    }

    /// Writes the rows of the list that these keys lead to, behind those that were written.
    pub(crate) fn splice(mut self, keys: &[&str], rows: &[impl Serialize + Sync]) -> anyhow::Result<Self> {
        if rows.is_empty() {
            return Ok(self);
        }
        let begin = self.list_at(keys).with_context(|| format!("no empty list at {keys:?}"))?;
        let rest = self.rest.split_off(begin);
        self.out.write_all(&std::mem::replace(&mut self.rest, rest))?;
        write_rows(self.out, rows, keys.len() + 1)?;
        Indented::item(keys.len()).next_line(self.out, true)?;
        Ok(self)
    }

    /// Writes what is left.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        Ok(self.out.write_all(&self.rest)?)
    }

    /// Where the bracket stands that ends the list. No text holds a line break as it is: what
    /// begins a line is a key.
    fn list_at(&self, keys: &[&str]) -> Option<usize> {
        let mut at = 0;
        for (key, level) in keys.iter().zip(1..) {
            let line = format!("\n{}\"{key}\": ", INDENT.repeat(level));
            at += memmem::find(self.rest.get(at..)?, line.as_bytes())? + line.len();
        }
        self.rest.get(at..)?.starts_with(b"[]").then_some(at + 1)
    }
}

/// How many rows a thread writes before it is the other's turn.
const ROWS_AT_ONCE: usize = 128;

/// Writes the rows of a list that is in `level - 1` lists and objects, serialised by two threads
/// in turn.
fn write_rows(out: &mut impl Write, rows: &[impl Serialize + Sync], level: usize) -> anyhow::Result<()> {
    let texts = move |first: usize, step: usize| {
        let own = rows.chunks(ROWS_AT_ONCE).enumerate().skip(first).step_by(step);
        own.map(move |(at, rows)| text_of_rows(rows, at == 0, level))
    };
    let (give, take) = sync_channel(1);
    // Where writing fails, the end of `take` is that of the other thread.
    thread::scope(move |scope| {
        let second = move || texts(1, 2).try_for_each(|text| give.send(text).ok());
        let is_alone = rows.len() <= ROWS_AT_ONCE;
        if is_alone || thread::Builder::new().spawn_scoped(scope, second).is_err() {
            return texts(0, 1).try_for_each(|text| Ok(out.write_all(&text?)?));
        }
        for text in texts(0, 2) {
            out.write_all(&text?)?;
            if let Ok(text) = take.recv() {
                out.write_all(&text?)?;
            }
        }
        Ok(())
    })
}

fn text_of_rows(rows: &[impl Serialize], is_first: bool, level: usize) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut pieces = pieces(&mut text);
    for (at, row) in rows.iter().enumerate() {
        Indented::item(level).next_line(&mut pieces, is_first && at == 0)?;
        row.serialize(&mut Serializer::with_formatter(&mut pieces, Indented::item(level)))?;
    }
    pieces.flush()?;
    drop(pieces);
    Ok(text)
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
    fn rows_that_are_written_by_two_threads_are_those_of_one() {
        let row = |at: usize| serde_json::json!({ "at": at, "text": "\n  \"rows\": []\u{9b}", "of": [at] });
        for n in [0, 1, ROWS_AT_ONCE, 5 * ROWS_AT_ONCE + 1] {
            let [few, many] = [n / 2, n].map(|n| (0..n).map(row).collect::<Vec<_>>());
            let result = |few: &[serde_json::Value], many: &[serde_json::Value]| serde_json::json!({ "a": { "b": "\n", "rows": few }, "b": [{ "rows": [] }], "rows": many, "z": [] });
            let (mut one, mut two) = (Vec::new(), Vec::new());
            document(&mut one, &result(&few, &many)).unwrap();
            let document = SplicedDocument::new(&mut two, &result(&[], &[])).unwrap();
            document.splice(&["a", "rows"], &few).unwrap().splice(&["rows"], &many).unwrap().end().unwrap();
            assert_eq!(String::from_utf8(two).unwrap(), String::from_utf8(one).unwrap(), "{n}");
        }
        let mut out = Vec::new();
        let other = SplicedDocument::new(&mut out, &serde_json::json!({ "rows": [1] })).unwrap();
        assert!(other.splice(&["rows"], &[2]).is_err(), "it is not empty");
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
