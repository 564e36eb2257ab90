//! Writes the logs that an imagined proxy would: one event loop, one clock,
//! requests that overlap. What it wrote of each request it also returns.

#![allow(dead_code, reason = "each of the tests that share this uses a part of it")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write;

use anyclaude_traces::model::time::Timestamp;

/// 2025-11-16T02:30:45.000Z
pub(crate) const EPOCH_MS: i64 = 1_763_260_245_000;
const TIMEOUT_MS: i64 = 600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Stamped lines with a banner, at this level.
    Stamped(u8),
    /// October 2025, at this level.
    Bare(u8),
}

impl Form {
    pub(crate) fn level(self) -> u8 {
        match self {
            Self::Stamped(level) | Self::Bare(level) => level,
        }
    }

    fn stamped(self) -> bool {
        matches!(self, Self::Stamped(_))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Completes,
    Fails,
    TimesOut,
    /// The log has no end of it.
    Vanishes,
    /// The client closes the connection before the reply is there.
    Leaves,
    NotStreamed,
}

/// A request to write.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Milliseconds after the request before.
    pub(crate) after_ms: i64,
    pub(crate) model: u8,
    pub(crate) tools: u64,
    pub(crate) messages: u64,
    pub(crate) fate: Fate,
    /// The proxy is busy this long when it sends the request.
    pub(crate) busy_ms: i64,
    /// From the start of the stream to the first part with content.
    pub(crate) think_ms: i64,
    /// Between two parts.
    pub(crate) gap_ms: i64,
    pub(crate) deltas: u64,
    pub(crate) usage: bool,
}

/// What was written of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Truth {
    pub(crate) model: String,
    pub(crate) start: i64,
    pub(crate) stream_start: Option<i64>,
    pub(crate) ttft_ms: Option<i64>,
    pub(crate) total_ms: Option<i64>,
    /// When the answer in one piece was there.
    pub(crate) answered_ms: Option<i64>,
    /// When the client closed the connection before any end.
    pub(crate) left_ms: Option<i64>,
    pub(crate) keepalives: u64,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) parts: u64,
    pub(crate) usage: Option<(u64, u64)>,
    pub(crate) timed_out: bool,
    pub(crate) failed: bool,
    /// When the last line about it was written.
    pub(crate) last: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive,
    Answered,
    Keepalive,
    Part,
    Complete,
    Timeout,
    Error,
    Leave,
    SetClock(i64),
}

struct Stream {
    plan: Plan,
    truth: Truth,
    waiting: bool,
    first: Option<i64>,
    last_content: i64,
}

pub(crate) struct Writer {
    form: Form,
    text: String,
    now: i64,
    /// What the clock shows beyond `now`.
    offset: i64,
    due: BinaryHeap<Reverse<(i64, usize, Event)>>,
    streams: Vec<Stream>,
}

/// The log of these requests, and what it says. `steps` sets the clock:
/// (milliseconds after the beginning, by how much).
pub(crate) fn write_log(form: Form, plans: &[Plan], steps: &[(i64, i64)]) -> (String, Vec<Truth>) {
    let mut writer = Writer {
        form,
        text: String::new(),
        now: EPOCH_MS,
        offset: 0,
        due: BinaryHeap::new(),
        streams: Vec::new(),
    };
    if form.stamped() {
        writer.banner();
    }
    let mut at = EPOCH_MS;
    for (index, plan) in plans.iter().enumerate() {
        at += plan.after_ms;
        writer.due.push(Reverse((at, index, Event::Arrive)));
        writer.streams.push(Stream {
            plan: plan.clone(),
            truth: Truth::default(),
            waiting: false,
            first: None,
            last_content: 0,
        });
    }
    for &(at, by) in steps {
        writer.due.push(Reverse((EPOCH_MS + at, usize::MAX, Event::SetClock(by))));
    }
    let mut order = Vec::new();
    while let Some(Reverse((due, index, event))) = writer.due.pop() {
        writer.now = writer.now.max(due);
        if event == Event::Arrive {
            order.push(index);
        }
        writer.run(index, event);
    }
    let truths = order.into_iter().map(|index| writer.streams[index].truth.clone()).collect();
    (writer.text, truths)
}

fn iso(ms: i64) -> String {
    Timestamp::from_unix_ms(ms).map_or_else(String::new, |at| at.to_string())
}

impl Writer {
    fn clock(&self) -> i64 {
        self.now + self.offset
    }

    fn banner(&mut self) {
        let (thick, thin) = ("═".repeat(60), "─".repeat(60));
        let (level, at) = (self.form.level(), iso(self.now));
        let _ = write!(
            self.text,
            "{thick}\nANYCLAUDE DEBUG SESSION - Level {level}\nStarted: {at}\n{thick}\n\n\
             \n{thin}\nSESSION CONFIGURATION\n{thin}\nBackend Mode: lmstudio\nModel: lab/m0\n\
             Backend URL: http://localhost:1234/v1\nProxy URL: http://localhost:1\n\n\
             Configuration:\n{{\n  \"backend\": \"lmstudio\"\n}}\n{thin}\n\n"
        );
    }

    fn log(&mut self, level: u8, message: &str) {
        if level > self.form.level() {
            return;
        }
        if self.form.stamped() {
            let _ = write!(self.text, "[{}] ", iso(self.clock()));
        }
        let _ = writeln!(self.text, "[ANYCLAUDE DEBUG] {message}");
    }

    fn later(&mut self, after: i64, index: usize, event: Event) {
        self.due.push(Reverse((self.now + after, index, event)));
    }

    fn run(&mut self, index: usize, event: Event) {
        match event {
            Event::SetClock(by) => self.offset += by,
            Event::Arrive => self.arrive(index),
            Event::Answered => {
                let answered = self.clock() - self.streams[index].truth.start;
                self.streams[index].truth.answered_ms = Some(answered);
                self.log(1, "[streamText onFinish] Called, stop reason: stop");
            }
            Event::Keepalive => self.keepalive(index),
            Event::Part => self.part(index),
            Event::Complete => self.complete(index),
            Event::Timeout => self.timeout(index),
            Event::Error => self.error(index),
            Event::Leave => {
                let stream = &mut self.streams[index];
                stream.waiting = false;
                stream.truth.left_ms = Some(self.now + self.offset - stream.truth.start);
                self.log(1, "[Client Disconnect] Connection closed by client");
            }
        }
        if let Some(stream) = self.streams.get_mut(index) {
            stream.truth.last = self.now;
        }
    }

    fn arrive(&mut self, index: usize) {
        let plan = self.streams[index].plan.clone();
        let start = self.clock();
        let label = format!("lmstudio/lab/m{}", plan.model);
        self.streams[index].truth.model = format!("lab/m{}", plan.model);
        self.streams[index].truth.start = start;
        self.log(2, "[Prompt Cache] HIT - Skipping 12 characters of system prompt");
        // What users write can hold line breaks, and even look like a log.
        self.text.push_str("see [Request Complete] lmstudio/lab/m0: 5ms\n[Request Start] x/y at 2025\n");
        self.log(1, &format!("[Request Start] {label} at {}", iso(start)));
        let system = "we \\\"toolCount\\\":99 ".repeat(4);
        let max_tokens = if plan.fate == Fate::NotStreamed { 1 } else { 512 };
        self.log(
            1,
            &format!(
                "[Request Details] {label} {{\"system\":\"{system}...\",\"toolCount\":{},\"messageCount\":{},\"maxTokens\":{max_tokens},\"temperature\":1}}",
                plan.tools, plan.messages
            ),
        );
        if self.form.stamped() {
            self.log(
                1,
                &format!(
                    "[Prompt Overhead] {label} {{\"systemPrompt\":\"13.8KB (~3,524 tokens)\",\"tools\":\"38.4KB (~9,837 tokens, {} tools)\",\"userMessage\":\"5.4KB\",\"totalOverhead\":\"52.2KB (~13,361 tokens)\"}}",
                    plan.tools
                ),
            );
        }
        self.log(2, "[Full Request Body to Provider] {\"model\":\"lab/m0\",\"system\":\"cut in the mid");
        if self.form.level() >= 3 {
            self.log(3, "[Tool 1/1] Read {\n  \"description\": \"Reads\",\n  \"input_schema\": {\n    \"type\": \"object\"\n  }\n}");
        }
        self.now += plan.busy_ms;
        if self.form.stamped() {
            self.log(1, &format!("[streamText] About to call streamText for {label}"));
        }
        if plan.fate == Fate::NotStreamed {
            self.later(plan.think_ms, index, Event::Answered);
            return;
        }
        if self.form.stamped() {
            self.log(1, &format!("[Streaming] Starting stream conversion and pipe for {label}"));
        }
        let stream = &mut self.streams[index];
        stream.truth.stream_start = Some(self.now);
        stream.waiting = true;
        self.later(10_000, index, Event::Keepalive);
        self.later(1, index, Event::Part);
        match plan.fate {
            Fate::TimesOut => self.later(TIMEOUT_MS, index, Event::Timeout),
            Fate::Fails => self.later(plan.think_ms + plan.gap_ms, index, Event::Error),
            Fate::Leaves => self.later(plan.think_ms, index, Event::Leave),
            _ => {}
        }
    }

    fn keepalive(&mut self, index: usize) {
        let stream = &mut self.streams[index];
        let gone = stream.plan.fate == Fate::Vanishes && stream.truth.keepalives > 2;
        if stream.waiting && !gone {
            stream.truth.keepalives += 1;
            let number = stream.truth.keepalives;
            self.log(2, &format!("[Keepalive] Sent keepalive #{number} (waiting for [Local])"));
            self.later(10_000, index, Event::Keepalive);
        }
    }

    fn part(&mut self, index: usize) {
        let stream = &mut self.streams[index];
        if stream.truth.failed || stream.truth.timed_out || stream.truth.left_ms.is_some() {
            return;
        }
        let plan = stream.plan.clone();
        stream.truth.parts += 1;
        let number = stream.truth.parts;
        let deltas = plan.deltas;
        let kind = match number {
            1 => "start",
            2 => "start-step",
            3 if plan.tools > 20 => "reasoning-start",
            3 => "text-start",
            n if n <= 3 + deltas && plan.tools > 20 => "reasoning-delta",
            n if n <= 3 + deltas => "text-delta",
            n if n == 4 + deltas && plan.tools > 20 => "reasoning-end",
            n if n == 4 + deltas => "text-end",
            n if n == 5 + deltas => "finish-step",
            _ => "finish",
        };
        if kind == "finish-step" {
            self.log(1, "[streamText onFinish] Called, stop reason: stop");
        }
        if self.form.stamped() {
            self.log(1, &format!("[Stream Conversion] Received chunk {number} of type: {kind}"));
            self.log(1, &format!("[Stream Conversion] Raw chunk {number}: {{\"type\":\"{kind}\"}}"));
        }
        let event = match kind {
            "text-start" | "reasoning-start" => Some(("content_block_start", 117)),
            "text-delta" | "reasoning-delta" => Some(("content_block_delta", 118 + number % 7)),
            "text-end" | "reasoning-end" => Some(("content_block_stop", 60)),
            "finish-step" => Some(("message_delta", 180)),
            "finish" => Some(("message_stop", 53)),
            _ => None,
        };
        if let Some((event, bytes)) = event {
            self.write(index, event, bytes);
        }
        match kind {
            "start" => self.later(plan.think_ms, index, Event::Part),
            "start-step" | "finish-step" => self.later(0, index, Event::Part),
            "finish" => {
                self.log(1, &format!("[Stream Conversion] Stream complete. Total chunks: {number}"));
                self.later(0, index, Event::Complete);
            }
            _ if plan.fate == Fate::Vanishes && number > 2 + deltas / 2 => {}
            _ if plan.fate == Fate::Fails || plan.fate == Fate::TimesOut => {}
            _ => self.later(plan.gap_ms, index, Event::Part),
        }
    }

    /// One event goes to the client.
    fn write(&mut self, index: usize, event: &str, bytes: u64) {
        let clock = self.clock();
        let stream = &mut self.streams[index];
        stream.truth.events += 1;
        stream.truth.bytes += bytes;
        stream.waiting = false;
        let (number, total) = (stream.truth.events, stream.truth.bytes);
        let keepalives = stream.truth.keepalives;
        let usage = (1000 + stream.plan.messages, stream.plan.deltas);
        let first = event.starts_with("content_block") && stream.first.is_none();
        if first {
            stream.first = Some(clock);
            stream.truth.ttft_ms = Some(clock - stream.truth.start);
        }
        if matches!(event, "content_block_delta" | "content_block_stop") {
            stream.last_content = clock;
        }
        if event == "message_delta" && stream.plan.usage {
            stream.truth.usage = Some(usage);
        }
        let ttft = stream.truth.ttft_ms.unwrap_or_default();
        let counted = stream.truth.usage.filter(|_| event == "message_delta");
        if self.form.stamped() {
            if let Some((prompt, output)) = counted {
                self.log(2, &format!("[Cache Metrics] Captured usage from message_delta: {{\"input_tokens\":{prompt},\"output_tokens\":{output},\"cache_read_input_tokens\":0}}"));
            }
            self.log(
                2,
                &format!(
                    "[NodeWritable] Chunk #{number} of type: {event} ({bytes} bytes, total: {total} bytes)"
                ),
            );
            if first {
                self.log(2, &format!("[Timing] First token received at {ttft}ms"));
            }
        }
        self.log(2, &format!("[Keepalive] Cleared (stream started after {keepalives} keepalives)"));
        self.log(2, &format!("[Stream Chunk] {{\"type\":\"{event}\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\" word\"}}}}"));
        if self.form.stamped() {
            self.log(2, &format!("[NodeWritable] Written chunk type: {event}, buffer ok: true"));
        }
    }

    fn complete(&mut self, index: usize) {
        let clock = self.clock();
        let stream = &mut self.streams[index];
        let truth = &mut stream.truth;
        let total = clock - truth.start;
        truth.total_ms = Some(total);
        let mut line = format!("[Request Complete] lmstudio/{}: {total}ms", truth.model);
        let (events, bytes, usage) = (truth.events, truth.bytes, truth.usage);
        if self.form.stamped() {
            let _ = write!(line, " ({events} chunks, {bytes} bytes)");
            let seconds = (stream.last_content - stream.first.unwrap_or_default()) as f64 / 1000.0;
            if let Some((_, output)) = usage.filter(|_| seconds > 0.0) {
                let _ = write!(line, " | ⚡ {:.1} tok/s", output as f64 / seconds);
            }
        }
        self.now += i64::from(events % 3 == 0);
        self.log(1, &line);
        if let Some((prompt, output)) = usage.filter(|_| self.form.stamped()) {
            self.log(1, &format!("[Cache Metrics] Recorded streaming response metrics {{\"hash\":\"0f0f0f0f\",\"inputTokens\":{prompt},\"outputTokens\":{output},\"cacheReadTokens\":0,\"cacheCreationTokens\":0}}"));
        }
        self.log(1, "[Client Disconnect] Connection closed by client");
    }

    fn timeout(&mut self, index: usize) {
        let model = self.streams[index].truth.model.clone();
        self.streams[index].truth.timed_out = true;
        self.streams[index].waiting = false;
        self.log(1, &format!("[Timeout] Request to lmstudio/{model} exceeded {TIMEOUT_MS}ms"));
        self.log(1, &format!("Error for lmstudio/{model}: {{\"name\":\"AbortError\"}}"));
        self.log(1, "[Client Disconnect] Connection closed by client");
    }

    fn error(&mut self, index: usize) {
        let model = self.streams[index].truth.model.clone();
        self.streams[index].truth.failed = true;
        self.streams[index].waiting = false;
        self.log(1, &format!("Error for lmstudio/{model}: {{\"name\":\"AI_APICallError\",\"url\":\"http"));
        self.log(1, "[Client Disconnect] Connection closed by client");
    }
}
