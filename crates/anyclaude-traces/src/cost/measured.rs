//! The parts of requests that their server's own log measured: what it tells is not inferred.

use super::case::{Case, CaseFacts, float, whole};
use super::queue::LEAST_QUEUE_MS;
use super::reasoning::{Hidden, answer_tokens};

/// Where the server generated for longer than the answer was streamed by more than this, it
/// generated something before that the client was not shown: hidden reasoning.
const LEAST_HIDDEN_MS: u64 = 100;

/// Fills the parts of all requests that their server logged. Reading takes what the log says;
/// of the rest of the time to first token, the load takes what the log says, hidden reasoning
/// what was generated longer than it was streamed, and the queue what is left.
pub(super) fn find(cases: &mut [Case]) {
    for case in cases {
        if case.is_measured() {
            find_one(case);
        } else if let Some(load_ms) = case.logged_load_ms() {
            case.load_ms = load_ms;
        }
    }
}

fn find_one(case: &mut CaseFacts) -> Option<()> {
    let server = case.server.as_deref()?;
    let (ttft, generation) = (case.ttft_ms.get()?, case.generation_ms().unwrap_or(0));
    let load_ms = server.load_ms.get().unwrap_or(0).min(ttft);
    let read_ms = server.read_ms.get()?.min(ttft - load_ms);
    let written_ms = server.write_ms.get().unwrap_or(0);
    let unseen_ms = written_ms.saturating_sub(generation);
    let hidden_ms = if unseen_ms > LEAST_HIDDEN_MS { unseen_ms.min(ttft - load_ms - read_ms) } else { 0 };
    let output = float(case.output_tokens.get().unwrap_or(0));
    let unseen = output * float(hidden_ms) / float(written_ms.max(1));
    // What the answer has a text for was held back on its way, and is no reasoning.
    let unseen = answer_tokens(case).map_or(unseen, |seen| unseen.min(output - seen).max(0.0));
    case.hidden = (hidden_ms > 0).then(|| Hidden { tokens: whole(unseen), ms: hidden_ms });
    let left_ms = ttft - load_ms - read_ms - hidden_ms;
    // The log's stamps may be coarse, so that a load may have taken what is left as well.
    let is_of_load = load_ms > 0 && left_ms <= u64::from(server.uncertainty_ms);
    (case.load_ms, case.queue_ms) = if is_of_load { (load_ms + left_ms, 0) } else { (load_ms, left_ms) };
    Some(())
}

/// Of requests before which a log without times tells of a load: what they waited beyond reading,
/// and behind the last other request, was that load. It is not known how long it took, but nothing
/// else is there that they could have waited for.
pub(super) fn find_untimed_loads(cases: &mut [Case]) {
    let follows_load = |case: &&mut Case| {
        let server = case.server.as_deref();
        server.is_some_and(|server| server.follows_untimed_load) && case.is_measured() && case.load_ms == 0
    };
    for case in cases.iter_mut().filter(follows_load).filter(|case| case.overlap.is_alone_at_first) {
        let queue_ms = case.overlap.shared_until_ms.get().unwrap_or(0).min(case.queue_ms);
        let load_ms = case.queue_ms - queue_ms;
        if load_ms >= LEAST_QUEUE_MS {
            (case.load_ms, case.queue_ms) = (load_ms, queue_ms);
        }
    }
}
