//! What had to be read even with a perfect cache.

use super::case::{Case, CaseSource};
use crate::model::intern::FastMap;

/// Fills the needed tokens of all requests: what is new since the one before it in its
/// thread; of the first, all. `cases` are in the order of their starts.
pub(super) fn fill(cases: &mut [Case]) {
    let mut left = FastMap::default();
    for case in cases.iter_mut().filter(|case| matches!(case.place, CaseSource::Request(_))) {
        let Some(prompt) = case.prompt_tokens.get() else { continue };
        let held = prompt + case.output_tokens.get().unwrap_or(0).saturating_sub(1);
        let before = case.thread.is_some().then(|| (case.session.clone(), case.thread.clone()));
        let before = before.and_then(|thread| left.insert(thread, held));
        case.needed_tokens = needed(prompt, before).into();
    }
}

/// At least the last token is read.
fn needed(prompt: u64, before: Option<u64>) -> u64 {
    before.map_or(prompt, |before| prompt.saturating_sub(before).clamp(prompt.min(1), prompt))
}
