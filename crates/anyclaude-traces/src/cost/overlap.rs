//! Who else was in the backend.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Model;
use super::case::Case;

/// So long at least must two answers run beside each other to show that the backend writes
/// both: the end of one may be logged a little late.
const LEAST_TOGETHER_MS: i64 = 500;

/// What else went on in the backend while a request was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Overlap {
    /// No other request was there until its first token came, …
    pub(super) is_alone_until_first: bool,
    /// … or until its end.
    pub(super) is_alone_until_end: bool,
    /// Whoever was there before its first token had ended by then.
    pub(super) is_alone_at_first: bool,
    /// From its start to the last end of another request before its first token.
    pub(super) ended_before_first_ms: Option<u64>,
    /// Fewer were there at its start than its model is seen to answer at a time.
    pub(super) has_free_slot: bool,
}

/// A model in one process: its backend keeps its settings that long.
type Group = (Model, Option<Arc<str>>);

/// Finds who overlapped whom. `cases` are in the order of their starts.
pub(super) fn find(cases: &mut [Case]) {
    let mut backends: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (at, case) in cases.iter().enumerate().filter(|(_, case)| case.start_ms.is_some()) {
        backends.entry(case.backend.clone()).or_default().push(at);
    }
    for places in backends.into_values() {
        let intervals: Vec<OccupiedMs> =
            places.iter().filter_map(|at| OccupiedMs::of(cases.get(*at)?)).collect();
        let at_once = answered_at_once(cases, &places);
        let there = there_at_start(&intervals);
        for ((at, overlap), there) in places.into_iter().zip(overlaps(&intervals)).zip(there) {
            if let Some(case) = cases.get_mut(at) {
                let most = at_once.get(&(case.model.clone(), case.run.clone())).copied().unwrap_or(1);
                case.overlap = Overlap { has_free_slot: most > 1 && there < most, ..overlap };
            }
        }
    }
}

/// How many requests each model is seen to answer at a time.
fn answered_at_once(cases: &[Case], places: &[usize]) -> BTreeMap<Group, usize> {
    let mut edges: BTreeMap<Group, Vec<(i64, i64)>> = BTreeMap::new();
    for case in places.iter().filter_map(|at| cases.get(*at)).filter(|case| case.total_ms.is_some()) {
        let (Some(first), Some(end)) = (case.first_ms(), case.end_ms()) else { continue };
        let half = LEAST_TOGETHER_MS / 2;
        let (from, to) = (first.saturating_add(half), end.saturating_sub(half));
        if from < to {
            let edges = edges.entry((case.model.clone(), case.run.clone())).or_default();
            edges.extend([(from, 1), (to, -1)]);
        }
    }
    let most = |mut edges: Vec<(i64, i64)>| {
        edges.sort_unstable();
        let counts = edges.iter().scan(0, |count, (_, step)| {
            *count += step;
            Some(*count)
        });
        usize::try_from(counts.max().unwrap_or(0)).unwrap_or(0)
    };
    edges.into_iter().map(|(group, edges)| (group, most(edges))).collect()
}

/// How many others were in the backend when each of these began. They are in the order of
/// their starts.
fn there_at_start(intervals: &[OccupiedMs]) -> Vec<usize> {
    // Whose end is not known may still be there.
    let (mut there, mut unended): (Vec<i64>, usize) = (Vec::new(), 0);
    let mut counts = Vec::with_capacity(intervals.len());
    for interval in intervals {
        there.retain(|end| *end > interval.start);
        counts.push(there.len() + unended);
        if interval.has_end {
            there.push(interval.end);
        } else {
            unended += 1;
        }
    }
    counts
}

/// The time that a request spent in the backend, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct OccupiedMs {
    start: i64,
    /// Where there was no first token: the end.
    first: i64,
    end: i64,
    /// Whether its end is that of its work, and not just the last that was seen of it.
    has_end: bool,
}

impl OccupiedMs {
    fn of(case: &Case) -> Option<Self> {
        let end = case.end_ms()?;
        let first = case.first_ms().unwrap_or(end);
        Some(Self { start: case.start_ms?, first, end, has_end: case.total_ms.is_some() })
    }
}

/// What overlapped each of these, which are in the order of their starts.
fn overlaps(intervals: &[OccupiedMs]) -> Vec<Overlap> {
    let mut ends: Vec<(i64, usize)> = intervals
        .iter()
        .enumerate()
        .filter(|(_, interval)| interval.has_end)
        .map(|(at, interval)| (interval.end, at))
        .collect();
    ends.sort_unstable();
    let (mut last_end, mut last_open_end) = (i64::MIN, i64::MIN);
    let mut found = Vec::with_capacity(intervals.len());
    for (at, interval) in intervals.iter().enumerate() {
        let is_there_before = last_end > interval.start;
        let next = intervals.get(at + 1).map_or(i64::MAX, |next| next.start);
        let behind = ends.partition_point(|(end, _)| *end <= interval.first);
        let mut ended = ends.get(..behind).unwrap_or_default().iter().rev();
        let other_end =
            ended.find(|(_, of)| *of != at).map(|(end, _)| *end).filter(|end| *end > interval.start);
        let mut behind_it = intervals.iter().skip(at + 1).take_while(|later| later.start < interval.first);
        found.push(Overlap {
            is_alone_until_first: !is_there_before && next >= interval.first,
            is_alone_until_end: !is_there_before && next >= interval.end,
            is_alone_at_first: last_end <= interval.first
                && last_open_end <= interval.start
                && behind_it.all(|later| later.has_end && later.end <= interval.first),
            ended_before_first_ms: other_end.and_then(|end| u64::try_from(end - interval.start).ok()),
            has_free_slot: false,
        });
        last_end = last_end.max(interval.end);
        if !interval.has_end {
            last_open_end = last_open_end.max(interval.end);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(times: &[(i64, i64, i64)]) -> Vec<(bool, bool, Option<u64>)> {
        let intervals: Vec<OccupiedMs> = times
            .iter()
            .map(|&(start, first, end)| OccupiedMs { start, first, end, has_end: true })
            .collect();
        let flags =
            |one: &Overlap| (one.is_alone_until_first, one.is_alone_until_end, one.ended_before_first_ms);
        overlaps(&intervals).iter().map(flags).collect()
    }

    #[test]
    fn one_after_the_other_is_alone() {
        assert_eq!(found(&[(0, 50, 100), (100, 150, 200)]), [(true, true, None), (true, true, None)]);
    }

    #[test]
    fn a_second_that_comes_while_the_first_writes_disturbs_only_that() {
        assert_eq!(found(&[(0, 50, 100), (60, 150, 200)]), [(true, false, None), (false, false, Some(40))]);
    }

    #[test]
    fn the_last_end_before_the_first_token_counts() {
        let found = found(&[(0, 10, 100), (20, 30, 120), (40, 500, 600), (450, 700, 800)]);
        assert_eq!(found[2], (false, false, Some(80)));
        assert_eq!(found[3], (false, false, Some(150)));
    }

    #[test]
    fn a_request_is_alone_at_its_first_token_if_all_others_have_ended() {
        let alone = |times: &[(i64, i64, i64, bool)]| {
            let intervals: Vec<OccupiedMs> = times
                .iter()
                .map(|&(start, first, end, has_end)| OccupiedMs { start, first, end, has_end })
                .collect();
            overlaps(&intervals).iter().map(|one| one.is_alone_at_first).collect::<Vec<_>>()
        };
        assert_eq!(alone(&[(0, 50, 100, true), (60, 150, 200, true)]), [true, true]);
        assert_eq!(alone(&[(0, 50, 160, true), (60, 150, 200, true)]), [true, false]);
        assert_eq!(alone(&[(0, 50, 100, true), (20, 30, 40, true)]), [true, false]);
        assert_eq!(alone(&[(0, 50, 100, true), (20, 60, 70, true)]), [false, false]);
        assert_eq!(
            alone(&[(0, 50, 100, false), (60, 150, 200, true)]),
            [true, false],
            "its end is not known"
        );
        assert_eq!(alone(&[(0, 50, 60, true), (20, 30, 40, false)]), [false, false]);
    }

    #[test]
    fn an_answer_in_no_time_is_not_overlapped_by_itself() {
        assert_eq!(found(&[(0, 50, 50)]), [(true, true, None)]);
    }
}
