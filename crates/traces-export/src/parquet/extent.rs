//! How much of a day its tables hold. It stands in their data, where no copy loses it.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::file::metadata::{KeyValue, ParquetMetaDataReader};

/// Under which names it stands among the metadata of a file.
const HOLDS: &str = "traces.holds";
const PLACES: &str = "traces.places";

/// How much of what was recorded on a day is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holds {
    /// Everything, and nothing more can come.
    WholeDay,
    /// Everything so far: requests may still end, or come.
    DaySoFar,
    /// A part: filters leave out the rest.
    PartOfDay,
}

impl Holds {
    const ALL: [Self; 3] = [Self::WholeDay, Self::DaySoFar, Self::PartOfDay];

    /// As the metadata says it.
    fn name(self) -> &'static str {
        match self {
            Self::WholeDay => "whole day",
            Self::DaySoFar => "day so far",
            Self::PartOfDay => "part of day",
        }
    }
}

/// What the tables of a day hold: how much of what was recorded in which places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    holds: Holds,
    places: Vec<PathBuf>,
}

impl Extent {
    /// That it is this much of what was recorded in these files and folders.
    #[must_use]
    pub fn new(holds: Holds, places: &[PathBuf]) -> Self {
        Self { holds, places: places.to_vec() }
    }

    /// How much of it.
    #[must_use]
    pub fn holds(&self) -> Holds {
        self.holds
    }

    /// What a file of the table of requests says of its day; `None` where it says nothing, as
    /// one that something else wrote.
    #[must_use]
    pub fn of_file(file: &File) -> Option<Self> {
        let metadata = ParquetMetaDataReader::new().parse_and_finish(file).ok()?;
        let said = metadata.file_metadata().key_value_metadata()?;
        let value = |name| said.iter().find(|one| one.key == name)?.value.as_deref();
        let holds = value(HOLDS)?;
        let holds = Holds::ALL.into_iter().find(|known| known.name() == holds)?;
        Some(Self { holds, places: serde_json::from_str(value(PLACES)?).ok()? })
    }

    /// Whether nothing is lost where this replaces `other` of the same day: it is of all its
    /// places, and no part of them, unless that is one too.
    #[must_use]
    pub fn may_replace(&self, other: &Self) -> bool {
        let is_no_less = self.holds != Holds::PartOfDay || other.holds == Holds::PartOfDay;
        is_no_less && self.is_of_places(other)
    }

    /// Whether it is a whole day of all that `other` is of.
    #[must_use]
    pub fn has_all_of(&self, other: &Self) -> bool {
        self.holds == Holds::WholeDay && self.is_of_places(other)
    }

    /// Whether each place of `other` is one of these, or below one.
    fn is_of_places(&self, other: &Self) -> bool {
        other.places.iter().all(|place| self.places.iter().any(|around| place.starts_with(around)))
    }

    pub(super) fn metadata(&self) -> [KeyValue; 2] {
        let places: Vec<_> = self.places.iter().map(|place: &PathBuf| Path::to_string_lossy(place)).collect();
        // Text becomes JSON without an error.
        let places = serde_json::to_string(&places).unwrap_or_default();
        [(HOLDS, self.holds.name().to_owned()), (PLACES, places)]
            .map(|(name, value)| KeyValue::new(name.to_owned(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(holds: Holds, places: &[&str]) -> Extent {
        Extent::new(holds, &places.iter().map(PathBuf::from).collect::<Vec<_>>())
    }

    #[test]
    fn what_replaces_a_day_holds_all_of_it() {
        use Holds::{DaySoFar, PartOfDay, WholeDay};
        let day = |holds| extent(holds, &["/home/traces/lmstudio"]);
        for (new, old, may) in [
            (WholeDay, WholeDay, true),
            (DaySoFar, WholeDay, true),
            (WholeDay, PartOfDay, true),
            (PartOfDay, PartOfDay, true),
            (PartOfDay, DaySoFar, false),
            (PartOfDay, WholeDay, false),
        ] {
            assert_eq!(day(new).may_replace(&day(old)), may, "{old:?} by {new:?}");
        }
        for (places, may) in [
            (&["/home/traces"][..], true),
            (&["/home/traces", "/other"], true),
            (&["/home/traces/lm"], false),
            (&["/home/traces/lmstudio/1.json"], false),
            (&[], false),
        ] {
            let new = extent(WholeDay, places);
            assert_eq!(new.may_replace(&day(WholeDay)), may, "{places:?}");
            assert_eq!(new.has_all_of(&day(PartOfDay)), may, "{places:?}");
            assert!(!extent(DaySoFar, places).has_all_of(&day(PartOfDay)), "{places:?}");
        }
    }
}
