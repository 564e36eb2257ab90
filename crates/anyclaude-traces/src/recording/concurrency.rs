//! Which requests overlapped in the backend, and which was the first of its process.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use crate::formats::anyclaude::log::LogRequest;
use crate::formats::claude_code::recording_of;
use crate::model::request::{Concurrency, Request, Source};
use crate::model::time::Timestamp;

/// The time that a request spent in the backend.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BackendInterval {
    start: Timestamp,
    /// The end of the request; where that is unknown, of its process.
    end: Timestamp,
    run: usize,
    streamed: bool,
}

impl BackendInterval {
    pub(crate) fn of(request: &LogRequest, run: usize) -> Self {
        let ms = request.facts.backend_ms.get().and_then(|ms| i64::try_from(ms).ok()).unwrap_or(0);
        let end = request.start.plus_ms(ms);
        Self { start: request.start, end, run, streamed: request.streamed == Some(true) }
    }
}

/// Notes which requests overlapped in their backend, of those that were recorded with times of
/// their own. What one recorder wrote into one folder went to one backend.
pub(crate) fn note_own(requests: &mut [Request]) {
    let interval = |(at, request): (usize, &Request)| {
        let timing = request.timing.as_deref().filter(|_| request.source != Source::Anyclaude)?;
        let (start, ms) = (timing.start?, i64::try_from(timing.total_ms.get()?).ok()?);
        let interval = BackendInterval { start, end: start.plus_ms(ms), run: 0, streamed: false };
        Some((recording_of(request.path.file()), at, interval))
    };
    let mut folders: BTreeMap<PathBuf, Vec<(usize, BackendInterval)>> = BTreeMap::new();
    for (folder, at, interval) in requests.iter().enumerate().filter_map(interval) {
        folders.entry(folder).or_default().push((at, interval));
    }
    for mut folder in folders.into_values() {
        folder.sort_by_key(|(_, interval)| interval.start);
        let intervals: Vec<BackendInterval> = folder.iter().map(|(_, interval)| *interval).collect();
        for ((at, _), with) in folder.into_iter().zip(concurrency(&intervals)) {
            if let Some(request) = requests.get_mut(at) {
                request.bookkeeping.concurrency = Some(with);
            }
        }
    }
}

/// For each request, sorted by start: whether it overlapped another, and whether it was the
/// first streamed one of its run.
pub(crate) fn concurrency(intervals: &[BackendInterval]) -> Vec<Concurrency> {
    let mut last_end: Option<Timestamp> = None;
    let mut begun: HashSet<usize> = HashSet::new();
    let mut concurrency = Vec::with_capacity(intervals.len());
    for (index, interval) in intervals.iter().enumerate() {
        let earlier_overlaps = last_end.is_some_and(|end| end > interval.start);
        let later_overlaps = intervals.get(index + 1).is_some_and(|next| next.start < interval.end);
        let cold_start = interval.streamed && begun.insert(interval.run);
        concurrency.push(Concurrency { overlapped: earlier_overlaps || later_overlaps, cold_start });
        last_end = last_end.max(Some(interval.end));
    }
    concurrency
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::timing::Timing;

    #[test]
    fn requests_with_times_of_their_own_overlap_in_their_folder() {
        let request = |path: &str, source, at: i64, ms: u64| {
            let mut request = Request::builder(path).build();
            request.source = source;
            request.timing = Some(Box::new(Timing {
                start: Timestamp::from_unix_ms(at),
                total_ms: ms.into(),
                ..Timing::default()
            }));
            request
        };
        let mut requests = [
            request("a/x.har", Source::Har, 0, 100),
            request("a/x.har", Source::Har, 50, 100),
            request("a/x.har", Source::Har, 200, 100),
            request("b/x.har", Source::Har, 210, 10),
            request("a/t.json", Source::Anyclaude, 210, 10),
        ];
        note_own(&mut requests);
        let found = requests.each_ref().map(|request| request.concurrency().map(|with| with.overlapped));
        assert_eq!(found, [Some(true), Some(true), Some(false), Some(false), None]);
    }

    fn intervals(times: &[(i64, i64, usize, bool)]) -> Vec<BackendInterval> {
        let at = |ms: i64| Timestamp::from_unix_ms(ms).unwrap();
        times
            .iter()
            .map(|&(start, end, run, streamed)| BackendInterval {
                start: at(start),
                end: at(end),
                run,
                streamed,
            })
            .collect()
    }

    #[test]
    fn requests_in_the_backend_at_the_same_time_overlap() {
        let found = concurrency(&intervals(&[
            (0, 100, 0, true),
            (50, 50, 0, false),
            (100, 900, 0, true),
            (200, 300, 1, true),
            (400, 500, 1, true),
            (900, 950, 0, true),
        ]));
        let overlapped: Vec<bool> = found.iter().map(|one| one.overlapped).collect();
        assert_eq!(overlapped, [true, true, true, true, true, false]);
        let cold: Vec<bool> = found.iter().map(|one| one.cold_start).collect();
        assert_eq!(cold, [true, false, false, true, false, false]);
    }

    #[test]
    fn a_request_that_starts_when_another_ends_does_not_overlap() {
        let found = concurrency(&intervals(&[(0, 100, 0, true), (100, 200, 0, true)]));
        assert!(found.iter().all(|one| !one.overlapped), "{found:?}");
    }
}
