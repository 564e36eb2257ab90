//! Requests and logs → how long everything took, and what is not known of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::analysis::not_logged::{Gap, NotLogged};
use crate::error::Skipped;
use crate::formats::backend::BackendFormat;
use crate::model::ServerTask;
use crate::model::group::{Group, Grouping};
use crate::model::intern::FastSet;
use crate::model::measure::Measure;
use crate::model::request::{Request, Run, Source, TracePath};
use crate::model::scope::{KindFilter, Scope};
use crate::model::sort::sort_by_key;
use crate::model::timing::{CachedSource, Confidence, Outcome, Timing, TtftSource};
use crate::recording::join::{Joined, ServerLog, UnmatchedLogRequest};

/// What [`timing`] finds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TimingReport {
    /// Which requests it is about.
    pub scope: Scope,
    /// The requests, in order of time.
    pub requests: Vec<Request>,
    /// Which kinds of request the groups are made of.
    pub groups_kind: KindFilter,
    /// The requests by model, or by what [`timing`] was told to group by.
    pub groups: Vec<Group>,
    /// The processes that served them, and those of which only the log tells.
    pub runs: Vec<Arc<Run>>,
    /// Requests of which there is a log but no trace.
    pub unmatched_log_requests: Vec<UnmatchedLogRequest>,
    /// The logs of servers, and what was found in them.
    pub server_logs: Vec<ServerLog>,
    /// Requests of which there is a trace but no log.
    pub unmatched_traces: Vec<TracePath>,
    /// What the proxy made of the prompts.
    pub edits: Vec<Edit>,
    /// What was not logged, and how to get it next time.
    pub missing: Vec<NotLogged>,
    /// The files that could not be used.
    pub skipped: Vec<Skipped>,
}

/// A prompt before and after the proxy's edits.
///
/// Before is what Claude Code sent, by the trace; after is what the debug log's
/// `[Prompt Overhead]` says, which counts UTF-16 units and rounds up to 4.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Edit {
    /// The trace.
    pub path: TracePath,
    /// Characters of the system text before.
    pub system_chars: u64,
    /// Characters of the system text after.
    pub proxied_system_chars: u64,
    /// Compact JSON of the tools before.
    pub tools_bytes: u64,
    /// JSON of the tools after.
    pub proxied_tools_chars: u64,
}

/// The measures that a timing report's groups carry.
pub const MEASURES: [Measure; 17] = [
    Measure::SystemChars,
    Measure::ToolCount,
    Measure::MessageCount,
    Measure::BodyBytes,
    Measure::ToolsBytes,
    Measure::MessagesBytes,
    Measure::ProxyMs,
    Measure::TtftMs,
    Measure::GenerationMs,
    Measure::TotalMs,
    Measure::WallMs,
    Measure::Keepalives,
    Measure::Events,
    Measure::PromptTokens,
    Measure::OutputTokens,
    Measure::ReportedTokensPerSecond,
    Measure::PrefillTokensPerSecond,
];

/// Reports the times of these requests, which are in the scope and in order of
/// time. `groups_kind` says which of them make the groups; `others` are those of other
/// kinds in the same time, which take part in speeds only.
///
/// ```
/// use anyclaude_traces::Request;
/// use anyclaude_traces::analysis::timing::timing;
/// use anyclaude_traces::model::group::Grouping;
/// use anyclaude_traces::model::scope::{KindFilter, Scope};
///
/// let request = Request::builder("a.json").tool("Bash", 900).timing(|times| times.ttft_ms = 535.into()).build();
/// let scope = Scope::new(None, None, KindFilter::All, 1);
/// let (joined, by_model) = (Default::default(), Grouping::by_model());
/// let found = timing(scope, vec![request], &[], joined, Vec::new(), KindFilter::All, &by_model);
/// assert_eq!((found.groups.len(), found.requests.len()), (1, 1));
/// ```
#[must_use]
pub fn timing(
    scope: Scope,
    requests: Vec<Request>,
    others: &[Request],
    joined: Joined,
    skipped: Vec<Skipped>,
    groups_kind: KindFilter,
    grouping: &Grouping,
) -> TimingReport {
    let groups = groups(&requests, others, groups_kind, grouping);
    timing_of_groups(scope, requests, joined, skipped, (groups_kind, groups))
}

/// The groups that a timing report has.
pub(crate) fn groups(
    requests: &[Request],
    others: &[Request],
    groups_kind: KindFilter,
    grouping: &Grouping,
) -> Vec<Group> {
    let (grouped, not_grouped): (Vec<&Request>, Vec<&Request>) =
        requests.iter().partition(|request| groups_kind.admits(request.kind));
    let not_grouped: Vec<&Request> = not_grouped.into_iter().chain(others).collect();
    grouping.groups(&grouped, &not_grouped, &MEASURES)
}

/// The report, where its groups are at hand.
pub(crate) fn timing_of_groups(
    scope: Scope,
    mut requests: Vec<Request>,
    mut joined: Joined,
    skipped: Vec<Skipped>,
    (groups_kind, groups): (KindFilter, Vec<Group>),
) -> TimingReport {
    let mut unmatched = std::mem::take(&mut joined.unmatched);
    unmatched.retain(|unmatched| scope.holds(unmatched.start));
    // Tasks of a server make groups, but are none of the recorded requests. A log has very many:
    // no list of them is made between.
    let tasks = requests.extract_if(.., |request| request.is_task_only());
    unmatched.extend(tasks.map(UnmatchedLogRequest::of_task));
    requests.shrink_to_fit();
    sort_by_key(&mut unmatched, UnmatchedLogRequest::order);
    let of_requests = requests.iter().filter_map(|request| request.run.as_ref());
    let used: FastSet<&Arc<str>> =
        of_requests.chain(unmatched.iter().filter_map(|unmatched| unmatched.run.as_ref())).collect();
    let runs = joined.runs.iter().filter(|run| used.contains(&run.id)).cloned().collect();
    TimingReport {
        scope,
        groups_kind,
        groups,
        runs,
        unmatched_traces: requests
            .iter()
            .filter(|request| is_unmatched(request))
            .map(|r| r.path.clone())
            .collect(),
        edits: requests.iter().filter_map(Edit::of).collect(),
        missing: missing(&requests, &unmatched, &joined),
        unmatched_log_requests: unmatched,
        requests,
        server_logs: joined.server_logs,
        skipped,
    }
}

/// Whether a log should tell of the request and none does. Mode `claude` and other recorders
/// write no such lines, so that none are missing there.
fn is_unmatched(request: &Request) -> bool {
    let is_logged = request.join.is_some() || request.server_join.is_some();
    is_anyclaudes(request) && !is_logged && request.mode.as_deref() != Some("claude")
}

fn is_anyclaudes(request: &Request) -> bool {
    request.source == Source::Anyclaude
}

impl Edit {
    fn of(request: &Request) -> Option<Self> {
        let proxied = request.proxied()?;
        Some(Self {
            path: request.path.clone(),
            system_chars: request.sizes.system_chars.get()?,
            proxied_system_chars: proxied.system_chars,
            tools_bytes: request.sizes.tools_bytes.get()?,
            proxied_tools_chars: proxied.tools_chars,
        })
    }
}

/// What no log and no recorder tells of these requests.
fn missing(requests: &[Request], unmatched: &[UnmatchedLogRequest], joined: &Joined) -> Vec<NotLogged> {
    let gaps = GapCounter { requests, unmatched, joined }.counts();
    let mut missing: Vec<NotLogged> = gaps.into_iter().filter_map(|(gap, n)| NotLogged::of(gap, n)).collect();
    missing.extend(joined.empty_logs.iter().map(|log| NotLogged::EmptyLog { log: log.clone() }));
    if joined.unreadable_lines > 0 {
        missing.push(NotLogged::UnreadableLines { lines: joined.unreadable_lines });
    }
    missing
}

/// Counts the requests of which something is unknown.
struct GapCounter<'a> {
    requests: &'a [Request],
    unmatched: &'a [UnmatchedLogRequest],
    joined: &'a Joined,
}

impl GapCounter<'_> {
    /// How many requests have each gap, in the order in which the gaps are listed.
    fn counts(&self) -> [(Gap, usize); 19] {
        let no_prompt_tokens = |timing: &Timing| timing.prompt_tokens.get().is_none();
        [
            (Gap::NoLog, self.count(|request| is_unmatched(request) && request.run.is_none())),
            (Gap::RequestLogOnly, self.count(|request| is_unmatched(request) && request.run.is_some())),
            (Gap::FirstLevel, self.count(is_timed_by_first_part)),
            (Gap::Ttft, self.logged_without(|timing| timing.ttft_ms.get().is_none())),
            (
                Gap::TtftNotRecorded,
                self.recorded_without(|timing| timing.start.is_some() && timing.ttft_ms.get().is_none()),
            ),
            (Gap::TimesNotRecorded, self.count(is_recorded_untimed)),
            (
                Gap::PromptTokens,
                self.logged_without(no_prompt_tokens) + self.recorded_without(no_prompt_tokens),
            ),
            (Gap::ProxyTime, self.count(lacks_proxy_time)),
            (Gap::AmbiguousLines, self.count(is_ambiguous)),
            (Gap::NoEnd, self.count(|request| ended(request, Outcome::Unfinished))),
            (Gap::NotStreamed, self.count(|request| ended(request, Outcome::NotStreamed))),
            (Gap::ClaudeMode, self.count(|request| request.mode.as_deref() == Some("claude"))),
            (Gap::NoTrace, self.unmatched.iter().filter(|unmatched| unmatched.log.is_none()).count()),
            (Gap::NoServerLog, self.count(wants_server_log)),
            (Gap::WholeSeconds, self.in_whole_seconds()),
            (
                Gap::NoEngineLines,
                // Of one that was refused or given up there is nothing to tell.
                self.tasks(BackendFormat::LmStudio, |timing, _| {
                    timing.cached_tokens.get().is_none() && timing.outcome.is_none_or(Outcome::is_answered)
                }),
            ),
            (
                Gap::NoArrival,
                self.tasks(BackendFormat::LlamaServer, |timing, task| {
                    is_undated(timing) && !is_wait_told(task)
                }),
            ),
            (
                Gap::NoDate,
                self.tasks(BackendFormat::LlamaServer, |timing, task| {
                    is_undated(timing) && is_wait_told(task)
                }),
            ),
            (Gap::BodyNotWhole, self.count(is_body_cut)),
        ]
    }

    fn count(&self, is_one: impl Fn(&Request) -> bool) -> usize {
        self.requests.iter().filter(|request| is_one(request)).count()
    }

    /// Completed requests of anyclaude's log whose timing lacks something.
    fn logged_without(&self, lacks: fn(&Timing) -> bool) -> usize {
        self.count(|request| is_logged_completed(request) && request.timing.as_deref().is_some_and(lacks))
    }

    /// Completed requests of other recorders, without a log, whose timing lacks something.
    fn recorded_without(&self, lacks: fn(&Timing) -> bool) -> usize {
        let is_whole = |request: &Request| is_recorded(request) && ended(request, Outcome::Completed);
        self.count(|request| is_whole(request) && request.timing.as_deref().is_some_and(lacks))
    }

    /// Requests in servers' logs of this format of which something is unknown.
    fn tasks(&self, format: BackendFormat, lacks: impl Fn(&Timing, Option<&ServerTask>) -> bool) -> usize {
        let logs = self.joined.server_logs.iter().filter(|log| log.format == format);
        let names: Vec<&Arc<str>> = logs.map(|log| &log.log).collect();
        let logged = self.requests.iter().filter(|request| request.source == Source::LmStudio);
        let logged = logged.filter_map(|one| {
            Some((&one.server_join.as_deref()?.log, one.timing.as_deref()?, one.server_task()))
        });
        let others = self.unmatched.iter();
        let others =
            others.filter_map(|one| Some((one.log.as_ref()?, &*one.timing, one.server_task.as_deref())));
        logged.chain(others).filter(|(log, timing, task)| names.contains(log) && lacks(timing, *task)).count()
    }

    /// Requests whose times are known to whole seconds only. Ollama has no log with finer stamps,
    /// so that nothing can be done about its own.
    fn in_whole_seconds(&self) -> usize {
        let of_requests = self.requests.iter().filter_map(|request| request.timing.as_deref());
        let timings = of_requests.chain(self.unmatched.iter().map(|unmatched| &*unmatched.timing));
        let coarse = timings.filter(|timing| timing.uncertainty_ms.is_known()).count();
        coarse.saturating_sub(self.tasks(BackendFormat::Ollama, |timing, _| timing.uncertainty_ms.is_known()))
    }
}

fn is_undated(timing: &Timing) -> bool {
    timing.start.is_none()
}

/// Whether the log tells when the task came, and so how long it waited.
fn is_wait_told(task: Option<&ServerTask>) -> bool {
    task.is_some_and(|task| task.queue_ms.is_known())
}

fn ended(request: &Request, how: Outcome) -> bool {
    request.timing.as_ref().and_then(|timing| timing.outcome) == Some(how)
}

fn is_logged_completed(request: &Request) -> bool {
    request.join.is_some() && ended(request, Outcome::Completed)
}

/// Whether all that is known of a request is what another recorder than anyclaude kept.
fn is_recorded(request: &Request) -> bool {
    !is_anyclaudes(request) && request.join.is_none() && request.server_join.is_none()
}

fn is_recorded_untimed(request: &Request) -> bool {
    is_recorded(request) && request.timing.as_ref().and_then(|timing| timing.start).is_none()
}

/// Whether the time to first token is that of the first streamed part, as at debug level 1.
fn is_timed_by_first_part(request: &Request) -> bool {
    is_anyclaudes(request)
        && request.timing.as_ref().and_then(|timing| timing.ttft_source) == Some(TtftSource::FirstPart)
}

fn lacks_proxy_time(request: &Request) -> bool {
    let is_unknown = request.timing.as_deref().is_some_and(|timing| timing.proxy_ms.get().is_none());
    is_anyclaudes(request) && is_logged_completed(request) && is_unknown
}

fn is_ambiguous(request: &Request) -> bool {
    request.join.as_ref().is_some_and(|join| join.confidence == Confidence::Ambiguous)
}

/// Whether the cached tokens are inferred, and a log of the server would count them.
fn wants_server_log(request: &Request) -> bool {
    let is_inferred = request.timing.as_deref().is_some_and(|timing| {
        !matches!(timing.cached_source, Some(CachedSource::ServerLog | CachedSource::Reported))
    });
    is_logged_completed(request) && request.server_join.is_none() && is_inferred
}

fn is_body_cut(request: &Request) -> bool {
    request.source == Source::LmStudio && !request.sizes.body_bytes.is_known()
}
