//! What was found, as a value: one kind of evidence for each sentence. Its figures and its words
//! stand in the file of the rule that finds it.

use std::fmt::{self, Display, Formatter};

use serde::{Serialize, Serializer};

use super::cache_broken::CacheBreaks;
use super::cache_unused::{ReadsAll, ReadsWhole, ReusesLittle};
use super::compaction_loop::RepeatedCompaction;
use super::constant_wait::ConstantWaits;
use super::context_overflow::ContextOverflows;
use super::counting::CountingRequests;
use super::debug_logging::SlowLogging;
use super::evicted::{Evictions, EvictionsByOneSlot};
use super::failed::FailedRequests;
use super::given_up::GivenUpRequests;
use super::history_truncated::TruncatedHistories;
use super::model_load::ModelLoads;
use super::model_swap::ModelSwaps;
use super::proxy_slow::SlowProxy;
use super::queueing::QueuedRequests;
use super::retried::RetriedRequests;
use super::stalls::StalledAnswers;
use super::thinking::ThinkingShare;
use super::tools_unused::UnusedTools;
use super::usage_implausible::ImplausibleUsage;
use super::volatile_opening::VolatileOpenings;

/// What was found. Serialised as one sentence with figures.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Evidence {
    /// A sentence that was read back from JSON.
    Text(String),
    /// The proxy takes a large share of the time.
    ProxySlow(SlowProxy),
    /// The same prompts took longer at a higher debug level.
    DebugLogging(SlowLogging),
    /// Requests waited for the model to be loaded.
    ModelLoad(ModelLoads),
    /// Two models took turns.
    ModelSwap(ModelSwaps),
    /// Requests waited for others.
    Queueing(QueuedRequests),
    /// The same wait comes before every answer.
    ConstantWait(ConstantWaits),
    /// The backend reuses nothing.
    ReadsAll(ReadsAll),
    /// Single requests took as long as reading all of their prompt takes.
    ReadsWhole(ReadsWhole),
    /// The backend reuses less than half of what it could.
    ReusesLittle(ReusesLittle),
    /// Something changed early in the prompt.
    CacheBroken(CacheBreaks),
    /// Other conversations took the slots.
    Evicted(Evictions),
    /// A backend with one slot and no cache in main memory would have read as much: it is
    /// not known whether that is so.
    EvictedByOneSlot(EvictionsByOneSlot),
    /// New conversations begin with a volatile piece.
    VolatileOpening(VolatileOpenings),
    /// The proxy cut the history.
    HistoryTruncated(TruncatedHistories),
    /// Prompts do not fit.
    ContextOverflow(ContextOverflows),
    /// Tools of servers that nobody called.
    ToolsUnused(UnusedTools),
    /// Most of the output is thinking.
    Thinking(ThinkingShare),
    /// Answers stood still.
    Stalls(StalledAnswers),
    /// Somebody left before the answer was there.
    GivenUp(GivenUpRequests),
    /// Requests were sent again.
    Retried(RetriedRequests),
    /// Requests failed.
    Failed(FailedRequests),
    /// A token count took a generation.
    Counting(CountingRequests),
    /// A conversation is compacted again and again.
    CompactionLoop(RepeatedCompaction),
    /// Token counts that cannot be true.
    UsageImplausible(ImplausibleUsage),
}

impl Display for Evidence {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sentence: &dyn Display = match self {
            Self::Text(text) => text,
            Self::ProxySlow(found) => found,
            Self::DebugLogging(found) => found,
            Self::ModelLoad(found) => found,
            Self::ModelSwap(found) => found,
            Self::Queueing(found) => found,
            Self::ConstantWait(found) => found,
            Self::ReadsAll(found) => found,
            Self::ReadsWhole(found) => found,
            Self::ReusesLittle(found) => found,
            Self::CacheBroken(found) => found,
            Self::Evicted(found) => found,
            Self::EvictedByOneSlot(found) => found,
            Self::VolatileOpening(found) => found,
            Self::HistoryTruncated(found) => found,
            Self::ContextOverflow(found) => found,
            Self::ToolsUnused(found) => found,
            Self::Thinking(found) => found,
            Self::Stalls(found) => found,
            Self::GivenUp(found) => found,
            Self::Retried(found) => found,
            Self::Failed(found) => found,
            Self::Counting(found) => found,
            Self::CompactionLoop(found) => found,
            Self::UsageImplausible(found) => found,
        };
        sentence.fmt(f)
    }
}

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "schema")]
mod schemas {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::Evidence;

    impl JsonSchema for Evidence {
        fn schema_name() -> Cow<'static, str> {
            "FindingEvidence".into()
        }

        fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
            json_schema!({ "description": "What was found, in one sentence with figures", "type": "string" })
        }
    }
}
