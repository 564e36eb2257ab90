//! What a turn would take with fewer tools, without the billing header, or with another
//! number of cache slots.
//!
//! The requests pass through the simulated cache twice: as they were recorded, and
//! changed. What the change takes from the tokens that have to be read, times the reading
//! speed of the cost model, is what it takes from the measured time. All other parts stay
//! as they were measured: a shorter prompt changes neither the proxy's work nor the
//! answer, as far as is known, and a shorter queue is not counted.

mod compute;
mod predict;
mod remedy;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

pub(crate) use compute::{ToolFacts, WhatIfInput, check, what_if};

use super::tools::server;
use crate::findings::Setting;
use crate::model::eligibility::LeftOut;
use crate::prompt_cache::SimulatedCache;

/// What is to be different from what was recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Change {
    /// Tools that are not offered, by their whole names.
    pub without_tools: Vec<String>,
    /// MCP servers none of whose tools is offered.
    pub without_servers: Vec<String>,
    /// How many prompts the backend's cache holds; `None`: as many as were recorded with.
    pub slots: Option<NonZeroUsize>,
    /// Whether the billing header is left out of the system prompt.
    pub no_header: bool,
}

impl Change {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a tool of this name is not offered.
    #[must_use]
    pub fn removes(&self, tool: &str) -> bool {
        let of_server = server(tool).is_some_and(|of| self.without_servers.iter().any(|name| name == of));
        of_server || self.without_tools.iter().any(|name| name == tool)
    }
}

/// What is predicted of a [`Change`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct WhatIf {
    /// What is different.
    pub change: Change,
    /// The cache that the recorded requests are taken to have passed through: where
    /// cached tokens were counted, the number of slots that agrees best with them.
    pub recorded_cache: SimulatedCache,
    /// The cache that the changed ones pass through.
    pub changed_cache: SimulatedCache,
    /// The tools that are not offered, the costliest first, then by name.
    pub removed_tools: Vec<RemovedTool>,
    /// What each model's turns would take, by its name.
    pub models: Vec<PredictedModel>,
    /// Settings that make the change.
    pub settings: Vec<Setting>,
    /// What else makes it.
    pub remedies: Vec<Remedy>,
    /// The requests that took no part.
    pub left_out: Vec<LeftOut>,
}

/// A tool that is not offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RemovedTool {
    /// Its name.
    pub name: Arc<str>,
    /// Estimated tokens of its newest definition.
    pub tokens: u64,
    /// Whether a conversation called it: the change takes away something that was used.
    pub called: bool,
}

/// What the turns of one model would take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PredictedModel {
    /// The model, or the process whose model is not named.
    pub model: Option<Arc<str>>,
    /// The speed that the prediction rests on, by the cost model.
    pub read_tokens_per_second: Option<f64>,
    /// Cold turns, partly cached ones, warm ones, and all of them, as far as there are any.
    pub turns: Vec<PredictedTurns>,
    /// What reading the whole newest prompt takes, whatever was cached.
    pub cold_read: Option<ColdRead>,
}

/// How much of its prompt a recorded turn found in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CacheState {
    /// Less than 20 % of it.
    Cold,
    /// Between 20 % and 80 %.
    Partly,
    /// 80 % or more.
    Warm,
    /// Turns of all states in one.
    All,
}

/// Turns that found as much in the cache, as they were recorded and changed; means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PredictedTurns {
    /// What they found there, as they were recorded.
    pub state: CacheState,
    /// How many they are.
    pub requests: u64,
    /// Tokens of the prompt, as counted.
    pub prompt_tokens: f64,
    /// Tokens of the prompt with the change.
    pub predicted_prompt_tokens: f64,
    /// Of these tokens, those that were read.
    pub read_tokens: f64,
    /// Those that would be read.
    pub predicted_read_tokens: f64,
    /// The time that a turn took, in milliseconds: with the proxy's work, where that is
    /// known of at least half of the requests.
    pub measured_ms: f64,
    /// The time that it would take; `None` where the reading speed is unknown.
    pub predicted_ms: Option<f64>,
    /// What the change saves; negative where it costs time.
    pub saved_ms: Option<f64>,
}

/// A whole prompt, read without any cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ColdRead {
    /// Its tokens.
    pub prompt_tokens: u64,
    /// Its tokens with the change.
    pub predicted_prompt_tokens: u64,
    /// What reading it takes; `None` where the reading speed is unknown.
    pub ms: Option<u64>,
    /// What reading it would take.
    pub predicted_ms: Option<u64>,
}

/// What makes a change and is no setting of a file. Serialised, it is its sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// The backend holds so many prompts.
    Slots {
        /// How many.
        slots: u64,
    },
    /// What a text says; read back from JSON.
    Text(String),
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slots { slots } => write!(
                f,
                "Load the model with {slots} parallel slots: `--parallel {slots}` of llama-server, \"Max Concurrent \
                 Predictions\" in LM Studio's settings of the model."
            ),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Serialize for Remedy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Remedy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::Text)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Remedy {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Remedy".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "description": "What makes a change and is no setting of a file."})
    }
}

/// A name that no selected request knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no request offers {} `{name}`", if *.is_server { "tools of an MCP server" } else { "a tool" })]
#[non_exhaustive]
pub struct UnknownName {
    /// The name.
    pub name: String,
    /// Whether a server was named; else a tool.
    pub is_server: bool,
    /// The names that there are, in order.
    pub known: Vec<String>,
}
