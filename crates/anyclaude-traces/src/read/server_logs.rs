//! Finds and reads the logs of the servers that ran the models.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Days, NaiveDate};
use walkdir::WalkDir;

use super::logs::{LogFile, read_chunks, written};
use super::open::check_regular;
use super::parallel::{Order, for_each_parallel};
use super::{Store, paths};
use crate::error::{Error, ErrorKind, ParseError, SkipReason};
use crate::formats::backend::lmstudio::{BodySink, LmStudioParser};
use crate::formats::backend::{BackendLog, LlamaServerParser, OllamaParser};
use crate::formats::body::{Body, Visit};
use crate::model::time::Timestamp;

/// So much of a log shows which program wrote it, where it shows at all.
const TELLING_BYTES: u64 = 1 << 20;
/// Where LM Studio writes its logs, below the user's home: now, and formerly.
const LM_STUDIO_FOLDERS: [&str; 2] = [".lmstudio/server-logs", ".cache/lm-studio/server-logs"];
/// Names of logs are local days, and a log may go on behind midnight.
const SLACK_DAYS: u64 = 2;
/// Endings of files that may be a server's log.
const ENDINGS: [&str; 5] = ["log", "txt", "ndjson", "jsonl", "json"];

/// The log of a server, with the bodies that it holds.
#[derive(Debug)]
pub(crate) struct ServerLogFile<V> {
    pub(crate) file: LogFile<BackendLog>,
    /// What was found of the n-th request line's body, and what its visitor saw, in the
    /// order of the file.
    pub(crate) bodies: Vec<(u32, Body, V)>,
}

impl Store {
    /// Reads the log of a server: LM Studio's, llama-server's or Ollama's, as its lines tell.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or no line of it is of a log of these.
    pub fn server_log(&self, path: &Path) -> Result<LogFile<BackendLog>, Error> {
        self.server_log_with(path, || ()).map(|read| read.file)
    }

    /// The same; each body that it holds is seen by a visitor of its own.
    pub(crate) fn server_log_with<V: Visit>(
        &self,
        path: &Path,
        visitor: impl Fn() -> V,
    ) -> Result<ServerLogFile<V>, Error> {
        let mut parsers = Parsers::new();
        let mut bodies = Bodies { current: visitor(), visitor, found: Vec::new() };
        let content = check_regular(path)
            .and_then(|()| read_chunks(path, &self.progress, |chunk| parsers.feed(chunk, &mut bodies)))
            .and_then(|()| parsers.finish(&mut bodies).ok_or_else(no_server_log))
            .map_err(|kind| Error::new(path, kind))?;
        Ok(ServerLogFile { file: LogFile { path: path.to_owned(), content }, bodies: bodies.found })
    }

    /// Reads servers' logs on all threads, in this order. Those that cannot be read are
    /// returned beside them.
    pub(crate) fn server_logs_with<V: Visit + Send>(
        &self,
        paths: Vec<PathBuf>,
        visitor: impl Fn() -> V + Sync,
    ) -> (Vec<ServerLogFile<V>>, Vec<Error>) {
        let (mut logs, mut errors) = (Vec::new(), Vec::new());
        self.progress.expect_files(paths.len());
        for_each_parallel(
            self.threads,
            Order::OfItems,
            |feed| paths.into_iter().for_each(feed),
            || (),
            |(), path: &PathBuf| {
                let read = self.server_log_with(path, &visitor);
                self.progress.count_file();
                read
            },
            |_, read| match read {
                Ok(log) => logs.push(log),
                Err(error) => errors.push(error),
            },
        );
        (logs, errors)
    }

    /// The logs that a path names: itself, or of a folder all files below it that may be
    /// one, in the order of their names and of the numbers at their ends.
    ///
    /// # Errors
    ///
    /// When there is nothing of this name, or the folder cannot be read.
    pub(crate) fn find_server_logs(&self, path: &Path) -> Result<Vec<PathBuf>, Error> {
        if !paths::is_folder(path) {
            check_regular(path).map_err(|kind| Error::new(path, kind))?;
            return Ok(vec![path.to_owned()]);
        }
        let mut found = Vec::new();
        for entry in WalkDir::new(path) {
            let entry = entry.map_err(|error| Error::new(path, std::io::Error::from(error)))?;
            let ending = entry.path().extension().and_then(|ending| ending.to_str());
            let is_log = ending.is_some_and(|ending| ENDINGS.contains(&ending));
            if is_log && entry.path().is_file() {
                found.push(entry.into_path());
            }
        }
        found.sort_by_cached_key(|path| rotated(path));
        Ok(found)
    }

    /// The logs that LM Studio has written below this home, and that may hold lines of this
    /// time, in their order.
    pub(crate) fn lm_studio_logs(home: &Path, window: &RangeInclusive<Timestamp>) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for folder in LM_STUDIO_FOLDERS {
            let logs = WalkDir::new(home.join(folder)).min_depth(1).max_depth(2).into_iter().flatten();
            let logs = logs.map(walkdir::DirEntry::into_path);
            found.extend(logs.filter(|path| {
                path.extension().is_some_and(|ending| ending == "log")
                    && path.is_file()
                    && may_hold(path, window)
            }));
        }
        found.sort_by_cached_key(|path| rotated(path));
        found
    }
}

fn no_server_log() -> ErrorKind {
    ErrorKind::Parse(ParseError::new(
        SkipReason::NotATrace,
        b"",
        0,
        "no line of it is of a server's log; those of LM Studio, llama-server and Ollama are known",
    ))
}

/// Whether a log of LM Studio can hold lines of this time, by the day in its name, and for
/// days before by when it was last written: it is left out only where both say so.
fn may_hold(path: &Path, window: &RangeInclusive<Timestamp>) -> bool {
    let Some(day) = day_of(path) else { return true };
    let day_at = |at: &Timestamp| DateTime::from_timestamp_millis(at.unix_ms()).map(|at| at.date_naive());
    let is_later = day_at(window.end())
        .and_then(|last| last.checked_add_days(Days::new(SLACK_DAYS)))
        .is_some_and(|last| day > last);
    let is_earlier = day_at(window.start())
        .and_then(|first| first.checked_sub_days(Days::new(SLACK_DAYS)))
        .is_some_and(|first| day < first);
    let was_written_before = || written(path).is_some_and(|written| written < *window.start());
    !is_later && !(is_earlier && was_written_before())
}

/// The day in `2026-06-24.1.log`.
fn day_of(path: &Path) -> Option<NaiveDate> {
    path.file_name()?.to_str()?.get(..10)?.parse().ok()
}

/// What logs are sorted by: `a.10.log` comes after `a.9.log`.
fn rotated(path: &Path) -> (PathBuf, String, u64, PathBuf) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let (name, number) = match stem.rsplit_once('.').map(|(name, number)| (name, number.parse())) {
        Some((name, Ok(number))) => (name, number),
        _ => (&*stem, 0),
    };
    (path.parent().unwrap_or(Path::new("")).to_owned(), name.to_owned(), number, path.to_owned())
}

/// Keeps the bodies that pass, each with what its visitor saw.
struct Bodies<V, F> {
    visitor: F,
    current: V,
    found: Vec<(u32, Body, V)>,
}

impl<V: Visit, F: Fn() -> V> BodySink for Bodies<V, F> {
    fn visitor(&mut self, _: u32) -> &mut dyn Visit {
        self.current = (self.visitor)();
        &mut self.current
    }

    fn body(&mut self, request: u32, body: Body) {
        let seen = std::mem::replace(&mut self.current, (self.visitor)());
        self.found.push((request, body, seen));
    }
}

/// The parsers of all formats, until the log has shown which it is.
#[derive(Default)]
struct Parsers {
    fed: u64,
    lm_studio: Option<LmStudioParser>,
    llama_server: Option<LlamaServerParser>,
    ollama: Option<OllamaParser>,
}

impl Parsers {
    fn new() -> Self {
        Self {
            fed: 0,
            lm_studio: Some(LmStudioParser::new()),
            llama_server: Some(LlamaServerParser::new()),
            ollama: Some(OllamaParser::new()),
        }
    }

    fn feed(&mut self, chunk: &[u8], bodies: &mut dyn BodySink) {
        self.fed += chunk.len() as u64;
        if let Some(parser) = &mut self.lm_studio {
            parser.feed_to(chunk, bodies);
        }
        if let Some(parser) = &mut self.llama_server {
            parser.feed(chunk);
        }
        if let Some(parser) = &mut self.ollama {
            parser.feed(chunk);
        }
        if self.fed >= TELLING_BYTES {
            self.decide();
        }
    }

    /// Keeps the parser whose format it is. LM Studio's log has lines of llama-server in it,
    /// many to one of its own, and every line of llama-server's is one of Ollama's.
    fn decide(&mut self) {
        const MOST_TO_ONE: u64 = 100;
        let known = |lines: Option<u64>| lines.unwrap_or(0);
        let lm_studio = known(self.lm_studio.as_ref().map(LmStudioParser::known_lines));
        let llama_server = known(self.llama_server.as_ref().map(LlamaServerParser::known_lines));
        let ollama = known(self.ollama.as_ref().map(OllamaParser::known_lines));
        if lm_studio > 0 && lm_studio.saturating_mul(MOST_TO_ONE) >= llama_server.max(ollama) {
            (self.llama_server, self.ollama) = (None, None);
        } else if ollama > llama_server {
            (self.lm_studio, self.llama_server) = (None, None);
        } else if llama_server > 0 {
            (self.lm_studio, self.ollama) = (None, None);
        }
    }

    /// What the log holds; `None` where no line is of a format that is known.
    fn finish(mut self, bodies: &mut dyn BodySink) -> Option<BackendLog> {
        self.decide();
        match self {
            Self { lm_studio: Some(_), llama_server: Some(_), .. } => None,
            Self { lm_studio: Some(parser), .. } => Some(parser.finish_to(bodies)),
            Self { llama_server: Some(parser), .. } => Some(parser.finish()),
            Self { ollama: Some(parser), .. } => Some(parser.finish()),
            _ => None,
        }
    }
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
    fn logs_of_lm_studio_are_found_in_their_order() {
        let home = tempfile::tempdir().unwrap();
        for name in [
            ".lmstudio/server-logs/2026-06/2026-06-24.10.log",
            ".lmstudio/server-logs/2026-06/2026-06-24.9.log",
            ".lmstudio/server-logs/2026-06/2026-06-24.9.log.bak",
            ".lmstudio/server-logs/2026-07/2026-07-24.1.log",
            ".cache/lm-studio/server-logs/2026-06/2026-06-25.1.log",
        ] {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, LM_STUDIO).unwrap();
        }
        let window = "2026-06-24T12:00:00Z".parse().unwrap()..="2026-06-24T14:00:00Z".parse().unwrap();
        let found = Store::lm_studio_logs(home.path(), &window);
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["2026-06-25.1.log", "2026-06-24.9.log", "2026-06-24.10.log"]);
        let all = Store::default().find_server_logs(home.path()).unwrap();
        assert_eq!(all.len(), 4);
        assert_eq!(Store::lm_studio_logs(&home.path().join("nobody"), &window), Vec::<PathBuf>::new());
    }
}
