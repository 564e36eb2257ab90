//! Reads recordings of requests to local models, and says why a model is slow.
//!
//! anyclaude is a proxy that lets Claude Code talk to LM Studio and other local
//! backends. With debug on it writes every request to a JSON file, a *trace*, and what
//! happened to the request to a log. This crate reads both, measures prompts exactly,
//! works out where the time of each request went, and compares models.
//!
//! It reads other recordings in the same way: those that Claude Code makes of itself, the
//! logs of LM Studio, llama.cpp's server and Ollama, HAR, claude-tap, claude-trace,
//! claude-code-router, LiteLLM, and the body of a request alone. What a file is, is told
//! by its content.
//!
//! # Parse one file
//!
//! [`TraceRecord`] holds the sizes and names of one trace, and none of its text:
//!
//! ```
//! use anyclaude_traces::TraceRecord;
//!
//! let trace = br#"{"mode": "lmstudio", "request": {"body": {
//!     "system": "Be brief.",
//!     "tools": [{"name": "Bash"}],
//!     "messages": [{"role": "user", "content": "Hello"}]}}}"#;
//! let record = TraceRecord::from_slice(trace)?;
//! assert_eq!(record.sizes.system_chars, 9);
//! assert_eq!(record.sizes.tool_count, 1);
//! # Ok::<(), anyclaude_traces::error::ParseError>(())
//! ```
//!
//! [`TraceRecord::from_path`] does the same to a file.
//!
//! # Open a recording
//!
//! [`Recording::open`] reads all traces of a folder, joins them with the logs beside them,
//! and makes [`Request`]s: with sessions, models, times, and what the time was spent on.
//! A file that cannot be used hides no other; it is in [`Recording::skipped`].
//!
//! ```
//! use anyclaude_traces::Recording;
//!
//! # let folder = tempfile::tempdir()?;
//! # let root = folder.path();
//! # std::fs::create_dir(root.join("traces"))?;
//! # for (name, model) in [("a", "gpt-oss-20b"), ("b", "qwen3-coder-30b")] {
//! #     let trace = format!(r#"{{"request": {{"body": {{"model": "{model}", "messages": [{{"role": "user",
//! #         "content": "Hello"}}], "tools": [{{"name": "Bash"}}]}}}}}}"#);
//! #     std::fs::write(root.join("traces").join(name).with_extension("json"), trace)?;
//! # }
//! // The root is `~/.anyclaude`, where anyclaude writes `traces/` and `logs/`.
//! let recording = Recording::open(root)?;
//! for request in recording.requests() {
//!     let ttft_ms = request.timing.as_ref().and_then(|timing| timing.ttft_ms.get());
//!     println!("{:?}: {} bytes, first token after {ttft_ms:?} ms", request.model, request.sizes.body_bytes);
//! }
//! for error in recording.skipped() {
//!     eprintln!("skipped {error}");
//! }
//! # assert_eq!(recording.requests().len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Recording::builder`] takes more roots, logs of servers, bounds in time, and names of
//! models that no log tells.
//!
//! # Ask a question
//!
//! Each question is one call. Its answer is a value that serialises to JSON:
//!
//! ```
//! # use anyclaude_traces::Recording;
//! # let folder = tempfile::tempdir()?;
//! # let root = folder.path();
//! # for (name, system) in [("a", "Be brief."), ("b", "Be very brief.")] {
//! #     let trace = format!(r#"{{"request": {{"body": {{"system": "{system}", "tools": [{{"name": "Bash"}}],
//! #         "messages": [{{"role": "user", "content": "Hello"}}]}}}}}}"#);
//! #     std::fs::write(root.join(name).with_extension("json"), trace)?;
//! # }
//! # let recording = Recording::builder().root(root).label("gpt-oss-20b", root.join("a.json"))
//! #     .label("qwen3-coder-30b", root.join("b.json")).open()?;
//! let summary = recording.summary()?;
//! println!("{} requests, the largest tool is {:?}", summary.totals.requests, summary.largest_tools[0].name);
//!
//! for finding in recording.findings()? {
//!     println!("{:?} ms: {}", finding.cost_ms, finding.evidence);
//! }
//!
//! let found = recording.explain("gpt-oss", "qwen3")?;
//! println!("{}", found.verdict.headline);
//! println!("{}", serde_json::to_string_pretty(&recording.diff("gpt-oss", "qwen3")?)?);
//! # assert_eq!(summary.totals.requests, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | question | call | answer |
//! |:--|:--|:--|
//! | What was there? | [`list`](Recording::list) | [`RequestList`](analysis::list::RequestList) |
//! | Where did the time go, and what do the sessions look like? | [`summary`](Recording::summary) | [`Summary`](analysis::summary::Summary) |
//! | How long did everything take? | [`timing`](Recording::timing) | [`TimingReport`](analysis::timing::TimingReport) |
//! | What could a prompt cache reuse, and what broke it? | [`prefix`](Recording::prefix) | [`PrefixReport`](analysis::prefix::PrefixReport) |
//! | What is in one request? | [`show`](Recording::show) | [`RequestDetail`](analysis::show::RequestDetail) |
//! | What differs between two? | [`diff`](Recording::diff) | [`Diff`](analysis::diff::Diff) |
//! | Why is one model slower? | [`explain`](Recording::explain) | [`Explanation`](analysis::explain::Explanation) |
//! | What would a turn take with fewer tools, or more cache slots? | [`what_if`](Recording::what_if) | [`WhatIf`](analysis::what_if::WhatIf) |
//! | What costs time, and what to do? | [`findings`](Recording::findings) | [`Finding`](findings::Finding) |
//! | Everything on a page? | [`report`](Recording::report) | [`Report`](analysis::report::Report) |
//!
//! [`follow::Follower`] gives the same answers of a recording while it is written.
//!
//! # Test your own program
//!
//! A test needs no files: [`Request::builder`] puts requests together, and the functions in
//! [`analysis`] take them, as [`summarize`](analysis::summary::summarize) does here:
//!
//! ```
//! use anyclaude_traces::Request;
//! use anyclaude_traces::analysis::summary::summarize;
//! use anyclaude_traces::model::group::Grouping;
//! use anyclaude_traces::model::measure::{Measure, Value};
//! use anyclaude_traces::model::scope::{KindFilter, Scope};
//!
//! let request = |ttft_ms: u64| {
//!     Request::builder("a.json").model("qwen3").timing(|timing| timing.ttft_ms = ttft_ms.into()).build()
//! };
//! let requests = [request(400), request(900), request(500)];
//! let scope = Scope::new(None, None, KindFilter::All, 3);
//! let summary = summarize(scope, &requests.each_ref(), Vec::new(), &Grouping::by_model(), None, Vec::new());
//! let ttft_ms = summary.groups[0].stats(Measure::TtftMs).unwrap();
//! assert_eq!((ttft_ms.n, ttft_ms.p50), (3, Value::Whole(500)));
//! ```
//!
//! # What always holds
//!
//! Sizes are bytes of compact JSON, times are whole milliseconds, and what is unknown is
//! `None`, never 0. Each number is computed once, in one place. No order depends on a
//! hash: requests come by time, then path. The library prints nothing, asks no clock and
//! no environment, opens no connection, does not panic on what a file holds, and has no
//! `unsafe`. Only [`read`] touches the disk.
//!
//! The way through: [`read`] finds and opens files, [`formats`] parses each in one pass,
//! [`recording`] makes requests of them, [`prompt_cache`] simulates what could be reused,
//! [`cost`] divides the time of each request into parts, [`select`] chooses what a question
//! is about, and [`analysis`] and [`findings`] answer it. [`ask`] connects them.

pub mod analysis;
pub mod ask;
mod both;
pub mod cost;
mod deserialize;
pub mod error;
pub mod findings;
pub mod follow;
pub mod formats;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
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

pub use ask::{Recording, RecordingBuilder};
pub use error::{Error, SkipReason};
pub use formats::record::TraceRecord;
pub use model::request::{Kind, Request};
pub use model::time::Timestamp;
pub use read::Store;

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
