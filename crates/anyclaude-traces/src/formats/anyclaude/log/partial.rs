//! The state of a request while its log is being read.

use std::sync::Arc;

use super::events::{LoggedStalls, StreamEvents};
use super::keepalives::Moment;
use super::message::{Complete, FinishStep, LoggedUsage};
use super::parts::{Deltas, Possible};
use super::types::LogRequest;
use crate::formats::scan;
use crate::model::LogFacts;
use crate::model::intern::Interner;
use crate::model::time::Timestamp;
use crate::model::timing::{Confidence, Outcome, PromptOverhead, TokenSource, TtftSource};

/// The provider and model of a request, shared by all requests of a run with the same.
#[derive(Debug, Clone)]
pub(super) struct ModelLabel {
    provider: Arc<str>,
    model: Arc<str>,
}

impl ModelLabel {
    /// Parses `provider/model`.
    pub(super) fn of(label: &str) -> Option<Self> {
        let (provider, model) = label.split_once('/')?;
        Some(Self { provider: provider.into(), model: model.into() })
    }
}

/// The facts known about a request so far. Times are milliseconds of the Unix epoch.
#[derive(Debug, Clone)]
pub(super) struct PartialRequest {
    /// Index of its `provider/model` among the labels of the run.
    pub(super) label: u32,
    pub(super) start: i64,
    /// When its stream began; only streamed requests have one.
    pub(super) stream_start: Option<i64>,
    /// The log goes on after it was sent, so a stream would have begun by now.
    pub(super) sent: bool,
    pub(super) confidence: Confidence,
    pub(super) end: Option<LoggedEnd>,
    pub(super) failed: bool,
    pub(super) timed_out: bool,
    /// The stamp of the line that logged its error or time-out.
    pub(super) aborted_at: Option<i64>,
    /// The words of its error.
    pub(super) error: Option<Box<str>>,
    /// When the client gave it up.
    pub(super) disconnected: Option<i64>,
    /// When its reply, which came in one piece, was complete.
    pub(super) whole_reply_at: Option<i64>,
    /// Its reply in one piece was complete at this time or before: that of several
    /// replies which cannot be told apart.
    pub(super) ended_by: Option<i64>,
    pub(super) stalls: Option<LoggedStalls>,
    /// Further facts from the log.
    pub(super) facts: LogFacts,
    /// From `[Timing]`; negative when the clock was set back.
    pub(super) first_token_ms: Option<i64>,
    pub(super) first_part: FirstPart,
    /// When its keepalives were sent.
    pub(super) keepalives: Vec<Moment>,
    /// The number of keepalives by the log's own count, where `keepalives` has another.
    pub(super) keepalives_confirmed: Option<u64>,
    /// The keepalives may be another request's.
    pub(super) keepalives_unsure: bool,
    pub(super) tool_count: Option<u64>,
    pub(super) message_count: Option<u64>,
    pub(super) max_tokens: Option<u64>,
    pub(super) prompt: Option<PromptOverhead>,
    pub(super) saved_trace: Option<String>,
}

/// Facts of the whole run that its requests need to be finished.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RunFacts {
    /// The debug level, where known; of two processes in one file the lower one.
    pub(super) level: Option<u8>,
    /// The stamp of its last line.
    pub(super) last_seen: Option<i64>,
    /// The backend counts cached tokens: at least one request had more than 0.
    pub(super) counts_cached_tokens: bool,
}

/// The first part with content, at level 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstPart {
    None,
    At(i64),
    Ambiguous,
}

/// The facts in `[Request Complete]` and in the lines around it.
#[derive(Debug, Default, Clone)]
pub(super) struct LoggedEnd {
    /// Duration as logged; negative when the clock was set back.
    pub(super) ms: i64,
    pub(super) events: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) tokens_per_second: Option<f64>,
    pub(super) parts: Option<u64>,
    pub(super) usage: Option<LoggedUsage>,
    /// The proxy guessed the prompt tokens itself.
    pub(super) prompt_estimated: bool,
    /// Its possible first parts, at level 1.
    pub(super) firsts: Possible,
    /// Its parts that carried pieces of the answer, at level 1.
    pub(super) deltas: Option<Deltas>,
    pub(super) finish: Option<FinishStep>,
    /// How many `[Request Complete]` lines the log had before its own; with stamps only.
    pub(super) number: u64,
    /// How many keepalives its last event says there were; without stamps only.
    pub(super) keepalives: Option<u64>,
}

impl LoggedEnd {
    pub(super) fn of(complete: &Complete<'_>) -> Self {
        Self {
            ms: complete.ms,
            events: complete.events,
            bytes: complete.bytes,
            tokens_per_second: complete.tokens_per_second,
            ..Self::default()
        }
    }

    /// Its usage, if the backend reported any: else the proxy logs its own guess of the prompt
    /// tokens and 0 output tokens.
    fn counted_usage(&self) -> Option<LoggedUsage> {
        self.usage.filter(|usage| usage.output > 0)
    }

    /// Takes its last step, unless its counts show that it is another request's.
    fn own_finish(&mut self) -> Option<FinishStep> {
        let usage = self.counted_usage();
        let agrees = |counted: Option<u64>, usage: u64| counted.is_none_or(|counted| counted == usage);
        self.finish.take().filter(|finish| {
            usage.is_none_or(|usage| {
                agrees(finish.prompt, usage.prompt) && agrees(finish.output, usage.output)
            })
        })
    }
}

impl PartialRequest {
    pub(super) fn new(label: u32, start: i64) -> Self {
        Self {
            label,
            start,
            stream_start: None,
            sent: false,
            confidence: Confidence::Exact,
            end: None,
            failed: false,
            timed_out: false,
            aborted_at: None,
            error: None,
            disconnected: None,
            whole_reply_at: None,
            ended_by: None,
            stalls: None,
            facts: LogFacts::default(),
            first_token_ms: None,
            first_part: FirstPart::None,
            keepalives: Vec::new(),
            keepalives_confirmed: None,
            keepalives_unsure: false,
            tool_count: None,
            message_count: None,
            max_tokens: None,
            prompt: None,
            saved_trace: None,
        }
    }

    /// Whether anything shows that its reply was streamed.
    pub(super) fn is_streamed(&self) -> bool {
        self.stream_start.is_some() || self.end.is_some() || self.first_token_ms.is_some()
    }

    /// When it ended; `None` where that is unknown.
    pub(super) fn ended_at(&self) -> Option<i64> {
        let completed = self.end.as_ref().map(|end| self.start.saturating_add(end.ms));
        self.aborted_at.or(completed).or(self.disconnected).or(self.whole_reply_at)
    }

    /// Takes over the facts from its stream's events.
    pub(super) fn take_events(&mut self, events: StreamEvents) {
        self.stalls = events.stalls();
        if let Some(end) = &mut self.end {
            end.usage = events.usage;
            end.finish = events.finish;
        }
    }

    /// Whether its stream can still have waited at `at`.
    pub(super) fn waited_at(&self, at: i64) -> bool {
        let waited = self.first_token_ms.or(self.end.as_ref().map(|end| end.ms));
        waited.is_none_or(|ms| self.start.saturating_add(ms) >= at)
    }

    /// Whether it is a quota probe: it asks for one token, in one piece.
    pub(super) fn is_probe(&self) -> bool {
        self.max_tokens == Some(1)
    }

    /// Sets the confidence, unless it is already lower.
    pub(super) fn lower_confidence(&mut self, confidence: Confidence) {
        self.confidence = self.confidence.max(confidence);
    }

    /// Whether the backend counted tokens that it took from its cache.
    pub(super) fn has_cached_tokens(&self) -> bool {
        let Some(end) = &self.end else { return false };
        let usage = end.usage.and_then(|usage| usage.cache_read);
        usage.or(end.finish.as_ref().and_then(|finish| finish.cached)) > Some(0)
    }

    /// Takes over the JSON of `[Request Details]`.
    pub(super) fn details(&mut self, json: &[u8]) {
        self.tool_count = scan::member_number(json, "toolCount").or(self.tool_count);
        self.message_count = scan::member_number(json, "messageCount").or(self.message_count);
        self.max_tokens = scan::member_number(json, "maxTokens").or(self.max_tokens);
    }

    /// Takes over the JSON of `[Prompt Overhead]`.
    pub(super) fn overhead(&mut self, json: &[u8]) {
        let prompt = || {
            let tools = scan::member_text(json, "tools")?;
            Some(PromptOverhead {
                system_chars: token_figure(scan::member_text(json, "systemPrompt")?)?.checked_mul(4)?,
                tools_chars: token_figure(tools)?.checked_mul(4)?,
                user_message_chars: scan::member_text(json, "userMessage").and_then(kilobytes),
                tool_count: tools_figure(tools),
            })
        };
        self.prompt = prompt().or(self.prompt);
        self.tool_count = self.tool_count.or(self.prompt.and_then(|prompt| prompt.tool_count));
    }

    /// The finished request.
    pub(super) fn finish(
        mut self,
        label: &ModelLabel,
        run: &RunFacts,
        models: &mut Interner<str>,
    ) -> Option<LogRequest> {
        let start = Timestamp::from_unix_ms(self.start)?;
        let streamed = if self.is_streamed() { Some(true) } else { self.sent.then_some(false) };
        let outcome = self.outcome(streamed);
        let (ttft_ms, ttft_source) = self.ttft().unzip();
        let total_ms = self.total_ms(outcome);
        let keepalives = self.counts_keepalives(run, streamed, outcome).then(|| self.keepalives_so_far());
        let backend_ms =
            self.ended_at().or(self.ended_by).or(run.last_seen).and_then(|at| self.since_start(at));
        let mut end = self.end.take().unwrap_or_default();
        let usage = end.counted_usage();
        let finish = end.own_finish().unwrap_or_default();
        let prompt_tokens =
            usage.map(|usage| usage.prompt).filter(|&prompt| prompt > 0 && !end.prompt_estimated);
        let reported = usage.map(|usage| (usage.output, TokenSource::Usage));
        let derived = || {
            let tokens = derived_tokens(end.tokens_per_second?, total_ms?, ttft_ms?)?;
            Some((tokens, TokenSource::Derived))
        };
        let (output_tokens, output_tokens_source) = reported.or_else(derived).unzip();
        let cached_tokens = usage.and_then(|usage| usage.cache_read).or(finish.cached);
        let facts = LogFacts {
            cached_tokens: cached_tokens.filter(|_| run.counts_cached_tokens).into(),
            reasoning_tokens: finish.reasoning.into(),
            backend_ms: backend_ms.into(),
            keepalives_so_far: self.keepalives_so_far(),
            ..self.stream_facts(streamed, end.deltas)
        };
        Some(LogRequest {
            provider: label.provider.clone(),
            model: label.model.clone(),
            start,
            streamed,
            outcome,
            confidence: self.confidence,
            ttft_ms: ttft_ms.into(),
            ttft_source,
            ttft_ambiguous: ttft_ms.is_none() && self.first_part == FirstPart::Ambiguous,
            total_ms: total_ms.into(),
            keepalives: keepalives.into(),
            events: end.events.into(),
            event_bytes: end.bytes.into(),
            parts: end.parts.into(),
            prompt_tokens: prompt_tokens.into(),
            prompt_tokens_source: prompt_tokens.map(|_| TokenSource::Usage),
            output_tokens: output_tokens.into(),
            output_tokens_source,
            response_model: finish.model.map(|model| models.once(&model)),
            error: self.error.map(String::from),
            facts: Box::new(facts),
            reported_tokens_per_second: end.tokens_per_second,
            tool_count: self.tool_count.into(),
            message_count: self.message_count.into(),
            max_tokens: self.max_tokens.into(),
            prompt: self.prompt.map(Box::new),
            saved_trace: self.saved_trace,
            proxy: None,
        })
    }

    fn since_start(&self, at: i64) -> Option<u64> {
        unsigned(at.saturating_sub(self.start))
    }

    /// How long it took; of an answer that did not come in a stream, until that was complete.
    fn total_ms(&self, outcome: Outcome) -> Option<u64> {
        match outcome {
            Outcome::Disconnected | Outcome::NotStreamed => {
                self.disconnected.or(self.whole_reply_at).and_then(|at| self.since_start(at))
            }
            _ => self.end.as_ref().and_then(|end| unsigned(end.ms)),
        }
    }

    fn keepalives_so_far(&self) -> u64 {
        self.keepalives_confirmed.unwrap_or(self.keepalives.len() as u64)
    }

    /// Whether the log has all of its keepalives, and they are known to be its own.
    fn counts_keepalives(&self, run: &RunFacts, streamed: Option<bool>, outcome: Outcome) -> bool {
        let has_end = !matches!(outcome, Outcome::Unfinished | Outcome::NotStreamed);
        let are_own = !self.keepalives_unsure || self.keepalives_confirmed.is_some();
        run.level >= Some(2) && streamed == Some(true) && has_end && are_own
    }

    /// Takes its further facts, with those of its stream: by its events, else by its parts.
    fn stream_facts(&mut self, streamed: Option<bool>, deltas: Option<Deltas>) -> LogFacts {
        let stalls = self.stalls.filter(|_| streamed == Some(true));
        let by_events = stalls.map(|stalls| (stalls.text_chunks, stalls.reasoning_chunks));
        let by_parts = deltas.map(|deltas| (deltas.all, deltas.reasoning));
        let (text_chunks, reasoning_chunks) = by_events.or(by_parts).unzip();
        LogFacts {
            stall_ms: stalls.map(|stalls| stalls.ms).into(),
            stalls: stalls.map(|stalls| stalls.count).into(),
            text_chunks: text_chunks.into(),
            reasoning_chunks: reasoning_chunks.into(),
            streamed_reasoning: stalls.map(|stalls| stalls.reasoning),
            ..std::mem::take(&mut self.facts)
        }
    }

    /// How it ended.
    fn outcome(&self, streamed: Option<bool>) -> Outcome {
        match &self.end {
            _ if self.timed_out => Outcome::TimedOut,
            _ if self.failed => Outcome::Failed,
            Some(_) => Outcome::Completed,
            None if self.disconnected.is_some() => Outcome::Disconnected,
            None if streamed == Some(false) => Outcome::NotStreamed,
            None => Outcome::Unfinished,
        }
    }

    /// The time to the first token, and what tells it: the proxy's own line before the first
    /// part that it received.
    fn ttft(&self) -> Option<(u64, TtftSource)> {
        if let Some(ms) = self.first_token_ms.and_then(unsigned) {
            return Some((ms, TtftSource::Timing));
        }
        let FirstPart::At(at) = self.first_part else { return None };
        Some((unsigned(at.saturating_sub(self.start))?, TtftSource::FirstPart))
    }
}

fn unsigned(ms: i64) -> Option<u64> {
    u64::try_from(ms).ok()
}

fn derived_tokens(per_second: f64, total_ms: u64, ttft_ms: u64) -> Option<u64> {
    let tokens = (per_second * total_ms.checked_sub(ttft_ms)? as f64 / 1000.0).round();
    (tokens < 1e15).then_some(tokens as u64)
}

/// `9837` from `38.4KB (~9,837 tokens, 17 tools)`. How digits are grouped depends on the
/// user's locale.
fn token_figure(text: &[u8]) -> Option<u64> {
    let from = memchr::memchr(b'~', text)? + 1;
    let to = memchr::memmem::find(text, b" tokens")?;
    let digits: Vec<u8> = text.get(from..to)?.iter().copied().filter(u8::is_ascii_digit).collect();
    scan::number(&digits).map(|(value, _)| value)
}

/// `17` from `38.4KB (~9,837 tokens, 17 tools)`.
fn tools_figure(text: &[u8]) -> Option<u64> {
    let text = text.strip_suffix(b" tools)")?;
    let at = memchr::memrchr(b' ', text)?;
    scan::number(text.get(at + 1..)?).map(|(value, _)| value)
}

/// Characters from `5.4KB`.
fn kilobytes(text: &[u8]) -> Option<u64> {
    let kilobytes = scan::decimal(text.strip_suffix(b"KB")?)?;
    (kilobytes < 1e12).then_some((kilobytes * 1024.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_after_the_edits() {
        let mut partial = PartialRequest::new(0, 0);
        partial.overhead(br#"{"systemPrompt":"13.8KB (~3,524 tokens)","tools":"38.4KB (~9.837 tokens, 17 tools)","userMessage":"5.4KB","totalOverhead":"52.2KB (~13"#);
        let prompt = partial.prompt.unwrap();
        assert_eq!(prompt.system_chars, 14_096);
        assert_eq!(prompt.tools_chars, 39_348);
        assert_eq!(prompt.user_message_chars, Some(5530));
        assert_eq!(partial.tool_count, Some(17));
        partial.overhead(b"{\"systemPrompt\":\"13.8K");
        assert_eq!(partial.prompt, Some(prompt), "a cut line takes nothing back");
    }

    #[test]
    fn details_that_are_cut_leave_the_rest_unknown() {
        let mut partial = PartialRequest::new(0, 0);
        partial.details(br#"{"system":"you are","toolCount":3,"messageCount":2,"maxTok"#);
        assert_eq!((partial.tool_count, partial.message_count, partial.max_tokens), (Some(3), Some(2), None));
    }

    fn finished(end: LoggedEnd, level: u8) -> LogRequest {
        let mut partial = PartialRequest::new(0, 1_000);
        partial.stream_start = Some(1_001);
        partial.first_token_ms = Some(500);
        partial.end = Some(end);
        let run = RunFacts { level: Some(level), ..RunFacts::default() };
        partial.finish(&ModelLabel::of("local/a/b").unwrap(), &run, &mut Interner::default()).unwrap()
    }

    #[test]
    fn tokens_come_from_usage_or_from_the_pace() {
        let end = LoggedEnd { ms: 2_500, tokens_per_second: Some(10.0), ..LoggedEnd::default() };
        let derived = finished(end.clone(), 2);
        assert_eq!((&*derived.provider, &*derived.model), ("local", "a/b"));
        assert_eq!(
            (derived.output_tokens.get(), derived.output_tokens_source),
            (Some(20), Some(TokenSource::Derived))
        );
        assert_eq!(derived.prompt_tokens, None);
        assert_eq!(derived.keepalives, Some(0));
        let usage = LoggedUsage { prompt: 90, output: 21, cache_read: Some(0) };
        let counted = finished(LoggedEnd { usage: Some(usage), ..end.clone() }, 1);
        assert_eq!(
            (counted.output_tokens.get(), counted.output_tokens_source),
            (Some(21), Some(TokenSource::Usage))
        );
        assert_eq!((counted.prompt_tokens.get(), counted.facts.cached_tokens.get()), (Some(90), None));
        assert_eq!(counted.keepalives, None);
        let guessed = finished(LoggedEnd { usage: Some(usage), prompt_estimated: true, ..end }, 1);
        assert_eq!((guessed.prompt_tokens.get(), guessed.output_tokens.get()), (None, Some(21)));
    }

    #[test]
    fn a_clock_set_back_gives_no_negative_times() {
        let end = LoggedEnd { ms: -5, events: Some(3), ..LoggedEnd::default() };
        let request = finished(end, 2);
        assert_eq!((request.total_ms.get(), request.outcome), (None, Outcome::Completed));
    }
}
