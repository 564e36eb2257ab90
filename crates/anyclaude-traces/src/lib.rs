//! Reads what anyclaude recorded.
pub mod log;
pub mod time;
