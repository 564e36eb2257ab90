//! The folder of all recordings: which there are, and how one is deleted.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyclaude_traces::Timestamp;
use serde::Deserialize;

use crate::error::Error;
use crate::folder::{BODIES, RECEIPT};
use crate::lock;

/// What a recording's own files are called, but for the bodies: nothing else is ever
/// deleted.
const FILES: [&str; 3] = ["logs.jsonl", "traces.jsonl", RECEIPT];
/// What the names of files among the bodies end with.
const BODY_ENDINGS: [&str; 3] = [".request.json", ".response.json", "index.jsonl"];

/// A recording that was made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Recording {
    /// Its folder.
    pub path: PathBuf,
    /// When it was started.
    pub started: Timestamp,
    /// What its files take, in bytes.
    pub bytes: u64,
}

#[derive(Deserialize)]
struct ReceiptHead {
    recording: String,
    started: String,
}

impl Recording {
    /// The recording in this folder.
    ///
    /// # Errors
    ///
    /// The folder holds none.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let no_recording = || Error::NotARecording(path.to_owned());
        let text = fs::read(path.join(RECEIPT)).map_err(|_| no_recording())?;
        let head: ReceiptHead = serde_json::from_slice(&text).map_err(|_| no_recording())?;
        let started = head.started.parse().map_err(|_| no_recording())?;
        if head.recording != "claude_code" {
            return Err(no_recording());
        }
        let recording = Self { path: path.to_owned(), started, bytes: 0 };
        let sizes = recording.files().map_err(Error::folder(path))?;
        Ok(Self { bytes: sizes.iter().map(|(_, bytes)| bytes).sum(), ..recording })
    }

    /// Its own files with their sizes, links among them.
    fn files(&self) -> io::Result<Vec<(PathBuf, u64)>> {
        let mut files = Vec::new();
        let bodies = self.path.join(BODIES);
        // A link could lead to somebody else's files.
        let bodies = if is_folder(&bodies) { entries(&bodies)? } else { Vec::new() };
        let is_body = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            BODY_ENDINGS.iter().any(|ending| name.ends_with(ending))
        };
        for entry in bodies.into_iter().filter(is_body) {
            let metadata = fs::symlink_metadata(&entry)?;
            if !metadata.is_dir() {
                files.push((entry, metadata.len()));
            }
        }
        // The receipt goes last: what is left of a recording is known as one.
        for path in FILES.map(|name| self.path.join(name)) {
            if let Ok(metadata) = fs::symlink_metadata(&path) {
                files.push((path, metadata.len()));
            }
        }
        Ok(files)
    }

    /// Whether it is being written at this moment.
    #[must_use]
    pub fn is_in_progress(&self) -> bool {
        lock::is_held(&self.path)
    }

    /// Deletes it: its own files, and its folder where that holds nothing else. Links are
    /// removed, never followed. Returns whether anything is left.
    ///
    /// # Errors
    ///
    /// It is [being written](Self::is_in_progress), or a file cannot be removed.
    pub fn delete(&self) -> Result<bool, Error> {
        if self.is_in_progress() {
            return Err(Error::InProgress(self.path.clone()));
        }
        let (receipts, others): (Vec<_>, Vec<_>) = self
            .files()
            .map_err(Error::folder(&self.path))?
            .into_iter()
            .partition(|(path, _)| path.ends_with(RECEIPT));
        for (path, _) in others {
            remove(&path, fs::remove_file(&path))?;
        }
        let bodies = self.path.join(BODIES);
        remove(&bodies, if is_folder(&bodies) { fs::remove_dir(&bodies) } else { Ok(()) })?;
        for (path, _) in receipts {
            remove(&path, fs::remove_file(&path))?;
        }
        // It stays where it holds something else, is a link, or stands where we may not write.
        Ok(fs::remove_dir(&self.path).is_err())
    }
}

/// All recordings below a folder, the oldest first. What is none is passed over.
///
/// # Errors
///
/// The folder is there and cannot be read.
pub fn recordings(folder: &Path) -> Result<Vec<Recording>, Error> {
    let paths = entries(folder).map_err(Error::folder(folder))?;
    let mut found: Vec<Recording> =
        paths.iter().filter(|path| is_folder(path)).filter_map(|path| Recording::open(path).ok()).collect();
    found.sort_by(|a, b| (a.started, &a.path).cmp(&(b.started, &b.path)));
    Ok(found)
}

/// What a folder holds; nothing where it is not there, or is a link.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether this is a folder, and no link to one.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

fn remove(path: &Path, removed: io::Result<()>) -> Result<(), Error> {
    match removed {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => Ok(()),
        removed => removed.map_err(|source| Error::Remove { path: path.to_owned(), source }),
    }
}
