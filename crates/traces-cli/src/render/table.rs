//! Tables: which columns fit a width and how far their text is cut; `tabled` draws
//! them.

mod draw;

use std::borrow::Cow;
use std::io::{self, Write};
use std::iter;

use anstyle::Style;
use tabled::grid::colors::NoColors;
use tabled::grid::util::string::get_char_width;
use tabled::grid::util::string::get_string_width;

use draw::{Emphasis, Headings, Layout, escape};

use super::sanitize;
use super::units::UNKNOWN;

/// How wide a text is on a terminal. The grid panics on a cell that is wider than its column,
/// so that every width here is taken by its own measure.
pub(crate) fn width_of(text: &str) -> usize {
    if sanitize::is_plain(text) {
        text.len()
    } else if text == UNKNOWN {
        // A third of the cells of a server's log without dates.
        1
    } else {
        get_string_width(text)
    }
}

/// A text that is safe to print, and its width.
fn sanitized(text: &str) -> (Cow<'_, str>, usize) {
    if sanitize::is_plain(text) {
        return (Cow::Borrowed(text), text.len());
    }
    let text = if text == UNKNOWN { Cow::Borrowed(text) } else { sanitize::line(text) };
    let width = width_of(&text);
    (text, width)
}

/// A column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) title: Cow<'static, str>,
    pub(crate) align: Align,
    /// The column with the largest number is left out first when there is no room; 0 is
    /// never left out.
    pub(crate) drop: u8,
}

/// How the cells of a column are aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
    /// On the left, and never cut: nobody can read the half of a time.
    Whole,
    /// The same: a bar that is cut tells another length.
    Bar,
    /// The same, of parts of a time, each of which has its colour.
    PartBar,
}

/// A column of text.
pub(crate) fn text(title: impl Into<Cow<'static, str>>, drop: u8) -> Column {
    Column { title: title.into(), align: Align::Left, drop }
}

/// A column of short texts that are never cut.
pub(crate) fn whole(title: impl Into<Cow<'static, str>>, drop: u8) -> Column {
    Column { title: title.into(), align: Align::Whole, drop }
}

/// A column of bars.
pub(crate) fn bars(title: impl Into<Cow<'static, str>>, drop: u8) -> Column {
    Column { title: title.into(), align: Align::Bar, drop }
}

/// A column of bars of parts of a time; their signs are coloured in the headings too.
pub(crate) fn part_bars(title: impl Into<Cow<'static, str>>, drop: u8) -> Column {
    Column { title: title.into(), align: Align::PartBar, drop }
}

/// A column of numbers.
pub(crate) fn number(title: impl Into<Cow<'static, str>>, drop: u8) -> Column {
    Column { title: title.into(), align: Align::Right, drop }
}

/// Rows under headings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grid {
    columns: Vec<ShownColumn>,
    body: CellTexts,
    /// The row that stands out.
    emphasized: Option<usize>,
}

/// A column that is shown.
#[derive(Debug, Clone)]
struct ShownColumn {
    column: Column,
    /// Which of a row's cells it shows.
    cell: usize,
    /// The width of its widest cell, or of its title.
    width: usize,
    /// The same without what is wider than [`WIDEST_PADDING`].
    usual_width: usize,
}

/// The text of all cells in one piece: a list may have a hundred thousand rows.
#[derive(Debug, Clone, Default)]
struct CellTexts {
    /// How many cells a row has, whether or not they are shown.
    cells: usize,
    text: String,
    /// Where each row begins in the text.
    starts: Vec<usize>,
    /// Where each cell ends, in bytes behind where its row begins, row after row.
    ends: Vec<u32>,
    /// The rows with a cell wider than [`WIDEST_PADDING`].
    wide_rows: Vec<usize>,
}

impl CellTexts {
    fn begin_row(&mut self) {
        self.starts.push(self.text.len());
    }

    fn push(&mut self, cell: &str) {
        let begin = self.starts.last().copied().unwrap_or(0);
        // No row is longer: it is a part of one file, and files of 4 GB are not read.
        if u32::try_from(self.text.len() - begin + cell.len()).is_ok() {
            self.text.push_str(cell);
        }
        self.ends.push(u32::try_from(self.text.len() - begin).unwrap_or(u32::MAX));
    }

    fn mark_wide(&mut self) {
        let row = self.starts.len().saturating_sub(1);
        if self.wide_rows.last() != Some(&row) {
            self.wide_rows.push(row);
        }
    }

    fn cell(&self, row: usize, cell: usize) -> &str {
        let end_of = |cell: usize| self.ends.get(row * self.cells + cell).map_or(0, |end| *end as usize);
        let start = self.starts.get(row).copied().unwrap_or(0);
        let before = cell.checked_sub(1).map_or(0, end_of);
        self.text.get(start + before..start + end_of(cell)).unwrap_or_default()
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
/// A wider cell does not make its column wider where nothing is cut: one name of a
/// million characters would add as many blanks to every row.
const WIDEST_PADDING: usize = 250;

impl Grid {
    /// A table under these headings; their text is sanitised here.
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        let shown = |(cell, column): (usize, Column)| {
            let title = sanitize::line(&column.title).into_owned();
            let width = width_of(&title);
            let usual_width = if width <= WIDEST_PADDING { width } else { 0 };
            ShownColumn { cell, width, usual_width, column: Column { title: title.into(), ..column } }
        };
        let columns: Vec<ShownColumn> = columns.into().into_iter().enumerate().map(shown).collect();
        let body = CellTexts { cells: columns.len(), ..CellTexts::default() };
        Self { columns, body, emphasized: None }
    }

    /// Adds a row with a cell for each column; its text is sanitised here.
    pub(crate) fn row<Cell: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.body.begin_row();
        let mut cells = cells.into_iter();
        for shown in &mut self.columns {
            let cell = cells.next();
            let (cell, width) = sanitized(cell.as_ref().map_or("", AsRef::as_ref));
            shown.width = shown.width.max(width);
            if width <= WIDEST_PADDING {
                shown.usual_width = shown.usual_width.max(width);
            } else {
                self.body.mark_wide();
            }
            self.body.push(&cell);
        }
    }

    /// Makes the row that was added last stand out, where headings do.
    pub(crate) fn emphasize_last(&mut self) {
        self.emphasized = self.body.rows().end.checked_sub(1);
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().map(|shown| &shown.column)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.body.starts.is_empty()
    }

    /// The cells that are shown, row by row, at full length.
    pub(crate) fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = &str>> {
        self.body.rows().map(|row| self.cells(row))
    }

    fn cells(&self, row: usize) -> impl Iterator<Item = &str> {
        self.columns.iter().map(move |shown| self.body.cell(row, shown.cell))
    }

    /// Leaves out the columns in which every cell is one of these.
    pub(crate) fn without_empty(mut self, empty: &[&str]) -> Self {
        let body = &self.body;
        let is_empty = |row, shown: &ShownColumn| empty.contains(&body.cell(row, shown.cell));
        self.columns.retain(|shown| !body.rows().all(|row| is_empty(row, shown)));
        self
    }

    /// Prints the table: cut to this width, or whole. The style is that of the headings.
    pub(crate) fn print(
        &self,
        out: &mut impl Write,
        width: Option<usize>,
        heading: Option<Style>,
    ) -> io::Result<()> {
        match width {
            Some(width) => self.print_cut(out, width, heading),
            None => self.print_whole(out, heading),
        }
    }

    fn print_cut(&self, out: &mut impl Write, width: usize, heading: Option<Style>) -> io::Result<()> {
        let columns = fit(self.columns.clone(), width);
        let mut layout = Layout::new(columns.iter().map(|shown| (shown.column.align, shown.width)));
        layout.colours_parts = heading.is_some() && self.has_parts();
        print_titles(out, &layout, &columns, heading)?;
        let row = |row| {
            let cell = move |shown: &ShownColumn| cut(self.body.cell(row, shown.cell), shown.width);
            columns.iter().map(cell)
        };
        layout.draw(out, self.body.rows().map(row), self.emphasis(0, heading))
    }

    /// Whether it has a column of bars of parts, shown or left out: other headings name their signs.
    fn has_parts(&self) -> bool {
        self.columns().any(|column| column.align == Align::PartBar)
    }

    /// The colours of rows of which this is the first.
    fn emphasis(&self, first: usize, style: Option<Style>) -> Emphasis {
        let row = self.emphasized.and_then(|row| row.checked_sub(first));
        Emphasis { row, escape: style.filter(|_| row.is_some()).map(escape) }
    }

    fn print_whole(&self, out: &mut impl Write, heading: Option<Style>) -> io::Result<()> {
        let mut layout =
            Layout::new(self.columns.iter().map(|shown| (shown.column.align, shown.usual_width)));
        layout.colours_parts = heading.is_some() && self.has_parts();
        print_titles(out, &layout, &self.columns, heading)?;
        let mut next = 0;
        for &wide in &self.body.wide_rows {
            let rows = (next..wide).map(|row| self.cells(row));
            layout.draw(out, rows, self.emphasis(next, heading))?;
            let widened = layout.widened(self.cells(wide));
            widened.draw(out, iter::once(self.cells(wide)), self.emphasis(wide, heading))?;
            next = wide + 1;
        }
        let rows = (next..self.body.rows().end).map(|row| self.cells(row));
        layout.draw(out, rows, self.emphasis(next, heading))
    }

    /// Prints the table as Markdown; `escape` makes its text safe there. Cells are not
    /// padded: what is pasted stays short.
    pub(crate) fn print_markdown(
        &self,
        out: &mut impl Write,
        escape: impl Fn(&str) -> String,
    ) -> io::Result<()> {
        let layout = Layout::markdown(self.columns.len());
        let mut row = |cells: Vec<String>| {
            layout.widened(cells.iter().map(String::as_str)).draw(out, iter::once(cells), NoColors)
        };
        row(self.columns().map(|column| escape(&column.title)).collect())?;
        let rule = |column: &Column| match column.align {
            Align::Left | Align::Whole | Align::Bar | Align::PartBar => ":--".to_owned(),
            Align::Right => "--:".to_owned(),
        };
        row(self.columns().map(rule).collect())?;
        self.rows().try_for_each(|cells| row(cells.map(&escape).collect()))
    }
}

fn print_titles(
    out: &mut impl Write,
    layout: &Layout,
    columns: &[ShownColumn],
    heading: Option<Style>,
) -> io::Result<()> {
    let titles = || columns.iter().map(|shown| shown.column.title.as_ref());
    let escape = heading.map(escape);
    layout.widened(titles()).draw(out, iter::once(titles()), Headings { columns, escape })
}

/// Leaves out columns and cuts text until a row is no wider than this. Text is cut
/// before a column goes, as long as enough of it is left to be recognised.
fn fit(mut columns: Vec<ShownColumn>, width: usize) -> Vec<ShownColumn> {
    let mut left_out = Vec::new();
    while width_with(&columns, COMFORTABLE) > width {
        let droppable = columns.iter().enumerate().filter(|(_, shown)| shown.column.drop > 0);
        let Some((last, _)) = droppable.max_by_key(|(_, shown)| shown.column.drop) else { break };
        left_out.push(columns.remove(last));
    }
    // A wide one that went may have left room for narrow ones that went before it.
    while let Some(shown) = left_out.pop() {
        let at = columns.partition_point(|other| other.cell < shown.cell);
        columns.insert(at, shown);
        if width_with(&columns, COMFORTABLE) > width {
            columns.remove(at);
        }
    }
    while let Some((at, room)) = next_cut(&columns, width) {
        if let Some(shown) = columns.get_mut(at) {
            shown.width = room;
        }
    }
    columns
}

/// The widest column of text that can be cut, and how much of it stays: no less than
/// the next one has, so that both give way together.
fn next_cut(columns: &[ShownColumn], width: usize) -> Option<(usize, usize)> {
    let excess = width_with(columns, usize::MAX).checked_sub(width).filter(|excess| *excess > 0)?;
    let least = |shown: &ShownColumn| width_of(&shown.column.title).max(SHORTEST);
    let text = columns.iter().enumerate().filter(|(_, shown)| shown.column.align == Align::Left);
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
fn width_with(columns: &[ShownColumn], text: usize) -> usize {
    let width = |shown: &ShownColumn| match shown.column.align {
        Align::Left => shown.width.min(text.max(width_of(&shown.column.title))),
        Align::Right | Align::Whole | Align::Bar | Align::PartBar => shown.width,
    };
    let widths: usize = columns.iter().map(width).sum();
    widths + GUTTER * columns.len().saturating_sub(1)
}

/// A text without what steers a terminal, whose middle is cut out where it is wider than
/// `room`.
pub(crate) fn shorten(text: &str, room: usize) -> String {
    cut(&sanitize::line(text), room).into_owned()
}

/// Cuts the middle out of a text that is wider than `room`. What steers a terminal has no
/// width that could be told: it must be gone.
pub(crate) fn cut(text: &str, room: usize) -> Cow<'_, str> {
    if width_of(text) <= room {
        return Cow::Borrowed(text);
    }
    let tail_room = room.saturating_sub(1) / 2;
    let head = fitting(text.chars(), room.saturating_sub(1) - tail_room);
    let tail = fitting(text.chars().rev(), tail_room);
    let head = text.get(..head).unwrap_or_default();
    let tail = text.get(text.len() - tail..).unwrap_or_default();
    // Marks belong to a letter before them, which is cut.
    let cut = format!("{head}…{}", tail.trim_start_matches(|c| get_char_width(c) == 0));
    if width_of(&cut) <= room { Cow::Owned(cut) } else { Cow::Borrowed("") }
}

/// How many bytes of these characters fit, no wider than `room` together.
fn fitting(chars: impl Iterator<Item = char>, room: usize) -> usize {
    // This makes a wide emoji of a narrow character before it.
    const EMOJI: char = '\u{fe0f}';
    let mut width = 0;
    let fits = |c: &char| {
        width += if *c == EMOJI { 1 } else { get_char_width(*c) };
        width <= room
    };
    chars.take_while(fits).map(char::len_utf8).sum()
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

    fn lines(grid: &Grid, width: Option<usize>) -> Vec<String> {
        let mut out = Vec::new();
        grid.print(&mut out, width, None).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    fn widest(lines: &[String]) -> usize {
        lines.iter().map(|line| width_of(line)).max().unwrap()
    }

    #[test]
    fn numbers_line_up_on_the_right() {
        let lines = lines(&grid(), None);
        assert_eq!(lines[0], "MODEL               REQS     BODY  TOOLS");
        assert_eq!(lines[1], "openai/gpt-oss-20b    17  73.8 kB     17");
        assert_eq!(lines[2], "日本語モデル           7   1.0 kB      3");
    }

    #[test]
    fn columns_go_by_importance_and_then_text_is_cut() {
        let titles = lines(&grid(), Some(35)).swap_remove(0);
        assert_eq!(titles.split_whitespace().collect::<Vec<_>>(), ["MODEL", "REQS", "TOOLS"]);
        for width in 16..60 {
            assert!(widest(&lines(&grid(), Some(width))) <= width, "{width}");
        }
    }

    #[test]
    fn a_wide_column_that_goes_makes_room_for_narrow_ones() {
        let mut grid = Grid::new([whole("TIME", 0), number("N", 2), bars("", 1)]);
        grid.row(["16 Nov 02:30:49".to_owned(), "7".to_owned(), "█".repeat(30)]);
        assert_eq!(lines(&grid, Some(60)).swap_remove(1), format!("16 Nov 02:30:49  7  {}", "█".repeat(30)));
        assert_eq!(lines(&grid, Some(30)), ["TIME             N", "16 Nov 02:30:49  7"]);
        // A time that is cut says nothing.
        assert_eq!(lines(&grid, Some(10)), ["TIME", "16 Nov 02:30:49"]);
    }

    #[test]
    fn the_middle_goes_first() {
        assert_eq!(shorten("qwen3-42b-a3b-2507-thinking", 11), "qwen3…nking");
        assert_eq!(shorten("short", 11), "short");
        let hostile = "left tool \u{1b}]0;forged\u{7}\u{9b}31m";
        assert_eq!(shorten(hostile, 20), "left tool …forged31m");
    }
}
