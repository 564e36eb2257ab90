//! What the rules are given.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::analysis::prefix::PrefixRequest;
use crate::analysis::tool_cost::ToolCosts;
use crate::model::request::{Request, TracePath};
use crate::model::{Identity, Speeds};

/// What the rules look at. Whatever is missing silences the rules that need it.
#[derive(Debug, Default)]
pub struct FindingsInput<'a> {
    /// The requests of every kind that the backend saw, in order of time, with the
    /// parts of their times.
    pub requests: Vec<&'a Request>,
    /// What the simulated prompt cache says of them.
    pub prefix: &'a [PrefixRequest],
    /// The speeds of each model, by [`Request::model_group`].
    pub speeds: BTreeMap<Option<Arc<str>>, Speeds>,
    /// What each body asks, but for the model: equal where the same was sent again.
    pub bodies: HashMap<TracePath, Identity>,
    /// How many of each answer's tokens were thinking; missing where nothing tells.
    pub thinking_tokens: HashMap<TracePath, u64>,
    /// What the tools cost, and which of them were called.
    pub tool_costs: Option<&'a ToolCosts>,
    /// What the prompt cache would do with other numbers of slots, fewest first.
    pub slots: Vec<SlotOutcome>,
}

/// What a prompt cache with so many slots would do with one model's requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotOutcome {
    /// The model, by [`Request::model_group`].
    pub model: Option<Arc<str>>,
    /// How many slots it has.
    pub slots: u64,
    /// How many requests find that another conversation took their slot.
    pub evicted_requests: u64,
    /// What these have to read again.
    pub lost_tokens: u64,
    /// How long requests wait for a slot; `None` where that is unknown.
    pub queue_ms: Option<u64>,
}
