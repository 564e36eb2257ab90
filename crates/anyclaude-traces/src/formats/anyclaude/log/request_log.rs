//! Request logs and captures of standard error, and how they are matched with the requests
//! of a run.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::limits::MAX_CANDIDATES;
use super::types::{LogRequest, LogRun, ProxyTime};
use crate::formats::lines::{LineSink, LineSplitter, LogLine};
use crate::formats::scan::{self, FlatValue};
use crate::model::time::Timestamp;
use crate::model::timing::{Confidence, Outcome};

/// An entry is written at most this long before its `[Request Start]`.
const LONGEST_PROXY_MS: i64 = 30_000;

/// One line of a request log: a request as the proxy received it.
///
/// The logged `systemSize` is left out: it is the length of JavaScript's
/// rendering of an array, never the size of the prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RequestLogEntry {
    /// When the proxy had read the request.
    pub timestamp: Timestamp,
    /// Tools in the request, before the proxy's edits.
    pub tool_count: Option<u64>,
    /// Messages in the request, before the proxy's edits.
    pub message_count: Option<u64>,
    /// Whether the reply was to be streamed.
    pub streaming: Option<bool>,
    /// The proxy's name for the backend.
    pub provider: Option<String>,
    /// The configured model.
    pub model: Option<String>,
}

/// What one request log holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ParsedRequestLog {
    /// The entries, in the order of the file.
    pub entries: Vec<RequestLogEntry>,
    /// Bytes fed.
    pub bytes: u64,
    /// Lines that are not a JSON object with a timestamp; empty lines do not count.
    pub unreadable_lines: u64,
}

/// Reads a request log (`request-logs/*.jsonl`) in chunks of any size.
///
/// ```
/// use anyclaude_traces::formats::anyclaude::log::RequestLogParser;
///
/// let mut parser = RequestLogParser::new();
/// let log = br#"{"timestamp": "2025-11-16T03:20:00.000Z", "model": "m", "tools": 3, "messages": 1}
/// "#;
/// log.chunks(50).for_each(|chunk| parser.feed(chunk));
/// let found = parser.finish();
/// assert_eq!((found.entries.len(), found.unreadable_lines), (1, 0));
/// ```
#[derive(Debug, Default, Clone)]
pub struct RequestLogParser {
    splitter: LineSplitter,
    bytes: u64,
    read: Entries,
}

#[derive(Debug, Default, Clone)]
struct Entries {
    entries: Vec<RequestLogEntry>,
    unreadable: u64,
}

impl RequestLogParser {
    /// A parser at the beginning of a file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next bytes of the file.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        self.splitter.feed(chunk, &mut self.read);
    }

    /// Ends the file and returns what it holds.
    #[must_use]
    pub fn finish(mut self) -> ParsedRequestLog {
        self.splitter.finish(&mut self.read);
        ParsedRequestLog {
            entries: self.read.entries,
            bytes: self.bytes,
            unreadable_lines: self.read.unreadable,
        }
    }
}

impl LineSink for Entries {
    fn line(&mut self, line: LogLine<'_>) {
        let text = line.bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line.bytes);
        if text.trim_ascii().is_empty() {
            return;
        }
        match std::str::from_utf8(text).ok().and_then(entry) {
            Some(entry) => self.entries.push(entry),
            None => self.unreadable += 1,
        }
    }
}

fn entry(text: &str) -> Option<RequestLogEntry> {
    let mut timestamp = None;
    let (mut tool_count, mut message_count, mut streaming) = (None, None, None);
    let (mut provider, mut model) = (None, None);
    scan::flat_object(text, |name, value| match (name, value) {
        ("timestamp", FlatValue::Text(text)) => timestamp = text.parse().ok(),
        ("toolCount", FlatValue::Number(count)) => tool_count = count,
        ("messageCount", FlatValue::Number(count)) => message_count = count,
        ("streaming", FlatValue::Bool(value)) => streaming = Some(value),
        ("provider", FlatValue::Text(text)) => provider = Some(text.into_owned()),
        ("model", FlatValue::Text(text)) => model = Some(text.into_owned()),
        _ => {}
    })?;
    let timestamp = timestamp?;
    Some(RequestLogEntry { timestamp, tool_count, message_count, streaming, provider, model })
}

/// Counts of a request as Claude Code sent it, from its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "three facts, made by whoever has the trace")]
pub struct SentCounts {
    /// Tools in the request.
    pub tools: u64,
    /// Messages in the request.
    pub messages: u64,
    /// Whether the reply was to be streamed.
    pub stream: bool,
}

/// What the entry of a request must agree with: the request before the proxy's edits.
#[derive(Debug, Clone, Copy)]
struct Sent {
    tools: Option<u64>,
    messages: Option<u64>,
    stream: Option<bool>,
    /// It comes from a trace, so an entry that differs is another request's.
    is_certain: bool,
}

impl Sent {
    /// From the trace; without one from the log, which counts after the edits.
    fn of(request: &LogRequest, sent: Option<&SentCounts>) -> Self {
        match sent {
            Some(sent) => Self {
                tools: Some(sent.tools),
                messages: Some(sent.messages),
                stream: Some(sent.stream),
                is_certain: true,
            },
            None => Self {
                tools: request.tool_count.get(),
                messages: request.message_count.get(),
                stream: request.streamed,
                is_certain: false,
            },
        }
    }

    /// How many counts differ from the entry's; `None` where it cannot be its entry.
    fn mismatches(self, entry: &RequestLogEntry) -> Option<usize> {
        let differs = |a: Option<u64>, b: Option<u64>| usize::from(a.is_some() && b.is_some() && a != b);
        let other_stream =
            self.stream.is_some() && entry.streaming.is_some() && self.stream != entry.streaming;
        let mismatches = differs(entry.tool_count, self.tools) + differs(entry.message_count, self.messages);
        (!other_stream && (mismatches == 0 || !self.is_certain)).then_some(mismatches)
    }
}

/// Matches every request with its entry in the request log, and stores the result in
/// [`LogRequest::proxy`](super::LogRequest::proxy). Returns the indices of the entries that
/// fit no request, in order. `sent` holds what Claude Code sent, by run and index in the run.
///
/// An entry fits a request of the same provider and model that starts within 30 s after
/// it, with the counts that Claude Code sent. Where these are unknown because there is no
/// trace, entries with the counts that the proxy passed on are preferred, then those that
/// differ in one of them, then in both. Of several that fit as well the earliest is taken,
/// and the match is *ambiguous*.
///
/// An entry also shows whether the reply was streamed, which the logs of October 2025 do
/// not: a request without an end that was not streamed is [`Outcome::NotStreamed`].
pub fn match_request_log(
    runs: &mut [LogRun],
    entries: &[RequestLogEntry],
    sent: &HashMap<(usize, usize), SentCounts>,
) -> Vec<usize> {
    let mut free = FreeEntries::new(entries);
    let mut starts: Vec<(Timestamp, usize, usize)> = Vec::new();
    for (run, log) in runs.iter_mut().enumerate() {
        for (place, request) in log.requests.iter_mut().enumerate() {
            request.proxy = None;
            starts.push((request.start, run, place));
        }
    }
    starts.sort_unstable();
    let mut matched = vec![false; starts.len()];
    // Requests whose counts are certain come first.
    let rounds = [(true, 0), (false, 0), (false, 1), (false, 2)];
    for (certain, mismatches) in rounds {
        for (matched, &(_, run, place)) in matched.iter_mut().zip(&starts) {
            let told = sent.get(&(run, place));
            if *matched || told.is_some() != certain {
                continue;
            }
            let request = runs.get_mut(run).and_then(|run| run.requests.get_mut(place));
            let Some(request) = request else { continue };
            let Some((entry, proxy)) = free.take(request, told, mismatches) else { continue };
            request.proxy = Some(proxy);
            if request.streamed.is_none() && proxy.confidence != Confidence::Ambiguous {
                request.streamed = entry.streaming;
                if request.outcome == Outcome::Unfinished && request.streamed == Some(false) {
                    request.outcome = Outcome::NotStreamed;
                }
            }
            *matched = true;
        }
    }
    free.left()
}

/// The entries that no request has taken yet.
struct FreeEntries<'a> {
    entries: &'a [RequestLogEntry],
    /// When each was written, and its index, by provider and model.
    by_name: HashMap<String, BTreeSet<(Timestamp, usize)>>,
    /// Those that fit a request as well as others did.
    doubted: BTreeSet<usize>,
}

impl<'a> FreeEntries<'a> {
    fn new(entries: &'a [RequestLogEntry]) -> Self {
        let mut by_name: HashMap<String, BTreeSet<(Timestamp, usize)>> = HashMap::new();
        for (index, entry) in entries.iter().enumerate() {
            let text = |name: &Option<String>| name.clone().unwrap_or_default();
            let name = format!("{}/{}", text(&entry.provider), text(&entry.model));
            by_name.entry(name).or_default().insert((entry.timestamp, index));
        }
        Self { entries, by_name, doubted: BTreeSet::new() }
    }

    /// Takes the earliest entry near a request's start that fits it, with so many counts
    /// that differ.
    fn take(
        &mut self,
        request: &LogRequest,
        told: Option<&SentCounts>,
        mismatches: usize,
    ) -> Option<(&'a RequestLogEntry, ProxyTime)> {
        let start = request.start;
        let free = self.by_name.get_mut(&format!("{}/{}", request.provider, request.model))?;
        let sent = Sent::of(request, told);
        let fits = |&&(_, index): &&(Timestamp, usize)| {
            self.entries.get(index).and_then(|entry| sent.mismatches(entry)) == Some(mismatches)
        };
        let near = free.range((start.plus_ms(-LONGEST_PROXY_MS), 0)..=(start, usize::MAX)).rev();
        let fitting: Vec<(Timestamp, usize)> = near.take(MAX_CANDIDATES).filter(fits).copied().collect();
        let &(received, index) = fitting.last()?;
        if fitting.len() > 1 {
            self.doubted.extend(fitting.iter().map(|&(_, index)| index));
        }
        let entry = self.entries.get(index)?;
        let confidence = match mismatches {
            _ if self.doubted.contains(&index) => Confidence::Ambiguous,
            0 => Confidence::Exact,
            _ => Confidence::Likely,
        };
        free.remove(&(received, index));
        let ms = u64::try_from(start.ms_since(received)).unwrap_or_default();
        Some((entry, ProxyTime { received, ms, confidence }))
    }

    /// The indices of those that are left, in order.
    fn left(self) -> Vec<usize> {
        let mut left: Vec<usize> = self.by_name.into_values().flatten().map(|(_, index)| index).collect();
        left.sort_unstable();
        left
    }
}

/// Sets the trace names of a run's requests from a capture of standard error: the k-th name
/// is that of the k-th request, as every request saves one trace right after its start.
///
/// `capture` is a run of that capture, `run` one of the debug log that it names. Returns how
/// many requests got a name. Where the numbers of names and requests differ, or the stamps in
/// the names contradict the order, only requests whose start is followed by such a stamp
/// before the next start get one.
pub fn attach_saved_traces(run: &mut LogRun, capture: &LogRun) -> usize {
    let mut attached = 0;
    let pairs = || run.requests.iter().zip(&capture.saved_traces);
    // A trace is stamped right after its start, later only for a large request.
    let fits = pairs().all(|(request, name)| {
        let after = Timestamp::from_file_name(name).map(|at| at.ms_since(request.start));
        after.is_none_or(|ms| (-2..5_000).contains(&ms))
    });
    if fits && capture.saved_traces.len() == run.requests.len() {
        for (request, name) in run.requests.iter_mut().zip(&capture.saved_traces) {
            request.saved_trace = Some(name.clone());
            attached += 1;
        }
        return attached;
    }
    let mut names = capture.saved_traces.iter().peekable();
    let starts: Vec<Timestamp> = run.requests.iter().map(|request| request.start).collect();
    for (index, request) in run.requests.iter_mut().enumerate() {
        let next = starts.get(index + 1).copied();
        let stamp = |name: &String| Timestamp::from_file_name(name);
        while names.next_if(|name| stamp(name).is_none_or(|at| at < request.start)).is_some() {}
        let mine = |name: &&String| stamp(name).is_some_and(|at| next.is_none_or(|next| at < next));
        if let Some(name) = names.next_if(mine) {
            request.saved_trace = Some(name.clone());
            attached += 1;
        }
    }
    attached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::anyclaude::log::LogParser;

    fn parse(text: &str) -> ParsedRequestLog {
        let mut parser = RequestLogParser::new();
        for chunk in text.as_bytes().chunks(11) {
            parser.feed(chunk);
        }
        parser.finish()
    }

    fn entry_line(second: u8, tools: u64, messages: u64, streaming: bool) -> String {
        format!(
            "{{\"timestamp\":\"2025-11-16T10:00:{second:02}.000Z\",\"systemSize\":31,\"toolCount\":{tools},\
             \"messageCount\":{messages},\"streaming\":{streaming},\"provider\":\"local\",\"model\":\"a/b\"}}\n"
        )
    }

    /// A run with these requests: second of the start, tools, messages, streamed.
    fn run(requests: &[(u8, u64, u64, bool)]) -> Vec<LogRun> {
        let mut parser = LogParser::new();
        for (second, tools, messages, streamed) in requests {
            let at = format!("2025-11-16T10:00:{second:02}.000Z");
            let prefix = format!("[{at}] [ANYCLAUDE DEBUG]");
            let stream =
                if *streamed { "[Streaming] Starting stream conversion and pipe for local/a/b" } else { "" };
            let text = format!(
                "{prefix} [Request Start] local/a/b at {at}\n{prefix} [Request Details] local/a/b \
                 {{\"system\":\"x\",\"toolCount\":{tools},\"messageCount\":{messages},\"maxTokens\":9}}\n\
                 {prefix} [streamText] About to call streamText for local/a/b\n{prefix} {stream}\n"
            );
            parser.feed(text.as_bytes());
        }
        parser.finish().runs
    }

    fn proxies(runs: &[LogRun]) -> Vec<Option<(u64, Confidence)>> {
        let requests = runs.iter().flat_map(|run| &run.requests);
        requests.map(|request| request.proxy.map(|proxy| (proxy.ms, proxy.confidence))).collect()
    }

    #[test]
    fn entries_and_what_is_none() {
        let text =
            entry_line(1, 17, 3, true) + "\n  \nnot json\n{\"toolCount\":1}\n" + &entry_line(2, 0, 1, false);
        let log = parse(&(text.clone() + "{\"timestamp\":\"2025-11-"));
        assert_eq!((log.entries.len(), log.unreadable_lines), (2, 3));
        assert_eq!(log.entries[0].timestamp.to_string(), "2025-11-16T10:00:01.000Z");
        assert_eq!((log.entries[0].tool_count, log.entries[0].message_count), (Some(17), Some(3)));
        assert_eq!((log.entries[1].streaming, log.entries[1].model.as_deref()), (Some(false), Some("a/b")));
        assert_eq!(parse(&text.replace('\n', "\r\n")).entries, log.entries);
    }

    #[test]
    fn entries_are_matched_by_what_they_say_not_by_order() {
        let entries = parse(&(entry_line(1, 17, 3, true) + &entry_line(2, 0, 1, false))).entries;
        let mut runs = run(&[(3, 0, 1, false), (6, 17, 3, true)]);
        assert_eq!(match_request_log(&mut runs, &entries, &HashMap::new()), [0; 0]);
        assert_eq!(proxies(&runs), [Some((1000, Confidence::Exact)), Some((5000, Confidence::Exact))]);
    }

    #[test]
    fn entries_too_early_or_too_late_stay_unmatched() {
        let entries = parse(&(entry_line(1, 1, 1, true) + &entry_line(50, 1, 1, true))).entries;
        let mut runs = run(&[(40, 1, 1, true)]);
        assert_eq!(match_request_log(&mut runs, &entries, &HashMap::new()), [0, 1]);
        assert_eq!(proxies(&runs), [None]);
    }

    #[test]
    fn equal_requests_that_overlap_in_the_proxy_are_ambiguous() {
        let entries = parse(&(entry_line(1, 1, 1, true) + &entry_line(2, 1, 1, true))).entries;
        let mut runs = run(&[(3, 1, 1, true), (5, 1, 1, true)]);
        assert_eq!(match_request_log(&mut runs, &entries, &HashMap::new()), [0; 0]);
        assert_eq!(
            proxies(&runs),
            [Some((2000, Confidence::Ambiguous)), Some((3000, Confidence::Ambiguous))]
        );
        let mut runs = run(&[(1, 1, 1, true), (5, 1, 1, true)]);
        match_request_log(&mut runs, &entries, &HashMap::new());
        assert_eq!(proxies(&runs), [Some((0, Confidence::Exact)), Some((3000, Confidence::Exact))]);
    }

    #[test]
    fn a_proxy_that_drops_tools_is_still_matched() {
        let entries = parse(&(entry_line(1, 40, 9, true) + &entry_line(1, 2, 1, true))).entries;
        let mut runs = run(&[(2, 12, 9, true), (3, 2, 1, true)]);
        assert_eq!(match_request_log(&mut runs, &entries, &HashMap::new()), [0; 0]);
        assert_eq!(proxies(&runs), [Some((1000, Confidence::Likely)), Some((2000, Confidence::Exact))]);
    }

    #[test]
    fn october_learns_what_was_not_streamed() {
        let mut parser = LogParser::new();
        parser.feed(b"[ANYCLAUDE DEBUG] [Request Start] local/a/b at 2025-11-16T10:00:02.000Z\n");
        let mut runs = parser.finish().runs;
        assert_eq!((runs[0].requests[0].streamed, runs[0].requests[0].outcome), (None, Outcome::Unfinished));
        match_request_log(&mut runs, &parse(&entry_line(1, 0, 1, false)).entries, &HashMap::new());
        let request = &runs[0].requests[0];
        assert_eq!((request.streamed, request.outcome), (Some(false), Outcome::NotStreamed));
    }

    #[test]
    fn saved_traces_go_to_their_requests() {
        let capture = |names: &[&str]| {
            let mut parser = LogParser::new();
            for name in names {
                parser.feed(format!("[TRACE] Saved to: /t/{name}.json\n").as_bytes());
            }
            parser.finish().runs.remove(0)
        };
        let names = |run: &LogRun| run.requests.iter().map(|r| r.saved_trace.clone()).collect::<Vec<_>>();
        let mut runs = run(&[(2, 1, 1, true), (4, 1, 1, true)]);
        assert_eq!(attach_saved_traces(&mut runs[0], &capture(&["x", "y"])), 2);
        assert_eq!(names(&runs[0]), [Some("x.json".to_owned()), Some("y.json".to_owned())]);
        let mut runs = run(&[(2, 1, 1, true), (4, 1, 1, true)]);
        let only = "2025-11-16T10-00-04-017Z";
        assert_eq!(attach_saved_traces(&mut runs[0], &capture(&[only])), 1);
        assert_eq!(names(&runs[0]), [None, Some(format!("{only}.json"))]);
    }
}
