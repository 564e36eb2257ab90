//! Questions about paths, which only the disk can answer.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Whether there is a folder of this name.
pub(crate) fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

/// Whether nothing at all has this name. What cannot be looked at is not missing.
pub(crate) fn is_missing(path: &Path) -> bool {
    fs::metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// The path without links and relative parts.
pub(crate) fn canonical(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// The file of this bare name in one of the folders directly below `parent`, the first
/// by name.
pub(crate) fn file_in_subfolders(parent: &Path, name: &Path) -> Option<PathBuf> {
    let folders = fs::read_dir(parent).into_iter().flatten().flatten();
    folders.map(|folder| folder.path().join(name)).filter(|file| file.is_file()).min()
}

/// Whether this holds of a folder directly below `parent`.
pub(crate) fn has_subfolder(parent: &Path, is_it: impl Fn(&Path) -> bool) -> bool {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.any(|folder| is_it(&folder.path()))
}
