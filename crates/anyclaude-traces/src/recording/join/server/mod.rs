//! Joins requests with the logs of the servers that ran the models: whose task was which
//! request, and what that tells of it.

mod matching;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use matching::{Clock, Fit, Matched, Offered, Wanted, fit};
use serde::{Deserialize, Serialize};

use super::UnmatchedLogRequest;
use crate::formats::backend::{
    BackendFormat, BackendLoad, BackendLog, BackendMoment, BackendTask, TaskOutcome,
};
use crate::model::request::{ModelSource, Request};
use crate::model::time::Timestamp;
use crate::model::timing::{CachedSource, Confidence, Outcome, Timing, TokenSource};
use crate::model::{LogFacts, LogZone, ServerJoin, ServerTask};
use crate::read::LogFile;

/// Local time and UTC are so far apart, in multiples of this.
const ZONE_STEP_MS: i64 = 15 * 60 * 1_000;
/// A server lets go of a task so soon after its last token.
const LAG_MS: u64 = 50;
/// A clock this far from the next such multiple is only set wrong.
const ZONE_SLACK_MS: i64 = 60_000;

/// The log of a server, and what was found in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ServerLog {
    /// The file.
    pub log: Arc<str>,
    /// Which program wrote it.
    pub format: BackendFormat,
    /// How many requests it has.
    pub requests: u64,
    /// How many of them were found among the recorded requests.
    pub joined: u64,
    /// How many of these could be others just as well, so that no figures are taken of them.
    pub ambiguous: u64,
    /// How far its local time is ahead of UTC, in seconds, as the joins show; `None` where
    /// its times have a zone, or where nothing was joined.
    pub utc_offset_s: Option<i64>,
    /// When each of its server processes started, as the joins show.
    pub starts: Vec<Timestamp>,
    /// The slots of its servers: the most that one had.
    pub slots: Option<u64>,
    /// The context of one slot, in tokens: the largest of its servers.
    pub context_tokens: Option<u64>,
    /// How much main memory may hold prompts that have left their slots.
    pub ram_cache_bytes: Option<u64>,
    /// Loads of models, in its order.
    pub loads: Vec<ServerLoad>,
    /// Prompts that it cut as they did not fit, in its order.
    pub truncations: Vec<ServerTruncation>,
    /// Requests whose slot held another prompt before, which gave way.
    pub evictions: u64,
    /// Lines that should hold a fact and could not be read.
    pub unreadable_lines: u64,
}

impl ServerLog {
    /// What was found of the same log among other requests.
    pub(crate) fn add(&mut self, other: &Self) {
        self.joined += other.joined;
        self.ambiguous += other.ambiguous;
        self.utc_offset_s = self.utc_offset_s.or(other.utc_offset_s);
        self.starts.extend(&other.starts);
        self.starts.sort();
        self.starts.dedup();
    }
}

/// A model was loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ServerLoad {
    /// How long it took.
    pub load_ms: Option<u64>,
    /// When it began.
    pub start: Option<Timestamp>,
    /// The model, as the log names it.
    pub model: Option<Arc<str>>,
}

/// A prompt was cut, and nobody told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ServerTruncation {
    /// The most tokens that fit.
    pub limit: Option<u64>,
    /// Tokens of the whole prompt.
    pub prompt_tokens: Option<u64>,
    /// When.
    pub at: Option<Timestamp>,
}

/// A task of a log that is none of the recorded requests.
#[derive(Debug)]
pub(crate) struct LoggedTask {
    /// Its log's place among those that were read.
    pub(crate) log: usize,
    /// Its place among the log's tasks.
    pub(crate) task: usize,
    /// What is known of it.
    pub(crate) found: UnmatchedLogRequest,
}

/// The requests of one root.
pub(crate) struct OfRoot<'r, 'q> {
    pub(crate) root: Option<PathBuf>,
    pub(crate) requests: &'r mut [&'q mut Request],
}

/// Joins the requests of some roots with servers' logs. `zone` is that of times in the logs
/// that name none; where it is not said, the joins show it.
///
/// Every log is tried against every root; the most joins decide, then the nearest ends. What
/// is left of both is tried again.
pub(crate) fn join_server_logs(
    roots: &mut [OfRoot<'_, '_>],
    logs: &[LogFile<BackendLog>],
    zone: LogZone,
) -> (Vec<ServerLog>, Vec<LoggedTask>) {
    let zone_ms = zone.named_s().map(|seconds| seconds.saturating_mul(1_000));
    let mut wanted: Vec<Vec<Wanted>> = roots.iter().map(|root| wanted(root.requests)).collect();
    let is_only: Vec<bool> = wanted.iter().map(|wanted| wanted.len() == 1).collect();
    let mut offered: Vec<Vec<Offered>> = logs.iter().map(|log| Offered::all(&log.content)).collect();
    let mut found: Vec<FoundLog> = logs.iter().map(|log| FoundLog::of(log, zone)).collect();
    let mut fits: BTreeMap<(usize, usize), Fit> = BTreeMap::new();
    for root in 0..roots.len() {
        for log in 0..logs.len() {
            fits.insert((root, log), Fit::default());
        }
    }
    let mut stale: BTreeSet<(usize, usize)> = fits.keys().copied().collect();
    loop {
        for (root, log) in std::mem::take(&mut stale) {
            if let (Some(wanted), Some(offered)) = (wanted.get(root), offered.get(log)) {
                fits.insert((root, log), fit(wanted, offered, zone_ms, is_only.get(root) == Some(&true)));
            }
        }
        let best =
            fits.iter().filter(|(_, fit)| !fit.matched.is_empty()).min_by_key(|(at, fit)| (fit.rank(), **at));
        let Some((&(root, log), _)) = best else { break };
        let fit = fits.insert((root, log), Fit::default()).unwrap_or_default();
        let requests: BTreeSet<usize> = fit.matched.iter().map(|one| one.request).collect();
        let tasks: BTreeSet<usize> = fit.matched.iter().map(|one| one.task).collect();
        if let Some(wanted) = wanted.get_mut(root) {
            wanted.retain(|one| !requests.contains(&one.at));
        }
        if let Some(offered) = offered.get_mut(log) {
            offered.retain(|one| !tasks.contains(&one.at));
        }
        stale = fits.keys().copied().filter(|(of, with)| *of == root || *with == log).collect();
        if let (Some(of), Some(found)) = (roots.get_mut(root), found.get_mut(log)) {
            found.take(of, fit);
        }
    }
    let unmatched = found.iter().enumerate().flat_map(|(at, log)| log.unmatched(at));
    let mut unmatched: Vec<LoggedTask> = unmatched.collect();
    unmatched.sort_by_key(|logged| logged.found.order());
    (found.into_iter().map(FoundLog::summary).collect(), unmatched)
}

/// The requests that a task is looked for.
fn wanted(requests: &[&mut Request]) -> Vec<Wanted> {
    let wanted = |(at, request): (usize, &&mut Request)| {
        let timing = request.timing.as_deref().filter(|_| super::is_joinable(request))?;
        let start = timing.start?;
        let end_ms = start.plus_ms(i64::try_from(timing.total_ms?).ok()?).unix_ms();
        let counts = timing.prompt_tokens.zip(timing.output_tokens);
        Some(Wanted { at, counts, start_ms: start.unix_ms(), end_ms })
    };
    requests.iter().enumerate().filter_map(wanted).collect()
}

/// What a model is called, where that is known.
type Model = Option<Arc<str>>;

/// A log, with what was joined of it.
struct FoundLog<'l> {
    file: &'l LogFile<BackendLog>,
    /// Its loads, by process.
    loads: BTreeMap<usize, Vec<&'l BackendLoad>>,
    zone: LogZone,
    name: Arc<str>,
    offsets_ms: BTreeMap<Clock, i64>,
    /// The root that took the most of its tasks.
    root: Option<PathBuf>,
    most: usize,
    taken: BTreeSet<usize>,
    /// What clients call the model that a process names so; `None` where they differ.
    models: BTreeMap<(usize, Model), Model>,
    ambiguous: u64,
}

impl<'l> FoundLog<'l> {
    fn of(file: &'l LogFile<BackendLog>, zone: LogZone) -> Self {
        let mut loads: BTreeMap<usize, Vec<&BackendLoad>> = BTreeMap::new();
        for load in &file.content.loads {
            loads.entry(load.process).or_default().push(load);
        }
        Self {
            file,
            loads,
            zone,
            name: file.path.to_string_lossy().into(),
            offsets_ms: BTreeMap::new(),
            root: None,
            most: 0,
            taken: BTreeSet::new(),
            models: BTreeMap::new(),
            ambiguous: 0,
        }
    }

    /// Adds what the log tells of the requests of a root to them.
    fn take(&mut self, root: &mut OfRoot<'_, '_>, fit: Fit) {
        if fit.matched.len() > self.most {
            (self.most, self.root) = (fit.matched.len(), root.root.clone());
        }
        for (clock, offset) in fit.offsets_ms {
            self.offsets_ms.entry(clock).or_insert(offset);
        }
        for Matched { request, task, gap_ms, confidence } in fit.matched {
            self.taken.insert(task);
            let (Some(request), Some(task)) =
                (root.requests.get_mut(request), self.file.content.tasks.get(task))
            else {
                continue;
            };
            request.server_join = Some(Box::new(ServerJoin { log: self.name.clone(), gap_ms, confidence }));
            if confidence == Confidence::Ambiguous {
                self.ambiguous += 1;
                continue;
            }
            if let Some(model) = &request.model {
                let called = self.models.entry((task.process, task.model.clone()));
                let called = called.or_insert_with(|| Some(model.clone()));
                if called.as_ref() != Some(model) {
                    *called = None;
                }
            }
            let wait = request.timing.as_deref().and_then(wait);
            apply(request, task, wait.and_then(|wait| self.load_ms(task.process, wait)));
        }
    }

    /// A moment in UTC, where it is known how far its clock is off.
    fn instant(&self, moment: BackendMoment, process: usize) -> Option<Timestamp> {
        let offset = self.offsets_ms.get(&Clock::of(moment, process)).copied();
        let offset = match moment {
            BackendMoment::Instant(at) => return Some(at.plus_ms(offset.unwrap_or(0))),
            BackendMoment::LocalSecond { seconds } => {
                // Joins are surer than the machine on which the log is read.
                let ahead_s = match (self.zone.named_s(), offset) {
                    (None, Some(offset)) => -zone_of(offset) / 1_000,
                    _ => self.zone.offset_s(seconds)?,
                };
                Some(ahead_s.saturating_mul(-1_000))
            }
            BackendMoment::SinceStart { .. } => offset,
        };
        Timestamp::from_unix_ms(moment.clock_ms().checked_add(offset?)?)
    }

    /// How much of a wait, from one instant to another, models were being loaded.
    fn load_ms(&self, process: usize, (start, first): (Timestamp, Timestamp)) -> Option<u64> {
        let loads = self.loads.get(&process).into_iter().flatten();
        let overlap = |load: &&BackendLoad| {
            let (began, ended) = self.load_time(load)?;
            let overlap = ended.min(first).ms_since(began.max(start));
            Some(u64::try_from(overlap).unwrap_or(0))
        };
        // A load whose time is not known may have been in it.
        loads.map(overlap).sum()
    }

    fn load_time(&self, load: &BackendLoad) -> Option<(Timestamp, Timestamp)> {
        let instant = |moment: Option<BackendMoment>| self.instant(moment?, load.process);
        let took = load.load_ms.map(milliseconds).and_then(|ms| i64::try_from(ms).ok());
        match (instant(load.started), instant(load.ended)) {
            (Some(began), Some(ended)) => Some((began, ended)),
            (Some(began), None) => Some((began, began.plus_ms(took?))),
            (None, Some(ended)) => Some((ended.plus_ms(-took?), ended)),
            (None, None) => None,
        }
    }

    /// The tasks that are none of the recorded requests, of the log at this place.
    fn unmatched(&self, log: usize) -> impl Iterator<Item = LoggedTask> {
        let tasks = self.file.content.tasks.iter().enumerate().filter(|(at, _)| !self.taken.contains(at));
        tasks.map(move |(at, task)| {
            let start = task.received.or(task.started);
            let mut timing = timing(task);
            let instant = |moment: Option<BackendMoment>| self.instant(moment?, task.process);
            let before_end = || {
                let total = timing.total_ms.and_then(|ms| i64::try_from(ms).ok())?;
                Some(instant(task.ended)?.plus_ms(-total))
            };
            timing.start = instant(start).or_else(before_end);
            // A server may name a file, where clients name the model that it holds.
            let called = self.models.get(&(task.process, task.model.clone())).cloned().flatten();
            let model = called.or_else(|| task.model.clone());
            let found = UnmatchedLogRequest {
                start: timing.start,
                run: None,
                log: Some(self.name.clone()),
                endpoint: task.endpoint.clone(),
                requested_model: task.requested_model.clone(),
                model_source: model.is_some().then_some(ModelSource::ServerLog),
                model,
                tool_count: task.tool_count,
                message_count: task.message_count,
                max_tokens: task.max_tokens,
                stream: task.stream,
                confidence: if task.is_ambiguous { Confidence::Ambiguous } else { Confidence::Exact },
                log_facts: LogFacts::default(),
                server_task: Some(facts(
                    task,
                    wait(&timing).and_then(|wait| self.load_ms(task.process, wait)),
                )),
                root: self.root.clone().map(Arc::from),
                timing,
            };
            LoggedTask { log, task: at, found }
        })
    }

    fn summary(self) -> ServerLog {
        let log = &self.file.content;
        let starts = self.offsets_ms.iter().filter(|(clock, _)| matches!(clock, Clock::SinceStart(_)));
        let utc_offset_s = self.offsets_ms.get(&Clock::Local).map(|offset| -zone_of(*offset) / 1_000);
        let load = |load: &BackendLoad| ServerLoad {
            load_ms: load.load_ms.map(milliseconds),
            start: self.load_time(load).map(|(began, _)| began),
            model: load.model.clone(),
        };
        let most = |of: fn(&crate::formats::backend::BackendProcess) -> Option<u64>| {
            log.processes.iter().filter_map(of).max()
        };
        ServerLog {
            log: self.name.clone(),
            format: log.format,
            requests: log.tasks.len() as u64,
            joined: self.taken.len() as u64,
            ambiguous: self.ambiguous,
            utc_offset_s,
            starts: starts.filter_map(|(_, offset)| Timestamp::from_unix_ms(*offset)).collect(),
            slots: most(|process| process.slots),
            context_tokens: most(|process| process.context_tokens),
            ram_cache_bytes: most(|process| process.ram_cache_bytes),
            loads: log.loads.iter().map(load).collect(),
            truncations: log
                .truncations
                .iter()
                .map(|cut| ServerTruncation {
                    limit: cut.limit,
                    prompt_tokens: cut.prompt_tokens,
                    at: cut.at.and_then(|at| self.instant(at, 0)),
                })
                .collect(),
            evictions: log.tasks.iter().filter(|task| task.has_evicted()).count() as u64,
            unreadable_lines: log.unreadable_lines,
        }
    }
}

/// From the start of a request to its first token.
fn wait(timing: &Timing) -> Option<(Timestamp, Timestamp)> {
    let (start, ms) = (timing.start?, timing.ttft_ms.or(timing.total_ms)?);
    Some((start, start.plus_ms(i64::try_from(ms).ok()?)))
}

/// The zone of a clock that is so far behind UTC; the clock itself, where that is no zone.
fn zone_of(offset_ms: i64) -> i64 {
    let zone = (offset_ms + ZONE_STEP_MS / 2).div_euclid(ZONE_STEP_MS) * ZONE_STEP_MS;
    if (offset_ms - zone).abs() <= ZONE_SLACK_MS { zone } else { offset_ms }
}

/// Adds what a task tells to its request.
pub(crate) fn apply(request: &mut Request, task: &BackendTask, load_ms: Option<u64>) {
    if request.model.is_none()
        && let Some(model) = &task.model
    {
        (request.model, request.model_source) = (Some(model.clone()), Some(ModelSource::ServerLog));
    }
    let facts = facts(task, load_ms);
    let timing = request.timing.get_or_insert_default();
    if facts.prompt_tokens.is_some() {
        timing.prompt_tokens = facts.prompt_tokens;
        timing.prompt_tokens_source = Some(TokenSource::ServerLog);
    }
    if facts.output_tokens.is_some() && timing.output_tokens.is_none() {
        timing.output_tokens = facts.output_tokens;
        timing.output_tokens_source = Some(TokenSource::ServerLog);
    }
    if facts.cached_tokens.is_some() {
        timing.cached_tokens = facts.cached_tokens;
        timing.cached_source = Some(CachedSource::ServerLog);
    }
    request.bookkeeping.server_task = Some(Box::new(facts));
}

fn facts(task: &BackendTask, load_ms: Option<u64>) -> ServerTask {
    let queue = || task.started?.ms_since(task.received?).and_then(|ms| u64::try_from(ms).ok());
    let is_exact = task.received.is_some_and(|moment| moment.uncertainty_ms() == 0);
    ServerTask {
        prompt_tokens: task.prompt_tokens,
        cached_tokens: task.cached_tokens,
        held_tokens: task.held_tokens(),
        output_tokens: task.output_tokens,
        reasoning_tokens: task.reasoning_tokens,
        read_ms: task.read_ms.map(milliseconds),
        write_ms: task.write_ms.map(milliseconds),
        load_ms,
        clock_ms: clock_ms(task),
        uncertainty_ms: task.received.or(task.started).map_or(0, BackendMoment::uncertainty_ms),
        stream: task.stream,
        queue_ms: if is_exact { queue() } else { None },
        cut: task.cut.as_deref().copied(),
    }
}

/// When a task began, by a clock that counts from the start of its process: each process
/// comes long after the one before.
fn clock_ms(task: &BackendTask) -> Option<i64> {
    const BETWEEN_PROCESSES_MS: i64 = 1 << 40;
    let process = i64::try_from(task.process).ok()?.checked_mul(BETWEEN_PROCESSES_MS)?;
    match task.received.or(task.started)? {
        moment @ BackendMoment::SinceStart { .. } => moment.clock_ms().checked_add(process),
        _ => None,
    }
}

/// The times of a task by its own log.
pub(crate) fn timing(task: &BackendTask) -> Timing {
    let start = task.received.or(task.started);
    let between = || {
        let (start, end) = (start?, task.ended?);
        u64::try_from(end.ms_since(start)?).ok()
    };
    let (read_ms, write_ms) = (task.read_ms.map(milliseconds), task.write_ms.map(milliseconds));
    let facts = facts(task, None);
    let queue_ms = facts.queue_ms.or_else(|| task.received.is_none().then_some(0));
    let coarse_ms = start.map_or(0, BackendMoment::uncertainty_ms);
    let until_first = || u64::try_from(task.first_token?.ms_since(start?)?).ok();
    let measured = read_ms.zip(write_ms).map(|(read, write)| read.saturating_add(write));
    // What was measured outranks stamps, but where these lie further apart than they are
    // off: then it waited before it was read.
    let waited_ms = measured.zip(between()).and_then(|(measured, between)| {
        between.checked_sub(measured).filter(|waited| *waited > coarse_ms.max(LAG_MS))
    });
    let ttft_ms = task.ttft_ms.map(milliseconds).or_else(|| match (read_ms, queue_ms, until_first()) {
        (Some(read), queue, _) if measured.is_some() => {
            Some(read.saturating_add(waited_ms.unwrap_or(0).max(queue.unwrap_or(0))))
        }
        (Some(read), Some(queue), _) => Some(read.saturating_add(queue)),
        (_, _, first) => first,
    });
    let worked = || Some(ttft_ms?.saturating_add(write_ms?));
    let total_ms = task.total_ms.map(milliseconds).or_else(worked).or_else(between);
    let moments = [start, task.ended].into_iter().flatten();
    Timing {
        ttft_ms,
        total_ms,
        generation_ms: total_ms.zip(ttft_ms).and_then(|(total, ttft)| total.checked_sub(ttft)),
        wall_ms: total_ms,
        prompt_tokens: task.prompt_tokens,
        prompt_tokens_source: task.prompt_tokens.map(|_| TokenSource::ServerLog),
        output_tokens: task.output_tokens,
        output_tokens_source: task.output_tokens.map(|_| TokenSource::ServerLog),
        outcome: Some(match task.outcome {
            TaskOutcome::Completed => Outcome::Completed,
            TaskOutcome::Cancelled => Outcome::Disconnected,
            TaskOutcome::Failed => Outcome::Failed,
            TaskOutcome::Unfinished => Outcome::Unfinished,
        }),
        error: task.error.as_deref().map(str::to_owned),
        reported_tokens_per_second: task.tokens_per_second,
        read_ms,
        write_ms,
        cached_tokens: task.cached_tokens,
        cached_source: task.cached_tokens.map(|_| CachedSource::ServerLog),
        read_tokens: task.read_tokens,
        uncertainty_ms: moments.map(BackendMoment::uncertainty_ms).max().filter(|ms| *ms > 0),
        ..Timing::default()
    }
}

/// The nearest whole milliseconds.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` takes what is too large, below 0 or no number to the nearest end"
)]
fn milliseconds(ms: f64) -> u64 {
    ms.round() as u64
}
