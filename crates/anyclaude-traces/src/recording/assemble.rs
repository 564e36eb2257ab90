//! Trace files → requests: what is kept of them, and the two files of mode
//! `claude` as one.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::formats::record::TraceRecord;
use crate::model::intern::Kept;
use crate::model::request::{Kind, ModelSource, Request, TracePath};
use crate::model::time::Timestamp;
use crate::model::timing::{Outcome, Timing};
use crate::model::{Identity, ToolSize};
use crate::read::TraceFile;
use crate::recording::history::{HistoryId, HistoryTree};
use crate::recording::session::{self, Owner, Owners};

/// Collects trace files and makes requests of them.
///
/// It keeps no text: names and tool lists that repeat are kept once, and of a
/// conversation only its place in a tree of histories.
#[derive(Debug, Default)]
pub struct Gathering {
    drafts: Vec<Draft>,
    modes: Kept<str>,
    endpoints: Kept<str>,
    models: Kept<str>,
    tool_lists: Kept<[ToolSize]>,
    histories: HistoryTree,
    owners: Owners,
}

impl Gathering {
    /// Takes one more file. In which order files come makes no difference.
    pub fn add(&mut self, file: TraceFile) {
        let TraceFile { path, mut record } = file;
        let names = [
            (&mut self.modes, &mut record.mode),
            (&mut self.endpoints, &mut record.endpoint),
            (&mut self.models, &mut record.requested_model),
        ];
        for (known, name) in names {
            if let Some(name) = name {
                known.unify(name);
            }
        }
        let tools = self.tool_lists.once(&record.tools);
        let history = self.histories.insert(&record.history);
        let owner = self.owners.of(&mut record.sender, record.mode.as_ref());
        self.drafts.push(Draft::new(path, record, tools, history, owner));
    }

    /// The requests of all files, by time, then path, with their sessions and
    /// threads.
    #[must_use]
    pub fn requests(self) -> Vec<Request> {
        let mut drafts = self.drafts;
        sort(&mut drafts);
        if pair(&mut drafts) {
            drafts.retain(|draft| !draft.request.paths.is_empty());
            sort(&mut drafts);
        }
        session::assign(&mut drafts, &self.histories, &self.owners);
        let mut requests: Vec<Request> = drafts.into_iter().map(|draft| draft.request).collect();
        // Requests take the place of their drafts, which were larger.
        requests.shrink_to_fit();
        requests
    }
}

/// A request that knows no session but one that the trace names.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) request: Request,
    pub(crate) history: HistoryId,
    pub(crate) owner: Owner,
    body: Option<Box<Identity>>,
}

/// By time, then path. Requests are large: each is moved once, to its place. Few
/// are of one millisecond, so that paths are only looked at where times are alike.
fn sort(drafts: &mut [Draft]) {
    drafts.sort_by_cached_key(|draft| draft.request.timestamp.map_or(i64::MAX, Timestamp::unix_ms));
    for alike in drafts.chunk_by_mut(|a, b| a.request.timestamp == b.request.timestamp) {
        if alike.len() > 1 {
            alike.sort_by_cached_key(|draft| draft.request.path.clone());
        }
    }
}

/// Joins a file that holds the response with the first earlier file of the same
/// folder and the same body that holds none and is still alone, which is left
/// without paths. Files without a time stay alone: which of them was earlier is
/// not known. Whether there were any pairs.
fn pair(drafts: &mut [Draft]) -> bool {
    let mut waiting: HashMap<(Option<PathBuf>, Identity), VecDeque<usize>> = HashMap::new();
    let mut paired = false;
    for at in 0..drafts.len() {
        let (before, rest) = drafts.split_at_mut(at);
        let Some(draft) = rest.first_mut() else { break };
        let Some(body) = draft.body.as_deref().filter(|_| draft.request.timestamp.is_some()) else {
            continue;
        };
        let key = (draft.request.path.as_ref().parent().map(Path::to_owned), *body);
        if draft.request.response.is_none() {
            waiting.entry(key).or_default().push_back(at);
        } else if let Some(first) = waiting.get_mut(&key).and_then(VecDeque::pop_front)
            && let Some(first) = before.get_mut(first)
        {
            draft.preceded_by(&mut first.request);
            paired = true;
        }
    }
    paired
}

impl Draft {
    fn new(
        path: Arc<Path>,
        record: TraceRecord,
        tools: Arc<[ToolSize]>,
        history: HistoryId,
        owner: Owner,
    ) -> Self {
        let path = TracePath(path);
        let trace_names_model = record.mode.as_deref() == Some("claude");
        let model = record.requested_model.clone().filter(|_| trace_names_model);
        let request = Request {
            paths: vec![path.clone()],
            path,
            timestamp: record.timestamp,
            mode: record.mode,
            kind: Kind::of(record.endpoint.as_deref(), record.max_tokens, record.sizes.tool_count),
            session: record.sender.session_id,
            thread: None,
            run: None,
            endpoint: record.endpoint,
            requested_model: record.requested_model,
            model_source: model.is_some().then_some(ModelSource::Trace),
            model,
            sizes: record.sizes,
            max_tokens: record.max_tokens,
            stream: record.stream,
            tokens: None,
            timing: None,
            join: None,
            response: record.response,
            tools,
            process: None,
            proxied: None,
            turn: 0,
            company: None,
        };
        Self { request, history, owner, body: record.body.map(Box::new) }
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
