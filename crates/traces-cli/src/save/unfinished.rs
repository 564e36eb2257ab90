//! What is being written has a name that readers pass over, and is locked; what has such a
//! name and is not, a run left behind that was killed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[cfg(feature = "parquet")]
use tempfile::TempDir;
use tempfile::{Builder, NamedTempFile};
use traces_record::lock::{Lock, is_held};

use super::private_folder;

/// How the name of what is being written begins, and how it ends.
const BEGINS: &str = ".traces-";
const ENDS: &str = ".part";
/// How many letters and digits stand between.
const RANDOM_CHARS: usize = 6;

/// What a folder of tables keeps here of what it held before.
pub(super) const OLD: &str = "old";

/// A new file in this folder, readable by its owner alone and removed unless it is
/// persisted, with the lock that says that it is being written. What was left in the folder
/// is removed.
pub(super) fn file(folder: &Path) -> io::Result<(NamedTempFile, Lock)> {
    let file = builder().tempfile_in(folder)?;
    let lock = hold(folder, file.path());
    Ok((file, lock))
}

/// The same of a folder.
#[cfg(feature = "parquet")]
pub(super) fn folder(folder: &Path) -> io::Result<(TempDir, Lock)> {
    let beside = builder().tempdir_in(folder)?;
    let lock = hold(folder, beside.path());
    Ok((beside, lock))
}

fn builder() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    builder.prefix(BEGINS).suffix(ENDS).rand_bytes(RANDOM_CHARS);
    builder
}

/// Whether this is the name of something unfinished.
pub(super) fn is_name(name: &str) -> bool {
    let random = name.strip_prefix(BEGINS).and_then(|rest| rest.strip_suffix(ENDS));
    random.is_some_and(|random| {
        random.len() == RANDOM_CHARS && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

fn hold(folder: &Path, new: &Path) -> Lock {
    let lock = Lock::hold(new);
    // Where nothing can be locked, nobody can tell what is still being written.
    if is_held(new) {
        for left in left_behind(folder) {
            // What cannot be removed, as that of another user, harms nobody.
            let _ = remove(folder, &left);
        }
    }
    lock
}

/// What nobody is writing any more.
fn left_behind(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let unfinished = entries.flatten().filter(|entry| {
        let is_ours = entry.file_name().to_str().is_some_and(is_name);
        is_ours && entry.file_type().is_ok_and(|kind| kind.is_file() || kind.is_dir())
    });
    unfinished.map(|entry| entry.path()).filter(|path| !is_held(path)).collect()
}

fn remove(folder: &Path, left: &Path) -> io::Result<()> {
    if !left.is_dir() {
        return fs::remove_file(left);
    }
    put_back(&left.join(OLD), folder)?;
    fs::remove_dir_all(left)
}

/// Puts the days of each table back that were moved aside, and never replaced.
fn put_back(old: &Path, folder: &Path) -> io::Result<()> {
    for table in entries(old)? {
        for day in entries(&old.join(&table))? {
            let target = folder.join(&table).join(&day);
            if !target.exists() {
                // The table's folder is removed with its last day.
                private_folder(&folder.join(&table))?;
                fs::rename(old.join(&table).join(&day), target)?;
            }
        }
    }
    Ok(())
}

/// The names in a folder; none where there is no such folder.
fn entries(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(all(test, unix, feature = "parquet"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_behind_is_removed_and_what_is_being_written_is_not() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        fs::write(at(".traces-killed.part"), "half").unwrap();
        fs::write(at(".traces-mine.part"), "of another program").unwrap();
        fs::create_dir_all(at(".traces-abcdef.part/new/requests/day=2025-11-15")).unwrap();
        let (first, lock) = file(temp.path()).unwrap();
        let (second, _lock) = folder(temp.path()).unwrap();
        assert!(first.path().exists() && second.path().exists());
        assert!(!at(".traces-killed.part").exists() && !at(".traces-abcdef.part").exists());
        assert!(at(".traces-mine.part").exists());
        drop(lock);
        let _third = file(temp.path()).unwrap();
        assert!(!first.path().exists() && second.path().exists());
    }

    /// A run was killed after it moved a day aside, and before it put the new one there.
    #[test]
    fn a_day_that_was_moved_aside_is_put_back() {
        let temp = tempfile::tempdir().unwrap();
        let old = temp.path().join(".traces-killed.part").join(OLD);
        for (table, day) in [("requests", "day=1"), ("tools", "day=1"), ("tools", "day=2")] {
            fs::create_dir_all(old.join(table).join(day)).unwrap();
            fs::write(old.join(table).join(day).join("part-0.parquet"), "old").unwrap();
            fs::create_dir_all(temp.path().join(table)).unwrap();
        }
        fs::create_dir_all(temp.path().join("tools/day=1")).unwrap();
        let _new = folder(temp.path()).unwrap();
        let text = |path: &str| fs::read_to_string(temp.path().join(path).join("part-0.parquet")).ok();
        assert_eq!(text("requests/day=1").as_deref(), Some("old"));
        assert_eq!(text("tools/day=2").as_deref(), Some("old"));
        assert_eq!(text("tools/day=1"), None, "the new one is there");
        assert!(!temp.path().join(".traces-killed.part").exists());
    }
}
