//! What debug logging costs: two anyclaude processes, side by side.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::request::Request;

/// Two processes whose requests are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RunChange {
    /// The process on the left.
    pub left: RunCost,
    /// The process on the right.
    pub right: RunCost,
    /// Right less left: what the one takes longer for each event that it sends.
    pub ms_per_event_delta: Option<f64>,
}

/// What one process took and wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RunCost {
    /// The process.
    pub id: Arc<str>,
    /// Its debug level; `None` where only a request log tells of it.
    pub level: Option<u8>,
    /// How many requests it served.
    pub requests: u64,
    /// How many bytes it wrote to its debug log; `None` without one.
    pub log_bytes: Option<u64>,
    /// Bytes of its debug log for each request.
    pub log_bytes_per_request: Option<u64>,
    /// The sum of the compared requests' `total_ms`; `None` where none is known.
    pub total_ms: Option<u64>,
    /// Their `generation_ms` over their `events`.
    pub ms_per_event: Option<f64>,
}

/// Compares two processes; `None` unless each side's requests are of one.
///
/// ```
/// use anyclaude_traces::Request;
/// use anyclaude_traces::analysis::logging_cost::compare;
///
/// let request = Request::builder("a.json").build();
/// assert!(compare(&[&request], &[&request]).is_none(), "no log says which process served it");
/// ```
#[must_use]
pub fn compare(left: &[&Request], right: &[&Request]) -> Option<RunChange> {
    let (left, right) = (RunCost::of(left)?, RunCost::of(right)?);
    let both = left.ms_per_event.zip(right.ms_per_event);
    Some(RunChange { ms_per_event_delta: both.map(|(left, right)| right - left), left, right })
}

impl RunCost {
    fn of(requests: &[&Request]) -> Option<Self> {
        let process = requests.first()?.process()?;
        if requests.iter().any(|request| request.run.as_ref() != Some(&process.id)) {
            return None;
        }
        let log_bytes = Some(process.log_bytes).filter(|_| process.level.is_some());
        let timings = || requests.iter().filter_map(|request| request.timing.as_ref());
        let totals: Vec<u64> = timings().filter_map(|timing| timing.total_ms.get()).collect();
        let (ms, events) = timings()
            .filter_map(|timing| Some((timing.generation_ms.get()?, timing.events.get()?)))
            .fold((0, 0), |(ms, events), (more_ms, more_events)| (ms + more_ms, events + more_events));
        #[allow(clippy::cast_precision_loss, reason = "times and counts stay far below 2^53")]
        let ms_per_event = (events > 0).then(|| ms as f64 / events as f64);
        Some(Self {
            id: process.id.clone(),
            level: process.level,
            requests: process.requests,
            log_bytes,
            log_bytes_per_request: log_bytes.and_then(|bytes| bytes.checked_div(process.requests)),
            total_ms: (!totals.is_empty()).then(|| totals.iter().sum()),
            ms_per_event,
        })
    }
}
