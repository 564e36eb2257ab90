//! How long requests waited in the backend for others.

use std::collections::BTreeMap;

use super::Model;
use super::case::{Case, float, whole};
use super::rate::Rate;

/// What is shorter is not called waiting for others: in a server's log it is also what the
/// server does before it begins to read.
pub(crate) const LEAST_QUEUE_MS: u64 = 250;

/// Finds the waiting of all requests whose first token came after another one's end.
pub(super) fn find(cases: &mut [Case], reading: &BTreeMap<Model, Rate>) {
    for case in cases.iter_mut().filter(|case| !case.is_measured()) {
        let pace = reading.get(&case.origin.model).and_then(|rate| rate.ms_per_token());
        case.queue_ms = waited(case, pace).unwrap_or(0);
    }
}

/// The part of the wait before that end that reading does not explain; all of it where
/// nothing tells how long reading takes.
fn waited(case: &Case, ms_per_token: Option<f64>) -> Option<u64> {
    let (until, wait) = (case.overlap.ended_before_first_ms.get()?, case.wait_ms()?);
    // Where the cached tokens are unknown, all of the prompt may have been read.
    let tokens = case.read_tokens().or(case.prompt_tokens.get());
    let Some((tokens, ms_per_token)) = tokens.zip(ms_per_token) else { return Some(until) };
    let unexplained = whole(float(wait) - float(tokens) * ms_per_token);
    Some(until.min(unexplained))
}
