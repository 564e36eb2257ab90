//! In which order requests pass through a cache, and what came before each.

use std::sync::Arc;

use crate::both::both_of_many;
use crate::model::intern::FastMap;
use crate::prompt_cache::compare::PromptComparer;
use crate::prompt_cache::conversation::Conversation;
use crate::prompt_cache::recorded::PromptParts;
use crate::prompt_cache::slots::{Caches, Capacity, Past, SimulatedPrompts, SimulatedRequest, Step};

/// Fewer pass faster than a thread begins.
pub(super) const LEAST_FOR_THREADS: usize = 64;

/// The requests of the same conversation before one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EarlierRequests {
    /// The newest that the same model answered.
    pub(crate) same_model: Option<usize>,
    /// The newest that any model answered.
    pub(crate) any_model: Option<usize>,
}

/// Whose past it is: that of a conversation with a model in a root.
type PastOf<'a> = (usize, &'a Option<Arc<str>>, Conversation);

/// The turns of requests.
pub(crate) struct Turns {
    /// The requests in the order in which they pass, each with the number of its past: that
    /// of its conversation with its model.
    turns: Vec<(usize, usize)>,
    pasts: usize,
    before: Vec<EarlierRequests>,
}

impl Turns {
    /// Of these requests, which pass in this order.
    pub(super) fn of(requests: &[SimulatedRequest], order: Vec<usize>) -> Self {
        let mut pasts: FastMap<PastOf<'_>, (usize, Option<usize>)> = FastMap::default();
        let mut newest: FastMap<Conversation, usize> = FastMap::default();
        let mut before = vec![EarlierRequests::default(); requests.len()];
        let turn = |at: usize| {
            let request = requests.get(at)?;
            let next = pasts.len();
            let past: PastOf<'_> = (request.root, &request.model, request.conversation);
            let (past, newest_of_past) = pasts.entry(past).or_insert((next, None));
            let same_model = newest_of_past.replace(at);
            let any_model = newest.insert(request.conversation, at);
            *before.get_mut(at)? = EarlierRequests { same_model, any_model };
            Some((at, *past))
        };
        let turns = order.into_iter().filter_map(turn).collect();
        Self { turns, pasts: pasts.len(), before }
    }

    pub(crate) fn first(&self) -> Option<usize> {
        self.turns.first().map(|(at, _)| *at)
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = usize> {
        self.turns.iter().map(|(at, _)| *at)
    }

    pub(crate) fn before(&self, request: usize) -> EarlierRequests {
        self.before.get(request).copied().unwrap_or_default()
    }

    /// What happens to each request in a cache of this size, at the request's place.
    pub(super) fn run(
        &self,
        comparer: &PromptComparer<'_>,
        members: SimulatedPrompts<'_>,
        size: Capacity,
    ) -> Vec<Option<Step>> {
        let mut cache = Caches::new(members, size);
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

    /// The same in two caches at once.
    pub(super) fn run_both(
        &self,
        comparer: &PromptComparer<'_>,
        members: SimulatedPrompts<'_>,
        [first, second]: [Capacity; 2],
    ) -> (Vec<Option<Step>>, Vec<Option<Step>>) {
        let run = |size| self.run(comparer, members, size);
        let is_many = self.turns.len() >= LEAST_FOR_THREADS;
        let steps = both_of_many(is_many, || run(first), || run(second));
        if is_many {
            comparer.sort_errors();
        }
        steps
    }
}

/// The requests that have a prompt, by their starts.
pub(super) fn by_start(requests: &[SimulatedRequest], prompts: &[Option<&PromptParts>]) -> Vec<usize> {
    let known = prompts.iter().enumerate().filter(|(_, prompt)| prompt.is_some());
    let mut turns: Vec<usize> = known.map(|(at, _)| at).collect();
    turns.sort_by_key(|at| requests.get(*at).map(|request| request.start));
    turns
}
