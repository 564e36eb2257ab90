//! A server's log, with what was joined of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::apply::{Around, apply, facts, milliseconds, timing};
use super::loads::{LoadTimes, Span};
use super::matching::{Fit, LogClock, Matched, Offered};
use super::repeated::Repeated;
use super::{LoggedTask, OfRoot, RepeatedRequests, ServerLoad, ServerLog, ServerTruncation};
use crate::formats::backend::{
    BackendFormat, BackendLoad, BackendLog, BackendMoment, BackendProcess, BackendTask, BackendTruncation,
};
use crate::model::request::ModelSource;
use crate::model::time::Timestamp;
use crate::model::timing::{Confidence, Timing};
use crate::model::{ContextCut, LogZone, ServerJoin};
use crate::read::LogFile;
use crate::recording::join::UnmatchedLogRequest;

/// Local time and UTC are so far apart, in multiples of this.
const ZONE_STEP_MS: i64 = 15 * 60 * 1_000;
/// A clock this far from the next such multiple is only set wrong.
const ZONE_SLACK_MS: i64 = 60_000;

/// What a model is called, where that is known.
type Model = Option<Arc<str>>;

/// What of a log another one tells with finer stamps, and that log.
type ByOther<'l> = (&'l LogFile<BackendLog>, Repeated);

/// A log, with what was joined of it.
pub(super) struct FoundLog<'l> {
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
    /// What of it another log tells with finer stamps, and that log: it counts there.
    repeated: Option<ByOther<'l>>,
    /// How many other tasks it has, …
    requests: u64,
    /// … and in how many of them another prompt gave way.
    evictions: u64,
    /// What its engine dropped of prompts and answers as its context was full: by process.
    cuts: Vec<(usize, BackendTruncation)>,
    /// What clients call the model that a process names so; `None` where they differ.
    models: BTreeMap<(usize, Model), Model>,
    ambiguous: u64,
}

impl<'l> FoundLog<'l> {
    pub(super) fn of(
        file: &'l LogFile<BackendLog>,
        tasks: &[BackendTask],
        zone: &LogZone,
        repeated: Option<ByOther<'l>>,
    ) -> Self {
        let is_own = |(at, _): &(usize, &BackendTask)| is_own(repeated.as_ref(), *at);
        let of_own = || tasks.iter().enumerate().filter(is_own).map(|(_, task)| task);
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
            requests: of_own().count() as u64,
            evictions: of_own().filter(|task| task.has_evicted()).count() as u64,
            cuts: cuts(file.content.format, of_own()).collect(),
            repeated,
            models: BTreeMap::new(),
            ambiguous: 0,
        }
    }

    /// Its tasks, as requests are looked for among them.
    pub(super) fn offered(&self, tasks: &[BackendTask]) -> Vec<Offered> {
        let mut offered = Offered::all(tasks, &self.zone);
        offered.retain(|one| self.is_own(one.at));
        offered
    }

    /// Whether no other log tells of the task at this place with finer stamps.
    fn is_own(&self, at: usize) -> bool {
        is_own(self.repeated.as_ref(), at)
    }

    /// The loads of which no other log tells with finer stamps.
    fn own_loads(&self) -> impl Iterator<Item = &BackendLoad> {
        let is_own = |load: &&BackendLoad| {
            let of_other = |(other, repeated): &ByOther<'_>| repeated.has_load(load, &other.content.loads);
            !self.repeated.as_ref().is_some_and(of_other)
        };
        self.file.content.loads.iter().filter(is_own)
    }

    /// Adds what the log tells of the requests of a root to them.
    pub(super) fn take(&mut self, root: &mut OfRoot<'_, '_>, fit: Fit, tasks: &[BackendTask]) {
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
            apply(request, task, self.around(task, wait, &loads));
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
            BackendMoment::SinceStart { .. } => offset.or_else(|| self.stamped_ms(process)),
        };
        Timestamp::from_unix_ms(moment.clock_ms().checked_add(offset?)?)
    }

    /// When a process began, by the stamps of its lines, in milliseconds of UTC.
    fn stamped_ms(&self, process: usize) -> Option<i64> {
        Some(self.file.content.processes.get(process)?.began?.unix_ms())
    }

    /// What the log tells of a task beside its own lines. `wait` is from its request's start to
    /// its first token.
    fn around(&self, task: &BackendTask, wait: Option<Span>, loads: &LoadTimes) -> Around {
        let process = self.file.content.processes.get(task.process);
        Around {
            load_ms: wait.and_then(|wait| loads.ms_within(task.process, wait)),
            context_divisor: process.and_then(BackendProcess::context_divisor),
        }
    }

    fn load_times(&self) -> LoadTimes {
        let log = &self.file.content;
        let loads = log.earlier_loads.iter().chain(&log.loads);
        let times = loads.map(|load| (load, self.load_time(load)));
        let began = |load: &BackendLoad| self.instant(load.started?, load.process);
        let (open, others): (Vec<_>, Vec<_>) =
            times.partition(|(load, time)| time.is_none() && began(load).is_some());
        LoadTimes::of(others.into_iter().map(|(load, time)| (load.process, time)))
            .with_open(open.into_iter().filter_map(|(load, _)| Some((load.process, began(load)?))))
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
    pub(super) fn unmatched(&self, log: usize, tasks: &[BackendTask]) -> impl Iterator<Item = LoggedTask> {
        let lines = tasks.iter().filter_map(|task| task.request).max().map_or(0, |last| last + 1);
        let loads = self.load_times();
        let left = tasks.iter().enumerate().filter(|(at, _)| !self.taken.contains(at) && self.is_own(*at));
        left.map(move |(at, task)| {
            let behind = || u32::try_from(at).unwrap_or(u32::MAX).saturating_add(lines);
            let (record, has_request_line) = (task.request.unwrap_or_else(behind), task.request.is_some());
            LoggedTask { log, record, has_request_line, found: self.log_request(task, &loads) }
        })
    }

    /// A task as a request that only the log has.
    fn log_request(&self, task: &BackendTask, loads: &LoadTimes) -> UnmatchedLogRequest {
        let mut timing = Box::new(timing(task));
        timing.start = self.start(task, &timing);
        // A server may name a file, where clients name the model that it holds.
        let called = self.models.get(&(task.process, task.model.clone())).cloned().flatten();
        let model = called.or_else(|| task.model.clone());
        let around = self.around(task, wait(&timing), loads);
        UnmatchedLogRequest {
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
            server_task: Some(Arc::new(facts(task, around))),
            root: self.root.clone().map(Arc::from),
            timing,
        }
    }

    /// When a task came: by its own stamp, else by that of its end.
    fn start(&self, task: &BackendTask, timing: &Timing) -> Option<Timestamp> {
        let instant = |moment: Option<BackendMoment>| self.instant(moment?, task.process);
        let before_end = || {
            let total_ms = i64::try_from(timing.total_ms.get()?).ok()?;
            Some(instant(task.ended)?.plus_ms(-total_ms))
        };
        instant(task.came()).or_else(before_end).or_else(|| instant(task.started))
    }

    pub(super) fn summary(self) -> ServerLog {
        let log = &self.file.content;
        let processes = 0..log.processes.len();
        let start_ms = |process: usize| {
            let joined = self.offsets_ms.get(&LogClock::SinceStart(process)).copied();
            joined.or_else(|| self.stamped_ms(process))
        };
        let local = self.offsets_ms.get(&LogClock::Local).map(|offset| (zone_of(*offset), *offset));
        let with_dates = local.or_else(|| Some((0, *self.offsets_ms.get(&LogClock::Utc)?)));
        let load = |load: &BackendLoad| ServerLoad {
            load_ms: load.load_ms.map(milliseconds),
            start: self.load_time(load).map(|(began, _)| began),
            model: load.model.clone(),
        };
        let told = log.truncations.iter().map(|cut| (0, *cut));
        let truncation = |(process, cut): (usize, BackendTruncation)| ServerTruncation {
            limit: cut.limit,
            prompt_tokens: cut.prompt_tokens,
            at: cut.at.and_then(|at| self.instant(at, process)),
        };
        let most = |of: fn(&BackendProcess) -> Option<u64>| log.processes.iter().filter_map(of).max();
        ServerLog {
            log: self.name.clone(),
            format: log.format,
            requests: self.requests,
            repeats: self.repeated.as_ref().map(|(other, repeated)| RepeatedRequests {
                log: other.path.to_string_lossy().into(),
                requests: repeated.tasks.len() as u64,
            }),
            joined: self.taken.len() as u64,
            ambiguous: self.ambiguous,
            utc_offset_s: local.map(|(zone, _)| -zone / 1_000),
            clock_offset_ms: with_dates.map(|(zone, offset)| zone - offset),
            starts: processes.filter_map(|at| Timestamp::from_unix_ms(start_ms(at)?)).collect(),
            slots: most(|process| process.slots),
            context_tokens: most(|process| process.context_tokens),
            ram_cache_bytes: most(|process| process.ram_cache_bytes),
            loads: self.own_loads().map(load).collect(),
            truncations: told.chain(self.cuts.iter().copied()).map(truncation).collect(),
            evictions: self.evictions,
            unreadable_lines: log.unreadable_lines,
        }
    }
}

/// Whether no other log tells of the task at this place with finer stamps.
fn is_own(repeated: Option<&ByOther<'_>>, at: usize) -> bool {
    repeated.is_none_or(|(_, repeated)| !repeated.tasks.contains(&at))
}

/// What an engine dropped, as its tasks tell. Ollama cuts prompts before its engine has them, and
/// says so itself.
fn cuts<'t>(
    format: BackendFormat,
    tasks: impl Iterator<Item = &'t BackendTask>,
) -> impl Iterator<Item = (usize, BackendTruncation)> {
    let is_told =
        move |cut: &ContextCut| format == BackendFormat::Ollama && cut.whole_prompt_tokens.is_some();
    tasks.filter_map(move |task| {
        let cut = task.cut.as_deref().filter(|cut| !is_told(cut))?;
        let (limit, prompt_tokens) = (cut.context_tokens, cut.whole_prompt_tokens);
        let truncation = BackendTruncation { at: task.ended, limit, prompt_tokens, kept_tokens: None };
        Some((task.process, truncation))
    })
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
