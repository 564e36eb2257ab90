//! Turns the bytes that a simulated cache held of a prompt into tokens.

use crate::model::SimulatedReuse;
use crate::model::request::Request;

/// What the backend counted of an earlier request that is the beginning of this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnswerTokens {
    /// The tokens of its prompt.
    pub prompt_tokens: u64,
    /// The tokens of its answer that the next prompt begins with too: all but the last,
    /// which is never put into the cache; none where it began with reasoning, as that
    /// is not sent back.
    pub kept_tokens: u64,
}

impl AnswerTokens {
    /// The counts of a request, and whether its answer began with reasoning.
    #[must_use]
    pub fn new(prompt_tokens: u64, output_tokens: u64, has_reasoning: bool) -> Self {
        let kept_tokens = if has_reasoning { 0 } else { output_tokens.saturating_sub(1) };
        Self { prompt_tokens, kept_tokens }
    }
}

/// The tokens of a prompt that a simulated cache held.
///
/// Where it held an earlier request that is wholly the beginning of this one, and
/// whose tokens are known, that is its prompt and its answer, but never the elements
/// behind that answer; else the prompt's tokens are shared out by bytes.
#[must_use]
pub fn cached_tokens(reuse: &SimulatedReuse, prompt_tokens: u64, earlier: Option<AnswerTokens>) -> u64 {
    if reuse.reusable_bytes == 0 {
        return 0;
    }
    let tokens = |bytes: u64| scaled(prompt_tokens, bytes, reuse.prompt_bytes);
    match reuse.continues.zip(earlier) {
        Some((continued, earlier)) => {
            let behind = tokens(continued.bytes_behind_answer).max(1);
            let held = earlier.prompt_tokens + earlier.kept_tokens;
            held.min(prompt_tokens.saturating_sub(behind))
        }
        None => tokens(reuse.reusable_bytes),
    }
}

/// `tokens × bytes ÷ all`, rounded.
fn scaled(tokens: u64, bytes: u64, all: u64) -> u64 {
    let all = u128::from(all.max(1));
    u64::try_from((u128::from(tokens) * u128::from(bytes) + all / 2) / all).unwrap_or(u64::MAX)
}

/// The tokens that a simulated cache held of each prompt. `tokens` gives what is known of a
/// request: the tokens of its prompt, and of what its answer leaves in the cache.
pub(crate) fn simulated_tokens(
    reuse: &[SimulatedReuse],
    tokens: impl Fn(usize) -> Option<AnswerTokens>,
) -> Vec<Option<u64>> {
    let held = |(at, reuse): (usize, &SimulatedReuse)| {
        let prompt_tokens = tokens(at)?.prompt_tokens;
        let earlier = reuse.continues.and_then(|continued| tokens(continued.from));
        Some(cached_tokens(reuse, prompt_tokens, earlier).min(prompt_tokens.saturating_sub(1)))
    };
    reuse.iter().enumerate().map(held).collect()
}

/// What the backend counted of a request; `None` where it counted nothing.
pub(crate) fn answer_tokens(request: &Request) -> Option<AnswerTokens> {
    let timing = request.timing.as_ref()?;
    let prompt_tokens = timing.prompt_tokens.get().filter(|tokens| *tokens > 0)?;
    let reasoning = request.log_facts().and_then(|facts| facts.reasoning_tokens.get());
    let has_reasoning = reasoning.is_some_and(|tokens| tokens > 0);
    Some(AnswerTokens::new(prompt_tokens, timing.output_tokens.get().unwrap_or(0), has_reasoning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Continued;

    #[test]
    fn an_answer_is_held_with_its_prompt_and_what_follows_it_is_not() {
        let mut reuse = SimulatedReuse { prompt_bytes: 4000, reusable_bytes: 3000, continues: None };
        let earlier = |has_reasoning| Some(AnswerTokens::new(700, 101, has_reasoning));
        assert_eq!(cached_tokens(&reuse, 1000, earlier(false)), 750);
        reuse.continues = Some(Continued { from: 0, bytes_behind_answer: 400 });
        assert_eq!(cached_tokens(&reuse, 1000, earlier(false)), 800);
        assert_eq!(cached_tokens(&reuse, 1000, earlier(true)), 700);
        assert_eq!(cached_tokens(&reuse, 1000, None), 750);
        // No more than what stands before the elements behind the answer.
        assert_eq!(cached_tokens(&reuse, 850, earlier(false)), 765);
        reuse.reusable_bytes = 0;
        assert_eq!(cached_tokens(&reuse, 1000, earlier(false)), 0);
    }
    #[test]
    fn shares_of_tokens_are_rounded_and_one_is_always_read() {
        let reuse =
            |prompt_bytes, reusable_bytes| SimulatedReuse { prompt_bytes, reusable_bytes, continues: None };
        assert_eq!(cached_tokens(&reuse(4, 1), 10, None), 3, "2.5");
        assert_eq!(cached_tokens(&reuse(3, 1), 10, None), 3, "3.3");
        let mut whole = reuse(4_000, 4_000);
        whole.continues = Some(Continued { from: 0, bytes_behind_answer: 0 });
        assert_eq!(cached_tokens(&whole, 1_000, Some(AnswerTokens::new(1_000, 5, false))), 999);
    }
}
