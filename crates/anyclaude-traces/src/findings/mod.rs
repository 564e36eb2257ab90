//! What costs time here, and what to do: one file for each rule.
//!
//! A finding is a value, not a sentence: what was found ([`Evidence`]), what it cost,
//! and what to do about it ([`Advice`]).
//!
//! The way of the data: [`FindingsInput`] (`input`) is what other rooms found out about the
//! requests; `scene` puts it together for each request and answers what several rules ask;
//! `claims` decides which rule a request's time belongs to where several could claim it; then
//! [`find`] lets every `Rule` of `RULES` check the scene, drops what is refuted, and sorts.
//!
//! What a rule found is a value with exactly the figures of its sentence: its type and its
//! sentence stand below the rule, in the same file, and [`Evidence`] lists all of them. What to do
//! is shared by rules: `remedy` has the values, `advice` the sentences. `words` has what sentences
//! are made of: figures, counted nouns, names.
//!
//! Three rules of conduct hold for all of them. Nothing is said that a row of the same
//! output refutes: each rule names what would, and a cost is never more than the time
//! that its requests took. Advice is given only where a simulation or the cost model
//! shows a gain. And the time of a failed request is claimed once, by the first of
//! `given_up`, `context_overflow`, `failed` and `retried`.

mod advice;
mod cache_broken;
mod cache_unused;
mod claims;
mod compaction_loop;
mod constant_wait;
mod context_overflow;
mod counting;
mod debug_logging;
#[cfg(test)]
mod edges;
mod evicted;
mod evidence;
mod failed;
mod given_up;
mod history_truncated;
mod input;
#[cfg(test)]
mod laws;
mod model_load;
mod model_swap;
mod proxy_slow;
mod queueing;
mod remedy;
mod retried;
mod scene;
#[cfg(test)]
mod sentences;
mod served_before;
mod stalls;
#[cfg(test)]
mod testing;
mod thinking;
mod tools_unused;
mod usage_implausible;
mod volatile_opening;
mod words;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use cache_broken::{CacheBreaks, PromptChange};
pub use cache_unused::{ReadsAll, ReadsWhole, RepeatedReading, ReusesLittle};
pub use compaction_loop::RepeatedCompaction;
pub use constant_wait::ConstantWaits;
pub use context_overflow::{ContextOverflows, OverflowSign};
pub use counting::CountingRequests;
pub use debug_logging::SlowLogging;
pub use evicted::{Evictions, EvictionsByOneSlot};
pub use evidence::Evidence;
pub use failed::FailedRequests;
pub use given_up::GivenUpRequests;
pub use history_truncated::TruncatedHistories;
pub use input::{FindingsInput, MoreSlots};
pub use model_load::{LoadReason, ModelLoads};
pub use model_swap::ModelSwaps;
pub use proxy_slow::SlowProxy;
pub use queueing::QueuedRequests;
pub use remedy::{Advice, ErrorRemedy, NamedServer, Setting, SettingValue};
pub use retried::RetriedRequests;
pub use stalls::{Stall, StalledAnswers};
pub use thinking::ThinkingShare;
pub use tools_unused::{Server, ToolReading, UnusedTools};
pub use usage_implausible::ImplausibleUsage;
pub use volatile_opening::VolatileOpenings;

use crate::analysis::prefix::Cause;
use crate::model::request::TracePath;
use scene::Scene;

/// One thing that costs time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Finding {
    /// Which rule found it.
    pub kind: FindingKind,
    /// What broke the prompt cache; `None` but for kind `cache_broken`.
    pub cause: Option<Cause>,
    /// The model whose requests it is about; `None` where it is unknown, or several.
    pub model: Option<Arc<str>>,
    /// These requests, in order of time.
    pub requests: Vec<TracePath>,
    /// Milliseconds that would have been saved over all of them; `None` where that is unknown.
    pub cost_ms: Option<u64>,
    /// What the cost rests on; `None` without a cost.
    pub cost_basis: Option<CostBasis>,
    /// What was found, in one sentence with figures.
    pub evidence: Evidence,
    /// What to do, in one sentence; `None` where nothing is known to help.
    pub advice: Option<Advice>,
    /// Settings to paste, where they are known to be right and complete.
    pub settings: Option<Vec<Setting>>,
}

/// The rules, by the name of what they find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// Something changed early in the prompt, and what follows was read again.
    CacheBroken,
    /// The backend reads prompts again that its cache could have held.
    CacheUnused,
    /// A conversation is compacted again and again.
    CompactionLoop,
    /// The same wait comes before every answer, whatever there is to read.
    ConstantWait,
    /// Prompts do not fit into the context that the model was loaded with.
    ContextOverflow,
    /// Requests that only ask for a token count are answered by a full generation.
    Counting,
    /// A higher debug level makes the proxy slower.
    DebugLogging,
    /// Other conversations took the cache's slots.
    Evicted,
    /// Requests failed.
    Failed,
    /// The client, or the proxy's time limit, left before the answer was there.
    GivenUp,
    /// The proxy cut the history.
    HistoryTruncated,
    /// A request waited until the model was loaded.
    ModelLoad,
    /// Two models take turns in a backend that holds one.
    ModelSwap,
    /// The proxy's own work takes a large share of the time.
    ProxySlow,
    /// Requests waited for others in the backend.
    Queueing,
    /// Requests were sent again after a failure.
    Retried,
    /// Answers stood still.
    Stalls,
    /// Most of the output is thinking.
    Thinking,
    /// Tools that no conversation called.
    ToolsUnused,
    /// Token counts that cannot be true.
    UsageImplausible,
    /// A short piece near the beginning is another in each conversation.
    VolatileOpening,
}

/// What a cost rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CostBasis {
    /// Times that a log holds.
    Measured,
    /// Tokens of which the backend's own counts tell × the model's fitted speed.
    Fitted,
    /// Estimated tokens × the model's fitted speed.
    Estimated,
}

/// What a rule says of a scene.
#[derive(Debug, Clone, PartialEq)]
enum RuleCheck {
    /// Enough is known to tell that there is nothing to find.
    Ok,
    /// What it found; never empty.
    Found(Vec<Finding>),
    /// Too little is known to tell.
    NotEnoughData,
}

impl RuleCheck {
    /// The result of a rule that knew enough, and found these.
    fn of(found: Vec<Finding>) -> Self {
        if found.is_empty() { Self::Ok } else { Self::Found(found) }
    }
}

/// One rule.
trait Rule: Sync {
    /// The kind of its findings.
    fn kind(&self) -> FindingKind;

    /// Looks for what costs time, most often once for each model.
    fn check(&self, scene: &Scene<'_>) -> RuleCheck;

    /// Whether something else that is known of these requests speaks against one of its own
    /// findings. Rules that only repeat lines of a log need not refute anything.
    fn is_refuted(&self, _finding: &Finding, _scene: &Scene<'_>) -> bool {
        false
    }
}

/// Every rule, once. A new one is added here, to [`FindingKind`] and to [`Evidence`].
const RULES: [&dyn Rule; 21] = [
    &proxy_slow::ProxySlow,
    &debug_logging::DebugLogging,
    &model_load::ModelLoad,
    &model_swap::ModelSwap,
    &queueing::Queueing,
    &constant_wait::ConstantWait,
    &cache_unused::CacheUnused,
    &cache_broken::CacheBroken,
    &evicted::Evicted,
    &volatile_opening::VolatileOpening,
    &history_truncated::HistoryTruncated,
    &context_overflow::ContextOverflow,
    &tools_unused::ToolsUnused,
    &thinking::Thinking,
    &stalls::Stalls,
    &given_up::GivenUp,
    &retried::Retried,
    &failed::Failed,
    &counting::Counting,
    &compaction_loop::CompactionLoop,
    &usage_implausible::UsageImplausible,
];

/// What costs time in these requests, the dearest first, then by kind.
///
/// ```
/// use anyclaude_traces::findings::{FindingsInput, find};
///
/// assert!(find(&FindingsInput::default()).is_empty());
/// ```
#[must_use]
pub fn find(input: &FindingsInput<'_>) -> Vec<Finding> {
    let scene = Scene::new(input);
    let mut findings = Vec::new();
    for rule in RULES {
        let RuleCheck::Found(found) = rule.check(&scene) else { continue };
        debug_assert!(found.iter().all(|finding| finding.kind == rule.kind()));
        let stands = |finding: &Finding| !scene.took_less_than(finding) && !rule.is_refuted(finding, &scene);
        findings.extend(found.into_iter().filter(stands));
    }
    findings.sort_by(|a, b| {
        let order = |finding: &Finding| (finding.kind, finding.cause, finding.model.clone());
        b.cost_ms.cmp(&a.cost_ms).then_with(|| order(a).cmp(&order(b)))
    });
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_rule_is_listed_once() {
        let kinds: HashSet<FindingKind> = RULES.iter().map(|rule| rule.kind()).collect();
        assert_eq!(kinds.len(), RULES.len());
    }

    #[test]
    fn kinds_are_in_the_order_of_their_names() {
        let mut kinds: Vec<FindingKind> = RULES.iter().map(|rule| rule.kind()).collect();
        kinds.sort();
        let names: Vec<String> = kinds.iter().map(|kind| serde_json::to_string(kind).unwrap()).collect();
        assert!(names.is_sorted(), "{names:?}");
    }
}
