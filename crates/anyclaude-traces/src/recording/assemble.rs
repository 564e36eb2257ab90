//! Assembles requests from trace files, pairing mode `claude`'s two files.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::formats::record::TraceRecord;
use crate::model::intern::{FastMap, FastSet, Interner};
use crate::model::request::{Caller, Kind, ModelSource, Request, RequestId, Source, TracePath};
use crate::model::time::Timestamp;
use crate::model::timing::{CachedSource, Outcome, Timing};
use crate::model::{Amount, Bookkeeping, Identity, ServerJoin, ServerTask, ToolSize};
use crate::read::{TraceFile, without_compression};
use crate::recording::history::{HistoryId, HistoryTree};
use crate::recording::session::{self, SessionKey, SessionKeys};

/// Collects trace files and builds requests from them.
///
/// It holds no text of the prompts: names and tool lists are interned, and a conversation
/// is a node in a tree of histories.
#[derive(Debug, Default)]
pub struct RequestBuilder {
    unassigned: Vec<UnassignedRequest>,
    modes: Interner<str>,
    callers: Interner<Caller>,
    models: Interner<str>,
    agents: Interner<str>,
    tool_lists: Interner<[ToolSize]>,
    histories: HistoryTree,
    keys: SessionKeys,
}

impl RequestBuilder {
    /// One with room for so many requests.
    pub(crate) fn with_capacity(requests: usize) -> Self {
        Self { unassigned: Vec::with_capacity(requests), ..Self::default() }
    }

    /// Adds a request that a server's log tells of.
    pub(crate) fn add_of_server(
        &mut self,
        file: TraceFile,
        join: Arc<ServerJoin>,
        task: Option<Arc<ServerTask>>,
    ) {
        self.add(file);
        if let Some(UnassignedRequest { request, .. }) = self.unassigned.last_mut() {
            request.server_join = Some(join);
            request.bookkeeping.server_task = task;
        }
    }

    /// Adds a file. The order of files makes no difference.
    pub fn add(&mut self, file: TraceFile) {
        let TraceFile { path, mut record } = file;
        for (known, name) in
            [(&mut self.modes, &mut record.mode), (&mut self.models, &mut record.requested_model)]
        {
            if let Some(name) = name {
                known.unify(name);
            }
        }
        let agents = [&mut record.sender.agent, &mut record.sender.parent_agent];
        let [agent, _] = agents.map(|agent| agent.as_mut().map(|agent| self.agents.unify(agent)));
        let mut caller = Arc::new(caller(&mut record));
        self.callers.unify(&mut caller);
        let tools = self.tool_lists.once(&record.tools);
        let history = self.histories.insert(&record.history);
        let key = self.keys.of(&mut record.sender, record.mode.as_ref());
        self.unassigned.push(UnassignedRequest::new(
            path,
            record,
            Shared { caller, tools },
            SessionClues { history, key, agent },
        ));
    }

    /// Whether no file was added yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.unassigned.is_empty()
    }

    /// The requests of all files, by time, then path, with their sessions and
    /// threads.
    #[must_use]
    pub fn requests(self) -> Vec<Request> {
        let mut requests = self.unassigned;
        sort(&mut requests);
        let is_repeated = merge_exports(&mut requests);
        if pair(&mut requests) || is_repeated {
            requests.retain(|unassigned| !unassigned.request.paths.is_empty());
            sort(&mut requests);
        }
        session::assign(&mut requests, &self.histories, &self.keys);
        let mut requests: Vec<Request> = requests.into_iter().map(|unassigned| unassigned.request).collect();
        // `collect` reuses the vector of the larger `UnassignedRequest`s, which leaves room unused.
        requests.shrink_to_fit();
        tell_apart(&mut requests);
        forget_uncounted(&mut requests);
        requests
    }
}

impl Request {
    /// The request of one trace. Facts that depend on other traces are missing: its thread, and
    /// its session where the trace names none.
    ///
    /// ```
    /// use anyclaude_traces::{Request, TraceRecord};
    ///
    /// let trace = br#"{"request": {"body": {"model": "m", "tools": [{"name": "Bash"}]}}}"#;
    /// let request = Request::from_record("a.json", TraceRecord::from_slice(trace)?);
    /// assert_eq!(request.tools()[0].bytes, 15);
    /// # Ok::<(), anyclaude_traces::error::ParseError>(())
    /// ```
    #[must_use]
    pub fn from_record(path: impl Into<PathBuf>, mut record: TraceRecord) -> Self {
        let tools = std::mem::take(&mut record.tools).into();
        let caller = Arc::new(caller(&mut record));
        from_record(TracePath::new(path.into()), record, Shared { caller, tools }).0
    }
}

/// What many requests have in common.
struct Shared {
    caller: Arc<Caller>,
    tools: Arc<[ToolSize]>,
}

/// Takes who sent a record out of it.
fn caller(record: &mut TraceRecord) -> Caller {
    let sender = &mut record.sender;
    Caller {
        endpoint: record.endpoint.take(),
        client_version: sender.client_version.take(),
        agent: sender.agent.take(),
        parent_agent: sender.parent_agent.take(),
        requested_model: record.requested_model.take(),
    }
}

/// Builds the request of a record; the second value is the identity of its body.
fn from_record(path: TracePath, record: TraceRecord, shared: Shared) -> (Request, Option<Identity>) {
    let Shared { caller, tools } = shared;
    let id = id_of(&path, &record);
    let trace_names_model = record.mode.as_deref() == Some("claude");
    let named = || Some((caller.requested_model.clone().filter(|_| trace_names_model)?, ModelSource::Trace));
    let (model, model_source) = record.model.clone().or_else(named).unzip();
    let request = Request {
        id,
        source: record.source,
        api: record.api,
        timestamp: record.timestamp,
        timestamp_source: record.timestamp_source,
        mode: record.mode,
        kind: Kind::of(caller.endpoint.as_deref(), record.max_tokens, record.sizes.tool_count.get()),
        session: record.sender.session_id,
        caller,
        model_source,
        model,
        sizes: record.sizes,
        body_redacted: record.body_redacted,
        max_tokens: record.max_tokens,
        stream: record.stream,
        timing: record.timing,
        join: record.join,
        response: record.response,
        bookkeeping: Bookkeeping { tools, is_masked: record.is_masked, ..Bookkeeping::default() },
        ..Request::empty(path)
    };
    (request, record.body)
}

/// The id of a record, by what stays the same wherever the file lies and whatever is known
/// of the request besides: the file's name, the record's number, and its prompt.
fn id_of(path: &TracePath, record: &TraceRecord) -> RequestId {
    let name = path.file().file_name().unwrap_or_default().as_encoded_bytes();
    let last_message = record.history.last().map_or(0, |message| message.hash());
    RequestId::of(Identity::of_parts([
        without_compression(name),
        &path.record().to_le_bytes(),
        &record.sizes.body_bytes.get().unwrap_or(0).to_le_bytes(),
        &last_message.to_le_bytes(),
    ]))
}

/// Gives each request another id. Those that come first keep theirs.
fn tell_apart(requests: &mut [Request]) {
    let mut taken = FastSet::with_capacity_and_hasher(requests.len(), Default::default());
    for request in requests {
        while !taken.insert(request.id) {
            request.id = request.id.next();
        }
    }
}

/// A request before sessions and threads are assigned: it has a session only where its
/// trace names one.
#[derive(Debug)]
pub(crate) struct UnassignedRequest {
    pub(crate) request: Request,
    pub(crate) place: SessionClues,
    body: Option<Box<Identity>>,
}

/// What the session and thread of a request are derived from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionClues {
    pub(crate) history: HistoryId,
    pub(crate) key: SessionKey,
    /// The subagent that its headers name.
    pub(crate) agent: Option<u32>,
}

/// Forgets cached tokens of 0 in files where no answer reports more: many servers write a
/// 0 whatever they took from their cache. What anyclaude and Claude Code record is not one
/// file for each process, and is settled where it is joined.
fn forget_uncounted(requests: &mut [Request]) {
    let is_reported = |timing: &Timing| timing.cached_source == Some(CachedSource::Reported);
    let reported = |request: &Request| {
        let is_settled = matches!(request.source, Source::Anyclaude | Source::ClaudeCode);
        let timing = request.timing.as_deref().filter(|timing| !is_settled && is_reported(timing))?;
        timing.cached_tokens.get()
    };
    let counting: FastSet<&Path> = requests
        .iter()
        .filter(|request| reported(request).is_some_and(|tokens| tokens > 0))
        .map(|request| request.path.file())
        .collect();
    let uncounted: Vec<bool> = requests
        .iter()
        .map(|request| reported(request) == Some(0) && !counting.contains(request.path.file()))
        .collect();
    for (request, _) in requests.iter_mut().zip(uncounted).filter(|(_, is_uncounted)| *is_uncounted) {
        if let Some(timing) = request.timing.as_deref_mut() {
            (timing.cached_tokens, timing.cached_source) = (Amount::UNKNOWN, None);
        }
    }
}

/// Sorts by time, then path. Sorting by a cached key moves each request once, as they are
/// large; paths are compared only where times are equal, which is rare.
fn sort(requests: &mut [UnassignedRequest]) {
    let time =
        |unassigned: &UnassignedRequest| unassigned.request.timestamp.map_or(i64::MAX, Timestamp::unix_ms);
    if !requests.is_sorted_by_key(time) {
        requests.sort_by_cached_key(time);
    }
    for same_time in requests.chunk_by_mut(|a, b| a.request.timestamp == b.request.timestamp) {
        // Those of a log without dates have no time at all, and come in its order.
        if !same_time.is_sorted_by(|a, b| a.request.path <= b.request.path) {
            same_time.sort_by_cached_key(|unassigned| unassigned.request.path.clone());
        }
    }
}

/// Merges the requests that several files of one recorder hold, as where a session was exported
/// twice: those with the same times, to the millisecond, and the same body. Returns whether there
/// were any. The later ones keep empty paths, for the caller to drop.
fn merge_exports(requests: &mut [UnassignedRequest]) -> bool {
    let mut merged = false;
    for same_time in requests.chunk_by_mut(|a, b| a.request.timestamp == b.request.timestamp) {
        for pair in exported_again(same_time) {
            let Ok([first, later]) = same_time.get_disjoint_mut(pair) else { continue };
            let later = std::mem::take(&mut later.request.paths);
            first.request.paths = std::mem::take(&mut first.request.paths).followed_by(&later);
            merged = true;
        }
    }
    merged
}

/// Of requests of one time, the places of those that are the same in two files.
fn exported_again(same_time: &[UnassignedRequest]) -> Vec<[usize; 2]> {
    let mut firsts: FastMap<Exported<'_>, (usize, &Path)> = FastMap::default();
    let mut pairs = Vec::new();
    for (at, unassigned) in same_time.iter().enumerate() {
        let Some(exported) = Exported::of(unassigned) else { continue };
        let file = unassigned.request.path.file();
        let (first, file_of_first) = *firsts.entry(exported).or_insert((at, file));
        // Equal ones of one file were sent twice.
        if file != file_of_first {
            pairs.push([first, at]);
        }
    }
    pairs
}

/// What two requests of one time have in common where one of them is an export of the other:
/// nothing else was received in the same millisecond, took as long and has the same body.
#[derive(PartialEq, Eq, Hash)]
struct Exported<'a> {
    source: Source,
    total_ms: u64,
    history: HistoryId,
    body_bytes: Option<u64>,
    session: Option<&'a str>,
    endpoint: Option<&'a str>,
}

impl<'a> Exported<'a> {
    /// `None` where its recorder exports nothing twice, or a time is not known.
    fn of(unassigned: &'a UnassignedRequest) -> Option<Self> {
        let request = &unassigned.request;
        let exports = [Source::ClaudeTap, Source::ClaudeTrace, Source::ClaudeCodeRouter, Source::Har];
        if !exports.contains(&request.source) {
            return None;
        }
        request.timestamp?;
        Some(Self {
            source: request.source,
            total_ms: request.timing.as_deref()?.total_ms.get()?,
            history: unassigned.place.history,
            body_bytes: request.sizes.body_bytes.get(),
            session: request.session.as_deref(),
            endpoint: request.caller.endpoint.as_deref(),
        })
    }
}

/// Merges each file with a response into the request-only file that it answers. Returns
/// whether there were any such pairs. Merged request-only files keep empty paths, for the
/// caller to drop.
///
/// Responses are matched from the newest backwards, each to the newest earlier
/// request-only file of the same folder and body that is still free. So a response belongs
/// to the retry that it answered, and equal requests stay as many as were sent. Files
/// without a time are not paired.
fn pair(requests: &mut [UnassignedRequest]) -> bool {
    type PairKey = (Option<PathBuf>, Identity);
    let key = |unassigned: &UnassignedRequest| -> Option<PairKey> {
        let body = unassigned.body.as_deref().filter(|_| unassigned.request.timestamp.is_some())?;
        Some((unassigned.request.path.as_ref().parent().map(Path::to_owned), *body))
    };
    let mut free: HashMap<PairKey, Vec<usize>> = HashMap::new();
    let mut responses = Vec::new();
    for (at, unassigned) in requests.iter().enumerate() {
        match key(unassigned) {
            Some(key) if unassigned.request.response.is_none() => free.entry(key).or_default().push(at),
            Some(key) => responses.push((at, key)),
            None => {}
        }
    }
    let mut paired = false;
    for (at, key) in responses.into_iter().rev() {
        let Some(free) = free.get_mut(&key) else { continue };
        // Neither this response nor the older ones that follow answer a later request.
        while free.pop_if(|first| *first > at).is_some() {}
        let Some(first) = free.pop() else { continue };
        let (before, rest) = requests.split_at_mut(at);
        if let (Some(first), Some(answered)) = (before.get_mut(first), rest.first_mut()) {
            answered.preceded_by(&mut first.request);
            paired = true;
        }
    }
    paired
}

impl UnassignedRequest {
    fn new(path: TracePath, record: TraceRecord, shared: Shared, place: SessionClues) -> Self {
        let (request, body) = from_record(path, record, shared);
        Self { request, place, body: body.map(Box::new) }
    }

    /// Merges the request-only file, `first`, into this file with the response.
    fn preceded_by(&mut self, first: &mut Request) {
        let total_ms = self.request.ms_since(first).and_then(|ms| u64::try_from(ms).ok());
        let timing =
            Timing { total_ms: total_ms.into(), outcome: Some(Outcome::Completed), ..Timing::default() };
        self.request.timing = Some(Box::new(timing));
        self.request.timestamp = first.timestamp;
        // It had this id while it waited for its response.
        self.request.id = first.id;
        self.request.paths = std::mem::take(&mut first.paths).followed_by(&self.request.paths);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::record::RecordDraft;

    /// The names of each request's files, where every file was recorded in mode `claude`
    /// at its second, with this body, with or without a response.
    fn paired(files: &[(i64, u128, bool)]) -> Vec<Vec<String>> {
        let mut builder = RequestBuilder::default();
        for &(second, body, has_response) in files {
            let mut draft = RecordDraft::new(Source::Anyclaude);
            draft.timestamp = Timestamp::from_unix_ms(second * 1000);
            draft.mode = Some("claude".into());
            draft.body_identity = Some(Identity::of_hash(body));
            draft.response = has_response.then(Box::default);
            let record = draft.finish_without_body(0);
            builder.add(TraceFile { path: TracePath::new(Path::new(&format!("traces/{second}"))), record });
        }
        let name = |path: &TracePath| path.as_ref().file_name().unwrap().to_string_lossy().into_owned();
        builder.requests().iter().map(|request| request.paths.iter().map(name).collect()).collect()
    }

    #[test]
    fn cached_tokens_of_0_are_known_where_another_answer_of_the_file_reports_more() {
        let cached = |files: [[u64; 2]; 2], source: Source| {
            let mut builder = RequestBuilder::default();
            for (file, counts) in files.into_iter().enumerate() {
                for (at, tokens) in (0..).zip(counts) {
                    let mut record = RecordDraft::new(source).finish_without_body(0);
                    let cached_source = Some(CachedSource::Reported);
                    let timing = Timing { cached_tokens: tokens.into(), cached_source, ..Timing::default() };
                    record.timing = Some(Box::new(timing));
                    let path = TracePath::of_record(PathBuf::from(format!("{file}.har")), at);
                    builder.add(TraceFile { path, record });
                }
            }
            let requests = builder.requests();
            let timings = requests.iter().filter_map(|request| request.timing.as_deref());
            timings
                .map(|timing| timing.cached_tokens.get().filter(|_| timing.cached_source.is_some()))
                .collect()
        };
        let found: Vec<Option<u64>> = cached([[0, 0], [0, 9]], Source::Har);
        assert_eq!(found, [None, None, Some(0), Some(9)]);
        let found: Vec<Option<u64>> = cached([[0, 0], [0, 0]], Source::ClaudeCode);
        assert_eq!(found, [Some(0); 4], "settled before");
    }

    #[test]
    fn a_request_that_was_exported_twice_is_one_and_two_of_one_file_are_two() {
        let paths = |files: [(&str, i64); 3], source: Source| {
            let mut builder = RequestBuilder::default();
            for (at, (file, total_ms)) in (0..).zip(files) {
                let mut record = RecordDraft::new(source).finish_without_body(0);
                record.timestamp = Timestamp::from_unix_ms(1_000);
                let total_ms = u64::try_from(total_ms).unwrap().into();
                record.timing = Some(Box::new(Timing { total_ms, ..Timing::default() }));
                builder.add(TraceFile { path: TracePath::of_record(PathBuf::from(file), at), record });
            }
            builder.requests().iter().map(|request| request.paths.len()).collect::<Vec<_>>()
        };
        assert_eq!(paths([("a.jsonl", 70), ("a.jsonl", 70), ("b.json", 70)], Source::ClaudeTap), [2, 1]);
        assert_eq!(paths([("a.jsonl", 70), ("a.jsonl", 71), ("b.json", 72)], Source::ClaudeTap), [1, 1, 1]);
        assert_eq!(paths([("a.jsonl", 70), ("b.json", 70), ("c.json", 70)], Source::ClaudeTap), [3]);
        assert_eq!(paths([("a.jsonl", 70), ("b.json", 70), ("c.json", 70)], Source::Anyclaude), [1, 1, 1]);
    }

    const SENT: bool = false;
    const ANSWERED: bool = true;

    #[test]
    fn a_response_belongs_to_the_newest_try() {
        let retried = [(1, 7, SENT), (4, 7, SENT), (6, 7, ANSWERED)];
        assert_eq!(paired(&retried), [vec!["1"], vec!["4", "6"]]);
        // The first response came before the second try, and answers the first.
        let repeated = [(1, 7, SENT), (2, 7, ANSWERED), (4, 7, SENT), (6, 7, ANSWERED)];
        assert_eq!(paired(&repeated), [["1", "2"], ["4", "6"]]);
        // A response without an earlier try, and one with another body, stay alone.
        let alone = [(1, 7, ANSWERED), (2, 7, SENT), (3, 8, ANSWERED)];
        assert_eq!(paired(&alone), [["1"], ["2"], ["3"]]);
    }

    #[test]
    fn equal_probes_stay_as_many_requests() {
        let sent = (0..10).map(|at| (at, 7, SENT));
        let files: Vec<_> = sent.chain((10..20).map(|at| (at, 7, ANSWERED))).collect();
        let requests = paired(&files);
        let expected: Vec<[String; 2]> = (0..10).map(|at| [at.to_string(), (at + 10).to_string()]).collect();
        assert_eq!(requests, expected);
    }
}
