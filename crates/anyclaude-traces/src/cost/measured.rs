//! What the server's own log tells of the time of a request: nothing of it is inferred.

use super::case::{Case, CaseFacts, float, whole};
use super::reasoning::Hidden;

/// The server generated so much longer than anything was streamed: what came before was
/// not shown.
const LEAST_HIDDEN_MS: u64 = 100;

/// Fills the parts of all requests that their server logged: it read as long as the log
/// says, and what else there is of the wait was a load or a queue.
pub(super) fn find(cases: &mut [Case]) {
    for case in cases.iter_mut().filter(|case| case.is_measured()) {
        find_one(case);
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
    case.hidden = (hidden_ms > 0).then(|| Hidden {
        tokens: whole(
            float(case.output_tokens.get().unwrap_or(0)) * float(hidden_ms) / float(written_ms.max(1)),
        ),
        ms: hidden_ms,
    });
    let left_ms = ttft - load_ms - read_ms - hidden_ms;
    // A load that is known to the second may have taken what is left.
    let is_of_load = load_ms > 0 && left_ms <= server.uncertainty_ms;
    (case.load_ms, case.queue_ms) = if is_of_load { (load_ms + left_ms, 0) } else { (load_ms, left_ms) };
    Some(())
}
