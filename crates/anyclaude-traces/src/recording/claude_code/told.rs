//! Attempts and their pieces → records and times of requests.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::attempt::{Attempt, Caller, StartSource};
use super::bodies::FoundBodies;
use super::first_token::{FirstTokenTime, drop_message_starts};
use super::outcome::AttemptOutcome;
use super::responses::Responses;
use crate::formats::claude_code::{ModelSpan, Usage, recording_of};
use crate::formats::record::{RecordDraft, TraceRecord};
use crate::model::request::{Api, Join, ModelSource, Source, TimestampSource, TracePath};
use crate::model::time::Timestamp;
use crate::model::timing::{CachedSource, Confidence, Outcome, Timing, TokenSource, TtftSource};
use crate::model::{Amount, AnswerContent, Response};
use crate::read::{FactsFile, TraceFile};

/// What is known of a request.
#[derive(Debug, Clone)]
pub(super) struct KnownRequest {
    /// Its body, by place; else the file of facts and its number there.
    pub(super) body: Option<usize>,
    pub(super) place: Option<(usize, u32)>,
    pub(super) timestamp: Option<Timestamp>,
    /// The time is that of writing.
    pub(super) is_modified: bool,
    pub(super) caller: Caller,
    /// The model that ran.
    pub(super) model: Option<(Arc<str>, ModelSource)>,
    pub(super) timing: Option<Timing>,
    pub(super) response: Option<Response>,
    /// How sure it is that the times are its own; `None` without any but those of files.
    pub(super) confidence: Option<Confidence>,
}

/// What is known of each attempt.
pub(super) fn tell(
    attempts: Vec<Attempt>,
    ended: Vec<AttemptOutcome>,
    spans: &[(usize, &ModelSpan)],
    bodies: &FoundBodies<'_>,
    responses: &Responses<'_>,
    facts: &[FactsFile],
) -> Vec<KnownRequest> {
    let mut pieces: Vec<AttemptPieces<'_>> = attempts
        .into_iter()
        .zip(ended)
        .map(|(attempt, ended)| AttemptPieces::of(attempt, ended, spans, bodies, responses, facts))
        .collect();
    let mut firsts: Vec<FirstTokenTime> = pieces.iter().map(AttemptPieces::first_token).collect();
    let counting = counting(&pieces);
    for (piece, first) in pieces.iter_mut().zip(&mut firsts) {
        first.may_be_cached = !counting.contains(&piece.recording);
        piece.counts_cached = !first.may_be_cached;
    }
    drop_message_starts(&mut firsts);
    pieces.into_iter().zip(firsts).map(|(piece, first)| piece.tell(&first)).collect()
}

/// The recordings whose backends report cached tokens: a 0 is a 0 there.
fn counting(pieces: &[AttemptPieces<'_>]) -> BTreeSet<PathBuf> {
    let reports = |piece: &&AttemptPieces<'_>| piece.usage.cache_read.is_some_and(|tokens| tokens > 0);
    pieces.iter().filter(reports).map(|piece| piece.recording.clone()).collect()
}

impl KnownRequest {
    /// Adds what is known to the record of the body.
    pub(super) fn add_to(self, record: &mut TraceRecord, facts: &[FactsFile]) {
        record.source = Source::ClaudeCode;
        record.timestamp = self.timestamp;
        record.timestamp_source = self.timestamp.filter(|_| self.is_modified).map(|_| TimestampSource::Mtime);
        record.model = self.model;
        let sender = &mut record.sender;
        sender.session_id = self.caller.session.or(sender.session_id.take());
        sender.agent = self.caller.agent.or(sender.agent.take());
        sender.client_version = self.caller.client_version.or(sender.client_version.take());
        record.timing = self.timing.map(|mut timing| {
            timing.fill_sums();
            Box::new(timing)
        });
        record.response = self.response.map(Box::new);
        let log = self.place.and_then(|(file, _)| facts.get(file)?.path.file_name());
        record.join = log.zip(self.confidence).map(|(log, confidence)| {
            Box::new(Join { log: log.to_string_lossy().into(), gap_ms: None, confidence })
        });
    }

    /// A record of its own, where no body was recorded.
    pub(super) fn into_record(self, facts: &[FactsFile]) -> Option<TraceFile> {
        let (file, number) = self.place?;
        let path = TracePath::of_record(facts.get(file)?.path.clone(), number);
        let mut draft = RecordDraft::new(Source::ClaudeCode);
        draft.api = Some(Api::Anthropic);
        let mut record = draft.finish_without_body(0);
        record.sizes.file_bytes = Amount::UNKNOWN;
        record.requested_model.clone_from(&self.caller.model);
        record.stream = true;
        self.add_to(&mut record, facts);
        Some(TraceFile { path, record })
    }
}

/// An attempt with all that belongs to it.
struct AttemptPieces<'p> {
    attempt: Attempt,
    ended: AttemptOutcome,
    span: Option<&'p ModelSpan>,
    response: Option<&'p Response>,
    response_model: Option<Arc<str>>,
    usage: Usage,
    /// Whether an answer in one piece was asked for.
    is_whole: bool,
    recording: PathBuf,
    counts_cached: bool,
}

impl<'p> AttemptPieces<'p> {
    fn of(
        attempt: Attempt,
        ended: AttemptOutcome,
        spans: &[(usize, &'p ModelSpan)],
        bodies: &FoundBodies<'p>,
        responses: &Responses<'p>,
        facts: &[FactsFile],
    ) -> Self {
        let span = attempt.span.and_then(|span| spans.get(span)).map(|(_, span)| *span);
        let file = attempt.response.and_then(|place| responses.get(place));
        let recorded = file.map(|file| file.content);
        let reports = [
            attempt.end.as_ref().map(|end| end.usage),
            span.map(|span| span.usage),
            recorded.map(|recorded| Usage::from(&recorded.response)),
        ];
        let usage = reports.into_iter().flatten().fold(Usage::default(), Usage::or_counted);
        let told_by =
            attempt.place.and_then(|(file, _)| facts.get(file)).map(|file| recording_of(&file.path));
        let body = attempt.body.and_then(|body| bodies.get(body));
        Self {
            ended,
            span,
            response: recorded.map(|recorded| &recorded.response),
            response_model: recorded
                .and_then(|recorded| recorded.model.clone())
                .or_else(|| span.and_then(|span| span.response_model.clone())),
            usage,
            is_whole: bodies.is_streamed(attempt.body) == Some(false),
            recording: told_by.or_else(|| body.map(|body| body.recording.clone())).unwrap_or_default(),
            counts_cached: false,
            attempt,
        }
    }

    /// From the start to the end.
    fn total_ms(&self) -> Option<u64> {
        let started = self.attempt.started?;
        if let Some(interrupted) = self.ended.interrupted {
            return u64::try_from(interrupted.ms_since(started)).ok();
        }
        let end = self.attempt.end.as_ref()?;
        let since_start = u64::try_from(end.at?.ms_since(started)).ok();
        match (end.duration_ms, since_start) {
            (Some(duration), Some(since)) if self.attempt.counts_refused => Some(duration.min(since)),
            (duration, since) => duration.or(since),
        }
    }

    /// The time to first token as it is reported. A 0 is no time.
    fn first_token(&self) -> FirstTokenTime {
        let content = self.span.and_then(|span| span.first_content_ms);
        let start = self.span.and_then(|span| span.ttft_ms);
        let start = start.or_else(|| self.attempt.end.as_ref().and_then(|end| end.ttft_ms));
        let prompt = self.usage.prompt();
        let total_ms = self.total_ms();
        // No first token comes after the end.
        let is_possible = |ms: &u64| *ms > 0 && total_ms.is_none_or(|total| *ms <= total);
        FirstTokenTime {
            group: (self.recording.clone(), self.attempt.caller.model.clone()),
            ttft_ms: content.or(start).filter(|ms| is_possible(ms) && !self.is_whole),
            is_certain: content.is_some(),
            read_tokens: prompt.map(|tokens| tokens.saturating_sub(self.usage.cache_read.unwrap_or(0))),
            may_be_cached: true,
            total_ms,
        }
    }

    fn tell(self, first: &FirstTokenTime) -> KnownRequest {
        let timing = self.timing(first);
        let response = self.told_response();
        let attempt = self.attempt;
        // Of an answer in the index alone, the end is the only time.
        let timestamp = attempt.started.or_else(|| attempt.end.as_ref().and_then(|end| end.at));
        let answered = self.response_model.map(|model| (model, ModelSource::Response));
        let asked = || Some((attempt.caller.model.clone()?, ModelSource::Trace));
        KnownRequest {
            body: attempt.body,
            place: attempt.place,
            timestamp,
            is_modified: attempt.source == StartSource::Modified,
            model: answered.or_else(asked),
            timing,
            response,
            confidence: attempt.confidence,
            caller: attempt.caller,
        }
    }

    fn timing(&self, first: &FirstTokenTime) -> Option<Timing> {
        let end = self.attempt.end.as_ref();
        let outcome = self.ended.outcome?;
        let prompt_tokens = self.usage.prompt();
        let output_tokens = self.usage.output.filter(|_| outcome == Outcome::Completed);
        let cached_tokens = self.usage.cache_read.filter(|tokens| {
            prompt_tokens.is_some_and(|prompt| *tokens <= prompt) && (*tokens > 0 || self.counts_cached)
        });
        let source = if first.is_certain { TtftSource::FirstContent } else { TtftSource::MessageStart };
        Some(Timing {
            start: self.attempt.started,
            ttft_ms: first.ttft_ms.into(),
            ttft_source: first.ttft_ms.map(|_| source),
            total_ms: self.total_ms().into(),
            prompt_tokens: prompt_tokens.into(),
            prompt_tokens_source: prompt_tokens.map(|_| TokenSource::Usage),
            output_tokens: output_tokens.into(),
            output_tokens_source: output_tokens.map(|_| TokenSource::Usage),
            outcome: Some(outcome),
            error: end.and_then(|end| end.error.clone()),
            cached_tokens: cached_tokens.into(),
            cached_source: cached_tokens.map(|_| CachedSource::Reported),
            ..Timing::default()
        })
    }

    /// What the answer says, else what was reported of it.
    fn told_response(&self) -> Option<Response> {
        if let Some(response) = self.response {
            return Some(response.clone());
        }
        let end = self.attempt.end.as_ref()?;
        let Usage { input, output, cache_read, cache_creation } = self.usage;
        let stop_reason = self.span.and_then(|span| span.stop_reason.clone());
        let says_something = input.or(output).or(end.status).is_some() || stop_reason.is_some();
        says_something.then_some(Response {
            status: end.status,
            input_tokens: input,
            output_tokens: output,
            cache_creation_tokens: cache_creation,
            cache_read_tokens: cache_read,
            stop_reason,
            tool_calls: None,
            content: AnswerContent::default(),
        })
    }
}
