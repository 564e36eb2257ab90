//! How far reading has come, for whoever wants to show it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what was read. Any thread may ask at any time.
#[derive(Debug, Default)]
pub struct Progress {
    expected_files: Alone,
    files: AtomicU64,
    bytes: AtomicU64,
}

/// A number that one thread counts while others count what is beside it: in a cache
/// line of its own none waits for another.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Alone(AtomicU64);

impl Progress {
    /// How many files are to be read, as far as that is known.
    #[must_use]
    pub fn expected_files(&self) -> u64 {
        self.expected_files.0.load(Ordering::Relaxed)
    }

    /// How many files were read, traces and logs, whatever was in them.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// How many bytes were read of them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn expect_files(&self, count: usize) {
        self.expected_files.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn count_bytes(&self, count: usize) {
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn count_file(&self, bytes: usize) {
        self.count_files(1, bytes);
    }

    fn count_files(&self, files: u64, bytes: usize) {
        self.count_bytes(bytes);
        self.files.fetch_add(files, Ordering::Relaxed);
    }
}

/// What one thread has read and not told yet: threads that count together at every
/// small file wait for each other.
#[derive(Debug)]
pub(super) struct Tally<'p> {
    progress: &'p Progress,
    files: u64,
    bytes: usize,
}

impl<'p> Tally<'p> {
    const MOST_FILES: u64 = 16;
    const MOST_BYTES: usize = 1 << 20;

    pub(super) fn new(progress: &'p Progress) -> Self {
        Self { progress, files: 0, bytes: 0 }
    }

    /// Counts a file that is done with.
    pub(super) fn count_file(&mut self) {
        self.files += 1;
        if self.files == Self::MOST_FILES {
            self.tell();
        }
    }

    /// Counts bytes of a file that is not parsed yet, which may take long.
    pub(super) fn count_bytes(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes >= Self::MOST_BYTES {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.progress.count_files(self.files, self.bytes);
        (self.files, self.bytes) = (0, 0);
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        self.tell();
    }
}
