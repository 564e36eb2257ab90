//! Which files of some folders are new or were written to since the last look.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use walkdir::{DirEntry, WalkDir};

use super::find::{candidate, walk_error};
use super::growing::FileStamp;
use crate::error::Error;
use crate::model::time::Timestamp;

/// A file of one JSON value is written in one go: it is looked at for so long.
const WRITTEN_MS: i64 = 60_000;
/// Files of lines are appended to; one that was not written for a day is done with.
const APPENDED_MS: i64 = 24 * 60 * 60 * 1000;
/// Stamps of folders are as coarse as a clock's tick: a folder that was changed a moment
/// before it was listed is listed once more.
const TICK_MS: i64 = 50;

/// Folders that are watched by asking the system again and again. A look costs one
/// question for each folder and for each file that may still be written to.
#[derive(Debug)]
pub(crate) struct Watched {
    /// The folders that are asked for; they need not be there yet.
    roots: Vec<PathBuf>,
    folders: BTreeMap<PathBuf, WatchedFolder>,
    /// Single files elsewhere, as they were at the last look.
    files: Vec<(Arc<Path>, Option<FileStamp>)>,
}

#[derive(Debug, Default)]
struct WatchedFolder {
    modified: Option<SystemTime>,
    /// It was changed too shortly before it was listed.
    is_unsettled: bool,
    files: BTreeMap<OsString, (Arc<Path>, FileStamp)>,
    /// Those of its files that may still be written to.
    open: BTreeSet<OsString>,
}

/// What changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Files that are new or were written to, with when that was, by their paths.
    pub(crate) written: Vec<(Arc<Path>, Option<Timestamp>)>,
    /// Files that are no more.
    pub(crate) gone: Vec<Arc<Path>>,
    /// What may have hidden others.
    pub(crate) errors: Vec<Error>,
}

impl Watched {
    /// Watches folders and, besides, single files.
    pub(crate) fn new(roots: Vec<PathBuf>, files: impl IntoIterator<Item = PathBuf>) -> Self {
        let files = files.into_iter().map(|file| (file.into(), None)).collect();
        Self { roots, folders: BTreeMap::new(), files }
    }

    /// What changed since the last look; `now` tells which files may still be written to.
    pub(crate) fn look(&mut self, now: Timestamp) -> Changes {
        let mut changes = Changes::default();
        for root in &self.roots {
            if !self.folders.contains_key(root) && root.is_dir() {
                self.folders.insert(root.clone(), WatchedFolder::default());
            }
        }
        let mut left: Vec<PathBuf> = self.folders.keys().cloned().collect();
        while let Some(path) = left.pop() {
            let Some(mut folder) = self.folders.remove(&path) else { continue };
            let Some(subfolders) = folder.look(&path, now, &mut changes) else { continue };
            for subfolder in subfolders {
                if !self.folders.contains_key(&subfolder) {
                    self.folders.insert(subfolder.clone(), WatchedFolder::default());
                    left.push(subfolder);
                }
            }
            self.folders.insert(path, folder);
        }
        for (file, known) in &mut self.files {
            // A log that was renamed may go on under its new name.
            let renamed = || known.and_then(|known| Some(known.renamed(file)?.1));
            if let Some(stamp) = FileStamp::at(file).or_else(renamed)
                && Some(stamp) != *known
            {
                *known = Some(stamp);
                changes.written.push((file.clone(), instant(stamp.modified)));
            }
        }
        changes.written.sort();
        changes.written.dedup();
        changes
    }
}

impl WatchedFolder {
    /// Returns the folders in it, where it had to be listed; `None` where it is no more.
    fn look(&mut self, path: &Path, now: Timestamp, changes: &mut Changes) -> Option<Vec<PathBuf>> {
        let Ok(metadata) = fs::metadata(path) else {
            changes.gone.extend(std::mem::take(&mut self.files).into_values().map(|(file, _)| file));
            return None;
        };
        let modified = metadata.modified().ok();
        let was_changed = self.modified.is_none() || self.modified != modified || self.is_unsettled;
        let subfolders = if was_changed {
            self.modified = modified;
            self.is_unsettled = age_ms(modified, now).is_none_or(|age| age < TICK_MS);
            self.list(path, now, changes)
        } else {
            Vec::new()
        };
        let files = &mut self.files;
        self.open.retain(|name| {
            let Some((file, known)) = files.get_mut(name) else { return false };
            if let Some(stamp) = FileStamp::at(file)
                && stamp != *known
            {
                *known = stamp;
                changes.written.push((file.clone(), instant(stamp.modified)));
            }
            may_be_written(file, *known, now)
        });
        Some(subfolders)
    }

    fn list(&mut self, path: &Path, now: Timestamp, changes: &mut Changes) -> Vec<PathBuf> {
        let (mut subfolders, mut found) = (Vec::new(), BTreeSet::new());
        for entry in WalkDir::new(path).min_depth(1).max_depth(1) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    changes.errors.push(walk_error(error));
                    continue;
                }
            };
            if entry.file_type().is_dir() {
                subfolders.push(entry.into_path());
                continue;
            }
            let name = entry.file_name().to_owned();
            if self.files.get(&name).is_some_and(|(_, stamp)| !is_another(&entry, *stamp)) {
                found.insert(name);
                continue;
            }
            match candidate(entry) {
                Ok(Some((file, _))) => {
                    let Some(stamp) = FileStamp::at(&file) else { continue };
                    let file: Arc<Path> = file.into();
                    changes.written.push((file.clone(), instant(stamp.modified)));
                    if may_be_written(&file, stamp, now) {
                        self.open.insert(name.clone());
                    }
                    self.files.insert(name.clone(), (file, stamp));
                    found.insert(name);
                }
                Ok(None) => {}
                Err(error) => changes.errors.push(error),
            }
        }
        self.files.retain(|name, (file, _)| {
            let is_there = found.contains(name);
            if !is_there {
                changes.gone.push(file.clone());
            }
            is_there
        });
        subfolders
    }
}

/// Whether a file took the place of the one that is known.
#[cfg(unix)]
fn is_another(entry: &DirEntry, known: FileStamp) -> bool {
    use walkdir::DirEntryExt as _;
    // The number of a link is not that of the file.
    !entry.path_is_symlink() && known.number.is_some_and(|(_, number)| number != entry.ino())
}

#[cfg(not(unix))]
fn is_another(_: &DirEntry, _: FileStamp) -> bool {
    false
}

fn may_be_written(file: &Path, stamp: FileStamp, now: Timestamp) -> bool {
    let is_of_lines = file.extension().is_some_and(|ending| ending == "jsonl" || ending == "log");
    let open_ms = if is_of_lines { APPENDED_MS } else { WRITTEN_MS };
    age_ms(stamp.modified, now).is_none_or(|age| age < open_ms)
}

/// How long ago that was; negative where it is still to come.
fn age_ms(modified: Option<SystemTime>, now: Timestamp) -> Option<i64> {
    Some(now.ms_since(instant(modified)?))
}

fn instant(modified: Option<SystemTime>) -> Option<Timestamp> {
    let since_1970 = modified?.duration_since(UNIX_EPOCH).ok()?;
    Timestamp::from_unix_ms(i64::try_from(since_1970.as_millis()).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[Arc<Path>]) -> Vec<String> {
        paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    fn written(changes: &Changes) -> Vec<String> {
        names(&changes.written.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>())
    }

    #[test]
    fn each_change_is_told_once() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("traces");
        let now = instant(Some(SystemTime::now())).unwrap();
        let mut watched = Watched::new(vec![root.clone()], []);
        assert!(watched.look(now).written.is_empty(), "it is not there yet");

        fs::create_dir_all(root.join("lmstudio")).unwrap();
        fs::write(root.join("lmstudio/a.json"), "{").unwrap();
        fs::write(root.join("lmstudio/a.txt"), "no trace").unwrap();
        assert_eq!(written(&watched.look(now)), ["a.json"]);
        assert!(watched.look(now).written.is_empty());

        fs::write(root.join("lmstudio/a.json"), "{}").unwrap();
        fs::write(root.join("lmstudio/b.json"), "{}").unwrap();
        fs::create_dir(root.join("claude")).unwrap();
        fs::write(root.join("claude/c.json"), "{}").unwrap();
        assert_eq!(written(&watched.look(now)), ["c.json", "a.json", "b.json"]);

        fs::remove_file(root.join("lmstudio/a.json")).unwrap();
        fs::write(root.join("b.json"), "{ }").unwrap();
        fs::rename(root.join("b.json"), root.join("lmstudio/b.json")).unwrap();
        let changes = watched.look(now);
        assert_eq!((names(&changes.gone), written(&changes)), (vec!["a.json".into()], vec!["b.json".into()]));

        fs::remove_dir_all(&root).unwrap();
        let mut gone = names(&watched.look(now).gone);
        gone.sort();
        assert_eq!(gone, ["b.json", "c.json"]);
    }
}
