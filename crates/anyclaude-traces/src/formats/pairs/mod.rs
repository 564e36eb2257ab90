//! Recorders that write requests and their answers as pairs. Each format is a file that finds
//! both in its records, and the times; what follows from them is common to all (`exchange`).

mod claude_code_router;
mod claude_tap;
mod claude_tap_bundle;
mod claude_trace;
mod exchange;
mod har;
mod lines;
mod litellm;
mod survey;
mod value;

pub(crate) use claude_code_router::ClaudeCodeRouter;
pub(crate) use claude_tap::ClaudeTap;
pub(crate) use claude_tap_bundle::{ClaudeTapBundle, ClaudeTapFlat};
pub(crate) use claude_trace::ClaudeTrace;
pub(crate) use har::Har;
pub(crate) use litellm::Litellm;

#[cfg(test)]
mod tests;
