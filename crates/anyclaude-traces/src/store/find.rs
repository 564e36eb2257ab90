//! Finds the files that may be traces.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::{DirEntry, WalkDir};

use super::Source;
use crate::error::{Error, ErrorKind};

/// Files, and what kept others from being found.
#[derive(Default)]
pub(super) struct Found {
    /// Each file with its true path, by which it is known again.
    files: Vec<(PathBuf, PathBuf)>,
    errors: Vec<Error>,
    /// Whether a file may have been found twice: by two paths, or by a link.
    repeats: bool,
}

impl Found {
    pub(super) fn below<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> (Vec<Source>, Vec<Error>) {
        let mut found = Self::default();
        for (number, path) in paths.into_iter().enumerate() {
            found.repeats |= number > 0;
            found.add(path.as_ref());
        }
        if found.repeats {
            let mut seen = HashSet::new();
            found.files.retain(|(_, true_path)| seen.insert(true_path.clone()));
        }
        let sources = found.files.into_iter().map(|(path, _)| Source { path: Arc::from(path) });
        (sources.collect(), found.errors)
    }

    fn add(&mut self, path: &Path) {
        match (fs::metadata(path), fs::canonicalize(path)) {
            (Err(error), _) | (_, Err(error)) => self.errors.push(Error::new(path, error)),
            (Ok(metadata), Ok(true_path)) if metadata.is_file() => {
                self.files.push((path.to_owned(), true_path));
            }
            (Ok(metadata), Ok(true_path)) if metadata.is_dir() => self.walk(path, &true_path),
            _ => self.errors.push(Error::new(path, ErrorKind::NotRegular)),
        }
    }

    fn walk(&mut self, folder: &Path, true_folder: &Path) {
        for entry in WalkDir::new(folder).sort_by_file_name() {
            match entry.map_err(walk_error).and_then(candidate) {
                Ok(None) => {}
                Ok(Some((path, linked))) => {
                    self.repeats |= linked;
                    let below = path.strip_prefix(folder).map(|below| true_folder.join(below));
                    let target = if linked { fs::canonicalize(&path).ok() } else { None };
                    let true_path = target.or(below.ok()).unwrap_or_else(|| path.clone());
                    self.files.push((path, true_path));
                }
                Err(error) => self.errors.push(error),
            }
        }
    }
}

/// The entry's path if it is a regular file, or a link to one, named `*.json`;
/// and whether it is a link.
fn candidate(entry: DirEntry) -> Result<Option<(PathBuf, bool)>, Error> {
    let named = entry.file_name().as_encoded_bytes().ends_with(b".json");
    let kind = entry.file_type();
    let linked = entry.path_is_symlink();
    let regular = if named && kind.is_symlink() {
        fs::metadata(entry.path()).map_err(|error| Error::new(entry.path(), error))?.is_file()
    } else {
        kind.is_file()
    };
    Ok((named && regular).then(|| (entry.into_path(), linked)))
}

fn walk_error(error: walkdir::Error) -> Error {
    let path = error.path().map(Path::to_path_buf).unwrap_or_default();
    Error::new(path, std::io::Error::from(error))
}
