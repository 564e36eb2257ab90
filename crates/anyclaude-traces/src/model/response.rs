//! Facts from a recorded response.

use serde::{Deserialize, Serialize};

/// Facts from the response. Recorded in mode `claude` only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Response {
    /// The HTTP status.
    pub status: Option<u64>,
    /// Tokens of the prompt that no cache held.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
    /// Tokens of the prompt that were written to a cache.
    pub cache_creation_tokens: Option<u64>,
    /// Tokens of the prompt that came from a cache.
    pub cache_read_tokens: Option<u64>,
    /// Why the answer ended.
    pub stop_reason: Option<String>,
    /// How many tools the answer calls, server tools included; `None` where the body cannot be
    /// parsed, for example because it is compressed.
    pub tool_calls: Option<u64>,
}
