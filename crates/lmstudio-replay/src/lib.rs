//! Sends a recorded request straight to LM Studio, llama.cpp, Ollama or another
//! local server, and measures the stream that comes back: time to first token,
//! tokens per second, gaps between deltas.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use lmstudio_replay::{Plan, ProgressHandle, replay};
//!
//! let body = r#"{"messages": [{"role": "user", "content": "Hello"}]}"#;
//! let plan = Plan::new("http://127.0.0.1:1234".parse()?);
//! let found = replay(body, &plan, &Arc::new(ProgressHandle::default()))?;
//! assert_eq!(found.runs.len(), 1);
//! # Ok::<(), lmstudio_replay::Error>(())
//! ```
//!
//! A recorded prompt is private: it goes to loopback addresses only unless the plan
//! allows others, no redirect is followed, no proxy of the environment is used, and
//! no recorded header is sent. Token counts are the server's own, never a count of what
//! came; what a server does not report is `None`. An answer that does not end, or is
//! longer than its limit on tokens allows, is an error that keeps what was measured.

mod address;
mod body;
mod compare;
mod connection;
mod error;
mod events;
#[cfg(fuzzing)]
mod fuzzing;
mod http;
mod measure;
mod models;
mod openai;
mod ordered_object;
mod progress;
mod replay;
mod run;
mod server_message;
mod surrogates;

pub use address::{BaseUrl, DEFAULT_URL};
pub use error::{AnswerLimit, Error};
#[cfg(fuzzing)]
pub use fuzzing::measured;
pub use progress::{Progress, ProgressHandle};
pub use replay::{Plan, replay};
pub use run::{
    Api, Cache, ChunkGap, Comparison, Figures, LeftOut, Proxied, Replay, Run, ServerTimings, Verdict,
};
