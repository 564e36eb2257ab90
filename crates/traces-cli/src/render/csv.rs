//! CSV. Headings are the names of the JSON, nested ones with a dot.

use std::io::Write;

use anyclaude_traces::analysis::diff::MeasureChange;
use anyclaude_traces::model::group::Group;
use anyclaude_traces::model::measure::Measure;
use anyclaude_traces::select::member;
use serde::Serialize;
use serde_json::Value;

use super::columns::Columns;
use super::sanitize;

/// The members of a request.
pub(crate) const REQUEST: &[&str] = &[
    "path",
    "paths",
    "id",
    "source",
    "api",
    "timestamp",
    "timestamp_source",
    "mode",
    "kind",
    "session",
    "thread",
    "run",
    "endpoint",
    "client_version",
    "agent",
    "parent_agent",
    "requested_model",
    "model",
    "model_source",
    "system_chars",
    "system_text_bytes",
    "system_blocks",
    "system_bytes",
    "tool_count",
    "tools_bytes",
    "message_count",
    "messages_bytes",
    "other_bytes",
    "body_bytes",
    "file_bytes",
    "body_redacted",
    "max_tokens",
    "stream",
    "tokens.system",
    "tokens.tools",
    "tokens.messages",
    "tokens.total",
    "tokens.method",
    "timing.start",
    "timing.proxy_ms",
    "timing.ttft_ms",
    "timing.ttft_source",
    "timing.generation_ms",
    "timing.total_ms",
    "timing.wall_ms",
    "timing.keepalives",
    "timing.events",
    "timing.event_bytes",
    "timing.parts",
    "timing.prompt_tokens",
    "timing.prompt_tokens_source",
    "timing.output_tokens",
    "timing.output_tokens_source",
    "timing.reported_tokens_per_second",
    "timing.prefill_tokens_per_second",
    "timing.outcome",
    "timing.error",
    "timing.load_ms",
    "timing.queue_ms",
    "timing.read_ms",
    "timing.write_ms",
    "timing.stall_ms",
    "timing.other_ms",
    "timing.cached_tokens",
    "timing.cached_source",
    "timing.read_tokens",
    "timing.needed_tokens",
    "timing.again_tokens",
    "timing.uncertainty_ms",
    "join.log",
    "join.gap_ms",
    "join.confidence",
    "server_join.log",
    "server_join.gap_ms",
    "server_join.confidence",
    "response.status",
    "response.input_tokens",
    "response.output_tokens",
    "response.cache_creation_tokens",
    "response.cache_read_tokens",
    "response.stop_reason",
    "response.tool_calls",
];

/// The members of a request that only a log has.
pub(crate) const LOGGED: &[&str] = &[
    "run",
    "log",
    "endpoint",
    "requested_model",
    "model",
    "model_source",
    "tool_count",
    "message_count",
    "max_tokens",
    "stream",
    "start",
    "proxy_ms",
    "ttft_ms",
    "ttft_source",
    "generation_ms",
    "total_ms",
    "wall_ms",
    "keepalives",
    "events",
    "event_bytes",
    "parts",
    "prompt_tokens",
    "prompt_tokens_source",
    "output_tokens",
    "output_tokens_source",
    "reported_tokens_per_second",
    "prefill_tokens_per_second",
    "outcome",
    "error",
    "load_ms",
    "queue_ms",
    "read_ms",
    "write_ms",
    "stall_ms",
    "other_ms",
    "cached_tokens",
    "cached_source",
    "read_tokens",
    "needed_tokens",
    "again_tokens",
    "uncertainty_ms",
    "confidence",
];

/// One row per request. `all` are the members of the rows.
pub(crate) fn requests(
    out: &mut impl Write,
    requests: &[impl Serialize],
    columns: &Columns,
    all: &[&str],
) -> anyhow::Result<()> {
    match columns.alone() {
        Some(columns) => table(out, columns, requests),
        None => table(out, all, requests),
    }
}

/// The members of a request that passed through a cache.
pub(crate) const PREFIX: &[&str] = &[
    "path",
    "id",
    "timestamp",
    "kind",
    "model",
    "session",
    "thread",
    "prompt_bytes",
    "reusable_bytes",
    "reusable_bytes_one_slot",
    "reused_from",
    "break.element",
    "break.cause",
    "break.common_bytes",
    "break.volatile",
    "break.tools.added",
    "break.tools.removed",
    "break.tools.changed",
    "break.tools.reordered",
    "break.lost_bytes",
    "break.lost_tokens",
    "break.lost_ms",
    "break.evicted_by",
    "break.was",
    "break.now",
    "lost_bytes",
    "lost_tokens",
    "cached_tokens",
    "cached_source",
    "new_tokens",
    "ttft_ms",
    "expected_ttft_ms",
];

/// The members of a group, before its measures.
const GROUP: &[&str] = &[
    "name",
    "requests",
    "time.requests",
    "time.proxy_ms",
    "time.load_ms",
    "time.queue_ms",
    "time.read_ms",
    "time.write_ms",
    "time.stall_ms",
    "time.other_ms",
    "time.wall_ms",
    "speeds.read_tokens_per_second",
    "speeds.write_tokens_per_second",
    "speeds.cache",
    "speeds.n_read",
    "speeds.n_write",
    "speeds.spread",
    "speeds.source",
];

/// One row per group.
pub(crate) fn groups(out: &mut impl Write, groups: &[Group]) -> anyhow::Result<()> {
    let spread = ["n", "min", "p50", "p90", "p95", "p99", "max"];
    let of_measure = |measure: &str| spread.map(|rank| format!("{measure}.{rank}"));
    let measures = Group::MEASURES.into_iter().map(Measure::name).chain(["answered_wall_ms"]);
    let names = GROUP.iter().map(|name| (*name).to_owned());
    let columns: Vec<String> = names.chain(measures.flat_map(of_measure)).collect();
    table(out, &columns, groups)
}

/// One row per measure.
pub(crate) fn measures(out: &mut impl Write, measures: &[MeasureChange]) -> anyhow::Result<()> {
    table(out, &["name", "left", "right", "delta", "ratio"], measures)
}

fn table(out: &mut impl Write, columns: &[impl AsRef<str>], rows: &[impl Serialize]) -> anyhow::Result<()> {
    let mut writer = ::csv::Writer::from_writer(out);
    writer.write_record(columns.iter().map(AsRef::as_ref))?;
    for row in rows {
        let row = serde_json::to_value(row)?;
        writer.write_record(columns.iter().map(|column| field(&row, column.as_ref())))?;
    }
    Ok(writer.flush()?)
}

fn field(row: &Value, dotted: &str) -> String {
    match member(row, dotted) {
        Some(value @ (Value::String(_) | Value::Array(_))) => text(&cell(value)),
        Some(value) => cell(value),
        None => String::new(),
    }
}

/// Text that no spreadsheet takes for a formula: a quote before it makes it text. Blanks
/// before the sign do not help, as some programs leave them out.
fn text(text: &str) -> String {
    let text = sanitize::block(text);
    let is_formula = text.trim_start().starts_with(['=', '+', '-', '@']);
    if is_formula { format!("'{text}") } else { text.into_owned() }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(";"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_would_be_a_formula_is_quoted_and_numbers_are_not() {
        let row = serde_json::json!({
            "a": "=1+1", "b": "+1", "c": "-1", "d": "@x", "e": "\t=1", "f": "\r\n=1", "g": ["=1", "x"],
            "h": -1, "i": "a=1", "j": null, "k": "\u{202e}\u{0}=1", "l": " -x",
        });
        for (name, cell) in [
            ("a", "'=1+1"),
            ("b", "'+1"),
            ("c", "'-1"),
            ("d", "'@x"),
            ("e", "'\t=1"),
            ("f", "'\n=1"),
            ("g", "'=1;x"),
            ("h", "-1"),
            ("i", "a=1"),
            ("j", ""),
            ("k", "'=1"),
            ("l", "' -x"),
            ("none", ""),
        ] {
            assert_eq!(field(&row, name), cell, "{name}");
        }
    }
}
