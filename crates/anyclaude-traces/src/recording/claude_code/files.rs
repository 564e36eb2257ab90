//! What other files tell where events do not: the index names pairs of bodies and answers;
//! without it the times of writing are the only times.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::attempt::{Attempt, AttemptEnd, ByTime, Caller, Pairs, StartSource, around};
use super::bodies::{FoundBodies, FoundBody};
use super::responses::Responses;
use crate::formats::claude_code::{FailedTry, IndexEntry, ModelSpan, TranscriptAnswer, Usage};
use crate::model::time::Timestamp;
use crate::model::timing::Confidence;

/// An entry of the index is written within this of the end of its span.
const INDEX_GAP_MS: i64 = 50;
/// A body is written within this of its event.
const WRITE_GAP_MS: i64 = 100;
/// An answer is written within this of its entry in the index; else the files were copied,
/// and the times are those of the copies.
const COPY_GAP_MS: i64 = 1_000;
/// A transcript's answer is stamped within this of the event of its end.
const TRANSCRIPT_GAP_MS: i64 = 50;
/// No request takes longer.
const LONGEST_MS: i64 = 24 * 60 * 60 * 1000;
/// No answer comes sooner, …
const LEAST_TOTAL_MS: i64 = 5;
/// … and no backend writes more tokens in a millisecond.
const MOST_TOKENS_PER_MS: u64 = 5;

/// Joins the index with attempts, and adds those of which it alone tells.
pub(super) fn join_index(
    index: &[IndexEntry],
    spans: &[(usize, &ModelSpan)],
    bodies: &FoundBodies<'_>,
    responses: &Responses<'_>,
    attempts: &mut Vec<Attempt>,
) {
    let mut by_body: HashMap<usize, usize> = HashMap::new();
    for (place, attempt) in attempts.iter().enumerate() {
        if let Some(body) = attempt.body {
            by_body.entry(body).or_insert(place);
        }
    }
    let mut of_spans = by_span(index, spans, responses, attempts);
    for (place, entry) in index.iter().enumerate() {
        let Some(body) = bodies.named(&entry.request_file) else { continue };
        let known = by_body.get(&body).copied().or_else(|| of_spans.remove(&place));
        let known = known.and_then(|known| attempts.get_mut(known));
        let response = responses.named(&entry.response_file);
        if let Some(attempt) = known {
            attempt.body = Some(body);
            attempt.response = attempt.response.or(response);
            attempt.caller.learn(&Caller::of_entry(entry));
            attempt.message = attempt.message.take().or_else(|| entry.message.clone());
        } else {
            by_body.insert(body, attempts.len());
            let caller = Caller::of_entry(entry);
            attempts.push(of_entry(
                Attempt { caller, ..Attempt::of_body(body, bodies) },
                entry,
                response,
                bodies,
                responses,
            ));
        }
    }
}

/// The attempts of spans that ended when an entry was written, with as many tokens as its
/// answer has.
fn by_span(
    index: &[IndexEntry],
    spans: &[(usize, &ModelSpan)],
    responses: &Responses<'_>,
    attempts: &[Attempt],
) -> HashMap<usize, usize> {
    let open = attempts.iter().enumerate().filter(|(_, attempt)| attempt.body.is_none());
    let open = open.filter_map(|(place, attempt)| {
        let (_, span) = spans.get(attempt.span?)?;
        Some((&attempt.caller.session, span.end, place))
    });
    let open = ByTime::new(open);
    let mut pairs = Pairs::default();
    for (place, entry) in index.iter().enumerate() {
        let Some(at) = entry.at else { continue };
        let response = responses.named(&entry.response_file).and_then(|place| responses.get(place));
        let answered = response.and_then(|file| file.content.response.output_tokens);
        for (end, candidate) in open.within(&entry.session, around(at, INDEX_GAP_MS)) {
            let told = attempts.get(candidate).and_then(|attempt| attempt.end.as_ref()?.usage.output);
            if answered.is_none() || told.is_none() || answered == told {
                pairs.add(at.ms_since(end).unsigned_abs(), place, candidate);
            }
        }
    }
    pairs.cheapest().into_iter().collect()
}

/// An attempt of which only the index tells: it has an end, and a start if its body's time
/// is the one at which that was written.
fn of_entry(
    attempt: Attempt,
    entry: &IndexEntry,
    response: Option<usize>,
    bodies: &FoundBodies<'_>,
    responses: &Responses<'_>,
) -> Attempt {
    let body = attempt.body.and_then(|body| bodies.get(body));
    let file = response.and_then(|place| responses.get(place));
    let written = file.and_then(|file| file.modified);
    let is_original =
        |at: Timestamp| written.is_some_and(|written| written.ms_since(at).abs() <= COPY_GAP_MS);
    let modified = body.and_then(|body| body.modified);
    let started = entry
        .at
        .filter(|at| is_original(*at))
        .and_then(|at| modified.filter(|started| (0..=LONGEST_MS).contains(&at.ms_since(*started))));
    let usage = file.map(|file| Usage::from(&file.content.response)).unwrap_or_default();
    let duration = entry.at.zip(started).and_then(|(at, started)| u64::try_from(at.ms_since(started)).ok());
    Attempt {
        started,
        source: if started.is_some() { StartSource::Modified } else { StartSource::Unknown },
        response,
        message: entry.message.clone(),
        end: Some(AttemptEnd { at: entry.at, duration_ms: duration, usage, ..AttemptEnd::default() }),
        confidence: Some(Confidence::Exact),
        ..attempt
    }
}

/// Gives the bodies that are left to the attempts of spans that began when they were
/// written, and adds the others as attempts of which only these times are known.
pub(super) fn add_unnamed(bodies: &FoundBodies<'_>, responses: &Responses<'_>, attempts: &mut Vec<Attempt>) {
    let taken: HashSet<usize> = attempts.iter().filter_map(|attempt| attempt.body).collect();
    let unnamed: Vec<(usize, &FoundBody)> =
        bodies.iter().filter(|(place, _)| !taken.contains(place)).collect();
    let bare = attempts.iter().enumerate().filter(|(_, attempt)| attempt.body.is_none());
    let bare = bare.filter(|(_, attempt)| attempt.source == StartSource::Span);
    let bare = ByTime::new(
        bare.filter_map(|(place, attempt)| Some((&attempt.caller.session, attempt.started?, place))),
    );
    let mut pairs = Pairs::default();
    for (body, unnamed) in &unnamed {
        let Some(modified) = unnamed.modified else { continue };
        for (at, attempt) in bare.within(&unnamed.caller.session, around(modified, WRITE_GAP_MS)) {
            pairs.add(at.ms_since(modified).unsigned_abs(), *body, attempt);
        }
    }
    let mut given = HashSet::new();
    for (body, attempt) in pairs.cheapest() {
        if let Some(attempt) = attempts.get_mut(attempt) {
            attempt.body = Some(body);
            given.insert(body);
        }
    }
    let left: Vec<usize> =
        unnamed.iter().map(|(place, _)| *place).filter(|place| !given.contains(place)).collect();
    // One of them may be the body of an attempt that a span tells of: it must not be two.
    let sessions: HashSet<&Option<Arc<str>>> =
        left.iter().filter_map(|place| bodies.get(*place)).map(|body| &body.caller.session).collect();
    attempts.retain(|attempt| {
        let is_bare = attempt.body.is_none() && attempt.source == StartSource::Span && attempt.end.is_none();
        !is_bare || !sessions.contains(&attempt.caller.session)
    });
    let mut answered = by_writing(&left, bodies, responses, attempts);
    for place in left {
        let attempt = Attempt::of_body(place, bodies);
        let response = answered.remove(&place);
        let file = response.and_then(|response| responses.get(response));
        let written = file.and_then(|file| file.modified);
        let end = file.zip(written).map(|(file, at)| AttemptEnd {
            at: Some(at),
            duration_ms: attempt.started.and_then(|started| u64::try_from(at.ms_since(started)).ok()),
            usage: Usage::from(&file.content.response),
            ..AttemptEnd::default()
        });
        attempts.push(Attempt { response, end, ..attempt });
    }
}

/// Answers by the body that was open when they were written, if times of writing can be
/// believed at all: none where one answer would have come too soon, or several bodies were
/// open.
fn by_writing(
    left: &[usize],
    bodies: &FoundBodies<'_>,
    responses: &Responses<'_>,
    attempts: &[Attempt],
) -> HashMap<usize, usize> {
    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum WrittenFile {
        Body(usize),
        Answer(usize),
    }
    let taken: HashSet<usize> = attempts.iter().filter_map(|attempt| attempt.response).collect();
    let of_bodies =
        left.iter().filter_map(|place| Some((bodies.get(*place)?.modified?, WrittenFile::Body(*place))));
    let of_answers = responses.iter().filter(|(place, _)| !taken.contains(place));
    let of_answers =
        of_answers.filter_map(|(place, file)| Some((file.modified?, WrittenFile::Answer(place))));
    let mut written: Vec<(Timestamp, WrittenFile)> = of_bodies.chain(of_answers).collect();
    written.sort();
    let (mut open, mut found) = (Vec::new(), HashMap::new());
    for (at, written) in written {
        match written {
            WrittenFile::Body(place) => open.push((place, at)),
            WrittenFile::Answer(place) => {
                let [(body, begun)] = *open.as_slice() else { return HashMap::new() };
                let response = responses.get(place).map(|file| &file.content.response);
                let tokens = response.and_then(|response| response.output_tokens).unwrap_or(0);
                let took = at.ms_since(begun);
                let is_possible = (LEAST_TOTAL_MS..=LONGEST_MS).contains(&took)
                    && tokens <= u64::try_from(took).unwrap_or(0).saturating_mul(MOST_TOKENS_PER_MS);
                if !is_possible {
                    return HashMap::new();
                }
                found.insert(body, place);
                open.clear();
            }
        }
    }
    found
}

/// Adds what transcripts know of answers: the subagent that asked, and counts that nothing
/// else tells.
pub(super) fn join_transcripts(
    answers: &[TranscriptAnswer],
    responses: &Responses<'_>,
    attempts: &mut [Attempt],
) {
    let by_message: HashMap<&Arc<str>, &TranscriptAnswer> =
        answers.iter().map(|answer| (&answer.message, answer)).collect();
    let by_time = answers.iter().enumerate();
    let by_time =
        ByTime::new(by_time.filter_map(|(place, answer)| Some((&answer.session, answer.at?, place))));
    for attempt in attempts.iter_mut() {
        let file = attempt.response.and_then(|place| responses.get(place));
        let message = attempt.message.as_ref().or_else(|| file?.content.message.as_ref());
        let answer = match message {
            Some(message) => by_message.get(message).copied(),
            None => at_end(attempt, answers, &by_time),
        };
        let Some(answer) = answer else { continue };
        attempt.caller.learn(&Caller {
            session: answer.session.clone(),
            agent: answer.agent.clone(),
            client_version: answer.client_version.clone(),
            ..Caller::default()
        });
        if let Some(end) = &mut attempt.end {
            end.usage = end.usage.or_counted(answer.usage);
        }
    }
}

/// Ends the attempts that failed and were sent again, of which only a transcript tells: each
/// is the newest of its session that had been sent and has no other end.
pub(super) fn join_failed_tries<'f>(tries: impl Iterator<Item = &'f FailedTry>, attempts: &mut [Attempt]) {
    let mut tries: Vec<(Timestamp, &FailedTry)> =
        tries.filter_map(|failed| Some((failed.at?, failed))).collect();
    // In whatever order the files are read.
    tries.sort_by(|(at, one), (other_at, other)| {
        (at, &one.words, one.status, &one.agent).cmp(&(other_at, &other.words, other.status, &other.agent))
    });
    let open = attempts.iter().enumerate().filter(|(_, attempt)| attempt.end.is_none());
    let open = ByTime::new(
        open.filter_map(|(place, attempt)| Some((&attempt.caller.session, attempt.started?, place))),
    );
    for (at, failed) in tries {
        let newest = open.within(&failed.session, at.plus_ms(-LONGEST_MS)..=at).find(|(_, place)| {
            attempts.get(*place).is_some_and(|attempt| {
                let agents = (&attempt.caller.agent, &failed.agent);
                let is_of_other = matches!(agents, (Some(sent), Some(failed)) if sent != failed);
                attempt.end.is_none() && !is_of_other
            })
        });
        let Some(attempt) = newest.and_then(|(_, place)| attempts.get_mut(place)) else { continue };
        attempt.end = Some(AttemptEnd {
            at: Some(at),
            has_failed: true,
            error: failed.words.clone(),
            status: failed.status,
            ..AttemptEnd::default()
        });
    }
}

/// The answer of a transcript that came when the attempt ended, with as many tokens.
fn at_end<'a>(
    attempt: &Attempt,
    answers: &'a [TranscriptAnswer],
    by_time: &ByTime,
) -> Option<&'a TranscriptAnswer> {
    let end = attempt.end.as_ref().filter(|end| !end.has_failed)?;
    let near = by_time.within(&attempt.caller.session, around(end.at?, TRANSCRIPT_GAP_MS));
    let near = near.filter_map(|(_, place)| answers.get(place));
    let mut fitting = near.filter(|answer| answer.usage.output == end.usage.output);
    fitting.next()
}

impl Attempt {
    /// An attempt of which nothing is known but its body and when that was written.
    fn of_body(place: usize, bodies: &FoundBodies<'_>) -> Self {
        let body = bodies.get(place);
        let modified = body.and_then(|body| body.modified);
        Self {
            started: modified,
            source: if modified.is_some() { StartSource::Modified } else { StartSource::Unknown },
            caller: body.map(|body| body.caller.clone()).unwrap_or_default(),
            id: bodies.id(place),
            body: Some(place),
            ..Self::default()
        }
    }
}

impl Caller {
    fn of_entry(entry: &IndexEntry) -> Self {
        Self { session: entry.session.clone(), query_source: entry.query_source.clone(), ..Self::default() }
    }
}
