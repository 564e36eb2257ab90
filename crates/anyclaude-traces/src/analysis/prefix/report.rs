//! The simulation, request by request, and what comes of it.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::cache::{self, Past, Reuse, SimulatedRequest, Simulation, Step};
use super::cache_breaks::{self, Priced};
use super::cause::{self, Cause, Change};
use super::compare::{Part, PromptComparer, Sequence, Shared};
use super::conversation::{Conversation, Conversations};
use super::elements::{ElementId, Prompt, Prompts};
use super::excerpt;
use super::speed::{self, Point, ReadingSpeed, float, median};
use super::{Break, CacheInput, ElementName, Fetch, Options, PrefixReport, PrefixRequest, Totals};
use crate::error::Skipped;
use crate::formats::body::ElementPath;
use crate::model::request::{Request, TracePath};
use crate::model::scope::Scope;

/// The earlier requests of each conversation, by the model whose cache they left
/// something in.
type Pasts = HashMap<(Option<Arc<str>>, Conversation), Past>;

/// Simulates the cache over these requests, which are in order of time.
///
/// `fetch` reads an element again, of which only the beginning was kept, and is
/// asked for few: long texts that begin alike. What it cannot read is listed as
/// skipped, and counts with the beginning that is known.
///
/// ```
/// use anyclaude_traces::analysis::prefix::{Options, CacheInput, PrefixVisitor, Prompts, prefix};
/// use anyclaude_traces::analysis::prefix::element_text;
/// use anyclaude_traces::model::scope::{KindFilter, Scope};
/// use anyclaude_traces::Recording;
/// use anyclaude_traces::Store;
///
/// let (store, mut prompts) = (Store::default(), Prompts::default());
/// let traces = ["../../testdata/home/.anyclaude/traces"];
/// let recording =
///     Recording::read_with(&store, traces, PrefixVisitor::default, |file, seen| prompts.add(file, seen));
/// let scope = Scope::new(None, None, KindFilter::All, recording.requests.len() as u64);
/// let passing: Vec<CacheInput<'_>> =
///     recording.requests.iter().map(|request| CacheInput { request, reported: true }).collect();
/// let mut fetch = |path: &_, place| element_text(&store, path, place);
/// let found = prefix(scope, &passing, &prompts, Options::default(), &mut fetch, Vec::new());
/// assert!(found.totals.reusable_bytes > found.totals_one_slot.reusable_bytes);
/// ```
#[must_use]
pub fn prefix<'a>(
    scope: Scope,
    requests: &[CacheInput<'_>],
    prompts: &'a Prompts,
    options: Options,
    fetch: &'a mut Fetch<'a>,
    skipped: Vec<Skipped>,
) -> PrefixReport {
    let mut comparer = PromptComparer::new(prompts, options.order, options.view, fetch);
    let passing: Vec<(&CacheInput<'_>, &Prompt)> = requests
        .iter()
        .filter_map(|passing| Some((passing, prompts.prompt(passing.request.path.as_ref())?)))
        .collect();
    let members = members(&passing, &comparer);
    let mut pasts = Pasts::new();
    let mut many = Simulation::new(options.slots);
    let mut one = (options.slots > NonZeroUsize::MIN).then(|| Simulation::new(NonZeroUsize::MIN));
    let mut rows = Vec::new();
    for (at, member) in members.iter().enumerate() {
        let past = pasts.entry((member.model.clone(), member.conversation)).or_default();
        let Some(step) = many.step(&mut comparer, &members, at, past) else { continue };
        let step_one =
            one.as_mut().and_then(|one| one.step(&mut comparer, &members, at, past)).unwrap_or(step);
        let place = Turn { comparer: &mut comparer, members: &members, at, past };
        if let Some((passing, prompt)) = passing.get(at) {
            let mut row = Row::of(place, prompt, &step, &step_one);
            row.quote(&mut comparer, options.text && passing.reported);
            rows.push(row);
        }
        past.add(comparer.rank(member.sequence), at);
    }
    let speeds = speeds(&passing, &rows);
    let mut report = report(scope, options, &passing, &rows, &speeds);
    report.skipped = skipped;
    report.skipped.extend(comparer.into_errors().iter().map(Skipped::from));
    report
}

fn members(passing: &[(&CacheInput<'_>, &Prompt)], comparer: &PromptComparer<'_>) -> Vec<SimulatedRequest> {
    let mut conversations = Conversations::default();
    let member = |(passing, prompt): &(&CacheInput<'_>, &Prompt)| {
        let sequence = comparer.sequence(prompt);
        SimulatedRequest {
            sequence,
            prompt_bytes: comparer.bytes(sequence),
            model: passing.request.model.clone(),
            conversation: conversations.of(passing.request, prompt, comparer.prompts),
        }
    };
    passing.iter().map(member).collect()
}

/// A request at its turn.
struct Turn<'t, 'd> {
    comparer: &'t mut PromptComparer<'d>,
    members: &'t [SimulatedRequest],
    at: usize,
    past: &'t Past,
}

impl Turn<'_, '_> {
    fn sequence(&self, request: usize) -> Option<Sequence> {
        self.members.get(request).map(|member| member.sequence)
    }

    /// What broke, in a cache that did this.
    fn broken(&mut self, step: &Step) -> Option<Broken> {
        let sequence = self.sequence(self.at)?;
        let shared = step.best.map_or_else(|| self.comparer.beginning(sequence), |best| best.shared);
        let appended = step.best.is_some_and(|best| best.shared.is_all_of_one());
        if appended || shared.left.is_none() && shared.right.is_none() {
            return None;
        }
        let common_bytes = step.best.map_or(0, |best| best.common_bytes);
        let mut broken = Broken {
            shared,
            common_bytes,
            change: Change::only(Cause::FirstRequest),
            lost_bytes: 0,
            evicted_by: None,
            excerpt: None,
        };
        if self.at == 0 {
            return Some(broken);
        }
        let Some(newest) = self.past.newest() else {
            broken.change = Change::only(Cause::OtherConversation);
            return Some(broken);
        };
        let kept = step.best.map_or(0, |best| best.bytes());
        if let Some(missed) = step.missed {
            broken.change = Change::only(Cause::Evicted);
            broken.lost_bytes = missed.reuse.bytes() - kept;
            broken.evicted_by = missed.evicted_by;
            return Some(broken);
        }
        broken.lost_bytes =
            self.comparer.held_by_both(sequence, self.sequence(newest)?).saturating_sub(shared.bytes);
        let best =
            step.best.map_or_else(|| cache::reuse(self.comparer, self.members, self.at, newest), Some)?;
        broken.change = cause::change(self.comparer, sequence, self.sequence(best.from)?, &best);
        Some(broken)
    }
}

/// A break before it is priced and named.
#[derive(Debug, Clone)]
pub(super) struct Broken {
    shared: Shared,
    common_bytes: u64,
    pub(super) change: Change,
    pub(super) lost_bytes: u64,
    pub(super) evicted_by: Option<usize>,
    /// What was, and what is now.
    excerpt: Option<(Option<String>, Option<String>)>,
}

/// What the simulation says of one request.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) prompt_bytes: u64,
    pub(super) reusable_bytes: u64,
    pub(super) reusable_bytes_one_slot: u64,
    reused_from: Option<usize>,
    pub(super) broken: Option<Broken>,
    pub(super) broken_one_slot: Option<Broken>,
    pub(super) element: Option<ElementName>,
}

impl Row {
    fn of(mut turn: Turn<'_, '_>, prompt: &Prompt, step: &Step, step_one: &Step) -> Self {
        let bytes = |step: &Step| step.best.map_or(0, |best: Reuse| best.bytes());
        let prompt_bytes = turn.members.get(turn.at).map_or(0, |member| member.prompt_bytes);
        let broken = turn.broken(step);
        let element = broken.as_ref().map(|broken| name(turn.comparer.prompts, prompt, &broken.shared));
        Self {
            prompt_bytes,
            reusable_bytes: bytes(step),
            reusable_bytes_one_slot: bytes(step_one),
            reused_from: step.best.filter(|best| best.bytes() > 0).map(|best| best.from),
            broken_one_slot: turn.broken(step_one),
            broken,
            element,
        }
    }

    fn quote(&mut self, comparer: &mut PromptComparer<'_>, wanted: bool) {
        let Some(broken) = self.broken.as_mut().filter(|_| wanted) else { return };
        let (shared, at) = (broken.shared, broken.common_bytes);
        let mut quoted =
            |element: Option<ElementId>| element.map(|element| excerpt::around(&comparer.text(element), at));
        broken.excerpt = Some((quoted(shared.right), quoted(shared.left)));
    }

    /// The share of the prompt that is new.
    fn new_share(&self, reusable_bytes: u64) -> f64 {
        if self.prompt_bytes == 0 {
            0.0
        } else {
            float(self.prompt_bytes - reusable_bytes) / float(self.prompt_bytes)
        }
    }
}

/// The name of the place where a request differs from another.
fn name(prompts: &Prompts, prompt: &Prompt, shared: &Shared) -> ElementName {
    let place = match shared.part {
        Part::System => ElementPath::System(shared.index),
        Part::Tools => ElementPath::Tool(shared.index),
        Part::Messages => {
            let stated = prompt.places.as_ref().and_then(|places| places.get(shared.index as usize).copied());
            let tree = &prompts.tree;
            let in_tree = || tree.at(tree.first(prompt.messages, shared.index + 1));
            let (message, block) = stated.unwrap_or_else(in_tree);
            ElementPath::Block { message, block }
        }
    };
    ElementName(place)
}

/// How fast the models read, and how many tokens a byte of each is.
pub(super) struct Speeds {
    speeds: HashMap<Option<Arc<str>>, ReadingSpeed>,
    tokens_per_byte: HashMap<Option<Arc<str>>, f64>,
}

fn speeds(passing: &[(&CacheInput<'_>, &Prompt)], rows: &[Row]) -> Speeds {
    let mut points: HashMap<Option<Arc<str>>, Vec<Point>> = HashMap::new();
    let mut tokens: HashMap<Option<Arc<str>>, Vec<f64>> = HashMap::new();
    for ((passing, _), row) in passing.iter().zip(rows) {
        let model = &passing.request.model;
        if let Some(point) = point(passing.request, row) {
            points.entry(model.clone()).or_default().push(point);
        }
        if let Some(reported) = prompt_tokens(passing.request).filter(|_| row.prompt_bytes > 0) {
            tokens.entry(model.clone()).or_default().push(float(reported) / float(row.prompt_bytes));
        }
    }
    let speed = |(model, points): (Option<Arc<str>>, Vec<Point>)| {
        Some((model.clone(), ReadingSpeed::of(model, &points)?))
    };
    Speeds {
        speeds: points.into_iter().filter_map(speed).collect(),
        tokens_per_byte: tokens
            .into_iter()
            .filter_map(|(model, ratios)| Some((model, median(ratios)?)))
            .collect(),
    }
}

fn point(request: &Request, row: &Row) -> Option<Point> {
    Point::of(request, row.new_share(row.reusable_bytes), row.new_share(row.reusable_bytes_one_slot))
}

fn prompt_tokens(request: &Request) -> Option<u64> {
    request.timing.as_ref()?.prompt_tokens.filter(|tokens| *tokens > 0)
}

impl Speeds {
    fn of(&self, request: &Request) -> Option<&ReadingSpeed> {
        self.speeds.get(&request.model)
    }

    /// Tokens of so many of a prompt's bytes: by the backend's own count of this
    /// prompt, else by those of the model's other prompts.
    pub(super) fn tokens(&self, request: &Request, row: &Row, bytes: u64) -> Option<f64> {
        let own = prompt_tokens(request).filter(|_| row.prompt_bytes > 0);
        let own = own.map(|tokens| float(tokens) / float(row.prompt_bytes));
        own.or_else(|| self.tokens_per_byte.get(&request.model).copied()).map(|ratio| ratio * float(bytes))
    }

    pub(super) fn ms(&self, request: &Request, tokens: Option<f64>) -> Option<f64> {
        Some(self.of(request)?.ms_per_token * tokens?)
    }
}

/// A figure of tokens or milliseconds, rounded.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be no less than 0")]
pub(super) fn rounded(value: f64) -> Option<u64> {
    (value.is_finite() && value >= 0.0).then(|| value.round() as u64)
}

fn report(
    scope: Scope,
    options: Options,
    passing: &[(&CacheInput<'_>, &Prompt)],
    rows: &[Row],
    speeds: &Speeds,
) -> PrefixReport {
    let path = |at: usize| passing.get(at).map(|(passing, _)| passing.request.path.clone());
    let (mut totals, mut totals_one_slot) = (Totals::default(), Totals::default());
    let (mut requests, mut priced) = (Vec::new(), Vec::new());
    for ((passing, _), row) in passing.iter().zip(rows).filter(|((passing, _), _)| passing.reported) {
        totals.add(row.prompt_bytes, row.reusable_bytes);
        totals_one_slot.add(row.prompt_bytes, row.reusable_bytes_one_slot);
        requests.push(request(passing.request, row, speeds, &path));
        priced.push(Priced { request: passing.request, row });
    }
    let kind = |at: usize| passing.get(at).map(|(passing, _)| passing.request.kind);
    let models: BTreeSet<_> = requests.iter().map(|request: &PrefixRequest| request.model.clone()).collect();
    let reading: Vec<ReadingSpeed> =
        models.iter().filter_map(|model| speeds.speeds.get(model).cloned()).collect();
    PrefixReport {
        scope,
        order: options.order,
        view: options.view,
        slots: options.slots.get() as u64,
        simulated: passing.len() as u64,
        breakers: cache_breaks::breakers(&requests),
        evictions: cache_breaks::evictions(&priced, speeds, kind, |row| row.broken.as_ref()),
        evictions_one_slot: cache_breaks::evictions(&priced, speeds, kind, |row| {
            row.broken_one_slot.as_ref()
        }),
        price_list: None,
        context: None,
        notes: speed::notes(&reading, options.slots),
        requests,
        totals,
        totals_one_slot,
        reading,
        skipped: Vec::new(),
    }
}

fn request(
    request: &Request,
    row: &Row,
    speeds: &Speeds,
    path: &impl Fn(usize) -> Option<TracePath>,
) -> PrefixRequest {
    let point = point(request, row);
    let speed = speeds.of(request);
    let both = speed.zip(point.as_ref());
    let new_bytes = row.prompt_bytes - row.reusable_bytes;
    let new_tokens = prompt_tokens(request).and_then(|_| speeds.tokens(request, row, new_bytes));
    PrefixRequest {
        path: request.path.clone(),
        timestamp: request.timestamp,
        kind: request.kind,
        model: request.model.clone(),
        session: request.session.clone(),
        thread: request.thread.clone(),
        prompt_bytes: row.prompt_bytes,
        reusable_bytes: row.reusable_bytes,
        reusable_bytes_one_slot: row.reusable_bytes_one_slot,
        reused_from: row.reused_from.and_then(path),
        break_: row.broken.as_ref().zip(row.element).map(|(broken, element)| {
            let lost_tokens = speeds.tokens(request, row, broken.lost_bytes);
            let (was, now) = broken.excerpt.clone().unwrap_or_default();
            Break {
                element,
                cause: broken.change.cause,
                common_bytes: broken.common_bytes,
                volatile: broken.change.volatile,
                tools: broken.change.tools.clone(),
                lost_bytes: broken.lost_bytes,
                lost_tokens: lost_tokens.and_then(rounded),
                lost_ms: speeds.ms(request, lost_tokens).and_then(rounded),
                evicted_by: broken.evicted_by.and_then(path),
                was,
                now,
            }
        }),
        new_tokens: new_tokens.and_then(rounded),
        ttft_ms: request.timing.as_ref().and_then(|timing| timing.ttft_ms),
        expected_ttft_ms: both.and_then(|(speed, point)| rounded(speed.expected_ms(point))),
        cold_although_warm: both.map(|(speed, point)| speed.is_cold_although_warm(point)),
    }
}
