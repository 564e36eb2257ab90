//! What the lines of a log with stamps tell of its requests.

use super::super::message::{self, LoggedMessage, PartKind};
use super::super::partial::{LoggedEnd, PartialRequest};
use super::Stamped;
use crate::formats::scan;

/// The `finish-step` chunk is read up to this length.
const MAX_FINISH_BYTES: usize = 4096;

/// What a line announces of those after it.
#[derive(Debug, Default, Clone)]
pub(super) struct Announced {
    /// It passed the latest request on to the backend: if the log goes on, it was sent.
    calling: bool,
    /// The next line is the raw `finish-step` chunk.
    finish_follows: bool,
    /// What a line without a prefix would continue.
    continued: ContinuedMessage,
}

/// A message that continues on the lines after it, as JSON does at level 3.
#[derive(Debug, Default, Clone)]
enum ContinuedMessage {
    #[default]
    Nothing,
    Error,
    FinishStep(Vec<u8>),
}

impl Stamped {
    /// Whether the line before says what the next one is about.
    #[inline]
    pub(in super::super) fn awaits_line(&self) -> bool {
        let Announced { calling, finish_follows, continued } = &self.announced;
        *calling
            || *finish_follows
            || !matches!(continued, ContinuedMessage::Nothing)
            || self.after_first_token.is_some()
    }

    /// Begins a line. Returns whether the one before announced it as the raw `finish-step` chunk.
    #[inline]
    pub(in super::super) fn begin_line(&mut self, partials: &mut [PartialRequest]) -> bool {
        if std::mem::take(&mut self.announced.calling)
            && let Some(partial) = partials.last_mut()
        {
            partial.sent = true;
        }
        self.announced.continued = ContinuedMessage::Nothing;
        std::mem::take(&mut self.announced.finish_follows)
    }

    /// A line without a fact of its own: after a first token it may count the keepalives before.
    #[inline]
    pub(in super::super) fn noise(&mut self, text: &[u8], partials: &mut [PartialRequest]) {
        if let Some(index) = self.after_first_token.take()
            && let Some(count) = message::keepalives_cleared(text)
        {
            self.keepalives.confirm(index, count, partials);
        }
    }

    /// An event that was written to the client.
    #[inline]
    pub(in super::super) fn written(&mut self, text: &[u8], stamp: &[u8; scan::STAMP_LEN]) {
        if let (Some(event), Some(at)) = (message::written(text), scan::stamp(stamp)) {
            self.events.written(event, at);
        }
    }

    /// A part where parts are not counted, as another line names the time to the first token.
    #[inline]
    pub(in super::super) fn uncounted_part(&mut self, text: &[u8], stamp: &[u8; scan::STAMP_LEN]) {
        self.after_first_token = None;
        let is_finish = message::is_finish_step(text);
        self.announced.finish_follows = is_finish;
        self.ends.finish_step(is_finish.then(|| scan::stamp(stamp)).flatten());
        self.events.reasoning |= message::is_reasoning_start(text);
    }

    /// A part where parts are counted; `None` where it cannot be read.
    pub(in super::super) fn counted_part(&mut self, text: &[u8], at: i64) -> Option<()> {
        let (number, kind) = message::part(text)?;
        self.ends.finish_step((kind == PartKind::FinishStep).then_some(at));
        self.parts.part(number, kind, at);
        Some(())
    }

    /// The raw `finish-step` chunk, if it was announced.
    pub(in super::super) fn finish_step(&mut self, json: &[u8], is_announced: bool) {
        self.after_first_token = None;
        if is_announced {
            self.events.finish = Some(message::finish_step(json));
            self.announced.continued = ContinuedMessage::FinishStep(json.to_vec());
        }
    }

    /// Reads a line without a prefix, which may continue the JSON of the line before.
    pub(in super::super) fn continue_line(&mut self, text: &[u8]) {
        match &mut self.announced.continued {
            ContinuedMessage::Nothing => {}
            ContinuedMessage::Error => self.continue_failure(text),
            ContinuedMessage::FinishStep(json) if json.len() < MAX_FINISH_BYTES => {
                json.extend_from_slice(text);
                json.push(b'\n');
                self.events.finish = Some(message::finish_step(json));
            }
            ContinuedMessage::FinishStep(_) => {}
        }
    }

    /// A line about a request on its way and the beginning of its answer: whether it fits one;
    /// `None` where it is another line.
    pub(in super::super) fn stream_line(
        &mut self,
        message: &LoggedMessage<'_>,
        label: Option<u32>,
        at: i64,
        partials: &mut [PartialRequest],
    ) -> Option<bool> {
        match *message {
            LoggedMessage::Calling => self.announced.calling = true,
            LoggedMessage::Streaming { .. } => {
                return Some(self.streaming(label.unwrap_or_default(), at, partials));
            }
            LoggedMessage::FirstToken { ms } => return Some(self.first_token(at, ms, partials)),
            LoggedMessage::KeepaliveSent { number } => {
                return Some(self.keepalives.sent(number, at, partials));
            }
            LoggedMessage::PartsEnd { parts } => self.stream_end(at, parts),
            LoggedMessage::UsageCaptured(usage) => self.events.captured = Some(usage),
            _ => return None,
        }
        Some(true)
    }

    /// A line about the end of a request: whether it fits one; `None` where it is another line.
    pub(in super::super) fn end_line(
        &mut self,
        message: &LoggedMessage<'_>,
        label: Option<u32>,
        at: i64,
        partials: &mut [PartialRequest],
    ) -> Option<bool> {
        match *message {
            LoggedMessage::Complete(complete) => {
                let end = LoggedEnd::of(&complete);
                return Some(self.complete(label.unwrap_or_default(), at, end, partials));
            }
            LoggedMessage::UsageEstimated => {
                if let Some(end) = end_of(self.last_complete, partials) {
                    end.prompt_estimated = true;
                }
            }
            LoggedMessage::UsageRecorded(usage) => {
                let end = end_of(self.last_complete.take(), partials);
                return Some(end.map(|end| end.usage = Some(usage)).is_some());
            }
            LoggedMessage::Timeout { after_ms, .. } => {
                return Some(self.timeout(label.unwrap_or_default(), at, after_ms, partials));
            }
            LoggedMessage::Failed { words, .. } => {
                self.announced.continued = ContinuedMessage::Error;
                return Some(self.failure(label, at, words, partials));
            }
            LoggedMessage::Finished { reason } => self.ends.finished(at, reason),
            LoggedMessage::Closed => self.closed(at),
            LoggedMessage::Latency { ms } => self.latency(at, ms, partials),
            _ => return None,
        }
        Some(true)
    }
}

/// The end of the request at this place.
fn end_of(index: Option<usize>, partials: &mut [PartialRequest]) -> Option<&mut LoggedEnd> {
    partials.get_mut(index?)?.end.as_mut()
}
