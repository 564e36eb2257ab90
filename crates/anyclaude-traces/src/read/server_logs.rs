//! Finds and reads the logs of the servers that ran the models.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use walkdir::WalkDir;

use super::chunks::read_chunks;
use super::decompress::{decompress_to, is_compressed};
use super::file_reader::OnDisk;
use super::log_names::{NamedLog, has_ending_of_log, in_series, logs_below};
use super::logs::LogFile;
use super::open::{check_regular, open};
use super::parallel::{Batch, ReadOrder, for_each_parallel};
use super::{Store, modified, paths, plain_name};
use crate::error::{Error, ErrorKind, ParseError, SkipReason};
use crate::formats::backend::lmstudio::BodySink;
use crate::formats::backend::{BackendLog, BackendParser};
use crate::formats::body::{Body, Visit};
use crate::formats::json::scratch::Scratch;
use crate::formats::record::{RecordDraft, TraceRecord};
use crate::formats::sniff::sniff;
use crate::formats::source::{Input, RecordNumber, RecordSink};
use crate::model::request::{Source, TracePath};

/// How much of a file tells whether it is a log: a server writes of its start for some time.
const HEAD_BYTES: u64 = 1 << 18;
/// What is no log of a server, in words.
const NO_LOG: &str = "no log of a server: it has no line of llama-server's, Ollama's or LM Studio's log";
/// So many bytes tell how a file is compressed.
const MAGIC_BYTES: u64 = 4;
/// A log that was read.
struct ReadLog {
    read: Result<LogFile<BackendLog>, Error>,
    is_named: bool,
}

/// Takes the bodies of logs in the order of the logs, and of each in its own.
///
/// What a visitor saw of a body is a third of its size, and most of that stood in the body
/// before: of a log of 500 MB, 182 MB were in memory where all waited for its end. So those
/// of the log whose turn it is are handed over at once; those of logs that other threads
/// read meanwhile wait.
struct InTurn<T> {
    /// The place of the series of logs whose turn it is.
    turn: AtomicUsize,
    take: Mutex<T>,
}

impl<T> InTurn<T> {
    fn new(take: T) -> Self {
        Self { turn: AtomicUsize::new(0), take: Mutex::new(take) }
    }

    /// Hands over what has waited of a log whose turn it is. Returns a visitor that is no
    /// longer needed.
    fn give<V>(&self, waiting: &mut Vec<(TracePath, Body, V)>) -> Option<V>
    where
        T: FnMut(TracePath, Body, V) -> V,
    {
        // What a thread that panicked left is as good as before.
        let mut take = self.take.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.drain(..).map(|(path, body, seen)| take(path, body, seen)).last()
    }
}

/// The bodies that pass of one log, or of a series of them, each with what its visitor saw.
struct LoggedBodies<'t, V, F, T> {
    visitor: F,
    current: Option<V>,
    /// The file that is read.
    path: Arc<Path>,
    /// The place of the series.
    at: usize,
    waiting: Vec<(TracePath, Body, V)>,
    in_turn: &'t InTurn<T>,
}

impl<V: Visit, F: Fn(Option<V>) -> V, T: FnMut(TracePath, Body, V) -> V> BodySink
    for LoggedBodies<'_, V, F, T>
{
    fn visitor(&mut self, _: u32) -> &mut dyn Visit {
        let visitor = (self.visitor)(self.current.take());
        self.current.insert(visitor)
    }

    fn body(&mut self, request: u32, body: Body) {
        let Some(seen) = self.current.take() else { return };
        self.waiting.push((TracePath::of_record(self.path.clone(), request), body, seen));
        if self.in_turn.turn.load(Ordering::Acquire) == self.at {
            self.current = self.in_turn.give(&mut self.waiting);
        }
    }
}

impl Store {
    /// Whether a file is the log of a server, or a folder holds such logs and no recording. Other
    /// `*.json` than recordings may lie beside the logs. Only the beginnings of files are looked at.
    #[must_use]
    pub fn is_server_log(path: &Path) -> bool {
        if !paths::is_folder(path) {
            return has_ending_of_log(path) && begins_as_log(path);
        }
        let files = || {
            WalkDir::new(path).into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file())
        };
        // Of a folder of recordings, one file is looked at.
        !files().any(|entry| begins_as_recording(entry.path()))
            && logs_below(path, &mut Vec::new()).iter().any(|log| begins_as_log(log))
    }

    /// Reads the log of a server: LM Studio, llama.cpp's `llama-server`, or Ollama.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is no log of a server.
    pub fn server_log(&self, path: &Path) -> Result<LogFile<BackendLog>, Error> {
        let mut parser = BackendParser::new();
        let content = check_regular(path)
            .and_then(|()| self.read_log(path, |chunk| parser.feed(chunk)))
            .and_then(|()| parser.finish().ok_or_else(no_log))
            .map_err(|kind| Error::new(path, kind))?;
        Ok(LogFile { path: path.to_owned(), content })
    }

    /// Reads logs that a server wrote one after the other, or a single one.
    fn read_series<V: Visit, F: Fn(Option<V>) -> V, T: FnMut(TracePath, Body, V) -> V>(
        &self,
        series: &[NamedLog],
        bodies: &mut LoggedBodies<'_, V, F, T>,
    ) -> Vec<ReadLog> {
        let mut read = Vec::new();
        let mut parser = BackendParser::new();
        // Those that the parser has read.
        let mut open: Vec<&NamedLog> = Vec::new();
        for log in series {
            if !open.is_empty() && !parser.next_file(bodies) {
                read.extend(finished(std::mem::take(&mut parser), std::mem::take(&mut open), bodies));
            }
            open.push(log);
            bodies.path = Arc::from(log.path.as_path());
            let fed = check_regular(&log.path)
                .and_then(|()| self.read_log(&log.path, |chunk| parser.feed_to(chunk, bodies)));
            if let Err(kind) = fed {
                // Of those before it nothing is lost.
                read.extend(finished(std::mem::take(&mut parser), std::mem::take(&mut open), bodies));
                let error = Error::new(&log.path, kind);
                if let Some(last) = read.last_mut() {
                    last.read = Err(error);
                }
            }
            self.progress.count_file();
        }
        read.extend(finished(parser, open, bodies));
        read
    }

    /// Hands over what a log holds, in chunks, decompressed where it is compressed.
    pub(super) fn read_log(&self, path: &Path, mut feed: impl FnMut(&[u8])) -> Result<(), ErrorKind> {
        let mut beginning = Vec::new();
        open(path)?.0.take(MAGIC_BYTES).read_to_end(&mut beginning)?;
        if !is_compressed(&beginning) {
            return read_chunks(path, &self.progress, feed);
        }
        let limit = self.max_file_bytes;
        let mut compressed = Vec::new();
        open(path)?.0.take(limit.saturating_add(1)).read_to_end(&mut compressed)?;
        self.progress.count_bytes(compressed.len());
        let bytes = compressed.len() as u64;
        if bytes > limit {
            return Err(ErrorKind::TooLarge { bytes, limit });
        }
        decompress_to(&compressed, limit, &mut |chunk| {
            feed(chunk);
            Ok(())
        })
    }

    /// Reads the bodies that a server's log holds as records; `None` where the file is no log, by
    /// its name or by its lines.
    pub(super) fn records_of_log(
        &self,
        path: &Path,
        sink: &mut dyn RecordSink,
    ) -> Result<Option<OnDisk>, ErrorKind> {
        if !has_ending_of_log(path) {
            return Ok(None);
        }
        let (_, metadata) = open(path)?;
        let mut parser = BackendParser::new();
        let mut records = BodyRecords { sink, begun: 0, file_bytes: 0 };
        self.read_log(path, |chunk| {
            records.file_bytes += chunk.len();
            if !records.sink.is_done() {
                parser.feed_to(chunk, &mut records);
            }
        })?;
        let bytes = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
        let on_disk = OnDisk { modified: modified(&metadata), bytes };
        Ok(parser.finish_to(&mut records).map(|_| on_disk))
    }

    /// Reads the logs of servers at these paths: a file itself, and of a folder every log
    /// below it, by name. What cannot be used is returned beside them; in a folder, a file
    /// that is no log of a server is passed over.
    #[must_use]
    pub fn server_logs(&self, named: &[PathBuf]) -> (Vec<LogFile<BackendLog>>, Vec<Error>) {
        self.server_logs_with(named, |_| (), |_, _, ()| ())
    }

    /// The same; each body that a log holds whole is seen by a visitor of its own, and `take`
    /// is called with it, in the order of the logs and of the bodies in them. That a log cannot
    /// be used may show after some of its bodies. `visitor` may use the memory of one that
    /// `take` has given back: to grow it anew for every body took a sixth of the time of a log
    /// of 500 MB.
    pub(crate) fn server_logs_with<V: Visit + Send>(
        &self,
        named: &[PathBuf],
        visitor: impl Fn(Option<V>) -> V + Sync,
        take: impl FnMut(TracePath, Body, V) -> V + Send,
    ) -> (Vec<LogFile<BackendLog>>, Vec<Error>) {
        let mut errors = Vec::new();
        let mut paths = Vec::new();
        for path in named {
            if paths::is_folder(path) {
                let below = logs_below(path, &mut errors).into_iter();
                paths.extend(below.map(|path| NamedLog { path, is_named: false }));
            } else {
                paths.push(NamedLog { path: path.clone(), is_named: true });
            }
        }
        // Two names of one log would offer its tasks twice.
        let mut seen = BTreeSet::new();
        paths.retain(|log| seen.insert(true_path(&log.path)));
        let logs = self.read_server_logs(paths, visitor, take, &mut errors);
        (logs, errors)
    }

    /// Reads logs in this order, on all threads. What is named must be one.
    fn read_server_logs<V: Visit + Send>(
        &self,
        paths: Vec<NamedLog>,
        visitor: impl Fn(Option<V>) -> V + Sync,
        take: impl FnMut(TracePath, Body, V) -> V + Send,
        errors: &mut Vec<Error>,
    ) -> Vec<LogFile<BackendLog>> {
        let mut logs = Vec::new();
        let in_turn = &InTurn::new(take);
        self.progress.expect_files(paths.len());
        for_each_parallel(
            self.threads,
            (ReadOrder::OfItems, Batch::Small),
            |feed| in_series(paths).into_iter().enumerate().for_each(feed),
            || (),
            |(), (at, series): &(usize, Vec<NamedLog>)| {
                let (path, waiting) = (Arc::from(Path::new("")), Vec::new());
                let mut bodies =
                    LoggedBodies { visitor: &visitor, current: None, path, at: *at, waiting, in_turn };
                let read = self.read_series(series, &mut bodies);
                (read, bodies.waiting)
            },
            |at, (read, mut waiting)| {
                in_turn.give(&mut waiting);
                in_turn.turn.store(at + 1, Ordering::Release);
                for ReadLog { read, is_named } in read {
                    match read {
                        Ok(log) => logs.push(log),
                        Err(error) if !is_named && error.reason() == SkipReason::NotATrace => {}
                        Err(error) => errors.push(error),
                    }
                }
            },
        );
        logs
    }

    /// What logs of servers hold that are read as they grow: those of these paths, and those
    /// that are of one series with them, and which cannot be read. What is no log is left
    /// out.
    pub(crate) fn grown_server_logs(&self, paths: &[&Path]) -> (Vec<LogFile<BackendLog>>, Vec<Error>) {
        let Some(growing) = &self.growing_logs else { return Default::default() };
        growing.known().servers.catch_up(self, paths)
    }

    /// Reads the logs of servers at these paths, but for those that are known.
    pub(crate) fn other_server_logs(
        &self,
        paths: &[PathBuf],
        known: &[LogFile<BackendLog>],
    ) -> (Vec<LogFile<BackendLog>>, Vec<Error>) {
        let known: BTreeSet<PathBuf> = known.iter().map(|log| true_path(&log.path)).collect();
        let others = paths.iter().filter(|path| !known.contains(&true_path(path)));
        let mut errors = Vec::new();
        if self.growing_logs.is_some() {
            let others: Vec<&Path> = others.map(PathBuf::as_path).collect();
            // What cannot be read was told of when it was written to.
            let (mut logs, _) = self.grown_server_logs(&others);
            logs.retain(|log| others.contains(&&*log.path));
            return (logs, errors);
        }
        let others = others.map(|path| NamedLog { path: path.clone(), is_named: false }).collect();
        let logs = self.read_server_logs(others, |_| (), |_, _, ()| (), &mut errors);
        (logs, errors)
    }
}

fn true_path(path: &Path) -> PathBuf {
    paths::canonical(path).unwrap_or_else(|_| path.to_owned())
}

/// Makes records of bodies.
struct BodyRecords<'s> {
    sink: &'s mut dyn RecordSink,
    begun: u32,
    file_bytes: usize,
}

impl BodySink for BodyRecords<'_> {
    fn visitor(&mut self, request: u32) -> &mut dyn Visit {
        // Request lines are numbered as records are, those without a body included.
        while self.begun <= request {
            self.sink.begin();
            self.begun += 1;
        }
        self.sink.visitor(RecordNumber(request))
    }

    fn body(&mut self, request: u32, body: Body) {
        if let Some(record) = record_of_body(self.file_bytes, body) {
            self.sink.finish(RecordNumber(request), record);
        }
    }
}

/// The record of a body that a log holds whole, without what else is known of its request.
pub(crate) fn record_of_body(file_bytes: usize, body: Body) -> Option<TraceRecord> {
    let mut draft = RecordDraft::new(Source::LmStudio);
    draft.set_body(Some(body));
    draft.finish(file_bytes).ok()
}

/// The beginning of a file, decompressed; `None` where it cannot be read.
fn beginning(path: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    check_regular(path).ok()?;
    File::open(path).ok()?.take(HEAD_BYTES).read_to_end(&mut head).ok()?;
    if !is_compressed(&head) {
        return Some(head);
    }
    let mut text = Vec::new();
    // A beginning is cut: what it holds until there will do.
    let _ = decompress_to(&head, HEAD_BYTES, &mut |chunk| {
        text.extend_from_slice(chunk);
        Ok(())
    });
    Some(text)
}

/// Whether any line of a file's beginning is one of a server's log.
fn begins_as_log(path: &Path) -> bool {
    let mut parser = BackendParser::new();
    let Some(head) = beginning(path) else { return false };
    parser.feed(&head);
    // Lines of JSON may be anything: these have to tell of something that a server did.
    let is_json = [".jsonl", ".ndjson"].iter().any(|ending| plain_name(path).ends_with(ending));
    let tells = |log: BackendLog| !is_json || !log.tasks.is_empty() || !log.loads.is_empty();
    parser.finish().is_some_and(tells)
}

/// Whether a `*.json` is a recording, whether it is read or not.
fn begins_as_recording(path: &Path) -> bool {
    let is_recording =
        |head: Vec<u8>| !matches!(sniff(&Input { bytes: &head }, &mut Scratch::default()), Ok(None));
    plain_name(path).ends_with(".json") && beginning(path).is_some_and(is_recording)
}

fn no_log() -> ErrorKind {
    ErrorKind::Parse(ParseError::new(SkipReason::NotATrace, b"", 0, NO_LOG))
}

/// What a parser has read of these logs.
fn finished(parser: BackendParser, logs: Vec<&NamedLog>, bodies: &mut dyn BodySink) -> Vec<ReadLog> {
    if logs.is_empty() {
        return Vec::new();
    }
    let contents = parser.finish_files(bodies).into_iter().chain(std::iter::repeat(None));
    let read = |(NamedLog { path, is_named }, content): (&NamedLog, Option<BackendLog>)| {
        let found = content.map(|content| LogFile { path: path.clone(), content });
        ReadLog { read: found.ok_or_else(|| Error::new(path, no_log())), is_named: *is_named }
    };
    logs.into_iter().zip(contents).map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::formats::backend::BackendFormat;

    const LM_STUDIO: &str = "[2026-06-24 13:00:00][INFO][m] Running chat completion on conversation with 1 messages.\n\
        [2026-06-24 13:00:00][DEBUG] slot launch_slot_: id  3 | task 0 | processing task, is_child = 0\n\
        slot update_slots: id  3 | task 0 | new prompt, n_ctx_slot = 4096, n_keep = 0, task.n_tokens = 9\n";
    const LLAMA_SERVER: &str = "0.00.010.414 I srv          init: loading model\n";
    const OLLAMA: &str = "[GIN] 2026/09/11 - 00:04:26 | 200 |         4m54s |       127.0.0.1 | POST     \"/api/chat\"\n\
        srv          init: loading model\n";

    #[test]
    fn lines_tell_whose_log_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        for (text, format) in [
            (LM_STUDIO, BackendFormat::LmStudio),
            (LLAMA_SERVER, BackendFormat::LlamaServer),
            (OLLAMA, BackendFormat::Ollama),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(Store::default().server_log(&path).unwrap().content.format, format, "{text}");
            // Where it shows only behind much else.
            fs::write(&path, format!("{}{text}", "Somebody's notes.\n".repeat(200_000))).unwrap();
            assert_eq!(Store::default().server_log(&path).unwrap().content.format, format, "{text}");
        }
    }

    #[test]
    fn compressed_logs_are_read_as_what_they_hold() {
        use std::io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{}{LM_STUDIO}", "[2026-06-24 13:00:00][DEBUG] x\n".repeat(20_000));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(text.as_bytes()).unwrap();
        let zstd =
            ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
        let plain = folder.path().join("a.log");
        fs::write(&plain, &text).unwrap();
        let plain = Store::default().server_log(&plain).unwrap().content;
        for (name, content) in [("a.log.gz", gzip.finish().unwrap()), ("b.log.zst", zstd)] {
            let path = folder.path().join(name);
            fs::write(&path, &content).unwrap();
            assert_eq!(Store::default().server_log(&path).unwrap().content, plain, "{name}");
            let small = Store::default().with_max_file_bytes(content.len() as u64 + 10);
            assert_eq!(small.server_log(&path).unwrap_err().reason(), SkipReason::TooLarge);
            fs::write(&path, &content[..content.len() - 9]).unwrap();
            assert_eq!(Store::default().server_log(&path).unwrap_err().reason(), SkipReason::Truncated);
            fs::write(&path, content).unwrap();
        }
        assert_eq!(Store::default().server_logs(&[folder.path().to_owned()]).0.len(), 3);
    }

    #[test]
    fn what_is_no_servers_log_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        for text in ["", "Dear diary,\n", "{}\n", "\0\0\0"] {
            fs::write(&path, text).unwrap();
            let error = Store::default().server_log(&path).unwrap_err();
            assert_eq!((error.reason(), error.path()), (SkipReason::NotATrace, &*path));
        }
        assert_eq!(Store::default().server_log(folder.path()).unwrap_err().reason(), SkipReason::Unreadable);
    }

    #[test]
    fn a_log_that_cannot_be_read_takes_none_before_it_along() {
        let folder = tempfile::tempdir().unwrap();
        let paths = [1, 2, 3].map(|n| folder.path().join(format!("2026-06-24.{n}.log")));
        fs::write(&paths[0], LM_STUDIO).unwrap();
        fs::write(&paths[1], [0x1f, 0x8b, 8, 0, 0]).unwrap();
        fs::write(&paths[2], LM_STUDIO).unwrap();
        let (logs, errors) = Store::default().server_logs(&paths);
        assert_eq!(logs.iter().map(|log| &log.path).collect::<Vec<_>>(), [&paths[0], &paths[2]]);
        assert_eq!(logs.iter().map(|log| log.content.tasks.len()).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(errors.iter().map(Error::reason).collect::<Vec<_>>(), [SkipReason::Truncated]);
        let (logs, errors) = Store::default().server_logs(&[paths[2].clone(), paths[0].clone()]);
        assert_eq!((logs.len(), errors.len()), (2, 0));
    }
}
