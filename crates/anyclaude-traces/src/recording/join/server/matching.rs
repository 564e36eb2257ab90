//! Which task of a server's log is which request.
//!
//! Both sides count the tokens of prompt and answer: equal pairs of counts make candidates.
//! Where counts repeat, time decides. The server's clock may count from its own start, or be
//! local time without a zone; but how far it is from the client's is the same for every
//! request of one process. So the offset is taken that most candidates agree on, and each
//! request goes to the candidate that then ended when it did. Tasks without times are
//! taken in the order of their ends.

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
        let start =
            task.started.filter(|started| task.ended.is_some_and(|ended| ended.ms_since(*started).is_some()));
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

/// How well a log fits the requests of a root.
#[derive(Debug, Clone, Default)]
pub(super) struct Fit {
    pub(super) matched: Vec<Matched>,
    /// What is to be added to each clock of the log for UTC.
    pub(super) offsets_ms: BTreeMap<LogClock, i64>,
}

impl Fit {
    /// The better of two has more joins; of as many, ends that are nearer to each other.
    pub(super) fn rank(&self) -> (std::cmp::Reverse<usize>, i64) {
        let gaps = self.matched.iter().map(|one| one.gap_ms.map_or(LATE_MS, i64::abs));
        (std::cmp::Reverse(self.matched.len()), median(gaps.collect()).unwrap_or(LATE_MS))
    }
}

/// A candidate: places in the lists, and how far the server's clock is behind by it.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    wanted: usize,
    offered: usize,
    clock: LogClock,
    offset_ms: i64,
}

/// Matches the requests of one root with the tasks of one log. `is_only` tells that the root
/// has no other request, so that none can agree with it on the clock.
pub(super) fn fit(wanted: &[Wanted], offered: &[Offered], is_only: bool) -> Fit {
    let groups = by_counts(wanted, offered);
    let candidates = candidates(wanted, offered, &groups);
    let mut fit = Fit::default();
    let mut used = Used::default();
    let mut by_clock: BTreeMap<LogClock, Vec<Candidate>> = BTreeMap::new();
    for candidate in &candidates {
        by_clock.entry(candidate.clock).or_default().push(*candidate);
    }
    // The clock that most agree on comes first.
    let mut agreed: Vec<(usize, LogClock, i64)> = by_clock
        .iter_mut()
        .filter_map(|(clock, candidates)| {
            most_agreed(*clock, candidates).map(|(n, offset)| (n, *clock, offset))
        })
        .collect();
    agreed.sort_by_key(|(n, clock, _)| (std::cmp::Reverse(*n), *clock));
    let mut is_its_log = is_only;
    for (_, clock, offset_ms) in agreed {
        let Some(candidates) = by_clock.get(&clock) else { continue };
        let (mut matched, offset_ms) = by_time(wanted, offered, candidates, offset_ms, &mut used);
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
    by_order(wanted, offered, &groups, &mut used, &mut fit);
    by_place(wanted, offered, &mut used, &mut fit);
    // Where most requests have a task with their counts, but one that took another time or
    // was at another, the log is another server's, whose client sent the same.
    let is_offered = |(_, tasks): &&(Vec<usize>, Vec<usize>)| !tasks.is_empty();
    let with_counts = groups.values().filter(is_offered).flat_map(|(requests, _)| requests);
    let (found, lost): (Vec<&usize>, Vec<&usize>) = with_counts.partition(|at| used.wanted.contains(at));
    if found.len() < lost.len() {
        return Fit::default();
    }
    fit.matched.sort_by_key(|one| one.request);
    fit
}

/// The places of requests and of tasks with the same counts, in the order of their ends.
type Groups = BTreeMap<(u64, u64), (Vec<usize>, Vec<usize>)>;

fn by_counts(wanted: &[Wanted], offered: &[Offered]) -> Groups {
    let mut groups = Groups::new();
    for (at, one) in wanted.iter().enumerate() {
        if let Some(counts) = one.counts {
            groups.entry(counts).or_default().0.push(at);
        }
    }
    for (at, one) in offered.iter().enumerate() {
        if let Some((_, tasks)) = one.counts.and_then(|counts| groups.get_mut(&counts)) {
            tasks.push(at);
        }
    }
    for (requests, _) in groups.values_mut() {
        requests.sort_by_key(|at| wanted.get(*at).map(|one| one.end_ms));
    }
    groups
}

fn candidates(wanted: &[Wanted], offered: &[Offered], groups: &Groups) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (requests, tasks) in groups.values() {
        for (rank, request) in requests.iter().enumerate() {
            // Of very many, those of about the same place in the order.
            let middle = rank * tasks.len() / requests.len().max(1);
            let near = middle.saturating_sub(MAX_SAME / 2)..tasks.len().min(middle + MAX_SAME / 2);
            for task in tasks.get(near).unwrap_or_default() {
                let (Some(one), Some(other)) = (wanted.get(*request), offered.get(*task)) else { continue };
                let Some((clock, end_ms)) = other.end.filter(|_| other.fits(one)) else { continue };
                let offset_ms = one.end_ms.saturating_sub(end_ms);
                if clock.may_be_off(offset_ms, other.ahead_s) {
                    candidates.push(Candidate { wanted: *request, offered: *task, clock, offset_ms });
                }
            }
        }
    }
    candidates
}

/// The offset that the candidates of most requests agree on, and of how many. Sorts them by
/// their offsets.
fn most_agreed(clock: LogClock, candidates: &mut [Candidate]) -> Option<(usize, i64)> {
    let width_ms = SAME_OFFSET_MS + if clock == LogClock::Local { 1_000 } else { 0 };
    candidates.sort_by_key(|one| (one.offset_ms, one.wanted, one.offered));
    let mut inside: BTreeMap<usize, usize> = BTreeMap::new();
    let mut best: Option<(usize, i64, usize, usize)> = None;
    let mut first = 0;
    for (last, candidate) in candidates.iter().enumerate() {
        *inside.entry(candidate.wanted).or_default() += 1;
        while let Some(left) =
            candidates.get(first).filter(|left| candidate.offset_ms - left.offset_ms > width_ms)
        {
            if let Some(n) = inside.get_mut(&left.wanted) {
                *n -= 1;
                if *n == 0 {
                    inside.remove(&left.wanted);
                }
            }
            first += 1;
        }
        let width = candidates.get(first).map_or(0, |left| candidate.offset_ms - left.offset_ms);
        let is_better = best.is_none_or(|(n, narrowest, ..)| {
            (inside.len(), std::cmp::Reverse(width)) > (n, std::cmp::Reverse(narrowest))
        });
        if is_better {
            best = Some((inside.len(), width, first, last));
        }
    }
    let (n, _, first, last) = best?;
    let offsets = candidates.get(first..=last)?.iter().map(|one| one.offset_ms).collect();
    Some((n, median(offsets)?))
}

/// Which requests and tasks are taken.
#[derive(Debug, Default)]
struct Used {
    wanted: BTreeSet<usize>,
    offered: BTreeSet<usize>,
}

/// Each request with the candidate whose end is nearest, once the clocks are brought
/// together; and the offset by those.
fn by_time(
    wanted: &[Wanted],
    offered: &[Offered],
    candidates: &[Candidate],
    offset_ms: i64,
    used: &mut Used,
) -> (Vec<Matched>, i64) {
    let gap = |candidate: &Candidate| candidate.offset_ms - offset_ms;
    let mut near: Vec<&Candidate> = candidates.iter().filter(|one| gap(one).abs() <= LATE_MS).collect();
    near.sort_by_key(|one| (gap(one).abs(), one.wanted, one.offered));
    let mut taken: Vec<&Candidate> = Vec::new();
    for candidate in &near {
        if !used.wanted.contains(&candidate.wanted) && !used.offered.contains(&candidate.offered) {
            used.wanted.insert(candidate.wanted);
            used.offered.insert(candidate.offered);
            taken.push(candidate);
        }
    }
    let offset = median(taken.iter().map(|one| one.offset_ms).collect()).unwrap_or(offset_ms);
    // The larger of the two in the middle: of two requests both must agree.
    let mut gaps: Vec<i64> = taken.iter().map(|one| (one.offset_ms - offset).abs()).collect();
    gaps.sort_unstable();
    let typical = gaps.get(gaps.len() / 2).copied().unwrap_or(0);
    let uncertainty =
        taken.iter().filter_map(|one| offered.get(one.offered)).map(|one| one.uncertainty_ms).max();
    if typical > TYPICAL_GAP_MS + uncertainty.unwrap_or(0) {
        for one in taken {
            used.wanted.remove(&one.wanted);
            used.offered.remove(&one.offered);
        }
        return (Vec::new(), offset);
    }
    // Rivals have the request or the task in common.
    let mut of_wanted: BTreeMap<usize, Vec<&Candidate>> = BTreeMap::new();
    let mut of_offered: BTreeMap<usize, Vec<&Candidate>> = BTreeMap::new();
    for candidate in near {
        of_wanted.entry(candidate.wanted).or_default().push(candidate);
        of_offered.entry(candidate.offered).or_default().push(candidate);
    }
    let matched = taken.iter().filter_map(|one| {
        let task = offered.get(one.offered)?;
        let own = (one.offset_ms - offset).abs();
        let with_request = of_wanted.get(&one.wanted).into_iter().flatten();
        let with_task = of_offered.get(&one.offered).into_iter().flatten();
        let rivals = with_request
            .filter(|other| other.offered != one.offered)
            .chain(with_task.filter(|other| other.wanted != one.wanted));
        let nearest = rivals.map(|other| (other.offset_ms - offset).abs()).min();
        let confidence = match nearest {
            None => Confidence::Exact,
            Some(gap) if gap < own + AS_NEAR_MS + task.uncertainty_ms => Confidence::Ambiguous,
            Some(_) => Confidence::Likely,
        };
        let request = wanted.get(one.wanted)?.at;
        Some(Matched { request, task: task.at, gap_ms: Some(one.offset_ms - offset), confidence })
    });
    (matched.collect(), offset)
}

/// Tasks without times, in the order of their ends, which is that of the log.
fn by_order(wanted: &[Wanted], offered: &[Offered], groups: &Groups, used: &mut Used, fit: &mut Fit) {
    for (requests, tasks) in groups.values() {
        let requests: Vec<usize> = requests.iter().copied().filter(|at| !used.wanted.contains(at)).collect();
        let is_free = |at: &usize| {
            !used.offered.contains(at) && offered.get(*at).is_some_and(|task| task.end.is_none())
        };
        let tasks: Vec<usize> = tasks.iter().copied().filter(is_free).collect();
        // Where one is missing on a side, nothing tells which.
        let is_sure = requests.len() == tasks.len();
        for (request, task) in requests.iter().zip(&tasks) {
            let (Some(one), Some(other)) = (wanted.get(*request), offered.get(*task)) else { continue };
            if !other.fits(one) {
                continue;
            }
            used.wanted.insert(*request);
            used.offered.insert(*task);
            let confidence = if is_sure { Confidence::Likely } else { Confidence::Ambiguous };
            fit.matched.push(Matched { request: one.at, task: other.at, gap_ms: None, confidence });
        }
    }
}

/// Requests whose client was not told any counts (failed, given up, in one piece), by the
/// time that they were there, once the clocks are brought together: each with the only task
/// that was worked on then, which has no other request either.
fn by_place(wanted: &[Wanted], offered: &[Offered], used: &mut Used, fit: &mut Fit) {
    let mut pairs: Vec<(usize, usize, i64)> = Vec::new();
    let mut tasks: Vec<(i64, i64, usize)> = offered
        .iter()
        .enumerate()
        .filter(|(at, _)| !used.offered.contains(at))
        .filter_map(|(at, task)| {
            let (clock, end_ms) = task.end?;
            let offset_ms = fit.offsets_ms.get(&clock)?;
            let start_ms = task.start_ms.unwrap_or(end_ms);
            Some((start_ms.saturating_add(*offset_ms), end_ms.saturating_add(*offset_ms), at))
        })
        .collect();
    tasks.sort_unstable();
    for (at, one) in wanted.iter().enumerate() {
        if one.counts.is_some() || used.wanted.contains(&at) {
            continue;
        }
        let from = tasks.partition_point(|(start, ..)| *start < one.start_ms.saturating_sub(EARLY_MS));
        let later = tasks.get(from..).unwrap_or_default();
        let inside = later.iter().take_while(|(start, ..)| *start <= one.end_ms);
        let fits = |(_, end, _): &&(i64, i64, usize)| *end <= one.end_ms.saturating_add(LATE_MS);
        pairs.extend(inside.filter(fits).map(|(_, end, task)| (at, *task, one.end_ms.saturating_sub(*end))));
    }
    let count = |of: fn(&(usize, usize, i64)) -> usize| {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        pairs.iter().for_each(|pair| *counts.entry(of(pair)).or_default() += 1);
        counts
    };
    let (of_wanted, of_offered) = (count(|pair| pair.0), count(|pair| pair.1));
    for (at, task, gap_ms) in pairs {
        let is_only = of_wanted.get(&at) == Some(&1) && of_offered.get(&task) == Some(&1);
        let (Some(one), Some(other), true) = (wanted.get(at), offered.get(task), is_only) else { continue };
        used.wanted.insert(at);
        used.offered.insert(task);
        fit.matched.push(Matched {
            request: one.at,
            task: other.at,
            gap_ms: Some(gap_ms),
            confidence: Confidence::Likely,
        });
    }
}

pub(super) fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}
