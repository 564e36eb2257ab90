//! Which days are written: what is there is never replaced by less, and no part of a day
//! passes for all of it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyclaude_traces::error::{Error, SkipReason};
use anyclaude_traces::model::time::Timestamp;
use anyclaude_traces::select::{Reader, Selection};
use traces_export::parquet::{Extent, Holds};

use crate::render::{notes, units};

/// How long a request may take to end, or a file to be written: what was recorded on a day
/// may change for so long after it.
const SETTLES_MS: i64 = 6 * 60 * 60 * 1000;

/// The first and the last moment of a day; `None` of the requests without a time.
type Bounds = Option<(Timestamp, Timestamp)>;

/// What is asked for, and when it was read.
#[derive(Debug)]
pub(super) struct Asked {
    places: Vec<PathBuf>,
    /// Whether filters leave out requests of every day.
    leaves_out: bool,
    /// Of which time it is; without an end where that is the last request.
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    /// When reading began.
    began: Timestamp,
    /// The times of files that are still to be read; `None` where their names say none.
    to_come: Vec<Option<Timestamp>>,
}

impl Asked {
    pub(super) fn new(reader: &Reader, inputs: &[OsString], selection: &Selection, began: Timestamp) -> Self {
        let scope = selection.scope;
        Self {
            places: reader.places(inputs),
            leaves_out: reader.leaves_out(inputs),
            from: scope.from,
            to: scope.to.filter(|_| !selection.is_sitting),
            began,
            to_come: Vec::new(),
        }
    }

    /// Takes note of files that could not be read, and may be later.
    pub(super) fn add_skipped(&mut self, skipped: &[Error]) {
        for error in skipped.iter().filter(|error| may_be_read_later(error, self.began)) {
            let name = error.path().file_name().unwrap_or_default();
            self.to_come.push(Timestamp::from_file_name(&name.to_string_lossy()));
        }
    }

    /// How much of a day this is.
    pub(super) fn extent(&self, bounds: Bounds) -> Extent {
        let holds = match bounds {
            _ if self.leaves_out => Holds::PartOfDay,
            Some(bounds) if self.cuts(bounds) => Holds::PartOfDay,
            Some(bounds) if self.is_settled(bounds) => Holds::WholeDay,
            // What has no time is never known to be complete.
            _ => Holds::DaySoFar,
        };
        Extent::new(holds, &self.places)
    }

    fn cuts(&self, (begins, ends): (Timestamp, Timestamp)) -> bool {
        self.from.is_some_and(|from| begins < from) || self.to.is_some_and(|to| to < ends)
    }

    fn is_settled(&self, (begins, ends): (Timestamp, Timestamp)) -> bool {
        let is_of_day = |time: Option<Timestamp>| time.is_none_or(|time| begins <= time && time <= ends);
        self.began.ms_since(ends) > SETTLES_MS && !self.to_come.iter().any(|&time| is_of_day(time))
    }
}

/// Whether a file that was skipped may hold requests later: it is still being written, it
/// seems, or something keeps it from being read.
fn may_be_read_later(error: &Error, began: Timestamp) -> bool {
    if matches!(error.reason(), SkipReason::Unreadable | SkipReason::TooLarge) {
        return true;
    }
    let written = fs::metadata(error.path()).and_then(|file| file.modified());
    // Where the system does not tell, it may have been just now.
    written.map_or(true, |written| {
        let written_ms = chrono::DateTime::<chrono::Utc>::from(written).timestamp_millis();
        began.unix_ms().saturating_sub(written_ms) < SETTLES_MS
    })
}

/// What a folder of tables holds of a day.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    /// Its files do not say what they hold, or not the same.
    Unknown,
    Tables(Extent),
}

impl Found {
    /// By the files of the day in the table of requests.
    pub(super) fn of(files: &[PathBuf]) -> Self {
        let tables = files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "parquet"));
        let mut said = tables.map(|file| Extent::of_file(&File::open(file).ok()?));
        match said.next() {
            None => Self::Nothing,
            Some(Some(first)) if said.all(|other| other.as_ref() == Some(&first)) => Self::Tables(first),
            Some(_) => Self::Unknown,
        }
    }

    /// Whether nothing of it is lost where this takes its place. What does not say what it
    /// holds is never known to be a whole day.
    pub(super) fn may_become(&self, new: &Extent) -> bool {
        match self {
            Self::Nothing => true,
            Self::Unknown => new.holds() != Holds::PartOfDay,
            Self::Tables(old) => new.may_replace(old),
        }
    }

    fn has_all_of(&self, new: &Extent) -> bool {
        matches!(self, Self::Tables(old) if old.has_all_of(new))
    }
}

/// The days that are not appended, and why.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// They are there.
    there: u64,
    /// Only a part of them was asked for.
    parts: u64,
    /// What is there was recorded elsewhere.
    elsewhere: u64,
}

impl LeftOut {
    /// Whether a day is appended of which this is asked for, and that there.
    pub(super) fn keeps(&mut self, asked: &Extent, found: &Found) -> bool {
        let reason = if found.has_all_of(asked) {
            &mut self.there
        } else if asked.holds() == Holds::PartOfDay {
            &mut self.parts
        } else if !found.may_become(asked) {
            &mut self.elsewhere
        } else {
            return true;
        };
        *reason += 1;
        false
    }

    /// Says how many there are of each.
    pub(super) fn say(&self, path: &Path) {
        let path = path.display();
        let say = |days: u64, sentence: &dyn Fn(String) -> String| {
            if days > 0 {
                notes::warn(&sentence(units::count(days, "day")));
            }
        };
        say(self.there, &|days| format!("passed over {days} that {path} holds already"));
        say(self.parts, &|days| {
            format!(
                "left out {days} (of UTC) of which only a part was asked for: it would pass for whole; --all \
                 without a filter exports whole days"
            )
        });
        say(self.elsewhere, &|days| {
            format!(
                "left out {days} of which {path} holds requests that were recorded elsewhere: export these \
                 recordings into a folder of their own, or name all of them"
            )
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(stamp: &str) -> Timestamp {
        stamp.parse().unwrap()
    }

    fn asked(began: &str) -> Asked {
        let places = vec![PathBuf::from("/home")];
        Asked { places, leaves_out: false, from: None, to: None, began: at(began), to_come: Vec::new() }
    }

    #[test]
    fn a_day_is_whole_once_its_requests_have_ended() {
        let day = Some((at("2025-11-16T00:00:00.000Z"), at("2025-11-16T23:59:59.999Z")));
        let holds = |asked: &Asked| asked.extent(day).holds();
        for (began, expected) in [
            ("2025-11-16T23:59:58.000Z", Holds::DaySoFar),
            ("2025-11-17T00:00:06.000Z", Holds::DaySoFar),
            ("2025-11-17T05:59:59.999Z", Holds::DaySoFar),
            ("2025-11-17T06:00:00.000Z", Holds::WholeDay),
        ] {
            assert_eq!(holds(&asked(began)), expected, "{began}");
        }
        let mut later = asked("2025-11-20T00:00:00.000Z");
        assert_eq!(later.extent(None).holds(), Holds::DaySoFar);
        later.to_come = vec![Some(at("2025-11-17T00:00:00.000Z"))];
        assert_eq!(holds(&later), Holds::WholeDay);
        later.to_come = vec![Some(at("2025-11-16T23:00:00.000Z"))];
        assert_eq!(holds(&later), Holds::DaySoFar);
        later.to_come = vec![None];
        assert_eq!(holds(&later), Holds::DaySoFar);
        later.to = Some(at("2025-11-16T23:59:59.998Z"));
        assert_eq!(holds(&later), Holds::PartOfDay);
        later.to = Some(at("2025-11-16T23:59:59.999Z"));
        assert_eq!(holds(&later), Holds::DaySoFar);
        later.leaves_out = true;
        assert_eq!(later.extent(None).holds(), Holds::PartOfDay);
    }
}
