//! Trace files → requests: what is kept of them, and the two files of mode
//! `claude` as one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::formats::record::TraceRecord;
use crate::model::intern::Interner;
use crate::model::request::{Kind, ModelSource, Request, TracePath};
use crate::model::time::Timestamp;
use crate::model::timing::{Outcome, Timing};
use crate::model::{Identity, ToolSize};
use crate::read::TraceFile;
use crate::recording::history::{HistoryId, HistoryTree};
use crate::recording::session::{self, SessionKey, SessionKeys};

/// Collects trace files and makes requests of them.
///
/// It keeps no text: names and tool lists that repeat are kept once, and of a
/// conversation only its place in a tree of histories.
#[derive(Debug, Default)]
pub struct RequestBuilder {
    unassigned: Vec<UnassignedRequest>,
    modes: Interner<str>,
    endpoints: Interner<str>,
    models: Interner<str>,
    versions: Interner<str>,
    agents: Interner<str>,
    tool_lists: Interner<[ToolSize]>,
    histories: HistoryTree,
    keys: SessionKeys,
}

impl RequestBuilder {
    /// Takes one more file. In which order files come makes no difference.
    pub fn add(&mut self, file: TraceFile) {
        let TraceFile { path, mut record } = file;
        let names = [
            (&mut self.modes, &mut record.mode),
            (&mut self.endpoints, &mut record.endpoint),
            (&mut self.models, &mut record.requested_model),
            (&mut self.versions, &mut record.sender.client_version),
        ];
        for (known, name) in names {
            if let Some(name) = name {
                known.unify(name);
            }
        }
        let agents = [&mut record.sender.agent, &mut record.sender.parent_agent];
        let [agent, _] = agents.map(|agent| agent.as_mut().map(|agent| self.agents.unify(agent)));
        let tools = self.tool_lists.once(&record.tools);
        let history = self.histories.insert(&record.history);
        let key = self.keys.of(&mut record.sender, record.mode.as_ref());
        self.unassigned.push(UnassignedRequest::new(path, record, tools, Place { history, key, agent }));
    }

    /// The requests of all files, by time, then path, with their sessions and
    /// threads.
    #[must_use]
    pub fn requests(self) -> Vec<Request> {
        let mut unassigned = self.unassigned;
        sort(&mut unassigned);
        if pair(&mut unassigned) {
            unassigned.retain(|entry| !entry.request.paths.is_empty());
            sort(&mut unassigned);
        }
        session::assign(&mut unassigned, &self.histories, &self.keys);
        let mut requests: Vec<Request> = unassigned.into_iter().map(|entry| entry.request).collect();
        // Requests take the place of their unassigned, which were larger.
        requests.shrink_to_fit();
        requests
    }
}

impl Request {
    /// The request that one trace holds, without what only others tell: its thread, and
    /// its session where it names none.
    ///
    /// ```
    /// use anyclaude_traces::{Request, TraceRecord};
    ///
    /// let trace = br#"{"request": {"body": {"model": "m", "tools": [{"name": "Bash"}]}}}"#;
    /// let request = Request::from_record("a.json", TraceRecord::from_slice(trace)?);
    /// assert_eq!(request.tools[0].bytes, 15);
    /// # Ok::<(), anyclaude_traces::error::ParseError>(())
    /// ```
    #[must_use]
    pub fn from_record(path: impl Into<PathBuf>, mut record: TraceRecord) -> Self {
        let tools = std::mem::take(&mut record.tools).into();
        from_record(TracePath(Arc::from(path.into())), record, tools).0
    }
}

/// The request of a record, and its body's identity.
fn from_record(path: TracePath, record: TraceRecord, tools: Arc<[ToolSize]>) -> (Request, Option<Identity>) {
    let trace_names_model = record.mode.as_deref() == Some("claude");
    let model = record.requested_model.clone().filter(|_| trace_names_model);
    let request = Request {
        timestamp: record.timestamp,
        mode: record.mode,
        kind: Kind::of(record.endpoint.as_deref(), record.max_tokens, record.sizes.tool_count),
        session: record.sender.session_id,
        endpoint: record.endpoint,
        client_version: record.sender.client_version,
        agent: record.sender.agent,
        parent_agent: record.sender.parent_agent,
        requested_model: record.requested_model,
        model_source: model.is_some().then_some(ModelSource::Trace),
        model,
        sizes: record.sizes,
        max_tokens: record.max_tokens,
        stream: record.stream,
        response: record.response,
        tools,
        ..Request::empty(path)
    };
    (request, record.body)
}

/// A request that knows no session but one that the trace names.
#[derive(Debug)]
pub(crate) struct UnassignedRequest {
    pub(crate) request: Request,
    pub(crate) place: Place,
    body: Option<Box<Identity>>,
}

/// What decides in which session and thread a request is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) history: HistoryId,
    pub(crate) key: SessionKey,
    /// The subagent that its headers name.
    pub(crate) agent: Option<u32>,
}

/// By time, then path. Requests are large: each is moved once, to its place. Few
/// are of one millisecond, so that paths are only looked at where times are alike.
fn sort(unassigned: &mut [UnassignedRequest]) {
    unassigned.sort_by_cached_key(|entry| entry.request.timestamp.map_or(i64::MAX, Timestamp::unix_ms));
    for alike in unassigned.chunk_by_mut(|a, b| a.request.timestamp == b.request.timestamp) {
        if alike.len() > 1 {
            alike.sort_by_cached_key(|entry| entry.request.path.clone());
        }
    }
}

/// Merges each file that holds a response into the request-only file that it answers:
/// from the newest response backwards, each answers the newest earlier file of the same
/// folder and body that is still free. So the answer to a retry belongs to the try that
/// was answered. Merged request-only files keep no paths, for the caller to drop. Files
/// without a time stay alone. Whether there were any pairs.
fn pair(unassigned: &mut [UnassignedRequest]) -> bool {
    type Key = (Option<PathBuf>, Identity);
    let key = |entry: &UnassignedRequest| -> Option<Key> {
        let body = entry.body.as_deref().filter(|_| entry.request.timestamp.is_some())?;
        Some((entry.request.path.as_ref().parent().map(Path::to_owned), *body))
    };
    let mut free: HashMap<Key, Vec<usize>> = HashMap::new();
    let mut responses = Vec::new();
    for (at, entry) in unassigned.iter().enumerate() {
        match key(entry) {
            Some(key) if entry.request.response.is_none() => free.entry(key).or_default().push(at),
            Some(key) => responses.push((at, key)),
            None => {}
        }
    }
    let mut paired = false;
    for (at, key) in responses.into_iter().rev() {
        let Some(free) = free.get_mut(&key) else { continue };
        // Older responses answer none of those that came after this one.
        while free.pop_if(|first| *first > at).is_some() {}
        let Some(first) = free.pop() else { continue };
        let (before, rest) = unassigned.split_at_mut(at);
        if let (Some(first), Some(entry)) = (before.get_mut(first), rest.first_mut()) {
            entry.preceded_by(&mut first.request);
            paired = true;
        }
    }
    paired
}

impl UnassignedRequest {
    fn new(path: Arc<Path>, record: TraceRecord, tools: Arc<[ToolSize]>, place: Place) -> Self {
        let (request, body) = from_record(TracePath(path), record, tools);
        Self { request, place, body: body.map(Box::new) }
    }

    /// Takes in the file that was written before the response came.
    fn preceded_by(&mut self, first: &mut Request) {
        let total_ms = self.request.ms_since(first).and_then(|ms| u64::try_from(ms).ok());
        let timing = Timing { total_ms, outcome: Some(Outcome::Completed), ..Timing::default() };
        self.request.timing = Some(Box::new(timing));
        self.request.timestamp = first.timestamp;
        self.request.paths.splice(..0, first.paths.drain(..));
    }
}
