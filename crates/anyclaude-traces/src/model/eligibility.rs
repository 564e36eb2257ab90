//! Which requests have times that can be compared, and why the others do not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::request::Request;
use crate::model::timing::{Confidence, Outcome, Timing};

/// Why a request took no part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeftOutReason {
    /// Its times are in no log.
    NoLog,
    /// Its reply came in one piece, so that there is no first token.
    NotStreamed,
    /// It failed, was given up, or has no end in the log.
    NotCompleted,
    /// Its log lines could be another request's.
    AmbiguousJoin,
    /// Its total time is not in the log.
    NoTotal,
    /// The proxy's own time is unknown, while it is known of at least as many others.
    NoProxyTime,
    /// Its tokens, or the time of reading them, are unknown.
    NotCounted,
    /// No request of the other side had the same prompt, while others had.
    Unpaired,
}

/// How many requests took no part for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LeftOut {
    /// The reason.
    pub reason: LeftOutReason,
    /// How many requests; of both sides, where two are compared.
    pub n: u64,
}

/// Counts the requests that are left out, by reason.
#[derive(Debug, Default)]
pub(crate) struct ExclusionCounts(BTreeMap<LeftOutReason, u64>);

impl ExclusionCounts {
    pub(crate) fn add(&mut self, reason: LeftOutReason, n: usize) {
        if n > 0 {
            *self.0.entry(reason).or_default() += n as u64;
        }
    }

    pub(crate) fn list(&self) -> Vec<LeftOut> {
        self.0.iter().map(|(&reason, &n)| LeftOut { reason, n }).collect()
    }
}

/// Whether anybody saw the first token of its answer: the client, to whom it was streamed, or
/// the server itself.
fn has_first_token(request: &Request, timing: &Timing) -> bool {
    let is_measured = || request.server_task().is_some_and(|task| task.read_ms.is_known());
    request.stream || is_measured() || request.source.is_server() && timing.ttft_ms.is_known()
}

/// The times of a request, if they can be compared: it was streamed, or its server measured
/// when its first token came; it completed, and its log lines are certainly its own.
///
/// # Errors
///
/// The reason why they cannot be compared.
pub fn eligible(request: &Request) -> Result<&Timing, LeftOutReason> {
    let Some(timing) = request.timing.as_deref() else { return Err(LeftOutReason::NoLog) };
    match timing.outcome {
        Some(Outcome::NotStreamed) => return Err(LeftOutReason::NotStreamed),
        _ if !has_first_token(request, timing) => return Err(LeftOutReason::NotStreamed),
        Some(Outcome::Completed) => {}
        _ => return Err(LeftOutReason::NotCompleted),
    }
    let is_ambiguous = |confidence: Option<Confidence>| confidence == Some(Confidence::Ambiguous);
    let is_own =
        request.is_task_only() && is_ambiguous(request.server_join.as_deref().map(|join| join.confidence));
    if is_own || is_ambiguous(request.join.as_deref().map(|join| join.confidence)) {
        return Err(LeftOutReason::AmbiguousJoin);
    }
    timing.total_ms.get().ok_or(LeftOutReason::NoTotal)?;
    Ok(timing)
}
