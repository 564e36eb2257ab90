//! Which task of a server's log is which request.
//!
//! Both sides count the tokens of prompt and answer: equal pairs of counts make candidates.
//! Where counts repeat, time decides. The server's clock may count from its own start, or be
//! local time without a zone; but how far it is from the client's is the same for every
//! request of one process. So the offset is taken that most candidates agree on, and each
//! request goes to the candidate that then ended when it did. Tasks without times are
//! taken in the order of their ends.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::formats::backend::{BackendMoment, BackendTask};
use crate::model::LogZone;
use crate::model::timing::Confidence;

/// Ends of one offset lie within this, in milliseconds, …
const SAME_OFFSET_MS: i64 = 1_000;
/// … but for single ones, which the client may have seen as late as this.
const LATE_MS: i64 = 15_000;
/// Half of the ends are this near to each other, or the log is another server's.
const TYPICAL_GAP_MS: i64 = 150;
/// So much longer than its request may a task have run, by the server's clock: both round.
const LONGER_MS: f64 = 250.0;
/// A task may seem to have begun so long before its request: stamps are taken late.
const EARLY_MS: i64 = 250;
/// Another candidate whose end is nearly as near could be it as well.
const AS_NEAR_MS: i64 = 200;
/// Of requests or tasks with the same counts, so many are compared with each.
const MAX_SAME: usize = 64;
/// No clock of a computer that is set is further from another than this, …
const MOST_WRONG_MS: i64 = 10 * 60 * 1_000;
/// … and no zone further from UTC.
const FURTHEST_ZONE_MS: i64 = 14 * 60 * 60 * 1_000;

/// A request that a task is looked for, by the place that it is known by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) at: usize,
    /// Prompt and output tokens; `None` where the client was not told.
    pub(super) counts: Option<(u64, u64)>,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
}

impl Wanted {
    fn total_ms(&self) -> i64 {
        self.end_ms.saturating_sub(self.start_ms)
    }
}

/// A task, by its place in the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offered {
    pub(super) at: usize,
    counts: Option<(u64, u64)>,
    start_ms: Option<i64>,
    /// The clock that its end was read from, and the end by it.
    end: Option<(LogClock, i64)>,
    /// How far local time was ahead of UTC at the end, where somebody says so.
    ahead_s: Option<i32>,
    uncertainty_ms: i64,
    busy_ms: f64,
}

/// A clock in a log. One that counts from the start of a process is that process's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LogClock {
    SinceStart(usize),
    Local,
    Utc,
}

impl LogClock {
    pub(super) fn of(moment: BackendMoment, process: usize) -> Self {
        match moment {
            BackendMoment::SinceStart { .. } => Self::SinceStart(process),
            BackendMoment::LocalSecond { .. } => Self::Local,
            BackendMoment::Instant(_) => Self::Utc,
        }
    }

    /// Whether a clock of this kind can be so far behind UTC. `ahead_s` is how far local
    /// time is said to be ahead of UTC then.
    fn may_be_off(self, offset_ms: i64, ahead_s: Option<i32>) -> bool {
        match (self, ahead_s) {
            (Self::SinceStart(_), _) => true,
            (Self::Local, Some(ahead_s)) => (offset_ms + 1_000 * i64::from(ahead_s)).abs() <= MOST_WRONG_MS,
            (Self::Local, None) => offset_ms.abs() <= FURTHEST_ZONE_MS + MOST_WRONG_MS,
            (Self::Utc, _) => offset_ms.abs() <= MOST_WRONG_MS,
        }
    }
}

/// How far local time was ahead of UTC at a moment, where somebody says which zone it is of.
fn said_ahead_s(moment: BackendMoment, zone: &LogZone) -> Option<i32> {
    match moment {
        BackendMoment::LocalSecond { seconds, is_repeated } if zone.is_named() => {
            i32::try_from(zone.offset_s(seconds, is_repeated)?).ok()
        }
        _ => None,
    }
}

impl Offered {
    fn of(at: usize, task: &BackendTask, zone: &LogZone) -> Self {
        let is_timed =
            |started: &BackendMoment| task.ended.is_some_and(|end| end.ms_since(*started).is_some());
        let start =
            task.started.filter(|_| task.total_ms.is_none() || task.received.is_some()).filter(is_timed);
        Self {
            at,
            counts: task.counts(),
            start_ms: start.map(BackendMoment::clock_ms),
            end: task.ended.map(|ended| (LogClock::of(ended, task.process), ended.clock_ms())),
            ahead_s: task.ended.and_then(|ended| said_ahead_s(ended, zone)),
            uncertainty_ms: task.ended.map_or(0, |ended| i64::try_from(ended.uncertainty_ms()).unwrap_or(0)),
            busy_ms: task.read_ms.unwrap_or(0.0) + task.write_ms.unwrap_or(0.0),
        }
    }

    /// These tasks of a log.
    pub(super) fn all(tasks: &[BackendTask], zone: &LogZone) -> Vec<Self> {
        tasks.iter().enumerate().map(|(at, task)| Self::of(at, task, zone)).collect()
    }

    #[allow(clippy::cast_precision_loss, reason = "times stay far below 2^53")]
    fn fits(&self, wanted: &Wanted) -> bool {
        self.busy_ms <= wanted.total_ms() as f64 + LONGER_MS
    }
}

/// One request and its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matched {
    /// The request's place.
    pub(super) request: usize,
    /// The task's place in its log.
    pub(super) task: usize,
    /// How much later than the server the client saw the end.
    pub(super) gap_ms: Option<i64>,
    pub(super) confidence: Confidence,
}

impl Matched {
    fn of(request: &Wanted, task: &Offered, gap_ms: Option<i64>, confidence: Confidence) -> Self {
        Self { request: request.at, task: task.at, gap_ms, confidence }
    }
}

/// How well a log fits the requests of a root.
#[derive(Debug, Clone, Default)]
pub(super) struct Fit {
    pub(super) matched: Vec<Matched>,
    /// What is to be added to each clock of the log for UTC.
    pub(super) offsets_ms: BTreeMap<LogClock, i64>,
}

impl Fit {
    /// The better of two has more joins; of as many, ends that are nearer to each other.
    pub(super) fn rank(&self) -> (Reverse<usize>, i64) {
        let gaps = self.matched.iter().map(|one| one.gap_ms.map_or(LATE_MS, i64::abs));
        (Reverse(self.matched.len()), median(gaps.collect()).unwrap_or(LATE_MS))
    }
}

/// Matches the requests of one root with the tasks of one log. `is_only` tells that the root
/// has no other request, so that none can agree with it on the clock.
pub(super) fn fit(wanted: &[Wanted], offered: &[Offered], is_only: bool) -> Fit {
    let groups = by_counts(wanted, offered);
    let mut fit = Fit::default();
    let mut used = Used::default();
    by_time(&groups, is_only, &mut used, &mut fit);
    by_order(&groups, &mut used, &mut fit);
    by_place(wanted, offered, &mut used, &mut fit);
    // Where most requests have a task with their counts, but one that took another time or
    // was at another, the log is another server's, whose client sent the same.
    let with_counts = groups.values().filter(|group| !group.tasks.is_empty());
    let with_counts = with_counts.flat_map(|group| &group.requests);
    let (found, lost): (Vec<&&Wanted>, Vec<&&Wanted>) =
        with_counts.partition(|request| used.has_request(request));
    if found.len() < lost.len() {
        return Fit::default();
    }
    fit.matched.sort_by_key(|one| one.request);
    fit
}

/// Requests and tasks with the same counts, in the order of their ends.
#[derive(Debug, Default)]
struct Group<'a> {
    requests: Vec<&'a Wanted>,
    tasks: Vec<&'a Offered>,
}

/// All of them, by these counts.
type Groups<'a> = BTreeMap<(u64, u64), Group<'a>>;

fn by_counts<'a>(wanted: &'a [Wanted], offered: &'a [Offered]) -> Groups<'a> {
    let mut groups = Groups::new();
    for request in wanted {
        if let Some(counts) = request.counts {
            groups.entry(counts).or_default().requests.push(request);
        }
    }
    for task in offered {
        if let Some(group) = task.counts.and_then(|counts| groups.get_mut(&counts)) {
            group.tasks.push(task);
        }
    }
    for group in groups.values_mut() {
        group.requests.sort_by_key(|request| request.end_ms);
    }
    groups
}

/// Which requests and tasks are taken.
#[derive(Debug, Default)]
struct Used {
    requests: BTreeSet<usize>,
    tasks: BTreeSet<usize>,
}

impl Used {
    fn has_request(&self, request: &Wanted) -> bool {
        self.requests.contains(&request.at)
    }

    fn has_task(&self, task: &Offered) -> bool {
        self.tasks.contains(&task.at)
    }

    fn take(&mut self, request: &Wanted, task: &Offered) {
        self.requests.insert(request.at);
        self.tasks.insert(task.at);
    }

    fn give_back(&mut self, request: &Wanted, task: &Offered) {
        self.requests.remove(&request.at);
        self.tasks.remove(&task.at);
    }
}

/// A request and a task that may be its, and how far the server's clock is behind if it is.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    request: &'a Wanted,
    task: &'a Offered,
    offset_ms: i64,
}

impl Candidate<'_> {
    /// Decides the order where times do not.
    fn places(&self) -> (usize, usize) {
        (self.request.at, self.task.at)
    }

    /// How far the ends are apart if the clock is so far behind.
    fn distance_ms(&self, offset_ms: i64) -> i64 {
        (self.offset_ms - offset_ms).abs()
    }
}

/// The candidates of each clock.
fn candidates<'a>(groups: &Groups<'a>) -> BTreeMap<LogClock, Vec<Candidate<'a>>> {
    let mut candidates: BTreeMap<LogClock, Vec<Candidate<'_>>> = BTreeMap::new();
    for Group { requests, tasks } in groups.values() {
        for (rank, request) in requests.iter().enumerate() {
            // Of very many, those of about the same place in the order.
            let middle = rank * tasks.len() / requests.len().max(1);
            let near = middle.saturating_sub(MAX_SAME / 2)..tasks.len().min(middle + MAX_SAME / 2);
            for task in tasks.get(near).unwrap_or_default() {
                let Some((clock, end_ms)) = task.end.filter(|_| task.fits(request)) else { continue };
                let offset_ms = request.end_ms.saturating_sub(end_ms);
                if clock.may_be_off(offset_ms, task.ahead_s) {
                    candidates.entry(clock).or_default().push(Candidate { request, task, offset_ms });
                }
            }
        }
    }
    candidates
}

/// The offset of a clock that most requests agree on.
#[derive(Debug, Clone, Copy)]
struct Agreed {
    /// How many requests do.
    requests: usize,
    offset_ms: i64,
}

/// The offset that the candidates of most requests agree on. Sorts them by their offsets.
fn most_agreed(clock: LogClock, candidates: &mut [Candidate<'_>]) -> Option<Agreed> {
    let width_ms = SAME_OFFSET_MS + if clock == LogClock::Local { 1_000 } else { 0 };
    candidates.sort_by_key(|one| (one.offset_ms, one.places()));
    let mut inside: BTreeMap<usize, usize> = BTreeMap::new();
    let mut best: Option<(usize, i64, usize, usize)> = None;
    let mut first = 0;
    for (last, candidate) in candidates.iter().enumerate() {
        *inside.entry(candidate.request.at).or_default() += 1;
        while let Some(left) =
            candidates.get(first).filter(|left| candidate.offset_ms - left.offset_ms > width_ms)
        {
            if let Some(n) = inside.get_mut(&left.request.at) {
                *n -= 1;
                if *n == 0 {
                    inside.remove(&left.request.at);
                }
            }
            first += 1;
        }
        let width = candidates.get(first).map_or(0, |left| candidate.offset_ms - left.offset_ms);
        let is_better = best.is_none_or(|(requests, narrowest, ..)| {
            (inside.len(), Reverse(width)) > (requests, Reverse(narrowest))
        });
        if is_better {
            best = Some((inside.len(), width, first, last));
        }
    }
    let (requests, _, first, last) = best?;
    let offsets = candidates.get(first..=last)?.iter().map(|one| one.offset_ms).collect();
    Some(Agreed { requests, offset_ms: median(offsets)? })
}

/// Requests by the end of their tasks, clock by clock: that which most agree on comes first.
fn by_time(groups: &Groups<'_>, is_only: bool, used: &mut Used, fit: &mut Fit) {
    let mut by_clock = candidates(groups);
    let mut agreed: Vec<(LogClock, Agreed)> = by_clock
        .iter_mut()
        .filter_map(|(clock, candidates)| Some((*clock, most_agreed(*clock, candidates)?)))
        .collect();
    agreed.sort_by_key(|(clock, agreed)| (Reverse(agreed.requests), *clock));
    let mut is_its_log = is_only;
    for (clock, Agreed { offset_ms, .. }) in agreed {
        let Some(candidates) = by_clock.get(&clock) else { continue };
        let (mut matched, offset_ms) = by_one_clock(candidates, offset_ms, used);
        is_its_log |= matched.len() > 1;
        // One request alone fits any clock that counts from a start.
        if let ([one], LogClock::SinceStart(_), false) = (matched.as_mut_slice(), clock, is_its_log) {
            one.confidence = Confidence::Ambiguous;
        }
        if !matched.is_empty() {
            fit.offsets_ms.insert(clock, offset_ms);
            fit.matched.extend(matched);
        }
    }
}

/// Each request with the candidate whose end is nearest, once the clocks are brought
/// together; and the offset by those.
fn by_one_clock(candidates: &[Candidate<'_>], offset_ms: i64, used: &mut Used) -> (Vec<Matched>, i64) {
    let near = candidates.iter().filter(|one| one.distance_ms(offset_ms) <= LATE_MS);
    let mut near: Vec<&Candidate<'_>> = near.collect();
    near.sort_by_key(|one| (one.distance_ms(offset_ms), one.places()));
    let mut taken: Vec<&Candidate<'_>> = Vec::new();
    for candidate in &near {
        if !used.has_request(candidate.request) && !used.has_task(candidate.task) {
            used.take(candidate.request, candidate.task);
            taken.push(candidate);
        }
    }
    let offset_ms = median(taken.iter().map(|one| one.offset_ms).collect()).unwrap_or(offset_ms);
    if !are_of_one_server(&taken, offset_ms) {
        taken.iter().for_each(|one| used.give_back(one.request, one.task));
        return (Vec::new(), offset_ms);
    }
    let rivals = Rivals::of(&near);
    let matched = taken.iter().map(|one| {
        let gap_ms = Some(one.offset_ms - offset_ms);
        Matched::of(one.request, one.task, gap_ms, rivals.confidence(one, offset_ms))
    });
    (matched.collect(), offset_ms)
}

/// Whether half of the ends are so near to each other that the log is not another server's.
fn are_of_one_server(taken: &[&Candidate<'_>], offset_ms: i64) -> bool {
    // The larger of the two in the middle: of two requests both must agree.
    let mut distances: Vec<i64> = taken.iter().map(|one| one.distance_ms(offset_ms)).collect();
    distances.sort_unstable();
    let typical_ms = distances.get(distances.len() / 2).copied().unwrap_or(0);
    let uncertainty_ms = taken.iter().map(|one| one.task.uncertainty_ms).max().unwrap_or(0);
    typical_ms <= TYPICAL_GAP_MS + uncertainty_ms
}

/// Candidates by their request and by their task: rivals have one of the two in common.
struct Rivals<'c, 'a> {
    of_request: BTreeMap<usize, Vec<&'c Candidate<'a>>>,
    of_task: BTreeMap<usize, Vec<&'c Candidate<'a>>>,
}

impl<'c, 'a> Rivals<'c, 'a> {
    fn of(candidates: &[&'c Candidate<'a>]) -> Self {
        let mut rivals = Self { of_request: BTreeMap::new(), of_task: BTreeMap::new() };
        for candidate in candidates {
            rivals.of_request.entry(candidate.request.at).or_default().push(candidate);
            rivals.of_task.entry(candidate.task.at).or_default().push(candidate);
        }
        rivals
    }

    /// How sure it is that this candidate is right rather than one of its rivals.
    fn confidence(&self, one: &Candidate<'_>, offset_ms: i64) -> Confidence {
        let with_request = self.of_request.get(&one.request.at).into_iter().flatten();
        let with_task = self.of_task.get(&one.task.at).into_iter().flatten();
        let rivals = with_request
            .filter(|other| other.task.at != one.task.at)
            .chain(with_task.filter(|other| other.request.at != one.request.at));
        let as_near_ms = one.distance_ms(offset_ms) + AS_NEAR_MS + one.task.uncertainty_ms;
        match rivals.map(|other| other.distance_ms(offset_ms)).min() {
            None => Confidence::Exact,
            Some(nearest_ms) if nearest_ms < as_near_ms => Confidence::Ambiguous,
            Some(_) => Confidence::Likely,
        }
    }
}

/// Tasks without times, in the order of their ends, which is that of the log.
fn by_order(groups: &Groups<'_>, used: &mut Used, fit: &mut Fit) {
    for Group { requests, tasks } in groups.values() {
        let requests: Vec<&Wanted> =
            requests.iter().copied().filter(|request| !used.has_request(request)).collect();
        let is_free = |task: &&Offered| !used.has_task(task) && task.end.is_none();
        let tasks: Vec<&Offered> = tasks.iter().copied().filter(is_free).collect();
        // Where one is missing on a side, nothing tells which.
        let is_sure = requests.len() == tasks.len();
        let confidence = if is_sure { Confidence::Likely } else { Confidence::Ambiguous };
        for (request, task) in requests.into_iter().zip(tasks) {
            if task.fits(request) {
                used.take(request, task);
                fit.matched.push(Matched::of(request, task, None, confidence));
            }
        }
    }
}

/// A task that was worked on at a time, by the client's clock.
#[derive(Debug, Clone, Copy)]
struct Present<'a> {
    start_ms: i64,
    end_ms: i64,
    task: &'a Offered,
}

/// Requests whose client was not told any counts (failed, given up, in one piece), by the
/// time that they were there, once the clocks are brought together: each with the only task
/// that was worked on then, which has no other request either.
fn by_place(wanted: &[Wanted], offered: &[Offered], used: &mut Used, fit: &mut Fit) {
    let presents = presents(offered, used, fit);
    let mut pairs: Vec<(&Wanted, Present<'_>)> = Vec::new();
    for request in wanted.iter().filter(|one| one.counts.is_none() && !used.has_request(one)) {
        let from = presents.partition_point(|one| one.start_ms < request.start_ms.saturating_sub(EARLY_MS));
        let later = presents.get(from..).unwrap_or_default();
        let inside = later.iter().take_while(|one| one.start_ms <= request.end_ms);
        let fitting = inside.filter(|one| one.end_ms <= request.end_ms.saturating_add(LATE_MS));
        pairs.extend(fitting.map(|one| (request, *one)));
    }
    let of_request = occurrences(pairs.iter().map(|(request, _)| request.at));
    let of_task = occurrences(pairs.iter().map(|(_, present)| present.task.at));
    for (request, Present { end_ms, task, .. }) in pairs {
        if of_request.get(&request.at) == Some(&1) && of_task.get(&task.at) == Some(&1) {
            used.take(request, task);
            let gap_ms = Some(request.end_ms.saturating_sub(end_ms));
            fit.matched.push(Matched::of(request, task, gap_ms, Confidence::Likely));
        }
    }
}

/// The tasks that are not taken and whose clock is brought together with the client's, in the
/// order of their starts.
fn presents<'a>(offered: &'a [Offered], used: &Used, fit: &Fit) -> Vec<Present<'a>> {
    let present = |task: &'a Offered| {
        let (clock, end_ms) = task.end?;
        let offset_ms = fit.offsets_ms.get(&clock)?;
        let start_ms = task.start_ms.unwrap_or(end_ms).saturating_add(*offset_ms);
        Some(Present { start_ms, end_ms: end_ms.saturating_add(*offset_ms), task })
    };
    let free = offered.iter().filter(|task| !used.has_task(task));
    let mut presents: Vec<Present<'_>> = free.filter_map(present).collect();
    presents.sort_unstable_by_key(|one| (one.start_ms, one.end_ms, one.task.at));
    presents
}

/// How often each place occurs.
fn occurrences(places: impl Iterator<Item = usize>) -> BTreeMap<usize, usize> {
    let mut occurrences = BTreeMap::new();
    places.for_each(|place| *occurrences.entry(place).or_default() += 1);
    occurrences
}

pub(super) fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}
