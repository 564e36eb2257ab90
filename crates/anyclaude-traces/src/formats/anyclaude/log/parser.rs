//! Splits a log into runs: banners, configuration blocks, log lines, standard error.

use super::message;
use super::run::{LineOutcome, RunBuilder};
use super::types::ParsedLog;
use crate::formats::lines::{LineSink, LineSplitter, LogLine};
use crate::formats::scan;
use crate::model::time::Timestamp;

/// The part of `[2025-11-16T02:30:45.123Z] [ANYCLAUDE DEBUG] ` after the stamp.
const STAMPED: &[u8; 20] = b"] [ANYCLAUDE DEBUG] ";
/// Where a message begins in a stamped line.
const MESSAGE_AT: usize = 1 + scan::STAMP_LEN + STAMPED.len();
/// Length of `[2025-11-16T02:30:45`.
const SECOND_LEN: usize = 20;
/// The length of the part of a line that decides whether it is passed over.
const HEAD_LEN: usize = MESSAGE_AT + message::PLAIN_LEN;
/// The length of the part of it that is always one of a few texts, without a line ending.
const KNOWN_LEN: usize = MESSAGE_AT + message::PLAIN_KNOWN_LEN;
const UNSTAMPED: &[u8] = b"[ANYCLAUDE DEBUG] ";
/// Two processes can share a file when they start within one second.
const SAME_FILE_MS: i64 = 2_000;

/// Reads a debug log, or a capture of standard error, in chunks of any size.
///
/// It never fails: lines that cannot be read are counted in
/// [`ParsedLog::unreadable_lines`]. Apart from the requests themselves it uses a constant
/// amount of memory.
///
/// ```
/// use anyclaude_traces::formats::anyclaude::log::LogParser;
///
/// let mut parser = LogParser::new();
/// parser.feed(b"[ANYCLAUDE DEBUG] [Request Start] lmstudio/m at 2025-10-26T08:");
/// parser.feed(b"00:00.000Z\n[ANYCLAUDE DEBUG] [Request Complete] lmstudio/m: 1171ms\n");
/// let log = parser.finish();
/// assert_eq!(log.runs[0].requests[0].total_ms, Some(1171));
/// ```
#[derive(Debug, Default, Clone)]
pub struct LogParser {
    splitter: LineSplitter,
    state: ParserState,
}

impl LogParser {
    /// A parser at the beginning of a file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next bytes of the file.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.state.bytes += chunk.len() as u64;
        self.splitter.feed(chunk, &mut self.state);
    }

    /// Ends the file and returns what it holds.
    #[must_use]
    pub fn finish(mut self) -> ParsedLog {
        self.splitter.finish(&mut self.state);
        self.state.finish()
    }
}

/// Which part of a banner or configuration block the next line can be.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum OpenBlock {
    #[default]
    None,
    /// After `════`: a banner's title or a footer may follow.
    Rule,
    /// After the title of a banner at this level.
    Title(u8),
    /// After `────`: `SESSION CONFIGURATION` may follow.
    ThinRule,
    /// After that heading; its `────` follows.
    Heading,
    Configuration,
}

#[derive(Debug, Default, Clone)]
struct ParserState {
    bytes: u64,
    lines: u64,
    unreadable: u64,
    /// Lines of other text before the first log line, as on standard error.
    leading: u64,
    runs: Vec<RunBuilder>,
    /// Bytes and lines before the current line.
    seen: (u64, u64),
    /// Bytes and lines before the current run.
    run_from: (u64, u64),
    /// Bytes and lines of the banner that is being read.
    banner: (u64, u64),
    block: OpenBlock,
    /// `[2025-11-16T02:30:45` of the last line: a second known to be well formed.
    second: [u8; SECOND_LEN],
}

impl LineSink for ParserState {
    /// Passes over lines that repeat for every token by looking at their beginnings only, as
    /// there are several in each millisecond.
    #[inline]
    fn skip(&mut self, text: &[u8]) -> usize {
        let Some(run) = self.runs.last_mut() else { return 0 };
        if self.block != OpenBlock::None || !run.is_quiet() {
            return 0;
        }
        let (mut passed, mut lines, mut last) = (0, 0, None);
        while let Some(rest) = text.get(passed..)
            && let Some(head) = rest.first_chunk::<HEAD_LEN>()
            && let Some(stamp) = plain_line(head, &self.second)
            && let Some(end) = memchr::memchr(b'\n', rest.get(KNOWN_LEN..).unwrap_or_default())
            // `Received chunk N of type: finish-step` announces a line that is read, and
            // `reasoning-start` the kind of the next event.
            && !matches!(rest.get(KNOWN_LEN + end - 1), Some(b'p' | b't' | b'\r'))
        {
            passed += KNOWN_LEN + end + 1;
            lines += 1;
            last = Some(stamp);
        }
        if let Some(stamp) = last {
            run.passed(stamp);
            self.lines += lines;
            self.seen.0 += passed as u64;
            self.seen.1 += lines;
        }
        passed
    }

    #[inline]
    fn line(&mut self, line: LogLine<'_>) {
        let mut text = line.bytes;
        if self.lines == 0 {
            text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        }
        self.lines += 1;
        let stamp = text.get(1..).and_then(|rest| rest.first_chunk::<{ scan::STAMP_LEN }>());
        let mark = text.get(1 + scan::STAMP_LEN..).and_then(|rest| rest.first_chunk::<20>());
        match (stamp, mark) {
            (Some(stamp), Some(STAMPED)) if text.first() == Some(&b'[') => {
                let message = text.get(MESSAGE_AT..).unwrap_or_default();
                if line.ended || !message::ends_open(message) {
                    self.stamped(stamp, message);
                } else {
                    self.unreadable += 1;
                }
            }
            _ => self.other_line(text, line.ended),
        }
        self.seen.0 += line.full_len;
        self.seen.1 += 1;
    }
}

impl ParserState {
    #[inline]
    fn stamped(&mut self, stamp: &[u8; scan::STAMP_LEN], message: &[u8]) {
        if self.runs.last().is_none_or(|run| !run.is_stamped()) {
            if scan::stamp(stamp).is_none() {
                self.unreadable += 1;
                return;
            }
            self.begin_run(true, self.seen);
            if let Some(run) = self.runs.last_mut() {
                run.facts.started = scan::stamp(stamp).and_then(Timestamp::from_unix_ms);
            }
        }
        if self.block != OpenBlock::Configuration {
            self.block = OpenBlock::None;
        }
        if self.second.get(1..) != stamp.get(..SECOND_LEN - 1) && scan::stamp(stamp).is_some() {
            self.second = [b'['; SECOND_LEN];
            let digits = self.second.iter_mut().skip(1).zip(stamp);
            digits.for_each(|(place, digit)| *place = *digit);
        }
        let Some(run) = self.runs.last_mut() else { return };
        match run.stamped_message(stamp, message) {
            LineOutcome::Read => {}
            LineOutcome::Unreadable => self.unreadable += 1,
            LineOutcome::Stray => self.stray(stamp, message),
        }
    }

    /// Handles a line that fits no request of the current run. Two processes that start within
    /// a second share a file, so it may fit a request of the earlier one.
    #[cold]
    fn stray(&mut self, stamp: &[u8; scan::STAMP_LEN], message: &[u8]) {
        let [.., earlier, run] = self.runs.as_mut_slice() else {
            self.lost();
            return;
        };
        let shared = share_file(earlier, run);
        if !shared || earlier.stamped_message(stamp, message) != LineOutcome::Read {
            self.lost();
        }
    }

    /// Tells two runs that share a file each other's debug level, as the requests of each may
    /// belong to the other process.
    fn note_shared_file(&mut self) {
        if let [.., earlier, run] = self.runs.as_mut_slice()
            && share_file(earlier, run)
        {
            run.other_level = earlier.facts.level;
            earlier.other_level = run.facts.level;
        }
    }

    fn lost(&mut self) {
        if let Some(run) = self.runs.last_mut() {
            run.facts.unattributed_lines += 1;
        }
    }

    /// Everything without the full prefix: blocks, continued JSON and text,
    /// and standard error.
    fn other_line(&mut self, text: &[u8], ended: bool) {
        if self.in_block(text, ended) {
            return;
        }
        if let Some(run) = self.runs.last_mut() {
            run.continuation(text);
        }
        // A file holds lines with stamps or lines without, never both. In a stamped run, text
        // that looks like a line without a stamp is part of a message.
        let stamped = self.runs.last().is_some_and(|run| run.is_stamped());
        if !stamped {
            if let Some(message) = text.strip_prefix(UNSTAMPED) {
                if self.runs.is_empty() || self.runs.last().is_some_and(|run| run.facts.debug_log.is_some()) {
                    self.begin_run(false, self.seen);
                }
                if !ended && message::ends_open(message) {
                    self.unreadable += 1;
                    return;
                }
                match self.runs.last_mut().map(|run| run.unstamped_message(message)) {
                    Some(LineOutcome::Unreadable) => self.unreadable += 1,
                    Some(LineOutcome::Stray) => self.lost(),
                    Some(LineOutcome::Read) | None => {}
                }
                return;
            }
            if ended && self.standard_error(text) {
                return;
            }
        }
        let torn = text.first() == Some(&b'[')
            && text.get(1..5).is_some_and(|year| year.iter().all(u8::is_ascii_digit))
            && (!ended || memchr::memmem::find(text, b"[ANYCLAUDE DEBUG").is_some());
        self.unreadable += u64::from(torn);
        if self.runs.is_empty() && self.block == OpenBlock::None && !torn && !text.trim_ascii().is_empty() {
            self.leading += 1;
        }
    }

    /// `[TRACE] Saved to: PATH` and `[anyclaude] Debug mode (level N): PATH`.
    fn standard_error(&mut self, text: &[u8]) -> bool {
        if let Some(path) = text.strip_prefix(b"[TRACE] Saved to: ") {
            let Some(name) = file_name(path) else { return false };
            if self.runs.is_empty() {
                self.begin_run(false, self.seen);
            }
            if let Some(run) = self.runs.last_mut() {
                run.saved_trace(name);
            }
            return true;
        }
        let Some(rest) = text.strip_prefix(b"[anyclaude] Debug mode (level ") else { return false };
        let Some((level, path)) = scan::number(rest) else { return false };
        let Some(name) = path.strip_prefix(b"): ").and_then(file_name) else { return false };
        self.begin_run(false, self.seen);
        if let Some(run) = self.runs.last_mut() {
            run.facts.level = u8::try_from(level).ok();
            run.facts.debug_log = Some(name.to_owned());
        }
        true
    }

    /// Handles banner, configuration and footer; returns whether the line is part of one. Each
    /// is recognised by its whole shape, so that a prompt which quotes one of these lines is
    /// not taken for it.
    fn in_block(&mut self, text: &[u8], ended: bool) -> bool {
        let block = self.block;
        self.block = match block {
            OpenBlock::None => OpenBlock::None,
            OpenBlock::Configuration if is_rule(text, "─") => {
                self.block = OpenBlock::None;
                return true;
            }
            OpenBlock::Configuration => {
                self.configuration(text, ended);
                OpenBlock::Configuration
            }
            OpenBlock::Rule => match banner_level(text) {
                Some(level) => OpenBlock::Title(level),
                None => {
                    self.footer(text);
                    OpenBlock::None
                }
            },
            OpenBlock::Title(level) => {
                if let Some(started) = stamp_line(text, b"Started: ") {
                    self.begin_run(true, self.banner);
                    if let Some(run) = self.runs.last_mut() {
                        run.has_banner = true;
                        run.facts.started = Some(started);
                        run.facts.level = Some(level);
                    }
                    self.note_shared_file();
                    self.block = OpenBlock::None;
                    return true;
                }
                OpenBlock::None
            }
            OpenBlock::ThinRule if text == b"SESSION CONFIGURATION" => OpenBlock::Heading,
            OpenBlock::ThinRule => OpenBlock::None,
            OpenBlock::Heading if is_rule(text, "─") => OpenBlock::Configuration,
            OpenBlock::Heading => OpenBlock::None,
        };
        if self.block != OpenBlock::None {
            return true;
        }
        if is_rule(text, "═") {
            self.banner = self.seen;
            self.block = OpenBlock::Rule;
        } else if is_rule(text, "─") && self.runs.last().is_some_and(|run| run.has_banner) {
            self.block = OpenBlock::ThinRule;
        }
        self.block != OpenBlock::None
            || matches!(block, OpenBlock::Rule) && text.starts_with(b"Session ended: ")
    }

    /// Reads a line of the configuration. One that is cut off is not read, as it may hold half
    /// a name.
    fn configuration(&mut self, text: &[u8], ended: bool) {
        let Some(run) = self.runs.last_mut() else { return };
        let (true, Ok(text)) = (ended, std::str::from_utf8(text)) else {
            self.unreadable += 1;
            return;
        };
        let facts = &mut run.facts;
        let places = [
            ("Backend Mode: ", &mut facts.mode),
            ("Model: ", &mut facts.configured_model),
            ("Backend URL: ", &mut facts.backend_url),
        ];
        for (name, place) in places {
            if let Some(value) = text.strip_prefix(name) {
                *place = Some(value.trim_ascii().to_owned()).filter(|value| !value.is_empty());
            }
        }
    }

    fn footer(&mut self, text: &[u8]) {
        if let (Some(ended), Some(run)) = (stamp_line(text, b"Session ended: "), self.runs.last_mut()) {
            run.facts.ended = Some(ended);
        }
    }

    /// Begins a run at a line; `from` are the bytes and lines before it.
    fn begin_run(&mut self, stamped: bool, from: (u64, u64)) {
        self.close_run(from);
        self.run_from = from;
        self.runs.push(RunBuilder::new(stamped));
    }

    fn close_run(&mut self, until: (u64, u64)) {
        if let Some(run) = self.runs.last_mut() {
            run.facts.log_bytes = until.0 - self.run_from.0;
            run.facts.log_lines = until.1 - self.run_from.1;
        }
    }

    fn finish(mut self) -> ParsedLog {
        self.close_run(self.seen);
        if self.runs.is_empty() {
            self.unreadable += self.leading;
        }
        ParsedLog {
            runs: self.runs.into_iter().map(RunBuilder::finish).collect(),
            bytes: self.bytes,
            lines: self.lines,
            unreadable_lines: self.unreadable,
        }
    }
}

/// Whether two processes began within a second, so that both write into this file.
fn share_file(earlier: &RunBuilder, run: &RunBuilder) -> bool {
    let apart = || Some(run.facts.started?.ms_since(earlier.facts.started?));
    earlier.is_stamped()
        && earlier.facts.ended.is_none()
        && apart().is_some_and(|ms| (0..=SAME_FILE_MS).contains(&ms))
}

/// The stamp of a line that can be passed over; `None` where it cannot. Its stamp is well
/// formed, as it lies in `second`, and its message is one of those that repeat.
#[inline]
fn plain_line<'a>(head: &'a [u8; HEAD_LEN], second: &[u8; SECOND_LEN]) -> Option<&'a [u8; scan::STAMP_LEN]> {
    let (of_second, rest) = head.split_first_chunk::<SECOND_LEN>()?;
    let ([point, digits @ .., zone], rest) = rest.split_first_chunk::<5>()?;
    let (mark, rest) = rest.split_first_chunk::<20>()?;
    let plain = of_second == second
        && mark == STAMPED
        && (*point, *zone) == (b'.', b'Z')
        && digits.iter().all(u8::is_ascii_digit)
        && message::is_plain(rest.first_chunk()?);
    head.get(1..)?.first_chunk().filter(|_| plain)
}

/// A line of sixty of these characters.
fn is_rule(text: &[u8], character: &str) -> bool {
    let character = character.as_bytes();
    text.len() == 60 * character.len() && text.chunks_exact(character.len()).all(|c| c == character)
}

fn banner_level(text: &[u8]) -> Option<u8> {
    let (level, rest) = scan::number(text.strip_prefix(b"ANYCLAUDE DEBUG SESSION - Level ")?)?;
    u8::try_from(level).ok().filter(|_| rest.is_empty())
}

fn stamp_line(text: &[u8], name: &[u8]) -> Option<Timestamp> {
    Timestamp::from_unix_ms(scan::stamp(text.strip_prefix(name)?)?)
}

/// The last component of a Unix or Windows path.
fn file_name(path: &[u8]) -> Option<&str> {
    let path = std::str::from_utf8(path).ok()?.trim_ascii();
    let name = path.rsplit(['/', '\\']).next()?;
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests;
