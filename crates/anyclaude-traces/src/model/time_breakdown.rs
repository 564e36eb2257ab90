//! Where the time of several requests went, and how fast a model is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::Amount;

/// Mean times per request, in milliseconds; the parts add up to `wall_ms`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TimeBreakdown {
    /// How many requests these are means of.
    pub requests: u64,
    /// The proxy's own work; `None` where it is unknown for most of them.
    pub proxy_ms: Option<f64>,
    /// Loading the model.
    pub load_ms: Option<f64>,
    /// Waiting for other requests.
    pub queue_ms: Option<f64>,
    /// Prompt processing.
    pub read_ms: Option<f64>,
    /// Generation.
    pub write_ms: Option<f64>,
    /// Silences inside answers.
    pub stall_ms: Option<f64>,
    /// The rest.
    pub other_ms: Option<f64>,
    /// All of it.
    pub wall_ms: Option<f64>,
}

/// The speeds of one model, of tokens read and written; see the cost model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Speeds {
    /// Σ read tokens ÷ Σ reading time, of undisturbed requests.
    pub read_tokens_per_second: Option<f64>,
    /// Σ (output tokens − 1) ÷ Σ writing time.
    pub write_tokens_per_second: Option<f64>,
    /// Whether the backend reuses prompts.
    pub cache: CacheUse,
    /// How many requests the reading speed comes from.
    pub n_read: u64,
    /// How many requests the writing speed comes from.
    pub n_write: u64,
    /// Median deviation of single requests' reading speeds from that of all, as a fraction of it.
    pub spread: Option<f64>,
    /// Whose times these are.
    pub source: Option<SpeedSource>,
}

/// Whether a backend is seen to reuse the beginnings of prompts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CacheUse {
    /// It reuses them.
    Reuses,
    /// It reads every prompt from its beginning.
    ReadsAll,
    /// Nothing tells.
    #[default]
    Unknown,
}

/// Whose times a speed comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SpeedSource {
    /// The server's own log.
    ServerLog,
    /// The requests' times as the proxy or client saw them.
    Requests,
}

/// The speeds of a model, with its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ModelSpeeds {
    /// The model, or the process whose model is not named.
    pub model: Option<Arc<str>>,
    /// Its speeds.
    #[serde(flatten)]
    pub speeds: Speeds,
}

/// Which speeds of its model a request takes part in, and what else the cost model
/// found beside the times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpeedSample {
    /// Its time to first token was spent on reading its prompt alone.
    pub reads: bool,
    /// Its time from the first token to the end was spent on writing alone.
    pub writes: bool,
    /// Both times are the server's own.
    pub is_measured: bool,
    /// Output tokens that were generated before anything was streamed.
    pub hidden_tokens: Amount,
    /// What passes before every answer of its model, whatever there is to read, in milliseconds:
    /// it is in no part.
    pub constant_wait_ms: u64,
    /// Whether the backend is seen to reuse prompts of its model.
    pub cache: CacheUse,
}
