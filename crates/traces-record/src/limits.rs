//! How much the receiver takes, and for how long it waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::refusal::Refusal;

/// How much a [`Receiver`](crate::Receiver) takes. The defaults are many times what Claude
/// Code sends, and bound what another program on this machine can cost.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// The longest head of a request, in bytes.
    pub head_bytes: usize,
    /// The largest body, before and after decompression, in bytes.
    pub body_bytes: usize,
    /// All bodies that are in memory at once, in bytes.
    pub memory_bytes: usize,
    /// Connections at once.
    pub connections: usize,
    /// Bodies that are written in all.
    pub bodies: u64,
    /// Bytes that are written in all.
    pub written_bytes: u64,
    /// From the first byte of a request to its last.
    pub request_time: Duration,
    /// How long a connection may stay open without a request.
    pub idle_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 16 << 10,
            body_bytes: 32 << 20,
            memory_bytes: 256 << 20,
            connections: 64,
            bodies: 1_000_000,
            written_bytes: 16 << 30,
            request_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(60),
        }
    }
}

/// What is left of [`Limits::memory_bytes`].
#[derive(Debug)]
pub(crate) struct Budget(AtomicUsize);

impl Budget {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(bytes)))
    }

    /// A share of nothing yet.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), bytes: 0 }
    }
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    /// Takes more of the budget.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let take = |free: usize| free.checked_sub(bytes);
        let taken = self.budget.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.map_err(|_| Refusal::Busy)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}
