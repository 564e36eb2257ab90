//! The page of `traces timing`.

use std::borrow::Cow;

use anyclaude_traces::analysis::explain::Headline;
use anyclaude_traces::analysis::timing::{Edit, TimingReport};
use anyclaude_traces::formats::backend::BackendFormat;
use anyclaude_traces::model::group::Group;
use anyclaude_traces::model::measure::{Measure, Value};
use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::model::stats::Stats;
use anyclaude_traces::model::timing::{Confidence, Outcome, Timing};
use anyclaude_traces::{Kind, Request};

use anyclaude_traces::recording::join::{ServerLog, ServerTruncation};

use super::columns::Columns;
use super::list;
use super::page::Page;
use super::summary::{by_title, group_name, scope_line};
use super::table::{Grid, number, text, whole};
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
    // Without logs there are no times to show.
    if let Some(columns) = rows.filter(|_| report.requests.iter().any(|request| request.timing.is_some())) {
        page.table(requests(&report.requests, columns));
        order_line.into_iter().for_each(|line| page.line(line));
    }
    page.table(unmatched(report));
    page.table(tasks(report));
    for log in &report.server_logs {
        page.line(server_log(log));
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
pub(crate) const SHOWN: &[&str] = &[
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

fn requests(requests: &[Request], columns: &Columns) -> Grid {
    let usual = vec![
        whole("ID", 4),
        whole("TIME", 0),
        text("KIND", 7),
        text("MODEL", 6),
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
    columns.grid(requests, usual, cells, &[UNKNOWN, times::NOTHING])
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

fn unmatched(report: &TimingReport) -> Grid {
    let mut grid = Grid::new([
        text("LOGGED WITHOUT TRACE", 0),
        text("MODEL", 2),
        number("TTFT", 1),
        number("TOTAL", 0),
        text("OUTCOME", 0),
    ]);
    for unmatched in report.unmatched_log_requests.iter().filter(|unmatched| unmatched.log.is_none()) {
        let timing = &unmatched.timing;
        grid.row([
            units::stamp(timing.start),
            unmatched.model.as_deref().unwrap_or(UNKNOWN).to_owned(),
            units::ms(timing.ttft_ms.get()),
            units::ms(timing.total_ms.get()),
            timing.outcome.map_or(UNKNOWN, outcome_name).to_owned(),
        ]);
    }
    grid
}

/// What servers' logs tell of that is none of the recorded requests.
fn tasks(report: &TimingReport) -> Grid {
    let mut grid = Grid::new([
        text("IN THE SERVER'S LOG", 0),
        text("MODEL", 4),
        number("WAIT", 1),
        number("LOAD", 1),
        number("QUEUE", 1),
        number("READ", 0),
        number("WRITE", 0),
        number("PROMPT", 0),
        number("CACHED", 0),
        number("READ TOKENS", 3),
        number("OUT", 0),
        number("READ TOK/S", 2),
        number("WRITE TOK/S", 2),
        text("OUTCOME", 5),
    ]);
    // Cells without a figure of their own take no memory: a log may have very many tasks.
    let shown = |text: Option<String>| text.map_or(Cow::Borrowed(UNKNOWN), Cow::Owned);
    let ms = |ms: Option<u64>| shown(ms.map(|ms| units::ms(Some(ms))));
    let tokens = |tokens: Option<u64>| shown(tokens.map(units::tokens));
    let speed = |speed: Option<f64>| shown(speed.map(|speed| units::per_second(Some(speed))));
    for task in report.unmatched_log_requests.iter().filter(|unmatched| unmatched.log.is_some()) {
        let timing = &task.timing;
        let outcome = timing.outcome.map_or(UNKNOWN, outcome_name);
        let is_ambiguous = task.confidence == Confidence::Ambiguous;
        grid.row([
            shown(timing.start.map(|start| units::stamp(Some(start)))),
            Cow::Borrowed(task.model.as_deref().unwrap_or(UNKNOWN)),
            ms(timing.total_ms.get()),
            ms(timing.load_ms.get()),
            ms(timing.queue_ms.get()),
            ms(timing.read_ms.get()),
            ms(timing.write_ms.get()),
            tokens(timing.prompt_tokens.get()),
            tokens(timing.cached_tokens.get()),
            tokens(timing.read_tokens.get()),
            tokens(timing.output_tokens.get()),
            speed(timing.read_tokens_per_second()),
            speed(timing.write_tokens_per_second()),
            if is_ambiguous { Cow::Owned(format!("{outcome} (ambiguous)")) } else { Cow::Borrowed(outcome) },
        ]);
    }
    grid.without_empty(&[UNKNOWN, times::NOTHING])
}

/// What a server's log tells besides its requests.
fn server_log(log: &ServerLog) -> String {
    let format = match log.format {
        BackendFormat::LmStudio => "LM Studio",
        BackendFormat::LlamaServer => "llama-server",
        BackendFormat::Ollama => "Ollama",
        _ => "a server",
    };
    let mut said = vec![units::count(log.requests, "request")];
    if log.joined > 0 {
        said.push(format!("{} found in the recording", log.joined));
    }
    if log.ambiguous > 0 {
        said.push(format!("{} that could be others", log.ambiguous));
    }
    if !log.loads.is_empty() {
        let took: Vec<String> =
            log.loads.iter().filter_map(|load| load.load_ms).map(|ms| units::ms(Some(ms))).collect();
        let took = if took.is_empty() { String::new() } else { format!(" ({})", took.join(", ")) };
        said.push(format!("{}{took}", units::count(log.loads.len() as u64, "load")));
    }
    if log.evictions > 0 {
        said.push(format!("{} that took the slot of another prompt", log.evictions));
    }
    said.extend(cut_prompts(&log.truncations));
    if log.unreadable_lines > 0 {
        said.push(units::count(log.unreadable_lines, "unreadable line"));
    }
    format!("{} ({format}): {}.", log.log, said.join(", "))
}

/// The prompts that a server cut, in one sentence.
fn cut_prompts(cuts: &[ServerTruncation]) -> Option<String> {
    let range = |of: fn(&ServerTruncation) -> Option<u64>| {
        let known = || cuts.iter().filter_map(of);
        match (known().min(), known().max()) {
            (Some(least), Some(most)) if least < most => {
                format!("{} to {}", units::tokens(least), units::tokens(most))
            }
            (Some(least), _) => units::tokens(least),
            _ => UNKNOWN.to_owned(),
        }
    };
    let (whole, limit) = (range(|cut| cut.prompt_tokens), range(|cut| cut.limit));
    let prompts = match cuts.len() {
        0 => return None,
        1 => "a prompt".to_owned(),
        n => format!("{n} prompts"),
    };
    Some(format!("{prompts} of {whole} tokens cut to the {limit} that fit, without a word to the client"))
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
