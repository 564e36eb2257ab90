//! Aggregates by nearest rank.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// How a measure is spread over requests. Every figure is the value of one of
/// them: percentile p is the ⌈p·n⌉-th of the sorted values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Stats"))]
#[non_exhaustive]
pub struct Stats<T> {
    /// How many values there are.
    pub n: u64,
    /// The smallest.
    pub min: T,
    /// The median.
    pub p50: T,
    /// The 90th percentile.
    pub p90: T,
    /// The 95th percentile.
    pub p95: T,
    /// The 99th percentile.
    pub p99: T,
    /// The largest.
    pub max: T,
}

impl<T: Copy + PartialOrd> Stats<T> {
    /// The spread of these values; `None` where there are none.
    ///
    /// ```
    /// use anyclaude_traces::model::stats::Stats;
    ///
    /// let stats = Stats::of([30, 10, 20, 40]).unwrap();
    /// assert_eq!((stats.min, stats.p50, stats.p90, stats.max), (10, 20, 40, 40));
    /// ```
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut values: Vec<T> = values.into_iter().collect();
        let order = |a: &T, b: &T| a.partial_cmp(b).unwrap_or(Ordering::Equal);
        let (n, min) = (values.len(), values.iter().copied().min_by(order)?);
        // Only these are put in their places, from the left to the right: to sort all values took
        // a fortieth of the instructions of a log with very many tasks.
        let mut placed = 0;
        let mut rank = |percent: usize| {
            let at = (percent * n).div_ceil(100).max(1) - 1;
            let rest = values.get_mut(placed..).filter(|rest| at - placed < rest.len())?;
            let (_, value, _) = rest.select_nth_unstable_by(at - placed, order);
            placed = at;
            Some(*value)
        };
        let (p50, p90, p95, p99, max) = (rank(50)?, rank(90)?, rank(95)?, rank(99)?, rank(100)?);
        Some(Self { n: n as u64, min, p50, p90, p95, p99, max })
    }
}

/// A count as a figure to calculate with.
#[allow(clippy::cast_precision_loss, reason = "tokens, bytes and times stay far below 2^53")]
pub(crate) fn float(value: u64) -> f64 {
    value as f64
}

/// The nearest whole number; of what is below 0 or no number, 0.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` takes what is too large, below 0 or no number to the nearest end"
)]
pub(crate) fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// The middle value, or the mean of the middle two; `None` where there are none.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let is_odd = !values.len().is_multiple_of(2);
    let (before, above, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let below = before.iter().max_by(|a, b| a.total_cmp(b)).filter(|_| !is_odd).unwrap_or(above);
    Some(below.midpoint(*above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_sorted_values() {
        for n in (1..130_u64).chain([999, 1_000, 1_001]) {
            // Many of them are equal.
            let values: Vec<u64> = (0..n).map(|at| at * 7_919 % (n / 2 + 1)).collect();
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let rank = |percent: usize| sorted[(percent * sorted.len()).div_ceil(100).max(1) - 1];
            let stats = Stats::of(values.iter().copied()).unwrap();
            assert_eq!((stats.n, stats.min, stats.max), (n, sorted[0], sorted[sorted.len() - 1]));
            assert_eq!([stats.p50, stats.p90, stats.p95, stats.p99], [50, 90, 95, 99].map(rank), "{n}");
            let middle = (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) as f64 / 2.0;
            assert_eq!(median(values.iter().map(|value| *value as f64).collect()), Some(middle), "{n}");
        }
        assert_eq!((Stats::<u64>::of([]), median(Vec::new())), (None, None));
    }
}
