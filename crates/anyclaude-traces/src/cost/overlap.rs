//! Which other requests were in the backend while one was, by the logged starts and ends.

use std::collections::BTreeMap;

use super::case::Case;
use crate::model::Amount;

/// Which other requests were in the backend while this one was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Overlap {
    /// No other request was there from its start to its first token.
    pub(super) is_alone_until_first: bool,
    /// No other request was there from its start to its end.
    pub(super) is_alone_until_end: bool,
    /// The other requests that were there before its first token had all ended by then.
    pub(super) is_alone_at_first: bool,
    /// From its start to the last end of another request before its first token, in
    /// milliseconds: until then it may have waited for that one. Unknown where none ended.
    pub(super) shared_until_ms: Amount,
}

/// Finds the overlaps of all cases within each backend. `cases` are in the order of their
/// starts.
pub(super) fn find(cases: &mut [Case]) {
    let mut backends: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (at, case) in cases.iter().enumerate().filter(|(_, case)| case.start_ms.is_some()) {
        backends.entry(case.origin.backend.clone()).or_default().push(at);
    }
    for places in backends.into_values() {
        let intervals: Vec<OccupiedMs> =
            places.iter().filter_map(|at| OccupiedMs::of(cases.get(*at)?)).collect();
        for (at, overlap) in places.into_iter().zip(overlaps(&intervals)) {
            if let Some(case) = cases.get_mut(at) {
                case.overlap = overlap;
            }
        }
    }
}

/// The time that a request spent in the backend, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct OccupiedMs {
    start: i64,
    /// When its first token came; where there was none, its end.
    first: i64,
    end: i64,
    /// Whether its end was logged. If not, `end` is when it was last seen, and it may have gone
    /// on.
    has_end: bool,
}

impl OccupiedMs {
    fn of(case: &Case) -> Option<Self> {
        let end = case.end_ms()?;
        let first = case.first_ms().unwrap_or(end);
        Some(Self { start: case.start_ms?, first, end, has_end: case.total_ms.is_known() })
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
    // Of all that started before: the last end, and the last sight of those without an end.
    let (mut last_end, mut last_open_end) = (i64::MIN, i64::MIN);
    let mut found = Vec::with_capacity(intervals.len());
    let stayed = was_joined_until_first(intervals);
    for ((at, interval), was_joined) in intervals.iter().enumerate().zip(stayed) {
        let starts_alone = last_end <= interval.start;
        let next_start = intervals.get(at + 1).map_or(i64::MAX, |next| next.start);
        let ended = ends.partition_point(|(end, _)| *end <= interval.first);
        let mut ended_before_first = ends.get(..ended).unwrap_or_default().iter().rev();
        let other_end = ended_before_first
            .find(|(_, of)| *of != at)
            .map(|(end, _)| *end)
            .filter(|end| *end > interval.start);
        found.push(Overlap {
            is_alone_until_first: starts_alone && next_start >= interval.first,
            is_alone_until_end: starts_alone && next_start >= interval.end,
            is_alone_at_first: last_end <= interval.first && last_open_end <= interval.start && !was_joined,
            shared_until_ms: other_end.and_then(|end| u64::try_from(end - interval.start).ok()).into(),
        });
        last_end = last_end.max(interval.end);
        if !interval.has_end {
            last_open_end = last_open_end.max(interval.end);
        }
    }
    found
}

/// Of each of these, which are in the order of their starts: whether a request that came after
/// it, before its first token, was still there at that token.
fn was_joined_until_first(intervals: &[OccupiedMs]) -> Vec<bool> {
    // Start and end of those that came later, the last first: each stays longer than any before
    // it. Where all overlap, to look at each of them would take the square of their number.
    let mut longest: Vec<(i64, i64)> = Vec::new();
    let mut was_joined: Vec<bool> = intervals
        .iter()
        .rev()
        .map(|interval| {
            let stay = longest.partition_point(|(_, end)| *end > interval.first);
            let next_that_stays = stay.checked_sub(1).and_then(|at| longest.get(at));
            let end = if interval.has_end { interval.end } else { i64::MAX };
            let is_joined = next_that_stays.is_some_and(|(start, _)| *start < interval.first);
            while longest.pop_if(|(_, other)| *other <= end).is_some() {}
            longest.push((interval.start, end));
            is_joined
        })
        .collect();
    was_joined.reverse();
    was_joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn those_that_stay_are_found_as_by_looking_at_each(
            times in prop::collection::vec((0_i64..40, 0_i64..20, 0_i64..20, prop::bool::weighted(0.9)), 0..30),
        ) {
            let mut intervals: Vec<OccupiedMs> = times
                .iter()
                .map(|&(start, first, rest, has_end)| OccupiedMs {
                    start,
                    first: start + first,
                    end: start + first + rest,
                    has_end,
                })
                .collect();
            intervals.sort_by_key(|interval| interval.start);
            let by_each = |(at, one): (usize, &OccupiedMs)| {
                let mut came = intervals.iter().skip(at + 1).take_while(|later| later.start < one.first);
                came.any(|later| !later.has_end || later.end > one.first)
            };
            let by_each: Vec<bool> = intervals.iter().enumerate().map(by_each).collect();
            prop_assert_eq!(was_joined_until_first(&intervals), by_each);
        }
    }

    fn found(times: &[(i64, i64, i64)]) -> Vec<(bool, bool, Option<u64>)> {
        let intervals: Vec<OccupiedMs> = times
            .iter()
            .map(|&(start, first, end)| OccupiedMs { start, first, end, has_end: true })
            .collect();
        let flags =
            |one: &Overlap| (one.is_alone_until_first, one.is_alone_until_end, one.shared_until_ms.get());
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
