//! The cache of a backend: which prompt each of its slots holds, and what it gives
//! the next request.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::compare::{PromptComparer, Rank, Sequence, SharedPrefix};
use super::conversation::Conversation;
use super::observe::ElementKind;
use crate::formats::json::compact::HEAD_BYTES;
use crate::model::intern::FastMap;

/// A request takes a slot for what that holds if it is this share of its prompt, one
/// in so many bytes; less is no reuse. llama.cpp's `--slot-prompt-similarity`.
const LEAST_SHARE: u128 = 10;

/// Where the cache has main memory too, a slot's prompt is kept there if a request
/// leaves less than this share of it, one in so many bytes; as llama.cpp does.
const KEPT_SHARE: u128 = 2;

/// How many prompts that begin alike for longer than is kept are looked at.
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
    /// Of these, what a template may write.
    common_text_bytes: u64,
    /// The request whose prompt this is about.
    pub(crate) from: usize,
}

impl Reuse {
    pub(crate) fn bytes(&self) -> u64 {
        self.shared.bytes + self.common_text_bytes
    }

    /// The one that gives more; of equals the first.
    fn better(first: Option<Self>, second: Self) -> Self {
        first.filter(|first| first.gives() >= second.gives()).unwrap_or(second)
    }

    /// What it is worth: of prompts that give as many bytes the one that is wholly the
    /// beginning, as its answer is held too.
    fn gives(&self) -> (u64, bool) {
        (self.bytes(), self.shared.is_all_of_one())
    }

    /// Whether it is enough of a prompt to count.
    fn counts(&self, prompt_bytes: u64) -> bool {
        u128::from(self.bytes()) * LEAST_SHARE >= u128::from(prompt_bytes)
    }
}

/// What happened to one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// The most that was held; `None` where nothing was.
    pub(crate) best: Option<Reuse>,
    /// Whether that is enough to be reused.
    pub(crate) is_reused: bool,
    /// An earlier request of the conversation that would have given more, and what
    /// became of it.
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

/// What was no longer held.
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

/// Prompts by content: the earlier ones of a conversation, or those in main memory.
#[derive(Debug, Default)]
pub(crate) struct Past {
    by_content: BTreeMap<Rank, usize>,
    /// Those in main memory, each under all of it.
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

    /// What those give that may give most to a prompt, which stands here in the order of
    /// content: of all that share the same elements, the nearest share most of the next
    /// one too, as far as its beginning is kept; where that is equal, the next nearest
    /// may share more.
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
}

/// What a backend's cache can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub(crate) slots: NonZeroUsize,
    /// Whether main memory keeps what leaves a slot.
    pub(crate) ram: bool,
}

impl Capacity {
    /// The smallest.
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
    caches: FastMap<(usize, Option<Arc<str>>), SlotsState>,
    /// The model that answered last in each root, and how often models changed there.
    last: FastMap<usize, (Arc<str>, u32)>,
    /// Kept where it is asked what was missed.
    fates: Option<Fates>,
}

/// What became of prompts that are no longer held.
#[derive(Debug)]
struct Fates {
    /// Which request took the slot of which.
    takers: FastMap<usize, usize>,
    /// How often models had changed before each request.
    swaps_before: Vec<u32>,
}

#[derive(Debug, Default)]
struct SlotsState {
    slots: Vec<Slot>,
    in_ram: Past,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    holds: usize,
    /// When the request in it ends.
    free: i64,
    /// The turn in which it was taken.
    taken: usize,
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

    /// Lets a request in. `past` are the earlier ones of its conversation and model. What was
    /// missed is told by caches [`with_fates`](Self::with_fates) alone.
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
        let best = self.take_slot(comparer, at, turn)?;
        let prompt_bytes = self.members.prompt_bytes(comparer, at);
        let is_reused = best.is_some_and(|best| best.counts(prompt_bytes));
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

    /// Gives the request a slot, and says what the cache held of it. `None` where there is
    /// no such request.
    fn take_slot(&mut self, comparer: &PromptComparer<'_>, at: usize, turn: usize) -> Option<Option<Reuse>> {
        let members = self.members;
        let (request, sequence) = (members.request(at)?, members.sequence(at)?);
        let prompt_bytes = comparer.bytes(sequence);
        let cache = self.caches.entry((request.root, request.model.clone())).or_default();
        let room = cache.slots.len() < self.capacity.slots.get();
        let is_idle = |slot: &&Slot| slot.free <= request.start;
        // Where none is idle, the request waits for the first that ends.
        let waits = !room && !cache.slots.iter().any(|slot| is_idle(&slot));
        let first_free = cache.slots.iter().min_by_key(|slot| slot.free).map(|slot| slot.taken);
        let may_take =
            |slot: &Slot| if waits { Some(slot.taken) == first_free } else { slot.free <= request.start };
        let compared: Vec<(usize, Reuse)> = cache
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| may_take(slot))
            .filter_map(|(index, slot)| Some((index, members.reuse(comparer, at, slot.holds)?)))
            .collect();
        let recency = |index: &usize| cache.slots.get(*index).map(|slot| slot.taken);
        let best = compared.iter().max_by_key(|(index, reuse)| (reuse.gives(), recency(index)));
        let fitting = best.filter(|(_, reuse)| reuse.counts(prompt_bytes));
        let oldest = compared.iter().min_by_key(|(index, _)| recency(index));
        let taken = fitting.or_else(|| oldest.filter(|_| !room)).copied();
        let mut found = best.map(|(_, reuse)| *reuse);
        if let Some((_, reuse)) = taken.filter(|_| self.capacity.ram) {
            let held = members.sequence(reuse.from).map_or(0, |held| comparer.bytes(held));
            if u128::from(reuse.bytes()) * KEPT_SHARE < u128::from(held) {
                let rank = members.sequence(reuse.from).map(|held| comparer.rank(held));
                rank.into_iter().for_each(|rank| cache.in_ram.add(rank, reuse.from));
                members.sequence(reuse.from).and_then(|held| cache.in_ram.whole.insert(held, reuse.from));
            }
            let rank = comparer.rank(sequence);
            let nearest = cache.in_ram.nearest(rank, |from| members.reuse(comparer, at, from));
            found = nearest.into_iter().fold(found, |found, reuse| Some(Reuse::better(found, reuse)));
            let whole = found.and_then(|found| comparer.shared_sequence(sequence, &found.shared));
            let whole = whole.and_then(|whole| cache.in_ram.whole.get(&whole).copied());
            let whole = whole.and_then(|from| members.reuse(comparer, at, from));
            found = whole.map(|whole| Reuse::better(found, whole)).or(found);
        }
        // A request that says nothing leaves nothing in a cache.
        if prompt_bytes > 0 {
            let slot = Slot { holds: at, free: request.end, taken: turn };
            match taken.and_then(|(index, _)| cache.slots.get_mut(index)) {
                Some(old) => {
                    if let Some(fates) = &mut self.fates {
                        fates.takers.insert(old.holds, at);
                    }
                    *old = slot;
                }
                None => cache.slots.push(slot),
            }
        }
        Some(found)
    }

    /// The earlier request of the conversation that would have given more than was
    /// held, where something else than the conversation itself is to blame.
    fn missed(&self, comparer: &PromptComparer<'_>, at: usize, past: &Past, step: &Step) -> Option<Missed> {
        let rank = comparer.rank(self.members.sequence(at)?);
        let prompt_bytes = self.members.prompt_bytes(comparer, at);
        let mut most = step.best.map_or(0, |best| best.bytes());
        let mut found: Option<usize> = None;
        for reuse in past.nearest(rank, |earlier| self.members.reuse(comparer, at, earlier)) {
            // Digits of two billing headers that happen to agree are nothing that
            // the cache lost.
            let by_chance = comparer.kind(reuse.shared.left) == Some(ElementKind::BillingHeader)
                && comparer.kind(reuse.shared.right) == Some(ElementKind::BillingHeader);
            let gives = if by_chance { reuse.shared.bytes } else { reuse.bytes() };
            if gives > most && reuse.counts(prompt_bytes) {
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

    /// The request of another conversation that took the slot in the end.
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
