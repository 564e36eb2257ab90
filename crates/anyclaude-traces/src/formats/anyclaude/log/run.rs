//! Builds the requests of one process from its messages.

use std::collections::HashMap;

use super::message::{self, LoggedMessage};
use super::partial::{ModelLabel, PartialRequest, RunFacts};
use super::stamped::Stamped;
use super::types::{LogRequest, LogRun};
use super::unstamped::Unstamped;
use crate::formats::scan;
use crate::model::LogFacts;
use crate::model::intern::Interner;
use crate::model::time::Timestamp;

/// How the lines of a run are tied to its requests, by the format of its log.
#[derive(Debug, Clone)]
enum Attribution {
    Stamped(Box<Stamped>),
    Unstamped(Box<Unstamped>),
}

/// The result of reading a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineOutcome {
    /// It was read, or holds nothing to read.
    Read,
    /// It should hold a fact, and cannot be read.
    Unreadable,
    /// It was read, and fits none of the run's requests.
    Stray,
}

/// The index of the label in a message; `None` where the message has no label.
#[derive(Debug, Clone, Copy, Default)]
struct LabelRef(Option<u32>);

/// A run while its lines are being read.
#[derive(Debug, Clone)]
pub(super) struct RunBuilder {
    /// The facts from the banner and the configuration. Requests are added at the end.
    pub(super) facts: LogRun,
    /// Whether a banner began it.
    pub(super) has_banner: bool,
    /// The debug level of another process that writes into the same file at the same time;
    /// requests of this run may belong to that process.
    pub(super) other_level: Option<u8>,
    attribution: Attribution,
    partials: Vec<PartialRequest>,
    labels: Vec<Option<ModelLabel>>,
    label_index: HashMap<String, u32>,
    /// The lowest level that explains the lines seen.
    level_seen: u8,
    /// Stamp of the last line, as it stands there.
    last_stamp: [u8; scan::STAMP_LEN],
    /// The proxy's edits of the request whose start is logged next.
    edits: LogFacts,
}

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
            edits: LogFacts::default(),
        }
    }

    pub(super) fn is_stamped(&self) -> bool {
        matches!(self.attribution, Attribution::Stamped(_))
    }

    /// Whether messages that repeat for every token can be passed over now: nothing waits for
    /// the next line.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        match &self.attribution {
            Attribution::Stamped(stamped) => self.level_seen >= 2 && !stamped.awaits_line(),
            Attribution::Unstamped(_) => false,
        }
    }

    /// Notes the stamp of the last line that was passed over.
    #[inline]
    pub(super) fn passed(&mut self, stamp: &[u8; scan::STAMP_LEN]) {
        self.last_stamp = *stamp;
    }

    /// Reads a message of a stamped line.
    #[inline]
    pub(super) fn stamped_message(&mut self, stamp: &[u8; scan::STAMP_LEN], text: &[u8]) -> LineOutcome {
        self.last_stamp = *stamp;
        let message = message::read(text);
        let Attribution::Stamped(stamped) = &mut self.attribution else { return LineOutcome::Read };
        let is_announced = stamped.begin_line(&mut self.partials);
        match message {
            LoggedMessage::Noise => {
                self.level_seen = self.level_seen.max(1);
                stamped.after_first_token = None;
            }
            LoggedMessage::NoiseOfLevel(level) => {
                self.level_seen = self.level_seen.max(level);
                stamped.noise(text, &mut self.partials);
            }
            LoggedMessage::Written => {
                self.level_seen = self.level_seen.max(2);
                stamped.written(text, stamp);
            }
            // Parts are needed for first tokens only at level 1.
            LoggedMessage::Part if self.level_seen >= 2 => stamped.uncounted_part(text, stamp),
            LoggedMessage::FinishStep(json) => stamped.finish_step(json, is_announced),
            message => {
                return match scan::stamp(stamp) {
                    Some(at) => self.stamped_fact(&message, text, at),
                    None => LineOutcome::Unreadable,
                };
            }
        }
        LineOutcome::Read
    }

    fn stamped_fact(&mut self, message: &LoggedMessage<'_>, text: &[u8], at: i64) -> LineOutcome {
        self.level_seen = self.level_seen.max(match message {
            LoggedMessage::FirstToken { .. }
            | LoggedMessage::KeepaliveSent { .. }
            | LoggedMessage::UsageCaptured(_) => 2,
            _ => 1,
        });
        let Some(label) = self.label(message) else { return LineOutcome::Stray };
        let Attribution::Stamped(stamped) = &mut self.attribution else { return LineOutcome::Read };
        if !matches!(message, LoggedMessage::FirstToken { .. }) {
            stamped.after_first_token = None;
        }
        match *message {
            LoggedMessage::Unreadable => LineOutcome::Unreadable,
            LoggedMessage::Start { at, .. } => self.start(label, at),
            LoggedMessage::Part => match stamped.counted_part(text, at) {
                Some(()) => LineOutcome::Read,
                None => LineOutcome::Unreadable,
            },
            _ => {
                let (LabelRef(label), partials) = (label, &mut self.partials);
                let fits = stamped
                    .stream_line(message, label, at, partials)
                    .or_else(|| stamped.end_line(message, label, at, partials));
                self.outcome(message, fits)
            }
        }
    }

    /// Reads a message of a line without a stamp.
    pub(super) fn unstamped_message(&mut self, text: &[u8]) -> LineOutcome {
        let message = message::read(text);
        self.level_seen = self.level_seen.max(match message {
            LoggedMessage::NoiseOfLevel(level) => level,
            LoggedMessage::KeepaliveSent { .. } => 2,
            _ => 1,
        });
        let Some(label) = self.label(&message) else { return LineOutcome::Stray };
        let Attribution::Unstamped(unstamped) = &mut self.attribution else { return LineOutcome::Read };
        match message {
            LoggedMessage::Unreadable => LineOutcome::Unreadable,
            LoggedMessage::Start { at, .. } => self.start(label, at),
            message => {
                let fits = unstamped.line(&message, text, label.0, &mut self.partials);
                self.outcome(&message, fits)
            }
        }
    }

    /// Begins a request.
    fn start(&mut self, LabelRef(label): LabelRef, at: i64) -> LineOutcome {
        if Timestamp::from_unix_ms(at).is_none() {
            return LineOutcome::Unreadable;
        }
        let index = self.partials.len();
        let mut partial = PartialRequest::new(label.unwrap_or_default(), at);
        partial.facts = std::mem::take(&mut self.edits);
        match &mut self.attribution {
            Attribution::Stamped(stamped) => stamped.start(index, at),
            Attribution::Unstamped(unstamped) => {
                unstamped.start(index, at, &mut self.partials);
                partial.keepalives_unsure = true;
            }
        }
        self.partials.push(partial);
        LineOutcome::Read
    }

    /// The outcome of a message that tells of a request which is or is not of this run; without
    /// `fits` it tells of none, and its fact is stored.
    fn outcome(&mut self, message: &LoggedMessage<'_>, fits: Option<bool>) -> LineOutcome {
        match fits {
            Some(true) => LineOutcome::Read,
            Some(false) => LineOutcome::Stray,
            None => {
                self.plain_fact(message);
                LineOutcome::Read
            }
        }
    }

    /// Stores facts that need no attribution: the sizes that directly follow a start, and
    /// those of the whole process.
    fn plain_fact(&mut self, message: &LoggedMessage<'_>) {
        match *message {
            LoggedMessage::Details(json) => {
                if let Some(partial) = self.partials.last_mut() {
                    partial.details(json);
                }
            }
            LoggedMessage::Overhead(json) => {
                if let Some(partial) = self.partials.last_mut() {
                    partial.overhead(json);
                }
            }
            LoggedMessage::Detected { model } => self.facts.detected_model = Some(model.to_owned()),
            LoggedMessage::ContextLength { tokens } => self.facts.context_length_tokens = Some(tokens),
            LoggedMessage::Edit(ref edit) => {
                let latest = self.partials.last_mut();
                let unsent = latest.filter(|partial| !partial.sent && partial.stream_start.is_none());
                let is_stamped = matches!(self.attribution, Attribution::Stamped(_));
                let facts = unsent.filter(|_| is_stamped).map(|partial| &mut partial.facts);
                edit.clone().apply(facts.unwrap_or(&mut self.edits));
            }
            _ => {}
        }
    }

    /// Reads a line without a prefix, which may continue the JSON of the line before.
    pub(super) fn continuation(&mut self, text: &[u8]) {
        if let Attribution::Stamped(stamped) = &mut self.attribution {
            stamped.continue_line(text);
        }
    }

    /// Notes the name of a saved trace, which standard error prints right after the start of
    /// its request.
    pub(super) fn saved_trace(&mut self, file_name: &str) {
        let stamp = Timestamp::from_file_name(file_name).map(Timestamp::unix_ms);
        if let Attribution::Unstamped(unstamped) = &mut self.attribution {
            if let Some(partial) = self.partials.last_mut().filter(|partial| partial.saved_trace.is_none())
                && stamp.is_none_or(|stamp| (-2..5_000).contains(&stamp.saturating_sub(partial.start)))
            {
                partial.saved_trace = Some(file_name.to_owned());
            }
            if let Some(stamp) = stamp {
                unstamped.instant(stamp, &mut self.partials);
            }
        }
        self.facts.saved_traces.push(file_name.to_owned());
    }

    /// The index of the label in a message. Only starts add labels; `None` where no start had
    /// this label, so that the message fits no request.
    fn label(&mut self, message: &LoggedMessage<'_>) -> Option<LabelRef> {
        let (label, begins) = match *message {
            LoggedMessage::Start { label, .. } => (label, true),
            LoggedMessage::Streaming { label } | LoggedMessage::Timeout { label, .. } => (label, false),
            LoggedMessage::Complete(complete) => (complete.label, false),
            LoggedMessage::Failed { label: Some(label), .. } => (label, false),
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
            Attribution::Stamped(stamped) => stamped.finish(&mut self.partials),
            Attribution::Unstamped(unstamped) => unstamped.finish(&mut self.partials),
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
        // `collect` would reuse the vector of the larger `PartialRequest`s, and leave room unused.
        facts.requests.reserve_exact(self.partials.len());
        facts.requests.extend(self.partials.into_iter().filter_map(finish));
        let first_start = facts.requests.first().map(|request| request.start);
        facts.started = facts.started.or(first_start);
        let last = scan::stamp(&self.last_stamp).and_then(Timestamp::from_unix_ms);
        let last_start = facts.requests.iter().map(|request| request.start).max();
        facts.last_seen = facts.ended.or(last).or(last_start).or(facts.started);
        facts
    }
}
