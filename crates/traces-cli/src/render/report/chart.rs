//! What all charts have in common: names for those who cannot see them, and scales.

use maud::{Markup, html};

/// A chart's name, and what it shows in words.
pub(super) struct Caption {
    /// Unique on the page.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) description: String,
}

/// The width of a chart that is scaled as a whole, in its own units, …
pub(super) const WIDTH: u32 = 640;
/// … and where the numbers on its left end and its contents begin.
pub(super) const LEFT: u32 = 76;
/// The width of its contents.
pub(super) const ROOM: u32 = WIDTH - LEFT;

impl Caption {
    /// A picture with a height in pixels and all the width there is: its parts are placed by
    /// percentages.
    pub(super) fn stretched(&self, height: usize, parts: &Markup) -> Markup {
        let [title, description] = self.ids();
        html! {
            svg role="img" aria-labelledby=(format!("{title} {description}")) width="100%" height=(height) {
                title id=(title) { (self.title) }
                desc id=(description) { (self.description) }
                (parts)
            }
        }
    }

    /// A picture of [`WIDTH`] units that is scaled as a whole.
    pub(super) fn scaled(&self, height: u32, parts: &Markup) -> Markup {
        let [title, description] = self.ids();
        html! {
            svg.scaled role="img" aria-labelledby=(format!("{title} {description}"))
                viewBox=(format!("0 0 {WIDTH} {height}")) {
                title id=(title) { (self.title) }
                desc id=(description) { (self.description) }
                (parts)
            }
        }
    }

    fn ids(&self) -> [String; 2] {
        ["title", "desc"].map(|part| format!("{}-{part}", self.id))
    }
}

/// Scales a value of `0..=most` to whole units.
#[allow(clippy::cast_possible_truncation, reason = "`as` saturates, and charts are small")]
pub(super) fn place(value: f64, most: f64, units: u32) -> i64 {
    let share = value / most;
    if share.is_finite() { (share * f64::from(units)).round() as i64 } else { 0 }
}

/// A line across the contents at a height, with its number on the left.
pub(super) fn rule(y: i64, number: &str) -> Markup {
    html! {
        line x1=(LEFT) x2=(WIDTH) y1=(y) y2=(y) {}
        text.tick.end x=(LEFT - 8) y=(y + 5) { (number) }
    }
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
    }
}
