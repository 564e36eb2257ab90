//! How long requests waited in the backend for others.
//!
//! The evidence is an overlap: another request was in the backend and ended before this one's
//! first token. Where its server said meanwhile how much of its prompt was read, it waited no
//! longer than until then. Requests that their server's log measured have their queue from
//! `measured`.

use std::collections::BTreeMap;

use super::Model;
use super::case::{Case, float, whole};
use super::rate::Rate;

/// A shorter queue, in milliseconds, is not reported as waiting for others: in a server's log it
/// is also what the server does before it begins to read.
pub(crate) const LEAST_QUEUE_MS: u64 = 250;

/// Finds the waiting of all requests whose first token came after another one's end.
pub(super) fn find(cases: &mut [Case], reading: &BTreeMap<Model, Rate>) {
    for case in cases.iter_mut().filter(|case| !case.is_measured()) {
        let pace = reading.get(&case.origin.model).and_then(|rate| rate.ms_per_token());
        case.queue_ms = waited(case, pace).unwrap_or(0);
    }
}

/// Of the wait up to the end of the last other request, the milliseconds that reading does not
/// explain; all of them where the pace of reading is unknown.
fn waited(case: &Case, ms_per_token: Option<f64>) -> Option<u64> {
    let wait = case.wait_ms()?.saturating_sub(case.logged_load_ms().unwrap_or(0));
    let shared_until = case.overlap.shared_until_ms.get()?;
    let unread = case.server.as_deref().and_then(|server| server.unread_ms.get());
    let until = unread.map_or(shared_until, |unread| shared_until.min(unread));
    // Where the cached tokens are unknown, reading all of the prompt may explain the wait.
    let tokens = case.read_tokens().or(case.prompt_tokens.get());
    let Some((tokens, ms_per_token)) = tokens.zip(ms_per_token) else { return Some(until) };
    let unexplained = whole(float(wait) - float(tokens) * ms_per_token);
    Some(until.min(unexplained))
}
