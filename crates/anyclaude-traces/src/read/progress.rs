//! How far reading has come.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what was read. Any thread may ask at any time.
#[derive(Debug, Default)]
pub struct Progress {
    expected_files: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// How many files are to be read, as far as that is known.
    #[must_use]
    pub fn expected_files(&self) -> u64 {
        self.expected_files.load(Ordering::Relaxed)
    }

    /// How many files were read, traces and logs, whatever was in them.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.files.load(Ordering::Relaxed)
    }

    /// How many bytes were read, those of files that are not finished included.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn expect_files(&self, count: usize) {
        self.expected_files.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn count_bytes(&self, count: usize) {
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(super) fn count_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }
}
