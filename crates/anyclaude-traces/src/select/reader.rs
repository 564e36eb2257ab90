//! Reads and selects requests as a filter says. Here is what a [`Reader`] is made of; `load`
//! reads with it, `choose` selects.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::{Result, SelectError};
use super::filter::Filter;
use crate::error::Error;
use crate::formats::anyclaude::log::ParsedLog;
use crate::formats::backend::{BackendLog, BackendTask};
use crate::formats::record::TraceRecord;
use crate::model::request::TracePath;
use crate::model::scope::KindFilter;
use crate::prompt_cache::{CacheOptions, PrefixVisitor, Prompts};
use crate::read::{LogFile, Store, TraceFile, paths, record_of_body};

/// How far back a sitting reaches: a day.
pub(crate) const SITTING_MS: i64 = 24 * 60 * 60 * 1000;

/// Reads requests as the filters say.
#[derive(Debug)]
pub struct Reader {
    pub(super) filter: Filter,
    pub(super) store: Store,
    pub(super) kind: KindFilter,
    /// Further logs, which the user names.
    pub(super) captures: Vec<LogFile<ParsedLog>>,
    /// The logs of servers, and what of them could not be used.
    pub(super) server_logs: (Vec<LogFile<BackendLog>>, Vec<Error>),
    /// The tasks of these logs, if the reader is used once: their memory is freed once what they
    /// tell is known, before most memory is in use.
    pub(super) given_tasks: Mutex<Option<Vec<Vec<BackendTask>>>>,
    /// The request bodies that servers' logs hold.
    pub(super) logged_bodies: HashMap<TracePath, TraceRecord>,
    /// What the prompts of these bodies are made of, until [`Reader::with_costs`] takes it.
    pub(super) logged_prompts: Prompts,
    /// Whether a task of a server's log without a request line counts as a request.
    pub(super) are_tasks_requests: bool,
    /// Whether logs without traces are enough.
    pub(super) logs_suffice: bool,
    /// What all prompts are made of, if costs are asked for.
    pub(super) prompts: Option<Mutex<Prompts>>,
    /// Whether prompts are needed for the parts of time only: without logs there are none.
    pub(super) prompts_need_logs: bool,
    /// The cache that prompts pass through in the simulation.
    pub(super) cache: CacheOptions,
    /// For each label whether it named the model of any request yet, or why it could not.
    pub(super) label_hits: Mutex<Vec<Result<bool>>>,
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
        let mut store = Store::default().with_max_file_bytes(filter.max_file_bytes);
        if let Some(read) = filter.standard_input {
            store = store.with_standard_input(read);
        }
        let LoggedServers { logs, unusable, bodies, prompts } = LoggedServers::read(&store, &filter)?;
        Ok(Self {
            logs_suffice: !filter.server_logs.is_empty(),
            server_logs: (logs, unusable),
            given_tasks: Mutex::new(None),
            logged_bodies: bodies,
            logged_prompts: prompts,
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

    /// Has the parts of every request's time filled, by a simulated cache. For that, prompts are
    /// looked at, and the day before the scope, in which the cache was filled, is read too.
    #[must_use]
    pub fn with_costs(mut self, cache: CacheOptions) -> Self {
        let prompts = self.prompts.take().unwrap_or_else(|| std::mem::take(&mut self.logged_prompts).into());
        (self.prompts, self.cache) = (Some(prompts), cache);
        self
    }

    /// The same for answers that need prompts for times only. Without logs there are no times,
    /// so that prompts are not looked at: of 20,000 files of 10 kB without logs, reading takes
    /// 1.8 times as long if they are.
    #[must_use]
    pub fn with_times(mut self, cache: CacheOptions) -> Self {
        self.prompts_need_logs = true;
        self.with_counting().with_costs(cache)
    }

    /// For answers with the tokens of each request: counts those of prompts that it would take
    /// as long to read again as they are read first.
    #[must_use]
    pub fn with_counting(self) -> Self {
        Self { store: self.store.with_counting(), ..self }
    }

    /// Counts every task of a server's log as a request, for answers that sum up.
    #[must_use]
    pub fn with_tasks(self) -> Self {
        Self { are_tasks_requests: true, ..self }
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
}

/// The logs of servers that a filter names, and what was read of them.
struct LoggedServers {
    logs: Vec<LogFile<BackendLog>>,
    /// What of them could not be used.
    unusable: Vec<Error>,
    bodies: HashMap<TracePath, TraceRecord>,
    /// What the prompts of the bodies are made of.
    prompts: Prompts,
}

impl LoggedServers {
    fn read(store: &Store, filter: &Filter) -> Result<Self> {
        let (mut bodies, mut prompts) = (HashMap::new(), Prompts::default());
        let take = |path: TracePath, body, seen| {
            // The size of its log is known at the end only, and set below.
            if let Some(record) = record_of_body(0, body) {
                let file = TraceFile { path, record };
                prompts.add_seen(&file, &seen);
                bodies.insert(file.path, file.record);
            }
            seen
        };
        let visitor =
            |before: Option<PrefixVisitor>| before.map_or_else(Default::default, PrefixVisitor::anew);
        let (logs, mut unusable) = store.server_logs_with(&filter.server_logs, visitor, take);
        let is_named = |error: &Error| filter.server_logs.iter().any(|named| named == error.path());
        if let Some(named) = unusable.iter().position(is_named) {
            return Err(unusable.swap_remove(named).into());
        }
        let sizes: HashMap<&Path, u64> =
            logs.iter().map(|log| (log.path.as_path(), log.content.bytes)).collect();
        for (path, record) in &mut bodies {
            record.sizes.file_bytes = sizes.get(path.file()).copied().unwrap_or(0).into();
        }
        Ok(Self { logs, unusable, bodies, prompts })
    }
}

/// Locks also what a thread left that panicked: as it is only ever added to, it is still valid.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
