//! Which files are what, by where they are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::model::time::Timestamp;
use crate::read::{Store, plain_name};
use crate::select::{Filter, recorded_below};

/// Where it is looked.
#[derive(Debug)]
pub(super) struct Places {
    /// The logs of servers that are named, and the folders in which others are.
    pub(super) server_logs: BTreeSet<PathBuf>,
    server_folders: Vec<PathBuf>,
    /// Where traces and their logs are.
    recorded: Vec<PathBuf>,
}

impl Places {
    /// Those that a filter names; logs of servers are to be added.
    pub(super) fn of(filter: &Filter) -> Self {
        let mut recorded = Vec::new();
        for root in &filter.roots {
            recorded.push(recorded_below(root));
            recorded.extend(["logs", "request-logs"].map(|logs| root.join(logs)));
        }
        let homes = filter.lm_studio_home.iter();
        let mut server_folders: Vec<PathBuf> =
            homes.flat_map(|home| Store::lm_studio_folders(home)).collect();
        server_folders.extend(filter.server_logs.iter().filter(|named| named.is_dir()).cloned());
        Self { server_logs: BTreeSet::new(), server_folders, recorded }
    }

    /// All folders in which files may come.
    pub(super) fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        self.recorded.iter().chain(&self.server_folders)
    }

    pub(super) fn is_server_log(&self, path: &Path) -> bool {
        self.server_logs.contains(path) || self.is_found_server_log(path)
    }

    /// Whether it may be the log of a server, which nobody named.
    pub(super) fn is_found_server_log(&self, path: &Path) -> bool {
        let is_named_so = || plain_name(path).ends_with(".log") && !self.is_log(path);
        let is_below = |folder: &PathBuf| path.starts_with(folder);
        !self.server_logs.contains(path) && is_named_so() && self.server_folders.iter().any(is_below)
    }

    /// Whether it is where traces are, and not only in a folder of servers' logs.
    pub(super) fn is_recorded(&self, path: &Path) -> bool {
        self.recorded.iter().any(|folder| path.starts_with(folder))
    }

    /// Whether it is a log beside traces.
    pub(super) fn is_log(&self, path: &Path) -> bool {
        is_named_as_log(path) && self.is_recorded(path)
    }
}

/// Whether a file has the name and folder of a log beside traces.
pub(super) fn is_named_as_log(path: &Path) -> bool {
    let is_in = |name| path.parent().and_then(Path::file_name).is_some_and(|folder| folder == name);
    let is_named_so = || path.extension().is_some_and(|ending| ending == "log");
    is_in("request-logs") || is_in("logs") && is_named_so()
}

/// When a file was recorded, by its name, else by when it was written.
pub(super) fn recorded(path: &Path, modified: Option<Timestamp>) -> Option<Timestamp> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Timestamp::from_file_name(&name).or(modified)
}
