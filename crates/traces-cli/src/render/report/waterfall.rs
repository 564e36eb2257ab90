//! The verdict, and the five contributions as a waterfall.

use anyclaude_traces::analysis::explain::{Explanation, LeftOutReason, Scenario};
use anyclaude_traces::model::measure::{Unit, Value};
use maud::{Markup, html};

use super::bars::{self, Bar};
use super::chart::Caption;
use super::prose::prose;
use crate::render::explain::{basis, name};
use crate::render::units::{self, UNKNOWN};

/// What stands below the headline.
pub(super) fn verdict(found: &Explanation) -> Markup {
    html! {
        p.basis { (basis(found)) }
        @if let Some(words) = scenario(found.verdict.scenario) {
            p { (words) }
        }
        @if found.delta_ms.is_some() {
            figure {
                (waterfall(found))
                figcaption {
                    "What " (model(&found.right)) " takes longer for each request than " (model(&found.left))
                    ", part by part. Striped bars make it slower, plain ones faster."
                }
            }
        }
        @if !found.evidence.is_empty() { h2.minor { "Evidence" } }
        ul { @for evidence in &found.evidence { li { (prose(&evidence.sentence)) } } }
        @for requests in basis_of(found) { p { small { "Requests: " (requests) } } }
        @if !found.advice.is_empty() {
            h2.minor { "What could be done" }
            ul { @for advice in &found.advice { li { (prose(advice)) } } }
        }
    }
}

/// The requests that the evidence rests on, each once.
fn basis_of(found: &Explanation) -> Vec<&str> {
    let mut requests: Vec<&str> =
        found.evidence.iter().filter_map(|evidence| evidence.requests.as_deref()).collect();
    requests.dedup();
    requests
}

/// The model of a side, or how it is selected.
fn model(side: &anyclaude_traces::model::SideName) -> &str {
    side.model.as_deref().unwrap_or(&side.selector)
}

fn scenario(scenario: Scenario) -> Option<&'static str> {
    Some(match scenario {
        Scenario::A => "In the words of the performance guide: the backend reads the prompt slowly.",
        Scenario::B => "In the words of the performance guide: generation or the proxy is slow.",
        Scenario::C => {
            "In the words of the performance guide: the prompt is too large, or too little of it is reused."
        }
        Scenario::Mixed => "No scenario of the performance guide makes up 60 % of the difference.",
        _ => return None,
    })
}

fn waterfall(found: &Explanation) -> Markup {
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
    let signed = |ms: f64| units::delta(Value::Rate(ms), Unit::Ms);
    let mut bars: Vec<Bar> = Vec::new();
    for (one, level) in found.contributions.iter().zip(levels.windows(2)) {
        let (from, to) = (level.first().copied().unwrap_or(0.0), level.last().copied().unwrap_or(0.0));
        let ms = one.ms.map(|ms| ms.as_f64());
        let of_all = one.share.map_or_else(String::new, |share| format!(" · {}", units::percent(share)));
        bars.push(Bar {
            label: name(one.cause).to_owned(),
            figure: ms.map_or_else(|| UNKNOWN.to_owned(), |ms| format!("{}{of_all}", signed(ms))),
            from: share(from),
            to: share(to),
            class: class(ms.unwrap_or(0.0)),
        });
    }
    if let Some(total) = total {
        bars.push(Bar {
            label: "together".to_owned(),
            figure: signed(total),
            from: share(0.0),
            to: share(total),
            class: "total",
        });
    }
    let words: Vec<String> = bars.iter().map(|bar| format!("{} {}", bar.label, bar.figure)).collect();
    let caption = Caption {
        id: "waterfall".to_owned(),
        title: format!("Where {} loses its time", model(&found.right)),
        description: words.join(", "),
    };
    bars::chart(&caption, &bars)
}

/// Why a request took no part.
pub(super) fn left_out(reason: LeftOutReason) -> &'static str {
    match reason {
        LeftOutReason::NoLog => "without a log",
        LeftOutReason::NotStreamed => "not streamed",
        LeftOutReason::NotCompleted => "not completed",
        LeftOutReason::AmbiguousJoin => "their log lines could be another's",
        LeftOutReason::NoTtft => "without a time to first token",
        LeftOutReason::Overlapping => "they overlapped others",
        LeftOutReason::ColdStart => "the first of a process, which may load the model",
        LeftOutReason::HiddenReasoning => "reasoning that was not streamed",
        LeftOutReason::NoUsage => "without token counts",
        LeftOutReason::Unpaired => "no partner with the same prompt",
        _ => "for another reason",
    }
}
