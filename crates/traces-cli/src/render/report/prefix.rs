//! What a prompt cache could reuse of each prompt, with the breaks marked.

use anyclaude_traces::analysis::prefix::{PrefixReport, PrefixRequest, UPPER_BOUND};
use anyclaude_traces::analysis::report::Report;
use maud::{Markup, html};

use super::chart::{Caption, LEFT, ROOM, place, rule, ticks};
use super::document::table;
use super::growth::{outline, whole};
use super::prose::prose;
use crate::render::prefix::{advice, breakers};
use crate::render::units;

/// The height of the chart, and of the room for its prompts: marks stand above them.
const HEIGHT: u32 = 200;
const TALLEST: u32 = 176;
/// More columns than this cannot be told apart.
const MOST_COLUMNS: usize = 400;
/// How many breaks are marked: the costliest.
const MOST_MARKS: usize = 40;

/// The parts of a column from the bottom up: what each is, and how it is filled.
const PARTS: [(&str, &str); 2] = [("reusable", "system"), ("to read", "messages")];

pub(super) fn section(report: &Report) -> Markup {
    let Some(prefix) = report.prefix.as_ref().filter(|prefix| !prefix.requests.is_empty()) else {
        return html! {};
    };
    html! {
        section aria-labelledby="prefix" {
            h2 id="prefix" { "Prefix reuse" }
            p { "What a prompt cache of " (units::count(prefix.slots, "slot")) " could have reused of each prompt. "
                (UPPER_BOUND) "." }
            (figure(prefix))
            @if prefix.breakers.is_empty() { p { "Nothing broke a prefix." } }
            @else {
                (table("What broke prefixes, the costliest first", &breakers(&prefix.breakers), false))
                ul { @for breaker in prefix.breakers.iter().filter(|breaker| breaker.lost_bytes > 0) {
                    @if let Some(advice) = advice(breaker) {
                        li { code { (breaker.cause.name()) } ": " (prose(&advice)) }
                    }
                } }
            }
        }
    }
}

fn figure(prefix: &PrefixReport) -> Markup {
    let totals = &prefix.totals;
    let caption = Caption {
        id: "prefix-chart".to_owned(),
        title: "Reusable and newly read part of each prompt".to_owned(),
        description: format!(
            "{}: {} of {} could be reused ({}), with one slot {}",
            units::count(prefix.requests.len() as u64, "request"),
            units::bytes(totals.reusable_bytes),
            units::bytes(totals.prompt_bytes),
            units::share(totals.reusable_bytes, totals.prompt_bytes),
            units::share(prefix.totals_one_slot.reusable_bytes, prefix.totals_one_slot.prompt_bytes),
        ),
    };
    html! {
        figure {
            ul.legend aria-label="Parts of a column, from the bottom up" {
                @for (name, class) in PARTS {
                    li { svg.swatch aria-hidden="true" width="18" height="12" {
                        rect.(class) width="18" height="12" {}
                    } " " (name) }
                }
                li { "▼ a break: an earlier turn had more" }
            }
            (caption.scaled(HEIGHT, &picture(&prefix.requests)))
            figcaption {
                (caption.description) "."
                @if prefix.requests.len() > MOST_COLUMNS { " Each column is the one of several that had to read most." }
            }
        }
    }
}

fn picture(requests: &[PrefixRequest]) -> Markup {
    let columns = thinned(requests);
    let most = columns.iter().map(|request| request.prompt_bytes).max().unwrap_or(0);
    let height = |bytes: u64| place(as_f64(bytes), as_f64(most), TALLEST);
    let heights = |of: fn(&PrefixRequest) -> u64| -> Vec<i64> {
        columns.iter().map(|request| height(of(request))).collect()
    };
    let tops = heights(|request| request.prompt_bytes);
    html! {
        path.messages d=(outline(&tops)) {}
        path.system d=(outline(&heights(|request| request.reusable_bytes))) {}
        @for at in marks(&columns) {
            @let x = i64::from(LEFT) + (2 * at as i64 + 1) * i64::from(ROOM) / (2 * columns.len() as i64);
            @let top = i64::from(HEIGHT) - tops.get(at).copied().unwrap_or(0);
            text.tick.middle x=(x) y=(top - 4) { "▼" }
        }
        @for tick in ticks(as_f64(most), 3) {
            (rule(i64::from(HEIGHT) - place(tick, as_f64(most), TALLEST), &units::bytes(whole(tick))))
        }
    }
}

/// At most [`MOST_COLUMNS`] columns. Of several requests the one that had to read most is
/// kept.
fn thinned(requests: &[PrefixRequest]) -> Vec<&PrefixRequest> {
    let each = requests.len().div_ceil(MOST_COLUMNS).max(1);
    let read = |request: &&PrefixRequest| request.prompt_bytes - request.reusable_bytes;
    requests.chunks(each).filter_map(|some| some.iter().max_by_key(read)).collect()
}

/// The columns to mark, in order: the costliest breaks.
fn marks(columns: &[&PrefixRequest]) -> Vec<usize> {
    let lost = |at: &usize| {
        let broken = columns.get(*at).and_then(|request| request.break_.as_ref());
        broken.map_or(0, |broken| broken.lost_bytes)
    };
    let mut marks: Vec<usize> = (0..columns.len()).filter(|at| lost(at) > 0).collect();
    marks.sort_by_key(|at| std::cmp::Reverse(lost(at)));
    marks.truncate(MOST_MARKS);
    marks.sort_unstable();
    marks
}

#[allow(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
fn as_f64(bytes: u64) -> f64 {
    bytes as f64
}
