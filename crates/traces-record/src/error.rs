//! What can go wrong before the client runs.

use std::io;
use std::path::PathBuf;

/// Why nothing can be recorded. Each message is a whole sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither `XDG_DATA_HOME` nor a home folder is known.
    #[error("no folder for recordings is known: neither XDG_DATA_HOME nor HOME is set")]
    NoHome,
    /// The folder cannot be made or written.
    #[error("cannot record into {}: {source}", .path.display())]
    Folder {
        /// The folder, or the file in it.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
    /// The folder holds something.
    #[error("{} is not empty: a recording needs a folder of its own", .0.display())]
    NotEmpty(PathBuf),
    /// The folder belongs to somebody else.
    #[error("{} belongs to another user, who could read and replace what is recorded there", .0.display())]
    NotOurs(PathBuf),
    /// The folder's name cannot be told to the client.
    #[error("{} is not UTF-8: Claude Code takes folders of that name only", .0.display())]
    NotUtf8(PathBuf),
    /// No port could be had.
    #[error("cannot receive on 127.0.0.1: {0}")]
    Bind(io::Error),
    /// A folder is none of ours.
    #[error("{} is no recording of `traces record`: it has no receipt.json", .0.display())]
    NotARecording(PathBuf),
    /// A recording is being written.
    #[error("{} is being recorded: end that recording first (Ctrl-C, or the end of its client)", .0.display())]
    InProgress(PathBuf),
    /// A file of a recording cannot be removed.
    #[error("cannot remove {}: {source}", .path.display())]
    Remove {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn folder(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Folder { path, source }
    }
}
