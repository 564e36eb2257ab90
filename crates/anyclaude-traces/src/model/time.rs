//! Instants as the recordings write them: UTC, to the millisecond.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, SecondsFormat};
use serde::{Serialize, Serializer};

/// An instant in milliseconds since 1970-01-01T00:00:00Z.
///
/// anyclaude stamps everything with JavaScript's `Date`, which counts whole
/// milliseconds of UTC; so do we. Printed and serialised as RFC 3339 with
/// milliseconds and `Z`.
///
/// ```
/// use anyclaude_traces::model::time::Timestamp;
///
/// let stamp: Timestamp = "2025-11-16T02:30:45.123Z".parse()?;
/// assert_eq!(stamp.unix_ms(), 1_763_260_245_123);
/// assert_eq!(stamp.to_string(), "2025-11-16T02:30:45.123Z");
/// # Ok::<(), anyclaude_traces::model::time::InvalidTimestamp>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time such as 2025-11-16T02:30:45.123Z")]
pub struct InvalidTimestamp;

/// Milliseconds of the first instant that [`Timestamp`] holds, year 0.
const FIRST_MS: i64 = -62_167_219_200_000;
/// Milliseconds of the last instant that [`Timestamp`] holds, year 9999.
const LAST_MS: i64 = 253_402_300_799_999;

impl Timestamp {
    /// The instant this many milliseconds after the Unix epoch; `None` outside
    /// the years 0 to 9999, which RFC 3339 cannot write.
    #[must_use]
    pub fn from_unix_ms(ms: i64) -> Option<Self> {
        (FIRST_MS..=LAST_MS).contains(&ms).then_some(Self(ms))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn unix_ms(self) -> i64 {
        self.0
    }

    /// `self − earlier` in milliseconds; negative when `earlier` is later.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// The instant `ms` milliseconds later (earlier when negative), held
    /// within the years that a timestamp can write.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms).clamp(FIRST_MS, LAST_MS))
    }

    /// The instant that anyclaude wrote into a file's name: RFC 3339 with `:`
    /// and `.` replaced by `-`, as in `2025-11-16T02-30-45-123Z.json`. Text
    /// before and after it is allowed (`trace-….json`).
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        const LEN: usize = "2025-11-16T02-30-45-123Z".len();
        let candidates = (0..name.len().checked_sub(LEN - 1)?).filter_map(|at| name.get(at..at + LEN));
        candidates.filter_map(Self::from_dashed).next()
    }

    fn from_dashed(text: &str) -> Option<Self> {
        if !text.ends_with('Z') {
            return None;
        }
        let time = NaiveDateTime::parse_from_str(text.get(..19)?, "%Y-%m-%dT%H-%M-%S").ok()?;
        let digits = text.get(20..23)?;
        if text.as_bytes().get(19) != Some(&b'-') || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let ms: i64 = digits.parse().ok()?;
        Self::from_unix_ms(time.and_utc().timestamp_millis().checked_add(ms)?)
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| InvalidTimestamp)?;
        Self::from_unix_ms(time.timestamp_millis()).ok_or(InvalidTimestamp)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::from_timestamp_millis(self.0).ok_or(fmt::Error)?;
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().unix_ms()
    }

    #[test]
    fn file_names_carry_the_instant() {
        let stamp = Timestamp::from_file_name("2025-11-16T02-30-45-123Z.json").unwrap();
        assert_eq!(stamp.unix_ms(), ms("2025-11-16T02:30:45.123Z"));
        let prefixed = Timestamp::from_file_name("trace-2025-11-16T02-30-45-123Z (copy).json");
        assert_eq!(prefixed, Some(stamp));
    }

    #[test]
    fn other_file_names_carry_none() {
        for name in ["", "x", "2025-11-16.json", "2025-13-16T02-30-45-123Z.json", "2025-11-16T02-30-45-1é3Z"]
        {
            assert_eq!(Timestamp::from_file_name(name), None, "{name}");
        }
    }

    #[test]
    fn offsets_are_understood_and_written_as_utc() {
        assert_eq!(ms("2025-11-16T03:30:45.123+01:00"), ms("2025-11-16T02:30:45.123Z"));
        assert!("16 Nov 2025".parse::<Timestamp>().is_err());
        assert!("+275760-09-13T00:00:00.000Z".parse::<Timestamp>().is_err());
    }
}
