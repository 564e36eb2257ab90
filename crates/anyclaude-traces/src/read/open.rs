//! Opens one file after the other.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens files. On Linux one that lies beside the last is looked up in the folder that
/// is open already: going down a whole path is a good part of opening a small file.
#[derive(Debug, Default)]
pub(super) struct Opener {
    /// The folder of the last file, and its path up to the last slash.
    #[cfg(target_os = "linux")]
    folder: Option<(Vec<u8>, std::os::fd::OwnedFd)>,
}

impl Opener {
    #[cfg(target_os = "linux")]
    pub(super) fn open(&mut self, path: &Path) -> io::Result<File> {
        use rustix::fs::{Mode, OFlags, open, openat};
        use rustix::io::retry_on_intr;

        let bytes = path.as_os_str().as_encoded_bytes();
        let slash = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let (folder, name) = bytes.split_at(slash);
        if self.folder.as_ref().is_none_or(|(known, _)| known != folder) {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.folder = open(folder, flags, Mode::empty()).ok().map(|opened| (folder.to_owned(), opened));
        }
        // What may be wrong with the folder is told by the whole path.
        let Some((_, folder)) = &self.folder else { return File::open(path) };
        // What has become a pipe since it was found shall not make us wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = || openat(folder, name, flags, Mode::empty());
        Ok(File::from(retry_on_intr(open)?))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn open(&mut self, path: &Path) -> io::Result<File> {
        File::open(path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;

    use super::*;

    #[test]
    fn every_file_is_found_by_its_whole_path() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        // The same name in folders of which one's path begins like the other's.
        for name in ["a/x", "a/b/x", "a/b/y", "x"] {
            fs::write(at(name), name).unwrap();
        }
        let mut opener = Opener::default();
        for name in ["a/x", "a/b/x", "a/b/y", "a/x", "x", "a/b/x", "a/../x"] {
            let mut content = String::new();
            opener.open(&at(name)).unwrap().read_to_string(&mut content).unwrap();
            assert_eq!(content, name.trim_start_matches("a/../"));
        }
        // As tests run in the folder of the crate.
        opener.open(Path::new("Cargo.toml")).unwrap();
        opener.open(Path::new("./Cargo.toml")).unwrap();
        for missing in ["a/z", "c/x", "x/x", "z"] {
            let (there, expected) = (opener.open(&at(missing)), File::open(at(missing)));
            assert_eq!(there.unwrap_err().kind(), expected.unwrap_err().kind(), "{missing}");
        }
        // A folder that comes later is looked for again.
        fs::create_dir(at("c")).unwrap();
        fs::write(at("c/x"), "new").unwrap();
        opener.open(&at("c/x")).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_has_become_a_pipe_is_not_waited_for() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};

        use crate::error::ErrorKind;
        use crate::read::Store;

        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("a.json");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let error = Store::default().reread(&pipe, &mut ()).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotRegular));
    }
}
