//! Reads what anyclaude recorded.
pub mod time;
