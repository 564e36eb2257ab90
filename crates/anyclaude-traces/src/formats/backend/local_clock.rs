//! A clock on the wall, as the lines of a log show it one after the other.

use chrono::NaiveDate;

use super::BackendMoment;
use crate::formats::scan;

/// So far a clock is set back where it shows an hour twice: half an hour on Lord Howe, two
/// hours in Antarctica, an hour elsewhere; less by what passed between two lines.
const LEAST_BACK_S: i64 = 10 * 60;
const MOST_BACK_S: i64 = 2 * 60 * 60;

/// Tells the times that a clock shows for the second time.
#[derive(Debug, Clone, Default)]
pub(super) struct LocalClock {
    /// The latest time that it has shown.
    latest: Option<i64>,
}

impl LocalClock {
    /// The moment of the next line, at which the clock shows this.
    #[inline]
    pub(super) fn at(&mut self, seconds: i64) -> BackendMoment {
        let behind = self.latest.map_or(0, |latest| latest.saturating_sub(seconds));
        let is_repeated = (LEAST_BACK_S..=MOST_BACK_S).contains(&behind);
        // Lines of several threads are written a little out of order.
        if behind <= 0 || behind > MOST_BACK_S {
            self.latest = Some(seconds);
        }
        BackendMoment::LocalSecond { seconds, is_repeated }
    }
}

/// Seconds from 1970 to `Sep 11 00:04:26` of a year on the clock on the wall.
pub(super) fn journal_seconds(stamp: &[u8], year: i32) -> Option<i64> {
    const MONTHS: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let month = MONTHS.iter().position(|month| stamp.starts_with(&month[..]))?;
    let number = |from: usize| {
        let text = stamp.get(from..from + 2)?.trim_ascii_start();
        u32::try_from(scan::number(text)?.0).ok()
    };
    let date = NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()? + 1, number(4)?)?;
    let time = date.and_hms_opt(number(7)?, number(10)?, number(13)?)?;
    Some(time.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of these times are shown for the second time.
    fn repeated(times: &[i64]) -> Vec<i64> {
        let mut clock = LocalClock::default();
        let again =
            |time: &&i64| matches!(clock.at(**time), BackendMoment::LocalSecond { is_repeated: true, .. });
        times.iter().filter(again).copied().collect()
    }

    #[test]
    fn an_hour_that_comes_twice_is_told_apart() {
        assert_eq!(repeated(&[0, 3_000, 3_599, 600, 1_200, 4_000, 3_990]), [600, 1_200]);
        assert_eq!(repeated(&[1_800, 1_790, 0]), [0], "half an hour");
        assert_eq!(repeated(&[7_200, 7_199, 7_150, 7_300]), [] as [i64; 0], "out of order");
    }

    #[test]
    fn a_clock_that_was_set_right_begins_anew() {
        assert_eq!(repeated(&[9_000_000, 0, 10, 20]), [] as [i64; 0]);
    }
}
