//! What comes by the standard input, which is read once and can be looked at again.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::decompress::decompress;
use crate::error::ErrorKind;

/// Reads the standard input, at most about so many bytes. The library has none of its own.
pub type ReadStandardInput = fn(u64) -> io::Result<Vec<u8>>;

/// The standard input, once it was asked for.
#[derive(Debug, Clone)]
pub(super) struct StandardInput {
    read: ReadStandardInput,
    given: Arc<Mutex<Option<Result<Given, ErrorKind>>>>,
}

/// What came by the standard input.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// What it holds, decompressed. The vector as it was read: with a slice made of it and a
    /// copy of that, `list` of 100 MB took 1.8 times as long.
    pub(super) content: Arc<Vec<u8>>,
    /// Its size, compressed where it is.
    pub(super) bytes: usize,
    pub(super) is_compressed: bool,
}

impl StandardInput {
    pub(super) fn new(read: ReadStandardInput) -> Self {
        Self { read, given: Arc::default() }
    }

    /// All of it. It is read and decompressed once.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is longer than `limit`, compressed or decompressed.
    pub(super) fn given(&self, limit: u64) -> Result<Given, ErrorKind> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.get_or_insert_with(|| self.read(limit)).clone()
    }

    fn read(&self, limit: u64) -> Result<Given, ErrorKind> {
        let given = (self.read)(limit.saturating_add(1))?;
        let bytes = given.len();
        if bytes as u64 > limit {
            return Err(ErrorKind::TooLarge { bytes: bytes as u64, limit });
        }
        let decompressed = decompress(&given, limit)?;
        let is_compressed = decompressed.is_some();
        Ok(Given { content: Arc::new(decompressed.unwrap_or(given)), bytes, is_compressed })
    }
}
