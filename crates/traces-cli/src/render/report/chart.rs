//! What all charts have in common: names for those who cannot see them, axes, and scales.
//!
//! A chart takes the width that there is. Its shapes are drawn in [`WIDTH`] units that are
//! stretched, its words are placed by percentages and keep their size.

use maud::{Markup, html};

/// A chart's name, and what it shows in words.
pub(super) struct Caption {
    /// Unique on the page.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) description: String,
}

/// The width of a chart's shapes, in its own units.
pub(super) const WIDTH: u32 = 1000;
/// The width of the numbers on its left, in pixels, …
const GUTTER: u32 = 60;
/// … and the height of those below it.
const FOOT: u32 = 24;
/// What is closer to an end than this has its number beside it, not around it.
const END_SHARE: f64 = 0.07;
/// How much of a chart's width a letter of its smallest words takes on a phone, …
const CHAR_SHARE: f64 = 0.026;
/// … and how far words are apart at least.
const GAP: f64 = 0.02;

impl Caption {
    /// A picture with a height in pixels and all the width there is: its parts are placed by
    /// percentages.
    pub(super) fn stretched(&self, height: u32, parts: &Markup) -> Markup {
        let [title, description] = ["title", "desc"].map(|part| format!("{}-{part}", self.id));
        html! {
            svg.area role="img" aria-labelledby=(format!("{title} {description}")) width="100%" height=(height) {
                title id=(title) { (self.title) }
                desc id=(description) { (self.description) }
                (parts)
            }
        }
    }
}

/// A chart with axes.
pub(super) struct Plot<'p> {
    pub(super) caption: &'p Caption,
    /// In pixels, without the axis below.
    pub(super) height: u32,
    /// The lines across it: how many pixels from its top, and their numbers.
    pub(super) levels: Vec<(i64, String)>,
    /// The marks along its lower end: at which share of the width, and their words.
    pub(super) marks: Vec<(f64, String)>,
    /// Whether each of these marks is a line as high as the chart.
    pub(super) is_ruled: bool,
    /// What stands in [`WIDTH`] × `height` units and is stretched.
    pub(super) shapes: Markup,
    /// What is placed by percentages and pixels and keeps its form.
    pub(super) signs: Markup,
}

impl Plot<'_> {
    pub(super) fn draw(&self) -> Markup {
        let height = i64::from(self.height);
        let whole = self.height + if self.marks.is_empty() { 2 } else { FOOT };
        let marks = evenly_legible(&self.marks);
        let parts = html! {
            @for (y, _) in &self.levels { line x1="0" x2="100%" y1=(y) y2=(y) {} }
            @for (share, _) in marks.iter().filter(|_| self.is_ruled) {
                line x1=(percent(*share)) x2=(percent(*share)) y1="0" y2=(height) {}
            }
            svg width="100%" height=(self.height) viewBox=(format!("0 0 {WIDTH} {height}"))
                preserveAspectRatio="none" { (self.shapes) }
            (self.signs)
            @if !self.marks.is_empty() { line.floor x1="0" x2="100%" y1=(height) y2=(height) {} }
            @for (share, words) in &marks {
                line.floor x1=(percent(*share)) x2=(percent(*share)) y1=(height) y2=(height + 4) {}
                text.tick.(anchor(*share)) x=(percent(*share)) y=(height + 18) { (words) }
            }
        };
        html! {
            div.plot {
                svg.gutter aria-hidden="true" width=(GUTTER) height=(whole) {
                    @for (y, number) in &self.levels {
                        text.tick.end x=(GUTTER - 8) y=(y + 4) { (number) }
                    }
                }
                (self.caption.stretched(whole, &parts))
            }
        }
    }
}

/// An axis of times below bars that begin at 0 or at `least_ms`.
pub(super) fn time_axis(least_ms: f64, most_ms: f64, words: impl Fn(f64) -> String) -> Markup {
    let share = |ms: f64| (ms - least_ms) / (most_ms - least_ms);
    let words = |ms: f64| if ms == 0.0 { "0".to_owned() } else { words(ms) };
    // 0 always has its mark.
    let below = ticks(-least_ms, 2).into_iter().map(|ms| -ms);
    let all = std::iter::once(0.0).chain(ticks(most_ms, 2)).chain(below);
    let marks: Vec<_> = all.map(|ms| (share(ms), words(ms))).filter(|(share, _)| share.is_finite()).collect();
    html! {
        svg.axis aria-hidden="true" width="100%" height=(FOOT) {
            line.floor x1="0" x2="100%" y1="0" y2="0" {}
            @for (share, words) in legible(&marks) {
                line.floor x1=(percent(*share)) x2=(percent(*share)) y1="0" y2="4" {}
                text.tick.(anchor(*share)) x=(percent(*share)) y="18" { (words) }
            }
        }
    }
}

/// Every mark, or every second one and so on: the most whose words do not overlap, even on a
/// phone. Their distances stay equal.
fn evenly_legible(marks: &[(f64, String)]) -> Vec<&(f64, String)> {
    let every = |step: usize| marks.iter().step_by(step).collect::<Vec<_>>();
    let fits = |some: &Vec<&(f64, String)>| legible(some.iter().copied()).len() == some.len();
    (1..=marks.len()).map(every).find(fits).unwrap_or_default()
}

/// Those of some marks whose words lie over those of none before them, even on a phone.
fn legible<'m>(marks: impl IntoIterator<Item = &'m (f64, String)>) -> Vec<&'m (f64, String)> {
    let mut kept = Vec::new();
    let mut taken: Vec<(f64, f64)> = Vec::new();
    for mark in marks {
        let (from, to) = extent(mark);
        if taken.iter().all(|(begins, ends)| to + GAP <= *begins || *ends + GAP <= from) {
            kept.push(mark);
            taken.push((from, to));
        }
    }
    kept
}

/// From where to where the words of a mark reach on a phone, as shares of the width.
#[allow(clippy::cast_precision_loss, reason = "words are short")]
fn extent((share, words): &(f64, String)) -> (f64, f64) {
    let width = words.chars().count() as f64 * CHAR_SHARE;
    match anchor(*share) {
        "start" => (*share, share + width),
        "end" => (share - width, *share),
        _ => (share - width / 2.0, share + width / 2.0),
    }
}

/// A share of the width, as SVG writes it.
pub(super) fn percent(share: f64) -> String {
    let written = format!("{:.2}", if share.is_finite() { share * 100.0 } else { 0.0 });
    let short = written.trim_end_matches('0').trim_end_matches('.');
    format!("{}%", if short == "-0" { "0" } else { short })
}

/// On which side of its place a word stands.
fn anchor(share: f64) -> &'static str {
    match share {
        start if start < END_SHARE => "start",
        end if end > 1.0 - END_SHARE => "end",
        _ => "middle",
    }
}

/// Scales a value of `0..=most` to whole units.
#[allow(clippy::cast_possible_truncation, reason = "`as` saturates, and charts are small")]
pub(super) fn place(value: f64, most: f64, units: u32) -> i64 {
    let share = value / most;
    if share.is_finite() { (share * f64::from(units)).round() as i64 } else { 0 }
}

/// Round values up to `most`: at least `least` of them, and at most 10.
pub(super) fn ticks(most: f64, least: u32) -> Vec<f64> {
    let raw = most / f64::from(least);
    if !(raw.is_finite() && raw > 0.0) {
        return Vec::new();
    }
    let power = 10f64.powf(raw.log10().floor());
    let step = [5.0, 2.0, 1.0].into_iter().map(|digit| digit * power).find(|step| *step <= raw);
    let step = step.unwrap_or(power);
    (1..=10).map(|n| f64::from(n) * step).take_while(|value| *value <= most).collect()
}

/// The names of what areas show, with how each is filled.
pub(super) fn legend(name: &str, entries: impl IntoIterator<Item = (String, &'static str)>) -> Markup {
    html! {
        ul.legend aria-label=(name) {
            @for (words, class) in entries { li { (swatch(class)) " " (words) } }
        }
    }
}

/// A sample of how an area is filled.
pub(super) fn swatch(class: &str) -> Markup {
    html! { svg.swatch aria-hidden="true" width="12" height="12" { rect.(class) width="12" height="12" rx="2" {} } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(23_900.0, 4), [5_000.0, 10_000.0, 15_000.0, 20_000.0]);
        assert_eq!(ticks(100.0, 3), [20.0, 40.0, 60.0, 80.0, 100.0]);
        assert!(ticks(0.0, 4).is_empty());
        assert!(ticks(f64::NAN, 4).is_empty());
    }

    #[test]
    fn places_are_proportional() {
        assert_eq!(place(50.0, 100.0, 640), 320);
        assert_eq!(place(1.0, 0.0, 640), 0);
        assert_eq!([percent(0.5), percent(0.1234), percent(f64::NAN)], ["50%", "12.34%", "0%"]);
    }

    #[test]
    fn words_at_the_ends_stay_inside_and_no_two_overlap() {
        assert_eq!([0.0, 0.5, 1.0].map(anchor), ["start", "middle", "end"]);
        let marks = [0.5, 0.0, 0.1, 0.6, 0.9, 1.0].map(|share| (share, "08:47:30".to_owned()));
        let kept: Vec<f64> = legible(&marks).into_iter().map(|(share, _)| *share).collect();
        assert_eq!(kept, [0.5, 0.0, 0.9]);
    }

    #[test]
    fn marks_that_are_left_out_leave_equal_distances() {
        let kept = |marks: &[f64]| {
            let marks: Vec<_> = marks.iter().map(|share| (*share, "08:47:30".to_owned())).collect();
            evenly_legible(&marks).into_iter().map(|(share, _)| *share).collect::<Vec<f64>>()
        };
        assert_eq!(kept(&[0.0, 0.25, 0.5, 0.75, 1.0]), [0.0, 0.5, 1.0], "the second would touch the first");
        assert_eq!(kept(&[0.1, 0.4, 0.7]), [0.1, 0.4, 0.7]);
        assert!(kept(&[]).is_empty());
    }
}
