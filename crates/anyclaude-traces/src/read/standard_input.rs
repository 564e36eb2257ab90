//! What comes by the standard input, which is read once and can be looked at again.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Reads the standard input, at most about so many bytes. The library has none of its own.
pub type ReadStandardInput = fn(u64) -> io::Result<Vec<u8>>;

/// The standard input, once it was asked for.
#[derive(Debug, Clone)]
pub(super) struct StandardInput {
    read: ReadStandardInput,
    /// The vector as it was read: with a slice made of it and a copy of that, `list` of 100 MB
    /// took 1.8 times as long.
    bytes: Arc<Mutex<Option<Arc<Vec<u8>>>>>,
}

impl StandardInput {
    pub(super) fn new(read: ReadStandardInput) -> Self {
        Self { read, bytes: Arc::default() }
    }

    /// All of it, and at least a byte more than `limit` where it is longer.
    pub(super) fn bytes(&self, limit: u64) -> io::Result<Arc<Vec<u8>>> {
        let mut known = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = &*known {
            return Ok(bytes.clone());
        }
        let bytes = Arc::new((self.read)(limit.saturating_add(1))?);
        Ok(known.insert(bytes).clone())
    }
}
