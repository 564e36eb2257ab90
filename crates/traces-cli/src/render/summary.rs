//! The page of `traces summary`.

use anyclaude_traces::Timestamp;
use anyclaude_traces::measure::Measure;
use anyclaude_traces::scope::{KindFilter, Scope};
use anyclaude_traces::summary::{Group, SessionGrowth, Summary};
use anyclaude_traces::tools::ToolUse;

use super::page::Page;
use super::table::{Grid, number, text};
use super::tools;
use super::units::{self, UNKNOWN};
use crate::cli::By;

/// How many tools and sessions are shown.
const MOST_ROWS: usize = 8;

pub(crate) fn page(summary: &Summary, by: By, is_sitting: bool) -> Page {
    let mut page = Page::default();
    let totals = &summary.totals;
    page.line(scope_line(&summary.scope, is_sitting, totals.first.zip(totals.last), totals.requests));
    page.table(groups(&summary.groups, by));
    if totals.requests > 1 {
        page.line(footnotes(summary));
    } else if !summary.other_kinds.is_empty() {
        page.line(other_kinds(summary));
    }
    let largest: Vec<tools::Row<'_>> = summary.largest_tools.iter().map(tool_row).collect();
    page.table(tools::largest(&largest, MOST_ROWS));
    tools::servers(&summary.mcp_servers).into_iter().for_each(|servers| page.line(servers));
    page.table(sessions(&summary.sessions));
    if let Some(more) = summary.sessions.len().checked_sub(MOST_ROWS).filter(|more| *more > 0) {
        page.line(format!("and {} before these", units::count(more as u64, "session")));
    }
    hint(&mut page, summary);
    page
}

/// What the answer is about: when, and how many of how many requests.
pub(crate) fn scope_line(
    scope: &Scope,
    is_sitting: bool,
    span: Option<(Timestamp, Timestamp)>,
    requests: u64,
) -> String {
    let when = span.map_or_else(|| "unknown time".to_owned(), |(first, last)| units::span(first, last));
    let when = if is_sitting { format!("Last 24 h of activity: {when}") } else { when };
    let kind = match scope.kind {
        KindFilter::All => String::new(),
        KindFilter::Only(kind) => format!(" ({})", kind.name()),
    };
    let seen = units::count(scope.requests_seen, "request");
    if requests == scope.requests_seen {
        return format!("{when} · {seen}{kind}");
    }
    format!("{when} · {requests} of {seen}{kind}")
}

fn groups(groups: &[Group], by: By) -> Grid {
    let title = match by {
        By::Model => "MODEL",
        By::Run => "RUN",
        By::Session => "SESSION",
        By::Mode => "MODE",
        By::Kind => "KIND",
        By::Level => "LEVEL",
        By::Day => "DAY",
    };
    let mut grid = Grid::new([
        text(title, 0),
        number("REQS", 3),
        number("BODY", 0),
        number("SYSTEM", 5),
        number("TOOLS", 4),
        number("MESSAGES", 6),
        number("TTFT", 1),
        number("TOTAL", 1),
        number("OUT", 7),
        number("TOK/S", 2),
    ]);
    for group in groups {
        let median =
            |measure: Measure| units::maybe(group.stats(measure).map(|stats| stats.p50), measure.unit());
        grid.row([
            group.name.as_deref().unwrap_or("(unknown)").to_owned(),
            group.requests.to_string(),
            median(Measure::BodyBytes),
            median(Measure::SystemChars),
            median(Measure::ToolCount),
            median(Measure::MessageCount),
            median(Measure::TtftMs),
            median(Measure::TotalMs),
            median(Measure::OutputTokens),
            median(Measure::ReportedTokensPerSecond),
        ]);
    }
    grid.without_empty(&[UNKNOWN])
}

fn footnotes(summary: &Summary) -> String {
    let others = other_kinds(summary);
    let medians =
        "Figures are medians per request; BODY is what is sent: system, tools, messages and the rest.";
    if others.is_empty() { medians.to_owned() } else { format!("{medians} {others}") }
}

fn other_kinds(summary: &Summary) -> String {
    if summary.other_kinds.is_empty() {
        return String::new();
    }
    let kinds: Vec<String> = summary.other_kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    format!("Left out: {} (--kind all).", kinds.join(", "))
}

fn tool_row(tool: &ToolUse) -> tools::Row<'_> {
    tools::Row { name: tool.name.as_deref(), bytes: tool.bytes, requests: Some(tool.requests) }
}

fn sessions(sessions: &[SessionGrowth]) -> Grid {
    let mut grid = Grid::new([
        text("SESSION", 0),
        number("REQS", 4),
        text("BEGAN", 3),
        number("FIRST", 2),
        number("LAST", 0),
        text("GROWTH OF BODY", 1),
    ]);
    for session in sessions.iter().skip(sessions.len().saturating_sub(MOST_ROWS)) {
        grid.row([
            session.id.as_deref().unwrap_or("(unknown)").to_owned(),
            session.requests.to_string(),
            units::stamp(session.first),
            units::bytes(session.first_body_bytes),
            units::bytes(session.last_body_bytes),
            units::course(&session.body_bytes, 24),
        ]);
    }
    grid
}

/// The command that helps most from here.
fn hint(page: &mut Page, summary: &Summary) {
    let models = summary.groups.iter().filter(|group| group.name.is_some()).count();
    match summary.sessions.as_slice() {
        [] => {}
        [.., session] if models == 0 && session.id.is_some() => {
            let id = session.id.as_deref().unwrap_or_default();
            page.hint("Name the model that ran:", format!("traces --label NAME=session:{}", quoted(id)));
        }
        _ if models > 1 => page.hint("Compare the two models used last:", "traces diff"),
        _ => page.hint("See where the newest request's bytes are:", "traces show latest"),
    }
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=~,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
