//! What was found, as values. `prose` has the words.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::analysis::prefix::{Addition, Cause, ElementName, ToolsDifference, Volatile};
use crate::model::time::Timestamp;

/// What was found. Serialised as one sentence with figures.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Evidence {
    /// A sentence that was read back from JSON.
    Text(String),
    /// The proxy takes a large share of the time.
    ProxySlow {
        /// The model.
        model: Option<Arc<str>>,
        /// How many requests have times of the proxy.
        requests: u64,
        /// The proxy's median time.
        proxy_ms: u64,
        /// The median of the whole time.
        wall_ms: u64,
        /// Requests whose history the proxy cut.
        truncated: u64,
        /// Requests whose tools or system prompt the proxy changed.
        edited: u64,
    },
    /// The same prompts took longer at a higher debug level.
    DebugLogging {
        /// The lower level.
        low: u8,
        /// The higher level.
        high: u8,
        /// How many prompts ran at both.
        pairs: u64,
        /// The median difference.
        delta_ms: u64,
        /// How many requests ran at the higher level.
        requests: u64,
    },
    /// Requests waited for the model to be loaded.
    ModelLoad {
        /// The model.
        model: Option<Arc<str>>,
        /// How many requests waited for a load, by what came before it.
        reasons: Vec<(LoadReason, u64)>,
        /// How long they waited.
        load_ms: u64,
        /// What had to be read again because the load emptied the cache.
        again_tokens: u64,
    },
    /// Two models took turns.
    ModelSwap {
        /// The model that was loaded again.
        model: Option<Arc<str>>,
        /// The models that had answered in between.
        others: Vec<Arc<str>>,
        /// How many times.
        loads: u64,
        /// How long requests waited for it.
        load_ms: u64,
        /// What had to be read again because the cache was gone.
        again_tokens: u64,
    },
    /// Requests waited for others.
    Queueing {
        /// The model.
        model: Option<Arc<str>>,
        /// How many waited.
        requests: u64,
        /// How many there were.
        of: u64,
        /// How long they waited.
        queue_ms: u64,
        /// How many were in the backend at a time, at most.
        most_at_once: u64,
    },
    /// The same wait comes before every answer.
    ConstantWait {
        /// The model.
        model: Option<Arc<str>>,
        /// Before how many answers.
        requests: u64,
        /// How many there were.
        of: u64,
        /// How long it is, the median.
        each_ms: u64,
        /// How many of them came right after another model had answered in the same backend.
        after_others: u64,
    },
    /// The backend reuses nothing.
    ReadsAll {
        /// The model.
        model: Option<Arc<str>>,
        /// How many requests repeated half of an earlier prompt or more.
        requests: u64,
        /// How many there were.
        of: u64,
        /// What could have been reused of them.
        tokens: u64,
        /// How fast the model reads.
        tokens_per_second: Option<f64>,
        /// What each lost, in the mean.
        each_ms: Option<u64>,
    },
    /// Single requests took as long as reading all of their prompt takes.
    ReadsWhole {
        /// The model.
        model: Option<Arc<str>>,
        /// How many requests.
        requests: u64,
        /// How many there were.
        of: u64,
        /// What could have been reused of them.
        tokens: u64,
        /// What each lost, in the mean.
        each_ms: Option<u64>,
        /// Each came so many minutes after the request before it, or more; `None` where
        /// not all came after a pause.
        idle_minutes: Option<u64>,
    },
    /// The backend reuses less than half of what it could.
    ReusesLittle {
        /// The model.
        model: Option<Arc<str>>,
        /// How many requests.
        requests: u64,
        /// What it says it took from its cache.
        cached_tokens: u64,
        /// What it could have taken.
        reusable_tokens: u64,
        /// Each came so many minutes after the request before it, or more; `None` where
        /// not all came after a pause.
        idle_minutes: Option<u64>,
        /// What all of them append, and none of those that the cache did serve.
        adds: Option<Addition>,
    },
    /// Something changed early in the prompt.
    CacheBroken {
        /// What.
        cause: Cause,
        /// What sort of line changed, where it is one that often does.
        volatile: Option<Volatile>,
        /// Where, in the request that lost most.
        element: ElementName,
        /// How the tools differ, where they do.
        tools: Option<ToolsDifference>,
        /// How many requests it broke.
        requests: u64,
        /// How many requests of the model there were.
        of: u64,
        /// What had to be read again, in all of them.
        tokens: u64,
        /// The time that the summaries before it took, where it is compaction.
        summary_ms: Option<u64>,
    },
    /// Other conversations took the slots.
    Evicted {
        /// The model.
        model: Option<Arc<str>>,
        /// How many requests found their sequence gone.
        requests: u64,
        /// What they had to read again.
        tokens: u64,
        /// How many slots were simulated; `None` where that is unknown.
        slots: Option<u64>,
    },
    /// A backend with one slot and no cache in main memory would have read as much: it is
    /// not known whether that is so.
    EvictedByOneSlot {
        /// The model.
        model: Option<Arc<str>>,
        /// How many requests would have found their sequence gone.
        requests: u64,
        /// What they had to read again.
        tokens: u64,
    },
    /// New conversations begin with a volatile piece.
    VolatileOpening {
        /// What sort of piece it is, where it is known.
        volatile: Option<Volatile>,
        /// Where it stands.
        element: ElementName,
        /// How many conversations began so.
        requests: u64,
        /// What had to be read again.
        tokens: u64,
    },
    /// The proxy cut the history.
    HistoryTruncated {
        /// How many requests.
        requests: u64,
        /// How many messages it dropped of the last of them.
        removed_messages: Option<u64>,
        /// The limit that it believes in.
        limit_tokens: Option<u64>,
        /// The largest prompt before that, by its own count.
        largest_tokens: Option<u64>,
        /// What had to be read again because the histories began elsewhere.
        tokens: u64,
    },
    /// Prompts do not fit.
    ContextOverflow {
        /// The model.
        model: Option<Arc<str>>,
        /// How many requests.
        requests: u64,
        /// How many there were.
        of: u64,
        /// What tells.
        sign: OverflowSign,
        /// The largest prompt.
        needed_tokens: Option<u64>,
        /// What fits.
        context_tokens: Option<u64>,
    },
    /// Tools of servers that nobody called.
    ToolsUnused {
        /// The servers, the largest first.
        servers: Vec<Server>,
        /// How many tools they offer.
        tools: u64,
        /// What these take of the median request.
        tokens: u64,
        /// How many built-in tools nobody called, …
        built_in: u64,
        /// … and what these take.
        built_in_tokens: u64,
        /// In how many sessions they were not called.
        sessions: u64,
        /// What one cold read of the servers' tools takes.
        cold_ms: Option<u64>,
        /// How many cold reads there were.
        cold_reads: u64,
        /// How many requests found them in the cache.
        warm_reads: u64,
    },
    /// Most of the output is thinking.
    Thinking {
        /// The model.
        model: Option<Arc<str>>,
        /// Of how many requests.
        requests: u64,
        /// Tokens of thinking.
        thinking_tokens: u64,
        /// All tokens of their answers.
        output_tokens: u64,
    },
    /// Answers stood still.
    Stalls {
        /// The model.
        model: Option<Arc<str>>,
        /// How long each, and when its request began, the longest first.
        stalls: Vec<(u64, Option<Timestamp>)>,
        /// How many requests there were.
        of: u64,
        /// How many of them shared the backend with another request.
        overlapped: u64,
    },
    /// Somebody left before the answer was there.
    GivenUp {
        /// The model.
        model: Option<Arc<str>>,
        /// How many the client left.
        by_client: u64,
        /// How many the proxy's time limit ended.
        by_time_limit: u64,
        /// How many of them the client sent again.
        sent_again: u64,
        /// How long the longest was waited for.
        longest_ms: Option<u64>,
    },
    /// Requests were sent again.
    Retried {
        /// The model.
        model: Option<Arc<str>>,
        /// How many tries brought no answer.
        tries: u64,
        /// How many bodies these were.
        bodies: u64,
        /// How long the client waited until it sent again: the median.
        pause_ms: Option<u64>,
        /// The longest of the tries that no other finding accounts for.
        longest_ms: Option<u64>,
    },
    /// Requests failed.
    Failed {
        /// The model.
        model: Option<Arc<str>>,
        /// How many.
        requests: u64,
        /// How many there were.
        of: u64,
        /// The words of the error.
        error: Option<String>,
    },
    /// A token count took a generation.
    Counting {
        /// The model.
        model: Option<Arc<str>>,
        /// How many.
        requests: u64,
        /// The median time of one.
        median_ms: u64,
    },
    /// A conversation is compacted again and again.
    CompactionLoop {
        /// How many continuations.
        continuations: u64,
        /// After how many turns each, at most.
        within_turns: u64,
        /// What they had to read.
        tokens: Option<u64>,
        /// How long that took.
        read_ms: Option<u64>,
        /// How long the summaries took.
        summary_ms: Option<u64>,
    },
    /// Token counts that cannot be true.
    UsageImplausible {
        /// The model.
        model: Option<Arc<str>>,
        /// How many requests.
        requests: u64,
        /// How many there were.
        of: u64,
        /// The largest count, …
        tokens: u64,
        /// … and the size of that prompt.
        body_bytes: Option<u64>,
    },
}

/// Why a model had to be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LoadReason {
    /// It was the first request of a process.
    ProcessStart,
    /// It was the first request of a recording that no proxy made.
    FirstRecorded,
    /// Nothing had been asked for so many minutes.
    Idle {
        /// Whole minutes.
        minutes: u64,
    },
    /// Another model had answered.
    OtherModel,
    /// The request before it had failed.
    Failure,
    /// Nothing tells.
    Unknown,
}

/// What tells that prompts do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverflowSign {
    /// The backend refused them.
    Refused,
    /// Its log says that it dropped tokens.
    Dropped,
    /// Its count of prompt tokens stays where it is while prompts grow.
    StoppedGrowing,
}

/// An MCP server that no conversation called.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Server {
    /// Its name.
    pub name: String,
    /// How many tools it offers.
    pub tools: u64,
    /// What they take.
    pub tokens: u64,
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
