//! The arithmetic: two requests, or the means of two groups → what each cause
//! contributes to the difference.
//!
//! Times are whole microseconds here, and of two parts that make a whole only one
//! is rounded: so the contributions add up to the difference exactly, and turn
//! their signs when the sides are swapped.

use std::ops::Neg;

/// Microseconds.
pub(super) type Us = i64;

/// What is known of one request, or of a group in the mean.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sample {
    pub(super) proxy: Option<Us>,
    pub(super) ttft: Us,
    pub(super) generation: Us,
    pub(super) prompt_tokens: Option<f64>,
    pub(super) output_tokens: Option<f64>,
}

impl Sample {
    /// Whether both token counts are known.
    pub(super) fn is_complete(&self) -> bool {
        self.prompt_tokens.is_some() && self.output_tokens.is_some()
    }

    /// From sending to the end.
    pub(super) fn total(&self) -> Us {
        self.ttft.saturating_add(self.generation)
    }

    /// The mean of some; `None` of none. A count that any of them lacks is unknown.
    pub(super) fn mean(samples: impl Iterator<Item = Self> + Clone) -> Option<Self> {
        let all = |of: fn(&Self) -> Option<f64>| -> Option<f64> {
            let add = |(sum, n): (f64, u32), sample: Self| Some((sum + of(&sample)?, n.checked_add(1)?));
            let (sum, n) = samples.clone().try_fold((0.0, 0), add)?;
            Some(sum / f64::from(n))
        };
        Some(Self {
            proxy: mean(samples.clone().filter_map(|sample| sample.proxy)),
            ttft: mean(samples.clone().map(|sample| sample.ttft))?,
            generation: mean(samples.clone().map(|sample| sample.generation))?,
            prompt_tokens: all(|sample| sample.prompt_tokens),
            output_tokens: all(|sample| sample.output_tokens),
        })
    }
}

/// A difference, right less left, and what it is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Split {
    /// `None` where a side's is unknown: the difference is of `total_ms` then.
    pub(super) proxy: Option<Us>,
    pub(super) ttft: Us,
    /// What of `ttft` is the prompt's size; the rest is the speed of reading it.
    pub(super) prompt_size: Option<Us>,
    pub(super) generation: Us,
    /// What of `generation` is the answer's length; the rest is the speed.
    pub(super) output_length: Option<Us>,
}

impl Split {
    /// What makes `right` slower than `left`. Equal prompts have one size, however
    /// many tokens each side's tokenizer makes of it.
    pub(super) fn of(left: &Sample, right: &Sample, equal_prompts: bool) -> Self {
        let prompt_size = if equal_prompts {
            Some(0)
        } else {
            let tokens = left.prompt_tokens.zip(right.prompt_tokens);
            tokens.map(|tokens| amount_part(tokens, (left.ttft, right.ttft)))
        };
        let outputs = left.output_tokens.zip(right.output_tokens);
        Self {
            proxy: left.proxy.zip(right.proxy).map(|(left, right)| right - left),
            ttft: right.ttft - left.ttft,
            prompt_size,
            generation: right.generation - left.generation,
            output_length: outputs.map(|tokens| amount_part(tokens, (left.generation, right.generation))),
        }
    }

    /// The mean over pairs; `None` of none. A part that any pair lacks is unknown,
    /// but for the proxy's, which is the mean of those that are known.
    pub(super) fn mean(splits: &[Self]) -> Option<Self> {
        let all = |of: fn(&Self) -> Option<Us>| -> Option<Us> {
            let known: Option<Vec<Us>> = splits.iter().map(of).collect();
            mean(known?.into_iter())
        };
        Some(Self {
            proxy: mean(splits.iter().filter_map(|split| split.proxy)),
            ttft: mean(splits.iter().map(|split| split.ttft))?,
            prompt_size: all(|split| split.prompt_size),
            generation: mean(splits.iter().map(|split| split.generation))?,
            output_length: all(|split| split.output_length),
        })
    }

    pub(super) fn delta(&self) -> Us {
        self.proxy.unwrap_or(0) + self.ttft + self.generation
    }

    pub(super) fn prompt_processing_speed(&self) -> Option<Us> {
        self.prompt_size.map(|size| self.ttft - size)
    }

    pub(super) fn generation_speed(&self) -> Option<Us> {
        self.output_length.map(|length| self.generation - length)
    }

    /// What could not be told apart into size and speed.
    pub(super) fn unsplit(&self) -> impl Iterator<Item = Us> {
        let ttft = self.prompt_size.is_none().then_some(self.ttft);
        let generation = self.output_length.is_none().then_some(self.generation);
        ttft.into_iter().chain(generation)
    }
}

impl Neg for Split {
    type Output = Self;

    fn neg(self) -> Self {
        Self {
            proxy: self.proxy.map(Us::neg),
            ttft: -self.ttft,
            prompt_size: self.prompt_size.map(Us::neg),
            generation: -self.generation,
            output_length: self.output_length.map(Us::neg),
        }
    }
}

/// The part of a difference of times that a different amount makes: the amounts'
/// difference at the mean of both paces. Where one side has nothing to show a pace
/// by, it is taken to have the other's.
fn amount_part((left, right): (f64, f64), (left_time, right_time): (Us, Us)) -> Us {
    #[allow(clippy::cast_precision_loss, reason = "times stay far below 2^53 µs")]
    let pace = |amount: f64, time: Us| (amount > 0.0).then(|| time as f64 / amount);
    let (left_pace, right_pace) = (pace(left, left_time), pace(right, right_time));
    let Some(left_pace) = left_pace.or(right_pace) else { return 0 };
    let right_pace = right_pace.unwrap_or(left_pace);
    rounded((right - left) * (left_pace + right_pace) / 2.0)
}

fn mean(values: impl Iterator<Item = Us>) -> Option<Us> {
    let (sum, count) = values.fold((0_i128, 0_i128), |(sum, n), value| (sum + i128::from(value), n + 1));
    #[allow(clippy::cast_precision_loss, reason = "sums of times stay far below 2^53 µs")]
    (count > 0).then(|| rounded(sum as f64 / count as f64))
}

#[allow(clippy::cast_possible_truncation, reason = "`as` saturates")]
fn rounded(value: f64) -> Us {
    value.round() as Us
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> impl Strategy<Value = Sample> {
        let tokens = || prop::option::of((0_u32..200_000).prop_map(f64::from));
        let time = || 0_i64..2_000_000_000;
        (prop::option::of(time()), time(), time(), tokens(), tokens()).prop_map(
            |(proxy, ttft, generation, prompt_tokens, output_tokens)| Sample {
                proxy,
                ttft,
                generation,
                prompt_tokens,
                output_tokens,
            },
        )
    }

    proptest! {
        #[test]
        fn parts_add_up_and_turn_with_the_sides(left in sample(), right in sample(), equal: bool) {
            let split = Split::of(&left, &right, equal);
            prop_assert_eq!(-split, Split::of(&right, &left, equal));
            if let Some(speed) = split.prompt_processing_speed() {
                prop_assert_eq!(split.prompt_size.unwrap() + speed, right.ttft - left.ttft);
            }
            if let (Some(length), Some(speed)) = (split.output_length, split.generation_speed()) {
                prop_assert_eq!(length + speed, right.generation - left.generation);
            }
            prop_assert_eq!(
                split.delta(),
                split.proxy.unwrap_or(0) + right.total() - left.total()
            );
        }

        #[test]
        fn means_add_up_and_turn_with_the_sides(pairs in prop::collection::vec((sample(), sample()), 1..9)) {
            let splits: Vec<Split> = pairs.iter().map(|(l, r)| Split::of(l, r, false)).collect();
            let turned: Vec<Split> = splits.iter().map(|split| -*split).collect();
            prop_assert_eq!(Split::mean(&turned), Split::mean(&splits).map(Split::neg));
        }
    }

    #[test]
    fn each_cause_alone_is_found_alone() {
        let left = Sample {
            proxy: Some(500_000),
            ttft: 2_000_000,
            generation: 4_000_000,
            prompt_tokens: Some(1_000.0),
            output_tokens: Some(100.0),
        };
        let larger = Sample { prompt_tokens: Some(3_000.0), ttft: 6_000_000, ..left };
        assert_eq!(Split::of(&left, &larger, false).prompt_size, Some(4_000_000));
        assert_eq!(Split::of(&left, &larger, false).prompt_processing_speed(), Some(0));
        let slower = Sample { ttft: 9_000_000, ..left };
        assert_eq!(Split::of(&left, &slower, false).prompt_processing_speed(), Some(7_000_000));
        let longer = Sample { output_tokens: Some(250.0), generation: 10_000_000, ..left };
        assert_eq!(Split::of(&left, &longer, false).output_length, Some(6_000_000));
        assert_eq!(Split::of(&left, &longer, false).generation_speed(), Some(0));
        let lazier = Sample { generation: 5_000_000, ..left };
        assert_eq!(Split::of(&left, &lazier, false).generation_speed(), Some(1_000_000));
        let silent = Sample { output_tokens: Some(0.0), generation: 0, ..left };
        assert_eq!(Split::of(&silent, &left, false).output_length, Some(4_000_000), "the pace is borrowed");
        let unknown = Sample { output_tokens: None, ..lazier };
        let split = Split::of(&left, &unknown, false);
        assert_eq!((split.output_length, split.generation), (None, 1_000_000));
        assert_eq!(split.unsplit().collect::<Vec<_>>(), [1_000_000]);
    }

    #[test]
    fn tokenizers_make_no_prompt_bigger() {
        let left = Sample { ttft: 2_000_000, prompt_tokens: Some(1_000.0), ..Sample::default() };
        let right = Sample { ttft: 3_000_000, prompt_tokens: Some(1_300.0), ..left };
        let split = Split::of(&left, &right, true);
        assert_eq!((split.prompt_size, split.prompt_processing_speed()), (Some(0), Some(1_000_000)));
    }
}
