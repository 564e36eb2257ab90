//! Errors of single files, with path and position.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Why a file is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// Nothing but white space or a byte order mark.
    Empty,
    /// The file ends inside a value: still being written, or cut.
    Truncated,
    /// Not JSON.
    InvalidJson,
    /// Not UTF-8.
    InvalidUtf8,
    /// JSON, but not of a request to a model.
    NotATrace,
    /// The operating system could not read it.
    Unreadable,
    /// Larger than allowed.
    TooLarge,
}

impl SkipReason {
    /// The reason's name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Truncated => "truncated",
            Self::InvalidJson => "invalid_json",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::NotATrace => "not_a_trace",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
        }
    }
}

/// Why bytes are not a trace, and at which byte that shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    reason: SkipReason,
    byte: u64,
    line: u64,
    what: Cow<'static, str>,
}

impl ParseError {
    pub(crate) fn new(
        reason: SkipReason,
        bytes: &[u8],
        at: usize,
        what: impl Into<Cow<'static, str>>,
    ) -> Self {
        let before = bytes.get(..at).unwrap_or(bytes);
        let line = memchr::memchr_iter(b'\n', before).count() as u64 + 1;
        Self { reason, byte: at as u64, line, what: what.into() }
    }

    /// The kind of fault.
    #[must_use]
    pub fn reason(&self) -> SkipReason {
        self.reason
    }

    /// The byte, counted from 0, at which it shows.
    #[must_use]
    pub fn byte(&self) -> u64 {
        self.byte
    }

    /// The line of that byte, counted from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            SkipReason::Empty | SkipReason::NotATrace => f.write_str(&self.what),
            _ => write!(f, "{} at byte {} (line {})", self.what, self.byte, self.line),
        }
    }
}

impl std::error::Error for ParseError {}

/// A file or folder that could not be used. Never fatal to the others.
///
/// ```
/// use anyclaude_traces::Store;
/// use anyclaude_traces::SkipReason;
/// use anyclaude_traces::recording::RequestSet;
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// std::fs::write(folder.join("cut.json"), r#"{"request": {"body": {"model": "#)?;
/// let set = RequestSet::read(&Store::default(), [folder]);
/// let error = &set.skipped[0];
/// assert_eq!(error.reason(), SkipReason::Truncated);
/// assert!(error.to_string().ends_with("cut.json: the file ends inside a value at byte 31 (line 1)"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {kind}", path.display())]
pub struct Error {
    path: PathBuf,
    kind: ErrorKind,
    /// Nothing in the file says of which kind it is.
    is_unrecognised: bool,
}

/// What went wrong with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Its content is not a trace.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The operating system could not read it.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It is larger than the limit.
    #[error("{bytes} bytes are more than the limit of {limit}")]
    TooLarge {
        /// The file's size.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// What it holds, decompressed, is larger than the limit.
    #[error("decompressed, it has more bytes than the limit of {limit}")]
    DecompressedTooLarge {
        /// The most that is read.
        limit: u64,
    },
    /// It is compressed, and ends inside its content: still being written, or cut.
    #[error("the compressed file ends early: it is still being written, or cut")]
    CutCompressed,
    /// It is compressed, and cannot be decompressed.
    #[error("the compressed file is damaged")]
    DamagedCompressed,
    /// There is too little memory to hold it.
    #[error("not enough memory to read {bytes} bytes")]
    OutOfMemory {
        /// How many bytes were to be read.
        bytes: u64,
    },
    /// It is a device, socket or pipe, which is never read.
    #[error("not a regular file or folder")]
    NotRegular,
}

impl Clone for ErrorKind {
    fn clone(&self) -> Self {
        match self {
            Self::Parse(error) => Self::Parse(error.clone()),
            // Of the system's errors the number says all; others keep their sort and words.
            Self::Io(error) => Self::Io(error.raw_os_error().map_or_else(
                || io::Error::new(error.kind(), error.to_string()),
                io::Error::from_raw_os_error,
            )),
            Self::TooLarge { bytes, limit } => Self::TooLarge { bytes: *bytes, limit: *limit },
            Self::OutOfMemory { bytes } => Self::OutOfMemory { bytes: *bytes },
            Self::DecompressedTooLarge { limit } => Self::DecompressedTooLarge { limit: *limit },
            Self::CutCompressed => Self::CutCompressed,
            Self::DamagedCompressed => Self::DamagedCompressed,
            Self::NotRegular => Self::NotRegular,
        }
    }
}

impl Error {
    pub(crate) fn new(path: impl Into<PathBuf>, kind: impl Into<ErrorKind>) -> Self {
        Self { path: path.into(), kind: kind.into(), is_unrecognised: false }
    }

    /// The same error, of a file that nothing says the kind of.
    pub(crate) fn of_unrecognised(self) -> Self {
        Self { is_unrecognised: true, ..self }
    }

    /// Whether it is JSON of no kind that is known.
    pub(crate) fn is_of_other_json(&self) -> bool {
        self.is_unrecognised && self.reason() == SkipReason::NotATrace
    }

    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// Why it is left out, in one word.
    #[must_use]
    pub fn reason(&self) -> SkipReason {
        match &self.kind {
            ErrorKind::Parse(error) => error.reason(),
            ErrorKind::Io(_)
            | ErrorKind::NotRegular
            | ErrorKind::OutOfMemory { .. }
            | ErrorKind::DamagedCompressed => SkipReason::Unreadable,
            ErrorKind::CutCompressed => SkipReason::Truncated,
            ErrorKind::TooLarge { .. } | ErrorKind::DecompressedTooLarge { .. } => SkipReason::TooLarge,
        }
    }
}

/// A file that was left out, as the JSON output lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Skipped {
    /// The file, with U+FFFD for what is not UTF-8.
    pub path: String,
    /// Why, in one word.
    pub reason: SkipReason,
    /// Why, in a sentence with the place.
    pub detail: String,
}

impl From<&Error> for Skipped {
    fn from(error: &Error) -> Self {
        let path = error.path.to_string_lossy().into_owned();
        Self { path, reason: error.reason(), detail: error.kind.to_string() }
    }
}
