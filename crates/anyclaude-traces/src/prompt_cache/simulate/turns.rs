//! In which order requests pass through a cache, and what came before each.

use std::sync::Arc;

use super::reuse_of;
use crate::both::both_of_many;
use crate::model::SimulatedReuse;
use crate::model::intern::FastMap;
use crate::prompt_cache::compare::PromptComparer;
use crate::prompt_cache::conversation::Conversation;
use crate::prompt_cache::recorded::PromptParts;
use crate::prompt_cache::slots::{Caches, Capacity, Past, SimulatedPrompts, SimulatedRequest, Step};

/// Fewer requests pass through a cache in less time than a thread takes to start.
pub(super) const LEAST_FOR_THREADS: usize = 64;

/// The requests of the same conversation before one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EarlierRequests {
    /// The newest that the same model answered.
    pub(crate) same_model: Option<usize>,
    /// The newest that any model answered.
    pub(crate) any_model: Option<usize>,
}

/// What tells pasts apart: the root, the model, and the conversation.
type PastOf<'a> = (usize, &'a Option<Arc<str>>, Conversation);

/// The turns of requests.
pub(crate) struct Turns {
    /// The requests in the order in which they pass, each with the index of its past: the earlier
    /// requests of its conversation that the same model answered.
    turns: Vec<(usize, usize)>,
    pasts: usize,
}

impl Turns {
    /// The turns of these requests, which pass in this order.
    pub(super) fn of(requests: &[SimulatedRequest], order: Vec<usize>) -> Self {
        let mut pasts: FastMap<PastOf<'_>, usize> = FastMap::default();
        let turn = |at: usize| {
            let request = requests.get(at)?;
            let next = pasts.len();
            let past: PastOf<'_> = (request.root, &request.model, request.conversation);
            Some((at, *pasts.entry(past).or_insert(next)))
        };
        let mut turns = Vec::with_capacity(order.len());
        turns.extend(order.into_iter().filter_map(turn));
        Self { turns, pasts: pasts.len() }
    }

    /// What came before each of these requests, which are those that pass.
    pub(super) fn before(&self, requests: &[SimulatedRequest]) -> Vec<EarlierRequests> {
        let mut newest: FastMap<Conversation, usize> = FastMap::default();
        let mut newest_of_past = vec![None; self.pasts];
        let mut before = vec![EarlierRequests::default(); requests.len()];
        for &(at, past) in &self.turns {
            let both = requests.get(at).zip(newest_of_past.get_mut(past)).zip(before.get_mut(at));
            let Some(((request, newest_of_past), before)) = both else { continue };
            let same_model = newest_of_past.replace(at);
            *before = EarlierRequests { same_model, any_model: newest.insert(request.conversation, at) };
        }
        before
    }

    pub(crate) fn first(&self) -> Option<usize> {
        self.turns.first().map(|(at, _)| *at)
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = usize> {
        self.turns.iter().map(|(at, _)| *at)
    }

    /// What each request, at its index, finds in a cache of this size, and what it missed.
    pub(super) fn run(
        &self,
        comparer: &PromptComparer<'_>,
        members: SimulatedPrompts<'_>,
        size: Capacity,
    ) -> Vec<Option<Step>> {
        let mut cache = Caches::with_fates(members, size);
        let mut pasts: Vec<Past> = Vec::new();
        pasts.resize_with(self.pasts, Past::default);
        let mut steps = vec![None; members.requests.len()];
        for (turn, (at, past)) in self.turns.iter().copied().enumerate() {
            let both = members.sequence(at).zip(pasts.get_mut(past)).zip(steps.get_mut(at));
            let Some(((sequence, past), step)) = both else { continue };
            *step = cache.step(comparer, at, turn, past);
            past.add(comparer.rank(sequence), at);
        }
        steps
    }

    /// What a cache of this size holds of each request, at its index.
    pub(super) fn held(
        &self,
        comparer: &PromptComparer<'_>,
        members: SimulatedPrompts<'_>,
        size: Capacity,
    ) -> Vec<SimulatedReuse> {
        let mut cache = Caches::new(members, size);
        let not_passed = |at| reuse_of(comparer, members, at, None);
        let mut held: Vec<SimulatedReuse> = (0..members.requests.len()).map(not_passed).collect();
        for (turn, (at, _)) in self.turns.iter().copied().enumerate() {
            let step = cache.held(comparer, at, turn);
            if let Some(held) = held.get_mut(at) {
                *held = reuse_of(comparer, members, at, step.as_ref());
            }
        }
        held
    }

    /// What [`run`](Self::run) finds in two caches at once.
    pub(super) fn run_both(
        &self,
        comparer: &PromptComparer<'_>,
        members: SimulatedPrompts<'_>,
        sizes: [Capacity; 2],
    ) -> (Vec<Option<Step>>, Vec<Option<Step>>) {
        self.in_both(comparer, sizes, |size| self.run(comparer, members, size))
    }

    /// What [`held`](Self::held) finds in two caches at once.
    pub(super) fn held_by_both(
        &self,
        comparer: &PromptComparer<'_>,
        members: SimulatedPrompts<'_>,
        sizes: [Capacity; 2],
    ) -> (Vec<SimulatedReuse>, Vec<SimulatedReuse>) {
        self.in_both(comparer, sizes, |size| self.held(comparer, members, size))
    }

    fn in_both<T: Send>(
        &self,
        comparer: &PromptComparer<'_>,
        [first, second]: [Capacity; 2],
        run: impl Fn(Capacity) -> T + Sync,
    ) -> (T, T) {
        let is_many = self.turns.len() >= LEAST_FOR_THREADS;
        let found = both_of_many(is_many, || run(first), || run(second));
        if is_many {
            comparer.sort_errors();
        }
        found
    }
}

/// The requests that have a prompt, by their starts.
pub(super) fn by_start(requests: &[SimulatedRequest], prompts: &[Option<&PromptParts>]) -> Vec<usize> {
    let known = prompts.iter().enumerate().filter(|(_, prompt)| prompt.is_some());
    let mut turns: Vec<usize> = known.map(|(at, _)| at).collect();
    turns.sort_by_key(|at| requests.get(*at).map(|request| request.start));
    turns
}
