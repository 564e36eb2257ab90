//! Opens files that others may replace at any moment.

use std::fs::{File, Metadata, OpenOptions};
use std::path::Path;

use crate::error::{Error, ErrorKind};

/// Opens a regular file; with what the system knows of it. What has become a pipe since it
/// was found is an error, and not waited for.
pub(super) fn open(path: &Path) -> Result<(File, Metadata), ErrorKind> {
    let mut options = OpenOptions::new();
    options.read(true);
    // Without it, opening a pipe waits for somebody who writes to it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(ErrorKind::NotRegular) }
}

/// Fails for what is no regular file, without opening it: opening a device may do
/// something. For paths that the user names; those that are found in folders are checked
/// there.
pub(super) fn check_regular(path: &Path) -> Result<(), ErrorKind> {
    if path.metadata()?.is_file() { Ok(()) } else { Err(ErrorKind::NotRegular) }
}

/// Reads a regular file whole. Pipes and devices are an error, and not opened.
///
/// # Errors
///
/// When the file cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;

    let at = |kind| Error::new(path, kind);
    check_regular(path).map_err(at)?;
    let (mut file, _) = open(path).map_err(at)?;
    let mut content = Vec::new();
    file.read_to_end(&mut content).map_err(|error| at(error.into()))?;
    Ok(content)
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::model::request::TracePath;
    use crate::model::time::Timestamp;
    use crate::read::chunks::read_chunks;
    use crate::read::{Progress, Store};

    /// Each of these would wait for ever if the pipe was opened for a writer.
    #[test]
    fn what_has_become_a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("logs")).unwrap();
        let pipe = folder.path().join("logs/debug-session-2025-11-16T02-30-45.log");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(matches!(open(&pipe), Err(ErrorKind::NotRegular)));
        assert!(matches!(read_chunks(&pipe, &Progress::default(), |_| ()), Err(ErrorKind::NotRegular)));
        let store = Store::default();
        for error in [
            store.read_one(&TracePath::new(&*pipe), &mut ()).unwrap_err(),
            store.log(&pipe).unwrap_err(),
            read_file(&pipe).unwrap_err(),
        ] {
            assert!(matches!(error.kind(), ErrorKind::NotRegular), "{error}");
            assert_eq!(error.path(), pipe);
        }
        let window =
            Timestamp::from_unix_ms(0).unwrap()..=Timestamp::from_unix_ms(i64::from(u32::MAX)).unwrap();
        let (logs, errors) = store.logs(folder.path(), window);
        assert!(logs.debug.is_empty() && errors.is_empty(), "passed over in a folder");
    }
}
