//! The tokens of each prompt that had to be read even with a perfect cache: those that its
//! thread's previous request, with its answer, had not left there. Which one that is the prompts
//! tell: of a request whose prompt nobody recorded, it is not known.

use std::hash::{Hash, Hasher};

use super::case::{Case, CaseSource};
use crate::model::Amount;
use crate::model::intern::FastMap;

/// A thread of a session. Its name most often contains the session's, so that hashing the name
/// alone tells threads apart.
#[derive(PartialEq, Eq)]
struct Thread<'c> {
    name: &'c str,
    session: Option<&'c str>,
}

impl Hash for Thread<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// Fills the needed tokens of all requests: what is new since the one before it in its
/// thread; of the first, all. `cases` are in the order of their starts.
pub(super) fn fill(cases: &mut [Case]) {
    let needed = needed_tokens(cases);
    for (case, needed) in cases.iter_mut().zip(needed) {
        case.needed_tokens = needed;
    }
}

fn needed_tokens(cases: &[Case]) -> Vec<Amount> {
    let mut left = FastMap::default();
    let mut found = Vec::with_capacity(cases.len());
    for case in cases {
        let is_request = matches!(case.source, CaseSource::Request(_));
        let prompt = case.prompt_tokens.get().filter(|_| is_request);
        let thread = case.thread.as_deref().filter(|_| case.prompt_bytes.is_known());
        let thread = thread.map(|name| Thread { name, session: case.session.as_deref() });
        found.push(Amount::from(prompt.zip(thread).map(|(prompt, thread)| {
            let held = prompt + case.output_tokens.get().unwrap_or(0).saturating_sub(1);
            needed(prompt, left.insert(thread, held))
        })));
    }
    found
}

/// What of a prompt the tokens `before` it do not cover, but at least one: the answer's first
/// token is made from the prompt's last.
fn needed(prompt: u64, before: Option<u64>) -> u64 {
    before.map_or(prompt, |before| prompt.saturating_sub(before).clamp(prompt.min(1), prompt))
}
