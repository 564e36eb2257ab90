//! Finds and reads files. The only module that touches the disk.

mod buffer;
mod find;
mod logs;
mod open;
mod progress;
mod work;

use std::borrow::Borrow;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use buffer::Buffer;
use find::find_below;
pub use logs::{LogFile, Logs};
use open::Opener;
pub use progress::Progress;
use progress::Tally;
pub(crate) use work::Order;
use work::each;

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
    /// The file, under the name it was found by.
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
    /// Its content. A timestamp that the content lacks is taken from the file's
    /// name, which anyclaude makes from it.
    pub record: TraceRecord,
}

/// Reads traces from disk, with as many threads as the machine has cores.
///
/// ```
/// use anyclaude_traces::read::Store;
///
/// let store = Store::default();
/// let (sources, _) = store.find(["../../testdata/home/.anyclaude/traces"]);
/// let errors = store.scan(&sources, || (), |file, ()| {
///     assert!(file.record.sizes.body_bytes > 0);
/// });
/// assert!(errors.is_empty());
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

    /// The files at these paths: a file stands for itself, a folder for every
    /// `*.json` below it, hidden folders included. Sorted by name inside each
    /// folder; a file that two of the paths reach is found once.
    ///
    /// Links to files are followed, links to folders only when named. What is
    /// no regular file is passed over inside a folder and an error when named.
    #[must_use]
    pub fn find<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) -> (Vec<Source>, Vec<Error>) {
        let mut sources = Vec::new();
        let errors = find_below(paths, &mut |source| sources.push(source));
        (sources, errors)
    }

    /// Reads sources on all threads, shows each one's content to a visitor of
    /// its own, and calls `fold` for one after the other, in the order of the
    /// sources.
    ///
    /// Files that could not be read or are no traces are returned, in the same
    /// order; they never keep another from being read.
    pub fn scan<V: Visit + Send>(
        &self,
        sources: &[Source],
        visitor: impl Fn() -> V + Sync,
        fold: impl FnMut(TraceFile, V) + Send,
    ) -> Vec<Error> {
        self.scan_as(Order::OfItems, |feed| sources.iter().for_each(feed), visitor, fold)
    }

    /// [Finds](Self::find) files and [scans](Self::scan) them, the first while it
    /// still looks for others. Errors of finding come first.
    pub(crate) fn find_and_scan<P: AsRef<Path>, V: Visit + Send>(
        &self,
        order: Order,
        paths: impl IntoIterator<Item = P>,
        visitor: impl Fn() -> V + Sync,
        fold: impl FnMut(TraceFile, V) + Send,
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
        mut fold: impl FnMut(TraceFile, V) + Send,
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
        each(
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

    /// Reads one file again, for content that was not kept.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no trace (any more).
    pub fn reread<V: Visit>(&self, path: &Path, visit: &mut V) -> Result<TraceFile, Error> {
        Reader::new(self).read(&Source { path: Arc::from(path) }, visit)
    }
}

/// Reads one file after the other into the same memory.
struct Reader<'p> {
    max_file_bytes: u64,
    opener: Opener,
    buffer: Buffer,
    parser: Parser,
    read: Tally<'p>,
}

impl<'p> Reader<'p> {
    fn new(store: &'p Store) -> Self {
        Self {
            max_file_bytes: store.max_file_bytes,
            opener: Opener::default(),
            buffer: Buffer::default(),
            parser: Parser::default(),
            read: Tally::new(&store.progress),
        }
    }

    fn read<V: Visit>(&mut self, source: &Source, visit: &mut V) -> Result<TraceFile, Error> {
        let parsed = self.parse(&source.path, visit);
        self.read.count_file();
        let mut record = parsed.map_err(|kind| Error::new(&*source.path, kind))?;
        if record.timestamp.is_none() {
            let name = source.path.file_name().unwrap_or_default().to_string_lossy();
            record.timestamp = Timestamp::from_file_name(&name);
        }
        Ok(TraceFile { path: source.path.clone(), record })
    }

    /// Where the first read ends early it has met the end of the file. Asking for more
    /// would take as long as closing a small one, so that this is only done where what
    /// was read is no trace.
    fn parse<V: Visit>(&mut self, path: &Path, visit: &mut V) -> Result<TraceRecord, ErrorKind> {
        self.buffer.clear();
        let mut file = self.opener.open(path)?;
        let limit = self.max_file_bytes;
        let most = usize::try_from(limit.saturating_add(1)).unwrap_or(usize::MAX);
        let may_be_whole = self.buffer.begin(&mut file, most)?;
        let begun = self.buffer.bytes().len();
        self.read.count_bytes(begun);
        let first = may_be_whole.then(|| self.parser.parse(self.buffer.bytes(), visit));
        if let Some(Ok(record)) = first {
            return Ok(record);
        }
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(ErrorKind::NotRegular);
        }
        let check = |bytes| if bytes > limit { Err(ErrorKind::TooLarge { bytes, limit }) } else { Ok(()) };
        check(metadata.len())?;
        self.buffer.finish(&mut file, usize::try_from(metadata.len()).unwrap_or(usize::MAX), most)?;
        let length = self.buffer.bytes().len();
        self.read.count_bytes(length - begun);
        check(length as u64)?;
        match first {
            Some(Err(error)) if length == begun => Err(error.into()),
            _ => Ok(self.parser.parse(self.buffer.bytes(), visit)?),
        }
    }
}
