//! Finds and reads files. The only module that touches the disk.

mod buffer;
mod find;
mod logs;
mod open;
mod parallel;
pub(crate) mod paths;
mod progress;
mod records;
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
use records::{AllRecords, OneRecord};
pub(crate) use server_logs::{ServerLogFile, record_of_body};

use crate::error::{Error, ErrorKind};
use crate::formats::body::Visit;
use crate::formats::json::scratch::Scratch;
use crate::formats::record::TraceRecord;
use crate::formats::sniff::sniff;
use crate::formats::source::{Input, RecordNumber, RecordSink};
use crate::model::request::{Source, TracePath};
use crate::model::time::Timestamp;

/// A file that may hold requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CandidateFile {
    path: Arc<Path>,
}

impl CandidateFile {
    /// The file, by the path under which it was found.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A record and where it came from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TraceFile {
    /// Where it came from.
    pub path: TracePath,
    /// Its facts. A missing timestamp is taken from the file's name, which anyclaude
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
    pub fn find<P: AsRef<Path>>(
        &self,
        paths: impl IntoIterator<Item = P>,
    ) -> (Vec<CandidateFile>, Vec<Error>) {
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
        sources: &[CandidateFile],
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
        let find = |feed: &mut dyn FnMut(CandidateFile)| errors = find_below(paths, feed);
        let unread = self.scan_as(order, find, visitor, fold);
        errors.extend(unread);
        errors
    }

    fn scan_as<S: Borrow<CandidateFile> + Send, V: Visit + Send>(
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
            let mut records = AllRecords::new(&visitor);
            let read = reader.read(source.borrow(), &mut records);
            (source.borrow().path.clone(), read, records.complete, records.errors)
        };
        for_each_parallel(
            self.threads,
            order,
            expect,
            || Reader::new(self),
            read,
            |index, (path, read, records, unread)| {
                match read {
                    Ok(()) => records
                        .into_iter()
                        .for_each(|(number, record, seen)| fold(trace_file(&path, number, record), seen)),
                    Err(error) => errors.push((index, error)),
                }
                errors.extend(unread.into_iter().map(|error| (index, Error::new(&*path, error))));
            },
        );
        errors.sort_by_key(|(index, _)| *index);
        errors.into_iter().map(|(_, error)| error).collect()
    }

    /// Reads one record, for content that is not kept of every file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or does not hold the record (any more).
    pub fn read_one<V: Visit>(&self, path: &TracePath, visit: &mut V) -> Result<TraceFile, Error> {
        let file: Arc<Path> = Arc::from(path.file());
        let mut record = OneRecord::new(RecordNumber(path.record()), visit);
        Reader::new(self).read(&CandidateFile { path: file.clone() }, &mut record)?;
        match record.into_found() {
            Ok((number, record)) => Ok(trace_file(&file, number, record)),
            Err(kind) => Err(Error::new(&*file, kind)),
        }
    }
}

/// A record of a file. A missing timestamp is taken from the file's name, which anyclaude
/// makes from the timestamp.
fn trace_file(file: &Arc<Path>, number: RecordNumber, mut record: TraceRecord) -> TraceFile {
    if record.timestamp.is_none() && record.source == Source::Anyclaude {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        record.timestamp = Timestamp::from_file_name(&name);
    }
    TraceFile { path: TracePath::of_record(file.clone(), number.0), record }
}

impl TraceRecord {
    /// Reads and parses the file of one trace, of up to 1 GiB. A missing timestamp is
    /// taken from the file's name.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no trace.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, Error> {
        Store::default().read_one(&TracePath::new(path.as_ref()), &mut ()).map(|file| file.record)
    }
}

/// Reads one file after the other into the same memory.
struct Reader<'s> {
    max_file_bytes: u64,
    progress: &'s Progress,
    buffer: Buffer,
    scratch: Scratch,
}

impl<'s> Reader<'s> {
    fn new(store: &'s Store) -> Self {
        Self {
            max_file_bytes: store.max_file_bytes,
            progress: &store.progress,
            buffer: Buffer::default(),
            scratch: Scratch::default(),
        }
    }

    fn read(&mut self, file: &CandidateFile, sink: &mut dyn RecordSink) -> Result<(), Error> {
        let read = server_logs::read_records(&file.path, self.progress, sink).and_then(|is_log| {
            if is_log {
                return Ok(());
            }
            self.load(&file.path)?;
            let input = Input { bytes: self.buffer.bytes() };
            Ok(sniff(&input)?.read(&input, &mut self.scratch, sink)?)
        });
        self.progress.count_file();
        read.map_err(|kind| Error::new(&*file.path, kind))
    }

    fn load(&mut self, path: &Path) -> Result<(), ErrorKind> {
        let limit = self.max_file_bytes;
        let check = |bytes| if bytes > limit { Err(ErrorKind::TooLarge { bytes, limit }) } else { Ok(()) };
        let size = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        let (mut file, bytes) = open(path)?;
        check(bytes)?;
        let count = |count| self.progress.count_bytes(count);
        self.buffer.read(&mut file, size(bytes), size(limit.saturating_add(1)), count)?;
        // It may have grown.
        check(self.buffer.bytes().len() as u64)
    }
}
