//! One request and its answer, as a recorder tells them, and what follows from them.

use std::sync::Arc;

use crate::formats::body::Body;
use crate::formats::json::cursor::Cursor;
use crate::formats::json::fault::ParseResult;
use crate::formats::record::{RecordDraft, Sender, TraceRecord, path_of};
use crate::formats::response::AnswerFacts;
use crate::model::request::{Api, ModelSource, Source};
use crate::model::time::Timestamp;
use crate::model::timing::{CachedSource, Outcome, Timing, TokenSource, TtftSource};

/// What a record is about, by its path and body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordSubject {
    /// A request to a model, in a shape that is read.
    Model,
    /// A request to a model, in the shape of Google's API.
    Google,
    /// A connection over which messages go to a model: a WebSocket.
    Socket,
    /// Anything else.
    Other,
}

/// A request and its answer. Whatever is unknown is `None`.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// The URL's path, without its query.
    pub(super) endpoint: Option<Arc<str>>,
    pub(super) sender: Sender,
    pub(super) body: Option<Body>,
    /// The client's request came in, where that is not when the backend was asked.
    pub(super) received: Option<Timestamp>,
    /// The backend was asked.
    pub(super) start: Option<Timestamp>,
    pub(super) ttft_ms: Option<u64>,
    pub(super) total_ms: Option<u64>,
    /// The HTTP status; 0 is none.
    pub(super) status: Option<u64>,
    pub(super) answer: Option<AnswerFacts>,
    /// What stands for it is a WebSocket, whose messages are no answer to this request.
    pub(super) is_socket: bool,
    /// The recorder's words for what went wrong.
    pub(super) error: Option<String>,
}

impl Exchange {
    pub(super) fn set_url(&mut self, url: &str) {
        self.is_socket |= url.starts_with("ws://") || url.starts_with("wss://");
        self.endpoint = Some(Arc::from(path_of(url)));
    }

    /// Takes the address that the cursor stands before; passes a value of any shape.
    pub(super) fn read_url(&mut self, cursor: &mut Cursor<'_, '_>) -> ParseResult<()> {
        if let Some(url) = cursor.string_or_skip()? {
            self.set_url(&url.decode());
        }
        Ok(())
    }

    /// Where the end is known by its time.
    pub(super) fn set_end(&mut self, end: Option<Timestamp>) {
        let ms = end.zip(self.start).and_then(|(end, start)| u64::try_from(end.ms_since(start)).ok());
        self.total_ms = ms.or(self.total_ms);
    }

    /// Takes from the client's body what the backend's does not tell: who sent it, and the
    /// model that was asked for. Without the backend's it is the body.
    pub(super) fn adopt(&mut self, client: Body) {
        let Some(body) = &mut self.body else {
            self.body = Some(client);
            return;
        };
        body.model = client.model.or(body.model.take());
        body.sender = client.sender;
    }

    pub(super) fn subject(&self) -> RecordSubject {
        let path = self.endpoint.as_deref();
        let is_google = |path: &str| path.contains("enerateContent");
        match (path, &self.body) {
            (Some(path), _) if is_google(path) => RecordSubject::Google,
            (Some(path), None) if self.is_socket && is_model_path(path) => RecordSubject::Socket,
            (Some(path), Some(body)) if is_model_path(path) && body.is_prompt() => RecordSubject::Model,
            (None, Some(body)) if body.has_messages() => RecordSubject::Model,
            _ => RecordSubject::Other,
        }
    }

    /// The record of a request to a model. `file_bytes` is the size of its file.
    pub(super) fn into_record(self, source: Source, file_bytes: usize) -> Result<TraceRecord, &'static str> {
        self.into_draft(source).finish(file_bytes)
    }

    /// Everything that a record is made of.
    pub(super) fn into_draft(mut self, source: Source) -> RecordDraft {
        let mut draft = RecordDraft::new(source);
        draft.timestamp = self.received.or(self.start);
        draft.api = self.body.as_ref().and_then(|body| body.api).or(self.api_of_path());
        let outcome = self.outcome();
        let timing = draft.timing();
        timing.start = self.start;
        timing.proxy_ms =
            self.received.zip(self.start).and_then(|(from, to)| u64::try_from(to.ms_since(from)).ok()).into();
        timing.total_ms = self.total_ms.into();
        timing.ttft_ms = self.ttft_ms.filter(|ttft| self.total_ms.is_none_or(|total| *ttft <= total)).into();
        timing.ttft_source = timing.ttft_ms.get().map(|_| TtftSource::FirstPart);
        timing.outcome = outcome;
        if outcome == Some(Outcome::Failed) {
            timing.error = self.words();
        }
        let status = self.status.filter(|status| *status > 0);
        if let Some(mut answer) = self.answer.take() {
            forget_empty_usage(&mut answer);
            fill_counts(timing, &answer);
            draft.model = answer.model.as_deref().map(|model| (Arc::from(model), ModelSource::Response));
            answer.response.status = status;
            draft.response = Some(Box::new(answer.response));
        } else if status.is_some() {
            let mut response = AnswerFacts::default().response;
            response.status = status;
            draft.response = Some(Box::new(response));
        }
        draft.endpoint = self.endpoint;
        draft.sender = self.sender;
        draft.set_body(self.body);
        draft
    }

    fn api_of_path(&self) -> Option<Api> {
        let path = self.endpoint.as_deref()?;
        match () {
            () if path.ends_with("/chat/completions") => Some(Api::OpenaiChat),
            () if path.ends_with("/responses") => Some(Api::OpenaiResponses),
            () if path.contains("/messages") => Some(Api::Anthropic),
            () => None,
        }
    }

    /// How it ended, as far as that is told.
    fn outcome(&self) -> Option<Outcome> {
        let answer_failed = self.answer.as_ref().is_some_and(|answer| answer.error.is_some());
        match (self.status, &self.answer) {
            (Some(400..), _) => Some(Outcome::Failed),
            _ if answer_failed || self.error.is_some() => Some(Outcome::Failed),
            (None | Some(0), None) => Some(Outcome::Unfinished),
            (_, Some(answer)) if answer.is_complete => Some(Outcome::Completed),
            (_, Some(answer)) if *answer != AnswerFacts::default() => Some(Outcome::Unfinished),
            _ => None,
        }
    }

    fn words(&self) -> Option<String> {
        let answer = self.answer.as_ref().and_then(|answer| answer.error.clone());
        answer.or_else(|| self.error.clone()).or_else(|| self.status.map(|status| format!("HTTP {status}")))
    }
}

/// Whether requests to a model go to this path.
fn is_model_path(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    ["/messages", "/messages/count_tokens", "/chat/completions", "/responses"]
        .iter()
        .any(|end| path.ends_with(end))
}

/// No prompt has 0 tokens: a usage of zeros was not counted.
fn forget_empty_usage(answer: &mut AnswerFacts) {
    let response = &mut answer.response;
    let counts = [
        &mut response.input_tokens,
        &mut response.output_tokens,
        &mut response.cache_creation_tokens,
        &mut response.cache_read_tokens,
    ];
    if counts.iter().all(|count| count.unwrap_or(0) == 0) {
        counts.into_iter().for_each(|count| *count = None);
    }
}

/// The counts of the answer's usage as those of the whole prompt.
fn fill_counts(timing: &mut Timing, answer: &AnswerFacts) {
    let response = &answer.response;
    let parts = [response.input_tokens, response.cache_read_tokens, response.cache_creation_tokens];
    let prompt = parts.into_iter().flatten().fold(0, u64::saturating_add);
    timing.prompt_tokens = response.input_tokens.map(|_| prompt).filter(|tokens| *tokens > 0).into();
    timing.prompt_tokens_source = timing.prompt_tokens.get().map(|_| TokenSource::Usage);
    timing.output_tokens = response.output_tokens.into();
    timing.output_tokens_source = timing.output_tokens.get().map(|_| TokenSource::Usage);
    timing.cached_tokens = timing.prompt_tokens.get().and(response.cache_read_tokens).into();
    timing.cached_source = timing.cached_tokens.get().map(|_| CachedSource::Reported);
}
