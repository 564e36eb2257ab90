//! Adds the facts of log lines to the requests that they are paired with.

use std::sync::Arc;

use super::{PLACEHOLDER_MODEL, Start, UnmatchedLogRequest};
use crate::formats::anyclaude::log::{LogRequest, LogRun};
use crate::model::intern::Interner;
use crate::model::request::{Concurrency, Join, ModelSource, Request, Run};
use crate::model::timing::{CachedSource, Confidence, Outcome, Timing};

/// A request of a log with the trace that it was paired with, if any.
pub(super) struct LogPair {
    pub(super) run: usize,
    pub(super) place: usize,
    pub(super) request: Option<usize>,
    confidence: Confidence,
    concurrency: Concurrency,
}

impl LogPair {
    pub(super) fn new((start, concurrency): (Start<'_>, Concurrency)) -> Self {
        let Start { run, place, request, confidence, .. } = start;
        Self { run, place, request, confidence, concurrency }
    }
}

/// Adds the facts of the logs to every paired request, and returns the log requests without
/// a trace, by time. Moves their facts, so that little is in memory twice: threads that read
/// logs leave what is freed of them to nobody else.
pub(super) fn apply_all(
    requests: &mut [&mut Request],
    runs: &mut [LogRun],
    processes: &[Arc<Run>],
    mut pairs: Vec<LogPair>,
) -> Vec<UnmatchedLogRequest> {
    let (mut models, mut unmatched) = (ModelNames::default(), Vec::new());
    pairs.sort_by_key(|pair| pair.run);
    for of_run in pairs.chunk_by(|a, b| a.run == b.run) {
        let Some(run) = of_run.first().map(|pair| pair.run) else { continue };
        let (Some(process), Some(run)) = (processes.get(run), runs.get_mut(run)) else { continue };
        let mut logs: Vec<Option<LogRequest>> =
            std::mem::take(&mut run.requests).into_iter().map(Some).collect();
        for pair in of_run {
            let Some(log) = logs.get_mut(pair.place).and_then(Option::take) else { continue };
            let model = models.of(&log, run);
            match pair.request.and_then(|index| requests.get_mut(index)) {
                Some(request) => apply(request, log, pair, model, process),
                None => unmatched.push(UnmatchedLogRequest::new(log, model, process)),
            }
        }
    }
    unmatched.sort_by_key(UnmatchedLogRequest::order);
    unmatched
}

fn apply(
    request: &mut Request,
    log: LogRequest,
    pair: &LogPair,
    (model, source): (Option<Arc<str>>, Option<ModelSource>),
    process: &Arc<Run>,
) {
    if model.is_some() {
        request.model = model;
        request.model_source = source;
    }
    request.run = Some(process.id.clone());
    request.bookkeeping.process = Some(process.clone());
    let gap_ms = request.timestamp.map(|stamp| stamp.ms_since(log.start));
    let join = Join { log: process.log.clone(), gap_ms, confidence: pair.confidence };
    request.join = Some(Box::new(join));
    request.bookkeeping.concurrency = Some(pair.concurrency);
    let mut timing = timing(&log);
    // The logs of October 2025 do not tell what was streamed; the trace does.
    if log.streamed.is_none() && !request.stream && log.outcome == Outcome::Unfinished {
        timing.outcome = Some(Outcome::NotStreamed);
    }
    request.timing = Some(Box::new(timing));
    request.bookkeeping.proxied = log.prompt;
    request.bookkeeping.log_facts = Some(log.facts);
}

/// Interns the names of models.
#[derive(Default)]
struct ModelNames(Interner<str>);

impl ModelNames {
    /// The model that ran, unless the log only has a placeholder for it.
    fn of(&mut self, log: &LogRequest, run: &LogRun) -> (Option<Arc<str>>, Option<ModelSource>) {
        if let Some(model) = &log.response_model {
            return (Some(self.0.once(model)), Some(ModelSource::Response));
        }
        if &*log.model != PLACEHOLDER_MODEL {
            return (Some(log.model.clone()), Some(ModelSource::DebugLog));
        }
        match run.detected_model.as_deref().filter(|model| *model != PLACEHOLDER_MODEL) {
            Some(model) => (Some(self.0.once(model)), Some(ModelSource::Detected)),
            None => (None, None),
        }
    }
}

fn timing(log: &LogRequest) -> Timing {
    let proxy = log.proxy.filter(|proxy| proxy.confidence != Confidence::Ambiguous);
    let proxy_ms = proxy.map(|proxy| proxy.ms);
    let mut timing = Timing {
        start: Some(log.start),
        proxy_ms: proxy_ms.into(),
        ttft_ms: log.ttft_ms,
        ttft_source: log.ttft_source,
        total_ms: log.total_ms,
        keepalives: log.keepalives,
        events: log.events,
        event_bytes: log.event_bytes,
        parts: log.parts,
        prompt_tokens: log.prompt_tokens,
        prompt_tokens_source: log.prompt_tokens_source,
        output_tokens: log.output_tokens,
        output_tokens_source: log.output_tokens_source,
        reported_tokens_per_second: log.reported_tokens_per_second,
        outcome: Some(log.outcome),
        error: log.error.clone(),
        cached_tokens: log.facts.cached_tokens,
        cached_source: log.facts.cached_tokens.get().map(|_| CachedSource::Reported),
        ..Timing::default()
    };
    timing.fill_sums();
    timing
}

impl UnmatchedLogRequest {
    fn new(
        log: LogRequest,
        (model, model_source): (Option<Arc<str>>, Option<ModelSource>),
        process: &Run,
    ) -> Self {
        Self {
            start: Some(log.start),
            run: Some(process.id.clone()),
            log: None,
            endpoint: None,
            requested_model: None,
            model,
            model_source,
            tool_count: log.tool_count.get(),
            message_count: log.message_count.get(),
            max_tokens: log.max_tokens.get(),
            stream: log.streamed,
            timing: Box::new(timing(&log)),
            confidence: log.confidence,
            log_facts: Some(log.facts),
            server_task: None,
            root: None,
        }
    }
}
