//! Requests that two logs of one server tell of.
//!
//! LM Studio writes a file whose stamps are whole seconds, and the same lines as a stream with
//! milliseconds. Where both are read, each request counts once: as the stream has it.

use std::collections::{BTreeMap, BTreeSet};

use crate::formats::backend::{BackendLoad, BackendMoment, BackendTask};

/// Moments of one line are no further apart in the two: a head is written a little before its event.
const SAME_LINE_MS: i64 = 2_000;

/// What of a log another one tells of with finer stamps.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated {
    /// The other log's place.
    pub(super) by: usize,
    /// The places of the tasks.
    pub(super) tasks: BTreeSet<usize>,
    /// How far the clock of this log's stamps is ahead of UTC.
    ahead_ms: i64,
}

impl Repeated {
    /// Whether one of the other log's loads is this one.
    pub(super) fn has_load(&self, load: &BackendLoad, others: &[BackendLoad]) -> bool {
        let is_same = |other: &BackendLoad| {
            let (Some(ours), Some(theirs)) = (load.started, other.started) else { return false };
            let apart_ms = ours.clock_ms() - theirs.clock_ms() - self.ahead_ms;
            load.model == other.model && apart_ms.abs() <= SAME_LINE_MS
        };
        others.iter().any(is_same)
    }
}

/// Of each log's tasks, those that another log of the same server has with finer stamps.
pub(super) fn repeated(logs: &[&[BackendTask]]) -> Vec<Option<Repeated>> {
    let by_second: Vec<BySecond<'_>> = logs.iter().map(|tasks| BySecond::of(tasks)).collect();
    let most_in_one = |tasks: &&[BackendTask]| {
        let in_each = by_second.iter().enumerate().filter(|(_, other)| !other.tasks.is_empty());
        let found = in_each.filter_map(|(by, other)| other.repeated(tasks, by));
        found.max_by_key(|found| (found.tasks.len(), std::cmp::Reverse(found.by)))
    };
    logs.iter().map(most_in_one).collect()
}

/// The tasks of a stream, by what the clock showed on the wall when they came.
struct BySecond<'t> {
    tasks: BTreeMap<i64, Vec<&'t BackendTask>>,
}

impl<'t> BySecond<'t> {
    fn of(tasks: &'t [BackendTask]) -> Self {
        let mut by_second: BTreeMap<i64, Vec<&BackendTask>> = BTreeMap::new();
        for task in tasks {
            if let (Some(BackendMoment::Instant(_)), Some(second)) = (task.received, task.shown_second) {
                by_second.entry(second).or_default().push(task);
            }
        }
        Self { tasks: by_second }
    }

    /// Those of a file's tasks that this stream has too, if it is of the same server: then most of
    /// those in the time of both are.
    fn repeated(&self, file: &[BackendTask], by: usize) -> Option<Repeated> {
        let (first, last) = (self.tasks.first_key_value()?.0, self.tasks.last_key_value()?.0);
        let mut left = self.tasks.clone();
        let mut repeated = Repeated { by, tasks: BTreeSet::new(), ahead_ms: 0 };
        let (mut in_time, mut seconds) = (0, (i64::MAX, i64::MIN));
        for (at, task) in file.iter().enumerate() {
            let Some(BackendMoment::LocalSecond { seconds: second, .. }) = task.received else { continue };
            in_time += usize::from((first..=last).contains(&&second));
            seconds = (seconds.0.min(second), seconds.1.max(second));
            let Some(same_second) = left.get_mut(&second) else { continue };
            let Some(same) = same_second.iter().position(|other| is_same(task, other)) else { continue };
            let other = same_second.swap_remove(same);
            repeated.tasks.insert(at);
            repeated.ahead_ms = second * 1_000 - other.received?.clock_ms();
        }
        let of_file = self.tasks.range(seconds.0.min(seconds.1)..=seconds.1).map(|(_, tasks)| tasks.len());
        let fewest = in_time.min(of_file.sum());
        (!repeated.tasks.is_empty() && 2 * repeated.tasks.len() >= fewest).then_some(repeated)
    }
}

/// Whether two tasks that came in the same second are one: nothing that both tell differs.
fn is_same(coarse: &BackendTask, fine: &BackendTask) -> bool {
    fn agree<T: PartialEq>(ours: Option<&T>, theirs: Option<&T>) -> bool {
        ours.zip(theirs).is_none_or(|(ours, theirs)| ours == theirs)
    }
    let since = |task: &BackendTask, moment: Option<BackendMoment>| moment?.ms_since(task.received?);
    let at_once = |of: fn(&BackendTask) -> Option<BackendMoment>| {
        let (ours, theirs) = (since(coarse, of(coarse)), since(fine, of(fine)));
        ours.zip(theirs).is_none_or(|(ours, theirs)| (ours - theirs).abs() <= SAME_LINE_MS)
    };
    let numbers = |task: &BackendTask| {
        [task.prompt_tokens, task.output_tokens, task.message_count, task.tool_count, task.max_tokens]
    };
    let same_numbers = numbers(coarse)
        .iter()
        .zip(&numbers(fine))
        .all(|(ours, theirs)| agree(ours.as_ref(), theirs.as_ref()));
    same_numbers
        && agree(coarse.endpoint.as_ref(), fine.endpoint.as_ref())
        && agree(coarse.requested_model.as_ref(), fine.requested_model.as_ref())
        && agree(coarse.model.as_ref(), fine.model.as_ref())
        && agree(coarse.read_ms.as_ref(), fine.read_ms.as_ref())
        && agree(coarse.write_ms.as_ref(), fine.write_ms.as_ref())
        && at_once(|task| task.first_token)
        && at_once(|task| task.ended)
}
