//! What the simulation says of one request: how much of its prompt was held, and, where that is
//! less than an earlier request left, what broke it ([`Broken::of`]).

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use super::cause::{self, Cause, FirstDifference};
use super::excerpt;
use super::opening::{self, Openings};
use super::{Addition, ElementName};
use crate::model::request::Request;
use crate::model::stats::{Stats, float, whole};
use crate::model::timing::TokenSource;
use crate::prompt_cache::compare::{PromptPart, SharedPrefix};
use crate::prompt_cache::ids::ElementId;
use crate::prompt_cache::observe::{ElementKind, Role};
use crate::prompt_cache::slots::{Reuse, Step, Why};
use crate::prompt_cache::{Prompts, SimulatedSteps, Simulation};

/// A break before it is named and counted in tokens.
#[derive(Debug, Clone)]
pub(super) struct Broken {
    pub(super) shared: SharedPrefix,
    pub(super) common_bytes: u64,
    pub(super) change: FirstDifference,
    pub(super) lost_bytes: u64,
    pub(super) evicted_by: Option<usize>,
    /// What was, and what is now.
    pub(super) excerpt: Option<(Option<String>, Option<String>)>,
}

/// One request in two caches. Few break: what is known of a break takes no room in the others.
#[derive(Debug, Clone)]
pub(super) struct SimulatedRow {
    pub(super) prompt_bytes: u64,
    pub(super) reusable_bytes: u64,
    pub(super) reusable_bytes_one_slot: u64,
    pub(super) reused_from: Option<usize>,
    pub(super) broken: Option<Box<Broken>>,
    pub(super) broken_one_slot: Option<Box<Broken>>,
    pub(super) element: Option<ElementName>,
    pub(super) adds: Option<Addition>,
}

impl SimulatedRow {
    /// What happened to the request at its turn.
    pub(super) fn of(
        simulation: &Simulation<'_>,
        steps: &SimulatedSteps,
        at: usize,
        openings: &mut Openings,
    ) -> Option<Self> {
        let step = steps.chosen.get(at).copied().flatten()?;
        let step_one = steps.one_slot.get(at).copied().flatten()?;
        let (prompt_bytes, edits) = (simulation.reuse.get(at)?.prompt_bytes, simulation.edits(at));
        let broken = Broken::of((simulation, steps), at, &step, openings).map(Box::new);
        let broken_one_slot = Broken::of((simulation, steps), at, &step_one, openings).map(Box::new);
        if steps.before(at).any_model.is_none() {
            openings.add(at);
        }
        let prompt = simulation.prompt(at)?;
        let place = |broken: &Broken| simulation.comparer.place(prompt, edits, &broken.shared);
        Some(Self {
            prompt_bytes,
            reusable_bytes: step.reusable_bytes(),
            reusable_bytes_one_slot: step_one.reusable_bytes(),
            reused_from: step.best.filter(|_| step.reusable_bytes() > 0).map(|best| best.from),
            element: broken.as_deref().map(place).map(ElementName),
            broken,
            broken_one_slot,
            adds: addition(simulation, at, &step),
        })
    }

    pub(super) fn quote(&mut self, simulation: &Simulation<'_>) {
        let Some(broken) = &mut self.broken else { return };
        let (shared, at) = (broken.shared, broken.common_bytes);
        let quoted = |element: Option<ElementId>| {
            element.map(|element| excerpt::around(&simulation.comparer.text(element), at))
        };
        broken.excerpt = Some((quoted(shared.right), quoted(shared.left)));
    }
}

impl Broken {
    /// What broke in a cache that did this; `None` where the request only appended.
    fn of(
        (simulation, steps): (&Simulation<'_>, &SimulatedSteps),
        at: usize,
        step: &Step,
        openings: &Openings,
    ) -> Option<Self> {
        let sequence = simulation.sequence(at)?;
        let shared = step.best.map_or_else(|| simulation.comparer.beginning(sequence), |best| best.shared);
        if step.is_appended() || shared.left.is_none() && shared.right.is_none() {
            return None;
        }
        let mut broken = Self {
            shared,
            common_bytes: step.best.map_or(0, |best| best.common_bytes),
            change: FirstDifference::only(Cause::OtherConversation),
            lost_bytes: 0,
            evicted_by: None,
            excerpt: None,
        };
        let before = steps.before(at);
        if simulation.turns.first() == Some(at) {
            broken.change = FirstDifference::only(Cause::FirstRequest);
        } else if let Some(missed) = step.missed {
            broken.lost_bytes = lost(simulation, at, &shared, missed.from);
            (broken.change, broken.evicted_by) = match missed.why {
                Why::EvictedBy(other) => (FirstDifference::only(Cause::Evicted), Some(other)),
                Why::Swapped => (FirstDifference::only(Cause::ModelSwapped), None),
            };
        } else if let Some(newest) = before.same_model {
            // Without one its own slot was busy: nothing changed.
            if let Some(reuse) = compared_with(simulation, at, newest, step) {
                (broken.shared, broken.common_bytes) = (reuse.shared, reuse.common_bytes);
                broken.change = cause::change(simulation, at, &reuse)?;
            }
            broken.lost_bytes = lost(simulation, at, &broken.shared, newest);
            // A text that changed in its middle stood in the earlier prompt but for that.
            broken.lost_bytes += opening::equal_behind(simulation, &broken.shared);
        } else if let Some(newest) = before.any_model {
            broken.lost_bytes = lost(simulation, at, &shared, newest);
            broken.change = FirstDifference::only(Cause::ModelSwapped);
        } else if let Some(opening) = openings.find(simulation, at, step) {
            (broken.change, broken.lost_bytes) = (opening.change, opening.lost_bytes);
        }
        Some(broken)
    }
}

/// What a request that only appended brought that a server may not leave as it is.
fn addition(simulation: &Simulation<'_>, at: usize, step: &Step) -> Option<Addition> {
    let reuse = step.best.filter(|best| step.is_appended() && best.shared.part == PromptPart::Messages)?;
    let comparer = &simulation.comparer;
    let added = comparer.history_from(simulation.sequence(at)?, reuse.shared.index);
    added.filter_map(|(_, element)| addition_of(comparer.prompts, element)).min_by_key(|adds| *adds as u8)
}

fn addition_of(prompts: &Prompts, element: ElementId) -> Option<Addition> {
    match (prompts.role(element), prompts.kind(element)) {
        (Role::SystemMessage, _) => Some(Addition::SystemMessage),
        (Role::User, ElementKind::Text) => {
            let before_text = usize::try_from(prompts.bytes_before_text(element)).ok()?;
            let text = prompts.head(element).get(before_text..)?;
            (!text.starts_with(b"<system-reminder>")).then_some(Addition::UserText)
        }
        _ => None,
    }
}

fn lost(simulation: &Simulation<'_>, at: usize, shared: &SharedPrefix, earlier: usize) -> u64 {
    let both = simulation.sequence(at).zip(simulation.sequence(earlier));
    both.map_or(0, |(now, earlier)| simulation.comparer.bytes_in_both(now, shared, earlier))
}

/// The earlier request whose difference is to be named: the one that gives most of what
/// was held, but the newest of the own conversation where that gives as much.
fn compared_with(simulation: &Simulation<'_>, at: usize, newest: usize, step: &Step) -> Option<Reuse> {
    let is_own = |best: &Reuse| simulation.conversation(best.from) == simulation.conversation(at);
    if let Some(best) = step.best.filter(is_own) {
        return Some(best);
    }
    let own = simulation.shared_with(at, newest)?;
    match own.bytes().cmp(&step.best.map_or(0, |best| best.bytes())) {
        Ordering::Less => step.best,
        Ordering::Equal => Some(own),
        Ordering::Greater => None,
    }
}

/// How many tokens a byte of each model's prompts is.
#[derive(Debug, Default)]
pub(super) struct TokensPerByte(HashMap<Option<Arc<str>>, f64>);

impl TokensPerByte {
    pub(super) fn of<'r>(rows: impl IntoIterator<Item = (&'r Request, &'r SimulatedRow)>) -> Self {
        let mut ratios: HashMap<Option<Arc<str>>, Vec<f64>> = HashMap::new();
        for (request, row) in rows {
            if let Some(ratio) = own_ratio(request, row) {
                ratios.entry(request.model.clone()).or_default().push(ratio);
            }
        }
        Self(ratios.into_iter().filter_map(|(model, ratios)| Some((model, Stats::of(ratios)?.p50))).collect())
    }

    /// Tokens of so many of a prompt's bytes: by the backend's own count of this
    /// prompt, else by those of the model's other prompts.
    pub(super) fn tokens(&self, request: &Request, row: &SimulatedRow, bytes: u64) -> Option<f64> {
        let ratio = own_ratio(request, row).or_else(|| self.0.get(&request.model).copied())?;
        Some(ratio * float(bytes))
    }
}

fn own_ratio(request: &Request, row: &SimulatedRow) -> Option<f64> {
    let tokens = prompt_tokens(request).filter(|_| row.prompt_bytes > 0)?;
    Some(float(tokens) / float(row.prompt_bytes))
}

/// The backend's own count of a prompt, where it can be true.
pub(super) fn prompt_tokens(request: &Request) -> Option<u64> {
    let timing = request.timing.as_ref()?;
    let is_believed = timing.prompt_tokens_source != Some(TokenSource::Implausible);
    timing.prompt_tokens.get().filter(|tokens| *tokens > 0 && is_believed)
}

/// A figure of tokens or milliseconds, rounded; `None` where it is none.
pub(super) fn rounded(value: f64) -> Option<u64> {
    (value.is_finite() && value >= 0.0).then(|| whole(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(prompt_bytes: u64) -> SimulatedRow {
        SimulatedRow {
            prompt_bytes,
            reusable_bytes: 0,
            reusable_bytes_one_slot: 0,
            reused_from: None,
            broken: None,
            broken_one_slot: None,
            adds: None,
            element: None,
        }
    }

    fn counted(tokens: u64) -> Request {
        Request::builder("a.json").model("m").timing(|timing| timing.prompt_tokens = tokens.into()).build()
    }

    #[test]
    fn bytes_become_tokens_by_their_own_prompt_else_by_the_models_others() {
        let counts = [counted(1_000), counted(2_000), counted(3_000), counted(0)];
        let whole = row(4_000);
        let per_byte = TokensPerByte::of(counts.iter().map(|request| (request, &whole)));
        assert_eq!(per_byte.tokens(&counts[0], &whole, 400), Some(100.0));
        assert_eq!(per_byte.tokens(&counts[3], &whole, 400), Some(200.0), "the median of the others");
        assert_eq!(per_byte.tokens(&counts[0], &row(0), 400), Some(200.0), "nothing is known of its bytes");
        assert_eq!(TokensPerByte::default().tokens(&counts[3], &whole, 400), None);
    }

    #[test]
    fn only_counts_that_can_be_true_count() {
        let mut request = counted(9_000);
        assert_eq!((prompt_tokens(&request), prompt_tokens(&counted(0))), (Some(9_000), None));
        request.timing.as_mut().unwrap().prompt_tokens_source = Some(TokenSource::Implausible);
        assert_eq!(prompt_tokens(&request), None);
    }

    #[test]
    fn figures_are_rounded_where_they_are_any() {
        assert_eq!(
            [0.0, 2.5, -1.0, f64::NAN, f64::INFINITY].map(rounded),
            [Some(0), Some(3), None, None, None]
        );
    }
}
