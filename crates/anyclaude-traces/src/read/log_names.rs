//! Which files are logs of servers, by their names, and which go on where others end.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Days, NaiveDate};
use walkdir::WalkDir;

use super::find::walk_error;
use super::logs::written;
use super::{Store, plain_name};
use crate::error::Error;
use crate::model::time::Timestamp;

/// How the names of logs end.
const ENDINGS: [&str; 4] = ["log", "txt", "jsonl", "ndjson"];
/// Where LM Studio writes its logs, below the user's home: now, and formerly.
const LM_STUDIO_FOLDERS: [&str; 2] = [".lmstudio/server-logs", ".cache/lm-studio/server-logs"];
/// Names of logs are local days, and a log may go on behind midnight.
const SLACK_DAYS: u64 = 2;

/// A log to be read.
pub(super) struct NamedLog {
    pub(super) path: PathBuf,
    /// The user names it, and it must be one.
    pub(super) is_named: bool,
}

impl Store {
    /// Where LM Studio writes its logs, below this home.
    pub(crate) fn lm_studio_folders(home: &Path) -> impl Iterator<Item = PathBuf> {
        LM_STUDIO_FOLDERS.into_iter().map(|folder| home.join(folder))
    }

    /// Those of these folders that hold logs.
    pub(crate) fn lm_studio_folders_in_use(home: &Path) -> impl Iterator<Item = PathBuf> {
        Self::lm_studio_folders(home).filter(|folder| written_below(folder).next().is_some())
    }

    /// The logs that LM Studio has written below this home, and that may hold lines of this
    /// time, in their order.
    pub(crate) fn lm_studio_logs(home: &Path, window: &RangeInclusive<Timestamp>) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for folder in Self::lm_studio_folders(home) {
            found.extend(written_below(&folder).filter(|path| may_hold(path, window)));
        }
        found.sort_by_cached_key(|path| by_numbers(path));
        found
    }
}

/// The logs in one of LM Studio's folders.
fn written_below(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let files = WalkDir::new(folder).min_depth(1).max_depth(2).into_iter().flatten();
    let is_log = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "log") && path.is_file();
    files.map(walkdir::DirEntry::into_path).filter(is_log)
}

pub(super) fn has_ending_of_log(path: &Path) -> bool {
    let name = plain_name(path);
    Path::new(&*name).extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

/// Puts those together that LM Studio wrote one after the other, in their order; they stand
/// where the first of them stood.
pub(super) fn in_series(logs: Vec<NamedLog>) -> Vec<Vec<NamedLog>> {
    let mut places: Vec<Option<NamedLog>> = logs.into_iter().map(Some).collect();
    let in_places = places.iter().enumerate();
    let mut dated: Vec<(PathBuf, NaiveDate, u32, usize)> = in_places
        .filter_map(|(at, log)| {
            let path = &log.as_ref()?.path;
            let (day, number) = day_and_number(path)?;
            // A folder holds one month.
            let folder = path.parent()?;
            let is_of_month = folder.ends_with(day.format("%Y-%m").to_string());
            let folder = folder.parent().filter(|_| is_of_month).unwrap_or(folder);
            Some((folder.to_owned(), day, number, at))
        })
        .collect();
    dated.sort();
    let mut series: Vec<Vec<usize>> = Vec::new();
    let is_next = |a: &(PathBuf, NaiveDate, u32, usize), b: &(PathBuf, NaiveDate, u32, usize)| {
        let same_day = a.1 == b.1 && a.2.checked_add(1) == Some(b.2);
        a.0 == b.0 && (same_day || a.1.succ_opt() == Some(b.1) && b.2 <= 1)
    };
    for one in dated.chunk_by(is_next) {
        series.push(one.iter().map(|(.., at)| *at).collect());
    }
    let is_dated: BTreeSet<usize> = series.iter().flatten().copied().collect();
    series.extend((0..places.len()).filter(|at| !is_dated.contains(at)).map(|at| vec![at]));
    series.sort_by_key(|of| of.iter().min().copied());
    let mut take = |at: usize| places.get_mut(at).and_then(Option::take);
    series.into_iter().map(|of| of.into_iter().filter_map(&mut take).collect()).collect()
}

/// Whether a log is rotated to this name: `server.log.1`, `server.log-20260624`, compressed or
/// not.
pub(super) fn is_rotated_name(log: &Path, path: &Path) -> bool {
    let name = plain_name(path);
    let added = log.file_name().and_then(|log| name.strip_prefix(&*log.to_string_lossy()));
    added.and_then(|added| added.strip_prefix(['.', '-', '_'])).is_some_and(|added| {
        added == "old" || added.starts_with(|c: char| c.is_ascii_digit()) && !added.contains("log")
    })
}

/// Day and number in `2026-06-24.1.log`, compressed or not.
fn day_and_number(path: &Path) -> Option<(NaiveDate, u32)> {
    let name = plain_name(path);
    let (day, rest) = name.split_at_checked(10)?;
    let number = rest.strip_prefix('.')?.strip_suffix(".log")?;
    Some((day.parse().ok()?, number.parse().ok()?))
}

/// Whether a log of LM Studio can hold lines of this time, by the day in its name, and for
/// days before by when it was last written: it is left out only where both say so.
fn may_hold(path: &Path, window: &RangeInclusive<Timestamp>) -> bool {
    let Some(day) = day_of(path) else { return true };
    let day_at = |at: &Timestamp| DateTime::from_timestamp_millis(at.unix_ms()).map(|at| at.date_naive());
    let is_later = day_at(window.end())
        .and_then(|last| last.checked_add_days(Days::new(SLACK_DAYS)))
        .is_some_and(|last| day > last);
    let is_earlier = day_at(window.start())
        .and_then(|first| first.checked_sub_days(Days::new(SLACK_DAYS)))
        .is_some_and(|first| day < first);
    let was_written_before = || written(path).is_some_and(|written| written < *window.start());
    let is_outside = is_later || (is_earlier && was_written_before());
    !is_outside
}

/// The day in `2026-06-24.1.log`.
fn day_of(path: &Path) -> Option<NaiveDate> {
    path.file_name()?.to_str()?.get(..10)?.parse().ok()
}

/// The files below a folder that may be logs, in the order of their names, where a number
/// counts as such: LM Studio's `2026-06-24.10.log` comes after `2026-06-24.9.log`.
pub(super) fn logs_below(folder: &Path, errors: &mut Vec<Error>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in WalkDir::new(folder) {
        match entry {
            Ok(entry) => found.push(entry.into_path()),
            Err(error) => errors.push(walk_error(error)),
        }
    }
    found.retain(|path| has_ending_of_log(path) && path.is_file());
    found.sort_by_cached_key(|path| by_numbers(path));
    found
}

/// A name in its parts: digits as numbers, the rest as text.
pub(super) fn by_numbers(path: &Path) -> Vec<(u64, String)> {
    let name = path.to_string_lossy();
    let mut parts: Vec<(u64, String)> = vec![(0, String::new())];
    for letter in name.chars() {
        if let Some((number, text)) = parts.last_mut() {
            match letter.to_digit(10) {
                Some(digit) if text.is_empty() => {
                    *number = number.saturating_mul(10).saturating_add(digit.into())
                }
                Some(digit) => parts.push((digit.into(), String::new())),
                None => text.push(letter),
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LINE: &str =
        "[2026-06-24 13:00:00][INFO][m] Running chat completion on conversation with 1 messages.\n";

    #[test]
    fn logs_of_lm_studio_are_found_in_their_order() {
        let home = tempfile::tempdir().unwrap();
        for name in [
            ".lmstudio/server-logs/2026-06/2026-06-24.10.log",
            ".lmstudio/server-logs/2026-06/2026-06-24.9.log",
            ".lmstudio/server-logs/2026-06/2026-06-24.9.log.bak",
            ".lmstudio/server-logs/2026-07/2026-07-24.1.log",
            ".cache/lm-studio/server-logs/2026-06/2026-06-25.1.log",
        ] {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, LINE).unwrap();
        }
        let window = "2026-06-24T12:00:00Z".parse().unwrap()..="2026-06-24T14:00:00Z".parse().unwrap();
        let found = Store::lm_studio_logs(home.path(), &window);
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["2026-06-25.1.log", "2026-06-24.9.log", "2026-06-24.10.log"]);
        let all = Store::default().server_logs(&[home.path().to_owned()]).0;
        assert_eq!(all.len(), 4);
        assert_eq!(Store::lm_studio_logs(&home.path().join("nobody"), &window), Vec::<PathBuf>::new());
    }

    #[test]
    fn logs_that_follow_each_other_are_a_series() {
        let series = |names: &[&str]| -> Vec<Vec<String>> {
            let named = |name: &&str| NamedLog { path: name.into(), is_named: false };
            let shown = |log: NamedLog| log.path.display().to_string();
            let series = in_series(names.iter().map(named).collect());
            series.into_iter().map(|logs| logs.into_iter().map(shown).collect()).collect()
        };
        let found = series(&[
            "x.log",
            "l/2026-06/2026-06-30.10.log",
            "l/2026-06/2026-06-30.9.log.gz",
            "l/2026-07/2026-07-01.1.log",
            "l/2026-07/2026-07-02.2.log",
            "m/2026-07/2026-07-02.3.log",
            "l/2026-06/2026-06-28.1.log",
        ]);
        assert_eq!(found[0], ["x.log"]);
        let rotated =
            ["l/2026-06/2026-06-30.9.log.gz", "l/2026-06/2026-06-30.10.log", "l/2026-07/2026-07-01.1.log"];
        assert_eq!(found[1], rotated);
        assert_eq!(found[2..].iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn rotated_logs_are_known_by_their_names() {
        let is_rotated = |name: &str| is_rotated_name(Path::new("a/server.log"), &Path::new("a").join(name));
        for name in ["server.log.1", "server.log.12.gz", "server.log-20260624", "server.log.old"] {
            assert!(is_rotated(name), "{name}");
        }
        for name in ["server.log", "server.log.gz", "server.log.notes", "server2.log.1", "old.log"] {
            assert!(!is_rotated(name), "{name}");
        }
    }

    #[test]
    fn numbers_in_names_are_numbers() {
        let mut names =
            ["a/2026-06-24.10.log", "a/2026-06-24.9.log", "a/2026-06-3.1.log", "a/b.log"].map(PathBuf::from);
        names.sort_by_cached_key(|path| by_numbers(path));
        assert_eq!(
            names.map(|path| path.display().to_string()),
            ["a/2026-06-3.1.log", "a/2026-06-24.9.log", "a/2026-06-24.10.log", "a/b.log"]
        );
    }
}
