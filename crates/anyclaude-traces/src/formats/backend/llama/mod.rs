//! The log of llama.cpp's `llama-server`, in any of its forms.

mod engine;
mod figures;
mod functions;
pub(crate) mod head;
mod words;

use std::borrow::Cow;

use serde::Deserialize;

pub(crate) use engine::{Engine, LineUse};
use functions::may_hold_fact;
use head::{TimedLine, headed, since_start, without_colours};
pub(crate) use words::Words;

use super::types::{BackendFormat, BackendLog, BackendMoment};
use crate::formats::lines::{LINE_LIMIT, LineSink, LineSplitter, LogLine, line_ends, without_return};

/// Servers that a router started and whose lines are told apart.
const MAX_SERVERS: usize = 64;

/// Lines that begin with a time are read one by one: what stands behind it tells at once whether
/// it can be a fact. Behind one of them so many that do not are read so too, before words are
/// searched for again.
///
/// To search a log of 500 MB that tells of each token took 0.09 s in one build and 0.33 s in the
/// next, by the same instructions. This takes as long as the former, in each of four builds.
const NEAR_LINES: u8 = 16;

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
    /// How many lines are still read one by one.
    near: u8,
}

/// Whether a line is the last of a file that may have been cut inside a number.
pub(crate) fn may_lack_digits(line: &LogLine<'_>) -> bool {
    // What a task's last line ends with is a flag.
    const FLAG: &[u8] = b", truncated = ";
    let is_flag = line.bytes.split_last().is_some_and(|(_, rest)| rest.ends_with(FLAG));
    !line.ended && line.bytes.last().is_some_and(u8::is_ascii_digit) && !is_flag
}

/// Whether a line is more of the one before it, without a fact. Every task has four of these.
fn goes_on(line: &[u8]) -> bool {
    line.starts_with(b"\t")
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

    /// Ends the tasks of which nothing more is told: their requests have ended.
    pub(crate) fn end_released(&mut self, log: &mut BackendLog) {
        self.without_port.end_released(log);
        for (_, engine) in &mut self.of_port {
            engine.end_released(log);
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

    /// Reads whole lines one by one, as long as some begin with a time and all can be read here:
    /// how many bytes these are.
    #[inline]
    fn walk(&mut self, text: &[u8]) -> usize {
        let mut walked = 0;
        for end in line_ends(text) {
            if self.near == 0 {
                break;
            }
            let line = text.get(walked..end).unwrap_or_default();
            let Some(has_time) = self.near_line(line) else { break };
            self.near = if has_time { NEAR_LINES } else { self.near - 1 };
            self.log.lines += 1;
            walked = end + 1;
        }
        walked
    }

    /// Reads a line that begins with a time, and passes over one that holds no word: whether it
    /// begins so. `None` where it has to be taken apart.
    #[inline]
    fn near_line(&mut self, line: &[u8]) -> Option<bool> {
        let Some(timed) = TimedLine::of(line) else {
            let is_passed = goes_on(line) || !Words::of_engine().are_in(line);
            return is_passed.then_some(false);
        };
        if !may_hold_fact(timed.text) {
            return Some(true);
        }
        if line.len() > LINE_LIMIT {
            return None;
        }
        let at = Some(BackendMoment::SinceStart { us: timed.us() });
        let used = self.servers.of(None).line(without_return(timed.text), at, &mut self.log);
        // The search would have passed over it.
        if used != LineUse::Unreadable || Words::of_engine().are_in(line) {
            self.count(used, true);
        }
        Some(true)
    }

    /// Which lines are counted does not depend on how they were found: all with a fact hold a word.
    fn count(&mut self, used: LineUse, is_llama: bool) {
        let is_first = self.log.known_lines == 0 && (is_llama || used != LineUse::Other);
        let tells = matches!(used, LineUse::Fact | LineUse::Unreadable);
        self.log.known_lines += u64::from(is_first || tells);
        self.log.unreadable_lines += u64::from(used == LineUse::Unreadable);
    }
}

impl LineSink for LlamaServerState {
    /// Reads lines whose head is a time, and passes over those without a fact, once it is known
    /// that this is such a log.
    #[inline]
    fn skip(&mut self, text: &[u8]) -> usize {
        if self.log.known_lines == 0 {
            return 0;
        }
        let walked = self.walk(text);
        let passed = Words::of_engine().lines_without(text.get(walked..).unwrap_or_default());
        self.log.lines += passed.lines;
        self.has_word = passed.then_word;
        walked + passed.bytes
    }

    #[inline]
    fn line(&mut self, line: LogLine<'_>) {
        self.log.lines += 1;
        // Of a longer line only the beginning is here.
        let has_word = std::mem::take(&mut self.has_word) && line.full_len <= LINE_LIMIT as u64;
        let is_passed = self.log.known_lines > 0 && !has_word && !Words::of_engine().are_in(line.bytes);
        if is_passed || goes_on(line.bytes) || may_lack_digits(&line) {
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
        let server = self.servers.of(headed.port);
        let used = server.line(headed.text, headed.at, &mut self.log);
        if let (Some(stamp), Some(BackendMoment::SinceStart { us })) = (headed.stamp, headed.at)
            && let Some(process) = server.known_process(&mut self.log)
        {
            process.note_stamp(stamp, us);
        }
        if used == LineUse::Fact && since_start(line.bytes).is_some() {
            self.near = NEAR_LINES;
        }
        self.count(used, headed.is_llama);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_alike_alone_and_behind_a_fact() {
        let head = |us: u64| format!("0.00.000.{us:03} I ");
        let mut text = format!("{}srv          init: loading model\n", head(1));
        let long = "x".repeat(LINE_LIMIT);
        let lines = [
            "slot launch_slot_: id  0 | task 7 | processing task, is_child = 0",
            "slot print_timing: id  0 | task 7 | prompt eval time =  1.00 ms /  4 tokens",
            // One that is passed over without a word, and one that cannot be read.
            "slot update_slots: id  x | task 7 | garbled",
            "slot print_timing: id  x | task 7 | garbled",
            "slot update_slots: id  0 | task 7 |new prompt, task.n_tokens = 1",
            &format!("{long}slot print_timing: id  x | eval time"),
            "\u{1b}[32mslot launch_slot_: id  1 | task 8 | processing task\u{1b}[0m",
            "slot print_timing: id  0 | task 7 |        eval time =  1.00 ms /  3 tokens\r",
        ];
        for (us, line) in (2..).zip(lines) {
            text += &format!("{}{line}\n\tslot launch_slot_: id  9 | task 9 | processing task\n", head(us));
        }
        text += "[80] slot launch_slot_: id  3 | task 9 | processing task\n";
        text += "slot      release: id  0 | task 7 | stop processing: n_tokens = 6, truncated = 0\n";
        let parse = |chunk| {
            let mut parser = LlamaServerParser::new();
            text.as_bytes().chunks(chunk).for_each(|chunk| parser.feed(chunk));
            parser.finish()
        };
        let whole = parse(text.len());
        let tasks: Vec<_> = whole.tasks.iter().map(|task| (task.task, task.counts())).collect();
        assert_eq!(tasks, [(Some(7), Some((4, 3))), (Some(9), None)]);
        assert_eq!((whole.unreadable_lines, whole.lines), (1, 19));
        for chunk in [1, 2, 3, 40, 100, 1_000, LINE_LIMIT] {
            assert_eq!(parse(chunk), whole, "chunks of {chunk}");
        }
    }
}
