//! The page of `traces explain`: both times, the key question, the parts and what makes
//! the difference on one screen.

use anyclaude_traces::analysis::explain::{
    Contribution, DelayCause, Explanation, Fact, Interval, LeftOutReason, MainCause, Millis, Part, Scenario,
    Side, VerdictConfidence, names,
};
use anyclaude_traces::model::TimeBreakdown;
use anyclaude_traces::model::measure::{Unit, Value};

use super::bars;
use super::page::Page;
use super::table::{Grid, bars, number, text};
use super::units::{self, UNKNOWN};
use super::{findings, missing};

/// How much of what is missing a screen shows.
const MOST_MISSING: usize = 1;
/// How long the longest bar is.
const BAR_WIDTH: u64 = 24;

/// `on_one_screen` leaves out what the table shows as well, all findings but the dearest,
/// and most of what is missing.
pub(crate) fn page(found: &Explanation, on_one_screen: bool) -> Page {
    let mut page = Page::default();
    match &found.right {
        Some(right) => {
            times(found, right).into_iter().for_each(|line| page.line(line));
            page.line(format!("{}.", found.verdict.key_answer));
            page.table(both_bars(found, right));
            page.strong(format!("{}.", found.verdict.headline));
            page.line(basis(found));
            page.table(difference(found, right));
        }
        None => {
            page.strong(format!("{}.", found.verdict.headline));
            page.line(format!("{}.", found.verdict.key_answer));
            page.table(breakdown(found));
            page.line(basis(found));
        }
    }
    page.table(models(found));
    // The table has the other facts.
    let is_shown =
        |fact: &Fact| !on_one_screen || found.right.is_none() || matches!(fact, Fact::Direct { .. });
    for evidence in found.evidence.iter().filter(|one| is_shown(&one.fact)) {
        page.line(evidence.fact.to_string());
    }
    let dearest = if on_one_screen { found.findings.get(..1) } else { None };
    findings::all(&mut page, dearest.unwrap_or(&found.findings));
    let most = if on_one_screen { MOST_MISSING } else { found.missing.len() };
    for one in found.missing.iter().take(most) {
        page.line(format!("Missing: {}", missing::of_comparison(one)));
    }
    page
}

/// What both sides take, and how many times as long the slower one takes.
fn times(found: &Explanation, right: &Side) -> Option<String> {
    let wall = |side: &Side| side.time.and_then(|time| time.wall_ms);
    let (left_ms, right_ms) = (wall(&found.left)?, wall(right)?);
    let (left, right) = names(&found.left, right);
    let factor = Value::Rate(left_ms.max(right_ms)).over(Value::Rate(left_ms.min(right_ms)));
    let factor = factor.map_or_else(String::new, |factor| format!(": {factor:.1} × as long"));
    Some(format!("{left} takes {} a request, {right} {}{factor}.", ms(left_ms), ms(right_ms)))
}

/// Both sides' times as bars of their parts.
fn both_bars(found: &Explanation, right: &Side) -> Grid {
    let (left_name, right_name) = names(&found.left, right);
    let sides = [(left_name, &found.left), (right_name, right)];
    let times: Vec<&TimeBreakdown> = sides.iter().filter_map(|(_, side)| side.time.as_ref()).collect();
    let longest_ms = bars::longest_ms(times.iter().copied());
    let mut grid = Grid::new([text("A REQUEST", 0), number("TAKES", 0), bars(bars::legend(&times), 1)]);
    for (name, side) in &sides {
        let Some(time) = &side.time else { continue };
        grid.row([(*name).to_owned(), maybe_ms(time.wall_ms), bars::bar(time, longest_ms)]);
    }
    grid
}

/// Scenario, how sure it is, and what was compared.
pub(crate) fn basis(found: &Explanation) -> String {
    let what = match &found.right {
        None => units::count(found.n, "request"),
        Some(_) if found.paired => units::count(found.n, "pair") + " with the same prompt",
        Some(right) => {
            let n = |side: &Side| side.time.map_or(0, |time| time.requests);
            format!("groups of {} and {} requests", n(&found.left), n(right))
        }
    };
    let left_out: u64 = found.left_out.iter().map(|left_out| left_out.n).sum();
    let left_out = if left_out > 0 { format!(" · {left_out} left out") } else { String::new() };
    if found.right.is_none() {
        return format!("Means of {what}{left_out}");
    }
    let sure = found.verdict.confidence.map(|confidence| match confidence {
        VerdictConfidence::High => ", confidence high",
        VerdictConfidence::Medium => ", confidence medium",
        _ => ", confidence low",
    });
    let scenario = found.verdict.scenario;
    let meaning = match scenario {
        Scenario::A => " (LM Studio, the model or the machine)",
        Scenario::B => " (the proxy, or longer answers)",
        Scenario::C => " (the prompts)",
        _ => "",
    };
    format!("Scenario {scenario}{meaning}{} · {what}{left_out}", sure.unwrap_or_default())
}

/// A row of the difference: a part of both sides' times, a cause, or both.
struct Row {
    label: String,
    part: Option<Part>,
    cause: Option<DelayCause>,
}

/// The parts of a request's time, with the causes that each is split into.
fn rows() -> Vec<Row> {
    let row = |part: Part, cause| Row { label: part.to_string(), part: Some(part), cause };
    let cause = |cause: DelayCause| Row { label: format!("  {cause}"), part: None, cause: Some(cause) };
    vec![
        row(Part::Proxy, Some(DelayCause::Proxy)),
        row(Part::Load, Some(DelayCause::ModelLoad)),
        row(Part::Queue, Some(DelayCause::Queueing)),
        row(Part::Read, None),
        cause(DelayCause::PromptSize),
        cause(DelayCause::PromptCache),
        cause(DelayCause::PromptProcessingSpeed),
        row(Part::Write, None),
        cause(DelayCause::OutputLength),
        cause(DelayCause::GenerationSpeed),
        row(Part::Stall, Some(DelayCause::Stalls)),
        row(Part::Other, Some(DelayCause::Other)),
    ]
}

/// Both sides' times beside what each cause adds. Where nothing but 0 is known there is
/// no row.
fn difference(found: &Explanation, right: &Side) -> Grid {
    let columns = [
        text("MEAN OF A REQUEST", 0),
        number("LEFT", 1),
        number("RIGHT", 0),
        number("DIFFERENCE", 0),
        number("95 %", 3),
        number("SHARE", 2),
    ];
    let mut grid = Grid::new(columns);
    if found.delta_ms.is_none() {
        return grid;
    }
    let times = [&found.left, right].map(|side| side.time);
    let largest = largest_cause(found);
    for row in rows() {
        let parts = row.part.map(|part| times.map(|time| time.and_then(|time| part.of(&time))));
        let contribution =
            row.cause.and_then(|cause| found.contributions.iter().find(|one| one.cause == cause));
        let has_time = parts.iter().flatten().flatten().any(|ms| *ms != 0.0);
        let differs = contribution.and_then(|one| one.ms).is_some_and(|ms| ms != Millis::default());
        if !has_time && !differs {
            continue;
        }
        let [of_left, of_right] = match (parts, row.cause) {
            // It holds more than these parts: what is unknown on a side.
            (Some(_), Some(DelayCause::Other)) if found.contributions.iter().any(|one| one.ms.is_none()) => {
                Default::default()
            }
            (Some(parts), _) => parts.map(maybe_ms),
            (None, cause) => [&found.left, right].map(|side| speed(side, cause)),
        };
        grid.row([row.label, of_left, of_right].into_iter().chain(contribution_cells(contribution)));
        if row.cause.is_some() && row.cause == largest {
            grid.emphasize_last();
        }
        if row.part == Some(Part::Read) {
            cached(found, right).into_iter().for_each(|row| grid.row(row));
        }
    }
    let walls = times.map(|time| maybe_ms(time.and_then(|time| time.wall_ms)));
    let [left, right] = walls;
    grid.row([
        "together".to_owned(),
        left,
        right,
        signed(found.delta_ms),
        interval(found.delta_interval),
        String::new(),
    ]);
    grid
}

/// The cause that the verdict names.
fn largest_cause(found: &Explanation) -> Option<DelayCause> {
    match found.verdict.cause {
        Some(MainCause::Difference(cause)) => Some(cause),
        _ => None,
    }
}

/// How fast a side reads or writes, where the row is about that.
fn speed(side: &Side, cause: Option<DelayCause>) -> String {
    let per_second = side.speeds.and_then(|speeds| match cause? {
        DelayCause::PromptProcessingSpeed => speeds.read_tokens_per_second,
        DelayCause::GenerationSpeed => speeds.write_tokens_per_second,
        _ => None,
    });
    per_second
        .map_or_else(String::new, |speed| format!("{}/s", units::show(Value::Rate(speed), Unit::PerSecond)))
}

/// How much of both sides' prompts came from the prompt cache.
fn cached(found: &Explanation, right: &Side) -> Option<[String; 6]> {
    let (left_name, right_name) = names(&found.left, right);
    let share = |name: &str| {
        found.evidence.iter().find_map(|one| match &one.fact {
            Fact::Cached { side, share, .. } if side == name => Some(units::percent(*share)),
            _ => None,
        })
    };
    let shares = [share(&left_name), share(&right_name)];
    if shares.iter().all(Option::is_none) {
        return None;
    }
    let [left, right] = shares.map(|share| share.unwrap_or_else(|| UNKNOWN.to_owned()));
    Some(["  from the prompt cache".to_owned(), left, right, String::new(), String::new(), String::new()])
}

fn contribution_cells(contribution: Option<&Contribution>) -> [String; 3] {
    contribution.map_or_else(Default::default, |one| {
        let share = one.share.map_or_else(|| UNKNOWN.to_owned(), units::percent);
        [signed(one.ms), interval(one.interval), share]
    })
}

/// Where the time of one side goes.
fn breakdown(found: &Explanation) -> Grid {
    let side = &found.left;
    let is_there = |part: Part| part != Part::Proxy || found.verdict.key_answer.has_proxy;
    let mut grid =
        Grid::new([text("MEAN OF A REQUEST", 0), number("TIME", 0), number("SHARE", 1), bars("", 2)]);
    let Some(time) = side.time else { return grid };
    let wall = time.wall_ms.map(Value::Rate);
    let parts = Part::ALL.map(|part| (part, part.of(&time)));
    let most = parts.iter().filter_map(|(_, ms)| *ms).fold(0.0, f64::max);
    for (part, part_ms) in parts.into_iter().filter(|(part, ms)| *ms != Some(0.0) && is_there(*part)) {
        let share = part_ms.and_then(|ms| Value::Rate(ms).over(wall?));
        grid.row([
            part.to_string(),
            maybe_ms(part_ms),
            share.map_or_else(|| UNKNOWN.to_owned(), units::percent),
            bar(part_ms.unwrap_or(0.0), most),
        ]);
    }
    grid.row(["together".to_owned(), maybe_ms(time.wall_ms), String::new(), String::new()]);
    grid
}

/// The models of sides in which several ran.
fn models(found: &Explanation) -> Grid {
    let columns = [
        text("MODEL", 0),
        number("REQUESTS", 2),
        number("TIME", 0),
        number("READS TOK/S", 1),
        number("WRITES TOK/S", 1),
    ];
    let mut grid = Grid::new(columns);
    for one in std::iter::once(&found.left).chain(&found.right).flat_map(|side| &side.models) {
        let speed = |speed: Option<f64>| units::maybe(speed.map(Value::Rate), Unit::PerSecond);
        grid.row([
            one.model.as_deref().unwrap_or(UNKNOWN).to_owned(),
            one.requests.to_string(),
            maybe_ms(one.time.and_then(|time| time.wall_ms)),
            speed(one.speeds.and_then(|speeds| speeds.read_tokens_per_second)),
            speed(one.speeds.and_then(|speeds| speeds.write_tokens_per_second)),
        ]);
    }
    grid
}

fn ms(ms: f64) -> String {
    units::show(Value::Rate(ms), Unit::Ms)
}

fn maybe_ms(ms: Option<f64>) -> String {
    units::maybe(ms.map(Value::Rate), Unit::Ms)
}

/// A difference with its sign.
pub(crate) fn signed(ms: Option<Millis>) -> String {
    ms.map_or_else(|| UNKNOWN.to_owned(), |ms| units::delta(Value::Rate(ms.as_f64()), Unit::Ms))
}

fn interval(interval: Option<Interval>) -> String {
    let ends = |Interval { low, high }: Interval| format!("{} … {}", signed(Some(low)), signed(Some(high)));
    interval.map_or_else(|| UNKNOWN.to_owned(), ends)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and bars are of sizes"
)]
fn bar(ms: f64, most: f64) -> String {
    units::bar((ms * 1000.0) as u64, (most * 1000.0) as u64, BAR_WIDTH)
}

/// Why requests took no part.
pub(crate) fn left_out(reason: LeftOutReason) -> &'static str {
    match reason {
        LeftOutReason::NoLog => "without a log",
        LeftOutReason::NotStreamed => "not streamed",
        LeftOutReason::NotCompleted => "not completed",
        LeftOutReason::AmbiguousJoin => "their log lines could be another's",
        LeftOutReason::NoTotal => "without a time in all",
        LeftOutReason::NoProxyTime => "the proxy's own time is unknown",
        LeftOutReason::NotCounted => "their tokens, or the time of reading them, are unknown",
        LeftOutReason::Unpaired => "no partner with the same prompt",
        _ => "for another reason",
    }
}
