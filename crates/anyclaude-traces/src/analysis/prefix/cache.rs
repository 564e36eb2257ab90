//! The cache of a backend, simulated: which sequence each of its slots holds.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::compare::{PromptComparer, Sequence, Shared};
use super::conversation::Conversation;
use super::elements::ElementKind;

/// A request as the cache sees it.
#[derive(Debug, Clone)]
pub(super) struct SimulatedRequest {
    pub(super) sequence: Sequence,
    pub(super) prompt_bytes: u64,
    /// The model that ran; one cache for each.
    pub(super) model: Option<Arc<str>>,
    pub(super) conversation: Conversation,
}

/// What a cache could reuse of one prompt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reuse {
    pub(super) shared: Shared,
    /// The bytes that the first elements that differ have in common.
    pub(super) common_bytes: u64,
    /// The request whose sequence this is about.
    pub(super) from: usize,
}

impl Reuse {
    pub(super) fn bytes(&self) -> u64 {
        self.shared.bytes + self.common_bytes
    }
}

/// What happened to one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    /// The best that was held; `None` where nothing was.
    pub(super) best: Option<Reuse>,
    /// An earlier request of the conversation that would have given more, but was
    /// no longer held, and whose request took its slot.
    pub(super) missed: Option<Missed>,
}

/// What was lost to a lack of slots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missed {
    pub(super) reuse: Reuse,
    pub(super) evicted_by: Option<usize>,
}

/// The earlier requests of one conversation in one cache.
#[derive(Debug, Default)]
pub(super) struct Past {
    by_content: BTreeMap<[u32; 3], usize>,
    newest: Option<usize>,
}

impl Past {
    pub(super) fn newest(&self) -> Option<usize> {
        self.newest
    }

    pub(super) fn add(&mut self, rank: [u32; 3], request: usize) {
        self.by_content.insert(rank, request);
        self.newest = Some(request);
    }

    /// Those that may share most with a prompt that stands here in the order of
    /// content: of all that share the same elements, the nearest share most of
    /// the next one too.
    fn nearest(&self, rank: [u32; 3]) -> impl Iterator<Item = usize> {
        let below = self.by_content.range(..rank).next_back();
        let above = self.by_content.range(rank..).next();
        below.into_iter().chain(above).map(|(_, request)| *request).chain(self.newest)
    }
}

/// The caches of all models, with so many slots each.
pub(super) struct Simulation {
    slots: NonZeroUsize,
    caches: HashMap<Option<Arc<str>>, Vec<Slot>>,
    /// Which request took the slot of which.
    takers: HashMap<usize, usize>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    holds: usize,
}

impl Simulation {
    pub(super) fn new(slots: NonZeroUsize) -> Self {
        Self { slots, caches: HashMap::new(), takers: HashMap::new() }
    }

    /// Lets the next request in, which stands at `at` among the members.
    pub(super) fn step(
        &mut self,
        comparer: &mut PromptComparer<'_>,
        members: &[SimulatedRequest],
        at: usize,
        past: &Past,
    ) -> Option<Step> {
        let member = members.get(at)?;
        let slots = self.caches.entry(member.model.clone()).or_default();
        let held = slots.iter().enumerate();
        let compared =
            held.filter_map(|(slot, held)| Some((slot, reuse(comparer, members, at, held.holds)?)));
        // Requests are numbered by time, so that the larger was used more recently.
        let best = compared.max_by_key(|(_, reuse)| (reuse.bytes(), reuse.from));
        let fits =
            best.filter(|(_, reuse)| u128::from(reuse.bytes()) * 10 >= u128::from(member.prompt_bytes));
        let oldest = || slots.iter().enumerate().min_by_key(|(_, slot)| slot.holds).map(|(slot, _)| slot);
        let taken =
            fits.map(|(slot, _)| slot).or_else(|| oldest().filter(|_| slots.len() >= self.slots.get()));
        // Nothing is left in a cache by a request that says nothing.
        if member.prompt_bytes > 0 {
            match taken.and_then(|slot| slots.get_mut(slot)) {
                Some(slot) => {
                    self.takers.insert(slot.holds, at);
                    slot.holds = at;
                }
                None => slots.push(Slot { holds: at }),
            }
        }
        let best = best.map(|(_, reuse)| reuse);
        let missed = best.filter(|best| !best.shared.is_all_of_one()).and_then(|best| {
            let reuse = self.better(comparer, members, at, past, &best)?;
            Some(Missed { reuse, evicted_by: self.evictor(members, reuse.from, at) })
        });
        Some(Step { best, missed })
    }

    /// The earlier request of the conversation that would have given more than
    /// the best that was held.
    fn better(
        &self,
        comparer: &mut PromptComparer<'_>,
        members: &[SimulatedRequest],
        at: usize,
        past: &Past,
        best: &Reuse,
    ) -> Option<Reuse> {
        let rank = comparer.rank(members.get(at)?.sequence);
        let mut found: Option<Reuse> = None;
        for earlier in past.nearest(rank) {
            let Some(reuse) = reuse(comparer, members, at, earlier) else { continue };
            // Digits of two billing headers that happen to agree are nothing that
            // the cache lost.
            let by_chance = comparer.kind(reuse.shared.left) == Some(ElementKind::BillingHeader)
                && comparer.kind(reuse.shared.right) == Some(ElementKind::BillingHeader);
            let gives = if by_chance { reuse.shared.bytes } else { reuse.bytes() };
            if gives > found.map_or(best.bytes(), |found| found.bytes()) {
                found = Some(reuse);
            }
        }
        found
    }

    /// The request of another conversation that took the slot in the end.
    fn evictor(&self, members: &[SimulatedRequest], victim: usize, at: usize) -> Option<usize> {
        const MOST_STEPS: usize = 64;
        let conversation = |request: usize| members.get(request).map(|member| member.conversation);
        let mut takers = std::iter::successors(Some(victim), |taken| self.takers.get(taken).copied()).skip(1);
        takers
            .by_ref()
            .take(MOST_STEPS)
            .find(|taker| *taker != at && conversation(*taker) != conversation(victim))
    }
}

/// What the request at `at` shares with an earlier one.
pub(super) fn reuse(
    comparer: &mut PromptComparer<'_>,
    members: &[SimulatedRequest],
    at: usize,
    from: usize,
) -> Option<Reuse> {
    let shared = comparer.shared(members.get(at)?.sequence, members.get(from)?.sequence);
    Some(Reuse { common_bytes: comparer.common_bytes(&shared), shared, from })
}
