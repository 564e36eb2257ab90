//! One file after the other, as it is on disk or comes by the standard input: loaded,
//! decompressed, sniffed, and read by its format.

use std::path::Path;

use super::buffer::Buffer;
use super::decompress::{Decompressor, is_compressed};
use super::open::open;
use super::standard_input::Given;
use super::{CandidateFile, Store, modified, without_compression};
use crate::error::{Error, ErrorKind, ParseError, SkipReason};
use crate::formats::anyclaude::trace::AnyclaudeTrace;
use crate::formats::json::scratch::Scratch;
use crate::formats::sniff::sniff;
use crate::formats::source::{Format as _, Input, RecordSink};
use crate::model::time::Timestamp;

/// What the disk tells of a file that was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct OnDisk {
    /// When it was last written, where the system tells.
    pub(super) modified: Option<Timestamp>,
    /// Its size, compressed where it is.
    pub(super) bytes: usize,
}

/// Reads one file after the other into the same memory.
pub(super) struct FileReader<'s> {
    store: &'s Store,
    buffer: Buffer,
    /// What the file holds, where it is compressed.
    decompressed: Buffer,
    decompressor: Decompressor,
    /// Where that is which the file holds.
    content: Content,
    pub(super) scratch: Scratch,
}

/// Where that is which a file holds.
#[derive(Debug)]
enum Content {
    /// It is the file.
    File,
    Decompressed,
    StandardInput(Given),
}

impl<'s> FileReader<'s> {
    pub(super) fn of_many(store: &'s Store) -> Self {
        Self {
            store,
            buffer: Buffer::for_many(),
            decompressed: Buffer::for_one(),
            decompressor: Decompressor::default(),
            content: Content::File,
            scratch: Scratch::default(),
        }
    }

    pub(super) fn of_one(store: &'s Store) -> Self {
        Self { buffer: Buffer::for_one(), ..Self::of_many(store) }
    }

    pub(super) fn read(&mut self, file: &CandidateFile, sink: &mut dyn RecordSink) -> Result<OnDisk, Error> {
        // A log is read in pieces, whatever its size: the other formats need the whole file at once.
        if file.is_named && Store::is_server_log(&file.path) {
            let read = self.store.records_of_log(&file.path, sink);
            if let Some(on_disk) = read.map_err(|kind| Error::new(&*file.path, kind))? {
                self.store.progress.count_file();
                return Ok(on_disk);
            }
        }
        let loaded = self.load(&file.path);
        let read = loaded.map_err(|kind| Error::new(&*file.path, kind)).and_then(|on_disk| {
            let parsed = self.parse(file, sink);
            match self.content {
                Content::File => self.buffer.give_to(&mut self.scratch.known),
                Content::Decompressed => self.decompressed.give_to(&mut self.scratch.known),
                Content::StandardInput(_) => self.scratch.known.forget(),
            }
            parsed.map(|()| on_disk)
        });
        self.store.progress.count_file();
        read
    }

    fn parse(&mut self, file: &CandidateFile, sink: &mut dyn RecordSink) -> Result<(), Error> {
        let error = |kind: ErrorKind| Error::new(&*file.path, kind);
        let (bytes, is_compressed) = match &self.content {
            Content::File => (self.buffer.bytes(), false),
            Content::Decompressed => (self.decompressed.bytes(), true),
            Content::StandardInput(given) => (given.content.as_slice(), given.is_compressed),
        };
        let input = Input { bytes };
        if is_compressed {
            sink.in_one_pass();
        }
        if let Some(format) = sniff(&input, &mut self.scratch).map_err(|fault| error(fault.into()))? {
            if format.holds_counted_requests() {
                sink.in_one_pass();
            }
            return format.read(&input, &mut self.scratch, sink).map_err(|fault| error(fault.into()));
        }
        if file.is_named && self.store.records_of_log(&file.path, sink).map_err(error)?.is_some() {
            return Ok(());
        }
        // Folders hold all sorts of logs and lines.
        if !file.is_named && !is_json(&file.path) {
            return Ok(());
        }
        AnyclaudeTrace.read(&input, &mut self.scratch, sink).map_err(|fault| {
            let fault = if are_other_lines(input.bytes, &fault) { other_lines() } else { fault };
            error(fault.into()).of_unrecognised()
        })
    }

    fn load(&mut self, path: &Path) -> Result<OnDisk, ErrorKind> {
        let limit = self.store.max_file_bytes;
        let check = |bytes| if bytes > limit { Err(ErrorKind::TooLarge { bytes, limit }) } else { Ok(()) };
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        if self.store.is_standard_input(path)
            && let Some(input) = &self.store.standard_input
        {
            let given = input.given(limit)?;
            let bytes = given.bytes;
            self.content = Content::StandardInput(given);
            return Ok(OnDisk { modified: None, bytes });
        }
        let (mut file, metadata) = open(path)?;
        let (modified, bytes) = (modified(&metadata), metadata.len());
        check(bytes)?;
        let count = |count| self.store.progress.count_bytes(count);
        self.buffer.read(&mut file, size(bytes), size(limit.saturating_add(1)), count)?;
        // It may have grown.
        let bytes = self.buffer.bytes().len();
        check(bytes as u64)?;
        self.content = Content::File;
        if is_compressed(self.buffer.bytes()) {
            let compressed = self.buffer.bytes();
            self.decompressed.decompress(
                &mut self.decompressor,
                compressed,
                size(limit.saturating_add(1)),
            )?;
            if self.decompressed.bytes().len() as u64 > limit {
                return Err(ErrorKind::DecompressedTooLarge { limit });
            }
            self.content = Content::Decompressed;
        }
        Ok(OnDisk { modified, bytes })
    }
}

/// Whether a value is followed by others on lines of their own.
fn are_other_lines(bytes: &[u8], fault: &ParseError) -> bool {
    let at = usize::try_from(fault.byte()).unwrap_or(usize::MAX);
    let is_at_line = || at.checked_sub(1).and_then(|before| bytes.get(before)) == Some(&b'\n');
    fault.reason() == SkipReason::InvalidJson
        && fault.line() > 1
        && bytes.get(at) == Some(&b'{')
        && is_at_line()
}

/// What is said of lines of JSON that nothing is known of.
fn other_lines() -> ParseError {
    ParseError::new(SkipReason::NotATrace, &[], 0, "lines of JSON, of no kind that is read")
}

/// Whether the file is named as one that holds a single JSON value.
fn is_json(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    without_compression(name).ends_with(b".json")
}
