//! The zone of local times that name none.

use std::fmt;
use std::sync::Arc;

/// How many seconds local time is ahead of UTC when clocks show a certain time.
///
/// Where clocks are set back they show an hour twice, and are less far ahead at the second
/// time; else both are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AheadOfUtc {
    /// At the first moment at which they show it.
    pub first_s: i64,
    /// At the last one.
    pub last_s: i64,
}

/// The zone of the times in a server's log that name none.
///
/// Where a log's requests are found among others whose times are known, these show it.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum LogZone {
    /// It is not known.
    #[default]
    Unknown,
    /// Somebody says that it is so many seconds ahead of UTC, all year round.
    Named(i64),
    /// Somebody says which one it is: the function tells how far it is ahead of UTC when
    /// clocks in it show this time, which is given in seconds since 1970-01-01T00:00:00 on
    /// them.
    Place(Arc<dyn Fn(i64) -> Option<AheadOfUtc> + Send + Sync>),
    /// Most likely that of the machine on which the log is read, told by such a function.
    Machine(fn(i64) -> Option<AheadOfUtc>),
}

impl fmt::Debug for LogZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("Unknown"),
            Self::Named(seconds) => f.debug_tuple("Named").field(seconds).finish(),
            Self::Place(_) => f.write_str("Place"),
            Self::Machine(_) => f.write_str("Machine"),
        }
    }
}

impl LogZone {
    /// Whether somebody says which zone it is.
    #[must_use]
    pub fn is_named(&self) -> bool {
        matches!(self, Self::Named(_) | Self::Place(_))
    }

    /// How many seconds it is ahead of UTC when clocks in it show this time, for the second
    /// time where `is_repeated`.
    #[must_use]
    pub fn offset_s(&self, local_seconds: i64, is_repeated: bool) -> Option<i64> {
        let ahead = match self {
            Self::Unknown => return None,
            Self::Named(seconds) => return Some(*seconds),
            Self::Place(ahead) => ahead(local_seconds)?,
            Self::Machine(ahead) => ahead(local_seconds)?,
        };
        Some(if is_repeated { ahead.last_s } else { ahead.first_s })
    }
}
