//! The messages of one process → its requests.

use std::collections::HashMap;

use super::message::{self, Complete, Message};
use super::partial::{End, ModelLabel, PartialRequest, RunFacts};
use super::scan;
use super::stamped::Stamped;
use super::types::{LogRequest, LogRun};
use super::unstamped::Unstamped;
use crate::model::LogFacts;
use crate::model::intern::Interner;
use crate::model::time::Timestamp;

/// The last event of every reply.
const LAST_EVENT: &[u8] = br#"[Stream Chunk] {"type":"message_stop""#;

/// How the lines of a run are tied to its requests.
#[derive(Debug)]
enum Attribution {
    Stamped(Box<Stamped>),
    Unstamped(Box<Unstamped>),
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineOutcome {
    /// It was read, or there is nothing to read in it.
    Read,
    /// It should say something, and does not read.
    Unreadable,
    /// It was read, and fits none of the run's requests.
    Stray,
}

impl LineOutcome {
    fn of(fits: bool) -> Self {
        if fits { Self::Read } else { Self::Stray }
    }
}

/// The label that a message names, if it names one.
#[derive(Debug, Clone, Copy, Default)]
struct LabelRef(Option<u32>);

/// A run while its lines are being read.
#[derive(Debug)]
pub(super) struct RunBuilder {
    /// What the banner and the configuration say; its requests come last.
    pub(super) facts: LogRun,
    /// Whether a banner began it.
    pub(super) has_banner: bool,
    /// The level of another process that writes into the same file at the same time:
    /// requests of this run may be of that one.
    pub(super) other_level: Option<u8>,
    attribution: Attribution,
    partials: Vec<PartialRequest>,
    labels: Vec<Option<ModelLabel>>,
    label_index: HashMap<String, u32>,
    /// The lowest level that explains the lines seen.
    level_seen: u8,
    /// Stamp of the last line, as it stands there.
    last_stamp: [u8; scan::STAMP_LEN],
    /// `Total chunks` of the stream that ended last; used without stamps only.
    parts: Option<u64>,
    /// Keepalives of the event being sent; used without stamps only.
    cleared: Option<u64>,
    prompt_estimated: bool,
    /// The line before this one handed the latest request over to the backend.
    calling: bool,
    /// The next line is the raw `finish-step` chunk.
    finish_follows: bool,
    /// What lines without a prefix continue now.
    continued: Continued,
    /// What the proxy changed in the request whose start comes next.
    edits: LogFacts,
}

/// JSON that goes on behind its line, as it does at level 3.
#[derive(Debug, Default)]
enum Continued {
    #[default]
    Nothing,
    Error,
    FinishStep(Vec<u8>),
}

/// So much of the `finish-step` chunk is read.
const MAX_FINISH_BYTES: usize = 4096;

impl RunBuilder {
    pub(super) fn new(stamped: bool) -> Self {
        let attribution = if stamped {
            Attribution::Stamped(Box::default())
        } else {
            Attribution::Unstamped(Box::default())
        };
        Self {
            facts: LogRun {
                started: None,
                last_seen: None,
                ended: None,
                stamped,
                level: None,
                mode: None,
                configured_model: None,
                detected_model: None,
                context_length_tokens: None,
                backend_url: None,
                log_bytes: 0,
                log_lines: 0,
                unattributed_lines: 0,
                requests: Vec::new(),
                saved_traces: Vec::new(),
                debug_log: None,
            },
            has_banner: false,
            other_level: None,
            attribution,
            partials: Vec::new(),
            labels: Vec::new(),
            label_index: HashMap::new(),
            level_seen: 0,
            last_stamp: [0; scan::STAMP_LEN],
            parts: None,
            cleared: None,
            prompt_estimated: false,
            calling: false,
            finish_follows: false,
            continued: Continued::default(),
            edits: LogFacts::default(),
        }
    }

    pub(super) fn is_stamped(&self) -> bool {
        matches!(self.attribution, Attribution::Stamped(_))
    }

    /// Whether messages that repeat for every token change nothing here now.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        match &self.attribution {
            Attribution::Stamped(open) => {
                self.level_seen >= 2
                    && !self.calling
                    && !self.finish_follows
                    && open.after_first_token.is_none()
            }
            Attribution::Unstamped(_) => false,
        }
    }

    /// Takes note of the last line that was passed over.
    #[inline]
    pub(super) fn passed(&mut self, stamp: &[u8; scan::STAMP_LEN]) {
        self.last_stamp = *stamp;
    }

    /// Reads a message of a stamped line.
    #[inline]
    pub(super) fn stamped_message(&mut self, stamp: &[u8; scan::STAMP_LEN], text: &[u8]) -> LineOutcome {
        self.last_stamp = *stamp;
        let message = message::read(text);
        if self.calling {
            self.calling = false;
            if let Some(partial) = self.partials.last_mut() {
                partial.sent = true;
            }
        }
        self.continued = Continued::Nothing;
        let finish_follows = std::mem::take(&mut self.finish_follows);
        let Attribution::Stamped(open) = &mut self.attribution else { return LineOutcome::Read };
        match message {
            Message::Noise => {
                self.level_seen = self.level_seen.max(1);
                open.after_first_token = None;
                LineOutcome::Read
            }
            Message::NoiseOfLevel(level) => {
                self.level_seen = self.level_seen.max(level);
                if let Some(index) = open.after_first_token.take()
                    && let Some(count) = message::keepalives_cleared(text)
                {
                    open.keepalives_cleared(index, count, &mut self.partials);
                }
                LineOutcome::Read
            }
            Message::Written => {
                self.level_seen = self.level_seen.max(2);
                if let (Some(event), Some(at)) = (message::written(text), scan::stamp(stamp)) {
                    open.events.written(event, at);
                }
                LineOutcome::Read
            }
            // They tell first tokens only where no line names them.
            Message::Part if self.level_seen >= 2 => {
                open.after_first_token = None;
                self.finish_follows = message::is_finish_step(text);
                open.events.reasoning |= message::is_reasoning_start(text);
                LineOutcome::Read
            }
            Message::FinishStep(json) => {
                open.after_first_token = None;
                if finish_follows {
                    open.events.finish = Some(message::finish_step(json));
                    self.continued = Continued::FinishStep(json.to_vec());
                }
                LineOutcome::Read
            }
            message => match scan::stamp(stamp) {
                Some(at) => self.stamped_fact(message, text, at),
                None => LineOutcome::Unreadable,
            },
        }
    }

    fn stamped_fact(&mut self, message: Message<'_>, text: &[u8], at: i64) -> LineOutcome {
        self.level_seen = self.level_seen.max(1);
        let Some(LabelRef(label)) = self.label(&message) else {
            return LineOutcome::Stray;
        };
        let Attribution::Stamped(open) = &mut self.attribution else { return LineOutcome::Read };
        if !matches!(message, Message::FirstToken { .. }) {
            open.after_first_token = None;
        }
        let partials = &mut self.partials;
        let fits = match message {
            Message::Unreadable => return LineOutcome::Unreadable,
            Message::Start { at, .. } => {
                if Timestamp::from_unix_ms(at).is_none() {
                    return LineOutcome::Unreadable;
                }
                open.start(partials.len(), at);
                let facts = std::mem::take(&mut self.edits);
                partials.push(PartialRequest { facts, ..PartialRequest::new(label.unwrap_or_default(), at) });
                true
            }
            Message::Calling => {
                self.calling = true;
                true
            }
            Message::Streaming { .. } => open.streaming(label.unwrap_or_default(), at, partials),
            Message::Part => {
                let Some((number, kind)) = message::part(text) else { return LineOutcome::Unreadable };
                open.parts.part(number, kind, at);
                true
            }
            Message::PartsEnd { parts } => {
                open.stream_end(at, parts);
                true
            }
            Message::FirstToken { ms } => {
                self.level_seen = self.level_seen.max(2);
                open.first_token(at, ms, partials)
            }
            Message::KeepaliveSent { number } => {
                self.level_seen = self.level_seen.max(2);
                open.keepalive(number, at, partials)
            }
            Message::UsageCaptured(usage) => {
                self.level_seen = self.level_seen.max(2);
                open.events.captured = Some(usage);
                true
            }
            Message::Complete(complete) => {
                open.complete(label.unwrap_or_default(), at, end_of(&complete), partials)
            }
            Message::UsageEstimated => {
                if let Some(end) = open.last_complete.and_then(|index| partials.get_mut(index)?.end.as_mut())
                {
                    end.prompt_estimated = true;
                }
                true
            }
            Message::UsageRecorded(usage) => {
                let index = open.last_complete.take();
                let end = index.and_then(|index| partials.get_mut(index)?.end.as_mut());
                end.map(|end| end.usage = Some(usage)).is_some()
            }
            Message::Timeout { after_ms, .. } => {
                open.timeout(label.unwrap_or_default(), at, after_ms, partials)
            }
            Message::Failed { words, .. } => {
                self.continued = Continued::Error;
                open.failure(label, at, words, partials)
            }
            Message::Finished { reason } => {
                open.ends.finished(at, reason);
                true
            }
            Message::Closed => {
                open.ends.closed(at);
                true
            }
            Message::Latency { ms } => {
                open.latency(at, ms, partials);
                true
            }
            other => {
                self.plain_fact(&other);
                true
            }
        };
        LineOutcome::of(fits)
    }

    /// Reads a message of a line without a stamp.
    pub(super) fn unstamped_message(&mut self, text: &[u8]) -> LineOutcome {
        let message = message::read(text);
        self.level_seen = self.level_seen.max(match message {
            Message::NoiseOfLevel(level) => level,
            Message::KeepaliveSent { .. } => 2,
            _ => 1,
        });
        let Some(LabelRef(label)) = self.label(&message) else {
            return LineOutcome::Stray;
        };
        let Attribution::Unstamped(open) = &mut self.attribution else { return LineOutcome::Read };
        let partials = &mut self.partials;
        let fits = match message {
            Message::Unreadable => return LineOutcome::Unreadable,
            Message::Start { at, .. } => {
                if Timestamp::from_unix_ms(at).is_none() {
                    return LineOutcome::Unreadable;
                }
                let index = partials.len();
                open.start(index, at, partials);
                let mut partial = PartialRequest::new(label.unwrap_or_default(), at);
                partial.facts = std::mem::take(&mut self.edits);
                partial.keepalives_unsure = true;
                partials.push(partial);
                true
            }
            Message::PartsEnd { parts } => {
                self.parts = Some(parts);
                true
            }
            Message::KeepaliveSent { .. } => true,
            Message::NoiseOfLevel(_) => {
                if text.starts_with(LAST_EVENT) {
                    open.stopped(self.cleared.take());
                } else {
                    self.cleared = message::keepalives_cleared(text).or(self.cleared);
                }
                true
            }
            Message::Complete(complete) => {
                let end = End { parts: self.parts.take(), ..end_of(&complete) };
                open.complete(label.unwrap_or_default(), end);
                true
            }
            Message::UsageEstimated => {
                self.prompt_estimated = true;
                true
            }
            Message::UsageRecorded(usage) => {
                let estimated = std::mem::take(&mut self.prompt_estimated);
                if let Some(end) = open.last_end().filter(|end| end.usage.is_none()) {
                    end.usage = Some(usage);
                    end.prompt_estimated = estimated;
                }
                true
            }
            Message::Timeout { after_ms, .. } => open.timeout(label.unwrap_or_default(), after_ms, partials),
            Message::Failed { words, .. } => open.failure(label, partials.len(), words),
            other => {
                self.plain_fact(&other);
                true
            }
        };
        LineOutcome::of(fits)
    }

    /// What needs no attribution: the sizes that follow a start at once, and
    /// what concerns the whole process.
    fn plain_fact(&mut self, message: &Message<'_>) {
        match *message {
            Message::Details(json) => {
                if let Some(partial) = self.partials.last_mut() {
                    partial.details(json);
                }
            }
            Message::Overhead(json) => {
                if let Some(partial) = self.partials.last_mut() {
                    partial.overhead(json);
                }
            }
            Message::Detected { model } => self.facts.detected_model = Some(model.to_owned()),
            Message::ContextLength { tokens } => self.facts.context_length_tokens = Some(tokens),
            Message::Edit(ref edit) => {
                let latest = self.partials.last_mut();
                let unsent = latest.filter(|partial| !partial.sent && partial.stream_start.is_none());
                let stamped = matches!(self.attribution, Attribution::Stamped(_));
                let own = unsent.filter(|_| stamped && !self.calling);
                let facts = own.map(|partial| &mut partial.facts);
                edit.clone().apply(facts.unwrap_or(&mut self.edits));
            }
            _ => {}
        }
    }

    /// Reads a line without a prefix, which may continue the JSON of the line before.
    pub(super) fn continuation(&mut self, text: &[u8]) {
        let Attribution::Stamped(open) = &mut self.attribution else { return };
        match &mut self.continued {
            Continued::Nothing => {}
            Continued::Error => open.continue_failure(text),
            Continued::FinishStep(json) if json.len() < MAX_FINISH_BYTES => {
                json.extend_from_slice(text);
                json.push(b'\n');
                open.events.finish = Some(message::finish_step(json));
            }
            Continued::FinishStep(_) => {}
        }
    }

    /// Standard error names a trace that was saved, which happens between a
    /// start and anything else.
    pub(super) fn saved_trace(&mut self, file_name: &str) {
        let stamp = Timestamp::from_file_name(file_name).map(Timestamp::unix_ms);
        if let Attribution::Unstamped(open) = &mut self.attribution {
            if let Some(partial) = self.partials.last_mut().filter(|partial| partial.saved_trace.is_none())
                && stamp.is_none_or(|stamp| (-2..5_000).contains(&stamp.saturating_sub(partial.start)))
            {
                partial.saved_trace = Some(file_name.to_owned());
            }
            if let Some(stamp) = stamp {
                open.instant(stamp, &mut self.partials);
            }
        }
        self.facts.saved_traces.push(file_name.to_owned());
    }

    /// The index of the label that a message names. Only starts make new ones;
    /// `None` where no start had this one, so that it fits no request.
    fn label(&mut self, message: &Message<'_>) -> Option<LabelRef> {
        let (label, begins) = match *message {
            Message::Start { label, .. } => (label, true),
            Message::Streaming { label } | Message::Timeout { label, .. } => (label, false),
            Message::Complete(complete) => (complete.label, false),
            Message::Failed { label: Some(label), .. } => (label, false),
            _ => return Some(LabelRef::default()),
        };
        if let Some(&index) = self.label_index.get(label) {
            return Some(LabelRef(Some(index)));
        }
        if !begins {
            return None;
        }
        let index = u32::try_from(self.labels.len()).ok()?;
        self.labels.push(ModelLabel::of(label));
        self.label_index.insert(label.to_owned(), index);
        Some(LabelRef(Some(index)))
    }

    /// The finished run.
    pub(super) fn finish(mut self) -> LogRun {
        let mut facts = self.facts;
        facts.level = facts.level.or(Some(self.level_seen).filter(|level| *level > 0));
        let lost = match self.attribution {
            Attribution::Stamped(open) => open.finish(&mut self.partials),
            Attribution::Unstamped(open) => open.finish(&mut self.partials),
        };
        facts.unattributed_lines += lost;
        let labels = self.labels;
        let run = RunFacts {
            level: facts.level.map(|level| self.other_level.map_or(level, |other| other.min(level))),
            last_seen: scan::stamp(&self.last_stamp)
                .or_else(|| self.partials.iter().map(|partial| partial.start).max()),
            counts_cached_tokens: self.partials.iter().any(PartialRequest::has_cached_tokens),
        };
        let mut models = Interner::default();
        let finish = |partial: PartialRequest| -> Option<LogRequest> {
            let label = labels.get(partial.label as usize)?.as_ref()?;
            partial.finish(label, &run, &mut models)
        };
        facts.requests = self.partials.into_iter().filter_map(finish).collect();
        // Requests take the place of their partials, which were larger.
        facts.requests.shrink_to_fit();
        let first_start = facts.requests.first().map(|request| request.start);
        facts.started = facts.started.or(first_start);
        let last = scan::stamp(&self.last_stamp).and_then(Timestamp::from_unix_ms);
        let last_start = facts.requests.iter().map(|request| request.start).max();
        facts.last_seen = facts.ended.or(last).or(last_start).or(facts.started);
        facts
    }
}

fn end_of(complete: &Complete<'_>) -> End {
    End {
        ms: complete.ms,
        events: complete.events,
        bytes: complete.bytes,
        tokens_per_second: complete.tokens_per_second,
        ..End::default()
    }
}
