//! The page of `traces explain`: both times, the key question, the parts and what makes
//! the difference on one screen.

use anyclaude_traces::analysis::explain::{
    Contribution, DelayCause, Explanation, Fact, FigureUnit, Interval, LeftOutReason, MainCause, Millis,
    Part, Scenario, Side, VerdictConfidence, names,
};
use anyclaude_traces::model::TimeBreakdown;
use anyclaude_traces::model::measure::{Unit, Value};

use super::bars;
use super::findings::{self, FindingDetail};
use super::missing;
use super::page::{Next, Page};
use super::table::{Grid, bars, number, part_bars, text};
use super::units::{self, UNKNOWN};

/// How much of what is missing a screen shows.
const MOST_MISSING: usize = 1;
/// How long the longest bar is.
const BAR_WIDTH: u64 = 20;

/// How much fits one screen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExplainDetail {
    /// How much of the finding that matters most; `None`: nothing.
    finding: Option<FindingDetail>,
    /// What of what is missing.
    missing: Lack,
    /// Whether the sums stand below the parts; the bars have them too.
    has_sums: bool,
    /// Whether the command is named that shows all findings.
    has_hint: bool,
}

/// How much is said of what is missing.
#[derive(Debug, Clone, Copy)]
enum Lack {
    Nothing,
    /// What it is.
    Short,
    /// How to get it, too.
    Whole,
}

impl ExplainDetail {
    /// Less and less, until it fits.
    pub(crate) fn levels() -> impl Iterator<Item = Self> {
        let level = |(finding, missing, has_sums, has_hint)| Self { finding, missing, has_sums, has_hint };
        let levels = [
            (Some(FindingDetail::All), Lack::Whole, true, true),
            (Some(FindingDetail::All), Lack::Short, true, true),
            (Some(FindingDetail::Short), Lack::Short, true, true),
            (Some(FindingDetail::Short), Lack::Short, false, true),
            (Some(FindingDetail::Short), Lack::Short, false, false),
            (Some(FindingDetail::Short), Lack::Nothing, false, false),
            (Some(FindingDetail::Found), Lack::Short, false, false),
            (Some(FindingDetail::Found), Lack::Nothing, false, false),
            (None, Lack::Short, false, true),
            (None, Lack::Nothing, false, true),
        ];
        levels.into_iter().map(level)
    }
}

/// All there is to say.
pub(crate) fn page(found: &Explanation) -> Page {
    let mut page = answer(found, true);
    for evidence in &found.evidence {
        page.line(evidence.fact.to_string());
    }
    findings::all(&mut page, &found.findings);
    for one in &found.missing {
        page.line(format!("Missing: {}", missing::of_comparison(one)));
    }
    page
}

/// What fits one screen, with the command that shows more.
pub(crate) fn screen(found: &Explanation, screen: ExplainDetail, next: &Next) -> Page {
    let mut page = answer(found, screen.has_sums);
    // The tables have the other facts.
    let is_shown = |fact: &Fact| match fact {
        Fact::Direct { .. } | Fact::Writing { .. } | Fact::Work { .. } => true,
        Fact::Cached { .. } => found.right.is_none(),
        _ => false,
    };
    for evidence in found.evidence.iter().filter(|one| is_shown(&one.fact)) {
        page.line(evidence.fact.to_string());
    }
    let finding = found.leading_finding().zip(screen.finding);
    if let Some((finding, detail)) = finding {
        findings::one(&mut page, finding, detail);
    }
    for one in found.missing.iter().take(MOST_MISSING) {
        match screen.missing {
            Lack::Nothing => {}
            Lack::Short => page.line(format!("Missing: {}", missing::in_short(one))),
            Lack::Whole => page.line(format!("Missing: {}", missing::of_comparison(one))),
        }
    }
    let is_all = matches!(finding, Some((_, FindingDetail::All))) && found.findings.len() == 1;
    if screen.has_hint {
        hint(&mut page, found, is_all, next);
    }
    page
}

/// Suggests the next command: of one side in which several models ran, to compare them, else to
/// see the findings that are not shown.
fn hint(page: &mut Page, found: &Explanation, has_all_findings: bool, next: &Next) {
    let named = found.left.models.iter().filter(|one| one.model.is_some()).count();
    if found.right.is_none() && named > 1 {
        let compare = next.same("report --format markdown");
        page.hint("Why one of the two models used last is slower:", compare);
    } else if !found.findings.is_empty() && !has_all_findings {
        page.hint("What costs time, and what to change:", next.same("summary"));
    }
}

/// The answer and the parts.
fn answer(found: &Explanation, has_sums: bool) -> Page {
    let mut page = Page::default();
    match &found.right {
        Some(right) => {
            times(found, right).into_iter().for_each(|line| page.strong(line));
            page.line(format!("{}.", found.verdict.key_answer));
            page.table(both_bars(found, right));
            // The first line names the slower side.
            let reason = found.verdict.headline.reason().filter(|_| times(found, right).is_some());
            let reason = reason.map(|reason| format!("Slower because {reason}."));
            page.strong(reason.unwrap_or_else(|| format!("{}.", found.verdict.headline)));
            page.line(basis(found));
            page.table(difference(found, right, has_sums));
        }
        None => {
            page.strong(format!("{}.", found.verdict.headline));
            page.line(format!("{}.", found.verdict.key_answer));
            page.table(breakdown(found));
            page.line(basis(found));
        }
    }
    page.table(models(found));
    page
}

/// What both sides take, and how many times as long the slower one takes.
fn times(found: &Explanation, right: &Side) -> Option<String> {
    let wall = |side: &Side| side.time.and_then(|time| time.wall_ms);
    let (left_ms, right_ms) = (wall(&found.left)?, wall(right)?);
    let (left, right) = names(&found.left, right);
    let factor = Value::Rate(left_ms.max(right_ms)).over(Value::Rate(left_ms.min(right_ms)));
    let factor = factor.map_or_else(String::new, |factor| format!(": {factor:.1}× as long"));
    Some(format!("{left} takes {} a request, {right} {}{factor}.", ms(left_ms), ms(right_ms)))
}

/// Both sides' times as bars of their parts.
fn both_bars(found: &Explanation, right: &Side) -> Grid {
    let (left_name, right_name) = names(&found.left, right);
    let sides = [(left_name, &found.left), (right_name, right)];
    let times: Vec<&TimeBreakdown> = sides.iter().filter_map(|(_, side)| side.time.as_ref()).collect();
    let longest_ms = bars::longest_ms(times.iter().copied());
    let mut grid = Grid::new([text("A REQUEST", 0), number("TAKES", 0), part_bars(bars::legend(&times), 1)]);
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
        Some(_) if found.paired => units::count(found.n, "pair") + " of equal prompts",
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
        Scenario::A => " (model or server)",
        Scenario::B => " (proxy or longer answers)",
        Scenario::C => " (prompts)",
        _ => "",
    };
    format!("Scenario {scenario}{meaning}{} · {what}{left_out}", sure.unwrap_or_default())
}

/// A row of the difference: a part of both sides' times, a cause, or both.
struct DifferenceRow {
    label: String,
    part: Option<Part>,
    cause: Option<DelayCause>,
}

/// The parts of a request's time, with the causes that each is split into.
fn rows() -> Vec<DifferenceRow> {
    let row = |part: Part, cause| DifferenceRow { label: part.to_string(), part: Some(part), cause };
    let cause =
        |cause: DelayCause| DifferenceRow { label: format!("  {cause}"), part: None, cause: Some(cause) };
    vec![
        row(Part::Proxy, Some(DelayCause::Proxy)),
        row(Part::Load, Some(DelayCause::ModelLoad)),
        row(Part::Queue, Some(DelayCause::Queueing)),
        row(Part::Read, None),
        cause(DelayCause::PromptSize),
        cause(DelayCause::PromptCache),
        // "prompt" stands above it.
        DifferenceRow {
            label: "  processing speed".to_owned(),
            part: None,
            cause: Some(DelayCause::PromptProcessingSpeed),
        },
        row(Part::Write, None),
        cause(DelayCause::OutputLength),
        cause(DelayCause::GenerationSpeed),
        row(Part::Stall, Some(DelayCause::Stalls)),
        row(Part::Other, Some(DelayCause::Other)),
    ]
}

/// Both sides' times beside what each cause adds. Where nothing but 0 is known there is
/// no row.
fn difference(found: &Explanation, right: &Side, has_sums: bool) -> Grid {
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
    let cached = cached(found, right);
    let of_cause = |cause| found.contributions.iter().find(|one| Some(one.cause) == cause);
    let has_row =
        |cause| of_cause(Some(cause)).and_then(|one| one.ms).is_some_and(|ms| ms != Millis::default());
    for row in rows() {
        let parts = row.part.map(|part| times.map(|time| time.and_then(|time| part.of(&time))));
        let contribution = of_cause(row.cause);
        let has_time = parts.iter().flatten().flatten().any(|ms| *ms != 0.0);
        let differs = contribution.and_then(|one| one.ms).is_some_and(|ms| ms != Millis::default());
        if !has_time && !differs {
            continue;
        }
        let [of_left, of_right] = match (parts, row.cause) {
            (Some(parts), cause) => part_cells(found, parts, cause),
            (None, cause) => cause_cells(found, right, cause, cached.as_ref()),
        };
        grid.row([row.label, of_left, of_right].into_iter().chain(contribution_cells(contribution)));
        if row.cause.is_some() && row.cause == largest {
            grid.emphasize_last();
        }
        // Without a row of its own, that the cache is no cause is worth one.
        if let Some([left, right]) =
            cached.clone().filter(|_| row.part == Some(Part::Read) && !has_row(DelayCause::PromptCache))
        {
            let label = "  from the prompt cache".to_owned();
            grid.row([label, left, right, String::new(), String::new(), String::new()]);
        }
    }
    if has_sums {
        let [left, right] = times.map(|time| maybe_ms(time.and_then(|time| time.wall_ms)));
        let difference = [signed(found.delta_ms), interval(found.delta_interval), String::new()];
        grid.row(["together".to_owned(), left, right].into_iter().chain(difference));
    }
    grid
}

/// How long a part takes on both sides.
fn part_cells(found: &Explanation, parts: [Option<f64>; 2], cause: Option<DelayCause>) -> [String; 2] {
    // The rest holds more than these parts where something is unknown on a side.
    let is_more = cause == Some(DelayCause::Other) && found.contributions.iter().any(|one| one.ms.is_none());
    if is_more { Default::default() } else { parts.map(maybe_ms) }
}

/// What a cause rests on, on both sides: tokens, speeds, or the share that came from the cache.
fn cause_cells(
    found: &Explanation,
    right: &Side,
    cause: Option<DelayCause>,
    cached: Option<&[String; 2]>,
) -> [String; 2] {
    if cause == Some(DelayCause::PromptCache) {
        let hits = cached.cloned().unwrap_or_default();
        let is_known = |share: &String| share.ends_with('%');
        return hits.map(|share| if is_known(&share) { format!("{share} hits") } else { share });
    }
    tokens(found, cause).unwrap_or_else(|| [&found.left, right].map(|side| speed(side, cause)))
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
fn cached(found: &Explanation, right: &Side) -> Option<[String; 2]> {
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
    Some(shares.map(|share| share.unwrap_or_else(|| UNKNOWN.to_owned())))
}

/// How many tokens a request of each side has, where the row is about that and the
/// evidence tells.
fn tokens(found: &Explanation, of_row: Option<DelayCause>) -> Option<[String; 2]> {
    let figures = found.evidence.iter().find_map(|one| match &one.fact {
        Fact::Contribution { cause, figures: Some(figures), .. } if Some(*cause) == of_row => Some(figures),
        _ => None,
    });
    let figures = figures.filter(|figures| figures.unit == FigureUnit::Tokens)?;
    let show = |tokens: f64| format!("{} tok", units::show(Value::Rate(tokens.round()), Unit::Tokens));
    let is_left_slower = found.delta_ms.is_some_and(|delta| delta.as_f64() < 0.0);
    let (slower, faster) = (show(figures.slower), show(figures.faster));
    Some(if is_left_slower { [slower, faster] } else { [faster, slower] })
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
    let mut grid = Grid::new([
        text("MEAN OF A REQUEST", 0),
        number("TIME", 0),
        number("SHARE", 1),
        bars("", 2),
        text("", 3),
    ]);
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
            figures(found, part),
        ]);
        if found.verdict.cause == Some(MainCause::Time(part)) {
            grid.emphasize_last();
        }
    }
    grid.row(["together".to_owned(), maybe_ms(time.wall_ms)]);
    grid
}

/// What a part of one side's time is made of.
fn figures(found: &Explanation, of_row: Part) -> String {
    let fact = found.evidence.iter().find_map(|one| match &one.fact {
        Fact::Part { part, tokens, tokens_per_second, is_rough, occurrences, .. } if *part == of_row => {
            let about = if *is_rough { "~" } else { "" };
            Some((*tokens, tokens_per_second.map(|speed| (speed, about)), *occurrences))
        }
        _ => None,
    });
    let Some((tokens, speed, occurrences)) = fact else { return String::new() };
    let tokens = tokens.map(|n| format!("{} tokens", units::show(Value::Rate(n.round()), Unit::Tokens)));
    let speed =
        speed.map(|(speed, about)| format!("{about}{}/s", units::show(Value::Rate(speed), Unit::PerSecond)));
    let happened = occurrences.map(|happened| format!("in {} of {} requests", happened.n, happened.of));
    let read = match (tokens, speed) {
        (Some(tokens), Some(speed)) => Some(format!("{tokens} at {speed}")),
        (tokens, speed) => tokens.or(speed),
    };
    read.into_iter().chain(happened).collect::<Vec<_>>().join(", ")
}

/// The models of sides in which several ran.
fn models(found: &Explanation) -> Grid {
    let columns = [
        text("MODEL", 0),
        number("REQUESTS", 2),
        number("TIME", 0),
        number("READ TOK/S", 1),
        number("WRITE TOK/S", 1),
    ];
    let mut grid = Grid::new(columns);
    for one in std::iter::once(&found.left).chain(&found.right).flat_map(|side| &side.models) {
        let speed = |speed: Option<f64>| units::maybe(speed.map(Value::Rate), Unit::PerSecond);
        grid.row([
            one.model.as_deref().unwrap_or("(unknown)").to_owned(),
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
