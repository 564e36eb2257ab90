//! What anyclaude writes: traces, debug logs and request logs.

pub mod log;
pub mod trace;
