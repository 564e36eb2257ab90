//! Requests over time, in lanes: who waited for whom, and for which load.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyclaude_traces::Timestamp;
use anyclaude_traces::analysis::explain::Part;
use anyclaude_traces::analysis::report::{ModelLanes, Report, Stretch, Timeline, TimelineRequest};
use maud::{Markup, html};

use super::chart::{Caption, Plot, WIDTH, percent, swatch};
use super::parts::{class, words};
use crate::render::table::shorten;
use crate::render::units;
use crate::render::wrap::keep_figures;

/// How high a lane is, with the room above it, …
const LANE: u32 = 16;
/// … how high a part is in it, …
const THICK: u32 = 12;
/// … and one in which the backend did not work for the request.
const THIN: u32 = 4;
/// The room for the name of a model above its lanes.
const NAME: u32 = 22;
/// More lanes than this are not drawn.
const MOST_LANES: u64 = 24;
/// How wide the name of a model may be.
const NAME_WIDTH: usize = 30;
/// How finely places are told apart: in so many parts of a unit.
const FINE: u32 = 4;
/// So many requests, the longest, tell their times to a pointer: more would make a page
/// heavy, and each of them is too thin to be pointed at.
const MOST_TIPS: usize = 1_000;
/// The distances between marks, in seconds: the first that makes few of them is taken.
const STEPS_S: [u32; 15] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400];
/// How many marks fit on a phone.
const MOST_MARKS: u32 = 4;

pub(super) fn section(report: &Report) -> Markup {
    let timeline = &report.timeline;
    if timeline.stretches.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="timeline" {
            h2 id="timeline" { "When requests ran" }
            p.lead {
                "Each bar is a request, of any kind, from its arrival to its end; requests that ran at the same time \
                 are in lanes. Thin parts are those in which the backend did not work for it."
            }
            (legend(timeline))
            @let least_ms = least_with_tip_ms(timeline);
            @for (at, stretch) in timeline.stretches.iter().enumerate() { (figure(at, stretch, least_ms)) }
            @if timeline.other_stretches > 0 {
                p.note {
                    (units::count(timeline.other_stretches, "less busy time")) " with "
                    (units::count(timeline.other_requests, "request")) " not shown"
                }
            }
            @if timeline.undated > 0 {
                p.note { (units::count(timeline.undated, "request")) " without a time not shown" }
            }
        }
    }
}

/// From which length on requests tell their times.
fn least_with_tip_ms(timeline: &Timeline) -> u64 {
    let lanes = timeline.stretches.iter().flat_map(|stretch| &stretch.models);
    let mut lengths: Vec<u64> = lanes.flat_map(|lanes| &lanes.requests).map(length_ms).collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    lengths.get(MOST_TIPS).map_or(0, |length| length + 1)
}

fn length_ms(one: &TimelineRequest) -> u64 {
    one.parts.iter().map(|part| part.ms).sum()
}

fn legend(timeline: &Timeline) -> Markup {
    let drawn = |part: &Part| {
        let lanes = timeline.stretches.iter().flat_map(|stretch| &stretch.models);
        lanes.flat_map(|lanes| &lanes.requests).flat_map(|one| &one.parts).any(|one| one.part == *part)
    };
    html! {
        ul.legend aria-label="Parts of a request" {
            @for part in Part::ALL.into_iter().filter(drawn) {
                li {
                    @if is_thin(part) {
                        svg.swatch aria-hidden="true" width="12" height="12" {
                            rect.(class(part)) width="12" y="4" height=(THIN) {}
                        }
                    } @else { (swatch(class(part))) }
                    " " (words(part))
                }
            }
        }
    }
}

fn is_thin(part: Part) -> bool {
    matches!(part, Part::Proxy | Part::Queue | Part::Stall)
}

fn figure(at: usize, stretch: &Stretch, least_ms: u64) -> Markup {
    let count: usize = stretch.models.iter().map(|lanes| lanes.requests.len()).sum();
    let long_ms = u64::try_from(stretch.to.ms_since(stretch.from)).unwrap_or(0);
    let by_model: Vec<String> = stretch.models.iter().map(described).collect();
    let caption = Caption {
        id: format!("timeline-{at}"),
        title: format!("Requests from {}", units::stamp(Some(stretch.from))),
        description: by_model.join(". "),
    };
    let tops: Vec<u32> = stretch
        .models
        .iter()
        .scan(0, |top, lanes| {
            let this = *top;
            *top += NAME + drawn_lanes(lanes) * LANE + 6;
            Some(this)
        })
        .collect();
    let height = stretch.models.iter().map(|lanes| NAME + drawn_lanes(lanes) * LANE + 6).sum::<u32>();
    let scale = Scale { long_ms: long_ms.max(1) };
    let plot = Plot {
        caption: &caption,
        height,
        levels: Vec::new(),
        marks: marks(stretch.from, scale.long_ms),
        is_ruled: true,
        shapes: html! {
            (shapes(&stretch.models, &tops, scale))
            (tips(stretch, &tops, scale, least_ms))
        },
        signs: html! {
            @for (lanes, top) in stretch.models.iter().zip(&tops) {
                @if *top > 0 { line x1="0" x2="100%" y1=(top) y2=(top) {} }
                text.name x="0" y=(top + 15) { (name(lanes)) }
                @for one in lanes.requests.iter().filter(|one| one.parts.is_empty() && one.lane < MOST_LANES) {
                    circle.unknown cx=(percent(scale.share(one.from_ms))) cy=(top + NAME + lane(one.lane) * LANE + 6) r="2" {}
                }
            }
        },
    };
    html! {
        figure.timeline {
            figcaption {
                b { (units::stamp(Some(stretch.from))) } ", "
                (units::count(count as u64, "request")) " in " (keep_figures(&units::ms(Some(long_ms))))
            }
            (plot.draw())
        }
    }
}

fn name(lanes: &ModelLanes) -> String {
    let model = lanes.model.as_deref().unwrap_or("model unknown");
    format!("{}, {}", shorten(model, NAME_WIDTH), units::count(lanes.requests.len() as u64, "request"))
}

fn described(lanes: &ModelLanes) -> String {
    let with = |part: Part| {
        let has = |one: &&TimelineRequest| one.parts.iter().any(|one| one.part == part);
        lanes.requests.iter().filter(has).count() as u64
    };
    format!(
        "{}, up to {} at a time; {} waited for others, {} for a load",
        name(lanes),
        lanes.lanes,
        with(Part::Queue),
        with(Part::Load)
    )
}

fn drawn_lanes(lanes: &ModelLanes) -> u32 {
    lane(lanes.lanes.min(MOST_LANES))
}

fn lane(lane: u64) -> u32 {
    u32::try_from(lane).unwrap_or(u32::MAX)
}

/// How long the whole width is.
#[derive(Clone, Copy)]
struct Scale {
    long_ms: u64,
}

impl Scale {
    #[allow(clippy::cast_precision_loss, reason = "times stay far below 2^53")]
    fn share(self, ms: u64) -> f64 {
        ms as f64 / self.long_ms as f64
    }

    /// In [`FINE`] parts of a unit.
    fn place(self, ms: u64) -> u64 {
        let places = u128::from(ms) * u128::from(WIDTH * FINE) / u128::from(self.long_ms);
        u64::try_from(places).unwrap_or(u64::MAX)
    }
}

/// A piece of a lane: its upper end, and from where to where it goes.
type Piece = (u32, u64, u64);

/// One path for each part.
fn shapes(models: &[ModelLanes], tops: &[u32], scale: Scale) -> Markup {
    let mut pieces: BTreeMap<Part, Vec<Piece>> = BTreeMap::new();
    for (lanes, top) in models.iter().zip(tops) {
        for one in lanes.requests.iter().filter(|one| one.lane < MOST_LANES) {
            let mut from_ms = one.from_ms;
            for part in &one.parts {
                let to_ms = from_ms.saturating_add(part.ms);
                let y = top + NAME + lane(one.lane) * LANE;
                let (from, to) = (scale.place(from_ms), scale.place(to_ms));
                pieces.entry(part.part).or_default().push((y, from, to.max(from + 1)));
                from_ms = to_ms;
            }
        }
    }
    html! {
        g transform=(format!("scale({} 1)", 1.0 / f64::from(FINE))) {
            @for (part, pieces) in pieces { path.(class(part)) d=(outline(part, pieces)) {} }
        }
    }
}

/// What each request took, for whoever points at it.
fn tips(stretch: &Stretch, tops: &[u32], scale: Scale, least_ms: u64) -> Markup {
    let with_tip =
        |one: &&TimelineRequest| one.lane < MOST_LANES && !one.parts.is_empty() && length_ms(one) >= least_ms;
    let words = |one: &TimelineRequest| {
        let from = stretch.from.plus_ms(i64::try_from(one.from_ms).unwrap_or(0));
        let parts = one.parts.iter().map(|part| format!("{} {}", part.part.name(), units::ms(Some(part.ms))));
        let parts: Vec<String> = parts.collect();
        format!("{}, {}: {}", units::clock(from, true), units::ms(Some(length_ms(one))), parts.join(", "))
    };
    html! {
        g fill-opacity="0" transform=(format!("scale({} 1)", 1.0 / f64::from(FINE))) {
            @for (lanes, top) in stretch.models.iter().zip(tops) {
                @for one in lanes.requests.iter().filter(with_tip) {
                    @let (from, to) = (scale.place(one.from_ms), scale.place(one.from_ms.saturating_add(length_ms(one))));
                    rect x=(from) y=(top + NAME + lane(one.lane) * LANE) width=((to - from).max(1)) height=(THICK) {
                        title { (words(one)) }
                    }
                }
            }
        }
    }
}

/// Rectangles; those that touch are drawn as one.
fn outline(part: Part, mut pieces: Vec<Piece>) -> String {
    pieces.sort_unstable();
    let mut joined: Vec<Piece> = Vec::new();
    for (y, from, to) in pieces {
        match joined.last_mut() {
            Some((last_y, _, last_to)) if *last_y == y && from <= *last_to => *last_to = to.max(*last_to),
            _ => joined.push((y, from, to)),
        }
    }
    let (inset, height) = if is_thin(part) { ((THICK - THIN) / 2, THIN) } else { (0, THICK) };
    joined.iter().fold(String::new(), |mut path, (y, from, to)| {
        let _ = write!(path, "M{from} {}h{}v{height}H{from}z", y + inset, to - from);
        path
    })
}

/// Round moments of the clock.
fn marks(from: Timestamp, long_ms: u64) -> Vec<(f64, String)> {
    let long_s = u32::try_from(long_ms / 1000).unwrap_or(u32::MAX);
    let few = |step: &&u32| long_s / **step <= MOST_MARKS;
    let step_s = STEPS_S.iter().find(few).copied().unwrap_or_else(|| (long_s / MOST_MARKS).max(1));
    let step_ms = i64::from(step_s) * 1000;
    let to_first_ms = (-from.unix_ms()).rem_euclid(step_ms);
    let scale = Scale { long_ms };
    let at = |n: i64| u64::try_from(to_first_ms + n * step_ms).ok().filter(|ms| *ms <= long_ms);
    let words = |ms: u64| units::clock(from.plus_ms(i64::try_from(ms).unwrap_or(0)), step_s < 60);
    (0..).map_while(at).map(|ms| (scale.share(ms), words(ms))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_touch_are_one_and_waiting_is_thin() {
        let pieces = vec![(0, 10, 20), (0, 20, 30), (16, 20, 30)];
        assert_eq!(outline(Part::Read, pieces.clone()), "M10 0h20v12H10zM20 16h10v12H20z");
        assert_eq!(outline(Part::Queue, pieces), "M10 4h20v4H10zM20 20h10v4H20z");
    }

    #[test]
    fn marks_are_few_and_round_and_inside() {
        let from = Timestamp::from_unix_ms(1_700_000_003_500).unwrap();
        for long_ms in [900, 4_000, 65_000, 3_600_000, 100_000_000_000] {
            let marks = marks(from, long_ms);
            assert!(marks.len() <= MOST_MARKS as usize + 1, "{marks:?}");
            assert!(marks.iter().all(|(share, _)| (0.0..=1.0).contains(share)));
        }
        assert!(marks(from, 65_000).iter().all(|(_, words)| words.ends_with(['0', '5'])));
    }
}
