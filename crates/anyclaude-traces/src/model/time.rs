//! Instants as the recordings write them: UTC, to the millisecond.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, SecondsFormat};
use serde::{Serialize, Serializer};

/// An instant in milliseconds since 1970-01-01T00:00:00Z.
///
/// anyclaude stamps everything with JavaScript's `Date`, which counts whole
/// milliseconds of UTC, as this type does. Printed and serialised as RFC 3339 with
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
///
/// It is held as the number of milliseconds from the last one before the year 0: none is 0
/// then, and an `Option` of it takes 8 bytes instead of 16.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroU64);

/// The text is not an RFC 3339 instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time such as 2025-11-16T02:30:45.123Z")]
pub struct InvalidTimestamp;

/// Milliseconds of the first instant that [`Timestamp`] holds, year 0.
const FIRST_MS: i64 = -62_167_219_200_000;
/// Milliseconds of the last instant that [`Timestamp`] holds, year 9999.
const LAST_MS: i64 = 253_402_300_799_999;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self::since_first(0 - FIRST_MS);

    const fn since_first(ms: i64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(ms.cast_unsigned()))
    }

    /// The instant this many milliseconds after the Unix epoch; `None` outside
    /// the years 0 to 9999, which RFC 3339 cannot write.
    #[must_use]
    pub fn from_unix_ms(ms: i64) -> Option<Self> {
        (FIRST_MS..=LAST_MS).contains(&ms).then(|| Self::since_first(ms - FIRST_MS))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn unix_ms(self) -> i64 {
        FIRST_MS + (self.0.get() - 1).cast_signed()
    }

    /// `self − earlier` in milliseconds; negative when `earlier` is later.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> i64 {
        self.unix_ms() - earlier.unix_ms()
    }

    /// The instant `ms` milliseconds later (earlier when negative), held
    /// within the years that a timestamp can write.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self::since_first(self.unix_ms().saturating_add(ms).clamp(FIRST_MS, LAST_MS) - FIRST_MS)
    }

    /// The instant that anyclaude wrote into a file's name: RFC 3339 with `:`
    /// and `.` replaced by `-`, as in `2025-11-16T02-30-45-123Z.json`. Text
    /// before and after it is allowed (`trace-….json`).
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        let candidates =
            (0..name.len().checked_sub(STAMP_LEN - 1)?).filter_map(|at| name.get(at..at + STAMP_LEN));
        candidates.filter_map(Self::from_dashed).next()
    }

    fn from_dashed(text: &str) -> Option<Self> {
        fixed_form_ms(text.as_bytes(), *b"---").and_then(Self::from_unix_ms)
    }
}

/// Length of `2025-11-16T02:30:45.123Z`.
pub(crate) const STAMP_LEN: usize = 24;

/// Milliseconds since the Unix epoch of a stamp in exactly the form
/// `2025-11-16T02:30:45.123Z`, with these separators before minutes, seconds and
/// milliseconds. RFC 3339 in general is what [`Timestamp::from_str`] reads; this is the
/// form that starts every line of a log, and needs no general parser.
#[inline]
pub(crate) fn fixed_form_ms(text: &[u8], [minutes, seconds, millis]: [u8; 3]) -> Option<i64> {
    let text: &[u8; STAMP_LEN] = text.try_into().ok()?;
    let separators =
        [(4, b'-'), (7, b'-'), (10, b'T'), (13, minutes), (16, seconds), (19, millis), (23, b'Z')];
    if separators.iter().any(|&(at, separator)| text.get(at) != Some(&separator)) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<u32> {
        text.get(from..to)?
            .iter()
            .try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
    };
    let date = NaiveDate::from_ymd_opt(number(0, 4)?.cast_signed(), number(5, 7)?, number(8, 10)?)?;
    let time = date.and_hms_milli_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?, number(20, 23)?)?;
    Some(time.and_utc().timestamp_millis())
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| InvalidTimestamp)?;
        Self::from_unix_ms(time.timestamp_millis()).ok_or(InvalidTimestamp)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::from_timestamp_millis(self.unix_ms()).ok_or(fmt::Error)?;
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
    fn every_instant_that_can_be_written_is_one_and_no_other() {
        for ms in [FIRST_MS, -1, 0, 1, LAST_MS] {
            let stamp = Timestamp::from_unix_ms(ms).unwrap();
            assert_eq!((stamp.unix_ms(), stamp.to_string().parse()), (ms, Ok(stamp)));
        }
        assert_eq!(Timestamp::UNIX_EPOCH.unix_ms(), 0);
        assert_eq!(Timestamp::from_unix_ms(FIRST_MS - 1), None);
        assert_eq!(Timestamp::from_unix_ms(LAST_MS + 1), None);
        assert_eq!(Timestamp::UNIX_EPOCH.plus_ms(i64::MIN).unix_ms(), FIRST_MS);
        assert_eq!(Timestamp::UNIX_EPOCH.plus_ms(i64::MAX).unix_ms(), LAST_MS);
        assert!(Timestamp::from_unix_ms(-1) < Some(Timestamp::UNIX_EPOCH));
        assert_eq!(size_of::<Option<Timestamp>>(), 8);
    }

    #[test]
    fn offsets_are_understood_and_written_as_utc() {
        assert_eq!(ms("2025-11-16T03:30:45.123+01:00"), ms("2025-11-16T02:30:45.123Z"));
        assert!("16 Nov 2025".parse::<Timestamp>().is_err());
        assert!("+275760-09-13T00:00:00.000Z".parse::<Timestamp>().is_err());
    }
}
