//! Rows of a name, a bar and a figure, and the tools by size that are shown so.

use anyclaude_traces::analysis::report::Report;
use maud::{Markup, html};

use super::chart::percent;
use crate::render::table::shorten;
use crate::render::units;

/// How many tools are shown.
const MOST_TOOLS: usize = 15;
/// How wide a name may be.
const NAME_WIDTH: usize = 44;
/// How high a row's bar is.
const HEIGHT: u32 = 14;
/// How long the shortest bar is, so that it can be seen.
const LEAST_SHARE: f64 = 0.003;

/// A row: what it is, its figure, and the bar from one share of the width to another.
#[derive(Default)]
pub(super) struct Bar {
    pub(super) label: String,
    /// What stands below its name.
    pub(super) note: String,
    pub(super) figure: String,
    /// What stands behind its figure.
    pub(super) detail: String,
    pub(super) from: f64,
    pub(super) to: f64,
    /// How the bar is filled.
    pub(super) class: &'static str,
    /// The ends of the interval that the bar's end may lie in.
    pub(super) interval: Option<(f64, f64)>,
    /// Whether it is the one that matters.
    pub(super) is_main: bool,
}

/// Rows of bars on one scale, on which 0 is at this share of the width. All that a bar shows
/// is said by the row's words too.
pub(super) fn rows(name: &str, bars: &[Bar], zero: f64) -> Markup {
    html! {
        ul.rows aria-label=(name) {
            @for bar in bars {
                li.main[bar.is_main] {
                    span.label { (shorten(&bar.label, NAME_WIDTH)) @if !bar.note.is_empty() { small { (bar.note) } } }
                    (track(bar, zero))
                    span.figure { (bar.figure) @if !bar.detail.is_empty() { small { (bar.detail) } } }
                }
            }
        }
    }
}

fn track(bar: &Bar, zero: f64) -> Markup {
    let (from, to) = (bar.from.min(bar.to), bar.from.max(bar.to));
    html! {
        svg.track aria-hidden="true" width="100%" height=(HEIGHT + 8) {
            line.zero x1=(percent(zero)) x2=(percent(zero)) y1="0" y2=(HEIGHT + 8) {}
            @if from != to {
                rect.(bar.class) x=(percent(from)) y="4" width=(percent((to - from).max(LEAST_SHARE))) height=(HEIGHT) rx="2" {}
            }
            @if let Some((low, high)) = bar.interval {
                line.whisker x1=(percent(low)) x2=(percent(high)) y1="11" y2="11" {}
                @for end in [low, high] { line.whisker x1=(percent(end)) x2=(percent(end)) y1="6" y2="16" {} }
            }
        }
    }
}

/// Tools and MCP servers by size.
pub(super) fn tools(report: &Report) -> Markup {
    let tools = &report.largest_tools;
    let most = tools.first().map_or(0, |tool| tool.bytes);
    let sized = |label: String, bytes: u64, most: u64| Bar {
        label,
        figure: units::bytes(bytes),
        #[allow(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
        to: bytes as f64 / most as f64,
        class: "tools",
        ..Bar::default()
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
                p.lead { "Each request repeats the definitions of its tools: a model reads them before it answers." }
                (rows("Tools by size", &bars, 0.0))
                @if !rest.is_empty() {
                    p.note { (units::count(rest.len() as u64, "smaller tool")) " not shown, " (units::bytes(rest_bytes)) " together" }
                }
            }
            @if !server_bars.is_empty() {
                h3 { "MCP servers" }
                (rows("MCP servers by the size of their tools", &server_bars, 0.0))
            }
        }
    }
}
