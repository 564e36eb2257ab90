//! Builds requests from the traces and logs of folders: assembles them, assigns sessions
//! and threads, and joins the logs.

pub mod assemble;
pub(crate) mod claude_code;
pub(crate) mod concurrency;
mod history;
pub mod join;
pub(crate) mod server_log;
mod session;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::error::{Error, ParseError, SkipReason};
use crate::formats::anyclaude::log::ParsedLog;
use crate::formats::backend::BackendLog;
use crate::formats::body::Visit;
use crate::formats::claude_code::FactsKind;
use crate::model::LogZone;
use crate::model::intern::NameHashing;
use crate::model::request::{Request, Source, folder_bytes};
use crate::model::time::Timestamp;
use crate::read::{FactsFile, LogFile, ReadOrder, Store, TraceFile, files_beside};
use crate::recording::assemble::RequestBuilder;
use crate::recording::join::server::{LoggedTask, OfRoot, ServerLogs, join_server_logs};
use crate::recording::join::{Joined, ServerLog, join};

/// The requests of some folders and files, before anything is selected of them.
/// [`Recording`](crate::Recording) goes the rest of the way.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct RequestSet {
    /// The requests, by time, then path.
    pub requests: Vec<Request>,
    /// Files and folders that could not be used.
    pub skipped: Vec<Error>,
    /// Facts from the logs, once [`join_logs`](Self::join_logs) has read them.
    pub joined: Joined,
}

impl RequestSet {
    /// Reads every trace at these paths.
    ///
    /// ```
    /// use anyclaude_traces::recording::RequestSet;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// # let trace = |n: u32| format!(
    /// #     r#"{{"timestamp": "2025-11-16T03:20:0{n}.000Z", "request": {{"body": {{"system": "Be brief.",
    /// #         "tools": [{{"name": "Bash"}}], "messages": [{{"role": "user", "content": "Hello {n}"}}]}}}}}}"#
    /// # );
    /// # std::fs::write(folder.join("a.json"), trace(1))?;
    /// # std::fs::write(folder.join("b.json"), trace(2))?;
    /// let set = RequestSet::read(&Default::default(), [folder]);
    /// for request in &set.requests {
    ///     assert!(request.sizes.body_bytes >= request.sizes.tools_bytes);
    /// }
    /// # assert_eq!(set.requests.len(), 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn read<P: AsRef<Path>>(store: &Store, paths: impl IntoIterator<Item = P>) -> Self {
        Self::read_all(store, ReadOrder::AsDone, paths, || (), |_, ()| ())
    }

    /// Like [`read`](Self::read), with a visitor that sees the content of each file. `fold`
    /// is called with each visitor, in the order of the files.
    #[must_use]
    pub fn read_with<P: AsRef<Path>, V: Visit + Send>(
        store: &Store,
        paths: impl IntoIterator<Item = P>,
        visitor: impl Fn() -> V + Sync,
        fold: impl FnMut(&TraceFile, V),
    ) -> Self {
        Self::read_all(store, ReadOrder::OfItems, paths, visitor, fold)
    }

    /// Puts together what was read of the files of some folders, all of them.
    pub(crate) fn of_files(
        files: impl IntoIterator<Item = TraceFile>,
        facts: &[FactsFile],
        skipped: Vec<Error>,
    ) -> Self {
        let mut builder = RequestBuilder::default();
        let (bodies, others): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| file.record.source == Source::ClaudeCode);
        others.into_iter().for_each(|file| builder.add(file));
        let mut joined = Joined::default();
        if !bodies.is_empty() || !facts.is_empty() {
            joined.unreadable_lines = facts.iter().map(|file| file.facts.unreadable_lines).sum();
            let records = claude_code::join(bodies, facts, facts.len());
            records.into_iter().for_each(|record| builder.add(record));
        }
        Self { requests: builder.requests(), skipped, joined }
    }

    fn read_all<P: AsRef<Path>, V: Visit + Send>(
        store: &Store,
        order: ReadOrder,
        paths: impl IntoIterator<Item = P>,
        visitor: impl Fn() -> V + Sync,
        mut fold: impl FnMut(&TraceFile, V),
    ) -> Self {
        let paths: Vec<P> = paths.into_iter().collect();
        let mut builder = RequestBuilder::default();
        // Of what Claude Code records itself, a request is known once all files are.
        let (mut bodies, mut facts) = (Vec::new(), Vec::new());
        let add = |file: TraceFile, seen: V| {
            fold(&file, seen);
            if file.record.source == Source::ClaudeCode {
                bodies.push(file);
            } else {
                builder.add(file);
            }
        };
        let mut skipped = store.find_and_scan(order, &paths, visitor, add, |file| facts.push(file));
        let mut joined = Joined::default();
        if !bodies.is_empty() || !facts.is_empty() {
            joined.unreadable_lines = facts.iter().map(|file: &FactsFile| file.facts.unreadable_lines).sum();
            bodies.sort_by(|a, b| a.path.cmp(&b.path));
            facts.sort_by(|a, b| a.path.cmp(&b.path));
            let asked = facts.len();
            facts.extend(facts_beside(store, &bodies, &facts));
            let records = claude_code::join(bodies, &facts, asked);
            let asked = facts.get(..asked).unwrap_or_default();
            skipped.extend(unused(asked, &records, &paths));
            let is_empty = builder.is_empty() && records.is_empty() && skipped.is_empty();
            skipped.extend(is_empty.then(|| alone(asked)).into_iter().flatten());
            records.into_iter().for_each(|record| builder.add(record));
        }
        let mut requests = builder.requests();
        concurrency::note_own(&mut requests);
        if skipped.iter().any(Error::is_of_other_json) {
            let others = folders_of_others(&requests);
            let is_beside =
                |error: &Error| error.path().parent().is_some_and(|folder| others.contains(folder));
            let named: HashSet<&Path> = paths.iter().map(AsRef::as_ref).collect();
            let is_named = |error: &Error| named.contains(error.path());
            skipped.retain(|error| !error.is_of_other_json() || is_named(error) || !is_beside(error));
        }
        Self { requests, skipped, joined }
    }

    /// Adds what servers' logs tell to the requests within `window`, root by root; see
    /// [`ServerLog`]. `zone` is that of times in the logs that name none,
    /// where the joins do not show it.
    pub fn join_server_logs(
        &mut self,
        store: &Store,
        window: RangeInclusive<Timestamp>,
        logs: &[LogFile<BackendLog>],
        zone: &LogZone,
    ) {
        let unmatched = self.take_server_logs(store, window, logs.into(), zone);
        let unmatched = unmatched.into_iter().map(|logged| logged.found).collect();
        self.joined.extend(Joined { unmatched, ..Joined::default() });
    }

    /// The same; returns the tasks that are none of its requests, by time.
    pub(crate) fn take_server_logs(
        &mut self,
        store: &Store,
        window: RangeInclusive<Timestamp>,
        logs: ServerLogs<'_>,
        zone: &LogZone,
    ) -> Vec<LoggedTask> {
        let (server_logs, unmatched) = self.joined_server_logs(store, &window, logs, zone);
        self.joined.extend(Joined { server_logs, ..Joined::default() });
        unmatched
    }

    /// The same with logs that nobody named: what else is in them is left out.
    pub(crate) fn join_found_server_logs(
        &mut self,
        store: &Store,
        window: RangeInclusive<Timestamp>,
        logs: &[LogFile<BackendLog>],
        zone: &LogZone,
    ) {
        let (mut server_logs, _) = self.joined_server_logs(store, &window, logs.into(), zone);
        server_logs.retain(|log| log.joined > 0);
        self.joined.extend(Joined { server_logs, ..Joined::default() });
    }

    fn joined_server_logs(
        &mut self,
        store: &Store,
        window: &RangeInclusive<Timestamp>,
        logs: ServerLogs<'_>,
        zone: &LogZone,
    ) -> (Vec<ServerLog>, Vec<LoggedTask>) {
        // What another log has told of already is not looked for.
        let is_wanted = |request: &&mut Request| {
            request.server_join.is_none() && request.timestamp.is_some_and(|stamp| window.contains(&stamp))
        };
        let mut by_root = by_root(store, self.requests.iter_mut().filter(is_wanted));
        let mut roots: Vec<OfRoot<'_, '_>> =
            by_root.iter_mut().map(|(root, requests)| OfRoot { root: root.clone(), requests }).collect();
        join_server_logs(&mut roots, logs, zone)
    }

    /// Reads the logs beside the traces, and adds their models and times to the requests
    /// within `window`. `roots` are folders whose logs are read even if none of their
    /// traces were read; `captures` are further logs.
    ///
    /// Logs that cannot be read are added to [`skipped`](Self::skipped).
    ///
    /// ```
    /// use anyclaude_traces::Store;
    /// use anyclaude_traces::recording::RequestSet;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    /// # let trace = |n: u32| format!(
    /// #     r#"{{"timestamp": "2025-11-16T03:20:0{n}.000Z", "request": {{"body": {{"system": "Be brief.",
    /// #         "tools": [{{"name": "Bash"}}], "messages": [{{"role": "user", "content": "Hello {n}"}}]}}}}}}"#
    /// # );
    /// # std::fs::write(folder.join("a.json"), trace(1))?;
    /// # std::fs::write(folder.join("b.json"), trace(2))?;
    /// let store = Store::default();
    /// let mut set = RequestSet::read(&store, [folder]);
    /// let window = "2025-11-16T00:00:00Z".parse()?..="2025-11-17T00:00:00Z".parse()?;
    /// set.join_logs(&store, &[], window, &[]);
    /// assert!(set.joined.runs.is_empty(), "there is no log beside these traces");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join_logs(
        &mut self,
        store: &Store,
        roots: &[PathBuf],
        window: RangeInclusive<Timestamp>,
        captures: &[LogFile<ParsedLog>],
    ) {
        let mut numbers = Roots::default();
        for root in roots {
            numbers.add(std::path::absolute(root).ok());
        }
        let mut by_number: BTreeMap<usize, Vec<&mut Request>> = BTreeMap::new();
        let in_time = |request: &&mut Request| request.timestamp.is_some_and(|stamp| window.contains(&stamp));
        for request in self.requests.iter_mut().filter(in_time) {
            by_number.entry(numbers.of(store, request.path.as_ref())).or_default().push(request);
        }
        if numbers.roots.is_empty() && !captures.is_empty() {
            numbers.add(None);
        }
        for (root, number) in numbers.roots {
            let mut requests = by_number.remove(&number).unwrap_or_default();
            let (logs, errors) = root.map(|root| store.logs(&root, window.clone())).unwrap_or_default();
            self.skipped.extend(errors);
            self.joined.extend(join(&mut requests, logs, captures.to_vec()));
        }
    }
}

/// What else the recordings of these bodies tell of them. What cannot be read tells nothing.
fn facts_beside(store: &Store, bodies: &[TraceFile], facts: &[FactsFile]) -> Vec<FactsFile> {
    let known: HashSet<&Path> = facts.iter().map(|file| &*file.path).collect();
    let folders: BTreeMap<Option<&Path>, &Path> =
        bodies.iter().map(|body| (body.path.file().parent(), body.path.file())).collect();
    let beside = folders.into_values().flat_map(files_beside);
    let beside: BTreeSet<PathBuf> = beside.filter(|file| !known.contains(&**file)).collect();
    let mut found = Vec::new();
    if !beside.is_empty() {
        store.find_and_scan(ReadOrder::OfItems, beside, || (), |_, ()| (), |file| found.push(file));
    }
    found
}

/// Files of facts that were named, and tell of no request.
fn unused(facts: &[FactsFile], records: &[TraceFile], named: &[impl AsRef<Path>]) -> Vec<Error> {
    let named: HashSet<&Path> = named.iter().map(AsRef::as_ref).collect();
    let is_named = |file: &&FactsFile| named.contains(&*file.path);
    let is_unused = |file: &&FactsFile| match file.facts.kind {
        FactsKind::Metrics | FactsKind::Receipt => true,
        _ => records.is_empty(),
    };
    let refuse = |file: &FactsFile| {
        let why = file.facts.kind.why_no_request();
        Error::new(&*file.path, ParseError::new(SkipReason::NotATrace, &[], 0, why))
    };
    facts.iter().filter(is_named).filter(is_unused).map(refuse).collect()
}

/// Where folders hold nothing else, the first of each kind of files that tell of no request
/// alone.
fn alone(facts: &[FactsFile]) -> Vec<Error> {
    let refuse = |kind: FactsKind| {
        let mut files = facts.iter().filter(move |file| file.facts.kind == kind);
        let (first, others) = (files.next()?, files.count());
        let why = match others {
            0 => kind.why_no_request().into(),
            others => Cow::from(format!("{} ({others} more of this kind)", kind.why_no_request())),
        };
        Some(Error::new(&*first.path, ParseError::new(SkipReason::NotATrace, &[], 0, why)))
    };
    [FactsKind::Transcript, FactsKind::OpenInference].into_iter().filter_map(refuse).collect()
}

/// The folders with recordings of others than anyclaude in or below them, and none of
/// anyclaude's: JSON of another kind there, such as settings, is nobody's trace.
fn folders_of_others(requests: &[Request]) -> BTreeSet<&Path> {
    let (mut others, mut anyclaudes) = (BTreeSet::new(), BTreeSet::new());
    for request in requests {
        let of_source = if request.source == Source::Anyclaude { &mut anyclaudes } else { &mut others };
        for folder in request.path.file().ancestors().skip(1) {
            // Those above it are known then.
            if !of_source.insert(folder) {
                break;
            }
        }
    }
    others.difference(&anyclaudes).copied().collect()
}

/// Requests by the root that they are below, in the order of the roots.
pub(crate) fn by_root<'r>(
    store: &Store,
    requests: impl Iterator<Item = &'r mut Request>,
) -> Vec<(Option<PathBuf>, Vec<&'r mut Request>)> {
    let mut numbers = Roots::default();
    let mut by_number: Vec<Vec<&mut Request>> = Vec::new();
    for request in requests {
        let number = numbers.of(store, request.path.as_ref());
        if by_number.len() <= number {
            by_number.resize_with(number + 1, Vec::new);
        }
        if let Some(of_root) = by_number.get_mut(number) {
            of_root.push(request);
        }
    }
    let mut taken = |number: usize| by_number.get_mut(number).map(std::mem::take).unwrap_or_default();
    numbers.roots.into_iter().map(|(root, number)| (root, taken(number))).collect()
}

/// Numbers the roots (the folders that hold `traces/`), and caches the root of each folder
/// of traces.
#[derive(Default)]
struct Roots {
    roots: BTreeMap<Option<PathBuf>, usize>,
    folders: HashMap<Vec<u8>, usize, NameHashing>,
}

impl Roots {
    fn add(&mut self, root: Option<PathBuf>) -> usize {
        let next = self.roots.len();
        *self.roots.entry(root).or_insert(next)
    }

    fn of(&mut self, store: &Store, path: &Path) -> usize {
        let folder = folder_bytes(path);
        if let Some(number) = self.folders.get(folder) {
            return *number;
        }
        let number = self.add(store.root_of(path));
        self.folders.insert(folder.to_owned(), number);
        number
    }
}
