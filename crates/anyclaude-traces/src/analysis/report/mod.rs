//! Requests with their times, and what explains them → everything that one page
//! tells of a recording.

mod growth;
mod points;
mod reading;
#[cfg(test)]
mod tests;
mod text;
mod timeline;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use growth::{Growth, PromptReuse, PromptSections, SessionReuse, SessionSections};
pub use points::{Answer, Check, CheckKind, CheckResult, Figure, WhyUnknown};
pub use reading::{Line, Reading, ReadingPoint};
pub use text::{PromptText, Text};
pub use timeline::{LoggedTime, ModelLanes, Stretch, Timeline, TimelinePart, TimelineRequest};

use crate::analysis::explain::{Direct, Explanation};
use crate::analysis::not_logged::NotLogged;
use crate::analysis::prefix::PrefixReport;
use crate::analysis::timing::TimingReport;
use crate::analysis::tools::{self, ServerUse, ToolUse};
use crate::cost;
use crate::error::Skipped;
use crate::model::ModelSpeeds;
use crate::model::group::{Group, Totals, count_kinds, totals};
use crate::model::request::Request;
use crate::model::scope::Scope;

/// What [`report`] is asked.
#[derive(Debug)]
pub struct ReportInput<'a> {
    /// The requests, their times, what is missing of them and what was skipped.
    pub timing: TimingReport,
    /// The requests of other kinds in the same time, which are only counted.
    pub others: &'a [Request],
    /// What is known of the two models that are compared, the faster one first; where fewer
    /// than two are known, of all requests as one side.
    pub compared: ComparedSides,
    /// Where the slower of the two lost its time, or where the time of one goes.
    pub explanation: Option<Explanation>,
    /// What costs time, the dearest first.
    pub findings: Vec<crate::findings::Finding>,
    /// What a prompt cache could have reused of each request, where that was worked out.
    pub prefix: Option<PrefixReport>,
    /// Text of prompts, where the user asked for it.
    pub texts: Vec<PromptText>,
}

/// The requests that one model answered.
#[derive(Debug, Clone)]
pub struct ReportSide<'a> {
    /// The model, or what else they have in common.
    pub name: String,
    /// In order of time.
    pub requests: Vec<&'a Request>,
    /// What the model took without the proxy, where that was measured.
    pub direct: Option<Direct>,
}

/// What a report says of each side that is compared.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ComparedSides {
    /// The five points of anyclaude's performance guide.
    pub points: Vec<Check>,
    /// How long each took to read its prompts.
    pub reading: Vec<Reading>,
}

impl ComparedSides {
    /// Of these sides; their models answered some of the `others` too.
    #[must_use]
    pub fn of(sides: &[ReportSide<'_>], others: &[Request]) -> Self {
        let reading = sides.iter().map(|side| reading::reading(side, others)).collect();
        Self { points: points::points(sides), reading }
    }
}

/// What [`report`] finds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Report {
    /// Which requests it is about.
    pub scope: Scope,
    /// The answer in one sentence, or why there is none.
    pub headline: String,
    /// All requests in one.
    pub totals: Totals,
    /// How many requests in the same time are of kinds that are left out.
    pub other_kinds: BTreeMap<Cow<'static, str>, u64>,
    /// Where the slower model lost its time; `None` where fewer than two models are
    /// known.
    pub explanation: Option<Explanation>,
    /// What costs time, the dearest first.
    pub findings: Vec<crate::findings::Finding>,
    /// The five points of anyclaude's performance guide.
    pub points: Vec<Check>,
    /// When requests of every kind ran.
    #[serde(default)]
    pub timeline: Timeline,
    /// Where the time of requests went that only a log has.
    #[serde(default)]
    pub only_logged: Vec<LoggedTime>,
    /// How the prompts of the largest sessions grew, and what of them could be reused.
    pub growth: Growth,
    /// The speeds of each model, over its requests of every kind.
    pub speeds: Vec<ModelSpeeds>,
    /// Where the time went in the mean, by model.
    pub groups: Vec<Group>,
    /// How long each model took to read its prompts.
    pub reading: Vec<Reading>,
    /// What a prompt cache could have reused of each request, where that was worked out.
    pub prefix: Option<PrefixReport>,
    /// Every tool, largest first.
    pub largest_tools: Vec<ToolUse>,
    /// The MCP servers behind these tools, largest first.
    pub mcp_servers: Vec<ServerUse>,
    /// The requests, in order of time.
    pub requests: Vec<Request>,
    /// Text of prompts, where the user asked for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<PromptText>,
    /// What was not logged, in sentences, and how to get it next time.
    pub missing: Vec<NotLogged>,
    /// The files that could not be used.
    pub skipped: Vec<Skipped>,
}

/// The headline where no sides were compared.
const NOT_EXPLAINED: &str = "No verdict: no requests were compared";
/// What stands where only logs were read.
const ONLY_LOGS: &str = "No verdict: only logs were read, and no requests, whose prompts tell why";

/// Puts together everything that a page shows of these requests.
#[must_use]
pub fn report(question: ReportInput<'_>) -> Report {
    let ReportInput { timing, others, compared, explanation, findings, prefix, texts } = question;
    let requests: Vec<&Request> = timing.requests.iter().collect();
    let is_of_logs = requests.is_empty() && !timing.unmatched_log_requests.is_empty();
    // A server's log tells where the time went; a proxy's does not without requests.
    let headline = match explanation.as_ref().filter(|found| found.n > 0 || !is_of_logs) {
        Some(found) => found.verdict.headline.to_string(),
        None if is_of_logs => ONLY_LOGS.to_owned(),
        None => NOT_EXPLAINED.to_owned(),
    };
    let largest_tools = tools::largest(requests.iter().copied());
    Report {
        scope: timing.scope,
        headline,
        totals: totals(&requests, timing.skipped.len()),
        other_kinds: count_kinds(others),
        explanation,
        findings,
        points: compared.points,
        only_logged: timeline::logged_times(&timing.unmatched_log_requests),
        timeline: timeline::timeline(requests.iter().copied().chain(others), &timing.unmatched_log_requests),
        growth: growth::growth(&requests, prefix.as_ref()),
        speeds: cost::speeds_by_model(timing.requests.iter().chain(others)),
        groups: timing.groups,
        reading: compared.reading,
        prefix,
        mcp_servers: tools::servers(largest_tools.iter().map(|tool| (tool.name.as_deref(), tool.bytes))),
        largest_tools,
        requests: timing.requests,
        texts,
        missing: timing.missing,
        skipped: timing.skipped,
    }
}
