//! Files that we write: readable by their owner alone, written completely or not at all,
//! and never over an existing file unless asked.

#[cfg(feature = "parquet")]
mod folder;
mod unfinished;

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::interrupt;
#[cfg(feature = "parquet")]
pub(crate) use folder::{OutputFolder, Staging};

/// Files are written in pieces of this size.
const BUFFER_BYTES: usize = 1 << 16;

/// Whether the name of an output means the standard output.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A file to be written.
#[derive(Debug)]
pub(crate) struct OutputFile {
    path: PathBuf,
    /// Whether an existing file is overwritten.
    force: bool,
}

impl OutputFile {
    /// Checks that this file may be written, before any work is done for it.
    pub(crate) fn new(path: &Path, force: bool) -> anyhow::Result<Self> {
        if is_stdout(path) {
            bail!("`-` is the standard output, and a file is needed here: ./- is one of that name");
        }
        match fs::metadata(path) {
            Ok(found) if !found.is_file() => bail!("{}: not a regular file", path.display()),
            _ if !force && path.symlink_metadata().is_ok() => bail!(exists(path)),
            _ if !Self::folder(path).is_dir() => {
                bail!("{}: there is no folder {}", path.display(), Self::folder(path).display())
            }
            _ if names_folder(path) => {
                bail!("{}: this names a folder: name a file in one that exists", path.display())
            }
            _ => Ok(Self { path: path.to_owned(), force }),
        }
    }

    /// A new file among the system's temporary ones, which stays there: its name begins and
    /// ends so.
    pub(crate) fn temporary(begins: &str, ends: &str) -> anyhow::Result<Self> {
        let made = tempfile::Builder::new().prefix(begins).suffix(ends).tempfile();
        let file = made.with_context(|| {
            format!("cannot make a file in {}: name one with -o", std::env::temp_dir().display())
        })?;
        let path = file.into_temp_path().keep().context("cannot keep a temporary file")?;
        Ok(Self { path, force: true })
    }

    /// The folder that the file is in.
    fn folder(path: &Path) -> &Path {
        path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Writes the content to a temporary file beside it, which then takes its name.
    pub(crate) fn write(&self, content: &[u8]) -> anyhow::Result<()> {
        self.write_with(|out| out.write_all(content)).map(|(_, ())| ())
    }

    /// The same with content that is made while it is written, which Ctrl-C stops. Returns
    /// also how many bytes were written.
    pub(crate) fn write_with<T>(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
    ) -> anyhow::Result<(u64, T)> {
        interrupt::without_interrupt(|| self.replace(write))
    }

    fn replace<T>(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> anyhow::Result<(u64, T)> {
        let at = || format!("cannot write {}", self.path.display());
        let (mut file, _lock) = unfinished::file(Self::folder(&self.path)).with_context(at)?;
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, Stoppable { out: file.as_file_mut(), bytes: 0 });
        let done = write(&mut out).and_then(|done| out.flush().map(|()| done)).with_context(at)?;
        let bytes = out.get_ref().bytes;
        drop(out);
        let persisted =
            if self.force { file.persist(&self.path) } else { file.persist_noclobber(&self.path) };
        match persisted {
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => bail!(exists(&self.path)),
            persisted => persisted.map(|_| (bytes, done)).with_context(at),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// What is written to a file, until Ctrl-C is pressed; and how much that is.
struct Stoppable<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Stoppable<W> {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        if interrupt::is_pressed() {
            return Err(io::Error::other("interrupted"));
        }
        let length = self.out.write(content)?;
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Whether a path is written as that of a folder: with a `/` at its end, or `/.`, which the
/// parts of a path do not show.
fn names_folder(path: &Path) -> bool {
    let name = path.as_os_str().to_string_lossy();
    name.strip_suffix('.').unwrap_or(&name).ends_with(std::path::is_separator)
}

/// Makes a folder, and those above it, for its owner alone.
fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn exists(path: &Path) -> String {
    format!("{} already exists: --force overwrites it, or name another file", path.display())
}
