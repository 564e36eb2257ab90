//! INPUT, selectors, scope and filters → requests.

mod explain;
mod pool;
mod selector;
mod sides;
mod tokens;

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyclaude_traces::Error;
use anyclaude_traces::Recording;
use anyclaude_traces::Request;
use anyclaude_traces::Store;
use anyclaude_traces::Timestamp;
use anyclaude_traces::analysis::prefix::{CacheInput, PrefixVisitor, Prompts};
use anyclaude_traces::error::Skipped;
use anyclaude_traces::formats::anyclaude::log::ParsedLog;
use anyclaude_traces::model::request::{ModelSource, TracePath};
use anyclaude_traces::model::scope::{KindFilter, Scope};
use anyclaude_traces::read::LogFile;
use anyclaude_traces::recording::join::Joined;
use anyhow::{Context as _, bail};
use chrono::Local;
use explain::{explain_missing, nothing_left, nothing_recorded};
pub(crate) use pool::Pool;
use pool::newest;
pub(crate) use pool::within;
use selector::resolve;
pub(crate) use selector::{Field, Selector};
pub(crate) use sides::{FEW_MODELS, FewModels, Side, Sides, faster_first, last_two_models};

use crate::cli::Filter;
use crate::parse::{End, Label, parse_moment};

/// How far back a sitting reaches.
const SITTING_MS: i64 = 24 * 60 * 60 * 1000;

/// How far before the scope a cache may have been filled.
const WARM_UP_MS: i64 = SITTING_MS;

/// How much of what is read will be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Span {
    /// The day before the newest request.
    Sitting,
    /// All of it.
    Whole,
}

/// Reads requests as the filters say.
pub(crate) struct Reader<'a> {
    filter: &'a Filter,
    store: Store,
    roots: Vec<PathBuf>,
    pub(crate) kind: KindFilter,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Further logs, which `timing --log` names.
    captures: Vec<LogFile<ParsedLog>>,
    /// Whether logs without traces will do.
    logs_suffice: bool,
    /// What all prompts are made of, where that is asked for.
    prompts: Option<RefCell<Prompts>>,
    /// Which labels named the model of some request, or why not yet.
    label_hits: RefCell<Vec<anyhow::Result<bool>>>,
}

/// The requests that a verb is about.
pub(crate) struct Selection {
    /// Those of the chosen kind, in order of time.
    pub(crate) requests: Vec<Request>,
    /// Those of other kinds in the same time.
    pub(crate) others: Vec<Request>,
    /// All others that were read.
    pub(crate) rest: Vec<Request>,
    pub(crate) scope: Scope,
    /// Whether the scope is the last sitting, as nothing else was asked for.
    pub(crate) is_sitting: bool,
    pub(crate) skipped: Vec<Error>,
    pub(crate) joined: Joined,
}

impl Selection {
    pub(crate) fn skipped_list(&self) -> Vec<Skipped> {
        self.skipped.iter().map(Skipped::from).collect()
    }

    /// Requests of every kind, in order of time.
    pub(crate) fn of_all_kinds(&self) -> Vec<&Request> {
        let mut all: Vec<&Request> = self.requests.iter().chain(&self.others).collect();
        all.sort_by(|a, b| a.order().cmp(&b.order()));
        all
    }

    /// Everything that passed through a cache from a day before the scope on,
    /// whatever the other filters show of it.
    pub(crate) fn passing(&self) -> Vec<CacheInput<'_>> {
        let from = self.scope.from.map(|from| from.plus_ms(-WARM_UP_MS));
        let hidden = self.others.iter().chain(&self.rest);
        let hidden = hidden.filter(|request| within(request, from, self.scope.to));
        let shown = self.requests.iter().map(|request| CacheInput { request, reported: true });
        in_order(shown.chain(hidden.map(|request| CacheInput { request, reported: false })))
    }
}

/// All of them in the order of time, each once; one that is shown is shown.
fn in_order<'a>(passing: impl Iterator<Item = CacheInput<'a>>) -> Vec<CacheInput<'a>> {
    let mut all: Vec<CacheInput<'_>> = passing.collect();
    all.sort_by(|a, b| a.request.order().cmp(&b.request.order()).then(b.reported.cmp(&a.reported)));
    all.dedup_by(|a, b| a.request.path == b.request.path);
    all
}

impl<'a> Reader<'a> {
    pub(crate) fn new(filter: &'a Filter, default_kind: KindFilter) -> anyhow::Result<Self> {
        filter.labels.iter().try_for_each(Label::check)?;
        let now = Local::now();
        let moment =
            |text: &Option<String>, end| text.as_deref().map(|text| parse_moment(text, end, now)).transpose();
        let roots = roots(filter)?;
        Ok(Self {
            filter,
            store: Store::default().with_max_file_bytes(filter.max_file_size),
            roots,
            kind: filter.kind.map_or(default_kind, KindFilter::from),
            since: moment(&filter.since, End::Since).context("--since")?,
            until: moment(&filter.until, End::Until).context("--until")?,
            captures: Vec::new(),
            logs_suffice: false,
            prompts: None,
            label_hits: RefCell::new(filter.labels.iter().map(|_| Ok(false)).collect()),
        })
    }

    /// Reads further logs, and takes logs without traces.
    pub(crate) fn with_logs(mut self, logs: &[PathBuf]) -> anyhow::Result<Self> {
        let captures: Result<_, _> = logs.iter().map(|log| self.store.log(log)).collect();
        self.captures = captures?;
        self.logs_suffice = true;
        Ok(self)
    }

    /// Sees also what prompts are made of, and the day before the scope, in which
    /// a cache was filled.
    pub(crate) fn with_prompts(mut self) -> Self {
        self.prompts = Some(RefCell::default());
        self
    }

    /// What the prompts of all that was read are made of.
    pub(crate) fn into_prompts(self) -> Prompts {
        self.prompts.map(RefCell::into_inner).unwrap_or_default()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The requests of these inputs in one; without any, of the last sitting.
    pub(crate) fn select(&self, inputs: &[OsString]) -> anyhow::Result<Selection> {
        let selectors = inputs.iter().map(|input| Selector::parse(input)).collect::<Result<Vec<_>, _>>()?;
        let paths: Vec<&Path> = selectors.iter().filter_map(Selector::path).collect();
        let whole = !inputs.is_empty() || self.filter.all || self.since.is_some() || self.until.is_some();
        let mut pool = if paths.is_empty() { Pool::default() } else { self.read(&paths, Span::Whole)? };
        if paths.len() < selectors.len() || selectors.is_empty() {
            let mut recorded = self.read_root(if whole { Span::Whole } else { Span::Sitting })?;
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
    fn whole_scope(&self, seen: u64) -> Scope {
        Scope::new(self.since, self.until, self.kind, seen)
    }

    /// The requests of each input by itself. What is below the root is read once.
    pub(crate) fn select_each(&self, selectors: &[&Selector]) -> anyhow::Result<Vec<Selection>> {
        let mut recorded: Option<Pool> = None;
        let mut select = |selector: &Selector| {
            let pool = match (selector.path(), &mut recorded) {
                (Some(path), _) => self.read(&[path], Span::Whole)?,
                (None, Some(recorded)) => self.picked(recorded, selector)?,
                (None, none) => self.picked(none.insert(self.read_root(Span::Whole)?), selector)?,
            };
            self.scoped(pool, self.kind_of(selector), false)
        };
        let selections =
            selectors.iter().map(|selector| select(selector)).collect::<anyhow::Result<Vec<_>>>()?;
        self.check_labels()?;
        Ok(selections)
    }

    /// A file that is named is taken whatever its kind.
    fn kind_of(&self, selector: &Selector) -> KindFilter {
        let named_file = selector.path().is_some_and(|path| !path.is_dir());
        if named_file && self.filter.kind.is_none() { KindFilter::All } else { self.kind }
    }

    fn picked(&self, pool: &mut Pool, selector: &Selector) -> anyhow::Result<Pool> {
        Ok(Pool {
            requests: self.pick(&pool.requests, selector)?,
            rest: Vec::new(),
            skipped: std::mem::take(&mut pool.skipped),
            joined: pool.joined.clone(),
            places: pool.places.clone(),
            seen: pool.seen,
            kinds: pool.kinds.clone(),
            newest: pool.newest,
        })
    }

    /// Everything that the selector is found among: the folder of a file, else
    /// all that is below the root.
    pub(crate) fn surroundings(&self, selector: &Selector) -> anyhow::Result<Pool> {
        let Some(path) = selector.path() else { return self.read_root(Span::Whole) };
        let path = self.found(path);
        explain_missing(&path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        self.read(&[folder.unwrap_or(Path::new("."))], Span::Whole)
    }

    /// The newest of the requests in a pool that the kind admits, `back` before
    /// the last one.
    pub(crate) fn latest<'p>(&self, pool: &'p [Request], back: usize) -> anyhow::Result<&'p Request> {
        let of_kind = pool.iter().filter(|request| self.kind.admits(request.kind));
        of_kind.clone().rev().nth(back).with_context(|| {
            let name = if back == 0 { "latest".to_owned() } else { format!("latest~{back}") };
            format!("`{name}`: there are {} requests (kind {})", of_kind.count(), self.kind.name())
        })
    }

    /// What this selector picks of the requests below the root.
    pub(crate) fn pick(&self, pool: &[Request], selector: &Selector) -> anyhow::Result<Vec<Request>> {
        match selector {
            Selector::Path(path) => {
                let path =
                    fs::canonicalize(self.found(path)).with_context(|| format!("{}", path.display()))?;
                let below = |file: &Path| fs::canonicalize(file).is_ok_and(|file| file.starts_with(&path));
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

    fn pick_any(&self, pool: &[Request], selectors: &[Selector]) -> anyhow::Result<Vec<Request>> {
        let mut picked = Vec::new();
        for selector in selectors.iter().filter(|selector| selector.path().is_none()) {
            picked.extend(self.pick(pool, selector)?);
        }
        Ok(picked)
    }

    /// Everything below the roots.
    fn read_root(&self, span: Span) -> anyhow::Result<Pool> {
        let traces: Vec<PathBuf> = self.roots.iter().map(|root| root.join("traces")).collect();
        let existing: Vec<&PathBuf> = traces.iter().filter(|traces| traces.is_dir()).collect();
        let recording = if existing.is_empty() { Recording::default() } else { self.recording(&existing) };
        if recording.requests.is_empty() && recording.skipped.is_empty() && !self.logs_suffice {
            bail!(nothing_recorded(&traces));
        }
        let pool = Pool { places: traces, ..self.joined(recording, &self.roots, span)? };
        if pool.seen == 0 && pool.skipped.is_empty() && pool.joined.runs.is_empty() {
            bail!(nothing_recorded(&pool.places));
        }
        Ok(pool)
    }

    fn read(&self, paths: &[&Path], span: Span) -> anyhow::Result<Pool> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| self.resolved(path)).collect();
        paths.iter().try_for_each(|path| explain_missing(path))?;
        let pool = self.joined(self.recording(&paths), &[], span)?;
        Ok(Pool { places: paths, ..pool })
    }

    fn recording(&self, paths: &[impl AsRef<Path>]) -> Recording {
        let Some(prompts) = &self.prompts else { return Recording::read(&self.store, paths) };
        let prompts = &mut *prompts.borrow_mut();
        Recording::read_with(&self.store, paths, PrefixVisitor::default, |file, seen| prompts.add(file, seen))
    }

    /// A folder that holds `traces/` stands for that.
    fn resolved(&self, path: &Path) -> PathBuf {
        let traces = path.join("traces");
        if traces.is_dir() { traces } else { self.found(path) }
    }

    /// The bare name of a trace, as `list` shows it, stands for the file below a root.
    fn found(&self, path: &Path) -> PathBuf {
        let is_bare = path.parent().is_some_and(|parent| parent.as_os_str().is_empty());
        let folders = self.roots.iter().map(|root| fs::read_dir(root.join("traces")));
        let modes = folders.flatten().flatten().flatten();
        let mut below = modes.map(|mode| mode.path().join(path)).filter(|file| file.is_file());
        let found = if is_bare && !path.exists() { below.next() } else { None };
        found.unwrap_or_else(|| path.to_owned())
    }

    /// Joins what was read with the logs of its time, names models as the user
    /// says, and keeps what the filters admit.
    fn joined(&self, mut recording: Recording, roots: &[PathBuf], span: Span) -> anyhow::Result<Pool> {
        if let Some(window) = self.window(&recording.requests, span) {
            recording.join_logs(&self.store, roots, window, &self.captures);
        }
        let Recording { requests, skipped, joined, .. } = recording;
        let newest = newest(&requests);
        let seen = requests.len();
        let mut pool = Pool { seen, newest, requests, skipped, joined, ..Pool::default() };
        for request in &pool.requests {
            *pool.kinds.entry(request.kind).or_default() += 1;
        }
        self.label(&mut pool.requests)?;
        self.filter(&mut pool)?;
        Ok(pool)
    }

    /// The time of which logs are read: no more than is asked for, as logs
    /// outweigh traces. A model can only be told from others by all logs.
    fn window(&self, requests: &[Request], span: Span) -> Option<RangeInclusive<Timestamp>> {
        let filter = self.filter;
        let by_name = filter.model.is_some() || filter.run.is_some() || !filter.labels.is_empty();
        let (first, last) = match (requests.first().and_then(|first| first.timestamp), newest(requests)) {
            (Some(first), Some(last)) => (first, last),
            _ if self.logs_suffice => {
                (Timestamp::from_unix_ms(0)?, Timestamp::from_unix_ms(i64::from(u32::MAX) * 1000)?)
            }
            _ => return None,
        };
        // A cache was filled before what is looked at.
        let warm_up_ms = if self.prompts.is_some() { WARM_UP_MS } else { 0 };
        let is_sitting = span == Span::Sitting && !by_name;
        let first = if is_sitting { last.plus_ms(-SITTING_MS - warm_up_ms) } else { first };
        let since = self.since.map_or(first, |since| since.plus_ms(-warm_up_ms));
        Some(first.max(since)..=last.min(self.until.unwrap_or(last)))
    }

    /// Names models as the labels say. A label need not find anything in every
    /// place that is read: see [`check_labels`](Self::check_labels).
    fn label(&self, requests: &mut [Request]) -> anyhow::Result<()> {
        for (label, hit) in self.filter.labels.iter().zip(self.label_hits.borrow_mut().iter_mut()) {
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
    pub(crate) fn check_labels(&self) -> anyhow::Result<()> {
        for (label, hit) in self.filter.labels.iter().zip(self.label_hits.borrow_mut().iter_mut()) {
            let name = format!("--label {}={}", label.model, label.input.to_string_lossy());
            match std::mem::replace(hit, Ok(true)) {
                Ok(true) => {}
                Ok(false) => bail!("{name}: no request is there to name"),
                Err(error) => return Err(error.context(name)),
            }
        }
        Ok(())
    }

    fn filter(&self, pool: &mut Pool) -> anyhow::Result<()> {
        let filter = self.filter;
        let fields = [
            (Field::Mode, &filter.mode),
            (Field::Model, &filter.model),
            (Field::Session, &filter.session),
            (Field::Run, &filter.run),
        ];
        for (field, name) in fields {
            if let (Some(name), false) = (name, pool.requests.is_empty()) {
                let name =
                    resolve(&pool.requests, field, name).with_context(|| format!("--{}", field.name()))?;
                pool.retain(|request| field.of(request) == Some(&name));
            }
        }
        pool.keep_within(self.since, self.until);
        Ok(())
    }

    /// Keeps of a pool what scope and kind admit; with `sitting`, no more than
    /// the day before the newest request.
    pub(crate) fn scoped(&self, pool: Pool, kind: KindFilter, sitting: bool) -> anyhow::Result<Selection> {
        let logged = pool.joined.unmatched.iter().map(|unmatched| unmatched.start).max();
        let newest = newest(&pool.requests).or(logged);
        let sitting = newest.filter(|_| sitting);
        let (from, to) = match sitting {
            Some(newest) => (Some(newest.plus_ms(-SITTING_MS)), Some(newest)),
            None => (self.since, self.until),
        };
        let mut pool = pool;
        pool.keep_within(from, to);
        let Pool { mut requests, mut rest, skipped, places, seen, kinds, newest, joined } = pool;
        let others: Vec<Request> = requests.extract_if(.., |request| !kind.admits(request.kind)).collect();
        if let Some(last) = self.filter.last {
            rest.extend(requests.drain(..requests.len().saturating_sub(last)));
        }
        let logs_only = self.logs_suffice && !joined.runs.is_empty();
        if requests.is_empty() && skipped.is_empty() && !logs_only {
            bail!(nothing_left(&places, seen, &kinds, kind, newest));
        }
        let scope = Scope::new(from, to, kind, seen as u64);
        Ok(Selection { requests, others, rest, scope, is_sitting: sitting.is_some(), skipped, joined })
    }
}

/// The roots that are named, which must exist, or else `~/.anyclaude`.
fn roots(filter: &Filter) -> anyhow::Result<Vec<PathBuf>> {
    if let Some(missing) = filter.roots.iter().find(|root| !root.is_dir()) {
        bail!("--root: there is no folder {}", missing.display());
    }
    if !filter.roots.is_empty() {
        return Ok(filter.roots.clone());
    }
    let home =
        std::env::home_dir().context("your home folder is unknown; name the folder with --root DIR")?;
    Ok(vec![home.join(".anyclaude")])
}
