//! What is known of a recording at one moment.

use std::cell::LazyCell;
use std::collections::{HashMap, HashSet};

use super::Follower;
use super::reading::PromptReading;
use crate::analysis::context_window::{ThreadContext, context};
use crate::analysis::prefix::{Forecast, PrefixRequest};
use crate::findings::Finding;
use crate::model::ModelSpeeds;
use crate::model::request::{Kind, Request, TokenMethod, Tokens, TracePath};
use crate::model::time::Timestamp;

/// What is known of a recording at one moment.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Situation {
    /// The requests in scope, in order of time.
    pub requests: Vec<Request>,
    /// What a prompt cache holds of each, by its path.
    pub prefix: Vec<PrefixRequest>,
    /// What is expected of those whose tokens nobody has counted yet.
    pub forecasts: Vec<Forecast>,
    /// How fast each model is.
    pub speeds: Vec<ModelSpeeds>,
    /// What costs time, the most costly first.
    pub findings: Vec<Finding>,
}

/// A request that has no end yet.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Running<'f> {
    /// The request.
    pub request: &'f Request,
    /// What a prompt cache held of it.
    pub prefix: Option<&'f PrefixRequest>,
    /// What is expected of it, as long as its tokens are not counted.
    pub forecast: Option<&'f Forecast>,
    /// When it began to wait: by the caller's clock where its beginning was seen, else by the
    /// recording's.
    pub since: Option<Timestamp>,
    /// How long its first token should take, as expected when it began.
    pub expected_ttft_ms: Option<u64>,
    /// How many keepalives it had.
    pub keepalives: u64,
    /// How much of the prompt its server has read, where a log says so.
    pub reading: Option<PromptReading>,
    /// How long its first token took, once it came.
    pub ttft_ms: Option<u64>,
}

/// Sums over the requests in scope, as far as logs tell them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SituationTotals {
    /// Requests of every kind.
    pub requests: u64,
    /// Their sessions.
    pub sessions: u64,
    /// Requests of which it is known how long they took.
    pub timed: u64,
    /// How long these were waited for.
    pub wall_ms: u64,
    /// Requests of which it is known how many tokens were read.
    pub counted: u64,
    /// Tokens of prompts that were read.
    pub read_tokens: u64,
    /// Of these, those that an earlier turn had sent already.
    pub again_tokens: u64,
    /// Tokens that were written.
    pub output_tokens: u64,
}

impl Situation {
    /// The row of a request.
    #[must_use]
    pub fn prefix_of(&self, request: &Request) -> Option<&PrefixRequest> {
        self.prefix.iter().find(|row| row.path == request.path)
    }

    /// Sums over all requests.
    #[must_use]
    pub fn totals(&self) -> SituationTotals {
        let sessions: HashSet<_> = self.requests.iter().filter_map(|one| one.session.as_ref()).collect();
        let count = |n: usize| n as u64;
        let mut totals = SituationTotals {
            requests: count(self.requests.len()),
            sessions: count(sessions.len()),
            ..SituationTotals::default()
        };
        for timing in self.requests.iter().filter_map(|request| request.timing.as_deref()) {
            let wall_ms = timing.wall_ms.or(timing.total_ms);
            totals.timed += u64::from(wall_ms.is_known());
            totals.wall_ms += wall_ms.get().unwrap_or(0);
            totals.counted += u64::from(timing.read_tokens.is_known());
            totals.read_tokens += timing.read_tokens.get().unwrap_or(0);
            totals.again_tokens +=
                timing.again_tokens.and_then(|tokens| u64::try_from(tokens).ok()).unwrap_or(0);
            totals.output_tokens += timing.believed_output_tokens().unwrap_or(0);
        }
        totals
    }

    /// How much of its model's context the newest conversation takes, with the size of that
    /// in tokens; `None` where the backend tells neither.
    #[must_use]
    pub fn context(&self) -> Option<(ThreadContext, u64)> {
        let is_turn = |request: &&Request| request.kind == Kind::Conversation;
        let counted = |request: &&Request| {
            request.timing.as_ref().and_then(|timing| timing.believed_prompt_tokens()).is_some()
        };
        let newest = self.requests.iter().rev().filter(is_turn).find(counted)?;
        let window = newest.process()?.context_length_tokens?;
        let of_thread =
            |request: &&Request| (&request.session, &request.thread) == (&newest.session, &newest.thread);
        // Only the sums of their tokens are used.
        let with_tokens = |request: &Request| {
            let total = request.timing.as_ref()?.believed_prompt_tokens()?;
            let method = TokenMethod::Reported;
            let tokens = Tokens { system: 0, tools: 0, messages: total, total, method };
            Some(Request { tokens: Some(Box::new(tokens)), ..request.clone() })
        };
        let turns = self.requests.iter().filter(is_turn).filter(of_thread);
        let turns: Vec<Request> = turns.filter_map(with_tokens).collect();
        let turns: Vec<&Request> = turns.iter().collect();
        context(&turns, window).threads.pop().map(|thread| (thread, window))
    }
}

impl Follower {
    /// The requests that have no end yet, in order of time.
    pub fn running(&self) -> impl Iterator<Item = Running<'_>> {
        let Situation { requests, prefix, forecasts, .. } = &self.situation;
        // Most often none is running.
        let rows = LazyCell::new(|| by_path(prefix, |row| &row.path));
        let expected = LazyCell::new(|| by_path(forecasts, |forecast| &forecast.path));
        requests.iter().filter_map(move |request| {
            let told = self.told.get(request.paths.first()?).filter(|told| told.has_begun && told.is_open)?;
            let timing = request.timing.as_deref();
            Some(Running {
                request,
                prefix: rows.get(&request.path).copied(),
                forecast: expected.get(&request.path).copied(),
                since: told.since.or(timing.and_then(|timing| timing.start)).or(request.timestamp),
                expected_ttft_ms: told.expected_ttft_ms,
                keepalives: told.keepalives(),
                reading: self.reading.get(&request.path).copied(),
                ttft_ms: timing.and_then(|timing| timing.ttft_ms.get()),
            })
        })
    }
}

/// What is known of each request, by the request's path.
pub(super) fn by_path<T>(all: &[T], path: impl Fn(&T) -> &TracePath) -> HashMap<&TracePath, &T> {
    all.iter().map(|one| (path(one), one)).collect()
}
