//! The guide's five points as rows, one column a model.

use anyclaude_traces::analysis::report::{Check, CheckKind, CheckResult, Figure, Report};

use crate::render::missing;
use crate::render::units::{self, UNKNOWN};

/// A row of the table.
pub(super) struct CheckRow {
    pub(super) label: &'static str,
    /// One for each model.
    pub(super) cells: Vec<String>,
}

/// The models, in the order of the columns.
pub(super) fn models(report: &Report) -> Vec<&str> {
    let answers = report.points.first().map(|point| point.answers.as_slice()).unwrap_or_default();
    answers.iter().map(|answer| answer.model.as_str()).collect()
}

/// Whether they are about any request.
pub(super) fn any(report: &Report) -> bool {
    report.points.iter().flat_map(|point| &point.answers).any(|answer| answer.requests > 0)
}

/// The rows of all points: medians, and the largest value where that tells more.
pub(super) fn rows(report: &Report) -> Vec<CheckRow> {
    let mut rows = vec![requests(report)];
    rows.extend(report.points.iter().flat_map(point_rows));
    rows
}

/// Why some of them are unknown, by model.
pub(super) fn reasons(report: &Report) -> Vec<String> {
    let mut reasons = Vec::new();
    for point in &report.points {
        let unknown: Vec<(&str, String)> = point
            .answers
            .iter()
            .filter_map(|answer| match &answer.finding {
                CheckResult::Unknown(why) => Some((answer.model.as_str(), missing::of_point(why))),
                CheckResult::Known(_) => None,
            })
            .collect();
        let topic = label(point.topic);
        match unknown.as_slice() {
            [(_, first), rest @ ..]
                if unknown.len() == point.answers.len() && rest.iter().all(|(_, why)| why == first) =>
            {
                reasons.push(format!("{topic}: {first}."));
            }
            some => {
                reasons.extend(some.iter().map(|(model, why)| format!("{topic} of {model}: {why}.")));
            }
        }
    }
    reasons
}

fn requests(report: &Report) -> CheckRow {
    let answers = report.points.first().map(|point| point.answers.as_slice()).unwrap_or_default();
    let cells = answers.iter().map(|answer| answer.requests.to_string()).collect();
    CheckRow { label: "requests", cells }
}

fn point_rows(point: &Check) -> Vec<CheckRow> {
    labels(point.topic)
        .iter()
        .map(|&(name, label)| {
            let cell = |finding: &CheckResult| match finding {
                CheckResult::Known(figures) => {
                    let figure = figures.iter().find(|figure| figure.name == name);
                    figure.map_or_else(|| UNKNOWN.to_owned(), shown)
                }
                CheckResult::Unknown(_) => UNKNOWN.to_owned(),
            };
            CheckRow { label, cells: point.answers.iter().map(|answer| cell(&answer.finding)).collect() }
        })
        .collect()
}

fn shown(figure: &Figure) -> String {
    let Some(stats) = figure.stats else { return UNKNOWN.to_owned() };
    let median = units::show(stats.p50, figure.unit);
    if figure.name == "keepalives" && stats.max > stats.p50 {
        return format!("{median} (most {})", units::show(stats.max, figure.unit));
    }
    median
}

fn label(topic: CheckKind) -> &'static str {
    match topic {
        CheckKind::Keepalives => "1. Keepalives",
        CheckKind::TokensPerSecondDirect => "2. Tokens/s, direct",
        CheckKind::TokensPerSecondThroughAnyclaude => "3. Tokens/s through anyclaude",
        CheckKind::PromptSizes => "4. Prompt size",
        CheckKind::ChunkCounts => "5. Chunk counts",
    }
}

/// The rows of a point: a figure's name and what it is called.
fn labels(topic: CheckKind) -> &'static [(&'static str, &'static str)] {
    match topic {
        CheckKind::Keepalives => &[("keepalives", "1. Keepalives")],
        CheckKind::TokensPerSecondDirect => &[("output_tokens_per_second", "2. Tokens/s, direct")],
        CheckKind::TokensPerSecondThroughAnyclaude => {
            &[("reported_tokens_per_second", "3. Tokens/s through anyclaude")]
        }
        CheckKind::PromptSizes => &[
            ("body_bytes", "4. Prompt size"),
            ("prompt_tokens", "4. … in tokens"),
            ("system_chars", "4. … system text"),
            ("tool_count", "4. … tools"),
            ("tools_bytes", "4. … size of the tools"),
            ("message_count", "4. … messages"),
            ("messages_bytes", "4. … size of the messages"),
        ],
        CheckKind::ChunkCounts => &[("events", "5. Chunk counts: events"), ("parts", "5. … parts")],
    }
}
