//! The log of llama.cpp's `llama-server`, in any of its forms.

mod engine;
mod figures;
pub(crate) mod head;
mod words;

use std::borrow::Cow;

use serde::Deserialize;

use engine::may_hold_fact;
pub(crate) use engine::{Engine, LineUse};
use head::{headed, since_start, without_colours};
pub(crate) use words::Words;

use super::types::{BackendFormat, BackendLog, BackendMoment};
use crate::formats::lines::{LINE_LIMIT, LineSink, LineSplitter, LogLine};

/// Servers that a router started and whose lines are told apart.
const MAX_SERVERS: usize = 64;

/// Behind a line with a fact so many are looked at one by one: where every second line holds one,
/// as at a low verbosity, the beginnings of most tell enough. Of a log of 12 MB with 5,569 tasks the
/// search for words took 55 million instructions, and takes 32 million.
const NEAR_LINES: u8 = 4;

/// Reads the log of `llama-server` in chunks of any size: with and without times, colours,
/// the prefixes of a router, a journal or a container, and as JSON (`--log-jsonl`).
///
/// It never fails: lines that should hold a fact and cannot be read are counted. Apart from
/// the tasks themselves it uses a constant amount of memory.
///
/// ```
/// use anyclaude_traces::formats::backend::LlamaServerParser;
///
/// let mut parser = LlamaServerParser::new();
/// parser.feed(b"0.04.1 ");
/// parser.feed(b"cut\n\
///     slot launch_slot_: id  0 | task 7 | processing task, is_child = 0\n\
///     slot print_timing: id  0 | task 7 | prompt eval time =     100.00 ms /    40 tokens (2.50 ms per token)\n\
///     slot print_timing: id  0 | task 7 |        eval time =     500.00 ms /    21 tokens (2.50 ms per token)\n\
///     slot      release: id  0 | task 7 | stop processing: n_tokens = 1020, truncated = 0\n");
/// let log = parser.finish();
/// let task = &log.tasks[0];
/// assert_eq!((task.prompt_tokens, task.cached_tokens, task.output_tokens), (Some(1_000), Some(960), Some(21)));
/// ```
#[derive(Debug, Clone)]
pub struct LlamaServerParser {
    splitter: LineSplitter,
    state: LlamaServerState,
}

impl Default for LlamaServerParser {
    fn default() -> Self {
        Self { splitter: LineSplitter::default(), state: LlamaServerState::new() }
    }
}

impl LlamaServerParser {
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
        self.state.log
    }
}

#[derive(Debug, Clone)]
struct LlamaServerState {
    log: BackendLog,
    servers: Servers,
    scratch: Vec<u8>,
    /// The line that comes next is known to hold a word.
    has_word: bool,
    /// How many lines are still looked at one by one.
    near: u8,
}

/// Whether a line is the last of a file that may have been cut inside a number.
pub(crate) fn may_lack_digits(line: &LogLine<'_>) -> bool {
    // What a task's last line ends with is a flag.
    const FLAG: &[u8] = b", truncated = ";
    let is_flag = line.bytes.split_last().is_some_and(|(_, rest)| rest.ends_with(FLAG));
    !line.ended && line.bytes.last().is_some_and(u8::is_ascii_digit) && !is_flag
}

/// The servers whose lines stand in one file: a router's prefix tells them apart.
#[derive(Debug, Default, Clone)]
pub(crate) struct Servers {
    without_port: Engine,
    of_port: Vec<(u64, Engine)>,
}

impl Servers {
    /// The server of this port. Beyond a number of ports they are taken for one.
    #[inline]
    pub(crate) fn of(&mut self, port: Option<u64>) -> &mut Engine {
        let Some(port) = port else { return &mut self.without_port };
        let found = self.of_port.iter().position(|(of, _)| *of == port);
        if found.is_none() && self.of_port.len() < MAX_SERVERS {
            self.of_port.push((port, Engine::default()));
        }
        let at = found.unwrap_or(self.of_port.len().saturating_sub(1));
        match self.of_port.get_mut(at) {
            Some((_, engine)) => engine,
            None => &mut self.without_port,
        }
    }

    /// Ends the file.
    pub(crate) fn finish(&mut self, log: &mut BackendLog) {
        self.without_port.finish(log);
        for (_, engine) in &mut self.of_port {
            engine.finish(log);
        }
    }
}

impl LlamaServerState {
    fn new() -> Self {
        let log = BackendLog::new(BackendFormat::LlamaServer);
        Self { log, servers: Servers::default(), scratch: Vec::new(), has_word: false, near: 0 }
    }

    /// Passes over lines with a time that cannot hold a fact, one by one, up to the first that
    /// may: how many bytes these are, and whether there is one that may.
    #[inline]
    fn near(&mut self, text: &[u8]) -> (usize, bool) {
        let mut passed = 0;
        while self.near > 0 {
            let rest = text.get(passed..).unwrap_or_default();
            let Some((_, behind)) = since_start(rest) else { break };
            if may_hold_fact(behind) {
                // This function's name is a word.
                self.has_word = behind.starts_with(b"slot print_timing");
                return (passed, true);
            }
            let Some(end) = memchr::memchr(b'\n', rest) else { break };
            passed += end + 1;
            self.log.lines += 1;
            self.near -= 1;
        }
        (passed, false)
    }

    fn count(&mut self, used: LineUse, is_llama: bool) {
        self.log.known_lines += u64::from(is_llama || used != LineUse::Other);
        self.log.unreadable_lines += u64::from(used == LineUse::Unreadable);
    }
}

impl LineSink for LlamaServerState {
    /// Passes over lines without a fact, once it is known that this is such a log.
    #[inline]
    fn skip(&mut self, text: &[u8]) -> usize {
        if self.log.known_lines == 0 {
            return 0;
        }
        let (near, may_hold_fact) = self.near(text);
        if may_hold_fact {
            return near;
        }
        let passed = Words::of_engine().lines_without(text.get(near..).unwrap_or_default());
        self.log.lines += passed.lines;
        self.has_word = passed.then_word;
        near + passed.bytes
    }

    #[inline]
    fn line(&mut self, line: LogLine<'_>) {
        self.log.lines += 1;
        // Of a longer line only the beginning is here.
        let has_word = std::mem::take(&mut self.has_word) && line.full_len <= LINE_LIMIT as u64;
        let is_passed = self.log.known_lines > 0 && !has_word && !Words::of_engine().are_in(line.bytes);
        if is_passed || may_lack_digits(&line) {
            self.near = self.near.saturating_sub(1);
            return;
        }
        if line.bytes.starts_with(b"{") {
            let used = match JsonLine::of(line.bytes) {
                Ok(Some(json)) => {
                    let at = Some(BackendMoment::SinceStart { us: json.time });
                    let text = json.msg.trim_end_matches('\n').as_bytes();
                    match self.servers.of(None).line(text, at, &mut self.log) {
                        LineUse::Other => LineUse::Known,
                        used => used,
                    }
                }
                Ok(None) => LineUse::Known,
                Err(used) => used,
            };
            return self.count(used, false);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let headed = headed(without_colours(line.bytes, &mut scratch));
        // Which lines count as looked at does not depend on how this one was found.
        if self.log.known_lines == 0 || may_hold_fact(headed.text) {
            let used = self.servers.of(headed.port).line(headed.text, headed.at, &mut self.log);
            if used == LineUse::Fact {
                self.near = NEAR_LINES;
            }
            self.count(used, headed.is_llama);
        }
        self.scratch = scratch;
    }
}

/// A line of `--log-jsonl`: `{"type":"log","time":645,"level":"info","msg":"srv …\n"}`, with
/// the time in microseconds since the start.
#[derive(Debug, Deserialize)]
struct JsonLine<'a> {
    time: u64,
    #[serde(borrow)]
    msg: Cow<'a, str>,
}

impl<'a> JsonLine<'a> {
    /// The line, where it may hold a fact.
    fn of(line: &'a [u8]) -> Result<Option<Self>, LineUse> {
        const KINDS: [&[u8]; 2] = [b"{\"type\":\"", b"{\"type\": \""];
        if !KINDS.iter().any(|kind| line.starts_with(kind)) {
            return Err(LineUse::Other);
        }
        let Some(at) = memchr::memmem::find(line, b"\"msg\":") else { return Ok(None) };
        let text = line.get(at + b"\"msg\":".len()..).unwrap_or_default().trim_ascii_start();
        if !text.strip_prefix(b"\"").is_some_and(may_hold_fact) {
            return Ok(None);
        }
        serde_json::from_slice(line).map(Some).map_err(|_| LineUse::Unreadable)
    }
}
