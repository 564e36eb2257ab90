//! What the rules are given.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::analysis::prefix::{CacheInput, Cause, PrefixInput, PrefixReport, PrefixRequest, Rows};
use crate::analysis::tool_cost::ToolCosts;
use crate::model::request::{Request, TracePath};
use crate::model::scope::Scope;
use crate::model::{ModelSpeeds, Speeds};
use crate::prompt_cache::{Prompts, SimulatedCache, Simulation};

use super::{Finding, find};

/// The numbers of slots that are tried where other conversations took slots.
const TRIED_SLOTS: [usize; 8] = [2, 3, 4, 6, 8, 12, 16, 32];

/// What the rules look at. Whatever is missing silences the rules that need it.
#[derive(Debug, Default)]
pub struct FindingsInput<'a> {
    /// The requests of every kind that the backend saw, in order of time, with the
    /// parts of their times.
    pub requests: Vec<&'a Request>,
    /// What the simulated prompt cache says of them.
    pub prefix: &'a [PrefixRequest],
    /// The cache that was simulated.
    pub cache: Option<SimulatedCache>,
    /// The speeds of each model, by [`Request::model_group`].
    pub speeds: BTreeMap<Option<Arc<str>>, Speeds>,
    /// A number for each prompt: equal where the same was sent again.
    pub prompt_ids: HashMap<TracePath, usize>,
    /// What the tools cost, and which of them were called.
    pub tool_costs: Option<&'a ToolCosts>,
    /// What the prompt cache would do with more slots, fewest first.
    pub slots: Vec<MoreSlots>,
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

/// What costs time in the reported ones of these requests, which are in order of time and
/// whose costs are fitted. The others were in the same backend. `rows` are those of the
/// cache that they passed through.
pub(crate) fn find_in(
    scope: Scope,
    passing: &[CacheInput<'_>],
    speeds: Vec<ModelSpeeds>,
    prompts: &Prompts,
    (simulation, rows): (&mut Simulation<'_>, &Rows),
    tool_costs: Option<&ToolCosts>,
) -> Vec<Finding> {
    let prefix = rows.report(PrefixInput::new(scope, passing), simulation);
    let reported = passing.iter().filter(|input| input.reported).map(|input| input.request).collect();
    find(&FindingsInput::new(reported, speeds, prompts, &prefix, simulation, tool_costs))
}

impl<'a> FindingsInput<'a> {
    /// Of requests in order of time, whose costs are fitted, and of the cache that they
    /// passed through. `prefix` has rows of all of them.
    #[must_use]
    pub fn new(
        requests: Vec<&'a Request>,
        speeds: Vec<ModelSpeeds>,
        prompts: &Prompts,
        prefix: &'a PrefixReport,
        simulation: &mut Simulation<'_>,
        tool_costs: Option<&'a ToolCosts>,
    ) -> Self {
        let mut numbers = HashMap::new();
        let mut prompt_ids = HashMap::new();
        for request in &requests {
            if let Some(prompt) = prompts.prompt(&request.path) {
                let next = numbers.len();
                let content = (prompt.system, prompt.tools, prompt.messages);
                prompt_ids.insert(request.path.clone(), *numbers.entry(content).or_insert(next));
            }
        }
        let breaks = prefix.requests.iter().filter_map(|row| row.break_.as_ref());
        let is_evicted = breaks.map(|broken| broken.cause).any(|cause| cause == Cause::Evicted);
        Self {
            requests,
            prefix: &prefix.requests,
            cache: Some(simulation.cache),
            speeds: speeds.into_iter().map(|of| (of.model, of.speeds)).collect(),
            prompt_ids,
            tool_costs,
            slots: if is_evicted { more_slots(simulation) } else { Vec::new() },
        }
    }
}

/// What the cache would do with more slots, until nothing is evicted any more.
fn more_slots(simulation: &mut Simulation<'_>) -> Vec<MoreSlots> {
    let now = simulation.cache.slots;
    let mut found = Vec::new();
    for slots in TRIED_SLOTS.into_iter().filter_map(NonZeroUsize::new) {
        let number = u64::try_from(slots.get()).unwrap_or(u64::MAX);
        if number <= now {
            continue;
        }
        let outcomes = simulation.with_slots(slots);
        let is_enough = outcomes.iter().all(|outcome| outcome.evicted.is_empty());
        found.extend(outcomes.into_iter().map(|outcome| MoreSlots {
            model: outcome.model,
            slots: number,
            evicted_requests: u64::try_from(outcome.evicted.len()).unwrap_or(u64::MAX),
        }));
        if is_enough {
            break;
        }
    }
    found
}
