//! Finds and reads files. The only module that touches the disk.

mod buffer;
mod find;
mod logs;
mod open;
mod parallel;
pub(crate) mod paths;
mod progress;
mod server_logs;

use std::borrow::Borrow;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use buffer::Buffer;
use find::find_below;
pub use logs::{LogFile, Logs};
use open::open;
pub use open::read_file;
pub(crate) use parallel::Order;
use parallel::for_each_parallel;
pub use progress::Progress;

use crate::error::{Error, ErrorKind};
use crate::formats::anyclaude::trace::Parser;
use crate::formats::body::Visit;
use crate::formats::record::TraceRecord;
use crate::model::time::Timestamp;

/// A file that may be a trace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    path: Arc<Path>,
}

impl Source {
    /// The file, by the path under which it was found.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A trace and the file that it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceFile {
    /// The file.
    pub path: Arc<Path>,
    /// Its content. A missing timestamp is taken from the file's name, which anyclaude
    /// makes from the timestamp.
    pub record: TraceRecord,
}

/// Reads traces from disk, with as many threads as the machine has cores.
///
/// ```
/// use anyclaude_traces::read::Store;
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// # let trace = |n: u32| format!(
/// #     r#"{{"timestamp": "2025-11-16T03:20:0{n}.000Z", "request": {{"body": {{"system": "Be brief.",
/// #         "tools": [{{"name": "Bash"}}], "messages": [{{"role": "user", "content": "Hello {n}"}}]}}}}}}"#
/// # );
/// # std::fs::write(folder.join("a.json"), trace(1))?;
/// # std::fs::write(folder.join("b.json"), trace(2))?;
/// let store = Store::default();
/// let (sources, _) = store.find([folder]);
/// let errors = store.scan(&sources, || (), |file, ()| {
///     assert!(file.record.sizes.body_bytes > 0);
/// });
/// assert!(errors.is_empty() && sources.len() == 2);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Store {
    max_file_bytes: u64,
    threads: usize,
    progress: Arc<Progress>,
}

impl Default for Store {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self { max_file_bytes: Self::MAX_FILE_BYTES, threads, progress: Arc::default() }
    }
}

impl Store {
    /// How large a file may be unless [`with_max_file_bytes`](Self::with_max_file_bytes)
    /// says otherwise: 1 GiB.
    pub const MAX_FILE_BYTES: u64 = 1 << 30;

    /// The same store with another limit on the size of a file.
    #[must_use]
    pub fn with_max_file_bytes(self, max_file_bytes: u64) -> Self {
        Self { max_file_bytes, ..self }
    }

    /// The same store with another number of threads; 0 counts as 1.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// How far reading has come. Clones of a store count together.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// The files at these paths: a file itself, and of a folder every `*.json` below it,
    /// hidden folders included. Sorted by name inside each folder; a file that two of the
    /// paths reach is found once.
    ///
    /// Links to files are followed, links to folders only when named. Anything but a regular
    /// file is ignored inside a folder, and an error when named.
    #[must_use]
    pub fn find<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) -> (Vec<Source>, Vec<Error>) {
        let mut sources = Vec::new();
        let errors = find_below(paths, &mut |source| sources.push(source));
        (sources, errors)
    }

    /// Reads sources on all threads, each with a visitor of its own, and calls `fold` with
    /// one after the other, in the order of the sources.
    ///
    /// Files that cannot be read or are no traces are returned, in the same order; they
    /// never keep another from being read.
    pub fn scan<V: Visit + Send>(
        &self,
        sources: &[Source],
        visitor: impl Fn() -> V + Sync,
        fold: impl FnMut(TraceFile, V),
    ) -> Vec<Error> {
        self.scan_as(Order::OfItems, |feed| sources.iter().for_each(feed), visitor, fold)
    }

    /// [Finds](Self::find) files and [scans](Self::scan) them at the same time. Errors of
    /// finding come first.
    pub(crate) fn find_and_scan<P: AsRef<Path>, V: Visit + Send>(
        &self,
        order: Order,
        paths: impl IntoIterator<Item = P>,
        visitor: impl Fn() -> V + Sync,
        fold: impl FnMut(TraceFile, V),
    ) -> Vec<Error> {
        let mut errors = Vec::new();
        let find = |feed: &mut dyn FnMut(Source)| errors = find_below(paths, feed);
        let unread = self.scan_as(order, find, visitor, fold);
        errors.extend(unread);
        errors
    }

    fn scan_as<S: Borrow<Source> + Send, V: Visit + Send>(
        &self,
        order: Order,
        find: impl FnOnce(&mut dyn FnMut(S)),
        visitor: impl Fn() -> V + Sync,
        mut fold: impl FnMut(TraceFile, V),
    ) -> Vec<Error> {
        let mut errors = Vec::new();
        let expect = |feed: &mut dyn FnMut(S)| {
            find(&mut |source| {
                self.progress.expect_files(1);
                feed(source);
            });
        };
        let read = |reader: &mut Reader<'_>, source: &S| {
            let mut seen = visitor();
            reader.read(source.borrow(), &mut seen).map(|file| (file, seen))
        };
        for_each_parallel(
            self.threads,
            order,
            expect,
            || Reader::new(self),
            read,
            |index, read| match read {
                Ok((file, seen)) => fold(file, seen),
                Err(error) => errors.push((index, error)),
            },
        );
        errors.sort_by_key(|(index, _)| *index);
        errors.into_iter().map(|(_, error)| error).collect()
    }

    /// Reads one file, for content that is not kept of every file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no trace (any more).
    pub fn read_one<V: Visit>(&self, path: &Path, visit: &mut V) -> Result<TraceFile, Error> {
        Reader::new(self).read(&Source { path: Arc::from(path) }, visit)
    }
}

impl TraceRecord {
    /// Reads and parses the file of one trace, of up to 1 GiB. A missing timestamp is
    /// taken from the file's name.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no trace.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, Error> {
        Store::default().read_one(path.as_ref(), &mut ()).map(|file| file.record)
    }
}

/// Reads one file after the other into the same memory.
struct Reader<'s> {
    max_file_bytes: u64,
    progress: &'s Progress,
    buffer: Buffer,
    parser: Parser,
}

impl<'s> Reader<'s> {
    fn new(store: &'s Store) -> Self {
        Self {
            max_file_bytes: store.max_file_bytes,
            progress: &store.progress,
            buffer: Buffer::default(),
            parser: Parser::default(),
        }
    }

    fn read<V: Visit>(&mut self, source: &Source, visit: &mut V) -> Result<TraceFile, Error> {
        let parsed = self.parse(&source.path, visit);
        self.progress.count_file();
        let mut record = parsed.map_err(|kind| Error::new(&*source.path, kind))?;
        if record.timestamp.is_none() {
            let name = source.path.file_name().unwrap_or_default().to_string_lossy();
            record.timestamp = Timestamp::from_file_name(&name);
        }
        Ok(TraceFile { path: source.path.clone(), record })
    }

    fn parse<V: Visit>(&mut self, path: &Path, visit: &mut V) -> Result<TraceRecord, ErrorKind> {
        let limit = self.max_file_bytes;
        let check = |bytes| if bytes > limit { Err(ErrorKind::TooLarge { bytes, limit }) } else { Ok(()) };
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        let (mut file, bytes) = open(path)?;
        check(bytes)?;
        let count = |count| self.progress.count_bytes(count);
        self.buffer.read(&mut file, size(bytes), size(limit.saturating_add(1)), count)?;
        // It may have grown.
        check(self.buffer.bytes().len() as u64)?;
        Ok(self.parser.parse(self.buffer.bytes(), visit)?)
    }
}
