//! How prompts grew over each session, stacked by section.

use std::fmt::Write as _;

use anyclaude_traces::analysis::report::{
    PromptReuse, PromptSections, Report, SessionReuse, SessionSections,
};
use anyclaude_traces::model::Amount;
use anyclaude_traces::model::measure::Unit;
use maud::{Markup, html};

use super::chart::{Caption, Plot, WIDTH, legend, percent, place, ticks};
use super::document::table;
use crate::render::ids::Ids;
use crate::render::table::{Grid, number, text};
use crate::render::units::{self, UNKNOWN};
use crate::render::wrap::keep_figures;

/// The height of a chart of sizes, and of the room for its prompts.
const HEIGHT: u32 = 180;
const TALLEST: u32 = 168;
/// The height of a chart of shares, whose breaks are marked above it.
const SHARES_HEIGHT: u32 = 64;
const SHARES_TALLEST: u32 = 48;
/// How many breaks are marked: the costliest.
const MOST_BREAKS: usize = 40;

/// A section's name and size.
type PromptSection = (&'static str, fn(&PromptSections) -> Amount);

/// The sections from the bottom up.
const SECTIONS: [PromptSection; 4] = [
    ("system", |prompt| prompt.system_bytes),
    ("tools", |prompt| prompt.tools_bytes),
    ("messages", |prompt| prompt.messages_bytes),
    ("other", |prompt| prompt.other_bytes),
];

pub(super) fn section(report: &Report, ids: Ids) -> Markup {
    let growth = &report.growth;
    html! {
        section aria-labelledby="growth" {
            h2 id="growth" { "Growth of the prompt, and its reuse" }
            p.lead { "Each request repeats the one before it and adds to it. A dip is a request of another kind in the \
                 same session: a subagent, or a conversation that was compacted. Below it: how much of each prompt a \
                 prompt cache could have reused." }
            @if growth.sessions.is_empty() { p { "No session has more than one request." } }
            @else {
                @let sections = SECTIONS.iter().map(|(name, _)| ((*name).to_owned(), *name));
                @let reused = [("could be reused".to_owned(), "reused")];
                (legend("Sections, from the bottom up", sections.chain(reused)))
            }
            @for (at, session) in growth.sessions.iter().enumerate() { (figure(at, session, ids)) }
            @if growth.other_sessions > 0 && !growth.sessions.is_empty() {
                p.note { (units::count(growth.other_sessions, "smaller session")) " not shown" }
            }
        }
    }
}

fn figure(at: usize, session: &SessionSections, ids: Ids) -> Markup {
    let name = session.id.as_deref().map_or_else(|| "(unknown)".to_owned(), |id| ids.session(id));
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
                b { "Session " (name) } ", from " (units::stamp(session.first)) ". " (keep_figures(&caption.description)) "."
                @if thinned {
                    " Each column is the largest of about "
                    (session.requests.div_ceil(session.prompts.len().max(1) as u64)) " requests."
                }
            }
            (sizes(&caption, session))
            @if let Some(reuse) = &session.reuse { (shares(at, session, reuse)) }
            details {
                summary { "Figures of session " (name) }
                (table(&format!("Sizes by section, session {name}"), &figures(&[first, largest, last]), false))
            }
        }
    }
}

/// Columns as one outline for each section, the highest drawn first.
fn sizes(caption: &Caption, session: &SessionSections) -> Markup {
    let prompts = &session.prompts;
    let most = as_f64(prompts.iter().map(PromptSections::recorded_bytes).max().unwrap_or(0));
    let shapes = html! {
        @for top in (1..=SECTIONS.len()).rev() {
            @let stacked = |prompt: &PromptSections| {
                SECTIONS.iter().take(top).filter_map(|(_, of)| of(prompt).get()).sum::<u64>()
            };
            @let heights: Vec<i64> =
                prompts.iter().map(|prompt| place(as_f64(stacked(prompt)), most, TALLEST)).collect();
            @if let Some((name, _)) = SECTIONS.get(top - 1) { path.(name) d=(outline(&heights, HEIGHT)) {} }
        }
    };
    let level = |tick: f64| (i64::from(HEIGHT) - place(tick, most, TALLEST), units::bytes(whole(tick)));
    let levels = ticks(most, 2).into_iter().map(level).collect();
    let marks = if session.reuse.is_some() { Vec::new() } else { marks(prompts) };
    Plot { caption, height: HEIGHT, levels, marks, is_ruled: false, shapes, signs: html! {} }.draw()
}

/// What of each prompt could have been reused, as a share, with the breaks marked.
fn shares(at: usize, session: &SessionSections, reuse: &SessionReuse) -> Markup {
    let prompts = &session.prompts;
    let caption = Caption {
        id: format!("reuse-{at}"),
        title: "Share of each prompt that could have been reused".to_owned(),
        description: format!(
            "{} of {} in all ({}); {} broke what could have been reused",
            units::bytes(reuse.reusable_bytes),
            units::bytes(reuse.prompt_bytes),
            units::share(reuse.reusable_bytes, reuse.prompt_bytes),
            units::count(reuse.broken, "request"),
        ),
    };
    let height = |reuse: Option<PromptReuse>| {
        reuse.map_or(0, |reuse| {
            place(as_f64(reuse.reusable_bytes), as_f64(reuse.prompt_bytes), SHARES_TALLEST)
        })
    };
    let heights: Vec<i64> = prompts.iter().map(|prompt| height(prompt.reuse)).collect();
    let floor = i64::from(SHARES_HEIGHT);
    let signs = html! {
        @for at in breaks(prompts) {
            text.break x=(percent((as_f64(at as u64) + 0.5) / as_f64(prompts.len() as u64))) y="12" { "▼" }
        }
    };
    let plot = Plot {
        caption: &caption,
        height: SHARES_HEIGHT,
        levels: vec![(floor - i64::from(SHARES_TALLEST), "100 %".to_owned()), (floor, "0 %".to_owned())],
        marks: marks(prompts),
        is_ruled: false,
        shapes: html! { path.reused d=(outline(&heights, SHARES_HEIGHT)) {} },
        signs,
    };
    html! {
        (plot.draw())
        p.note {
            "Could be reused: " (keep_figures(&caption.description)) "."
            @if reuse.broken > 0 { " ▼ a break: an earlier turn had more." }
        }
    }
}

/// The numbers of some requests, at the middle of their columns.
fn marks(prompts: &[PromptSections]) -> Vec<(f64, String)> {
    let count = prompts.len();
    let each = count.div_ceil(4).max(1);
    let share = |at: usize| (as_f64(at as u64) + 0.5) / as_f64(count as u64);
    let numbered = |(at, prompt): (usize, &PromptSections)| {
        let number = prompt.request.to_string();
        (share(at), if at == 0 { format!("request {number}") } else { number })
    };
    prompts.iter().enumerate().step_by(each).map(numbered).collect()
}

/// The columns to mark, in order: the costliest breaks.
fn breaks(prompts: &[PromptSections]) -> Vec<usize> {
    let lost =
        |at: &usize| prompts.get(*at).and_then(|prompt| prompt.reuse).map_or(0, |reuse| reuse.lost_bytes);
    let mut breaks: Vec<usize> = (0..prompts.len()).filter(|at| lost(at) > 0).collect();
    breaks.sort_by_key(|at| std::cmp::Reverse(lost(at)));
    breaks.truncate(MOST_BREAKS);
    breaks.sort_unstable();
    breaks
}

/// The outline of columns of these heights, as an SVG path. Each step is computed from
/// whole coordinates, so that rounding errors do not add up.
fn outline(heights: &[i64], floor: u32) -> String {
    let mut path = format!("M0 {floor}");
    let (mut x, mut height, count) = (0, 0, heights.len() as i64);
    for (at, next) in (1..).zip(heights) {
        if *next != height {
            let _ = write!(path, "v{}", height - next);
            height = *next;
        }
        let end = at * i64::from(WIDTH) / count;
        // Neighbours of the same height are drawn as one.
        if heights.get(at as usize) != Some(next) {
            let _ = write!(path, "h{}", end - x);
            x = end;
        }
    }
    path + &format!("V{floor}z")
}

#[allow(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
fn as_f64(value: u64) -> f64 {
    value as f64
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ticks are positive and small")]
fn whole(tick: f64) -> u64 {
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
        assert_eq!(outline(&[100, 100, 50], 200), "M0 200v-100h666v50h334V200z");
        assert_eq!(outline(&[10], 64), "M0 64v-10h1000V64z");
        assert_eq!(outline(&[], 200), "M0 200V200z");
    }
}
