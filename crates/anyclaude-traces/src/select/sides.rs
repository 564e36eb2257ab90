//! The two sides of a comparison: as named, or the last two models.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use super::error::{Result, SelectError};
use super::pool::nothing_read;
use super::reader::Reader;
use super::selection::{Selection, in_order};
use crate::analysis::prefix::CacheInput;
use crate::error::Error;
use crate::model::intern::FastSet;
use crate::model::measure::Measure;
use crate::model::request::{Request, TracePath};
use crate::model::scope::{KindFilter, Scope};
use crate::model::stats::Stats;

/// One side, of requests or of references to them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SelectedSide<R = Request> {
    /// How the user named it, or would.
    pub selector: String,
    /// Its requests, in order of time.
    pub requests: Vec<R>,
    /// What else its models were asked in the same time, titles, probes and the like, where a
    /// finding may be about these alone.
    pub beside: Vec<R>,
    /// What else was read with them: it went through the same prompt caches.
    pub others: Vec<R>,
}

impl SelectedSide {
    /// What was selected, as one side.
    #[must_use]
    pub fn of_selection(selector: String, selection: Selection) -> Self {
        let Selection { requests, others, rest, are_others_meant, .. } = selection;
        Self::parted(selector, requests, (others, are_others_meant), rest)
    }
}

impl<'a> SelectedSide<&'a Request> {
    /// All that was selected, as one side, without a copy of its requests.
    #[must_use]
    pub fn of_all(selection: &'a Selection) -> Self {
        let [requests, others, rest] =
            [&selection.requests, &selection.others, &selection.rest].map(|all| all.iter().collect());
        Self::parted(ALL_REQUESTS.to_owned(), requests, (others, selection.are_others_meant), rest)
    }

    /// A side of these requests, with those `meant` of which a finding may be besides, and
    /// everything else that was read.
    fn among(
        selector: String,
        requests: Vec<&'a Request>,
        meant: &'a [Request],
        all: impl IntoIterator<Item = &'a Request>,
    ) -> Self {
        let models: HashSet<_> = requests.iter().map(|request| &request.model).collect();
        let beside: Vec<&Request> = meant.iter().filter(|request| models.contains(&request.model)).collect();
        let own: FastSet<&TracePath> = requests.iter().chain(&beside).map(|request| &request.path).collect();
        let others = all.into_iter().filter(|request| !own.contains(&request.path)).collect();
        Self { selector, requests, beside, others }
    }

    /// The same with requests of its own.
    #[must_use]
    pub fn cloned(self) -> SelectedSide {
        let Self { selector, requests, beside, others } = self;
        let [requests, beside, others] =
            [requests, beside, others].map(|requests| requests.into_iter().cloned().collect());
        SelectedSide { selector, requests, beside, others }
    }
}

impl<R: Borrow<Request>> SelectedSide<R> {
    /// A side of these requests, with all else that was read. A finding may be about the
    /// others of their models, where others are meant at all.
    fn parted(
        selector: String,
        requests: Vec<R>,
        (others, are_others_meant): (Vec<R>, bool),
        rest: Vec<R>,
    ) -> Self {
        let models: HashSet<_> = requests.iter().map(|request| &request.borrow().model).collect();
        let is_beside = |other: &R| are_others_meant && models.contains(&other.borrow().model);
        let (beside, mut others): (Vec<_>, Vec<_>) = others.into_iter().partition(is_beside);
        others.extend(rest);
        Self { selector, requests, beside, others }
    }

    /// All that was read with it.
    pub(crate) fn everything(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().chain(&self.beside).chain(&self.others).map(Borrow::borrow)
    }

    /// Its requests, in order of time.
    pub(crate) fn own(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().map(Borrow::borrow)
    }

    /// The model that ran, where it is known and the same for all.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        let model = self.own().next()?.model.as_deref()?;
        self.own().all(|request| request.model.as_deref() == Some(model)).then_some(model)
    }
}

/// Both sides, and what was skipped on the way to them.
#[derive(Debug)]
#[non_exhaustive]
pub struct Sides {
    /// The left side: the faster or the older one, where none is named.
    pub left: SelectedSide,
    /// The right side.
    pub right: SelectedSide,
    /// The files that could not be used.
    pub skipped: Vec<Error>,
    /// Which requests they were chosen from.
    pub scope: Scope,
    /// Fewer than two models are known, so that two requests stand for them.
    pub is_fallback: bool,
}

/// One side alone, or two that are compared.
#[derive(Debug)]
#[non_exhaustive]
pub struct OneOrTwoSides {
    /// The only side, or the left one: the faster one where none is named.
    pub left: SelectedSide,
    /// The right side, where there are two.
    pub right: Option<SelectedSide>,
    /// The files that could not be used.
    pub skipped: Vec<Error>,
    /// Which requests they were chosen from.
    pub scope: Scope,
}

impl OneOrTwoSides {
    /// The two models used last of a selection, the faster one left; all of it as one side
    /// where fewer are known.
    #[must_use]
    pub fn of_models(selection: Selection, kind: KindFilter) -> Self {
        if let Some(models) = last_two_models(&selection, kind) {
            let models = faster_first(models).map(SelectedSide::cloned);
            return Self::from(Sides::new(models, selection.skipped, selection.scope));
        }
        Self::of_selection(ALL_REQUESTS.to_owned(), selection)
    }

    /// What was selected, as the only side.
    fn of_selection(name: String, mut selection: Selection) -> Self {
        let (skipped, scope) = (std::mem::take(&mut selection.skipped), selection.scope);
        Self { left: SelectedSide::of_selection(name, selection), right: None, skipped, scope }
    }

    /// Everything that passed through the caches of the sides. Shown are their requests,
    /// and those beside them.
    #[must_use]
    pub fn passing(&self) -> Vec<CacheInput<'_>> {
        let sides = || std::iter::once(&self.left).chain(&self.right);
        let shown = sides().flat_map(|side| side.requests.iter().chain(&side.beside));
        let others = sides().flat_map(|side| &side.others);
        let others = others.map(|request| CacheInput { request, reported: false });
        in_order(shown.map(|request| CacheInput { request, reported: true }).chain(others))
    }

    /// What these arguments name: two sides, or one. Without names the two models used
    /// last; all requests where fewer are known.
    ///
    /// # Errors
    ///
    /// When an argument names nothing.
    pub fn select(reader: &Reader, left: Option<&OsString>, right: Option<&OsString>) -> Result<Self> {
        let one = match (left, right) {
            (Some(left), Some(right)) => return two(reader, left, right).map(Self::from),
            (Some(one), None) => one,
            _ => return Ok(Self::of_models(reader.select(&[])?, reader.kind)),
        };
        let selection = reader.select_one(&reader.selector(one)?)?;
        if selection.requests.is_empty() {
            return Err(unreadable(one, &selection.skipped));
        }
        Ok(Self::of_selection(one.to_string_lossy().into_owned(), selection))
    }
}

impl From<Sides> for OneOrTwoSides {
    fn from(Sides { left, right, skipped, scope, .. }: Sides) -> Self {
        Self { left, right: Some(right), skipped, scope }
    }
}

/// What a side is called that nobody named.
pub const ALL_REQUESTS: &str = "all requests";

/// What to do where no side is named and fewer than two models are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FewModels {
    /// Compare the newest request with the one before.
    CompareRequests,
    /// Say so.
    Fail,
}

impl Sides {
    /// What these arguments name: two sides; one, which is compared with its like;
    /// or none, which means the two models used last, the older one left.
    ///
    /// # Errors
    ///
    /// When an argument names nothing, or there is nothing to compare it with.
    pub fn select(
        reader: &Reader,
        left: Option<&OsString>,
        right: Option<&OsString>,
        few: FewModels,
    ) -> Result<Self> {
        match (left, right) {
            (Some(left), Some(right)) => two(reader, left, right),
            (Some(one), None) => against_its_like(reader, one),
            _ => without_names(reader, few),
        }
    }

    fn new([left, right]: [SelectedSide; 2], skipped: Vec<Error>, scope: Scope) -> Self {
        Self { left, right, skipped, scope, is_fallback: false }
    }
}

fn two(reader: &Reader, left: &OsStr, right: &OsStr) -> Result<Sides> {
    let selectors = [reader.selector(left)?, reader.selector(right)?];
    let [of_left, of_right] = reader.select_pair([&selectors[0], &selectors[1]])?;
    let is_one_pool = selectors.iter().all(|selector| selector.path().is_none());
    let (seen_left, seen_right) = (of_left.scope.requests_seen, of_right.scope.requests_seen);
    let seen = if is_one_pool { seen_left } else { seen_left + seen_right };
    let mut skipped = Vec::new();
    let mut side = |mut selection: Selection, name: &OsStr| {
        if selection.requests.is_empty() {
            return Err(unreadable(name, &selection.skipped));
        }
        skipped.append(&mut selection.skipped);
        Ok(SelectedSide::of_selection(name.to_string_lossy().into_owned(), selection))
    };
    let sides = [side(of_left, left)?, side(of_right, right)?];
    Ok(Sides::new(sides, skipped, reader.whole_scope(seen)))
}

pub(crate) fn unreadable(name: &OsStr, skipped: &[Error]) -> SelectError {
    let reason = |error: &Error| match error.path().strip_prefix(name) {
        Ok(below) if below.as_os_str().is_empty() => error.kind().to_string(),
        Ok(below) => format!("{}: {}", below.display(), error.kind()),
        Err(_) => error.to_string(),
    };
    let reason = skipped.first().map(reason);
    SelectError::EmptySide { name: name.to_owned(), reason }
}

/// A request against its predecessor in the thread, or a model against the
/// model used last besides it; the older one left.
fn against_its_like(reader: &Reader, one: &OsStr) -> Result<Sides> {
    let selector = reader.selector(one)?;
    let name = one.to_string_lossy();
    if !selector.is_single() && !selector.is_model() {
        return Err(SelectError::OneGroup(name.into_owned()));
    }
    let pool = reader.surroundings(&selector)?;
    let picked = reader.pick(&pool.requests, &selector).map_err(|error| pool.why_nothing(error))?;
    let Some(newest) = picked.last() else { return Err(unreadable(one, &pool.skipped)) };
    reader.check_labels()?;
    let scope = reader.whole_scope(pool.requests.len() as u64);
    if selector.is_single() {
        let right = SelectedSide::among(name.into_owned(), vec![newest], &[], &pool.requests);
        let sides = [predecessor(&pool.requests, newest)?, right].map(SelectedSide::cloned);
        return Ok(Sides::new(sides, pool.skipped, scope));
    }
    let models = models_by_last_use(&pool.requests, reader.kind);
    let other = models.iter().rev().find(|model| Some(*model) != newest.model.as_ref());
    let other = other.ok_or_else(|| SelectError::OnlyModel(name.into_owned()))?;
    let own = models.iter().find(|model| Some(*model) == newest.model.as_ref());
    let own = own.ok_or_else(|| SelectError::OnlyModel(one.to_string_lossy().into_owned()))?;
    let is_older = |model: &Arc<str>| models.iter().position(|known| known == model);
    let names = if is_older(own) < is_older(other) { [own, other] } else { [other, own] };
    let side = |model| side_of(model, &pool.requests, reader.kind, &[], &pool.requests).cloned();
    let sides = names.map(side);
    Ok(Sides::new(sides, pool.skipped, scope))
}

/// The two models used last among these requests, the older one left; `None` where
/// fewer are known.
#[must_use]
pub fn last_two_models(selection: &Selection, kind: KindFilter) -> Option<[SelectedSide<&Request>; 2]> {
    let requests = &selection.requests;
    let models = models_by_last_use(requests, kind);
    let [.., older, newer] = models.as_slice() else { return None };
    let of_model = |model| side_of(model, requests, kind, selection.others_meant(), selection.everything());
    Some([older, newer].map(of_model))
}

/// Both sides, the one whose requests take longer on the right. Where the times of one
/// are unknown, they stay as they are.
#[must_use]
pub fn faster_first<R: Borrow<Request>>([left, right]: [SelectedSide<R>; 2]) -> [SelectedSide<R>; 2] {
    let takes = |side: &SelectedSide<R>| {
        let totals = side.own().filter_map(|request| Measure::TotalMs.of(request));
        Stats::of(totals).map(|stats| stats.p50)
    };
    let is_slower = takes(&left).zip(takes(&right)).is_some_and(|(left, right)| left > right);
    if is_slower { [right, left] } else { [left, right] }
}

fn without_names(reader: &Reader, few: FewModels) -> Result<Sides> {
    let selection = reader.select(&[])?;
    if let Some(sides) = last_two_models(&selection, reader.kind) {
        let sides = sides.map(SelectedSide::cloned);
        return Ok(Sides::new(sides, selection.skipped, selection.scope));
    }
    if few == FewModels::Fail {
        return Err(SelectError::FewModels);
    }
    let nothing = || nothing_read(&selection.skipped).unwrap_or(SelectError::NothingToCompare);
    let newest = selection.requests.last().ok_or_else(nothing)?;
    let left = predecessor(&selection.requests, newest)?;
    let right = SelectedSide::among("latest".to_owned(), vec![newest], &[], &selection.requests);
    let sides = [left, right].map(SelectedSide::cloned);
    Ok(Sides { is_fallback: true, ..Sides::new(sides, selection.skipped, selection.scope) })
}

/// The request before this one in its thread.
fn predecessor<'a>(requests: &'a [Request], of: &Request) -> Result<SelectedSide<&'a Request>> {
    let in_thread = |request: &&Request| {
        request.session == of.session
            && request.thread == of.thread
            && request.path != of.path
            && request.order() < of.order()
    };
    let before = requests
        .iter()
        .rfind(in_thread)
        .ok_or_else(|| SelectError::FirstOfThread(of.path.as_ref().to_owned()))?;
    let selector = before.path.as_ref().display().to_string();
    Ok(SelectedSide::among(selector, vec![before], &[], requests))
}

/// The models of these requests, the one used last last.
fn models_by_last_use(requests: &[Request], kind: KindFilter) -> Vec<Arc<str>> {
    let mut seen = FastSet::default();
    let newest_first = requests.iter().rev().filter(|request| kind.admits(request.kind));
    let models = newest_first.filter_map(|request| request.model.as_ref());
    let mut models: Vec<Arc<str>> = models.filter(|model| seen.insert(*model)).cloned().collect();
    models.reverse();
    models
}

/// The side of a model among everything that was read.
fn side_of<'a>(
    model: &Arc<str>,
    requests: &'a [Request],
    kind: KindFilter,
    meant: &'a [Request],
    all: impl IntoIterator<Item = &'a Request>,
) -> SelectedSide<&'a Request> {
    let of_model = |request: &&Request| kind.admits(request.kind) && request.model.as_ref() == Some(model);
    let own = requests.iter().filter(of_model).collect();
    SelectedSide::among(format!("model:{model}"), own, meant, all)
}
