//! How fast the answers of one model are written, and whether that changes meanwhile: with
//! the length of the prompt, or from one request on.

use std::fmt::{self, Display, Formatter};

use super::compare::{Sampled, mean_of};
use super::prose::{speed, tokens};
use crate::model::stats::float;

/// Fewer answers show no change; on either side of a step there are half as many.
const LEAST_ANSWERS: usize = 8;
/// The slower answers take at least this many times as long for a token.
const LEAST_RATIO: f64 = 1.4;
/// What a change leaves unexplained of how single answers differ.
const MOST_UNEXPLAINED: f64 = 0.2;
/// A prompt so many times as long may be what slows writing down.
const LONGER_PROMPT: f64 = 2.0;

/// How much is written, and how fast, in the mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WritingRate {
    /// Tokens of an answer.
    pub tokens: f64,
    /// How many are written in a second.
    pub tokens_per_second: f64,
    /// Whether that comes from very few requests.
    pub is_rough: bool,
}

/// How the speed of writing changes among the requests of one model, in tokens per second.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum WritingChange {
    /// It is another from one request on.
    Step {
        /// How many answers came before that, and their speed.
        before: (u64, f64),
        /// The answers from then on, and their speed.
        after: (u64, f64),
    },
    /// It falls as prompts grow.
    WithPrompt {
        /// The tokens of the shortest prompt, and the speed with it.
        short: (f64, f64),
        /// The same of the longest.
        long: (f64, f64),
    },
}

/// One answer.
#[derive(Debug, Clone, Copy)]
struct Answer {
    prompt_tokens: f64,
    ms_per_token: f64,
}

impl Answer {
    /// `None` where something else went on while it was written, or it is too short to tell.
    fn of(one: &Sampled<'_>) -> Option<Self> {
        let timing = one.request.timing.as_deref().filter(|_| one.request.speed_sample().writes)?;
        let ms_per_token = 1000.0 / timing.write_tokens_per_second()?;
        Some(Self { prompt_tokens: float(timing.believed_prompt_tokens()?), ms_per_token })
    }
}

/// A change, and the squares of what it leaves unexplained.
type Explained = (WritingChange, f64);

impl WritingChange {
    /// What changes among these requests of one model, which are in order of time.
    pub(super) fn of(chosen: &[Sampled<'_>]) -> Option<Self> {
        let answers: Vec<Answer> = chosen.iter().filter_map(Answer::of).collect();
        if answers.len() < LEAST_ANSWERS {
            return None;
        }
        let mean_ms = mean(&answers);
        let all = squares(&answers, |_| mean_ms);
        let explained = [step(&answers), with_prompt(&answers)];
        let best = explained.into_iter().flatten().min_by(|a, b| a.1.total_cmp(&b.1));
        best.filter(|(_, left)| *left <= MOST_UNEXPLAINED * all).map(|(change, _)| change)
    }
}

fn mean(answers: &[Answer]) -> f64 {
    mean_of(answers.iter().map(|one| one.ms_per_token)).unwrap_or(0.0)
}

/// The squares of what answers differ from what is expected of them.
fn squares(answers: &[Answer], expected: impl Fn(&Answer) -> f64) -> f64 {
    answers.iter().map(|one| (one.ms_per_token - expected(one)).powi(2)).sum()
}

/// The sums that tell how much answers differ from their mean.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    answers: f64,
    ms: f64,
    squares: f64,
}

impl Sums {
    fn plus(self, answer: &Answer) -> Self {
        let ms = answer.ms_per_token;
        Self { answers: self.answers + 1.0, ms: self.ms + ms, squares: self.squares + ms * ms }
    }

    /// Of the answers that came after those of `before`.
    fn less(self, before: Self) -> Self {
        Self {
            answers: self.answers - before.answers,
            ms: self.ms - before.ms,
            squares: self.squares - before.squares,
        }
    }

    fn around_mean(self) -> f64 {
        (self.squares - self.ms * self.ms / self.answers).max(0.0)
    }
}

/// The step that explains most, where longer prompts cannot be what it comes from.
fn step(answers: &[Answer]) -> Option<Explained> {
    let all = answers.iter().fold(Sums::default(), Sums::plus);
    let sums = answers.iter().scan(Sums::default(), |before, answer| {
        *before = before.plus(answer);
        Some(*before)
    });
    let least = LEAST_ANSWERS / 2;
    let last = answers.len().checked_sub(least)?;
    let steps = sums.zip(1..).filter(|(_, at)| (least..=last).contains(at));
    let left = steps.map(|(before, at)| (before.around_mean() + all.less(before).around_mean(), at));
    let (left, at) = left.min_by(|a, b| a.0.total_cmp(&b.0))?;
    let (before, after) = answers.split_at(at);
    let prompt = |side: &[Answer]| mean_of(side.iter().map(|one| one.prompt_tokens)).unwrap_or(0.0);
    let (slow, fast) = if mean(before) > mean(after) { (before, after) } else { (after, before) };
    let is_clear = mean(slow) >= LEAST_RATIO * mean(fast) && prompt(slow) < LONGER_PROMPT * prompt(fast);
    let side = |side: &[Answer]| (side.len() as u64, 1000.0 / mean(side));
    is_clear.then(|| (WritingChange::Step { before: side(before), after: side(after) }, left))
}

/// The straight line of the time for a token over the length of the prompt.
fn with_prompt(answers: &[Answer]) -> Option<Explained> {
    let mean_prompt = mean_of(answers.iter().map(|one| one.prompt_tokens))?;
    let mean_ms = mean(answers);
    let apart = |one: &Answer| one.prompt_tokens - mean_prompt;
    let spread: f64 = answers.iter().map(|one| apart(one).powi(2)).sum();
    let slope = answers.iter().map(|one| apart(one) * (one.ms_per_token - mean_ms)).sum::<f64>() / spread;
    let expected = |prompt: f64| mean_ms + slope * (prompt - mean_prompt);
    let prompts = || answers.iter().map(|one| one.prompt_tokens);
    let (short, long) = (prompts().fold(f64::INFINITY, f64::min), prompts().fold(0.0, f64::max));
    let is_clear = long >= LONGER_PROMPT * short
        && expected(short) > 0.0
        && expected(long) >= LEAST_RATIO * expected(short);
    let left = squares(answers, |one| expected(one.prompt_tokens));
    let at = |prompt| (prompt, 1000.0 / expected(prompt));
    is_clear.then(|| (WritingChange::WithPrompt { short: at(short), long: at(long) }, left))
}

impl Display for WritingRate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let about = if self.is_rough { "about " } else { "" };
        write!(f, "{} tokens at {about}{} tokens/s", tokens(self.tokens), speed(self.tokens_per_second))
    }
}

impl Display for WritingChange {
    /// What goes on after the name of the model.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step { before: (n, before), after: (m, after) } => {
                let (how, before, after) =
                    (if after < before { "more slowly" } else { "faster" }, speed(*before), speed(*after));
                write!(f, "writes {how} after the first {n} of {} answers: {after} tokens/s, ", n + m)?;
                write!(
                    f,
                    "before that {before}. Prompts did not grow as much: heat, another program, or a model "
                )?;
                write!(f, "loaded with other settings (layers on the CPU) can do that.")
            }
            Self::WithPrompt { short, long } => write!(
                f,
                "writes more slowly the longer the prompt is: {} tokens/s at {} tokens, {} at {}. A shorter history \
                 also makes answers faster.",
                speed(short.1),
                tokens(short.0),
                speed(long.1),
                tokens(long.0)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The running sums against the definition.
        #[test]
        fn a_step_leaves_the_least_squares(times in prop::collection::vec(1.0..500.0_f64, 8..40)) {
            let answer = |ms_per_token| Answer { prompt_tokens: 1_000.0, ms_per_token };
            let answers: Vec<Answer> = times.into_iter().map(answer).collect();
            let left = |at: usize| {
                let (before, after) = answers.split_at(at);
                [before, after].map(|side| squares(side, |_| mean(side))).iter().sum::<f64>()
            };
            let least = (4..=answers.len() - 4).map(left).fold(f64::INFINITY, f64::min);
            if let Some((WritingChange::Step { before, .. }, found)) = step(&answers) {
                prop_assert!((found - least).abs() <= 1e-6 * (1.0 + least));
                prop_assert!((left(usize::try_from(before.0).unwrap()) - least).abs() <= 1e-6 * (1.0 + least));
            }
        }
    }
}
