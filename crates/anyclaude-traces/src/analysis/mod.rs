//! One module for each question: requests, and content where needed → a serialisable result.

pub mod content;
pub mod context_window;
pub mod diff;
pub(crate) mod duration;
pub mod explain;
mod groups;
pub mod list;
pub mod logging_cost;
pub mod not_logged;
pub(crate) mod offered_tools;
pub mod prefix;
pub mod report;
pub mod show;
pub mod summary;
pub mod timing;
pub mod tool_cost;
pub mod tools;
pub mod what_if;
