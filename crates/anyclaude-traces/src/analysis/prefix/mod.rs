//! What of each prompt a prefix cache could reuse, and what broke it.
//!
//! The cache is simulated by [`prompt_cache`](crate::prompt_cache). Where a request
//! finds less than an earlier one left, the first difference is named and recognised,
//! and what is read again because of it is counted.
//!
//! `row` has what the simulation says of one request; `cause` recognises what changed (in a
//! history by `history`, in a line by `volatile`), and `opening` what keeps new conversations
//! from beginning with what is held. `cache_breaks` groups the breaks, `report` sums up, and
//! `forecast` says what is expected of requests that are still being read.

mod cache_breaks;
mod cause;
mod excerpt;
mod forecast;
mod history;
mod opening;
mod report;
mod row;
mod volatile;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

pub(crate) use cache_breaks::most_per_session;
pub use cache_breaks::{Breaker, Evictions};
pub use cause::{Cause, ToolsDifference};
pub use forecast::Forecast;
pub(crate) use report::Rows;
pub use report::prefix;
pub use volatile::Volatile;

use crate::analysis::context_window::ContextReport;
use crate::analysis::tool_cost::ToolCosts;
use crate::error::Skipped;
use crate::formats::body::ElementPath;
use crate::model::request::{Kind, Request, RequestId, TracePath};
use crate::model::scope::Scope;
use crate::model::stats::float;
use crate::model::time::Timestamp;
use crate::model::timing::CachedSource;
use crate::model::{Amount, ModelSpeeds};
pub use crate::prompt_cache::{ElementTexts, Fetch, Order, PrefixVisitor, Prompts, SimulatedCache, View};

/// What the figures do not say.
pub const UPPER_BOUND: &str =
    "Reusable is an upper bound: templates, hybrid caches and restarts can lose more";

/// A request that passed through the cache.
#[derive(Debug, Clone, Copy)]
pub struct CacheInput<'a> {
    /// The request.
    pub request: &'a Request,
    /// Whether it gets a row and counts in the totals; the others only leave in
    /// the cache what they do.
    pub reported: bool,
}

/// What [`prefix`] looks at, beside the simulation.
#[derive(Debug)]
#[non_exhaustive]
pub struct PrefixInput<'a> {
    /// Which requests it is about.
    pub scope: Scope,
    /// The requests that were simulated, in the same order.
    pub requests: &'a [CacheInput<'a>],
    /// How fast each model is.
    pub speeds: Vec<ModelSpeeds>,
    /// What the tools cost.
    pub tool_costs: Option<ToolCosts>,
    /// How much of a context window each thread takes.
    pub context: Option<ContextReport>,
    /// Whether to quote what was and what is around each first difference.
    pub text: bool,
    /// The files that could not be used.
    pub skipped: Vec<Skipped>,
}

impl<'a> PrefixInput<'a> {
    /// Of requests alone.
    #[must_use]
    pub fn new(scope: Scope, requests: &'a [CacheInput<'a>]) -> Self {
        let (tool_costs, context) = (None, None);
        Self { scope, requests, speeds: Vec::new(), tool_costs, context, text: false, skipped: Vec::new() }
    }
}

/// What [`prefix`] finds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PrefixReport {
    /// Which requests it is about.
    pub scope: Scope,
    /// The order of the prompt.
    pub order: Order,
    /// What the backend is taken to have got.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub view: View,
    /// How many prompts the cache holds.
    pub slots: u64,
    /// The cache that was simulated.
    pub cache: SimulatedCache,
    /// How many requests passed through the cache, those reported among them.
    pub simulated: u64,
    /// The requests, in order of time.
    pub requests: Vec<PrefixRequest>,
    /// All of them in one.
    pub totals: PrefixTotals,
    /// The same with a cache of one slot.
    pub totals_one_slot: PrefixTotals,
    /// What broke prefixes, the costliest first.
    pub breakers: Vec<Breaker>,
    /// What the lack of slots cost.
    pub evictions: Vec<Evictions>,
    /// The same with a cache of one slot.
    pub evictions_one_slot: Vec<Evictions>,
    /// How fast each model reads and writes.
    pub speeds: Vec<ModelSpeeds>,
    /// What the tools cost, where their tokens were counted.
    pub price_list: Option<ToolCosts>,
    /// How much of a context window each thread takes, where a window was given.
    pub context: Option<ContextReport>,
    /// The files that could not be used.
    pub skipped: Vec<Skipped>,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PrefixRequest {
    /// The trace file.
    pub path: TracePath,
    /// The short name of the request.
    pub id: RequestId,
    /// When it was recorded.
    pub timestamp: Option<Timestamp>,
    /// What sort of request it is.
    pub kind: Kind,
    /// The model that ran.
    pub model: Option<Arc<str>>,
    /// Its session.
    pub session: Option<Arc<str>>,
    /// Its thread.
    pub thread: Option<Arc<str>>,
    /// The bytes of its elements.
    pub prompt_bytes: u64,
    /// Of these, what the cache still held.
    pub reusable_bytes: u64,
    /// The same for a cache of one slot.
    pub reusable_bytes_one_slot: u64,
    /// The request whose sequence that is; `None` where nothing is reusable.
    pub reused_from: Option<TracePath>,
    /// Where the two sequences differ; `None` where the request only appended.
    #[serde(rename = "break")]
    pub break_: Option<Box<Break>>,
    /// What stands behind the first difference and stood in an earlier request of the
    /// conversation too: what is read again.
    pub lost_bytes: u64,
    /// The same in tokens of this prompt.
    pub lost_tokens: Amount,
    /// Tokens that came from the cache, as the backend counted them where it did.
    pub cached_tokens: Amount,
    /// Where [`cached_tokens`](Self::cached_tokens) comes from.
    pub cached_source: Option<CachedSource>,
    /// The tokens that had to be read: those of the prompt less
    /// [`cached_tokens`](Self::cached_tokens), else by the share of its bytes.
    pub new_tokens: Amount,
    /// The time to first token that was logged.
    pub ttft_ms: Amount,
    /// How long these take to read, by [`PrefixReport::speeds`].
    pub expected_ttft_ms: Amount,
}

/// What the simulated cache says of one prompt, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedPrompt {
    /// The bytes of its elements.
    pub prompt_bytes: u64,
    /// Of these, what the cache still held.
    pub reusable_bytes: u64,
    /// The same for a cache of one slot.
    pub reusable_bytes_one_slot: u64,
    /// Where it differs from what was held; `None` where the request only appended.
    pub broken: Option<Box<Break>>,
    /// What it appended that some servers do not leave as it is.
    pub adds: Option<Addition>,
}

/// What a prompt appends that may change what a server makes of all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Addition {
    /// A message of the role `system`: some servers move it to the front.
    SystemMessage,
    /// The user writes again: some templates drop the thinking before that.
    UserText,
}

impl CachedPrompt {
    /// What a row says.
    #[must_use]
    pub fn of(row: &PrefixRequest) -> Self {
        Self {
            prompt_bytes: row.prompt_bytes,
            reusable_bytes: row.reusable_bytes,
            reusable_bytes_one_slot: row.reusable_bytes_one_slot,
            broken: row.break_.clone(),
            adds: None,
        }
    }
}

/// The first difference between a request and the sequence that it is compared
/// with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Break {
    /// Where it is.
    pub element: ElementName,
    /// What happened there.
    pub cause: Cause,
    /// The bytes that both share inside the element.
    pub common_bytes: u64,
    /// What sort of line changed, where it is one that often does.
    pub volatile: Option<Volatile>,
    /// How the tools differ, where they do.
    pub tools: Option<ToolsDifference>,
    /// What is read again because of it; as of the request.
    pub lost_bytes: u64,
    /// The same in tokens of this prompt.
    pub lost_tokens: Option<u64>,
    /// The time that this took, by [`PrefixReport::speeds`].
    pub lost_ms: Option<u64>,
    /// The request that took the slot, where the cause is that.
    pub evicted_by: Option<TracePath>,
    /// What stood there in the other sequence, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What stands there now, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
}

/// Bytes over several requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PrefixTotals"))]
#[non_exhaustive]
pub struct PrefixTotals {
    /// Of all prompts.
    pub prompt_bytes: u64,
    /// Of these, what the cache held.
    pub reusable_bytes: u64,
    /// The share of it, as a fraction; `None` where there is no prompt.
    pub ratio: Option<f64>,
}

impl PrefixTotals {
    fn add(&mut self, prompt_bytes: u64, reusable_bytes: u64) {
        self.prompt_bytes += prompt_bytes;
        self.reusable_bytes += reusable_bytes;
        let ratio = float(self.reusable_bytes) / float(self.prompt_bytes);
        self.ratio = (self.prompt_bytes > 0).then_some(ratio);
    }

    /// What had to be read.
    #[must_use]
    pub fn new_bytes(&self) -> u64 {
        self.prompt_bytes - self.reusable_bytes
    }
}

/// The place of an element as it is written: `system[0]`, `tools[12]`,
/// `messages[3].content[1]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementName(pub ElementPath);

impl fmt::Display for ElementName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ElementPath::System(at) => write!(f, "system[{at}]"),
            ElementPath::Tool(at) => write!(f, "tools[{at}]"),
            ElementPath::Block { message, block } => write!(f, "messages[{message}].content[{block}]"),
        }
    }
}

impl Serialize for ElementName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_and_what_is_new_is_the_rest() {
        let mut totals = PrefixTotals::default();
        assert_eq!((totals.ratio, totals.new_bytes()), (None, 0));
        totals.add(3_000, 1_000);
        totals.add(1_000, 0);
        assert_eq!((totals.prompt_bytes, totals.reusable_bytes, totals.new_bytes()), (4_000, 1_000, 3_000));
        assert_eq!(totals.ratio, Some(0.25));
    }
}
