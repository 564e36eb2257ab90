//! Memory that one file after the other is read into.

use std::fs::File;
use std::io::{self, Read as _};

/// Where a file begins in memory: the kernel copies to such places at full
/// speed, and vectors of any width lie whole in one cache line.
const ALIGNMENT: usize = 64;
/// What is there from the start: most files fit, and none of it is touched
/// before it is needed.
const FIRST_BYTES: usize = 1 << 20;

/// Memory for one file at a time. It grows with the largest file, and what a
/// file does not fill stays untouched.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    memory: Vec<u8>,
    /// Where the file begins, …
    start: usize,
    /// … and how long it is.
    length: usize,
}

impl Buffer {
    /// The file that was read last.
    pub(super) fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..self.start + self.length).unwrap_or_default()
    }

    /// Forgets the file, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    /// Reads the beginning of a file at once, but no more than `limit`; whether that
    /// may be all of it, as there was room for more.
    pub(super) fn begin(&mut self, file: &mut File, limit: usize) -> io::Result<bool> {
        self.clear();
        let limit = limit.min(FIRST_BYTES);
        self.make_room(limit);
        self.read(file, limit)?;
        Ok(!self.room(limit).is_empty())
    }

    /// Reads the rest of a file that should be this long, but no more than
    /// `limit`. The file may be growing while it is read.
    pub(super) fn finish(&mut self, file: &mut File, expected: usize, limit: usize) -> io::Result<()> {
        // Room for a byte more tells a file that has grown from one that has not.
        self.make_room(expected.min(limit).saturating_add(1));
        loop {
            while !self.room(limit).is_empty() {
                if self.read(file, limit)? == 0 {
                    return Ok(());
                }
            }
            if self.length >= limit {
                return Ok(());
            }
            self.make_room(self.length.saturating_mul(2).min(limit));
        }
    }

    /// Reads once; how much. Nothing is the end of the file.
    fn read(&mut self, file: &mut File, limit: usize) -> io::Result<usize> {
        loop {
            match file.read(self.room(limit)) {
                Ok(count) => {
                    self.length += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Memory for what follows, as far as the limit lets it.
    fn room(&mut self, limit: usize) -> &mut [u8] {
        let end = self.start.saturating_add(limit).min(self.memory.len());
        self.memory.get_mut(self.start + self.length..end).unwrap_or_default()
    }

    /// Makes room for a file of this size, and keeps what was read of it.
    fn make_room(&mut self, bytes: usize) {
        if self.memory.len() >= self.start + bytes {
            return;
        }
        let size = bytes.saturating_add(bytes / 16).max(FIRST_BYTES) + ALIGNMENT;
        // Of a large buffer little is kept, and the new one is not touched before the
        // old one goes.
        let mut memory = vec![0; size];
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        let kept = memory.get_mut(start..).unwrap_or_default().iter_mut().zip(self.bytes());
        kept.for_each(|(to, from)| *to = *from);
        (self.memory, self.start) = (memory, start);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::*;

    fn filled(content: &[u8], expected: usize, limit: usize) -> Vec<u8> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file.rewind().unwrap();
        let mut buffer = Buffer::default();
        buffer.begin(&mut file, limit).unwrap();
        buffer.finish(&mut file, expected, limit).unwrap();
        assert!(buffer.bytes().as_ptr().addr().is_multiple_of(ALIGNMENT));
        buffer.bytes().to_vec()
    }

    #[test]
    fn a_file_is_read_whole_even_if_it_has_grown() {
        let content: Vec<u8> = (0..=250).cycle().take(3 * FIRST_BYTES).collect();
        for length in [0, 1, 63, 64, FIRST_BYTES, 3 * FIRST_BYTES] {
            let content = &content[..length];
            for expected in [length, length + 7] {
                assert!(filled(content, expected, usize::MAX) == content, "{length} of {expected} bytes");
            }
        }
        assert!(filled(&content, 7, usize::MAX) == content);
    }

    #[test]
    fn no_more_than_the_limit_is_read() {
        for expected in [3, 7, 100] {
            assert_eq!(filled(b"0123456789", expected, 7), b"0123456");
        }
    }
}
