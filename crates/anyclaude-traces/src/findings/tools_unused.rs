//! Tools of MCP servers that no conversation called.
//!
//! Condition: they take [`LEAST_TOKENS`] or more of the median prompt. Cost: the time to
//! read them in every request that did not find them in the cache; where it did they cost
//! nothing. Refuted where a tool of such a server was called after all. Built-in tools that
//! nobody called are counted apart: Claude Code cannot do without most of them.

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::scene::{Entry, Scene, finding, float, median, sum, whole};
use super::words::{Count, Ms, NameList, TokenCount, WholeNumber, by_number};
use super::{Advice, CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck};
use crate::analysis::tool_cost::{ToolCost, ToolCosts};
use crate::analysis::tools::server;
use crate::model::intern::FastMap;

const LEAST_TOKENS: u64 = 1_000;
/// A request that read so much of its tools did not find them in the cache.
const COLD: f64 = 0.5;

pub(super) struct ToolsUnused;

impl Rule for ToolsUnused {
    fn kind(&self) -> FindingKind {
        FindingKind::ToolsUnused
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        let Some(costs) = scene.tool_costs else { return RuleCheck::NotEnoughData };
        let tools = OfferedTools::of(costs);
        let carriers: Vec<&Entry<'_>> = scene
            .entries
            .iter()
            .filter(|entry| entry.is_conversation() && tools.unused_tokens(entry) > 0)
            .collect();
        let Some(tokens) = median(carriers.iter().map(|entry| tools.unused_tokens(entry))) else {
            return RuleCheck::Ok;
        };
        if tokens < LEAST_TOKENS {
            return RuleCheck::Ok;
        }
        let shares: Vec<(&Entry<'_>, f64)> =
            carriers.iter().filter_map(|entry| Some((*entry, read_share(entry)?))).collect();
        let cold = shares.iter().filter(|(_, share)| *share >= COLD).count();
        let ms = shares
            .iter()
            .map(|(entry, share)| scene.reading_ms(entry, whole(float(tools.unused_tokens(entry)) * share)));
        let cost = sum(ms).map(whole);
        let reading_ms = |entry: &&Entry<'_>| scene.speeds.get(&entry.model)?.reading_ms(float(tokens));
        let servers = tools.servers(&carriers);
        let sessions: HashSet<_> = carriers.iter().map(|entry| &entry.request.session).collect();
        let built_in = tools.built_in(&carriers);
        let number = |count: usize| count as u64;
        let evidence = Evidence::ToolsUnused(UnusedTools {
            tools: servers.iter().map(|server| server.tools).sum(),
            servers: servers.clone(),
            tokens,
            built_in: number(built_in.0),
            built_in_tokens: built_in.1,
            sessions: number(sessions.len()),
            reading: carriers.iter().rev().find_map(reading_ms).map(|cold_ms| ToolReading {
                cold_ms: whole(cold_ms),
                cold_reads: number(cold),
                warm_reads: number(shares.len() - cold),
            }),
        });
        let mut found = finding(FindingKind::ToolsUnused, carriers, evidence)
            .costing(cost.filter(|_| !shares.is_empty()), CostBasis::Estimated);
        let servers = servers.into_iter().map(|server| server.name).collect();
        // Where every request found them in the cache, there is nothing to gain.
        found.advice = (found.cost_ms != Some(0)).then_some(Advice::TurnOffServers { servers });
        RuleCheck::Found(vec![found])
    }

    fn is_refuted(&self, finding: &Finding, scene: &Scene<'_>) -> bool {
        let Evidence::ToolsUnused(UnusedTools { servers, .. }) = &finding.evidence else { return false };
        let called = scene.tool_costs.iter().flat_map(|costs| &costs.called_tools);
        let called: HashSet<&str> = called.filter_map(|tool| server(tool)).collect();
        servers.iter().any(|server| called.contains(&*server.name))
    }
}

/// The tools of all requests, by what they cost.
struct OfferedTools<'a> {
    by_name: FastMap<&'a Arc<str>, &'a ToolCost>,
    unused_servers: HashSet<&'a str>,
}

impl<'a> OfferedTools<'a> {
    fn of(costs: &'a ToolCosts) -> Self {
        let by_name = costs.tools.iter().filter_map(|tool| Some((tool.name.as_ref()?, tool))).collect();
        Self { by_name, unused_servers: costs.uncalled_servers.iter().map(String::as_str).collect() }
    }

    /// The tools that a request carries.
    fn carried<'s>(&'s self, entry: &'s Entry<'_>) -> impl Iterator<Item = &'a ToolCost> + 's {
        entry.request.tools().iter().filter_map(|tool| self.by_name.get(tool.name.as_ref()?).copied())
    }

    fn is_unused(&self, tool: &ToolCost) -> bool {
        tool.server.as_deref().is_some_and(|server| self.unused_servers.contains(server))
    }

    /// The tokens of those tools of a request that belong to unused servers.
    fn unused_tokens(&self, entry: &Entry<'_>) -> u64 {
        if self.unused_servers.is_empty() {
            return 0;
        }
        self.carried(entry).filter(|tool| self.is_unused(tool)).map(|tool| tool.tokens).sum()
    }

    /// The unused servers of these requests, the one that takes most first.
    fn servers(&self, carriers: &[&Entry<'_>]) -> Vec<Server> {
        let mut seen = HashSet::new();
        let mut servers: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        let carried = carriers.iter().flat_map(|entry| self.carried(entry));
        for tool in carried.filter(|tool| self.is_unused(tool) && seen.insert(&tool.name)) {
            let (tools, tokens) = servers.entry(tool.server.as_deref().unwrap_or_default()).or_default();
            *tools += 1;
            *tokens += tool.tokens;
        }
        let server =
            |(name, (tools, tokens)): (&str, (u64, u64))| Server { name: name.to_owned(), tools, tokens };
        let mut servers: Vec<Server> = servers.into_iter().map(server).collect();
        servers.sort_by(|a, b| b.tokens.cmp(&a.tokens).then_with(|| a.name.cmp(&b.name)));
        servers
    }

    /// How many tools of the client itself nobody called, and their tokens.
    fn built_in(&self, carriers: &[&Entry<'_>]) -> (usize, u64) {
        let mut seen = HashSet::new();
        let carried = carriers.iter().flat_map(|entry| self.carried(entry));
        carried
            .filter(|tool| tool.server.is_none() && !tool.called && seen.insert(&tool.name))
            .fold((0, 0), |(n, tokens), tool| (n + 1, tokens + tool.tokens))
    }
}

/// Which share of its tools a request read, by how much of its prompt came from the cache.
fn read_share(entry: &Entry<'_>) -> Option<f64> {
    let cached = float(entry.timing()?.cached_tokens.get()?) / float(entry.prompt_tokens()?);
    let sizes = &entry.request.sizes;
    let prompt = float(sizes.prompt_bytes().get()?);
    if sizes.tools_bytes == 0 {
        return None;
    }
    let begin = float(sizes.system_bytes.get()?) / prompt;
    let end = float((sizes.system_bytes + sizes.tools_bytes).get()?) / prompt;
    Some(((end - cached) / (end - begin)).clamp(0.0, 1.0))
}

/// What tools that nobody called take of prompts, and of the time to read these.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct UnusedTools {
    /// The servers, the largest first.
    pub servers: Vec<Server>,
    /// How many tools they offer.
    pub tools: u64,
    /// What these take of the median request.
    pub tokens: u64,
    /// How many built-in tools nobody called, …
    pub built_in: u64,
    /// … and what these take.
    pub built_in_tokens: u64,
    /// In how many sessions they were not called.
    pub sessions: u64,
    /// What reading the servers' tools takes, where it is known.
    pub reading: Option<ToolReading>,
}

/// What reading tools takes, and how often they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolReading {
    /// What one cold read takes.
    pub cold_ms: u64,
    /// How many cold reads there were.
    pub cold_reads: u64,
    /// How many requests found the tools in the cache.
    pub warm_reads: u64,
}

/// An MCP server that no conversation called.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Its name.
    pub name: String,
    /// How many tools it offers.
    pub tools: u64,
    /// What they take.
    pub tokens: u64,
}

impl Display for UnusedTools {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} {} {} of the median prompt, and no conversation in {} called {}",
            Count(self.tools, "tool"),
            ServerList(&self.servers),
            by_number(self.tools, "takes", "take"),
            TokenCount(self.tokens),
            Count(self.sessions, "session"),
            by_number(self.tools, "it", "one"),
        )?;
        if let Some(ToolReading { cold_ms, cold_reads, warm_reads }) = self.reading {
            write!(f, ": {} of each cold read ({} here)", Ms(cold_ms), WholeNumber(cold_reads))?;
            if warm_reads > 0 {
                write!(f, ", nothing where the cache holds them ({})", WholeNumber(warm_reads))?;
            }
        }
        if self.built_in > 0 {
            write!(
                f,
                "; {} that nobody called {} {} more",
                Count(self.built_in, "built-in tool"),
                by_number(self.built_in, "takes", "take"),
                TokenCount(self.built_in_tokens)
            )?;
        }
        f.write_str(".")
    }
}

/// Servers with what their tools take, the largest first.
struct ServerList<'a>(&'a [Server]);

impl Display for ServerList<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let [server] = self.0 {
            return write!(f, "the MCP server {}", server.name);
        }
        let n = self.0.len() as u64;
        let server = |server: &Server| format!("{} {}", server.name, WholeNumber(server.tokens));
        let names: Vec<String> = self.0.iter().map(server).collect();
        write!(f, "{} ({})", Count(n, "MCP server"), NameList(&names))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check_with, costs, find_with, speeds};
    use super::*;
    use crate::model::CacheUse;

    /// A cold request and two warm ones.
    fn made(names: &[&str]) -> Vec<Made> {
        let turn = |cached| {
            Made::new().tools(names).prompt(10_000).cached(cached, false).read(10_000 - cached, 20_000)
        };
        vec![turn(0), turn(9_000), turn(9_000)]
    }

    const NAMES: [&str; 3] = ["mcp__maps__list", "mcp__mail__send", "Read"];

    #[test]
    fn what_one_cold_read_of_them_takes_is_the_cost() {
        let costs =
            costs(&[("mcp__maps__list", 700, false), ("mcp__mail__send", 300, false), ("Read", 400, false)]);
        let found = check_with(&ToolsUnused, &made(&NAMES), |input| {
            input.tool_costs = Some(&costs);
            input.speeds = speeds(CacheUse::Reuses);
        });
        let RuleCheck::Found(found) = found else { panic!() };
        assert_eq!(found[0].cost_ms, Some(2_000));
        let Some(Advice::TurnOffServers { servers }) = &found[0].advice else { panic!() };
        assert_eq!(servers, &["maps", "mail"]);
        let said = found[0].evidence.to_string();
        assert!(
            said.contains("cold read (1 here)")
                && said.contains("holds them (2)")
                && said.contains("1 built-in tool"),
            "{said}"
        );
    }

    #[test]
    fn less_than_1000_tokens_are_not_worth_it() {
        let costs = costs(&[("mcp__maps__list", 699, false), ("mcp__mail__send", 300, false)]);
        assert_eq!(
            check_with(&ToolsUnused, &made(&NAMES), |input| input.tool_costs = Some(&costs)),
            RuleCheck::Ok
        );
        assert_eq!(check_with(&ToolsUnused, &made(&NAMES), |_| {}), RuleCheck::NotEnoughData);
    }

    #[test]
    fn a_server_with_one_called_tool_is_used() {
        let costs =
            costs(&[("mcp__maps__list", 5_000, false), ("mcp__maps__find", 10, true), ("Read", 400, true)]);
        let found = find_with(&made(&["mcp__maps__list", "mcp__maps__find", "Read"]), |input| {
            input.tool_costs = Some(&costs);
            input.speeds = speeds(CacheUse::Reuses);
        });
        assert!(found.is_empty(), "{found:?}");
    }
}
