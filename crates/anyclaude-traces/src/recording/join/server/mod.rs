//! Joins requests with the logs of the servers that ran the models: whose task was which
//! request, and what that tells of it.

mod apply;
mod loads;
mod matching;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use apply::{apply, timing};
use apply::{facts, milliseconds};
use loads::{LoadTimes, Span};
use matching::{Fit, LogClock, Matched, Offered, Wanted, fit};
use serde::{Deserialize, Serialize};

use super::UnmatchedLogRequest;
use crate::formats::backend::{BackendFormat, BackendLoad, BackendLog, BackendMoment, BackendTask};
use crate::model::request::{ModelSource, Request};
use crate::model::sort::sort_by_key;
use crate::model::time::Timestamp;
use crate::model::timing::{Confidence, Timing};
use crate::model::{LogZone, ServerJoin};
use crate::read::LogFile;

/// Local time and UTC are so far apart, in multiples of this.
const ZONE_STEP_MS: i64 = 15 * 60 * 1_000;
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
    /// How far its local time is ahead of UTC, in seconds, as the joins show: most of them,
    /// where clocks were changed meanwhile; `None` where its times have a zone, or where
    /// nothing was joined.
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
    /// The number of its record: that of its request line, else one behind all of these.
    pub(crate) record: u32,
    /// Whether the log has its request line.
    pub(crate) has_request_line: bool,
    /// What is known of it.
    pub(crate) found: UnmatchedLogRequest,
}

/// Logs of servers, with their tasks apart: where nobody looks at them again, they are let go of
/// once it is known what they tell.
pub(crate) struct ServerLogs<'l> {
    logs: &'l [LogFile<BackendLog>],
    tasks: Vec<Cow<'l, [BackendTask]>>,
}

impl<'l> From<&'l [LogFile<BackendLog>]> for ServerLogs<'l> {
    fn from(logs: &'l [LogFile<BackendLog>]) -> Self {
        let tasks = logs.iter().map(|log| Cow::Borrowed(&*log.content.tasks)).collect();
        Self { logs, tasks }
    }
}

impl<'l> ServerLogs<'l> {
    /// Logs of which the tasks were taken: those of each log at the same place.
    pub(crate) fn with_tasks(logs: &'l [LogFile<BackendLog>], tasks: Vec<Vec<BackendTask>>) -> Self {
        Self { logs, tasks: tasks.into_iter().map(Cow::Owned).collect() }
    }
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
    ServerLogs { logs, tasks }: ServerLogs<'_>,
    zone: &LogZone,
) -> (Vec<ServerLog>, Vec<LoggedTask>) {
    let mut wanted: Vec<Vec<Wanted>> = roots.iter().map(|root| wanted(root.requests)).collect();
    let is_only: Vec<bool> = wanted.iter().map(|wanted| wanted.len() == 1).collect();
    let with_tasks = logs.iter().zip(&tasks);
    let mut found: Vec<FoundLog> = with_tasks.map(|(log, tasks)| FoundLog::of(log, tasks, zone)).collect();
    // Of a log alone, nothing is offered to nobody.
    let offered = |(found, tasks): (&FoundLog, &Cow<'_, [BackendTask]>)| {
        if roots.is_empty() { Vec::new() } else { Offered::all(tasks, &found.zone) }
    };
    let mut offered: Vec<Vec<Offered>> = found.iter().zip(&tasks).map(offered).collect();
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
                fits.insert((root, log), fit(wanted, offered, is_only.get(root) == Some(&true)));
            }
        }
        let best =
            fits.iter().filter(|(_, fit)| !fit.matched.is_empty()).min_by_key(|(at, fit)| (fit.rank(), **at));
        let Some((&(root, log), _)) = best else { break };
        let fit = fits.insert((root, log), Fit::default()).unwrap_or_default();
        let requests: BTreeSet<usize> = fit.matched.iter().map(|one| one.request).collect();
        let matched: BTreeSet<usize> = fit.matched.iter().map(|one| one.task).collect();
        if let Some(wanted) = wanted.get_mut(root) {
            wanted.retain(|one| !requests.contains(&one.at));
        }
        if let Some(offered) = offered.get_mut(log) {
            offered.retain(|one| !matched.contains(&one.at));
        }
        stale = fits.keys().copied().filter(|(of, with)| *of == root || *with == log).collect();
        if let (Some(of), Some(found), Some(tasks)) =
            (roots.get_mut(root), found.get_mut(log), tasks.get(log))
        {
            found.take(of, fit, tasks);
        }
    }
    // Most often all of them, and very many: a vector that grew would be moved again and again.
    let mut unmatched = Vec::with_capacity(tasks.iter().map(|tasks| tasks.len()).sum());
    for (at, (log, tasks)) in found.iter().zip(tasks).enumerate() {
        unmatched.extend(log.unmatched(at, &tasks));
    }
    sort_by_key(&mut unmatched, |logged| logged.found.order());
    (found.into_iter().map(FoundLog::summary).collect(), unmatched)
}

/// The requests that a task is looked for.
fn wanted(requests: &[&mut Request]) -> Vec<Wanted> {
    let wanted = |(at, request): (usize, &&mut Request)| {
        let timing = request.timing.as_deref().filter(|_| is_for_a_server(request))?;
        let start = timing.start?;
        let end_ms = start.plus_ms(i64::try_from(timing.total_ms.get()?).ok()?).unix_ms();
        let counts = timing.prompt_tokens.get().zip(timing.output_tokens.get());
        Some(Wanted { at, counts, start_ms: start.unix_ms(), end_ms })
    };
    requests.iter().enumerate().filter_map(wanted).collect()
}

/// Whether a server of one's own may have answered it: mode `claude` goes to Anthropic.
fn is_for_a_server(request: &Request) -> bool {
    request.mode.as_deref() != Some("claude")
}

/// What a model is called, where that is known.
type Model = Option<Arc<str>>;

/// A log, with what was joined of it.
struct FoundLog<'l> {
    file: &'l LogFile<BackendLog>,
    /// That of its times which name none.
    zone: LogZone,
    /// Whether the joins show that the zone is the one that is guessed.
    is_zone_right: bool,
    name: Arc<str>,
    offsets_ms: BTreeMap<LogClock, i64>,
    /// The root that took the most of its tasks.
    root: Option<PathBuf>,
    most: usize,
    taken: BTreeSet<usize>,
    /// How many tasks it has, …
    requests: u64,
    /// … and in how many of them another prompt gave way.
    evictions: u64,
    /// What clients call the model that a process names so; `None` where they differ.
    models: BTreeMap<(usize, Model), Model>,
    ambiguous: u64,
}

impl<'l> FoundLog<'l> {
    fn of(file: &'l LogFile<BackendLog>, tasks: &[BackendTask], zone: &LogZone) -> Self {
        let own = file.content.ahead_of_utc_s.filter(|_| !zone.is_named());
        let zone = own.map_or_else(|| zone.clone(), LogZone::Named);
        Self {
            file,
            is_zone_right: zone.is_named(),
            zone,
            name: file.path.to_string_lossy().into(),
            offsets_ms: BTreeMap::new(),
            root: None,
            most: 0,
            taken: BTreeSet::new(),
            requests: tasks.len() as u64,
            evictions: tasks.iter().filter(|task| task.has_evicted()).count() as u64,
            models: BTreeMap::new(),
            ambiguous: 0,
        }
    }

    /// Adds what the log tells of the requests of a root to them.
    fn take(&mut self, root: &mut OfRoot<'_, '_>, fit: Fit, tasks: &[BackendTask]) {
        if fit.matched.len() > self.most {
            (self.most, self.root) = (fit.matched.len(), root.root.clone());
        }
        for (clock, offset) in &fit.offsets_ms {
            self.offsets_ms.entry(*clock).or_insert(*offset);
        }
        self.is_zone_right |= self.is_seen_in(&fit, tasks);
        let loads = self.load_times();
        for Matched { request, task, gap_ms, confidence } in fit.matched {
            self.taken.insert(task);
            let (Some(request), Some(task)) = (root.requests.get_mut(request), tasks.get(task)) else {
                continue;
            };
            request.server_join = Some(Arc::new(ServerJoin { log: self.name.clone(), gap_ms, confidence }));
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
            apply(request, task, wait.and_then(|wait| loads.ms_within(task.process, wait)));
        }
    }

    /// Whether local time was as far ahead of UTC, at the end of a task that was joined, as
    /// it is in the zone that is guessed.
    fn is_seen_in(&self, fit: &Fit, tasks: &[BackendTask]) -> bool {
        let Some(offset) = fit.offsets_ms.get(&LogClock::Local) else { return false };
        let ends = fit.matched.iter().filter_map(|one| tasks.get(one.task)?.ended);
        let ahead_s = ends.filter_map(|ended| match ended {
            BackendMoment::LocalSecond { seconds, is_repeated } => self.zone.offset_s(seconds, is_repeated),
            _ => None,
        });
        ahead_s.take(1).any(|ahead_s| ahead_s.saturating_mul(-1_000) == zone_of(*offset))
    }

    /// A moment in UTC, where it is known how far its clock is off.
    fn instant(&self, moment: BackendMoment, process: usize) -> Option<Timestamp> {
        let offset = self.offsets_ms.get(&LogClock::of(moment, process)).copied();
        let offset = match moment {
            BackendMoment::Instant(at) => return Some(at.plus_ms(offset.unwrap_or(0))),
            BackendMoment::LocalSecond { seconds, is_repeated } => {
                // Joins are surer than the machine on which the log is read; but where they
                // agree with it, it also knows when clocks are changed.
                let ahead_s = match (self.is_zone_right, offset) {
                    (false, Some(offset)) => -zone_of(offset) / 1_000,
                    _ => self.zone.offset_s(seconds, is_repeated)?,
                };
                Some(ahead_s.saturating_mul(-1_000))
            }
            BackendMoment::SinceStart { .. } => offset,
        };
        Timestamp::from_unix_ms(moment.clock_ms().checked_add(offset?)?)
    }

    fn load_times(&self) -> LoadTimes {
        LoadTimes::of(self.file.content.loads.iter().map(|load| (load.process, self.load_time(load))))
    }

    fn load_time(&self, load: &BackendLoad) -> Option<Span> {
        let instant = |moment: Option<BackendMoment>| self.instant(moment?, load.process);
        let took = load.load_ms.map(milliseconds).and_then(|ms| i64::try_from(ms).ok());
        match (instant(load.started), instant(load.ended)) {
            (Some(began), Some(ended)) => Some((began, ended)),
            (Some(began), None) => Some((began, began.plus_ms(took?))),
            (None, Some(ended)) => Some((ended.plus_ms(-took?), ended)),
            (None, None) => None,
        }
    }

    /// Those of its tasks that are none of the recorded requests. It is the log at this place.
    fn unmatched(&self, log: usize, tasks: &[BackendTask]) -> impl Iterator<Item = LoggedTask> {
        let lines = tasks.iter().filter_map(|task| task.request).max().map_or(0, |last| last + 1);
        let loads = self.load_times();
        let tasks = tasks.iter().enumerate().filter(|(at, _)| !self.taken.contains(at));
        tasks.map(move |(at, task)| {
            let start = task.received.or(task.started);
            let mut timing = Box::new(timing(task));
            let instant = |moment: Option<BackendMoment>| self.instant(moment?, task.process);
            let before_end = || {
                let total = timing.total_ms.get().and_then(|ms| i64::try_from(ms).ok())?;
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
                log_facts: None,
                server_task: Some(Arc::new(facts(
                    task,
                    wait(&timing).and_then(|wait| loads.ms_within(task.process, wait)),
                ))),
                root: self.root.clone().map(Arc::from),
                timing,
            };
            let behind = || u32::try_from(at).unwrap_or(u32::MAX).saturating_add(lines);
            let (record, has_request_line) = (task.request.unwrap_or_else(behind), task.request.is_some());
            LoggedTask { log, record, has_request_line, found }
        })
    }

    fn summary(self) -> ServerLog {
        let log = &self.file.content;
        let starts = self.offsets_ms.iter().filter(|(clock, _)| matches!(clock, LogClock::SinceStart(_)));
        let utc_offset_s = self.offsets_ms.get(&LogClock::Local).map(|offset| -zone_of(*offset) / 1_000);
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
            requests: self.requests,
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
            evictions: self.evictions,
            unreadable_lines: log.unreadable_lines,
        }
    }
}

/// From the start of a request to its first token.
fn wait(timing: &Timing) -> Option<Span> {
    let (start, ms) = (timing.start?, timing.ttft_ms.or(timing.total_ms).get()?);
    Some((start, start.plus_ms(i64::try_from(ms).ok()?)))
}

/// The zone of a clock that is so far behind UTC; the clock itself, where that is no zone.
fn zone_of(offset_ms: i64) -> i64 {
    let zone = (offset_ms + ZONE_STEP_MS / 2).div_euclid(ZONE_STEP_MS) * ZONE_STEP_MS;
    if (offset_ms - zone).abs() <= ZONE_SLACK_MS { zone } else { offset_ms }
}
