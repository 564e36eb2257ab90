//! Sends a recorded request straight to LM Studio, llama.cpp, Ollama or another
//! local server, and measures the stream that comes back: time to first token,
//! tokens per second, gaps between deltas.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use lmstudio_replay::{Plan, Watch, replay};
//!
//! let body = r#"{"messages": [{"role": "user", "content": "Hello"}]}"#;
//! let plan = Plan::new("http://127.0.0.1:1234".parse()?);
//! let found = replay(body, &plan, &Arc::new(Watch::default()))?;
//! assert_eq!(found.runs.len(), 1);
//! # Ok::<(), lmstudio_replay::Failure>(())
//! ```
//!
//! A recorded prompt is private: it goes to loopback addresses only unless the plan
//! allows others, no redirect is followed, no proxy of the environment is used, and
//! no header that was recorded is sent. Token counts are the server's, never a count
//! of what came; what a server does not tell is `None`.

mod address;
mod body;
mod compare;
mod error;
mod events;
#[cfg(fuzzing)]
mod fuzzing;
mod http;
mod line;
mod measure;
mod members;
mod models;
mod openai;
mod replay;
mod run;
pub mod sse;
mod surrogates;
mod watch;

pub use address::{BaseUrl, DEFAULT_URL};
pub use compare::{Comparison, Proxied, Verdict};
pub use error::Failure;
#[cfg(fuzzing)]
pub use fuzzing::measured;
pub use openai::LeftOut;
pub use replay::{Plan, replay};
pub use run::{Api, Cache, ChunkGap, Figures, Replay, Run, ServerTimings};
pub use watch::{Progress, Watch};
