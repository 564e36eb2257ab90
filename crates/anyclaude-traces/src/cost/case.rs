//! One request as the cost model works on it: what was recorded of it, and what the steps
//! of [`super::fit_cases`] find.
//!
//! [`Case::of_request`] and [`Case::of_log_request`] take over what was recorded, each step
//! sets the fields that carry its result, and [`CaseFacts::fill`] writes the parts of time and
//! the tokens into the request's [`Timing`](crate::model::timing::Timing).

mod fill;
mod recorded;

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::Model;
use super::cached::CachedTokens;
use super::constant_wait::ConstantWait;
use super::overlap::Overlap;
use super::parts::{TimeParts, Times};
use super::rate::Sample;
use super::reasoning::Hidden;
use crate::model::request::TracePath;
pub(super) use crate::model::stats::{float, whole};
use crate::model::{Amount, CacheUse, ServerTask, SimulatedReuse, SpeedSample};

pub(super) use recorded::sent_bytes;

/// A request that reads fewer tokens is no sample of the reading speed: what each request
/// costs anyway would be most of its time.
pub(super) const LEAST_READ_TOKENS: u64 = 200;
/// An answer with fewer tokens is no sample of the writing speed.
pub(super) const LEAST_OUTPUT_TOKENS: u64 = 16;
/// Nor is an answer that was written in less time, unless its server measured it.
pub(super) const LEAST_WRITE_MS: u64 = 500;

/// What a case was made from, and where its results are written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum CaseSource {
    /// A recorded request, by its index.
    Request(usize),
    /// A request that only a log knows of, by its index among these.
    LogOnly(usize),
}

/// What answered a request. Cases that follow each other share one, where it is the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) model: Model,
    /// The process of the proxy or the recorder.
    pub(super) run: Option<Arc<str>>,
    /// What tells backends apart: the proxy's mode.
    pub(super) backend: Option<Arc<str>>,
}

/// One request. It is boxed, so that sorting moves pointers only, and so that cases fit into
/// the holes that the simulation of the cache left in memory, which one long vector does not.
/// This, and handing logs to threads one by one, lowers the peak of memory of 100,000 requests
/// by 26 MB.
#[derive(Debug, Clone, Default)]
pub(super) struct Case(Box<CaseFacts>);

/// What is known of a request beside its server's log: from its recorded prompt and answer,
/// from the proxy's log, and from the usage that the client was told.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ClientFacts {
    /// How long it was seen in the backend, where its end was not logged.
    pub(super) backend_ms: Amount,
    pub(super) stall_ms: Amount,
    pub(super) events: Amount,
    pub(super) event_bytes: Amount,
    pub(super) text_chunks: Amount,
    /// Reasoning tokens, as the usage counts them.
    pub(super) reasoning_tokens: Amount,
    /// Bytes of the recorded answer's texts and tool calls.
    pub(super) answer_bytes: Amount,
    /// How many tools the recorded answer calls.
    pub(super) answer_calls: Amount,
    /// Whether reasoning was streamed.
    pub(super) streamed_reasoning: Option<bool>,
    /// Cached tokens, as the backend reports them.
    pub(super) reported_cached_tokens: Amount,
    /// Bytes of the prompt that the backend got; where that is unknown, of the one that was sent.
    pub(super) prompt_bytes: Amount,
    /// Estimated tokens of the prompt. Only prompts with an unusual count are estimated.
    pub(super) estimated_tokens: Option<f64>,
    /// What the simulated cache held of the prompt.
    pub(super) reuse: Option<SimulatedReuse>,
}

impl ClientFacts {
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

/// What is known of one request.
///
/// It dereferences to its [`ClientFacts`], which are in a box of their own because requests
/// that only a server's log knows of have none: this makes the cases of 215,000 tasks a third
/// smaller.
#[derive(Debug, Clone, Default)]
pub(super) struct CaseFacts {
    pub(super) source: CaseSource,
    pub(super) origin: Arc<Origin>,
    pub(super) session: Option<Arc<str>>,
    pub(super) thread: Option<Arc<str>>,
    /// When it reached the backend, in milliseconds; `None` in mode `claude`.
    pub(super) start_ms: Option<i64>,
    pub(super) proxy_ms: Amount,
    /// Time to first token; unknown where it would be after the end.
    pub(super) ttft_ms: Amount,
    pub(super) total_ms: Amount,
    /// Prompt tokens, as the backend reports them, whether they can be true or not.
    pub(super) reported_prompt_tokens: Amount,
    /// Output tokens, likewise.
    pub(super) reported_output_tokens: Amount,
    /// `None` where nothing of it is known.
    pub(super) client: Option<Box<ClientFacts>>,
    /// The task of the server's own log that this request was joined with.
    pub(super) server: Option<Arc<ServerTask>>,
    /// It was streamed, it completed, and nothing makes its join with a log ambiguous.
    pub(super) is_certain: bool,

    // Below: what the steps find, in their order; before its step, a field says nothing.
    //
    // `plausibility`; `reasoning` takes further output tokens back:
    /// Prompt tokens that are believed.
    pub(super) prompt_tokens: Amount,
    /// Output tokens that are believed.
    pub(super) output_tokens: Amount,
    // `reasoning`, or `measured` where the server logged it:
    /// Reasoning that was generated before the first token that the client saw.
    pub(super) hidden: Option<Hidden>,
    // `overlap`:
    /// Which other requests were in the backend meanwhile.
    pub(super) overlap: Overlap,
    // `reasoning::find_buffered`:
    /// All of the answer was there before its first piece was streamed, so that the time to
    /// first token contains reading and writing, and nothing tells them apart.
    pub(super) is_buffered: bool,
    // `cached`; `read_whole` takes back what the request's own time refutes:
    /// Whether its model's backend is seen to reuse prompts.
    pub(super) seen: CacheUse,
    /// The tokens of its prompt that came from the cache, and what tells.
    pub(super) cached: Option<CachedTokens>,
    // `constant_wait`:
    pub(super) constant: ConstantWait,
    // `queue`, or `measured`:
    /// How long it waited for other requests.
    pub(super) queue_ms: u64,
    // `load`, or `measured`:
    /// How long it waited for its model to be loaded.
    pub(super) load_ms: u64,
    // `short_reads`:
    /// Its model's samples of the reading speed are all of short prompts, and a longer one
    /// refutes them.
    pub(super) is_too_short_to_time: bool,
    // `needed`:
    /// The tokens that a perfect cache would have left to read.
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
    type Target = ClientFacts;

    fn deref(&self) -> &ClientFacts {
        self.client.as_deref().unwrap_or(ClientFacts::UNKNOWN)
    }
}

impl DerefMut for CaseFacts {
    fn deref_mut(&mut self) -> &mut ClientFacts {
        self.client.get_or_insert_default()
    }
}

impl Case {
    /// The same case, which shares the origin of the one before where the two are equal.
    pub(super) fn sharing_origin(mut self, before: &mut Arc<Origin>) -> Self {
        if self.origin != *before {
            before.clone_from(&self.origin);
        }
        self.origin = before.clone();
        self
    }
}

impl CaseFacts {
    pub(super) fn origin_mut(&mut self) -> &mut Origin {
        Arc::make_mut(&mut self.origin)
    }

    /// The same facts with these; they take no room where nothing of them is known.
    pub(super) fn with_client_facts(self, client: ClientFacts) -> Self {
        Self { client: (client != *ClientFacts::UNKNOWN).then(|| Box::new(client)), ..self }
    }

    /// The index of the recorded request that it was made from.
    pub(super) fn request_index(&self) -> Option<usize> {
        match self.source {
            CaseSource::Request(at) => Some(at),
            CaseSource::LogOnly(_) => None,
        }
    }

    /// The order of cases: by start, then by the path of the recorded request, then by source.
    pub(super) fn order<'r>(&self, path: Option<&'r TracePath>) -> impl Ord + use<'r> {
        (self.start_ms.is_none(), self.start_ms, path, self.source)
    }

    /// When it left the backend, as far as is known, in milliseconds.
    pub(super) fn end_ms(&self) -> Option<i64> {
        self.start_ms
            .map(|start| start.saturating_add(signed(self.total_ms.or(self.backend_ms).get().unwrap_or(0))))
    }

    /// When its first token came, in milliseconds.
    pub(super) fn first_ms(&self) -> Option<i64> {
        Some(self.start_ms?.saturating_add(signed(self.ttft_ms.get()?)))
    }

    /// From the first token to the end.
    pub(super) fn generation_ms(&self) -> Option<u64> {
        self.total_ms.get()?.checked_sub(self.ttft_ms.get()?)
    }

    /// The time to first token less what was generated in it and less the constant wait that
    /// comes before every answer: it was spent on reading, loading and queueing.
    pub(super) fn wait_ms(&self) -> Option<u64> {
        self.ttft_ms.get().map(|ttft| ttft.saturating_sub(self.hidden_ms()).saturating_sub(self.constant.ms))
    }

    fn hidden_ms(&self) -> u64 {
        self.hidden.map_or(0, |hidden| hidden.ms)
    }

    /// Whether some or all of its answer was generated in its time to first token, so that this
    /// does not tell how long reading took.
    pub(super) fn writes_unseen(&self) -> bool {
        self.hidden.is_some() || self.is_buffered
    }

    /// Bytes of text and of tool arguments that were streamed: those of the events less what
    /// frames each of them.
    pub(super) fn streamed_bytes(&self) -> Option<u64> {
        /// Of one event, in anyclaude's stream.
        const FRAME_BYTES: u64 = 115;
        Some(self.event_bytes.get()?.saturating_sub(self.events.get()?.saturating_mul(FRAME_BYTES)))
    }

    /// Pieces of the answer that were streamed: the events less those that begin and end it.
    pub(super) fn pieces(&self) -> Option<u64> {
        const EVENTS_AROUND: u64 = 5;
        Some(self.events.get()?.saturating_sub(EVENTS_AROUND))
    }

    /// Whether it reasoned, so that part of its answer is not sent back.
    pub(super) fn has_reasoned(&self) -> bool {
        let is_counted = self.reasoning_tokens.get().is_some_and(|tokens| tokens > 0);
        is_counted || self.hidden.is_some() || self.streamed_reasoning == Some(true)
    }

    /// Prompt tokens that did not come from the cache.
    pub(super) fn read_tokens(&self) -> Option<u64> {
        self.prompt_tokens.get()?.checked_sub(self.cached?.tokens())
    }

    /// Prompt processing: what is left of the time to first token.
    pub(super) fn read_ms(&self) -> Option<u64> {
        self.parts().and_then(|parts| parts.read_ms())
    }

    /// Whether its server logged how long it read and wrote, so that nothing is inferred.
    pub(super) fn is_measured(&self) -> bool {
        self.server.as_deref().is_some_and(|server| server.read_ms.is_known()) && self.ttft_ms.is_known()
    }

    /// How much of its wait was a load, where its server logged that, and not how long it read.
    pub(super) fn logged_load_ms(&self) -> Option<u64> {
        let load_ms = self.server.as_deref()?.load_ms.get().filter(|ms| *ms > 0 && !self.is_measured())?;
        Some(load_ms.min(self.ttft_ms.get()?))
    }

    /// Whether its wait for the first token tells how long reading took: no other request was
    /// in the backend until then, its prompt tokens are believed, and nothing was generated
    /// unseen, or the server measured the reading. Of loads only those that a log tells are
    /// considered here: the others are found by means of this.
    pub(super) fn is_undisturbed(&self) -> bool {
        self.is_certain
            && self.ttft_ms.get().is_some_and(|ttft| ttft > 0)
            && self.prompt_tokens.is_known()
            && (self.is_measured() || !self.writes_unseen())
            && self.logged_load_ms().is_none()
            && self.overlap.is_alone_until_first
    }

    /// Its sample of the reading speed, where it is one.
    pub(super) fn read_sample(&self) -> Option<Sample> {
        let tokens = self.read_tokens().filter(|tokens| *tokens >= LEAST_READ_TOKENS)?;
        let ms = self.read_ms().filter(|ms| *ms > 0)?;
        let is_free = self.is_measured() || self.load_ms == 0;
        let is_hidden = self.constant.hides_reading || self.is_too_short_to_time;
        (self.is_undisturbed() && is_free && !is_hidden).then_some(Sample { tokens, ms })
    }

    /// Its sample of the writing speed, where it is one: all tokens but the first, which ends
    /// the wait.
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
            constant_ms: self.constant.ms,
            load_ms: self.load_ms,
            queue_ms: self.queue_ms,
            hidden_ms: self.hidden_ms(),
        };
        let parts = TimeParts::split(times);
        Some(if self.is_buffered { parts.without_read_and_write() } else { parts })
    }

    /// What its model's [`Speeds`](crate::model::Speeds) need of it.
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
}

pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
