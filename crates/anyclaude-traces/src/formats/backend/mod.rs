//! Logs of the servers that ran the model: what each request read, took from the cache and
//! wrote, and how long that took.
//!
//! The parsers here are fed bytes in chunks of any size, touch no file and no clock, and
//! never fail: lines that cannot be read are counted. No line names a request of a client;
//! [`recording`](crate::recording) joins the tasks found here with requests by their token
//! counts.

mod any;
mod llama;
pub(crate) mod lmstudio;
mod local_clock;
mod ollama;
mod types;
mod wrapped;

pub use any::BackendParser;
pub use llama::LlamaServerParser;
pub use lmstudio::LmStudioParser;
pub use ollama::OllamaParser;
pub use types::{
    BackendFormat, BackendLoad, BackendLog, BackendMoment, BackendProcess, BackendTask, BackendTruncation,
    LoggedBody, ReadingProgress, SlotSelection, TaskOutcome,
};
