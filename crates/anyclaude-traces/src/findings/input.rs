//! What the rules are given, and how it is gathered from the simulation of the prompt cache.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::analysis::prefix::{CacheInput, CachedPrompt, Cause, PrefixReport};
use crate::analysis::tool_cost::ToolCosts;
use crate::model::intern::FastMap;
use crate::model::request::Request;
use crate::model::timing::CachedSource;
use crate::model::{CacheUse, ModelSpeeds, Speeds};
use crate::prompt_cache::{PromptParts, Prompts, SimulatedCache, Simulation, SlotOutcome};

/// The numbers of slots that are simulated where other conversations took slots.
const TRIED_SLOTS: [usize; 10] = [2, 3, 4, 5, 6, 7, 8, 12, 16, 32];
/// Up to here all numbers are simulated, so that the first that is enough is the smallest.
pub(super) const ALL_TRIED_SLOTS: u64 = 8;

/// What the rules look at. Where a member is empty, the rules that need it find nothing.
#[derive(Debug, Default)]
pub struct FindingsInput<'a> {
    /// The requests of every kind that the backend saw, in order of time, with the
    /// parts of their times.
    pub requests: Vec<&'a Request>,
    /// What else the backend answered, in order of time. Findings are not about these, but they
    /// tell what came before a request.
    pub others: Vec<&'a Request>,
    /// What the simulated prompt cache says of the prompt of each of `requests`, at its index.
    pub prompts: Vec<Option<CachedPrompt>>,
    /// The cache that was simulated.
    pub cache: Option<SimulatedCache>,
    /// The speeds of each model, by [`Request::model_group`].
    pub speeds: BTreeMap<Option<Arc<str>>, Speeds>,
    /// An identifier of the prompt of each of `requests`, at its index: equal where the prompts are.
    pub prompt_ids: Vec<Option<usize>>,
    /// What the tools cost, and which of them were called.
    pub tool_costs: Option<&'a ToolCosts>,
    /// What the prompt cache would do with more slots, fewest first.
    pub slots: Vec<MoreSlots>,
    /// The same for a cache that keeps nothing in main memory. Only of models whose prompts were
    /// read again although they were repeated, if a backend with one slot explains that too.
    pub slots_without_ram: Vec<MoreSlots>,
}

/// What a prompt cache with so many slots would do with one model's requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MoreSlots {
    /// The model.
    pub model: Option<Arc<str>>,
    /// How many slots it has.
    pub slots: u64,
    /// How many requests find that another conversation took their slot.
    pub evicted_requests: u64,
}

impl<'a> FindingsInput<'a> {
    /// Of those of these requests that are reported; the others were in the same backend. They
    /// are in order of time, and their costs are fitted. `simulation` is that of the cache that
    /// they passed through, and `prompts` are what it says of the reported ones.
    pub(crate) fn of_passing(
        passing: &[CacheInput<'a>],
        speeds: Vec<ModelSpeeds>,
        (simulation, prompts): (&Simulation<'_>, Vec<Option<CachedPrompt>>),
        tool_costs: Option<&'a ToolCosts>,
    ) -> Self {
        let reported = || passing.iter().enumerate().filter(|(_, input)| input.reported);
        // The simulation has them at the same indices. Looking each up by its path instead took half
        // as long as all rules.
        let prompt_ids = prompt_ids(reported().map(|(at, _)| simulation.prompt(at)));
        let requests = reported().map(|(_, input)| input.request).collect();
        let others = passing.iter().filter(|input| !input.reported).map(|input| input.request).collect();
        Self { others, ..Self::gathered(requests, prompt_ids, speeds, prompts, simulation, tool_costs) }
    }

    /// Of requests in order of time, whose costs are fitted, and of the cache that they
    /// passed through. `prefix` has rows of all of them.
    #[must_use]
    pub fn new(
        requests: Vec<&'a Request>,
        speeds: Vec<ModelSpeeds>,
        prompts: &Prompts,
        prefix: &PrefixReport,
        simulation: &Simulation<'_>,
        tool_costs: Option<&'a ToolCosts>,
    ) -> Self {
        let prompt_ids = prompt_ids(requests.iter().map(|request| prompts.prompt(&request.path)));
        let rows: FastMap<_, _> = prefix.requests.iter().map(|row| (&row.path, row)).collect();
        let cached = |request: &&Request| rows.get(&request.path).map(|row| CachedPrompt::of(row));
        let cached = requests.iter().map(cached).collect();
        Self::gathered(requests, prompt_ids, speeds, cached, simulation, tool_costs)
    }

    fn gathered(
        requests: Vec<&'a Request>,
        prompt_ids: Vec<Option<usize>>,
        speeds: Vec<ModelSpeeds>,
        prompts: Vec<Option<CachedPrompt>>,
        simulation: &Simulation<'_>,
        tool_costs: Option<&'a ToolCosts>,
    ) -> Self {
        let breaks = prompts.iter().flatten().filter_map(|prompt| prompt.broken.as_deref());
        let is_evicted = breaks.map(|broken| broken.cause).any(|cause| cause == Cause::Evicted);
        let speeds: BTreeMap<_, _> = speeds.into_iter().map(|of| (of.model, of.speeds)).collect();
        let reads_all = |model: &Option<Arc<str>>| {
            speeds.get(model).is_some_and(|speeds| speeds.cache == CacheUse::ReadsAll)
        };
        let is_read_whole = |request: &Request| {
            let source = request.timing.as_deref().and_then(|timing| timing.cached_source);
            reads_all(&request.model_group()) || source == Some(CachedSource::None)
        };
        let slots_without_ram = if requests.iter().any(|request| is_read_whole(request)) {
            let suspects = evicted_by_one_slot(&requests, &prompts, is_read_whole);
            enough_slots_without_ram(simulation, &suspects)
        } else {
            Vec::new()
        };
        Self {
            requests,
            others: Vec::new(),
            prompts,
            cache: Some(simulation.cache),
            speeds,
            prompt_ids,
            tool_costs,
            slots: if is_evicted { more_slots(simulation) } else { Vec::new() },
            slots_without_ram,
        }
    }
}

/// An identifier for each prompt: equal where the prompts are.
fn prompt_ids<'p>(prompts: impl Iterator<Item = Option<&'p PromptParts>>) -> Vec<Option<usize>> {
    let mut numbers = FastMap::default();
    let number = |prompt: Option<&PromptParts>| {
        let (prompt, next) = (prompt?, numbers.len());
        Some(*numbers.entry((prompt.system, prompt.tools, prompt.messages)).or_insert(next))
    };
    prompts.map(number).collect()
}

/// The models whose times a backend with one slot, which keeps nothing in main memory, would
/// explain: of their requests that repeat an earlier prompt, such a cache would have lost the
/// prompt to another conversation for exactly those that were read whole.
fn evicted_by_one_slot(
    requests: &[&Request],
    prompts: &[Option<CachedPrompt>],
    is_read_whole: impl Fn(&Request) -> bool,
) -> BTreeSet<Option<Arc<str>>> {
    let mut explained = BTreeSet::new();
    let mut contradicted = BTreeSet::new();
    for (request, prompt) in requests.iter().zip(prompts) {
        let Some(prompt) = prompt else { continue };
        if prompt.reusable_bytes * 2 >= prompt.prompt_bytes.max(1) {
            let is_evicted = prompt.reusable_bytes_one_slot * 5 < prompt.prompt_bytes;
            match (is_evicted, is_read_whole(request)) {
                (true, true) => explained.insert(request.model_group()),
                (false, false) => continue,
                _ => contradicted.insert(request.model_group()),
            };
        }
    }
    &explained - &contradicted
}

/// For each of these models the smallest number of slots with which a cache without main memory
/// evicts nothing; where none that was tried is enough, the largest.
fn enough_slots_without_ram(
    simulation: &Simulation<'_>,
    models: &BTreeSet<Option<Arc<str>>>,
) -> Vec<MoreSlots> {
    let mut found: BTreeMap<Option<Arc<str>>, MoreSlots> = BTreeMap::new();
    for slots in TRIED_SLOTS.into_iter().filter_map(NonZeroUsize::new) {
        let has_enough = |model| found.get(model).is_some_and(|outcome| outcome.evicted_requests == 0);
        if models.iter().all(has_enough) {
            break;
        }
        for outcome in simulation.without_ram(slots) {
            let model = outcome.model.clone();
            let is_open = found.get(&model).is_none_or(|outcome| outcome.evicted_requests > 0);
            if models.contains(&model) && is_open {
                found.insert(model, more(slots, outcome));
            }
        }
    }
    found.into_values().collect()
}

fn more(slots: NonZeroUsize, outcome: SlotOutcome) -> MoreSlots {
    MoreSlots {
        model: outcome.model,
        slots: slots.get() as u64,
        evicted_requests: outcome.evicted.len() as u64,
    }
}

/// What the cache would do with more slots, until nothing is evicted any more.
fn more_slots(simulation: &Simulation<'_>) -> Vec<MoreSlots> {
    let now = simulation.cache.slots;
    let mut found = Vec::new();
    for slots in TRIED_SLOTS.into_iter().filter_map(NonZeroUsize::new) {
        if (slots.get() as u64) <= now {
            continue;
        }
        let outcomes = simulation.with_slots(slots);
        let is_enough = outcomes.iter().all(|outcome| outcome.evicted.is_empty());
        found.extend(outcomes.into_iter().map(|outcome| more(slots, outcome)));
        if is_enough {
            break;
        }
    }
    found
}
