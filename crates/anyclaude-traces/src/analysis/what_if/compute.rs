//! Requests and a change → what both simulations and the cost model say of it.
//!
//! The recorded prompts and the changed ones pass through a cache each; the difference of the
//! tokens that these held is what the change makes each request read more or less, which
//! `predict` turns into time.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::predict::{Observed, predict};
use super::remedy::{remedies, settings};
use super::{Change, RemovedTool, UnknownName, WhatIf};
use crate::analysis::offered_tools::{OfferedTools, ToolGroup, read_offered_tools};
use crate::analysis::tools::server;
use crate::cost;
use crate::error::Error;
use crate::model::SimulatedReuse;
use crate::model::eligibility::{ExclusionCounts, LeftOutReason, eligible};
use crate::model::request::{Request, TracePath};
use crate::model::stats::float;
use crate::model::timing::CachedSource;
use crate::prompt_cache::{
    AnswerTokens, CacheOptions, Changed, ElementTexts, Prompts, SimulatedCache, answer_tokens, simulate,
    simulate_changed, simulate_reuse, simulated_tokens,
};
use crate::read::Store;
use crate::tokens::{MilliTokens, Scales, read_scales, scaled};

/// The numbers of slots that are simulated where the backend counted cached tokens, the most
/// usual first: of those that agree equally well with these counts the first is taken.
const TRIED_SLOTS: [usize; 5] = [4, 1, 2, 3, 8];

/// What [`what_if`] looks at.
pub(crate) struct WhatIfInput<'a> {
    pub(crate) change: Change,
    /// Everything that passed through the caches, in order of time.
    pub(crate) requests: &'a [&'a Request],
    /// The turns that are predicted, in order of time.
    pub(crate) own: &'a [&'a Request],
    pub(crate) tools: &'a ToolFacts,
    pub(crate) prompts: &'a Prompts,
    pub(crate) options: CacheOptions,
    pub(crate) store: &'a Store,
}

/// What each tool takes, and which were called.
pub(crate) struct ToolFacts {
    offered: OfferedTools,
    scales: Scales,
}

impl ToolFacts {
    /// Reads the few requests again that tell; files that cannot be read any more are
    /// returned beside it.
    pub(crate) fn read(
        store: &Store,
        prompts: &Prompts,
        own: &[&Request],
        everything: &[&Request],
    ) -> (Self, Vec<Error>) {
        let (scales, mut errors) = read_scales(store, everything.iter().copied());
        let (mut offered, unreadable) = read_offered_tools(store, prompts, &[ToolGroup::of(own)]);
        errors.extend(unreadable);
        (Self { offered: offered.pop().unwrap_or_default(), scales }, errors)
    }

    fn tokens(&self, name: &Arc<str>) -> Option<MilliTokens> {
        self.offered.newest.get(&Some(name.clone())).map(|(_, tokens)| *tokens)
    }

    /// What the tools of a request that a change removes take.
    fn removed_tokens(&self, request: &Request, change: &Change) -> u64 {
        let removed = request.tools().iter().filter_map(|tool| tool.name.as_ref());
        let removed = removed.filter(|name| change.removes(name));
        let tokens = removed.filter_map(|name| self.tokens(name)).sum();
        scaled(tokens, self.scales.scale(&request.model_group()))
    }
}

/// Fails unless each name is one of a tool, or of a server, that a request offers.
pub(crate) fn check(change: &Change, own: &[&Request]) -> Result<(), UnknownName> {
    let names = || own.iter().flat_map(|request| request.tools()).filter_map(|tool| tool.name.as_deref());
    let tools: BTreeSet<&str> = names().collect();
    let servers: BTreeSet<&str> = names().filter_map(server).collect();
    for (asked, known, is_server) in
        [(&change.without_tools, &tools, false), (&change.without_servers, &servers, true)]
    {
        if let Some(name) = asked.iter().find(|name| !known.contains(name.as_str())) {
            let known = known.iter().map(|name| (*name).to_owned()).collect();
            return Err(UnknownName { name: name.clone(), is_server, known });
        }
    }
    Ok(())
}

/// What is predicted of the change.
pub(crate) fn what_if(input: WhatIfInput<'_>) -> WhatIf {
    let WhatIfInput { change, requests, own, tools, .. } = &input;
    let simulations = Simulations::of(&input);
    let observed = observed(&input, &simulations);
    let speeds = cost::speeds_by_model(requests.iter().copied());
    let removed_tools = removed_tools(tools, change, own);
    let names: Vec<Arc<str>> = removed_tools.iter().map(|tool| tool.name.clone()).collect();
    WhatIf {
        recorded_cache: simulations.recorded_cache,
        changed_cache: simulations.changed_cache,
        models: predict(&observed, &speeds),
        settings: settings(change, &names),
        remedies: remedies(change),
        left_out: left_out(own, observed.len()),
        removed_tools,
        change: change.clone(),
    }
}

/// What the caches held of each request, at its index, as recorded and with the change.
struct Simulations {
    recorded_cache: SimulatedCache,
    changed_cache: SimulatedCache,
    recorded: Vec<SimulatedReuse>,
    changed: Vec<SimulatedReuse>,
}

impl Simulations {
    fn of(input: &WhatIfInput<'_>) -> Self {
        let WhatIfInput { change, requests, prompts, store, .. } = input;
        let options = CacheOptions { slots: recorded_slots(input), ..input.options };
        let mut texts = ElementTexts::new(store);
        let mut fetch = |path: &TracePath, place| texts.read(path, place);
        let (recorded, _) = simulate(requests, prompts, options, &mut fetch);
        let recorded_cache = recorded.cache;
        let slots = change.slots.map_or(recorded_cache.slots, |slots| slots.get() as u64);
        let changed_cache = SimulatedCache { slots, ..recorded_cache };
        let changed = {
            let mut texts = ElementTexts::new(store);
            let mut fetch = |path: &TracePath, place| texts.read(path, place);
            let without = prompts.tools_named(|name| change.removes(name));
            let changed = Changed { without, no_header: change.no_header, cache: changed_cache };
            simulate_changed(&recorded, requests, prompts, changed, &mut fetch)
        };
        Self { recorded_cache, changed_cache, recorded: recorded.reuse, changed }
    }
}

/// What is known of each of the turns that can be predicted.
fn observed(input: &WhatIfInput<'_>, simulations: &Simulations) -> Vec<Observed> {
    let WhatIfInput { requests, own, .. } = input;
    let removed: Vec<u64> = (0..requests.len()).map(|at| removed_tokens(input, at, simulations)).collect();
    let held = held_tokens(requests, &simulations.recorded, None);
    let changed_held = held_tokens(requests, &simulations.changed, Some(&removed));
    let places: BTreeMap<&TracePath, usize> =
        requests.iter().enumerate().map(|(at, request)| (&request.path, at)).collect();
    let (comparable, has_proxy) = cost::comparable(own.iter().copied());
    let observed = comparable.into_iter().filter_map(|(request, timing)| {
        let at = *places.get(&request.path)?;
        let both = held.get(at).copied().flatten().zip(changed_held.get(at).copied().flatten());
        Some(Observed {
            model: request.model_group(),
            prompt_tokens: timing.prompt_tokens.get()?,
            read_tokens: timing.read_tokens.get()?,
            removed_tokens: removed.get(at).copied().unwrap_or(0),
            simulated: both.map(|(held, changed)| [held, changed]),
            wall_ms: if has_proxy { timing.wall_ms.get()? } else { timing.total_ms.get()? },
            read_ms: timing.read_ms.get()?,
        })
    });
    observed.collect()
}

/// The tokens that the change takes out of a prompt.
fn removed_tokens(input: &WhatIfInput<'_>, at: usize, simulations: &Simulations) -> u64 {
    let WhatIfInput { change, requests, tools, .. } = input;
    let of_tools = requests.get(at).map_or(0, |request| tools.removed_tokens(request, change));
    let Simulations { recorded, changed, .. } = simulations;
    of_tools + if change.no_header { header_tokens(input, at, recorded, changed) } else { 0 }
}

/// How many slots the recorded cache had: as many as agree best with the cached tokens
/// that were counted, else the usual number.
fn recorded_slots(input: &WhatIfInput<'_>) -> NonZeroUsize {
    let usual = CacheOptions::default().slots;
    let is_counted = |request: &&&Request| counted_cached(request).is_some();
    if !input.requests.iter().any(|request| is_counted(&request)) {
        return usual;
    }
    let mut best: Option<(f64, NonZeroUsize)> = None;
    for slots in TRIED_SLOTS.into_iter().filter_map(NonZeroUsize::new) {
        let mut texts = ElementTexts::new(input.store);
        let mut fetch = |path: &TracePath, place| texts.read(path, place);
        let options = CacheOptions { slots, ..input.options };
        let (reuse, _) = simulate_reuse(input.requests, input.prompts, options, &mut fetch);
        let error = error(input.requests, &reuse);
        if best.is_none_or(|(least, _)| error < least) {
            best = Some((error, slots));
        }
    }
    best.map_or(usual, |(_, slots)| slots)
}

/// How far simulated tokens are from those that were counted: the sum of the differences, each as
/// a share of its prompt.
fn error(requests: &[&Request], reuse: &[SimulatedReuse]) -> f64 {
    let held = held_tokens(requests, reuse, None);
    let one = |(request, held): (&&Request, Option<u64>)| {
        let prompt_tokens = request.timing.as_ref()?.prompt_tokens.get()?;
        Some(float(held?.abs_diff(counted_cached(request)?)) / float(prompt_tokens.max(1)))
    };
    requests.iter().zip(held).filter_map(one).sum()
}

/// The cached tokens that a backend counted.
fn counted_cached(request: &Request) -> Option<u64> {
    let timing = request.timing.as_ref()?;
    let is_counted = matches!(timing.cached_source, Some(CachedSource::Reported | CachedSource::ServerLog));
    timing.cached_tokens.get().filter(|_| is_counted)
}

/// The tokens that a simulated cache held of each request, if its prompt is shorter by the tokens
/// that are `removed`.
fn held_tokens(requests: &[&Request], reuse: &[SimulatedReuse], removed: Option<&[u64]>) -> Vec<Option<u64>> {
    let less = |at: usize| removed.and_then(|removed| removed.get(at)).copied().unwrap_or(0);
    simulated_tokens(reuse, |at| {
        let AnswerTokens { prompt_tokens, kept_tokens } = answer_tokens(requests.get(at)?)?;
        Some(AnswerTokens { prompt_tokens: prompt_tokens.saturating_sub(less(at)), kept_tokens })
    })
}

/// The tokens of the billing header in a prompt, if the backend got it: by the bytes that the
/// change took out of it beside tools.
fn header_tokens(
    input: &WhatIfInput<'_>,
    at: usize,
    recorded: &[SimulatedReuse],
    changed: &[SimulatedReuse],
) -> u64 {
    let Some(request) = input.requests.get(at) else { return 0 };
    let Some(((recorded, changed), tokens)) =
        recorded.get(at).zip(changed.get(at)).zip(answer_tokens(request))
    else {
        return 0;
    };
    let is_removed = |name: &str| input.change.removes(name);
    let removed = request.tools().iter().filter(|tool| tool.name.as_deref().is_some_and(is_removed));
    let of_tools: u64 = removed.map(|tool| tool.bytes).sum();
    let bytes = recorded.prompt_bytes.saturating_sub(changed.prompt_bytes).saturating_sub(of_tools);
    let share = float(bytes) / float(recorded.prompt_bytes.max(1));
    crate::model::stats::whole(float(tokens.prompt_tokens) * share)
}

fn removed_tools(tools: &ToolFacts, change: &Change, own: &[&Request]) -> Vec<RemovedTool> {
    let scale = tools.scales.scale(&own.last().and_then(|newest| newest.model_group()));
    let offered: HashSet<&Arc<str>> =
        own.iter().flat_map(|request| request.tools()).filter_map(|tool| tool.name.as_ref()).collect();
    let mut removed: Vec<RemovedTool> = offered
        .into_iter()
        .filter(|name| change.removes(name))
        .map(|name| RemovedTool {
            name: name.clone(),
            tokens: tools.tokens(name).map_or(0, |tokens| scaled(tokens, scale)),
            called: tools.offered.called.contains(name),
        })
        .collect();
    removed.sort_by(|a, b| b.tokens.cmp(&a.tokens).then_with(|| a.name.cmp(&b.name)));
    removed
}

/// Why the other turns are not predicted, of which `taken` are.
fn left_out(own: &[&Request], taken: usize) -> Vec<crate::model::eligibility::LeftOut> {
    let mut counts = ExclusionCounts::default();
    let mut refused = 0;
    for request in own {
        if let Err(reason) = eligible(request) {
            counts.add(reason, 1);
            refused += 1;
        }
    }
    // The rest has no count of tokens, or its time of reading is unknown.
    counts.add(LeftOutReason::NotCounted, own.len().saturating_sub(taken + refused));
    counts.list()
}
