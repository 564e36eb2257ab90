//! The page of `traces diff`.

use anyclaude_traces::analysis::content::ParameterValue;
use anyclaude_traces::analysis::diff::{Diff, MeasureChange, MessageChange, SystemChange, ToolChanges};
use anyclaude_traces::analysis::logging_cost::RunChange;
use anyclaude_traces::model::SideName;
use anyclaude_traces::model::measure::{Measure, Unit, Value};

use super::ids::Ids;
use super::page::{MORE, Next, Page};
use super::table::{Grid, number, text, whole};
use super::units;

/// Measures that are of interest only where they differ.
const WHEN_DIFFERENT: [Measure; 6] = [
    Measure::SystemTextBytes,
    Measure::SystemBlocks,
    Measure::OtherBytes,
    Measure::FileBytes,
    Measure::EventBytes,
    Measure::Parts,
];
/// Measures that a small screen has.
const MAIN: [Measure; 9] = [
    Measure::SystemChars,
    Measure::ToolCount,
    Measure::MessageCount,
    Measure::BodyBytes,
    Measure::TtftMs,
    Measure::WallMs,
    Measure::Keepalives,
    Measure::Events,
    Measure::OutputTokens,
];

/// How much is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DiffDetail {
    has_all_measures: bool,
    tools: usize,
    has_all: bool,
}

impl DiffDetail {
    /// All there is, and less and less, for terminals that are not high enough.
    pub(crate) fn levels() -> impl Iterator<Item = Self> {
        let level = |(has_all_measures, tools, has_all)| Self { has_all_measures, tools, has_all };
        [(true, 12, true), (false, 3, true), (false, 0, false)].into_iter().map(level)
    }
}

pub(crate) fn page(diff: &Diff, next: &Next, ids: Ids, detail: DiffDetail) -> Page {
    let mut page = Page::default();
    if let Some(headline) = headline(&diff.measures) {
        page.strong(headline);
    }
    page.line(side("LEFT ", &diff.left, ids));
    page.line(side("RIGHT", &diff.right, ids));
    page.table(measures(&diff.measures, detail.has_all_measures));
    if let Some(changes) = &diff.tools {
        if detail.tools > 0 {
            page.table(tools(changes, detail.tools));
        }
        page.line(tool_count(changes));
    }
    match diff.system {
        Some(change) => page.line(system(diff, change)),
        None => page.line("Prompts were not recorded on both sides: what differs in them is unknown."),
    }
    if detail.has_all && diff.system.is_some() {
        newest(diff).into_iter().for_each(|line| page.line(line));
    }
    if let Some(messages) = diff.messages {
        page.line(message_count(messages));
    }
    if detail.has_all {
        page.table(parameters(diff, ids));
    }
    // On a small screen, only where it is asked about.
    let is_of_runs = diff.left.selector.starts_with("run:");
    if let Some(runs) = diff.runs.as_ref().filter(|_| detail.has_all || is_of_runs) {
        page.table(processes(runs));
        if let Some(delta) = runs.ms_per_event_delta {
            let word = if delta < 0.0 { "less" } else { "more" };
            let delta = units::precise_ms(delta.abs());
            page.line(format!("The right process took {delta} {word} for each event."));
        }
    }
    if let Some(text) = &diff.text {
        match format!("{}{}", text.system, text.tools).as_str() {
            "" => page.line("Text: the same, of the system prompt and of every tool's description."),
            different => page.block(different),
        }
    }
    if !detail.has_all_measures {
        page.hint(MORE, format!("{} | less", next.same("diff")));
    }
    page
}

/// Whether the prompts are as large, which section differs most, and how much longer one
/// side takes.
fn headline(measures: &[MeasureChange]) -> Option<String> {
    /// Sizes that are no further apart than this are about the same.
    const ALIKE: f64 = 0.05;
    let of = |name: Measure| measures.iter().find(|change| change.name == name);
    let body = of(Measure::BodyBytes)?;
    let (left, right, ratio) = (body.left?, body.right?, body.ratio?);
    let show = |value| units::show(value, Unit::Bytes);
    let sizes = if left == right {
        format!("Both prompts have {}", show(left))
    } else if (ratio - 1.0).abs() <= ALIKE {
        format!("Prompts are about the same size: {} on the left, {} on the right", show(left), show(right))
    } else {
        let sections = [
            (Measure::SystemBytes, "the system prompt"),
            (Measure::ToolsBytes, "tools"),
            (Measure::MessagesBytes, "messages"),
        ];
        let changes = sections.into_iter().filter_map(|(measure, name)| Some((of(measure)?.delta?, name)));
        let size = |delta: &Value| delta.as_f64().abs();
        let most = changes.rev().max_by(|(a, _), (b, _)| size(a).total_cmp(&size(b)));
        let most = most.map_or_else(String::new, |(delta, name)| {
            format!("; the largest change is {name}: {}", units::delta(delta, Unit::Bytes))
        });
        let times = units::ratio(ratio);
        format!("The right prompt is {times} as large: {} against {}{most}", show(right), show(left))
    };
    let time = of(Measure::WallMs).or_else(|| of(Measure::TotalMs));
    let longer = time.and_then(|time| {
        let [left, right] = [time.left?, time.right?].map(|ms| units::show(ms, Unit::Ms));
        let times = units::ratio(time.ratio?);
        Some(if time.left == time.right {
            format!(" Both take {left}.")
        } else {
            format!(" The right side takes {times} as long: {right} against {left}.")
        })
    });
    Some(format!("{sizes}.{}", longer.unwrap_or_default()))
}

/// Of which requests the parts of groups are that no median is of.
fn newest(diff: &Diff) -> Option<String> {
    let of = |side: &SideName, name: &str| {
        let id = side.newest.filter(|_| side.requests > 1)?;
        Some(format!("{id} ({}) on the {name}", units::stamp(side.newest_timestamp)))
    };
    let sides: Vec<String> =
        [of(&diff.left, "left"), of(&diff.right, "right")].into_iter().flatten().collect();
    (!sides.is_empty()).then(|| {
        format!(
            "Of a group, tools are those of all its requests, each by its newest definition; system prompt and \
             parameters are its newest request's: {}.",
            sides.join(", ")
        )
    })
}

fn side(label: &str, side: &SideName, ids: Ids) -> String {
    let selector = match side.selector.strip_prefix("session:") {
        Some(session) => format!("session:{}", ids.session(session)),
        None => side.selector.clone(),
    };
    let mut facts = vec![format!("{label} {selector}")];
    let path = side.path.as_ref().map(|path| path.as_ref().display().to_string());
    facts.extend(path.filter(|path| *path != side.selector));
    facts.extend(side.timestamp.map(|stamp| units::stamp(Some(stamp))));
    facts.extend(
        side.model.as_ref().filter(|model| !side.selector.contains(&***model)).map(|model| model.to_string()),
    );
    if side.requests != 1 {
        facts.push(format!("{}, medians", units::count(side.requests, "request")));
    }
    facts.join(" · ")
}

fn measures(changes: &[MeasureChange], has_all: bool) -> Grid {
    let columns =
        [whole("MEASURE", 0), number("LEFT", 0), number("RIGHT", 0), number("DELTA", 1), number("RATIO", 2)];
    let mut grid = Grid::new(columns);
    let is_of_interest = |change: &&MeasureChange| {
        let known = change.left.is_some() || change.right.is_some();
        // It takes what came from the cache for read: `explain` has the speed.
        let is_misleading = change.name == Measure::PrefillTokensPerSecond;
        let is_shown = !is_misleading && (has_all || MAIN.contains(&change.name));
        known && is_shown && (change.left != change.right || !WHEN_DIFFERENT.contains(&change.name))
    };
    for change in changes.iter().filter(is_of_interest) {
        let unit = change.name.unit();
        grid.row([
            change.name.name().to_owned(),
            units::maybe(change.left, unit),
            units::maybe(change.right, unit),
            change.delta.map_or_else(|| units::UNKNOWN.to_owned(), |delta| units::delta(delta, unit)),
            change.ratio.map_or_else(|| units::UNKNOWN.to_owned(), units::ratio),
        ]);
    }
    grid
}

/// The tools that differ, those that weigh most first.
fn tools(tools: &ToolChanges, most: usize) -> Grid {
    let mut grid =
        Grid::new([text("TOOLS", 0), text("", 0), number("LEFT", 1), number("RIGHT", 1), number("DELTA", 0)]);
    let added = tools.added.iter().map(|tool| (&tool.name, "added", None, Some(tool.bytes)));
    let removed = tools.removed.iter().map(|tool| (&tool.name, "removed", Some(tool.bytes), None));
    let changed = tools.changed.iter().map(|tool| (&tool.name, "changed", Some(tool.left), Some(tool.right)));
    let whole = |bytes: Option<u64>| i64::try_from(bytes.unwrap_or(0)).unwrap_or(i64::MAX);
    let mut rows: Vec<_> = added.chain(removed).chain(changed).collect();
    rows.sort_by_key(|(name, _, left, right)| {
        (std::cmp::Reverse((whole(*right) - whole(*left)).abs()), *name)
    });
    for (name, what, left, right) in rows.iter().take(most) {
        let size = |bytes: &Option<u64>| bytes.map_or_else(String::new, units::bytes);
        grid.row([
            name.as_deref().unwrap_or("(unnamed)").to_owned(),
            (*what).to_owned(),
            size(left),
            size(right),
            units::delta(Value::Whole(whole(*right) - whole(*left)), Unit::Bytes),
        ]);
    }
    if let Some(more) = rows.len().checked_sub(most).filter(|more| *more > 0) {
        let rest = ["", "", "", ""].map(str::to_owned);
        grid.row(std::iter::once(format!("and {more} more")).chain(rest));
    }
    grid
}

fn tool_count(tools: &ToolChanges) -> String {
    let counts =
        [("added", tools.added.len()), ("removed", tools.removed.len()), ("changed", tools.changed.len())];
    let mut parts: Vec<String> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(what, n)| format!("{n} {what}")).collect();
    parts.push(format!("{} the same", tools.unchanged_count));
    format!("Tools: {}.", parts.join(", "))
}

fn message_count(messages: MessageChange) -> String {
    let MessageChange { common, left_only, right_only, .. } = messages;
    if left_only == 0 && right_only == 0 {
        return format!("Messages: {common}, the same.");
    }
    format!("Messages: {common} in common, then {left_only} on the left and {right_only} on the right.")
}

fn system(diff: &Diff, system: SystemChange) -> String {
    // The measures are medians, which may be the same where this differs.
    let of =
        if diff.left.requests > 1 || diff.right.requests > 1 { " of the newest request of each" } else { "" };
    if system.equal {
        return format!("System prompt{of}: the same, {} characters.", system.left_chars);
    }
    let more = if diff.text.is_some() { "" } else { " (--text shows how)" };
    format!(
        "System prompt{of}: differs, {} characters on the left, {} on the right{more}.",
        system.left_chars, system.right_chars
    )
}

fn parameters(diff: &Diff, ids: Ids) -> Grid {
    let mut grid = Grid::new([text("PARAMETER", 0), text("LEFT", 0), text("RIGHT", 0)]);
    for change in &diff.parameters {
        let shown = |one| ids.parameter(&change.name, value(one));
        grid.row([change.name.clone(), shown(change.left.as_ref()), shown(change.right.as_ref())]);
    }
    grid
}

/// A parameter's value, or the size of it.
pub(crate) fn value(value: Option<&ParameterValue>) -> String {
    match value {
        None => "(none)".to_owned(),
        Some(ParameterValue::Json(json)) => json.get().to_owned(),
        Some(ParameterValue::Large { bytes }) => format!("({})", units::bytes(*bytes)),
        Some(_) => units::UNKNOWN.to_owned(),
    }
}

fn processes(runs: &RunChange) -> Grid {
    let mut grid = Grid::new([
        text("RUN", 0),
        number("LEVEL", 0),
        number("REQS", 3),
        number("LOG", 1),
        number("LOG PER REQ", 2),
        number("SUM OF TOTALS", 4),
        number("PER EVENT", 0),
    ]);
    for run in [&runs.left, &runs.right] {
        let unknown = || units::UNKNOWN.to_owned();
        grid.row([
            run.id.to_string(),
            run.level.map_or_else(unknown, |level| level.to_string()),
            run.requests.to_string(),
            run.log_bytes.map_or_else(unknown, units::bytes),
            run.log_bytes_per_request.map_or_else(unknown, units::bytes),
            units::ms(run.total_ms),
            run.ms_per_event.map_or_else(unknown, units::precise_ms),
        ]);
    }
    grid
}
