//! Rows of text with a bar below each, and the tools by size that are shown so.

use anyclaude_traces::analysis::report::Report;
use maud::{Markup, html};

use super::chart::Caption;
use crate::render::table::shorten;
use crate::render::units;

/// How many tools are shown.
const MOST_TOOLS: usize = 15;
/// How wide a name may be.
const NAME_WIDTH: usize = 36;
/// The height of a row, and of the bar in it.
const ROW: usize = 36;
const BAR: usize = 10;
/// How long the shortest bar is, so that it can be seen.
const LEAST_SHARE: f64 = 0.003;

/// A row: what it is, its figure, and the bar from one share of the width to another.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) figure: String,
    pub(super) from: f64,
    pub(super) to: f64,
    /// How the bar is filled.
    pub(super) class: &'static str,
}

/// A chart of rows.
pub(super) fn chart(caption: &Caption, bars: &[Bar]) -> Markup {
    let parts = html! {
        @for (at, bar) in bars.iter().enumerate() {
            text x="0" y=(at * ROW + 15) { (shorten(&bar.label, NAME_WIDTH)) }
            text.end x="100%" y=(at * ROW + 15) { (bar.figure) }
            @if bar.from != bar.to {
                rect.(bar.class) x=(length(bar.from.min(bar.to))) y=(at * ROW + 20)
                    width=(length((bar.to - bar.from).abs().max(LEAST_SHARE))) height=(BAR) {}
            }
        }
    };
    caption.stretched(bars.len() * ROW, &parts)
}

/// A share of the width, as SVG writes it.
fn length(share: f64) -> String {
    format!("{:.1}%", if share.is_finite() { share * 100.0 } else { 0.0 })
}

/// Tools and MCP servers by size.
pub(super) fn tools(report: &Report) -> Markup {
    let tools = &report.largest_tools;
    let most = tools.first().map_or(0, |tool| tool.bytes);
    let sized = |label: String, bytes: u64, most: u64| Bar {
        label,
        figure: units::bytes(bytes),
        from: 0.0,
        #[allow(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
        to: bytes as f64 / most as f64,
        class: "tools",
    };
    let name = |name: Option<&str>| name.unwrap_or("(unnamed)").to_owned();
    let bars: Vec<Bar> = tools
        .iter()
        .take(MOST_TOOLS)
        .map(|tool| sized(name(tool.name.as_deref()), tool.bytes, most))
        .collect();
    let rest = tools.get(MOST_TOOLS..).unwrap_or_default();
    let rest_bytes: u64 = rest.iter().map(|tool| tool.bytes).sum();
    let servers = &report.mcp_servers;
    let most_server = servers.first().map_or(0, |server| server.bytes);
    let server_bars: Vec<Bar> = servers
        .iter()
        .map(|server| {
            let label = format!("{} ({})", shorten(&server.name, 24), units::count(server.tools, "tool"));
            sized(label, server.bytes, most_server)
        })
        .collect();
    html! {
        section aria-labelledby="tools" {
            h2 id="tools" { "Tools and MCP servers by size" }
            @if bars.is_empty() {
                p { "No request carries tools." }
            } @else {
                p { "Each request repeats the definitions of its tools: a model reads them before it answers." }
                (chart(&caption("tools-chart", "Tools by size", &bars), &bars))
                @if !rest.is_empty() {
                    p { (units::count(rest.len() as u64, "smaller tool")) " not shown, " (units::bytes(rest_bytes)) " together" }
                }
            }
            @if !server_bars.is_empty() {
                h3 { "MCP servers" }
                (chart(&caption("servers-chart", "MCP servers by the size of their tools", &server_bars), &server_bars))
            }
        }
    }
}

/// The bars in words, for screen readers.
fn caption(id: &str, title: &str, bars: &[Bar]) -> Caption {
    let words: Vec<String> = bars.iter().map(|bar| format!("{} {}", bar.label, bar.figure)).collect();
    Caption { id: id.to_owned(), title: title.to_owned(), description: words.join(", ") }
}
