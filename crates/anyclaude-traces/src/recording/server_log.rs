//! Requests that only a server's log tells of.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::formats::backend::{BackendFormat, BackendLog};
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
    // Nearly all were found in the same way.
    let mut last: Option<Arc<ServerJoin>> = None;
    for logged in tasks {
        let Some(log) = logs.get(logged.log) else { continue };
        let Some(file) = files.get(logged.log) else { continue };
        let path = TracePath::of_record(file.clone(), logged.record);
        let record = bodies.get(&path).cloned().unwrap_or_else(|| without_body(&log.content, &logged));
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
            Source::LmStudio => self.caller.endpoint.is_none(),
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
            endpoint: request.caller.endpoint.clone(),
            requested_model: request.caller.requested_model.clone(),
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

/// What is known of a request whose body the log does not hold whole.
fn without_body(log: &BackendLog, LoggedTask { found, has_request_line, .. }: &LoggedTask) -> TraceRecord {
    let source = match log.format {
        BackendFormat::LmStudio => Source::LmStudio,
        BackendFormat::LlamaServer => Source::LlamaServer,
        BackendFormat::Ollama => Source::Ollama,
    };
    let mut record =
        RecordDraft::new(source).finish_without_body(usize::try_from(log.bytes).unwrap_or(usize::MAX));
    record.requested_model.clone_from(&found.requested_model);
    // What was sent is known from a request line alone.
    record.stream = found.stream.unwrap_or(!has_request_line);
    record.max_tokens = found.max_tokens;
    record.sizes.message_count = found.message_count.map_or(Amount::UNKNOWN, Amount::from);
    record.sizes.tool_count = found.tool_count.map_or(Amount::UNKNOWN, Amount::from);
    record
}
