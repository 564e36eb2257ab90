//! Reads the logs of servers as they grow, through all the files that they are rotated to.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::chunks::read_rest;
use super::growing::{FileStamp, HEAD_BYTES};
use super::log_names::{NamedLog, by_numbers, in_series, is_rotated_name};
use super::logs::LogFile;
use super::open::open;
use super::{Progress, Store, plain_name};
use crate::error::{Error, ErrorKind};
use crate::formats::backend::lmstudio::NoBodies;
use crate::formats::backend::{BackendLog, BackendParser};

/// Logs of servers, each read once.
#[derive(Debug, Default)]
pub(super) struct GrowingServerLogs {
    /// All that were asked for: a log may go on where another ends.
    asked: BTreeSet<PathBuf>,
    /// By the first file.
    series: HashMap<PathBuf, GrowingSeries>,
}

/// Logs that a server writes one after the other, or a single one, as far as they were read.
#[derive(Debug, Default)]
struct GrowingSeries {
    files: Vec<GrowingFile>,
    parser: BackendParser,
    /// How many of the files the parser has read.
    parsed: usize,
    /// What parsers before it have read.
    done: Vec<LogFile<BackendLog>>,
}

/// A file as far as it was read.
#[derive(Debug)]
struct GrowingFile {
    path: PathBuf,
    read_bytes: u64,
    head: Vec<u8>,
    stamp: Option<FileStamp>,
    ends_in_line: bool,
}

impl GrowingServerLogs {
    /// What the logs at these paths hold, and those of one series with them, and which of
    /// them cannot be read any more.
    pub(super) fn catch_up(
        &mut self,
        store: &Store,
        paths: &[&Path],
    ) -> (Vec<LogFile<BackendLog>>, Vec<Error>) {
        for path in paths {
            // It was read before it was compressed.
            let is_compressed_copy = || self.asked.contains(&path.with_file_name(&*plain_name(path)));
            if self.asked.contains(*path) || !is_compressed_copy() {
                self.asked.insert(path.to_path_buf());
            }
        }
        let mut asked: Vec<&PathBuf> = self.asked.iter().collect();
        asked.sort_by_cached_key(|path| by_numbers(path));
        let named = asked.into_iter().map(|path| NamedLog { path: path.clone(), is_named: false });
        let (mut logs, mut errors, mut kept) = (Vec::new(), Vec::new(), HashMap::new());
        for series in in_series(named.collect()) {
            let files: Vec<PathBuf> = series.into_iter().map(|log| log.path).collect();
            let Some(first) = files.first().cloned() else { continue };
            let mut known = self.series.remove(&first).unwrap_or_default();
            if files.iter().any(|file| paths.contains(&&**file)) {
                errors.extend(known.catch_up(store, &files));
                logs.extend(known.logs());
            }
            kept.insert(first, known);
        }
        self.series = kept;
        (logs, errors)
    }
}

impl GrowingSeries {
    /// Reads what was added since the last time; returns what cannot be read.
    fn catch_up(&mut self, store: &Store, paths: &[PathBuf]) -> Vec<Error> {
        let is_known = self.files.len() <= paths.len()
            && self.files.iter().zip(paths).all(|(file, path)| file.path == *path);
        let before = self.files.split_last().map_or(&[][..], |(_, before)| before);
        if !is_known || before.iter().any(GrowingFile::was_written) {
            *self = Self::default();
        }
        let mut errors = Vec::new();
        if let Some(last) = self.files.last_mut() {
            match last.catch_up(store, &mut self.parser) {
                Ok(true) => *self = Self::default(),
                Ok(false) => {}
                // It may be on its way to another name.
                Err(ErrorKind::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(kind) => errors.push(Error::new(&last.path, kind)),
            }
        }
        for path in paths.iter().skip(self.files.len()) {
            if self.parsed > 0 && !self.parser.next_file(&mut NoBodies::default()) {
                self.done = self.logs();
                (self.parser, self.parsed) = (BackendParser::new(), 0);
            }
            let mut file = GrowingFile::new(path);
            errors.extend(
                file.catch_up(store, &mut self.parser).err().map(|kind| Error::new(&file.path, kind)),
            );
            self.files.push(file);
            self.parsed += 1;
        }
        errors
    }

    fn logs(&self) -> Vec<LogFile<BackendLog>> {
        let contents = self.parser.clone().finish_files(&mut NoBodies::default());
        let files = self.files.iter().skip(self.files.len().saturating_sub(self.parsed));
        let found = files.zip(contents).filter_map(|(file, content)| {
            let path = file.path.clone();
            Some(LogFile { path, content: content? })
        });
        self.done.iter().cloned().chain(found).collect()
    }
}

impl GrowingFile {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), read_bytes: 0, head: Vec::new(), stamp: None, ends_in_line: false }
    }

    /// Whether it was written to since it was read, or another is in its place.
    fn was_written(&self) -> bool {
        FileStamp::at(&self.path).is_some_and(|stamp| Some(stamp) != self.stamp)
    }

    /// Shows the parser what was added. True where the log was written anew, and has to be
    /// read from its beginning by another parser.
    fn catch_up(&mut self, store: &Store, parser: &mut BackendParser) -> Result<bool, ErrorKind> {
        let (mut file, metadata) = match open(&self.path) {
            Ok(opened) => opened,
            Err(kind) => {
                // It was renamed, and the server goes on with it.
                self.read_rotated(store, None, parser)?;
                return Err(kind);
            }
        };
        let stamp = FileStamp::of(&metadata);
        if self.stamp == Some(stamp) && stamp.bytes == self.read_bytes {
            return Ok(false);
        }
        let mut head = Vec::new();
        (&mut file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        let is_other = self.stamp.is_some_and(|known| known.number != stamp.number)
            || stamp.bytes < self.read_bytes
            || !head.starts_with(&self.head);
        if is_other && !self.read_rotated(store, Some(stamp), parser)? {
            if head.starts_with(&self.head) {
                return Ok(true);
            }
            if self.head.starts_with(&head) {
                // It is empty, or begins as it did: what it will be shows when it goes on.
                return Ok(false);
            }
            if self.ends_in_line {
                parser.feed(b"\n");
            }
            self.read_bytes = 0;
        }
        file.seek(SeekFrom::Start(self.read_bytes))?;
        self.read(&mut file, &store.progress, parser)?;
        (self.head, self.stamp) = (head, Some(stamp));
        Ok(false)
    }

    fn read(
        &mut self,
        file: &mut File,
        progress: &Progress,
        parser: &mut BackendParser,
    ) -> Result<(), ErrorKind> {
        let (read_bytes, ends_in_line) = (&mut self.read_bytes, &mut self.ends_in_line);
        read_rest(file, progress, |chunk| {
            *read_bytes += chunk.len() as u64;
            *ends_in_line = !chunk.ends_with(b"\n");
            parser.feed(chunk);
        })
    }

    /// Shows the parser the end of what was read so far, where that has another name now,
    /// and what was written between it and the `current` file of its name. False where it
    /// has none.
    fn read_rotated(
        &mut self,
        store: &Store,
        current: Option<FileStamp>,
        parser: &mut BackendParser,
    ) -> Result<bool, ErrorKind> {
        let rotated = match current {
            Some(current) => self.rotated(store, current),
            None => self.stamp.and_then(|known| known.renamed(&self.path)).into_iter().collect(),
        };
        if rotated.is_empty() {
            return Ok(false);
        }
        let mut skip = self.read_bytes;
        for (path, _) in &rotated {
            store.read_log(path, |chunk| {
                let passed = chunk.len().min(usize::try_from(skip).unwrap_or(usize::MAX));
                skip -= passed as u64;
                let added = chunk.get(passed..).unwrap_or_default();
                if !added.is_empty() {
                    self.read_bytes += added.len() as u64;
                    self.ends_in_line = !added.ends_with(b"\n");
                    parser.feed(added);
                }
            })?;
        }
        if current.is_some() {
            self.read_bytes = 0;
        }
        Ok(true)
    }

    /// The file that has what was read of this one, and those that were written after it,
    /// but for the one that has its name now.
    fn rotated(&self, store: &Store, current: FileStamp) -> Vec<(PathBuf, FileStamp)> {
        let Some(known) = self.stamp else { return Vec::new() };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let entries = fs::read_dir(folder.unwrap_or(Path::new("."))).into_iter().flatten();
        let beside = entries.flatten().map(|entry| self.path.with_file_name(entry.file_name()));
        let beside = beside.filter(|path| is_rotated_name(&self.path, path));
        let mut beside: Vec<(PathBuf, FileStamp)> =
            beside.filter_map(|path| FileStamp::at(&path).map(|stamp| (path, stamp))).collect();
        let renamed = if known.number == current.number { None } else { known.renamed(&self.path) };
        beside.retain(|(path, _)| renamed.as_ref().is_none_or(|(renamed, _)| renamed != path));
        // A copy, of a log that was cut then, or that is compressed by now.
        let is_copy = |(path, _): &&(PathBuf, FileStamp)| self.is_copy(store, path);
        let own = renamed.or_else(|| {
            let newest = beside.iter().filter(is_copy).max_by_key(|(_, stamp)| stamp.modified);
            newest.cloned()
        });
        let Some(own) = own else { return Vec::new() };
        let written = own.1.modified;
        beside.retain(|(path, stamp)| *path != own.0 && stamp.modified > written);
        // The later it was rotated, the lower is its number.
        beside.sort_by(|a, b| (a.1.modified, &b.0).cmp(&(b.1.modified, &a.0)));
        std::iter::once(own).chain(beside).collect()
    }

    /// Whether a file begins as this one did, and holds no less.
    fn is_copy(&self, store: &Store, path: &Path) -> bool {
        let (mut head, mut bytes) = (Vec::new(), 0);
        let read = store.read_log(path, |chunk| {
            let missing = self.head.len() - head.len();
            head.extend_from_slice(chunk.get(..missing).unwrap_or(chunk));
            bytes += chunk.len() as u64;
        });
        read.is_ok() && !head.is_empty() && head == self.head && bytes >= self.read_bytes
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write as _;

    use super::*;

    /// Two requests of `llama-server`, one after the other.
    const LOG: &str = "\
        0.00.040.000 I srv          init: loading model\n\
        0.30.052.000 I slot launch_slot_: id  0 | task 0 | processing task, is_child = 0\n\
        0.30.052.100 I slot   operator(): id  0 | task 0 | new prompt, n_ctx_slot = 4096, n_keep = 0, task.n_tokens = 1480\n\
        0.32.314.000 I slot print_timing: id  0 | task 0 | prompt eval time =    1459.00 ms /  1480 tokens (    0.99 ms per token,  1014.39 tokens per second)\n\
        0.32.314.000 I slot print_timing: id  0 | task 0 |        eval time =     803.00 ms /    20 tokens (   40.15 ms per token,    24.91 tokens per second)\n\
        0.32.314.200 I slot      release: id  0 | task 0 | stop processing: n_tokens = 1499, truncated = 0\n\
        0.34.052.000 I slot launch_slot_: id  0 | task 9 | processing task, is_child = 0\n\
        0.34.052.100 I slot   operator(): id  0 | task 9 | new prompt, n_ctx_slot = 4096, n_keep = 0, task.n_tokens = 1520\n\
        0.34.314.000 I slot print_timing: id  0 | task 9 | prompt eval time =      40.00 ms /    20 tokens (    2.00 ms per token,   500.00 tokens per second)\n\
        0.34.514.000 I slot print_timing: id  0 | task 9 |        eval time =     200.00 ms /    10 tokens (   20.00 ms per token,    50.00 tokens per second)\n\
        0.34.514.200 I slot      release: id  0 | task 9 | stop processing: n_tokens = 1529, truncated = 0\n";

    const LM_STUDIO: &str = "\
        [2026-06-24 23:59:50][INFO][m] Running chat completion on conversation with 1 messages.\n\
        [2026-06-24 23:59:52][INFO][m] Prompt processing progress: 50.0%\n\
        [2026-06-24 23:59:55][INFO][m] Prompt processing progress: 100.0%\n\
        [2026-06-25 00:00:04][INFO][m] Finished streaming response\n\
        [2026-06-25 00:00:10][INFO][m] Running chat completion on conversation with 3 messages.\n\
        [2026-06-25 00:00:12][INFO][m] Prompt processing progress: 100.0%\n\
        [2026-06-25 00:00:14][INFO][m] Finished streaming response\n";

    fn append(path: &Path, text: &str) {
        OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn compress(path: &Path, to: &Path) {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&fs::read(path).unwrap()).unwrap();
        fs::write(to, gzip.finish().unwrap()).unwrap();
        fs::remove_file(path).unwrap();
    }

    /// How a log comes to another name.
    #[derive(Debug, Clone, Copy)]
    enum Rotation {
        Renamed,
        RenamedTwice,
        Copied,
        Compressed,
    }

    impl Rotation {
        const ALL: [Self; 4] = [Self::Renamed, Self::RenamedTwice, Self::Copied, Self::Compressed];

        /// Whether it makes room for this, which is written to the end of it before.
        fn rotate(self, log: &Path, last: &str) {
            let name = |ending: &str| log.with_file_name(format!("server.log{ending}"));
            match self {
                Self::Renamed => {
                    fs::rename(log, name(".1")).unwrap();
                    // The server goes on with the file that it has open.
                    append(&name(".1"), last);
                }
                Self::RenamedTwice => {
                    fs::rename(log, name(".2")).unwrap();
                    let old = OpenOptions::new().append(true).open(name(".2")).unwrap();
                    old.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(9))
                        .unwrap();
                    append(&name(".1"), last);
                }
                Self::Copied => {
                    append(log, last);
                    fs::copy(log, name("-20260624")).unwrap();
                    OpenOptions::new().write(true).truncate(true).open(log).unwrap();
                }
                Self::Compressed => {
                    append(log, last);
                    compress(log, &name(".1.gz"));
                }
            }
        }
    }

    fn caught_up(store: &Store, paths: &[&Path]) -> Vec<LogFile<BackendLog>> {
        let (logs, errors) = store.grown_server_logs(paths);
        assert!(errors.is_empty(), "{errors:?}");
        logs
    }

    /// Wherever it is cut, in the middle of a line or of a task, and whatever was seen of it.
    #[test]
    fn a_rotated_log_is_one_with_what_follows_it() {
        for rotation in Rotation::ALL {
            for cut in (90..LOG.len()).step_by(97) {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("server.log");
                let store = Store::default().with_growing_logs();
                let (before, after) = LOG.split_at(cut);
                let (seen, last) = before.split_at(cut - cut.min(70));
                append(&path, seen);
                caught_up(&store, &[&path]);
                rotation.rotate(&path, last);
                // At any moment, also while there is none of its name.
                caught_up(&store, &[&path]);
                let (first, rest) = after.split_at(after.len() / 3);
                append(&path, first);
                caught_up(&store, &[&path]);
                append(&path, rest);
                let logs = caught_up(&store, &[&path]);
                let [log] = &logs[..] else { panic!("{rotation:?} at {cut}: {logs:?}") };
                let mut whole = BackendParser::new();
                whole.feed(LOG.as_bytes());
                assert_eq!(Some(&log.content), whole.finish().as_ref(), "{rotation:?} at {cut}");
            }
        }
    }

    #[test]
    fn a_log_goes_on_under_the_name_that_it_was_given() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let store = Store::default().with_growing_logs();
        let (before, after) = LOG.split_at(LOG.len() / 2);
        append(&path, before);
        caught_up(&store, &[&path]);
        let renamed = folder.path().join("yesterday.txt");
        fs::rename(&path, &renamed).unwrap();
        append(&renamed, after);
        assert_eq!(caught_up(&store, &[&path])[0].content.tasks.len(), 2);
        assert_eq!(store.progress().bytes(), LOG.len() as u64 + before.len() as u64);
    }

    #[test]
    fn a_log_that_is_written_anew_tells_nothing_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let store = Store::default().with_growing_logs();
        let tasks = || caught_up(&store, &[&path]).first().map_or(0, |log| log.content.tasks.len());
        append(&path, LOG);
        assert_eq!(tasks(), 2);
        // As by a program that copies logs from another machine.
        fs::write(&path, "").unwrap();
        assert_eq!(tasks(), 2, "it may have been cut by the one who goes on");
        fs::write(&path, &LOG[..100]).unwrap();
        assert_eq!(tasks(), 2);
        fs::write(
            folder.path().join("new"),
            LOG.to_owned() + "0.40.000.000 I srv  update_slots: all slots are idle\n",
        )
        .unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        assert_eq!(tasks(), 2);
        // Another server, which nobody kept a log of.
        fs::write(&path, LOG.replace("0.00.040.000", "0.00.050.000")).unwrap();
        assert_eq!(tasks(), 4);
    }

    #[test]
    fn a_series_of_dated_logs_is_read_as_it_is_once_it_is_finished() {
        for cut in (1..LM_STUDIO.len()).step_by(41) {
            let folder = tempfile::tempdir().unwrap();
            let paths = ["2026-06-24.9.log", "2026-06-24.10.log", "2026-06-25.1.log"]
                .map(|name| folder.path().join(name));
            let store = Store::default().with_growing_logs();
            let (first, rest) = LM_STUDIO.split_at(cut);
            let (second, third) = rest.split_at(rest.len() / 2);
            for (path, text) in paths.iter().zip([first, second, third]) {
                let (head, tail) = text.split_at(text.len() / 2);
                append(path, head);
                caught_up(&store, &[path]);
                append(path, tail);
            }
            let last = caught_up(&store, &[&paths[2]]);
            let finished = Store::default().server_logs(&[folder.path().to_owned()]).0;
            let contents = |logs: &[LogFile<BackendLog>]| -> Vec<(PathBuf, BackendLog)> {
                logs.iter().map(|log| (log.path.clone(), log.content.clone())).collect()
            };
            assert_eq!(contents(&last), contents(&finished), "{cut}");
            assert_eq!(store.progress().bytes(), LM_STUDIO.len() as u64, "none is read again");
            compress(&paths[0], &paths[0].with_extension("log.gz"));
            let after = caught_up(&store, &[&paths[0].with_extension("log.gz"), &paths[2]]);
            assert_eq!(contents(&after), contents(&finished), "it was read before it was compressed");
            assert_eq!(store.progress().bytes(), LM_STUDIO.len() as u64);
        }
    }
}
