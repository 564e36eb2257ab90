//! Where a request was recorded.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use memchr::{memrchr, memrchr2};
use serde::{Serialize, Serializer};

/// Where a request was recorded: a file, and which record of it. Serialised as the file's
/// path alone, with U+FFFD for what is not UTF-8.
#[derive(Debug, Clone, Eq)]
pub struct TracePath {
    file: Arc<Path>,
    record: u32,
}

impl TracePath {
    /// The only record, or the first one, of a file.
    #[must_use]
    pub fn new(file: impl Into<Arc<Path>>) -> Self {
        Self::of_record(file, 0)
    }

    /// A record of a file, by its number in the order of the file, from 0.
    #[must_use]
    pub fn of_record(file: impl Into<Arc<Path>>, record: u32) -> Self {
        Self { file: file.into(), record }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The same, shared.
    pub(crate) fn shared_file(&self) -> Arc<Path> {
        self.file.clone()
    }

    /// The number of the record in the order of the file, from 0.
    #[must_use]
    pub fn record(&self) -> u32 {
        self.record
    }

    /// The folder whose `traces/` holds the file, as its path is written. Requests recorded
    /// below different folders are taken to have gone to different backends.
    pub(crate) fn root(&self) -> Option<&Path> {
        let is_traces = |folder: &&Path| folder.file_name().is_some_and(|name| name == "traces");
        self.file.ancestors().skip(1).find(is_traces)?.parent()
    }
}

/// The folder of a file as its path is written, with the separator behind it. As bytes, for
/// splitting a `Path` and comparing its components takes several times as long.
pub(crate) fn folder_bytes(file: &Path) -> &[u8] {
    let bytes = file.as_os_str().as_encoded_bytes();
    let name = if cfg!(windows) { memrchr2(b'/', b'\\', bytes) } else { memrchr(b'/', bytes) };
    bytes.get(..name.map_or(0, |at| at + 1)).unwrap_or_default()
}

/// Compares the bytes of paths, as paths of one recording are written alike. Comparing
/// component by component took a twentieth of the time of a summary of 20,000 small files.
impl PartialEq for TracePath {
    fn eq(&self, other: &Self) -> bool {
        let is_same_file =
            || Arc::ptr_eq(&self.file, &other.file) || self.file.as_os_str() == other.file.as_os_str();
        self.record == other.record && is_same_file()
    }
}

/// By file, then by the order in it. Requests of one file are often compared with each other:
/// of a log with 228,000 tasks, comparing its path with itself, component by component, took
/// a twentieth of the time.
impl Ord for TracePath {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_file = || self.file.cmp(&other.file);
        let is_same = Arc::ptr_eq(&self.file, &other.file) || self.file.as_os_str() == other.file.as_os_str();
        let by_file = if is_same { Ordering::Equal } else { by_file() };
        by_file.then(self.record.cmp(&other.record))
    }
}

impl PartialOrd for TracePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for TracePath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.file.as_os_str().hash(state);
        self.record.hash(state);
    }
}

impl AsRef<Path> for TracePath {
    fn as_ref(&self) -> &Path {
        &self.file
    }
}

impl Serialize for TracePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Checking for UTF-8 is faster than a lossy conversion, and nearly every path is.
        match self.file.to_str() {
            Some(path) => serializer.serialize_str(path),
            None => serializer.serialize_str(&self.file.to_string_lossy()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Caches and swaps are told apart by it.
    #[test]
    fn a_root_is_what_holds_the_folder_of_traces() {
        let root = |path: &str| TracePath::new(Path::new(path)).root().map(Path::to_owned);
        assert_eq!(root("a/.anyclaude/traces/lmstudio/1.json"), Some("a/.anyclaude".into()));
        assert_ne!(root("a/.anyclaude/traces/lmstudio/1.json"), root("b/.anyclaude/traces/lmstudio/1.json"));
        assert_eq!(root("a/1.json"), None);
    }
}
