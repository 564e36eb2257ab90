//! Reads what Claude Code adds to a file of lines.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::chunks::read_rest;
use super::growing::{FileStamp, HEAD_BYTES};
use super::open::open;
use super::records::AllRecords;
use super::{Store, modified};
use crate::formats::claude_code::{self, Facts};
use crate::formats::json::scratch::Scratch;
use crate::formats::sniff::sniff;
use crate::formats::source::Input;
use crate::model::time::Timestamp;

/// A file of lines, as far as it was read.
#[derive(Debug, Default)]
pub(crate) struct GrowingLines {
    read_bytes: u64,
    head: Vec<u8>,
    number: Option<(u64, u64)>,
    /// Records that may have begun in it.
    begun: u32,
}

/// What was added to a file.
#[derive(Debug)]
pub(crate) struct Added {
    pub(crate) facts: Facts,
    pub(crate) modified: Option<Timestamp>,
    /// It was read from its beginning.
    pub(crate) is_anew: bool,
}

impl Store {
    /// What was added to a file of lines since it was last read. `None` where it has to be
    /// read as a whole: it is not Claude Code's, holds bodies, or ends inside a line.
    pub(crate) fn added_facts(&self, lines: &mut GrowingLines, path: &Path) -> Option<Added> {
        let added = self.read_added(lines, path);
        if added.is_none() {
            *lines = GrowingLines::default();
        }
        added
    }

    fn read_added(&self, lines: &mut GrowingLines, path: &Path) -> Option<Added> {
        let (mut file, metadata) = open(path).ok()?;
        let stamp = FileStamp::of(&metadata);
        if stamp.bytes > self.max_file_bytes {
            return None;
        }
        let mut head = Vec::new();
        (&mut file).take(HEAD_BYTES as u64).read_to_end(&mut head).ok()?;
        let is_other =
            lines.number != stamp.number || stamp.bytes < lines.read_bytes || !head.starts_with(&lines.head);
        if is_other {
            *lines = GrowingLines::default();
        }
        let is_anew = lines.read_bytes == 0;
        file.seek(SeekFrom::Start(lines.read_bytes)).ok()?;
        let mut text = Vec::new();
        read_rest(&mut file, &self.progress, |chunk| text.extend_from_slice(chunk)).ok()?;
        if !text.ends_with(b"\n") {
            return None;
        }
        let (input, mut scratch) = (Input { bytes: &text }, Scratch::default());
        let format = match is_anew {
            true => sniff(&input, &mut scratch).ok()??,
            false => claude_code::recognise(&text, &mut scratch)?,
        };
        let nobody = |_| ();
        let mut records = AllRecords::from(lines.begun, &nobody);
        format.read(&input, &mut scratch, &mut records).ok()?;
        if !records.complete.is_empty() || !records.errors.is_empty() {
            return None;
        }
        let begun = records.begun();
        let facts = records.facts.filter(|facts| facts.kind.may_grow())?;
        let read_bytes = lines.read_bytes + text.len() as u64;
        *lines = GrowingLines { read_bytes, head, number: stamp.number, begun };
        Some(Added { facts, modified: modified(&metadata), is_anew })
    }
}
