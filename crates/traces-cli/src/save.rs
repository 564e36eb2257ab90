//! Writes results to files: readable by their owner alone, as they may be private,
//! and never over a file that is there unless that was asked for.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};

/// Fails if the file is there and may not be overwritten: better before the work
/// than after it.
pub(crate) fn check(path: &Path, force: bool) -> anyhow::Result<()> {
    let is_there = fs::symlink_metadata(path).is_ok();
    if is_there && !force {
        bail!("{} is there already; --force overwrites it", path.display());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        bail!("{}: there is no folder {}", path.display(), folder.display());
    }
    Ok(())
}

/// Writes the whole file, or leaves what was there.
pub(crate) fn write(path: &Path, content: &[u8], force: bool) -> anyhow::Result<()> {
    let fail = || format!("{}: cannot be written", path.display());
    if !force {
        return create(path).and_then(|mut file| file.write_all(content)).with_context(fail);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = path.with_file_name(name);
    let written =
        create(&fresh).and_then(|mut file| file.write_all(content)).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written.with_context(fail)
}

fn create(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
