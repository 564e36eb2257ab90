//! The cache of a backend: which prompt each of its slots holds, what main memory keeps of
//! those that left a slot, and what this gives the next request.
//!
//! [`Caches`] has one cache for each model of each root. The requests are passed to
//! [`Caches::step`] in order of time: each takes a slot, and is told the best that the cache
//! held of its prompt.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::compare::{PromptComparer, Rank, Sequence, SharedPrefix};
use super::conversation::Conversation;
use super::observe::ElementKind;
use crate::formats::json::compact::HEAD_BYTES;
use crate::model::intern::FastMap;

/// A request reuses what a slot holds if that is at least a tenth of its prompt: llama.cpp's
/// `--slot-prompt-similarity`.
const LEAST_REUSED_OF_PROMPT: u128 = 10;

/// Where the cache has main memory too, the prompt of a slot is kept there if the request that
/// takes the slot reuses less than half of it, as llama.cpp does.
const LEAST_REUSED_OF_SLOT: u128 = 2;

/// How many neighbours in the order of content are compared on either side, at most, where they
/// agree for longer than the kept beginnings of elements tell.
const MOST_NEAREST: usize = 16;

/// A request as the cache sees it.
#[derive(Debug, Clone)]
pub(crate) struct SimulatedRequest {
    /// The number of the root that it was recorded in: each has caches of its own.
    pub(crate) root: usize,
    /// The model that ran; one cache for each.
    pub(crate) model: Option<Arc<str>>,
    /// Whether a backend with room for one model answers it.
    pub(crate) is_local: bool,
    pub(crate) conversation: Conversation,
    /// When it begins, and when it leaves its slot, in Unix milliseconds.
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// What a cache could reuse of one prompt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reuse {
    pub(crate) shared: SharedPrefix,
    /// The bytes that the first elements that differ have in common.
    pub(crate) common_bytes: u64,
    /// Of these, the bytes that a template may write into the prompt: those of texts.
    common_text_bytes: u64,
    /// The request whose prompt this is about.
    pub(crate) from: usize,
}

impl Reuse {
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.bytes + self.common_text_bytes
    }

    /// The one that is worth more; of equals the first.
    fn better(first: Option<Self>, second: Self) -> Self {
        first.filter(|first| first.worth() >= second.worth()).unwrap_or(second)
    }

    /// Its order among others: by bytes, then prompts that are the whole beginning of the other
    /// before those that are not, as the cache holds their answer too.
    fn worth(&self) -> (u64, bool) {
        (self.bytes(), self.shared.is_all_of_one())
    }

    /// Whether it is enough of a prompt to be reused.
    fn is_enough(&self, prompt_bytes: u64) -> bool {
        u128::from(self.bytes()) * LEAST_REUSED_OF_PROMPT >= u128::from(prompt_bytes)
    }
}

/// What the cache gave one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// The most that was held of its prompt; `None` where nothing was held at all.
    pub(crate) best: Option<Reuse>,
    /// Whether that is enough to be reused.
    pub(crate) is_reused: bool,
    /// The earlier request of its conversation that would have given more, had it still been
    /// held, and why it was not.
    pub(crate) missed: Option<Missed>,
}

impl Step {
    pub(crate) fn reusable_bytes(&self) -> u64 {
        self.best.filter(|_| self.is_reused).map_or(0, |best| best.bytes())
    }

    /// Whether one prompt is the beginning of the other, and that is reused.
    pub(crate) fn is_appended(&self) -> bool {
        self.is_reused && self.best.is_some_and(|best| best.shared.is_all_of_one())
    }
}

/// An earlier prompt that was no longer held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Missed {
    pub(crate) from: usize,
    pub(crate) why: Why,
}

/// Why a prompt was no longer held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// A request of another conversation took its slot.
    EvictedBy(usize),
    /// Another model answered since.
    Swapped,
}

/// Prompts in the order of their content, so that those that share most with another one are
/// its neighbours: the earlier ones of a conversation, or those in main memory.
#[derive(Debug, Default)]
pub(crate) struct Past {
    by_content: BTreeMap<Rank, usize>,
    /// Those in main memory, by their whole sequence.
    whole: FastMap<Sequence, usize>,
    newest: Option<usize>,
}

impl Past {
    pub(crate) fn newest(&self) -> Option<usize> {
        self.newest
    }

    pub(crate) fn add(&mut self, rank: Rank, request: usize) {
        self.by_content.insert(rank, request);
        self.newest = Some(request);
    }

    /// What those prompts give that may give most to a prompt with this rank. Its neighbours
    /// share the most elements with it, and, of the first element that differs, the most of the
    /// beginning that is kept. Where they agree in all of that, the neighbour behind may share
    /// more, and is compared too.
    fn nearest(&self, rank: Rank, mut reuse: impl FnMut(usize) -> Option<Reuse>) -> Vec<Reuse> {
        let below = self.by_content.range(..rank).rev().map(|(_, request)| *request);
        let above = self.by_content.range(rank..).map(|(_, request)| *request);
        let mut found: Vec<Reuse> = Vec::new();
        for side in
            [&mut below.take(MOST_NEAREST) as &mut dyn Iterator<Item = usize>, &mut above.take(MOST_NEAREST)]
        {
            for one in side.filter_map(&mut reuse) {
                found.push(one);
                if one.common_bytes < HEAD_BYTES as u64 {
                    break;
                }
            }
        }
        found.extend(self.newest.and_then(reuse));
        found
    }

    /// Keeps a prompt that leaves its slot, unless the request that takes the slot reuses most
    /// of it.
    fn keep_replaced(&mut self, comparer: &PromptComparer<'_>, sequence: Sequence, replaced: &Reuse) {
        let held = comparer.bytes(sequence);
        if u128::from(replaced.bytes()) * LEAST_REUSED_OF_SLOT < u128::from(held) {
            self.add(comparer.rank(sequence), replaced.from);
            self.whole.insert(sequence, replaced.from);
        }
    }

    /// The best of what a slot gives a prompt and of what these give it.
    fn better(
        &self,
        comparer: &PromptComparer<'_>,
        sequence: Sequence,
        of_slot: Option<Reuse>,
        reuse: impl Fn(usize) -> Option<Reuse>,
    ) -> Option<Reuse> {
        let nearest = self.nearest(comparer.rank(sequence), &reuse);
        let best = nearest.into_iter().fold(of_slot, |best, reuse| Some(Reuse::better(best, reuse)));
        // One that is wholly the beginning of the prompt is worth more than one that goes on
        // otherwise, and need not be among the nearest.
        let beginning = best.and_then(|best| comparer.shared_sequence(sequence, &best.shared));
        let whole = beginning.and_then(|beginning| self.whole.get(&beginning).copied()).and_then(reuse);
        whole.map(|whole| Reuse::better(best, whole)).or(best)
    }
}

/// What a backend's cache can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub(crate) slots: NonZeroUsize,
    /// Whether main memory keeps what leaves a slot.
    pub(crate) ram: bool,
}

impl Capacity {
    /// The smallest cache that a backend can have.
    pub(crate) const ONE_SLOT: Self = Self { slots: NonZeroUsize::MIN, ram: false };
}

/// The requests, and the prompt that each of them is to the backend.
#[derive(Clone, Copy)]
pub(crate) struct SimulatedPrompts<'m> {
    pub(crate) requests: &'m [SimulatedRequest],
    pub(crate) sequences: &'m [Sequence],
}

impl SimulatedPrompts<'_> {
    fn request(&self, at: usize) -> Option<&SimulatedRequest> {
        self.requests.get(at)
    }

    pub(crate) fn prompt_bytes(&self, comparer: &PromptComparer<'_>, at: usize) -> u64 {
        self.sequence(at).map_or(0, |sequence| comparer.bytes(sequence))
    }

    pub(crate) fn sequence(&self, at: usize) -> Option<Sequence> {
        self.sequences.get(at).copied()
    }

    /// What one request shares with an earlier one.
    pub(crate) fn reuse(&self, comparer: &PromptComparer<'_>, at: usize, from: usize) -> Option<Reuse> {
        let shared = comparer.shared(self.sequence(at)?, self.sequence(from)?);
        let common_bytes = comparer.common_bytes(&shared);
        let common_text_bytes = comparer.reusable_within(&shared, common_bytes);
        Some(Reuse { common_bytes, common_text_bytes, shared, from })
    }
}

/// The caches of all models.
pub(crate) struct Caches<'m> {
    members: SimulatedPrompts<'m>,
    capacity: Capacity,
    /// By root and model.
    caches: FastMap<(usize, Option<Arc<str>>), SlotsState>,
    /// For each root the model that answered last, and how often models changed so far.
    last: FastMap<usize, (Arc<str>, u32)>,
    /// `None` where nobody asks what was missed.
    fates: Option<Fates>,
}

/// What became of prompts that are no longer held.
#[derive(Debug)]
struct Fates {
    /// For each request the one that took its slot.
    takers: FastMap<usize, usize>,
    /// How often models had changed before each request.
    swaps_before: Vec<u32>,
}

/// The cache of one model.
#[derive(Debug, Default)]
struct SlotsState {
    slots: Vec<Slot>,
    in_ram: Past,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The request whose prompt it holds.
    holds: usize,
    /// When that request ends, in Unix milliseconds.
    free: i64,
    /// The turn in which it was taken.
    taken: usize,
}

/// A request that asks for a slot.
struct Arrival<'r> {
    at: usize,
    turn: usize,
    request: &'r SimulatedRequest,
    sequence: Sequence,
    prompt_bytes: u64,
}

/// What the slots that a request may take hold of its prompt.
struct SlotChoice {
    /// The most of it.
    best: Option<Reuse>,
    /// The slot that it takes, and what that holds; `None` where it takes a new one.
    taken: Option<(usize, Reuse)>,
}

impl SlotsState {
    /// Chooses the slot that a request takes: the idle one that holds most of its prompt, if that
    /// is enough; else a new one while there is room; else the one that was taken least recently.
    /// Where none is idle and there is no room, it waits for the first that becomes so.
    fn choose(
        &self,
        arrival: &Arrival<'_>,
        has_room: bool,
        reuse: impl Fn(usize) -> Option<Reuse>,
    ) -> SlotChoice {
        let is_idle = |slot: &&Slot| slot.free <= arrival.request.start;
        let waits = !has_room && !self.slots.iter().any(|slot| is_idle(&slot));
        let first_free = self.slots.iter().min_by_key(|slot| slot.free).map(|slot| slot.taken);
        let may_take = |slot: &&Slot| if waits { Some(slot.taken) == first_free } else { is_idle(slot) };
        let candidates = self.slots.iter().enumerate().filter(|(_, slot)| may_take(slot));
        let compared: Vec<(usize, Reuse)> =
            candidates.filter_map(|(index, slot)| Some((index, reuse(slot.holds)?))).collect();
        let recency = |index: &usize| self.slots.get(*index).map(|slot| slot.taken);
        let best = compared.iter().max_by_key(|(index, reuse)| (reuse.worth(), recency(index)));
        let fitting = best.filter(|(_, reuse)| reuse.is_enough(arrival.prompt_bytes));
        let oldest = compared.iter().min_by_key(|(index, _)| recency(index));
        SlotChoice {
            best: best.map(|(_, reuse)| *reuse),
            taken: fitting.or_else(|| oldest.filter(|_| !has_room)).copied(),
        }
    }

    /// Puts a request into the slot that it takes; returns what stood there.
    fn put(&mut self, index: Option<usize>, slot: Slot) -> Option<Slot> {
        match index.and_then(|index| self.slots.get_mut(index)) {
            Some(old) => Some(std::mem::replace(old, slot)),
            None => {
                self.slots.push(slot);
                None
            }
        }
    }
}

impl<'m> Caches<'m> {
    /// Caches that tell what they hold.
    pub(crate) fn new(members: SimulatedPrompts<'m>, capacity: Capacity) -> Self {
        Self { members, capacity, caches: FastMap::default(), last: FastMap::default(), fates: None }
    }

    /// Caches that also tell what was missed.
    pub(crate) fn with_fates(members: SimulatedPrompts<'m>, capacity: Capacity) -> Self {
        let fates = Fates { takers: FastMap::default(), swaps_before: vec![0; members.requests.len()] };
        Self { fates: Some(fates), ..Self::new(members, capacity) }
    }

    /// Lets a request in. `past` are the earlier ones of its conversation and model. Only caches
    /// [`with_fates`](Self::with_fates) tell what was missed.
    pub(crate) fn step(
        &mut self,
        comparer: &PromptComparer<'_>,
        at: usize,
        turn: usize,
        past: &Past,
    ) -> Option<Step> {
        let step = self.held(comparer, at, turn)?;
        let missed = if step.is_appended() { None } else { self.missed(comparer, at, past, &step) };
        Some(Step { missed, ..step })
    }

    /// The same where nobody asks what was missed.
    pub(crate) fn held(&mut self, comparer: &PromptComparer<'_>, at: usize, turn: usize) -> Option<Step> {
        self.note_model(at);
        let members = self.members;
        let (request, sequence) = (members.request(at)?, members.sequence(at)?);
        let prompt_bytes = comparer.bytes(sequence);
        let best = self.take_slot(comparer, &Arrival { at, turn, request, sequence, prompt_bytes });
        let is_reused = best.is_some_and(|best| best.is_enough(prompt_bytes));
        Some(Step { best, is_reused, missed: None })
    }

    /// A model that is loaded drops the other one with all that it held.
    fn note_model(&mut self, at: usize) {
        let Some(request) = self.members.request(at).filter(|request| request.is_local) else { return };
        if let Some(model) = &request.model {
            let (last, swaps) = self.last.entry(request.root).or_insert_with(|| (model.clone(), 0));
            if last != model {
                self.caches.retain(|(root, _), _| *root != request.root);
                last.clone_from(model);
                *swaps += 1;
            }
        }
        let swaps = self.last.get(&request.root).map_or(0, |(_, swaps)| *swaps);
        if let Some(before) = self.fates.as_mut().and_then(|fates| fates.swaps_before.get_mut(at)) {
            *before = swaps;
        }
    }

    /// Gives the request a slot. Returns the most that the cache held of its prompt.
    fn take_slot(&mut self, comparer: &PromptComparer<'_>, arrival: &Arrival<'_>) -> Option<Reuse> {
        let (members, at) = (self.members, arrival.at);
        let request = arrival.request;
        let cache = self.caches.entry((request.root, request.model.clone())).or_default();
        let has_room = cache.slots.len() < self.capacity.slots.get();
        let reuse = |from: usize| members.reuse(comparer, at, from);
        let SlotChoice { best, taken } = cache.choose(arrival, has_room, reuse);
        let mut held = best;
        if let Some((_, replaced)) = taken.filter(|_| self.capacity.ram) {
            if let Some(sequence) = members.sequence(replaced.from) {
                cache.in_ram.keep_replaced(comparer, sequence, &replaced);
            }
            held = cache.in_ram.better(comparer, arrival.sequence, best, reuse);
        }
        // A request without a prompt leaves nothing in a cache.
        if arrival.prompt_bytes > 0 {
            let slot = Slot { holds: at, free: request.end, taken: arrival.turn };
            let replaced = cache.put(taken.map(|(index, _)| index), slot);
            if let Some((fates, replaced)) = self.fates.as_mut().zip(replaced) {
                fates.takers.insert(replaced.holds, at);
            }
        }
        held
    }

    /// The earlier request of the conversation that would have given more than was held, if
    /// another conversation or another model is the reason that it is gone.
    fn missed(&self, comparer: &PromptComparer<'_>, at: usize, past: &Past, step: &Step) -> Option<Missed> {
        let rank = comparer.rank(self.members.sequence(at)?);
        let prompt_bytes = self.members.prompt_bytes(comparer, at);
        let mut most = step.best.map_or(0, |best| best.bytes());
        let mut found: Option<usize> = None;
        for reuse in past.nearest(rank, |earlier| self.members.reuse(comparer, at, earlier)) {
            // Two billing headers may share their first digits by chance. That is nothing that
            // the cache lost.
            let by_chance = comparer.kind(reuse.shared.left) == Some(ElementKind::BillingHeader)
                && comparer.kind(reuse.shared.right) == Some(ElementKind::BillingHeader);
            let gives = if by_chance { reuse.shared.bytes } else { reuse.bytes() };
            if gives > most && reuse.is_enough(prompt_bytes) {
                (most, found) = (gives, Some(reuse.from));
            }
        }
        let nothing_held = || past.newest().filter(|_| step.best.is_none());
        let from = found.or_else(nothing_held)?;
        let fates = self.fates.as_ref()?;
        if fates.swaps_before.get(from) != fates.swaps_before.get(at) {
            return Some(Missed { from, why: Why::Swapped });
        }
        Some(Missed { from, why: Why::EvictedBy(self.evictor(fates, from, at)?) })
    }

    /// The first request of another conversation that took the victim's slot, or the slot of one
    /// that had taken it.
    fn evictor(&self, fates: &Fates, victim: usize, at: usize) -> Option<usize> {
        const MOST_STEPS: usize = 64;
        let conversation = |request: usize| self.members.request(request).map(|member| member.conversation);
        let mut takers =
            std::iter::successors(Some(victim), |taken| fates.takers.get(taken).copied()).skip(1);
        takers
            .by_ref()
            .take(MOST_STEPS)
            .find(|taker| *taker != at && conversation(*taker) != conversation(victim))
    }
}
