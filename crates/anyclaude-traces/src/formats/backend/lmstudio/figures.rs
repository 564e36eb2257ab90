//! Counts and times in what the server answered, in the shapes of all its APIs.
//!
//! The answer may be cut or garbled, so members are looked for in the text: inside a JSON
//! string every quote follows a backslash, and no text can pass for a member.

use std::sync::LazyLock;

use memchr::memmem::{Finder, FinderRev};

use crate::formats::scan;

/// What an answer's `usage` and `stats` say. Unknown is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct LmStudioFigures {
    pub(super) prompt_tokens: Option<u64>,
    pub(super) cached_tokens: Option<u64>,
    pub(super) output_tokens: Option<u64>,
    pub(super) reasoning_tokens: Option<u64>,
    pub(super) ttft_ms: Option<f64>,
    pub(super) total_ms: Option<f64>,
    pub(super) write_ms: Option<f64>,
    pub(super) tokens_per_second: Option<f64>,
    pub(super) stop_reason: Option<Box<str>>,
    pub(super) model: Option<Box<str>>,
}

impl LmStudioFigures {
    /// Reads an answer, or a packet of one; `None` where it holds no figure.
    pub(super) fn of_answer(json: &[u8]) -> Option<Self> {
        let (usage, stats) = (USAGE.in_answer(json), STATS.in_answer(json));
        if usage.is_none() && stats.is_none() {
            return None;
        }
        let model = scan::member_text(json, "model").or(scan::member_text(json, "model_instance_id"));
        let mut figures = Self::default();
        if let Some(usage) = usage {
            figures.add_usage(usage);
        }
        if let Some(stats) = stats {
            figures.add_stats(stats);
        }
        figures.derive();
        if figures == Self::default() {
            return None;
        }
        figures.model = model.map(|model| String::from_utf8_lossy(model).into());
        Some(figures)
    }

    /// Reads `stats` of `lms log stream --stats`.
    pub(super) fn of_stats(json: &[u8]) -> Self {
        let mut figures = Self::default();
        figures.add_stats(json);
        figures.derive();
        figures
    }

    fn add_usage(&mut self, json: &[u8]) {
        let counts = scan::members(
            json,
            [
                "cached_tokens",
                "cache_read_input_tokens",
                "cache_creation_input_tokens",
                "completion_tokens",
                "output_tokens",
                "reasoning_tokens",
                "prompt_tokens",
                "input_tokens",
            ],
        );
        let [cached, cache_read, cache_creation, completion, output, reasoning, prompt, input] =
            counts.map(|value| value.and_then(whole));
        self.cached_tokens = cached.or(cache_read);
        self.output_tokens = completion.or(output);
        self.reasoning_tokens = reasoning;
        // Anthropic counts what came from the cache beside the rest of the prompt.
        let beside = [cache_read, cache_creation].into_iter().flatten().fold(0_u64, u64::saturating_add);
        self.prompt_tokens = prompt.or(input).map(|n| n.saturating_add(beside));
    }

    fn add_stats(&mut self, json: &[u8]) {
        let counts = scan::members(
            json,
            [
                "input_tokens",
                "promptTokensCount",
                "total_output_tokens",
                "predictedTokensCount",
                "reasoning_output_tokens",
            ],
        );
        let [input, prompt, total_output, predicted, reasoning] = counts.map(|value| value.and_then(whole));
        self.prompt_tokens = self.prompt_tokens.or(input).or(prompt);
        self.output_tokens = self.output_tokens.or(total_output).or(predicted);
        self.reasoning_tokens = self.reasoning_tokens.or(reasoning);
        let speeds_and_seconds = scan::members(
            json,
            [
                "tokens_per_second",
                "tokensPerSecond",
                "time_to_first_token",
                "time_to_first_token_seconds",
                "timeToFirstTokenSec",
                "generation_time",
                "totalTimeSec",
            ],
        );
        let [speed, speed_of_sdk, ttft, ttft_seconds, ttft_of_sdk, time, time_of_sdk] =
            speeds_and_seconds.map(|value| value.and_then(number));
        self.tokens_per_second = speed.or(speed_of_sdk);
        self.ttft_ms = ttft.or(ttft_seconds).or(ttft_of_sdk).map(|s| s * 1_000.0);
        self.total_ms = time.or(time_of_sdk).map(|s| s * 1_000.0);
        let reasons = scan::members(json, ["stop_reason", "stopReason"]);
        let [reason, reason_of_sdk] = reasons.map(|value| value.and_then(scan::text_of_value));
        self.stop_reason = reason.or(reason_of_sdk).map(|reason| String::from_utf8_lossy(reason).into());
    }

    /// `generation_time` is all of the time, and `tokens_per_second` is of all tokens but
    /// the first: each tells how long writing took.
    fn derive(&mut self) {
        self.write_ms = match (self.total_ms, self.ttft_ms, self.output_tokens, self.tokens_per_second) {
            (Some(total), Some(ttft), ..) => Some((total - ttft).max(0.0)),
            #[expect(clippy::cast_precision_loss, reason = "no answer has 2^52 tokens")]
            (None, _, Some(n), Some(speed)) if speed > 0.0 && n > 0 => Some((n - 1) as f64 / speed * 1_000.0),
            _ => None,
        };
        if let (None, Some(ttft), Some(write)) = (self.total_ms, self.ttft_ms, self.write_ms) {
            self.total_ms = Some(ttft + write);
        }
    }
}

/// A member's name that is looked for in every packet. Most hold neither of the two, which
/// the search forwards tells many times as fast as the one backwards.
struct Member {
    any: Finder<'static>,
    last: FinderRev<'static>,
}

static USAGE: LazyLock<Member> = LazyLock::new(|| Member::new(b"\"usage\":"));
static STATS: LazyLock<Member> = LazyLock::new(|| Member::new(b"\"stats\":"));

impl Member {
    fn new(name: &'static [u8]) -> Self {
        Self { any: Finder::new(name), last: FinderRev::new(name) }
    }

    /// The text behind the last occurrence: an answer's figures follow its text.
    fn in_answer<'j>(&self, json: &'j [u8]) -> Option<&'j [u8]> {
        self.any.find(json)?;
        let at = self.last.rfind(json)?;
        json.get(at + self.last.needle().len()..)
    }
}

fn whole(value: &[u8]) -> Option<u64> {
    let (value, rest) = scan::number(value)?;
    is_end(rest).then_some(value)
}

fn number(value: &[u8]) -> Option<f64> {
    let length = value.iter().take_while(|byte| b"0123456789.eE+-".contains(byte)).count();
    let (digits, rest) = value.split_at_checked(length)?;
    scan::decimal(digits).filter(|_| is_end(rest))
}

/// Whether a number may end here; one that the end of the text may have cut short is none.
fn is_end(rest: &[u8]) -> bool {
    matches!(rest.first(), Some(b',' | b'}' | b']' | b'\n' | b'\r' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_and_stats_of_the_openai_api() {
        let answer = br#"{
  "choices": [{"message": {"content": "a \"usage\": {\"prompt_tokens\": 9}"}}],
  "usage": {
    "prompt_tokens": 66,
    "completion_tokens": 301,
    "completion_tokens_details": {"reasoning_tokens": 300},
    "prompt_tokens_details": {"cached_tokens": 64}
  },
  "stats": {
    "tokens_per_second": 10.0,
    "time_to_first_token": 1.25,
    "generation_time": 31.25,
    "stop_reason": "eosFound"
  }
}"#;
        let figures = LmStudioFigures::of_answer(answer).unwrap();
        assert_eq!((figures.prompt_tokens, figures.cached_tokens), (Some(66), Some(64)));
        assert_eq!((figures.output_tokens, figures.reasoning_tokens), (Some(301), Some(300)));
        assert_eq!((figures.ttft_ms, figures.total_ms), (Some(1_250.0), Some(31_250.0)));
        assert_eq!((figures.write_ms, figures.tokens_per_second), (Some(30_000.0), Some(10.0)));
        assert_eq!(figures.stop_reason.as_deref(), Some("eosFound"));
    }

    #[test]
    fn stats_of_the_native_api_tell_the_times_by_the_speed() {
        let answer = br#"{"output": [], "stats": {"input_tokens": 59, "total_output_tokens": 24,
            "reasoning_output_tokens": 20, "tokens_per_second": 46.0, "time_to_first_token_seconds": 0.125}}"#;
        let figures = LmStudioFigures::of_answer(answer).unwrap();
        assert_eq!((figures.prompt_tokens, figures.output_tokens), (Some(59), Some(24)));
        assert_eq!((figures.ttft_ms, figures.write_ms), (Some(125.0), Some(500.0)));
        assert_eq!(figures.total_ms, Some(625.0));
        assert_eq!(figures.reasoning_tokens, Some(20));
    }

    #[test]
    fn anthropics_usage_counts_cached_tokens_beside_the_others() {
        let answer = br#"{"usage":{"input_tokens":100,"cache_read_input_tokens":20,"output_tokens":7}}"#;
        let figures = LmStudioFigures::of_answer(answer).unwrap();
        assert_eq!(
            (figures.prompt_tokens, figures.cached_tokens, figures.output_tokens),
            (Some(120), Some(20), Some(7))
        );
    }

    #[test]
    fn stats_of_the_stream() {
        let stats = br#"{"stopReason":"eosFound","tokensPerSecond":50.0,"timeToFirstTokenSec":0.05,"totalTimeSec":0.09,"promptTokensCount":13,"predictedTokensCount":3}"#;
        let figures = LmStudioFigures::of_stats(stats);
        assert_eq!((figures.prompt_tokens, figures.output_tokens), (Some(13), Some(3)));
        assert!((figures.write_ms.unwrap() - 40.0).abs() < 1e-9);
    }

    #[test]
    fn a_number_that_may_be_cut_is_none() {
        assert_eq!(LmStudioFigures::of_answer(br#"{"usage":{"prompt_tokens":12"#), None);
        assert_eq!(LmStudioFigures::of_answer(br#"{"choices":[]}"#), None);
        assert_eq!(LmStudioFigures::of_answer(br#"{"usage":null}"#), None);
    }
}
