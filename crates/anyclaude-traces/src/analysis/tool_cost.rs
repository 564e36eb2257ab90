//! What every tool costs: its tokens, and the time that a model takes to read them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::analysis::offered_tools::{OfferedTools, ToolGroup, read_offered_tools};
use crate::analysis::tools::server;
use crate::error::Error;
use crate::model::intern::FastSet;
use crate::model::request::Request;
use crate::model::stats::{float, whole};
use crate::model::{ModelSpeeds, ToolSize};
use crate::prompt_cache::Prompts;
use crate::read::Store;
use crate::select::Selection;
use crate::tokens::{Scales, read_scales, scaled};

/// The tools of some requests by what they cost, and which of them were never used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ToolCosts {
    /// The model that the times are of: the one that reads most slowly; `None` where
    /// no log tells how fast any reads.
    pub model: Option<Arc<str>>,
    /// Tokens that it reads in a second, by the cost model.
    pub read_tokens_per_second: Option<f64>,
    /// Estimated tokens of all tools in one.
    pub tokens: u64,
    /// What reading all of them takes where no cache holds them.
    pub cold_read_ms: Option<u64>,
    /// Of these tokens, those of tools that no conversation called.
    pub uncalled_tokens: u64,
    /// What reading the uncalled ones takes where no cache holds them.
    pub uncalled_cold_read_ms: Option<u64>,
    /// Every tool, the costliest first, then by name.
    pub tools: Vec<ToolCost>,
    /// The MCP servers behind them, the costliest first, then by name.
    pub servers: Vec<ServerPrice>,
    /// The tools that were called: what an allowlist must hold.
    pub called_tools: Vec<Arc<str>>,
    /// The MCP servers of which no tool was called.
    pub uncalled_servers: Vec<String>,
}

/// A tool, and what it costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ToolCost {
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Its MCP server.
    pub server: Option<String>,
    /// The size of its newest definition as compact JSON, in bytes.
    pub bytes: u64,
    /// Estimated tokens of it.
    pub tokens: u64,
    /// What reading it takes where no cache holds it; `None` where the speed is
    /// unknown.
    pub cold_read_ms: Option<u64>,
    /// Whether a conversation called it.
    pub called: bool,
}

/// An MCP server, and what its tools cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ServerPrice {
    /// Its name.
    pub name: String,
    /// How many tools it offers.
    pub tools: u64,
    /// Estimated tokens of them.
    pub tokens: u64,
    /// What reading them takes where no cache holds them.
    pub cold_read_ms: Option<u64>,
    /// How many of them a conversation called.
    pub called: u64,
}

/// The few requests that show every tool and call of all of these: the newest one of each
/// thread, whose messages hold the thread's history, and for tools that those do not carry
/// the newest request that does. `requests` are in order of time.
#[must_use]
pub fn representative<'a>(requests: &[&'a Request]) -> Vec<&'a Request> {
    let (mut threads, mut tools) = (FastSet::default(), FastSet::default());
    let (mut chosen, mut known): (_, &[ToolSize]) = (Vec::new(), &[]);
    for request in requests.iter().rev() {
        let is_tip = threads.insert((&request.session, &request.thread));
        let mut has_more = false;
        // Most requests share the list of the one behind them.
        if !std::ptr::eq(request.tools(), known) {
            known = request.tools();
            for tool in known {
                has_more |= tools.insert(&tool.name);
            }
        }
        if is_tip || has_more {
            chosen.push(*request);
        }
    }
    chosen
}

/// What the tools of the selected requests cost, where models have these speeds. Where
/// `prompts` do not hold what a [`representative`] request is made of, it is read again;
/// files that cannot be read any more are added to what was skipped.
pub fn read_tool_costs(
    selection: &mut Selection,
    speeds: &[ModelSpeeds],
    store: &Store,
    prompts: &Prompts,
) -> ToolCosts {
    let requests: Vec<&Request> = selection.requests.iter().collect();
    let everything: Vec<&Request> = selection.everything().collect();
    let (costs, errors) = read_tool_costs_of(store, prompts, &requests, &everything, speeds);
    selection.skipped.extend(errors);
    costs
}

/// The same of requests in order of time. `everything` that was read gives the scale of
/// each model's token counts.
#[must_use]
pub fn read_tool_costs_of(
    store: &Store,
    prompts: &Prompts,
    requests: &[&Request],
    everything: &[&Request],
    speeds: &[ModelSpeeds],
) -> (ToolCosts, Vec<Error>) {
    read_tool_costs_among(store, prompts, ToolGroup::of(requests), everything, speeds)
}

/// The same; which tools were called may be told by others too.
pub(crate) fn read_tool_costs_among(
    store: &Store,
    prompts: &Prompts,
    group: ToolGroup<'_>,
    everything: &[&Request],
    speeds: &[ModelSpeeds],
) -> (ToolCosts, Vec<Error>) {
    let (scales, mut errors) = read_scales(store, everything.iter().copied());
    let (mut tools, unreadable) = read_offered_tools(store, prompts, &[group]);
    errors.extend(unreadable);
    (priced(group.requests, tools.pop().unwrap_or_default(), &scales, speeds), errors)
}

/// The same of several groups that have no request in common.
#[must_use]
pub fn read_tool_costs_of_groups(
    store: &Store,
    prompts: &Prompts,
    groups: &[Vec<&Request>],
    everything: &[&Request],
    speeds: &[ModelSpeeds],
) -> (Vec<ToolCosts>, Vec<Error>) {
    let groups: Vec<ToolGroup<'_>> = groups.iter().map(|group| ToolGroup::of(group)).collect();
    let (scales, mut errors) = read_scales(store, everything.iter().copied());
    let (tools, unreadable) = read_offered_tools(store, prompts, &groups);
    errors.extend(unreadable);
    let costs = groups.iter().zip(tools).map(|(group, tools)| priced(group.requests, tools, &scales, speeds));
    (costs.collect(), errors)
}

/// Prices the tools of these requests, which are in order of time; `speeds` are those of
/// their models.
fn priced(requests: &[&Request], tools: OfferedTools, scales: &Scales, speeds: &[ModelSpeeds]) -> ToolCosts {
    let OfferedTools { newest, called } = tools;
    let slowest = slowest_reader(requests, speeds);
    let (model, speeds) = slowest.map_or((None, None), |slowest| (slowest.model, Some(slowest.speeds)));
    let scale = scales.scale(&model.clone().or_else(|| requests.last().and_then(|last| last.model_group())));
    let cold_read_ms = |tokens: u64| speeds?.reading_ms(float(tokens)).map(whole);
    let tools = newest.into_iter().map(|(name, (bytes, estimate))| {
        let tokens = scaled(estimate, scale);
        ToolCost {
            server: name.as_deref().and_then(server).map(str::to_owned),
            called: name.as_ref().is_some_and(|name| called.contains(name)),
            cold_read_ms: cold_read_ms(tokens),
            name,
            bytes,
            tokens,
        }
    });
    let mut tools: Vec<ToolCost> = tools.collect();
    tools.sort_by(|a, b| b.tokens.cmp(&a.tokens).then_with(|| a.name.cmp(&b.name)));
    let servers = servers(&tools, cold_read_ms);
    let tokens = tools.iter().map(|tool| tool.tokens).sum();
    let uncalled_tokens = tools.iter().filter(|tool| !tool.called).map(|tool| tool.tokens).sum();
    ToolCosts {
        model,
        read_tokens_per_second: speeds.and_then(|speeds| speeds.read_tokens_per_second),
        tokens,
        cold_read_ms: cold_read_ms(tokens),
        uncalled_tokens,
        uncalled_cold_read_ms: cold_read_ms(uncalled_tokens),
        called_tools: tools.iter().filter(|tool| tool.called).filter_map(|tool| tool.name.clone()).collect(),
        uncalled_servers: servers.iter().filter(|one| one.called == 0).map(|one| one.name.clone()).collect(),
        tools,
        servers,
    }
}

fn servers(tools: &[ToolCost], cold_read_ms: impl Fn(u64) -> Option<u64>) -> Vec<ServerPrice> {
    let mut servers: BTreeMap<&str, ServerPrice> = BTreeMap::new();
    for tool in tools {
        let Some(name) = tool.server.as_deref() else { continue };
        let entry = servers.entry(name).or_default();
        entry.tools += 1;
        entry.tokens += tool.tokens;
        entry.called += u64::from(tool.called);
    }
    let priced = |(name, server): (&str, ServerPrice)| ServerPrice {
        name: name.to_owned(),
        cold_read_ms: cold_read_ms(server.tokens),
        ..server
    };
    let mut servers: Vec<ServerPrice> = servers.into_iter().map(priced).collect();
    servers.sort_by(|a, b| b.tokens.cmp(&a.tokens).then_with(|| a.name.cmp(&b.name)));
    servers
}

/// A speed that comes from fewer requests than this is not sure.
const LEAST_REQUESTS: u64 = 3;

/// The model that reads most slowly of those that answered these requests; one whose
/// speed comes from fewer than three requests only where no speed comes from more.
fn slowest_reader(requests: &[&Request], speeds: &[ModelSpeeds]) -> Option<ModelSpeeds> {
    let answered: BTreeSet<Option<Arc<str>>> = requests.iter().map(|request| request.model_group()).collect();
    let known = || {
        let of_these = speeds.iter().filter(|of| answered.contains(&of.model));
        of_these.filter_map(|of| Some((of, of.speeds.read_tokens_per_second?)))
    };
    let most = known().map(|(of, _)| of.speeds.n_read).max()?;
    let sure = known().filter(|(of, _)| of.speeds.n_read >= most.min(LEAST_REQUESTS));
    sure.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(of, _)| of.clone())
}
