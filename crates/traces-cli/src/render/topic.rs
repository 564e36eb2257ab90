//! Help topics: our own Markdown, laid out for a terminal, or as pages of the manual.

use std::io::{self, IsTerminal as _, Write};

use clap_mangen::roff::{Inline, Roff, bold, roman};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use tabled::builder::Builder;
use tabled::settings::{Alignment, Padding, Style};
use terminal_size::{Width, terminal_size};

use super::{color, wrap};
use crate::cli::ColorChoice;

/// A topic of the help.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Topic {
    name: &'static str,
    markdown: &'static str,
}

macro_rules! topics {
    ($($name:literal),*) => {
        &[$(Topic { name: $name, markdown: include_str!(concat!("../../help/", $name, ".md")) }),*]
    };
}

const TOPICS: &[Topic] = topics![
    "recording",
    "selecting",
    "measures",
    "causes",
    "findings",
    "formats",
    "json",
    "exit-codes",
    "watch",
    "replay",
    "export",
    "privacy"
];

/// The names of all topics that are written in Markdown.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TOPICS.iter().map(|topic| topic.name)
}

/// The topic of this name.
pub(crate) fn find(name: &str) -> Option<Topic> {
    TOPICS.iter().find(|topic| topic.name == name).copied()
}

/// Text is no wider than this where the terminal is wider or there is none: longer lines
/// are hard to read.
const WIDEST: usize = 80;
/// Nor narrower than this, below which words are cut.
const NARROWEST: usize = 40;
/// A column of a table is no narrower than this.
const NARROWEST_CELL: usize = 12;
/// The space between columns.
const GUTTER: usize = 2;
/// What stands before lines of code.
const INDENT: &str = "  ";

/// A part of a topic.
#[derive(Debug, PartialEq, Eq)]
enum TopicBlock {
    Heading(String),
    Paragraph(String),
    Item(String),
    Code(String),
    Table(Vec<Vec<String>>),
}

/// Takes Markdown apart. Only what topics use is known.
fn blocks(markdown: &str) -> Vec<TopicBlock> {
    let mut blocks = Vec::new();
    let mut text = String::new();
    let mut table: Vec<Vec<String>> = Vec::new();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Text(piece) => text.push_str(&piece),
            Event::Code(piece) => {
                text.push('`');
                text.push_str(&piece);
                text.push('`');
            }
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            Event::Start(Tag::TableHead | Tag::TableRow) => table.push(Vec::new()),
            Event::End(TagEnd::TableCell) => {
                if let Some(row) = table.last_mut() {
                    row.push(std::mem::take(&mut text));
                }
            }
            Event::End(TagEnd::Table) => blocks.push(TopicBlock::Table(std::mem::take(&mut table))),
            Event::End(TagEnd::Heading(_)) => blocks.push(TopicBlock::Heading(std::mem::take(&mut text))),
            Event::End(TagEnd::Paragraph) => blocks.push(TopicBlock::Paragraph(std::mem::take(&mut text))),
            Event::End(TagEnd::Item) => blocks.push(TopicBlock::Item(std::mem::take(&mut text))),
            Event::End(TagEnd::CodeBlock) => blocks.push(TopicBlock::Code(std::mem::take(&mut text))),
            _ => {}
        }
    }
    blocks
}

/// Prints a topic, wrapped to the width of the terminal.
pub(crate) fn print(out: &mut impl Write, topic: Topic) -> io::Result<()> {
    let stdout = io::stdout();
    let terminal = terminal_size().filter(|_| stdout.is_terminal());
    let width = terminal.map_or(WIDEST, |(Width(width), _)| usize::from(width));
    let heading = color::is_shown(ColorChoice::Auto, &stdout).then(|| anstyle::Style::new().bold());
    let mut before: Option<TopicBlock> = None;
    for block in blocks(topic.markdown) {
        let is_list = matches!((&before, &block), (Some(TopicBlock::Item(_)), TopicBlock::Item(_)));
        if before.is_some() && !is_list {
            writeln!(out)?;
        }
        print_block(out, &block, width.clamp(NARROWEST, WIDEST), heading)?;
        before = Some(block);
    }
    Ok(())
}

fn print_block(
    out: &mut impl Write,
    block: &TopicBlock,
    width: usize,
    heading: Option<anstyle::Style>,
) -> io::Result<()> {
    match block {
        TopicBlock::Heading(text) => {
            let style = heading.unwrap_or_default();
            writeln!(out, "{style}{text}{style:#}")
        }
        TopicBlock::Paragraph(text) => writeln!(out, "{}", wrap::lines(text, width, "", "").join("\n")),
        TopicBlock::Item(text) => writeln!(out, "{}", wrap::lines(text, width, "- ", INDENT).join("\n")),
        TopicBlock::Code(text) => text.lines().try_for_each(|line| writeln!(out, "{INDENT}{line}")),
        TopicBlock::Table(rows) => print_table(out, rows, width),
    }
}

/// Prints a table whose cells are wrapped where it would be wider than this.
fn print_table(out: &mut impl Write, rows: &[Vec<String>], width: usize) -> io::Result<()> {
    let widths = column_widths(rows, width);
    let mut builder = Builder::default();
    for (at, row) in rows.iter().enumerate() {
        let cell = |(cell, width): (&String, &usize)| {
            let plain = cell.replace('`', "");
            let plain = if at == 0 { plain.to_uppercase() } else { plain };
            wrap::lines(&plain, *width, "", "").join("\n")
        };
        builder.push_record(row.iter().zip(&widths).map(cell));
    }
    let mut table = builder.build();
    table.with(Style::empty()).with(Padding::new(0, GUTTER, 0, 0)).with(Alignment::left());
    table.to_string().lines().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}

/// How wide each column is drawn. The last one, which explains, gets what the others leave;
/// these are wrapped where they would take more than half.
fn column_widths(rows: &[Vec<String>], width: usize) -> Vec<usize> {
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.replace('`', "").chars().count()).max()
    };
    let others = rows.first().map_or(0, Vec::len).saturating_sub(1);
    let most = (width * 3 / 5 / others.max(1)).max(NARROWEST_CELL);
    let mut widths: Vec<usize> = (0..others).map(|column| widest(column).unwrap_or(0).min(most)).collect();
    let taken: usize = widths.iter().map(|width| width + GUTTER).sum();
    widths.push(width.saturating_sub(taken).max(NARROWEST_CELL));
    widths
}

/// The pages of the manual for all topics.
pub(crate) fn manual(source: &str) -> Vec<u8> {
    let mut manual = Vec::new();
    for topic in TOPICS {
        let mut page = Roff::new();
        let name = format!("traces-{}", topic.name);
        page.control("TH", [name.as_str(), "7", "\"\"", source]);
        let mut before = None;
        for block in &blocks(topic.markdown) {
            roff_block(&mut page, block, before, &name);
            before = Some(block);
        }
        // Writing to memory does not fail.
        let _ = page.to_writer(&mut manual);
    }
    manual
}

fn roff_block(page: &mut Roff, block: &TopicBlock, before: Option<&TopicBlock>, name: &str) {
    // The first heading is the page's name; below any other a paragraph begins by itself.
    if matches!(block, TopicBlock::Paragraph(_) | TopicBlock::Code(_)) && !is_below_heading(before) {
        page.control("PP", []);
    }
    match block {
        TopicBlock::Heading(text) if before.is_none() => {
            page.control("SH", ["NAME"])
                .text([roman(format!("{name} - {text}"))])
                .control("SH", ["DESCRIPTION"]);
        }
        TopicBlock::Heading(text) => {
            page.control("SH", [text.to_uppercase().as_str()]);
        }
        TopicBlock::Paragraph(text) => {
            page.text([roman(text)]);
        }
        TopicBlock::Item(text) => {
            page.control("IP", ["\\(bu", "2"]).text([roman(text)]);
        }
        TopicBlock::Code(text) => {
            page.control("nf", []);
            text.lines().for_each(|line| {
                page.text([roman(format!("{INDENT}{line}"))]);
            });
            page.control("fi", []);
        }
        TopicBlock::Table(rows) => rows.iter().skip(1).for_each(|row| roff_row(page, row)),
    }
}

fn is_below_heading(before: Option<&TopicBlock>) -> bool {
    matches!(before, None | Some(TopicBlock::Heading(_)))
}

/// A row of a table as an entry of a list: the first cell, and the others below it.
fn roff_row(page: &mut Roff, row: &[String]) {
    let Some((first, rest)) = row.split_first() else { return };
    let entry: Vec<Inline> = vec![bold(first.replace('`', ""))];
    page.control("TP", []).text(entry).text([roman(rest.join(" · "))]);
}
