//! Which requests have times that can be compared, and why the others have not.

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
    /// No log tells its times.
    NoLog,
    /// Its reply came in one piece, so that there is no first token.
    NotStreamed,
    /// It failed, was given up, or has no end in the log.
    NotCompleted,
    /// Its log lines could be another request's.
    AmbiguousJoin,
    /// The log does not tell how long it took in all.
    NoTotal,
    /// The log has no time to first token, or one after the end.
    NoTtft,
    /// Tokens were generated before the first one that could be seen, so that its
    /// time to first token is not the time of reading the prompt.
    HiddenReasoning,
    /// The proxy's own time is unknown, while it is known of at least as many others.
    NoProxyTime,
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

/// Counts what is left out.
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

/// The times of a request that was streamed and completed, and whose log lines are
/// certainly its own.
///
/// # Errors
///
/// The reason, where they are not.
pub fn eligible(request: &Request) -> Result<&Timing, LeftOutReason> {
    let Some(timing) = request.timing.as_deref() else { return Err(LeftOutReason::NoLog) };
    match timing.outcome {
        Some(Outcome::NotStreamed) => return Err(LeftOutReason::NotStreamed),
        _ if !request.stream => return Err(LeftOutReason::NotStreamed),
        Some(Outcome::Completed) => {}
        _ => return Err(LeftOutReason::NotCompleted),
    }
    if request.join.as_ref().is_some_and(|join| join.confidence == Confidence::Ambiguous) {
        return Err(LeftOutReason::AmbiguousJoin);
    }
    timing.total_ms.ok_or(LeftOutReason::NoTotal)?;
    Ok(timing)
}

/// Those of these requests whose time to first token is that of reading the prompt, and
/// how many others there are.
pub(crate) fn timed<'a>(requests: &[&'a Request]) -> (Vec<&'a Request>, Vec<LeftOut>) {
    let mut counts = ExclusionCounts::default();
    let mut timed = Vec::new();
    for &request in requests {
        match reading_time(request) {
            Ok(()) => timed.push(request),
            Err(reason) => counts.add(reason, 1),
        }
    }
    (timed, counts.list())
}

/// Whether the log certainly tells this request's time to first token, and that is
/// the time of reading its prompt.
pub(crate) fn tells_reading_time(request: &Request) -> bool {
    reading_time(request).is_ok()
}

fn reading_time(request: &Request) -> Result<(), LeftOutReason> {
    let timing = eligible(request)?;
    match (timing.ttft_ms, timing.total_ms) {
        (Some(ttft_ms), Some(total_ms)) if ttft_ms <= total_ms => {}
        _ => return Err(LeftOutReason::NoTtft),
    }
    if hides_reasoning(timing) { Err(LeftOutReason::HiddenReasoning) } else { Ok(()) }
}

/// Whether more was generated than could be seen: the backend reasoned before the
/// first visible token, or sent all at once.
fn hides_reasoning(timing: &Timing) -> bool {
    let Some(tokens) = timing.output_tokens else { return false };
    // 1.3 × events + 10, in whole numbers.
    let unseen = timing
        .events
        .is_some_and(|events| tokens.saturating_mul(10) > events.saturating_mul(13).saturating_add(100));
    let at_once = timing.generation_ms.is_some_and(|ms| ms < 50) && tokens > 10;
    unseen || at_once
}
