//! Reads requests as a filter says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::{Result, SelectError};
use super::filter::Filter;
use super::pool::{Pool, newest};
use super::selection::{Selection, WARM_UP_MS};
use super::selector::{Field, Selector, resolve};
use crate::cost;
use crate::error::Error;
use crate::formats::anyclaude::log::ParsedLog;
use crate::formats::backend::BackendLog;
use crate::formats::record::TraceRecord;
use crate::model::request::{Kind, ModelSource, Request, TracePath};
use crate::model::scope::{KindFilter, Scope};
use crate::model::time::Timestamp;
use crate::prompt_cache::{CacheOptions, PrefixVisitor, Prompts, element_text};
use crate::read::{LogFile, ServerLogFile, Store, TraceFile, paths, record_of_body};
use crate::recording::RequestSet;
use crate::recording::join::UnmatchedLogRequest;
use crate::recording::join::server::LoggedTask;
use crate::recording::server_log::requests_of;
use crate::tokens::{PromptTokens, count_tokens};

/// How far back a sitting reaches: a day.
const SITTING_MS: i64 = 24 * 60 * 60 * 1000;

/// How much of what is read will be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    /// The day before the newest request.
    Sitting,
    /// All of it.
    Whole,
}

/// Reads requests as the filters say.
#[derive(Debug)]
pub struct Reader {
    pub(super) filter: Filter,
    store: Store,
    pub(super) kind: KindFilter,
    /// Further logs, which the user names.
    captures: Vec<LogFile<ParsedLog>>,
    /// The logs of servers, and what of them could not be used.
    server_logs: (Vec<LogFile<BackendLog>>, Vec<Error>),
    /// The bodies that they hold.
    logged_bodies: HashMap<TracePath, TraceRecord>,
    /// What the prompts of these are made of, until it is asked for.
    logged_prompts: Mutex<Vec<(TraceFile, PrefixVisitor)>>,
    /// Whether what servers' logs tell of without a request line is a request too.
    are_tasks_requests: bool,
    /// Whether logs without traces will do.
    logs_suffice: bool,
    /// What all prompts are made of, where that is asked for.
    prompts: Option<Mutex<Prompts>>,
    /// Whether prompts are looked at for the parts of time alone, which logs tell.
    prompts_need_logs: bool,
    /// The cache that they pass through.
    cache: CacheOptions,
    /// Which labels named the model of some request, or why not yet.
    label_hits: Mutex<Vec<Result<bool>>>,
}

impl Reader {
    /// A reader of what the filter admits. `default_kind` holds where it names no kind.
    ///
    /// # Errors
    ///
    /// When a root does not exist that the filter names.
    pub fn new(filter: Filter, default_kind: KindFilter) -> Result<Self> {
        if let Some(missing) =
            filter.roots.iter().find(|root| filter.roots_must_exist && !paths::is_folder(root))
        {
            return Err(SelectError::NoRoot(missing.clone()));
        }
        let store = Store::default().with_max_file_bytes(filter.max_file_bytes);
        let (logs, mut unusable) = store.server_logs_with(&filter.server_logs, PrefixVisitor::default);
        let is_named = |error: &Error| filter.server_logs.iter().any(|named| named == error.path());
        if let Some(named) = unusable.iter().position(is_named) {
            return Err(unusable.swap_remove(named).into());
        }
        let (mut server_logs, mut logged_prompts) = (Vec::new(), Vec::new());
        for ServerLogFile { file, bodies } in logs {
            let bytes = usize::try_from(file.content.bytes).unwrap_or(usize::MAX);
            let prompt = |(number, body, seen)| {
                let path = TracePath::of_record(file.path.as_path(), number);
                Some((TraceFile { path, record: record_of_body(bytes, body)? }, seen))
            };
            logged_prompts.extend(bodies.into_iter().filter_map(prompt));
            server_logs.push(file);
        }
        let record = |(file, _): &(TraceFile, _)| (file.path.clone(), file.record.clone());
        Ok(Self {
            logs_suffice: !filter.server_logs.is_empty(),
            server_logs: (server_logs, unusable),
            logged_bodies: logged_prompts.iter().map(record).collect(),
            logged_prompts: Mutex::new(logged_prompts),
            are_tasks_requests: false,
            store,
            kind: filter.kind.unwrap_or(default_kind),
            captures: Vec::new(),
            prompts: None,
            prompts_need_logs: false,
            cache: CacheOptions::default(),
            label_hits: Mutex::new(filter.labels.iter().map(|_| Ok(false)).collect()),
            filter,
        })
    }

    /// Reads further logs, and takes logs without traces.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read.
    pub fn with_logs(mut self, logs: &[PathBuf]) -> Result<Self> {
        self.captures = logs.iter().map(|log| self.store.log(log)).collect::<std::result::Result<_, _>>()?;
        self.logs_suffice = true;
        Ok(self)
    }

    /// Sees also what prompts are made of, and the day before the scope, in which a
    /// cache was filled, and fills the parts of every request's time by a simulated
    /// cache.
    #[must_use]
    pub fn with_costs(mut self, cache: CacheOptions) -> Self {
        (self.prompts, self.cache) = (Some(Mutex::default()), cache);
        self
    }

    /// The same for answers that show times and nothing else of prompts: without logs
    /// there are no times, and prompts are passed over. Of 20,000 files of 10 kB without
    /// logs, reading takes 1.8 times as long with them.
    #[must_use]
    pub fn with_times(mut self, cache: CacheOptions) -> Self {
        self.prompts_need_logs = true;
        self.with_costs(cache)
    }

    /// Takes every task of a server's log as a request, for answers that sum up.
    #[must_use]
    pub fn with_tasks(self) -> Self {
        Self { are_tasks_requests: true, ..self }
    }

    /// What the prompts of all that was read are made of.
    #[must_use]
    pub fn into_prompts(self) -> Prompts {
        self.prompts
            .map(|prompts| prompts.into_inner().unwrap_or_else(PoisonError::into_inner))
            .unwrap_or_default()
    }

    /// Looks at what the prompts of all that was read are made of.
    pub(crate) fn with_prompts<T>(&self, look: impl FnOnce(&Prompts) -> T) -> T {
        match &self.prompts {
            Some(prompts) => look(&locked(prompts)),
            None => look(&Prompts::default()),
        }
    }

    /// How the prompt cache is simulated.
    #[must_use]
    pub fn cache(&self) -> CacheOptions {
        self.cache
    }

    /// What reads files for it.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The kind of request that it admits.
    #[must_use]
    pub fn kind(&self) -> KindFilter {
        self.kind
    }

    /// The requests of these inputs in one; without any, of the last sitting.
    ///
    /// # Errors
    ///
    /// When an input names nothing, or nothing passes the filter.
    pub fn select(&self, inputs: &[OsString]) -> Result<Selection> {
        let selectors = inputs.iter().map(|input| self.selector(input)).collect::<Result<Vec<_>>>()?;
        let paths: Vec<&Path> = selectors.iter().filter_map(Selector::path).collect();
        let mut whole = !inputs.is_empty()
            || self.filter.is_whole
            || self.filter.since.is_some()
            || self.filter.until.is_some();
        let mut pool = if paths.is_empty() { Pool::default() } else { self.read(&paths, Span::Whole)? };
        if paths.len() < selectors.len() || selectors.is_empty() {
            let mut recorded = self.read_roots(if whole { Span::Whole } else { Span::Sitting })?;
            // A log that is named is taken whole, as an input is.
            whole |= recorded.is_of_logs;
            if !selectors.is_empty() {
                let picked = self.pick_any(&recorded.requests, &selectors)?;
                recorded.keep(picked);
            }
            pool.add(recorded);
        }
        self.check_labels()?;
        self.scoped(pool, self.kind, !whole)
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
            (Some(path), _) => self.read(&[path], Span::Whole)?,
            (None, Some(recorded)) => self.picked(recorded, selector)?,
            (None, none) => self.picked(none.insert(self.read_roots(Span::Whole)?), selector)?,
        };
        self.scoped(pool, self.kind_of(selector, self.kind), false)
    }

    /// Everything below the roots, and at these paths besides.
    pub(crate) fn read_all(&self, besides: &[PathBuf]) -> Result<Pool> {
        let besides: Vec<&Path> = besides.iter().map(AsRef::as_ref).collect();
        let mut pool = if besides.is_empty() { Pool::default() } else { self.read(&besides, Span::Whole)? };
        if besides.is_empty() || !self.filter.roots.is_empty() {
            pool.add(self.read_roots(Span::Whole)?);
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
            picked = self.read(&[path], Span::Whole)?;
        }
        self.scoped(picked, self.kind_of(selector, default_kind), false)
    }

    /// A file that is named is taken whatever its kind.
    fn kind_of(&self, selector: &Selector, default_kind: KindFilter) -> KindFilter {
        let named_file = selector.path().is_some_and(|path| !paths::is_folder(path));
        self.kind_or(if named_file { KindFilter::All } else { default_kind })
    }

    /// The kind of request that the filter names, else this.
    pub(crate) fn kind_or(&self, default_kind: KindFilter) -> KindFilter {
        self.filter.kind.unwrap_or(default_kind)
    }

    /// What the selector picks of a pool, with all others besides: they tell how a model's
    /// backend counts and how fast it is.
    fn picked(&self, pool: &mut Pool, selector: &Selector) -> Result<Pool> {
        let requests = self.pick(&pool.requests, selector)?;
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
        let Some(path) = selector.path() else { return self.read_roots(Span::Whole) };
        let path = self.found(path);
        must_exist(&path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        self.read(&[folder.unwrap_or(Path::new("."))], Span::Whole)
    }

    /// The newest of these requests, `back` before the last one. Whatever kinds the reader
    /// admits by default, it counts those that the user chose, else the conversation: it
    /// is the same request for every question.
    fn latest<'p>(&self, pool: &'p [Request], back: usize) -> Result<&'p Request> {
        let kind = self.filter.kind.unwrap_or(KindFilter::Only(Kind::Conversation));
        let of_kind = pool.iter().filter(|request| kind.admits(request.kind));
        let requests = of_kind.clone().count();
        of_kind.rev().nth(back).ok_or(SelectError::TooFewRequests { back, requests, kind })
    }

    /// What this selector picks of these requests.
    pub(super) fn pick(&self, pool: &[Request], selector: &Selector) -> Result<Vec<Request>> {
        match selector {
            Selector::Path(path) => {
                let found = paths::canonical(&self.found(path));
                let folder = found.map_err(|source| SelectError::Io { path: path.clone(), source })?;
                let below = |file: &Path| paths::canonical(file).is_ok_and(|file| file.starts_with(&folder));
                let of_path = |request: &&Request| request.paths.iter().any(|file| below(file.as_ref()));
                Ok(pool.iter().filter(of_path).cloned().collect())
            }
            Selector::Latest(back) => Ok(vec![self.latest(pool, *back)?.clone()]),
            Selector::Named(field, name) => {
                let name = resolve(pool, *field, name)?;
                Ok(pool.iter().filter(|request| field.of(request) == Some(&name)).cloned().collect())
            }
        }
    }

    fn pick_any(&self, pool: &[Request], selectors: &[Selector]) -> Result<Vec<Request>> {
        let mut picked = Vec::new();
        for selector in selectors.iter().filter(|selector| selector.path().is_none()) {
            picked.extend(self.pick(pool, selector)?);
        }
        Ok(picked)
    }

    /// Everything below the roots.
    fn read_roots(&self, span: Span) -> Result<Pool> {
        let traces: Vec<PathBuf> = self.filter.roots.iter().map(|root| root.join("traces")).collect();
        let existing: Vec<&PathBuf> = traces.iter().filter(|traces| paths::is_folder(traces)).collect();
        let set = if existing.is_empty() { RequestSet::default() } else { self.request_set(&existing) };
        if set.requests.is_empty() && set.skipped.is_empty() && !self.logs_suffice {
            return Err(SelectError::NothingRecorded(traces));
        }
        let pool = Pool { places: traces, ..self.joined(set, &self.filter.roots, span)? };
        let is_logged = !pool.joined.runs.is_empty() || !pool.joined.server_logs.is_empty();
        if pool.seen == 0 && pool.skipped.is_empty() && !is_logged {
            return Err(SelectError::NothingRecorded(pool.places));
        }
        Ok(pool)
    }

    fn read(&self, named: &[&Path], span: Span) -> Result<Pool> {
        let paths: Vec<PathBuf> = named.iter().map(|path| self.resolved(path)).collect();
        paths.iter().try_for_each(|path| must_exist(path))?;
        let requests = self.request_set(&paths);
        let roots = if requests.requests.is_empty() { self.roots_of_logs(named) } else { Vec::new() };
        let pool = self.joined(requests, &roots, span)?;
        Ok(Pool { places: paths, ..pool })
    }

    /// Those of these folders that hold logs, where logs without traces will do.
    fn roots_of_logs(&self, named: &[&Path]) -> Vec<PathBuf> {
        let holds_logs = |folder: &&&Path| self.logs_suffice && paths::is_folder(&folder.join("logs"));
        named.iter().filter(holds_logs).map(|folder| folder.to_path_buf()).collect()
    }

    fn request_set(&self, paths: &[impl AsRef<Path>]) -> RequestSet {
        let are_needed = !self.prompts_need_logs
            || !self.captures.is_empty()
            || !self.server_logs.0.is_empty()
            || self.have_logs(paths);
        let Some(prompts) = self.prompts.as_ref().filter(|_| are_needed) else {
            return RequestSet::read(&self.store, paths);
        };
        let prompts = &mut *locked(prompts);
        RequestSet::read_with(&self.store, paths, PrefixVisitor::default, |file, seen| {
            prompts.add(file, seen)
        })
    }

    /// Whether any of these folders and files has logs beside its traces.
    fn have_logs(&self, traces: &[impl AsRef<Path>]) -> bool {
        let has_logs =
            |root: PathBuf| ["logs", "request-logs"].iter().any(|logs| paths::is_folder(&root.join(logs)));
        // A root is found by a file below it.
        let roots = traces.iter().filter_map(|path| self.store.root_of(&path.as_ref().join("any.json")));
        let roots = roots.chain(self.filter.roots.iter().cloned());
        roots.into_iter().any(has_logs)
    }

    /// A folder that holds `traces/` stands for that.
    fn resolved(&self, path: &Path) -> PathBuf {
        let traces = path.join("traces");
        if paths::is_folder(&traces) { traces } else { self.found(path) }
    }

    /// The bare name of a trace, as `list` shows it, stands for the file below a root.
    pub(crate) fn found(&self, path: &Path) -> PathBuf {
        let is_bare = path.parent().is_some_and(|parent| parent.as_os_str().is_empty());
        if !is_bare || !paths::is_missing(path) {
            return path.to_owned();
        }
        let mut below =
            self.filter.roots.iter().filter_map(|root| paths::file_in_subfolders(&root.join("traces"), path));
        below.next().unwrap_or_else(|| path.to_owned())
    }

    /// Joins what was read with the logs of its time, names models as the user
    /// says, and keeps what the filters admit.
    fn joined(&self, mut set: RequestSet, roots: &[PathBuf], span: Span) -> Result<Pool> {
        let is_of_logs = set.requests.is_empty();
        if let Some(window) = self.window(&set.requests, span) {
            set.join_logs(&self.store, roots, window.clone(), &self.captures);
            self.join_server_logs(&mut set, window);
        }
        let RequestSet { requests, skipped, joined, .. } = set;
        let newest = newest(&requests);
        let seen = requests.len();
        let mut pool = Pool { seen, newest, requests, skipped, joined, is_of_logs, ..Pool::default() };
        for request in &pool.requests {
            *pool.kinds.entry(request.kind).or_default() += 1;
        }
        self.label(&mut pool.requests)?;
        self.fit_costs(&mut pool);
        self.filter(&mut pool)?;
        Ok(pool)
    }

    /// Joins requests with the servers' logs that are named, and with those of LM Studio that
    /// are found beside them. Of these only what is a request's counts: others use the server
    /// too.
    fn join_server_logs(&self, set: &mut RequestSet, window: RangeInclusive<Timestamp>) {
        let (named, unusable) = &self.server_logs;
        set.skipped.extend(unusable.iter().cloned());
        if !named.is_empty() {
            let recorded = set.requests.len();
            let unmatched = set.take_server_logs(&self.store, window.clone(), named, self.filter.log_zone);
            self.take_tasks(set, unmatched);
            if recorded == 0 {
                return;
            }
        }
        let Some(home) = self.filter.lm_studio_home.as_ref().filter(|_| !set.requests.is_empty()) else {
            return;
        };
        let found = Store::lm_studio_logs(home, &window);
        let (found, unusable) = self.store.other_server_logs(&found, named);
        set.skipped.extend(unusable);
        if !found.is_empty() {
            set.join_found_server_logs(&self.store, window, &found, self.filter.log_zone);
        }
    }

    /// Adds what only the servers' logs tell of: requests, and tasks without a request line.
    fn take_tasks(&self, set: &mut RequestSet, unmatched: Vec<LoggedTask>) {
        let logs = &self.server_logs.0;
        let is_request = |logged: &LoggedTask| {
            let task = logs.get(logged.log).and_then(|log| log.content.tasks.get(logged.task));
            self.are_tasks_requests || task.is_some_and(|task| task.request.is_some())
        };
        let (requests, others): (Vec<_>, Vec<_>) = unmatched.into_iter().partition(is_request);
        set.requests.extend(requests_of(requests, logs, &self.logged_bodies));
        set.requests.sort_by(|a, b| a.order().cmp(&b.order()));
        set.joined.unmatched.extend(others.into_iter().map(|logged| logged.found));
        set.joined.unmatched.sort_by_key(UnmatchedLogRequest::order);
        if let Some(prompts) = &self.prompts {
            let prompts = &mut *locked(prompts);
            for (file, seen) in locked(&self.logged_prompts).drain(..) {
                prompts.add(&file, seen);
            }
        }
    }

    /// Fills the parts of time of all that was read, root by root: what was recorded
    /// elsewhere went through another cache.
    fn fit_costs(&self, pool: &mut Pool) {
        let Some(prompts) = &self.prompts else { return };
        let has_times = |request: &Request| {
            let is_started = request.timing.as_ref().is_some_and(|timing| timing.start.is_some());
            is_started || request.server_task().is_some()
        };
        if !pool.requests.iter().any(has_times) && pool.joined.unmatched.is_empty() {
            return;
        }
        let prompts = &*locked(prompts);
        let mut by_root: BTreeMap<Option<PathBuf>, Vec<&mut Request>> = BTreeMap::new();
        for request in &mut pool.requests {
            by_root.entry(self.store.root_of(request.path.as_ref())).or_default().push(request);
        }
        if by_root.is_empty() {
            by_root.insert(None, Vec::new());
        }
        let is_only_root = by_root.len() == 1;
        for (root, requests) in &mut by_root {
            let runs: HashSet<Arc<str>> = requests.iter().filter_map(|request| request.run.clone()).collect();
            let mut elsewhere: Vec<UnmatchedLogRequest> = Vec::new();
            let is_here = |one: &mut UnmatchedLogRequest| {
                let is_of_run = one.run.as_ref().is_some_and(|run| runs.contains(run));
                is_only_root || is_of_run || one.root.is_some() && one.root.as_deref() == root.as_deref()
            };
            elsewhere.extend(pool.joined.unmatched.extract_if(.., is_here));
            let mut fetch = |path: &_, place| element_text(&self.store, path, place);
            let mut uncounted = Vec::new();
            let mut estimate = |requests: &[&Request]| {
                let (counted, errors) = count_tokens(&self.store, requests.iter().copied());
                uncounted.extend(errors);
                requests.iter().map(|request| counted.get(&request.path).map(PromptTokens::total)).collect()
            };
            let unread =
                cost::fit_simulated(requests, &mut elsewhere, prompts, self.cache, &mut fetch, &mut estimate);
            pool.skipped.extend(uncounted);
            pool.skipped.extend(unread);
            pool.joined.unmatched.extend(elsewhere);
        }
        pool.joined.unmatched.sort_by_key(UnmatchedLogRequest::order);
    }

    /// The time of which logs are read: no more than is asked for, as logs
    /// outweigh traces. A model can only be told from others by all logs.
    fn window(&self, requests: &[Request], span: Span) -> Option<RangeInclusive<Timestamp>> {
        let filter = &self.filter;
        let by_name = filter.model.is_some() || filter.run.is_some() || !filter.labels.is_empty();
        let (first, last) = match (requests.first().and_then(|first| first.timestamp), newest(requests)) {
            (Some(first), Some(last)) => (first, last),
            _ if self.logs_suffice => all_time()?.into_inner(),
            _ => return None,
        };
        // A cache was filled before what is looked at.
        let warm_up_ms = if self.prompts.is_some() { WARM_UP_MS } else { 0 };
        // Without traces nothing tells yet when the last sitting was.
        let is_sitting = span == Span::Sitting && !by_name && newest(requests).is_some();
        let first = if is_sitting { last.plus_ms(-SITTING_MS - warm_up_ms) } else { first };
        let since = self.filter.since.map_or(first, |since| since.plus_ms(-warm_up_ms));
        Some(first.max(since)..=last.min(self.filter.until.unwrap_or(last)))
    }

    /// Names models as the labels say. A label need not find anything in every
    /// place that is read: see [`check_labels`](Self::check_labels).
    fn label(&self, requests: &mut [Request]) -> Result<()> {
        for (label, hit) in self.filter.labels.iter().zip(locked(&self.label_hits).iter_mut()) {
            let picked = match self.pick(requests, &Selector::parse(&label.input)?) {
                Ok(picked) => picked,
                Err(error) => {
                    if !matches!(hit, Ok(true)) {
                        *hit = Err(error);
                    }
                    continue;
                }
            };
            let picked: HashSet<TracePath> = picked.into_iter().map(|request| request.path).collect();
            for request in requests.iter_mut().filter(|request| picked.contains(&request.path)) {
                request.model = Some(label.model.as_str().into());
                request.model_source = Some(ModelSource::Label);
                *hit = Ok(true);
            }
        }
        Ok(())
    }

    /// Fails if a label found no request in anything that was read.
    pub(super) fn check_labels(&self) -> Result<()> {
        for (label, hit) in self.filter.labels.iter().zip(locked(&self.label_hits).iter_mut()) {
            let reason = match std::mem::replace(hit, Ok(true)) {
                Ok(true) => continue,
                Ok(false) => None,
                Err(error) => Some(Box::new(error)),
            };
            return Err(SelectError::Label {
                model: label.model.clone(),
                input: label.input.clone(),
                reason,
            });
        }
        Ok(())
    }

    fn filter(&self, pool: &mut Pool) -> Result<()> {
        let filter = &self.filter;
        let fields = [
            (Field::Mode, &filter.mode),
            (Field::Model, &filter.model),
            (Field::Session, &filter.session),
            (Field::Run, &filter.run),
        ];
        for (field, name) in fields {
            if let (Some(name), false) = (name, pool.requests.is_empty()) {
                let name = resolve(&pool.requests, field, name)
                    .map_err(|source| SelectError::Filter { field, source: Box::new(source) })?;
                pool.retain(|request| field.of(request) == Some(&name));
            }
        }
        pool.keep_within(self.filter.since, self.filter.until);
        Ok(())
    }

    /// Keeps of a pool what scope and kind admit; with `sitting`, no more than
    /// the day before the newest request, if there is one.
    pub(crate) fn scoped(&self, pool: Pool, kind: KindFilter, sitting: bool) -> Result<Selection> {
        let sitting = newest(&pool.requests).filter(|_| sitting);
        let (from, to) = match sitting {
            Some(newest) => (Some(newest.plus_ms(-SITTING_MS)), Some(newest)),
            None => (self.filter.since, self.filter.until),
        };
        let mut pool = pool;
        pool.keep_within(from, to);
        let Pool { mut requests, mut rest, skipped, places, seen, kinds, newest, joined, .. } = pool;
        let others: Vec<Request> = requests.extract_if(.., |request| !kind.admits(request.kind)).collect();
        if let Some(last) = self.filter.last {
            rest.extend(requests.drain(..requests.len().saturating_sub(last)));
        }
        let scope = Scope::new(from, to, kind, seen as u64);
        let is_logged = joined.unmatched.iter().any(|one| scope.holds(one.start));
        // A log may tell of loads and of prompts that were cut, and of no request.
        let is_told = joined.unmatched.is_empty() && !joined.server_logs.is_empty() && seen == 0;
        let logs_only = self.logs_suffice && (is_logged || is_told);
        if requests.is_empty() && skipped.is_empty() && !logs_only {
            return Err(match (seen, joined.unmatched.len()) {
                (0, 0) => SelectError::NoTraces(places),
                (0, logged) => SelectError::NothingLogged {
                    logged,
                    first: joined.unmatched.iter().filter_map(|one| one.start).min(),
                    last: joined.unmatched.iter().filter_map(|one| one.start).max(),
                },
                _ => SelectError::NothingLeft { seen, kinds, kind, newest },
            });
        }
        Ok(Selection { requests, others, rest, scope, is_sitting: sitting.is_some(), skipped, joined })
    }
}

/// Longer than anything was ever recorded.
pub(super) fn all_time() -> Option<RangeInclusive<Timestamp>> {
    Some(Timestamp::from_unix_ms(0)?..=Timestamp::from_unix_ms(i64::from(u32::MAX) * 1000)?)
}

/// What a thread that panicked left is as good as before: it is only ever added to.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn must_exist(path: &Path) -> Result<()> {
    let missing = || SelectError::NotFound { path: path.to_owned(), models: Vec::new() };
    if paths::is_missing(path) { Err(missing()) } else { Ok(()) }
}
