//! Requests and logs → how long everything took, and what is not known of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Skipped;
use crate::model::group::{Group, Grouping};
use crate::model::measure::Measure;
use crate::model::request::{Request, Run, TracePath};
use crate::model::scope::{KindFilter, Scope};
use crate::model::time::Timestamp;
use crate::model::timing::Outcome;
use crate::model::timing::{Confidence, TtftSource};
use crate::recording::join::{Joined, ServerLog, UnmatchedLogRequest};

/// How to have everything logged next time.
const RECORD: &str = "ANYCLAUDE_DEBUG=2 anyclaude";

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
    /// What was not logged, in sentences, and how to get it next time.
    pub missing: Vec<String>,
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
/// let request = Request::builder("a.json").tool("Bash", 900).timing(|times| times.ttft_ms = Some(535)).build();
/// let scope = Scope::new(None, None, KindFilter::All, 1);
/// let (joined, by_model) = (Default::default(), Grouping::by_model());
/// let found = timing(scope, vec![request], &[], &joined, Vec::new(), KindFilter::All, &by_model);
/// assert_eq!((found.groups.len(), found.requests.len()), (1, 1));
/// ```
#[must_use]
pub fn timing(
    scope: Scope,
    requests: Vec<Request>,
    others: &[Request],
    joined: &Joined,
    skipped: Vec<Skipped>,
    groups_kind: KindFilter,
    grouping: &Grouping,
) -> TimingReport {
    let grouped: Vec<&Request> = requests.iter().filter(|request| groups_kind.admits(request.kind)).collect();
    let not_grouped = requests.iter().filter(|request| !groups_kind.admits(request.kind)).chain(others);
    let groups = grouping.groups(&grouped, &not_grouped.collect::<Vec<_>>(), &MEASURES);
    let in_time = |unmatched: &&UnmatchedLogRequest| {
        let is_after = |from: Timestamp| unmatched.start.is_none_or(|start| from <= start);
        let is_before = |to: Timestamp| unmatched.start.is_none_or(|start| start <= to);
        scope.from.is_none_or(is_after) && scope.to.is_none_or(is_before)
    };
    let unmatched: Vec<UnmatchedLogRequest> = joined.unmatched.iter().filter(in_time).cloned().collect();
    let is_used = |run: &&Arc<Run>| {
        requests.iter().any(|request| request.run.as_ref() == Some(&run.id))
            || unmatched.iter().any(|unmatched| unmatched.run.as_ref() == Some(&run.id))
    };
    TimingReport {
        scope,
        groups_kind,
        groups,
        runs: joined.runs.iter().filter(is_used).cloned().collect(),
        server_logs: joined.server_logs.clone(),
        unmatched_traces: requests
            .iter()
            .filter(|request| is_unmatched(request))
            .map(|r| r.path.clone())
            .collect(),
        edits: requests.iter().filter_map(Edit::of).collect(),
        missing: missing(&requests, &unmatched, joined),
        unmatched_log_requests: unmatched,
        requests,
        skipped,
    }
}

/// Mode `claude` writes no log lines of this sort, and so misses none.
fn is_unmatched(request: &Request) -> bool {
    request.join.is_none() && request.mode.as_deref() != Some("claude")
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

fn missing(requests: &[Request], unmatched: &[UnmatchedLogRequest], joined: &Joined) -> Vec<String> {
    let count = |is: &dyn Fn(&Request) -> bool| requests.iter().filter(|request| is(request)).count();
    let outcome =
        |of: Outcome| count(&|request| request.timing.as_ref().and_then(|timing| timing.outcome) == Some(of));
    let by_first_part = |request: &Request| {
        request.timing.as_ref().and_then(|timing| timing.ttft_source) == Some(TtftSource::FirstPart)
    };
    let completed = |request: &Request| {
        request.join.is_some()
            && request.timing.as_ref().and_then(|timing| timing.outcome) == Some(Outcome::Completed)
    };
    let lacks = |of: fn(&crate::model::timing::Timing) -> bool| {
        count(&|request| completed(request) && request.timing.as_deref().is_some_and(of))
    };
    let named_only = |request: &Request| is_unmatched(request) && request.run.is_some();
    let claims = [
        (
            count(&|request| is_unmatched(request) && request.run.is_none()),
            format!("{{}} without any log: model and times are unknown; record with {RECORD}"),
        ),
        (count(&named_only), format!("{{}} in a request log only: times are unknown; record with {RECORD}")),
        (
            count(&by_first_part),
            format!(
                "{{}} logged at level 1: keepalives are unknown, and TTFT is the first part's stamp; record with {RECORD}"
            ),
        ),
        (lacks(|timing| timing.ttft_ms.is_none()), "{} without a time to first token in the log".to_owned()),
        (
            lacks(|timing| timing.prompt_tokens.is_none()),
            "{} without prompt tokens from the backend".to_owned(),
        ),
        (
            lacks(|timing| timing.proxy_ms.is_none()),
            "{} without a certain line in a request log: the proxy's own time is unknown".to_owned(),
        ),
        (
            count(&|request| {
                request.join.as_ref().is_some_and(|join| join.confidence == Confidence::Ambiguous)
            }),
            "{} overlapping others so that their log lines could be another's".to_owned(),
        ),
        (
            outcome(Outcome::Unfinished),
            "{} without an end in the log: cancelled, still running, or lost in a crash".to_owned(),
        ),
        (outcome(Outcome::NotStreamed), "{} not streamed: anyclaude logs no end of these".to_owned()),
        (
            count(&|request| request.mode.as_deref() == Some("claude")),
            "{} to Anthropic in mode claude, which logs no times but the total".to_owned(),
        ),
        (
            unmatched.iter().filter(|unmatched| unmatched.log.is_none()).count(),
            "{} in the log without a trace: two in one millisecond overwrite each other, or tracing was off"
                .to_owned(),
        ),
    ];
    let said = claims.into_iter().filter(|(n, _)| *n > 0);
    let mut missing: Vec<String> = said.map(|(n, claim)| claim.replace("{}", &requests_named(n))).collect();
    for log in &joined.empty_logs {
        missing.push(format!("{log} is empty: that anyclaude ended before it wrote a line"));
    }
    if joined.unreadable_lines > 0 {
        missing.push(format!("{} log lines could not be read", joined.unreadable_lines));
    }
    missing
}

fn requests_named(n: usize) -> String {
    if n == 1 { "1 request".to_owned() } else { format!("{n} requests") }
}
