//! The page around the charts: one file that opens nothing else. Markup is escaped by
//! construction, and the whole of it is stripped of what steers a reader.

use anyclaude_traces::analysis::report::{PromptText, Report, Text};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::prose::prose;
use super::requests::MODEL_WIDTH;
use super::{
    bars, difference, findings, growth, points, prefix, reading, requests, timeline, unknown, verdict,
};
use crate::render::ids::Ids;
use crate::render::sanitize;
use crate::render::table::{Align, Grid, number, shorten, text};

const STYLE: &str = include_str!("style.css");
/// Makes tables sortable and advice easy to copy. Without it all stays readable.
const SCRIPT: &str = include_str!("script.js");
/// The hashes that the policy below allows; a test computes them again.
const STYLE_HASH: &str = "sha256-S9noBzI/gdP8+bYZ2QInHIoHsrrjm8S3I7RWtq0ybcA=";
const SCRIPT_HASH: &str = "sha256-p87HTLLzpPqDOdenpewRm3aO1lSHXy1TyfrAxe0jYEc=";

/// Loads nothing from elsewhere, and allows no style or script but these.
fn policy() -> String {
    format!(
        "default-src 'none'; style-src '{STYLE_HASH}'; script-src '{SCRIPT_HASH}'; base-uri 'none'; form-action 'none'"
    )
}

/// The page; `is_sitting` says that nothing but the last day was asked for.
pub(crate) fn html(report: &Report, is_sitting: bool, ids: Ids) -> String {
    sanitize::block(&document(report, is_sitting, ids).into_string()).into_owned()
}

fn document(report: &Report, is_sitting: bool, ids: Ids) -> Markup {
    let totals = &report.totals;
    let stretches = &report.timeline.stretches;
    let logged = stretches.first().zip(stretches.last()).map(|(first, last)| (first.from, last.to));
    let span = totals.first.zip(totals.last).or(logged);
    let scope = super::scope(report, is_sitting, span);
    // Logs alone have times, but no prompts.
    let has_requests = !report.requests.is_empty();
    let headline = report.headline.trim_end_matches('.');
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="robots" content="noindex";
                meta name="generator" content=(concat!("traces ", env!("CARGO_PKG_VERSION")));
                title { (headline) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.scope { (scope) }
                    (verdict::answer(report))
                }
                main {
                    (verdict::time(report))
                    (difference::section(report))
                    (findings::section(report))
                    (timeline::section(report))
                    @if has_requests { (growth::section(report, ids)) }
                    (prefix::section(report))
                    (reading::section(report))
                    @if has_requests { (bars::tools(report)) }
                    @if points::any(report) { (five_points(report)) }
                    @if !report.texts.is_empty() { (texts(&report.texts)) }
                    @if has_requests { (requests::section(report)) }
                    (verdict::evidence(report))
                    (unknown::section(report))
                }
                footer {
                    p { "Figures are medians where a column does not say otherwise; 1 kB is 1000 bytes, – is unknown. Made by traces "
                        (env!("CARGO_PKG_VERSION")) "." }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

fn five_points(report: &Report) -> Markup {
    let models = points::models(report).into_iter().map(|model| number(shorten(model, MODEL_WIDTH), 0));
    let columns: Vec<_> = std::iter::once(text("Point", 0)).chain(models).collect();
    let mut grid = Grid::new(columns);
    for row in points::rows(report) {
        grid.row(std::iter::once(row.label.to_owned()).chain(row.cells));
    }
    html! {
        section aria-labelledby="points" {
            h2 id="points" { "The five points" }
            (table("Medians over the requests of each model", &grid, false))
            p { "Events and parts are not tokens." }
            ul { @for reason in points::reasons(report) { li { (prose(&reason)) } } }
        }
    }
}

/// A table that scrolls where it is too wide. HTML needs no closing tags of cells and rows.
pub(super) fn table(caption: &str, grid: &Grid, sortable: bool) -> Markup {
    let texts = grid.columns().take_while(|column| column.align == Align::Left).count();
    html! {
        div.scroll.long[sortable] role="region" aria-label=(caption) tabindex="0" {
            table.{ "texts-" (texts) } data-sortable[sortable] {
                caption { (caption) }
                thead { tr { @for column in grid.columns() { th scope="col" { (column.title) } } } }
                tbody { @for row in grid.rows() { (cells(row)) } }
            }
        }
    }
}

fn cells<'g>(mut row: impl Iterator<Item = &'g str>) -> Markup {
    html! {
        @if let Some(first) = row.next() {
            tr; th scope="row"; (first)
            @for cell in row { td; (cell) }
        }
    }
}

fn texts(texts: &[PromptText]) -> Markup {
    let shown = |text: &Text| {
        html! {
            pre tabindex="0" { (text.text) }
            @if text.more_chars > 0 { p { "… and " (text.more_chars) " more characters" } }
        }
    };
    html! {
        section aria-labelledby="texts" {
            h2 id="texts" { "Text of the newest prompts" }
            @for text in texts {
                h3 { (text.model) }
                p { small { (text.path.as_ref().display()) } }
                details { summary { "System prompt of " (text.model) } (shown(&text.system)) }
                @if let Some(user) = &text.last_user {
                    details { summary { "Last text of the user to " (text.model) } (shown(user)) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_policy_lets_this_style_and_this_script_pass() {
        let hash = |text: &str| {
            format!("sha256-{}", STANDARD.encode(Sha256::digest(sanitize::block(text).as_bytes())))
        };
        assert_eq!(hash(STYLE), STYLE_HASH);
        assert_eq!(hash(SCRIPT), SCRIPT_HASH);
    }
}
