//! Reads a large file on a thread of its own, ahead of whoever looks at it.

use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::Progress;
use super::logs::{CHUNK_BYTES, read_rest, read_some};
use super::open::open;
use crate::error::ErrorKind;
use crate::formats::json::aligned::Aligned;

/// So large is a file at least that is read ahead.
const LEAST_BYTES: u64 = 8 << 20;
/// How many chunks there are: one is looked at, and the others wait for it or are read into.
const CHUNKS: usize = 4;

/// A chunk, and what it was filled with: how many bytes, 0 at the end.
type Filled = (Aligned, Result<usize, ErrorKind>);

/// Hands over what a file holds, in chunks. To copy them out of the system's memory takes a third
/// of the time in which they are looked at: GAIN
pub(super) fn read_ahead(
    path: &Path,
    progress: &Progress,
    mut feed: impl FnMut(&[u8]),
) -> Result<(), ErrorKind> {
    let (file, metadata) = open(path)?;
    if metadata.len() < LEAST_BYTES {
        return read_rest(&file, progress, feed);
    }
    let (give_empty, empty) = channel();
    let (give_filled, filled) = channel();
    for _ in 0..CHUNKS {
        let chunk = Aligned::new(CHUNK_BYTES);
        let chunk = chunk.ok_or(ErrorKind::OutOfMemory { bytes: CHUNK_BYTES as u64 })?;
        // The other end is still here.
        let _ = give_empty.send(chunk);
    }
    thread::scope(|scope| {
        let file = &file;
        let thread = move || fill(file, &empty, &give_filled);
        if thread::Builder::new().spawn_scoped(scope, thread).is_err() {
            return read_rest(file, progress, feed);
        }
        // Once this is gone the thread ends, whatever happens.
        let give_empty = give_empty;
        for (chunk, read) in filled {
            let length = read?;
            progress.count_bytes(length);
            feed(chunk.slice().get(..length).unwrap_or_default());
            // Without a receiver the thread has read all.
            let _ = give_empty.send(chunk);
        }
        Ok(())
    })
}

/// Fills chunks until the file ends, cannot be read, or nobody wants more.
fn fill(file: &File, empty: &Receiver<Aligned>, give_filled: &Sender<Filled>) {
    for mut chunk in empty {
        let read = read_some(file, chunk.slice_mut());
        let is_last = !matches!(read, Ok(1..));
        if give_filled.send((chunk, read)).is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_file_is_handed_over_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        for length in [0, 5, LEAST_BYTES - 1, LEAST_BYTES, LEAST_BYTES + 3 * CHUNK_BYTES as u64 + 7] {
            let content: Vec<u8> = (0..=250).cycle().take(usize::try_from(length).unwrap()).collect();
            std::fs::write(&path, &content).unwrap();
            let mut read = Vec::new();
            read_ahead(&path, &Progress::default(), |chunk| read.extend_from_slice(chunk)).unwrap();
            assert!(read == content, "{length}");
        }
        assert!(read_ahead(folder.path(), &Progress::default(), |_| ()).is_err());
    }
}
