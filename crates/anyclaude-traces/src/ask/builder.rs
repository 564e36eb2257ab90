//! Says what a recording is made of.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Recording;
use crate::model::LogZone;
use crate::model::scope::KindFilter;
use crate::model::time::Timestamp;
use crate::prompt_cache::CacheOptions;
use crate::read::paths;
use crate::select::{Filter, Label, Reader, Result};

/// Opens a [`Recording`]. Without more than a root, everything in it is read, however
/// old it is.
///
/// ```no_run
/// use anyclaude_traces::Recording;
///
/// let recording = Recording::builder()
///     .root("/home/me/.anyclaude")
///     .since("2025-11-16T00:00:00Z".parse()?)
///     .label("qwen3-coder-30b", "session:5a4d")
///     .open()?;
/// println!("{}", recording.report()?.headline);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a builder reads nothing before it is told to `open`"]
pub struct RecordingBuilder {
    filter: Filter,
    logs: Vec<PathBuf>,
    cache: CacheOptions,
}

impl RecordingBuilder {
    /// One more folder that holds `traces/`, `logs/` and `request-logs/`; else a folder of
    /// traces, or one trace. Their logs are looked for beside them.
    pub fn root(mut self, root: impl Into<PathBuf>) -> Self {
        self.filter.roots.push(root.into());
        self
    }

    /// One more log, or a capture of the standard error stream of anyclaude.
    pub fn log(mut self, log: impl Into<PathBuf>) -> Self {
        self.logs.push(log.into());
        self
    }

    /// One more log of a server that ran the models (LM Studio, llama.cpp's server or
    /// Ollama), or a folder of such logs. Its counts and times replace what is inferred.
    /// Without any recorded request, each task that it tells of is a request.
    pub fn server_log(mut self, log: impl Into<PathBuf>) -> Self {
        self.filter.server_logs.push(log.into());
        self
    }

    /// The zone of times in servers' logs that name none. Without it, it is what the
    /// recorded requests show; else it is unknown.
    pub fn log_zone(mut self, zone: LogZone) -> Self {
        self.filter.log_zone = zone;
        self
    }

    /// Only requests at or after this moment.
    pub fn since(mut self, since: Timestamp) -> Self {
        self.filter.since = Some(since);
        self
    }

    /// Only requests at or before this moment.
    pub fn until(mut self, until: Timestamp) -> Self {
        self.filter.until = Some(until);
        self
    }

    /// Every answer is about requests of this kind. Without it, `list`, `timing` and
    /// `prefix` are about all, and the others about conversations.
    pub fn kind(mut self, kind: KindFilter) -> Self {
        self.filter.kind = Some(kind);
        self
    }

    /// Only requests of this proxy mode: its name, or a unique part.
    pub fn mode(mut self, mode: impl Into<String>) -> Self {
        self.filter.mode = Some(mode.into());
        self
    }

    /// Only requests that this model answered: its name, or a unique part.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.filter.model = Some(model.into());
        self
    }

    /// Only requests of this session: its id, or a unique part.
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.filter.session = Some(session.into());
        self
    }

    /// Only requests of this anyclaude process: its id, or a unique part.
    pub fn run(mut self, run: impl Into<String>) -> Self {
        self.filter.run = Some(run.into());
        self
    }

    /// No more than the last so many requests, after all other filters.
    pub fn last(mut self, last: usize) -> Self {
        self.filter.last = Some(last);
        self
    }

    /// Names the model of the requests that a selector selects. It wins over every log.
    pub fn label(mut self, model: impl Into<String>, selector: impl Into<OsString>) -> Self {
        self.filter.labels.push(Label { model: model.into(), input: selector.into() });
        self
    }

    /// How the prompt cache is simulated.
    pub fn cache(mut self, cache: CacheOptions) -> Self {
        self.cache = cache;
        self
    }

    /// Skips files that are larger; 1 GiB without it.
    pub fn max_file_bytes(mut self, max_file_bytes: u64) -> Self {
        self.filter.max_file_bytes = max_file_bytes;
        self
    }

    /// Reads the traces, joins them with the logs, names models by the labels, and works
    /// out the parts of every request's time.
    ///
    /// # Errors
    ///
    /// When a root does not exist, nothing is recorded in any, a log that was named cannot
    /// be read, or a filter or label names nothing.
    pub fn open(mut self) -> Result<Recording> {
        let folders = ["traces", "logs", "request-logs"];
        let is_inside = |root: &mut PathBuf| {
            let is_root = folders.iter().any(|folder| paths::is_folder(&root.join(folder)));
            !is_root && !paths::is_missing(root)
        };
        let inside: Vec<PathBuf> = self.filter.roots.extract_if(.., is_inside).collect();
        let reader = Reader::new(self.filter, KindFilter::All)?.with_logs(&self.logs)?;
        let reader = reader.with_tasks().with_costs(self.cache);
        let pool = reader.read_all(&inside)?;
        Ok(Recording { reader, pool })
    }
}
