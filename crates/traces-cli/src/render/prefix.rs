//! The page of `traces prefix`.

use anyclaude_traces::analysis::context_window::ContextReport;
use anyclaude_traces::analysis::prefix::{
    Break, Breaker, Cause, Evictions, Order, PrefixReport, PrefixRequest, PrefixTotals, ToolsDifference,
    UPPER_BOUND, View, Volatile,
};
use anyclaude_traces::findings::Advice;
use anyclaude_traces::model::measure::{Unit, Value};
use anyclaude_traces::model::request::TokenMethod;
use anyclaude_traces::model::timing::CachedSource;
use anyclaude_traces::model::{CacheUse, ModelSpeeds};

use super::columns::{Columns, Usual};
use super::ids::Ids;
use super::page::Page;
use super::summary::scope_line;
use super::table::{Grid, number, text, whole};
use super::units::{self, UNKNOWN};
use super::{times, tools};

/// How many threads are shown.
const MOST_THREADS: usize = 8;
/// How many names of tools are shown.
const MOST_NAMES: usize = 4;

/// What is shown of the rows.
#[derive(Debug)]
pub(crate) struct ShownRows<'a> {
    /// Their columns; `None`: no rows.
    pub(crate) rows: Option<&'a Columns>,
    /// How many there are in all.
    pub(crate) all: usize,
    /// Which of them these are, where not all are.
    pub(crate) line: Option<String>,
}

/// The rows come first: what a terminal shows at last is what all of them amount to.
pub(crate) fn page(report: &PrefixReport, is_sitting: bool, shown: ShownRows<'_>, ids: Ids) -> Page {
    let mut page = Page::default();
    let stamps = || report.requests.iter().filter_map(|request| request.timestamp);
    let span = stamps().min().zip(stamps().max());
    let headline = (report.totals.prompt_bytes > 0).then(|| headline(report));
    if let Some(headline) = headline.as_ref().filter(|_| shown.rows.is_none()) {
        page.strong(headline);
    }
    page.line(scope_line(&report.scope, is_sitting, span, report.requests.len() as u64));
    if let Some(columns) = shown.rows {
        page.table(requests(&report.requests, columns));
        shown.line.into_iter().for_each(|line| page.line(line));
    }
    page.table(speeds(&report.speeds));
    if let Some(found) = &report.context {
        page.table(context(found, ids));
    }
    report.price_list.iter().for_each(|costs| tools::costs(&mut page, costs));
    page.table(breakers(&report.breakers));
    for breaker in report.breakers.iter().filter(|breaker| is_worth_advice(breaker, report)) {
        if let Some(advice) = advice(breaker) {
            page.line(format!("{}: {advice}", breaker_name(breaker)));
        }
    }
    for breaker in report.breakers.iter().filter(|breaker| breaker.was.is_some() || breaker.now.is_some()) {
        excerpt(&mut page, breaker);
    }
    evictions(&report.evictions, report.slots).into_iter().for_each(|line| page.line(line));
    let one_slot = evictions(&report.evictions_one_slot, 1).filter(|_| report.slots > 1);
    one_slot.into_iter().for_each(|line| page.line(line));
    // Behind rows it stands with the totals, which are what a terminal shows at last.
    if let Some(headline) = headline.filter(|_| shown.rows.is_some()) {
        page.space();
        page.strong(headline);
    }
    page.table(totals(report));
    page.line(assumed(report, shown.all));
    page.line(format!("{UPPER_BOUND}."));
    page
}

/// How much a cache could reuse, and what costs most of it.
fn headline(report: &PrefixReport) -> String {
    let totals = &report.totals;
    let share = units::share(totals.reusable_bytes, totals.prompt_bytes);
    let all = units::bytes(totals.prompt_bytes);
    if report.breakers.is_empty() {
        let went_on = |request: &PrefixRequest| request.break_.is_none() && request.reused_from.is_some();
        let how = if report.requests.iter().any(went_on) {
            "Every prompt went on from one before it, or was the first of its conversation"
        } else {
            "Every prompt was the first of its conversation"
        };
        return format!("{how}: a prompt cache could reuse {share} of the {all} that were sent.");
    }
    let most =
        report.breakers.iter().filter(|breaker| breaker.lost_bytes > 0).max_by_key(|one| one.lost_bytes);
    let most = most.map_or_else(String::new, |breaker| {
        let (name, lost) = (breaker_name(breaker), units::bytes(breaker.lost_bytes));
        format!("; most is lost by {name}: {lost}")
    });
    format!("A prompt cache could reuse {share} of the {all} that were sent{most}.")
}

/// How much of the context window each thread takes, the fullest last.
fn context(report: &ContextReport, ids: Ids) -> Grid {
    let mut grid = Grid::new([
        text("THREAD", 0),
        text("MODEL", 4),
        number("REQS", 3),
        number("PROMPT", 0),
        number("LEFT", 0),
        number("A TURN", 2),
        text("WINDOW FULL AT", 0),
    ]);
    let mut threads: Vec<_> = report.threads.iter().collect();
    threads.sort_by_key(|thread| thread.prompt_tokens);
    for thread in threads.iter().skip(threads.len().saturating_sub(MOST_THREADS)) {
        let prompt = match thread.method {
            TokenMethod::Reported => units::tokens(thread.prompt_tokens),
            _ => units::estimate(thread.prompt_tokens),
        };
        grid.row([
            thread.thread.as_deref().map_or_else(|| "(unknown)".to_owned(), |id| ids.session(id)),
            thread.model.as_deref().unwrap_or(UNKNOWN).to_owned(),
            thread.requests.to_string(),
            prompt,
            units::delta(Value::Whole(thread.headroom_tokens), Unit::Tokens),
            thread.tokens_per_turn.map_or_else(
                || UNKNOWN.to_owned(),
                |growth| units::delta(Value::Rate(growth.round()), Unit::Tokens),
            ),
            thread.overflow_turn.map_or_else(|| "never".to_owned(), |turn| format!("turn {turn}")),
        ]);
    }
    grid
}

/// Whether it cost at least 1 % of everything that had to be read.
fn is_worth_advice(breaker: &Breaker, report: &PrefixReport) -> bool {
    breaker.lost_bytes > 0 && breaker.lost_bytes >= report.totals.new_bytes() / 100
}

/// The assumptions of the simulation.
fn assumed(report: &PrefixReport, all: usize) -> String {
    let order = match report.order {
        Order::SystemFirst => "system prompt before tools",
        Order::ToolsFirst => "tools before system prompt",
    };
    let view = edits(report.view);
    let ram = if report.cache.ram { " and main memory" } else { "" };
    let hidden = report.simulated.saturating_sub(all as u64);
    let hidden = match hidden {
        0 => String::new(),
        n => format!("; {} simulated too", units::count(n, "other request")),
    };
    format!(
        "Simulated: {}{ram} per model, {order}, {view}{hidden}.",
        units::count(report.slots, "cache slot")
    )
}

/// What the proxy made of the requests.
fn edits(view: View) -> String {
    let mut edits = Vec::new();
    let named = [
        (view.sorted, "tools sorted by name"),
        (view.no_header, "no billing header"),
        (view.text_only, "no thinking or images"),
        (view.truncated, "histories cut as the log says"),
    ];
    edits.extend(named.into_iter().filter(|(is_made, _)| *is_made).map(|(_, words)| words));
    if edits.is_empty() {
        "as Claude Code sent it".to_owned()
    } else {
        format!("as the proxy sends it: {}", edits.join(", "))
    }
}

/// What to do about a break, and how to see what changed where the advice is to find that.
pub(crate) fn advice(breaker: &Breaker) -> Option<String> {
    let advice = Advice::on_break(breaker)?;
    let is_quoted = breaker.was.is_some() || breaker.now.is_some();
    let is_to_be_found = match breaker.cause {
        Cause::SystemChanged | Cause::HistoryEdited | Cause::VolatileOpening => true,
        _ => breaker.volatile == Some(Volatile::RandomId),
    };
    let see = if is_to_be_found && !is_quoted { " `--text` shows what changed." } else { "" };
    Some(format!("{advice}{see}"))
}

fn totals(report: &PrefixReport) -> Grid {
    let mut grid = Grid::new([
        text("CACHE", 0),
        number("PROMPTS", 1),
        number("REUSABLE", 0),
        number("", 0),
        number("TO READ", 0),
    ]);
    let mut row = |slots: u64, totals: &PrefixTotals| {
        grid.row([
            units::count(slots, "slot"),
            units::bytes(totals.prompt_bytes),
            units::bytes(totals.reusable_bytes),
            units::share(totals.reusable_bytes, totals.prompt_bytes),
            units::bytes(totals.new_bytes()),
        ]);
    };
    row(report.slots, &report.totals);
    if report.slots > 1 {
        row(1, &report.totals_one_slot);
    }
    grid
}

pub(crate) fn breakers(breakers: &[Breaker]) -> Grid {
    let mut grid = Grid::new([
        text("BROKEN BY", 0),
        number("REQS", 2),
        number("LOST", 0),
        number("TOKENS", 3),
        number("TIME", 1),
        text("WORST AT", 0),
        text("CHANGED", 4),
    ]);
    for breaker in breakers {
        grid.row([
            breaker_name(breaker),
            breaker.requests.to_string(),
            units::bytes(breaker.lost_bytes),
            tokens(breaker.lost_tokens),
            units::ms(breaker.lost_ms),
            breaker.element.to_string(),
            breaker.tools.as_ref().map(tools).unwrap_or_default(),
        ]);
    }
    grid.without_empty(&[UNKNOWN, ""])
}

fn breaker_name(breaker: &Breaker) -> String {
    let name = breaker.cause.name();
    let volatile = breaker.volatile.filter(|_| breaker.cause != Cause::DateChanged);
    volatile.map_or_else(|| name.to_owned(), |volatile| format!("{name} ({})", volatile.words()))
}

/// Names a few of the tools that changed.
fn tools(tools: &ToolsDifference) -> String {
    if tools.reordered {
        return "another order".to_owned();
    }
    let sides = [("+", &tools.added), ("−", &tools.removed), ("≠", &tools.changed)];
    let names: Vec<String> = sides
        .iter()
        .flat_map(|(sign, names)| names.iter().map(move |name| format!("{sign}{name}")))
        .collect();
    let more = match names.len().saturating_sub(MOST_NAMES) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    names.iter().take(MOST_NAMES).map(String::as_str).collect::<Vec<_>>().join(" ") + &more
}

/// The text before and after the costliest change.
fn excerpt(page: &mut Page, breaker: &Breaker) {
    let file = breaker.worst.as_ref().file_name().unwrap_or_default().to_string_lossy();
    page.line(format!("{} at {} of {file}:", breaker_name(breaker), breaker.element));
    for (name, side) in [("was", &breaker.was), ("now", &breaker.now)] {
        page.line(format!("{name}: {}", side.as_deref().unwrap_or("(nothing)")));
    }
}

/// What evictions for lack of slots cost.
fn evictions(evictions: &[Evictions], slots: u64) -> Option<String> {
    let by = |eviction: &Evictions| {
        let kind = eviction.kind.map_or("the conversation", |kind| kind.name());
        let time = eviction.lost_ms.map_or_else(String::new, |ms| format!(", {}", units::ms(Some(ms))));
        let lost = units::bytes(eviction.lost_bytes);
        format!("{kind} requests evicted {} ({lost}{time})", prefixes(eviction.requests))
    };
    let parts: Vec<String> = evictions.iter().map(by).collect();
    (!parts.is_empty()).then(|| format!("With {}: {}.", units::count(slots, "slot"), parts.join(", ")))
}

fn prefixes(n: u64) -> String {
    if n == 1 { "1 prefix".to_owned() } else { format!("{n} prefixes") }
}

/// The columns that the rows have anyway, by their names in JSON.
const SHOWN: &[&str] = &[
    "id",
    "timestamp",
    "kind",
    "model",
    "prompt_bytes",
    "reusable_bytes",
    "cached_tokens",
    "ttft_ms",
    "expected_ttft_ms",
    "break.element",
    "break.cause",
];

fn requests(requests: &[PrefixRequest], columns: &Columns) -> Grid {
    let titles = vec![
        whole("ID", 4),
        whole("TIME", 0),
        text("KIND", 4),
        text("MODEL", 6),
        number("PROMPT", 1),
        number("REUSABLE", 0),
        number("NEW", 3),
        number("CACHED", 2),
        number("TTFT", 2),
        number("EXPECTED", 5),
        text("BREAK", 1),
        text("CAUSE", 0),
    ];
    let cells = |request: &PrefixRequest| {
        let break_ = request.break_.as_deref();
        vec![
            request.id.to_string(),
            units::stamp(request.timestamp),
            request.kind.name().to_owned(),
            request.model.as_deref().unwrap_or(UNKNOWN).to_owned(),
            units::bytes(request.prompt_bytes),
            units::share(request.reusable_bytes, request.prompt_bytes),
            units::bytes(request.prompt_bytes - request.reusable_bytes),
            cached(request),
            units::ms(request.ttft_ms.get()),
            units::ms(request.expected_ttft_ms.get()),
            break_.map_or_else(|| UNKNOWN.to_owned(), |break_| break_.element.to_string()),
            break_.map_or_else(|| "appended".to_owned(), cause),
        ]
    };
    columns.grid(requests, Usual { columns: titles, shown: SHOWN, cells, empty: &[UNKNOWN] })
}

/// Tokens from the cache: what the backend counted, else about as many as simulated.
fn cached(request: &PrefixRequest) -> String {
    let Some(tokens) = request.cached_tokens.get() else { return UNKNOWN.to_owned() };
    match request.cached_source {
        Some(CachedSource::Reported | CachedSource::ServerLog) => units::tokens(tokens),
        _ => units::estimate(tokens),
    }
}

pub(crate) fn cause(break_: &Break) -> String {
    let tools = break_.tools.as_ref().map(tools).filter(|tools| !tools.is_empty());
    tools.map_or_else(|| break_.cause.name().to_owned(), |tools| format!("{}: {tools}", break_.cause.name()))
}

fn speeds(speeds: &[ModelSpeeds]) -> Grid {
    let mut grid = Grid::new([
        text("MODEL", 0),
        number("N", 3),
        number("READ TOK/S", 0),
        number("WRITE TOK/S", 2),
        text("PROMPT CACHE", 1),
    ]);
    for ModelSpeeds { model, speeds, .. } in speeds {
        grid.row([
            model.as_deref().unwrap_or("(unknown)").to_owned(),
            speeds.n_read.to_string(),
            times::reading(Some(speeds)),
            times::writing(Some(speeds)),
            match speeds.cache {
                CacheUse::Reuses => "is used",
                CacheUse::ReadsAll => "is not used",
                _ => UNKNOWN,
            }
            .to_owned(),
        ]);
    }
    grid.without_empty(&[UNKNOWN])
}

fn tokens(tokens: Option<u64>) -> String {
    tokens.map_or_else(|| UNKNOWN.to_owned(), units::tokens)
}
