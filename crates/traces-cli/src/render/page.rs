//! A page of lines and tables, for a terminal or as Markdown.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write};

use anstyle::{AnsiColor, Style};
use terminal_size::{Height, Width, terminal_size};

use super::table::{Grid, cut, width_of};
use super::{color, sanitize, wrap};
use crate::cli::{ColorChoice, OutputArgs, OutputFormat};

/// What a suggested command needs to find the same requests.
#[derive(Debug, Default)]
pub(crate) struct Next {
    /// The options that say where requests are, and how they are named.
    pub(crate) options: String,
    /// Those that say which of them.
    pub(crate) filters: String,
    /// The INPUTs.
    pub(crate) inputs: String,
    /// Whether an INPUT is a file or folder: names are looked up in the roots, which need
    /// not hold it.
    pub(crate) has_paths: bool,
    /// How the newest request that was shown is named: by its id, or its file.
    pub(crate) newest: Option<String>,
}

impl Next {
    /// A command about something in the same recordings.
    pub(crate) fn command(&self, words: &str) -> String {
        format!("traces {words}{}", self.options)
    }

    /// A command about exactly the same requests.
    pub(crate) fn same(&self, words: &str) -> String {
        format!("traces {words}{}{}{}", self.inputs, self.filters, self.options)
    }
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let safe = if cfg!(windows) { "-_./:@+=~,\\" } else { "-_./:@%+=~," };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || safe.contains(c);
    match word {
        _ if !word.is_empty() && word.chars().all(is_plain) => word.to_owned(),
        // The quotes that both shells of Windows know; no file's name holds them.
        _ if cfg!(windows) => format!("\"{}\"", word.replace('"', "\\\"")),
        _ => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// What a verb prints.
#[derive(Debug, Default)]
pub(crate) struct Page {
    parts: Vec<PagePart>,
}

#[derive(Debug)]
enum PagePart {
    /// What the parts below it are about.
    Heading(String),
    /// A sentence or a few words.
    Line(String),
    /// The sentence that matters most.
    Strong(String),
    /// What to type next.
    Hint {
        why: String,
        command: String,
    },
    /// A sentence behind a short text: what follows the first line stands below the
    /// sentence.
    Item {
        lead: String,
        text: String,
    },
    Table(Grid),
    /// Text of several lines, as it is.
    Block(String),
    /// An empty line.
    Space,
}

impl Page {
    pub(crate) fn heading(&mut self, text: impl Into<String>) {
        self.parts.push(PagePart::Heading(text.into()));
    }

    pub(crate) fn line(&mut self, text: impl Into<String>) {
        self.parts.push(PagePart::Line(text.into()));
    }

    /// Sets what follows apart.
    pub(crate) fn space(&mut self) {
        self.parts.push(PagePart::Space);
    }

    pub(crate) fn strong(&mut self, text: impl Into<String>) {
        self.parts.push(PagePart::Strong(text.into()));
    }

    pub(crate) fn hint(&mut self, why: impl Into<String>, command: impl Into<String>) {
        self.parts.push(PagePart::Hint { why: why.into(), command: command.into() });
    }

    /// Adds a sentence behind a short text.
    pub(crate) fn item(&mut self, lead: impl Into<String>, text: impl Into<String>) {
        self.parts.push(PagePart::Item { lead: lead.into(), text: text.into() });
    }

    /// Adds a table, unless it has no rows.
    pub(crate) fn table(&mut self, grid: Grid) {
        if !grid.is_empty() {
            self.parts.push(PagePart::Table(grid));
        }
    }

    /// Adds another page below.
    pub(crate) fn append(&mut self, other: Self) {
        self.parts.extend(other.parts);
    }

    pub(crate) fn block(&mut self, text: impl Into<String>) {
        self.parts.push(PagePart::Block(text.into()));
    }
}

/// Prints a page in the format, colour and width that fit.
pub(crate) fn print(out: &mut impl Write, page: &Page, output: &OutputArgs) -> io::Result<()> {
    if output.format == OutputFormat::Markdown {
        return markdown(out, page);
    }
    print_parts(out, page, &Terminal::new(output.color))
}

/// Prints the first of these pages that fits the room, or the last: each says less than
/// the one before it. Markdown has the first.
pub(crate) fn print_first_fitting(
    out: &mut impl Write,
    pages: impl IntoIterator<Item = Page>,
    room: Room,
    output: &OutputArgs,
) -> io::Result<()> {
    if output.format == OutputFormat::Markdown {
        return pages.into_iter().next().map_or(Ok(()), |page| markdown(out, &page));
    }
    let terminal = Terminal::new(output.color);
    let lines = match (room, terminal.height) {
        // The last line is where the shell asks for the next command.
        (Room::Terminal, height) => height.map(|height| height.saturating_sub(1)),
        (Room::Screen, Some(height)) if height <= SCREEN => Some(SCREEN - 1),
        (Room::Screen, _) => Some(SCREEN),
    };
    let mut printed = Vec::new();
    for page in pages {
        printed.clear();
        print_parts(&mut printed, &page, &terminal)?;
        let height = printed.iter().filter(|byte| **byte == b'\n').count();
        if lines.is_none_or(|lines| height <= lines) {
            break;
        }
    }
    out.write_all(&printed)
}

/// What a page says that leaves something out, before the command that shows all.
pub(crate) const MORE: &str = "More than fits this screen:";

/// How many lines a screen has.
const SCREEN: usize = 24;

/// What a page should fit into.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Room {
    /// The terminal, as high as it is; all there is where it goes elsewhere.
    Terminal,
    /// [`SCREEN`] lines, wherever it goes.
    Screen,
}

/// A page as text of lines that are so wide.
pub(crate) fn text(page: &Page, width: usize) -> io::Result<String> {
    let mut out = Vec::new();
    print_parts(&mut out, page, &Terminal { width: Some(width), height: None, color: false })?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn print_parts(out: &mut impl Write, page: &Page, terminal: &Terminal) -> io::Result<()> {
    let (mut after_line, mut after_heading) = (true, false);
    for part in &page.parts {
        if matches!(part, PagePart::Space) {
            (after_line, after_heading) = (false, false);
            continue;
        }
        let is_line = matches!(part, PagePart::Line(_) | PagePart::Strong(_) | PagePart::Item { .. });
        let is_below_heading = after_heading && matches!(part, PagePart::Item { .. });
        if !(is_line && after_line || is_below_heading) {
            writeln!(out)?;
        }
        (after_line, after_heading) = (is_line, matches!(part, PagePart::Heading(_)));
        terminal.print(out, part)?;
    }
    Ok(())
}

/// Where a page goes: how wide it is, and whether it shows colour.
struct Terminal {
    width: Option<usize>,
    height: Option<usize>,
    color: bool,
}

impl Terminal {
    fn new(choice: ColorChoice) -> Self {
        let stdout = io::stdout();
        let size = terminal_size().filter(|_| stdout.is_terminal());
        let width = size.map(|(Width(width), _)| usize::from(width));
        let height = size.map(|(_, Height(height))| usize::from(height));
        Self { width, height, color: color::is_shown(choice, &stdout) }
    }

    fn print(&self, out: &mut impl Write, part: &PagePart) -> io::Result<()> {
        match part {
            PagePart::Heading(text) => {
                writeln!(out, "{}", self.dressed(&sanitize::line(text), Style::new().bold()))
            }
            PagePart::Item { lead, text } => {
                let lead = format!("{}  ", sanitize::line(lead));
                // Narrower than that, words would stand one below the other.
                const LEAST_WIDTH: usize = 20;
                let indent = width_of(&lead);
                let width = self.width.map(|width| width.saturating_sub(indent).max(LEAST_WIDTH));
                let text = Self { width, ..*self }.wrapped(text);
                let lead =
                    if lead.trim().is_empty() { lead } else { self.dressed(&lead, Style::new().bold()) };
                writeln!(out, "{lead}{}", text.replace("\n  ", &format!("\n{:indent$}", "")))
            }
            PagePart::Line(text) => writeln!(out, "{}", self.wrapped(text)),
            PagePart::Strong(text) => {
                writeln!(out, "{}", self.dressed(&self.wrapped(text), Style::new().bold()))
            }
            PagePart::Hint { why, command } => {
                let (why, command) = (sanitize::line(why), sanitize::line(command));
                // A command is never cut: one that is too long has a line of its own.
                let is_long = self.width.is_some_and(|width| width_of(&why) + 2 + width_of(&command) > width);
                let command = self.dressed(&command, AnsiColor::Cyan.on_default());
                let between = if is_long { "\n" } else { "" };
                writeln!(out, "{why}{between}  {command}")
            }
            PagePart::Table(grid) => grid.print(out, self.width, self.color.then(|| Style::new().bold())),
            PagePart::Block(text) => writeln!(out, "{}", sanitize::block(text).trim_end()),
            PagePart::Space => Ok(()),
        }
    }

    fn dressed(&self, text: &str, style: Style) -> String {
        if self.color && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A line, broken between words where the terminal ends. Lines after the first are
    /// indented, so that no name in a recording can begin a line of its own.
    fn wrapped(&self, text: &str) -> String {
        let text = sanitize::line(text);
        let Some(width) = self.width else { return text.into_owned() };
        let (mut wrapped, mut used) = (String::new(), 0);
        for word in wrap::keep_figures(&text).split(' ') {
            let fits = used + width_of(word) < width;
            let word = if wrapped.is_empty() {
                cut(word, width)
            } else if fits {
                wrapped.push(' ');
                used += 1;
                Cow::Borrowed(word)
            } else {
                wrapped.push_str("\n  ");
                used = 2;
                cut(word, width.saturating_sub(2))
            };
            wrapped.push_str(&word);
            used += width_of(&word);
        }
        wrap::restore_blanks(&wrapped).into_owned()
    }
}

fn markdown(out: &mut impl Write, page: &Page) -> io::Result<()> {
    let parts = page.parts.iter().filter(|part| !matches!(part, PagePart::Space));
    for (at, part) in parts.enumerate() {
        if at > 0 {
            writeln!(out)?;
        }
        match part {
            PagePart::Heading(text) => writeln!(out, "## {}", escaped(&sanitize::line(text)))?,
            PagePart::Line(text) | PagePart::Strong(text) => {
                writeln!(out, "{}", escaped_line(&sanitize::line(text)))?;
            }

            PagePart::Item { lead, text } => {
                let (lead, text) = (sanitize::line(lead), sanitize::line(text));
                match lead.trim() {
                    "" => writeln!(out, "{}", escaped_line(&text))?,
                    lead => writeln!(out, "{}: {}", escaped_line(lead), escaped(&text))?,
                }
            }
            PagePart::Hint { why, command } => {
                writeln!(out, "{} {}", escaped_line(&sanitize::line(why)), code(&sanitize::line(command)))?;
            }
            PagePart::Table(grid) => grid.print_markdown(out, escaped)?,
            PagePart::Block(text) => {
                let text = sanitize::block(text);
                let fence = "`".repeat(longest_run(&text, '`').max(2) + 1);
                writeln!(out, "{fence}diff\n{}\n{fence}", text.trim_end())?;
            }
            PagePart::Space => {}
        }
    }
    Ok(())
}

/// Text that Markdown shows as it is, inside of a line: neither markup nor a link.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut before = ' ';
    // Where the underscores end that stand in a row.
    let mut row_end = 0;
    for (at, c) in text.char_indices() {
        let behind = text.get(at + c.len_utf8()..).unwrap_or_default();
        let next = behind.chars().next().unwrap_or(' ');
        if c == '_' && at >= row_end {
            row_end = text.len() - behind.trim_start_matches('_').len();
        }
        let is_markup = match c {
            '\\' | '|' | '<' | '>' | '`' | '*' | '[' | ']' | '$' => true,
            // Inside of a word it is a letter like others.
            '_' => {
                let after = text.get(row_end..).unwrap_or_default();
                !(before.is_alphanumeric() && after.starts_with(char::is_alphanumeric))
            }
            // Before a number it means about, and opens nothing that is ever closed.
            '~' => before.is_alphanumeric() || !next.is_ascii_digit(),
            '&' => next == '#' || next.is_ascii_alphabetic(),
            ':' => behind.starts_with("//"),
            '.' => at
                .checked_sub(3)
                .and_then(|from| text.get(from..at))
                .is_some_and(|w| w.eq_ignore_ascii_case("www")),
            _ => false,
        };
        if is_markup {
            escaped.push('\\');
        }
        escaped.push(c);
        // Underscores in a row are all inside of the word, or none.
        if c != '_' {
            before = c;
        }
    }
    escaped
}

/// The same for text that begins a line, where a few signs more make a heading, a list
/// or a rule.
fn escaped_line(text: &str) -> String {
    let text = escaped(text.trim_start());
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, behind) = text.split_at(digits);
    let is_item =
        |mark: &str| behind.strip_prefix(mark).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    if number.is_empty() && text.starts_with(['#', '+', '-', '=']) {
        format!("\\{text}")
    } else if !number.is_empty() && (is_item(".") || is_item(")")) {
        format!("{number}\\{behind}")
    } else {
        text
    }
}

/// Text as a code span.
fn code(text: &str) -> String {
    let fence = "`".repeat(longest_run(text, '`') + 1);
    let pad = if fence.len() > 1 { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

fn longest_run(text: &str, of: char) -> usize {
    text.split(|c| c != of).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_shows_text_as_it_is() {
        for (text, expected) in [
            ("mcp__github__create_issue", "mcp__github__create_issue"),
            ("__b__ _e_ a_", "\\_\\_b\\_\\_ \\_e\\_ a\\_"),
            ("~314 (~1.2 k)", "~314 (~1.2 k)"),
            ("~~s~~ ~1 s~", "\\~\\~s\\~\\~ ~1 s\\~"),
            ("&lt; &#60; a & b", "\\&lt; \\&#60; a & b"),
            ("http://x www.x a.b", "http\\://x www\\.x a.b"),
        ] {
            assert_eq!(escaped(text), expected);
        }
        for (text, expected) in [
            ("# h", "\\# h"),
            ("    - x", "\\- x"),
            ("1. x", "1\\. x"),
            ("14.2 s", "14.2 s"),
            ("16 Nov", "16 Nov"),
            ("a # b", "a # b"),
        ] {
            assert_eq!(escaped_line(text), expected);
        }
    }
}
