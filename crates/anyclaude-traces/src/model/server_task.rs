//! What the log of the server that ran the model tells of one request.

use std::num::NonZeroU16;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::Amount;
use crate::model::timing::Confidence;

/// A request as its server worked on it: measured where the proxy can only infer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerTask {
    /// Tokens of the whole prompt.
    pub prompt_tokens: Amount,
    /// Tokens of it that came from the cache.
    pub cached_tokens: Amount,
    /// Tokens of it that the slot held when it was chosen; unknown where that is not said.
    pub held_tokens: Amount,
    /// Tokens generated.
    pub output_tokens: Amount,
    /// Tokens generated that were reasoning.
    pub reasoning_tokens: Amount,
    /// How long the prompt was evaluated.
    pub read_ms: Amount,
    /// How long it generated.
    pub write_ms: Amount,
    /// How much of its wait the model was being loaded; unknown where no log tells it.
    pub load_ms: Amount,
    /// Its model was loaded before it began, and the log does not say when.
    pub(crate) follows_untimed_load: bool,
    /// Another prompt gave way to its own in the slot that it got.
    pub(crate) has_evicted: bool,
    /// Among how many slots its server divides its context; `None` where it does not.
    pub(crate) context_divisor: Option<NonZeroU16>,
    /// When it began, in milliseconds on a clock of its log's own, where that has no dates.
    pub(crate) clock_ms: Option<i64>,
    /// From when the server received it to when it first said how much of its prompt was read:
    /// until then at most it waited for others.
    pub(crate) unread_ms: Amount,
    /// How coarse the stamps are by which its waiting is known.
    pub(crate) uncertainty_ms: u16,
    /// Whether its answer was a stream.
    pub(crate) stream: Option<bool>,
    /// How long it waited for a slot; unknown where the log does not tell when it came.
    pub queue_ms: Amount,
    /// The server dropped tokens because its context was full; only its log says so.
    pub cut: Option<Box<ContextCut>>,
}

/// The server dropped tokens because its context was full, and did not tell the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContextCut {
    /// The most tokens that fit.
    pub context_tokens: Option<u64>,
    /// Tokens of the prompt before it was cut; `None` where the prompt may have fitted, and
    /// the answer filled the context.
    pub whole_prompt_tokens: Option<u64>,
}

/// How a request was found in a server's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ServerJoin {
    /// The log.
    pub log: Arc<str>,
    /// How much later than the server the client saw its end, once the clocks are brought
    /// together; `None` where the log has no times.
    pub gap_ms: Option<i64>,
    /// How sure it is. Where it is ambiguous, no figures are taken from the log.
    pub confidence: Confidence,
}
