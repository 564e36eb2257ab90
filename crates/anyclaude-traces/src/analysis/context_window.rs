//! How near the threads of a conversation are to the end of a context window.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::request::{Request, TokenMethod};

/// The threads of some requests in a context window of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ContextReport {
    /// How many tokens fit.
    pub context_tokens: u64,
    /// The threads, in the order of their first requests.
    pub threads: Vec<ThreadContext>,
}

/// A thread in a context window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ThreadContext {
    /// Its session.
    pub session: Option<Arc<str>>,
    /// The thread.
    pub thread: Option<Arc<str>>,
    /// The model that answered last.
    pub model: Option<Arc<str>>,
    /// How many of its requests are known with their tokens.
    pub requests: u64,
    /// Tokens of the newest prompt.
    pub prompt_tokens: u64,
    /// How these were counted.
    pub method: TokenMethod,
    /// What the window has left behind the newest prompt, for the answer and all
    /// that follows; negative where it is too large already.
    pub headroom_tokens: i64,
    /// How many tokens a turn adds, from the first request to the newest; `None` with
    /// a single one.
    pub tokens_per_turn: Option<f64>,
    /// The turn, counted from 1, whose prompt will not fit, or was the first not to;
    /// `None` where the thread does not grow.
    pub overflow_turn: Option<u64>,
}

/// Measures every thread of these requests, which are in order of time, against a
/// window of so many tokens. Requests whose tokens are unknown do not count.
///
/// ```
/// use anyclaude_traces::Request;
/// use anyclaude_traces::analysis::context_window::context;
///
/// let request = Request::builder("a.json").build();
/// assert!(context(&[&request], 32_768).threads.is_empty(), "its tokens were not counted");
/// ```
#[must_use]
pub fn context(requests: &[&Request], context_tokens: u64) -> ContextReport {
    let mut places = BTreeMap::new();
    let mut threads: Vec<Vec<&Request>> = Vec::new();
    for request in requests.iter().filter(|request| request.tokens.is_some()) {
        let place = *places.entry((&request.session, &request.thread)).or_insert_with(|| {
            threads.push(Vec::new());
            threads.len() - 1
        });
        if let Some(thread) = threads.get_mut(place) {
            thread.push(request);
        }
    }
    let threads = threads.iter().filter_map(|thread| ThreadContext::of(thread, context_tokens)).collect();
    ContextReport { context_tokens, threads }
}

impl ThreadContext {
    fn of(requests: &[&Request], context_tokens: u64) -> Option<Self> {
        let (first, newest) = (requests.first()?, requests.last()?);
        let tokens = newest.tokens.as_deref()?;
        let signed = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
        let turns = u64::from(newest.turn().saturating_sub(first.turn()));
        let grown = signed(tokens.total).saturating_sub(signed(first.tokens.as_deref()?.total));
        #[allow(clippy::cast_precision_loss, reason = "tokens and turns stay far below 2^53")]
        let tokens_per_turn = (turns > 0).then(|| grown as f64 / turns as f64);
        let headroom_tokens = signed(context_tokens).saturating_sub(signed(tokens.total));
        let overflowed = requests
            .iter()
            .find(|request| request.tokens.as_deref().is_some_and(|tokens| tokens.total > context_tokens));
        let overflow_turn = match overflowed {
            Some(request) => Some(u64::from(request.turn()) + 1),
            None => tokens_per_turn
                .and_then(|growth| turns_left(headroom_tokens, growth))
                .map(|left| (u64::from(newest.turn()) + 1).saturating_add(left)),
        };
        Some(Self {
            session: newest.session.clone(),
            thread: newest.thread.clone(),
            model: newest.model.clone(),
            requests: requests.len() as u64,
            prompt_tokens: tokens.total,
            method: tokens.method,
            headroom_tokens,
            tokens_per_turn,
            overflow_turn,
        })
    }
}

/// After how many more turns a prompt that grows like this exceeds what is left.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tokens stay far below 2^53, and `as` saturates"
)]
fn turns_left(headroom: i64, growth: f64) -> Option<u64> {
    (growth > 0.0).then(|| (headroom as f64 / growth).floor() as u64 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_turn_that_overflows_is_the_first_that_does_not_fit() {
        // Exactly full is not too much yet.
        assert_eq!(turns_left(1000, 500.0), Some(3));
        assert_eq!(turns_left(999, 500.0), Some(2));
        assert_eq!(turns_left(0, 500.0), Some(1));
        assert_eq!(turns_left(1000, 0.0), None);
        assert_eq!(turns_left(1000, -5.0), None);
    }
}
