//! What happens in a recording, as values.

use serde::{Deserialize, Serialize};

use crate::analysis::prefix::PrefixRequest;
use crate::error::Skipped;
use crate::findings::Finding;
use crate::model::request::{Request, RequestId};
use crate::model::time::Timestamp;

/// Something that happened. Events of one request come in the order `request`,
/// `keepalive`, `first_token`, and `completed` or `failed`; one that had ended when it was
/// first seen gives its first and its last.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A request was sent.
    Request(Box<Began>),
    /// The proxy told a waiting client that it is still there.
    Keepalive(Keepalive),
    /// The answer begins.
    FirstToken(FirstToken),
    /// A request was answered: the request with the parts of its time.
    Completed(Box<Ended>),
    /// A request ended without an answer: `timing.outcome` and `timing.error` say how. One
    /// whose process recorded nothing of it for 15 minutes has the outcome `unfinished`.
    Failed(Box<Ended>),
    /// Something that costs time showed for the first time.
    Finding(Box<Found>),
    /// A file cannot be used.
    Skipped(Passed),
}

/// A request was sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Began {
    /// When it was recorded.
    pub at: Timestamp,
    /// The request, as far as it is known.
    #[serde(flatten)]
    pub request: Request,
    /// What a prompt cache holds of it; `None` where its prompt was not recorded whole.
    pub prefix: Option<PrefixRequest>,
    /// The tokens that have to be read, as far as earlier requests tell; `None` where the
    /// request was counted already.
    pub expected_read_tokens: Option<u64>,
    /// How long its first token should take: the tokens that have to be read × the time
    /// that this model takes for one. `None` where either is unknown.
    pub expected_ttft_ms: Option<u64>,
}

/// A sign of life while a request waits for its first token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Keepalive {
    /// When it was sent: 10 s after the one before it.
    pub at: Timestamp,
    /// Whose it is.
    pub id: RequestId,
    /// Which of this request's it is, from 1.
    pub n: u64,
    /// How long the request had waited.
    pub waiting_ms: u64,
}

/// The answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FirstToken {
    /// When it came.
    pub at: Timestamp,
    /// Whose it is.
    pub id: RequestId,
    /// The time to first token.
    pub ttft_ms: u64,
}

/// A request has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Ended {
    /// When it ended; where that is not known, when it was last heard of.
    pub at: Timestamp,
    /// The request, with all that is known of it.
    #[serde(flatten)]
    pub request: Request,
}

/// Something that costs time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Found {
    /// When it showed.
    pub at: Timestamp,
    /// What it is.
    #[serde(flatten)]
    pub finding: Finding,
}

/// A file that cannot be used.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Passed {
    /// When that showed.
    pub at: Timestamp,
    /// Which, and why.
    #[serde(flatten)]
    pub skipped: Skipped,
}

impl Event {
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Request(began) => began.at,
            Self::Keepalive(keepalive) => keepalive.at,
            Self::FirstToken(first_token) => first_token.at,
            Self::Completed(ended) | Self::Failed(ended) => ended.at,
            Self::Finding(found) => found.at,
            Self::Skipped(passed) => passed.at,
        }
    }
}
