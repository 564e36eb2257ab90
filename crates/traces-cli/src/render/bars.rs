//! Times as bars of their parts, all on one scale.

use anstyle::AnsiColor;
use anyclaude_traces::analysis::explain::Part;
use anyclaude_traces::model::TimeBreakdown;

/// How long the longest bar is.
const WIDTH: usize = 24;

/// What a part is drawn with. The signs differ, as colour may be missing.
pub(super) fn sign(part: Part) -> char {
    match part {
        Part::Proxy => '░',
        Part::Load => '╱',
        Part::Queue => '·',
        Part::Read => '█',
        Part::Write => '▒',
        Part::Stall => '╳',
        _ => '─',
    }
}

/// The colour of a part, by its sign: of those that terminals show well on light and on
/// dark.
pub(super) fn colour(sign: char) -> Option<AnsiColor> {
    let part = Part::ALL.into_iter().find(|part| self::sign(*part) == sign)?;
    Some(match part {
        Part::Proxy => AnsiColor::Magenta,
        Part::Load => AnsiColor::Blue,
        Part::Queue | Part::Stall => AnsiColor::Red,
        Part::Read => AnsiColor::Cyan,
        Part::Write => AnsiColor::Green,
        _ => return None,
    })
}

/// The heading of a column of bars: which sign is which part, of those that took time in
/// any of them.
pub(super) fn legend(times: &[&TimeBreakdown]) -> String {
    let takes_time = |part: &Part| times.iter().any(|time| part.of(time).is_some_and(|ms| ms > 0.0));
    let drawn = Part::ALL.into_iter().filter(takes_time);
    drawn.map(|part| format!("{} {}", sign(part), part.name())).collect::<Vec<_>>().join("  ")
}

/// The bar of a time, as long as its whole is of the longest. A part that is shorter than
/// half a sign is not drawn.
pub(super) fn bar(time: &TimeBreakdown, longest_ms: f64) -> String {
    bar_of(time, longest_ms, WIDTH)
}

/// The same, where the longest is as wide as this.
pub(super) fn bar_of(time: &TimeBreakdown, longest_ms: f64, width: usize) -> String {
    let mut bar = String::new();
    let (mut until_ms, mut drawn) = (0.0, 0);
    for part in Part::ALL {
        until_ms += part.of(time).unwrap_or(0.0);
        let end = place(until_ms, longest_ms, width);
        bar.extend(std::iter::repeat_n(sign(part), end.saturating_sub(drawn)));
        drawn = drawn.max(end);
    }
    bar
}

/// The longest of some times.
pub(super) fn longest_ms<'t>(times: impl IntoIterator<Item = &'t TimeBreakdown>) -> f64 {
    let whole = |time: &TimeBreakdown| Part::ALL.into_iter().filter_map(|part| part.of(time)).sum::<f64>();
    times.into_iter().map(whole).fold(0.0, f64::max)
}

/// How far along a bar of this width a time is.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "`as` saturates, and a bar is short"
)]
pub(super) fn place(ms: f64, longest_ms: f64, width: usize) -> usize {
    if longest_ms > 0.0 { (ms / longest_ms * width as f64).round() as usize } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_share_a_scale_and_signs_add_up() {
        let mut long = TimeBreakdown::default();
        (long.proxy_ms, long.read_ms, long.write_ms) = (Some(1_000.0), Some(8_000.0), Some(1_000.0));
        let mut short = TimeBreakdown::default();
        (short.read_ms, short.load_ms) = (Some(1_000.0), Some(4_000.0));
        let longest = longest_ms([&long, &short]);
        assert_eq!(bar(&long, longest), format!("{}{}{}", "░".repeat(2), "█".repeat(20), "▒".repeat(2)));
        assert_eq!(bar(&short, longest), format!("{}{}", "╱".repeat(10), "█".repeat(2)));
        assert_eq!(bar(&TimeBreakdown::default(), 0.0), "");
        assert_eq!(legend(&[&short]).chars().filter(|c| "╱█".contains(*c)).count(), 2);
    }
}
