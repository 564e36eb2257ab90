//! Times and amounts as people type them.

use std::ffi::{OsStr, OsString};

use anyclaude_traces::Timestamp;
use anyclaude_traces::model::measure::{Measure, Unit, Value};
use anyhow::{Context as _, anyhow, bail};
use chrono::{DateTime, Datelike as _, Local, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone as _};

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Which end of a time span a moment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// `--since`.
    Since,
    /// `--until`.
    Until,
}

/// A moment: RFC 3339, a local day or time, or how long ago. A day means its beginning
/// for [`End::Since`] and its last millisecond for [`End::Until`].
pub(crate) fn parse_moment(text: &str, end: End, now: DateTime<Local>) -> anyhow::Result<Timestamp> {
    if let Ok(stamp) = text.parse() {
        return Ok(stamp);
    }
    if let Some(day) = parse_day(text, now) {
        let begin = day_begin(day)?;
        return Ok(match end {
            End::Since => begin,
            End::Until => day_end(day, begin),
        });
    }
    if let Some(time) = parse_time(text, now) {
        return local_moment(time, end).with_context(|| format!("{time} is out of range"));
    }
    let ago = parse_ago(text).ok_or_else(|| {
        anyhow!(
            "cannot read `{text}` as a time: write 2025-11-16, 2025-11-16T08:47, 08:47, today, yesterday, \
             2025-11-16T02:30:00Z, or how long ago: 90m, 2h, 3d, \
             10 min ago"
        )
    })?;
    let moment = now.checked_sub_signed(ago).context("that is before the first time that can be told")?;
    Timestamp::from_unix_ms(moment.timestamp_millis())
        .context("that is before the first time that can be told")
}

/// `2025-11-16`, `today` or `yesterday`.
fn parse_day(text: &str, now: DateTime<Local>) -> Option<NaiveDate> {
    match text {
        "today" => Some(now.date_naive()),
        "yesterday" => now.date_naive().pred_opt(),
        day => day.parse().ok(),
    }
}

/// `2025-11-16T08:47` or, today, `08:47`; with or without seconds.
fn parse_time(text: &str, now: DateTime<Local>) -> Option<NaiveDateTime> {
    let of_day = |text: &str| {
        ["%H:%M", "%H:%M:%S%.f"].iter().find_map(|format| NaiveTime::parse_from_str(text, format).ok())
    };
    match text.split_once(['T', ' ']) {
        Some((day, time)) => Some(day.parse::<NaiveDate>().ok()?.and_time(of_day(time)?)),
        None => Some(now.date_naive().and_time(of_day(text)?)),
    }
}

/// The moment at which clocks show this. Where they show it twice, it is the first for
/// [`End::Since`] and the last for [`End::Until`]; where they skip it, the moment by the
/// clock before the change.
pub(crate) fn local_moment(time: NaiveDateTime, end: End) -> Option<Timestamp> {
    let shown = Local.from_local_datetime(&time);
    let moment = match end {
        End::Since => shown.earliest(),
        End::Until => shown.latest(),
    };
    let skipped = || {
        let day_before = Local.offset_from_utc_datetime(&time.checked_sub_signed(TimeDelta::days(1))?);
        time.checked_sub_offset(day_before)
    };
    let utc = moment.map(|moment| moment.naive_utc()).or_else(skipped)?;
    Timestamp::from_unix_ms(utc.and_utc().timestamp_millis())
}

/// The first moment of a local day: after the gap where clocks skip midnight, and the
/// first midnight where there are two.
///
/// A binary search, as a gap may begin before midnight or span a day, and chrono tells
/// only that there is one. What clocks show at a moment is always one time.
fn day_begin(day: NaiveDate) -> anyhow::Result<Timestamp> {
    let out_of_range = || format!("{day} is out of range");
    let midnight = day.and_time(NaiveTime::MIN).and_utc().timestamp();
    let is_of_day = |second: i64| {
        let utc = DateTime::from_timestamp(second, 0).filter(|utc| (-1..=10_000).contains(&utc.year()));
        utc.map(|utc| utc.with_timezone(&Local).date_naive() >= day).with_context(out_of_range)
    };
    // No time zone is further from UTC than a day.
    let (mut before, mut begin) = (midnight - DAY_SECONDS, midnight + DAY_SECONDS);
    while begin - before > 1 {
        let between = before.midpoint(begin);
        if is_of_day(between)? {
            begin = between;
        } else {
            before = between;
        }
    }
    Timestamp::from_unix_ms(begin * 1000).with_context(out_of_range)
}

/// The last millisecond of a local day that begins at this moment. The last day of the
/// calendar ends with the last moment that a timestamp can hold.
fn day_end(day: NaiveDate, begin: Timestamp) -> Timestamp {
    let next = day.succ_opt().and_then(|next| day_begin(next).ok());
    next.map_or(begin.plus_ms(i64::MAX), |next| next.plus_ms(-1))
}

/// `2h`, `1h30m`, `10 min ago`, `3 days`.
fn parse_ago(text: &str) -> Option<TimeDelta> {
    let text = text.trim();
    let mut rest = text.strip_suffix("ago").unwrap_or(text).trim_end();
    let mut ms = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (amount, behind) = rest.split_at(digits);
        let behind = behind.trim_start();
        let end = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        ms += amount.parse::<f64>().ok()? * seconds_of(unit)? * 1000.0;
        rest = behind.trim_start();
    }
    if text.is_empty() || text == "ago" {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "checked against the range just before")]
    (ms < 1e15).then(|| TimeDelta::milliseconds(ms as i64))
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 7.0 * 86_400.0,
        _ => return None,
    })
}

/// `12.5kB` → (12.5, "kB").
fn split_unit(text: &str) -> Option<(f64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (amount, unit) = text.split_at(digits);
    Some((amount.parse().ok()?, unit.trim()))
}

/// `MEASURE=VALUE` of `--fail-over`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit {
    pub(crate) measure: Measure,
    pub(crate) most: Value,
}

/// Parses a limit; its value may carry a unit of its measure.
pub(crate) fn parse_limit(text: &str) -> anyhow::Result<Limit> {
    let (name, value) = text.split_once('=').context("write MEASURE=VALUE, such as body_bytes=200kB")?;
    let measure: Measure = name.parse()?;
    let (amount, unit) = split_unit(value).with_context(|| format!("cannot read `{value}` as an amount"))?;
    let factor = factor(measure.unit(), unit)
        .with_context(|| format!("`{unit}` is not a unit of {measure}: write {}", units(measure.unit())))?;
    let most = Some(amount * factor).filter(|most| most.is_finite());
    Ok(Limit { measure, most: Value::Rate(most.context("that is too large")?) })
}

fn factor(unit: Unit, suffix: &str) -> Option<f64> {
    let factor = match (unit, suffix) {
        (_, "") | (Unit::Bytes, "B") | (Unit::Ms, "ms") => 1.0,
        (Unit::Bytes, "kB" | "KB") | (Unit::Ms, "s") => 1e3,
        (Unit::Chars | Unit::Count | Unit::Tokens | Unit::PerSecond, "k") => 1e3,
        (Unit::Bytes, "MB") => 1e6,
        (Unit::Bytes, "GB") => 1e9,
        (Unit::Bytes, "KiB") => 1024.0,
        (Unit::Bytes, "MiB") => 1024.0 * 1024.0,
        (Unit::Ms, "m" | "min") => 60e3,
        _ => return None,
    };
    Some(factor)
}

fn units(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "bytes, kB, MB or GB",
        Unit::Ms => "milliseconds, s or m",
        _ => "a number, or thousands with k",
    }
}

/// `MODEL=INPUT` of `--label`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelArg {
    pub(crate) model: String,
    pub(crate) input: OsString,
}

impl From<OsString> for LabelArg {
    /// Splits at the first `=`. Without one the model is empty, which [`LabelArg::check`]
    /// refuses.
    fn from(text: OsString) -> Self {
        let bytes = text.as_encoded_bytes();
        let at = bytes.iter().position(|byte| *byte == b'=').unwrap_or(0);
        let model = String::from_utf8_lossy(bytes.get(..at).unwrap_or_default()).into_owned();
        Self { model, input: after(&text, at + 1) }
    }
}

impl LabelArg {
    /// Fails unless it has both parts.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.model.is_empty() || self.input.is_empty() {
            bail!("--label: write MODEL=INPUT, such as gpt-oss-20b=session:1f0c");
        }
        Ok(())
    }
}

/// The rest of an argument, which need not be UTF-8.
#[cfg(unix)]
fn after(text: &OsStr, at: usize) -> OsString {
    use std::os::unix::ffi::OsStrExt as _;
    OsStr::from_bytes(text.as_bytes().get(at..).unwrap_or_default()).to_owned()
}

/// The rest of an argument.
#[cfg(not(unix))]
fn after(text: &OsStr, at: usize) -> OsString {
    text.to_string_lossy().get(at..).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Local> {
        "2025-11-16T12:00:00Z".parse::<DateTime<chrono::Utc>>().unwrap().into()
    }

    fn at(text: &str, end: End) -> String {
        parse_moment(text, end, now()).unwrap().to_string()
    }

    #[test]
    fn ago_counts_back_from_now() {
        assert_eq!(at("2h", End::Since), "2025-11-16T10:00:00.000Z");
        assert_eq!(at("1.5d", End::Since), "2025-11-15T00:00:00.000Z");
        assert_eq!(at("90m", End::Until), "2025-11-16T10:30:00.000Z");
        for text in ["1h30m", "1h 30min", "90 minutes ago", "90 min ago", "1.5 hours"] {
            assert_eq!(at(text, End::Since), "2025-11-16T10:30:00.000Z", "{text}");
        }
        assert_eq!(at("1 week ago", End::Since), at("7 days", End::Since));
    }

    #[test]
    fn a_day_is_whole() {
        let begin = parse_moment("2025-11-16", End::Since, now()).unwrap();
        let end = parse_moment("2025-11-16", End::Until, now()).unwrap();
        let next = parse_moment("2025-11-17", End::Since, now()).unwrap();
        assert_eq!(next.ms_since(end), 1);
        assert!(begin < end);
    }

    #[test]
    fn local_times_and_names_of_days_are_read() {
        let of_today = |time: &str| format!("{}T{time}", now().date_naive());
        assert_eq!(at("08:47", End::Since), at(&of_today("08:47"), End::Since));
        assert_eq!(at("08:47", End::Since), at(&of_today("08:47:00"), End::Until));
        assert_eq!(at("2025-11-16 08:47", End::Since), at("2025-11-16T08:47", End::Since));
        let day = |day: NaiveDate, end| at(&day.to_string(), end);
        for end in [End::Since, End::Until] {
            assert_eq!(at("today", end), day(now().date_naive(), end));
            assert_eq!(at("yesterday", end), day(now().date_naive().pred_opt().unwrap(), end));
        }
    }

    #[test]
    fn the_last_day_of_all_has_an_end_too() {
        let at = |end| parse_moment("9999-12-31", end, now()).unwrap();
        assert!(at(End::Since) < at(End::Until));
    }

    #[test]
    fn a_limit_can_be_exceeded() {
        assert!(parse_limit(&format!("body_bytes={}GB", "9".repeat(305))).is_err());
        assert!(parse_limit(&format!("body_bytes={}", "9".repeat(400))).is_err());
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2h30",
            "ago",
            "h",
            "2 hours before",
            "10 ago",
            "-3d",
            "9999999999999999d",
            "2025-02-30",
            "3",
            "24:00",
            "T08:47",
        ] {
            assert!(parse_moment(text, End::Since, now()).is_err(), "{text}");
        }
        for text in ["body_bytes", "body_bytes=", "body_bytes=1s", "size=3", "tool_count=4kB", "=4"] {
            assert!(parse_limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_take_units() {
        for (text, most) in [("body_bytes=200kB", 200e3), ("tool_count=40", 40.0), ("ttft_ms=1.5s", 1500.0)] {
            assert_eq!(parse_limit(text).unwrap().most, Value::Rate(most), "{text}");
        }
    }
}
