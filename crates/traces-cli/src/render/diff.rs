//! The page of `traces diff`.

use anyclaude_traces::content::ParameterValue;
use anyclaude_traces::diff::{Diff, MeasureChange, SideName};
use anyclaude_traces::measure::{Unit, Value};

use super::page::Page;
use super::table::{Grid, number, text};
use super::units;

/// How many tools are named.
const MOST_ROWS: usize = 12;

pub(crate) fn page(diff: &Diff) -> Page {
    let mut page = Page::default();
    page.line(side("LEFT ", &diff.left));
    page.line(side("RIGHT", &diff.right));
    page.table(measures(&diff.measures));
    page.table(tools(diff));
    page.line(tool_count(diff));
    page.line(system(diff));
    if let Some(messages) = diff.messages {
        page.line(format!(
            "Messages: {} in common, then {} on the left and {} on the right.",
            messages.common, messages.left_only, messages.right_only
        ));
    }
    page.table(parameters(diff));
    if let Some(text) = &diff.text {
        page.block(format!("{}{}", text.system, text.tools));
    }
    page
}

fn side(label: &str, side: &SideName) -> String {
    let model = side.model.as_ref().filter(|model| !side.selector.contains(&***model));
    let model = model.map_or_else(String::new, |model| format!(" · {model}"));
    let medians = if side.requests > 1 { ", medians" } else { "" };
    format!("{label} {}{model} · {}{medians}", side.selector, units::count(side.requests, "request"))
}

fn measures(changes: &[MeasureChange]) -> Grid {
    let columns =
        [text("MEASURE", 0), number("LEFT", 0), number("RIGHT", 0), number("DELTA", 0), number("RATIO", 1)];
    let mut grid = Grid::new(columns);
    for change in changes.iter().filter(|change| change.left.is_some() || change.right.is_some()) {
        let unit = change.name.unit();
        grid.row([
            change.name.name().to_owned(),
            units::maybe(change.left, unit),
            units::maybe(change.right, unit),
            change.delta.map_or_else(|| units::UNKNOWN.to_owned(), |delta| units::delta(delta, unit)),
            change.ratio.map_or_else(|| units::UNKNOWN.to_owned(), |ratio| format!("{ratio:.2}×")),
        ]);
    }
    grid
}

/// The tools that differ, those that weigh most first.
fn tools(diff: &Diff) -> Grid {
    let mut grid =
        Grid::new([text("TOOLS", 0), text("", 0), number("LEFT", 1), number("RIGHT", 1), number("DELTA", 0)]);
    let tools = &diff.tools;
    let added = tools.added.iter().map(|tool| (&tool.name, "added", None, Some(tool.bytes)));
    let removed = tools.removed.iter().map(|tool| (&tool.name, "removed", Some(tool.bytes), None));
    let changed = tools.changed.iter().map(|tool| (&tool.name, "changed", Some(tool.left), Some(tool.right)));
    let whole = |bytes: Option<u64>| i64::try_from(bytes.unwrap_or(0)).unwrap_or(i64::MAX);
    let mut rows: Vec<_> = added.chain(removed).chain(changed).collect();
    rows.sort_by_key(|(name, _, left, right)| {
        (std::cmp::Reverse((whole(*right) - whole(*left)).abs()), *name)
    });
    for (name, what, left, right) in rows.iter().take(MOST_ROWS) {
        let size = |bytes: &Option<u64>| bytes.map_or_else(String::new, units::bytes);
        grid.row([
            name.as_deref().unwrap_or("(unnamed)").to_owned(),
            (*what).to_owned(),
            size(left),
            size(right),
            units::delta(Value::Whole(whole(*right) - whole(*left)), Unit::Bytes),
        ]);
    }
    if let Some(more) = rows.len().checked_sub(MOST_ROWS).filter(|more| *more > 0) {
        let rest = ["", "", "", ""].map(str::to_owned);
        grid.row(std::iter::once(format!("and {more} more")).chain(rest));
    }
    grid
}

fn tool_count(diff: &Diff) -> String {
    let tools = &diff.tools;
    let counts =
        [("added", tools.added.len()), ("removed", tools.removed.len()), ("changed", tools.changed.len())];
    let mut parts: Vec<String> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} {what}")).collect();
    parts.push(format!("{} the same", tools.unchanged_count));
    format!("Tools: {}.", parts.join(", "))
}

fn system(diff: &Diff) -> String {
    let system = diff.system;
    if system.equal {
        return format!("System prompt: the same, {} characters.", system.left_chars);
    }
    let more = if diff.text.is_some() { "" } else { " (--text shows how)" };
    format!(
        "System prompt: differs, {} characters on the left and {} on the right{more}.",
        system.left_chars, system.right_chars
    )
}

fn parameters(diff: &Diff) -> Grid {
    let mut grid = Grid::new([text("PARAMETER", 0), text("LEFT", 0), text("RIGHT", 0)]);
    for change in &diff.parameters {
        grid.row([change.name.clone(), value(change.left.as_ref()), value(change.right.as_ref())]);
    }
    grid
}

/// A parameter's value, or the size of it.
pub(crate) fn value(value: Option<&ParameterValue>) -> String {
    match value {
        None => "(none)".to_owned(),
        Some(ParameterValue::Json(json)) => json.get().to_owned(),
        Some(ParameterValue::Large { bytes }) => format!("({})", units::bytes(*bytes)),
        Some(_) => units::UNKNOWN.to_owned(),
    }
}
