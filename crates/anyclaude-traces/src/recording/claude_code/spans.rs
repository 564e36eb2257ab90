//! What spans add: a better time to first token, ends that no event tells, and, where there
//! are no events, the attempts themselves.

use super::attempt::{Attempt, AttemptEnd, ByTime, Caller, Pairs, StartSource, around};
use crate::formats::claude_code::ModelSpan;
use crate::model::time::Timestamp;
use crate::model::timing::Confidence;

/// A span ends within this of the event of its end, and an attempt begins within this of
/// the event with its body.
const GAP_MS: i64 = 50;
/// On a machine that is busy it takes longer: within this, where it began then too.
const BUSY_GAP_MS: i64 = 1_000;

/// Joins spans with the attempts that events tell of, and adds the attempts of the others.
pub(super) fn join(spans: &[(usize, &ModelSpan)], attempts: &mut Vec<Attempt>) {
    let mut is_joined = vec![false; spans.len()];
    for gap_ms in [GAP_MS, BUSY_GAP_MS] {
        for (span, attempt) in by_end(spans, &is_joined, attempts, gap_ms) {
            if let (Some(attempt), Some(joined)) = (attempts.get_mut(attempt), is_joined.get_mut(span)) {
                attempt.span = Some(span);
                *joined = true;
            }
        }
    }
    for (span, attempt) in by_start(spans, &is_joined, attempts) {
        let Some((_, told)) = spans.get(span) else { continue };
        if let (Some(attempt), Some(joined)) = (attempts.get_mut(attempt), is_joined.get_mut(span)) {
            attempt.span = Some(span);
            attempt.end = Some(AttemptEnd::of_span(told, attempt.started));
            attempt.caller.learn(&Caller::of_span(told));
            *joined = true;
        }
    }
    let known = attempts.iter().enumerate();
    let known = ByTime::new(
        known.filter_map(|(place, attempt)| Some((&attempt.caller.session, attempt.started?, place))),
    );
    let mut added = Vec::new();
    for ((place, (file, span)), _) in spans.iter().enumerate().zip(is_joined).filter(|(_, joined)| !joined) {
        added.extend(of_span(place, *file, span, &known));
    }
    attempts.extend(added);
}

/// Pairs of spans and attempts that ended at the same time with as many tokens, of those
/// that are in none.
fn by_end(
    spans: &[(usize, &ModelSpan)],
    is_joined: &[bool],
    attempts: &[Attempt],
    gap_ms: i64,
) -> Vec<(usize, usize)> {
    let ended = attempts.iter().enumerate().filter(|(_, attempt)| attempt.span.is_none());
    let ended = ended
        .filter_map(|(place, attempt)| Some((&attempt.caller.session, attempt.end.as_ref()?.at?, place)));
    let ended = ByTime::new(ended);
    let mut pairs = Pairs::default();
    for ((place, (_, span)), _) in spans.iter().enumerate().zip(is_joined).filter(|(_, joined)| !**joined) {
        for (at, candidate) in ended.within(&span.session, around(span.end, gap_ms)) {
            let Some(attempt) = attempts.get(candidate) else { continue };
            let Some(end) = attempt.end.as_ref() else { continue };
            let apart_ms = attempt.started.map(|started| started.ms_since(span.last_attempt()).abs());
            if gap_ms > GAP_MS && apart_ms.is_none_or(|apart_ms| apart_ms > gap_ms) {
                continue;
            }
            let (told, logged) = (span.usage.output, end.usage.output);
            let has_as_many = told.is_none() || logged.is_none() || told == logged;
            if end.has_failed == span.has_failed && has_as_many {
                pairs.add(at.ms_since(span.end).unsigned_abs(), place, candidate);
            }
        }
    }
    pairs.cheapest()
}

/// Pairs of spans without such an end and open attempts that began when their last
/// attempt did.
fn by_start(spans: &[(usize, &ModelSpan)], is_joined: &[bool], attempts: &[Attempt]) -> Vec<(usize, usize)> {
    let open = attempts.iter().enumerate().filter(|(_, attempt)| attempt.end.is_none());
    let open = open.filter_map(|(place, attempt)| Some((&attempt.caller.session, attempt.started?, place)));
    let open = ByTime::new(open);
    let mut pairs = Pairs::default();
    for ((place, (_, span)), _) in spans.iter().enumerate().zip(is_joined).filter(|(_, joined)| !**joined) {
        let last = span.last_attempt();
        for (at, candidate) in open.within(&span.session, around(last, GAP_MS)) {
            pairs.add(at.ms_since(last).unsigned_abs(), place, candidate);
        }
    }
    pairs.cheapest()
}

/// The attempts of a span of which no event tells.
fn of_span(place: usize, file: usize, span: &ModelSpan, known: &ByTime) -> Vec<Attempt> {
    let of = |number: usize, started: Timestamp| Attempt {
        place: Some((file, span.record.saturating_add(u32::try_from(number).unwrap_or(u32::MAX)))),
        started: Some(started),
        source: StartSource::Span,
        caller: Caller::of_span(span),
        confidence: Some(Confidence::Exact),
        ..Attempt::default()
    };
    let is_known = |at: Timestamp| known.within(&span.session, around(at, GAP_MS)).next().is_some();
    let mut starts: Vec<Timestamp> = span.attempts.clone();
    let last = starts.pop().unwrap_or(span.start);
    let mut attempts: Vec<Attempt> = Vec::new();
    for (number, at) in starts.iter().enumerate().filter(|(_, at)| !is_known(**at)) {
        attempts.push(of(number, *at));
    }
    attempts.push(Attempt {
        end: Some(AttemptEnd::of_span(span, Some(last))),
        span: Some(place),
        ..of(starts.len(), last)
    });
    attempts
}

impl ModelSpan {
    /// When the attempt began that its end is of.
    fn last_attempt(&self) -> Timestamp {
        self.attempts.last().copied().unwrap_or(self.start)
    }
}

impl Caller {
    fn of_span(span: &ModelSpan) -> Self {
        Self {
            session: span.session.clone(),
            query_source: span.query_source.clone(),
            model: span.model.clone(),
            agent: span.agent.clone(),
            client_version: span.client_version.clone(),
        }
    }
}

impl AttemptEnd {
    /// A span counts all attempts; of its last one the start is known.
    fn of_span(span: &ModelSpan, started: Option<Timestamp>) -> Self {
        let started = started.unwrap_or_else(|| span.last_attempt());
        Self {
            at: Some(span.end),
            duration_ms: u64::try_from(span.end.ms_since(started)).ok(),
            ttft_ms: None,
            usage: span.usage,
            has_failed: span.has_failed,
            error: span.error.clone(),
            status: span.status,
        }
    }
}
