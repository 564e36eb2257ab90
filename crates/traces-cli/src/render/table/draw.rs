//! Draws rows by `tabled`, once their widths are known.

use std::fmt;
use std::io::{self, Write};

use anstyle::Style;
use tabled::grid::IterGrid;
use tabled::grid::ansi::ANSIBuf;
use tabled::grid::colors::Colors;
use tabled::grid::config::{AlignmentHorizontal, Borders, Entity, Indent, Position, Sides, SpannedConfig};
use tabled::grid::dimension::Dimension;
use tabled::grid::records::IterRecords;

use tabled::grid::util::string::get_char_width;

use super::{Align, GUTTER, ShownColumn, width_of};
use crate::render::bars;

pub(super) fn escape(style: Style) -> ANSIBuf {
    ANSIBuf::new(style.to_string(), format!("{style:#}"))
}

/// The widths and alignments that `tabled` draws by.
#[derive(Clone)]
pub(super) struct Layout {
    /// The width of each column, its padding included.
    widths: Vec<usize>,
    padding: usize,
    /// Whether the cells of each column stand on the right; empty in Markdown.
    on_right: Vec<bool>,
    config: SpannedConfig,
    /// Where bars of parts begin: in this column.
    parts: Option<usize>,
    /// Whether the signs of parts are coloured.
    pub(super) colours_parts: bool,
}

impl Layout {
    /// Columns of these widths, with a gutter between them.
    pub(super) fn new(columns: impl Iterator<Item = (Align, usize)>) -> Self {
        let mut layout = Self::empty(Vec::new(), GUTTER);
        layout.pad(0, GUTTER);
        for (at, (align, width)) in columns.enumerate() {
            if align == Align::PartBar {
                layout.parts = Some(at);
            }
            if align == Align::Right {
                layout.config.set_alignment_horizontal(Entity::Column(at), AlignmentHorizontal::Right);
            }
            layout.on_right.push(align == Align::Right);
            layout.widths.push(width + GUTTER);
        }
        layout
    }

    fn empty(widths: Vec<usize>, padding: usize) -> Self {
        let on_right = Vec::new();
        Self { widths, padding, on_right, config: SpannedConfig::new(), parts: None, colours_parts: false }
    }

    /// Columns between bars, for rows that are widened to their own cells.
    pub(super) fn markdown(columns: usize) -> Self {
        let mut layout = Self::empty(vec![2; columns], 2);
        layout.pad(1, 1);
        layout.config.set_borders(Borders {
            left: Some('|'),
            vertical: Some('|'),
            right: Some('|'),
            ..Borders::empty()
        });
        layout
    }

    fn pad(&mut self, left: usize, right: usize) {
        let (left, right, none) = (Indent::spaced(left), Indent::spaced(right), Indent::zero());
        self.config.set_padding(Entity::Global, Sides::new(left, right, none, none));
    }

    /// The same with room for cells that are wider than their columns.
    pub(super) fn widened<'c>(&self, cells: impl Iterator<Item = &'c str>) -> Self {
        let mut widened = self.clone();
        for (width, cell) in widened.widths.iter_mut().zip(cells) {
            *width = (*width).max(width_of(cell) + self.padding);
        }
        widened
    }

    /// Draws rows, none of whose cells is wider than its column.
    pub(super) fn draw<Cell: AsRef<str>>(
        &self,
        out: &mut impl Write,
        rows: impl IntoIterator<Item = impl IntoIterator<Item = Cell>>,
        colors: impl Colors,
    ) -> io::Result<()> {
        if colors.is_empty() && !self.colours_parts && !self.on_right.is_empty() {
            return self.draw_plain(out, rows);
        }
        let records = IterRecords::new(rows, self.widths.len(), None);
        // Headings that are dressed have no other text than our own.
        let parts = match (self.colours_parts, colors.is_empty()) {
            (false, _) => None,
            (true, false) => Some(0),
            (true, true) => self.parts.map(|parts| self.widths.iter().take(parts).sum()),
        };
        let mut lines = TrimmedLines { out, line: String::new(), parts, failed: None };
        let drawn = IterGrid::new(records, &self.config, self, colors).build(&mut lines);
        lines.end(drawn)
    }

    /// The same without colours or borders, which is how most rows are: by `tabled` they took a
    /// fifth of the instructions of a table with very many rows.
    fn draw_plain<Cell: AsRef<str>>(
        &self,
        out: &mut impl Write,
        rows: impl IntoIterator<Item = impl IntoIterator<Item = Cell>>,
    ) -> io::Result<()> {
        let mut line = Vec::new();
        let blanks = |line: &mut Vec<u8>, count| line.resize(line.len() + count, b' ');
        for row in rows {
            line.clear();
            for ((cell, width), on_right) in row.into_iter().zip(&self.widths).zip(&self.on_right) {
                let cell = cell.as_ref();
                let free = width.saturating_sub(width_of(cell) + self.padding);
                blanks(&mut line, if *on_right { free } else { 0 });
                line.extend_from_slice(cell.as_bytes());
                blanks(&mut line, self.padding + if *on_right { 0 } else { free });
            }
            while line.pop_if(|byte| *byte == b' ').is_some() {}
            line.push(b'\n');
            out.write_all(&line)?;
        }
        Ok(())
    }
}

impl Dimension for Layout {
    fn get_width(&self, column: usize) -> usize {
        self.widths.get(column).copied().unwrap_or_default()
    }

    fn get_height(&self, _row: usize) -> usize {
        1
    }
}

/// Dresses the headings that are not empty.
pub(super) struct Headings<'a> {
    pub(super) columns: &'a [ShownColumn],
    pub(super) escape: Option<ANSIBuf>,
}

impl Colors for Headings<'_> {
    type Color = ANSIBuf;

    fn get_color(&self, at: Position) -> Option<&ANSIBuf> {
        let shown = self.columns.get(at.col)?;
        self.escape.as_ref().filter(|_| !shown.column.title.is_empty())
    }

    fn is_empty(&self) -> bool {
        self.escape.is_none()
    }
}

/// Dresses one row.
pub(super) struct Emphasis {
    pub(super) row: Option<usize>,
    pub(super) escape: Option<ANSIBuf>,
}

impl Colors for Emphasis {
    type Color = ANSIBuf;

    fn get_color(&self, at: Position) -> Option<&ANSIBuf> {
        self.escape.as_ref().filter(|_| self.row == Some(at.row))
    }

    fn is_empty(&self) -> bool {
        self.escape.is_none()
    }
}

/// Writes lines without trailing blanks.
struct TrimmedLines<'w, W> {
    out: &'w mut W,
    line: String,
    /// From where on the signs of parts are coloured.
    parts: Option<usize>,
    failed: Option<io::Error>,
}

impl<W: Write> TrimmedLines<'_, W> {
    /// Ends the last line. Nothing was drawn if there is none.
    fn end(mut self, drawn: fmt::Result) -> io::Result<()> {
        if !self.line.is_empty() {
            let _ = self.end_line();
        }
        match (self.failed, drawn) {
            (Some(error), _) => Err(error),
            (None, drawn) => drawn.map_err(io::Error::other),
        }
    }

    fn end_line(&mut self) -> fmt::Result {
        self.line.truncate(self.line.trim_end_matches(' ').len());
        if let Some(parts) = self.parts {
            self.line = coloured(&self.line, parts);
        }
        self.line.push('\n');
        let written = self.out.write_all(self.line.as_bytes());
        self.line.clear();
        written.map_err(|error| {
            self.failed = Some(error);
            fmt::Error
        })
    }
}

impl<W: Write> fmt::Write for TrimmedLines<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.line.push_str(text);
        Ok(())
    }

    fn write_char(&mut self, c: char) -> fmt::Result {
        if c == '\n' {
            return self.end_line();
        }
        self.line.push(c);
        Ok(())
    }
}

/// A line whose signs of parts have their colours from this place on.
fn coloured(line: &str, from: usize) -> String {
    let mut coloured = String::with_capacity(line.len());
    let (mut place, mut current) = (0, None);
    for c in line.chars() {
        let colour = if place >= from { bars::colour(c) } else { None };
        if colour != current {
            // Only the colour changes: headings stay bold.
            match colour {
                Some(colour) => coloured.push_str(&colour.on_default().render().to_string()),
                None => coloured.push_str(DEFAULT_COLOUR),
            }
            current = colour;
        }
        coloured.push(c);
        place += get_char_width(c);
    }
    if current.is_some() {
        coloured.push_str(DEFAULT_COLOUR);
    }
    coloured
}

/// The terminal's own colour of text, whatever else stays as it is.
const DEFAULT_COLOUR: &str = "\u{1b}[39m";

#[cfg(test)]
mod tests {
    use tabled::grid::ansi::ANSIBuf;
    use tabled::grid::colors::NoColors;

    use super::{Align, Emphasis, Layout, coloured};

    #[test]
    fn rows_without_colours_are_as_tabled_draws_them() {
        let columns = [(Align::Left, 9), (Align::Right, 6), (Align::Bar, 4), (Align::Right, 3)];
        let layout = Layout::new(columns.into_iter());
        let rows = [
            ["a", "1.0 kB", "██▌", "–"],
            ["日本 é", "", "", ""],
            ["", "", "", ""],
            [" b ", "9 s", "", "12 "],
        ];
        let (mut plain, mut by_tabled) = (Vec::new(), Vec::new());
        layout.draw(&mut plain, rows, NoColors).unwrap();
        // Colours that no row has.
        let colours = Emphasis { row: None, escape: Some(ANSIBuf::new("\u{1b}[1m", "\u{1b}[0m")) };
        layout.draw(&mut by_tabled, rows, colours).unwrap();
        assert_eq!(String::from_utf8(plain), String::from_utf8(by_tabled));
    }

    #[test]
    fn only_signs_of_parts_behind_the_place_are_coloured() {
        assert_eq!(coloured("a·b  ░░█", 5), "a·b  \u{1b}[35m░░\u{1b}[36m█\u{1b}[39m");
        assert_eq!(coloured("日本 █ x", 5), "日本 \u{1b}[36m█\u{1b}[39m x");
        assert_eq!(coloured("a·b", 9), "a·b");
    }
}
