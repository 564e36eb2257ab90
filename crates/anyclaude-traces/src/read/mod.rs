//! Finds and reads files. The only module that touches the disk.

mod beside;
mod buffer;
mod chunks;
mod decompress;
mod file_reader;
mod find;
mod growing;
mod growing_lines;
mod growing_server_logs;
mod log_names;
mod logs;
mod open;
mod parallel;
pub(crate) mod paths;
mod progress;
mod records;
#[cfg(test)]
mod repeated;
mod server_logs;
mod standard_input;
mod watched;

use std::borrow::{Borrow, Cow};
use std::fs::Metadata;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::UNIX_EPOCH;

pub(crate) use beside::files_beside;
use file_reader::{FileReader, OnDisk};
use find::find_below;
pub(crate) use growing_lines::{Added, GrowingLines};
pub use logs::{LogFile, Logs};
pub use open::read_file;
pub(crate) use parallel::ReadOrder;
use parallel::{Batch, for_each_parallel};
pub use progress::Progress;
pub(crate) use records::VisitRecords;
use records::{AllRecords, InOnePass, LaterRecords, OneRecord};
pub(crate) use server_logs::record_of_body;
pub use standard_input::ReadStandardInput;
use standard_input::StandardInput;
pub(crate) use watched::{Changes, Watched};

use crate::error::Error;
use crate::formats::body::Visit;
use crate::formats::claude_code::{Facts, REQUEST_SUFFIX};
use crate::formats::record::TraceRecord;
use crate::formats::source::RecordNumber;
use crate::model::Identity;
use crate::model::intern::FastSet;
use crate::model::request::{Request, Source, TimestampSource, TracePath};
use crate::model::time::Timestamp;
use crate::tokens::{CountedPrompts, MilliTokens};

/// A file that may hold requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CandidateFile {
    path: Arc<Path>,
    /// It was named, and not found in a folder.
    is_named: bool,
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

/// A file with facts about requests that other files hold.
#[derive(Debug, Clone)]
pub(crate) struct FactsFile {
    pub(crate) path: Arc<Path>,
    /// When it was written.
    pub(crate) modified: Option<Timestamp>,
    pub(crate) facts: Facts,
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
    standard_input: Option<StandardInput>,
    growing_logs: Option<Arc<growing::GrowingLogs>>,
    /// The tokens of prompts that were counted as their files were read first.
    counted: Option<Arc<CountedPrompts>>,
}

impl Default for Store {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self {
            max_file_bytes: Self::MAX_FILE_BYTES,
            threads,
            progress: Arc::default(),
            standard_input: None,
            growing_logs: None,
            counted: None,
        }
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

    /// The same store, for which the path `-` is what `read` returns. It is called at most
    /// once, with the most bytes that are of use.
    #[must_use]
    pub fn with_standard_input(self, read: ReadStandardInput) -> Self {
        Self { standard_input: Some(StandardInput::new(read)), ..self }
    }

    /// The same store, which reads of the logs beside traces only what was added since it
    /// read them last. Clones of it share what they know.
    pub(crate) fn with_growing_logs(self) -> Self {
        Self { growing_logs: Some(Arc::default()), ..self }
    }

    /// The same store, for answers with tokens: where files are compressed, or hold many
    /// requests with counts, it counts the prompts as it finds them, for to read these files
    /// again took as long as to read them. Clones of it share what they know.
    pub(crate) fn with_counting(self) -> Self {
        Self { counted: Some(Arc::default()), ..self }
    }

    /// The tokens of prompts that were counted as their files were read first.
    pub(crate) fn counted(&self) -> Option<&CountedPrompts> {
        self.counted.as_deref()
    }

    /// The tokens of a tool that was counted then.
    pub(crate) fn counted_tool(&self, tool: Identity) -> Option<MilliTokens> {
        self.counted()?.of_tool(tool)
    }

    /// Whether the path is not one on disk, but stands for the standard input.
    pub(crate) fn is_standard_input(&self, path: &Path) -> bool {
        self.standard_input.is_some() && path == Path::new("-")
    }

    /// How far reading has come. Clones of a store count together.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// The files at these paths: a file itself, and of a folder every `*.json`, `*.jsonl`,
    /// `*.har` and `*.log` below it, also with `.gz` or `.zst` behind,
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
        let errors = find_below(self, paths, &mut |source| sources.push(source));
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
        let feed = |feed: &mut dyn FnMut(_)| sources.iter().for_each(feed);
        self.scan_as(ReadOrder::OfItems, feed, |_| visitor(), fold, |_| ())
    }

    /// [Finds](Self::find) files and [scans](Self::scan) them at the same time. Errors of
    /// finding come first.
    pub(crate) fn find_and_scan<P: AsRef<Path>, V: Visit + Send>(
        &self,
        order: ReadOrder,
        paths: impl IntoIterator<Item = P>,
        visitor: impl Fn() -> V + Sync,
        mut fold: impl FnMut(TraceFile, V),
        facts: impl FnMut(FactsFile),
    ) -> Vec<Error> {
        let mut errors = Vec::new();
        let find = |feed: &mut dyn FnMut(CandidateFile)| errors = find_below(self, paths, feed);
        let counted = self.counted();
        let counter = |in_one_pass| counted.filter(|_| in_one_pass).map(CountedPrompts::visitor);
        let visitor = |InOnePass(in_one_pass)| (visitor(), counter(in_one_pass));
        let fold = |file: TraceFile, (seen, tokens): (V, Option<_>)| {
            if let Some((counted, tokens)) = counted.zip(tokens) {
                counted.add(&file.path, tokens);
            }
            fold(file, seen);
        };
        let unread = self.scan_as(order, find, visitor, fold, facts);
        errors.extend(unread);
        errors
    }

    /// Reads these files, which were found in a folder.
    pub(crate) fn scan_found<V: Visit + Send>(
        &self,
        paths: &[Arc<Path>],
        visitor: impl Fn() -> V + Sync,
        fold: impl FnMut(TraceFile, V),
        facts: impl FnMut(FactsFile),
    ) -> Vec<Error> {
        let candidate = |path: &Arc<Path>| CandidateFile { path: path.clone(), is_named: false };
        let find = |feed: &mut dyn FnMut(CandidateFile)| paths.iter().map(candidate).for_each(feed);
        self.scan_as(ReadOrder::OfItems, find, |_| visitor(), fold, facts)
    }

    /// Reads the files of these records again, each of them once. Where they are is known:
    /// to look for their true paths took a fifth of the time of counting 100 small files.
    pub(crate) fn scan_again<'p, V: Visit + Send>(
        &self,
        records: impl IntoIterator<Item = &'p TracePath>,
        visitor: impl Fn() -> V + Sync,
        fold: impl FnMut(TraceFile, V),
    ) -> Vec<Error> {
        let mut seen = FastSet::default();
        let records = records.into_iter().filter(|record| seen.insert(record.file().as_os_str()));
        let again: Vec<_> =
            records.map(|record| CandidateFile { path: record.shared_file(), is_named: true }).collect();
        self.scan(&again, visitor, fold)
    }

    fn scan_as<S: Borrow<CandidateFile> + Send, V: Visit + Send>(
        &self,
        order: ReadOrder,
        find: impl FnOnce(&mut dyn FnMut(S)),
        visitor: impl Fn(InOnePass) -> V + Sync,
        mut fold: impl FnMut(TraceFile, V),
        mut take_facts: impl FnMut(FactsFile),
    ) -> Vec<Error> {
        let mut errors = Vec::new();
        let expect = |feed: &mut dyn FnMut(S)| {
            find(&mut |source| {
                self.progress.expect_files(1);
                feed(source);
            });
        };
        let read = |reader: &mut FileReader<'_>, source: &S| {
            let mut records = AllRecords::new(&visitor);
            let read = reader.read(source.borrow(), &mut records);
            (source.borrow().path.clone(), read, records)
        };
        for_each_parallel(
            self.threads,
            (order, Batch::Small),
            expect,
            || FileReader::of_many(self),
            read,
            |index, (path, read, records)| {
                match read {
                    Ok(on_disk) => {
                        for (number, record, seen) in records.complete {
                            fold(trace_file(&path, on_disk, number, record), seen);
                        }
                        if let Some(facts) = records.facts {
                            let modified = on_disk.modified;
                            take_facts(FactsFile { path: path.clone(), modified, facts });
                        }
                    }
                    Err(error) => errors.push((index, error)),
                }
                errors.extend(records.errors.into_iter().map(|error| (index, Error::new(&*path, error))));
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
        let on_disk = FileReader::of_one(self)
            .read(&CandidateFile { path: file.clone(), is_named: true }, &mut record)?;
        match record.into_found() {
            Ok((number, record)) => Ok(trace_file(&file, on_disk, number, record)),
            Err(kind) => Err(Error::new(&*file, kind)),
        }
    }

    /// Shows a visitor the body of a request; returns whether one was recorded.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or does not hold the body (any more).
    pub fn read_body<V: Visit>(&self, request: &Request, visit: &mut V) -> Result<bool, Error> {
        if !request.has_body() {
            return Ok(false);
        }
        self.read_one(&request.path, visit).map(|_| true)
    }

    /// Shows a visitor the bodies of this record and of those after it in its file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub(crate) fn read_on<V: VisitRecords>(&self, path: &TracePath, visit: &mut V) -> Result<(), Error> {
        let candidate = CandidateFile { path: Arc::from(path.file()), is_named: true };
        let mut records = LaterRecords::new(RecordNumber(path.record()), visit);
        FileReader::of_one(self).read(&candidate, &mut records).map(|_| ())
    }
}

/// A record of a file. A missing timestamp is taken from the file's name, which anyclaude
/// makes from the timestamp; of a body that Claude Code recorded, from when the file was
/// written.
fn trace_file(file: &Arc<Path>, on_disk: OnDisk, number: RecordNumber, mut record: TraceRecord) -> TraceFile {
    let OnDisk { modified, bytes } = on_disk;
    record.sizes.file_bytes = (bytes as u64).into();
    let name = plain_name(file);
    if record.source == Source::Body && name.ends_with(REQUEST_SUFFIX) {
        record.source = Source::ClaudeCode;
    }
    if record.timestamp.is_none() {
        match record.source {
            Source::Anyclaude => record.timestamp = Timestamp::from_file_name(&name),
            Source::ClaudeCode if name.ends_with(REQUEST_SUFFIX) => {
                record.timestamp = modified;
                record.timestamp_source = modified.map(|_| TimestampSource::Mtime);
            }
            _ => {}
        }
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

/// A file's name without the ending that says how it is compressed.
pub(crate) fn without_compression(name: &[u8]) -> &[u8] {
    [&b".gz"[..], b".zst"].into_iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// A file's name as it was before the file was compressed, with U+FFFD for what is not UTF-8.
pub(crate) fn plain_name(path: &Path) -> Cow<'_, str> {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    String::from_utf8_lossy(without_compression(name))
}

/// When a file was last written, where the system tells.
fn modified(metadata: &Metadata) -> Option<Timestamp> {
    let since_1970 = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Timestamp::from_unix_ms(i64::try_from(since_1970.as_millis()).ok()?)
}
