//! The verdict, and what makes up the difference as a waterfall; of one model, its parts.

use anyclaude_traces::analysis::explain::{Explanation, MainCause, Part, Scenario, Side, names};
use anyclaude_traces::model::measure::{Unit, Value};
use maud::{Markup, html};

use super::bars::{self, Bar};
use super::chart::Caption;
use crate::render::explain::{basis, signed};
use crate::render::units::{self, UNKNOWN};

/// What stands below the headline.
pub(super) fn verdict(found: &Explanation) -> Markup {
    html! {
        p { (found.verdict.key_answer) "." }
        p.basis { (basis(found)) }
        @if let Some(words) = scenario(found.verdict.scenario) {
            p { (words) }
        }
        @match &found.right {
            Some(right) if found.delta_ms.is_some() => figure {
                (waterfall(found, right))
                figcaption {
                    "What " (names(&found.left, right).1) " takes longer for each request than "
                    (names(&found.left, right).0) ", part by part. Striped bars make it slower, plain ones faster."
                }
            },
            None if found.left.time.is_some() => figure {
                (breakdown(found))
                figcaption { "Where the time of a request goes, in the mean." }
            },
            _ => {}
        }
        @if !found.evidence.is_empty() { h2.minor { "Evidence" } }
        ul { @for evidence in &found.evidence { li { (evidence.fact) } } }
        @for requests in basis_of(found) { p { small { "Requests: " (requests) } } }
    }
}

/// The requests that the evidence rests on, each once.
fn basis_of(found: &Explanation) -> Vec<&str> {
    let mut requests: Vec<&str> =
        found.evidence.iter().filter_map(|evidence| evidence.requests.as_deref()).collect();
    requests.dedup();
    requests
}

fn scenario(scenario: Scenario) -> Option<&'static str> {
    Some(match scenario {
        Scenario::A => {
            "In the words of the performance guide: LM Studio, the model or the machine is slow, and would be without \
             anyclaude too."
        }
        Scenario::B => "In the words of the performance guide: the proxy is slow, or answers are longer.",
        Scenario::C => {
            "In the words of the performance guide: the prompt is too large, or too little of it is reused."
        }
        Scenario::Mixed => "No scenario of the performance guide makes up 60 % of the difference.",
        _ => return None,
    })
}

fn waterfall(found: &Explanation, right: &Side) -> Markup {
    let steps: Vec<f64> =
        found.contributions.iter().map(|one| one.ms.map_or(0.0, |ms| ms.as_f64())).collect();
    let total = found.delta_ms.map(|delta| delta.as_f64());
    let levels: Vec<f64> = std::iter::once(0.0)
        .chain(steps.iter().scan(0.0, |level, step| {
            *level += step;
            Some(*level)
        }))
        .collect();
    let all = || levels.iter().copied().chain(total);
    let (least, most) = (all().fold(0.0, f64::min), all().fold(0.0, f64::max));
    let share = |level: f64| if most > least { (level - least) / (most - least) } else { 0.0 };
    let class = |ms: f64| if ms < 0.0 { "faster" } else { "slower" };
    let mut bars: Vec<Bar> = Vec::new();
    for (one, level) in found.contributions.iter().zip(levels.windows(2)) {
        let (from, to) = (level.first().copied().unwrap_or(0.0), level.last().copied().unwrap_or(0.0));
        let of_all = one.share.map_or_else(String::new, |share| format!(" · {}", units::percent(share)));
        bars.push(Bar {
            label: one.cause.to_string(),
            figure: one.ms.map_or_else(|| UNKNOWN.to_owned(), |ms| format!("{}{of_all}", signed(Some(ms)))),
            from: share(from),
            to: share(to),
            class: class(one.ms.map_or(0.0, |ms| ms.as_f64())),
        });
    }
    if let Some(total) = total {
        bars.push(Bar {
            label: "together".to_owned(),
            figure: signed(found.delta_ms),
            from: share(0.0),
            to: share(total),
            class: "total",
        });
    }
    chart("waterfall", format!("Where {} loses its time", names(&found.left, right).1), &bars)
}

/// The parts of one side's time, one behind the other.
fn breakdown(found: &Explanation) -> Markup {
    let time = found.left.time.unwrap_or_default();
    let wall = time.wall_ms.map(Value::Rate);
    let share = |ms: f64| wall.and_then(|wall| Value::Rate(ms).over(wall)).unwrap_or(0.0);
    let mut end = 0.0;
    let bars: Vec<Bar> = Part::ALL
        .into_iter()
        .map(|part| {
            let ms = part.of(&time);
            let from = end;
            end += share(ms.unwrap_or(0.0));
            Bar {
                label: part.to_string(),
                figure: units::maybe(ms.map(Value::Rate), Unit::Ms),
                from,
                to: end,
                class: if found.verdict.cause == Some(MainCause::Time(part)) { "slower" } else { "faster" },
            }
        })
        .collect();
    let name = found.left.model().unwrap_or(&found.left.name.selector);
    chart("breakdown", format!("Where the time of {name} goes"), &bars)
}

fn chart(id: &str, title: String, bars: &[Bar]) -> Markup {
    let words: Vec<String> = bars.iter().map(|bar| format!("{} {}", bar.label, bar.figure)).collect();
    bars::chart(&Caption { id: id.to_owned(), title, description: words.join(", ") }, bars)
}
