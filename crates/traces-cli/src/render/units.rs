//! Figures and times as people read them: the only place that formats them. 1 kB is
//! 1000 B, and times are local.

use std::time::Duration;

use anyclaude_traces::Timestamp;
use anyclaude_traces::model::Amount;
use anyclaude_traces::model::measure::{Unit, Value};
use chrono::{DateTime, FixedOffset, Local};

/// Stands for an unknown value.
pub(crate) const UNKNOWN: &str = "–";

/// A figure in its unit.
pub(crate) fn show(value: Value, unit: Unit) -> String {
    let figure = value.as_f64();
    match unit {
        Unit::Bytes => scaled(figure, ["B", "kB", "MB", "GB", "TB"]),
        Unit::Chars => scaled(figure, ["c", "kc", "Mc", "Gc", "Tc"]),
        Unit::Ms => duration(figure),
        Unit::Tokens => scaled(figure, ["", "k", "M", "G", "T"]),
        Unit::PerSecond if figure.abs() < 999.5 => tenths(figure),
        Unit::PerSecond => units(figure),
        _ => plain(figure),
    }
}

/// A figure with all of its digits.
pub(crate) fn exact(value: Value, unit: Unit) -> String {
    let figure = match value {
        Value::Whole(figure) => figure.to_string(),
        Value::Rate(figure) => figure.to_string(),
    };
    match unit {
        Unit::Bytes => figure + " B",
        Unit::Chars => figure + " c",
        Unit::Ms => figure + " ms",
        _ => figure,
    }
}

/// A figure that may be unknown.
pub(crate) fn maybe(value: Option<Value>, unit: Unit) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| show(value, unit))
}

/// A difference, with its sign.
pub(crate) fn delta(value: Value, unit: Unit) -> String {
    let figure = value.as_f64();
    if figure == 0.0 {
        return "0".to_owned();
    }
    let sign = if figure < 0.0 { '−' } else { '+' };
    format!("{sign}{}", show(Value::Rate(figure.abs()), unit))
}

/// A number of bytes.
pub(crate) fn bytes(bytes: u64) -> String {
    show(whole(bytes), Unit::Bytes)
}

/// A size or count that may be unknown.
pub(crate) fn size(size: Amount, unit: Unit) -> String {
    maybe(size.get().map(whole), unit)
}

/// A number of characters.
pub(crate) fn chars(chars: u64) -> String {
    show(whole(chars), Unit::Chars)
}

/// A number of tokens that a backend counted.
pub(crate) fn tokens(tokens: u64) -> String {
    show(whole(tokens), Unit::Tokens)
}

/// An estimated number of tokens.
pub(crate) fn estimate(tokens: u64) -> String {
    format!("~{}", self::tokens(tokens))
}

/// A number of milliseconds that may be unknown.
pub(crate) fn ms(ms: Option<u64>) -> String {
    maybe(ms.map(whole), Unit::Ms)
}

/// A share of a whole in per cent.
pub(crate) fn share(part: u64, whole_: u64) -> String {
    let quotient = whole(part).over(whole(whole_));
    quotient.map_or_else(|| UNKNOWN.to_owned(), percent)
}

/// A fraction in per cent.
pub(crate) fn percent(fraction: f64) -> String {
    let figure = (fraction * 100.0).round();
    let sign = if figure < 0.0 { "−" } else { "" };
    format!("{sign}{:.0} %", figure.abs())
}

/// A number and its noun, `1 file` or `2 files`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// A speed in tokens per second.
pub(crate) fn per_second(speed: Option<f64>) -> String {
    maybe(speed.map(Value::Rate), Unit::PerSecond)
}

/// A number of milliseconds with a fraction.
pub(crate) fn precise_ms(ms: f64) -> String {
    show(Value::Rate(ms), Unit::Ms)
}

/// A running time, always in tenths of a second, as it is redrawn in place.
pub(crate) fn elapsed(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// A ratio with three digits.
pub(crate) fn ratio(ratio: f64) -> String {
    let decimals = match ratio.abs() {
        small if small < 9.995 => 2,
        medium if medium < 99.95 => 1,
        _ => 0,
    };
    format!("{ratio:.decimals$}×")
}

fn whole(value: u64) -> Value {
    Value::Whole(i64::try_from(value).unwrap_or(i64::MAX))
}

fn plain(figure: f64) -> String {
    if figure.fract() == 0.0 { units(figure) } else { tenths(figure) }
}

/// The figure to the nearest tenth, as `{:.1}` rounds it. To write out all digits of a number to
/// round it by them took a seventh of the instructions of a table with very many rows.
fn tenths(figure: f64) -> String {
    let Some(tenths) = nearest(figure * 10.0) else { return format!("{figure:.1}") };
    let mut text = digits(tenths / 10);
    text.push('.');
    push_digits(&mut text, tenths % 10);
    text
}

/// The figure to the nearest whole number, as `{:.0}` rounds it.
fn units(figure: f64) -> String {
    nearest(figure).map_or_else(|| format!("{figure:.0}"), digits)
}

/// The nearest whole number, where it is plain which one that is: not in the middle between two,
/// where all of the figure's digits decide.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just before")]
fn nearest(figure: f64) -> Option<u32> {
    let is_usual = figure.is_sign_positive() && figure < 1e9;
    let below = if is_usual { figure as u32 } else { return None };
    let above_it = figure - f64::from(below);
    ((above_it - 0.5).abs() > 1e-3).then(|| below + u32::from(above_it > 0.5))
}

/// A whole number, with room for its unit.
fn digits(n: u32) -> String {
    let mut text = String::with_capacity("9999999999.9 ms".len());
    push_digits(&mut text, n);
    text
}

/// Adds a whole number. By `format!` this took a twentieth of the instructions of such a table.
fn push_digits(text: &mut String, n: u32) {
    if n >= 10 {
        push_digits(text, n / 10);
    }
    text.push(char::from_digit(n % 10, 10).unwrap_or_default());
}

fn scaled(figure: f64, units: [&str; 5]) -> String {
    let (mut scaled, mut at) = (figure, 0);
    // A figure that would round to 1000.0 is shown in the next unit.
    while scaled.abs() >= if at == 0 { 1000.0 } else { 999.95 } && at + 1 < units.len() {
        scaled /= 1000.0;
        at += 1;
    }
    let mut figure = if at == 0 { plain(scaled) } else { tenths(scaled) };
    if let Some(unit) = units.get(at).filter(|unit| !unit.is_empty()) {
        figure.push(' ');
        figure.push_str(unit);
    }
    figure
}

fn duration(ms: f64) -> String {
    if ms < 0.0 {
        return format!("−{}", duration(-ms));
    }
    if ms < 9.95 && ms.fract() != 0.0 {
        return tenths(ms) + " ms";
    }
    if ms < 999.5 {
        return units(ms) + " ms";
    }
    if ms < 59_950.0 {
        return tenths(ms / 1000.0) + " s";
    }
    let seconds = (ms / 1000.0).round();
    let (hours, minutes) = ((seconds / 3600.0).trunc(), (seconds % 3600.0 / 60.0).trunc());
    if hours == 0.0 {
        return format!("{minutes:.0} m {:02.0} s", seconds % 60.0);
    }
    format!("{hours:.0} h {minutes:02.0} m")
}

fn local(stamp: Timestamp) -> DateTime<Local> {
    DateTime::from_timestamp_millis(stamp.unix_ms()).unwrap_or_default().into()
}

/// How many seconds local time was ahead of UTC then.
pub(crate) fn ahead_of_utc_s(stamp: Timestamp) -> i64 {
    local(stamp).offset().local_minus_utc().into()
}

/// The zone whose local time is so many seconds ahead of UTC.
pub(crate) fn zone(ahead_s: i64) -> String {
    let offset = i32::try_from(ahead_s).ok().and_then(FixedOffset::east_opt);
    match offset {
        Some(offset) if ahead_s != 0 => format!("UTC{offset}"),
        _ => "UTC".to_owned(),
    }
}

/// Day and time to the second.
pub(crate) fn stamp(stamp: Option<Timestamp>) -> String {
    stamp.map_or_else(|| UNKNOWN.to_owned(), |stamp| local(stamp).format("%-d %b %H:%M:%S").to_string())
}

/// A time of day, with its seconds where these matter.
pub(crate) fn clock(stamp: Timestamp, with_seconds: bool) -> String {
    local(stamp).format(if with_seconds { "%H:%M:%S" } else { "%H:%M" }).to_string()
}

/// The local time to the second.
pub(crate) fn time_of_day(stamp: Timestamp) -> String {
    local(stamp).format("%H:%M:%S").to_string()
}

/// The local day, as `--since` takes it.
pub(crate) fn day(stamp: Timestamp) -> String {
    local(stamp).format("%Y-%m-%d").to_string()
}

/// A time span in minutes; a day that both ends share is written once.
pub(crate) fn span(first: Timestamp, last: Timestamp) -> String {
    let (first, last) = (local(first), local(last));
    let long = |time: &DateTime<Local>| time.format("%-d %b %Y, %H:%M").to_string();
    if long(&first) == long(&last) {
        return long(&first);
    }
    if first.date_naive() == last.date_naive() {
        return format!("{}–{}", long(&first), last.format("%H:%M"));
    }
    format!("{} – {}", long(&first), long(&last))
}

/// How long ago a moment of the last day was, as `10 min ago`.
pub(crate) fn ago(stamp: Timestamp) -> Option<String> {
    let minutes = (Local::now().timestamp_millis() - stamp.unix_ms()).div_euclid(60_000);
    match minutes {
        0 => Some("just now".to_owned()),
        1..60 => Some(format!("{minutes} min ago")),
        60..1440 => Some(format!("{} h ago", minutes / 60)),
        _ => None,
    }
}

/// A bar as long as `value` is of `most`, in eighths of a character.
pub(crate) fn bar(value: u64, most: u64, width: u64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (u128::from(value) * u128::from(width) * 8).checked_div(u128::from(most)).unwrap_or(0);
    let eighths = usize::try_from(eighths).unwrap_or(0).max(usize::from(value > 0));
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS.get(eighths % 8).copied().unwrap_or_default())
}

/// A sparkline of at most `width` blocks, scaled from 0 to the largest value.
pub(crate) fn course(values: &[u64], width: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    let shown = values.len().min(width);
    let picked = (0..shown)
        .filter_map(|at| values.get(if shown < 2 { at } else { at * (values.len() - 1) / (shown - 1) }));
    let block = |value: &u64| {
        let height = u128::from(*value) * (BLOCKS.len() as u128 - 1) / u128::from(most);
        BLOCKS.get(usize::try_from(height).unwrap_or(0)).copied().unwrap_or('▁')
    };
    picked.map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_as_their_digits_say() {
        let near = (0..40_000).map(|n| f64::from(n) / 64.0).chain((0..4_000).map(|n| f64::from(n) / 20.0));
        let others = [
            -0.0,
            0.049_999,
            0.25,
            0.35,
            0.45,
            1.05,
            999.95,
            1e8,
            1e9,
            1e300,
            -1.25,
            f64::NAN,
            f64::INFINITY,
        ];
        for figure in near.chain(others) {
            assert_eq!((tenths(figure), units(figure)), (format!("{figure:.1}"), format!("{figure:.0}")));
        }
    }

    #[test]
    fn sizes_have_one_decimal_and_never_read_1000() {
        for (size, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (73_812, "73.8 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (1_234_567_890, "1.2 GB"),
        ] {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn durations_read_like_clocks() {
        for (ms, text) in [
            (0, "0 ms"),
            (950, "950 ms"),
            (16_408, "16.4 s"),
            (59_999, "1 m 00 s"),
            (133_000, "2 m 13 s"),
            (3_900_000, "1 h 05 m"),
        ] {
            assert_eq!(show(Value::Whole(ms), Unit::Ms), text);
        }
    }

    #[test]
    fn short_times_have_a_fraction_and_ratios_three_digits() {
        for (ms, text) in
            [(0.25, "0.2 ms"), (3.0, "3 ms"), (9.96, "10 ms"), (999.6, "1.0 s"), (-2000.0, "−2.0 s")]
        {
            assert_eq!(precise_ms(ms), text);
        }
        for (figure, text) in [(1.0, "1.00×"), (9.996, "10.0×"), (34.64, "34.6×"), (379.05, "379×")] {
            assert_eq!(ratio(figure), text);
        }
    }

    #[test]
    fn figures_that_look_alike_can_be_told_apart() {
        assert_eq!(show(Value::Whole(1031), Unit::Ms), show(Value::Whole(1000), Unit::Ms));
        assert_eq!(exact(Value::Whole(1031), Unit::Ms), "1031 ms");
        assert_eq!(exact(Value::Rate(20.83), Unit::PerSecond), "20.83");
    }

    #[test]
    fn differences_carry_their_sign() {
        assert_eq!(delta(Value::Whole(-1500), Unit::Bytes), "−1.5 kB");
        assert_eq!(delta(Value::Whole(2), Unit::Count), "+2");
        assert_eq!(delta(Value::Whole(0), Unit::Ms), "0");
    }

    #[test]
    fn bars_are_proportional() {
        assert_eq!(bar(100, 100, 4), "████");
        assert_eq!(bar(50, 100, 4), "██");
        assert_eq!(bar(1, 1000, 4), "▏");
        assert_eq!(bar(0, 0, 4), "");
        assert_eq!(course(&[0, 50, 100], 9), "▁▄█");
        assert_eq!(course(&(0..100).collect::<Vec<_>>(), 4).chars().count(), 4);
        assert_eq!(course(&[], 4), "");
    }
}
