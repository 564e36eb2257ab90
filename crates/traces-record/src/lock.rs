//! Who writes a file or folder, such as a recording, holds a lock on it, so that nobody
//! deletes it meanwhile.
//!
//! The system takes the lock back when the program ends, however it does. Where there are no
//! such locks (other systems, some network drives), none is held, and none is found.

use std::path::Path;

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub struct Lock {
    /// What is locked, where it could be.
    #[cfg(unix)]
    _held: Option<std::fs::File>,
}

#[cfg(unix)]
impl Lock {
    /// Locks a file or folder, where that can be done.
    #[must_use]
    pub fn hold(path: &Path) -> Self {
        Self::hold_alone(path).unwrap_or(Self { _held: None })
    }

    /// The same; `None` where somebody holds it.
    #[must_use]
    pub fn hold_alone(path: &Path) -> Option<Self> {
        use rustix::fs::{FlockOperation, flock};
        let Ok(opened) = std::fs::File::open(path) else { return Some(Self { _held: None }) };
        match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Some(Self { _held: Some(opened) }),
            Err(rustix::io::Errno::WOULDBLOCK) => None,
            Err(_) => Some(Self { _held: None }),
        }
    }
}

#[cfg(not(unix))]
impl Lock {
    /// Locks nothing: this system has no such locks.
    #[must_use]
    pub fn hold(_: &Path) -> Self {
        Self {}
    }

    /// The same: nobody is ever known to hold it.
    #[must_use]
    pub fn hold_alone(_: &Path) -> Option<Self> {
        Some(Self {})
    }
}

/// Whether somebody, this program included, holds the lock on a file or folder.
#[cfg(unix)]
#[must_use]
pub fn is_held(path: &Path) -> bool {
    use rustix::fs::{FlockOperation, flock};
    let Ok(opened) = std::fs::File::open(path) else { return false };
    matches!(flock(&opened, FlockOperation::NonBlockingLockShared), Err(rustix::io::Errno::WOULDBLOCK))
}

/// Whether somebody is known to hold the lock on a file or folder: here nobody ever is.
#[cfg(not(unix))]
#[must_use]
pub fn is_held(_: &Path) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_held(folder.path()));
        let lock = Lock::hold(folder.path());
        assert!(is_held(folder.path()) && Lock::hold_alone(folder.path()).is_none());
        drop(lock);
        assert!(Lock::hold_alone(folder.path()).is_some());
        assert!(!is_held(folder.path()) && !is_held(&folder.path().join("nothing")));
    }
}
