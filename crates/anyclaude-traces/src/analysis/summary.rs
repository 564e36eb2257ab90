//! Requests → the answer to "what did this session look like": groups, the
//! biggest tools, the growth of sessions.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::analysis::explain::Headline;
use crate::analysis::tool_cost::ToolCosts;
use crate::analysis::tools::{self, ServerUse, ToolUse};
use crate::error::Skipped;
use crate::findings::Finding;
use crate::model::Amount;
use crate::model::group::{Group, Grouping, Totals, count_kinds, group_by, totals};
use crate::model::request::Request;
use crate::model::scope::Scope;
use crate::model::time::Timestamp;

/// What [`summarize`] finds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Summary {
    /// Which requests it is about.
    pub scope: Scope,
    /// Where the time goes, in one sentence; `None` where they are not grouped by model,
    /// or no times are known.
    pub headline: Option<Headline>,
    /// All of them in one.
    pub totals: Totals,
    /// How many requests in the same time are of kinds that are left out.
    pub other_kinds: BTreeMap<Cow<'static, str>, u64>,
    /// The requests by what [`summarize`] was told to group by.
    pub groups: Vec<Group>,
    /// Every tool, largest first.
    pub largest_tools: Vec<ToolUse>,
    /// The MCP servers behind these tools, largest first.
    pub mcp_servers: Vec<ServerUse>,
    /// What the tools cost, once the tokens of the [`representative`](crate::analysis::tool_cost::representative)
    /// requests are counted.
    pub price_list: Option<ToolCosts>,
    /// The sessions, by the time of their first request.
    pub sessions: Vec<SessionGrowth>,
    /// What costs time, the dearest first.
    pub findings: Vec<Finding>,
    /// The files that could not be used, of whatever kind they were.
    pub skipped: Vec<Skipped>,
}

/// How the prompt of a session grew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SessionGrowth {
    /// The session; `None` for requests of which no session is known.
    pub id: Option<Arc<str>>,
    /// How many requests it has.
    pub requests: u64,
    /// Its first request's timestamp.
    pub first: Option<Timestamp>,
    /// Its last request's timestamp.
    pub last: Option<Timestamp>,
    /// The size of its first request's body.
    pub first_body_bytes: Amount,
    /// The size of its last request's body.
    pub last_body_bytes: Amount,
    /// The sizes of all bodies, in order.
    #[serde(skip)]
    pub body_bytes: Vec<u64>,
}

/// Sums up the requests that `scope.kind` admits.
///
/// `requests` are those in the scope, of every kind, in order of time; `skipped`
/// are the files that could not be used.
///
/// ```
/// use anyclaude_traces::analysis::summary::summarize;
/// use anyclaude_traces::model::group::Grouping;
/// use anyclaude_traces::model::scope::{KindFilter, Scope};
/// use anyclaude_traces::{Kind, Request};
///
/// let requests = [Request::builder("a.json").tool("Bash", 900).build(), Request::builder("b.json").build()];
/// let all: Vec<&Request> = requests.iter().collect();
/// let scope = Scope::new(None, None, KindFilter::Only(Kind::Conversation), 2);
/// let summary = summarize(scope, &all, Vec::new(), &Grouping::by_model(), None, Vec::new());
/// assert_eq!(summary.largest_tools[0].name.as_deref(), Some("Bash"));
/// assert_eq!((summary.totals.requests, summary.other_kinds["background"]), (1, 1));
/// ```
#[must_use]
pub fn summarize(
    scope: Scope,
    requests: &[&Request],
    skipped: Vec<Skipped>,
    grouping: &Grouping,
    price_list: Option<ToolCosts>,
    findings: Vec<Finding>,
) -> Summary {
    let (chosen, others): (Vec<&Request>, Vec<&Request>) =
        requests.iter().partition(|request| scope.kind.admits(request.kind));
    let largest_tools = tools::largest(chosen.iter().copied());
    let mcp_servers = tools::servers(largest_tools.iter().map(|tool| (tool.name.as_deref(), tool.bytes)));
    let sessions = sessions(&chosen);
    let groups = grouping.groups(&chosen, &others, &Group::MEASURES);
    Summary {
        scope,
        headline: if grouping.is_by_model() { Headline::of_models(&groups, &chosen) } else { None },
        totals: totals(&chosen, skipped.len()),
        groups,
        other_kinds: count_kinds(others),
        largest_tools,
        mcp_servers,
        price_list,
        sessions,
        findings,
        skipped,
    }
}

fn sessions(requests: &[&Request]) -> Vec<SessionGrowth> {
    let growth = |(id, members): (Option<Arc<str>>, Vec<&Request>)| {
        let body_bytes =
            |request: Option<&&Request>| request.map_or(Amount::UNKNOWN, |one| one.sizes.body_bytes);
        SessionGrowth {
            id,
            requests: members.len() as u64,
            first: members.iter().find_map(|request| request.timestamp),
            last: members.iter().rev().find_map(|request| request.timestamp),
            first_body_bytes: body_bytes(members.first()),
            last_body_bytes: body_bytes(members.last()),
            body_bytes: members.iter().filter_map(|request| request.sizes.body_bytes.get()).collect(),
        }
    };
    group_by(requests, |request| request.session.clone()).into_iter().map(growth).collect()
}
