//! Trace files → requests: what is kept of them, and the two files of mode
//! `claude` as one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use crate::request::{Kind, ModelSource, Outcome, Request, Timing, TracePath};
use crate::session::{self, HistoryId, HistoryTree};
use crate::store::TraceFile;
use crate::trace::{Identity, ToolSize, TraceRecord};

/// Collects trace files and makes requests of them.
///
/// It keeps no text: names and tool lists that repeat are kept once, and of a
/// conversation only its place in a tree of histories.
#[derive(Debug, Default)]
pub struct Gathering {
    files: Vec<Gathered>,
    names: HashSet<Arc<str>>,
    tool_lists: HashSet<Arc<[ToolSize]>>,
    histories: HistoryTree,
}

#[derive(Debug)]
struct Gathered {
    path: Arc<Path>,
    record: TraceRecord,
    tools: Arc<[ToolSize]>,
    history: HistoryId,
}

impl Gathering {
    /// Takes one more file.
    pub fn add(&mut self, file: TraceFile) {
        let TraceFile { path, mut record } = file;
        let names = [
            &mut record.mode,
            &mut record.endpoint,
            &mut record.requested_model,
            &mut record.sender.session_id,
        ];
        for name in names.into_iter().flatten() {
            *name = interned(&mut self.names, name.clone());
        }
        let tools = interned(&mut self.tool_lists, std::mem::take(&mut record.tools).into());
        let history = self.histories.insert(&std::mem::take(&mut record.history));
        self.files.push(Gathered { path, record, tools, history });
    }

    /// The requests of all files, by time, then path, with their sessions and
    /// threads.
    #[must_use]
    pub fn requests(mut self) -> Vec<Request> {
        self.files.sort_by(|a, b| order(a).cmp(&order(b)));
        let mut drafts = paired(self.files);
        drafts.sort_by(|a, b| a.request.order().cmp(&b.request.order()));
        session::assign(&mut drafts, &self.histories);
        drafts.into_iter().map(|draft| draft.request).collect()
    }
}

/// A request whose session is not known yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) request: Request,
    pub(crate) sender: crate::trace::Sender,
    pub(crate) history: HistoryId,
}

fn order(file: &Gathered) -> (bool, Option<crate::time::Timestamp>, &Path) {
    (file.record.timestamp.is_none(), file.record.timestamp, &file.path)
}

fn interned<T: ?Sized + Eq + std::hash::Hash>(known: &mut HashSet<Arc<T>>, value: Arc<T>) -> Arc<T> {
    if let Some(same) = known.get(&value) {
        return same.clone();
    }
    known.insert(value.clone());
    value
}

/// Joins a file that holds the response with the first earlier file of the same
/// folder and the same body that holds none and is still alone. Files without a
/// time stay alone: which of them was earlier is not known.
fn paired(files: Vec<Gathered>) -> Vec<Draft> {
    let mut waiting: HashMap<(Option<Arc<Path>>, Identity), VecDeque<usize>> = HashMap::new();
    let mut drafts: Vec<Option<Draft>> = Vec::new();
    for file in files {
        let body = file.record.body.filter(|_| file.record.timestamp.is_some());
        let key = body.map(|body| (file.path.parent().map(Arc::from), body));
        let answered = file.record.response.is_some();
        let mut draft = Draft::new(file);
        if let Some(key) = key {
            if !answered {
                waiting.entry(key).or_default().push_back(drafts.len());
            } else if let Some(first) = waiting.get_mut(&key).and_then(VecDeque::pop_front)
                && let Some(first) = drafts.get_mut(first).and_then(Option::take)
            {
                draft.preceded_by(first);
            }
        }
        drafts.push(Some(draft));
    }
    drafts.into_iter().flatten().collect()
}

impl Draft {
    fn new(file: Gathered) -> Self {
        let Gathered { path, record, tools, history } = file;
        let path = TracePath(path);
        let trace_names_model = record.mode.as_deref() == Some("claude");
        let model = record.requested_model.clone().filter(|_| trace_names_model);
        let request = Request {
            paths: vec![path.clone()],
            path,
            timestamp: record.timestamp,
            mode: record.mode,
            kind: Kind::of(record.endpoint.as_deref(), record.max_tokens, record.sizes.tool_count),
            session: None,
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
        Self { request, sender: record.sender, history }
    }

    /// Takes in the file that was written before the response came.
    fn preceded_by(&mut self, first: Self) {
        let total_ms = self.request.ms_since(&first.request).and_then(|ms| u64::try_from(ms).ok());
        self.request.timing =
            Some(Timing { total_ms, outcome: Some(Outcome::Completed), ..Timing::default() });
        self.request.timestamp = first.request.timestamp;
        self.request.paths.insert(0, first.request.path);
    }
}
