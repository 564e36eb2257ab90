//! INPUT, selectors, scope and filters → requests.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyclaude_traces::error::Skipped;
use anyclaude_traces::request::{ModelSource, TracePath};
use anyclaude_traces::scope::{KindFilter, Scope};
use anyclaude_traces::{Error, Kind, Recording, Request, Store, Timestamp};
use anyhow::{Context as _, anyhow, bail};
use chrono::Local;

use crate::cli::Filter;
use crate::duration::{End, parse_moment};

/// How far back a sitting reaches.
const SITTING_MS: i64 = 24 * 60 * 60 * 1000;

/// What the user pointed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    /// A file or folder.
    Path(PathBuf),
    /// The N-th request before the newest.
    Latest(usize),
    /// The requests that have this in common.
    Named(Field, String),
}

/// What requests can have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Mode,
    Model,
    Session,
    Run,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Model => "model",
            Self::Session => "session",
            Self::Run => "run",
        }
    }

    pub(crate) fn of(self, request: &Request) -> Option<&Arc<str>> {
        match self {
            Self::Mode => request.mode.as_ref(),
            Self::Model => request.model.as_ref(),
            Self::Session => request.session.as_ref(),
            Self::Run => request.run.as_ref(),
        }
    }
}

impl Selector {
    pub(crate) fn parse(input: &OsStr) -> anyhow::Result<Self> {
        let path = || Self::Path(PathBuf::from(input));
        let Some(text) = input.to_str() else { return Ok(path()) };
        if text == "latest" {
            return Ok(Self::Latest(0));
        }
        if let Some(back) = text.strip_prefix("latest~") {
            let back = back.parse().map_err(|_| anyhow!("`{text}`: write a whole number after `latest~`"))?;
            return Ok(Self::Latest(back));
        }
        let named = [Field::Model, Field::Session, Field::Run].into_iter().find_map(|field| {
            let name = text.strip_prefix(field.name())?.strip_prefix(':')?;
            Some(Self::Named(field, name.to_owned()))
        });
        Ok(named.unwrap_or_else(path))
    }

    /// The file or folder that it is.
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Latest(_) | Self::Named(..) => None,
        }
    }

    /// Whether it means one request, not a group.
    pub(crate) fn is_single(&self) -> bool {
        match self {
            Self::Path(path) => !path.is_dir(),
            Self::Latest(_) => true,
            Self::Named(..) => false,
        }
    }
}

/// Reads requests as the filters say.
pub(crate) struct Reader<'a> {
    filter: &'a Filter,
    store: Store,
    root: PathBuf,
    pub(crate) kind: KindFilter,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Which labels named the model of some request.
    label_hits: RefCell<Vec<bool>>,
}

/// The requests that a verb is about.
pub(crate) struct Selection {
    /// Those of the chosen kind, in order of time.
    pub(crate) requests: Vec<Request>,
    /// Those of other kinds in the same time.
    pub(crate) others: Vec<Request>,
    pub(crate) scope: Scope,
    /// Whether the scope is the last sitting, as nothing else was asked for.
    pub(crate) is_sitting: bool,
    pub(crate) skipped: Vec<Error>,
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
}

/// What was read, before any scope.
pub(crate) struct Pool {
    pub(crate) requests: Vec<Request>,
    pub(crate) skipped: Vec<Error>,
    seen: usize,
    /// The kinds of all that was seen, to say what there was.
    kinds: BTreeMap<Kind, usize>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(filter: &'a Filter, default_kind: KindFilter) -> anyhow::Result<Self> {
        let now = Local::now();
        let moment =
            |text: &Option<String>, end| text.as_deref().map(|text| parse_moment(text, end, now)).transpose();
        let root = filter.root.clone().map_or_else(default_root, Ok)?;
        Ok(Self {
            filter,
            store: Store::default().with_max_file_bytes(filter.max_file_size),
            root,
            kind: filter.kind.map_or(default_kind, KindFilter::from),
            since: moment(&filter.since, End::Since).context("--since")?,
            until: moment(&filter.until, End::Until).context("--until")?,
            label_hits: RefCell::new(vec![false; filter.labels.len()]),
        })
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The requests of these inputs in one; without any, of the last sitting.
    pub(crate) fn select(&self, inputs: &[OsString]) -> anyhow::Result<Selection> {
        let selectors = inputs.iter().map(|input| Selector::parse(input)).collect::<Result<Vec<_>, _>>()?;
        let paths: Vec<&Path> = selectors.iter().filter_map(Selector::path).collect();
        let mut pool = self.read(&paths)?;
        if paths.len() < selectors.len() || selectors.is_empty() {
            let mut recorded = self.read_root()?;
            if !selectors.is_empty() {
                recorded.requests = self.pick_any(&recorded.requests, &selectors)?;
            }
            pool.add(recorded);
        }
        self.check_labels(&pool.requests)?;
        let whole = !inputs.is_empty() || self.filter.all || self.since.is_some() || self.until.is_some();
        self.scoped(pool, self.kind, !whole)
    }

    /// The requests of each input by itself. What is below the root is read once.
    pub(crate) fn select_each(&self, selectors: &[&Selector]) -> anyhow::Result<Vec<Selection>> {
        let mut recorded: Option<Pool> = None;
        let mut select = |selector: &Selector| {
            let pool = match (selector.path(), &mut recorded) {
                (Some(path), _) => self.read(&[path])?,
                (None, Some(recorded)) => self.picked(recorded, selector)?,
                (None, none) => self.picked(none.insert(self.read_root()?), selector)?,
            };
            self.scoped(pool, self.kind_of(selector), false)
        };
        let selections =
            selectors.iter().map(|selector| select(selector)).collect::<anyhow::Result<Vec<_>>>()?;
        self.check_labels(selections.last().map_or(&[], |last| last.requests.as_slice()))?;
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
            skipped: std::mem::take(&mut pool.skipped),
            seen: pool.seen,
            kinds: pool.kinds.clone(),
        })
    }

    /// Everything that the selector is found among: the folder of a file, else
    /// all that is below the root.
    pub(crate) fn surroundings(&self, selector: &Selector) -> anyhow::Result<Pool> {
        let Some(path) = selector.path() else { return self.read_root() };
        explain_missing(path)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        self.read(&[folder.unwrap_or(Path::new("."))])
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
                let path = fs::canonicalize(path).with_context(|| format!("{}", path.display()))?;
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

    /// Everything below the root.
    pub(crate) fn read_root(&self) -> anyhow::Result<Pool> {
        let traces = self.root.join("traces");
        if !traces.is_dir() {
            bail!(nothing_recorded(&traces));
        }
        let pool = self.read(&[&traces])?;
        if pool.seen == 0 && pool.skipped.is_empty() {
            bail!(nothing_recorded(&traces));
        }
        Ok(pool)
    }

    fn read(&self, paths: &[&Path]) -> anyhow::Result<Pool> {
        paths.iter().try_for_each(|path| explain_missing(path))?;
        let paths = paths.iter().map(|path| traces_of(path));
        let Recording { requests, skipped, .. } = Recording::read(&self.store, paths);
        let mut pool = Pool { seen: requests.len(), kinds: BTreeMap::new(), requests, skipped };
        for request in &pool.requests {
            *pool.kinds.entry(request.kind).or_default() += 1;
        }
        self.label(&mut pool.requests)?;
        self.filter(&mut pool.requests)?;
        Ok(pool)
    }

    /// Names models as the labels say. A label need not find anything in every
    /// place that is read: see [`check_labels`](Self::check_labels).
    fn label(&self, requests: &mut [Request]) -> anyhow::Result<()> {
        for (label, hit) in self.filter.labels.iter().zip(self.label_hits.borrow_mut().iter_mut()) {
            let selector = Selector::parse(label.input.as_ref())?;
            let Ok(picked) = self.pick(requests, &selector) else { continue };
            let picked: HashSet<TracePath> = picked.into_iter().map(|request| request.path).collect();
            for request in requests.iter_mut().filter(|request| picked.contains(&request.path)) {
                request.model = Some(label.model.as_str().into());
                request.model_source = Some(ModelSource::Label);
                *hit = true;
            }
        }
        Ok(())
    }

    /// Fails if a label found no request in anything that was read.
    fn check_labels(&self, requests: &[Request]) -> anyhow::Result<()> {
        for (label, hit) in self.filter.labels.iter().zip(self.label_hits.borrow().iter()) {
            if !hit {
                let picked = self.pick(requests, &Selector::parse(label.input.as_ref())?);
                let name = format!("--label {}={}", label.model, label.input);
                picked.context(name.clone())?;
                bail!("{name}: no request is there to name");
            }
        }
        Ok(())
    }

    fn filter(&self, requests: &mut Vec<Request>) -> anyhow::Result<()> {
        let filter = self.filter;
        let fields = [
            (Field::Mode, &filter.mode),
            (Field::Model, &filter.model),
            (Field::Session, &filter.session),
            (Field::Run, &filter.run),
        ];
        for (field, name) in fields {
            if let (Some(name), false) = (name, requests.is_empty()) {
                let name = resolve(requests, field, name).with_context(|| format!("--{}", field.name()))?;
                requests.retain(|request| field.of(request) == Some(&name));
            }
        }
        requests.retain(|request| within(request, self.since, self.until));
        Ok(())
    }

    /// Keeps of a pool what scope and kind admit; with `sitting`, no more than
    /// the day before the newest request.
    pub(crate) fn scoped(&self, pool: Pool, kind: KindFilter, sitting: bool) -> anyhow::Result<Selection> {
        let newest = pool.requests.iter().filter_map(|request| request.timestamp).max();
        let sitting = newest.filter(|_| sitting);
        let (from, to) = match sitting {
            Some(newest) => (Some(newest.plus_ms(-SITTING_MS)), Some(newest)),
            None => (self.since, self.until),
        };
        let Pool { requests, skipped, seen, kinds } = pool;
        let in_time = requests.into_iter().filter(|request| within(request, from, to));
        let (mut requests, others): (Vec<Request>, Vec<Request>) =
            in_time.partition(|request| kind.admits(request.kind));
        if let Some(last) = self.filter.last {
            requests.drain(..requests.len().saturating_sub(last));
        }
        if requests.is_empty() && skipped.is_empty() {
            bail!(nothing_left(seen, &kinds, kind));
        }
        let scope = Scope::new(from, to, kind, seen as u64);
        Ok(Selection { requests, others, scope, is_sitting: sitting.is_some(), skipped })
    }
}

impl Pool {
    fn add(&mut self, other: Self) {
        self.seen += other.seen;
        for (kind, n) in other.kinds {
            *self.kinds.entry(kind).or_default() += n;
        }
        self.skipped.extend(other.skipped);
        self.requests.extend(other.requests);
        self.requests.sort_by(|a, b| a.order().cmp(&b.order()));
        self.requests.dedup_by(|a, b| a.path == b.path);
    }
}

fn within(request: &Request, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
    let after = since.is_none_or(|since| request.timestamp.is_some_and(|stamp| stamp >= since));
    let before = until.is_none_or(|until| request.timestamp.is_some_and(|stamp| stamp <= until));
    after && before
}

/// The one name among the requests that this is, or is a part of.
fn resolve(requests: &[Request], field: Field, part: &str) -> anyhow::Result<Arc<str>> {
    let mut names: Vec<&Arc<str>> = requests.iter().filter_map(|request| field.of(request)).collect();
    names.sort();
    names.dedup();
    if let Some(exact) = names.iter().find(|name| name.as_ref() == part) {
        return Ok(Arc::clone(exact));
    }
    let matching: Vec<&&Arc<str>> = names.iter().filter(|name| name.contains(part)).collect();
    let field = field.name();
    match matching.as_slice() {
        [one] => Ok(Arc::clone(one)),
        [] if names.is_empty() => Err(anyhow!(
            "no {field} is known for any of {} requests; --label NAME=INPUT names the model of some",
            requests.len()
        )),
        [] => {
            Err(anyhow!("no {field} has `{part}` in its name; there are: {}", listed(names.iter().copied())))
        }
        several => Err(anyhow!(
            "`{part}` is part of several {field}s: {}",
            listed(several.iter().map(|name| **name))
        )),
    }
}

fn listed<'n>(names: impl Iterator<Item = &'n Arc<str>>) -> String {
    const MOST: usize = 12;
    let names: Vec<&str> = names.map(AsRef::as_ref).collect();
    let shown = names.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(MOST);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// `~/.anyclaude`.
fn default_root() -> anyhow::Result<PathBuf> {
    let home =
        std::env::home_dir().context("your home folder is unknown; name the folder with --root DIR")?;
    Ok(home.join(".anyclaude"))
}

/// A folder that holds `traces/` stands for that.
fn traces_of(path: &Path) -> PathBuf {
    let traces = path.join("traces");
    if traces.is_dir() { traces } else { path.to_owned() }
}

fn explain_missing(path: &Path) -> anyhow::Result<()> {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(anyhow!(
            "{}: no such file or folder. An INPUT is a path, `latest`, `latest~N`, `model:NAME`, \
             `session:ID` or `run:ID`; `traces --help` lists the verbs",
            path.display()
        )),
        _ => Ok(()),
    }
}

fn nothing_recorded(traces: &Path) -> String {
    format!(
        "nothing is recorded in {} yet. Record a session with\n\n    ANYCLAUDE_DEBUG=2 anyclaude\n\n\
         or name another folder: traces FOLDER, or --root DIR",
        traces.display()
    )
}

fn nothing_left(seen: usize, kinds: &BTreeMap<Kind, usize>, kind: KindFilter) -> String {
    if seen == 0 {
        return "there are no traces (*.json) there".to_owned();
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} {}", kind.name())).collect();
    format!(
        "none of the {seen} requests passes the filters (kind {}). There are: {}. \
         --kind all takes every kind, --all every day",
        kind.name(),
        kinds.join(", ")
    )
}
