//! Milliseconds whose sums are exact.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds, kept as whole microseconds so that sums are exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub(super) i64);

impl Millis {
    /// The nearest whole microsecond; what is too large for one is cut.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "`as` saturates")]
    pub fn from_f64(ms: f64) -> Self {
        Self((ms * 1000.0).round() as i64)
    }

    /// As a number of milliseconds, with up to three decimals.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "times stay far below 2^53 µs")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1000 == 0 {
            return serializer.serialize_i64(self.0 / 1000);
        }
        serializer.serialize_f64(self.as_f64())
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self::from_f64)
    }
}

/// A confidence interval of 95 %, serialised as `[low, high]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[Millis; 2]", into = "[Millis; 2]")]
pub struct Interval {
    /// Its lower end.
    pub low: Millis,
    /// Its upper end.
    pub high: Millis,
}

impl Interval {
    /// Whether it holds 0, so that not even the sign is certain.
    #[must_use]
    pub fn includes_zero(self) -> bool {
        self.low.0 <= 0 && self.high.0 >= 0
    }

    pub(super) fn negated(self) -> Self {
        Self { low: Millis(-self.high.0), high: Millis(-self.low.0) }
    }
}

impl From<[Millis; 2]> for Interval {
    fn from([low, high]: [Millis; 2]) -> Self {
        Self { low, high }
    }
}

impl From<Interval> for [Millis; 2] {
    fn from(Interval { low, high }: Interval) -> Self {
        [low, high]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_milliseconds_are_written_as_such() {
        for (us, text) in [(2_000, "2"), (1_500, "1.5"), (-500, "-0.5"), (0, "0")] {
            assert_eq!(serde_json::to_string(&Millis(us)).unwrap(), text);
            assert_eq!(serde_json::from_str::<Millis>(text).unwrap(), Millis(us));
        }
    }

    #[test]
    fn an_interval_includes_its_ends() {
        let includes = |low, high| Interval { low: Millis(low), high: Millis(high) }.includes_zero();
        assert!(includes(-5, 5) && includes(0, 5) && includes(-5, 0));
        assert!(!includes(1, 5) && !includes(-5, -1));
        let negated = Interval { low: Millis(-5), high: Millis(3) }.negated();
        assert_eq!((negated.low, negated.high), (Millis(-3), Millis(5)));
    }
}
