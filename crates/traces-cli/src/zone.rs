//! Time zones, of this machine and by their names, as its system knows them.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyclaude_traces::model::{AheadOfUtc, LogZone};
use anyhow::{Context as _, bail};
use chrono::DateTime;
use tz::datetime::FoundDateTimeKind;
use tz::{TimeZone, UtcDateTime};

use crate::parse::{End, local_moment};

/// Where zones are looked up.
const FOLDERS: [&str; 3] = ["/usr/share/zoneinfo", "/share/zoneinfo", "/etc/zoneinfo"];
/// The largest file of a zone has some 4 kB.
const MOST_FILE_BYTES: u64 = 1 << 20;

/// Refuses a time zone in `TZ` whose file is a device or a pipe: it would be read for ever.
pub(crate) fn check_environment() -> anyhow::Result<()> {
    let Some(zone) = std::env::var_os("TZ") else { return Ok(()) };
    let name = zone.to_string_lossy();
    let name = name.strip_prefix(':').unwrap_or(&name);
    let is_endless =
        |file: &PathBuf| fs::metadata(file).is_ok_and(|found| !found.is_file() && !found.is_dir());
    // A whole path takes the place of the folder.
    if FOLDERS.map(|at| Path::new(at).join(name)).iter().any(is_endless) {
        bail!("TZ: {name} is no file of a time zone: name one, as in TZ=Europe/Berlin");
    }
    Ok(())
}

/// `--tz`: a time zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Zone {
    /// That of this machine.
    Local,
    /// So many seconds ahead of UTC.
    Fixed(i32),
    /// One with a name, with all its changes.
    Place(Arc<TimeZone>),
}

impl Zone {
    /// The zone for the library; without one, it is guessed.
    pub(crate) fn of_logs(zone: Option<&Self>) -> LogZone {
        match zone {
            Some(Self::Fixed(seconds)) => LogZone::Named((*seconds).into()),
            Some(Self::Place(zone)) => {
                let zone = Arc::clone(zone);
                LogZone::Place(Arc::new(move |seconds| ahead_in(&zone, seconds)))
            }
            Some(Self::Local) | None => LogZone::Machine(ahead_here),
        }
    }
}

/// How far local time is ahead of UTC when clocks here show this.
fn ahead_here(seconds: i64) -> Option<AheadOfUtc> {
    let shown = DateTime::from_timestamp(seconds, 0)?.naive_utc();
    let ahead = |end| Some(seconds - local_moment(shown, end)?.unix_ms().div_euclid(1000));
    Some(AheadOfUtc { first_s: ahead(End::Since)?, last_s: ahead(End::Until)? })
}

/// The same of a zone. Where its clocks skip this, it is told by the clock before the change.
fn ahead_in(zone: &TimeZone, seconds: i64) -> Option<AheadOfUtc> {
    let shown = UtcDateTime::from_timespec(seconds, 0).ok()?;
    let (year, month, day) = (shown.year(), shown.month(), shown.month_day());
    let (hour, minute, second) = (shown.hour(), shown.minute(), shown.second());
    let found = tz::DateTime::find(year, month, day, hour, minute, second, 0, zone.as_ref()).ok()?;
    let ahead = found.into_inner().into_iter().map(|found| {
        let (FoundDateTimeKind::Normal(at) | FoundDateTimeKind::Skipped { before_transition: at, .. }) =
            found;
        i64::from(at.local_time_type().ut_offset())
    });
    let ahead: Vec<i64> = ahead.collect();
    // The further ahead, the earlier.
    Some(AheadOfUtc { first_s: *ahead.iter().max()?, last_s: *ahead.iter().min()? })
}

/// `UTC`, `local`, `+02:00`, `-0330`, `+2` or `Europe/Berlin`.
pub(crate) fn parse_zone(text: &str) -> anyhow::Result<Zone> {
    if text.eq_ignore_ascii_case("local") {
        return Ok(Zone::Local);
    }
    if ["utc", "z", "gmt"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
        return Ok(Zone::Fixed(0));
    }
    if let Some(seconds) = fixed_zone(text) {
        return Ok(Zone::Fixed(seconds));
    }
    let file = is_name(text).then(|| FOLDERS.map(|at| Path::new(at).join(text)));
    match file.into_iter().flatten().find(|file| file.is_file()) {
        Some(file) => {
            let zone = read_zone(&file).with_context(|| format!("{}: no time zone", file.display()))?;
            Ok(Zone::Place(Arc::new(zone)))
        }
        None => bail!(
            "cannot read `{text}` as a time zone: write UTC, local, how far it is ahead, such as +02:00, or a \
             name that this system knows, such as Europe/Berlin"
        ),
    }
}

/// Whether it is a name as zones have them: no path out of their folder.
fn is_name(text: &str) -> bool {
    let is_part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
    };
    text.split('/').all(is_part)
}

fn read_zone(file: &Path) -> anyhow::Result<TimeZone> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MOST_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(TimeZone::from_tz_data(&bytes)?)
}

fn fixed_zone(text: &str) -> Option<i32> {
    let (sign, digits) = match (text.strip_prefix('+'), text.strip_prefix(['-', '−'])) {
        (Some(digits), _) => (1, digits),
        (_, Some(digits)) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) if minutes.len() == 2 => (hours, minutes),
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "0"),
        Some(_) => return None,
    };
    let number = |text: &str, most: i32| -> Option<i32> {
        let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| is_number && *number <= most)
    };
    Some(sign * (number(hours, 15)? * 3600 + number(minutes, 59)? * 60))
}

#[cfg(test)]
mod tests {
    use chrono::{Local, TimeZone as _};

    use super::*;

    #[test]
    fn zones_are_read_as_they_are_written() {
        for (text, seconds) in [
            ("UTC", 0),
            ("z", 0),
            ("+02:00", 7_200),
            ("+2", 7_200),
            ("-0330", -12_600),
            ("+05:45", 20_700),
            ("−8", -28_800),
        ] {
            assert_eq!(parse_zone(text).unwrap(), Zone::Fixed(seconds), "{text}");
        }
        assert_eq!(parse_zone("local").unwrap(), Zone::Local);
        for text in ["", "02:00", "+", "+2:0", "+2:00:00", "+99", "+02:60", "+é", "Europe", "No/Where"] {
            assert!(parse_zone(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_leads_to_no_other_folder() {
        for text in
            ["../zoneinfo/UTC", "/dev/zero", "Europe/../UTC", "Europe//Berlin", "/", ".", "a.b", "a\0"]
        {
            assert!(!is_name(text) && parse_zone(text).is_err(), "{text}");
        }
        for text in ["Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+2", "America/Port-au-Prince"]
        {
            assert!(is_name(text), "{text}");
        }
    }

    #[test]
    fn the_zone_of_this_machine_is_taken_where_none_is_said() {
        let LogZone::Machine(ahead) = Zone::of_logs(None) else { panic!() };
        let local = Local.timestamp_opt(1_763_294_400, 0).unwrap();
        let here = i64::from(local.offset().local_minus_utc());
        let shown = local.naive_local().and_utc().timestamp();
        assert_eq!(ahead(shown), Some(AheadOfUtc { first_s: here, last_s: here }));
    }

    /// As in Berlin, by the rule that a file ends with, for times behind those it lists.
    #[test]
    fn clocks_that_are_changed_skip_an_hour_or_show_it_twice() {
        let zone = TimeZone::from_posix_tz("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let ahead = |shown: &str| {
            let seconds = shown.parse::<chrono::NaiveDateTime>().unwrap().and_utc().timestamp();
            ahead_in(&zone, seconds).map(|ahead| (ahead.first_s, ahead.last_s))
        };
        let (winter, summer) = (3_600, 7_200);
        for (shown, first, last) in [
            ("2025-03-30T01:59:59", winter, winter),
            ("2025-03-30T02:30:00", winter, winter),
            ("2025-03-30T03:00:00", summer, summer),
            ("2025-10-26T01:59:59", summer, summer),
            ("2025-10-26T02:00:00", summer, winter),
            ("2025-10-26T02:59:59", summer, winter),
            ("2025-10-26T03:00:00", winter, winter),
            ("2051-07-01T12:00:00", summer, summer),
        ] {
            assert_eq!(ahead(shown), Some((first, last)), "{shown}");
        }
    }
}
