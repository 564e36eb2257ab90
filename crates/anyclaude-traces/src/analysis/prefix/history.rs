//! What happened to a history that differs from an earlier one of its conversation: it was
//! compacted, its tool results were cleared, a system message was inserted, or it was edited.

use std::collections::HashSet;

use serde_json::Value;

use super::cause::Cause;
use crate::prompt_cache::Simulation;
use crate::prompt_cache::compare::{PromptComparer, Sequence};
use crate::prompt_cache::conversation::is_distinctive;
use crate::prompt_cache::ids::ElementId;
use crate::prompt_cache::observe::{ElementKind, Role};
use crate::prompt_cache::slots::Reuse;

/// What happened to a history, by where the elements that both still have stand now.
pub(super) fn change(simulation: &Simulation<'_>, request: usize, reuse: &Reuse) -> Option<Cause> {
    let (now, was) = (simulation.sequence(request)?, simulation.sequence(reuse.from)?);
    let prompts = [request, reuse.from].map(|at| simulation.prompt(at));
    if let [Some(prompt), Some(earlier)] = prompts
        && prompt.is_continuation
        && prompt.opening != earlier.opening
    {
        return Some(Cause::Compacted);
    }
    let (comparer, from) = (&simulation.comparer, reuse.shared.index);
    if is_system_message(comparer, now, was, from) {
        return Some(Cause::SystemMessageInserted);
    }
    if are_results_cleared(comparer, now, was, from) {
        return Some(Cause::ResultsCleared);
    }
    let is_compacted =
        is_new_text_of_user(comparer, now, was, from) && is_shortened(comparer, now, was, from);
    Some(if is_compacted { Cause::Compacted } else { Cause::HistoryEdited })
}

/// Whether a new text of the user stands at the difference, and answers of the model behind it are
/// gone: a summary takes the place of answers.
fn is_new_text_of_user(comparer: &PromptComparer<'_>, now: Sequence, was: Sequence, from: u32) -> bool {
    let is_text_of_user = |element: &ElementId| {
        comparer.prompts.role(*element) == Role::User && comparer.prompts.kind(*element) == ElementKind::Text
    };
    let elements = |sequence| comparer.history_from(sequence, from).map(|(_, element)| element);
    let (now_all, was_all): (HashSet<_>, HashSet<_>) = (elements(now).collect(), elements(was).collect());
    let first = comparer.message_element(now, from).filter(is_text_of_user);
    first.is_some_and(|element| !was_all.contains(&element))
        && was_all.difference(&now_all).any(|element| is_distinctive(comparer.prompts, *element))
}

/// Whether a run of system messages stands at the difference on one side, and is of
/// another length on the other, while the same follows.
fn is_system_message(comparer: &PromptComparer<'_>, now: Sequence, was: Sequence, from: u32) -> bool {
    let run = |sequence: Sequence| {
        let is_system =
            |at: &u32| comparer.role(comparer.message_element(sequence, *at)) == Some(Role::SystemMessage);
        let n = (from..).take_while(is_system).zip(1..).last().map_or(0, |(_, n)| n);
        (n, comparer.message_element(sequence, from + n))
    };
    let ((now, now_next), (was, was_next)) = (run(now), run(was));
    now != was && (now_next == was_next || now_next.is_none() || was_next.is_none())
}

/// Whether what differs are results of the same tool calls, and nothing else.
fn are_results_cleared(comparer: &PromptComparer<'_>, now: Sequence, was: Sequence, from: u32) -> bool {
    let elements = |sequence: Sequence| {
        let mut elements: Vec<ElementId> =
            comparer.history_from(sequence, from).map(|(_, element)| element).collect();
        elements.reverse();
        elements
    };
    let (now, was) = (elements(now), elements(was));
    let is_result = |element: ElementId| {
        comparer.prompts.kind(element) == ElementKind::Call && comparer.prompts.role(element) == Role::User
    };
    let mut differing = now.iter().zip(&was).filter(|(now, was)| now != was);
    let only_results = differing.clone().all(|(now, was)| is_result(*now) && is_result(*was));
    let Some((first_now, first_was)) = differing.next().filter(|_| only_results && now.len() >= was.len())
    else {
        return false;
    };
    let call = |element: ElementId| {
        let result: Value = serde_json::from_str(&comparer.text(element)).ok()?;
        result.get("tool_use_id")?.as_str().map(str::to_owned)
    };
    let call_now = call(*first_now);
    call_now.is_some() && call_now == call(*first_was)
}

/// Whether the first distinctive element behind the difference that both still have stands nearer
/// to the beginning now.
fn is_shortened(comparer: &PromptComparer<'_>, now: Sequence, was: Sequence, from: u32) -> bool {
    let distinctive = |(_, element): &(u32, ElementId)| is_distinctive(comparer.prompts, *element);
    let now: Vec<(u32, ElementId)> = comparer.history_from(now, from).filter(distinctive).collect();
    let wanted: HashSet<ElementId> = now.iter().map(|(_, element)| *element).collect();
    let last_common = comparer.history_from(was, from).filter(|(_, element)| wanted.contains(element)).last();
    let both = last_common.and_then(|(was, element)| {
        let (now, _) = now.iter().rev().find(|(_, other)| *other == element)?;
        Some((was, *now))
    });
    both.is_some_and(|(was, now)| now < was)
}
