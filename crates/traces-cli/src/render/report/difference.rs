//! What makes the slower side slower, the largest cause first, and how sure that is.

use anyclaude_traces::analysis::explain::{
    Contribution, DelayCause, Explanation, Fact, Interval, MainCause, Millis, Part, Side, names,
};
use anyclaude_traces::analysis::report::Report;
use maud::{Markup, html};

use super::bars::{self, Bar};
use super::chart::time_axis;
use super::parts;
use crate::render::explain::signed;
use crate::render::units;

pub(super) fn section(report: &Report) -> Markup {
    let compared = report.explanation.as_ref().and_then(|found| Some((found, found.right.as_ref()?)));
    let Some((found, right)) = compared.filter(|(found, _)| found.delta_ms.is_some()) else {
        return html! {};
    };
    let (left_name, right_name) = names(&found.left, right);
    html! {
        section aria-labelledby="difference" {
            h2 id="difference" { "What makes the difference" }
            p.lead {
                "Compared with " (left_name) ", a request to " (right_name) " takes " b { (signed(found.delta_ms)) }
                " in the mean. Each cause has its part of that; negative ones make it faster."
                @if found.contributions.iter().any(|one| one.interval.is_some()) {
                    " The lines on the bars show between which values each lies (95 %)."
                }
            }
            (chart(found, right))
        }
    }
}

fn chart(found: &Explanation, right: &Side) -> Markup {
    let mut known: Vec<(&Contribution, f64)> = found
        .contributions
        .iter()
        .filter_map(|one| Some((one, one.ms?.as_f64())))
        .filter(|(one, ms)| *ms != 0.0 || one.interval.is_some_and(|interval| !is_nothing(interval)))
        .collect();
    known.sort_by(|a, b| b.1.total_cmp(&a.1));
    let ends = |one: &Contribution| one.interval.map(|Interval { low, high }| (low.as_f64(), high.as_f64()));
    let all = || {
        known
            .iter()
            .flat_map(|(one, ms)| ends(one).map(|(low, high)| [low, high]).into_iter().flatten().chain([*ms]))
    };
    let (least, most) = (all().fold(0.0, f64::min), all().fold(0.0, f64::max));
    let share = |ms: f64| if most > least { (ms - least) / (most - least) } else { 0.0 };
    let bars: Vec<Bar> = known
        .iter()
        .map(|(one, ms)| Bar {
            label: one.cause.to_string(),
            note: figures(found, one),
            figure: signed(one.ms),
            detail: detail(one),
            from: share(0.0),
            to: share(*ms),
            class: if *ms < 0.0 { "faster" } else { "slower" },
            interval: ends(one).map(|(low, high)| (share(low), share(high))),
            is_main: found.verdict.cause == Some(MainCause::Difference(one.cause)),
        })
        .collect();
    let left_over = |is_left: fn(&&Contribution) -> bool| -> String {
        let names: Vec<String> =
            found.contributions.iter().filter(is_left).map(|one| one.cause.to_string()).collect();
        names.join(", ")
    };
    let nothing = left_over(|one| one.ms == Some(Millis::default()) && one.interval.is_none_or(is_nothing));
    let unknown = left_over(|one| one.ms.is_none());
    let name = format!("What makes {} slower or faster", names(&found.left, right).1);
    html! {
        (bars::rows(&name, &bars, share(0.0)))
        div.row-axis { (time_axis(least, most, |ms| signed(Some(Millis::from_f64(ms))))) }
        @if !nothing.is_empty() { p.note { "Nothing comes from: " (nothing) "." } }
        @if !unknown.is_empty() { p.note { "Unknown, and part of other: " (unknown) "." } }
    }
}

fn is_nothing(Interval { low, high }: Interval) -> bool {
    low == Millis::default() && high == Millis::default()
}

/// Its share, and the interval in words.
fn detail(one: &Contribution) -> String {
    let share = one.share.map(units::percent);
    // It breaks before the interval, not in it.
    let interval = one.interval.map(|Interval { low, high }| {
        format!("{} … {}", signed(Some(low)), signed(Some(high))).replace(' ', "\u{a0}")
    });
    share.into_iter().chain(interval).collect::<Vec<_>>().join(" · ")
}

/// The figures of both sides behind a cause, the right side's first as in sentences.
fn figures(found: &Explanation, one: &Contribution) -> String {
    let of_cause = found.evidence.iter().find_map(|evidence| match &evidence.fact {
        Fact::Contribution { cause, figures, occurrences, .. } if *cause == one.cause => {
            Some((figures.as_ref(), occurrences.as_ref()))
        }
        _ => None,
    });
    if one.cause == DelayCause::Other {
        return parts::words(Part::Other).to_owned();
    }
    let Some((figures, occurrences)) = of_cause else { return String::new() };
    let figures = figures.map(ToString::to_string);
    let occurrences =
        occurrences.map(|found| format!("in {} of {}", found.n, units::count(found.of, "request")));
    figures.into_iter().chain(occurrences).collect::<Vec<_>>().join(", ")
}
