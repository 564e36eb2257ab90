//! Ties lines to requests in the logs of October 2025, whose lines carry no stamps.
//!
//! The only known instants are the starts and the stamps in the names of saved traces. A
//! line between two of these was written between the two instants, so a request can have
//! ended there only if its start plus duration lies between them. Ends are in order too:
//! none is earlier than the one before.

use std::collections::{BTreeSet, VecDeque};

use super::limits::{EXACT_MS, MAX_CANDIDATES, TIMER_LATE_MS};
use super::message::{self, LoggedMessage, LoggedUsage};
use super::partial::{LoggedEnd, PartialRequest};
use super::stamped::error_words;
use crate::model::timing::Confidence;

/// The last event of every reply.
const LAST_EVENT: &[u8] = br#"[Stream Chunk] {"type":"message_stop""#;

/// The state of one run: its open requests and the lines not yet assigned.
#[derive(Debug, Clone)]
pub(super) struct Unstamped {
    /// Requests without an end, by start.
    open: BTreeSet<(i64, usize)>,
    /// Requests whose end may be another's, by the time of that end.
    doubtful: BTreeSet<(i64, usize)>,
    /// The keepalives of the stream whose event is being sent.
    cleared: Option<u64>,
    /// `Total chunks` of the stream that ended last.
    parts: Option<u64>,
    /// The prompt tokens of the next usage are the proxy's own guess.
    prompt_estimated: bool,
    /// The keepalives of the streams that have sent their last event.
    stops: VecDeque<Option<u64>>,
    /// The last known instant: the line being read is not earlier than this.
    now: i64,
    /// Ends since the last known instant.
    ends: Vec<(u32, LoggedEnd)>,
    /// Errors: label, how many requests had started then, and words. They are assigned once
    /// every end is known.
    failures: Vec<(Option<u32>, usize, Option<Box<str>>)>,
    /// The line before this one was a timeout, whose error follows.
    after_timeout: bool,
    /// Lines that fit no request.
    lost: u64,
}

impl Default for Unstamped {
    fn default() -> Self {
        Self {
            open: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            cleared: None,
            parts: None,
            prompt_estimated: false,
            stops: VecDeque::new(),
            now: i64::MIN,
            ends: Vec::new(),
            failures: Vec::new(),
            after_timeout: false,
            lost: 0,
        }
    }
}

impl Unstamped {
    pub(super) fn start(&mut self, index: usize, start: i64, partials: &mut [PartialRequest]) {
        self.instant(start, partials);
        self.open.insert((start, index));
    }

    /// Reads a line: whether it fits a request; `None` where it tells of none.
    pub(super) fn line(
        &mut self,
        message: &LoggedMessage<'_>,
        text: &[u8],
        label: Option<u32>,
        partials: &mut [PartialRequest],
    ) -> Option<bool> {
        match *message {
            LoggedMessage::KeepaliveSent { .. } => {}
            LoggedMessage::NoiseOfLevel(_) if text.starts_with(LAST_EVENT) => self.stopped(),
            LoggedMessage::NoiseOfLevel(_) => {
                self.cleared = message::keepalives_cleared(text).or(self.cleared);
            }
            LoggedMessage::PartsEnd { parts } => self.parts = Some(parts),
            LoggedMessage::Complete(complete) => {
                self.complete(label.unwrap_or_default(), LoggedEnd::of(&complete));
            }
            LoggedMessage::UsageEstimated => self.prompt_estimated = true,
            LoggedMessage::UsageRecorded(usage) => self.usage(usage),
            LoggedMessage::Timeout { after_ms, .. } => {
                return Some(self.timeout(label.unwrap_or_default(), after_ms, partials));
            }
            LoggedMessage::Failed { words, .. } => return Some(self.failure(label, partials.len(), words)),
            _ => return None,
        }
        Some(true)
    }

    /// The next line was written at `at`.
    pub(super) fn instant(&mut self, at: i64, partials: &mut [PartialRequest]) {
        // Where the clock was set back, this instant is no bound.
        let until = if at >= self.now { at } else { i64::MAX };
        self.settle(until, partials);
        self.now = at;
        self.after_timeout = false;
    }

    /// A stream sent its last event.
    fn stopped(&mut self) {
        if self.stops.len() == MAX_CANDIDATES {
            self.stops.pop_front();
        }
        self.stops.push_back(self.cleared.take());
    }

    fn complete(&mut self, label: u32, mut end: LoggedEnd) {
        end.parts = self.parts.take();
        let others = self.stops.len() > 1;
        end.keepalives = self.stops.pop_front().flatten().filter(|_| !others);
        self.stops.clear();
        self.ends.push((label, end));
        self.after_timeout = false;
    }

    /// The usage of the end read last, which it follows.
    fn usage(&mut self, usage: LoggedUsage) {
        let is_estimated = std::mem::take(&mut self.prompt_estimated);
        if let Some((_, end)) = self.ends.last_mut().filter(|(_, end)| end.usage.is_none()) {
            end.usage = Some(usage);
            end.prompt_estimated = is_estimated;
        }
    }

    /// Assigns the ends since the last known instant to requests.
    fn settle(&mut self, until: i64, partials: &mut [PartialRequest]) {
        let mut ends = std::mem::take(&mut self.ends);
        // Ends that only one request fits are assigned first, which leaves fewer candidates
        // for the others.
        for _ in 0..3 {
            let before = ends.len();
            let mut since = self.now;
            let mut left = Vec::new();
            for (label, end) in ends {
                match self.fitting(label, &end, since, until, partials).as_slice() {
                    [] => self.lost += 1,
                    [index] => since = since.max(self.end(*index, end, partials)),
                    _ => left.push((label, end)),
                }
            }
            ends = left;
            if ends.len() == before {
                break;
            }
        }
        for (label, end) in ends {
            let fitting = self.fitting(label, &end, self.now, until, partials);
            lower_confidence(&fitting, partials);
            let open = |index: &&usize| partials.get(**index).is_some_and(|partial| partial.end.is_none());
            match fitting.iter().find(open) {
                Some(&index) => {
                    let at = self.end(index, end, partials);
                    self.doubtful.insert((at, index));
                    if self.doubtful.len() > MAX_CANDIDATES {
                        self.doubtful.pop_first();
                    }
                }
                None => self.lost += 1,
            }
        }
    }

    /// The requests that can have ended so between these two instants, among them those
    /// whose end may be another's, as this one may be theirs. Probes count only where nothing
    /// else fits.
    fn fitting(
        &self,
        label: u32,
        end: &LoggedEnd,
        since: i64,
        until: i64,
        partials: &[PartialRequest],
    ) -> Vec<usize> {
        let from = since.saturating_sub(end.ms).saturating_sub(EXACT_MS);
        let to = until.saturating_sub(end.ms).saturating_add(EXACT_MS);
        if from > to {
            return Vec::new();
        }
        let open = self.open.range((from, 0)..=(to, usize::MAX)).take(MAX_CANDIDATES);
        let mine = |index: &usize| partials.get(*index).is_some_and(|partial| partial.label == label);
        let mut fitting: Vec<usize> = open.map(|&(_, index)| index).filter(mine).collect();
        if fitting.is_empty() {
            return fitting;
        }
        let doubtful = self.doubtful.iter().map(|&(_, index)| index).filter(mine);
        let started = |index: &usize| partials.get(*index).is_some_and(|d| (from..=to).contains(&d.start));
        fitting.extend(doubtful.filter(started));
        let probe = |index: &usize| partials.get(*index).is_some_and(PartialRequest::is_probe);
        if !fitting.iter().all(probe) {
            fitting.retain(|index| !probe(index));
        }
        fitting
    }

    /// Ends a request, and returns when that was.
    fn end(&mut self, index: usize, end: LoggedEnd, partials: &mut [PartialRequest]) -> i64 {
        let Some(partial) = partials.get_mut(index) else { return i64::MIN };
        let at = partial.start.saturating_add(end.ms);
        self.open.remove(&(partial.start, index));
        partial.keepalives_confirmed = end.keepalives;
        partial.end = Some(end);
        at
    }

    /// The open requests that a timeout after `after_ms`, or an error, can have ended.
    fn unanswered(
        &self,
        label: Option<u32>,
        after_ms: Option<u64>,
        partials: &[PartialRequest],
    ) -> Vec<usize> {
        let after_ms = i64::try_from(after_ms.unwrap_or(0)).unwrap_or(i64::MAX);
        let oldest = match after_ms {
            0 => i64::MIN,
            _ => self.now.saturating_sub(after_ms).saturating_sub(TIMER_LATE_MS),
        };
        let range = self.open.range((oldest, 0)..).rev().take(MAX_CANDIDATES);
        let fits = |partial: &PartialRequest| {
            label.is_none_or(|label| partial.label == label) && !partial.timed_out && !partial.is_probe()
        };
        range.map(|&(_, index)| index).filter(|&index| partials.get(index).is_some_and(fits)).collect()
    }

    fn timeout(&mut self, label: u32, after_ms: u64, partials: &mut [PartialRequest]) -> bool {
        let fitting = self.unanswered(Some(label), Some(after_ms), partials);
        let Some(&index) = fitting.last() else { return false };
        self.after_timeout = true;
        if let Some(partial) = partials.get_mut(index) {
            partial.timed_out = true;
        }
        lower_confidence(&fitting, partials);
        true
    }

    /// An error line; `false` when no request is open that it could end.
    fn failure(&mut self, label: Option<u32>, started: usize, words: &[u8]) -> bool {
        if std::mem::take(&mut self.after_timeout) {
            return true;
        }
        let room = self.failures.len() < self.open.len();
        if room {
            self.failures.push((label, started, error_words(words)));
        }
        room
    }

    fn failed(
        &mut self,
        (label, started, words): (Option<u32>, usize, Option<Box<str>>),
        partials: &mut [PartialRequest],
    ) {
        let mut fitting = self.unanswered(label, None, partials);
        fitting.retain(|index| *index < started);
        let Some(&index) = fitting.first() else {
            self.lost += 1;
            return;
        };
        if let Some(partial) = partials.get_mut(index) {
            partial.failed = true;
            partial.error = words;
            self.open.remove(&(partial.start, index));
        }
        lower_confidence(&fitting, partials);
    }

    /// Assigns what is left. Returns how many ends fit no request.
    pub(super) fn finish(mut self, partials: &mut [PartialRequest]) -> u64 {
        self.settle(i64::MAX, partials);
        for failure in std::mem::take(&mut self.failures) {
            self.failed(failure, partials);
        }
        self.lost
    }
}

/// Lowers the confidence of the requests that a line fits: likely where there is one, else
/// ambiguous.
fn lower_confidence(fitting: &[usize], partials: &mut [PartialRequest]) {
    let confidence = if fitting.len() > 1 { Confidence::Ambiguous } else { Confidence::Likely };
    for index in fitting {
        if let Some(partial) = partials.get_mut(*index) {
            partial.lower_confidence(confidence);
        }
    }
}
