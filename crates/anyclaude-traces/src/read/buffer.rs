//! Memory that one file after the other is read into.

use std::fs::File;
use std::io::{self, Read as _};

use super::decompress::Decompressor;
use crate::error::ErrorKind;
use crate::formats::json::aligned::Aligned;
use crate::formats::json::known::KnownItems;

/// The size of the first buffer. Most files fit, and what none fills is never touched.
const FIRST_BYTES: usize = 1 << 20;
/// The most that is read at once, so that the progress of large files shows.
const MOST_AT_ONCE: usize = 16 << 20;
/// Of a compressed file, room for so many times its size is made at first.
const LIKELY_RATIO: usize = 4;

/// Memory for one file at a time, as large as the largest file so far.
#[derive(Debug)]
pub(super) struct Buffer {
    memory: Aligned,
    /// No less memory is asked for.
    least_bytes: usize,
    /// How long the file is.
    length: usize,
}

impl Buffer {
    /// A buffer for many files.
    pub(super) fn for_many() -> Self {
        Self { memory: Aligned::default(), least_bytes: FIRST_BYTES, length: 0 }
    }

    /// A buffer for one file. To zero more memory than a small file needs takes longer than to
    /// read it: of all that `summary` of 4,000 small files does, it was 11 %.
    pub(super) fn for_one() -> Self {
        Self { least_bytes: 0, ..Self::for_many() }
    }

    /// The file that was read last.
    pub(super) fn bytes(&self) -> &[u8] {
        self.memory.slice().get(..self.length).unwrap_or_default()
    }

    /// Reads a file that should be this long, but no more than `limit` bytes. Calls
    /// `on_read` with the length of each piece.
    ///
    /// The file may be growing: what is read is at least what was there before.
    pub(super) fn read(
        &mut self,
        file: &mut File,
        expected: usize,
        limit: usize,
        mut on_read: impl FnMut(usize),
    ) -> Result<(), ErrorKind> {
        let next = |room: &mut [u8]| {
            loop {
                match file.read(room) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => return read.inspect(|count| on_read(*count)).map_err(ErrorKind::from),
                }
            }
        };
        // Asking for what comes next, where nothing does, would be a second system call for
        // each small file.
        self.fill(expected, limit, next, |length| length == expected)
    }

    /// Takes what a compressed file holds, but no more than `limit` bytes.
    pub(super) fn decompress(
        &mut self,
        decompressor: &mut Decompressor,
        compressed: &[u8],
        limit: usize,
    ) -> Result<(), ErrorKind> {
        let mut content = decompressor.content(compressed);
        // Memory grows by what it was seen to hold: a small file may claim to hold very much.
        let likely = compressed.len().saturating_mul(LIKELY_RATIO).min(MOST_AT_ONCE);
        self.fill(likely, limit, |room| content.read(room), |_| false)
    }

    /// Takes what `next` puts into the memory that it is given, until that is nothing.
    fn fill(
        &mut self,
        expected: usize,
        limit: usize,
        mut next: impl FnMut(&mut [u8]) -> Result<usize, ErrorKind>,
        is_whole: impl Fn(usize) -> bool,
    ) -> Result<(), ErrorKind> {
        self.length = 0;
        self.reserve(expected.min(limit))?;
        while self.length < limit {
            if self.room(limit).is_empty() {
                self.reserve(self.length.saturating_mul(2).min(limit))?;
            }
            let count = next(self.room(limit))?;
            self.length += count;
            if count == 0 || is_whole(self.length) {
                break;
            }
        }
        Ok(())
    }

    /// Keeps the file for comparison with the next one, and takes the memory of the one before.
    pub(super) fn give_to(&mut self, known: &mut KnownItems) {
        if known.keep(&mut self.memory, self.length) {
            self.length = 0;
        }
    }

    /// Memory for what follows, as far as the limit allows.
    fn room(&mut self, limit: usize) -> &mut [u8] {
        let from = self.length;
        let end = limit.min(self.memory.size()).min(from + MOST_AT_ONCE);
        self.memory.slice_mut().get_mut(from..end).unwrap_or_default()
    }

    /// Makes room for a file of this size and a byte more, which tells whether it has
    /// grown. Keeps what was read of it.
    fn reserve(&mut self, bytes: usize) -> Result<(), ErrorKind> {
        if self.memory.size() > bytes {
            return Ok(());
        }
        if self.length == 0 {
            // Both at once may not fit.
            self.memory = Aligned::default();
        }
        let size = bytes.saturating_add(bytes / 16).max(self.least_bytes).saturating_add(1);
        let mut memory = Aligned::new(size).ok_or(ErrorKind::OutOfMemory { bytes: bytes as u64 })?;
        let kept = memory.slice_mut().iter_mut().zip(self.bytes());
        kept.for_each(|(to, from)| *to = *from);
        self.memory = memory;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::*;

    fn read(content: &[u8], expected: usize, limit: usize) -> Vec<u8> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        let (mut buffer, mut counted) = (Buffer::for_many(), 0);
        buffer.read(&mut file, expected, limit, |count| counted += count).unwrap();
        assert!(buffer.bytes().as_ptr().addr().is_multiple_of(64));
        assert_eq!(buffer.bytes().len(), counted);
        file.rewind().unwrap();
        let mut alone = Buffer::for_one();
        alone.read(&mut file, expected, limit, |_| ()).unwrap();
        assert!(alone.bytes() == buffer.bytes());
        buffer.bytes().to_vec()
    }

    #[test]
    fn a_file_is_read_whole_whatever_its_size_was() {
        let content: Vec<u8> = (0..=250).cycle().take(MOST_AT_ONCE + 3 * FIRST_BYTES).collect();
        for length in [0, 1, 63, 64, FIRST_BYTES, 3 * FIRST_BYTES, content.len()] {
            let content = &content[..length];
            for expected in [length, length + 7, 0] {
                assert!(read(content, expected, usize::MAX) == content, "{length} of {expected} bytes");
            }
        }
    }

    #[test]
    fn no_more_than_the_limit_is_read() {
        for expected in [3, 7, 100] {
            let read = read(b"0123456789", expected, 7);
            assert_eq!(read, &b"0123456"[..if expected == 3 { read.len() } else { 7 }]);
            assert!(read.len() >= expected.min(7));
        }
    }

    #[test]
    fn a_bomb_takes_no_more_memory_than_the_limit() {
        use flate2::{Compression, write::GzEncoder};
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&vec![0; 8 << 20]).unwrap();
        let gzip = encoder.finish().unwrap();
        let zstd = ruzstd::encoding::compress_to_vec(
            &vec![0; 8 << 20][..],
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        for bomb in [gzip, zstd] {
            let (limit, mut buffer) = (1 << 20, Buffer::for_one());
            buffer.decompress(&mut Decompressor::default(), &bomb, limit).unwrap();
            let asked_for = buffer.memory.size();
            assert!(buffer.bytes().len() == limit && asked_for <= 2 * limit, "{asked_for}");
        }
    }

    #[test]
    fn too_little_memory_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        let read = Buffer::for_many().read(&mut file, usize::MAX / 4, usize::MAX, |_| ());
        assert!(matches!(read, Err(ErrorKind::OutOfMemory { .. })), "{read:?}");
    }
}
