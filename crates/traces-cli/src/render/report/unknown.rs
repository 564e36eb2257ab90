//! What was skipped, left out or not logged.

use anyclaude_traces::analysis::report::Report;
use maud::{Markup, html};

use super::prose::prose;
use crate::render::explain::left_out;
use crate::render::missing::of_comparison;
use crate::render::units;

/// How many skipped files are named.
const MOST_FILES: usize = 20;

pub(super) fn section(report: &Report) -> Markup {
    let found = report.explanation.as_ref();
    let missing = found.map(|found| found.missing.as_slice()).unwrap_or_default();
    let left = found.map(|found| found.left_out.as_slice()).unwrap_or_default();
    let others: Vec<String> = report.other_kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    let more = report.skipped.len().saturating_sub(MOST_FILES);
    html! {
        section aria-labelledby="unknown" {
            h2 id="unknown" { "What is unknown or left out" }
            ul {
                @for missing in missing { li { (prose(&of_comparison(missing))) } }
                @for one in &report.missing { li { (prose(&one.to_string())) "." } }
                @for one in left { li { "Not compared: " (units::count(one.n, "request")) " (" (left_out(one.reason)) ")." } }
                @if !others.is_empty() { li { "Of other kinds, in no figure here: " (others.join(", ")) "." } }
                @if report.skipped.is_empty() { li { "No file was skipped." } }
            }
            @if !report.skipped.is_empty() {
                h3 { "Skipped files" }
                ul {
                    @for file in report.skipped.iter().take(MOST_FILES) {
                        li { (file.path) ": " (file.reason.name()) ", " (file.detail) }
                    }
                    @if more > 0 { li { (units::count(more as u64, "more file")) " not shown" } }
                }
            }
        }
    }
}
