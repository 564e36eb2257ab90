//! How much of a wait a server was loading models.

use std::collections::BTreeMap;

use crate::model::time::Timestamp;

/// From one instant to another.
pub(super) type Span = (Timestamp, Timestamp);

/// When the processes of a server loaded models: of each, spans one after the other that do not
/// overlap; `None` where the time of one is not known, which may have been in any wait.
pub(super) struct LoadTimes {
    spans: BTreeMap<usize, Option<Vec<Span>>>,
    /// When the first load began of which the log does not have the end: it may have been in any
    /// wait from then on, and was in none before.
    open_since: BTreeMap<usize, Timestamp>,
}

impl LoadTimes {
    /// Takes each load with its process.
    pub(super) fn of(loads: impl Iterator<Item = (usize, Option<Span>)>) -> Self {
        let mut by_process: BTreeMap<usize, Option<Vec<Span>>> = BTreeMap::new();
        for (process, load) in loads {
            let known = by_process.entry(process).or_insert_with(|| Some(Vec::new()));
            match (known.as_mut(), load) {
                (Some(known), Some(load)) => known.push(load),
                _ => *known = None,
            }
        }
        by_process.values_mut().flatten().for_each(merge);
        Self { spans: by_process, open_since: BTreeMap::new() }
    }

    /// The same with loads that began then, each with its process, and of which no end is known.
    pub(super) fn with_open(mut self, loads: impl Iterator<Item = (usize, Timestamp)>) -> Self {
        for (process, began) in loads {
            let first = self.open_since.entry(process).or_insert(began);
            *first = began.min(*first);
        }
        self
    }

    /// How many milliseconds of a wait a process was loading.
    pub(super) fn ms_within(&self, process: usize, (start, first): Span) -> Option<u64> {
        if self.open_since.get(&process).is_some_and(|began| *began < first) {
            return None;
        }
        let Some(loads) = self.spans.get(&process) else { return Some(0) };
        let loads = loads.as_deref()?;
        let later = loads.get(loads.partition_point(|(_, ended)| *ended <= start)..)?;
        let within = later.iter().take_while(|(began, _)| *began < first);
        Some(within.map(|(began, ended)| ms_of((*began.max(&start), *ended.min(&first)))).sum())
    }
}

/// Makes one of those that overlap: server and engine may both tell of one load.
fn merge(loads: &mut Vec<Span>) {
    loads.sort_unstable();
    let mut merged: Vec<Span> = Vec::with_capacity(loads.len());
    for (began, ended) in loads.drain(..).filter(|load| load.0 < load.1) {
        match merged.last_mut() {
            Some((_, until)) if began <= *until => *until = ended.max(*until),
            _ => merged.push((began, ended)),
        }
    }
    *loads = merged;
}

fn ms_of((began, ended): Span) -> u64 {
    u64::try_from(ended.ms_since(began)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms).unwrap()
    }

    fn within(loads: &[(i64, i64)], (start, first): (i64, i64)) -> Option<u64> {
        let loads = loads.iter().map(|&(began, ended)| (3, Some((at(began), at(ended)))));
        LoadTimes::of(loads).ms_within(3, (at(start), at(first)))
    }

    #[test]
    fn only_what_is_in_the_wait_counts_and_once() {
        assert_eq!(within(&[(10, 30), (15, 25), (28, 40), (90, 99)], (20, 60)), Some(20));
        assert_eq!(within(&[(10, 30)], (30, 60)), Some(0));
        assert_eq!(within(&[(30, 10)], (0, 60)), Some(0));
        assert_eq!(within(&[], (0, 60)), Some(0));
    }

    #[test]
    fn a_load_of_unknown_time_makes_all_unknown_of_its_process() {
        let known = Some((at(10), at(20)));
        let times = LoadTimes::of([(0, known), (1, known), (1, None), (1, known)].into_iter());
        assert_eq!(times.ms_within(0, (at(0), at(50))), Some(10));
        assert_eq!(times.ms_within(1, (at(0), at(50))), None);
        assert_eq!(times.ms_within(2, (at(0), at(50))), Some(0));
    }

    #[test]
    fn a_load_without_an_end_makes_unknown_what_comes_behind_its_beginning() {
        let times = LoadTimes::of([(0, Some((at(10), at(20))))].into_iter());
        let times = times.with_open([(0, at(70)), (0, at(60))].into_iter());
        assert_eq!(times.ms_within(0, (at(0), at(60))), Some(10));
        assert_eq!(times.ms_within(0, (at(0), at(61))), None);
        assert_eq!(times.ms_within(1, (at(0), at(61))), Some(0));
    }

    proptest! {
        #[test]
        fn each_millisecond_of_the_wait_in_a_load_counts(
            loads in prop::collection::vec((0_i64..60, 0_i64..20), 0..8),
            start in 0_i64..50,
            wait in 0_i64..40,
        ) {
            let loads: Vec<_> = loads.into_iter().map(|(began, took)| (began, began + took)).collect();
            let is_in_one = |ms: &i64| loads.iter().any(|(began, ended)| (*began..*ended).contains(ms));
            let counted = (start..start + wait).filter(is_in_one).count() as u64;
            prop_assert_eq!(within(&loads, (start, start + wait)), Some(counted));
        }
    }
}
