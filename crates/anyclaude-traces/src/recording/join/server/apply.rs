//! What a server's task tells of its request.

use std::num::NonZeroU16;
use std::sync::Arc;

use crate::formats::backend::{BackendMoment, BackendTask, TaskOutcome};
use crate::model::ServerTask;
use crate::model::request::{ModelSource, Request};
use crate::model::timing::{CachedSource, Outcome, Timing, TokenSource};

/// A server lets go of a task so soon after its last token.
const LAG_MS: u64 = 50;

/// What a log tells of a task beside its own lines.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Around {
    /// How much of its wait its model was being loaded.
    pub(super) load_ms: Option<u64>,
    /// Among how many slots its server divides its context.
    pub(super) context_divisor: Option<NonZeroU16>,
}

/// Adds what a task tells to its request.
pub(crate) fn apply(request: &mut Request, task: &BackendTask, around: Around) {
    if request.model.is_none()
        && let Some(model) = &task.model
    {
        (request.model, request.model_source) = (Some(model.clone()), Some(ModelSource::ServerLog));
    }
    let facts = facts(task, around);
    let timing = request.timing.get_or_insert_default();
    if facts.prompt_tokens.is_known() {
        timing.prompt_tokens = facts.prompt_tokens;
        timing.prompt_tokens_source = Some(TokenSource::ServerLog);
    }
    if facts.output_tokens.is_known() && !timing.output_tokens.is_known() {
        timing.output_tokens = facts.output_tokens;
        timing.output_tokens_source = Some(TokenSource::ServerLog);
    }
    if facts.cached_tokens.is_known() {
        timing.cached_tokens = facts.cached_tokens;
        timing.cached_source = Some(CachedSource::ServerLog);
    }
    request.bookkeeping.server_task = Some(Arc::new(facts));
}

pub(super) fn facts(task: &BackendTask, Around { load_ms, context_divisor }: Around) -> ServerTask {
    ServerTask {
        prompt_tokens: task.prompt_tokens.into(),
        cached_tokens: task.cached_tokens.into(),
        held_tokens: task.held_tokens().into(),
        output_tokens: task.output_tokens.into(),
        reasoning_tokens: task.reasoning_tokens.into(),
        read_ms: task.read_ms.map(milliseconds).into(),
        write_ms: task.write_ms.map(milliseconds).into(),
        load_ms: load_ms.into(),
        follows_untimed_load: task.follows_untimed_load && load_ms.is_none(),
        has_evicted: task.has_evicted(),
        context_divisor,
        clock_ms: clock_ms(task),
        unread_ms: unread_ms(task).into(),
        uncertainty_ms: task
            .came()
            .map_or(0, |came| u16::try_from(came.uncertainty_ms()).unwrap_or(u16::MAX)),
        stream: task.stream,
        queue_ms: queue_ms(task).into(),
        cut: task.cut.clone(),
    }
}

/// How long a task waited for a slot; `None` where the log does not tell exactly when it came.
fn queue_ms(task: &BackendTask) -> Option<u64> {
    let received = task.received.filter(|moment| moment.uncertainty_ms() == 0)?;
    u64::try_from(task.started?.ms_since(received)?).ok()
}

/// How long nothing was said to be read of a task that had come.
fn unread_ms(task: &BackendTask) -> Option<u64> {
    u64::try_from(task.seen_reading?.ms_since(task.received?)?).ok()
}

/// When a task began, by a clock that counts from the start of its process: each process
/// comes long after the one before.
fn clock_ms(task: &BackendTask) -> Option<i64> {
    const BETWEEN_PROCESSES_MS: i64 = 1 << 40;
    let process = i64::try_from(task.process).ok()?.checked_mul(BETWEEN_PROCESSES_MS)?;
    match task.came()? {
        moment @ BackendMoment::SinceStart { .. } => moment.clock_ms().checked_add(process),
        _ => None,
    }
}

/// The times of a task by its own log.
pub(crate) fn timing(task: &BackendTask) -> Timing {
    let start = task.came();
    let between = || {
        let (start, end) = (start?, task.ended?);
        u64::try_from(end.ms_since(start)?).ok()
    };
    let (read_ms, write_ms) = (task.read_ms.map(milliseconds), task.write_ms.map(milliseconds));
    let queue_ms = queue_ms(task).or_else(|| task.received.is_none().then_some(0));
    let coarse_ms = start.map_or(0, BackendMoment::uncertainty_ms);
    let until_first = || u64::try_from(task.first_token?.ms_since(start.or(task.started)?)?).ok();
    let measured = read_ms.zip(write_ms).map(|(read, write)| read.saturating_add(write));
    // What was measured outranks stamps, but where these lie further apart than they are
    // off, or the server took longer than its engine: then it waited before it was read.
    let whole_ms = task.total_ms.map(milliseconds).or_else(between);
    let waited_ms = measured.zip(whole_ms).and_then(|(measured, whole)| {
        whole.checked_sub(measured).filter(|waited| *waited > coarse_ms.max(LAG_MS))
    });
    let ttft_ms = task.ttft_ms.map(milliseconds).or_else(|| match (read_ms, queue_ms, until_first()) {
        (Some(read), queue, _) if measured.is_some() => {
            Some(read.saturating_add(waited_ms.unwrap_or(0).max(queue.unwrap_or(0))))
        }
        (Some(read), Some(queue), _) => Some(read.saturating_add(queue)),
        (_, _, first) => first,
    });
    let worked = || Some(ttft_ms?.saturating_add(write_ms?));
    let total_ms = task.total_ms.map(milliseconds).or_else(worked).or(whole_ms);
    let moments = [start, task.ended].into_iter().flatten();
    Timing {
        ttft_ms: ttft_ms.into(),
        total_ms: total_ms.into(),
        generation_ms: total_ms.zip(ttft_ms).and_then(|(total, ttft)| total.checked_sub(ttft)).into(),
        wall_ms: total_ms.into(),
        prompt_tokens: task.prompt_tokens.into(),
        prompt_tokens_source: task.prompt_tokens.map(|_| TokenSource::ServerLog),
        output_tokens: task.output_tokens.into(),
        output_tokens_source: task.output_tokens.map(|_| TokenSource::ServerLog),
        outcome: Some(match task.outcome {
            TaskOutcome::Completed => Outcome::Completed,
            TaskOutcome::Cancelled => Outcome::Disconnected,
            TaskOutcome::Failed => Outcome::Failed,
            TaskOutcome::Unfinished => Outcome::Unfinished,
        }),
        error: task.error.as_deref().map(str::to_owned),
        reported_tokens_per_second: task.tokens_per_second,
        read_ms: read_ms.into(),
        write_ms: write_ms.into(),
        cached_tokens: task.cached_tokens.into(),
        cached_source: task.cached_tokens.map(|_| CachedSource::ServerLog),
        read_tokens: task.read_tokens.into(),
        uncertainty_ms: moments.map(BackendMoment::uncertainty_ms).max().filter(|ms| *ms > 0).into(),
        ..Timing::default()
    }
}

/// The nearest whole milliseconds.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` takes what is too large, below 0 or no number to the nearest end"
)]
pub(super) fn milliseconds(ms: f64) -> u64 {
    ms.round() as u64
}
