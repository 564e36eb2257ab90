//! Reads what is below roots and at paths, joined with its logs and with its costs fitted.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{Result, SelectError};
use super::pool::{Pool, newest};
use super::reader::{Reader, SITTING_MS, locked};
use super::selection::{Selection, WARM_UP_MS};
use super::selector::{Field, Selector, resolve};
use crate::cost;
use crate::error::Error;
use crate::formats::backend::BackendLog;
use crate::model::SimulatedReuse;
use crate::model::request::{ModelSource, Request, TracePath};
use crate::model::sort::{sort_by, sort_by_key};
use crate::model::time::Timestamp;
use crate::prompt_cache::{ElementTexts, PrefixVisitor, Prompts};
use crate::read::{LogFile, Store, TraceFile, paths};
use crate::recording::join::UnmatchedLogRequest;
use crate::recording::join::server::{LoggedTask, ServerLogs};
use crate::recording::server_log::requests_of;
use crate::recording::{RequestSet, by_root};
use crate::tokens::count_tokens;

/// How much of what was recorded is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookback {
    /// The day before the newest request.
    Sitting,
    /// All of it.
    Whole,
}

impl Reader {
    /// Everything below the roots.
    pub(super) fn read_roots(&self, span: Lookback) -> Result<Pool> {
        let traces: Vec<PathBuf> = self.filter.roots.iter().map(|root| recorded_below(root)).collect();
        let existing: Vec<&PathBuf> = traces.iter().filter(|traces| paths::is_folder(traces)).collect();
        let set = if existing.is_empty() { RequestSet::default() } else { self.request_set(&existing) };
        if set.requests.is_empty() && set.skipped.is_empty() && !self.logs_suffice {
            return Err(self.nothing_recorded(traces));
        }
        let mut pool = self.fitted(set, &self.filter.roots, span)?;
        self.filter(&mut pool)?;
        let pool = Pool { places: traces, ..pool };
        let is_logged = !pool.joined.runs.is_empty() || !pool.joined.server_logs.is_empty();
        if pool.seen == 0 && pool.skipped.is_empty() && !is_logged {
            return Err(self.nothing_recorded(pool.places));
        }
        Ok(pool)
    }

    fn nothing_recorded(&self, places: Vec<PathBuf>) -> SelectError {
        let near = self.filter.roots.iter().flat_map(|root| roots_near(root)).collect();
        let homes = self.filter.lm_studio_home.iter();
        let server_logs = homes.flat_map(|home| Store::lm_studio_folders_in_use(home)).collect();
        SelectError::NothingRecorded { places, near, server_logs }
    }

    /// What is at these paths. The files and folders that are parts of a root with logs are
    /// read with all of it: the requests beside them tell how fast its models are, and what
    /// its caches held.
    pub(super) fn read(&self, named: &[&Path], span: Lookback) -> Result<Pool> {
        let paths: Vec<PathBuf> = named.iter().map(|path| self.resolved(path)).collect();
        let mut on_disk = paths.iter().filter(|path| !self.store.is_standard_input(path));
        on_disk.try_for_each(|path| must_exist(path))?;
        let roots = self.roots_around(&paths);
        let mut pool = if roots.is_empty() {
            let set = self.request_set(&paths);
            let roots = if set.requests.is_empty() { self.roots_of_logs(named) } else { Vec::new() };
            self.fitted(set, &roots, span)?
        } else {
            self.read_within(&paths, &roots, span)?
        };
        self.filter(&mut pool)?;
        // What is named stands among what its folder holds.
        let mut seen = HashSet::new();
        pool.skipped.retain(|error| seen.insert(error.to_string()));
        Ok(Pool { places: paths, ..pool })
    }

    /// The folders of traces that these paths are parts of, where requests beside them tell
    /// more of their times.
    fn roots_around(&self, paths: &[PathBuf]) -> Vec<PathBuf> {
        let mut around: Vec<PathBuf> = Vec::new();
        for path in paths.iter().filter(|path| self.prompts.is_some() && self.have_logs(&[path])) {
            let is_traces = |folder: &&Path| folder.file_name().is_some_and(|name| name == "traces");
            // Written as the path is, so that all are of one root.
            let written = path.ancestors().skip(1).find(is_traces).map(Path::to_owned);
            let is_whole = path.file_name().is_some_and(|name| name == "traces");
            let traces = written.or_else(|| Some(self.store.root_of(path)?.join("traces")));
            around.extend(traces.filter(|_| !is_whole));
        }
        around.sort();
        around.dedup();
        let named: HashSet<&PathBuf> = paths.iter().collect();
        around.retain(|traces| !named.contains(traces));
        around
    }

    /// What is at these paths, as it is known by all that is recorded around them.
    fn read_within(&self, named: &[PathBuf], around: &[PathBuf], span: Lookback) -> Result<Pool> {
        // A file that two of them reach is found once, by the first.
        let all: Vec<&PathBuf> = named.iter().chain(around).collect();
        let mut pool = self.fitted(self.request_set(&all), &[], span)?;
        let named = paths::NamedPaths::of(named);
        let is_named = |file: &Path| named.hold(file);
        let of_files = |request: &Request, all: bool| {
            let mut files = request.paths.iter().map(|file| is_named(file.as_ref()));
            if all { files.all(|is_named| is_named) } else { files.any(|is_named| is_named) }
        };
        // A file that is named is taken alone: what belongs to it elsewhere is left out.
        let mut parted: Vec<PathBuf> = Vec::new();
        for request in pool.requests.extract_if(.., |one| of_files(one, false) && !of_files(one, true)) {
            let files = request.paths.iter().map(|file| file.as_ref().to_owned());
            parted.extend(files.filter(|file| is_named(file)));
        }
        if !parted.is_empty() {
            let alone = self.fitted(self.request_set(&parted), &[], span)?;
            pool.requests.extend(alone.requests);
            pool.requests.sort_by(|a, b| a.order().cmp(&b.order()));
        }
        pool.retain(|request| of_files(request, true));
        pool.skipped.retain(|error| is_named(error.path()));
        let runs: HashSet<&Arc<str>> =
            pool.requests.iter().filter_map(|request| request.run.as_ref()).collect();
        pool.joined.unmatched.retain(|unmatched| unmatched.run.as_ref().is_none_or(|run| runs.contains(run)));
        pool.joined.empty_logs.clear();
        pool.count();
        Ok(pool)
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
        let set = RequestSet::read_with(&self.store, paths, PrefixVisitor::default, |file, seen| {
            prompts.add(file, seen)
        });
        prompts.shrink();
        set
    }

    /// What is known of requests that somebody else has read: joined, with costs, and only
    /// what passes the filters; of all that, what is in scope. `None` where nothing is.
    pub(crate) fn selection_of(&self, set: RequestSet) -> Option<Selection> {
        let span = if self.filter.is_whole { Lookback::Whole } else { Lookback::Sitting };
        let mut pool = self.fitted(set, &self.filter.roots, span).ok()?;
        // A filter may name what is not there yet: then nothing is selected.
        self.filter(&mut pool).ok()?;
        let has_bounds = self.filter.since.is_some() || self.filter.until.is_some();
        let span = if has_bounds { Lookback::Whole } else { span };
        self.scoped(pool, self.kind, span).ok()
    }

    /// Adds what was read of one more file.
    pub(crate) fn add_prompt(&self, file: &TraceFile, seen: PrefixVisitor) {
        if let Some(prompts) = &self.prompts {
            locked(prompts).add(file, seen);
        }
    }

    /// Reads logs as they grow.
    pub(crate) fn with_growing_logs(self) -> Self {
        Self { store: self.store.with_growing_logs(), ..self }
    }

    /// The servers' logs that are named.
    pub(crate) fn named_server_logs(&self) -> impl Iterator<Item = &Path> {
        self.server_logs.0.iter().map(|log| &*log.path)
    }

    /// Takes what a server's log holds by now that is named, or stands in a folder that is.
    pub(crate) fn take_server_log(&mut self, log: LogFile<BackendLog>) {
        let known = self.server_logs.0.iter_mut().find(|known| known.path == log.path);
        let folders = || self.filter.server_logs.iter().filter(|named| paths::is_folder(named));
        match known {
            Some(known) => *known = log,
            None if folders().any(|folder| log.path.starts_with(folder)) => self.server_logs.0.push(log),
            None => {}
        }
    }

    /// Whether any of these folders and files has logs beside its traces, or holds a root that has.
    fn have_logs(&self, traces: &[impl AsRef<Path>]) -> bool {
        // A root is found by a file below it.
        let roots = traces.iter().filter_map(|path| self.store.root_of(&path.as_ref().join("any.json")));
        let mut roots = roots.chain(self.filter.roots.iter().cloned());
        let mut named =
            traces.iter().map(AsRef::as_ref).chain(self.filter.roots.iter().map(PathBuf::as_path));
        roots.any(|root| has_logs(&root)) || named.any(|path| paths::has_folder(path, holds_times))
    }

    /// A folder that holds `traces/` stands for that.
    pub(super) fn resolved(&self, path: &Path) -> PathBuf {
        let traces = path.join("traces");
        if paths::is_folder(&traces) { traces } else { self.found(path) }
    }

    /// Joins what was read with the logs of its time, names models as the user says, and
    /// fills the parts of its times.
    fn fitted(&self, mut set: RequestSet, roots: &[PathBuf], span: Lookback) -> Result<Pool> {
        let is_of_logs = set.requests.is_empty();
        if let Some(window) = self.window(&set.requests, span) {
            set.join_logs(&self.store, roots, window.clone(), &self.captures);
            self.join_server_logs(&mut set, window);
        }
        let RequestSet { requests, skipped, joined, .. } = set;
        let mut pool = Pool { requests, skipped, joined, is_of_logs, ..Pool::default() };
        pool.count();
        self.label(&mut pool.requests)?;
        self.fit_costs(&mut pool);
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
            let logs = match locked(&self.given_tasks).take() {
                Some(tasks) => ServerLogs::with_tasks(named, tasks),
                None => named.as_slice().into(),
            };
            let unmatched = set.take_server_logs(&self.store, window.clone(), logs, &self.filter.log_zone);
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
            set.join_found_server_logs(&self.store, window, &found, &self.filter.log_zone);
        }
    }

    /// Adds what only the servers' logs tell of: requests, and tasks without a request line.
    fn take_tasks(&self, set: &mut RequestSet, mut unmatched: Vec<LoggedTask>) {
        let logs = &self.server_logs.0;
        // Beside recorded requests, what nobody recorded is no side of a comparison.
        let are_requests = self.are_tasks_requests && set.requests.is_empty();
        let is_request = |logged: &LoggedTask| are_requests || logged.has_request_line;
        let others: Vec<LoggedTask> = unmatched.extract_if(.., |logged| !is_request(logged)).collect();
        let found = requests_of(unmatched, logs, &self.logged_bodies);
        if set.requests.is_empty() {
            // No copy of what may be very many.
            set.requests = found;
        } else {
            set.requests.extend(found);
        }
        sort_by(&mut set.requests, |a, b| a.order().cmp(&b.order()));
        set.joined.unmatched.extend(others.into_iter().map(|logged| logged.found));
        sort_by_key(&mut set.joined.unmatched, UnmatchedLogRequest::order);
    }

    /// Fills the parts of time of all that was read, root by root: each root's requests went
    /// through a cache of their own.
    fn fit_costs(&self, pool: &mut Pool) {
        let Some(prompts) = &self.prompts else { return };
        let has_times = |request: &Request| {
            let is_started = request.timing.as_ref().is_some_and(|timing| timing.start.is_some());
            is_started || request.server_task().is_some()
        };
        if !pool.requests.iter().any(has_times) && pool.joined.unmatched.is_empty() {
            return;
        }
        let mut by_root = by_root(&self.store, pool.requests.iter_mut());
        if by_root.is_empty() {
            by_root.push((None, Vec::new()));
        }
        let simulated = |(_, requests): &(Option<PathBuf>, Vec<&mut Request>)| {
            let mut texts = ElementTexts::new(&self.store);
            let mut fetch = |path: &_, place| texts.read(path, place);
            cost::simulated_reuse(requests, &locked(prompts), self.cache, &mut fetch)
        };
        let simulated: Vec<(Vec<SimulatedReuse>, Vec<Error>)> = by_root.iter().map(simulated).collect();
        if self.prompts_need_logs && self.logged_bodies.is_empty() {
            // Nobody looks at them again. Where requests are short, they took a fifth of all memory.
            *locked(prompts) = Prompts::default();
        }
        let is_only_root = by_root.len() == 1;
        for ((root, requests), (reuse, unread)) in by_root.iter_mut().zip(simulated) {
            let mut elsewhere =
                elsewhere_of(&mut pool.joined.unmatched, requests, root.as_deref(), is_only_root);
            let mut uncounted = Vec::new();
            let mut estimate = |requests: &[&Request]| {
                let (counted, errors) = count_tokens(&self.store, requests.iter().copied());
                uncounted.extend(errors);
                requests.iter().map(|request| Some(counted.get(&request.path)?.total())).collect()
            };
            cost::fit_simulated(requests, &mut elsewhere, reuse, &mut estimate);
            pool.skipped.extend(uncounted);
            pool.skipped.extend(unread);
            pool.joined.unmatched.extend(elsewhere);
        }
        sort_by_key(&mut pool.joined.unmatched, UnmatchedLogRequest::order);
    }

    /// The time of which logs are read. It is no more than is asked for, as logs are larger than
    /// traces; but where a model, a process or a label is asked for, all logs are needed to tell
    /// them apart.
    fn window(&self, requests: &[Request], span: Lookback) -> Option<RangeInclusive<Timestamp>> {
        let filter = &self.filter;
        let by_name = filter.model.is_some() || filter.run.is_some() || !filter.labels.is_empty();
        let (first, last) = match (requests.first().and_then(|first| first.timestamp), newest(requests)) {
            (Some(first), Some(last)) => (first, last),
            // All logs, to tell what there is where the filters leave nothing.
            _ if self.logs_suffice => return all_time(),
            _ => return None,
        };
        // The simulated cache starts with what was sent before the scope.
        let warm_up_ms = if self.prompts.is_some() { WARM_UP_MS } else { 0 };
        // Without traces it is not known yet when the last sitting was.
        let is_sitting = span == Lookback::Sitting && !by_name && newest(requests).is_some();
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
}

/// Takes the requests that only logs know of, and that were answered by the backend of one root's
/// requests: all where there is no other root.
fn elsewhere_of(
    unmatched: &mut Vec<UnmatchedLogRequest>,
    requests: &[&mut Request],
    root: Option<&Path>,
    is_only_root: bool,
) -> Vec<UnmatchedLogRequest> {
    let runs: HashSet<Arc<str>> = requests.iter().filter_map(|request| request.run.clone()).collect();
    let is_here = |one: &mut UnmatchedLogRequest| {
        let is_of_run = one.run.as_ref().is_some_and(|run| runs.contains(run));
        is_only_root || is_of_run || one.root.is_some() && one.root.as_deref() == root
    };
    unmatched.extract_if(.., is_here).collect()
}

/// Where the requests of a root are: in its `traces`, unless it is a recording itself.
pub(crate) fn recorded_below(root: &Path) -> PathBuf {
    let traces = root.join("traces");
    if is_recording(root) && !paths::is_folder(&traces) { root.to_owned() } else { traces }
}

/// The roots that a folder may have been named for: the one in a home folder, the one
/// around a folder of traces.
fn roots_near(folder: &Path) -> Vec<PathBuf> {
    let around = folder.parent().filter(|_| folder.ends_with("traces"));
    let near = [Some(folder.join(".anyclaude")), around.map(Path::to_owned)];
    near.into_iter().flatten().filter(|near| paths::is_folder(&recorded_below(near))).collect()
}

/// Whether the folder of a root has logs.
fn has_logs(root: &Path) -> bool {
    ["logs", "request-logs"].iter().any(|logs| paths::is_folder(&root.join(logs)))
}

/// Whether it is known when the requests in this folder were sent: by logs beside it, or because
/// the client recorded itself.
fn holds_times(folder: &Path) -> bool {
    let is_traces = folder.file_name().is_some_and(|name| name == "traces");
    is_recording(folder) || is_traces && folder.parent().is_some_and(has_logs)
}

/// Whether a folder is a recording that Claude Code made of itself.
fn is_recording(folder: &Path) -> bool {
    ["bodies", "logs.jsonl", "traces.jsonl"].iter().any(|name| !paths::is_missing(&folder.join(name)))
}

/// Longer than anything was ever recorded.
pub(super) fn all_time() -> Option<RangeInclusive<Timestamp>> {
    Some(Timestamp::from_unix_ms(0)?..=Timestamp::from_unix_ms(i64::from(u32::MAX) * 1000)?)
}

pub(super) fn must_exist(path: &Path) -> Result<()> {
    let missing = || SelectError::NotFound { path: path.to_owned(), models: Vec::new() };
    if paths::is_missing(path) { Err(missing()) } else { Ok(()) }
}
