//! What can make one side slower.

use serde::{Deserialize, Serialize};

use crate::model::TimeBreakdown;
use crate::model::timing::Timing;

/// What makes one side slower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Cause"))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DelayCause {
    /// The proxy's own work before it sends.
    Proxy,
    /// The model was loaded first.
    ModelLoad,
    /// Requests waited for others in the backend.
    Queueing,
    /// More tokens that even a perfect prompt cache leaves to read.
    PromptSize,
    /// More tokens that were read again although an earlier turn had them.
    PromptCache,
    /// Fewer tokens read in a second.
    PromptProcessingSpeed,
    /// More tokens to write.
    OutputLength,
    /// Fewer tokens written in a second.
    GenerationSpeed,
    /// Silences inside answers.
    Stalls,
    /// What cannot be told apart.
    Other,
}

impl DelayCause {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 10] = [
        Self::Proxy,
        Self::ModelLoad,
        Self::Queueing,
        Self::PromptSize,
        Self::PromptCache,
        Self::PromptProcessingSpeed,
        Self::OutputLength,
        Self::GenerationSpeed,
        Self::Stalls,
        Self::Other,
    ];

    /// Whether it comes from single requests, as a load does: it is there or not, and
    /// says little of the others.
    pub(super) fn is_of_single_requests(self) -> bool {
        matches!(self, Self::ModelLoad | Self::Queueing | Self::Stalls)
    }
}

/// One value for each cause.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct PerCause<T>([T; DelayCause::ALL.len()]);

impl<T: Copy> PerCause<T> {
    pub(super) fn from_fn(value: impl FnMut(DelayCause) -> T) -> Self {
        Self(DelayCause::ALL.map(value))
    }

    pub(super) fn get(&self, cause: DelayCause) -> T {
        // The causes are numbered in the order of `ALL`.
        self.0[cause as usize]
    }

    pub(super) fn get_mut(&mut self, cause: DelayCause) -> &mut T {
        &mut self.0[cause as usize]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (DelayCause, T)> + '_ {
        DelayCause::ALL.into_iter().zip(self.0.iter().copied())
    }
}

/// A part of one request's time, by the cost model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Part {
    /// The proxy's own work before it sends.
    Proxy,
    /// Loading the model.
    Load,
    /// Waiting for other requests in the backend.
    Queue,
    /// Prompt processing.
    Read,
    /// Generation.
    Write,
    /// Silences inside the answer.
    Stall,
    /// What cannot be told apart.
    Other,
}

impl Part {
    /// All of them, in the order in which they happen.
    pub const ALL: [Self; 7] =
        [Self::Proxy, Self::Load, Self::Queue, Self::Read, Self::Write, Self::Stall, Self::Other];

    /// Its mean, in milliseconds.
    #[must_use]
    pub fn of(self, time: &TimeBreakdown) -> Option<f64> {
        match self {
            Self::Proxy => time.proxy_ms,
            Self::Load => time.load_ms,
            Self::Queue => time.queue_ms,
            Self::Read => time.read_ms,
            Self::Write => time.write_ms,
            Self::Stall => time.stall_ms,
            Self::Other => time.other_ms,
        }
    }

    /// How long it took of one request, in milliseconds; `None` where that is unknown.
    #[must_use]
    pub fn of_request(self, timing: &Timing) -> Option<u64> {
        match self {
            Self::Proxy => timing.proxy_ms.get(),
            Self::Load => timing.load_ms.get(),
            Self::Queue => timing.queue_ms.get(),
            Self::Read => timing.read_ms.get(),
            Self::Write => timing.write_ms.get(),
            Self::Stall => timing.stall_ms.get(),
            Self::Other => timing.other_ms.get(),
        }
    }

    /// Its name in JSON, less the unit.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Load => "load",
            Self::Queue => "queue",
            Self::Read => "read",
            Self::Write => "write",
            Self::Stall => "stall",
            Self::Other => "other",
        }
    }
}

/// What a verdict names: of two sides a cause, of one side the largest part of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum MainCause {
    /// The largest contribution to the difference.
    Difference(DelayCause),
    /// The largest part of the time.
    Time(Part),
}
