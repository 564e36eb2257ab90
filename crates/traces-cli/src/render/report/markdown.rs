//! The report as Markdown: the guide's five points, then the verdict.

use anyclaude_traces::analysis::report::Report;

use super::points;
use crate::render::page::Page;
use crate::render::table::{Column, Grid, number, text};
use crate::render::{explain, findings};

/// The page; `is_sitting` says that nothing but the last day was asked for.
pub(crate) fn page(report: &Report, is_sitting: bool) -> Page {
    let mut page = Page::default();
    let totals = &report.totals;
    page.strong(format!("{}.", report.headline.trim_end_matches('.')));
    page.line(super::scope(report, is_sitting, totals.first.zip(totals.last)));
    page.heading("Five points");
    page.table(grid(report));
    page.line("Figures are medians. Events and parts are not tokens.");
    points::reasons(report).into_iter().for_each(|reason| page.line(reason));
    match &report.explanation {
        Some(found) => {
            page.heading("Verdict");
            page.append(explain::page(found));
        }
        None => findings::all(&mut page, &report.findings),
    }
    for missing in &report.missing {
        page.line(format!("Missing: {missing}."));
    }
    page
}

fn grid(report: &Report) -> Grid {
    let models = points::models(report).into_iter().map(|model| number(model.to_owned(), 0));
    let columns: Vec<Column> = std::iter::once(text("POINT", 0)).chain(models).collect();
    let mut grid = Grid::new(columns);
    for row in points::rows(report) {
        grid.row(std::iter::once(row.label.to_owned()).chain(row.cells));
    }
    grid
}
