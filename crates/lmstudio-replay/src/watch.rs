//! What can be seen of a replay while it runs, and how to stop it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Looks at a running replay from another thread.
#[derive(Debug, Default)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    run: u32,
    runs: u32,
    sent: Option<Instant>,
    first: Option<Instant>,
    deltas: u64,
}

/// How far a replay is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// The run, counted from 1; 0 is the one that warms the cache up.
    pub run: u32,
    /// How many runs there will be.
    pub runs: u32,
    /// How long ago the request was sent; `None` where it is not yet.
    pub elapsed: Option<Duration>,
    /// How long the first delta took to come.
    pub first: Option<Duration>,
    /// How many deltas have come. Servers send about one for each token.
    pub deltas: u64,
}

impl Watch {
    /// A watch that stops the replay when the flag is set, by a signal for instance.
    #[must_use]
    pub fn with_stop(stop: Arc<AtomicBool>) -> Self {
        Self { stop, now: Mutex::default() }
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let now = self.now();
        Progress {
            run: now.run,
            runs: now.runs,
            elapsed: now.sent.map(|sent| sent.elapsed()),
            first: now.sent.zip(now.first).map(|(sent, first)| first - sent),
            deltas: now.deltas,
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self, run: u32, runs: u32) {
        *self.now() = Now { run, runs, ..Now::default() };
    }

    pub(crate) fn sent(&self, at: Instant) {
        self.now().sent = Some(at);
    }

    pub(crate) fn delta(&self, at: Instant) {
        let mut now = self.now();
        now.first.get_or_insert(at);
        now.deltas += 1;
    }

    /// Nothing that holds the lock can panic.
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
