//! How far a running replay is, and how to stop it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Observes and stops a replay from another thread.
#[derive(Debug, Default)]
pub struct ProgressHandle {
    stop: Arc<AtomicBool>,
    state: Mutex<ProgressState>,
}

#[derive(Debug, Default)]
struct ProgressState {
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
    /// The run, counted from 1; 0 is the one that warms up the cache.
    pub run: u32,
    /// How many runs there will be.
    pub runs: u32,
    /// How long ago the request was sent; `None` before that.
    pub elapsed: Option<Duration>,
    /// The time from the request to the first delta.
    pub first: Option<Duration>,
    /// How many deltas have come. Servers send about one per token.
    pub deltas: u64,
}

impl ProgressHandle {
    /// A handle that stops the replay once the flag is set, by a signal for instance.
    #[must_use]
    pub fn with_stop(stop: Arc<AtomicBool>) -> Self {
        Self { stop, state: Mutex::default() }
    }

    /// How far the replay is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let state = self.state();
        Progress {
            run: state.run,
            runs: state.runs,
            elapsed: state.sent.map(|sent| sent.elapsed()),
            first: state.sent.zip(state.first).map(|(sent, first)| first - sent),
            deltas: state.deltas,
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(&self, run: u32, runs: u32) {
        *self.state() = ProgressState { run, runs, ..ProgressState::default() };
    }

    pub(crate) fn sent(&self, at: Instant) {
        self.state().sent = Some(at);
    }

    pub(crate) fn delta(&self, at: Instant) {
        let mut state = self.state();
        state.first.get_or_insert(at);
        state.deltas += 1;
    }

    /// A poisoned lock is used all the same: no code panics while it holds it.
    fn state(&self) -> MutexGuard<'_, ProgressState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
