//! Reads files that others go on writing: of each only what was added.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::Progress;
use super::chunks::read_rest;
use super::growing_server_logs::GrowingServerLogs;
use super::open::open;
use crate::error::ErrorKind;
use crate::formats::anyclaude::log::{LogParser, RequestLogParser};

/// How much of a file's beginning is compared to tell whether it was written anew.
pub(super) const HEAD_BYTES: usize = 256;

/// What the system tells of a file: equal as long as nobody writes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp {
    pub(crate) bytes: u64,
    pub(crate) modified: Option<SystemTime>,
    /// Device and number, where files have one: a file that takes another's name has its own.
    pub(super) number: Option<(u64, u64)>,
}

impl FileStamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let number = {
            use std::os::unix::fs::MetadataExt as _;
            Some((metadata.dev(), metadata.ino()))
        };
        #[cfg(not(unix))]
        let number = None;
        Self { bytes: metadata.len(), modified: metadata.modified().ok(), number }
    }

    /// Of the file of this name; `None` where there is none.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().filter(Metadata::is_file).map(|metadata| Self::of(&metadata))
    }

    /// The same file, where it has another name in its folder now.
    #[cfg(unix)]
    pub(super) fn renamed(self, path: &Path) -> Option<(PathBuf, Self)> {
        use std::os::unix::fs::DirEntryExt as _;
        let (_, number) = self.number?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut entries = fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?.flatten();
        let is_it = |entry: &fs::DirEntry| {
            entry.ino() == number && Some(entry.file_name().as_os_str()) != path.file_name()
        };
        let renamed = path.with_file_name(entries.find(is_it)?.file_name());
        let stamp = Self::at(&renamed).filter(|stamp| stamp.number == self.number)?;
        Some((renamed, stamp))
    }

    #[cfg(not(unix))]
    pub(super) fn renamed(self, _: &Path) -> Option<(PathBuf, Self)> {
        None
    }
}

/// A file as far as it was read, with the parser that read it.
#[derive(Debug, Default)]
pub(super) struct Growing<P> {
    parser: P,
    read_bytes: u64,
    head: Vec<u8>,
    stamp: Option<FileStamp>,
}

impl<P: Default> Growing<P> {
    /// Shows the parser what was added since the last time. A file that was cut, replaced
    /// or written anew is read from its beginning.
    fn catch_up(
        &mut self,
        path: &Path,
        progress: &Progress,
        mut feed: impl FnMut(&mut P, &[u8]),
    ) -> Result<&P, ErrorKind> {
        let (mut file, metadata) = open(path)?;
        let (stamp, bytes) = (FileStamp::of(&metadata), metadata.len());
        if self.stamp == Some(stamp) && bytes == self.read_bytes {
            return Ok(&self.parser);
        }
        let is_other = self.stamp.is_some_and(|known| known.number != stamp.number);
        let mut head = Vec::new();
        (&mut file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        if is_other || bytes < self.read_bytes || !head.starts_with(&self.head) {
            *self = Self::default();
        }
        file.seek(SeekFrom::Start(self.read_bytes))?;
        let (parser, read_bytes) = (&mut self.parser, &mut self.read_bytes);
        read_rest(&mut file, progress, |chunk| {
            *read_bytes += chunk.len() as u64;
            feed(parser, chunk);
        })?;
        self.head = head;
        // What was added meanwhile shows the next time.
        self.stamp = Some(stamp);
        Ok(&self.parser)
    }
}

/// The logs of some roots, read as they grow.
#[derive(Debug, Default)]
pub(super) struct GrowingLogs(Mutex<KnownLogs>);

#[derive(Debug, Default)]
pub(super) struct KnownLogs {
    debug: HashMap<PathBuf, Growing<LogParser>>,
    requests: HashMap<PathBuf, Growing<RequestLogParser>>,
    pub(super) servers: GrowingServerLogs,
    /// Logs without a line of the time that is looked at, as long as they stay as they are.
    outside: HashMap<PathBuf, FileStamp>,
}

impl GrowingLogs {
    /// Nobody else waits for it: a follower reads alone.
    pub(super) fn known(&self) -> MutexGuard<'_, KnownLogs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownLogs {
    pub(super) fn debug_log(&mut self, path: &Path, progress: &Progress) -> Result<LogParser, ErrorKind> {
        let growing = self.debug.entry(path.to_owned()).or_default();
        growing.catch_up(path, progress, LogParser::feed).cloned()
    }

    pub(super) fn request_log(
        &mut self,
        path: &Path,
        progress: &Progress,
    ) -> Result<RequestLogParser, ErrorKind> {
        let growing = self.requests.entry(path.to_owned()).or_default();
        growing.catch_up(path, progress, RequestLogParser::feed).cloned()
    }

    /// Whether a log is known to hold nothing of the time that is looked at; `may_hold`
    /// finds out, once for each state of the file.
    pub(super) fn is_outside(&mut self, path: &Path, may_hold: impl FnOnce() -> bool) -> bool {
        if self.debug.contains_key(path) {
            return false;
        }
        let stamp = FileStamp::at(path);
        if stamp.is_some() && self.outside.get(path) == stamp.as_ref() {
            return true;
        }
        let is_outside = !may_hold();
        if let Some(stamp) = stamp.filter(|_| is_outside) {
            self.outside.insert(path.to_owned(), stamp);
        }
        is_outside
    }

    pub(super) fn has_debug_log(&self, path: &Path) -> bool {
        self.debug.contains_key(path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write as _;

    use super::*;

    /// Keeps what it is shown.
    fn keep(kept: &mut Vec<u8>, chunk: &[u8]) {
        kept.extend_from_slice(chunk);
    }

    fn caught_up(growing: &mut Growing<Vec<u8>>, path: &Path) -> String {
        let kept = growing.catch_up(path, &Progress::default(), keep).unwrap();
        String::from_utf8(kept.clone()).unwrap()
    }

    #[test]
    fn only_what_was_added_is_read_unless_the_file_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut growing = Growing::default();
        fs::write(&path, "one ").unwrap();
        assert_eq!(caught_up(&mut growing, &path), "one ");
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"two").unwrap();
        assert_eq!(caught_up(&mut growing, &path), "one two");
        assert_eq!(growing.read_bytes, 7);
        fs::write(&path, "on").unwrap();
        assert_eq!(caught_up(&mut growing, &path), "on", "it was cut");
        fs::write(&path, "another, longer text").unwrap();
        assert_eq!(caught_up(&mut growing, &path), "another, longer text", "it was written anew");
        fs::rename(&path, folder.path().join("a.log.1")).unwrap();
        fs::write(&path, "another, longer text and more").unwrap();
        assert_eq!(caught_up(&mut growing, &path), "another, longer text and more", "it was rotated");
        fs::remove_file(&path).unwrap();
        assert!(growing.catch_up(&path, &Progress::default(), keep).is_err());
    }
}
