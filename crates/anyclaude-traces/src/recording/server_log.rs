//! Requests that only a server's log tells of.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::formats::backend::{BackendFormat, BackendLog, BackendTask};
use crate::formats::record::{RecordDraft, TraceRecord};
use crate::model::request::{ModelSource, Request, Source, TracePath};
use crate::model::timing::Confidence;
use crate::model::{Amount, ServerJoin};
use crate::read::{LogFile, TraceFile};
use crate::recording::assemble::RequestBuilder;
use crate::recording::join::UnmatchedLogRequest;
use crate::recording::join::server::LoggedTask;

/// The requests of these tasks. `bodies` holds the records of those bodies that are whole.
pub(crate) fn requests_of(
    tasks: Vec<LoggedTask>,
    logs: &[LogFile<BackendLog>],
    bodies: &HashMap<TracePath, TraceRecord>,
) -> Vec<Request> {
    let mut builder = RequestBuilder::with_capacity(tasks.len());
    // A log is the file of many requests.
    let files: Vec<Arc<Path>> = logs.iter().map(|log| Arc::from(log.path.as_path())).collect();
    let request_lines: Vec<u32> = logs.iter().map(|log| request_lines(&log.content)).collect();
    // Nearly all were found in the same way.
    let mut last: Option<Arc<ServerJoin>> = None;
    for logged in tasks {
        let Some(log) = logs.get(logged.log) else { continue };
        let Some(task) = log.content.tasks.get(logged.task) else { continue };
        let lines = request_lines.get(logged.log).copied().unwrap_or(0);
        let Some(file) = files.get(logged.log) else { continue };
        let path = TracePath::of_record(file.clone(), number(lines, logged.task, task));
        let record = bodies.get(&path).cloned().unwrap_or_else(|| without_body(log, task));
        let UnmatchedLogRequest { start, log, endpoint, model, timing, confidence, server_task, .. } =
            logged.found;
        let record = TraceRecord {
            timestamp: start,
            endpoint,
            model: model.map(|model| (model, ModelSource::ServerLog)),
            timing: Some(timing),
            ..record
        };
        let join = ServerJoin { log: log.unwrap_or_default(), gap_ms: None, confidence };
        let join = last.take().filter(|last| **last == join).unwrap_or_else(|| Arc::new(join));
        builder.add_of_server(TraceFile { path, record }, join.clone(), server_task);
        last = Some(join);
    }
    builder.requests()
}

impl Request {
    /// Whether only a server's log tells of it, and that without a request line: what was
    /// asked for is not known.
    #[must_use]
    pub fn is_task_only(&self) -> bool {
        match self.source {
            Source::LlamaServer | Source::Ollama => true,
            Source::LmStudio => self.endpoint.is_none(),
            _ => false,
        }
    }
}

impl UnmatchedLogRequest {
    /// What is known of a task without a request line.
    pub(crate) fn of_task(request: Request) -> Self {
        let (log, confidence) = match request.server_join {
            Some(join) => (Some(join.log.clone()), join.confidence),
            None => (None, Confidence::Exact),
        };
        let timing = request.timing.unwrap_or_default();
        Self {
            start: timing.start,
            run: None,
            log,
            endpoint: request.endpoint,
            requested_model: request.requested_model,
            model: request.model,
            model_source: request.model_source,
            tool_count: request.sizes.tool_count.get(),
            message_count: request.sizes.message_count.get(),
            max_tokens: request.max_tokens,
            stream: request.bookkeeping.server_task.as_ref().and_then(|task| task.stream),
            timing,
            confidence,
            log_facts: None,
            server_task: request.bookkeeping.server_task,
            root: None,
        }
    }
}

/// How many request lines a log has, as far as its tasks tell.
fn request_lines(log: &BackendLog) -> u32 {
    log.tasks.iter().filter_map(|task| task.request).max().map_or(0, |last| last + 1)
}

/// The number of a task's record: that of its request line, else one behind all of these.
fn number(request_lines: u32, at: usize, task: &BackendTask) -> u32 {
    task.request.unwrap_or_else(|| u32::try_from(at).unwrap_or(u32::MAX).saturating_add(request_lines))
}

/// What is known of a request whose body the log does not hold whole.
fn without_body(log: &LogFile<BackendLog>, task: &BackendTask) -> TraceRecord {
    let source = match log.content.format {
        BackendFormat::LmStudio => Source::LmStudio,
        BackendFormat::LlamaServer => Source::LlamaServer,
        BackendFormat::Ollama => Source::Ollama,
    };
    let mut record = RecordDraft::new(source)
        .finish_without_body(usize::try_from(log.content.bytes).unwrap_or(usize::MAX));
    record.requested_model.clone_from(&task.requested_model);
    // What was sent is known from a request line alone.
    record.stream = task.stream.unwrap_or(task.request.is_none());
    record.max_tokens = task.max_tokens;
    record.sizes.message_count = task.message_count.map_or(Amount::UNKNOWN, Amount::from);
    record.sizes.tool_count = task.tool_count.map_or(Amount::UNKNOWN, Amount::from);
    record
}
