//! Times of one request, and how sure they are.

use serde::{Deserialize, Serialize};

use crate::model::Amount;
use crate::model::stats::float;
use crate::model::time::Timestamp;

/// How sure it is that the facts of a request come from its own log lines.
///
/// No line of a log carries a request id, so lines are tied to requests by
/// arithmetic on their stamps. The order is from sure to unsure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Confidence {
    /// Only this request fits.
    Exact,
    /// Several requests were open; this one fits best by order and time.
    Likely,
    /// At least two requests fit equally well, and the choice is arbitrary.
    Ambiguous,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The log has its `[Request Complete]`.
    Completed,
    /// The backend or the connection to it answered with an error.
    Failed,
    /// The proxy gave it up after its time limit.
    TimedOut,
    /// The client gave it up: its connection closed while no other request was open.
    Disconnected,
    /// The log has no end of it: cancelled, still running, or lost in a crash.
    Unfinished,
    /// It asked for a reply in one piece, whose end the proxy does not log.
    NotStreamed,
}

impl Outcome {
    /// Whether all of the answer came.
    pub(crate) fn is_answered(self) -> bool {
        matches!(self, Self::Completed | Self::NotStreamed)
    }
}

/// Where a time to first token comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TtftSource {
    /// The proxy's own measurement, logged from debug level 2.
    Timing,
    /// The stamp of the first part with content less the start (level 1).
    FirstPart,
    /// Claude Code's own measurement, to the first content of the answer.
    FirstContent,
    /// Claude Code's own measurement, to `message_start`, where that can have come with
    /// the first content only.
    MessageStart,
}

/// Where a token count comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenSource {
    /// Counted by the backend.
    Usage,
    /// Reported tokens per second × generation time.
    Derived,
    /// Counted by the server's own log.
    ServerLog,
    /// Reported, and refused, as it cannot be true; it takes part in nothing.
    Implausible,
}

/// What the proxy was about to send, after its own edits: it filters system
/// prompts, drops tools and cuts histories, so this differs from the trace.
///
/// From `[Prompt Overhead]`, which rounds. Characters are UTF-16 code units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PromptOverhead {
    /// System text, rounded up to a multiple of 4.
    pub system_chars: u64,
    /// Tools as JSON, rounded up to a multiple of 4.
    pub tools_chars: u64,
    /// All user messages as JSON, off by at most 52; `None` where the line is cut.
    pub user_message_chars: Option<u64>,
    /// Number of tools; `None` where the line is cut.
    pub tool_count: Option<u64>,
}

/// Times and counts of one request. Unknown is `None`, never 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct Timing {
    /// When the proxy began to send: the stamp in `[Request Start]`.
    pub start: Option<Timestamp>,
    /// The proxy's own work before that, from the request log's stamp on.
    pub proxy_ms: Amount,
    /// From [`start`](Self::start) to the first token.
    pub ttft_ms: Amount,
    /// Which line gave [`ttft_ms`](Self::ttft_ms).
    pub ttft_source: Option<TtftSource>,
    /// `total_ms − ttft_ms`.
    pub generation_ms: Amount,
    /// From [`start`](Self::start) to the end. In mode `claude`: from the first
    /// file's timestamp to the second's.
    pub total_ms: Amount,
    /// `proxy_ms + total_ms`.
    pub wall_ms: Amount,
    /// How many keepalives were sent while waiting, one each 10 s.
    pub keepalives: Amount,
    /// Anthropic events that the proxy sent. Not tokens.
    pub events: Amount,
    /// The size of these events in UTF-16 units.
    pub event_bytes: Amount,
    /// Parts that the proxy received from its SDK. Not tokens.
    pub parts: Amount,
    /// Tokens of the prompt.
    pub prompt_tokens: Amount,
    /// Where [`prompt_tokens`](Self::prompt_tokens) comes from.
    pub prompt_tokens_source: Option<TokenSource>,
    /// Tokens of the answer.
    pub output_tokens: Amount,
    /// Where [`output_tokens`](Self::output_tokens) comes from.
    pub output_tokens_source: Option<TokenSource>,
    /// The speed that the proxy logged.
    pub reported_tokens_per_second: Option<f64>,
    /// `prompt_tokens ÷ ttft_ms`: apparent, for a warm cache makes it too high.
    pub prefill_tokens_per_second: Option<f64>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// The backend's words, where it or the connection to it failed.
    pub error: Option<String>,
    /// The model was loaded first. 0 without evidence of a load; `None` where nothing
    /// was logged. Set by [`cost`](crate::cost), as are all members below.
    pub load_ms: Amount,
    /// It waited for other requests in the backend.
    pub queue_ms: Amount,
    /// Prompt processing: the rest of the time to first token.
    pub read_ms: Amount,
    /// From the first token to the end, less stalls; hidden reasoning included.
    pub write_ms: Amount,
    /// Silences inside the answer; known from debug level 2.
    pub stall_ms: Amount,
    /// What is left of `wall_ms` (of `total_ms`, where `proxy_ms` is unknown).
    pub other_ms: Amount,
    /// Tokens of the prompt that came from the backend's cache.
    pub cached_tokens: Amount,
    /// Where [`cached_tokens`](Self::cached_tokens) comes from.
    pub cached_source: Option<CachedSource>,
    /// `prompt_tokens − cached_tokens`: what had to be read.
    pub read_tokens: Amount,
    /// What had to be read even with a perfect cache: what is new since the request
    /// before it in its thread.
    pub needed_tokens: Amount,
    /// `read_tokens − needed_tokens`: read again although an earlier turn had it.
    pub again_tokens: Option<i64>,
    /// How coarse the recording's stamps are: times may be off by as much. `None` where
    /// they are exact to the millisecond, or nearly.
    pub uncertainty_ms: Amount,
}

impl Timing {
    /// What of this much reading the request can have done: no more than all of it took.
    pub(crate) fn most_of_reading(&self, ms: f64) -> f64 {
        self.read_ms.get().map_or(ms, |took| ms.min(float(took)))
    }

    /// Fills what follows from the other members: `generation_ms`, `wall_ms` and
    /// `prefill_tokens_per_second`.
    pub(crate) fn fill_sums(&mut self) {
        let both = |a: Amount, b: Amount, join: fn(u64, u64) -> Option<u64>| join(a.get()?, b.get()?);
        self.generation_ms = both(self.total_ms, self.ttft_ms, u64::checked_sub).into();
        self.wall_ms = both(self.proxy_ms, self.total_ms, u64::checked_add).into();
        #[allow(clippy::cast_precision_loss, reason = "tokens and times stay far below 2^53")]
        let speed = |tokens: u64, ms: u64| tokens as f64 * 1000.0 / ms as f64;
        let ttft_ms = self.ttft_ms.get().filter(|ms| *ms > 0);
        self.prefill_tokens_per_second =
            self.prompt_tokens.get().zip(ttft_ms).map(|(tokens, ms)| speed(tokens, ms));
    }

    /// [`prompt_tokens`](Self::prompt_tokens), where they can be true.
    #[must_use]
    pub fn believed_prompt_tokens(&self) -> Option<u64> {
        self.prompt_tokens.get().filter(|_| self.prompt_tokens_source != Some(TokenSource::Implausible))
    }

    /// [`output_tokens`](Self::output_tokens), where they can be true.
    #[must_use]
    pub fn believed_output_tokens(&self) -> Option<u64> {
        self.output_tokens.get().filter(|_| self.output_tokens_source != Some(TokenSource::Implausible))
    }

    /// The speed that the proxy logged, where it is not of a count that cannot be true.
    #[must_use]
    pub fn believed_tokens_per_second(&self) -> Option<f64> {
        let is_believed = self.output_tokens_source != Some(TokenSource::Implausible);
        self.reported_tokens_per_second.filter(|_| is_believed)
    }
}

/// Where a count of cached tokens comes from, the best evidence first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CachedSource {
    /// The server's log: prompt tokens less those that it evaluated.
    ServerLog,
    /// The backend's own count, as the proxy logged it.
    Reported,
    /// A simulated prompt cache, where the backend is seen to reuse prompts.
    Simulated,
    /// 0: the backend is seen to reuse nothing; or this request took as long as reading
    /// all of its prompt takes, although a simulated cache held nearly all of it.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::request::Request;
    use crate::model::{LogFacts, ServerTask};

    /// Each request of a recording has one of each: of 100,000 requests, 8 bytes are 0.8 MB.
    #[test]
    fn what_every_request_has_is_small() {
        assert_eq!(size_of::<Amount>(), 8);
        assert!(size_of::<Timing>() <= 264, "{}", size_of::<Timing>());
        assert!(size_of::<LogFacts>() <= 128, "{}", size_of::<LogFacts>());
        assert!(size_of::<Request>() <= 384, "{}", size_of::<Request>());
        assert!(size_of::<ServerTask>() <= 112, "{}", size_of::<ServerTask>());
    }
}
