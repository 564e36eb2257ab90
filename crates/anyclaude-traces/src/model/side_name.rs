//! One side of a comparison, by name.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::request::{Request, RequestId, TracePath};
use crate::model::time::Timestamp;

/// A side's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SideName {
    /// How the user named it.
    pub selector: String,
    /// How many requests it has.
    pub requests: u64,
    /// The file of its only request; `None` for a group.
    pub path: Option<TracePath>,
    /// The time of its only request; `None` for a group.
    pub timestamp: Option<Timestamp>,
    /// The request whose system prompt and parameters stand for the side: the newest.
    pub newest: Option<RequestId>,
    /// When that was recorded.
    pub newest_timestamp: Option<Timestamp>,
    /// The model that ran, where it is known and the same for all.
    pub model: Option<Arc<str>>,
}

impl SideName {
    /// The name of a side with these requests.
    pub(crate) fn of(selector: &str, requests: &[&Request]) -> Self {
        let mut models = requests.iter().map(|request| &request.model);
        let model =
            models.next().cloned().flatten().filter(|first| models.all(|m| m.as_ref() == Some(first)));
        let only = match requests {
            [only] => Some(only),
            _ => None,
        };
        Self {
            selector: selector.to_owned(),
            requests: requests.len() as u64,
            path: only.map(|request| request.path.clone()),
            timestamp: only.and_then(|request| request.timestamp),
            newest: requests.last().map(|newest| newest.id),
            newest_timestamp: requests.last().and_then(|newest| newest.timestamp),
            model,
        }
    }
}
