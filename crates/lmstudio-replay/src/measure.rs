//! Measures one answer as it arrives.

use std::time::Instant;

use anyclaude_traces::formats::sse::{EventReader, SseEvent};
use anyclaude_traces::model::stats::Stats;
use serde_json::Value;

use crate::error::{AnswerLimit, Error};
use crate::events::{self, Delta, DeltaContent, TokenUsage};
use crate::http::HttpAnswer;
use crate::progress::ProgressHandle;
use crate::run::{Api, ChunkGap, Figures, Run, ServerTimings, three_decimals};
use crate::server_message::{message_in, message_in_body};
use crate::surrogates::replace_lone_surrogates;

/// Reads an answer to its end and measures it. What was measured before an error is
/// returned with it.
pub(crate) fn measure(
    api: Api,
    answer: Result<HttpAnswer, Error>,
    max_tokens: u64,
    keep_text: bool,
    progress: &ProgressHandle,
) -> (Run, Option<Error>) {
    let mut answer = match answer {
        Ok(answer) => answer,
        Err(error) => return (Run::default(), Some(error)),
    };
    let mut measured = MeasuredAnswer::new(api, answer.sent(), MeasureLimits::of(max_tokens), keep_text);
    let error = read_answer(&mut answer, &mut measured, progress).err();
    (measured.into_run(), error)
}

fn read_answer(
    answer: &mut HttpAnswer,
    measured: &mut MeasuredAnswer,
    progress: &ProgressHandle,
) -> Result<(), Error> {
    if let Some(error) = answer.redirect() {
        return Err(error);
    }
    if answer.status != 200 {
        let document = answer.document()?;
        return Err(refusal(measured.api, answer.status, &document));
    }
    read_body(answer, measured, progress)
}

/// Where the body of an answer comes from.
pub(crate) trait BodySource {
    /// Reads what comes next; 0 at the end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error>;
    /// Reads all the rest.
    fn rest(&mut self) -> Result<Vec<u8>, Error>;
    /// Starts the timeout anew.
    fn reset_timeout(&self);
    /// The time.
    fn now(&self) -> Instant;
}

impl BodySource for HttpAnswer {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        Self::read(self, buffer)
    }

    fn rest(&mut self) -> Result<Vec<u8>, Error> {
        Self::rest(self)
    }

    fn reset_timeout(&self) {
        Self::reset_timeout(self);
    }

    fn now(&self) -> Instant {
        Instant::now()
    }
}

/// How much of an answer is read. A server that never ends its stream would
/// otherwise keep the program for ever: every event starts the timeout anew.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MeasureLimits {
    max_tokens: u64,
    events: u64,
    bytes: u64,
}

impl MeasureLimits {
    /// Generous: servers send about one event of less than a kilobyte per token, and a
    /// few around them. The caps bound memory whatever the user asks for.
    pub(crate) fn of(max_tokens: u64) -> Self {
        Self {
            max_tokens,
            events: max_tokens.saturating_mul(4).saturating_add(10_000).min(4_000_000),
            bytes: max_tokens.saturating_mul(8_000).saturating_add(16_000_000).min(1_000_000_000),
        }
    }

    fn exceeded(self, limit: AnswerLimit) -> Error {
        Error::Endless { limit, max_tokens: self.max_tokens }
    }
}

/// The longest event that is read. Those of language models are below a kilobyte.
const MAX_EVENT_BYTES: usize = 8_000_000;

fn garbage(error: impl ToString) -> Error {
    Error::Garbage(error.to_string())
}

pub(crate) fn read_body(
    answer: &mut impl BodySource,
    measured: &mut MeasuredAnswer,
    progress: &ProgressHandle,
) -> Result<(), Error> {
    let mut buffer = vec![0; 64 << 10];
    let mut reader = EventReader::new(MAX_EVENT_BYTES);
    let mut beginning = Some(Beginning::default());
    loop {
        let read = answer.read(&mut buffer)?;
        let now = answer.now();
        let mut bytes = buffer.get(..read).unwrap_or_default();
        if read == 0 {
            break;
        }
        if let Some(at) = beginning.as_mut().and_then(|beginning| beginning.end(bytes)) {
            beginning = None;
            if bytes.get(at) == Some(&b'{') {
                let mut document = bytes.get(at..).unwrap_or_default().to_vec();
                document.extend(answer.rest()?);
                return measured.document(&String::from_utf8_lossy(&document), answer.now());
            }
        }
        measured.count_bytes(read)?;
        while let Some(event) = reader.read_event(&mut bytes).map_err(garbage)? {
            if measured.event(&event, now, progress, || answer.reset_timeout())? {
                return Ok(());
            }
        }
    }
    let now = answer.now();
    let last = reader.finish().map_err(garbage)?;
    match last.map(|event| measured.event(&event, now, progress, || ())) {
        Some(Ok(true)) => Ok(()),
        _ if measured.has_events => Err(Error::Unfinished),
        _ => Err(Error::NoSuchPath {
            path: measured.api.path(),
            message: "what came back is no event stream".to_owned(),
        }),
    }
}

/// Finds where white space and a byte order mark at the beginning of an answer end:
/// the next byte tells a document from a stream.
#[derive(Default)]
struct Beginning {
    bytes: usize,
}

impl Beginning {
    /// Where in the next bytes it ends.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        let (from, mark) = (self.bytes, b"\xef\xbb\xbf");
        self.bytes += bytes.len();
        let begins = |at: usize, byte: &u8| b" \t\r\n".contains(byte) || mark.get(from + at) == Some(byte);
        bytes.iter().enumerate().position(|(at, byte)| !begins(at, byte))
    }
}

/// The error of an answer that is not a stream. Judged by its shape more than by its
/// status, as servers answer unknown paths with 200 as well as 404.
fn refusal(api: Api, status: u16, document: &str) -> Error {
    let message = message_in_body(document);
    let parsed: Option<Value> = serde_json::from_str(document).ok();
    let member = |name| parsed.as_ref().and_then(|value| value.get(name));
    let speaks_anthropic = member("type") == Some(&"error".into());
    let about_a_model = message.to_lowercase().contains("model");
    let says_so = message.to_lowercase().contains("unexpected endpoint");
    let looks_absent = match status {
        200 => member("error").is_some_and(Value::is_string),
        404 | 405 | 501 => !speaks_anthropic,
        _ => false,
    };
    if says_so || (looks_absent && !about_a_model) {
        return Error::NoSuchPath { path: api.path(), message };
    }
    Error::Refused { status, message }
}

/// What is known of an answer so far.
pub(crate) struct MeasuredAnswer {
    api: Api,
    sent: Instant,
    limits: MeasureLimits,
    /// Bytes read.
    bytes: u64,
    /// Events read, without pings.
    events: u64,
    first: Option<Instant>,
    first_answer: Option<Instant>,
    last: Option<Instant>,
    closed: Option<Instant>,
    gaps_ms: Vec<f64>,
    usage: TokenUsage,
    stop_reason: Option<String>,
    server: Option<ServerTimings>,
    text: Option<String>,
    has_events: bool,
}

impl MeasuredAnswer {
    pub(crate) fn new(api: Api, sent: Instant, limits: MeasureLimits, keep_text: bool) -> Self {
        Self {
            api,
            sent,
            limits,
            bytes: 0,
            events: 0,
            first: None,
            first_answer: None,
            last: None,
            closed: None,
            gaps_ms: Vec::new(),
            usage: TokenUsage::default(),
            stop_reason: None,
            server: None,
            text: keep_text.then(String::new),
            has_events: false,
        }
    }

    fn count_bytes(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        let limit = self.limits.bytes;
        if self.bytes > limit { Err(self.limits.exceeded(AnswerLimit::Bytes(limit))) } else { Ok(()) }
    }

    fn count_event(&mut self) -> Result<(), Error> {
        self.events += 1;
        let limit = self.limits.events;
        if self.events > limit { Err(self.limits.exceeded(AnswerLimit::Events(limit))) } else { Ok(()) }
    }

    /// Takes an event; whether it closes the stream.
    fn event(
        &mut self,
        event: &SseEvent<'_>,
        now: Instant,
        progress: &ProgressHandle,
        reset_timeout: impl Fn(),
    ) -> Result<bool, Error> {
        let delta = events::read(self.api, event)?;
        self.has_events = true;
        if !delta.is_ping {
            self.count_event()?;
            reset_timeout();
        }
        if let Some(content) = &delta.content {
            progress.delta(now);
            self.content(content, now);
        }
        Ok(self.take(delta, now))
    }

    /// Takes an answer that came as one document: it has a total, but no first token.
    fn document(&mut self, document: &str, now: Instant) -> Result<(), Error> {
        let parsed: Option<Value> = serde_json::from_str(&replace_lone_surrogates(document)).ok();
        let whole = parsed.as_ref().and_then(|document| events::read_document(self.api, document));
        match (whole, &parsed) {
            (Some(delta), _) => {
                self.take(delta, now);
                Ok(())
            }
            (None, Some(value)) if message_in(value).is_some() => Err(refusal(self.api, 200, document)),
            _ => Err(Error::Garbage("what came back is neither a stream nor an answer".to_owned())),
        }
    }

    fn content(&mut self, content: &DeltaContent, now: Instant) {
        self.first.get_or_insert(now);
        if let DeltaContent::Answer(text) = content {
            self.first_answer.get_or_insert(now);
            if let Some(kept) = &mut self.text {
                kept.push_str(text);
            }
        }
        if let Some(last) = self.last.replace(now) {
            self.gaps_ms.push(ms_between(last, now));
        }
    }

    fn take(&mut self, delta: Delta, now: Instant) -> bool {
        self.usage.merge(delta.usage);
        self.stop_reason = delta.stop_reason.or(self.stop_reason.take());
        self.server = delta.server.or(self.server);
        if delta.closes {
            self.closed = Some(now);
        }
        delta.closes
    }

    pub(crate) fn into_run(self) -> Run {
        let since_sent = |at: Option<Instant>| at.map(|at| ms_between(self.sent, at));
        let generation_ms = self.first.zip(self.last).map(|(first, last)| ms_between(first, last));
        let output_tokens = self.usage.output_tokens();
        let gap = Stats::of(self.gaps_ms.iter().copied());
        let figures = Figures {
            ttft_ms: since_sent(self.first),
            ttfo_ms: since_sent(self.first_answer),
            total_ms: since_sent(self.closed),
            prompt_tokens: self.usage.prompt_tokens(),
            cached_tokens: self.usage.cached_tokens(),
            output_tokens,
            output_tokens_per_second: output_tokens.zip(generation_ms).and_then(|(n, ms)| per_second(n, ms)),
            chunk_gap_ms: gap.map(|gap| ChunkGap { p50: gap.p50, p95: gap.p95, max: gap.max }),
        };
        Run { figures, stop_reason: self.stop_reason, server: self.server, error: None, text: self.text }
    }
}

/// `(n − 1) ÷ time`; `None` where that is no speed.
fn per_second(tokens: u64, ms: f64) -> Option<f64> {
    #[allow(clippy::cast_precision_loss, reason = "token counts stay far below 2^53")]
    let steps = tokens.checked_sub(1).filter(|steps| *steps > 0)? as f64;
    (ms > 0.0).then(|| three_decimals(steps * 1000.0 / ms))
}

fn ms_between(from: Instant, to: Instant) -> f64 {
    three_decimals(to.saturating_duration_since(from).as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    /// The run of an answer whose events come at these milliseconds.
    fn run(api: Api, events: &[(u64, Value)]) -> Run {
        let (sent, progress) = (Instant::now(), ProgressHandle::default());
        let mut measured = MeasuredAnswer::new(api, sent, MeasureLimits::of(256), true);
        for (ms, data) in events {
            let data = data.to_string();
            measured
                .event(&SseEvent::new(None, &data), sent + Duration::from_millis(*ms), &progress, || ())
                .unwrap();
        }
        measured.into_run()
    }

    #[test]
    fn times_run_from_the_first_delta_that_carries_something() {
        let delta = |delta: Value| json!({ "type": "content_block_delta", "delta": delta });
        let text = |text: &str| delta(json!({ "type": "text_delta", "text": text }));
        let found = run(
            Api::Anthropic,
            &[
                (10, json!({ "type": "message_start", "message": { "usage": { "input_tokens": 7 } } })),
                (20, json!({ "type": "ping" })),
                (30, text("")),
                (100, delta(json!({ "type": "thinking_delta", "thinking": "Hm." }))),
                (300, text("a")),
                (350, text("b")),
                (380, json!({ "type": "message_delta", "delta": {}, "usage": { "output_tokens": 6 } })),
                (400, json!({ "type": "message_stop" })),
            ],
        );
        let expected = Figures {
            ttft_ms: Some(100.0),
            ttfo_ms: Some(300.0),
            total_ms: Some(400.0),
            prompt_tokens: Some(7),
            cached_tokens: None,
            output_tokens: Some(6),
            // 5 more tokens in 250 ms.
            output_tokens_per_second: Some(20.0),
            chunk_gap_ms: Some(ChunkGap { p50: 50.0, p95: 200.0, max: 200.0 }),
        };
        assert_eq!(found.figures, expected);
        assert_eq!(found.text.as_deref(), Some("ab"));
        let medians = Figures::medians(&[found.clone(), Run::default(), found]);
        assert_eq!(medians, expected, "what a run lacks does not count");
    }

    #[test]
    fn what_came_at_once_has_no_speed_and_what_did_not_end_no_total() {
        let text = |text: &str| json!({ "choices": [{ "delta": { "content": text } }] });
        let usage = json!({ "choices": [], "usage": { "prompt_tokens": 7, "completion_tokens": 2 } });
        let found = run(Api::Openai, &[(5, text("a")), (5, text("b")), (6, usage)]).figures;
        assert_eq!((found.ttft_ms, found.ttfo_ms, found.total_ms), (Some(5.0), Some(5.0), None));
        assert_eq!(found.output_tokens_per_second, None);
        assert_eq!(found.chunk_gap_ms, Some(ChunkGap { p50: 0.0, p95: 0.0, max: 0.0 }));
    }

    #[test]
    fn the_shape_tells_an_unknown_path_from_a_refusal() {
        let unknown =
            |status, document| matches!(refusal(Api::Anthropic, status, document), Error::NoSuchPath { .. });
        assert!(unknown(200, r#"{"error":"Unexpected endpoint or method. (POST /v1/messages)"}"#));
        assert!(unknown(
            404,
            r#"{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}"#
        ));
        assert!(unknown(404, "404 page not found"));
        assert!(unknown(405, ""));
        assert!(!unknown(
            404,
            r#"{"type":"error","error":{"type":"not_found_error","message":"no model x"}}"#
        ));
        assert!(!unknown(400, r#"{"error":{"message":"the context is too short"}}"#));
        assert!(!unknown(404, r#"{"error":{"message":"model x not found"}}"#));
        assert!(!unknown(200, r#"{"error":"no models loaded"}"#));
        assert!(!unknown(200, r#"{"error":{"message":"the context is too short"}}"#));
        assert!(!unknown(500, "oops"));
    }

    #[test]
    fn a_speed_needs_two_tokens_and_some_time() {
        assert_eq!(per_second(11, 500.0), Some(20.0));
        assert_eq!(per_second(1, 500.0), None);
        assert_eq!(per_second(0, 500.0), None);
        assert_eq!(per_second(11, 0.0), None);
    }
}
