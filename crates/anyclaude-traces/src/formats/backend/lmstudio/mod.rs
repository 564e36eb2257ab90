//! The log of LM Studio's server, in its three forms.
//!
//! The file, with a head on the first line of each message:
//! ```text
//! [2026-06-24 13:09:41][INFO][qwen3-27b] Prompt processing progress: 85.6%
//! ```
//! The copy of the log window, with head and text on two lines:
//! ```text
//! 2026-06-24 13:09:41  [INFO]
//!  [qwen3-27b] Prompt processing progress: 85.6%
//! ```
//! And the stream of `lms log stream --json`, with milliseconds:
//! ```text
//! {"timestamp":1782306581203,"data":{"type":"server.log","content":"[2026-06-24 13:09:41][INFO]…"}}
//! ```
//!
//! Heads are local time, to the second. A message goes on over the lines that have no head:
//! a body or an answer as indented JSON, or more lines of an engine. What the engines say
//! stands between the server's own lines: llama.cpp's as in its own server's log, MLX's and
//! Splash's in words of their own.

mod block;
mod bodies;
mod event;
mod figures;
mod head;
mod message;
mod open;
mod requests;
mod state;

use std::mem;

use block::{LmStudioBlock, LmStudioBlockKind, MAX_BODY_BYTES, has_cut_strings};
pub(crate) use bodies::{BodySink, NoBodies};
use event::LmStudioEvent;
use figures::LmStudioFigures;
use head::{Head, Tagged};
use message::{EngineMessage, LmStudioMessage};
use requests::Requests;

use super::llama::{Engine, may_lack_digits};
use super::local_clock::LocalClock;
use super::types::{BackendFormat, BackendLog, BackendMoment, FileEnd, LoggedBody};
use crate::formats::body::Body;
use crate::formats::json::cursor::Cursor;
use crate::formats::json::scratch::Scratch;
use crate::formats::lines::{LINE_LIMIT, LineSink, LineSplitter, LogLine};
use crate::formats::scan;

/// Whether a line is the first of a message in this log.
pub(crate) fn is_own_line(line: &[u8]) -> bool {
    let near = line.get(..128).unwrap_or(line);
    let is_event = line.starts_with(b"{\"timestamp\"") && memchr::memmem::find(near, b"\"data\":{").is_some();
    is_event || Head::read(line).is_some()
}

/// Reads the log of LM Studio's server in chunks of any size, in any of its forms.
///
/// It never fails: lines that should hold a fact and cannot be read are counted. Apart from
/// the tasks themselves it uses a constant amount of memory, which is that of one body.
///
/// ```
/// use anyclaude_traces::formats::backend::LmStudioParser;
///
/// let mut parser = LmStudioParser::new();
/// parser.feed(b"[2026-06-24 13:09:41][DEBUG] Received request: POST to /v1/messages with body {\n");
/// parser.feed(b"  \"model\": \"small\",\n  \"stream\": true\n}\n\
///     [2026-06-24 13:09:41][INFO][small-4bit] Running chat completion on conversation with 2 messages.\n\
///     [2026-06-24 13:09:44][INFO][small-4bit] Prompt processing progress: 100.0%\n\
///     [2026-06-24 13:09:50][INFO][small-4bit] Finished streaming response\n");
/// let log = parser.finish();
/// let task = &log.tasks[0];
/// assert_eq!((task.requested_model.as_deref(), task.model.as_deref()), (Some("small"), Some("small-4bit")));
/// assert_eq!(task.ended.unwrap().ms_since(task.received.unwrap()), Some(9_000));
/// ```
#[derive(Debug, Clone)]
pub struct LmStudioParser {
    splitter: LineSplitter,
    state: LmStudioState,
}

impl Default for LmStudioParser {
    fn default() -> Self {
        Self { splitter: LineSplitter::default(), state: LmStudioState::new() }
    }
}

impl LmStudioParser {
    /// A parser at the beginning of a file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next bytes of the file.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.feed_to(chunk, &mut NoBodies::default());
    }

    /// The same; bodies go to `bodies`.
    pub(crate) fn feed_to(&mut self, chunk: &[u8], bodies: &mut dyn BodySink) {
        self.state.log.bytes += chunk.len() as u64;
        self.splitter.feed(chunk, &mut LmStudioLines { state: &mut self.state, bodies });
    }

    /// Ends the file and returns what it holds.
    #[must_use]
    pub fn finish(self) -> BackendLog {
        self.finish_to(&mut NoBodies::default())
    }

    /// The same; bodies go to `bodies`.
    pub(crate) fn finish_to(mut self, bodies: &mut dyn BodySink) -> BackendLog {
        self.splitter.finish(&mut LmStudioLines { state: &mut self.state, bodies });
        self.state.finish()
    }

    /// Goes on with the file that the server wrote next. It begins one when the day ends or
    /// the file is full, whatever it is working on: a request of the one may end in the other.
    pub(crate) fn next_file(&mut self, bodies: &mut dyn BodySink) {
        mem::take(&mut self.splitter).finish(&mut LmStudioLines { state: &mut self.state, bodies });
        self.state.next_file();
    }

    /// Ends the last file: what each of them holds. A request is in the file with its
    /// beginning.
    pub(crate) fn finish_files(mut self, bodies: &mut dyn BodySink) -> Vec<BackendLog> {
        self.splitter.finish(&mut LmStudioLines { state: &mut self.state, bodies });
        let mut ends = mem::take(&mut self.state.ends);
        let log = self.state.finish();
        ends.push(log.end([None; 2]));
        log.by_file(&ends)
    }
}

/// The first line of a text, and what follows its end.
fn first_line(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'\n', text) {
        Some(end) => (text.get(..end).unwrap_or_default(), text.get(end + 1..)),
        None => (text, None),
    }
}

#[derive(Debug, Clone)]
struct LmStudioState {
    log: BackendLog,
    requests: Requests,
    engine: Engine,
    /// Slot and task that the engine launched last, while it works on it.
    newest: Option<(u64, u64)>,
    /// The same, where no request has it.
    untied: Option<(u64, u64)>,
    clock: LocalClock,
    /// When the current message was written, …
    at: Option<BackendMoment>,
    /// … and what its head says of that: a stream has more exact times beside.
    shown_second: Option<i64>,
    is_error: bool,
    /// The text of the message comes on the next line.
    awaits_text: bool,
    block: Option<LmStudioBlock>,
    /// The tag of the message that the block is in.
    block_tag: Option<Vec<u8>>,
    /// Request lines of this file so far.
    received: u32,
    /// How much there was at the end of each file before this one.
    ends: Vec<FileEnd>,
    memory: Vec<u8>,
    scratch: Scratch,
}

/// The state, with the receiver of bodies.
struct LmStudioLines<'s> {
    state: &'s mut LmStudioState,
    bodies: &'s mut dyn BodySink,
}

impl LineSink for LmStudioLines<'_> {
    /// Takes what is inside a block at once: most of a log with bodies.
    #[inline]
    fn skip(&mut self, text: &[u8]) -> usize {
        let Some(block) = &mut self.state.block else { return 0 };
        let (length, lines) = block.indented(text);
        self.state.log.lines += lines;
        length
    }

    fn line(&mut self, line: LogLine<'_>) {
        self.state.log.lines += 1;
        if may_lack_digits(&line) {
            self.state.log.unreadable_lines += 1;
            return;
        }
        let is_event = line.bytes.starts_with(b"{\"timestamp\"");
        if !is_event && (self.state.block.is_some() || !line.bytes.starts_with(b"{")) {
            return self.text_line(line.bytes, None);
        }
        let mut scratch = mem::take(&mut self.state.scratch);
        let event =
            simdutf8::basic::from_utf8(line.bytes).ok().and_then(|line| event::read(line, &mut scratch));
        self.state.scratch = scratch;
        match event {
            Some((at, event)) => self.event(BackendMoment::Instant(at), event),
            None if is_event => self.state.log.unreadable_lines += 1,
            None => {}
        }
    }

    fn limit(&self, beginning: &[u8]) -> usize {
        const LONG: [&[u8]; 3] = [b" with body", b"Generated packet: {", b"Generated prediction: {"];
        let near = beginning.get(..512).unwrap_or(beginning);
        let is_long = beginning.starts_with(b"{")
            || self.state.block.as_ref().is_some_and(|block| block.kind != LmStudioBlockKind::Other)
            || LONG.iter().any(|words| memchr::memmem::find(near, words).is_some());
        if is_long { MAX_BODY_BYTES } else { LINE_LIMIT }
    }
}

impl LmStudioLines<'_> {
    fn event(&mut self, at: BackendMoment, event: LmStudioEvent<'_>) {
        let state = &mut *self.state;
        state.log.known_lines += 1;
        match event {
            LmStudioEvent::Log { model, content } => {
                state.awaits_text = false;
                let (first, mut rest) = first_line(content.as_bytes());
                if state.block.is_none() && Head::read(first).is_none() {
                    // An engine's line, which has its model beside it.
                    (state.at, state.shown_second, state.is_error) = (Some(at), None, false);
                    self.message(model.as_deref().map(str::as_bytes), first);
                } else {
                    self.text_line(first, Some(at));
                }
                while let Some(text) = rest {
                    let block = self.state.block.as_mut();
                    let inside = block.map_or(0, |block| block.indented(text).0);
                    let (line, behind) = first_line(text.get(inside..).unwrap_or_default());
                    self.text_line(line, Some(at));
                    rest = behind;
                }
            }
            LmStudioEvent::Input { model } => {
                state.requests.predicting(model.as_bytes(), Some(at), &mut state.log)
            }
            LmStudioEvent::Output { model, stats } => {
                let figures = LmStudioFigures::of_stats(stats.as_bytes());
                state.requests.predicted(model.as_bytes(), figures, Some(at), &mut state.log);
            }
            LmStudioEvent::Other => {}
        }
    }

    /// A line of the log; one of an event has its time.
    fn text_line(&mut self, line: &[u8], event_at: Option<BackendMoment>) {
        if let Some(head) = Head::read(line) {
            self.close_block(false);
            let state = &mut *self.state;
            if event_at.is_none() {
                state.log.known_lines += 1;
            }
            let at = event_at.unwrap_or_else(|| state.clock.at(head.local_seconds));
            (state.at, state.is_error) = (Some(at), head.is_error);
            state.shown_second = Some(head.local_seconds);
            state.awaits_text = head.text.is_empty();
            if !state.awaits_text {
                self.message(None, head.text);
            }
        } else if let Some(block) = &mut self.state.block {
            if block.line(line) {
                self.close_block(true);
            }
        } else if mem::take(&mut self.state.awaits_text) {
            self.message(None, line);
        } else {
            self.act(None, LmStudioMessage::continued(line));
        }
    }

    /// The first line of a message.
    fn message(&mut self, model: Option<&[u8]>, text: &[u8]) {
        let Tagged { tag, text } = Tagged::read(text);
        if self.state.is_error {
            return self.error(tag, text);
        }
        let message = LmStudioMessage::read(tag, text);
        self.act(model.or(tag), message);
    }

    fn act(&mut self, tag: Option<&[u8]>, message: LmStudioMessage<'_>) {
        let state = &mut *self.state;
        let (at, log, requests) = (state.at, &mut state.log, &mut state.requests);
        match message {
            LmStudioMessage::Received { path, body } => self.received(path, body),
            LmStudioMessage::Running { messages } => requests.running(tag, messages, at, log),
            LmStudioMessage::Streaming => requests.answering(tag, true),
            LmStudioMessage::Accumulating => requests.answering(tag, false),
            LmStudioMessage::FirstToken => requests.first_token(tag, at),
            LmStudioMessage::Progress(percent) => {
                requests.progress(tag, percent, at, state.untied.take(), log)
            }
            LmStudioMessage::Packet(b"{") => self.begin_block(LmStudioBlockKind::Packet, tag),
            LmStudioMessage::Packet(packet) => {
                if packet.starts_with(b"{") && !packet.ends_with(b"}") {
                    log.unreadable_lines += 1;
                }
                let id = scan::member_text(packet, "id");
                requests.packet(tag, id, LmStudioFigures::of_answer(packet));
            }
            LmStudioMessage::Prediction(b"{") => self.begin_block(LmStudioBlockKind::Answer, tag),
            LmStudioMessage::Prediction(answer) => {
                requests.ended(tag, false, LmStudioFigures::of_answer(answer), at, log);
            }
            LmStudioMessage::Finished => requests.ended(tag, true, None, at, log),
            LmStudioMessage::Disconnected => requests.disconnected(at),
            LmStudioMessage::Loading { model } => requests.loading(model, at, log),
            LmStudioMessage::Restarted => state.end_server(),
            LmStudioMessage::Block => self.begin_block(LmStudioBlockKind::Other, tag),
            LmStudioMessage::Engine(message) => self.engine(tag, message),
            LmStudioMessage::Unreadable => log.unreadable_lines += 1,
            LmStudioMessage::Other => {}
        }
    }

    /// A request line. Only a whole body is shown to the visitor.
    fn received(&mut self, path: &[u8], body: &[u8]) {
        let state = &mut *self.state;
        let request = state.received;
        state.received += 1;
        state.requests.received(request, path, state.at, &mut state.log);
        if let Some(task) = state.requests.of_line(request) {
            task.shown_second = state.shown_second;
        }
        match body.first() {
            Some(b'{') if body == b"{" => self.begin_block(LmStudioBlockKind::Body, None),
            Some(b'{') => {
                self.body(request, body, true);
                self.state.scratch.known.keep_copy(body);
            }
            Some(b'[') => self.set_body(request, |_| LoggedBody::Hidden),
            Some(_) => self.set_body(request, |_| LoggedBody::NotJson),
            None => {}
        }
    }

    fn set_body(&mut self, request: u32, set: impl FnOnce(&mut super::types::BackendTask) -> LoggedBody) {
        if let Some(task) = self.state.requests.of_line(request) {
            task.body = Some(set(task));
        }
    }

    fn body(&mut self, request: u32, json: &[u8], is_closed: bool) {
        let is_cut = !is_closed || has_cut_strings(json);
        let mut scratch = mem::take(&mut self.state.scratch);
        let read = simdutf8::basic::from_utf8(json).ok().filter(|_| is_closed).and_then(|text| {
            let mut cursor = Cursor::comparing(text, &mut scratch);
            let body = if is_cut {
                Body::read(&mut cursor, &mut ())
            } else {
                Body::read(&mut cursor, &mut self.bodies.visitor(request))
            };
            body.and_then(|body| cursor.end().map(|()| body)).ok()
        });
        self.state.scratch = scratch;
        let Some(body) = read else {
            if !is_cut {
                self.state.log.unreadable_lines += 1;
            }
            return self.set_body(request, |task| {
                // What can be made out of a body that is no JSON.
                task.requested_model =
                    scan::member_text(json, "model").map(|model| String::from_utf8_lossy(model).into());
                let stream = scan::member(json, "stream");
                task.stream = stream.map(|value| value.starts_with(b"true"));
                if is_cut { LoggedBody::Cut } else { LoggedBody::NotJson }
            });
        };
        self.set_body(request, |task| {
            task.requested_model.clone_from(&body.model);
            (task.stream, task.max_tokens) = (Some(body.stream), body.max_tokens);
            task.message_count = body.sizes.message_count.get();
            task.tool_count = body.sizes.tool_count.get();
            if is_cut { LoggedBody::Cut } else { LoggedBody::Whole }
        });
        if !is_cut {
            self.bodies.body(request, body);
        }
    }

    fn begin_block(&mut self, kind: LmStudioBlockKind, tag: Option<&[u8]>) {
        let state = &mut *self.state;
        state.block_tag = tag.map(<[u8]>::to_vec);
        state.block = Some(LmStudioBlock::begin(kind, b"{", &mut state.memory));
    }

    /// A block is closed, or ends where another message begins.
    fn close_block(&mut self, is_closed: bool) {
        let Some(block) = self.state.block.take() else { return };
        let tag = self.state.block_tag.take();
        let (tag, json) = (tag.as_deref(), block.text().unwrap_or_default());
        let is_whole = is_closed && block.text().is_some();
        let state = &mut *self.state;
        let at = state.at;
        if !is_whole && block.kind != LmStudioBlockKind::Other {
            state.log.unreadable_lines += 1;
        }
        match block.kind {
            LmStudioBlockKind::Body => {
                let request = state.received.saturating_sub(1);
                self.body(request, json, is_whole);
            }
            LmStudioBlockKind::Answer => {
                state.requests.ended(tag, false, LmStudioFigures::of_answer(json), at, &mut state.log)
            }
            LmStudioBlockKind::Packet => {
                state.requests.packet(tag, scan::member_text(json, "id"), LmStudioFigures::of_answer(json));
            }
            LmStudioBlockKind::Error => {
                let words = scan::member_text(json, "message").unwrap_or_default();
                state.requests.failed(tag, words, at, &mut state.log);
            }
            LmStudioBlockKind::Other => {}
        }
        let is_body = block.kind == LmStudioBlockKind::Body;
        self.state.memory = block.into_memory();
        if is_body {
            self.state.scratch.known.keep_text(&mut self.state.memory);
        }
    }

    /// A message of the level of errors. Most are about a request.
    fn error(&mut self, tag: Option<&[u8]>, text: &[u8]) {
        let state = &mut *self.state;
        let is_of_server = tag == Some(b"Server Error");
        if is_of_server && text.ends_with(b"{") {
            return self.begin_block(LmStudioBlockKind::Error, None);
        }
        let tag = if is_of_server { None } else { tag };
        if is_of_server || text.starts_with(b"Error") || tag.is_some_and(|tag| state.requests.know(tag)) {
            state.requests.failed(tag, text, state.at, &mut state.log);
        }
        if matches!(text.last(), Some(b'{' | b'[')) {
            self.begin_block(LmStudioBlockKind::Other, None);
        }
    }

    fn engine(&mut self, tag: Option<&[u8]>, message: EngineMessage<'_>) {
        let state = &mut *self.state;
        let (at, requests) = (state.at, &mut state.requests);
        match message {
            EngineMessage::CacheRestored { cached, uncached } => {
                requests.cache(tag, Some(cached), None, Some(uncached));
            }
            EngineMessage::CacheUsed { cached, prompt } => {
                requests.cache(tag, Some(cached), Some(prompt), None)
            }
            EngineMessage::PromptTokens(prompt) => requests.cache(tag, None, Some(prompt), None),
            EngineMessage::TokensToRead(tokens) => requests.cache(tag, None, None, Some(tokens)),
            EngineMessage::Begins => requests.engine_begins(at),
            EngineMessage::HasRead => requests.first_token(None, at),
            EngineMessage::Read { ms, tokens } => requests.engine_took(|task| {
                (task.read_ms, task.read_tokens) = (Some(ms), Some(tokens));
            }),
            EngineMessage::Written { ms, runs } => requests.engine_took(|task| {
                task.write_ms = Some(ms);
                // The first token was written by the run that read the prompt's end.
                task.output_tokens = task.output_tokens.or(runs.checked_add(1));
            }),
            EngineMessage::Done(done) => requests.done(&done),
            EngineMessage::Line(line) => state.engine_line(line),
        }
    }
}

impl LmStudioState {
    fn new() -> Self {
        Self {
            log: BackendLog::new(BackendFormat::LmStudio),
            requests: Requests::default(),
            engine: Engine::of_several(),
            newest: None,
            untied: None,
            clock: LocalClock::default(),
            at: None,
            shown_second: None,
            is_error: false,
            awaits_text: false,
            block: None,
            block_tag: None,
            received: 0,
            ends: Vec::new(),
            memory: Vec::new(),
            scratch: Scratch::default(),
        }
    }
}

#[cfg(test)]
mod tests;
