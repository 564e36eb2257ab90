//! Rows and columns, fitted to a width.

use std::borrow::Cow;
use std::io::{self, Write};
use std::rc::Rc;

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

/// Rows under headings. A list may have a hundred thousand rows, so that cells
/// are kept once, one behind the other, and cut only when printed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grid {
    columns: Vec<Shown>,
    body: Rc<Body>,
}

/// A column that is shown.
#[derive(Debug, Clone)]
struct Shown {
    column: Column,
    /// Which of a row's cells it shows.
    cell: usize,
    /// What its widest cell takes, or its title.
    width: usize,
}

#[derive(Debug, Clone, Default)]
struct Body {
    /// How many cells a row has, whatever is shown of it.
    cells: usize,
    text: String,
    /// Where each row begins in the text.
    starts: Vec<usize>,
    /// How long each cell is, row after row. A cell is made of what one file says,
    /// and so shorter than 4 GB.
    lengths: Vec<u32>,
}

impl Body {
    fn begin_row(&mut self) {
        self.starts.push(self.text.len());
    }

    fn push(&mut self, cell: &str) {
        self.text.push_str(cell);
        self.lengths.push(u32::try_from(cell.len()).unwrap_or(u32::MAX));
    }

    fn cell(&self, row: usize, cell: usize) -> &str {
        let first = row * self.cells;
        let lengths = self.lengths.get(first..=first + cell).unwrap_or_default();
        let (before, length) = match lengths.split_last() {
            Some((last, before)) => (before.iter().map(|length| *length as usize).sum(), *last as usize),
            None => (0, 0),
        };
        let start = self.starts.get(row).map_or(0, |start| start + before);
        self.text.get(start..start + length).unwrap_or_default()
    }

    fn rows(&self) -> std::ops::Range<usize> {
        0..self.starts.len()
    }
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
        let shown = |(cell, column): (usize, Column)| {
            let title = plain::line(&column.title).into_owned();
            Shown { cell, width: title.width(), column: Column { title: title.into(), ..column } }
        };
        let columns: Vec<Shown> = columns.into().into_iter().enumerate().map(shown).collect();
        let body = Body { cells: columns.len(), ..Body::default() };
        Self { columns, body: Rc::new(body) }
    }

    /// Adds a row with a cell for each column; its text is made safe here.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let body = Rc::make_mut(&mut self.body);
        body.begin_row();
        let mut cells = cells.into_iter();
        for shown in &mut self.columns {
            let cell = cells.next().unwrap_or_default();
            let cell = plain::line(&cell);
            shown.width = shown.width.max(cell.width());
            body.push(&cell);
        }
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().map(|shown| &shown.column)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.body.starts.is_empty()
    }

    /// The cells that are shown, row by row, at full length.
    pub(crate) fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = &str>> {
        let cells = move |row| self.columns.iter().map(move |shown| self.body.cell(row, shown.cell));
        self.body.rows().map(cells)
    }

    /// Leaves out the columns in which every cell is one of these.
    pub(crate) fn without_empty(mut self, empty: &[&str]) -> Self {
        let body = &self.body;
        let is_empty = |row, shown: &Shown| empty.contains(&body.cell(row, shown.cell));
        self.columns.retain(|shown| !body.rows().all(|row| is_empty(row, shown)));
        self
    }

    /// Drops columns and cuts text until a row is no wider than this. Text is cut
    /// before a column goes, as long as enough of it is left to be known again.
    pub(crate) fn fit(mut self, width: usize) -> Self {
        while self.width_with(COMFORTABLE) > width {
            let droppable = self.columns.iter().enumerate().filter(|(_, shown)| shown.column.drop > 0);
            let Some((last, _)) = droppable.max_by_key(|(_, shown)| shown.column.drop) else { break };
            self.columns.remove(last);
        }
        while let Some((at, room)) = self.next_cut(width) {
            if let Some(shown) = self.columns.get_mut(at) {
                shown.width = room;
            }
        }
        self
    }

    /// The widest column of text that can be cut, and how much of it stays: no
    /// less than the next one has, so that both give way together.
    fn next_cut(&self, width: usize) -> Option<(usize, usize)> {
        let excess = self.width_with(usize::MAX).checked_sub(width).filter(|excess| *excess > 0)?;
        let least = |shown: &Shown| shown.column.title.width().max(SHORTEST);
        let text = self.columns.iter().enumerate().filter(|(_, shown)| shown.column.align == Align::Left);
        let mut widths: Vec<(usize, usize, usize)> = text
            .map(|(at, shown)| (shown.width, least(shown), at))
            .filter(|(width, least, _)| width > least)
            .collect();
        widths.sort_unstable();
        let (widest, least, at) = widths.pop()?;
        let next = widths.last().map_or(0, |(width, ..)| *width).min(widest - 1);
        Some((at, widest.saturating_sub(excess).max(next).max(least)))
    }

    /// The width of a row whose text is cut to this.
    fn width_with(&self, text: usize) -> usize {
        let width = |shown: &Shown| match shown.column.align {
            Align::Left => shown.width.min(text.max(shown.column.title.width())),
            Align::Right => shown.width,
        };
        let widths: usize = self.columns.iter().map(width).sum();
        widths + GUTTER * self.columns.len().saturating_sub(1)
    }

    /// Prints the table; `heading` dresses the headings.
    pub(crate) fn print(&self, out: &mut impl Write, heading: impl Fn(&str) -> String) -> io::Result<()> {
        let titles = self.columns.iter().map(|shown| shown.column.title.as_ref());
        let titles = titles.map(|title| (title.width(), heading(title).into()));
        self.print_row(out, titles)?;
        for cells in self.rows() {
            let cut = cells.zip(&self.columns).map(|(cell, shown)| cut(cell, shown.width));
            self.print_row(out, cut.map(|cell| (cell.width(), cell)))?;
        }
        Ok(())
    }

    /// Prints cells, each with its width, for colours take none. Nothing blank ends
    /// a row.
    fn print_row<'c>(
        &self,
        out: &mut impl Write,
        cells: impl Iterator<Item = (usize, Cow<'c, str>)>,
    ) -> io::Result<()> {
        let mut blank = 0;
        for ((width, cell), shown) in cells.zip(&self.columns) {
            let spare = shown.width.saturating_sub(width);
            if shown.column.align == Align::Right {
                blank += spare;
            }
            if !cell.is_empty() {
                write!(out, "{:blank$}{cell}", "")?;
                blank = 0;
            }
            if shown.column.align == Align::Left {
                blank += spare;
            }
            blank += GUTTER;
        }
        writeln!(out)
    }
}

/// Cuts the middle out of a text that is wider than `room`.
pub(crate) fn shorten(text: &str, room: usize) -> String {
    cut(text, room).into_owned()
}

fn cut(text: &str, room: usize) -> Cow<'_, str> {
    if text.width() <= room {
        return Cow::Borrowed(text);
    }
    let tail_room = room.saturating_sub(1) / 2;
    let head = take_width(text.chars(), room.saturating_sub(1) - tail_room);
    let tail: Vec<char> = take_width(text.chars().rev(), tail_room).chars().collect();
    Cow::Owned(head + "…" + &tail.into_iter().rev().collect::<String>())
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

    fn lines(grid: &Grid) -> Vec<String> {
        let mut out = Vec::new();
        grid.print(&mut out, str::to_owned).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    fn widest(lines: &[String]) -> usize {
        lines.iter().map(|line| line.width()).max().unwrap()
    }

    #[test]
    fn numbers_line_up_on_the_right() {
        let lines = lines(&grid());
        assert_eq!(lines[0], "MODEL               REQS     BODY  TOOLS");
        assert_eq!(lines[1], "openai/gpt-oss-20b    17  73.8 kB     17");
        assert_eq!(lines[2], "日本語モデル           7   1.0 kB      3");
    }

    #[test]
    fn columns_go_by_importance_and_then_text_is_cut() {
        assert_eq!(
            grid().fit(35).columns().map(|column| column.title.as_ref()).collect::<Vec<_>>(),
            ["MODEL", "REQS", "TOOLS"]
        );
        for width in 16..60 {
            assert!(widest(&lines(&grid().fit(width))) <= width, "{width}");
        }
    }

    #[test]
    fn the_middle_goes_first() {
        assert_eq!(shorten("qwen3-42b-a3b-2507-thinking", 11), "qwen3…nking");
        assert_eq!(shorten("short", 11), "short");
    }
}
