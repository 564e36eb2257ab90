//! Reads what anyclaude recorded.
pub mod error;
pub mod time;
pub mod trace;
