//! When requests ran, side by side: who waited for whom, and for which load.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::analysis::explain::Part;
use crate::cost;
use crate::model::request::{Kind, Request, RequestId};
use crate::model::time::Timestamp;
use crate::model::timing::{Outcome, Timing};
use crate::model::{Lanes, TimeBreakdown};
use crate::recording::join::UnmatchedLogRequest;

/// An idle time of this length ends a stretch, …
const IDLE_MS: i64 = 120_000;
/// … and a stretch of this length ends as soon as nothing runs.
const LONG_MS: i64 = 900_000;
/// How many stretches are kept: those in which requests took longest together.
const MOST_STRETCHES: usize = 6;

/// The requests of every kind in order of time, without the idle times between them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Timeline {
    /// The busiest stretches of time, in order of time. An idle time of two minutes parts
    /// them, and any idle time after a quarter of an hour.
    pub stretches: Vec<Stretch>,
    /// How many less busy stretches are left out, …
    pub other_stretches: u64,
    /// … and how many requests these have.
    pub other_requests: u64,
    /// How many requests have no time at all.
    pub undated: u64,
}

/// A stretch of time in which requests ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Stretch {
    /// When its first request arrived.
    pub from: Timestamp,
    /// When its last request ended, as far as that is known.
    pub to: Timestamp,
    /// Its requests, by the model that ran.
    pub models: Vec<ModelLanes>,
}

/// One model's requests in lanes: no two requests of a lane ran at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ModelLanes {
    /// The model, or the process whose model is not named.
    pub model: Option<Arc<str>>,
    /// How many lanes there are: as many requests were open at the same time.
    pub lanes: u64,
    /// In order of time.
    pub requests: Vec<TimelineRequest>,
}

/// A request on the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TimelineRequest {
    /// Its short name; `None` where only a log has it.
    pub id: Option<RequestId>,
    /// What sort of request it is; `None` where only a log has it.
    pub kind: Option<Kind>,
    /// Its lane, counted from 0.
    pub lane: u64,
    /// When it arrived, in milliseconds after the beginning of the stretch.
    pub from_ms: u64,
    /// The parts of its time that are longer than 0, one behind the other; none where no
    /// time is known. Stalls lie inside the answer, where exactly is not kept: they stand
    /// behind it.
    pub parts: Vec<TimelinePart>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

/// A part of a request's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TimelinePart {
    /// Which.
    pub part: Part,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

impl TimelineRequest {
    /// How long it took, as far as that is known.
    #[must_use]
    pub fn ms(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.ms))
    }
}

/// Where the time of one model's requests went that only a log has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LoggedTime {
    /// The model that ran; `None` where the log does not tell.
    pub model: Option<Arc<str>>,
    /// Means over its completed requests.
    pub time: TimeBreakdown,
}

/// Where the time of requests went that only a log has, by model.
pub(super) fn logged_times(only_logged: &[UnmatchedLogRequest]) -> Vec<LoggedTime> {
    let mut models: BTreeMap<Option<Arc<str>>, Vec<&Timing>> = BTreeMap::new();
    let completed = |timing: &Timing| timing.outcome.is_none_or(|outcome| outcome == Outcome::Completed);
    for one in only_logged.iter().filter(|one| completed(&one.timing)) {
        models.entry(one.model.clone()).or_default().push(&one.timing);
    }
    let mean = |(model, timings)| Some(LoggedTime { model, time: cost::breakdown_of_timings(timings)? });
    models.into_iter().filter_map(mean).collect()
}

/// A request before it has a place.
struct PlacedRequest {
    model: Option<Arc<str>>,
    id: Option<RequestId>,
    kind: Option<Kind>,
    from: Timestamp,
    parts: Vec<TimelinePart>,
    outcome: Option<Outcome>,
}

impl PlacedRequest {
    fn of(request: &Request) -> Option<Self> {
        let timing = request.timing.as_deref();
        let start = timing.and_then(|timing| timing.start);
        let arrival = start.map(|start| arrived(start, timing.and_then(|timing| timing.proxy_ms.get())));
        Some(Self {
            model: request.model_group(),
            id: Some(request.id),
            kind: Some(request.kind),
            from: arrival.or(request.timestamp)?,
            parts: timing.map(parts).unwrap_or_default(),
            outcome: timing.and_then(|timing| timing.outcome),
        })
    }

    fn of_log(request: &UnmatchedLogRequest) -> Option<Self> {
        let timing = &request.timing;
        Some(Self {
            model: request.model.clone(),
            id: None,
            kind: None,
            from: arrived(request.start.or(timing.start)?, timing.proxy_ms.get()),
            parts: parts(timing),
            outcome: timing.outcome,
        })
    }

    fn to(&self) -> Timestamp {
        let ms = self.parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.ms));
        self.from.plus_ms(signed(ms))
    }
}

fn arrived(start: Timestamp, proxy_ms: Option<u64>) -> Timestamp {
    start.plus_ms(signed(proxy_ms.unwrap_or(0)).saturating_neg())
}

fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// The parts of a request, in the order of [`Part::ALL`]. Without parts all of its time is
/// `other`.
fn parts(timing: &Timing) -> Vec<TimelinePart> {
    let known = Part::ALL.map(|part| (part, part.of_request(timing)));
    let told_apart = known.iter().any(|(part, ms)| *part != Part::Proxy && ms.is_some());
    let whole = [(Part::Proxy, timing.proxy_ms.get()), (Part::Other, timing.total_ms.get())];
    let all: &[_] = if told_apart { &known } else { &whole };
    let takes_time = |(part, ms): &(Part, Option<u64>)| Some((*part, (*ms)?)).filter(|(_, ms)| *ms > 0);
    all.iter().filter_map(takes_time).map(|(part, ms)| TimelinePart { part, ms }).collect()
}

/// Lays out requests of every kind, and those that only a log has.
pub(super) fn timeline<'a>(
    requests: impl Iterator<Item = &'a Request>,
    only_logged: &[UnmatchedLogRequest],
) -> Timeline {
    let all: Vec<Option<PlacedRequest>> =
        requests.map(PlacedRequest::of).chain(only_logged.iter().map(PlacedRequest::of_log)).collect();
    let undated = all.iter().filter(|one| one.is_none()).count() as u64;
    let mut placed: Vec<PlacedRequest> = all.into_iter().flatten().collect();
    placed.sort_by_key(|one| (one.from, one.id));

    let mut stretches: Vec<(Timestamp, Timestamp, Vec<PlacedRequest>)> = Vec::new();
    for one in placed {
        let (from, end) = (one.from, one.to());
        match stretches.last_mut() {
            Some((first, last, members)) if is_one_stretch(*first, *last, from) => {
                *last = end.max(*last);
                members.push(one);
            }
            _ => stretches.push((from, end, vec![one])),
        }
    }
    let mut ranked: Vec<(u64, usize)> = stretches
        .iter()
        .enumerate()
        .map(|(at, (_, _, members))| (members.iter().map(busy_ms).fold(0, u64::saturating_add), at))
        .collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let kept: Vec<usize> = ranked.iter().take(MOST_STRETCHES).map(|(_, at)| *at).collect();
    let mut found = Timeline { undated, ..Timeline::default() };
    for (at, (from, to, members)) in stretches.into_iter().enumerate() {
        if kept.contains(&at) {
            found.stretches.push(Stretch { from, to, models: lanes(from, members) });
        } else {
            found.other_stretches += 1;
            found.other_requests += members.len() as u64;
        }
    }
    found
}

/// Whether a request that arrives at `from` belongs to what ran between these moments.
fn is_one_stretch(first: Timestamp, last: Timestamp, from: Timestamp) -> bool {
    let idle_ms = from.ms_since(last);
    idle_ms < IDLE_MS && (idle_ms < 0 || from.ms_since(first) < LONG_MS)
}

fn busy_ms(one: &PlacedRequest) -> u64 {
    one.parts.iter().fold(0, |sum, part| sum.saturating_add(part.ms))
}

/// By model, each request in the first lane that is free.
fn lanes(from: Timestamp, members: Vec<PlacedRequest>) -> Vec<ModelLanes> {
    let mut models: BTreeMap<Option<Arc<str>>, Vec<PlacedRequest>> = BTreeMap::new();
    for one in members {
        models.entry(one.model.clone()).or_default().push(one);
    }
    let of_model = |(model, members): (Option<Arc<str>>, Vec<PlacedRequest>)| {
        let mut lanes = Lanes::default();
        let requests = members
            .into_iter()
            .map(|one| TimelineRequest {
                id: one.id,
                kind: one.kind,
                lane: lanes.place(one.from, one.to()) as u64,
                from_ms: u64::try_from(one.from.ms_since(from)).unwrap_or(0),
                parts: one.parts,
                outcome: one.outcome,
            })
            .collect();
        ModelLanes { model, lanes: lanes.count() as u64, requests }
    };
    models.into_iter().map(of_model).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::explain::tests::{MADE, Made, side};

    /// One request each, that arrives so many seconds after the first and reads as long.
    fn at_seconds(times: &[(i64, u64)]) -> Vec<Request> {
        let made: Vec<Made> = times
            .iter()
            .map(|(_, seconds)| Made { proxy_ms: Some(0), ttft_ms: seconds * 1000, generation_ms: 0, ..MADE })
            .collect();
        let mut requests = side("m", &made);
        for (request, (start, _)) in requests.iter_mut().zip(times) {
            request.timing.as_mut().unwrap().start = Some(Timestamp::UNIX_EPOCH.plus_ms(start * 1000));
        }
        requests
    }

    fn laid_out(times: &[(i64, u64)]) -> Vec<Vec<u64>> {
        let requests = at_seconds(times);
        let found = timeline(requests.iter(), &[]);
        let lanes = |stretch: &Stretch| stretch.models[0].requests.iter().map(|one| one.lane).collect();
        found.stretches.iter().map(lanes).collect()
    }

    #[test]
    fn requests_that_overlap_have_lanes_of_their_own() {
        assert_eq!(laid_out(&[(0, 10), (5, 10), (10, 1), (12, 9)]), [vec![0, 1, 0, 0]]);
    }

    #[test]
    fn idle_times_part_stretches_and_long_stretches_end_where_nothing_runs() {
        // Two minutes without a request.
        assert_eq!(laid_out(&[(0, 10), (129, 1), (250, 1)]), [vec![0, 0], vec![0]]);
        // A quarter of an hour has passed: it ends where nothing runs, not before.
        let busy = laid_out(&[(0, 850), (849, 60), (905, 60), (970, 1)]);
        assert_eq!(busy, [vec![0, 1, 0], vec![0]]);
    }

    #[test]
    fn a_request_reads_once_its_model_is_loaded_and_others_are_done() {
        let made = Made { proxy_ms: Some(400), load_ms: 300, queue_ms: 200, ttft_ms: 1_000, ..MADE };
        let requests = side("m", &[made]);
        let found = timeline(requests.iter(), &[]);
        let [one] = &found.stretches[0].models[0].requests[..] else { panic!("{found:?}") };
        let parts: Vec<(Part, u64)> = one.parts.iter().map(|part| (part.part, part.ms)).collect();
        assert_eq!(
            &parts[..4],
            [(Part::Proxy, 400), (Part::Load, 300), (Part::Queue, 200), (Part::Read, 500)]
        );
        let wall_ms = requests[0].timing.as_ref().unwrap().wall_ms;
        assert_eq!(Some(one.ms()), wall_ms, "they add up");
    }

    #[test]
    fn only_the_busiest_stretches_are_kept_and_requests_without_a_time_are_counted() {
        let times: Vec<(i64, u64)> = (0..8).map(|at| (at * 1000, 10 + u64::from(at != 3))).collect();
        let mut requests = at_seconds(&times);
        let nameless = requests.last_mut().unwrap();
        (nameless.timing, nameless.timestamp) = (None, None);
        let found = timeline(requests.iter(), &[]);
        assert_eq!((found.stretches.len(), found.other_stretches, found.other_requests), (6, 1, 1));
        assert_eq!(found.undated, 1);
        assert!(found.stretches.iter().all(|one| one.from.unix_ms() != 3_000_000), "the shortest one");
    }
}
