//! Finds and reads the logs beside the traces.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::Store;
use super::chunks::read_chunks;
use super::growing;
use super::open::{check_regular, open};
use super::parallel::{Batch, ReadOrder, for_each_parallel};
use crate::error::{Error, ErrorKind};
use crate::formats::anyclaude::log::{LogParser, ParsedLog, ParsedRequestLog, RequestLogParser, line_stamps};
use crate::model::time::Timestamp;

/// How much of a log is looked at to tell when it begins or ends.
const END_BYTES: u64 = 1 << 16;
/// A minute: a request may be logged before its start, and a name be older than what the
/// file holds.
const SLACK_MS: i64 = 60_000;
/// A request log holds one day; the day may be local or UTC.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The logs of one root that overlap a window of time.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Logs {
    /// Debug logs, by the name of the file.
    pub debug: Vec<LogFile<ParsedLog>>,
    /// Request logs, by the name of the file.
    pub requests: Vec<LogFile<ParsedRequestLog>>,
}

/// What one log file holds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LogFile<T> {
    /// The file.
    pub path: PathBuf,
    /// Its content.
    pub content: T,
}

impl<T> LogFile<T> {
    /// The file's name, with U+FFFD for what is not UTF-8.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl Store {
    /// The folder that holds `traces/`, `logs/` and `request-logs/`, for a file
    /// somewhere below its `traces/`.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use anyclaude_traces::Store;
    ///
    /// let root = Store::default().root_of(Path::new("/home/me/.anyclaude/traces/lmstudio/a.json"));
    /// # if cfg!(unix) {
    /// assert_eq!(root.as_deref(), Some(Path::new("/home/me/.anyclaude")));
    /// # }
    /// ```
    #[must_use]
    pub fn root_of(&self, trace: &Path) -> Option<PathBuf> {
        let trace = std::path::absolute(trace).ok()?;
        let traces =
            trace.ancestors().skip(1).find(|folder| folder.file_name().is_some_and(|name| name == "traces"));
        traces?.parent().map(Path::to_owned)
    }

    /// Reads the logs below a root that may hold requests of this time. Logs that cannot be
    /// read are returned beside them.
    #[must_use]
    pub fn logs(&self, root: &Path, window: RangeInclusive<Timestamp>) -> (Logs, Vec<Error>) {
        if let Some(growing) = &self.growing_logs {
            return self.growing_logs_of(&mut growing.known(), root, &window);
        }
        let mut errors = Vec::new();
        let debug = candidates(&root.join("logs"), "log", &mut errors, |path| may_overlap(path, &window));
        let requests =
            candidates(&root.join("request-logs"), "jsonl", &mut errors, |path| is_of_day(path, &window));
        let logs = Logs {
            debug: self.read_logs(debug, &mut errors, LogParser::finish, |path| {
                let mut parser = LogParser::new();
                read_chunks(path, &self.progress, |chunk| parser.feed(chunk)).map(|()| parser)
            }),
            requests: self.read_logs(requests, &mut errors, RequestLogParser::finish, |path| {
                let mut parser = RequestLogParser::new();
                read_chunks(path, &self.progress, |chunk| parser.feed(chunk)).map(|()| parser)
            }),
        };
        (logs, errors)
    }

    /// The same of logs that are read as they grow.
    fn growing_logs_of(
        &self,
        known: &mut growing::KnownLogs,
        root: &Path,
        window: &RangeInclusive<Timestamp>,
    ) -> (Logs, Vec<Error>) {
        let mut errors = Vec::new();
        let debug = candidates(&root.join("logs"), "log", &mut errors, |path| {
            !known.is_outside(path, || may_overlap(path, window))
        });
        let requests =
            candidates(&root.join("request-logs"), "jsonl", &mut errors, |path| is_of_day(path, window));
        let mut logs = Logs::default();
        for path in debug {
            match known.debug_log(&path, &self.progress) {
                Ok(parser) => logs.debug.push(LogFile { path, content: parser.finish() }),
                Err(kind) => errors.push(Error::new(path, kind)),
            }
        }
        for path in requests {
            match known.request_log(&path, &self.progress) {
                Ok(parser) => logs.requests.push(LogFile { path, content: parser.finish() }),
                Err(kind) => errors.push(Error::new(path, kind)),
            }
        }
        (logs, errors)
    }

    /// What a debug log holds that is read as it grows; `None` where it was not read
    /// before, or cannot be read any more.
    pub(crate) fn grown_log(&self, path: &Path) -> Option<ParsedLog> {
        let mut known = self.growing_logs.as_ref()?.known();
        if !known.has_debug_log(path) {
            return None;
        }
        known.debug_log(path, &self.progress).ok().map(LogParser::finish)
    }

    /// Reads one log that the user names: a debug log, or captured standard error of
    /// anyclaude.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn log(&self, path: &Path) -> Result<LogFile<ParsedLog>, Error> {
        let mut parser = LogParser::new();
        check_regular(path)
            .and_then(|()| read_chunks(path, &self.progress, |chunk| parser.feed(chunk)))
            .map_err(|kind| Error::new(path, kind))?;
        Ok(LogFile { path: path.to_owned(), content: parser.finish() })
    }

    /// What the parsers found is put together on this thread, which frees it too: an allocator
    /// gives what is freed of another thread's memory to that thread alone, which is gone then.
    fn read_logs<P: Send, T>(
        &self,
        paths: Vec<PathBuf>,
        errors: &mut Vec<Error>,
        finish: impl Fn(P) -> T,
        read: impl Fn(&Path) -> Result<P, ErrorKind> + Sync,
    ) -> Vec<LogFile<T>> {
        let mut files = Vec::new();
        self.progress.expect_files(paths.len());
        let read = |(): &mut (), path: &PathBuf| {
            let read = read(path);
            self.progress.count_file();
            (path.clone(), read)
        };
        for_each_parallel(
            self.threads,
            (ReadOrder::OfItems, Batch::Long),
            |feed| paths.into_iter().for_each(feed),
            || (),
            read,
            |_, (path, parser)| match parser {
                Ok(parser) => files.push(LogFile { path, content: finish(parser) }),
                Err(kind) => errors.push(Error::new(path, kind)),
            },
        );
        files
    }
}

/// The regular files of a folder with this ending, sorted by name; none where there is no
/// such folder.
fn candidates(
    folder: &Path,
    ending: &str,
    errors: &mut Vec<Error>,
    mut wanted: impl FnMut(&Path) -> bool,
) -> Vec<PathBuf> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            errors.push(Error::new(folder, error));
            return Vec::new();
        }
    };
    let mut paths = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => paths.push(entry.path()),
            Err(error) => errors.push(Error::new(folder, error)),
        }
    }
    paths.retain(|path| {
        path.extension().is_some_and(|found| found == ending) && path.is_file() && wanted(path)
    });
    paths.sort();
    paths
}

/// Whether a debug log can hold lines of this time. It begins when its name says and ends
/// when it was last written; but files are renamed, copied and touched, so that a log is
/// only left out where its own lines say the same.
fn may_overlap(path: &Path, window: &RangeInclusive<Timestamp>) -> bool {
    let (first, last) = (window.start().plus_ms(-SLACK_MS), window.end().plus_ms(SLACK_MS));
    let is_later = named(path).is_some_and(|begins| begins > last)
        && stamp_at(path, LinesEnd::First).is_some_and(|stamp| stamp > last);
    let is_earlier = written(path).is_some_and(|written| written < first)
        && stamp_at(path, LinesEnd::Last).is_some_and(|stamp| stamp < first);
    !is_later && !is_earlier
}

/// When a debug log begins, as its name says.
fn named(path: &Path) -> Option<Timestamp> {
    let name = path.file_stem()?.to_string_lossy();
    Timestamp::from_file_name(&format!("{}-000Z", name.trim_start_matches("debug-session-")))
}

/// When a file was last written.
pub(super) fn written(path: &Path) -> Option<Timestamp> {
    let written = fs::metadata(path).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Timestamp::from_unix_ms(i64::try_from(written.as_millis()).ok()?)
}

/// Which end of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LinesEnd {
    First,
    Last,
}

/// The earliest stamp at the beginning of a log, or the latest at its end; `None` where
/// none is found.
fn stamp_at(path: &Path, end: LinesEnd) -> Option<Timestamp> {
    let (mut file, metadata) = open(path).ok()?;
    if end == LinesEnd::Last {
        file.seek(SeekFrom::Start(metadata.len().saturating_sub(END_BYTES))).ok()?;
    }
    let mut piece = Vec::new();
    file.take(END_BYTES).read_to_end(&mut piece).ok()?;
    let stamps = line_stamps(&piece);
    if end == LinesEnd::First { stamps.min() } else { stamps.max() }
}

/// Whether a request log is of a day in this time.
fn is_of_day(path: &Path, window: &RangeInclusive<Timestamp>) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let Ok(day) = format!("{name}T00:00:00Z").parse::<Timestamp>() else { return true };
    let (first, last) = (day.plus_ms(-DAY_MS), day.plus_ms(2 * DAY_MS));
    first <= *window.end() && *window.start() <= last
}
