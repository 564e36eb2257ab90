//! Attempts as the events tell them: a body is the beginning, `api_request` or `api_error`
//! the end.

use std::collections::HashMap;
use std::sync::Arc;

use super::attempt::{Attempt, AttemptEnd, ByTime, Caller, Pairs, StartSource, signed};
use super::bodies::FoundBodies;
use super::responses::Responses;
use crate::formats::claude_code::{ClaudeCodeEvent, EventBody, EventKind};
use crate::model::time::Timestamp;
use crate::model::timing::Confidence;

/// The end of an answer is logged at most this long before the answer itself.
const ANSWER_GAP_MS: i64 = 1_000;
/// A body is logged at most this long before its duration begins.
const START_GAP_MS: i64 = 1_000;
/// A duration that begins this long before its own body includes the attempt before it:
/// all others begin within 7 ms.
const REFUSED_GAP_MS: i64 = 15;
/// How far back an attempt is looked for where no duration is known.
const LONGEST_MS: u64 = 60 * 60 * 1000;
/// Two attempts whose starts fit this nearly as well cannot be told apart.
const AMBIGUOUS_MS: u64 = 2;

/// The attempts that events tell of. `events` come with the file that each stands in.
pub(super) fn attempts<'e>(
    events: impl Iterator<Item = (usize, &'e ClaudeCodeEvent)>,
    bodies: &FoundBodies<'_>,
    responses: &Responses<'_>,
) -> Vec<Attempt> {
    let mut told = ToldByEvents::default();
    let events = in_order(events);
    for (&(file, event), process) in events.iter().zip(processes(&events)) {
        told.learn(file, event, process, bodies, responses);
    }
    told.join_named();
    told.join_timed(bodies);
    told.add_unbegun();
    told.join_answers();
    told.mark_refused();
    told.attempts
}

/// The events by session and time, each once: an exporter that got no answer in time sends
/// its events again.
fn in_order<'e>(
    events: impl Iterator<Item = (usize, &'e ClaudeCodeEvent)>,
) -> Vec<(usize, &'e ClaudeCodeEvent)> {
    let mut events: Vec<_> = events.collect();
    events.sort_by_key(|(_, event)| (&event.session, event.at, event.sequence));
    events.dedup_by(|(_, again), (_, event)| is_same(again, event));
    events
}

fn is_same(a: &ClaudeCodeEvent, b: &ClaudeCodeEvent) -> bool {
    let is_same_kind = std::mem::discriminant(&a.kind) == std::mem::discriminant(&b.kind);
    a.sequence.is_some() && a.sequence == b.sequence && a.at == b.at && a.session == b.session && is_same_kind
}

/// The number of each event's process within its session. The sequence of events begins
/// anew in each.
fn processes(events: &[(usize, &ClaudeCodeEvent)]) -> Vec<u32> {
    let (mut process, mut last): (u32, Option<u64>) = (1, None);
    let mut numbers = Vec::with_capacity(events.len());
    for of_session in events.chunk_by(|(_, a), (_, b)| a.session == b.session) {
        for (_, event) in of_session {
            if let (Some(last), Some(sequence)) = (last, event.sequence)
                && sequence <= last
            {
                process += 1;
            }
            last = event.sequence.or(last);
            numbers.push(process);
        }
        (process, last) = (1, None);
    }
    numbers
}

/// What the events tell.
#[derive(Default)]
struct ToldByEvents {
    attempts: Vec<Attempt>,
    /// The ends of attempts, until they are given to those.
    ends: Vec<Option<Attempt>>,
    answers: Vec<LoggedAnswer>,
}

/// An event with an answer.
struct LoggedAnswer {
    at: Timestamp,
    caller: Caller,
    /// The answer itself, by place.
    response: Option<usize>,
    /// The body that it answers.
    request: Option<Arc<str>>,
    message: Option<Arc<str>>,
    is_given: bool,
}

impl ToldByEvents {
    fn learn(
        &mut self,
        file: usize,
        event: &ClaudeCodeEvent,
        process: u32,
        bodies: &FoundBodies<'_>,
        responses: &Responses<'_>,
    ) {
        let attempt = Attempt {
            place: Some((file, event.record)),
            caller: Caller::of(event),
            process: Some(process),
            ..Attempt::default()
        };
        match &event.kind {
            EventKind::RequestBody { body, id } => {
                let body = match body {
                    EventBody::File(name) => bodies.named(name),
                    EventBody::Inline => bodies.inline(file, event.record),
                    EventBody::Unknown => None,
                };
                self.attempts.push(Attempt {
                    started: Some(event.at),
                    source: StartSource::Event,
                    confidence: Some(Confidence::Exact),
                    id: id.clone().or_else(|| body.and_then(|body| bodies.id(body))),
                    body,
                    ..attempt
                });
            }
            EventKind::Answered { .. } | EventKind::Failed { .. } => {
                self.ends.push(Some(Attempt { end: Some(AttemptEnd::of(event)), ..attempt }));
            }
            EventKind::ResponseBody { file: name, request, message, .. } => self.answers.push(LoggedAnswer {
                at: event.at,
                caller: attempt.caller,
                response: name
                    .as_deref()
                    .and_then(|name| responses.named(name))
                    .or_else(|| responses.inline(file, event.record)),
                request: request.clone(),
                message: message.clone(),
                is_given: false,
            }),
            EventKind::Other => {}
        }
    }

    /// Gives ends to the attempts that an answer names: the answer is logged right after
    /// its end.
    fn join_named(&mut self) {
        let by_id: HashMap<&Arc<str>, usize> = self
            .attempts
            .iter()
            .enumerate()
            .filter_map(|(place, attempt)| Some((attempt.id.as_ref()?, place)))
            .collect();
        let named: Vec<Option<usize>> =
            self.answers.iter().map(|answer| by_id.get(answer.request.as_ref()?).copied()).collect();
        let ends = self.ends_by_time();
        let mut pairs = Pairs::default();
        for (place, answer) in self.answers.iter().enumerate() {
            let Some(attempt) = named.get(place).copied().flatten().and_then(|at| self.attempts.get(at))
            else {
                continue;
            };
            let before = answer.at.plus_ms(-ANSWER_GAP_MS)..=answer.at;
            for (at, end) in ends.within(&answer.caller.session, before) {
                let Some(ending) = self.ends.get(end).and_then(Option::as_ref) else { continue };
                let is_answered = ending.end.as_ref().is_some_and(|end| !end.has_failed);
                if is_answered && answer.caller.may_be(&ending.caller) {
                    pairs.add((ending.misfit_ms(attempt), answer.at.ms_since(at)), place, end);
                }
            }
        }
        let ends: HashMap<usize, usize> = pairs.cheapest().into_iter().collect();
        for (place, named) in named.into_iter().enumerate() {
            let Some(answer) = self.answers.get_mut(place) else { continue };
            let Some(attempt) = named.and_then(|named| self.attempts.get_mut(named)) else { continue };
            let ending = ends.get(&place).and_then(|end| self.ends.get_mut(*end)).and_then(Option::take);
            // An exporter may lose the event with the end, and keep this one.
            attempt.end = ending.and_then(|ending| ending.end).or_else(|| {
                let duration = attempt.started.map(|started| answer.at.ms_since(started));
                let duration_ms = duration.and_then(|ms| u64::try_from(ms).ok());
                Some(AttemptEnd { at: Some(answer.at), duration_ms, ..AttemptEnd::default() })
            });
            attempt.confidence = Some(Confidence::Exact);
        }
    }

    /// Gives the other ends to the attempts that began when their durations did.
    fn join_timed(&mut self, bodies: &FoundBodies<'_>) {
        let open = self.attempts.iter().enumerate().filter(|(_, attempt)| attempt.end.is_none());
        let open =
            open.filter_map(|(place, attempt)| Some((&attempt.caller.session, attempt.started?, place)));
        let open = ByTime::new(open);
        let mut pairs = Pairs::default();
        let mut nearest: HashMap<usize, Vec<u64>> = HashMap::new();
        for (place, ending) in self.ends.iter().enumerate() {
            let Some((ending, at)) = ending.as_ref().and_then(|end| Some((end, end.end.as_ref()?.at?)))
            else {
                continue;
            };
            let duration = ending.end.as_ref().and_then(|end| end.duration_ms).unwrap_or(LONGEST_MS);
            let range = at.plus_ms(signed(duration).saturating_neg().saturating_sub(START_GAP_MS))..=at;
            // The newest first: the attempts that follow one are known by then.
            let mut later: Option<&Attempt> = None;
            let mut later_place = 0;
            for (_, candidate) in open.within(&ending.caller.session, range) {
                let Some(attempt) = self.attempts.get(candidate) else { continue };
                if !attempt.caller.may_be(&ending.caller) {
                    continue;
                }
                let misfit = ending.misfit_ms(attempt);
                nearest.entry(place).or_default().push(misfit);
                pairs.add((misfit, 1), place, candidate);
                // An answer in one piece is asked for where the stream was refused, and the
                // duration counts both.
                if bodies.is_streamed(attempt.body) == Some(true)
                    && let Some(later) = later
                    && bodies.is_streamed(later.body) == Some(false)
                {
                    pairs.add((misfit, 0), place, later_place);
                }
                (later, later_place) = (Some(attempt), candidate);
            }
        }
        for (end, attempt) in pairs.cheapest() {
            let Some(attempt) = self.attempts.get_mut(attempt) else { continue };
            let Some(ending) = self.ends.get_mut(end).and_then(Option::take) else { continue };
            attempt.confidence = Some(confidence(nearest.remove(&end).unwrap_or_default()));
            attempt.caller.learn(&ending.caller);
            attempt.end = ending.end;
        }
    }

    /// Adds the ends whose beginnings were not logged, as bodies were not recorded.
    fn add_unbegun(&mut self) {
        for mut attempt in std::mem::take(&mut self.ends).into_iter().flatten() {
            attempt.started = attempt.end.as_ref().and_then(AttemptEnd::begun);
            attempt.source = StartSource::End;
            attempt.confidence = Some(Confidence::Exact);
            self.attempts.push(attempt);
        }
    }

    /// Gives every answer to its attempt.
    fn join_answers(&mut self) {
        let by_id: HashMap<Arc<str>, usize> = self
            .attempts
            .iter()
            .enumerate()
            .filter_map(|(place, attempt)| Some((attempt.id.clone()?, place)))
            .collect();
        for answer in &mut self.answers {
            let named = answer.request.as_ref().and_then(|id| by_id.get(id));
            if let Some(attempt) = named.and_then(|place| self.attempts.get_mut(*place)) {
                answer.give(attempt);
            }
        }
        let ended = self.attempts.iter().enumerate().filter(|(_, attempt)| attempt.message.is_none());
        let ended = ended.filter_map(|(place, attempt)| {
            let end = attempt.end.as_ref().filter(|end| !end.has_failed)?;
            Some((&attempt.caller.session, end.at?, place))
        });
        let ended = ByTime::new(ended);
        let mut pairs = Pairs::default();
        for (place, answer) in self.answers.iter().enumerate().filter(|(_, answer)| !answer.is_given) {
            let before = answer.at.plus_ms(-ANSWER_GAP_MS)..=answer.at;
            for (at, candidate) in ended.within(&answer.caller.session, before) {
                let attempt = self.attempts.get(candidate);
                if attempt.is_some_and(|attempt| attempt.caller.may_be(&answer.caller)) {
                    pairs.add(answer.at.ms_since(at), place, candidate);
                }
            }
        }
        for (answer, attempt) in pairs.cheapest() {
            if let (Some(answer), Some(attempt)) =
                (self.answers.get_mut(answer), self.attempts.get_mut(attempt))
            {
                answer.give(attempt);
            }
        }
    }

    /// Marks attempts whose duration begins before an attempt that was refused.
    fn mark_refused(&mut self) {
        let open = self.attempts.iter().enumerate().filter(|(_, attempt)| attempt.end.is_none());
        let open =
            open.filter_map(|(place, attempt)| Some((&attempt.caller.session, attempt.started?, place)));
        let open = ByTime::new(open);
        let counts_refused = |attempt: &Attempt| -> Option<bool> {
            let (begun, started) = (attempt.end.as_ref()?.begun()?, attempt.started?);
            let range = begun.plus_ms(-REFUSED_GAP_MS)..=started.plus_ms(-1);
            if range.is_empty() {
                return Some(false);
            }
            let mut refused = open.within(&attempt.caller.session, range);
            Some(refused.any(|(_, place)| {
                self.attempts.get(place).is_some_and(|refused| refused.caller.may_be(&attempt.caller))
            }))
        };
        let marks: Vec<bool> =
            self.attempts.iter().map(|attempt| counts_refused(attempt).unwrap_or(false)).collect();
        for (attempt, mark) in self.attempts.iter_mut().zip(marks) {
            attempt.counts_refused = mark;
        }
    }

    fn ends_by_time(&self) -> ByTime {
        let ends = self.ends.iter().enumerate();
        ByTime::new(ends.filter_map(|(place, ending)| {
            let ending = ending.as_ref()?;
            Some((&ending.caller.session, ending.end.as_ref()?.at?, place))
        }))
    }
}

/// How sure it is that an end is of the attempt that fits best, by how far each is off.
fn confidence(mut misfits: Vec<u64>) -> Confidence {
    misfits.sort_unstable();
    match misfits.as_slice() {
        [_] => Confidence::Exact,
        [best, next, ..] if next - best <= AMBIGUOUS_MS => Confidence::Ambiguous,
        _ => Confidence::Likely,
    }
}

impl LoggedAnswer {
    fn give(&mut self, attempt: &mut Attempt) {
        self.is_given = true;
        attempt.caller.learn(&self.caller);
        attempt.response = self.response;
        attempt.message.clone_from(&self.message);
    }
}

impl Attempt {
    /// How far the start of this end is from that of an attempt.
    fn misfit_ms(&self, attempt: &Self) -> u64 {
        let end = self.end.as_ref();
        // Without a duration, the newest that is open.
        let begun = end.and_then(|end| end.begun().or(end.at));
        begun.zip(attempt.started).map_or(u64::MAX, |(begun, started)| begun.ms_since(started).unsigned_abs())
    }
}

impl Caller {
    fn of(event: &ClaudeCodeEvent) -> Self {
        Self {
            session: event.session.clone(),
            query_source: event.query_source.clone(),
            model: event.model.clone(),
            agent: event.agent.clone(),
            client_version: event.client_version.clone(),
        }
    }
}

impl AttemptEnd {
    fn of(event: &ClaudeCodeEvent) -> Self {
        let at = Some(event.at);
        match &event.kind {
            EventKind::Answered { duration_ms, ttft_ms, usage } => {
                Self { at, duration_ms: *duration_ms, ttft_ms: *ttft_ms, usage: *usage, ..Self::default() }
            }
            EventKind::Failed { error, status, duration_ms } => Self {
                at,
                duration_ms: *duration_ms,
                has_failed: true,
                error: error.clone(),
                status: *status,
                ..Self::default()
            },
            _ => Self { at, ..Self::default() },
        }
    }

    /// When its duration began.
    pub(super) fn begun(&self) -> Option<Timestamp> {
        Some(self.at?.plus_ms(-signed(self.duration_ms?)))
    }
}
