//! Who writes a recording holds a lock on its folder, so that nobody deletes it meanwhile.
//!
//! The system takes the lock back when the program ends, however it does. Where there are no
//! such locks (other systems, some network drives), none is held, and none is found.

use std::path::Path;

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    /// The folder, where it could be locked.
    #[cfg(unix)]
    _folder: Option<std::fs::File>,
}

#[cfg(unix)]
impl Lock {
    /// Locks a folder, where that can be done.
    pub(crate) fn hold(folder: &Path) -> Self {
        use rustix::fs::{FlockOperation, flock};
        let folder = std::fs::File::open(folder).ok();
        Self {
            _folder: folder.filter(|folder| flock(folder, FlockOperation::NonBlockingLockExclusive).is_ok()),
        }
    }
}

#[cfg(not(unix))]
impl Lock {
    pub(crate) fn hold(_: &Path) -> Self {
        Self {}
    }
}

/// Whether somebody holds the lock on a folder.
#[cfg(unix)]
pub(crate) fn is_held(folder: &Path) -> bool {
    use rustix::fs::{FlockOperation, flock};
    let Ok(folder) = std::fs::File::open(folder) else { return false };
    matches!(flock(&folder, FlockOperation::NonBlockingLockShared), Err(rustix::io::Errno::WOULDBLOCK))
}

#[cfg(not(unix))]
pub(crate) fn is_held(_: &Path) -> bool {
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
        assert!(is_held(folder.path()));
        drop(lock);
        assert!(!is_held(folder.path()) && !is_held(&folder.path().join("nothing")));
    }
}
