//! Time to first token against the tokens that had to be read, with a line for each model.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyclaude_traces::analysis::report::{Line, Reading, Report};
use anyclaude_traces::model::measure::{Unit, Value};
use maud::{Markup, html};

use super::chart::{Caption, Plot, WIDTH, place, ticks};
use super::document::table;
use crate::render::table::{Grid, number, text};
use crate::render::times;
use crate::render::units::{self, UNKNOWN};

/// The height of the chart, …
const HEIGHT: u32 = 260;
/// … and how high the highest point is in it.
const TALLEST: u32 = 244;
/// How much further the width goes than the point with most tokens.
const MARGIN: f64 = 1.04;

/// The CSS class of each model.
const CLASSES: [&str; 2] = ["round", "square"];

pub(super) fn section(report: &Report) -> Markup {
    let has_points = report.reading.iter().any(|reading| !reading.points.is_empty());
    html! {
        section aria-labelledby="reading" {
            h2 id="reading" { "Time to first token by what had to be read" }
            @if has_points { (figure(&report.reading)) }
            @else { p { "No request has both a time to first token and the backend's count of its tokens: record \
                         with ANYCLAUDE_DEBUG=2 anyclaude." } }
        }
    }
}

fn figure(readings: &[Reading]) -> Markup {
    let caption = Caption {
        id: "reading-chart".to_owned(),
        title: "Time to first token against newly read tokens".to_owned(),
        description: readings.iter().map(sentence).collect::<Vec<_>>().join(" "),
    };
    html! {
        figure {
            ul.legend aria-label="Models" {
                @for (reading, class) in readings.iter().zip(CLASSES) {
                    li { svg.swatch aria-hidden="true" width="34" height="12" {
                        path.(class).points d="M17 6h0" {}
                        line.(class).fit x1="0" x2="34" y1="6" y2="6" {}
                    } " " (sentence(reading)) }
                }
            }
            p.axis-title { "time to first token" }
            (picture(&caption, readings))
            p.axis-title.end { "tokens to read" }
            figcaption {
                "Tokens are those that the backend had to read: the prompt less what came from its cache. Only requests \
                 that nothing disturbed are drawn; the line ignores outliers."
            }
            details {
                summary { "Figures" }
                (table("Reading speed", &figures(readings), false))
            }
        }
    }
}

fn sentence(reading: &Reading) -> String {
    let of = format!("{}: {}", reading.model, units::count(reading.points.len() as u64, "request"));
    match times::reading(reading.speeds.as_ref()).as_str() {
        UNKNOWN => format!("{of}, reading speed unknown."),
        speed => format!("{of}, {speed} tokens/s read."),
    }
}

#[allow(clippy::cast_precision_loss, reason = "tokens and times stay far below 2^53")]
fn pairs(reading: &Reading) -> impl Iterator<Item = (f64, f64)> {
    reading.points.iter().map(|point| (point.read_tokens as f64, point.ttft_ms as f64))
}

fn picture(caption: &Caption, readings: &[Reading]) -> Markup {
    let all = || readings.iter().flat_map(pairs);
    let most_tokens = all().map(|(tokens, _)| tokens).fold(0.0, f64::max) * MARGIN;
    let most_ms = all().map(|(_, ms)| ms).fold(0.0, f64::max);
    let x = |tokens: f64| place(tokens, most_tokens, WIDTH);
    let y = |ms: f64| i64::from(HEIGHT) - place(ms, most_ms, TALLEST);
    let shapes = html! {
        @for (reading, class) in readings.iter().zip(CLASSES) {
            @let places: BTreeSet<(i64, i64)> = pairs(reading).map(|(tokens, ms)| (x(tokens), y(ms))).collect();
            path.(class).points d=(dots(&places)) {}
            @if let Some(line) = reading.line {
                @let (from, to) = ends(reading, line);
                line.(class).fit x1=(x(from.0)) y1=(y(from.1)) x2=(x(to.0)) y2=(y(to.1)) {}
            }
        }
    };
    let levels = ticks(most_ms, 3).into_iter().map(|ms| (y(ms), units::precise_ms(ms))).collect();
    let mark = |tokens: f64| (tokens / most_tokens, units::show(Value::Rate(tokens), Unit::Tokens));
    let marks = ticks(most_tokens, 2).into_iter().map(mark).collect();
    Plot { caption, height: HEIGHT, levels, marks, is_ruled: false, shapes, signs: html! {} }.draw()
}

/// The ends of the fitted line: the least and the most tokens of its points.
fn ends(reading: &Reading, line: Line) -> ((f64, f64), (f64, f64)) {
    let (least, most) = pairs(reading).fold((f64::INFINITY, 0.0), |(least, most), (tokens, _)| {
        (f64::min(least, tokens), f64::max(most, tokens))
    });
    let on = |tokens: f64| (tokens, line.at(tokens).max(0.0));
    (on(least), on(most))
}

/// Segments of length 0: the caps of their stroke make them round or square.
fn dots(places: &BTreeSet<(i64, i64)>) -> String {
    places.iter().fold(String::new(), |mut path, (x, y)| {
        let _ = write!(path, "M{x} {y}h0");
        path
    })
}

fn figures(readings: &[Reading]) -> Grid {
    let mut grid = Grid::new([
        text("Model", 0),
        number("Requests", 0),
        number("Left out", 0),
        number("Tokens/s", 0),
        number("The line begins at", 0),
    ]);
    for reading in readings {
        grid.row([
            reading.model.clone(),
            reading.points.len().to_string(),
            reading.others.to_string(),
            times::reading(reading.speeds.as_ref()),
            reading.line.map_or_else(|| UNKNOWN.to_owned(), |line| units::precise_ms(line.base_ms)),
        ]);
    }
    grid
}
