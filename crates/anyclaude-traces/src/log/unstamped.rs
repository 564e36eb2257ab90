//! Attribution in the logs of October 2025, whose lines carry no stamps.
//!
//! Only starts name their instant (and the traces saved beside them, in their
//! file names). A line between two of those came between these instants, and
//! so a request can have ended there only if its start and duration lead
//! between them. Ends are in order too: none is earlier than the one before.

use std::collections::BTreeSet;

use super::draft::{Draft, End};
use super::keepalives::INTERVAL_MS;
use super::types::Confidence;

/// The line of an end is written at most this long after the end.
const EXACT_MS: i64 = 2;
/// Timers fire this late when the proxy is busy.
const TIMER_LATE_MS: i64 = 10_000;
/// Candidates looked at for one line.
const MAX_CANDIDATES: usize = 64;

/// What is open in one run.
#[derive(Debug)]
pub(super) struct Unstamped {
    open: BTreeSet<(i64, usize)>,
    /// Requests by keepalives had; streamed or not, which nothing tells.
    waiting: BTreeSet<(u64, i64, usize)>,
    /// The line being read is not earlier than this.
    now: i64,
    /// Ends since the last known instant.
    ends: Vec<(u32, End)>,
    /// Errors since the last known instant.
    failures: Vec<Option<u32>>,
    /// The line before this one was a timeout, whose error follows.
    after_timeout: bool,
    lost: u64,
}

impl Default for Unstamped {
    fn default() -> Self {
        Self {
            open: BTreeSet::new(),
            waiting: BTreeSet::new(),
            now: i64::MIN,
            ends: Vec::new(),
            failures: Vec::new(),
            after_timeout: false,
            lost: 0,
        }
    }
}

impl Unstamped {
    pub(super) fn start(&mut self, index: usize, start: i64, drafts: &mut [Draft]) {
        self.instant(start, drafts);
        self.open.insert((start, index));
        self.waiting.insert((0, start, index));
    }

    /// The next line was written at `at`.
    pub(super) fn instant(&mut self, at: i64, drafts: &mut [Draft]) {
        // A clock set back bounds nothing.
        let until = if at >= self.now { at } else { i64::MAX };
        self.settle(until, drafts);
        self.now = at;
        self.after_timeout = false;
    }

    pub(super) fn complete(&mut self, label: u32, end: End) {
        self.ends.push((label, end));
        self.after_timeout = false;
    }

    /// The end read last, whose usage follows it.
    pub(super) fn last_end(&mut self) -> Option<&mut End> {
        self.ends.last_mut().map(|(_, end)| end)
    }

    /// Gives the ends since the last known instant to requests.
    fn settle(&mut self, until: i64, drafts: &mut [Draft]) {
        let mut ends = std::mem::take(&mut self.ends);
        // What only one request fits leaves fewer for the others.
        for _ in 0..3 {
            let before = ends.len();
            let mut since = self.now;
            let mut left = Vec::new();
            for (label, end) in ends {
                match self.fitting(label, &end, since, until, drafts).as_slice() {
                    [] => self.lost += 1,
                    [index] => since = since.max(self.end(*index, end, drafts)),
                    _ => left.push((label, end)),
                }
            }
            ends = left;
            if ends.len() == before {
                break;
            }
        }
        for (label, end) in ends {
            let fitting = self.fitting(label, &end, self.now, until, drafts);
            let Some(&index) = fitting.first() else {
                self.lost += 1;
                continue;
            };
            if fitting.len() > 1 {
                doubt(&fitting, drafts);
            }
            self.end(index, end, drafts);
        }
        for label in std::mem::take(&mut self.failures) {
            self.failed(label, drafts);
        }
    }

    /// The requests that this end, between two instants, can be of; probes
    /// only where nothing else fits.
    fn fitting(&self, label: u32, end: &End, since: i64, until: i64, drafts: &[Draft]) -> Vec<usize> {
        let from = since.saturating_sub(end.ms).saturating_sub(EXACT_MS);
        let to = until.saturating_sub(end.ms).saturating_add(EXACT_MS);
        if from > to {
            return Vec::new();
        }
        let range = self.open.range((from, 0)..=(to, usize::MAX)).take(MAX_CANDIDATES);
        let mine = |index: usize| drafts.get(index).is_some_and(|draft| draft.label == label);
        let mut fitting: Vec<usize> = range.map(|&(_, index)| index).filter(|&index| mine(index)).collect();
        let probe = |index: &usize| drafts.get(*index).is_some_and(Draft::is_probe);
        if !fitting.iter().all(probe) {
            fitting.retain(|index| !probe(index));
        }
        fitting
    }

    fn end(&mut self, index: usize, end: End, drafts: &mut [Draft]) -> i64 {
        let Some(draft) = drafts.get_mut(index) else { return i64::MIN };
        let at = draft.start.saturating_add(end.ms);
        self.close(index, draft);
        draft.end = Some(end);
        at
    }

    fn close(&mut self, index: usize, draft: &Draft) {
        self.open.remove(&(draft.start, index));
        self.waiting.remove(&(draft.keepalives.len() as u64, draft.start, index));
    }

    /// Keepalive `number` was sent, by the request that is due first.
    pub(super) fn keepalive(&mut self, number: u64, drafts: &mut [Draft]) -> bool {
        let Some(before) = number.checked_sub(1) else { return false };
        let offset = i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(INTERVAL_MS);
        let oldest = self.now.saturating_sub(offset).saturating_sub(TIMER_LATE_MS);
        let range = self.waiting.range((before, oldest, 0)..=(before, i64::MAX, usize::MAX));
        let mut fitting: Vec<(u64, i64, usize)> = range.take(MAX_CANDIDATES).copied().collect();
        fitting.retain(|(.., index)| drafts.get(*index).is_some_and(|draft| !draft.is_probe()));
        let Some(&(_, start, index)) = fitting.first() else { return false };
        if fitting.len() > 1 {
            for (.., index) in &fitting {
                if let Some(draft) = drafts.get_mut(*index) {
                    draft.keepalives_unsure = true;
                }
            }
        }
        self.waiting.remove(&(before, start, index));
        self.waiting.insert((number, start, index));
        if let Some(draft) = drafts.get_mut(index) {
            draft.keepalives.push(start.saturating_add(offset));
        }
        true
    }

    /// The requests that a timeout after `after_ms`, or an error, can be of.
    fn unanswered(&self, label: Option<u32>, after_ms: Option<u64>, drafts: &[Draft]) -> Vec<usize> {
        let after_ms = i64::try_from(after_ms.unwrap_or(0)).unwrap_or(i64::MAX);
        let oldest = match after_ms {
            0 => i64::MIN,
            _ => self.now.saturating_sub(after_ms).saturating_sub(TIMER_LATE_MS),
        };
        let range = self.open.range((oldest, 0)..).rev().take(MAX_CANDIDATES);
        let fits = |draft: &Draft| {
            label.is_none_or(|label| draft.label == label) && !draft.timed_out && !draft.is_probe()
        };
        range.map(|&(_, index)| index).filter(|&index| drafts.get(index).is_some_and(fits)).collect()
    }

    pub(super) fn timeout(&mut self, label: u32, after_ms: u64, drafts: &mut [Draft]) -> bool {
        let fitting = self.unanswered(Some(label), Some(after_ms), drafts);
        let Some(&index) = fitting.last() else { return false };
        self.after_timeout = true;
        if let Some(draft) = drafts.get_mut(index) {
            draft.timed_out = true;
        }
        doubt(&fitting, drafts);
        true
    }

    /// An error line; `false` when no request is open that it could end.
    pub(super) fn failure(&mut self, label: Option<u32>) -> bool {
        if std::mem::take(&mut self.after_timeout) {
            return true;
        }
        let room = self.failures.len() < self.open.len();
        if room {
            self.failures.push(label);
        }
        room
    }

    fn failed(&mut self, label: Option<u32>, drafts: &mut [Draft]) {
        let fitting = self.unanswered(label, None, drafts);
        let Some(&index) = fitting.first() else {
            self.lost += 1;
            return;
        };
        if let Some(draft) = drafts.get_mut(index) {
            draft.failed = true;
            self.close(index, draft);
        }
        doubt(&fitting, drafts);
    }

    /// Settles what is left. Returns how many ends fit no request.
    pub(super) fn finish(mut self, drafts: &mut [Draft]) -> u64 {
        self.settle(i64::MAX, drafts);
        self.lost
    }
}

/// One line for any of these requests: likely where there is one, else ambiguous.
fn doubt(fitting: &[usize], drafts: &mut [Draft]) {
    let confidence = if fitting.len() > 1 { Confidence::Ambiguous } else { Confidence::Likely };
    for index in fitting {
        if let Some(draft) = drafts.get_mut(*index) {
            draft.doubt(confidence);
        }
    }
}
