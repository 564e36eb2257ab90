//! How far a request has come, and which events follow from that.

use super::event::{Began, Ended, Event, FirstToken, Keepalive};
use crate::analysis::prefix::{Forecast, PrefixRequest};
use crate::model::request::{Request, RequestId, Source};
use crate::model::time::Timestamp;
use crate::model::timing::Outcome;

/// How often the proxy sends a keepalive, in milliseconds.
const KEEPALIVE_MS: u64 = 10_000;
/// A request without a sign of life for this long counts as failed: its process died. The
/// proxy's own time limit is 10 minutes.
const SILENT_MS: i64 = 15 * 60 * 1000;
/// A file of one request is written within this of its start, unless it is a copy.
const WRITTEN_MS: i64 = 60_000;
/// The body of a request is written, and matched with it, within this time of its event.
const BODY_MS: i64 = 3_000;
/// The usage of an answer is logged within this of its end.
const USAGE_MS: i64 = 150;

/// The events of a request so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// The id that it began with.
    pub(super) id: RequestId,
    pub(super) expected_ttft_ms: Option<u64>,
    pub(super) has_begun: bool,
    pub(super) has_ended: bool,
    pub(super) has_first_token: bool,
    keepalives: u64,
    /// The look at which it was first seen.
    seen_at: Option<(u64, Timestamp)>,
    /// When its end was first seen.
    end_seen_at: Option<Timestamp>,
    /// When it was first seen, by the caller's clock: that of the recording may be another.
    pub(super) since: Option<Timestamp>,
    /// Whether more events of it may come.
    pub(super) is_open: bool,
    last: Option<Timestamp>,
}

/// When events are told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Which look it is, from 0.
    pub(super) number: u64,
    /// The caller's clock.
    pub(super) now: Timestamp,
}

/// A request, and what is known of its files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Followed<'f> {
    pub(super) request: &'f Request,
    pub(super) prefix: Option<&'f PrefixRequest>,
    pub(super) forecast: Option<&'f Forecast>,
    /// When its files, or its log, were last written to.
    pub(super) heard: Option<Timestamp>,
    /// When its file was written, as long as nothing has changed since the first look.
    pub(super) written: Option<Timestamp>,
    /// When its recorder last recorded anything of any request, by the recorder's clock.
    pub(super) recorder_heard: Option<Timestamp>,
}

/// The state of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Completed,
    Failed,
    /// No log has it, and none will.
    Unknown,
}

impl Told {
    /// Adds the events that are due. True where more of it should be looked at soon: lines
    /// that belong together are written one after the other.
    pub(super) fn tell(&mut self, followed: Followed<'_>, look: Look, events: &mut Vec<Event>) -> bool {
        let Followed { request, prefix, forecast, .. } = followed;
        let (seen_at, seen) = *self.seen_at.get_or_insert((look.number, look.now));
        let is_new = seen_at == look.number && look.number > 0;
        if look.number > 0 {
            self.since = Some(seen);
        }
        let stage = followed.stage(look.now);
        self.is_open = stage == Stage::Open;
        if !self.has_begun {
            // Claude Code tells of a request in several files, whose order is not certain.
            let has_body = request.source != Source::ClaudeCode || request.sizes.body_bytes.is_known();
            if look.number > 0 && !has_body && look.now.ms_since(seen) < BODY_MS {
                return true;
            }
            // Its first line of the log, with the model's name, follows within milliseconds.
            if is_new && stage == Stage::Open && start(request).is_none() {
                return true;
            }
            let counted = prefix.and_then(|row| row.expected_ttft_ms.get());
            self.expected_ttft_ms = counted.or(forecast.and_then(|forecast| forecast.ttft_ms));
            self.begin(followed, look.now, events);
        }
        if self.has_ended {
            return false;
        }
        let had_ended = matches!(stage, Stage::Completed | Stage::Failed) && seen_at == look.number;
        if !had_ended {
            self.tell_waiting(request, events);
        }
        if matches!(stage, Stage::Open | Stage::Unknown) {
            return false;
        }
        let end_seen_at = *self.end_seen_at.get_or_insert(look.now);
        // Its usage follows the line that ends it.
        let is_counted = request.timing.as_ref().is_some_and(|timing| timing.prompt_tokens.is_known());
        let is_new = |since: Timestamp| (0..USAGE_MS).contains(&look.now.ms_since(since));
        let is_just_over = ended_at(request).is_some_and(is_new) || look.number > 0 && is_new(end_seen_at);
        if is_just_over && !is_counted && stage == Stage::Completed {
            return true;
        }
        self.has_ended = true;
        let at = self.not_before(ended_at(request).unwrap_or(look.now));
        let ended = Box::new(Ended { at, request: request.clone() });
        events.push(if stage == Stage::Completed { Event::Completed(ended) } else { Event::Failed(ended) });
        false
    }

    fn begin(
        &mut self,
        Followed { request, prefix, forecast, .. }: Followed<'_>,
        now: Timestamp,
        events: &mut Vec<Event>,
    ) {
        self.has_begun = true;
        self.id = request.id;
        let at = self.not_before(request.timestamp.unwrap_or(now));
        let (request, prefix) = (request.clone(), prefix.cloned());
        events.push(Event::Request(Box::new(Began {
            at,
            request,
            prefix,
            expected_read_tokens: forecast.map(|forecast| forecast.read_tokens),
            expected_ttft_ms: self.expected_ttft_ms,
        })));
    }

    /// Keepalives and the first token.
    fn tell_waiting(&mut self, request: &Request, events: &mut Vec<Event>) {
        let (Some(start), Some(timing)) = (start(request), request.timing.as_ref()) else { return };
        let so_far = request.log_facts().map_or(0, |facts| facts.keepalives_so_far);
        let keepalives = timing.keepalives.get().unwrap_or(so_far);
        if !self.has_first_token {
            for n in self.keepalives + 1..=keepalives {
                let waiting_ms = n.saturating_mul(KEEPALIVE_MS);
                let at = self.not_before(after(start, waiting_ms));
                events.push(Event::Keepalive(Keepalive { at, id: self.id, n, waiting_ms }));
            }
            self.keepalives = self.keepalives.max(keepalives);
        }
        if let Some(ttft_ms) = timing.ttft_ms.get().filter(|_| !self.has_first_token) {
            self.has_first_token = true;
            let at = self.not_before(after(start, ttft_ms));
            events.push(Event::FirstToken(FirstToken { at, id: self.id, ttft_ms }));
        }
    }

    /// Makes sure that the events of one request never go back in time.
    fn not_before(&mut self, at: Timestamp) -> Timestamp {
        let at = self.last.map_or(at, |last| last.max(at));
        self.last = Some(at);
        at
    }

    /// Whether it was there at the first look; `None` until it was seen.
    pub(super) fn is_of_first_look(&self) -> Option<bool> {
        self.seen_at.map(|(look, _)| look == 0)
    }

    /// How many keepalives were told.
    pub(super) fn keepalives(&self) -> u64 {
        self.keepalives
    }

    /// Whether more of it is due at the next look.
    pub(super) fn is_due(&self) -> bool {
        !self.has_begun || !self.has_ended && self.end_seen_at.is_some()
    }
}

impl Followed<'_> {
    fn stage(&self, now: Timestamp) -> Stage {
        let silent = || {
            let is_silent = self.silent_from().is_some_and(|from| now >= from) || self.is_left_behind();
            let is_logged = self.request.timing.is_some();
            match (is_silent, is_logged) {
                (false, _) => Stage::Open,
                (true, true) => Stage::Failed,
                (true, false) => Stage::Unknown,
            }
        };
        let Some(timing) = &self.request.timing else { return silent() };
        match timing.outcome {
            Some(Outcome::Completed) => Stage::Completed,
            // A client that records itself tells of an end when it comes: a body without one
            // may still wait.
            Some(Outcome::Failed | Outcome::Disconnected)
                if self.request.source == Source::ClaudeCode
                    && timing.total_ms.get().is_none()
                    && timing.error.is_none() =>
            {
                silent()
            }
            Some(Outcome::Failed | Outcome::TimedOut | Outcome::Disconnected) => Stage::Failed,
            Some(Outcome::NotStreamed) if timing.total_ms.is_known() => Stage::Completed,
            Some(Outcome::NotStreamed | Outcome::Unfinished) => silent(),
            None if timing.total_ms.is_known() => Stage::Completed,
            None => silent(),
        }
    }

    /// Whether it may still be answered.
    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        self.stage(now) == Stage::Open
    }

    /// From when on nothing is expected any more. The age of a copied file is that of its
    /// content.
    pub(super) fn silent_from(&self) -> Option<Timestamp> {
        let heard = if self.is_copy() { heard_of(self.request) } else { self.heard };
        heard.map(|heard| heard.plus_ms(SILENT_MS))
    }

    /// Whether its file was written long after its request was sent.
    fn is_copy(&self) -> bool {
        // Files of several requests are written to for as long as there are any.
        let is_one = self.request.path.file().extension().is_some_and(|ending| ending == "json");
        let late_ms = || Some(self.written?.ms_since(self.request.timestamp?));
        is_one && late_ms().is_some_and(|ms| ms > WRITTEN_MS)
    }

    /// Whether its process told of others long after it last told of this one.
    fn is_left_behind(&self) -> bool {
        let both = self.recorder_heard.zip(last_sign(self.request));
        both.is_some_and(|(recorder, last)| recorder.ms_since(last) >= SILENT_MS)
    }
}

/// When the proxy sent it on.
fn start(request: &Request) -> Option<Timestamp> {
    request.timing.as_ref()?.start
}

/// The last moment that is recorded of it alone.
pub(super) fn last_sign(request: &Request) -> Option<Timestamp> {
    let begun = start(request).or(request.timestamp)?;
    let Some(timing) = request.timing.as_deref() else { return Some(begun) };
    let so_far = request.log_facts().map_or(0, |facts| facts.keepalives_so_far);
    let kept_alive_ms = timing.keepalives.get().unwrap_or(so_far).saturating_mul(KEEPALIVE_MS);
    Some(after(begun, timing.total_ms.or(timing.ttft_ms).get().unwrap_or(0).max(kept_alive_ms)))
}

/// When its process last showed a sign of life.
fn heard_of(request: &Request) -> Option<Timestamp> {
    let backend_ms = request.log_facts().and_then(|facts| facts.backend_ms.get());
    match (start(request), backend_ms) {
        (Some(start), Some(ms)) => Some(after(start, ms)),
        (start, _) => start.or(request.timestamp),
    }
}

fn ended_at(request: &Request) -> Option<Timestamp> {
    let total_ms = request.timing.as_ref()?.total_ms.get();
    match (start(request).or(request.timestamp), total_ms) {
        (Some(start), Some(ms)) => Some(after(start, ms)),
        _ => heard_of(request),
    }
}

fn after(start: Timestamp, ms: u64) -> Timestamp {
    start.plus_ms(i64::try_from(ms).unwrap_or(i64::MAX))
}
