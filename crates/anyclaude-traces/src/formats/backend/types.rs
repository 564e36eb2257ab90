//! The result of parsing a server's log: the tasks that it worked on, and what it did besides.

use std::num::NonZeroU16;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::ContextCut;
use crate::model::time::Timestamp;

/// Which program wrote a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BackendFormat {
    /// LM Studio's server.
    LmStudio,
    /// llama.cpp's `llama-server`.
    LlamaServer,
    /// Ollama.
    Ollama,
}

/// A moment as a log tells it, with the clock that it was read from.
///
/// Moments of different clocks cannot be compared; those of one log become instants once
/// it is known how far its clock is from UTC. How exact a moment is, its kind says: see
/// [`uncertainty_ms`](Self::uncertainty_ms).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackendMoment {
    /// Microseconds since the server process started; the date is not known.
    SinceStart {
        /// Microseconds.
        us: u64,
    },
    /// Local civil time without a zone, to the second.
    LocalSecond {
        /// Seconds from 1970-01-01T00:00:00 to it on the clock on the wall.
        seconds: i64,
        /// Whether the clock had been set back before, by at most two hours, and had not yet
        /// come to where it was then: where an hour comes twice, this is the second one.
        is_repeated: bool,
    },
    /// An instant, to the millisecond.
    Instant(Timestamp),
}

impl BackendMoment {
    /// How much later than said it may have been: 1000 for a stamp that counts whole
    /// seconds, else 0.
    #[must_use]
    pub fn uncertainty_ms(self) -> u64 {
        match self {
            Self::LocalSecond { .. } => 1_000,
            Self::SinceStart { .. } | Self::Instant(_) => 0,
        }
    }

    /// Milliseconds on its own clock, rounded down.
    #[must_use]
    pub fn clock_ms(self) -> i64 {
        match self {
            Self::SinceStart { us } => i64::try_from(us / 1_000).unwrap_or(i64::MAX),
            Self::LocalSecond { seconds, .. } => seconds.saturating_mul(1_000),
            Self::Instant(instant) => instant.unix_ms(),
        }
    }

    /// Milliseconds from `earlier` to this one; `None` where their clocks differ.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> Option<i64> {
        let same = std::mem::discriminant(&self) == std::mem::discriminant(&earlier);
        same.then(|| self.clock_ms().saturating_sub(earlier.clock_ms()))
    }
}

/// How a task ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskOutcome {
    /// The log has its end.
    Completed,
    /// The client went away, or the task was stopped for another reason.
    Cancelled,
    /// The server answered with an error.
    Failed,
    /// The log has no end of it.
    #[default]
    Unfinished,
}

/// How the server chose the slot of a task.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum SlotSelection {
    /// The slot that had been idle for longest (LRU), as none held enough of the prompt.
    LeastRecentlyUsed {
        /// Whether the slot had served a task before, whose prompt gave way.
        was_used: Option<bool>,
    },
    /// The slot whose prompt has the longest common prefix (LCP) with the task's.
    Similarity {
        /// The share of the task's prompt that the slot held.
        similarity: f64,
        /// The share of the slot's prompt that was kept.
        kept: Option<f64>,
    },
}

/// A request body that a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoggedBody {
    /// All of it.
    Whole,
    /// A part of it: the log shortened its strings, or ended.
    Cut,
    /// The server hid it.
    Hidden,
    /// Text that is no JSON.
    NotJson,
}

/// How far a server is with a prompt that it still reads, as it last said.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ReadingProgress {
    /// The share of the prompt that is read or came from the cache, 0 to 1.
    pub share: f64,
    /// The same in tokens.
    pub tokens: Option<u64>,
}

/// One request as its server worked on it. Unknown is `None`, never 0.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct BackendTask {
    /// Which of [`BackendLog::processes`] worked on it.
    pub process: usize,
    /// The number that the engine gave it.
    pub task: Option<u64>,
    /// The slot that it ran in.
    pub slot: Option<u64>,
    /// How that slot was chosen.
    pub selection: Option<SlotSelection>,
    /// When the server had received it.
    pub received: Option<BackendMoment>,
    /// The second that the clock on the wall showed then, where the log says so: counted from
    /// 1970-01-01T00:00:00 on that clock.
    pub(crate) shown_second: Option<i64>,
    /// When the engine began to work on it.
    pub started: Option<BackendMoment>,
    /// When the log first said how much of its prompt was read: it had begun by then.
    pub(crate) seen_reading: Option<BackendMoment>,
    /// When its prompt was read and the first token generated.
    pub first_token: Option<BackendMoment>,
    /// When the engine (with [`total_ms`](Self::total_ms): the server) was done with it.
    pub ended: Option<BackendMoment>,
    /// From receiving it to its end, as the server measured it.
    pub total_ms: Option<f64>,
    /// From receiving it to the first token, as the server measured it.
    pub ttft_ms: Option<f64>,
    /// Tokens of the whole prompt.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the prompt that came from the cache.
    pub cached_tokens: Option<u64>,
    /// Tokens of the prompt that were evaluated.
    pub read_tokens: Option<u64>,
    /// Tokens generated, reasoning included.
    pub output_tokens: Option<u64>,
    /// Tokens generated that were reasoning.
    pub reasoning_tokens: Option<u64>,
    /// How long the engine evaluated the prompt.
    pub read_ms: Option<f64>,
    /// How long the engine generated.
    pub write_ms: Option<f64>,
    /// How much of the prompt is read; `None` once all of it is.
    pub progress: Option<ReadingProgress>,
    /// Whether the engine dropped part of the prompt because its context was full.
    pub truncated: Option<bool>,
    /// What is known of tokens that were dropped, by the engine or before it saw the prompt.
    pub cut: Option<Box<ContextCut>>,
    /// How it ended.
    pub outcome: TaskOutcome,
    /// Why the model stopped, in the server's words.
    pub stop_reason: Option<Box<str>>,
    /// The server's words for what went wrong, at most 500 bytes.
    pub error: Option<Box<str>>,
    /// The model that ran.
    pub model: Option<Arc<str>>,
    /// The model that the request asked for.
    pub requested_model: Option<Arc<str>>,
    /// The URL's path without its query.
    pub endpoint: Option<Arc<str>>,
    /// Whether the answer was streamed.
    pub stream: Option<bool>,
    /// Messages in the request.
    pub message_count: Option<u64>,
    /// Tools in the request.
    pub tool_count: Option<u64>,
    /// The most tokens that the answer may have.
    pub max_tokens: Option<u64>,
    /// The speed of writing that the server logged, in tokens per second.
    pub tokens_per_second: Option<f64>,
    /// The number of its request line among those of the file, from 0; `None` where the log
    /// has no request lines, or none of this one.
    pub request: Option<u32>,
    /// Some of its lines may be another's that the server worked on at the same time.
    pub is_ambiguous: bool,
    /// The request body, where the log has one.
    pub body: Option<LoggedBody>,
    /// Its server loaded the model before it began, and the log does not say when.
    pub(crate) follows_untimed_load: bool,
    /// The number of its file among those of a series, while these are read.
    pub(crate) file: u32,
}

impl BackendTask {
    /// The counts by which it is recognised: prompt tokens and output tokens.
    #[must_use]
    pub fn counts(&self) -> Option<(u64, u64)> {
        Some((self.prompt_tokens?, self.output_tokens?))
    }

    /// The tokens of its prompt that its slot held when that was chosen: the longest common
    /// prefix of both. `None` where the server chose the slot by something else.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a prompt, which has fewer than 2^52 tokens"
    )]
    pub fn held_tokens(&self) -> Option<u64> {
        let Some(SlotSelection::Similarity { similarity, .. }) = self.selection else { return None };
        let share = (0.0..=1.0).contains(&similarity).then_some(similarity)?;
        Some((self.prompt_tokens? as f64 * share) as u64)
    }

    /// The stamp that its times count from. Where the server says how long a task took until its
    /// end, it began so long before that, which the engine's stamps do not tell: it may have waited
    /// for a model.
    pub(crate) fn came(&self) -> Option<BackendMoment> {
        self.received.or(self.started.filter(|_| self.total_ms.is_none()))
    }

    /// Whether another task's prompt gave way to its own in its slot.
    #[must_use]
    pub fn has_evicted(&self) -> bool {
        matches!(self.selection, Some(SlotSelection::LeastRecentlyUsed { was_used: Some(true) }))
    }
}

/// The model was loaded.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct BackendLoad {
    /// Which of [`BackendLog::processes`] loaded it.
    pub process: usize,
    /// When it began.
    pub started: Option<BackendMoment>,
    /// When it was done.
    pub ended: Option<BackendMoment>,
    /// How long it took.
    pub load_ms: Option<f64>,
    /// The model: its name or its file, as written.
    pub model: Option<Arc<str>>,
}

/// The server cut a prompt that was longer than its context, and told nobody but its log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackendTruncation {
    /// When.
    pub at: Option<BackendMoment>,
    /// The context, in tokens.
    pub limit: Option<u64>,
    /// Tokens of the whole prompt.
    pub prompt_tokens: Option<u64>,
    /// Tokens that were left of it.
    pub kept_tokens: Option<u64>,
}

/// One server process, as far as one file records it. Those without a known beginning, and
/// servers that keep one process for all models, have one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackendProcess {
    /// When it began, where a container or a journal stamped its lines with instants.
    pub began: Option<Timestamp>,
    /// How many requests it works on at once.
    pub slots: Option<u64>,
    /// The context of one slot, in tokens.
    pub context_tokens: Option<u64>,
    /// How much main memory may hold prompts that have left their slots; 0 where that is
    /// switched off.
    pub ram_cache_bytes: Option<u64>,
    /// Whether the context that it was started with is divided among its slots, so that
    /// [`context_tokens`](Self::context_tokens) is a part of it.
    pub is_context_divided: Option<bool>,
    /// The model: its name or its file, as written.
    pub model: Option<Arc<str>>,
}

impl BackendProcess {
    /// A line of it was stamped with this instant, so long after it began. What stamps lines may
    /// get them late, never early.
    pub(crate) fn note_stamp(&mut self, stamp: Timestamp, us: u64) {
        let began = i64::try_from(us / 1_000).map(|ms| stamp.plus_ms(-ms)).ok();
        self.began = self.began.into_iter().chain(began).min();
    }

    /// Among how many slots it divides its context, where these are several.
    #[must_use]
    pub fn context_divisor(&self) -> Option<NonZeroU16> {
        let slots = self.slots.filter(|slots| *slots > 1 && self.is_context_divided == Some(true))?;
        NonZeroU16::new(u16::try_from(slots).ok()?)
    }
}

/// What one file holds.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BackendLog {
    /// Which program wrote it.
    pub format: BackendFormat,
    /// The processes, in the order in which they begin in the file.
    pub processes: Vec<BackendProcess>,
    /// The tasks, in the order of their ends; those without an end come last, in the order
    /// of their starts.
    pub tasks: Vec<BackendTask>,
    /// Loads, in the order of the file.
    pub loads: Vec<BackendLoad>,
    /// Loads that began in the file before it and went on in this one.
    pub(crate) earlier_loads: Vec<BackendLoad>,
    /// Prompts that were cut, in the order of the file.
    pub truncations: Vec<BackendTruncation>,
    /// How far its local time is ahead of UTC, in seconds, where other times in it name their
    /// zone, and all of them the same.
    pub ahead_of_utc_s: Option<i64>,
    /// Bytes fed.
    pub bytes: u64,
    /// Lines seen, the last one even without a line ending.
    pub lines: u64,
    /// Lines that this format has and that were looked at: for llama-server the first one and
    /// those with a fact, for Ollama those that may hold one. A file without any is another's.
    pub known_lines: u64,
    /// Lines that should hold a fact and cannot be read (cut, garbled).
    pub unreadable_lines: u64,
}

/// How much of a log there is where one of its files ends.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FileEnd {
    loads: usize,
    /// The places of those that go on: of the server's own, and of its engine's.
    open_loads: [Option<usize>; 2],
    bytes: u64,
    lines: u64,
    known_lines: u64,
    unreadable_lines: u64,
}

impl BackendLog {
    /// The parts of a log that was read of several files. `ends` are its counts where each of
    /// them ended, the last included.
    pub(crate) fn by_file(mut self, ends: &[FileEnd]) -> Vec<Self> {
        let mut tasks = std::mem::take(&mut self.tasks);
        let mut before = FileEnd::default();
        let part = |(number, end): (usize, &FileEnd)| {
            let is_its = |task: &mut BackendTask| usize::try_from(task.file) == Ok(number);
            let own = |mut task: BackendTask| {
                task.file = 0;
                task
            };
            let open_loads = before.open_loads.into_iter().flatten();
            let part = Self {
                earlier_loads: open_loads.filter_map(|at| self.loads.get(at).cloned()).collect(),
                format: self.format,
                processes: self.processes.clone(),
                tasks: tasks.extract_if(.., is_its).map(own).collect(),
                loads: self.loads.get(before.loads..end.loads).unwrap_or_default().to_vec(),
                truncations: Vec::new(),
                ahead_of_utc_s: self.ahead_of_utc_s,
                bytes: end.bytes - before.bytes,
                lines: end.lines - before.lines,
                known_lines: end.known_lines - before.known_lines,
                unreadable_lines: end.unreadable_lines - before.unreadable_lines,
            };
            before = *end;
            part
        };
        ends.iter().enumerate().map(part).collect()
    }

    /// How much of it there is. `open_loads` are the places of loads that go on.
    pub(crate) fn end(&self, open_loads: [Option<usize>; 2]) -> FileEnd {
        FileEnd {
            loads: self.loads.len(),
            open_loads,
            bytes: self.bytes,
            lines: self.lines,
            known_lines: self.known_lines,
            unreadable_lines: self.unreadable_lines,
        }
    }

    /// What is known before the first line.
    #[must_use]
    pub fn new(format: BackendFormat) -> Self {
        Self {
            format,
            processes: Vec::new(),
            tasks: Vec::new(),
            loads: Vec::new(),
            earlier_loads: Vec::new(),
            truncations: Vec::new(),
            ahead_of_utc_s: None,
            bytes: 0,
            lines: 0,
            known_lines: 0,
            unreadable_lines: 0,
        }
    }
}
