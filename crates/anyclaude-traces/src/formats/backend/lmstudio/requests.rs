//! Ties lines to requests.
//!
//! No line has a request's id. Up to four requests run at once, of one model or of several.
//! A line is tied to the request that is due for it: lines of one kind come in the order of
//! the requests, a tag names the model, progress only grows, and an engine's task is that of
//! the request that has waited longest when it is launched. Where several are due for a line
//! with a figure, the first gets it, and all of them are marked as ambiguous.

mod reading;

use std::sync::Arc;

use super::figures::LmStudioFigures;
use super::message::Done;
use super::open::LmStudioRequest;
use crate::formats::backend::{BackendLoad, BackendLog, BackendMoment, BackendTask};

/// The most requests that are open at once, far more than any server works on. Beyond that
/// the oldest one is assumed to have lost its end.
const MAX_OPEN: usize = 64;
/// A request without a line for this long has lost its end: six hours.
const MAX_SILENCE_MS: i64 = 6 * 60 * 60 * 1000;
/// The client of a request that has ended closes its connection within this.
const HANG_UP_MS: i64 = 2_000;
/// Names of models that are shared.
const MAX_NAMES: usize = 256;

/// The requests that the server is working on.
#[derive(Debug, Default, Clone)]
pub(super) struct Requests {
    open: Vec<LmStudioRequest>,
    /// When the last request ended, whose client may still close its connection.
    last_end: Option<BackendMoment>,
    /// When a client went away while several requests were open.
    hang_up: Option<BackendMoment>,
    /// The load that a request has caused, by its place in the log.
    loading: Option<usize>,
    names: Vec<Arc<str>>,
    /// The number of the file that is read.
    pub(super) file: u32,
}

impl Requests {
    /// A request line: a new request.
    pub(super) fn received(
        &mut self,
        request: u32,
        path: &[u8],
        at: Option<BackendMoment>,
        log: &mut BackendLog,
    ) {
        let endpoint = Some(self.name(path));
        let task = BackendTask { request: Some(request), endpoint, received: at, ..BackendTask::default() };
        self.push(LmStudioRequest { task, ..LmStudioRequest::default() }, at, log);
    }

    /// The request of this line, while it is open.
    pub(super) fn of_line(&mut self, request: u32) -> Option<&mut BackendTask> {
        let of_line = |open: &&mut LmStudioRequest| open.task.request == Some(request);
        self.open.iter_mut().rev().find(of_line).map(|open| &mut open.task)
    }

    /// A model begins with a request.
    pub(super) fn running(
        &mut self,
        tag: Option<&[u8]>,
        messages: Option<u64>,
        at: Option<BackendMoment>,
        log: &mut BackendLog,
    ) {
        let model = tag.map(|tag| self.name(tag));
        let asked = model.clone();
        let waits = |open: &LmStudioRequest| {
            (!open.runs).then(|| u32::from(asked.is_some() && open.task.requested_model == asked))
        };
        if let Some(open) = self.first(waits) {
            (open.runs, open.last, open.task.model) = (true, at, model);
            open.task.message_count = open.task.message_count.or(messages);
            let requested = open.task.requested_model.clone();
            self.end_load(tag, requested, at, log);
            return;
        }
        self.end_load(tag, None, at, log);
        let task = BackendTask { model, message_count: messages, received: at, ..BackendTask::default() };
        self.push(LmStudioRequest { task, runs: true, ..LmStudioRequest::default() }, at, log);
    }

    /// The answer of the next request is a stream, or comes in one piece.
    pub(super) fn answering(&mut self, tag: Option<&[u8]>, stream: bool) {
        let is_next = |open: &LmStudioRequest| {
            let fits = open.may_be(tag) && !open.answers && open.task.stream != Some(!stream);
            fits.then_some(u32::from(open.runs))
        };
        if let Some(open) = self.first(is_next) {
            (open.answers, open.task.stream) = (true, Some(stream));
        }
    }

    /// The prompt of the next request is read.
    pub(super) fn first_token(&mut self, tag: Option<&[u8]>, at: Option<BackendMoment>) {
        let reads = |open: &LmStudioRequest| {
            (open.may_be(tag) && open.task.first_token.is_none())
                .then(|| 2 * u32::from(open.task.started.is_some()) + u32::from(open.runs))
        };
        if let Some(open) = self.due(reads) {
            (open.task.first_token, open.last) = (at, at);
        }
    }

    /// An engine that works on one request at a time begins with the next, or has read it.
    pub(super) fn engine_begins(&mut self, at: Option<BackendMoment>) {
        if let Some(open) = self.first(|open| open.task.started.is_none().then_some(u32::from(open.runs))) {
            open.task.started = at;
        }
    }

    /// The engine has launched a task: it is that of the request that has waited longest.
    pub(super) fn launched(&mut self, slot_and_task: (u64, u64), at: Option<BackendMoment>) -> bool {
        let waits = |open: &LmStudioRequest| {
            (open.runs && open.engine.is_none() && open.disconnected.is_none()).then_some(0)
        };
        let Some(open) = self.first(waits) else { return false };
        open.engine = Some(slot_and_task);
        (open.task.started, open.last) = (at, at);
        true
    }

    /// An engine's task has ended.
    pub(super) fn worked_on(&mut self, work: BackendTask, log: &mut BackendLog) {
        let of = work.slot.zip(work.task);
        let found = self.open.iter().position(|open| of.is_some() && open.engine == of);
        let Some(open) = found.and_then(|at| self.open.get_mut(at)) else {
            log.tasks.push(work);
            return;
        };
        open.worked_on(work);
        self.close_over(log);
    }

    /// How much the next request got from the cache.
    pub(super) fn cache(
        &mut self,
        tag: Option<&[u8]>,
        cached: Option<u64>,
        prompt: Option<u64>,
        uncached: Option<u64>,
    ) {
        // The tag may be the engine's own name.
        let tag = tag.filter(|tag| self.open.iter().any(|open| open.is_model(tag)));
        let is_next = |open: &LmStudioRequest| {
            let knows = cached.is_some() && open.cache_is_told;
            (open.may_be(tag) && !knows && open.task.first_token.is_none()).then_some(u32::from(open.runs))
        };
        if let Some(open) = self.due(is_next) {
            open.cache_is_told |= cached.is_some();
            let told = cached.or_else(|| prompt.or(open.task.prompt_tokens)?.checked_sub(uncached?));
            open.task.cached_tokens = told.or(open.task.cached_tokens);
            open.task.prompt_tokens = prompt.or(open.task.prompt_tokens);
            open.uncached_tokens = uncached.or(open.uncached_tokens);
        }
    }

    /// An engine that works on one request at a time tells how long it took.
    pub(super) fn engine_took(&mut self, set: impl FnOnce(&mut BackendTask)) {
        let ends = |open: &LmStudioRequest| {
            let first = open.task.first_token.is_some();
            (open.runs && !open.engine_is_done).then(|| u32::from(first))
        };
        if let Some(open) = self.due(ends) {
            set(&mut open.task);
        }
    }

    /// The engine's summary of a request.
    pub(super) fn done(&mut self, done: &Done) {
        let ends = |open: &LmStudioRequest| {
            (!open.engine_is_done)
                .then(|| 2 * u32::from(open.task.first_token.is_some()) + u32::from(open.runs))
        };
        if let Some(open) = self.due(ends) {
            open.done(done);
        }
    }

    /// A piece of an answer, with figures in the last ones.
    pub(super) fn packet(&mut self, tag: Option<&[u8]>, id: Option<&[u8]>, figures: Option<LmStudioFigures>) {
        let by_id = |open: &LmStudioRequest| open.answer_id.as_deref() == id && id.is_some();
        let knows_it = self.open.iter().any(by_id);
        if !knows_it && let Some(id) = id {
            // Its first packet.
            let writes = |open: &LmStudioRequest| {
                let fits = open.may_be(tag) && open.answer_id.is_none() && open.task.stream != Some(false);
                fits.then(|| 2 * u32::from(open.task.first_token.is_some()) + u32::from(open.runs))
            };
            if let Some(open) = self.due(writes) {
                open.answer_id = Some(id.into());
            }
        }
        let Some(figures) = figures else { return };
        let writes = |open: &LmStudioRequest| {
            if by_id(open) {
                return Some(4);
            }
            let fits = open.may_be(tag) && open.answer_id.is_none() && open.task.stream != Some(false);
            fits.then(|| 2 * u32::from(open.task.first_token.is_some()) + u32::from(open.runs))
        };
        if let Some(open) = self.due(writes) {
            open.answered(figures);
        }
    }

    /// An answer has ended: a stream, or one in one piece.
    pub(super) fn ended(
        &mut self,
        tag: Option<&[u8]>,
        stream: bool,
        figures: Option<LmStudioFigures>,
        at: Option<BackendMoment>,
        log: &mut BackendLog,
    ) {
        let hang_up = self.hang_up;
        let is_due = |open: &LmStudioRequest| {
            let fits = open.may_be(tag) && open.task.stream != Some(!stream);
            fits.then(|| {
                let first = open.task.first_token.is_some();
                8 * u32::from(open.engine_is_done)
                    + 4 * u32::from(open.disconnected.is_some())
                    + 2 * u32::from(first)
                    + u32::from(open.runs)
            })
        };
        if let Some(open) = self.due(is_due) {
            if let Some(figures) = figures {
                open.answered(figures);
            }
            // Of several, it was this one's client that went away.
            open.disconnected = open.disconnected.or(hang_up);
            open.end(at);
            self.last_end = at;
            self.hang_up = None;
            self.close_over(log);
        }
    }

    /// A client has closed its connection: that of the answer that has just ended, or of one
    /// that has not.
    pub(super) fn disconnected(&mut self, at: Option<BackendMoment>) {
        let since_end = at.zip(self.last_end).and_then(|(at, end)| at.ms_since(end));
        if since_end.is_some_and(|ms| (0..=HANG_UP_MS).contains(&ms)) {
            self.last_end = None;
            return;
        }
        let stays = |open: &&mut LmStudioRequest| !open.is_over && open.disconnected.is_none();
        let mut open = self.open.iter_mut().filter(stays);
        match (open.next(), open.next()) {
            (Some(only), None) => only.disconnected = at,
            (Some(_), Some(_)) => self.hang_up = at,
            _ => {}
        }
    }

    /// The engine was told to stop working on a task: its client went away.
    pub(super) fn cancelled(&mut self, task: u64, at: Option<BackendMoment>) {
        let hang_up = self.hang_up.take();
        let of_task = |open: &&mut LmStudioRequest| open.engine.is_some_and(|(_, of)| of == task);
        if let Some(open) = self.open.iter_mut().find(of_task) {
            open.disconnected = open.disconnected.or(hang_up).or(at);
        }
    }

    /// Whether a request is open that this model runs.
    pub(super) fn know(&self, model: &[u8]) -> bool {
        self.open.iter().any(|open| !open.is_over && open.is_model(model))
    }

    /// The server answers a request with an error.
    pub(super) fn failed(
        &mut self,
        tag: Option<&[u8]>,
        words: &[u8],
        at: Option<BackendMoment>,
        log: &mut BackendLog,
    ) {
        let is_due = |open: &LmStudioRequest| {
            open.may_be(tag)
                .then(|| u32::from(open.runs) + u32::from(tag.is_some_and(|tag| open.is_model(tag))))
        };
        if let Some(open) = self.due(is_due) {
            open.fail(words, at);
            open.is_over = true;
            self.last_end = at;
            self.close_over(log);
        }
    }

    /// A prediction of `lms log stream --source model` begins.
    pub(super) fn predicting(&mut self, model: &[u8], at: Option<BackendMoment>, log: &mut BackendLog) {
        let model = Some(self.name(model));
        if self
            .open
            .iter()
            .any(|open| !open.is_over && open.runs && open.task.model == model && !open.is_predicted)
        {
            return;
        }
        let task = BackendTask { model, received: at, ..BackendTask::default() };
        self.push(
            LmStudioRequest { task, runs: true, is_predicted: true, ..LmStudioRequest::default() },
            at,
            log,
        );
    }

    /// And ends.
    pub(super) fn predicted(
        &mut self,
        model: &[u8],
        figures: LmStudioFigures,
        at: Option<BackendMoment>,
        log: &mut BackendLog,
    ) {
        let of_model = |open: &LmStudioRequest| open.is_model(model).then_some(u32::from(open.runs));
        let none = !self.open.iter().any(|open| !open.is_over && of_model(open).is_some());
        if none {
            self.predicting(model, None, log);
        }
        if let Some(open) = self.due(of_model) {
            open.answered(figures);
            open.engine_is_done = true;
            if open.is_predicted {
                open.end(at);
                self.close_over(log);
            }
        }
    }

    /// A request needs a model that is not loaded.
    pub(super) fn loading(&mut self, model: &[u8], at: Option<BackendMoment>, log: &mut BackendLog) {
        let model = Some(self.name(model));
        self.loading = Some(log.loads.len());
        log.loads.push(BackendLoad { started: at, model, ..BackendLoad::default() });
    }

    /// The place of the load that goes on.
    pub(super) fn open_load(&self) -> Option<usize> {
        self.loading
    }

    /// It is loaded once a request runs that asked for it.
    fn end_load(
        &mut self,
        tag: Option<&[u8]>,
        requested: Option<Arc<str>>,
        at: Option<BackendMoment>,
        log: &mut BackendLog,
    ) {
        let Some(load) = self.loading.and_then(|load| log.loads.get_mut(load)) else { return };
        let is_tagged = load.model.as_deref().map(str::as_bytes) == tag;
        let is_another = requested.is_some() && requested != load.model;
        if is_another && !is_tagged {
            return;
        }
        self.loading = None;
        load.ended = at;
        let ms = at.zip(load.started).and_then(|(end, start)| end.ms_since(start));
        #[expect(clippy::cast_precision_loss, reason = "no load takes 2^52 ms")]
        {
            load.load_ms = ms.filter(|ms| *ms >= 0).map(|ms| ms as f64);
        }
    }

    /// Ends the file, or the server: what is open has no end.
    pub(super) fn finish(&mut self, log: &mut BackendLog) {
        log.tasks.extend(self.open.drain(..).map(LmStudioRequest::into_task));
        (self.last_end, self.hang_up, self.loading) = (None, None, None);
    }

    /// What has ended and whose engine has told all it knows is a task.
    fn close_over(&mut self, log: &mut BackendLog) {
        let is_closed =
            |open: &mut LmStudioRequest| open.is_over && (open.engine.is_none() || open.engine_is_done);
        log.tasks.extend(self.open.extract_if(.., is_closed).map(LmStudioRequest::into_task));
    }

    fn push(&mut self, mut open: LmStudioRequest, at: Option<BackendMoment>, log: &mut BackendLog) {
        let is_silent = |open: &mut LmStudioRequest| {
            let silence = at.zip(open.last).and_then(|(at, last)| at.ms_since(last));
            silence.is_some_and(|ms| ms > MAX_SILENCE_MS)
        };
        log.tasks.extend(self.open.extract_if(.., is_silent).map(LmStudioRequest::into_task));
        if self.open.len() >= MAX_OPEN {
            log.tasks.push(self.open.remove(0).into_task());
        }
        open.last = at;
        open.task.file = self.file;
        self.open.push(open);
    }

    /// The first of those that `rank` ranks highest.
    fn first(&mut self, rank: impl Fn(&LmStudioRequest) -> Option<u32>) -> Option<&mut LmStudioRequest> {
        let rank = |open: &LmStudioRequest| if open.is_over { None } else { rank(open) };
        let best = self.open.iter().filter_map(&rank).max()?;
        self.open.iter_mut().find(|open| rank(open) == Some(best))
    }

    /// The same; where there are several, all of them are marked.
    fn due(&mut self, rank: impl Fn(&LmStudioRequest) -> Option<u32>) -> Option<&mut LmStudioRequest> {
        let rank = |open: &LmStudioRequest| if open.is_over { None } else { rank(open) };
        let best = self.open.iter().filter_map(&rank).max()?;
        let mut best_ones = self.open.iter_mut().filter(|open| rank(open) == Some(best));
        let first = best_ones.next()?;
        for other in best_ones {
            other.task.is_ambiguous = true;
            first.task.is_ambiguous = true;
        }
        Some(first)
    }

    /// Shares the name: there are few, and they come again.
    fn name(&mut self, name: &[u8]) -> Arc<str> {
        if let Some(known) = self.names.iter().find(|known| known.as_bytes() == name) {
            return known.clone();
        }
        let name: Arc<str> = String::from_utf8_lossy(name).into();
        if self.names.len() < MAX_NAMES {
            self.names.push(name.clone());
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::backend::TaskOutcome;

    #[test]
    fn a_failed_request_keeps_the_words() {
        let mut log = BackendLog::new(crate::formats::backend::BackendFormat::LmStudio);
        let mut requests = Requests::default();
        requests.received(0, b"/v1/messages", None, &mut log);
        requests.failed(None, b"No models loaded.", None, &mut log);
        assert_eq!(log.tasks[0].outcome, TaskOutcome::Failed);
        assert_eq!(log.tasks[0].error.as_deref(), Some("No models loaded."));
    }
}
