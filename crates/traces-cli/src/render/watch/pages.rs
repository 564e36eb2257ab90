//! A page that covers the picture.

use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

use crate::render::table::width_of;
use crate::render::{sanitize, wrap};

pub(super) fn page_lines(page: &[String], from: usize, width: usize, height: usize) -> Vec<Line<'static>> {
    let room = height.saturating_sub(1);
    let page = page_rows(page, width);
    let mut lines: Vec<Line<'static>> = page.iter().skip(from).take(room).cloned().map(Line::from).collect();
    lines.resize(room, Line::default());
    let more = page.len().saturating_sub(from + room);
    let foot = match more {
        0 => "Esc back".to_owned(),
        more => format!("Esc back   ↓ {more} more"),
    };
    lines.push(Line::styled(foot, Style::default().add_modifier(Modifier::DIM)));
    lines
}

/// The lines of a page as they are shown at this width.
pub(crate) fn page_rows(page: &[String], width: usize) -> Vec<String> {
    page.iter().flat_map(|line| page_line(line, width)).collect()
}

/// A line of a page, in several where it is too wide. Blanks in it are kept: it may be a
/// row of a table. What follows a wide gap stays in its column.
fn page_line(line: &str, width: usize) -> Vec<String> {
    const GAP: &str = "   ";
    let line = sanitize::line(line);
    if width_of(&line) <= width {
        return vec![line.into_owned()];
    }
    let column = line.find(GAP).map_or(0, |gap| {
        let after = line.get(gap..).unwrap_or_default().trim_start();
        width_of(&line).saturating_sub(width_of(after))
    });
    let indent = " ".repeat(if column * 2 <= width { column } else { 0 });
    wrap::lines(&line, width, "", &indent)
}
