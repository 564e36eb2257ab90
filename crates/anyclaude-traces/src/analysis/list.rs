//! Requests → the answer to "what was there": all of them, and what was skipped.

use serde::{Deserialize, Serialize};

use crate::error::Skipped;
use crate::model::request::Request;
use crate::model::scope::Scope;

/// Requests, and the files of which there are none.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RequestList {
    /// Which requests it is about.
    pub scope: Scope,
    /// The requests, in order of time, then path.
    pub requests: Vec<Request>,
    /// The files that could not be used.
    pub skipped: Vec<Skipped>,
}
