//! Requests → the answer to "what was there": all of them, and what was skipped.

use serde::Serialize;

use crate::error::Skipped;
use crate::model::request::Request;
use crate::model::scope::Scope;

/// Requests, and the files of which there are none.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RequestList<'a> {
    /// Which requests it is about.
    pub scope: Scope,
    /// The requests, in order of time, then path.
    pub requests: &'a [Request],
    /// The files that could not be used.
    pub skipped: Vec<Skipped>,
}

impl<'a> RequestList<'a> {
    /// A list of these requests.
    ///
    /// ```
    /// use anyclaude_traces::analysis::list::RequestList;
    /// use anyclaude_traces::model::scope::{KindFilter, Scope};
    ///
    /// # use anyclaude_traces::Kind;
    /// # use anyclaude_traces::Recording;
    /// # use anyclaude_traces::Request;
    /// # use anyclaude_traces::Store;
    /// # let recording = Recording::read(&Store::default(), ["../../testdata/home/.anyclaude/traces"]);
    /// let scope = Scope::new(None, None, KindFilter::All, recording.requests.len() as u64);
    /// let skipped = recording.skipped.iter().map(Into::into).collect();
    /// let json = serde_json::to_value(RequestList::new(scope, &recording.requests, skipped))?;
    /// assert!(json["requests"][0]["body_bytes"].is_u64());
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn new(scope: Scope, requests: &'a [Request], skipped: Vec<Skipped>) -> Self {
        Self { scope, requests, skipped }
    }
}
