//! The result of a replay.

use anyclaude_traces::model::stats::Stats;
use serde::{Deserialize, Serialize};

use crate::compare::Comparison;
use crate::openai::LeftOut;

/// A request, sent straight to a server, and how long that took.
///
/// Serialises as the JSON of `traces replay`, and reads back what that has saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Replay {
    /// The trace that the request was recorded in.
    pub path: Option<String>,
    /// The server.
    pub url: String,
    /// The form in which the request was sent.
    pub api: Api,
    /// The model that was asked.
    pub model: String,
    /// In which state the prompt cache was.
    pub cache: Cache,
    /// The most tokens that an answer might have.
    pub max_tokens: u64,
    /// Parts of the request that the API has no place for.
    pub left_out: Vec<LeftOut>,
    /// Every run that was counted.
    pub runs: Vec<Run>,
    /// The median of each figure over the runs that have it, by nearest rank.
    pub median: Figures,
    /// Whether the user stopped it.
    pub interrupted: bool,
    /// What the log says of the same request through the proxy; `None` where the
    /// log does not know it.
    pub comparison: Option<Comparison>,
}

impl Replay {
    /// Whether any run has measured any time.
    #[must_use]
    pub fn measured(&self) -> bool {
        self.runs.iter().any(|run| run.figures.ttft_ms.is_some() || run.figures.total_ms.is_some())
    }
}

/// The form of a request, and its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Api {
    /// Anthropic's, `/v1/messages`: the body as recorded.
    Anthropic,
    /// OpenAI's, `/v1/chat/completions`: the body converted.
    Openai,
}

impl Api {
    /// The path that it is found at.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Anthropic => "/v1/messages",
            Self::Openai => "/v1/chat/completions",
        }
    }
}

/// In which state the prompt cache was when a run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cache {
    /// It could not help: each prompt began with a word that it had never seen.
    Cold,
    /// It held the prompt: a run that is not counted came first.
    Warm,
    /// As it happened to be. From the second run on it holds the prompt.
    AsIs,
}

/// One run. What was not measured, or not told by the server, is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Run {
    /// What was measured.
    #[serde(flatten)]
    pub figures: Figures,
    /// Why the answer ended.
    pub stop_reason: Option<String>,
    /// The server's own figures.
    pub server: Option<ServerTimings>,
    /// Why the run failed. What was measured before is kept.
    pub error: Option<String>,
    /// The answer, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
}

/// The figures of one run, or the medians over several. Times are milliseconds from
/// the moment the request was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Figures {
    /// To the first delta with text, reasoning or arguments of a tool call.
    pub ttft_ms: Option<f64>,
    /// To the first delta that is not reasoning.
    pub ttfo_ms: Option<f64>,
    /// To the event that closes the stream.
    pub total_ms: Option<f64>,
    /// Tokens of the whole prompt, the cached part included, as the server counts.
    pub prompt_tokens: Option<u64>,
    /// How many of them the prompt cache held. LM Studio does not tell.
    pub cached_tokens: Option<u64>,
    /// Tokens of the answer, as the server counts.
    pub output_tokens: Option<u64>,
    /// `(output_tokens − 1) ÷ (last delta − first delta)`.
    pub output_tokens_per_second: Option<f64>,
    /// The time between deltas.
    pub chunk_gap_ms: Option<ChunkGap>,
}

/// How the times between deltas are spread, by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ChunkGap {
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The longest.
    pub max: f64,
}

/// What a server measured itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ServerTimings {
    /// Reading the prompt (llama.cpp `prompt_ms`, Ollama `prompt_eval_duration`).
    pub prompt_ms: Option<f64>,
    /// Writing the answer (llama.cpp `predicted_ms`, LM Studio `generation_time`,
    /// Ollama `eval_duration`).
    pub generation_ms: Option<f64>,
    /// Time to first token (LM Studio `time_to_first_token`).
    pub ttft_ms: Option<f64>,
    /// Output tokens per second.
    pub tokens_per_second: Option<f64>,
    /// Loading the model (Ollama `load_duration`).
    pub load_ms: Option<f64>,
}

impl Figures {
    /// The medians of these runs.
    pub(crate) fn medians(runs: &[Run]) -> Self {
        fn median<T: Copy + PartialOrd>(runs: &[Run], figure: impl Fn(&Figures) -> Option<T>) -> Option<T> {
            Stats::of(runs.iter().filter_map(|run| figure(&run.figures))).map(|stats| stats.p50)
        }
        let gap = |figure: fn(ChunkGap) -> f64| median(runs, |figures| figures.chunk_gap_ms.map(figure));
        let gaps = (gap(|gap| gap.p50), gap(|gap| gap.p95), gap(|gap| gap.max));
        Self {
            ttft_ms: median(runs, |figures| figures.ttft_ms),
            ttfo_ms: median(runs, |figures| figures.ttfo_ms),
            total_ms: median(runs, |figures| figures.total_ms),
            prompt_tokens: median(runs, |figures| figures.prompt_tokens),
            cached_tokens: median(runs, |figures| figures.cached_tokens),
            output_tokens: median(runs, |figures| figures.output_tokens),
            output_tokens_per_second: median(runs, |figures| figures.output_tokens_per_second),
            chunk_gap_ms: match gaps {
                (Some(p50), Some(p95), Some(max)) => Some(ChunkGap { p50, p95, max }),
                _ => None,
            },
        }
    }
}
