//! One request as the cost model works on it: the evidence, and what the steps find.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::Model;
use super::constant_wait::ConstantWait;
use super::overlap::Overlap;
use super::parts::{TimeParts, Times};
use super::rate::Sample;
use super::reasoning::Hidden;
use crate::model::request::{Request, Source, TracePath};
pub(super) use crate::model::stats::{float, whole};
use crate::model::time::Timestamp;
use crate::model::timing::{CachedSource, Confidence, Outcome, Timing, TokenSource};
use crate::model::{Amount, CacheUse, LogFacts, Response, ServerTask, SimulatedReuse, SpeedSample};
use crate::recording::join::UnmatchedLogRequest;

/// Fewer tokens than this are read in a time that tells nothing.
pub(super) const LEAST_READ_TOKENS: u64 = 200;
/// So many tokens at least must an answer have, …
pub(super) const LEAST_OUTPUT_TOKENS: u64 = 16;
/// … and so long must it take, to tell how fast it was written.
pub(super) const LEAST_WRITE_MS: u64 = 500;

/// Where a case comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum CaseSource {
    /// A request, by its place.
    Request(usize),
    /// A request that only the log knows, by its place.
    Elsewhere(usize),
}

/// What answered a request: most often the same as the one before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) model: Model,
    /// The process.
    pub(super) run: Option<Arc<str>>,
    /// What tells backends apart: the proxy's mode.
    pub(super) backend: Option<Arc<str>>,
}

/// One request, in a box: to sort cases moves no more than pointers, and they go where the
/// simulation of the cache left room, which a vector of them is too long for. With it, and logs
/// handed to threads one by one, the peak of memory of 100,000 requests is 26 MB lower.
#[derive(Debug, Clone, Default)]
pub(super) struct Case(Box<CaseFacts>);

/// What a recorded prompt, a proxy's log or the client's usage tell of one request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct CaseBeside {
    /// How long it was in the backend, where its end is not known.
    pub(super) backend_ms: Amount,
    pub(super) stall_ms: Amount,
    pub(super) events: Amount,
    pub(super) event_bytes: Amount,
    pub(super) text_chunks: Amount,
    /// Reasoning tokens that the usage counts.
    pub(super) reasoning_tokens: Amount,
    /// Bytes of the answer's texts and calls, and how many it calls, where they were recorded.
    pub(super) answer_bytes: Amount,
    pub(super) answer_calls: Amount,
    /// Whether reasoning was streamed.
    pub(super) streamed_reasoning: Option<bool>,
    /// As the backend reports them.
    pub(super) reported_cached_tokens: Amount,
    /// Bytes of the prompt, as far as is known of what the backend got.
    pub(super) prompt_bytes: Amount,
    /// Estimated tokens of it, where its count is unusual.
    pub(super) estimated_tokens: Option<f64>,
    pub(super) reuse: Option<SimulatedReuse>,
}

impl CaseBeside {
    const UNKNOWN: &Self = &Self {
        backend_ms: Amount::UNKNOWN,
        stall_ms: Amount::UNKNOWN,
        events: Amount::UNKNOWN,
        event_bytes: Amount::UNKNOWN,
        text_chunks: Amount::UNKNOWN,
        reasoning_tokens: Amount::UNKNOWN,
        answer_bytes: Amount::UNKNOWN,
        answer_calls: Amount::UNKNOWN,
        streamed_reasoning: None,
        reported_cached_tokens: Amount::UNKNOWN,
        prompt_bytes: Amount::UNKNOWN,
        estimated_tokens: None,
        reuse: None,
    };
}

/// What is known of one request. It dereferences to what only few have where a server's log is
/// all there is: without that, the cases of 215,000 tasks take a third less.
#[derive(Debug, Clone, Default)]
pub(super) struct CaseFacts {
    pub(super) place: CaseSource,
    pub(super) origin: Arc<Origin>,
    pub(super) session: Option<Arc<str>>,
    pub(super) thread: Option<Arc<str>>,
    /// When it reached the backend, in milliseconds; `None` in mode `claude`.
    pub(super) start_ms: Option<i64>,
    pub(super) proxy_ms: Amount,
    /// Time to first token, where it is not after the end.
    pub(super) ttft_ms: Amount,
    pub(super) total_ms: Amount,
    /// As the backend reports them.
    pub(super) reported_prompt_tokens: Amount,
    pub(super) reported_output_tokens: Amount,
    /// What logs of servers do not tell; `None` where nothing of it is known.
    pub(super) beside: Option<Box<CaseBeside>>,
    /// What the server's own log tells.
    pub(super) server: Option<Arc<ServerTask>>,
    /// Streamed, completed, and joined with no doubt.
    pub(super) is_certain: bool,

    // What the steps find.
    /// The counts that are believed.
    pub(super) prompt_tokens: Amount,
    pub(super) output_tokens: Amount,
    pub(super) hidden: Option<Hidden>,
    /// Reading and writing cannot be told apart.
    pub(super) is_untold: bool,
    pub(super) overlap: Overlap,
    pub(super) seen: CacheUse,
    pub(super) cached: Option<(u64, CachedSource)>,
    pub(super) constant: ConstantWait,
    pub(super) queue_ms: u64,
    pub(super) load_ms: u64,
    /// Its prompt was too short to tell how fast its model reads.
    pub(super) tells_no_reading: bool,
    pub(super) needed_tokens: Amount,
}

impl Default for CaseSource {
    fn default() -> Self {
        Self::Request(0)
    }
}

impl From<CaseFacts> for Case {
    fn from(facts: CaseFacts) -> Self {
        Self(Box::new(facts))
    }
}

impl Deref for Case {
    type Target = CaseFacts;

    fn deref(&self) -> &CaseFacts {
        &self.0
    }
}

impl DerefMut for Case {
    fn deref_mut(&mut self) -> &mut CaseFacts {
        &mut self.0
    }
}

impl Deref for CaseFacts {
    type Target = CaseBeside;

    fn deref(&self) -> &CaseBeside {
        self.beside.as_deref().unwrap_or(CaseBeside::UNKNOWN)
    }
}

impl DerefMut for CaseFacts {
    fn deref_mut(&mut self) -> &mut CaseBeside {
        self.beside.get_or_insert_default()
    }
}

impl Case {
    /// The case with the origin of the one before, where that is the same.
    pub(super) fn sharing(mut self, before: &mut Arc<Origin>) -> Self {
        if self.origin != *before {
            before.clone_from(&self.origin);
        }
        self.origin = before.clone();
        self
    }

    /// What is known of a request; `None` where nothing was logged of it.
    pub(super) fn of(request: &Request, reuse: Option<SimulatedReuse>, at: usize) -> Option<Self> {
        let timing = request.timing.as_deref()?;
        let got = reuse.map(|reuse| reuse.prompt_bytes).filter(|bytes| *bytes > 0);
        let is_unsure = |confidence: Option<Confidence>| confidence == Some(Confidence::Ambiguous);
        let is_ambiguous = is_unsure(request.join.as_deref().map(|join| join.confidence))
            || is_unsure(request.server_join.as_deref().map(|join| join.confidence));
        // Its own recording has its times, unless their stamps are coarse.
        let is_self_timed = request.source != Source::Anyclaude
            && timing.start.is_some()
            && timing.uncertainty_ms.get().is_none();
        // What is known of an answer in one piece is known from its server alone.
        let is_told = request.stream && (request.join.is_some() || is_self_timed)
            || request.server_task().is_some_and(|server| server.read_ms.is_known());
        let origin =
            Origin { model: request.model_group(), run: request.run.clone(), backend: request.mode.clone() };
        let case = CaseFacts {
            place: CaseSource::Request(at),
            origin: Arc::new(origin),
            session: request.session.clone(),
            thread: request.thread.clone(),
            server: request.bookkeeping.server_task.clone(),
            is_certain: is_told && !is_ambiguous,
            ..CaseFacts::default()
        };
        let beside = CaseBeside {
            prompt_bytes: got.or_else(|| sent_bytes(request)).into(),
            // Nothing can be simulated of a prompt that was not recorded.
            reuse: reuse.filter(|_| sent_bytes(request).is_some()),
            ..CaseBeside::default()
        };
        let beside = beside.of_log(timing, request.log_facts()).of_answer(request.response.as_deref());
        Some(case.with_times(timing).with(beside).into())
    }

    /// What is known of a request without a trace.
    pub(super) fn of_log(unmatched: &UnmatchedLogRequest, at: usize) -> Self {
        let origin =
            Origin { model: unmatched.model.clone(), run: unmatched.run.clone(), ..Origin::default() };
        let case = CaseFacts {
            place: CaseSource::Elsewhere(at),
            origin: Arc::new(origin),
            server: unmatched.server_task.clone(),
            is_certain: unmatched.stream == Some(true) && unmatched.confidence != Confidence::Ambiguous,
            ..CaseFacts::default()
        };
        let beside = CaseBeside::default().of_log(&unmatched.timing, unmatched.log_facts.as_deref());
        case.with_times(&unmatched.timing).with(beside).into()
    }
}

impl CaseBeside {
    fn of_log(self, timing: &Timing, facts: Option<&LogFacts>) -> Self {
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

    /// What the recorded answer tells beside what is logged of it.
    fn of_answer(mut self, response: Option<&Response>) -> Self {
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
    pub(super) fn origin_mut(&mut self) -> &mut Origin {
        Arc::make_mut(&mut self.origin)
    }

    /// The same facts with these beside.
    pub(super) fn with(self, beside: CaseBeside) -> Self {
        Self { beside: (beside != *CaseBeside::UNKNOWN).then(|| Box::new(beside)), ..self }
    }

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

    /// The place of the request that it is of.
    pub(super) fn at(&self) -> Option<usize> {
        match self.place {
            CaseSource::Request(at) => Some(at),
            CaseSource::Elsewhere(_) => None,
        }
    }

    /// By time, then what else tells two apart: first the path of the request that it is of.
    pub(super) fn order<'r>(&self, path: Option<&'r TracePath>) -> impl Ord + use<'r> {
        (self.start_ms.is_none(), self.start_ms, path, self.place)
    }

    /// When it left the backend, as far as is known.
    pub(super) fn end_ms(&self) -> Option<i64> {
        self.start_ms
            .map(|start| start.saturating_add(signed(self.total_ms.or(self.backend_ms).get().unwrap_or(0))))
    }

    /// When its first token came.
    pub(super) fn first_ms(&self) -> Option<i64> {
        Some(self.start_ms?.saturating_add(signed(self.ttft_ms.get()?)))
    }

    /// From the first token to the end.
    pub(super) fn generation_ms(&self) -> Option<u64> {
        self.total_ms.get()?.checked_sub(self.ttft_ms.get()?)
    }

    /// The time to first token less what was generated in it, and what comes before every
    /// answer.
    pub(super) fn wait_ms(&self) -> Option<u64> {
        self.ttft_ms.get().map(|ttft| ttft.saturating_sub(self.hidden_ms()).saturating_sub(self.constant.ms))
    }

    fn hidden_ms(&self) -> u64 {
        self.hidden.map_or(0, |hidden| hidden.ms)
    }

    /// Bytes of what was streamed as text and arguments: the events less their frames.
    pub(super) fn streamed_bytes(&self) -> Option<u64> {
        const FRAME_BYTES: u64 = 115;
        Some(self.event_bytes.get()?.saturating_sub(self.events.get()?.saturating_mul(FRAME_BYTES)))
    }

    /// Pieces of the answer that were streamed: the events less those around them.
    pub(super) fn pieces(&self) -> Option<u64> {
        const EVENTS_AROUND: u64 = 5;
        Some(self.events.get()?.saturating_sub(EVENTS_AROUND))
    }

    /// Whether it reasoned, so that part of its answer is not sent back.
    pub(super) fn has_reasoned(&self) -> bool {
        let is_counted = self.reasoning_tokens.get().is_some_and(|tokens| tokens > 0);
        is_counted || self.hidden.is_some() || self.streamed_reasoning == Some(true)
    }

    /// The tokens that had to be read.
    pub(super) fn read_tokens(&self) -> Option<u64> {
        let (cached, _) = self.cached?;
        self.prompt_tokens.get()?.checked_sub(cached)
    }

    /// Prompt processing: what is left of the time to first token.
    pub(super) fn read_ms(&self) -> Option<u64> {
        self.parts().and_then(|parts| parts.read_ms())
    }

    /// Whether its server logged how long it read and wrote, so that nothing is inferred.
    pub(super) fn is_measured(&self) -> bool {
        self.server.as_deref().is_some_and(|server| server.read_ms.is_known()) && self.ttft_ms.is_known()
    }

    /// Nothing but its own reading came before its first token, as far as is known
    /// before loads are looked for; or how much of it that was is measured.
    pub(super) fn is_undisturbed(&self) -> bool {
        self.is_certain
            && self.ttft_ms.get().is_some_and(|ttft| ttft > 0)
            && self.prompt_tokens.is_known()
            && (self.is_measured() || self.hidden.is_none() && !self.is_untold)
            && self.overlap.is_alone_until_first
    }

    /// What it tells of how fast its model reads.
    pub(super) fn read_sample(&self) -> Option<Sample> {
        let tokens = self.read_tokens().filter(|tokens| *tokens >= LEAST_READ_TOKENS)?;
        let ms = self.read_ms().filter(|ms| *ms > 0)?;
        let is_free = self.is_measured() || self.load_ms == 0;
        let is_hidden = self.constant.hides_reading || self.tells_no_reading;
        (self.is_undisturbed() && is_free && !is_hidden).then_some(Sample { tokens, ms })
    }

    /// What it tells of how fast its model writes.
    pub(super) fn write_sample(&self) -> Option<Sample> {
        let output = self.output_tokens.get().filter(|tokens| *tokens >= LEAST_OUTPUT_TOKENS)?;
        let least_ms = if self.is_measured() { 1 } else { LEAST_WRITE_MS };
        let ms = self.parts()?.write_ms().filter(|ms| *ms >= least_ms)?;
        let is_free = self.is_measured() || self.hidden.is_none() && self.load_ms == 0;
        (is_free && self.is_certain && self.overlap.is_alone_until_end)
            .then_some(Sample { tokens: output - 1, ms })
    }

    /// The parts of its time; `None` where its end is not known.
    pub(super) fn parts(&self) -> Option<TimeParts> {
        let times = Times {
            proxy_ms: self.proxy_ms.get(),
            ttft_ms: self.ttft_ms.get(),
            total_ms: self.total_ms.get()?,
            stall_ms: self.stall_ms.get(),
        };
        let parts = TimeParts::split(times, self.constant.ms, self.load_ms, self.queue_ms, self.hidden_ms());
        Some(if self.is_untold { parts.untold() } else { parts })
    }

    pub(super) fn sample(&self) -> SpeedSample {
        SpeedSample {
            reads: self.read_sample().is_some(),
            writes: self.write_sample().is_some(),
            is_measured: self.is_measured(),
            hidden_tokens: self.hidden.map(|hidden| hidden.tokens).into(),
            constant_wait_ms: self.constant.ms,
            cache: self.seen,
        }
    }

    /// Writes what was found to where everybody reads it.
    pub(super) fn fill(&self, timing: &mut Timing) {
        let refuse = |source: &mut Option<TokenSource>, reported: Amount, believed: Amount| {
            if reported.is_known() && !believed.is_known() {
                *source = Some(TokenSource::Implausible);
            }
        };
        refuse(&mut timing.prompt_tokens_source, self.reported_prompt_tokens, self.prompt_tokens);
        refuse(&mut timing.output_tokens_source, self.reported_output_tokens, self.output_tokens);
        let parts = self.parts();
        // Where no log tells of it, nothing is known of the backend at all.
        let is_logged = self.start_ms.is_some();
        timing.load_ms = parts.map(|parts| parts.load_ms()).filter(|_| is_logged).into();
        timing.queue_ms = parts.map(|parts| parts.queue_ms()).filter(|_| is_logged).into();
        timing.read_ms = parts.and_then(|parts| parts.read_ms()).into();
        timing.write_ms = parts.and_then(|parts| parts.write_ms()).into();
        timing.stall_ms = parts.and_then(|parts| parts.stall_ms()).into();
        timing.other_ms = parts.map(|parts| parts.other_ms()).into();
        // A server's log alone does not tell when its client saw the first token.
        if let Some(server) = self.server.as_deref().filter(|_| !self.ttft_ms.is_known()) {
            (timing.read_ms, timing.write_ms) = (server.read_ms, server.write_ms);
            timing.queue_ms = server.queue_ms;
            let known = [server.read_ms, server.write_ms, server.queue_ms, self.proxy_ms]
                .into_iter()
                .filter_map(Amount::get);
            let whole =
                self.total_ms.get().map(|total| total.saturating_add(self.proxy_ms.get().unwrap_or(0)));
            timing.other_ms = whole.map(|whole| known.fold(whole, u64::saturating_sub)).into();
        }
        timing.cached_tokens = self.cached.map(|(tokens, _)| tokens).into();
        timing.cached_source = self.cached.map(|(_, source)| source);
        timing.read_tokens = self.read_tokens().into();
        timing.needed_tokens = self.needed_tokens;
        timing.again_tokens = self
            .read_tokens()
            .zip(self.needed_tokens.get())
            .map(|(read, needed)| signed(read).saturating_sub(signed(needed)));
        if !self.prompt_tokens.is_known() {
            timing.prefill_tokens_per_second = None;
        }
    }
}

/// The bytes of a prompt as it was sent, where all of it was recorded.
pub(super) fn sent_bytes(request: &Request) -> Option<u64> {
    request.sizes.prompt_bytes().get()
}

pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
