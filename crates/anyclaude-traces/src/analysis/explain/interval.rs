//! How far a mean may be off: confidence intervals of 95 % by the bootstrap.

use super::cause::{DelayCause, PerCause};
use super::decompose::{Delays, RequestSample, Sums, of_groups};
use super::millis::{Interval, Millis};

/// How often the requests are drawn anew.
const RESAMPLES: usize = 2_000;
/// How many are drawn at most, each time.
const MOST_DRAWN: usize = 2_000;
/// Fewer pairs, or requests on a side, tell nothing of how they are spread.
const LEAST_SAMPLES: usize = 3;
/// A fixed seed: every run draws the same.
const SEED: u64 = 1;

/// The intervals of the difference and of what each cause adds to it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Intervals {
    pub(super) delta: Option<Interval>,
    pub(super) causes: PerCause<Option<Interval>>,
}

impl Intervals {
    /// Those of the same comparison with the sides swapped.
    pub(super) fn swapped(self) -> Self {
        let swapped = |interval: Option<Interval>| interval.map(Interval::negated);
        Self {
            delta: swapped(self.delta),
            causes: PerCause::from_fn(|cause| swapped(self.causes.get(cause))),
        }
    }
}

/// Of the mean of these pairs.
pub(super) fn of_pairs(pairs: &[Delays]) -> Intervals {
    if pairs.len() < LEAST_SAMPLES {
        return Intervals::default();
    }
    let blocks =
        blocks(pairs, |sums: &mut PairSums, delays| sums.add(&PairSums { n: 1.0, causes: known(delays) }));
    let mut draw = Draw::new(SEED);
    intervals(|| {
        let mut sums = PairSums::default();
        draw.each(&blocks, |block| sums.add(block));
        PerCause::from_fn(|cause| sums.causes.get(cause) / sums.n)
    })
}

/// Of the difference of the means of two groups.
pub(super) fn of_two_groups(left: &[RequestSample], right: &[RequestSample], with_proxy: bool) -> Intervals {
    if left.len().min(right.len()) < LEAST_SAMPLES {
        return Intervals::default();
    }
    let [left, right] = [left, right].map(|side| blocks(side, Sums::add));
    let mut draw = Draw::new(SEED);
    let mut drawn = |blocks: &[Sums]| {
        let mut sums = Sums::default();
        draw.each(blocks, |block| sums.add_sums(block));
        sums
    };
    intervals(|| {
        let (left, right) = (drawn(&left), drawn(&right));
        known(&of_groups(&left, &right, with_proxy))
    })
}

/// The sums of what is drawn: each sample is one, unless there are more than [`MOST_DRAWN`].
/// Then they are dealt out into so many blocks in turn: a block's mean varies as much less as
/// there are fewer to draw, so that the intervals are as wide. Drawing from 100,000 requests
/// took 15 s, and from their blocks takes 0.2 s.
fn blocks<T, S: Clone + Default>(samples: &[T], add: impl Fn(&mut S, &T)) -> Vec<S> {
    let mut blocks = vec![S::default(); samples.len().min(MOST_DRAWN)];
    for dealt in samples.chunks(MOST_DRAWN) {
        blocks.iter_mut().zip(dealt).for_each(|(block, sample)| add(block, sample));
    }
    blocks
}

/// What each cause adds to the difference in some pairs, in all, and how many these are.
#[derive(Debug, Clone, Copy, Default)]
struct PairSums {
    n: f64,
    causes: PerCause<f64>,
}

impl PairSums {
    fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.causes.add(&other.causes);
    }
}

fn known(delays: &Delays) -> PerCause<f64> {
    PerCause::from_fn(|cause| delays.get(cause).unwrap_or(0.0))
}

impl PerCause<f64> {
    fn add(&mut self, other: &Self) {
        other.iter().for_each(|(cause, ms)| *self.get_mut(cause) += ms);
    }
}

/// The middle 95 % of what is drawn.
fn intervals(mut resample: impl FnMut() -> PerCause<f64>) -> Intervals {
    let drawn: Vec<PerCause<f64>> = (0..RESAMPLES).map(|_| resample()).collect();
    let interval = |value: &dyn Fn(&PerCause<f64>) -> f64| {
        let mut values: Vec<f64> = drawn.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        // As many below as above, so that both sides of a comparison are treated alike.
        let outside = RESAMPLES / 40;
        let (low, high) = (values.get(outside)?, values.get(RESAMPLES - 1 - outside)?);
        Some(Interval { low: Millis::from_f64(*low), high: Millis::from_f64(*high) })
    };
    Intervals {
        delta: interval(&|delays| DelayCause::ALL.iter().map(|&cause| delays.get(cause)).sum()),
        causes: PerCause::from_fn(|cause| interval(&|delays| delays.get(cause))),
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): enough for drawing, and the same everywhere.
struct Draw(u64);

impl Draw {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// As many of these as there are, each as likely as the others.
    fn each<T>(&mut self, all: &[T], mut draw: impl FnMut(&T)) {
        for _ in 0..all.len() {
            all.get(self.below(all.len())).into_iter().for_each(&mut draw);
        }
    }

    /// A number below `n`, each as likely as the others (Lemire 2019, without the
    /// rejection, whose bias is below n ÷ 2^64).
    #[allow(clippy::cast_possible_truncation, reason = "the quotient is below n")]
    fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference's first numbers for this seed.
    #[test]
    fn draws_are_those_of_split_mix_64() {
        let mut draw = Draw::new(1);
        let drawn = [draw.next(), draw.next(), draw.next()];
        assert_eq!(drawn, [0x910A_2DEC_8902_5CC1, 0xBEEB_8DA1_658E_EC67, 0xF893_A2EE_FB32_555E]);
        let mut seen = [0; 3];
        (0..3_000).for_each(|_| seen[draw.below(3)] += 1);
        assert!(seen.iter().all(|n| (900..1_100).contains(n)), "{seen:?}");
    }

    fn stalled(ms: f64) -> Delays {
        let mut delays = Delays::default();
        *delays.get_mut(DelayCause::Stalls) = Some(ms);
        delays
    }

    /// The mean of ten draws from as many 0 as 1,000 is a binomial distribution's: 95 % of
    /// it are between 2 and 8 of 10.
    #[test]
    fn an_interval_holds_95_percent_of_the_means() {
        let pairs: Vec<Delays> = (0..10).map(|at| stalled(f64::from(at % 2) * 1_000.0)).collect();
        let found = of_pairs(&pairs);
        let expected = Some(Interval { low: Millis::from_f64(200.0), high: Millis::from_f64(800.0) });
        assert_eq!((found.causes.get(DelayCause::Stalls), found.delta), (expected, expected));
        assert_eq!(found.causes.get(DelayCause::Proxy), Some(Interval { low: Millis(0), high: Millis(0) }));
        assert_eq!(of_pairs(&pairs[..2]).delta, None, "two tell nothing");
        let swapped = found.swapped().delta.unwrap();
        assert_eq!((swapped.low, swapped.high), (Millis::from_f64(-800.0), Millis::from_f64(-200.0)));
    }

    /// Of 60,000 values that are 0 or 1,000 by chance, 95 % of the means lie within 4 ms of 500.
    #[test]
    fn an_interval_of_very_many_is_as_wide_as_by_drawing_each() {
        let mut draw = Draw::new(7);
        let stalls: Vec<f64> = (0..60_000).map(|_| if draw.below(2) == 0 { 0.0 } else { 1_000.0 }).collect();
        let pairs: Vec<Delays> = stalls.iter().map(|ms| stalled(*ms)).collect();
        let samples: Vec<RequestSample> = stalls.iter().map(|ms| sample(*ms)).collect();
        let none = vec![sample(0.0); samples.len()];
        for found in [of_pairs(&pairs), of_two_groups(&none, &samples, false)] {
            let Interval { low, high } = found.causes.get(DelayCause::Stalls).unwrap();
            let width_ms = high.as_f64() - low.as_f64();
            assert!((7.5..8.5).contains(&width_ms), "{width_ms}");
            assert_eq!(found.causes.get(DelayCause::Stalls), found.delta);
        }
    }

    fn sample(stall: f64) -> RequestSample {
        let mut sample = RequestSample::default();
        (sample.stall, sample.total) = (Some(stall), stall);
        sample
    }

    #[test]
    fn groups_are_drawn_each_from_its_own() {
        let left = [sample(0.0); 3];
        let right: Vec<RequestSample> = (0..10).map(|at| sample(f64::from(at % 2) * 1_000.0)).collect();
        let found = of_two_groups(&left, &right, false).causes.get(DelayCause::Stalls);
        assert_eq!(found, Some(Interval { low: Millis::from_f64(200.0), high: Millis::from_f64(800.0) }));
        assert_eq!(of_two_groups(&left[..2], &right, false).delta, None);
    }
}
