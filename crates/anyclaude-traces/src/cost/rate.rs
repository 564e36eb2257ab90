//! Tokens per time: the one place where one is divided by the other.

use super::case::float;

/// The tokens that one request read or wrote, and how long that took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) tokens: u64,
    pub(super) ms: u64,
}

impl Sample {
    pub(super) fn ms_per_token(self) -> f64 {
        float(self.ms) / float(self.tokens.max(1))
    }
}

/// Σ tokens ÷ Σ milliseconds over some requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) n: u64,
    tokens: u64,
    ms: u64,
}

impl Rate {
    pub(super) fn per_second(self) -> Option<f64> {
        (self.tokens > 0 && self.ms > 0).then(|| float(self.tokens) * 1000.0 / float(self.ms))
    }

    pub(super) fn ms_per_token(self) -> Option<f64> {
        (self.tokens > 0 && self.ms > 0).then(|| float(self.ms) / float(self.tokens))
    }

    /// The same without one of its samples.
    pub(super) fn without(self, sample: Sample) -> Self {
        Self {
            n: self.n.saturating_sub(1),
            tokens: self.tokens.saturating_sub(sample.tokens),
            ms: self.ms.saturating_sub(sample.ms),
        }
    }
}

impl FromIterator<Sample> for Rate {
    fn from_iter<I: IntoIterator<Item = Sample>>(samples: I) -> Self {
        samples.into_iter().fold(Self::default(), |sum, sample| Self {
            n: sum.n + 1,
            tokens: sum.tokens.saturating_add(sample.tokens),
            ms: sum.ms.saturating_add(sample.ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_sum_over_a_sum() {
        let samples = [Sample { tokens: 300, ms: 1_000 }, Sample { tokens: 100, ms: 600 }];
        let rate: Rate = samples.into_iter().collect();
        assert_eq!((rate.n, rate.per_second(), rate.ms_per_token()), (2, Some(250.0), Some(4.0)));
        assert_eq!(rate.without(samples[1]).per_second(), Some(300.0));
        assert_eq!(samples[1].ms_per_token(), 6.0);
    }

    #[test]
    fn neither_no_tokens_nor_no_time_make_a_rate() {
        for (tokens, ms) in [(0, 0), (5, 0), (0, 5)] {
            let rate: Rate = [Sample { tokens, ms }].into_iter().collect();
            assert_eq!((rate.per_second(), rate.ms_per_token()), (None, None), "{tokens} {ms}");
        }
    }
}
