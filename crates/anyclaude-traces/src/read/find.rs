//! Finds the files that may be traces.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::{DirEntry, WalkDir};

use super::{CandidateFile, Store, without_compression};
use crate::error::{Error, ErrorKind};

/// Calls `found` with every file at or below these paths, once each. Returns the errors
/// that may have hidden others.
pub(super) fn find_below<P: AsRef<Path>>(
    store: &Store,
    paths: impl IntoIterator<Item = P>,
    found: &mut dyn FnMut(CandidateFile),
) -> Vec<Error> {
    let (files, folders, errors) = (Vec::new(), Vec::new(), Vec::new());
    let mut finder = Finder { found, files, folders, seen: None, errors };
    for (number, path) in paths.into_iter().enumerate() {
        if number > 0 {
            finder.expect_repeats();
        }
        if store.is_standard_input(path.as_ref()) {
            finder.file(path.as_ref(), TruePath::Known(path.as_ref().to_owned()), true);
        } else {
            finder.add(path.as_ref());
        }
    }
    finder.errors
}

struct Finder<'f> {
    found: &'f mut dyn FnMut(CandidateFile),
    /// What was found before any file could be found twice.
    files: Vec<(Arc<Path>, TruePath)>,
    /// Every folder that was walked through, with its true path.
    folders: Vec<(PathBuf, PathBuf)>,
    /// The true paths of all files, once one may be found twice: by two paths, or
    /// by a link.
    seen: Option<HashSet<PathBuf>>,
    errors: Vec<Error>,
}

/// A path without links, which tells whether two files are one.
enum TruePath {
    Known(PathBuf),
    /// Below this folder, whose true path is known: made only when it is needed.
    InFolder(usize),
}

impl Finder<'_> {
    fn add(&mut self, path: &Path) {
        match (fs::metadata(path), fs::canonicalize(path)) {
            (Err(error), _) | (_, Err(error)) => self.errors.push(Error::new(path, error)),
            (Ok(metadata), Ok(true_path)) if metadata.is_file() => {
                self.file(path, TruePath::Known(true_path), true);
            }
            (Ok(metadata), Ok(true_path)) if metadata.is_dir() => {
                self.folders.push((path.to_owned(), true_path));
                self.walk(path);
            }
            _ => self.errors.push(Error::new(path, ErrorKind::NotRegular)),
        }
    }

    fn walk(&mut self, folder: &Path) {
        // Only entries of one folder are compared, which differ in their names.
        let by_name = |a: &DirEntry, b: &DirEntry| encoded(a.path()).cmp(encoded(b.path()));
        for entry in WalkDir::new(folder).sort_by(by_name) {
            match entry.map_err(walk_error).and_then(candidate) {
                Ok(None) => {}
                Ok(Some((path, linked))) => {
                    if linked {
                        self.expect_repeats();
                    }
                    let target = if linked { fs::canonicalize(&path).ok() } else { None };
                    let in_folder = TruePath::InFolder(self.folders.len() - 1);
                    self.file(&path, target.map_or(in_folder, TruePath::Known), false);
                }
                Err(error) => self.errors.push(error),
            }
        }
    }

    fn file(&mut self, path: &Path, true_path: TruePath, is_named: bool) {
        let path: Arc<Path> = Arc::from(path);
        if let Some(seen) = &mut self.seen {
            if !seen.insert(true_path.of(&path, &self.folders)) {
                return;
            }
        } else {
            self.files.push((path.clone(), true_path));
        }
        (self.found)(CandidateFile { path, is_named });
    }

    /// From now on, checks whether a file was found already.
    fn expect_repeats(&mut self) {
        let (files, folders) = (&mut self.files, &self.folders);
        self.seen.get_or_insert_with(|| {
            files.drain(..).map(|(path, true_path)| true_path.of(&path, folders)).collect()
        });
    }
}

impl TruePath {
    fn of(self, path: &Path, folders: &[(PathBuf, PathBuf)]) -> PathBuf {
        let true_path = match self {
            Self::Known(true_path) => Some(true_path),
            Self::InFolder(folder) => folders.get(folder).and_then(|(folder, true_folder)| {
                path.strip_prefix(folder).ok().map(|below| true_folder.join(below))
            }),
        };
        true_path.unwrap_or_else(|| path.to_owned())
    }
}

fn encoded(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// Whether files are looked into that are named so.
fn is_read(name: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 4] = [b".json", b".jsonl", b".har", b".log"];
    let name = without_compression(name);
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// The entry's path if it is a regular file, or a link to one, with a name of those that
/// are read; and whether it is a link.
pub(super) fn candidate(entry: DirEntry) -> Result<Option<(PathBuf, bool)>, Error> {
    let name = encoded(entry.path());
    let named = is_read(name);
    let kind = entry.file_type();
    let linked = entry.path_is_symlink();
    let regular = if named && kind.is_symlink() {
        fs::metadata(entry.path()).map_err(|error| Error::new(entry.path(), error))?.is_file()
    } else {
        kind.is_file()
    };
    let is_read = named && regular && !is_unwritten_answer(name, &entry);
    Ok(is_read.then(|| (entry.into_path(), linked)))
}

/// Whether it is the file of an answer that Claude Code opened and wrote nothing to, as
/// where the answer broke off: its request has a file of its own.
fn is_unwritten_answer(name: &[u8], entry: &DirEntry) -> bool {
    name.ends_with(b".response.json") && entry.metadata().is_ok_and(|metadata| metadata.len() == 0)
}

pub(super) fn walk_error(error: walkdir::Error) -> Error {
    let path = error.path().map(Path::to_path_buf).unwrap_or_default();
    // The words of the system alone: the path is named beside them.
    let source = error.into_io_error().unwrap_or_else(|| std::io::Error::other("a loop of links"));
    Error::new(path, source)
}
