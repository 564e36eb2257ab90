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
    files: Vec<(PathBuf, TruePath)>,
    errors: Vec<Error>,
    /// Every folder that was walked through, with its true path.
    folders: Vec<(PathBuf, PathBuf)>,
    /// Whether a file may have been found twice: by two paths, or by a link.
    repeats: bool,
}

/// By which a file is known again.
enum TruePath {
    Known(PathBuf),
    /// That of this folder, and the rest of the file's path.
    InFolder(usize),
}

impl Found {
    pub(super) fn below<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> (Vec<Source>, Vec<Error>) {
        let mut found = Self::default();
        for (number, path) in paths.into_iter().enumerate() {
            found.repeats |= number > 0;
            found.add(path.as_ref());
        }
        if found.repeats {
            found.drop_repeats();
        }
        let sources = found.files.into_iter().map(|(path, _)| Source { path: Arc::from(path) });
        (sources.collect(), found.errors)
    }

    fn add(&mut self, path: &Path) {
        match (fs::metadata(path), fs::canonicalize(path)) {
            (Err(error), _) | (_, Err(error)) => self.errors.push(Error::new(path, error)),
            (Ok(metadata), Ok(true_path)) if metadata.is_file() => {
                self.files.push((path.to_owned(), TruePath::Known(true_path)));
            }
            (Ok(metadata), Ok(true_path)) if metadata.is_dir() => {
                self.folders.push((path.to_owned(), true_path));
                self.walk(path);
            }
            _ => self.errors.push(Error::new(path, ErrorKind::NotRegular)),
        }
    }

    fn walk(&mut self, folder: &Path) {
        for entry in WalkDir::new(folder).sort_by_file_name() {
            match entry.map_err(walk_error).and_then(candidate) {
                Ok(None) => {}
                Ok(Some((path, linked))) => {
                    self.repeats |= linked;
                    let target = if linked { fs::canonicalize(&path).ok() } else { None };
                    let in_folder = TruePath::InFolder(self.folders.len() - 1);
                    self.files.push((path, target.map_or(in_folder, TruePath::Known)));
                }
                Err(error) => self.errors.push(error),
            }
        }
    }

    fn drop_repeats(&mut self) {
        let mut seen = HashSet::new();
        self.files.retain(|(path, true_path)| {
            let true_path = match true_path {
                TruePath::Known(true_path) => Some(true_path.clone()),
                TruePath::InFolder(folder) => self.folders.get(*folder).and_then(|(folder, true_folder)| {
                    path.strip_prefix(folder).ok().map(|below| true_folder.join(below))
                }),
            };
            seen.insert(true_path.unwrap_or_else(|| path.clone()))
        });
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
