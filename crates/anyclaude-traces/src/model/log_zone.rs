//! The zone of local times that name none.

/// The zone of the times in a server's log that name none.
///
/// Where a log's requests are found among others whose times are known, these show it.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub enum LogZone {
    /// It is not known.
    #[default]
    Unknown,
    /// Somebody says that it is so many seconds ahead of UTC.
    Named(i64),
    /// Most likely that of the machine on which the log is read: the function tells how
    /// many seconds it is ahead of UTC when its clocks show this time, which is given in
    /// seconds since 1970-01-01T00:00:00 on them.
    Machine(fn(i64) -> Option<i64>),
}

impl LogZone {
    /// How many seconds it is ahead of UTC, where somebody says so.
    #[must_use]
    pub fn named_s(self) -> Option<i64> {
        match self {
            Self::Named(seconds) => Some(seconds),
            _ => None,
        }
    }

    /// How many seconds it is ahead of UTC when clocks in it show this time.
    #[must_use]
    pub fn offset_s(self, local_seconds: i64) -> Option<i64> {
        match self {
            Self::Unknown => None,
            Self::Named(seconds) => Some(seconds),
            Self::Machine(offset) => offset(local_seconds),
        }
    }
}
