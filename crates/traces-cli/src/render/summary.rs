//! The page of `traces summary`.

use anyclaude_traces::analysis::summary::{SessionGrowth, Summary};
use anyclaude_traces::analysis::tools::ToolUse;
use anyclaude_traces::model::group::Group;
use anyclaude_traces::model::measure::{Measure, Unit, Value};
use anyclaude_traces::model::scope::{KindFilter, Scope};
use anyclaude_traces::model::stats::Stats;
use anyclaude_traces::{Kind, Timestamp};

use super::findings;
use super::ids::Ids;
use super::page::{MORE, Next, Page, quoted};
use super::table::{Grid, number, text};
use super::times;
use super::tools;
use super::units::{self, UNKNOWN};
use crate::cli::By;

/// How much is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SummaryDetail {
    findings: usize,
    of_finding: findings::FindingDetail,
    tools: usize,
    /// Whether it is told what all tools cost together.
    has_tool_costs: bool,
    sessions: usize,
}

impl SummaryDetail {
    /// All there is, and less and less, for terminals that are not high enough.
    pub(crate) fn levels() -> impl Iterator<Item = Self> {
        use findings::FindingDetail::{All, Found, Short};
        let level = |(findings, of_finding, tools, has_tool_costs, sessions)| Self {
            findings,
            of_finding,
            tools,
            has_tool_costs,
            sessions,
        };
        let levels = [
            (findings::DEAREST, All, 5, true, 5),
            (findings::DEAREST, All, 3, true, 2),
            (findings::DEAREST, Short, 0, true, 2),
            (findings::DEAREST, Short, 0, true, 0),
            (findings::DEAREST, Short, 0, false, 0),
            (2, Short, 0, true, 0),
            (2, Short, 0, false, 0),
            (1, Short, 0, true, 0),
            (1, Short, 0, false, 0),
            (1, Found, 0, true, 0),
            (1, Found, 0, false, 0),
        ];
        levels.into_iter().map(level)
    }

    fn is_less(self) -> bool {
        self.tools == 0
    }
}

pub(crate) fn page(
    summary: &Summary,
    by: By,
    is_sitting: bool,
    next: &Next,
    ids: Ids,
    detail: SummaryDetail,
) -> Page {
    let mut page = Page::default();
    let totals = &summary.totals;
    if let Some(headline) = &summary.headline {
        page.strong(format!("{headline}."));
    }
    let mut scope = summary.scope;
    // Which kinds these are, the next line tells.
    if !summary.other_kinds.is_empty() || scope.kind == KindFilter::Only(Kind::Conversation) {
        scope.kind = KindFilter::All;
    }
    page.line(scope_line(&scope, is_sitting, totals.first.zip(totals.last), totals.requests));
    let footnotes = footnotes(summary, is_sitting);
    if !footnotes.is_empty() {
        page.line(footnotes);
    }
    page.table(groups(&summary.groups, by, ids));
    page.table(times::where_time_goes(&summary.groups, |group| shown_name(group, by, ids)));
    let more = next.same("report --format markdown");
    let more = Some(&*more).filter(|_| !detail.is_less());
    findings::dearest(&mut page, &summary.findings, detail.findings, detail.of_finding, more);
    let costs = summary.price_list.as_ref();
    if detail.tools > 0 {
        let largest: Vec<tools::LargestTool<'_>> = summary.largest_tools.iter().map(tool_row).collect();
        page.table(tools::largest(&largest, costs, detail.tools));
    }
    if detail.has_tool_costs {
        if !detail.is_less() {
            tools::servers(&summary.mcp_servers, costs).into_iter().for_each(|servers| page.line(servers));
        } else {
            page.space();
        }
        costs.into_iter().for_each(|costs| tools::costs(&mut page, costs));
    }
    page.table(sessions(&summary.sessions, ids, detail.sessions));
    if let Some(more) = summary.sessions.len().checked_sub(detail.sessions).filter(|more| *more > 0)
        && detail.sessions > 0
    {
        page.line(format!("{} not shown", units::count(more as u64, "older session")));
    }
    if !detail.is_less() || summary.groups.len() > 1 {
        hint(&mut page, summary, by, next, ids);
    }
    if detail.is_less() {
        page.hint(MORE, format!("{} | less", next.same("summary")));
    }
    page
}

/// The scope: the time span, and how many of the requests there are in it.
pub(crate) fn scope_line(
    scope: &Scope,
    is_sitting: bool,
    span: Option<(Timestamp, Timestamp)>,
    requests: u64,
) -> String {
    let when = span.map_or_else(
        || "unknown time".to_owned(),
        |(first, last)| {
            let ago = units::ago(last).map_or_else(String::new, |ago| format!(" ({ago})"));
            format!("{}{ago}", units::span(first, last))
        },
    );
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

/// The heading of the column that names groups.
pub(crate) fn by_title(by: By) -> &'static str {
    match by {
        By::Model => "MODEL",
        By::Run => "RUN",
        By::Session => "SESSION",
        By::Mode => "MODE",
        By::Kind => "KIND",
        By::Level => "LEVEL",
        By::Day => "DAY",
    }
}

/// The value that the requests of a group share.
pub(crate) fn group_name(group: &Group) -> String {
    group.name.as_deref().unwrap_or("(unknown)").to_owned()
}

/// The same, where a session is not named by all of its id.
fn shown_name(group: &Group, by: By, ids: Ids) -> String {
    let name = group_name(group);
    if by == By::Session { ids.session(&name) } else { name }
}

fn groups(groups: &[Group], by: By, ids: Ids) -> Grid {
    let mut grid = Grid::new([
        text(by_title(by), 0),
        number("REQS", 3),
        number("WAIT", 0),
        // The table below has it too, as a mean.
        number("PROXY", 5),
        number("TTFT", 2),
        number("READ TOK/S", 1),
        number("WRITE TOK/S", 1),
        number("PROMPT", 4),
        number("BODY", 6),
        number("TOOLS", 7),
    ]);
    for group in groups {
        let median =
            |measure: Measure| units::maybe(group.stats(measure).map(|stats| stats.p50), measure.unit());
        grid.row([
            shown_name(group, by, ids),
            group.requests.to_string(),
            units::maybe(group.answered_wall_ms.as_ref().map(|stats| stats.p50), Unit::Ms),
            median(Measure::ProxyMs),
            median(Measure::TtftMs),
            times::reading(group.speeds.as_ref()),
            times::writing(group.speeds.as_ref()),
            median(Measure::PromptTokens),
            median(Measure::BodyBytes),
            median(Measure::ToolCount),
        ]);
    }
    grid.without_empty(&[UNKNOWN])
}

/// Whether times are known of requests that were not answered.
fn has_unanswered(group: &Group) -> bool {
    let n = |stats: Option<&Stats<Value>>| stats.map_or(0, |stats| stats.n);
    n(group.answered_wall_ms.as_ref()) < n(group.stats(Measure::WallMs))
}

/// Says what the figures are, what was left out, and which option includes it.
fn footnotes(summary: &Summary, is_sitting: bool) -> String {
    let mut notes = Vec::new();
    if summary.totals.requests > 1 {
        let has_times = summary.groups.iter().any(|group| group.time.is_some());
        let of_answered =
            if summary.groups.iter().any(has_unanswered) { ", WAIT of answered requests" } else { "" };
        let means = if has_times { "; WHERE THE TIME GOES has means." } else { "." };
        notes.push(format!("Medians{of_answered}{means}"));
    }
    let kinds: Vec<String> = summary.other_kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    let others: u64 = summary.other_kinds.values().sum();
    let older = summary.scope.requests_seen.saturating_sub(summary.totals.requests + others);
    let mut left_out = Vec::new();
    if !kinds.is_empty() {
        left_out.push(format!("{} (--kind all)", kinds.join(", ")));
    }
    if is_sitting && older > 0 {
        left_out.push(format!("{older} older (--all)"));
    }
    if !left_out.is_empty() {
        notes.push(format!("Left out: {}.", left_out.join(", ")));
    }
    notes.join(" ")
}

fn tool_row(tool: &ToolUse) -> tools::LargestTool<'_> {
    tools::LargestTool { name: tool.name.as_deref(), bytes: tool.bytes, requests: Some(tool.requests) }
}

fn sessions(sessions: &[SessionGrowth], ids: Ids, most: usize) -> Grid {
    let mut grid = Grid::new([
        text("SESSION", 0),
        number("REQS", 4),
        text("BEGAN", 3),
        number("FIRST", 2),
        number("LAST", 0),
        text("GROWTH OF BODY", 1),
    ]);
    // What only a server's log tells of has no session and no size.
    let is_told = |session: &&SessionGrowth| session.id.is_some() || session.last_body_bytes.is_known();
    for session in sessions.iter().filter(is_told).skip(sessions.len().saturating_sub(most)) {
        grid.row([
            session.id.as_deref().map_or_else(|| "(unknown)".to_owned(), |id| ids.session(id)),
            session.requests.to_string(),
            units::stamp(session.first),
            units::size(session.first_body_bytes, Unit::Bytes),
            units::size(session.last_body_bytes, Unit::Bytes),
            units::course(&session.body_bytes, 24),
        ]);
    }
    grid
}

/// Suggests the next command.
fn hint(page: &mut Page, summary: &Summary, by: By, next: &Next, ids: Ids) {
    let named = summary.groups.iter().filter(|group| group.name.is_some()).count();
    let models = Some(named).filter(|_| by == By::Model);
    let session = summary.sessions.last().and_then(|session| session.id.as_deref());
    let name = |selector: String| next.command(&format!("--label NAME={}", quoted(&selector)));
    match (unnamed_run(summary), session) {
        (Some(run), _) if !next.has_paths => {
            page.hint("Name the model that ran:", name(format!("run:{run}")))
        }
        (_, Some(id)) if models == Some(0) && !next.has_paths => {
            page.hint("Name the model that ran:", name(format!("session:{}", ids.session(id))));
        }
        // Of INPUTs, `explain` would take one for a side.
        _ if models > Some(1) && next.inputs.is_empty() => {
            page.hint("Why one of the two models used last is slower:", next.same("explain"));
        }
        _ if models > Some(1) => {
            page.hint(
                "Why one of the two models used last is slower:",
                next.same("report --format markdown"),
            );
        }
        _ => match &next.newest {
            Some(newest) => {
                page.hint("Where the newest request's bytes are:", next.command(&format!("show {newest}")));
            }
            None => page.hint("What each request took:", next.same("timing")),
        },
    }
}

/// A run whose log names no model but the placeholder `current-model`.
fn unnamed_run(summary: &Summary) -> Option<&str> {
    summary.groups.iter().find_map(|group| group.name.as_deref()?.strip_prefix("unnamed, run "))
}
