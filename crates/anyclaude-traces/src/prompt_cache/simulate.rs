//! Lets requests pass through a simulated cache, in the order of their starts.
//!
//! First the prompts are made for each view that the backend may have got (`views`), and the
//! requests are put in turn (`turns`). Then the view and the cache are chosen that agree best
//! with the reported counts of cached tokens (`reported`). With these the requests pass through
//! the cache once more, beside one of a single slot, and what each found there is kept
//! ([`SimulatedSteps`]).

mod reported;
mod turns;
mod views;

use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use super::compare::{PromptComparer, Sequence};
use super::conversation::{Conversation, Conversations};
use super::ids::ElementId;
use super::prompts::Prompts;
use super::recorded::PromptParts;
use super::slots::{Capacity, SimulatedPrompts, SimulatedRequest, Step, Why};
use super::texts::Fetch;
use super::view::View;
use super::viewer::{Edits, Viewer};
use super::{CacheOptions, Order, SimulatedCache};
use crate::both::both_of_many;
use crate::error::Error;
use crate::model::intern::FastMap;
use crate::model::request::{Kind, Request, folder_bytes};
use crate::model::{Continued, SimulatedReuse};
use reported::ReportedCounts;
use turns::{EarlierRequests, LEAST_FOR_THREADS, Turns, by_start};
use views::{Views, first_message, is_local, views};

/// What the simulated cache held of each request, and what is needed to compare prompts further.
pub struct Simulation<'a> {
    /// What the backend is taken to have got, over all requests.
    pub view: View,
    /// The order of the prompt.
    pub order: Order,
    /// The cache.
    pub cache: SimulatedCache,
    /// What it held of each request, at the request's index.
    pub reuse: Vec<SimulatedReuse>,
    pub(crate) comparer: PromptComparer<'a>,
    pub(crate) turns: Turns,
    passed: PassedRequests<'a>,
    /// The index of the view in `passed`.
    chosen: usize,
}

/// What each request, at its index, found in the cache that was simulated, and in one of a single
/// slot without main memory.
pub struct SimulatedSteps {
    pub(crate) chosen: Vec<Option<Step>>,
    pub(crate) one_slot: Vec<Option<Step>>,
    before: Vec<EarlierRequests>,
}

/// What a cache of another size would lose to other conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotOutcome {
    /// The model.
    pub model: Option<Arc<str>>,
    /// The indices of the requests that found their conversation evicted.
    pub evicted: Vec<usize>,
    /// The bytes of their prompts that these read again.
    pub lost_bytes: u64,
}

/// All requests, with their prompts in every view that is tried.
struct PassedRequests<'a> {
    prompts: Vec<Option<&'a PromptParts>>,
    kinds: Vec<Kind>,
    requests: Vec<SimulatedRequest>,
    /// For each view what the proxy does to each request, …
    edits: Vec<Vec<Edits>>,
    /// … and the prompt that this makes of it.
    sequences: Vec<Vec<Sequence>>,
}

impl PassedRequests<'_> {
    fn members(&self, view: usize) -> SimulatedPrompts<'_> {
        SimulatedPrompts {
            requests: &self.requests,
            sequences: self.sequences.get(view).map(Vec::as_slice).unwrap_or_default(),
        }
    }
}

/// Lets requests pass through a cache. Pass all requests of one backend, whatever their
/// kind, in any order.
///
/// `fetch` reads an element again of which only the beginning was kept. It is called for
/// few: long texts that begin alike. Of what it cannot read, the known beginning counts.
///
/// A request occupies its slot from its start to its end; where these are unknown, it
/// takes no time, at the moment when it was recorded.
#[must_use]
pub fn simulate<'a>(
    requests: &[&Request],
    prompts: &'a Prompts,
    options: CacheOptions,
    fetch: &'a mut Fetch<'a>,
) -> (Simulation<'a>, SimulatedSteps) {
    let tried = TriedViews::new(requests, prompts, options, fetch);
    let TriedViews { evidence, views, passed, comparer, turns, chosen, mut capacity } = tried;
    let members = passed.members(chosen);
    let (mut steps, one_slot) = turns.run_both(&comparer, members, [capacity, Capacity::ONE_SLOT]);
    let mut reused = reuse(&comparer, members, &steps);
    if options.is_open() {
        let of_one_slot = reuse(&comparer, members, &one_slot);
        if evidence.prove_one_slot(requests, &reused, &of_one_slot) {
            (capacity, steps, reused) = (Capacity::ONE_SLOT, one_slot.clone(), of_one_slot);
        }
    }
    let before = turns.before(&passed.requests);
    let simulation = Simulation {
        view: views.get(chosen).map_or_else(View::sent, |views| views.printed(requests)),
        order: options.order,
        cache: SimulatedCache { slots: capacity.slots.get() as u64, ram: capacity.ram },
        reuse: reused,
        comparer,
        turns,
        passed,
        chosen,
    };
    (simulation, SimulatedSteps { chosen: steps, one_slot, before })
}

/// What the cache of [`simulate`] held of each request, at its index, and the files that could
/// not be read again. Unlike there, what was evicted is neither looked for nor kept.
pub(crate) fn simulate_reuse<'a>(
    requests: &[&Request],
    prompts: &'a Prompts,
    options: CacheOptions,
    fetch: &'a mut Fetch<'a>,
) -> (Vec<SimulatedReuse>, Vec<Error>) {
    let TriedViews { evidence, passed, comparer, turns, chosen, capacity, .. } =
        TriedViews::new(requests, prompts, options, fetch);
    let members = passed.members(chosen);
    if !options.is_open() {
        return (turns.held(&comparer, members, capacity), comparer.errors());
    }
    let (large, one_slot) = turns.held_by_both(&comparer, members, [capacity, Capacity::ONE_SLOT]);
    let errors = comparer.errors();
    drop((passed, comparer, turns));
    let is_proved = evidence.prove_one_slot(requests, &large, &one_slot);
    (if is_proved { one_slot } else { large }, errors)
}

/// The prompts in every view that is tried, and the view and the cache that agree best with the
/// reported counts.
struct TriedViews<'a> {
    evidence: ReportedCounts,
    views: Vec<Views>,
    passed: PassedRequests<'a>,
    comparer: PromptComparer<'a>,
    turns: Turns,
    chosen: usize,
    capacity: Capacity,
}

impl<'a> TriedViews<'a> {
    fn new(
        requests: &[&Request],
        prompts: &'a Prompts,
        options: CacheOptions,
        fetch: &'a mut Fetch<'a>,
    ) -> Self {
        let evidence = ReportedCounts::of(requests);
        let views =
            options.view.map_or_else(|| views(requests, evidence.is_any()), |view| vec![Views::All(view)]);
        let found: Vec<Option<&PromptParts>> =
            requests.iter().map(|request| prompts.prompt(&request.path)).collect();
        let in_turn = || {
            let requests = simulated_requests(requests, &found, prompts);
            let turns = Turns::of(&requests, by_start(&requests, &found));
            (requests, turns)
        };
        let is_many = requests.len() >= LEAST_FOR_THREADS;
        let ((simulated, turns), ((edits, sequences), comparer)) = both_of_many(is_many, in_turn, || {
            let mut viewer = Viewer::new(prompts);
            let viewed = viewed(requests, &found, &views, &mut viewer);
            (viewed, PromptComparer::new(viewer, options.order, fetch))
        });
        let kinds = requests.iter().map(|request| request.kind).collect();
        let passed = PassedRequests { requests: simulated, kinds, prompts: found, edits, sequences };
        let ram = options.ram.map_or_else(|| vec![true, false], |ram| vec![ram]);
        let (chosen, ram) = evidence.choose(&comparer, &passed, &turns, options.slots, &ram);
        let capacity = Capacity { slots: options.slots, ram };
        Self { evidence, views, passed, comparer, turns, chosen, capacity }
    }
}

/// What to simulate differently from what was recorded.
#[derive(Debug, Clone)]
pub(crate) struct Changed {
    /// Tools that are taken out of every prompt.
    pub(crate) without: HashSet<ElementId>,
    /// Whether the billing header is taken out, too.
    pub(crate) no_header: bool,
    /// The cache that the prompts pass through.
    pub(crate) cache: SimulatedCache,
}

/// What a cache would have held of each request, had the prompts and the cache been changed.
/// `simulation` is that of the same requests as they were recorded; its view is kept.
pub(crate) fn simulate_changed<'a>(
    simulation: &Simulation<'_>,
    requests: &[&Request],
    prompts: &'a Prompts,
    changed: Changed,
    fetch: &'a mut Fetch<'a>,
) -> Vec<SimulatedReuse> {
    let found: Vec<Option<&PromptParts>> =
        requests.iter().map(|request| prompts.prompt(&request.path)).collect();
    let mut viewer = Viewer::without(prompts, changed.without);
    let edits: Vec<Edits> = (0..requests.len())
        .map(|at| {
            let edits = simulation.edits(at);
            let no_header = edits.view.no_header || changed.no_header;
            Edits { view: View { no_header, ..edits.view }, ..edits }
        })
        .collect();
    let sequence = |(prompt, edits): (&Option<&PromptParts>, &Edits)| match prompt {
        Some(prompt) => viewer.sequence(prompt, *edits),
        None => viewer.nothing(),
    };
    let sequences = found.iter().zip(&edits).map(sequence).collect();
    let passed = PassedRequests {
        requests: simulation.passed.requests.clone(),
        kinds: simulation.passed.kinds.clone(),
        prompts: found,
        edits: vec![edits],
        sequences: vec![sequences],
    };
    let slots = usize::try_from(changed.cache.slots).ok().and_then(NonZeroUsize::new);
    let capacity = Capacity { slots: slots.unwrap_or(NonZeroUsize::MIN), ram: changed.cache.ram };
    let comparer = PromptComparer::new(viewer, simulation.order, fetch);
    simulation.turns.held(&comparer, passed.members(0), capacity)
}

impl Simulation<'_> {
    pub(crate) fn sequence(&self, request: usize) -> Option<Sequence> {
        self.passed.members(self.chosen).sequence(request)
    }

    pub(crate) fn prompt(&self, request: usize) -> Option<&PromptParts> {
        self.passed.prompts.get(request).copied().flatten()
    }

    pub(crate) fn kind(&self, request: usize) -> Option<Kind> {
        self.passed.kinds.get(request).copied()
    }

    pub(crate) fn conversation(&self, request: usize) -> Option<Conversation> {
        self.passed.requests.get(request).map(|request| request.conversation)
    }

    pub(crate) fn edits(&self, request: usize) -> Edits {
        let edits = self.passed.edits.get(self.chosen).and_then(|edits| edits.get(request));
        edits.copied().unwrap_or_default()
    }

    /// What one request shares with another.
    pub(crate) fn shared_with(&self, request: usize, earlier: usize) -> Option<super::slots::Reuse> {
        self.passed.members(self.chosen).reuse(&self.comparer, request, earlier)
    }

    /// What the cache would lose to other conversations with another number of slots,
    /// for each model, by its name.
    pub fn with_slots(&self, slots: NonZeroUsize) -> Vec<SlotOutcome> {
        self.with_capacity(Capacity { slots, ram: self.cache.ram })
    }

    /// The same without a cache in main memory.
    pub(crate) fn without_ram(&self, slots: NonZeroUsize) -> Vec<SlotOutcome> {
        self.with_capacity(Capacity { slots, ram: false })
    }

    fn with_capacity(&self, capacity: Capacity) -> Vec<SlotOutcome> {
        let members = self.passed.members(self.chosen);
        let steps = self.turns.run(&self.comparer, members, capacity);
        let mut outcomes: BTreeMap<&Option<Arc<str>>, SlotOutcome> = BTreeMap::new();
        for (at, request) in members.requests.iter().enumerate() {
            let step = steps.get(at).copied().flatten();
            let missed =
                step.as_ref().and_then(|step| step.missed.filter(|missed| missed.why != Why::Swapped));
            let model = &request.model;
            let nothing = || SlotOutcome { model: model.clone(), evicted: Vec::new(), lost_bytes: 0 };
            let outcome = outcomes.entry(model).or_insert_with(nothing);
            if let Some(missed) = missed {
                let most = members.reuse(&self.comparer, at, missed.from).map_or(0, |reuse| reuse.bytes());
                outcome.evicted.push(at);
                outcome.lost_bytes += most.saturating_sub(step.map_or(0, |step| step.reusable_bytes()));
            }
        }
        outcomes.into_values().collect()
    }

    /// The files that could not be read again.
    pub(crate) fn errors(&self) -> Vec<Error> {
        self.comparer.errors()
    }
}

impl SimulatedSteps {
    /// The requests of its conversation before one.
    pub(crate) fn before(&self, request: usize) -> EarlierRequests {
        self.before.get(request).copied().unwrap_or_default()
    }
}

impl std::fmt::Debug for SimulatedSteps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulatedSteps").field("requests", &self.chosen.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Simulation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Simulation");
        out.field("view", &self.view).field("order", &self.order).field("cache", &self.cache);
        out.field("reuse", &self.reuse).finish_non_exhaustive()
    }
}

/// For each view what the proxy does to each request, and the prompts that this makes.
fn viewed(
    requests: &[&Request],
    found: &[Option<&PromptParts>],
    views: &[Views],
    viewer: &mut Viewer<'_>,
) -> (Vec<Vec<Edits>>, Vec<Vec<Sequence>>) {
    let mut edits = Vec::new();
    let mut sequences = Vec::new();
    for view in views {
        let edited =
            |request: &&Request| Edits { view: view.of(request), first_message: first_message(request) };
        let of_view: Vec<Edits> = requests.iter().map(edited).collect();
        let sequence = |(prompt, edits): (&Option<&PromptParts>, &Edits)| match prompt {
            Some(prompt) => viewer.sequence(prompt, *edits),
            None => viewer.nothing(),
        };
        sequences.push(found.iter().zip(&of_view).map(sequence).collect());
        edits.push(of_view);
    }
    (edits, sequences)
}

fn simulated_requests<'a>(
    requests: &[&'a Request],
    found: &[Option<&PromptParts>],
    prompts: &Prompts,
) -> Vec<SimulatedRequest> {
    let mut conversations = Conversations::default();
    let mut by_time: Vec<usize> = (0..requests.len()).collect();
    by_time.sort_by_key(|at| requests.get(*at).map(|request| start(request)));
    let mut of: Vec<Option<Conversation>> = vec![None; requests.len()];
    for at in by_time {
        let both = requests.get(at).zip(found.get(at).copied().flatten());
        if let (Some((request, prompt)), Some(of)) = (both, of.get_mut(at)) {
            *of = Some(conversations.of(request, prompt, prompts));
        }
    }
    let mut roots: FastMap<Option<PathBuf>, usize> = FastMap::default();
    // Most files are in the folder of the one before.
    let mut last: Option<(&[u8], usize)> = None;
    let mut root = |request: &'a Request| {
        let folder = folder_bytes(request.path.file());
        let known = last.filter(|(known, _)| *known == folder);
        let next = roots.len();
        let root = known.map_or_else(
            || *roots.entry(request.path.root().map(ToOwned::to_owned)).or_insert(next),
            |(_, root)| root,
        );
        last = Some((folder, root));
        root
    };
    let simulated = |(request, conversation): (&&'a Request, Option<Conversation>)| SimulatedRequest {
        root: root(request),
        model: request.model.clone(),
        is_local: is_local(request),
        conversation: conversation.unwrap_or_default(),
        start: start(request),
        end: end(request),
    };
    requests.iter().zip(of).map(simulated).collect()
}

/// When a request reached the backend, as far as is known; those without a time come
/// last.
fn start(request: &Request) -> i64 {
    let started = request.timing.as_ref().and_then(|timing| timing.start);
    started.or(request.timestamp).map_or(i64::MAX, |stamp| stamp.unix_ms())
}

fn end(request: &Request) -> i64 {
    let occupied = request.log_facts().and_then(|facts| facts.backend_ms.get());
    let total = || request.timing.as_ref().and_then(|timing| timing.total_ms.get());
    let ms = occupied.or_else(total).and_then(|ms| i64::try_from(ms).ok()).unwrap_or(0);
    start(request).saturating_add(ms)
}

fn reuse(
    comparer: &PromptComparer<'_>,
    members: SimulatedPrompts<'_>,
    steps: &[Option<Step>],
) -> Vec<SimulatedReuse> {
    steps.iter().enumerate().map(|(at, step)| reuse_of(comparer, members, at, step.as_ref())).collect()
}

/// What a request found in the cache. `step` is `None` where it did not pass through it.
fn reuse_of(
    comparer: &PromptComparer<'_>,
    members: SimulatedPrompts<'_>,
    at: usize,
    step: Option<&Step>,
) -> SimulatedReuse {
    let prompt_bytes = members.prompt_bytes(comparer, at);
    let best = step.and_then(|step| step.best.filter(|_| step.is_reused));
    let whole = best.filter(|best| best.shared.right.is_none() && best.bytes() > 0);
    let continues = whole.zip(members.sequence(at)).map(|(best, sequence)| Continued {
        from: best.from,
        bytes_behind_answer: comparer.bytes_behind_answer(sequence, best.shared.index),
    });
    SimulatedReuse { prompt_bytes, reusable_bytes: best.map_or(0, |best| best.bytes()), continues }
}

#[cfg(test)]
mod tests;
