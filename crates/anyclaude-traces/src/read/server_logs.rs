//! Reads the logs of servers that the user names.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::Store;
use super::logs::{LogFile, read_chunks};
use super::open::check_regular;
use super::paths;
use crate::error::{Error, ErrorKind, ParseError, SkipReason};
use crate::formats::backend::{BackendLog, BackendParser};

/// What is no log of a server, in words.
const NO_LOG: &str = "no log of a server: it has no line of llama-server's, Ollama's or LM Studio's log";
/// How the names of logs end.
const ENDINGS: [&str; 4] = ["log", "txt", "jsonl", "ndjson"];

impl Store {
    /// Reads the log of a server: llama.cpp's `llama-server`, or Ollama.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is no log of a server.
    pub fn server_log(&self, path: &Path) -> Result<LogFile<BackendLog>, Error> {
        let mut parser = BackendParser::new();
        let content = check_regular(path)
            .and_then(|()| read_chunks(path, &self.progress, |chunk| parser.feed(chunk)))
            .and_then(|()| parser.finish().ok_or_else(no_log))
            .map_err(|kind| Error::new(path, kind))?;
        Ok(LogFile { path: path.to_owned(), content })
    }

    /// Reads the logs of servers at these paths: a file itself, and of a folder every log
    /// below it, by name. What cannot be used is returned beside them; in a folder, a file
    /// that is no log of a server is passed over.
    #[must_use]
    pub fn server_logs(&self, named: &[PathBuf]) -> (Vec<LogFile<BackendLog>>, Vec<Error>) {
        let mut errors = Vec::new();
        let mut logs = Vec::new();
        for path in named {
            if !paths::is_folder(path) {
                match self.server_log(path) {
                    Ok(log) => logs.push(log),
                    Err(error) => errors.push(error),
                }
                continue;
            }
            let found = logs_below(path, &mut errors);
            logs.extend(
                self.read_logs(found, &mut errors, |path| {
                    let mut parser = BackendParser::new();
                    read_chunks(path, &self.progress, |chunk| parser.feed(chunk)).map(|()| parser.finish())
                })
                .into_iter()
                .filter_map(|log| Some(LogFile { path: log.path, content: log.content? })),
            );
        }
        // Two names of one log would offer its tasks twice.
        let mut seen = std::collections::BTreeSet::new();
        logs.retain(|log| seen.insert(paths::canonical(&log.path).unwrap_or_else(|_| log.path.clone())));
        (logs, errors)
    }
}

fn no_log() -> ErrorKind {
    ErrorKind::Parse(ParseError::new(SkipReason::NotATrace, b"", 0, NO_LOG))
}

/// The files below a folder that may be logs, in the order of their names, where a number
/// counts as such: LM Studio's `2026-06-24.10.log` comes after `2026-06-24.9.log`.
fn logs_below(folder: &Path, errors: &mut Vec<Error>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in WalkDir::new(folder) {
        match entry {
            Ok(entry) => found.push(entry.into_path()),
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                let source =
                    error.into_io_error().unwrap_or_else(|| std::io::Error::other("a loop of links"));
                errors.push(Error::new(path, source));
            }
        }
    }
    let is_log = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) && path.is_file()
    };
    found.retain(is_log);
    found.sort_by_cached_key(|path| by_numbers(path));
    found
}

/// A name in its parts: digits as numbers, the rest as text.
fn by_numbers(path: &Path) -> Vec<(u64, String)> {
    let name = path.to_string_lossy();
    let mut parts: Vec<(u64, String)> = vec![(0, String::new())];
    for letter in name.chars() {
        if let Some((number, text)) = parts.last_mut() {
            match letter.to_digit(10) {
                Some(digit) if text.is_empty() => {
                    *number = number.saturating_mul(10).saturating_add(digit.into())
                }
                Some(digit) => parts.push((digit.into(), String::new())),
                None => text.push(letter),
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_numbers() {
        let mut names =
            ["a/2026-06-24.10.log", "a/2026-06-24.9.log", "a/2026-06-3.1.log", "a/b.log"].map(PathBuf::from);
        names.sort_by_cached_key(|path| by_numbers(path));
        assert_eq!(
            names.map(|path| path.display().to_string()),
            ["a/2026-06-3.1.log", "a/2026-06-24.9.log", "a/2026-06-24.10.log", "a/b.log"]
        );
    }
}
