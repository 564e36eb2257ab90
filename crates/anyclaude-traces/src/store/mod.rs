//! Finds and reads files. The only module that touches the disk.

mod logs;

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

pub use logs::{LogFile, Logs};
use walkdir::{DirEntry, WalkDir};

use crate::error::{Error, ErrorKind};
use crate::time::Timestamp;
use crate::trace::{Parser, TraceRecord, Visit};

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
/// ```no_run
/// use anyclaude_traces::store::Store;
///
/// let store = Store::default();
/// let (sources, _) = store.find([".anyclaude/traces"]);
/// let errors = store.scan(&sources, || (), |file, ()| {
///     assert!(file.record.sizes.body_bytes > 0);
/// });
/// assert!(errors.is_empty());
/// ```
#[derive(Debug, Clone)]
pub struct Store {
    max_file_bytes: u64,
    threads: usize,
}

impl Default for Store {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self { max_file_bytes: Self::MAX_FILE_BYTES, threads }
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

    /// The files at these paths: a file stands for itself, a folder for every
    /// `*.json` below it, hidden folders included. Sorted by name inside each
    /// folder; a file that two of the paths reach is found once.
    ///
    /// Links to files are followed, links to folders only when named. What is
    /// no regular file is passed over inside a folder and an error when named.
    #[must_use]
    pub fn find<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) -> (Vec<Source>, Vec<Error>) {
        let mut found = Found::default();
        for path in paths {
            found.add(path.as_ref());
        }
        (found.sources, found.errors)
    }

    /// Reads sources on all threads, shows each one's content to a visitor of
    /// its own, and calls `fold` on this thread, in the order of the sources.
    ///
    /// Files that could not be read or are no traces are returned, in the same
    /// order; they never keep another from being read.
    pub fn scan<V: Visit + Send>(
        &self,
        sources: &[Source],
        visitor: impl Fn() -> V + Sync,
        mut fold: impl FnMut(TraceFile, V),
    ) -> Vec<Error> {
        let mut errors = Vec::new();
        let reader = || Reader::new(self.max_file_bytes);
        let read = |reader: &mut Reader, source: &Source| {
            let mut seen = visitor();
            reader.read(source, &mut seen).map(|file| (file, seen))
        };
        each_in_order(self.threads, sources, reader, read, |_, read| match read {
            Ok((file, seen)) => fold(file, seen),
            Err(error) => errors.push(error),
        });
        errors
    }

    /// Reads one file again, for content that was not kept.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is no trace (any more).
    pub fn reread<V: Visit>(&self, path: &Path, visit: &mut V) -> Result<TraceFile, Error> {
        Reader::new(self.max_file_bytes).read(&Source { path: Arc::from(path) }, visit)
    }
}

/// Works on items with several threads, each with a worker of its own, and takes
/// the results on this thread in the order of the items.
fn each_in_order<I: Sync, W, R: Send>(
    threads: usize,
    items: &[I],
    worker: impl Fn() -> W + Sync,
    work: impl Fn(&mut W, &I) -> R + Sync,
    mut take: impl FnMut(&I, R),
) {
    let threads = threads.min(items.len());
    if threads <= 1 {
        let mut worker = worker();
        items.iter().for_each(|item| take(item, work(&mut worker, item)));
        return;
    }
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads {
            let (sender, next, worker, work) = (sender.clone(), &next, &worker, &work);
            scope.spawn(move || {
                let mut worker = worker();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    if sender.send((index, work(&mut worker, item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        in_order(items, receiver.into_iter(), &mut take);
    });
}

/// Passes numbered results on in the order of their numbers, from 0.
fn in_order<I, R>(items: &[I], results: impl Iterator<Item = (usize, R)>, mut take: impl FnMut(&I, R)) {
    let mut waiting = BTreeMap::new();
    let mut due = items.iter().enumerate();
    let mut next = due.next();
    for (index, result) in results {
        waiting.insert(index, result);
        while let Some((at, item)) = next
            && let Some(result) = waiting.remove(&at)
        {
            take(item, result);
            next = due.next();
        }
    }
}

/// Reads one file after the other into the same memory.
struct Reader {
    max_file_bytes: u64,
    bytes: Vec<u8>,
    parser: Parser,
}

impl Reader {
    fn new(max_file_bytes: u64) -> Self {
        Self { max_file_bytes, bytes: Vec::new(), parser: Parser::default() }
    }

    fn read<V: Visit>(&mut self, source: &Source, visit: &mut V) -> Result<TraceFile, Error> {
        let fail = |kind: ErrorKind| Error::new(&*source.path, kind);
        self.fill(&source.path).map_err(fail)?;
        let mut record = self.parser.parse(&self.bytes, visit).map_err(|error| fail(error.into()))?;
        if record.timestamp.is_none() {
            let name = source.path.file_name().unwrap_or_default().to_string_lossy();
            record.timestamp = Timestamp::from_file_name(&name);
        }
        Ok(TraceFile { path: source.path.clone(), record })
    }

    fn fill(&mut self, path: &Path) -> Result<(), ErrorKind> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(ErrorKind::NotRegular);
        }
        let limit = self.max_file_bytes;
        let too_large = |bytes| Err(ErrorKind::TooLarge { bytes, limit });
        if metadata.len() > limit {
            return too_large(metadata.len());
        }
        self.bytes.clear();
        self.bytes.reserve(usize::try_from(metadata.len()).unwrap_or(0) + 1);
        // The file may be growing while it is read.
        file.take(limit.saturating_add(1)).read_to_end(&mut self.bytes)?;
        if self.bytes.len() as u64 > limit { too_large(self.bytes.len() as u64) } else { Ok(()) }
    }
}

#[derive(Default)]
struct Found {
    sources: Vec<Source>,
    errors: Vec<Error>,
    /// The true paths of all sources, by which a file is known again.
    seen: HashSet<PathBuf>,
}

impl Found {
    fn add(&mut self, path: &Path) {
        match (fs::metadata(path), fs::canonicalize(path)) {
            (Err(error), _) | (_, Err(error)) => self.errors.push(Error::new(path, error)),
            (Ok(metadata), Ok(true_path)) if metadata.is_file() => self.push(path, true_path),
            (Ok(metadata), Ok(true_path)) if metadata.is_dir() => self.walk(path, &true_path),
            _ => self.errors.push(Error::new(path, ErrorKind::NotRegular)),
        }
    }

    fn walk(&mut self, folder: &Path, true_folder: &Path) {
        for entry in WalkDir::new(folder).sort_by_file_name() {
            match entry.map_err(walk_error).and_then(is_candidate) {
                Ok(None) => {}
                Ok(Some(path)) => {
                    let below = path.strip_prefix(folder).map(|below| true_folder.join(below));
                    let linked = path.is_symlink().then(|| fs::canonicalize(&path).ok()).flatten();
                    let true_path = linked.or(below.ok()).unwrap_or_else(|| path.clone());
                    self.push(&path, true_path);
                }
                Err(error) => self.errors.push(error),
            }
        }
    }

    fn push(&mut self, path: &Path, true_path: PathBuf) {
        if self.seen.insert(true_path) {
            self.sources.push(Source { path: Arc::from(path) });
        }
    }
}

/// The entry's path if it is a regular file, or a link to one, named `*.json`.
fn is_candidate(entry: DirEntry) -> Result<Option<PathBuf>, Error> {
    let named = entry.file_name().as_encoded_bytes().ends_with(b".json");
    let kind = entry.file_type();
    let regular = if named && kind.is_symlink() {
        fs::metadata(entry.path()).map_err(|error| Error::new(entry.path(), error))?.is_file()
    } else {
        kind.is_file()
    };
    Ok((named && regular).then(|| entry.into_path()))
}

fn walk_error(error: walkdir::Error) -> Error {
    let path = error.path().map(Path::to_path_buf).unwrap_or_default();
    Error::new(path, std::io::Error::from(error))
}
