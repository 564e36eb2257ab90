//! What [`anyclaude_traces`] found, in the formats of tools that people have. A format is
//! a file with one function, which writes requests one after the other: the text of one of
//! them is in memory at a time.
//!
//! | format | function | opens in |
//! |:--|:--|:--|
//! | Chrome trace JSON | [`chrome::write`] | Perfetto, `chrome://tracing` |
//! | OTLP/JSON lines | [`otlp::write`] | whatever takes OpenTelemetry's spans |
//! | Parquet, with the feature of this name | `parquet::Dataset::write` | DuckDB, Spark, pandas |
//!
//! ```
//! use anyclaude_traces::Request;
//!
//! let request = Request::builder("a.json")
//!     .timestamp("2025-11-16T03:20:00Z".parse()?)
//!     .model("openai/gpt-oss-20b")
//!     .timing(|timing| timing.total_ms = 2_150.into())
//!     .build();
//! let mut timeline = Vec::new();
//! let written = traces_export::chrome::write(&mut timeline, &[request], &[])?;
//! assert_eq!(written.requests, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! No export holds text of prompts or answers, headers, keys, the words of errors (a server
//! may quote a prompt in them) or, but for the table of requests, names of files. Members
//! and attributes are named as in the JSON of [`Request`]. What is
//! unknown is left out, never 0.

pub mod chrome;
pub mod otlp;
#[cfg(feature = "parquet")]
pub mod parquet;
mod timeline;
mod words;

use anyclaude_traces::Request;

use timeline::TimeSpan;

/// Whether a request can stand on a timeline: a time is known of it, and no viewer is too
/// narrow for it.
#[must_use]
pub fn has_time(request: &Request) -> bool {
    TimeSpan::of(request).is_some()
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Requests that are in it.
    pub requests: u64,
    /// Requests that are not, as no time is known at which they could stand.
    pub without_time: u64,
}
