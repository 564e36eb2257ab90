//! Tools by size, and the MCP servers behind them.

use anyclaude_traces::tools::ServerUse;

use super::table::{Grid, number, text};
use super::units;

/// A tool as it is shown.
pub(crate) struct Row<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) bytes: u64,
    /// How many requests carry it, where that is of interest.
    pub(crate) requests: Option<u64>,
}

/// The first `most_rows` tools with a bar each, and the rest in one row.
pub(crate) fn largest(tools: &[Row<'_>], most_rows: usize) -> Grid {
    let mut grid = Grid::new([text("LARGEST TOOLS", 0), number("SIZE", 0), number("REQS", 2), text("", 1)]);
    let most = tools.first().map_or(0, |tool| tool.bytes);
    for tool in tools.iter().take(most_rows) {
        grid.row([
            tool.name.unwrap_or("(unnamed)").to_owned(),
            units::bytes(tool.bytes),
            tool.requests.map_or_else(String::new, |n| n.to_string()),
            units::bar(tool.bytes, most, 20),
        ]);
    }
    let more = tools.get(most_rows..).unwrap_or_default();
    if !more.is_empty() {
        let bytes = more.iter().map(|tool| tool.bytes).sum();
        grid.row([format!("and {} more", more.len()), units::bytes(bytes), String::new(), String::new()]);
    }
    grid.without_empty(&[""])
}

/// `MCP servers: github 9.9 kB (9 tools) · …`; `None` where there are none.
pub(crate) fn servers(servers: &[ServerUse]) -> Option<String> {
    let server = |server: &ServerUse| {
        format!("{} {} ({})", server.name, units::bytes(server.bytes), units::count(server.tools, "tool"))
    };
    let named: Vec<String> = servers.iter().map(server).collect();
    (!named.is_empty()).then(|| format!("MCP servers: {}", named.join(" · ")))
}
