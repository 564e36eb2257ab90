//! Selects requests of what was read.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::error::{Result, SelectError};
use super::load::{Lookback, must_exist};
use super::pool::{Pool, newest};
use super::reader::{Reader, SITTING_MS};
use super::selection::Selection;
use super::selector::Selector;
use crate::model::request::{Kind, Request, TracePath};
use crate::model::scope::{KindFilter, Scope};
use crate::read::{Store, paths};
use crate::recording::join::Joined;

impl Reader {
    /// The requests of these inputs in one; without any, of the day before the newest request.
    ///
    /// # Errors
    ///
    /// When an input names nothing, or nothing passes the filter.
    pub fn select(&self, inputs: &[OsString]) -> Result<Selection> {
        let selectors = inputs.iter().map(|input| self.selector(input)).collect::<Result<Vec<_>>>()?;
        let paths: Vec<&Path> = selectors.iter().filter_map(Selector::path).collect();
        let is_whole = !inputs.is_empty()
            || self.filter.is_whole
            || self.filter.since.is_some()
            || self.filter.until.is_some();
        let mut span = if is_whole { Lookback::Whole } else { Lookback::Sitting };
        let mut pool = if paths.is_empty() { Pool::default() } else { self.read(&paths, Lookback::Whole)? };
        if paths.len() < selectors.len() || selectors.is_empty() {
            let mut recorded = self.read_roots(span)?;
            // A log that is named is taken whole, as an input is.
            if recorded.is_of_logs {
                span = Lookback::Whole;
            }
            if !selectors.is_empty() {
                let picked = self.pick_any(&recorded.requests, &selectors)?;
                recorded.keep(picked);
            }
            pool.add(recorded);
        }
        self.check_labels()?;
        self.scoped(pool, self.kind, span)
    }

    /// The same for the last question that is asked: the reader's memory is freed as soon as the
    /// selection is made. Returns what content is read with.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn select_once(mut self, inputs: &[OsString]) -> Result<(Selection, Store)> {
        // With inputs, which are read one by one, the logs are looked at several times.
        if inputs.is_empty() {
            let logs = self.server_logs.0.iter_mut();
            let tasks = logs.map(|log| std::mem::take(&mut log.content.tasks)).collect();
            self.given_tasks = Mutex::new(Some(tasks));
        }
        let selection = self.select(inputs)?;
        Ok((selection, self.store))
    }

    /// The scope of what was named and taken whole.
    pub(crate) fn whole_scope(&self, seen: u64) -> Scope {
        Scope::new(self.filter.since, self.filter.until, self.kind, seen)
    }

    /// The requests of one input.
    ///
    /// # Errors
    ///
    /// When it names nothing, or nothing passes the filter.
    pub fn select_one(&self, selector: &Selector) -> Result<Selection> {
        let selection = self.selection(selector, &mut None)?;
        self.check_labels()?;
        Ok(selection)
    }

    /// The requests of two inputs. What is below the roots is read once.
    ///
    /// # Errors
    ///
    /// When one names nothing, or nothing passes the filter.
    pub fn select_pair(&self, [left, right]: [&Selector; 2]) -> Result<[Selection; 2]> {
        let mut recorded = None;
        let selections = [self.selection(left, &mut recorded)?, self.selection(right, &mut recorded)?];
        self.check_labels()?;
        Ok(selections)
    }

    /// What an input selects. `recorded` holds all that is below the roots, once that was
    /// read.
    fn selection(&self, selector: &Selector, recorded: &mut Option<Pool>) -> Result<Selection> {
        let pool = match (selector.path(), recorded) {
            (Some(path), _) => self.read(&[path], Lookback::Whole)?,
            (None, Some(recorded)) => self.picked(recorded, selector)?,
            (None, none) => self.picked(none.insert(self.read_roots(Lookback::Whole)?), selector)?,
        };
        self.scoped(pool, self.kind_of(selector, self.kind), Lookback::Whole)
    }

    /// Everything below the roots, and at these paths besides.
    pub(crate) fn read_all(&self, besides: &[PathBuf]) -> Result<Pool> {
        let besides: Vec<&Path> = besides.iter().map(AsRef::as_ref).collect();
        let mut pool =
            if besides.is_empty() { Pool::default() } else { self.read(&besides, Lookback::Whole)? };
        if besides.is_empty() || !self.filter.roots.is_empty() {
            pool.add(self.read_roots(Lookback::Whole)?);
        }
        self.check_labels()?;
        Ok(pool)
    }

    /// What an input selects of what was read; a file or folder besides is read now.
    pub(crate) fn select_among(
        &self,
        pool: &Pool,
        selector: &Selector,
        default_kind: KindFilter,
    ) -> Result<Selection> {
        let mut picked = self.picked(&mut pool.clone(), selector)?;
        if let Some(path) = selector.path().filter(|_| picked.requests.is_empty()) {
            picked = self.read(&[path], Lookback::Whole)?;
        }
        self.scoped(picked, self.kind_of(selector, default_kind), Lookback::Whole)
    }

    /// A file or request that is named is taken whatever its kind.
    fn kind_of(&self, selector: &Selector, default_kind: KindFilter) -> KindFilter {
        let named_file = matches!(selector, Selector::Id(_))
            || selector.path().is_some_and(|path| !paths::is_folder(path));
        self.kind_or(if named_file { KindFilter::All } else { default_kind })
    }

    /// The kind of request that the filter names, else this.
    pub(crate) fn kind_or(&self, default_kind: KindFilter) -> KindFilter {
        self.filter.kind.unwrap_or(default_kind)
    }

    /// What the selector picks of a pool, with all others besides: they tell how a model's
    /// backend counts and how fast it is.
    fn picked(&self, pool: &mut Pool, selector: &Selector) -> Result<Pool> {
        let requests = self.pick(&pool.requests, selector).map_err(|error| pool.why_nothing(error))?;
        let picked: HashSet<&TracePath> = requests.iter().map(|request| &request.path).collect();
        // What else went through the same caches explains what these found there.
        let is_context = |request: &&Request| self.prompts.is_some() && !picked.contains(&request.path);
        let rest = pool.requests.iter().filter(is_context).chain(&pool.rest).cloned().collect();
        Ok(Pool {
            rest,
            requests,
            skipped: std::mem::take(&mut pool.skipped),
            joined: pool.joined.clone(),
            places: pool.places.clone(),
            is_of_logs: pool.is_of_logs,
            seen: pool.seen,
            kinds: pool.kinds.clone(),
            newest: pool.newest,
        })
    }

    /// Everything that the selector is found among: the folder of a file, else
    /// all that is below the roots.
    pub(super) fn surroundings(&self, selector: &Selector) -> Result<Pool> {
        let Some(path) = selector.path() else { return self.read_roots(Lookback::Whole) };
        if self.store.is_standard_input(path) {
            return self.read(&[path], Lookback::Whole);
        }
        let path = self.found(path);
        must_exist(&path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        self.read(&[folder.unwrap_or(Path::new("."))], Lookback::Whole)
    }

    /// Keeps of a pool what scope and kind admit; of [`Lookback::Sitting`] no more than the day
    /// before the newest request, if there is one.
    pub(crate) fn scoped(&self, mut pool: Pool, kind: KindFilter, span: Lookback) -> Result<Selection> {
        let sitting = newest(&pool.requests).filter(|_| span == Lookback::Sitting);
        let (from, to) = match sitting {
            // A named log may go on behind the newest request: that is in scope too.
            Some(newest) => (Some(newest.plus_ms(-SITTING_MS)), pool.joined.newest_task().max(Some(newest))),
            None => (self.filter.since, self.filter.until),
        };
        pool.keep_within(from, to);
        let Pool { mut requests, mut rest, skipped, places, seen, kinds, newest, joined, .. } = pool;
        let mut others: Vec<Request> =
            requests.extract_if(.., |request| !kind.admits(request.kind)).collect();
        if let Some(last) = self.filter.last {
            rest.extend(requests.drain(..requests.len().saturating_sub(last)));
            let first = requests.first().map(Request::order);
            rest.extend(others.extract_if(.., |other| first.is_none_or(|first| other.order() < first)));
        }
        let scope = Scope::new(from, to, kind, seen as u64);
        let is_logged = joined.unmatched.iter().any(|one| scope.holds(one.start));
        // A log may tell of loads and of prompts that were cut, and of no request.
        let has_only_events = joined.unmatched.is_empty() && !joined.server_logs.is_empty() && seen == 0;
        let do_logs_suffice = self.logs_suffice && (is_logged || has_only_events);
        if requests.is_empty() && skipped.is_empty() && !do_logs_suffice {
            return Err(match seen {
                0 => nothing_read(places, &joined),
                _ => SelectError::NothingLeft { seen, kinds, kind, newest },
            });
        }
        Ok(Selection {
            requests,
            others,
            rest,
            scope,
            is_sitting: sitting.is_some(),
            are_others_meant: kind == KindFilter::Only(Kind::Conversation) && self.filter.last.is_none(),
            skipped,
            joined,
        })
    }
}

/// The error where no request was recorded: nor logged, or logged at another time.
fn nothing_read(places: Vec<PathBuf>, joined: &Joined) -> SelectError {
    let starts = || joined.unmatched.iter().filter_map(|one| one.start);
    match joined.unmatched.len() {
        0 => SelectError::NoTraces(places),
        logged => SelectError::NothingLogged { logged, first: starts().min(), last: starts().max() },
    }
}
