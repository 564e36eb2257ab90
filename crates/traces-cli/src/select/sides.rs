//! The two sides of a comparison, as the user names them or as the last two models.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use anyclaude_traces::Error;
use anyclaude_traces::Request;
use anyclaude_traces::model::measure::Measure;
use anyclaude_traces::model::request::TracePath;
use anyclaude_traces::model::scope::{KindFilter, Scope};
use anyclaude_traces::model::stats::Stats;
use anyhow::{Context as _, anyhow, bail};

use super::{Field, Reader, Selection, Selector};

/// One side.
pub(crate) struct Side {
    /// How the user named it, or would.
    pub(crate) selector: String,
    /// Its requests, in order of time.
    pub(crate) requests: Vec<Request>,
    /// What else was read with them: it went through the same prompt caches.
    pub(crate) others: Vec<Request>,
}

impl Side {
    /// A side of these requests, and everything else besides that was read.
    fn among<'a>(
        selector: String,
        requests: Vec<Request>,
        all: impl IntoIterator<Item = &'a Request>,
    ) -> Self {
        let own: HashSet<&TracePath> = requests.iter().map(|request| &request.path).collect();
        let others = all.into_iter().filter(|request| !own.contains(&request.path)).cloned().collect();
        Self { selector, requests, others }
    }

    /// The model that ran, where it is known and the same for all.
    pub(crate) fn model(&self) -> Option<&str> {
        let model = self.requests.first()?.model.as_deref()?;
        self.requests.iter().all(|request| request.model.as_deref() == Some(model)).then_some(model)
    }
}

/// Why two models cannot be compared, and what to do.
pub(crate) const FEW_MODELS: &str = "two models are compared, and fewer are known here. Run the same task with \
                                     another model, look further back with --all, or name the model of a session: \
                                     --label NAME=session:ID";

/// Both sides, and what was skipped on the way to them.
pub(crate) struct Sides {
    pub(crate) left: Side,
    pub(crate) right: Side,
    pub(crate) skipped: Vec<Error>,
    pub(crate) scope: Scope,
    /// Fewer than two models are known, so that two requests stand for them.
    pub(crate) is_fallback: bool,
}

/// What to do where no side is named and fewer than two models are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FewModels {
    /// Compare the newest request with the one before.
    CompareRequests,
    /// Say so.
    Fail,
}

impl Sides {
    /// What these arguments name: two sides; one, which is compared with its like;
    /// or none, which means the two models used last, the older one left.
    pub(crate) fn select(
        reader: &Reader<'_>,
        left: Option<&OsString>,
        right: Option<&OsString>,
        few: FewModels,
    ) -> anyhow::Result<Self> {
        match (left, right) {
            (Some(left), Some(right)) => two(reader, left, right),
            (Some(one), None) => against_its_like(reader, one),
            _ => without_names(reader, few),
        }
    }

    fn new([left, right]: [Side; 2], skipped: Vec<Error>, scope: Scope) -> Self {
        Self { left, right, skipped, scope, is_fallback: false }
    }
}

fn two(reader: &Reader<'_>, left: &OsStr, right: &OsStr) -> anyhow::Result<Sides> {
    let selectors = [Selector::parse(left)?, Selector::parse(right)?];
    let selections = reader.select_each(&[&selectors[0], &selectors[1]])?;
    let is_one_pool = selectors.iter().all(|selector| selector.path().is_none());
    let (mut skipped, mut sides, mut seen) = (Vec::new(), Vec::new(), 0);
    for (selection, name) in selections.into_iter().zip([left, right]) {
        if selection.requests.is_empty() {
            bail!(unreadable(name, &selection.skipped));
        }
        skipped.extend(selection.skipped);
        seen = if is_one_pool { selection.scope.requests_seen } else { seen + selection.scope.requests_seen };
        let mut others = selection.others;
        others.extend(selection.rest);
        sides.push(Side {
            selector: name.to_string_lossy().into_owned(),
            requests: selection.requests,
            others,
        });
    }
    let sides = <[Side; 2]>::try_from(sides).map_err(|_| anyhow!("there are two sides"))?;
    Ok(Sides::new(sides, skipped, reader.whole_scope(seen)))
}

fn unreadable(name: &OsStr, skipped: &[Error]) -> String {
    let why = skipped.first().map_or_else(|| "no request fits".to_owned(), |error| error.kind().to_string());
    format!("{}: {why}", name.to_string_lossy())
}

/// A request against its predecessor in the thread, or a model against the
/// model used last besides it; the older one left.
fn against_its_like(reader: &Reader<'_>, one: &OsStr) -> anyhow::Result<Sides> {
    let selector = Selector::parse(one)?;
    let name = one.to_string_lossy();
    if !selector.is_single() && !matches!(selector, Selector::Named(Field::Model, _)) {
        bail!("`{name}` is a group: name the other side too, behind it");
    }
    let pool = reader.surroundings(&selector)?;
    let picked = reader.pick(&pool.requests, &selector)?;
    let Some(newest) = picked.last() else { bail!(unreadable(one, &pool.skipped)) };
    reader.check_labels()?;
    let scope = reader.whole_scope(pool.requests.len() as u64);
    if selector.is_single() {
        let right = Side::among(name.into_owned(), vec![newest.clone()], &pool.requests);
        let sides = [predecessor(&pool.requests, newest)?, right];
        return Ok(Sides::new(sides, pool.skipped, scope));
    }
    let models = models_by_last_use(&pool.requests, reader.kind);
    let other = models.iter().rev().find(|model| Some(*model) != newest.model.as_ref());
    let other = other.with_context(|| format!("`{name}` is the only model that is known"))?;
    let of_both = |model: &&Arc<str>| *model == other || Some(*model) == newest.model.as_ref();
    let names: Vec<&Arc<str>> = models.iter().filter(of_both).collect();
    let sides = sides_of(&names, &pool.requests, reader.kind, &[])?;
    Ok(Sides::new(sides, pool.skipped, scope))
}

/// The two models used last among these requests, the older one left; `None` where
/// fewer are known.
pub(crate) fn last_two_models(selection: &Selection, kind: KindFilter) -> anyhow::Result<Option<[Side; 2]>> {
    let requests = &selection.requests;
    match models_by_last_use(requests, kind).as_slice() {
        [.., older, newer] => {
            sides_of(&[older, newer], requests, kind, &[&selection.others, &selection.rest]).map(Some)
        }
        _ => Ok(None),
    }
}

/// Both sides, the one whose requests take longer on the right, where that is known.
pub(crate) fn faster_first([left, right]: [Side; 2]) -> [Side; 2] {
    let takes = |side: &Side| {
        let totals = side.requests.iter().filter_map(|request| Measure::TotalMs.of(request));
        Stats::of(totals).map(|stats| stats.p50)
    };
    if takes(&left) > takes(&right) { [right, left] } else { [left, right] }
}

fn without_names(reader: &Reader<'_>, few: FewModels) -> anyhow::Result<Sides> {
    let selection = reader.select(&[])?;
    if let Some(sides) = last_two_models(&selection, reader.kind)? {
        return Ok(Sides::new(sides, selection.skipped, selection.scope));
    }
    if few == FewModels::Fail {
        bail!(FEW_MODELS);
    }
    let newest = selection.requests.last().context("there is no request to compare")?.clone();
    let left = predecessor(&selection.requests, &newest)?;
    let right = Side::among("latest".to_owned(), vec![newest], &selection.requests);
    Ok(Sides { is_fallback: true, ..Sides::new([left, right], selection.skipped, selection.scope) })
}

/// The request before this one in its thread.
fn predecessor(requests: &[Request], of: &Request) -> anyhow::Result<Side> {
    let in_thread = |request: &&Request| {
        request.session == of.session
            && request.thread == of.thread
            && request.path != of.path
            && request.order() < of.order()
    };
    let path: &Path = of.path.as_ref();
    let before = requests
        .iter()
        .rfind(in_thread)
        .with_context(|| format!("{} is the first of its thread: name the other side too", path.display()))?;
    let selector = before.path.as_ref().display().to_string();
    Ok(Side::among(selector, vec![before.clone()], requests))
}

/// The models of these requests, the one used last last.
fn models_by_last_use(requests: &[Request], kind: KindFilter) -> Vec<Arc<str>> {
    let mut models: Vec<Arc<str>> = Vec::new();
    for request in requests.iter().rev().filter(|request| kind.admits(request.kind)) {
        if let Some(model) = request.model.as_ref().filter(|model| !models.contains(model)) {
            models.push(model.clone());
        }
    }
    models.reverse();
    models
}

/// A side for each model; `besides` was read as well, and is of no model that counts.
fn sides_of(
    models: &[&Arc<str>],
    requests: &[Request],
    kind: KindFilter,
    besides: &[&Vec<Request>],
) -> anyhow::Result<[Side; 2]> {
    let of_model = |model: &&Arc<str>| {
        let of_model =
            |request: &&Request| kind.admits(request.kind) && request.model.as_ref() == Some(*model);
        let own = requests.iter().filter(of_model).cloned().collect();
        Side::among(format!("model:{model}"), own, requests.iter().chain(besides.iter().copied().flatten()))
    };
    let sides: Vec<Side> = models.iter().map(of_model).collect();
    <[Side; 2]>::try_from(sides).map_err(|_| anyhow!("there are two models"))
}
