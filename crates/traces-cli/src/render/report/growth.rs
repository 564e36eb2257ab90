//! How prompts grew over each session, stacked by section.

use std::fmt::Write as _;

use anyclaude_traces::analysis::report::{PromptSections, Report, SessionSections};
use anyclaude_traces::model::Size;
use anyclaude_traces::model::measure::Unit;
use maud::{Markup, html};

use super::chart::{Caption, LEFT, ROOM, place, rule, ticks};
use super::document::table;
use crate::render::table::{Grid, number, text};
use crate::render::units::{self, UNKNOWN};

/// The height of a chart, and of the room for its prompts.
const HEIGHT: u32 = 200;
const TALLEST: u32 = 190;

/// A section's name and size.
type Section = (&'static str, fn(&PromptSections) -> Size);

/// The sections from the bottom up.
const SECTIONS: [Section; 4] = [
    ("system", |prompt| prompt.system_bytes),
    ("tools", |prompt| prompt.tools_bytes),
    ("messages", |prompt| prompt.messages_bytes),
    ("other", |prompt| prompt.other_bytes),
];

pub(super) fn section(report: &Report) -> Markup {
    let growth = &report.growth;
    html! {
        section aria-labelledby="growth" {
            h2 id="growth" { "Growth of the prompt" }
            p { "Each request repeats the one before it and adds to it. A dip is a request of another kind in the \
                 same session: a subagent, or a conversation that was compacted." }
            @if growth.sessions.is_empty() { p { "No session has more than one request." } }
            @else { ul.legend aria-label="Sections, from the bottom up" {
                @for (name, _) in SECTIONS {
                    li { svg.swatch aria-hidden="true" width="18" height="12" {
                        rect.(name) width="18" height="12" {}
                    } " " (name) }
                }
            } }
            @for (at, session) in growth.sessions.iter().enumerate() { (figure(at, session)) }
            @if growth.other_sessions > 0 {
                p { (units::count(growth.other_sessions, "smaller session")) " not shown" }
            }
        }
    }
}

fn figure(at: usize, session: &SessionSections) -> Markup {
    let name = session.id.as_deref().unwrap_or("(unknown)");
    let (first, last) = (session.prompts.first(), session.prompts.last());
    let body = |prompt: &PromptSections| units::size(prompt.body_bytes(), Unit::Bytes);
    let size = |prompt: Option<&PromptSections>| prompt.map_or_else(|| UNKNOWN.to_owned(), body);
    let largest = session.prompts.iter().max_by_key(|prompt| prompt.recorded_bytes());
    let caption = Caption {
        id: format!("growth-{at}"),
        title: format!("Prompt sizes of session {name}"),
        description: format!(
            "{}: the first prompt is {}, the largest {}, the last {}",
            units::count(session.requests, "request"),
            size(first),
            size(largest),
            size(last)
        ),
    };
    let thinned = session.requests > session.prompts.len() as u64;
    html! {
        figure {
            figcaption {
                b { "Session " (name) } ", from " (units::stamp(session.first)) ". " (caption.description) "."
                @if thinned {
                    " Each column is the largest of about "
                    (session.requests.div_ceil(session.prompts.len().max(1) as u64)) " requests."
                }
            }
            (caption.scaled(HEIGHT, &picture(&session.prompts)))
            details {
                summary { "Figures of session " (name) }
                (table(&format!("Sizes by section, session {name}"), &figures(&[first, largest, last]), false))
            }
        }
    }
}

/// Columns as one outline for each section, the highest drawn first.
fn picture(prompts: &[PromptSections]) -> Markup {
    let most = prompts.iter().map(PromptSections::recorded_bytes).max().unwrap_or(0);
    #[allow(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
    let (most, as_f64) = (most as f64, |bytes: u64| bytes as f64);
    let height = |bytes: u64| place(as_f64(bytes), most, TALLEST);
    html! {
        @for top in (1..=SECTIONS.len()).rev() {
            @let stacked = |prompt: &PromptSections| {
                SECTIONS.iter().take(top).filter_map(|(_, of)| of(prompt).get()).sum::<u64>()
            };
            @let heights: Vec<i64> = prompts.iter().map(|prompt| height(stacked(prompt))).collect();
            @if let Some((name, _)) = SECTIONS.get(top - 1) { path.(name) d=(outline(&heights)) {} }
        }
        @for tick in ticks(most, 3) {
            (rule(i64::from(HEIGHT) - place(tick, most, TALLEST), &units::bytes(whole(tick))))
        }
    }
}

/// The outline of columns of these heights, as an SVG path. Each step is computed from
/// whole coordinates, so that rounding errors do not add up.
pub(super) fn outline(heights: &[i64]) -> String {
    let mut path = format!("M{LEFT} {HEIGHT}");
    let (mut x, mut height, count) = (0, 0, heights.len() as i64);
    for (at, next) in (1..).zip(heights) {
        if *next != height {
            let _ = write!(path, "v{}", height - next);
            height = *next;
        }
        let end = at * i64::from(ROOM) / count;
        // Neighbours of the same height are drawn as one.
        if heights.get(at as usize) != Some(next) {
            let _ = write!(path, "h{}", end - x);
            x = end;
        }
    }
    path + &format!("V{HEIGHT}z")
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ticks are positive and small")]
pub(super) fn whole(tick: f64) -> u64 {
    tick as u64
}

fn figures(prompts: &[Option<&PromptSections>; 3]) -> Grid {
    let names = ["first", "largest", "last"];
    let mut grid = Grid::new([
        text("Prompt", 0),
        number("Request", 0),
        number("System", 0),
        number("Tools", 0),
        number("Messages", 0),
        number("Other", 0),
        number("Body", 0),
    ]);
    for (name, prompt) in names.into_iter().zip(prompts) {
        let Some(prompt) = prompt else { continue };
        let sizes = SECTIONS.iter().map(|(_, of)| units::size(of(prompt), Unit::Bytes));
        let ends = [name.to_owned(), prompt.request.to_string()];
        grid.row(ends.into_iter().chain(sizes).chain([units::size(prompt.body_bytes(), Unit::Bytes)]));
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_one_height_are_one_and_the_last_ends_at_the_edge() {
        assert_eq!(outline(&[100, 100, 50]), "M76 200v-100h376v50h188V200z");
        assert_eq!(outline(&[10]), "M76 200v-10h564V200z");
        assert_eq!(outline(&[]), "M76 200V200z");
    }
}
