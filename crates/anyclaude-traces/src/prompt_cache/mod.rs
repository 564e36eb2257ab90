//! Requests → what a backend's prompt cache could reuse of each.
//!
//! A backend that keeps the processed prompt in a cache reads again only what comes
//! after the first difference. The prompt is the sequence of its elements: system
//! blocks, tools, content blocks of messages. An element is its compact JSON without
//! `cache_control`; a string is the text block that it is one form of, and counts as
//! many bytes, as Claude Code sends one message now as a string and now as a block.
//! Elements are equal when their bytes are, and for the blocks of messages the role too.
//!
//! The way of the data: [`PrefixVisitor`] (`observe`) sees the elements of a record while it is
//! parsed; [`Prompts`] interns them (`lists` of system blocks and tools, a `tree` of histories);
//! a [`View`] says what the proxy makes of a prompt, and `viewer` does it; `compare` finds how far
//! two prompts are the same; `conversation` tells which requests are turns of one conversation;
//! and [`simulate`] lets all of them pass through a cache with some slots for each model
//! (`slots`). What it finds is an upper bound: templates, hybrid caches and restarts can lose
//! more. `tokens` turns its bytes into tokens, and `by_times` finds out by times whether the
//! backend holds more than one prompt.

pub(crate) mod by_times;
mod collate;
pub(crate) mod compare;
pub(crate) mod conversation;
mod element_text;
pub(crate) mod ids;
mod lists;
pub(crate) mod observe;
mod prompts;
mod recorded;
mod simulate;
pub(crate) mod slots;
mod texts;
mod tokens;
mod tree;
mod view;
pub(crate) mod viewer;

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

pub use element_text::ElementTexts;
pub use observe::PrefixVisitor;
pub(crate) use prompts::ElementInfo;
pub use prompts::Prompts;
pub(crate) use recorded::PromptParts;
pub(crate) use simulate::{Changed, simulate_changed, simulate_reuse};
pub use simulate::{SimulatedSteps, Simulation, SlotOutcome, simulate};
pub use texts::Fetch;
pub use tokens::{AnswerTokens, cached_tokens};
pub(crate) use tokens::{answer_tokens, simulated_tokens};
pub use view::{UnknownEdit, View};

/// In which order the model's chat template puts the prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The system prompt, then the tools: Qwen2.5 and 3, Llama, gpt-oss, most.
    #[default]
    SystemFirst,
    /// The tools, then the system prompt: GLM-4.6, Kimi, Qwen3.5, Cohere.
    ToolsFirst,
}

/// How the cache is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheOptions {
    /// The order of the prompt.
    pub order: Order,
    /// What the backend got. `None`: as the log, the version and the reported
    /// counts of cached tokens tell.
    pub view: Option<View>,
    /// How many prompts the cache holds.
    pub slots: NonZeroUsize,
    /// Whether main memory keeps what leaves a slot. `None`: as the reported counts of cached
    /// tokens tell, or, without any, `true`. With `None` and the default number of slots, the
    /// cache has one slot and no main memory if the counts, or without any the times, prove that
    /// the backend holds one prompt only.
    pub ram: Option<bool>,
}

impl Default for CacheOptions {
    fn default() -> Self {
        // LM Studio's default.
        let slots = NonZeroUsize::MIN.saturating_add(3);
        Self { order: Order::default(), view: None, slots, ram: None }
    }
}

impl CacheOptions {
    /// Whether the size of the cache is left to what the recording tells.
    fn is_open(&self) -> bool {
        self.ram.is_none() && self.slots == Self::default().slots
    }
}

/// The cache that was simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SimulatedCache {
    /// How many prompts it holds.
    pub slots: u64,
    /// Whether main memory keeps what leaves a slot.
    pub ram: bool,
}
