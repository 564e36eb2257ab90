//! Takes over what was recorded of a request, and what a log or a server's log tells of it.

use std::sync::Arc;

use super::{Case, CaseFacts, CaseSource, ClientFacts, Origin};
use crate::model::request::{Request, Source};
use crate::model::time::Timestamp;
use crate::model::timing::{CachedSource, Confidence, Outcome, Timing};
use crate::model::{LogFacts, Response, SimulatedReuse};
use crate::recording::join::UnmatchedLogRequest;

impl Case {
    /// What is known of a recorded request; `None` where nothing was logged of it.
    pub(in crate::cost) fn of_request(
        request: &Request,
        reuse: Option<SimulatedReuse>,
        index: usize,
    ) -> Option<Self> {
        let timing = request.timing.as_deref()?;
        let got = reuse.map(|reuse| reuse.prompt_bytes).filter(|bytes| *bytes > 0);
        let is_unsure = |confidence: Option<Confidence>| confidence == Some(Confidence::Ambiguous);
        let is_ambiguous = is_unsure(request.join.as_deref().map(|join| join.confidence))
            || is_unsure(request.server_join.as_deref().map(|join| join.confidence));
        // A recorder that timed the request itself needs no join, unless its stamps are coarse.
        let is_self_timed = request.source != Source::Anyclaude
            && timing.start.is_some()
            && timing.uncertainty_ms.get().is_none();
        // An answer in one piece has no first token: only its server's log can time that.
        let is_timed = request.stream && (request.join.is_some() || is_self_timed)
            || request.server_task().is_some_and(|server| server.read_ms.is_known());
        let origin =
            Origin { model: request.model_group(), run: request.run.clone(), backend: request.mode.clone() };
        let case = CaseFacts {
            source: CaseSource::Request(index),
            origin: Arc::new(origin),
            session: request.session.clone(),
            thread: request.thread.clone(),
            server: request.bookkeeping.server_task.clone(),
            is_certain: is_timed && !is_ambiguous,
            ..CaseFacts::default()
        };
        let client = ClientFacts {
            prompt_bytes: got.or_else(|| sent_bytes(request)).into(),
            // A prompt that was not recorded was not simulated either, whatever stands there.
            reuse: reuse.filter(|_| sent_bytes(request).is_some()),
            ..ClientFacts::default()
        };
        let client = client.with_log(timing, request.log_facts()).with_answer(request.response.as_deref());
        Some(case.with_times(timing).with_client_facts(client).into())
    }

    /// What is known of a request that only a log knows of.
    pub(in crate::cost) fn of_log_request(unmatched: &UnmatchedLogRequest, index: usize) -> Self {
        let origin =
            Origin { model: unmatched.model.clone(), run: unmatched.run.clone(), ..Origin::default() };
        let case = CaseFacts {
            source: CaseSource::LogOnly(index),
            origin: Arc::new(origin),
            server: unmatched.server_task.clone(),
            is_certain: unmatched.stream == Some(true) && unmatched.confidence != Confidence::Ambiguous,
            ..CaseFacts::default()
        };
        let client = ClientFacts::default().with_log(&unmatched.timing, unmatched.log_facts.as_deref());
        case.with_times(&unmatched.timing).with_client_facts(client).into()
    }
}

impl ClientFacts {
    /// What the proxy's log tells of the request.
    fn with_log(self, timing: &Timing, facts: Option<&LogFacts>) -> Self {
        Self {
            backend_ms: facts.and_then(|facts| facts.backend_ms.get()).into(),
            stall_ms: facts.and_then(|facts| facts.stall_ms.get()).into(),
            events: timing.events,
            event_bytes: timing.event_bytes,
            text_chunks: facts.and_then(|facts| facts.text_chunks.get()).into(),
            reasoning_tokens: facts.and_then(|facts| facts.reasoning_tokens.get()).into(),
            streamed_reasoning: facts.and_then(|facts| facts.streamed_reasoning),
            reported_cached_tokens: timing
                .cached_tokens
                .get()
                .filter(|_| timing.cached_source == Some(CachedSource::Reported))
                .into(),
            ..self
        }
    }

    /// What the recorded answer tells; what a log counted stays.
    fn with_answer(mut self, response: Option<&Response>) -> Self {
        let Some(response) = response else { return self };
        let content = response.content;
        self.answer_bytes = content.bytes;
        self.answer_calls = response.tool_calls.into();
        self.reasoning_tokens = self.reasoning_tokens.or(content.reasoning_tokens);
        self.streamed_reasoning = self.streamed_reasoning.or(content.has_reasoning.then_some(true));
        self
    }
}

impl CaseFacts {
    fn with_times(self, timing: &Timing) -> Self {
        let is_first_before_end = |ttft: &u64| timing.total_ms.get().is_some_and(|total| *ttft <= total);
        Self {
            start_ms: timing
                .start
                .map(Timestamp::unix_ms)
                .or(self.server.as_deref().and_then(|server| server.clock_ms)),
            proxy_ms: timing.proxy_ms,
            ttft_ms: timing.ttft_ms.get().filter(is_first_before_end).into(),
            total_ms: timing.total_ms,
            reported_prompt_tokens: timing.prompt_tokens.get().filter(|tokens| *tokens > 0).into(),
            reported_output_tokens: timing.output_tokens,
            is_certain: self.is_certain && timing.outcome == Some(Outcome::Completed),
            ..self
        }
    }
}

/// The bytes of a prompt as it was sent, where all of it was recorded.
pub(in crate::cost) fn sent_bytes(request: &Request) -> Option<u64> {
    request.sizes.prompt_bytes().get()
}
