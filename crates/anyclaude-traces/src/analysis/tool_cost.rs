//! What every tool costs: its tokens, and the time that a model takes to read them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;

use crate::analysis::tools::server;
use crate::model::eligibility::tells_reading_time;
use crate::model::request::{Request, TracePath};
use crate::read::Store;
use crate::select::Selection;
use crate::tokens::{MilliTokens, PromptTokens, Scales, count_tools, scaled};

/// So many requests tell how fast a model reads.
const LEAST_REQUESTS: u64 = 3;

/// The tools of some requests by what they cost, and which of them were never used.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ToolCosts {
    /// The model that the times are of: the one that reads most slowly; `None` where
    /// no log tells how fast any reads.
    pub model: Option<Arc<str>>,
    /// Prompt tokens that it reads in a second, apparently: a warm prompt cache makes
    /// it too high.
    pub prefill_tokens_per_second: Option<f64>,
    /// Estimated tokens of all tools in one.
    pub tokens: u64,
    /// What reading all of them takes where no cache holds them.
    pub prefill_ms: Option<u64>,
    /// Of these tokens, those of tools that no conversation called.
    pub uncalled_tokens: u64,
    /// What reading the uncalled ones takes where no cache holds them.
    pub uncalled_prefill_ms: Option<u64>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ToolCost {
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Its MCP server.
    pub server: Option<String>,
    /// Compact JSON of its newest definition.
    pub bytes: u64,
    /// Estimated tokens of it.
    pub tokens: u64,
    /// What reading it takes where no cache holds it; `None` where the speed is
    /// unknown.
    pub prefill_ms: Option<u64>,
    /// Whether a conversation called it.
    pub called: bool,
}

/// An MCP server, and what its tools cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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
    pub prefill_ms: Option<u64>,
    /// How many of them a conversation called.
    pub called: u64,
}

/// The requests that tell all of these requests' tools and calls: the newest one of
/// each thread, whose messages hold the thread's history, and for tools that those do
/// not carry the newest request that does. `requests` are in order of time.
#[must_use]
pub fn telling<'a>(requests: &[&'a Request]) -> Vec<&'a Request> {
    let (mut threads, mut tools) = (BTreeSet::new(), BTreeSet::new());
    let mut telling = Vec::new();
    for request in requests.iter().rev() {
        let is_tip = threads.insert((&request.session, &request.thread));
        let mut has_more = false;
        for tool in request.tools.iter() {
            has_more |= tools.insert(&tool.name);
        }
        if is_tip || has_more {
            telling.push(*request);
        }
    }
    telling
}

/// What the tools of the selected requests cost. Reads the few requests that tell again;
/// files that cannot be read any more are added to what was skipped.
pub fn read_tool_costs(selection: &mut Selection, store: &Store) -> ToolCosts {
    let requests: Vec<&Request> = selection.requests.iter().collect();
    let (scales, mut errors) = selection.scales(store);
    let (counted, unreadable) = count_tools(store, telling(&requests));
    let costs = prices(&requests, &counted, &scales);
    errors.extend(unreadable);
    selection.skipped.extend(errors);
    costs
}

/// Prices the tools of these requests, which are in order of time. `counted` holds
/// at least the requests that are [`telling`].
#[must_use]
pub fn prices(
    requests: &[&Request],
    counted: &HashMap<TracePath, PromptTokens>,
    scales: &Scales,
) -> ToolCosts {
    let (model, speed) = slowest_reader(requests).map_or((None, None), |(model, speed)| (model, Some(speed)));
    let scale = scales.scale(&model.clone().or_else(|| requests.last().and_then(|last| last.model_group())));
    let known = requests.iter().filter_map(|request| counted.get(&request.path));
    let called: BTreeSet<&Arc<str>> = known.flat_map(|found| &found.called).collect();
    let prefill_ms = |tokens: u64| speed.map(|speed| reading_ms(tokens, speed));
    let tools = newest_definitions(requests, counted).into_iter().map(|(name, (bytes, estimate))| {
        let tokens = scaled(estimate, scale);
        ToolCost {
            server: name.as_deref().and_then(server).map(str::to_owned),
            called: name.as_ref().is_some_and(|name| called.contains(name)),
            prefill_ms: prefill_ms(tokens),
            name,
            bytes,
            tokens,
        }
    });
    let mut tools: Vec<ToolCost> = tools.collect();
    tools.sort_by(|a, b| b.tokens.cmp(&a.tokens).then_with(|| a.name.cmp(&b.name)));
    let servers = servers(&tools, prefill_ms);
    let tokens = tools.iter().map(|tool| tool.tokens).sum();
    let uncalled_tokens = tools.iter().filter(|tool| !tool.called).map(|tool| tool.tokens).sum();
    ToolCosts {
        model,
        prefill_tokens_per_second: speed,
        tokens,
        prefill_ms: prefill_ms(tokens),
        uncalled_tokens,
        uncalled_prefill_ms: prefill_ms(uncalled_tokens),
        called_tools: tools.iter().filter(|tool| tool.called).filter_map(|tool| tool.name.clone()).collect(),
        uncalled_servers: servers.iter().filter(|one| one.called == 0).map(|one| one.name.clone()).collect(),
        tools,
        servers,
    }
}

/// Every tool with the size and the estimate of its newest definition.
fn newest_definitions(
    requests: &[&Request],
    counted: &HashMap<TracePath, PromptTokens>,
) -> BTreeMap<Option<Arc<str>>, (u64, MilliTokens)> {
    let mut newest = BTreeMap::new();
    for request in requests.iter().rev() {
        let Some(found) = counted.get(&request.path) else { continue };
        for (tool, (name, tokens)) in request.tools.iter().zip(&found.tools).rev() {
            newest.entry(name.clone()).or_insert((tool.bytes, *tokens));
        }
    }
    newest
}

fn servers(tools: &[ToolCost], prefill_ms: impl Fn(u64) -> Option<u64>) -> Vec<ServerPrice> {
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
        prefill_ms: prefill_ms(server.tokens),
        ..server
    };
    let mut servers: Vec<ServerPrice> = servers.into_iter().map(priced).collect();
    servers.sort_by(|a, b| b.tokens.cmp(&a.tokens).then_with(|| a.name.cmp(&b.name)));
    servers
}

/// What is known of how fast a model reads.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    requests: u64,
    tokens: u64,
    ms: u64,
}

impl Pace {
    fn add(&mut self, tokens: u64, ms: u64) {
        self.requests += 1;
        self.tokens = self.tokens.saturating_add(tokens);
        self.ms = self.ms.saturating_add(ms);
    }

    #[allow(clippy::cast_precision_loss, reason = "tokens and times stay far below 2^53")]
    fn per_second(self) -> f64 {
        self.tokens as f64 * 1000.0 / self.ms as f64
    }
}

/// The model that reads most slowly, and the tokens that it reads in a second: the
/// sum over its requests whose time to first token is that of reading the prompt.
/// Requests that something in the backend may have slowed down do not count, and
/// models with fewer than three requests only where no model has more.
fn slowest_reader(requests: &[&Request]) -> Option<(Option<Arc<str>>, f64)> {
    let mut paces: BTreeMap<Option<Arc<str>>, Pace> = BTreeMap::new();
    let is_disturbed = |request: &Request| {
        request.concurrency.is_some_and(|company| company.cold_start || company.overlapped)
    };
    for request in requests.iter().filter(|request| tells_reading_time(request) && !is_disturbed(request)) {
        let Some(timing) = &request.timing else { continue };
        if let (Some(tokens), Some(ms)) = (timing.prompt_tokens, timing.ttft_ms) {
            paces.entry(request.model_group()).or_default().add(tokens, ms);
        }
    }
    paces.retain(|_, pace| pace.tokens > 0 && pace.ms > 0);
    let most = paces.values().map(|pace| pace.requests).max().unwrap_or(0);
    paces.retain(|_, pace| pace.requests >= most.min(LEAST_REQUESTS));
    let speeds = paces.into_iter().map(|(model, pace)| (model, pace.per_second()));
    speeds.min_by(|(_, a), (_, b)| a.total_cmp(b))
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tokens and times stay far below 2^53, and `as` saturates"
)]
fn reading_ms(tokens: u64, per_second: f64) -> u64 {
    (tokens as f64 * 1000.0 / per_second).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_takes_as_long_as_the_pace_says() {
        let mut pace = Pace::default();
        pace.add(1_000, 4_000);
        pace.add(3_000, 4_000);
        assert_eq!(pace.per_second(), 500.0);
        assert_eq!(reading_ms(250, pace.per_second()), 500);
    }
}
