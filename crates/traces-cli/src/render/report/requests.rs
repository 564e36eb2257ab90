//! The table of requests.

use anyclaude_traces::Request;
use anyclaude_traces::analysis::report::Report;
use anyclaude_traces::model::measure::Measure;
use maud::{Markup, html};

use super::document::table;
use crate::render::list::model;
use crate::render::table::{Grid, number, shorten, text};
use crate::render::timing::outcome;
use crate::render::units::{self, UNKNOWN};

/// How wide the name of a model may be.
pub(super) const MODEL_WIDTH: usize = 40;

/// The columns of figures.
const FIGURES: [(&str, Measure); 11] = [
    ("Body", Measure::BodyBytes),
    ("Tools", Measure::ToolCount),
    ("Messages", Measure::MessageCount),
    ("Prompt tokens", Measure::PromptTokens),
    ("Proxy", Measure::ProxyMs),
    ("TTFT", Measure::TtftMs),
    ("Generation", Measure::GenerationMs),
    ("Total", Measure::TotalMs),
    ("Keepalives", Measure::Keepalives),
    ("Output tokens", Measure::OutputTokens),
    ("Tokens/s", Measure::ReportedTokensPerSecond),
];

pub(super) fn section(report: &Report) -> Markup {
    let caption = format!("{}, in order of time", units::count(report.requests.len() as u64, "request"));
    html! {
        section aria-labelledby="requests" {
            h2 id="requests" { "Requests" }
            (table(&caption, &grid(&report.requests), true))
        }
    }
}

fn grid(requests: &[Request]) -> Grid {
    let figures = FIGURES.iter().map(|(title, _)| number(*title, 0));
    let columns: Vec<_> =
        [text("Time", 0), text("Model", 0), text("Outcome", 0)].into_iter().chain(figures).collect();
    let mut grid = Grid::new(columns);
    for request in requests {
        let figures = FIGURES.iter().map(|(_, measure)| units::maybe(measure.of(request), measure.unit()));
        let names =
            [units::stamp(request.timestamp), shorten(&model(request), MODEL_WIDTH), outcome(request)];
        grid.row(names.into_iter().chain(figures));
    }
    grid.without_empty(&[UNKNOWN])
}
