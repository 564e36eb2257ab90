//! Which requests can be compared, and why the others cannot.

use std::collections::BTreeMap;

use serde::Serialize;

use super::split::{Sample, Us};
use crate::model::request::Request;
use crate::model::timing::Timing;
use crate::model::timing::{Confidence, Outcome};

/// Why a request took no part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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
    /// The log has no time to first token, or one after the end.
    NoTtft,
    /// It was in the backend together with another one.
    Overlapping,
    /// It was the first streamed request of its process, and may have waited for
    /// the model to be loaded.
    ColdStart,
    /// Tokens were generated before the first one that could be seen, so that its
    /// time to first token is not the time of reading the prompt.
    HiddenReasoning,
    /// The backend told no token counts, while it did for others.
    NoUsage,
    /// No request of the other side had the same prompt, while others had.
    Unpaired,
}

/// How many requests took no part for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LeftOut {
    /// The reason.
    pub reason: LeftOutReason,
    /// How many requests of both sides.
    pub n: u64,
}

/// Counts what is left out.
#[derive(Debug, Default)]
pub(super) struct ExclusionCounts(BTreeMap<LeftOutReason, u64>);

impl ExclusionCounts {
    pub(super) fn add(&mut self, reason: LeftOutReason, n: usize) {
        if n > 0 {
            *self.0.entry(reason).or_default() += n as u64;
        }
    }

    pub(super) fn list(&self) -> Vec<LeftOut> {
        self.0.iter().map(|(&reason, &n)| LeftOut { reason, n }).collect()
    }
}

/// A request with the times that can be compared. There may be many: what else is
/// compared is looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub(super) request: &'a Request,
    ttft: Us,
    generation: Us,
}

/// The requests of one side that can be compared.
#[derive(Debug, Default)]
pub(super) struct Eligible<'a> {
    pub(super) candidates: Vec<Candidate<'a>>,
    /// Those whose split between reading and generating is void; they count for
    /// totals only.
    pub(super) hidden: Vec<Candidate<'a>>,
}

/// Chooses the requests of one side, and counts the others.
pub(super) fn choose<'a>(requests: &[&'a Request], tally: &mut ExclusionCounts) -> Eligible<'a> {
    let mut chosen = Eligible::default();
    for request in requests {
        match candidate(request) {
            Ok(candidate) if hides_reasoning(request) => chosen.hidden.push(candidate),
            Ok(candidate) => chosen.candidates.push(candidate),
            Err(reason) => tally.add(reason, 1),
        }
    }
    tally.add(LeftOutReason::HiddenReasoning, chosen.hidden.len());
    chosen
}

fn candidate(request: &Request) -> Result<Candidate<'_>, LeftOutReason> {
    let (Some(timing), Some(join)) = (&request.timing, &request.join) else {
        return Err(LeftOutReason::NoLog);
    };
    match timing.outcome {
        Some(Outcome::Completed) if request.stream => {}
        Some(Outcome::NotStreamed) => return Err(LeftOutReason::NotStreamed),
        _ if !request.stream => return Err(LeftOutReason::NotStreamed),
        _ => return Err(LeftOutReason::NotCompleted),
    }
    if join.confidence == Confidence::Ambiguous {
        return Err(LeftOutReason::AmbiguousJoin);
    }
    let (ttft, generation) = phases(timing).ok_or(LeftOutReason::NoTtft)?;
    Ok(Candidate { request, ttft, generation })
}

/// Reading the prompt, and generating.
fn phases(timing: &Timing) -> Option<(Us, Us)> {
    let (ttft, total) = (us(timing.ttft_ms?)?, us(timing.total_ms?)?);
    (ttft <= total).then_some((ttft, total - ttft))
}

fn us(ms: u64) -> Option<Us> {
    Us::try_from(ms).ok()?.checked_mul(1000)
}

/// Whether more was generated than could be seen: the backend reasoned before the
/// first visible token, or sent all at once.
fn hides_reasoning(request: &Request) -> bool {
    let Some(timing) = &request.timing else { return false };
    let Some(tokens) = timing.output_tokens else { return false };
    // 1.3 × events + 10, in whole numbers.
    let unseen = timing
        .events
        .is_some_and(|events| tokens.saturating_mul(10) > events.saturating_mul(13).saturating_add(100));
    let at_once = timing.generation_ms.is_some_and(|ms| ms < 50) && tokens > 10;
    unseen || at_once
}

impl Candidate<'_> {
    /// What is known of it.
    pub(super) fn sample(&self) -> Sample {
        let timing = self.request.timing.as_ref();
        #[allow(clippy::cast_precision_loss, reason = "token counts stay far below 2^53")]
        let tokens =
            |count: fn(&Timing) -> Option<u64>| timing.and_then(|timing| Some(count(timing)? as f64));
        Sample {
            proxy: timing.and_then(|timing| us(timing.proxy_ms?)),
            ttft: self.ttft,
            generation: self.generation,
            prompt_tokens: tokens(|timing| timing.prompt_tokens),
            output_tokens: tokens(|timing| timing.output_tokens),
        }
    }

    /// What in the backend may have slowed this request down besides the model: such
    /// requests are left out while others remain.
    pub(super) fn disturbance(&self) -> Option<LeftOutReason> {
        let company = self.request.concurrency?;
        if company.cold_start {
            return Some(LeftOutReason::ColdStart);
        }
        company.overlapped.then_some(LeftOutReason::Overlapping)
    }
}
