//! Reads what anyclaude recorded, and says what is in it.
//!
//! anyclaude is a proxy that lets Claude Code talk to LM Studio and other local
//! backends. With debug on it writes every request as a JSON file: a *trace*.
//! This crate reads traces (every one of them: truncated, hostile or huge, a bad
//! file never hides a good one), measures them exactly, and compares them.
//!
//! There is one way through: [`store`] finds and reads files, [`trace`] parses
//! each in one pass, [`gather`] makes [`Request`]s of them, with sessions and
//! threads, [`log`] parses logs, [`join`] gives requests the models and times
//! that the logs tell, and [`summary`], [`show`], [`diff`], [`timing`], [`prefix`],
//! [`explain`] and [`report`] are pure functions from requests to serialisable
//! results. [`Recording`] does all but the last:
//!
//! ```
//! use anyclaude_traces::Recording;
//! use anyclaude_traces::Store;
//!
//! let recording = Recording::read(&Store::default(), ["../../testdata/home/.anyclaude/traces"]);
//! let largest = recording.requests.iter().max_by_key(|request| request.sizes.body_bytes);
//! assert!(largest.is_some_and(|request| request.sizes.body_bytes > 10_000));
//! ```
//!
//! Sizes are bytes of compact JSON, times are whole milliseconds, and what is
//! unknown is `None`, never 0. The library prints nothing, asks no clock and no
//! environment, and opens no connection.

pub mod analysis;
pub mod cost;
pub mod error;
pub mod findings;
pub mod formats;
pub mod model;
pub mod prompt_cache;
pub mod read;
pub mod recording;
#[cfg(feature = "schema")]
pub mod schema;
pub mod select;
pub mod tokens;

/// The version of every shape that results are serialised in. It rises when a member
/// is renamed, goes, or changes its meaning; not when one is added.
pub const SCHEMA_VERSION: u32 = 1;

pub use error::{Error, SkipReason};
pub use model::request::{Kind, Request};
pub use model::time::Timestamp;
pub use read::Store;
pub use recording::Recording;

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    /// Whatever is read can be handed to another thread, and be looked at.
    #[test]
    fn types_are_for_all_threads() {
        fn is<T: Send + Sync + Debug>() {}
        is::<(
            crate::Error,
            crate::Recording,
            crate::Request,
            crate::Store,
            crate::formats::anyclaude::log::LogParser,
        )>();
        is::<(
            crate::analysis::diff::Diff,
            crate::analysis::explain::Explanation,
            crate::analysis::prefix::PrefixReport,
        )>();
        is::<(
            crate::analysis::report::Report,
            crate::analysis::show::RequestDetail,
            crate::analysis::summary::Summary,
        )>();
        is::<(
            crate::model::group::Grouping,
            crate::analysis::timing::TimingReport,
            crate::analysis::prefix::Prompts,
        )>();
    }
}
