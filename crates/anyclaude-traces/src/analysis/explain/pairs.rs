//! Which requests of both sides answered the same prompt.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use super::prompt::Prompt;
use crate::model::Identity;
use crate::model::request::Request;

/// Two requests that answered the same prompt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) left: &'a Request,
    pub(super) right: &'a Request,
    /// Whether the bodies are equal; else they stand in the same place of their threads.
    pub(super) equal: bool,
}

/// A request, what it asked, and whether it has its partner.
struct PairCandidate<'a> {
    request: &'a Request,
    prompt: Prompt,
    paired: bool,
}

/// Pairs requests with equal bodies, then those at the same position of their thread
/// whose first and last words of the user are equal; each once, in the order of time.
pub(super) fn pair<'a>(
    left: &[&'a Request],
    right: &[&'a Request],
    prompt_of: impl Fn(&Request) -> Option<Prompt>,
) -> Vec<Pair<'a>> {
    let candidates = |side: &[&'a Request]| -> Vec<PairCandidate<'a>> {
        let known = side.iter().filter_map(|request| Some((*request, prompt_of(request)?)));
        known.map(|(request, prompt)| PairCandidate { request, prompt, paired: false }).collect()
    };
    let (mut left, mut right) = (candidates(left), candidates(right));
    let mut pairs = match_by(&mut left, &mut right, true, |candidate| Some(candidate.prompt.body));
    pairs.extend(match_by(&mut left, &mut right, false, place));
    // The earlier of the two, so that the order is the same whichever side is left.
    pairs.sort_by_key(|pair| {
        let (left, right) = (pair.left.order(), pair.right.order());
        (left.min(right), left.max(right))
    });
    pairs
}

/// The position in the thread, and what the user said first and last. The models'
/// answers in between may differ, and so may the tools: they are what is measured.
fn place(candidate: &PairCandidate<'_>) -> Option<(u64, Identity, Identity)> {
    let Prompt { first_user_text, last_user_text, .. } = candidate.prompt;
    Some((candidate.request.sizes.message_count.get()?, first_user_text?, last_user_text?))
}

fn match_by<'a, K: Eq + Hash>(
    left: &mut [PairCandidate<'a>],
    right: &mut [PairCandidate<'a>],
    equal: bool,
    key: impl Fn(&PairCandidate<'a>) -> Option<K>,
) -> Vec<Pair<'a>> {
    let mut waiting: HashMap<K, VecDeque<&mut PairCandidate<'a>>> = HashMap::new();
    for candidate in right.iter_mut().filter(|candidate| !candidate.paired) {
        if let Some(key) = key(candidate) {
            waiting.entry(key).or_default().push_back(candidate);
        }
    }
    let mut pairs = Vec::new();
    for candidate in left.iter_mut().filter(|candidate| !candidate.paired) {
        let partner =
            key(candidate).and_then(|key| waiting.get_mut(&key)).and_then(|waiting| waiting.pop_front());
        if let Some(partner) = partner {
            (candidate.paired, partner.paired) = (true, true);
            pairs.push(Pair { left: candidate.request, right: partner.request, equal });
        }
    }
    pairs
}
