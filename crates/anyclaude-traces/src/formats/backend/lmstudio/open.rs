//! A request that the server is working on.

use super::figures::LmStudioFigures;
use super::message::Done;
use crate::formats::backend::{BackendMoment, BackendTask, ReadingProgress, TaskOutcome};

/// How many bytes of the server's error message are kept.
const MAX_ERROR_BYTES: usize = 500;

/// What is known of a request while its lines come.
#[derive(Debug, Default, Clone)]
pub(super) struct LmStudioRequest {
    pub(super) task: BackendTask,
    /// A model has it.
    pub(super) runs: bool,
    /// It is said how it is answered.
    pub(super) answers: bool,
    /// It is known from the model's own events.
    pub(super) is_predicted: bool,
    /// How much of its prompt was read when that was last said, in percent.
    pub(super) progress: Option<f64>,
    /// Slot and task of the engine that works on it.
    pub(super) engine: Option<(u64, u64)>,
    /// The engine has told what it took: the request is about to end.
    pub(super) engine_is_done: bool,
    /// The engine has told what came from its cache.
    pub(super) cache_is_told: bool,
    /// The client went away.
    pub(super) disconnected: Option<BackendMoment>,
    /// Its end has come, and that of its engine's task has not.
    pub(super) is_over: bool,
    /// The id in the packets of its answer.
    pub(super) answer_id: Option<Box<[u8]>>,
    /// Tokens that the engine says it has read, where that is all it says.
    pub(super) uncached_tokens: Option<u64>,
    /// The last line about it.
    pub(super) last: Option<BackendMoment>,
}

impl LmStudioRequest {
    /// Whether lines with this tag may be about it. What was asked for need not be what runs.
    pub(super) fn may_be(&self, tag: Option<&[u8]>) -> bool {
        let Some(tag) = tag else { return true };
        // Servers of 0.3 name no model, and no model has it yet before it runs.
        self.task.model.as_ref().is_none_or(|model| model.as_bytes() == tag)
    }

    /// Whether this model runs it, as far as is known.
    pub(super) fn is_model(&self, name: &[u8]) -> bool {
        let model = self.task.model.as_ref().or(self.task.requested_model.as_ref());
        model.is_some_and(|model| model.as_bytes() == name)
    }

    /// Takes what an answer says; a later answer of the same request says more.
    pub(super) fn answered(&mut self, figures: LmStudioFigures) {
        let task = &mut self.task;
        task.prompt_tokens = figures.prompt_tokens.or(task.prompt_tokens);
        task.cached_tokens = figures.cached_tokens.or(task.cached_tokens);
        task.output_tokens = figures.output_tokens.or(task.output_tokens);
        task.reasoning_tokens = figures.reasoning_tokens.or(task.reasoning_tokens);
        task.ttft_ms = figures.ttft_ms.or(task.ttft_ms);
        task.total_ms = figures.total_ms.or(task.total_ms);
        task.write_ms = task.write_ms.or(figures.write_ms);
        task.tokens_per_second = figures.tokens_per_second.or(task.tokens_per_second);
        task.stop_reason = figures.stop_reason.or(task.stop_reason.take());
        if let (None, Some(model)) = (&task.model, figures.model) {
            task.model = Some(model.into());
        }
    }

    /// Takes what the engine's task was. Where client and engine count differently, the
    /// client's counts stand: by them it is recognised.
    pub(super) fn worked_on(&mut self, work: BackendTask) {
        let task = &mut self.task;
        (task.process, task.task, task.slot, task.selection) =
            (work.process, work.task, work.slot, work.selection);
        task.started = work.started.or(task.started);
        task.prompt_tokens = task.prompt_tokens.or(work.prompt_tokens);
        task.cached_tokens = work.cached_tokens.or(task.cached_tokens);
        task.read_tokens = work.read_tokens.or(task.read_tokens);
        task.output_tokens = task.output_tokens.or(work.output_tokens);
        task.read_ms = work.read_ms.or(task.read_ms);
        task.write_ms = work.write_ms.or(task.write_ms);
        (task.truncated, task.cut) = (work.truncated, work.cut);
        task.error = task.error.take().or(work.error);
        if work.outcome == TaskOutcome::Failed {
            task.outcome = work.outcome;
        }
        self.engine_is_done = true;
    }

    /// Takes Splash's own summary.
    pub(super) fn done(&mut self, done: &Done) {
        let task = &mut self.task;
        let cached = done.cached;
        task.prompt_tokens = task.prompt_tokens.or(match (done.input, cached) {
            // What came from the cache is a part of the input.
            (Some(input), Some(cached)) if cached > input => input.checked_add(cached),
            (input, _) => input,
        });
        task.cached_tokens = cached.or(task.cached_tokens);
        task.output_tokens = task.output_tokens.or(done.output);
        task.ttft_ms = task.ttft_ms.or(done.ttft_ms);
        task.tokens_per_second = task.tokens_per_second.or(done.tokens_per_second);
        self.engine_is_done = true;
    }

    pub(super) fn fail(&mut self, words: &[u8], at: Option<BackendMoment>) {
        let words = words.get(..MAX_ERROR_BYTES).unwrap_or(words);
        self.task.error = Some(String::from_utf8_lossy(words).trim_end().into());
        self.task.outcome = TaskOutcome::Failed;
        self.task.ended = at;
    }

    /// Its answer has ended, or the client went away before.
    pub(super) fn end(&mut self, at: Option<BackendMoment>) {
        match self.disconnected {
            Some(disconnected) => {
                (self.task.outcome, self.task.ended) = (TaskOutcome::Cancelled, Some(disconnected));
            }
            None => (self.task.outcome, self.task.ended) = (TaskOutcome::Completed, at),
        }
        self.is_over = true;
    }

    /// All that its lines say of it.
    pub(super) fn into_task(mut self) -> BackendTask {
        if let (TaskOutcome::Unfinished, Some(disconnected)) = (self.task.outcome, self.disconnected) {
            (self.task.outcome, self.task.ended) = (TaskOutcome::Cancelled, Some(disconnected));
        }
        let mut task = self.task;
        task.prompt_tokens =
            task.prompt_tokens.or_else(|| task.cached_tokens?.checked_add(self.uncached_tokens?));
        // Server and engine disagree: nothing tells which is right.
        task.progress = self.progress.filter(|_| task.first_token.is_none() && !self.is_over).map(of_percent);
        let is_part = |cached: &u64| task.prompt_tokens.is_none_or(|prompt| *cached <= prompt);
        task.cached_tokens = task.cached_tokens.filter(is_part);
        // A server that names no model runs what was asked for.
        task.model = task.model.or_else(|| task.requested_model.clone());
        if task.first_token.is_some() || task.outcome == TaskOutcome::Completed {
            let read =
                task.prompt_tokens.zip(task.cached_tokens).and_then(|(all, cached)| all.checked_sub(cached));
            task.read_tokens = task.read_tokens.or(read);
        }
        task
    }
}

fn of_percent(percent: f64) -> ReadingProgress {
    ReadingProgress { share: (percent / 100.0).clamp(0.0, 1.0), tokens: None }
}
