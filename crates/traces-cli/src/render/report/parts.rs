//! Where the time of a request goes, as bars of parts on one scale.

use anyclaude_traces::analysis::explain::Part;
use anyclaude_traces::model::TimeBreakdown;
use anyclaude_traces::model::measure::{Unit, Value};
use maud::{Markup, html};

use super::chart::{Caption, percent, swatch, time_axis};
use crate::render::units;

/// How high a bar is.
const HEIGHT: u32 = 34;
/// A part of this share of the longest bar has room for its time, even on a phone.
const ROOM_FOR_WORDS: f64 = 0.17;

/// How a part is filled, wherever it is drawn.
pub(super) fn class(part: Part) -> &'static str {
    match part {
        Part::Proxy => "proxy",
        Part::Load => "load",
        Part::Queue => "queue",
        Part::Read => "read",
        Part::Write => "write",
        Part::Stall => "stall",
        _ => "unknown",
    }
}

/// What a part is, for those who meet it for the first time.
pub(super) fn words(part: Part) -> &'static str {
    match part {
        Part::Proxy => "the proxy's own work before it sends",
        Part::Load => "the model is loaded first",
        Part::Queue => "waiting for other requests",
        Part::Read => "reading the prompt, to the first token",
        Part::Write => "writing the answer",
        Part::Stall => "silences inside the answer",
        _ => "what the recording does not tell apart",
    }
}

/// One bar for each name, and a table of the parts below them; its caption is unique on the
/// page.
pub(super) fn bars(id: &str, caption: &str, times: &[(String, &TimeBreakdown)]) -> Markup {
    let whole = |time: &TimeBreakdown| Part::ALL.into_iter().filter_map(|part| part.of(time)).sum::<f64>();
    let longest_ms = times.iter().map(|(_, time)| whole(time)).fold(0.0, f64::max);
    html! {
        div.stacks {
            @for (at, (name, time)) in times.iter().enumerate() {
                div.stack {
                    p { b { (name) } span.figure { (ms(time.wall_ms)) } }
                    (bar(&format!("{id}-{at}"), name, time, longest_ms))
                }
            }
            (time_axis(0.0, longest_ms, units::precise_ms))
        }
        (table(caption, times))
    }
}

fn bar(id: &str, name: &str, time: &TimeBreakdown, longest_ms: f64) -> Markup {
    let share = |ms: f64| if longest_ms > 0.0 { ms / longest_ms } else { 0.0 };
    let known = || Part::ALL.into_iter().filter_map(|part| Some((part, part.of(time)?)));
    let taking = || known().filter(|(_, ms)| *ms > 0.0);
    let ends = taking().scan(0.0, |end, (part, ms)| {
        let from = *end;
        *end += ms;
        Some((part, ms, from))
    });
    let words: Vec<String> =
        taking().map(|(part, part_ms)| format!("{part} {}", ms(Some(part_ms)))).collect();
    let caption = Caption {
        id: id.to_owned(),
        title: format!("Where the time of {name} goes"),
        description: if words.is_empty() { "no time is known".to_owned() } else { words.join(", ") },
    };
    let parts = html! {
        @for (part, part_ms, from) in ends {
            rect.(class(part)) x=(percent(share(from))) width=(percent(share(part_ms))) height=(HEIGHT) {}
            @if share(part_ms) >= ROOM_FOR_WORDS {
                text.inside x=(percent(share(from + part_ms / 2.0))) y=(HEIGHT / 2 + 5) { (ms(Some(part_ms))) }
            }
        }
    };
    caption.stretched(HEIGHT, &parts)
}

/// The parts that take time anywhere: what each is, and how long it takes.
fn table(caption: &str, times: &[(String, &TimeBreakdown)]) -> Markup {
    let takes_time = |part: &Part| times.iter().any(|(_, time)| part.of(time).is_some_and(|ms| ms > 0.0));
    let is_unknown = |part: &Part| times.iter().any(|(_, time)| part.of(time).is_none());
    let parts = Part::ALL.into_iter().filter(|part| takes_time(part) || is_unknown(part));
    html! {
        div.scroll role="region" aria-label=(caption) tabindex="0" {
            table.parts {
                caption { (caption) }
                thead { tr {
                    th scope="col" { "Part" }
                    @for (name, _) in times { th scope="col" { (name) } }
                } }
                tbody {
                    @for part in parts {
                        tr {
                            th scope="row" { (swatch(class(part))) " " (part.to_string()) small { (words(part)) } }
                            @for (_, time) in times { td { (cell(part.of(time), time.wall_ms)) } }
                        }
                    }
                    tr.sum {
                        th scope="row" { "together" }
                        @for (_, time) in times { td { (ms(time.wall_ms)) } }
                    }
                }
            }
        }
    }
}

fn cell(part_ms: Option<f64>, wall_ms: Option<f64>) -> Markup {
    let share = part_ms.zip(wall_ms).and_then(|(part, wall)| Value::Rate(part).over(Value::Rate(wall)));
    html! {
        (ms(part_ms))
        @if let Some(share) = share.filter(|share| *share > 0.0) { small { (units::percent(share)) } }
    }
}

fn ms(ms: Option<f64>) -> String {
    units::maybe(ms.map(Value::Rate), Unit::Ms)
}
