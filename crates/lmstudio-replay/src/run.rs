//! The result of a replay.

use anyclaude_traces::model::stats::Stats;
use serde::{Deserialize, Serialize};

/// A request, sent straight to a server, and how long that took.
///
/// Serialises as the JSON of `traces replay`, and reads back what that has saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Replay {
    /// The file in which the request was recorded.
    pub path: Option<String>,
    /// The server.
    pub url: String,
    /// The API that was used.
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
    /// The same request through the proxy, from its log; `None` where no log has it.
    pub comparison: Option<Comparison>,
}

impl Replay {
    /// Whether any run measured a time.
    #[must_use]
    pub fn measured(&self) -> bool {
        self.runs.iter().any(|run| run.figures.ttft_ms.is_some() || run.figures.total_ms.is_some())
    }
}

/// The API that a request is made in.
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
    /// Its path.
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
    /// It could not help: each prompt began with a new random word.
    Cold,
    /// It held the prompt: a run that is not counted went first.
    Warm,
    /// As it was. From the second run on it may hold the prompt.
    AsIs,
}

/// One run. What was not measured, or not reported by the server, is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Run {
    /// What was measured.
    #[serde(flatten)]
    pub figures: Figures,
    /// Why the answer ended, in the server's word.
    pub stop_reason: Option<String>,
    /// The server's own figures.
    pub server: Option<ServerTimings>,
    /// Why the run failed. What was measured before is kept.
    pub error: Option<String>,
    /// The answer's text, where [`Plan::keep_text`](crate::Plan::keep_text) is set.
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
    /// How many of them the prompt cache held. LM Studio does not report it.
    pub cached_tokens: Option<u64>,
    /// Tokens of the answer, as the server counts.
    pub output_tokens: Option<u64>,
    /// `(output_tokens − 1) ÷ (last delta − first delta)`.
    pub output_tokens_per_second: Option<f64>,
    /// The time between deltas.
    pub chunk_gap_ms: Option<ChunkGap>,
}

/// The distribution of the times between deltas, by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ChunkGap {
    /// The median, in milliseconds, as are the others.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The longest.
    pub max: f64,
}

/// What the server itself measured.
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

/// A part of a request that the API cannot express.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LeftOut {
    /// The type of a block, or the name of a member of the body.
    pub what: String,
    /// How often it occurs in the request.
    pub n: u64,
}

/// The request through the proxy beside the replay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Comparison {
    /// The request as it went through the proxy.
    pub proxied: Proxied,
    /// How long the request would take without the proxy for an answer of the recorded
    /// length: TTFT + (output tokens − 1) ÷ speed. TTFT alone where the log has no length.
    pub direct_ms: Option<f64>,
    /// The same through the proxy: `proxy_ms` + `total_ms`, or + `ttft_ms`.
    pub proxied_ms: Option<f64>,
    /// `proxied_ms − direct_ms`.
    pub added_ms: Option<f64>,
    /// Where the time goes.
    pub verdict: Verdict,
    /// The verdict in a sentence.
    pub headline: String,
}

/// The times of the request through the proxy, from anyclaude's log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Proxied {
    /// The model that ran.
    pub model: Option<String>,
    /// The proxy's own work before it sent the request.
    pub proxy_ms: Option<u64>,
    /// From sending to the first token.
    pub ttft_ms: Option<u64>,
    /// From sending to the end.
    pub total_ms: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
    /// As the log reports it.
    pub output_tokens_per_second: Option<f64>,
}

/// Where the time goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// The server: without the proxy the request takes at least half as long.
    Backend,
    /// The proxy: without it the request takes less than half as long.
    Proxy,
    /// This replay cannot decide it.
    Undetermined,
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

/// Rounds to three decimals: milliseconds to microseconds.
pub(crate) fn three_decimals(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
