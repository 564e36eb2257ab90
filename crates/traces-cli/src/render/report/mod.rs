//! The report: one page of HTML with charts, or the guide's five points as Markdown.

mod bars;
mod chart;
mod difference;
mod document;
mod findings;
mod growth;
mod markdown;
mod parts;
mod points;
mod prefix;
mod prose;
mod reading;
mod requests;
mod timeline;
mod unknown;
mod verdict;

use anyclaude_traces::analysis::explain::Side;
use anyclaude_traces::analysis::report::Report;
use anyclaude_traces::model::time::Timestamp;

use super::summary::scope_line;

pub(crate) use document::html;
pub(crate) use markdown::page;

/// What the report is about; `span` is from the first request to the last.
fn scope(report: &Report, is_sitting: bool, span: Option<(Timestamp, Timestamp)>) -> String {
    // Tasks of a server's log are compared, and are none of the recorded requests.
    let of_side = |side: &Side| side.name.requests;
    let compared =
        report.explanation.iter().map(|found| of_side(&found.left) + found.right.as_ref().map_or(0, of_side));
    let requests = if report.requests.is_empty() { compared.sum() } else { report.totals.requests };
    scope_line(&report.scope, is_sitting, span, requests)
}
