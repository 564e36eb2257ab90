//! The page of `traces list`.

use anyclaude_traces::Request;
use anyclaude_traces::analysis::list::RequestList;
use anyclaude_traces::model::measure::Measure;

use super::page::{Next, Page};
use super::summary::scope_line;
use super::table::{Grid, number, text};
use super::units::{self, UNKNOWN};

/// One row per request.
pub(crate) fn page(found: &RequestList, is_sitting: bool, next: &Next) -> Page {
    let requests = &found.requests;
    let mut page = Page::default();
    let first = requests.iter().find_map(|request| request.timestamp);
    let last = requests.iter().rev().find_map(|request| request.timestamp);
    page.line(scope_line(&found.scope, is_sitting, first.zip(last), requests.len() as u64));
    page.table(grid(requests));
    let newest = next.newest.as_deref().unwrap_or("latest");
    page.hint("Show one in detail:", next.command(&format!("show {newest}")));
    page
}

fn grid(requests: &[Request]) -> Grid {
    let mut grid = Grid::new([
        text("TIME", 0),
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
    ]);
    for request in requests {
        let figure = |measure: Measure| units::maybe(measure.of(request), measure.unit());
        let file = request.path.as_ref().file_name().unwrap_or_default().to_string_lossy().into_owned();
        grid.row([
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
        ]);
    }
    grid.without_empty(&[UNKNOWN])
}

/// The model that ran, or the sign for unknown.
pub(crate) fn model(request: &Request) -> String {
    request.model.as_deref().unwrap_or(UNKNOWN).to_owned()
}
