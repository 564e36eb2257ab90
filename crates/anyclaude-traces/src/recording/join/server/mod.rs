//! Joins requests with the logs of the servers that ran the models: whose task was which
//! request, and what that tells of it.

mod apply;
mod found_log;
mod loads;
mod matching;
mod repeated;
mod rounds;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use found_log::FoundLog;
use matching::Wanted;
use rounds::{Pair, Rounds};
use serde::{Deserialize, Serialize};

use super::UnmatchedLogRequest;
use crate::formats::backend::{BackendFormat, BackendLog, BackendTask};
use crate::model::LogZone;
use crate::model::request::Request;
use crate::model::sort::sort_by_key;
use crate::model::time::Timestamp;
use crate::read::LogFile;

/// The log of a server, and what was found in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ServerLog {
    /// The file.
    pub log: Arc<str>,
    /// Which program wrote it.
    pub format: BackendFormat,
    /// How many requests it has, but for those that it repeats.
    pub requests: u64,
    /// Requests that another log of the same server has too, with finer stamps: they count there.
    /// `None` where there are none.
    pub repeats: Option<RepeatedRequests>,
    /// How many of them were found among the recorded requests.
    pub joined: u64,
    /// How many of these could be others just as well, so that no figures are taken of them.
    pub ambiguous: u64,
    /// How far its local time is ahead of UTC, in seconds, as the joins show: most of them,
    /// where clocks were changed meanwhile; `None` where its times have a zone, or where
    /// nothing was joined.
    pub utc_offset_s: Option<i64>,
    /// How far its clock is ahead of the one by which the requests were recorded, in milliseconds:
    /// the median over the joins, which has the wait for the last bytes of an answer in it. What
    /// a zone explains is left out. `None` where its times count from a start, or where nothing
    /// was joined.
    pub clock_offset_ms: Option<i64>,
    /// When each of its server processes started, as the joins show, or else stamps of its lines.
    pub starts: Vec<Timestamp>,
    /// The slots of its servers: the most that one had.
    pub slots: Option<u64>,
    /// The context of one slot, in tokens: the largest of its servers.
    pub context_tokens: Option<u64>,
    /// How much main memory may hold prompts that have left their slots.
    pub ram_cache_bytes: Option<u64>,
    /// Loads of models, in its order.
    pub loads: Vec<ServerLoad>,
    /// Prompts that it cut as they did not fit, and what it dropped as its context was full, each in
    /// its order.
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
        self.clock_offset_ms = self.clock_offset_ms.or(other.clock_offset_ms);
        self.starts.extend(&other.starts);
        self.starts.sort();
        self.starts.dedup();
    }
}

/// Requests that two logs of one server tell of, and that count as the one with finer stamps has
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RepeatedRequests {
    /// The log with finer stamps.
    pub log: Arc<str>,
    /// How many there are.
    pub requests: u64,
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

/// A prompt was cut, or a part of it or of its answer dropped as the context was full, and nobody
/// told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ServerTruncation {
    /// The most tokens that fit.
    pub limit: Option<u64>,
    /// Tokens of the whole prompt; `None` where it may have fitted, and its answer filled the context.
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
    let of_logs: Vec<&[BackendTask]> = tasks.iter().map(|tasks| &**tasks).collect();
    let with_tasks = logs.iter().zip(&of_logs).zip(repeated::repeated(&of_logs));
    let found = with_tasks.map(|((log, tasks), repeated)| {
        let repeated = repeated.and_then(|repeated| Some((logs.get(repeated.by)?, repeated)));
        FoundLog::of(log, tasks, zone, repeated)
    });
    let mut found: Vec<FoundLog> = found.collect();
    // Of a log alone, nothing is offered to nobody.
    let offered = |(found, tasks): (&FoundLog, &Cow<'_, [BackendTask]>)| {
        if roots.is_empty() { Vec::new() } else { found.offered(tasks) }
    };
    let offered = found.iter().zip(&tasks).map(offered).collect();
    let wanted = roots.iter().map(|root| wanted(root.requests)).collect();
    for (Pair { root, log }, fit) in Rounds::new(wanted, offered) {
        let of_both = roots.get_mut(root).zip(found.get_mut(log)).zip(tasks.get(log));
        if let Some(((root, found), tasks)) = of_both {
            found.take(root, fit, tasks);
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
