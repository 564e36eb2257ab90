//! Facts about one request from the proxy's log, besides its times: evidence for the cost
//! model and for findings.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::Amount;

/// Facts from the lines of one request in the debug log. Unknown is `None`, never 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LogFacts {
    /// Prompt tokens that the backend took from its cache, by its own count. A process
    /// in which no request reported more than 0 does not count them: `None` for all of
    /// its requests.
    pub cached_tokens: Amount,
    /// Output tokens that were reasoning, where the usage counts them.
    pub reasoning_tokens: Amount,
    /// Time between stream parts after the first token that is a stall: for each gap
    /// above max(10 s, 20 × the median gap), that gap less the median one. `None` below
    /// debug level 2, and where the parts cannot be told from another request's.
    pub stall_ms: Amount,
    /// How many gaps [`stall_ms`](Self::stall_ms) counts.
    pub stalls: Amount,
    /// Stream parts that carried text, reasoning or tool arguments. `None` like
    /// [`stall_ms`](Self::stall_ms).
    pub text_chunks: Amount,
    /// Those of [`text_chunks`](Self::text_chunks) that carried reasoning.
    pub reasoning_chunks: Amount,
    /// Whether the answer began or went on with reasoning that was streamed. `None` like
    /// [`stall_ms`](Self::stall_ms).
    pub streamed_reasoning: Option<bool>,
    /// How long it occupied the backend, from its start to the line that ended it
    /// (completion, error, time-out, disconnect), else to the last line of its process.
    /// Of several replies in one piece that cannot be told apart: to the line by which
    /// all of them had ended.
    pub backend_ms: Amount,
    /// Keepalives attributed to it so far, whether or not it has an end; 0 below debug
    /// level 2, where none are logged.
    pub keepalives_so_far: u64,
    /// Why the model stopped, in the SDK's words (`stop`, `length`, `tool-calls`).
    pub finish_reason: Option<Arc<str>>,
    /// The proxy cut the history before it sent it.
    pub truncation: Option<Box<Truncation>>,
    /// The proxy's other edits of the request before it sent it, in the order of the log.
    pub edits: Vec<ProxyEdit>,
}

impl LogFacts {
    /// How many messages the proxy says that it removed, where it names no limit for that.
    pub(crate) fn messages_removed(&self) -> Option<u64> {
        self.edits.iter().find_map(|edit| match edit {
            ProxyEdit::MessagesRemoved { messages } => Some(*messages),
            _ => None,
        })
    }
}

/// The proxy dropped old messages because the prompt exceeded the context that it
/// believes the model has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Truncation {
    /// Tokens of the prompt before the cut, by the proxy's own count.
    pub prompt_tokens: Option<u64>,
    /// The limit that it exceeded.
    pub limit_tokens: Option<u64>,
    /// Messages dropped.
    pub removed_messages: Option<u64>,
    /// Messages kept.
    pub kept_messages: Option<u64>,
    /// Tokens of the prompt after the cut, by the proxy's own count.
    pub kept_tokens: Option<u64>,
}

/// One change that the proxy made to a request before it sent it. The trace shows the
/// request without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProxyEdit {
    /// Tools that are not on the allowlist were dropped (`[Tool Allowlist]`).
    ToolsFiltered {
        /// Tools before.
        before: u64,
        /// Tools after.
        after: u64,
    },
    /// Tool descriptions were replaced by short ones (`[Tool Context]`).
    ToolDescriptionsStubbed {
        /// Tools whose descriptions were replaced.
        tools: u64,
    },
    /// The system prompt was shortened (`[Safe Filter]`).
    SystemPromptFiltered {
        /// Tokens before, by the proxy's own count.
        tokens_before: Option<u64>,
        /// Tokens after.
        tokens_after: Option<u64>,
    },
    /// `/no_think` was appended (`[Think Suppression]`).
    ThinkingSuppressed,
    /// Tools were put back into a request that came without (`[Cache Control]`).
    ToolsRestored {
        /// Tools put back.
        tools: u64,
    },
    /// Results of a web search were put in (`[WebSearch]`).
    SearchResultsInjected {
        /// Results put in.
        results: u64,
    },
    /// Server tools were changed (`[Server Tools]`).
    ServerTools,
    /// The request went to a node of a cluster (`[Cluster Routing]`).
    RoutedToNode {
        /// The node's id.
        node: Box<str>,
    },
    /// Old messages were dropped (`[Context] Removed N older messages`).
    MessagesRemoved {
        /// Messages dropped.
        messages: u64,
    },
}
