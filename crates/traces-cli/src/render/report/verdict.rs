//! The answer: how long a request takes, how many times as long as another one, and why.

use anyclaude_traces::analysis::explain::{Explanation, MainCause, Part, Scenario, Side, names};
use anyclaude_traces::analysis::report::Report;
use anyclaude_traces::model::TimeBreakdown;
use anyclaude_traces::model::measure::Value;
use maud::{Markup, html};

use super::parts;
use crate::render::explain::basis;
use crate::render::times;
use crate::render::units::{self, UNKNOWN};
use crate::render::wrap::keep_figures;

/// What stands for a model of which no log tells.
const MODEL_UNKNOWN: &str = "model unknown";
/// More large figures than this do not fit beside each other.
const MOST_STATS: usize = 3;

/// A large figure, what it is of, and what else is known of that.
struct Stat {
    figure: String,
    words: String,
    details: Vec<String>,
    is_main: bool,
}

/// The answer in figures and in a sentence.
pub(super) fn answer(report: &Report) -> Markup {
    let found = report.explanation.as_ref().filter(|found| found.n > 0 || found.right.is_some());
    let mut stats = found.map(stats).unwrap_or_default();
    if stats.is_empty() {
        stats = logged(report);
    }
    if stats.is_empty() {
        stats = totals(report);
    }
    let is_unsure = found.is_none_or(|found| found.verdict.cause.is_none());
    html! {
        div.answer {
            @for stat in &stats {
                p.stat.main[stat.is_main].unsure[is_unsure] {
                    span.number { (stat.figure) }
                    span.of { (stat.words) }
                    @for detail in &stat.details { small { (detail) } }
                }
            }
        }
        h1 { (keep_figures(report.headline.trim_end_matches('.'))) "." }
        @if let Some(found) = found {
            p.key { (keep_figures(&found.verdict.key_answer.to_string())) "." }
            p.basis { (basis(found)) }
        }
    }
}

fn stats(found: &Explanation) -> Vec<Stat> {
    match &found.right {
        Some(right) => of_two(found, right),
        None => of_one(found),
    }
}

fn of_two(found: &Explanation, right: &Side) -> Vec<Stat> {
    let wall = |side: &Side| side.time.and_then(|time| time.wall_ms);
    let (Some(left_ms), Some(right_ms)) = (wall(&found.left), wall(right)) else { return Vec::new() };
    let (left_name, right_name) = names(&found.left, right);
    let factor = Value::Rate(left_ms.max(right_ms)).over(Value::Rate(left_ms.min(right_ms)));
    let slower = if left_ms > right_ms { &left_name } else { &right_name };
    let factor = factor.map(|factor| Stat {
        figure: format!("{factor:.1}×"),
        words: format!("as long with {slower}"),
        details: Vec::new(),
        is_main: true,
    });
    let side = |side: &Side, name: String, ms: f64| Stat {
        figure: units::precise_ms(ms),
        words: format!("a request to {name}"),
        details: speeds(side),
        is_main: false,
    };
    let times = [side(&found.left, left_name.clone(), left_ms), side(right, right_name.clone(), right_ms)];
    factor.into_iter().chain(times).collect()
}

fn of_one(found: &Explanation) -> Vec<Stat> {
    let Some(time) = found.left.time else { return Vec::new() };
    let Some(wall_ms) = time.wall_ms else { return Vec::new() };
    let name = found.left.model().unwrap_or("any model");
    let whole = Stat {
        figure: units::precise_ms(wall_ms),
        words: format!("a request to {name}"),
        details: speeds(&found.left),
        is_main: true,
    };
    let largest = match found.verdict.cause {
        Some(MainCause::Time(part)) => Some(part),
        _ => None,
    };
    let share = largest.and_then(|part| share(part, &time)).map(|(part, share)| Stat {
        figure: units::percent(share),
        words: format!("of it is {part}"),
        details: vec![parts::words(part).to_owned()],
        is_main: false,
    });
    std::iter::once(whole).chain(share).collect()
}

fn share(part: Part, time: &TimeBreakdown) -> Option<(Part, f64)> {
    let share = Value::Rate(part.of(time)?).over(Value::Rate(time.wall_ms?))?;
    Some((part, share))
}

fn speeds(side: &Side) -> Vec<String> {
    let (reads, writes) = (times::reading(side.speeds.as_ref()), times::writing(side.speeds.as_ref()));
    [("reads", reads), ("writes", writes)]
        .into_iter()
        .filter(|(_, speed)| speed != UNKNOWN)
        .map(|(verb, speed)| format!("{verb} {speed} tokens/s"))
        .collect()
}

/// What requests took that only logs have, where there are no others.
fn logged(report: &Report) -> Vec<Stat> {
    let stat = |(model, time): (String, &TimeBreakdown)| {
        Some(Stat {
            figure: units::precise_ms(time.wall_ms?),
            words: format!("a request to {model}"),
            details: vec![format!("by the log of {}", units::count(time.requests, "request"))],
            is_main: true,
        })
    };
    only_logged(report).into_iter().filter_map(stat).take(MOST_STATS).collect()
}

/// The times of requests that only logs have, where there are no others.
fn only_logged(report: &Report) -> Vec<(String, &TimeBreakdown)> {
    let name = |model: Option<&str>| model.unwrap_or(MODEL_UNKNOWN).to_owned();
    let logged = report.only_logged.iter().filter(|_| report.requests.is_empty());
    logged.map(|one| (name(one.model.as_deref()), &one.time)).collect()
}

/// What can be counted where no time is known.
fn totals(report: &Report) -> Vec<Stat> {
    let stat = |n: u64, noun: &str, is_main: bool| Stat {
        figure: n.to_string(),
        words: format!("{noun}{}", if n == 1 { "" } else { "s" }),
        details: Vec::new(),
        is_main,
    };
    let lanes = report.timeline.stretches.iter().flat_map(|stretch| &stretch.models);
    let drawn: usize = lanes.map(|lanes| lanes.requests.len()).sum();
    let timeline = &report.timeline;
    match report.totals.requests {
        // Nothing but logs.
        0 => vec![stat(drawn as u64 + timeline.other_requests + timeline.undated, "request", true)],
        requests => vec![stat(requests, "request", true), stat(report.totals.sessions, "session", false)],
    }
}

/// The parts of the compared times; of all models, where others ran as well.
pub(super) fn time(report: &Report) -> Markup {
    let compared: Vec<(String, &TimeBreakdown)> = report.explanation.as_ref().map(sides).unwrap_or_default();
    let groups: Vec<(String, &TimeBreakdown)> = report
        .groups
        .iter()
        .filter_map(|group| {
            Some((
                group.name.as_deref().unwrap_or(MODEL_UNKNOWN).to_owned(),
                group.time.as_ref().filter(|time| time.wall_ms.is_some())?,
            ))
        })
        .chain(only_logged(report))
        .collect();
    html! {
        @if !compared.is_empty() || !groups.is_empty() {
            section aria-labelledby="time" {
                h2 id="time" { "Where the time of a request goes" }
                @if !compared.is_empty() { (parts::bars("time", "Parts of a request's time, in the mean", &compared)) }
                @if compared.is_empty() || groups.len() > compared.len() {
                    @if !compared.is_empty() { h3 { "All models, over all of their requests" } }
                    (parts::bars("groups", "Parts of a request's time by model, in the mean", &groups))
                }
            }
        }
    }
}

fn sides(found: &Explanation) -> Vec<(String, &TimeBreakdown)> {
    let names = match &found.right {
        Some(right) => <[String; 2]>::from(names(&found.left, right)).to_vec(),
        None => vec![found.left.model().unwrap_or("all requests").to_owned()],
    };
    let times = std::iter::once(&found.left).chain(&found.right).map(|side| side.time.as_ref());
    names.into_iter().zip(times).filter_map(|(name, time)| Some((name, time?))).collect()
}

/// What the answer rests on, and what it means in the words of the guide.
pub(super) fn evidence(report: &Report) -> Markup {
    let Some(found) = &report.explanation else { return html! {} };
    let mut requests: Vec<&str> =
        found.evidence.iter().filter_map(|evidence| evidence.requests.as_deref()).collect();
    requests.dedup();
    html! {
        @if !found.evidence.is_empty() {
            section aria-labelledby="evidence" {
                h2 id="evidence" { "Evidence" }
                @if let Some(words) = scenario(found.verdict.scenario) { p { (words) } }
                ul { @for evidence in &found.evidence { li { (keep_figures(&evidence.fact.to_string())) } } }
                @for requests in requests { p.note { "Requests: " (requests) } }
            }
        }
    }
}

fn scenario(scenario: Scenario) -> Option<&'static str> {
    Some(match scenario {
        Scenario::A => {
            "In the words of anyclaude's performance guide: LM Studio, the model or the machine is slow, and would be \
             without anyclaude too."
        }
        Scenario::B => {
            "In the words of anyclaude's performance guide: the proxy is slow, or answers are longer."
        }
        Scenario::C => {
            "In the words of anyclaude's performance guide: the prompt is too large, or too little of it is reused."
        }
        Scenario::Mixed => "No scenario of anyclaude's performance guide makes up 60 % of the difference.",
        _ => return None,
    })
}
