//! The page of `traces timing`.

mod cut;
mod logged;

use anyclaude_traces::analysis::explain::Headline;
use anyclaude_traces::analysis::timing::{Edit, TimingReport};
use anyclaude_traces::model::group::Group;
use anyclaude_traces::model::measure::{Measure, Value};
use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::model::stats::Stats;
use anyclaude_traces::model::timing::{Confidence, Outcome, Timing};
use anyclaude_traces::{Kind, Request};

use super::columns::{Columns, Usual};
use super::list;
use super::page::Page;
use super::summary::{by_title, group_name, scope_line};
use super::table::{Column, Grid, number, text, whole};
use super::times;
use super::units::{self, UNKNOWN};
use crate::cli::By;

/// The measures that the table of groups shows.
const MEDIANS: [(Measure, &str); 7] = [
    (Measure::ProxyMs, "proxy"),
    (Measure::TtftMs, "TTFT"),
    (Measure::GenerationMs, "generation"),
    (Measure::TotalMs, "total"),
    (Measure::Keepalives, "keepalives"),
    (Measure::Events, "events"),
    (Measure::ReportedTokensPerSecond, "tok/s"),
];

/// `rows` are the columns of the rows of requests, which come first: the medians are what a
/// terminal shows at last.
pub(crate) fn page(
    report: &TimingReport,
    by: By,
    is_sitting: bool,
    rows: Option<&Columns>,
    order_line: Option<String>,
) -> Page {
    let mut page = Page::default();
    let stamps = || report.requests.iter().filter_map(|request| request.timestamp);
    let logged = || report.unmatched_log_requests.iter().filter_map(|unmatched| unmatched.start);
    let span = stamps().min().or(logged().min()).zip(stamps().max().or(logged().max()));
    // Of rows of which some are left out, how much is written would be another mean.
    let of_kind = |kind: KindFilter| -> Vec<&Request> {
        report.requests.iter().filter(|request| kind.admits(request.kind)).collect()
    };
    let all: u64 = report.groups.iter().map(|group| group.requests).sum();
    let kinds = [report.scope.kind, KindFilter::Only(Kind::Conversation)];
    let grouped = kinds.into_iter().map(of_kind).find(|found| found.len() as u64 == all).unwrap_or_default();
    let headline = Headline::of_models(&report.groups, &grouped).filter(|_| by == By::Model);
    let headline = headline.map(|headline| format!("{headline}."));
    if let Some(headline) = headline.as_ref().filter(|_| rows.is_none()) {
        page.strong(headline);
    }
    page.line(scope_line(&report.scope, is_sitting, span, shown(report)));
    if let Some(columns) = rows {
        tables(&mut page, report, columns, order_line);
    }
    for log in &report.server_logs {
        page.line(logged::server_log(log, report));
    }
    page.table(runs(report));
    if let Some(edits) = edits(&report.edits) {
        page.line(edits);
    }
    for missing in &report.missing {
        page.line(format!("Missing: {missing}."));
    }
    // Behind rows it stands with the medians, which are what a terminal shows at last.
    if let Some(headline) = headline.filter(|_| rows.is_some()) {
        page.space();
        page.strong(headline);
    }
    page.table(groups(report, by));
    page.table(times::where_time_goes(&report.groups, group_name));
    page
}

/// How many models answered the rows that are shown.
#[derive(Debug, Clone, Copy)]
enum Models {
    One,
    Several,
}

impl Models {
    fn of(report: &TimingReport) -> Self {
        let recorded = report.requests.iter().map(|request| request.model.as_deref());
        let logged = report.unmatched_log_requests.iter().map(|request| request.model.as_deref());
        let mut models = recorded.chain(logged);
        let first = models.next();
        if models.all(|model| Some(model) == first) { Self::One } else { Self::Several }
    }

    /// Their column. Of several it is never left out: without it, nobody knows whose a row is.
    fn column(self, drop: u8) -> Column {
        text("MODEL", if matches!(self, Self::Several) { 0 } else { drop })
    }
}

/// The rows, which may be those of several tables.
fn tables(page: &mut Page, report: &TimingReport, columns: &Columns, order_line: Option<String>) {
    // Without logs there are no times to show.
    let is_timed = report.requests.iter().any(|request| request.timing.is_some());
    let models = Models::of(report);
    let recorded = is_timed.then(|| requests(&report.requests, columns, models));
    let proxys = logged::unmatched(report, columns, models);
    let grids = [recorded.unwrap_or_default(), proxys, logged::tasks(report, columns, models)];
    if grids.iter().all(Grid::is_empty) {
        return;
    }
    grids.into_iter().for_each(|grid| page.table(grid));
    order_line.into_iter().for_each(|line| page.line(line));
}

/// How many requests are shown: where servers' logs are all there is, their tasks.
fn shown(report: &TimingReport) -> u64 {
    let tasks = report.unmatched_log_requests.iter().filter(|unmatched| unmatched.log.is_some());
    let requests = report.requests.len();
    (if requests == 0 { tasks.count() } else { requests }) as u64
}

fn groups(report: &TimingReport, by: By) -> Grid {
    let mut grid = Grid::new([
        text(by_title(by), 0),
        whole("MEASURE", 0),
        number("N", 1),
        number("P50", 0),
        number("P90", 2),
        number("P95", 0),
        number("MAX", 3),
    ]);
    for group in &report.groups {
        let known =
            MEDIANS.iter().filter_map(|(measure, name)| Some((measure, name, group.stats(*measure)?)));
        for (at, (measure, name, stats)) in known.enumerate() {
            grid.row(group_row(group, at, *measure, name, stats));
        }
    }
    grid
}

fn group_row(group: &Group, at: usize, measure: Measure, name: &str, stats: &Stats<Value>) -> [String; 7] {
    let figure = |value| units::show(value, measure.unit());
    [
        if at == 0 { group_name(group) } else { String::new() },
        name.to_owned(),
        stats.n.to_string(),
        figure(stats.p50),
        figure(stats.p90),
        figure(stats.p95),
        figure(stats.max),
    ]
}

/// The columns that the rows have anyway, by their names in JSON.
const SHOWN: &[&str] = &[
    "id",
    "timestamp",
    "kind",
    "model",
    "timing.wall_ms",
    "timing.proxy_ms",
    "timing.load_ms",
    "timing.queue_ms",
    "timing.read_ms",
    "timing.write_ms",
    "timing.stall_ms",
    "timing.other_ms",
    "timing.outcome",
];

fn requests(requests: &[Request], columns: &Columns, models: Models) -> Grid {
    let titles = vec![
        whole("ID", 4),
        whole("TIME", 0),
        text("KIND", 7),
        models.column(6),
        number("WAIT", 0),
        number("PROXY", 4),
        number("LOAD", 2),
        number("QUEUE", 2),
        number("READ", 1),
        number("WRITE", 1),
        number("STALL", 2),
        number("OTHER", 5),
        number("TTFT", 9),
        number("TOTAL", 8),
        number("PROMPT", 6),
        number("CACHED", 5),
        number("OUT", 6),
        number("KEEPALIVES", 11),
        number("EVENTS", 12),
        number("TOK/S", 10),
        text("OUTCOME", 3),
    ];
    let cells = |request: &Request| {
        let figure = |measure: Measure| units::maybe(measure.of(request), measure.unit());
        let timing = request.timing.as_deref();
        let part = |part: fn(&Timing) -> Option<u64>| units::ms(timing.and_then(part));
        let cached = timing
            .and_then(|timing| timing.cached_tokens.get())
            .map_or_else(|| UNKNOWN.to_owned(), units::tokens);
        vec![
            request.id.to_string(),
            units::stamp(request.timestamp),
            request.kind.name().to_owned(),
            list::model(request),
            figure(Measure::WallMs),
            figure(Measure::ProxyMs),
            part(|timing| timing.load_ms.get()),
            part(|timing| timing.queue_ms.get()),
            part(|timing| timing.read_ms.get()),
            part(|timing| timing.write_ms.get()),
            part(|timing| timing.stall_ms.get()),
            part(|timing| timing.other_ms.get()),
            figure(Measure::TtftMs),
            figure(Measure::TotalMs),
            figure(Measure::PromptTokens),
            cached,
            figure(Measure::OutputTokens),
            figure(Measure::Keepalives),
            figure(Measure::Events),
            figure(Measure::ReportedTokensPerSecond),
            outcome(request),
        ]
    };
    let empty = &[UNKNOWN, times::NOTHING];
    columns.grid(requests, Usual { columns: titles, shown: SHOWN, cells, empty })
}

/// How a request ended, and whether its log lines could be another's.
pub(crate) fn outcome(request: &Request) -> String {
    let outcome = request.timing.as_ref().and_then(|timing| timing.outcome);
    let doubt = request.join.as_ref().is_some_and(|join| join.confidence == Confidence::Ambiguous);
    let name = outcome.map_or(UNKNOWN, outcome_name);
    if doubt { format!("{name} (ambiguous)") } else { name.to_owned() }
}

/// How a request ended, in words.
pub(crate) fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Failed => "failed",
        Outcome::TimedOut => "timed out",
        Outcome::Unfinished => "unfinished",
        Outcome::NotStreamed => "not streamed",
        Outcome::Disconnected => "client left",
        _ => UNKNOWN,
    }
}

fn runs(report: &TimingReport) -> Grid {
    let mut grid = Grid::new([
        text("RUN", 0),
        number("LEVEL", 1),
        number("REQS", 0),
        number("LOG SIZE", 2),
        text("LOG", 3),
    ]);
    for run in &report.runs {
        grid.row([
            run.id.to_string(),
            run.level.map_or_else(|| UNKNOWN.to_owned(), |level| level.to_string()),
            run.requests.to_string(),
            if run.log_bytes > 0 { units::bytes(run.log_bytes) } else { UNKNOWN.to_owned() },
            run.log.to_string(),
        ]);
    }
    grid
}

/// How the proxy changed the prompts, over all requests for which it is known.
fn edits(edits: &[Edit]) -> Option<String> {
    let sum = |of: fn(&Edit) -> u64| edits.iter().map(of).sum::<u64>();
    let (before, after) = (
        sum(|edit| edit.system_chars + edit.tools_bytes),
        sum(|edit| edit.proxied_system_chars + edit.proxied_tools_chars),
    );
    let n = units::count(edits.len() as u64, "request");
    (!edits.is_empty()).then(|| {
        format!(
            "The proxy's edits, over {n}: system {} → {}, tools {} → {}, together {} of what Claude Code sent.",
            units::chars(sum(|edit| edit.system_chars)),
            units::chars(sum(|edit| edit.proxied_system_chars)),
            units::bytes(sum(|edit| edit.tools_bytes)),
            units::bytes(sum(|edit| edit.proxied_tools_chars)),
            units::share(after, before),
        )
    })
}
