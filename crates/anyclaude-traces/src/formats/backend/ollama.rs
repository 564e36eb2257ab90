//! The log of Ollama: its own lines, one for each HTTP request, and those of the servers
//! that it starts.

use std::sync::LazyLock;

use chrono::{DateTime, Datelike, NaiveDateTime};
use memchr::memmem::find;

use super::llama::head::{headed, rfc3339, without_colours};
use super::llama::{LineUse, Servers, Words, may_lack_digits};
use super::local_clock::{LocalClock, journal_seconds};
use super::types::{
    BackendFormat, BackendLoad, BackendLog, BackendMoment, BackendTask, BackendTruncation, ReadingProgress,
    TaskOutcome,
};
use crate::formats::lines::{LINE_LIMIT, LineSink, LineSplitter, LogLine};
use crate::formats::scan;
use crate::model::ContextCut;
use crate::model::stats::float;

/// Tasks that wait for the line of their HTTP request.
const MAX_WAITING: usize = 256;
/// The paths that make a model generate.
const GENERATING: [&str; 6] = [
    "/api/chat",
    "/api/generate",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/messages",
    "/v1/responses",
];

/// What stands in its own lines with a fact.
const OWN_WORDS: [&str; 7] = [
    "[GIN",
    "truncating input prompt",
    "cache miss",
    "cache hit",
    "Prompt processing progress",
    "runner started in",
    "server started in",
];
static WORDS: LazyLock<Words> = LazyLock::new(|| Words::new(&OWN_WORDS));
/// In the system's journal each of its own lines tells the year.
static WORDS_IN_JOURNAL: LazyLock<Words> =
    LazyLock::new(|| Words::new(&[&OWN_WORDS[..], &["time="]].concat()));

/// Reads the log of Ollama in chunks of any size, as it stands in a file or in the system's
/// journal.
///
/// It never fails: lines that should hold a fact and cannot be read are counted. Apart from
/// the tasks themselves it uses a constant amount of memory.
///
/// ```
/// use anyclaude_traces::formats::backend::OllamaParser;
///
/// let mut parser = OllamaParser::new();
/// parser.feed(b"time=2026-06-13T20:57:01.874+07:00 level=WARN source=llama_server.go:296 \
///     msg=\"truncating input prompt\" limit=4096 prompt=22714 keep=4 new=4095\n");
/// let log = parser.finish();
/// assert_eq!((log.truncations[0].limit, log.truncations[0].prompt_tokens), (Some(4_096), Some(22_714)));
/// ```
#[derive(Debug, Clone)]
pub struct OllamaParser {
    splitter: LineSplitter,
    state: OllamaState,
}

impl Default for OllamaParser {
    fn default() -> Self {
        let state = OllamaState {
            log: BackendLog::new(BackendFormat::Ollama),
            servers: Servers::default(),
            awaiting_end: Vec::new(),
            restored: Vec::new(),
            told_loads: 0,
            cut: Vec::new(),
            year: None,
            zone: OwnZone::Unknown,
            clock: LocalClock::default(),
            is_journal: false,
            scratch: Vec::new(),
            has_word: false,
        };
        Self { splitter: LineSplitter::default(), state }
    }
}

impl OllamaParser {
    /// A parser at the beginning of a file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next bytes of the file.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.state.log.bytes += chunk.len() as u64;
        self.splitter.feed(chunk, &mut self.state);
    }

    /// Ends the file and returns what it holds.
    #[must_use]
    pub fn finish(mut self) -> BackendLog {
        self.splitter.finish(&mut self.state);
        self.state.servers.finish(&mut self.state.log);
        self.state.log.tasks.append(&mut self.state.restored);
        self.state.log.ahead_of_utc_s = self.state.zone.ahead_s();
        self.state.log
    }
}

/// The zone of the times that name theirs: the others are of the same process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OwnZone {
    Unknown,
    Ahead(i64),
    /// Clocks were changed meanwhile.
    Changing,
}

impl OwnZone {
    fn and(self, ahead_s: i64) -> Self {
        match self {
            Self::Unknown => Self::Ahead(ahead_s),
            Self::Ahead(before) if before == ahead_s => self,
            Self::Ahead(_) | Self::Changing => Self::Changing,
        }
    }

    fn ahead_s(self) -> Option<i64> {
        match self {
            Self::Ahead(ahead_s) => Some(ahead_s),
            Self::Unknown | Self::Changing => None,
        }
    }
}

#[derive(Debug, Clone)]
struct OllamaState {
    log: BackendLog,
    servers: Servers,
    /// Tasks that the engine is done with, by their places: their HTTP requests end next.
    awaiting_end: Vec<usize>,
    /// Tasks of the MLX runner, of which only the HTTP request tells the end.
    restored: Vec<BackendTask>,
    /// How many of the loads were there when it last said how long one took.
    told_loads: usize,
    /// Prompts that were cut, and whose tasks have not ended yet.
    cut: Vec<BackendTruncation>,
    /// The year of the last line with a date, which the journal's stamps lack.
    year: Option<i32>,
    zone: OwnZone,
    clock: LocalClock,
    is_journal: bool,
    scratch: Vec<u8>,
    /// The line that comes next is known to hold a word.
    has_word: bool,
}

impl LineSink for OllamaState {
    /// Passes over lines without a fact, once it is known that this is such a log.
    #[inline]
    fn skip(&mut self, text: &[u8]) -> usize {
        if self.log.known_lines == 0 {
            return 0;
        }
        let passed = self.words().lines_without(text);
        self.log.lines += passed.lines;
        self.has_word = passed.then_word;
        passed.bytes
    }

    #[inline]
    fn line(&mut self, line: LogLine<'_>) {
        self.log.lines += 1;
        // Of a longer line only the beginning is here.
        let has_word = std::mem::take(&mut self.has_word) && line.full_len <= LINE_LIMIT as u64;
        let is_passed = self.log.known_lines > 0 && !has_word && !self.words().are_in(line.bytes);
        if is_passed || may_lack_digits(&line) {
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let headed = headed(without_colours(line.bytes, &mut scratch));
        self.is_journal |= headed.journal.is_some();
        let shown = || journal_seconds(headed.journal?, self.year?);
        let at = headed.at.or_else(|| shown().map(|seconds| self.clock.at(seconds)));
        let used = match headed.text.first() {
            Some(b't') => self.own_line(headed.text),
            Some(b'[') => self.http_line(headed.text),
            _ => self.engine_line(headed.port, headed.text, at),
        };
        let is_known = headed.is_llama || used != LineUse::Other;
        self.scratch = scratch;
        self.log.known_lines += u64::from(is_known);
        self.log.unreadable_lines += u64::from(used == LineUse::Unreadable);
    }
}

impl OllamaState {
    fn words(&self) -> &'static Words {
        if self.is_journal { &WORDS_IN_JOURNAL } else { &WORDS }
    }

    #[inline]
    fn engine_line(&mut self, port: Option<u64>, text: &[u8], at: Option<BackendMoment>) -> LineUse {
        let before = self.log.tasks.len();
        // How long a load took it says itself, or what its request waited does: stamps of whole
        // seconds tell less, and those of a container when the line came there.
        let is_own = |at: &BackendMoment| matches!(at, BackendMoment::SinceStart { .. });
        let at = at.filter(|at| text.starts_with(b"slot") || is_own(at));
        let used = self.servers.of(port).line(text, at, &mut self.log);
        self.await_ends(before);
        used
    }

    /// The engine's tasks from this place on have ended, and their requests end next.
    fn await_ends(&mut self, before: usize) {
        for ended in before..self.log.tasks.len() {
            if self.awaiting_end.len() == MAX_WAITING {
                self.awaiting_end.remove(0);
            }
            self.awaiting_end.push(ended);
            self.settle_cut(ended);
        }
    }

    /// Tells a task that has ended that its prompt was cut: the oldest of those with as many
    /// tokens left.
    fn settle_cut(&mut self, ended: usize) {
        let Some(task) = self.log.tasks.get_mut(ended) else { return };
        let is_its = |cut: &BackendTruncation| {
            cut.kept_tokens.zip(task.prompt_tokens).is_none_or(|(kept, of)| kept == of)
        };
        let Some(at) = self.cut.iter().position(is_its) else { return };
        let cut = self.cut.remove(at);
        // Ollama cuts to what leaves room for an answer: half of the context in 2026.
        let context = self.log.processes.get(task.process).and_then(|process| process.context_tokens);
        let is_larger = |context: &u64| Some(*context) > cut.limit && Some(*context) <= cut.prompt_tokens;
        let context_tokens = context.filter(is_larger).or(cut.limit);
        let whole_prompt_tokens = cut.prompt_tokens;
        task.cut = Some(Box::new(ContextCut { context_tokens, whole_prompt_tokens }));
    }

    /// `time=2026-08-19T19:37:11.287+02:00 level=INFO source=… msg="cache miss" total=24809 …`
    fn own_line(&mut self, text: &[u8]) -> LineUse {
        let Some(stamp) = text.strip_prefix(b"time=") else { return LineUse::Other };
        let time = stamp.split(|byte| *byte == b' ').next();
        let at = time.and_then(rfc3339).map(BackendMoment::Instant);
        if let Some(ahead_s) = time.and_then(ahead_of_utc_s) {
            self.zone = self.zone.and(ahead_s);
        }
        if let Some(year) = stamp.get(..4).and_then(scan::number) {
            self.year = i32::try_from(year.0).ok().or(self.year);
        }
        let Some(message) = find(text, b" msg=\"").and_then(|at| text.get(at + b" msg=\"".len()..)) else {
            return LineUse::Known;
        };
        let member = |name: &str| {
            let mark = format!(" {name}=");
            let at = find(message, mark.as_bytes())? + mark.len();
            scan::number(message.get(at..)?)
                .filter(|(_, rest)| matches!(rest.first(), None | Some(b' ')))
                .map(|(n, _)| n)
        };
        if message.starts_with(b"truncating input prompt\"") {
            let (Some(limit), Some(prompt)) = (member("limit"), member("prompt")) else {
                return LineUse::Unreadable;
            };
            let kept_tokens = member("new");
            let cut = BackendTruncation { at, limit: Some(limit), prompt_tokens: Some(prompt), kept_tokens };
            self.log.truncations.push(cut);
            if self.cut.len() == MAX_WAITING {
                self.cut.remove(0);
            }
            self.cut.push(cut);
            return LineUse::Fact;
        }
        if message.starts_with(b"cache miss\"") || message.starts_with(b"cache hit\"") {
            let (Some(total), Some(left)) = (member("total"), member("left")) else {
                return LineUse::Unreadable;
            };
            if self.restored.len() == MAX_WAITING {
                self.log.tasks.push(self.restored.remove(0));
            }
            self.restored.push(BackendTask {
                started: at,
                prompt_tokens: Some(total),
                cached_tokens: member("cached").or_else(|| total.checked_sub(left)),
                read_tokens: Some(left),
                ..BackendTask::default()
            });
            return LineUse::Fact;
        }
        if message.starts_with(b"Prompt processing progress\"") {
            let Some((done, of)) = member("processed").zip(member("total")) else { return LineUse::Known };
            if let Some(task) = self.restored.last_mut() {
                if done < of {
                    let share = float(done) / float(of);
                    task.progress = Some(ReadingProgress { share, tokens: None });
                } else {
                    (task.first_token, task.progress) = (at, None);
                }
            }
            return LineUse::Known;
        }
        const STARTED: [&[u8]; 3] =
            [b"llama runner started in ", b"mlx runner started in ", b"llama-server started in "];
        if let Some(seconds) = STARTED.iter().find_map(|words| message.strip_prefix(*words)) {
            let Some(seconds) = seconds.split(|byte| *byte == b' ').next().and_then(scan::decimal) else {
                return LineUse::Unreadable;
            };
            self.loaded(at, seconds * 1_000.0);
            return LineUse::Fact;
        }
        LineUse::Known
    }

    /// The engine's own lines of the same load came before. How long it took is said here, whatever
    /// stamps those have.
    fn loaded(&mut self, at: Option<BackendMoment>, load_ms: f64) {
        let engines = self.log.loads.get_mut(self.told_loads..).and_then(<[_]>::last_mut);
        match engines {
            Some(load) => (load.started, load.ended, load.load_ms) = (None, at, Some(load_ms)),
            None => {
                let process = self.log.processes.len().saturating_sub(1);
                self.log.loads.push(BackendLoad {
                    process,
                    ended: at,
                    load_ms: Some(load_ms),
                    ..BackendLoad::default()
                });
            }
        }
        self.told_loads = self.log.loads.len();
    }

    /// `[GIN] 2026/09/11 - 00:04:26 | 200 |         4m54s |       127.0.0.1 | POST     "/api/chat"`
    fn http_line(&mut self, text: &[u8]) -> LineUse {
        let Some(text) = text.strip_prefix(b"[GIN] ") else { return LineUse::Other };
        let Some(http) = HttpLine::of(text) else {
            // Its own lines of starting have this mark too, without a date.
            let is_request = text.first().is_some_and(u8::is_ascii_digit);
            return if is_request { LineUse::Unreadable } else { LineUse::Known };
        };
        self.year = Some(http.ended.year());
        let ended = self.clock.at(http.ended.and_utc().timestamp());
        let Some(path) = GENERATING.iter().find(|path| http.is_post && **path == http.path) else {
            return LineUse::Known;
        };
        let fits = |task: &BackendTask| {
            let engine_ms = task.read_ms.unwrap_or(0.0) + task.write_ms.unwrap_or(0.0);
            // Durations above a minute are cut to whole seconds.
            http.total_ms.is_none_or(|total| engine_ms <= total + 1_000.0)
        };
        let before = self.log.tasks.len();
        self.servers.end_released(&mut self.log);
        self.await_ends(before);
        let waiting = self.awaiting_end.iter().position(|at| self.log.tasks.get(*at).is_some_and(fits));
        let at = match waiting {
            Some(waiting) => self.awaiting_end.remove(waiting),
            None => {
                let restored = if self.restored.is_empty() { None } else { Some(self.restored.remove(0)) };
                self.log.tasks.push(restored.unwrap_or_default());
                let at = self.log.tasks.len() - 1;
                self.settle_cut(at);
                at
            }
        };
        if let Some(task) = self.log.tasks.get_mut(at) {
            task.ended = Some(ended);
            task.total_ms = http.total_ms;
            // That is when it came to the engine, which may have had to start first.
            task.received = task.received.filter(|_| http.total_ms.is_none());
            task.endpoint = Some((*path).into());
            task.outcome = match http.status {
                200..400 if task.outcome == TaskOutcome::Cancelled => TaskOutcome::Cancelled,
                200..400 => TaskOutcome::Completed,
                // The client closed its request.
                499 => TaskOutcome::Cancelled,
                _ => TaskOutcome::Failed,
            };
        }
        LineUse::Fact
    }
}

/// How far the zone of `2026-08-19T19:37:11.287+02:00` is ahead of UTC.
fn ahead_of_utc_s(time: &[u8]) -> Option<i64> {
    let time = DateTime::parse_from_rfc3339(std::str::from_utf8(time).ok()?).ok()?;
    Some(i64::from(time.offset().local_minus_utc()))
}

struct HttpLine<'a> {
    ended: NaiveDateTime,
    status: u64,
    total_ms: Option<f64>,
    is_post: bool,
    path: &'a str,
}

impl<'a> HttpLine<'a> {
    fn of(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parts = text.splitn(5, '|').map(str::trim);
        let ended = NaiveDateTime::parse_from_str(parts.next()?, "%Y/%m/%d - %H:%M:%S").ok()?;
        let status = parts.next()?.parse().ok()?;
        let total_ms = duration_ms(parts.next()?);
        let _client = parts.next()?;
        let (method, path) = parts.next()?.split_once(' ')?;
        let path = path.trim().strip_prefix('"')?;
        let path = path.split(['?', '"']).next()?;
        Some(Self { ended, status, total_ms, is_post: method == "POST", path })
    }
}

/// A duration as Go writes it: `4m54s`, `1.234567s`, `38.5µs`.
fn duration_ms(text: &str) -> Option<f64> {
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, after) = rest.split_at_checked(digits)?;
        let unit = after.bytes().take_while(|byte| !byte.is_ascii_digit()).count();
        let (unit, after) = after.split_at_checked(unit)?;
        let unit_ms = match unit {
            "h" => 3_600_000.0,
            "m" => 60_000.0,
            "s" => 1_000.0,
            "ms" => 1.0,
            "µs" | "μs" | "us" => 0.001,
            "ns" => 0.000_001,
            _ => return None,
        };
        sum += scan::decimal(number.as_bytes())? * unit_ms;
        rest = after;
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests;
