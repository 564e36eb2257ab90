//! Facts about a request that analyses use and no list of requests shows.

use std::sync::Arc;

use crate::model::request::{Concurrency, Request, Run};
use crate::model::timing::PromptOverhead;
use crate::model::{LogFacts, ServerTask, SpeedSample, ToolSize};

/// Facts about a request that analyses use and no list of requests shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Bookkeeping {
    /// Its tools, in the order of the file.
    pub(crate) tools: Arc<[ToolSize]>,
    /// Its texts were replaced by others as long.
    pub(crate) is_masked: bool,
    /// The process that its `run` names.
    pub(crate) process: Option<Arc<Run>>,
    /// What the proxy was about to send, after its edits.
    pub(crate) proxied: Option<Box<PromptOverhead>>,
    /// Further facts from the log: stalls, cached tokens, the proxy's edits.
    pub(crate) log_facts: Option<Box<LogFacts>>,
    /// What the server's own log tells of it.
    pub(crate) server_task: Option<Arc<ServerTask>>,
    /// Which speeds of its model it takes part in. Set by [`cost`](crate::cost).
    pub(crate) speed_sample: SpeedSample,
    /// How many requests of its thread came before it.
    pub(crate) turn: u32,
    /// What else the backend was doing; known from logs only.
    pub(crate) concurrency: Option<Concurrency>,
}

impl Request {
    /// Its tools, in the order of the file.
    #[must_use]
    pub fn tools(&self) -> &[ToolSize] {
        &self.bookkeeping.tools
    }

    /// The process that [`run`](Self::run) names.
    #[must_use]
    pub fn process(&self) -> Option<&Run> {
        self.bookkeeping.process.as_deref()
    }

    /// What the proxy was about to send, after its edits.
    #[must_use]
    pub fn proxied(&self) -> Option<&PromptOverhead> {
        self.bookkeeping.proxied.as_deref()
    }

    /// Further facts from the log: stalls, cached tokens, the proxy's edits.
    #[must_use]
    pub fn log_facts(&self) -> Option<&LogFacts> {
        self.bookkeeping.log_facts.as_deref()
    }

    /// What the server's own log tells of it.
    #[must_use]
    pub fn server_task(&self) -> Option<&ServerTask> {
        self.bookkeeping.server_task.as_deref()
    }

    /// Which speeds of its model it takes part in. Set by [`cost`](crate::cost).
    #[must_use]
    pub fn speed_sample(&self) -> SpeedSample {
        self.bookkeeping.speed_sample
    }

    /// How many requests of its thread came before it.
    #[must_use]
    pub fn turn(&self) -> u32 {
        self.bookkeeping.turn
    }

    /// What else the backend was doing; known from logs only.
    #[must_use]
    pub fn concurrency(&self) -> Option<Concurrency> {
        self.bookkeeping.concurrency
    }
}
