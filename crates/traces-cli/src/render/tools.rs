//! Tools by size and cost, and the MCP servers behind them.

use std::collections::HashMap;

use anyclaude_traces::analysis::tool_cost::{ToolCost, ToolCosts};
use anyclaude_traces::analysis::tools::ServerUse;

use super::page::Page;
use super::table::{Grid, bars, number, text};
use super::units;

/// A tool as it is shown.
pub(crate) struct LargestTool<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) bytes: u64,
    /// How many requests carry it, where that is of interest.
    pub(crate) requests: Option<u64>,
}

/// The first `most_rows` tools with their costs and a bar each, and the rest in one row.
pub(crate) fn largest(tools: &[LargestTool<'_>], costs: Option<&ToolCosts>, most_rows: usize) -> Grid {
    let mut grid = Grid::new([
        text("LARGEST TOOLS", 0),
        number("SIZE", 0),
        number("TOKENS", 3),
        number("COLD READ", 4),
        number("REQS", 6),
        text("CALLED", 2),
        bars("", 5),
    ]);
    let known: HashMap<Option<&str>, &ToolCost> =
        costs.iter().flat_map(|list| &list.tools).map(|tool| (tool.name.as_deref(), tool)).collect();
    // Before any tool is called, "never called" means nothing.
    let tells = costs.is_some_and(|list| !list.called_tools.is_empty());
    let called = |called: bool| match (tells, called) {
        (false, _) => String::new(),
        (true, true) => "yes".to_owned(),
        (true, false) => "never".to_owned(),
    };
    let most = tools.first().map_or(0, |tool| tool.bytes);
    for tool in tools.iter().take(most_rows) {
        let cost = known.get(&tool.name);
        grid.row([
            tool.name.unwrap_or("(unnamed)").to_owned(),
            units::bytes(tool.bytes),
            cost.map_or_else(String::new, |cost| units::estimate(cost.tokens)),
            cost.and_then(|cost| cost.cold_read_ms).map_or_else(String::new, |ms| units::ms(Some(ms))),
            tool.requests.map_or_else(String::new, |n| n.to_string()),
            cost.map_or_else(String::new, |cost| called(cost.called)),
            units::bar(tool.bytes, most, 20),
        ]);
    }
    let more = tools.get(most_rows..).unwrap_or_default();
    if !more.is_empty() {
        let bytes = more.iter().map(|tool| tool.bytes).sum();
        let costs: Vec<&&ToolCost> = more.iter().filter_map(|tool| known.get(&tool.name)).collect();
        let tokens = costs.iter().map(|cost| cost.tokens).sum();
        let ms: Option<u64> = costs.iter().map(|cost| cost.cold_read_ms).sum();
        let or_nothing = |text: String| if costs.is_empty() { String::new() } else { text };
        grid.row([
            format!("and {} more", more.len()),
            units::bytes(bytes),
            or_nothing(units::estimate(tokens)),
            or_nothing(ms.map_or_else(String::new, |ms| units::ms(Some(ms)))),
            String::new(),
            String::new(),
            String::new(),
        ]);
    }
    grid.without_empty(&[""])
}

/// `MCP servers: github 9.9 kB (9 tools) · …`; `None` where there are none.
pub(crate) fn servers(servers: &[ServerUse], costs: Option<&ToolCosts>) -> Option<String> {
    let tells = costs.is_some_and(|list| !list.called_tools.is_empty());
    let server = |server: &ServerUse| {
        let mut facts = vec![units::count(server.tools, "tool")];
        let cost = costs.and_then(|list| list.servers.iter().find(|cost| cost.name == server.name));
        if let Some(cost) = cost {
            facts.push(units::estimate(cost.tokens) + " tokens");
            facts.extend(cost.cold_read_ms.map(|ms| units::ms(Some(ms))));
            facts.extend((tells && cost.called == 0).then(|| "never called".to_owned()));
        }
        format!("{} {} ({})", server.name, units::bytes(server.bytes), facts.join(", "))
    };
    let named: Vec<String> = servers.iter().map(server).collect();
    (!named.is_empty()).then(|| format!("MCP servers: {}", named.join(" · ")))
}

/// What all tools cost together where no cache holds them, and those never called.
pub(crate) fn costs(page: &mut Page, list: &ToolCosts) {
    if list.tools.is_empty() {
        return;
    }
    let time = |ms: Option<u64>| {
        ms.map_or_else(String::new, |ms| format!(", {} of a cold read", units::ms(Some(ms))))
    };
    let reader = list.model.as_ref().map(|model| format!(" by {model}")).unwrap_or_default();
    let all =
        format!("All tools: {} tokens{}{reader}", units::estimate(list.tokens), time(list.cold_read_ms));
    if list.called_tools.is_empty() {
        page.line(format!("{all}; no conversation called any yet."));
        return;
    }
    let uncalled = list.tools.len() - list.called_tools.len();
    if uncalled == 0 {
        page.line(format!("{all}; every one of them was called."));
        return;
    }
    page.line(format!(
        "{all}; {uncalled} of {} were never called: {} tokens{}.",
        list.tools.len(),
        units::estimate(list.uncalled_tokens),
        time(list.uncalled_cold_read_ms),
    ));
}
