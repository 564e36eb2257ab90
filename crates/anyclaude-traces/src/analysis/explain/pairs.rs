//! Which requests of both sides answered the same prompt.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use super::eligible::Candidate;
use super::prompt::Prompt;
use crate::model::Identity;

/// Candidates with one key that are looked at for one request.
const MAX_CANDIDATES: usize = 64;

/// Two requests that answered the same prompt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) left: Candidate<'a>,
    pub(super) right: Candidate<'a>,
    /// Whether the bodies are equal, or only as good as that.
    pub(super) equal: bool,
}

impl<'a> Pair<'a> {
    pub(super) fn sides(&self) -> [Candidate<'a>; 2] {
        [self.left, self.right]
    }
}

/// A candidate, what it asked, and whether it is still alone.
struct PairCandidate<'a> {
    candidate: Candidate<'a>,
    prompt: Prompt,
    paired: bool,
}

/// Pairs requests with equal bodies, then those in the same place of their thread
/// that end in the same text of the user; each once, in the order of time.
pub(super) fn pair<'a>(
    left: &[Candidate<'a>],
    right: &[Candidate<'a>],
    prompt_of: impl Fn(&Candidate<'a>) -> Option<Prompt>,
) -> Vec<Pair<'a>> {
    let seekers = |side: &[Candidate<'a>]| -> Vec<PairCandidate<'a>> {
        let known = side.iter().filter_map(|candidate| Some((*candidate, prompt_of(candidate)?)));
        known.map(|(candidate, prompt)| PairCandidate { candidate, prompt, paired: false }).collect()
    };
    let (mut left, mut right) = (seekers(left), seekers(right));
    let mut pairs = match_by(&mut left, &mut right, true, |seeker| Some(seeker.prompt.body));
    pairs.extend(match_by(&mut left, &mut right, false, place));
    pairs.sort_by(|a, b| a.left.request.order().cmp(&b.left.request.order()));
    pairs
}

/// The place in the thread, and what the user said last.
fn place(seeker: &PairCandidate<'_>) -> Option<(u32, Identity)> {
    Some((seeker.candidate.request.turn, seeker.prompt.last_user_text?))
}

fn match_by<'a, K: Eq + Hash>(
    left: &mut [PairCandidate<'a>],
    right: &mut [PairCandidate<'a>],
    equal: bool,
    key: impl Fn(&PairCandidate<'a>) -> Option<K>,
) -> Vec<Pair<'a>> {
    let mut waiting: HashMap<K, VecDeque<&mut PairCandidate<'a>>> = HashMap::new();
    for seeker in right.iter_mut().filter(|seeker| !seeker.paired) {
        if let Some(key) = key(seeker) {
            waiting.entry(key).or_default().push_back(seeker);
        }
    }
    let mut pairs = Vec::new();
    for seeker in left.iter_mut().filter(|seeker| !seeker.paired) {
        let Some(candidates) = key(seeker).and_then(|key| waiting.get_mut(&key)) else { continue };
        let fits = |other: &&mut PairCandidate<'a>| equal || are_near(seeker, other);
        let Some(found) =
            candidates.iter().take(MAX_CANDIDATES).position(fits).and_then(|at| candidates.remove(at))
        else {
            continue;
        };
        (seeker.paired, found.paired) = (true, true);
        pairs.push(Pair { left: seeker.candidate, right: found.candidate, equal });
    }
    pairs
}

/// Whether the bodies differ by 5 % of the larger one at most.
fn are_near(left: &PairCandidate<'_>, right: &PairCandidate<'_>) -> bool {
    let bytes = |seeker: &PairCandidate<'_>| u128::from(seeker.candidate.request.sizes.body_bytes);
    let (left, right) = (bytes(left), bytes(right));
    left.abs_diff(right) * 20 <= left.max(right)
}
