//! Rows and columns, fitted to a width.

use std::borrow::Cow;

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Padding, Style};
use unicode_width::UnicodeWidthStr as _;

use super::plain;

/// A column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) title: Cow<'static, str>,
    pub(crate) align: Align,
    /// Which columns go first when there is no room: the largest number; 0 stays.
    pub(crate) drop: u8,
}

/// Where a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A column of text.
pub(crate) fn text(title: impl Into<Cow<'static, str>>, drop: u8) -> Column {
    Column { title: title.into(), align: Align::Left, drop }
}

/// A column of numbers.
pub(crate) fn number(title: impl Into<Cow<'static, str>>, drop: u8) -> Column {
    Column { title: title.into(), align: Align::Right, drop }
}

/// Rows under headings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

/// The space between columns.
const GUTTER: usize = 2;
/// Text is cut to this before a column is dropped, …
const COMFORTABLE: usize = 20;
/// … and never shorter than this.
const SHORTEST: usize = 8;

impl Grid {
    /// A table under these headings; their text is made safe here.
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        let safe =
            |column: Column| Column { title: plain::line(&column.title).into_owned().into(), ..column };
        Self { columns: columns.into().into_iter().map(safe).collect(), rows: Vec::new() }
    }

    /// Adds a row; its text is made safe here.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| plain::line(&cell).into_owned()).collect());
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Leaves out the columns in which every cell is one of these.
    pub(crate) fn without_empty(mut self, empty: &[&str]) -> Self {
        let is_empty =
            |at: usize| self.rows.iter().all(|row| row.get(at).is_none_or(|c| empty.contains(&c.as_str())));
        for at in (0..self.columns.len()).rev().filter(|&at| is_empty(at)).collect::<Vec<_>>() {
            self.remove(at);
        }
        self
    }

    /// Drops columns and cuts text until a row is no wider than this. Text is cut
    /// before a column goes, as long as enough of it is left to be known again.
    pub(crate) fn fit(mut self, width: usize) -> Self {
        while self.width_with(COMFORTABLE) > width {
            let droppable = self.columns.iter().enumerate().filter(|(_, column)| column.drop > 0);
            let Some((last, _)) = droppable.max_by_key(|(_, column)| column.drop) else { break };
            self.remove(last);
        }
        while let Some((at, room)) = self.next_cut(width) {
            for cell in self.rows.iter_mut().filter_map(|row| row.get_mut(at)) {
                *cell = shorten(cell, room);
            }
        }
        self
    }

    /// The widest column of text that can be cut, and how much of it stays: no
    /// less than the next one has, so that both give way together.
    fn next_cut(&self, width: usize) -> Option<(usize, usize)> {
        let excess = self.width_with(usize::MAX).checked_sub(width).filter(|excess| *excess > 0)?;
        let least = |column: &Column| column.title.width().max(SHORTEST);
        let text = self.columns.iter().enumerate().filter(|(_, column)| column.align == Align::Left);
        let mut widths: Vec<(usize, usize, usize)> = text
            .map(|(at, column)| (self.column_width(at), least(column), at))
            .filter(|(width, least, _)| width > least)
            .collect();
        widths.sort_unstable();
        let (widest, least, at) = widths.pop()?;
        let next = widths.last().map_or(0, |(width, ..)| *width).min(widest - 1);
        Some((at, widest.saturating_sub(excess).max(next).max(least)))
    }

    /// The width of a row whose text is cut to this.
    fn width_with(&self, text: usize) -> usize {
        let width = |(at, column): (usize, &Column)| match column.align {
            Align::Left => self.column_width(at).min(text.max(column.title.width())),
            Align::Right => self.column_width(at),
        };
        let widths: usize = self.columns.iter().enumerate().map(width).sum();
        widths + GUTTER * self.columns.len().saturating_sub(1)
    }

    /// The table as lines; `heading` dresses the headings.
    pub(crate) fn lines(&self, heading: impl Fn(&str) -> String) -> Vec<String> {
        let mut builder = Builder::default();
        builder.push_record(self.columns.iter().map(|column| heading(&column.title)));
        self.rows.iter().for_each(|row| builder.push_record(row.iter().cloned()));
        let mut table = builder.build();
        table.with(Style::empty()).with(Padding::new(0, GUTTER, 0, 0));
        for (at, column) in self.columns.iter().enumerate() {
            let align = if column.align == Align::Left { Alignment::left() } else { Alignment::right() };
            table.modify(Columns::one(at), align);
        }
        table.to_string().lines().map(|line| line.trim_end().to_owned()).collect()
    }

    fn remove(&mut self, at: usize) {
        self.columns.remove(at);
        self.rows.iter_mut().filter(|row| at < row.len()).for_each(|row| drop(row.remove(at)));
    }

    fn column_width(&self, at: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.width());
        let title = self.columns.get(at).map_or(0, |column| column.title.width());
        cells.max().unwrap_or(0).max(title)
    }
}

/// Cuts the middle out of a text that is wider than `room`.
pub(crate) fn shorten(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let tail_room = room.saturating_sub(1) / 2;
    let head = take_width(text.chars(), room.saturating_sub(1) - tail_room);
    let tail: Vec<char> = take_width(text.chars().rev(), tail_room).chars().collect();
    head + "…" + &tail.into_iter().rev().collect::<String>()
}

fn take_width(chars: impl Iterator<Item = char>, room: usize) -> String {
    let mut taken = String::new();
    for c in chars {
        taken.push(c);
        if taken.width() > room {
            taken.pop();
            break;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid =
            Grid::new([text("MODEL", 0), number("REQS", 0), number("BODY", 2), number("TOOLS", 1)]);
        grid.row(["openai/gpt-oss-20b", "17", "73.8 kB", "17"].map(str::to_owned));
        grid.row(["日本語モデル", "7", "1.0 kB", "3"].map(str::to_owned));
        grid
    }

    fn widest(lines: &[String]) -> usize {
        lines.iter().map(|line| line.width()).max().unwrap()
    }

    #[test]
    fn numbers_line_up_on_the_right() {
        let lines = grid().lines(str::to_owned);
        assert_eq!(lines[0], "MODEL               REQS     BODY  TOOLS");
        assert_eq!(lines[1], "openai/gpt-oss-20b    17  73.8 kB     17");
        assert_eq!(lines[2], "日本語モデル           7   1.0 kB      3");
    }

    #[test]
    fn columns_go_by_importance_and_then_text_is_cut() {
        assert_eq!(
            grid().fit(35).columns().iter().map(|c| c.title.as_ref()).collect::<Vec<_>>(),
            ["MODEL", "REQS", "TOOLS"]
        );
        for width in 16..60 {
            assert!(widest(&grid().fit(width).lines(str::to_owned)) <= width, "{width}");
        }
    }

    #[test]
    fn the_middle_goes_first() {
        assert_eq!(shorten("qwen3-42b-a3b-2507-thinking", 11), "qwen3…nking");
        assert_eq!(shorten("short", 11), "short");
    }
}
