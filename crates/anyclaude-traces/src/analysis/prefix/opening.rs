//! New conversations that begin as an earlier one did, but for a short piece that changed: with
//! that piece elsewhere, the cache would have held the rest.

use super::cause::{Cause, FirstDifference};
use super::volatile;
use crate::model::request::Kind;
use crate::prompt_cache::Simulation;
use crate::prompt_cache::compare::{PromptPart, SharedPrefix, TextDifference};
use crate::prompt_cache::ids::ElementId;
use crate::prompt_cache::observe::ElementKind;
use crate::prompt_cache::slots::Step;

/// How many earlier conversations a new one is compared with.
const MOST_OPENINGS: usize = 8;
/// A changed piece is no longer than this.
const MOST_PIECE_CHARS: usize = 200;
/// The same in bytes: a character takes at most four.
const MOST_PIECE_BYTES: u64 = 4 * MOST_PIECE_CHARS as u64;
/// Behind the changed piece of a first user message at least this many bytes must be equal,
/// about 500 tokens: any two short messages differ in a short piece only.
const LEAST_EQUAL_BYTES: u64 = 2000;

/// An end that two texts share is at least so long: any two sentences end with the same few
/// characters.
const LEAST_END_BYTES: u64 = 64;

/// The first requests of the conversations so far.
#[derive(Debug, Default)]
pub(super) struct Openings(Vec<usize>);

/// A conversation that could have begun with what the cache held.
#[derive(Debug)]
pub(super) struct ChangedOpening {
    pub(super) change: FirstDifference,
    pub(super) lost_bytes: u64,
}

impl Openings {
    pub(super) fn add(&mut self, request: usize) {
        self.0.push(request);
    }

    /// The newest conversation that began like this one, but for a short piece where
    /// this one differs from all that was held.
    pub(super) fn find(
        &self,
        simulation: &Simulation<'_>,
        request: usize,
        step: &Step,
    ) -> Option<ChangedOpening> {
        if simulation.kind(request) != Some(Kind::Conversation) {
            return None;
        }
        let held_bytes = step.best.map_or(0, |best| best.bytes());
        let mut newest_first = self.0.iter().rev().take(MOST_OPENINGS);
        newest_first.find_map(|earlier| changed_opening(simulation, request, *earlier, held_bytes))
    }
}

/// How a request's opening differs from an earlier one's, if only by a short piece.
fn changed_opening(
    simulation: &Simulation<'_>,
    request: usize,
    earlier: usize,
    held_bytes: u64,
) -> Option<ChangedOpening> {
    let comparer = &simulation.comparer;
    let reuse = simulation.shared_with(request, earlier).filter(|reuse| reuse.bytes() >= held_bytes)?;
    let (now, was) = (simulation.sequence(request)?, simulation.sequence(earlier)?);
    let (left, right) = (reuse.shared.left?, reuse.shared.right?);
    if [left, right].map(|one| comparer.prompts.kind(one)) != [ElementKind::Text; 2] {
        return None;
    }
    // The kept beginnings and ends of the texts tell the least that can differ. Most differ in too
    // much already, and need not be compared further, …
    let at_best = comparer.difference(left, right);
    if at_best.longest > MOST_PIECE_BYTES {
        return None;
    }
    let bytes_in_both = comparer.bytes_in_both(now, &reuse.shared, was);
    let fits = |piece: TextDifference| match reuse.shared.part {
        PromptPart::System => {
            let elsewhere = comparer.system_bytes_without(now, left);
            elsewhere + piece.equal_before + piece.equal_behind > piece.longest
                && comparer.system_differs_once(now, was)
        }
        PromptPart::Messages => {
            bytes_in_both + piece.equal_behind >= LEAST_EQUAL_BYTES
                && comparer.is_before_any_answer(now, reuse.shared.index)
        }
        PromptPart::Tools => false,
    };
    // … nor those that would not fit even so. The texts of the others are read again.
    if !fits(at_best) {
        return None;
    }
    let piece = difference(simulation, left, right).filter(|piece| fits(*piece))?;
    let (left, right) = (comparer.text(left), comparer.text(right));
    let volatile = volatile::recognise(&left, &right, reuse.common_bytes);
    let change = FirstDifference { volatile, ..FirstDifference::only(Cause::VolatileOpening) };
    Some(ChangedOpening { change, lost_bytes: bytes_in_both + piece.equal_behind })
}

/// What differs between two texts, if it is short.
fn difference(simulation: &Simulation<'_>, left: ElementId, right: ElementId) -> Option<TextDifference> {
    let (difference, longest_chars) = text_difference(simulation, left, right)?;
    (longest_chars <= MOST_PIECE_CHARS).then_some(difference)
}

/// How many bytes the texts in which two prompts differ first have in common behind that; 0 where
/// they are no texts.
pub(super) fn equal_behind(simulation: &Simulation<'_>, shared: &SharedPrefix) -> u64 {
    let Some((left, right)) = shared.left.zip(shared.right) else { return 0 };
    let comparer = &simulation.comparer;
    let are_texts = [left, right].map(|one| comparer.prompts.kind(one)) == [ElementKind::Text; 2]
        && comparer.prompts.role(left) == comparer.prompts.role(right);
    // Of most texts, what was kept tells that they end differently: they need not be read again.
    let is_enough = |difference: &TextDifference| difference.equal_behind >= LEAST_END_BYTES;
    if !are_texts || !is_enough(&comparer.difference(left, right)) {
        return 0;
    }
    let difference = text_difference(simulation, left, right).map(|(difference, _)| difference);
    difference.filter(is_enough).map_or(0, |difference| difference.equal_behind)
}

/// What differs between two texts, and the characters of the longer piece; `None` where one of
/// them cannot be read again.
fn text_difference(
    simulation: &Simulation<'_>,
    left: ElementId,
    right: ElementId,
) -> Option<(TextDifference, usize)> {
    // Both begin and end with the JSON around a text.
    const AFTER_TEXT: &str = "\"}";
    let before_text = simulation.comparer.prompts.bytes_before_text(left);
    let (left, right) = (simulation.comparer.text(left), simulation.comparer.text(right));
    let (left, right) = (left.strip_suffix(AFTER_TEXT)?, right.strip_suffix(AFTER_TEXT)?);
    let same = |(a, b): &(char, char)| a == b;
    let equal = |pairs: &mut dyn Iterator<Item = (char, char)>| -> usize {
        pairs.take_while(same).map(|(a, _)| a.len_utf8()).sum()
    };
    let before = equal(&mut left.chars().zip(right.chars()));
    let (left, right) = (left.get(before..)?, right.get(before..)?);
    let behind = equal(&mut left.chars().rev().zip(right.chars().rev()));
    let pieces = [left, right].map(|text| text.get(..text.len() - behind).unwrap_or_default());
    let longest = pieces.iter().map(|piece| piece.len()).max().unwrap_or(0);
    let longest_chars = pieces.iter().map(|piece| piece.chars().count()).max().unwrap_or(0);
    let difference = TextDifference {
        equal_before: (before as u64).saturating_sub(before_text),
        equal_behind: behind as u64,
        longest: longest as u64,
    };
    Some((difference, longest_chars))
}
