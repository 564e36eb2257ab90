//! Folders of files that we write: a part of it is there as a whole, or not at all.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use traces_record::lock::Lock;

use super::{OutputFile, Stoppable, is_stdout, private_folder, unfinished};

/// A folder to be written into.
#[derive(Debug)]
pub(crate) struct OutputFolder {
    path: PathBuf,
    may_hold_files: bool,
}

impl OutputFolder {
    /// Checks that this folder may be written into, before any work is done for it: it does
    /// not exist or is empty, unless `may_hold_files`.
    pub(crate) fn new(path: &Path, may_hold_files: bool) -> anyhow::Result<Self> {
        if is_stdout(path) {
            bail!("`-` is the standard output, and a folder is needed here: ./- is one of that name");
        }
        let folder = Self { path: path.to_owned(), may_hold_files };
        folder.check()?;
        Ok(folder)
    }

    fn check(&self) -> anyhow::Result<()> {
        let path = &self.path;
        match fs::read_dir(path) {
            Ok(files) => {
                // What a run left behind that was killed is removed once writing begins.
                let is_whole = |name: &OsStr| !name.to_str().is_some_and(unfinished::is_name);
                let mut whole =
                    files.filter(|file| file.as_ref().is_ok_and(|file| is_whole(&file.file_name())));
                if !self.may_hold_files && whole.next().is_some() {
                    bail!(
                        "{} already holds files: --append adds the days that are missing there, --force \
                         writes days anew",
                        path.display()
                    );
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let above = OutputFile::folder(path);
                if !above.is_dir() {
                    bail!("{}: there is no folder {}", path.display(), above.display());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                bail!("{}: not a folder", path.display())
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The files in the folders of the folder of this name in it; none where there is none.
    pub(crate) fn files_below(&self, name: &Path) -> Vec<PathBuf> {
        let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
        let folders = entries(self.path.join(name)).map(|folder| folder.path());
        folders.flat_map(entries).map(|file| file.path()).collect()
    }

    /// Begins to write: files come into a folder within it, which readers pass over, and
    /// which is removed with whatever is still there in the end. Until then nobody else writes
    /// into it, so that what is found there stays.
    pub(crate) fn begin(&self) -> anyhow::Result<Staging> {
        let at = || format!("cannot write into {}", self.path.display());
        let mut made = MadeFolders::default();
        made.make(&self.path).with_context(at)?;
        let Some(alone) = Lock::hold_alone(&self.path) else {
            // It is the other's by now.
            made.0.clear();
            bail!("another export writes into {}: run this one again when that is done", self.path.display());
        };
        // Another may have been done since it was looked at.
        self.check()?;
        let (beside, lock) = unfinished::folder(&self.path).with_context(at)?;
        Ok(Staging {
            target: self.path.clone(),
            new: beside.path().join("new"),
            old: beside.path().join(unfinished::OLD),
            beside,
            _lock: lock,
            made,
            _alone: alone,
        })
    }
}

/// What is written and not there yet.
#[derive(Debug)]
pub(crate) struct Staging {
    target: PathBuf,
    new: PathBuf,
    old: PathBuf,
    beside: TempDir,
    _lock: Lock,
    /// Dropped after `beside`, which lies in one of them.
    made: MadeFolders,
    /// Dropped last: what is removed is nobody else's.
    _alone: Lock,
}

impl Staging {
    /// A new file, readable by its owner alone, until Ctrl-C is pressed.
    pub(crate) fn file(&self, name: &Path) -> io::Result<Box<dyn Write + Send>> {
        let path = self.new.join(name);
        private_folder(OutputFile::folder(&path))?;
        Ok(Box::new(Stoppable { out: private_file(&path)?, bytes: 0 }))
    }

    /// Puts a folder that was written in its place. What stood there is gone, unless this
    /// fails.
    pub(crate) fn publish(&mut self, name: &Path) -> anyhow::Result<()> {
        let (new, target, old) = (self.new.join(name), self.target.join(name), self.old.join(name));
        self.exchange(&new, &target, &old).with_context(|| format!("cannot write {}", target.display()))
    }

    fn exchange(&mut self, new: &Path, target: &Path, old: &Path) -> io::Result<()> {
        let is_there = target.exists();
        if is_there {
            private_folder(OutputFile::folder(old))?;
            fs::rename(target, old)?;
        }
        if !new.exists() {
            if is_there {
                // Engines fail at a table without files. One with other days is not removed by this.
                let _ = fs::remove_dir(OutputFile::folder(target));
            }
            return Ok(());
        }
        let renamed = self.made.make(OutputFile::folder(target)).and_then(|()| fs::rename(new, target));
        if renamed.is_err() && is_there {
            fs::rename(old, target)?;
        }
        renamed
    }

    /// Removes what is left of the work.
    pub(crate) fn end(self) -> anyhow::Result<()> {
        let at = self.beside.path().display().to_string();
        self.beside.close().with_context(|| format!("cannot remove {at}"))
    }
}

/// The folders that a run made for what it writes: those that are still empty when it ends,
/// as it failed, are removed again.
#[derive(Debug, Default)]
struct MadeFolders(Vec<PathBuf>);

impl MadeFolders {
    /// Makes a folder, in one that is there.
    fn make(&mut self, path: &Path) -> io::Result<()> {
        if !path.exists() {
            private_folder(path)?;
            self.0.push(path.to_owned());
        }
        Ok(())
    }
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            // One that holds something is not removed by this.
            let _ = fs::remove_dir(folder);
        }
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
