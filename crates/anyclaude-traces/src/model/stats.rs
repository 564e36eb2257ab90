//! Aggregates by nearest rank.

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
        values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        let (min, max) = (*values.first()?, *values.last()?);
        let rank = |percent: usize| {
            let nth = (percent * values.len()).div_ceil(100).max(1);
            values.get(nth - 1).copied().unwrap_or(max)
        };
        let (p50, p90, p95, p99) = (rank(50), rank(90), rank(95), rank(99));
        Some(Self { n: values.len() as u64, min, p50, p90, p95, p99, max })
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
    values.sort_by(f64::total_cmp);
    let (below, above) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(below.midpoint(*above))
}
