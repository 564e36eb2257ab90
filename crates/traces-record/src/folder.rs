//! A recording's folder: for its owner alone, and known to be writable before anything
//! is recorded.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyclaude_traces::Timestamp;

use crate::error::Error;
use crate::lock::Lock;
use crate::receipt::Receipt;

/// The file that makes a folder a recording.
pub(crate) const RECEIPT: &str = "receipt.json";
/// The folder that Claude Code writes bodies into.
pub(crate) const BODIES: &str = "bodies";

/// The folder of one recording.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
    _lock: Arc<Lock>,
}

impl Folder {
    /// Makes a folder for a recording that starts now, below the folder of all recordings.
    /// It is named after its start, as in `2025-11-16T02-30-45-123Z`.
    ///
    /// # Errors
    ///
    /// It cannot be made or written.
    pub fn create_in(recordings: &Path, start: Timestamp) -> Result<Self, Error> {
        make_private(recordings).map_err(Error::folder(recordings))?;
        for later_ms in 0.. {
            let path = recordings.join(folder_name(start.plus_ms(later_ms)));
            match private_folder().create(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists && later_ms < 1000 => {}
                Err(error) => return Err(Error::folder(path)(error)),
                Ok(()) => return Self::prepare(path),
            }
        }
        Err(Error::NotEmpty(recordings.to_owned()))
    }

    /// Makes this folder the folder of a recording. It may exist if it is empty.
    ///
    /// # Errors
    ///
    /// It cannot be made or written, holds something, or belongs to another user.
    pub fn create(path: &Path) -> Result<Self, Error> {
        match private_folder().recursive(true).create(path) {
            Err(error) => return Err(Error::folder(path)(error)),
            Ok(()) if fs::read_dir(path).map_err(Error::folder(path))?.next().is_some() => {
                return Err(Error::NotEmpty(path.to_owned()));
            }
            Ok(()) => {}
        }
        Self::prepare(path.to_owned())
    }

    /// Makes the files of the folder, and checks that they can be written.
    fn prepare(path: PathBuf) -> Result<Self, Error> {
        // Claude Code may be started in another folder.
        let path = fs::canonicalize(&path).map_err(Error::folder(path))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            let owner = fs::metadata(&path).map_err(Error::folder(&path))?.uid();
            if owner != rustix::process::geteuid().as_raw() {
                return Err(Error::NotOurs(path));
            }
        }
        if path.to_str().is_none() {
            return Err(Error::NotUtf8(path));
        }
        set_private(&path, 0o700).map_err(Error::folder(&path))?;
        let folder = Self { _lock: Arc::new(Lock::hold(&path)), path };
        let bodies = folder.bodies();
        let probe = bodies.join("probe");
        // An unwritable folder for bodies is silently nothing for Claude Code.
        let tried = private_folder()
            .create(&bodies)
            .and_then(|()| set_private(&bodies, 0o700))
            .and_then(|()| create_file(&probe))
            .and_then(|mut file| file.write_all(b"probe"))
            .and_then(|()| fs::remove_file(&probe));
        if let Err(error) = tried {
            let _ = fs::remove_file(&probe);
            folder.abandon();
            return Err(Error::folder(&bodies)(error));
        }
        Ok(folder)
    }

    /// Removes a folder that nothing was recorded in, as far as it is empty.
    pub(crate) fn abandon(&self) {
        let _ = fs::remove_dir(self.bodies()).and_then(|()| fs::remove_dir(&self.path));
    }

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where Claude Code writes bodies.
    #[must_use]
    pub fn bodies(&self) -> PathBuf {
        self.path.join(BODIES)
    }

    /// Writes the receipt: all of it, or the one before stays.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn write_receipt(&self, receipt: &Receipt) -> Result<(), Error> {
        let path = self.path.join(RECEIPT);
        let write = || -> io::Result<()> {
            // It is readable by its owner alone, and removed unless it is persisted.
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            serde_json::to_writer_pretty(&mut file, receipt)?;
            file.write_all(b"\n")?;
            set_private(file.path(), 0o600)?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(Error::folder(&path))
    }

    /// Counts the bodies, and lets nobody but their owner read them: Claude Code writes
    /// them as it writes any other file.
    ///
    /// # Errors
    ///
    /// The folder cannot be read, or a file in it not be changed.
    pub fn seal(&self) -> Result<Bodies, Error> {
        let mut found = Bodies::default();
        let bodies = self.bodies();
        for entry in fs::read_dir(&bodies).map_err(Error::folder(&bodies))? {
            let entry = entry.map_err(Error::folder(&bodies))?;
            let path = entry.path();
            let metadata = entry.metadata().map_err(Error::folder(&path))?;
            if !metadata.is_file() {
                continue;
            }
            set_private(&path, 0o600).map_err(Error::folder(&path))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(".request.json") {
                found.requests += 1;
                found.bytes += metadata.len();
            } else if name.ends_with(".response.json") {
                found.responses += 1;
                found.bytes += metadata.len();
            }
        }
        Ok(found)
    }
}

/// The files that Claude Code wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Bodies {
    /// Bodies of requests.
    pub requests: u64,
    /// Bodies of responses.
    pub responses: u64,
    /// What both take, in bytes.
    pub bytes: u64,
}

/// How a recording's folder is named.
fn folder_name(start: Timestamp) -> String {
    start.to_string().replace([':', '.'], "-")
}

/// Makes a folder and those above it, unless it is there.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    private_folder().recursive(true).create(path)
}

fn private_folder() -> DirBuilder {
    #[allow(unused_mut, reason = "only Unix has modes")]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

/// A new file that only its owner may read.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    // A umask may have taken more away than it should.
    set_private(path, 0o600)?;
    Ok(file)
}

#[cfg(unix)]
pub(crate) fn set_private(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "it can fail on Unix")]
pub(crate) fn set_private(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}
