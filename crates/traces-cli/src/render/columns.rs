//! The columns of a table of rows: the usual ones, others that are asked for, or both.

use anyclaude_traces::model::measure::{Unit, Value};
use anyclaude_traces::select::{RowOrder, UnknownColumn, member};
use serde::Serialize;
use serde_json::Value as Json;

use super::table::{Column, Grid, number, text};
use super::units::{self, UNKNOWN};
use super::{sanitize, select_error};
use crate::cli::{RowArgs, find_column};

/// What is asked of the columns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Columns {
    names: Vec<&'static str>,
    /// Whether they stand beside the usual ones.
    adds: bool,
    /// What the rows are sorted by, where that is a column.
    sorted_by: Option<&'static str>,
}

/// What a table shows of its rows without being asked.
pub(crate) struct Usual<'n, Cells> {
    pub(crate) columns: Vec<Column>,
    /// The names of the columns that need not be added where rows are sorted by them.
    pub(crate) shown: &'n [&'n str],
    /// What the columns hold of a row.
    pub(crate) cells: Cells,
    /// Columns of nothing but these are left out.
    pub(crate) empty: &'n [&'n str],
}

impl Columns {
    /// The columns that the arguments name.
    pub(crate) fn of(args: &RowArgs, order: &RowOrder, known: &[&'static str]) -> anyhow::Result<Self> {
        let adds = args.columns.first().is_none_or(|name| name.starts_with('+'));
        let names = args.columns.iter().map(|name| find_column(name.trim_start_matches('+').trim(), known));
        let names = names.collect::<anyhow::Result<Vec<_>>>()?;
        let sorted_by =
            order.sort.as_deref().and_then(|sort| known.iter().copied().find(|name| *name == sort));
        Ok(Self { names, adds, sorted_by })
    }

    /// Those that are asked for alone, if they stand for all.
    pub(crate) fn alone(&self) -> Option<&[&'static str]> {
        (!self.adds).then_some(&self.names)
    }

    /// A table of these rows. What is sorted by stands beside the usual columns too, unless it is
    /// shown there.
    pub(crate) fn grid<'r, T: Serialize + 'r, Row: IntoIterator<Item: AsRef<str>>>(
        &self,
        rows: impl IntoIterator<Item = &'r T>,
        usual: Usual<'_, impl Fn(&'r T) -> Row>,
    ) -> Grid {
        let is_shown = |name: &&str| usual.shown.iter().any(|shown| is_column(shown, name));
        let sorted_by = self.sorted_by.filter(|name| self.adds && !self.names.contains(name));
        let sorted_by = sorted_by.filter(|name| !is_shown(name));
        let names: Vec<&str> = self.names.iter().copied().chain(sorted_by).collect();
        if names.is_empty() {
            let mut grid = Grid::new(usual.columns);
            rows.into_iter().for_each(|row| grid.row((usual.cells)(row)));
            return grid.without_empty(usual.empty);
        }
        let own = names.iter().map(|name| heading(name));
        let columns: Vec<Column> =
            if self.adds { usual.columns.into_iter().chain(own).collect() } else { own.collect() };
        let mut grid = Grid::new(columns);
        for row in rows {
            let json = serde_json::to_value(row).unwrap_or_default();
            let own = names.iter().map(|name| cell(member(&json, name), name));
            let usual = self.adds.then(|| (usual.cells)(row)).into_iter().flatten();
            let usual = usual.map(|cell| cell.as_ref().to_owned());
            grid.row(usual.chain(own));
        }
        if self.adds { grid.without_empty(usual.empty) } else { grid }
    }
}

/// Whether the name is that of the column; the times of what only a log has stand without `timing`.
fn is_column(column: &str, name: &str) -> bool {
    column == name || column.strip_prefix("timing.") == Some(name)
}

/// What stands above a column: its own name, without the way to it.
fn heading(name: &str) -> Column {
    let last = name.rsplit('.').next().unwrap_or(name);
    let title = if name.starts_with("timing.") || !name.contains('.') { last } else { name };
    let title = title.to_uppercase();
    if unit(name).is_some() { number(title, 0) } else { text(title, 0) }
}

/// The unit of a figure, by its name.
fn unit(name: &str) -> Option<Unit> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let ends = |ends: &[&str]| ends.iter().any(|end| last.ends_with(end));
    Some(match last {
        _ if name.starts_with("tokens.") && last != "method" => Unit::Tokens,
        "again_tokens" => Unit::Count,
        _ if ends(&["_ms"]) => Unit::Ms,
        _ if ends(&["_bytes", "_bytes_one_slot"]) => Unit::Bytes,
        _ if ends(&["_chars"]) => Unit::Chars,
        _ if ends(&["_tokens"]) => Unit::Tokens,
        _ if ends(&["_per_second"]) => Unit::PerSecond,
        "system_blocks" | "tool_count" | "message_count" | "keepalives" | "events" | "parts" | "status"
        | "tool_calls" => Unit::Count,
        _ => return None,
    })
}

fn cell(value: Option<&Json>, name: &str) -> String {
    match value {
        None | Some(Json::Null) => UNKNOWN.to_owned(),
        Some(Json::Number(figure)) => match (unit(name), figure.as_f64()) {
            (Some(unit), Some(figure)) => units::show(Value::Rate(figure), unit),
            _ => figure.to_string(),
        },
        Some(Json::String(text)) => match (is_time(name), text.parse()) {
            (true, Ok(stamp)) => units::stamp(Some(stamp)),
            _ => text.clone(),
        },
        Some(Json::Bool(is_so)) => if *is_so { "yes" } else { "no" }.to_owned(),
        Some(Json::Array(items)) => {
            items.iter().map(|item| cell(Some(item), name)).collect::<Vec<_>>().join(", ")
        }
        Some(object) => object.to_string(),
    }
}

fn is_time(name: &str) -> bool {
    matches!(name, "timestamp" | "timing.start" | "start")
}

/// What is shown of how many rows, where that is not all of them in their usual order.
pub(crate) fn order_line(order: &RowOrder, shown: usize, all: usize) -> Option<String> {
    let by = order.sort.as_deref().map(|sort| format!(", by {}", sort.rsplit('.').next().unwrap_or(sort)));
    let by = by.unwrap_or_default();
    (shown < all).then(|| format!("The first {shown} of {all} rows{by}."))
}

/// A column that there is not, and which it may be.
pub(crate) fn unknown(unknown: &UnknownColumn) -> String {
    // Names are written without the way to them, where that is clear.
    let known = unknown.known.iter().map(|name| name.strip_prefix("timing.").unwrap_or(name));
    let meant = select_error::nearest_of(&unknown.name, known);
    let meant = meant.map_or_else(String::new, |meant| format!(" Did you mean `{meant}`?"));
    let name = sanitize::line(&unknown.name).into_owned();
    format!("there is no column `{name}`.{meant} The columns are {}", unknown.known.join(", "))
}
