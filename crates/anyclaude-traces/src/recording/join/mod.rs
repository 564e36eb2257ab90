//! Joins requests with logs: which process served each request, which model ran, and how
//! long it took.
//!
//! No log line names a trace. They are paired by time, order and counts: the proxy writes a
//! trace right after its `[Request Start]` (0 to 118 ms later in 334 measured requests), in
//! the order of the starts, and both hold the number of tools and messages. Where a capture
//! of standard error names the file, the join is exact. Where another assignment fits as
//! well, it is marked as ambiguous.

mod apply;
mod pairing;
pub(crate) mod server;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use apply::{LogPair, apply_all};
use serde::Serialize;

use crate::formats::anyclaude::log::{
    LogRequest, LogRun, MAX_CANDIDATES, ParsedLog, RequestLogEntry, SentCounts, attach_saved_traces,
    match_request_log,
};
use crate::model::intern::Interner;
use crate::model::request::{ModelSource, Request, Run, Source};
use crate::model::sort::sort_by_key;
use crate::model::time::Timestamp;
use crate::model::timing::Confidence;
use crate::model::timing::Timing;
use crate::model::{Amount, LogFacts, ServerTask};
use crate::read::{LogFile, Logs};
use crate::recording::concurrency::{BackendInterval, concurrency};
pub use server::{RepeatedRequests, ServerLoad, ServerLog, ServerTruncation};

/// The configured name that means "whatever model the backend has loaded".
pub const PLACEHOLDER_MODEL: &str = "current-model";

/// A trace is written within this after its entry in the request log, in milliseconds: the
/// proxy's own work plus the gap from start to trace.
const ENTRY_GAP_MS: RangeInclusive<i64> = 0..=31_000;
/// A pause in the request log that is taken for a new process: half an hour.
const RUN_PAUSE_MS: i64 = 30 * 60 * 1000;

/// What the logs hold that belongs to no trace.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Joined {
    /// The processes, in order of time.
    pub runs: Vec<Arc<Run>>,
    /// Requests without a trace, in order of time.
    pub unmatched: Vec<UnmatchedLogRequest>,
    /// Names of logs of 0 bytes, as a crash leaves them.
    pub empty_logs: Vec<String>,
    /// Log lines that should hold a fact and could not be read.
    pub unreadable_lines: u64,
    /// The logs of servers.
    pub server_logs: Vec<ServerLog>,
}

/// A request in a log that has no trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct UnmatchedLogRequest {
    /// When the proxy began to send, or the server to work on it; `None` where a server's
    /// log has no dates. Not serialised here, as `timing` has it.
    #[serde(skip)]
    pub start: Option<Timestamp>,
    /// The anyclaude process that served it; `None` where only a server's log has it.
    pub run: Option<Arc<str>>,
    /// The server's log that has it; `None` where it is in a debug log.
    pub log: Option<Arc<str>>,
    /// The URL's path without its query, where a server's log tells it.
    pub endpoint: Option<Arc<str>>,
    /// The model that was asked for, where a server's log tells it.
    pub requested_model: Option<Arc<str>>,
    /// The model that ran.
    pub model: Option<Arc<str>>,
    /// Where [`model`](Self::model) comes from.
    pub model_source: Option<ModelSource>,
    /// Number of tools; `None` where the log does not tell.
    pub tool_count: Option<u64>,
    /// Number of messages; `None` where the log does not tell.
    pub message_count: Option<u64>,
    /// `max_tokens` of the request; `None` where the log does not tell.
    pub max_tokens: Option<u64>,
    /// Whether the answer was streamed; `None` where the log does not tell.
    pub stream: Option<bool>,
    /// Times and counts.
    #[serde(flatten)]
    pub timing: Box<Timing>,
    /// How sure it is that these are its own.
    pub confidence: Confidence,
    /// What else the log tells of it.
    #[serde(skip)]
    pub log_facts: Option<Box<LogFacts>>,
    /// What the server's own log tells of it.
    #[serde(skip)]
    pub server_task: Option<Arc<ServerTask>>,
    /// The root whose requests went to the same server.
    #[serde(skip)]
    pub root: Option<Arc<Path>>,
}

impl Joined {
    /// Adds the facts from the logs of another root.
    pub fn extend(&mut self, other: Self) {
        self.runs.extend(other.runs);
        self.runs.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
        self.unmatched.extend(other.unmatched);
        sort_by_key(&mut self.unmatched, UnmatchedLogRequest::order);
        for log in other.server_logs {
            // A log that several sides of a comparison were tried with is one.
            match self.server_logs.iter_mut().find(|known| known.log == log.log) {
                Some(known) => known.add(&log),
                None => self.server_logs.push(log),
            }
        }
        self.empty_logs.extend(other.empty_logs);
        self.unreadable_lines += other.unreadable_lines;
    }
}

/// A request of a log, and the trace that it is paired with.
struct Start<'r> {
    log: &'r LogRequest,
    /// The index of its run.
    run: usize,
    /// Its index among the requests of the run.
    place: usize,
    /// The index of the request (the trace) that it is paired with.
    request: Option<usize>,
    confidence: Confidence,
}

/// Pairs requests with the logs of their root, and adds the facts of the logs to them.
///
/// `requests` are in order of time; `captures` are logs and captures of standard
/// error that the user named.
#[must_use]
pub fn join(requests: &mut [&mut Request], logs: Logs, captures: Vec<LogFile<ParsedLog>>) -> Joined {
    let unreadable_lines = logs.requests.iter().map(|log| log.content.unreadable_lines).sum();
    let mut joined = Joined { unreadable_lines, ..Joined::default() };
    let entries: Vec<RequestLogEntry> =
        logs.requests.into_iter().flat_map(|log| log.content.entries).collect();
    let (mut names, mut runs) = (Vec::new(), Vec::new());
    for log in logs.debug {
        joined.note(&log);
        names.extend(log.content.runs.iter().map(|_| log.name()));
        runs.extend(log.content.runs);
    }
    for capture in captures {
        joined.note(&capture);
        let name = capture.name();
        for run in capture.content.runs {
            if !take_capture(&mut runs, &names, &run) {
                names.push(name.clone());
                runs.push(run);
            }
        }
    }
    if runs.is_empty() && entries.is_empty() {
        return joined;
    }
    let processes = name_runs(&runs, &names);
    let mut starts = starts_of(&runs);
    pairing::pair(requests, &mut starts, &runs);
    let intervals: Vec<BackendInterval> =
        starts.iter().map(|start| BackendInterval::of(start.log, start.run)).collect();
    let pairs: Vec<LogPair> = starts.into_iter().zip(concurrency(&intervals)).map(LogPair::new).collect();
    let entries =
        if entries.is_empty() { entries } else { unused(&mut runs, entries, &sent_counts(requests, &pairs)) };
    joined.unmatched = apply_all(requests, &mut runs, &processes, pairs);
    joined.runs = processes;
    joined.runs.extend(join_entries(requests, entries));
    joined.runs.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
    joined
}

impl Joined {
    /// When the last task began that only a server's log tells of.
    pub(crate) fn newest_task(&self) -> Option<Timestamp> {
        let of_servers = self.unmatched.iter().filter(|unmatched| unmatched.log.is_some());
        of_servers.filter_map(|unmatched| unmatched.start).max()
    }
}

impl UnmatchedLogRequest {
    /// Orders them by time; those without one come last.
    pub(crate) fn order(&self) -> (bool, Option<Timestamp>) {
        (self.start.is_none(), self.start)
    }
}

impl Joined {
    fn note(&mut self, log: &LogFile<ParsedLog>) {
        self.unreadable_lines += log.content.unreadable_lines;
        if log.content.is_empty() {
            self.empty_logs.push(log.name());
        }
    }
}

/// Adds the trace names in a capture of standard error to the run that it captured. Returns
/// false where the capture belongs to no such run and is read as a log of its own.
fn take_capture(runs: &mut [LogRun], names: &[String], capture: &LogRun) -> bool {
    let Some(log) = &capture.debug_log else { return false };
    let same_log = |(_, name): &(&mut LogRun, &String)| *name == log;
    let captured = runs.iter_mut().zip(names).filter(same_log).map(|(run, _)| run);
    let nearest = captured.min_by_key(|run| run.requests.len().abs_diff(capture.saved_traces.len()));
    nearest.map(|run| attach_saved_traces(run, capture)).is_some()
}

/// Names every run by its start, with a number behind it where several have the same start.
fn name_runs(runs: &[LogRun], names: &[String]) -> Vec<Arc<Run>> {
    let mut taken: HashMap<String, u32> = HashMap::new();
    let name = |(run, log): (&LogRun, &String)| {
        let started = run.started.or_else(|| run.requests.first().map(|request| request.start));
        let base = started.map_or_else(|| log.clone(), dashed);
        let number = taken.entry(base.clone()).or_default();
        *number += 1;
        Arc::new(Run {
            id: if *number == 1 { base.into() } else { format!("{base}-{number}").into() },
            started,
            level: run.level,
            log: log.as_str().into(),
            requests: run.requests.len() as u64,
            log_bytes: run.log_bytes,
            mode: run.mode.clone(),
            configured_model: run.configured_model.clone(),
            detected_model: run.detected_model.clone(),
            context_length_tokens: run.context_length_tokens,
            backend_url: run.backend_url.clone(),
        })
    };
    runs.iter().zip(names).map(name).collect()
}

/// A time in the form of anyclaude's file names.
fn dashed(stamp: Timestamp) -> String {
    stamp.to_string().replace([':', '.'], "-")
}

fn starts_of<'r>(runs: &'r [LogRun]) -> Vec<Start<'r>> {
    let mut starts = Vec::with_capacity(runs.iter().map(|run| run.requests.len()).sum());
    for (run, log) in runs.iter().enumerate() {
        let start = |(place, log): (usize, &'r LogRequest)| Start {
            log,
            run,
            place,
            request: None,
            confidence: log.confidence,
        };
        starts.extend(log.requests.iter().enumerate().map(start));
    }
    starts.sort_by_key(|start| start.log.start);
    starts
}

/// Mode `claude` goes to Anthropic, and its requests are not in the debug log; other
/// recorders are no proxy that would write one.
fn is_joinable(request: &Request) -> bool {
    request.source == Source::Anyclaude && request.mode.as_deref() != Some("claude")
}

/// The requests that no log line has been paired with yet, by time.
struct FreeRequests {
    by_time: BTreeSet<(Timestamp, usize)>,
}

impl FreeRequests {
    fn of(requests: &[&mut Request], taken: &BTreeSet<usize>) -> Self {
        let free = requests
            .iter()
            .enumerate()
            .filter(|(index, request)| is_joinable(request) && !taken.contains(index));
        Self { by_time: free.filter_map(|(index, request)| Some((request.timestamp?, index))).collect() }
    }

    /// The free requests that were recorded within `gap_ms` after `stamp`.
    fn after(
        &self,
        stamp: Timestamp,
        gap_ms: &RangeInclusive<i64>,
    ) -> impl Iterator<Item = (Timestamp, usize)> {
        let range = (stamp.plus_ms(*gap_ms.start()), 0)..=(stamp.plus_ms(*gap_ms.end()), usize::MAX);
        self.by_time.range(range).take(MAX_CANDIDATES).copied()
    }
}

/// The counts that Claude Code sent, from the paired traces, by run and index in the run.
fn sent_counts(requests: &[&mut Request], pairs: &[LogPair]) -> HashMap<(usize, usize), SentCounts> {
    let counts = |pair: &LogPair| {
        let request = requests.get(pair.request?)?;
        let counts = SentCounts {
            tools: request.sizes.tool_count.get()?,
            messages: request.sizes.message_count.get()?,
            stream: request.stream,
        };
        Some(((pair.run, pair.place), counts))
    };
    pairs.iter().filter_map(counts).collect()
}

/// Matches the request logs with the runs, and returns the entries that fit no request.
fn unused(
    runs: &mut [LogRun],
    entries: Vec<RequestLogEntry>,
    sent: &HashMap<(usize, usize), SentCounts>,
) -> Vec<RequestLogEntry> {
    let unused: HashSet<usize> = match_request_log(runs, &entries, sent).into_iter().collect();
    let mut index = 0..;
    entries.into_iter().filter(|_| index.next().is_some_and(|at| unused.contains(&at))).collect()
}

/// Adds the model that the request log names to requests that are in no debug log. A new run
/// begins after a long pause and with another model.
fn join_entries(requests: &mut [&mut Request], mut entries: Vec<RequestLogEntry>) -> Vec<Arc<Run>> {
    let taken: BTreeSet<usize> = requests
        .iter()
        .enumerate()
        .filter(|(_, request)| request.run.is_some())
        .map(|(index, _)| index)
        .collect();
    let mut free = FreeRequests::of(requests, &taken);
    entries.sort_by_key(|entry| entry.timestamp);
    let goes_on = |a: &RequestLogEntry, b: &RequestLogEntry| {
        b.timestamp.ms_since(a.timestamp) <= RUN_PAUSE_MS && a.provider == b.provider && a.model == b.model
    };
    let (mut runs, mut names) = (Vec::new(), Interner::<str>::default());
    for run in entries.chunk_by(goes_on) {
        let Some(process) = run_of_entries(run) else { continue };
        for entry in run {
            let near = free.after(entry.timestamp, &ENTRY_GAP_MS);
            let fits = |(_, index): &(Timestamp, usize)| {
                requests.get(*index).is_some_and(|request| entry_fits(entry, request))
            };
            let Some((stamp, index)) = near.into_iter().find(fits) else { continue };
            free.by_time.remove(&(stamp, index));
            let Some(request) = requests.get_mut(index) else { continue };
            request.run = Some(process.id.clone());
            request.bookkeeping.process = Some(process.clone());
            if let Some(model) = entry.model.as_deref().filter(|model| *model != PLACEHOLDER_MODEL) {
                request.model = Some(names.once(model));
                request.model_source = Some(ModelSource::RequestLog);
            }
        }
        runs.push(process);
    }
    runs
}

fn entry_fits(entry: &RequestLogEntry, request: &Request) -> bool {
    let agrees =
        |logged: Option<u64>, sent: Amount| logged.is_none_or(|n| sent.get().is_none_or(|sent| sent == n));
    agrees(entry.tool_count, request.sizes.tool_count)
        && agrees(entry.message_count, request.sizes.message_count)
        && entry.streaming.is_none_or(|streaming| streaming == request.stream)
        && entry
            .provider
            .as_deref()
            .is_none_or(|provider| request.mode.as_deref().is_none_or(|mode| mode == provider))
}

fn run_of_entries(entries: &[RequestLogEntry]) -> Option<Arc<Run>> {
    let first = entries.first()?;
    Some(Arc::new(Run {
        id: dashed(first.timestamp).into(),
        started: Some(first.timestamp),
        level: None,
        log: "request-logs".into(),
        requests: entries.len() as u64,
        log_bytes: 0,
        mode: first.provider.clone(),
        configured_model: first.model.clone(),
        detected_model: None,
        context_length_tokens: None,
        backend_url: None,
    }))
}

#[cfg(test)]
mod tests;
