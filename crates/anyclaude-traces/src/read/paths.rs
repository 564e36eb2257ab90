//! Questions about paths, which only the disk can answer.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

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

/// Whether this holds of a folder: of `path` itself, or of one anywhere below it.
pub(crate) fn has_folder(path: &Path, is_it: impl Fn(&Path) -> bool) -> bool {
    let folders = WalkDir::new(path).into_iter().filter_entry(|entry| entry.file_type().is_dir());
    folders.flatten().any(|folder| is_it(folder.path()))
}

/// Files and folders that are named, to ask of very many files whether they are among them.
pub(crate) struct NamedPaths<'p> {
    /// In order, without those that are below another.
    outermost: Vec<&'p Path>,
}

impl<'p> NamedPaths<'p> {
    pub(crate) fn of(paths: &'p [PathBuf]) -> Self {
        let mut outermost: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        outermost.sort_unstable();
        outermost.dedup_by(|path, before| path.starts_with(before));
        Self { outermost }
    }

    /// Whether a file is one of these, or below one.
    pub(crate) fn hold(&self, file: &Path) -> bool {
        // A path stands before all that is below it, and nothing else stands between.
        let until = self.outermost.partition_point(|path| *path <= file);
        let nearest = until.checked_sub(1).and_then(|at| self.outermost.get(at));
        nearest.is_some_and(|path| file.starts_with(path))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path() -> impl Strategy<Value = PathBuf> {
        let part = prop::sample::select(vec!["a", "a-b", "a b", "b", "ab", ".", ".."]);
        let parts = prop::collection::vec(part, 1..5);
        (any::<bool>(), parts).prop_map(|(is_absolute, parts)| {
            let root = if is_absolute { "/" } else { "" };
            PathBuf::from(format!("{root}{}", parts.join("/")))
        })
    }

    proptest! {
        #[test]
        fn named_paths_hold_what_begins_with_one_of_them(
            named in prop::collection::vec(path(), 0..6),
            file in path(),
        ) {
            let expected = named.iter().any(|path| file.starts_with(path));
            prop_assert_eq!(NamedPaths::of(&named).hold(&file), expected);
        }
    }
}
