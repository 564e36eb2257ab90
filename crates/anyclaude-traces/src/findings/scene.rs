//! What the rules look at: an [`Entry`] for each request, with all that is known of it, and the
//! [`Scene`] of all of them, which answers what several rules ask.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use hashbrown::HashTable;

use super::claims;
use super::input::{FindingsInput, MoreSlots};
use super::served_before::served_before;
use super::{CostBasis, Evidence, Finding, FindingKind};
use crate::analysis::prefix::{Break, CachedPrompt, Cause};
use crate::analysis::tool_cost::ToolCosts;
use crate::model::intern::NameHashing;
use crate::model::request::{Kind, Request, TracePath};
use crate::model::stats::Stats;
pub(super) use crate::model::stats::{float, whole};
use crate::model::time::Timestamp;
use crate::model::timing::{CachedSource, Timing};
use crate::model::{CacheUse, Speeds};
use crate::prompt_cache::SimulatedCache;

/// The model of a request: see [`Request::model_group`].
pub(super) type Model = Option<Arc<str>>;

/// A request, and what is known of it.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) request: &'a Request,
    pub(super) model: Model,
    /// What the simulated cache says of its prompt.
    pub(super) cached: Option<&'a CachedPrompt>,
    /// An identifier that it shares with every request of the same prompt.
    pub(super) prompt: Option<usize>,
    /// The one kind of finding that may count its time as lost, if it brought no answer.
    pub(super) claim: Option<FindingKind>,
    /// If it brought no answer: the index of the entry that sent the same prompt again.
    pub(super) sent_again: Option<usize>,
    /// The one kind of finding that may count what it read again because its prompt broke.
    pub(super) loss: Option<FindingKind>,
}

impl<'a> Entry<'a> {
    pub(super) fn timing(&self) -> Option<&'a Timing> {
        self.request.timing.as_deref()
    }

    pub(super) fn path(&self) -> TracePath {
        self.request.path.clone()
    }

    /// Where and why its prompt ceases to repeat what the simulated cache held.
    pub(super) fn broken(&self) -> Option<&'a Break> {
        self.cached?.broken.as_deref()
    }

    pub(super) fn cause(&self) -> Option<Cause> {
        Some(self.broken()?.cause)
    }

    /// When it reached the backend; where no log tells, when it was recorded.
    pub(super) fn start(&self) -> Option<Timestamp> {
        self.timing().and_then(|timing| timing.start).or(self.request.timestamp)
    }

    pub(super) fn end(&self) -> Option<Timestamp> {
        let total = i64::try_from(self.timing()?.total_ms.get()?).ok()?;
        Some(self.start()?.plus_ms(total))
    }

    pub(super) fn is_conversation(&self) -> bool {
        self.request.kind == Kind::Conversation
    }

    /// The tokens of its prompt, as far as they are believed.
    pub(super) fn prompt_tokens(&self) -> Option<u64> {
        self.timing()?.believed_prompt_tokens().filter(|tokens| *tokens > 0)
    }

    /// The share of its prompt that a cache could give: what the simulated cache held, or, where
    /// no body is known, what its slot held by the server's own log.
    pub(super) fn reusable_share(&self) -> Option<f64> {
        let simulated = self.cached.filter(|cached| cached.prompt_bytes > 0);
        let simulated = simulated.map(|cached| float(cached.reusable_bytes) / float(cached.prompt_bytes));
        let held = || {
            let held = self.request.server_task()?.held_tokens.get()?;
            Some((float(held) / float(self.prompt_tokens()?)).min(1.0))
        };
        simulated.or_else(held)
    }

    /// The tokens of its prompt that a cache could give.
    pub(super) fn reusable_tokens(&self) -> Option<u64> {
        Some(whole(float(self.prompt_tokens()?) * self.reusable_share()?))
    }

    /// Whether the count of cached tokens is the backend's own.
    pub(super) fn counts_cached(&self) -> bool {
        let source = self.timing().and_then(|timing| timing.cached_source);
        matches!(source, Some(CachedSource::ServerLog | CachedSource::Reported))
    }

    /// Whether the cost model took back its simulated cached tokens, because it waited as long as
    /// reading all of its prompt takes, although its backend reuses prompts.
    pub(super) fn is_read_whole(&self) -> bool {
        let source = self.timing().and_then(|timing| timing.cached_source);
        source == Some(CachedSource::None) && self.request.speed_sample().cache == CacheUse::Reuses
    }

    /// The tokens that it had to read again because its prompt broke, but no more than it read.
    /// If its time says that what stands before the break was not reused either, these count too.
    pub(super) fn lost_tokens(&self) -> Option<u64> {
        let lost = self.broken()?.lost_tokens?;
        if self.has_counted_more_than_half(lost) {
            return Some(0);
        }
        let unused = self.reusable_tokens().filter(|_| self.is_read_whole()).unwrap_or(0);
        let lost = lost.saturating_add(unused);
        let read = self.timing().and_then(|timing| timing.read_tokens.get());
        Some(read.map_or(lost, |read| read.min(lost)))
    }

    /// Whether the backend counted most of what the simulated cache had lost as cached.
    fn has_counted_more_than_half(&self, lost: u64) -> bool {
        let cached = self.timing().and_then(|timing| timing.cached_tokens.get());
        let counted = cached.filter(|_| self.counts_cached()).unwrap_or(0);
        lost > 0 && counted.saturating_sub(self.reusable_tokens().unwrap_or(0)) * 2 >= lost
    }

    /// The tokens that it had to read although an earlier turn had them.
    pub(super) fn again_tokens(&self) -> u64 {
        let again = self.timing().and_then(|timing| timing.again_tokens);
        again.and_then(|again| u64::try_from(again).ok()).unwrap_or(0)
    }

    /// The tokens that it read; where that is unknown, those that no cache could give.
    pub(super) fn tokens_behind_difference(&self) -> Option<u64> {
        let read = self.timing().and_then(|timing| timing.read_tokens.get());
        read.or_else(|| Some(self.prompt_tokens()? - self.reusable_tokens()?.min(self.prompt_tokens()?)))
    }
}

/// The basis of a cost that is a part of the time of these requests: measured if their server's
/// own log has all of them.
pub(super) fn basis(entries: &[&Entry<'_>]) -> CostBasis {
    let is_measured = |entry: &&Entry<'_>| entry.request.speed_sample().is_measured;
    if entries.iter().all(is_measured) { CostBasis::Measured } else { CostBasis::Fitted }
}

/// All requests, and what is known of more than one.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    /// The requests that findings are about, in order of time.
    pub(super) entries: Vec<Entry<'a>>,
    /// What else the backend answered, in order of time. Findings are not about these, but they
    /// tell what came before a request.
    others: Vec<Entry<'a>>,
    pub(super) speeds: &'a BTreeMap<Model, Speeds>,
    pub(super) tool_costs: Option<&'a ToolCosts>,
    pub(super) simulated: Option<SimulatedCache>,
    /// See [`FindingsInput::slots`].
    slots: &'a [MoreSlots],
    /// See [`FindingsInput::slots_without_ram`].
    pub(super) slots_without_ram: &'a [MoreSlots],
    /// Filled when a rule first looks a request up by its path: few recordings have one that does.
    by_path: OnceCell<PlacesByPath>,
    /// What [`served_before`] found, by the indices of entries.
    served_before: OnceCell<Vec<Option<usize>>>,
    /// What [`plateaus`](super::context_overflow::plateaus) found, by the indices of entries.
    pub(super) plateaus: OnceCell<Vec<Vec<usize>>>,
    /// What [`swaps`](super::model_swap::swaps) found: rules ask for each model.
    pub(super) swaps: OnceCell<BTreeMap<Model, Vec<usize>>>,
    /// What each model answered: rules ask for each model, or for each kind of error.
    answers: OnceCell<BTreeMap<Model, Answers>>,
    /// For each entry the index of the one before it in its session.
    before_in_session: OnceCell<Vec<Option<usize>>>,
}

/// The indices of what one model answered, in order of time.
#[derive(Debug, Default)]
struct Answers {
    entries: Vec<usize>,
    others: Vec<usize>,
}

/// The indices of all entries, by the hashes of their paths.
#[derive(Debug, Default)]
struct PlacesByPath {
    places: HashTable<usize>,
    hashing: NameHashing,
}

impl<'a> Scene<'a> {
    pub(super) fn new(input: &'a FindingsInput<'a>) -> Self {
        let cached = input.prompts.iter().map(Option::as_ref).chain(std::iter::repeat(None));
        let prompts = input.prompt_ids.iter().copied().chain(std::iter::repeat(None));
        let entry = |(request, (cached, prompt)): (&&'a Request, (_, _))| Entry {
            request,
            model: request.model_group(),
            cached,
            prompt,
            claim: None,
            sent_again: None,
            loss: None,
        };
        let entries: Vec<Entry<'_>> = input.requests.iter().zip(cached.zip(prompts)).map(entry).collect();
        let others = input.others.iter().map(|request| entry((request, (None, None)))).collect();
        let mut scene = Self {
            entries,
            others,
            speeds: &input.speeds,
            tool_costs: input.tool_costs,
            simulated: input.cache,
            slots: &input.slots,
            slots_without_ram: &input.slots_without_ram,
            by_path: OnceCell::new(),
            served_before: OnceCell::new(),
            plateaus: OnceCell::new(),
            swaps: OnceCell::new(),
            answers: OnceCell::new(),
            before_in_session: OnceCell::new(),
        };
        claims::settle(&mut scene);
        scene
    }

    pub(super) fn entry(&self, path: &TracePath) -> Option<&Entry<'a>> {
        self.entries.get(self.place(path)?)
    }

    /// The index of a request's entry.
    fn place(&self, path: &TracePath) -> Option<usize> {
        let path_at = |at: &usize| self.entries.get(*at).map(|entry| &entry.request.path);
        let PlacesByPath { places, hashing } = self.by_path.get_or_init(|| {
            let mut by_path = PlacesByPath::default();
            let PlacesByPath { places, hashing } = &mut by_path;
            let hash = |at: &usize| path_at(at).map_or(0, |path| hashing.hash_one(path));
            (0..self.entries.len()).for_each(|at| {
                places.insert_unique(hash(&at), at, hash);
            });
            by_path
        });
        places.find(hashing.hash_one(path), |at| path_at(at) == Some(path)).copied()
    }

    /// The entries of a finding's requests.
    pub(super) fn of<'s>(&'s self, finding: &'s Finding) -> impl Iterator<Item = &'s Entry<'a>> {
        finding.requests.iter().filter_map(|path| self.entry(path))
    }

    /// The entries that are wanted, by model, each in order of time.
    pub(super) fn by_model(
        &self,
        is_wanted: impl Fn(&Entry<'a>) -> bool,
    ) -> BTreeMap<Model, Vec<&Entry<'a>>> {
        let mut models: BTreeMap<Model, Vec<&Entry<'a>>> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| is_wanted(entry)) {
            models.entry(entry.model.clone()).or_default().push(entry);
        }
        models
    }

    /// Whether a model's backend is seen to reuse prompts.
    pub(super) fn cache(&self, model: &Model) -> CacheUse {
        self.speeds.get(model).map_or(CacheUse::Unknown, |speeds| speeds.cache)
    }

    pub(super) fn read_tokens_per_second(&self, model: &Model) -> Option<f64> {
        self.speeds.get(model)?.read_tokens_per_second.filter(|speed| *speed > 0.0)
    }

    /// How many milliseconds a request took to read so many of its tokens, at its model's speed:
    /// no more than it took to read all.
    pub(super) fn reading_ms(&self, entry: &Entry<'_>, tokens: u64) -> Option<f64> {
        let ms = self.speeds.get(&entry.model)?.reading_ms(float(tokens))?;
        Some(entry.timing().map_or(ms, |timing| timing.most_of_reading(ms)))
    }

    /// The same over several requests; `None` where it is known of none.
    pub(super) fn sum_reading_ms<'e>(
        &self,
        entries: impl IntoIterator<Item = (&'e Entry<'a>, u64)>,
    ) -> Option<u64>
    where
        'a: 'e,
    {
        sum(entries.into_iter().map(|(entry, tokens)| self.reading_ms(entry, tokens))).map(whole)
    }

    /// The tokens that these requests had to read again because their prompts broke, and how many
    /// milliseconds that took.
    pub(super) fn loss(&self, entries: &[&Entry<'a>]) -> (u64, Option<u64>) {
        let lost = || entries.iter().map(|entry| (*entry, entry.lost_tokens().unwrap_or(0)));
        (lost().map(|(_, tokens)| tokens).sum(), self.sum_reading_ms(lost()))
    }

    /// Whether a finding claims to have cost more than all of its requests took.
    pub(super) fn took_less_than(&self, finding: &Finding) -> bool {
        // The costs of these include time of requests that they do not list.
        if matches!(finding.kind, FindingKind::DebugLogging | FindingKind::CompactionLoop) {
            return false;
        }
        let took = |entry: &Entry<'_>| {
            let timing = entry.timing()?;
            timing.wall_ms.or(timing.total_ms).get()
        };
        let took: Option<u64> = self.of(finding).map(took).sum();
        finding.cost_ms.zip(took).is_some_and(|(cost, took)| cost > took)
    }

    /// The request that the same backend answered before the entry at this index: it has a
    /// model, and its times or its run are known to be the backend's.
    pub(super) fn before(&self, at: usize) -> Option<&Entry<'a>> {
        let before = self.served_before.get_or_init(|| served_before(&self.entries, &self.others));
        let index = (*before.get(at)?)?;
        self.entries.get(index).or_else(|| self.others.get(index.checked_sub(self.entries.len())?))
    }

    /// The request that the same backend served before this entry.
    pub(super) fn before_entry(&self, entry: &Entry<'_>) -> Option<&Entry<'a>> {
        self.before(self.place(&entry.request.path)?)
    }

    /// The entry before the one at this index in the same session.
    pub(super) fn before_in_session(&self, at: usize) -> Option<&Entry<'a>> {
        let before = self.before_in_session.get_or_init(|| {
            let mut last = BTreeMap::new();
            let entries = self.entries.iter().enumerate();
            entries.map(|(at, entry)| last.insert(&entry.request.session, at)).collect()
        });
        self.entries.get((*before.get(at)?)?)
    }

    /// The indices of what a model answered; `None` where that is nothing.
    fn answers(&self, model: &Model) -> Option<&Answers> {
        let answers = self.answers.get_or_init(|| {
            let mut answers: BTreeMap<Model, Answers> = BTreeMap::new();
            for (at, entry) in self.entries.iter().enumerate() {
                answers.entry(entry.model.clone()).or_default().entries.push(at);
            }
            for (at, entry) in self.others.iter().enumerate() {
                answers.entry(entry.model.clone()).or_default().others.push(at);
            }
            answers
        });
        answers.get(model)
    }

    /// How many of the entries this model answered.
    pub(super) fn count_of_model(&self, model: &Model) -> usize {
        self.answers(model).map_or(0, |answers| answers.entries.len())
    }

    /// The entries that this model answered, in order of time.
    pub(super) fn of_model(&self, model: &Model) -> impl Iterator<Item = &Entry<'a>> {
        let places = self.answers(model).into_iter().flat_map(|answers| &answers.entries);
        places.filter_map(|at| self.entries.get(*at))
    }

    /// All requests that this model answered, whether findings are about them or not.
    pub(super) fn answered_by(&self, model: &Model) -> impl Iterator<Item = &Entry<'a>> {
        let others = self.answers(model).into_iter().flat_map(|answers| &answers.others);
        self.of_model(model).chain(others.filter_map(|at| self.others.get(*at)))
    }

    /// What the caches of the models would do with more slots, fewest first.
    pub(super) fn more_slots(&self) -> BTreeMap<&Model, Vec<&MoreSlots>> {
        let mut models: BTreeMap<&Model, Vec<&MoreSlots>> = BTreeMap::new();
        for outcome in self.slots {
            models.entry(&outcome.model).or_default().push(outcome);
        }
        models
    }
}

/// A finding about these requests, without a cost, advice or settings. Its model is theirs, if
/// all have the same.
pub(super) fn finding<'e, 'a: 'e>(
    kind: FindingKind,
    entries: impl IntoIterator<Item = &'e Entry<'a>>,
    evidence: Evidence,
) -> Finding {
    let mut requests = Vec::new();
    let mut model: Option<&Model> = None;
    let mut is_of_one = true;
    for entry in entries {
        requests.push(entry.path());
        is_of_one &= *model.get_or_insert(&entry.model) == &entry.model;
    }
    let model = model.filter(|_| is_of_one).cloned().flatten();
    Finding {
        kind,
        cause: None,
        model,
        requests,
        cost_ms: None,
        cost_basis: None,
        evidence,
        advice: None,
        settings: None,
    }
}

impl Finding {
    /// The same finding with this cost, and what that rests on if it is known.
    pub(super) fn costing(mut self, ms: Option<u64>, basis: CostBasis) -> Self {
        self.cost_ms = ms;
        self.cost_basis = ms.map(|_| basis);
        self
    }
}

/// The sum of what is known; `None` where nothing is.
pub(super) fn sum(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    values.into_iter().flatten().fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

/// The same for whole numbers.
pub(super) fn sum_whole(values: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
    values.into_iter().flatten().fold(None, |sum, value| Some(sum.unwrap_or(0u64).saturating_add(value)))
}

pub(super) fn median<T: Copy + PartialOrd>(values: impl IntoIterator<Item = T>) -> Option<T> {
    Stats::of(values).map(|stats| stats.p50)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{Made, with_input};
    use super::*;

    fn made() -> impl Strategy<Value = Made> {
        (0..4usize, 0..3usize, any::<bool>()).prop_map(|(model, session, is_beside)| {
            let made = Made::new().session(["a", "b", "c"][session]);
            let made = if model < 3 { made.model(["m", "n", "o"][model]) } else { made.without_model() };
            if is_beside { made.beside() } else { made }
        })
    }

    proptest! {
        #[test]
        fn what_is_looked_up_is_what_a_walk_finds(made in prop::collection::vec(made(), 0..16)) {
            with_input(&made, |_| {}, |input| {
                let scene = Scene::new(input);
                let is_same = |one: Option<&Entry<'_>>, other: Option<&Entry<'_>>| {
                    one.map(|entry| &entry.request.path) == other.map(|entry| &entry.request.path)
                };
                let paths = |entries: &mut dyn Iterator<Item = &Entry<'_>>| -> Vec<TracePath> {
                    entries.map(Entry::path).collect()
                };
                for (at, entry) in scene.entries.iter().enumerate() {
                    let model = &entry.model;
                    let is_of_it = |other: &&Entry<'_>| other.model == *model;
                    let of_model = paths(&mut scene.entries.iter().filter(is_of_it));
                    prop_assert_eq!(scene.count_of_model(model), of_model.len());
                    prop_assert_eq!(paths(&mut scene.of_model(model)), of_model);
                    let answered = paths(&mut scene.entries.iter().chain(&scene.others).filter(is_of_it));
                    prop_assert_eq!(paths(&mut scene.answered_by(model)), answered);
                    let is_of_session = |other: &&Entry<'_>| other.request.session == entry.request.session;
                    let before = scene.entries[..at].iter().rev().find(is_of_session);
                    prop_assert!(is_same(scene.before_in_session(at), before));
                }
                Ok(())
            })?;
        }
    }
}
