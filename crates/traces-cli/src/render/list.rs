//! The page of `traces list`.

use anyclaude_traces::Request;
use anyclaude_traces::analysis::list::RequestList;
use anyclaude_traces::model::measure::Measure;

use super::columns::{Columns, Usual};
use super::page::{Next, Page};
use super::summary::scope_line;
use super::table::{Grid, number, text, whole};
use super::units::{self, UNKNOWN};

/// One row per request.
pub(crate) fn page(
    found: &RequestList,
    is_sitting: bool,
    columns: &Columns,
    order_line: Option<String>,
    next: &Next,
) -> Page {
    let requests = &found.requests;
    let mut page = Page::default();
    let stamps = || requests.iter().filter_map(|request| request.timestamp);
    page.line(scope_line(
        &found.scope,
        is_sitting,
        stamps().min().zip(stamps().max()),
        requests.len() as u64,
    ));
    page.table(grid(requests, columns));
    order_line.into_iter().for_each(|line| page.line(line));
    if let Some(newest) = &next.newest {
        page.hint("Show one in detail:", next.command(&format!("show {newest}")));
    }
    page
}

/// The columns that the table has anyway, by their names in JSON.
const SHOWN: &[&str] = &[
    "id",
    "timestamp",
    "kind",
    "model",
    "body_bytes",
    "system_chars",
    "tool_count",
    "message_count",
    "timing.ttft_ms",
    "timing.total_ms",
    "timing.output_tokens",
    "timing.reported_tokens_per_second",
    "path",
];

fn grid(requests: &[Request], columns: &Columns) -> Grid {
    let titles = vec![
        whole("ID", 0),
        whole("TIME", 0),
        text("KIND", 5),
        text("MODEL", 2),
        number("BODY", 0),
        number("SYSTEM", 6),
        number("TOOLS", 4),
        number("MESSAGES", 3),
        number("TTFT", 1),
        number("TOTAL", 1),
        number("OUT", 7),
        number("TOK/S", 8),
        text("FILE", 9),
    ];
    let cells = |request: &Request| {
        let figure = |measure: Measure| units::maybe(measure.of(request), measure.unit());
        let file = request.path.as_ref().file_name().unwrap_or_default().to_string_lossy().into_owned();
        vec![
            request.id.to_string(),
            units::stamp(request.timestamp),
            request.kind.name().to_owned(),
            model(request),
            figure(Measure::BodyBytes),
            figure(Measure::SystemChars),
            figure(Measure::ToolCount),
            figure(Measure::MessageCount),
            figure(Measure::TtftMs),
            figure(Measure::TotalMs),
            figure(Measure::OutputTokens),
            figure(Measure::ReportedTokensPerSecond),
            file,
        ]
    };
    columns.grid(requests, Usual { columns: titles, shown: SHOWN, cells, empty: &[UNKNOWN] })
}

/// The model that ran, or the sign for unknown.
pub(crate) fn model(request: &Request) -> String {
    request.model.as_deref().unwrap_or(UNKNOWN).to_owned()
}
