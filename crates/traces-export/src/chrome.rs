//! Chrome trace JSON, which Perfetto and `chrome://tracing` open.
//!
//! A process for each model; in it a lane of slices for each request that ran beside
//! others. In the slice of a request lie those of the parts of its time. Findings are
//! instants where they first show; tokens of prompts, and those of them that a cache held,
//! are counters. Times are whole microseconds since 1970.
//!
//! The format: "Trace Event Format", the JSON object format.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Write};
use std::sync::Arc;

use anyclaude_traces::findings::{Evidence, Finding};
use anyclaude_traces::model::request::{RequestId, TracePath};
use anyclaude_traces::model::timing::{CachedSource, Confidence, Outcome, TtftSource};
use anyclaude_traces::model::{Amount, Lanes, Sizes};
use anyclaude_traces::{Request, SCHEMA_VERSION};
use serde::Serialize;

use crate::Written;
use crate::timeline::TimeSpan;

/// The name of the process of requests whose model is unknown.
const UNKNOWN_MODEL: &str = "unknown model";
/// The lane of what belongs to all of a process.
const NO_LANE: usize = 0;

/// Writes requests and findings as one timeline. Requests may come in any order.
///
/// # Errors
///
/// When writing fails.
pub fn write(out: &mut impl Write, requests: &[Request], findings: &[Finding]) -> io::Result<Written> {
    let mut written = Written::default();
    let mut placed: Vec<(TimeSpan, &Request)> = Vec::with_capacity(requests.len());
    for request in requests {
        match TimeSpan::of(request) {
            Some(span) => placed.push((span, request)),
            None => written.without_time += 1,
        }
    }
    placed.sort_by_key(|(span, _)| span.begin_ms);
    written.requests = placed.len() as u64;

    let mut events = TraceEventWriter::begin(out)?;
    let mut processes = Processes::of(&placed);
    // A lane with the number of its process would be its main thread.
    let mut last_id = processes.0.len();
    for (name, process) in &processes.0 {
        // Perfetto takes an empty name for an error.
        let name = name.as_deref().filter(|name| !name.is_empty());
        events.name_process(process.id, name.unwrap_or(UNKNOWN_MODEL))?;
    }
    for (span, request) in &placed {
        let Some(process) = processes.0.get_mut(&request.model_group()) else { continue };
        let lane = process.lanes.place(span.begin_ms, span.end_ms());
        let thread = match process.threads.get(lane) {
            Some(thread) => *thread,
            None => {
                last_id += 1;
                process.threads.push(last_id);
                events.name_lane(process.id, last_id, process.threads.len())?;
                last_id
            }
        };
        events.request(process.id, thread, *span, request)?;
        events.counters(process.id, *span, request)?;
    }
    let firsts = firsts(findings, &placed);
    for finding in findings {
        let Some((span, request)) = finding.requests.first().and_then(|path| firsts.get(path)) else {
            continue;
        };
        if let Some(process) = processes.0.get(&request.model_group()) {
            events.finding(process.id, span.begin_ms, finding)?;
        }
    }
    events.end()?;
    Ok(written)
}

/// A model's tracks.
#[derive(Debug, Default)]
struct Process {
    id: usize,
    lanes: Lanes<u64>,
    /// The number of each lane, of which no other one in the file has the same.
    threads: Vec<usize>,
}

/// The process of each model, numbered by the models' names.
#[derive(Debug, Default)]
struct Processes(BTreeMap<Option<Arc<str>>, Process>);

impl Processes {
    fn of(placed: &[(TimeSpan, &Request)]) -> Self {
        let mut processes = Self::default();
        for (_, request) in placed {
            processes.0.entry(request.model_group()).or_default();
        }
        for (at, process) in processes.0.values_mut().enumerate() {
            process.id = at + 1;
        }
        processes
    }
}

/// The requests at which findings are drawn: the first one of each.
fn firsts<'a>(
    findings: &[Finding],
    placed: &[(TimeSpan, &'a Request)],
) -> HashMap<&'a TracePath, (TimeSpan, &'a Request)> {
    let wanted: HashSet<&TracePath> =
        findings.iter().filter_map(|finding| finding.requests.first()).collect();
    let found = placed.iter().filter(|(_, request)| wanted.contains(&request.path));
    found.map(|(span, request)| (&request.path, (*span, *request))).collect()
}

/// One line of the file.
#[derive(Debug, Serialize)]
struct TraceEvent<'a, A: Serialize> {
    ph: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'static str>,
    pid: usize,
    tid: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<u64>,
    /// The scope of an instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<A>,
}

impl<'a, A: Serialize> TraceEvent<'a, A> {
    fn new(ph: &'static str, name: &'a str, process: usize, lane: usize, args: A) -> Self {
        Self { ph, name, cat: None, pid: process, tid: lane, ts: None, dur: None, s: None, args: Some(args) }
    }

    /// An event at a moment, of this category.
    fn at(self, ms: u64, category: &'static str) -> Self {
        Self { ts: Some(ms * 1000), cat: Some(category), ..self }
    }
}

/// Events on their way into the file.
struct TraceEventWriter<'a, W> {
    out: &'a mut W,
    is_first: bool,
    /// An event that is being written, kept for its capacity.
    line: Vec<u8>,
}

#[derive(Debug, Serialize)]
struct Name<'a> {
    name: &'a str,
}

impl<'a, W: Write> TraceEventWriter<'a, W> {
    fn begin(out: &'a mut W) -> io::Result<Self> {
        out.write_all(b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n")?;
        Ok(Self { out, is_first: true, line: Vec::new() })
    }

    fn end(self) -> io::Result<()> {
        let version = env!("CARGO_PKG_VERSION");
        writeln!(
            self.out,
            "\n],\"otherData\":{{\"producer\":\"traces {version}\",\"schema_version\":{SCHEMA_VERSION}}}}}"
        )
    }

    fn put(&mut self, event: &TraceEvent<'_, impl Serialize>) -> io::Result<()> {
        self.line.clear();
        if !std::mem::take(&mut self.is_first) {
            self.line.extend(b",\n");
        }
        serde_json::to_writer(&mut self.line, event)?;
        self.out.write_all(&self.line)
    }

    fn name_process(&mut self, process: usize, name: &str) -> io::Result<()> {
        self.put(&TraceEvent::new("M", "process_name", process, NO_LANE, Name { name }))
    }

    /// Names the lane that has this number in the file, and that one in its process.
    fn name_lane(&mut self, process: usize, thread: usize, lane: usize) -> io::Result<()> {
        let name = format!("requests {lane}");
        self.put(&TraceEvent::new("M", "thread_name", process, thread, Name { name: &name }))
    }

    /// The slice of a request with those of its parts; where its end is unknown, an instant.
    fn request(&mut self, process: usize, lane: usize, span: TimeSpan, request: &Request) -> io::Result<()> {
        let name = format!("{} {}", request.kind.name(), request.id);
        let slice = TraceEvent::new("X", &name, process, lane, RequestArgs::of(request));
        let slice = slice.at(span.begin_ms, "request");
        let Some(length_ms) = span.length_ms else {
            return self.put(&TraceEvent { ph: "i", s: Some("t"), ..slice });
        };
        self.put(&TraceEvent { dur: Some(length_ms * 1000), ..slice })?;
        for (name, part) in span.parts(request) {
            let slice = TraceEvent { args: None::<()>, ..TraceEvent::new("X", name, process, lane, ()) };
            let slice = slice.at(part.begin_ms, "part");
            self.put(&TraceEvent { dur: part.length_ms.map(|ms| ms * 1000), ..slice })?;
        }
        Ok(())
    }

    /// How long the prompt is from here on, and how much of it the cache held.
    fn counters(&mut self, process: usize, span: TimeSpan, request: &Request) -> io::Result<()> {
        let Some(timing) = request.timing.as_deref() else { return Ok(()) };
        let Some(prompt_tokens) = timing.believed_prompt_tokens() else { return Ok(()) };
        let context = TraceEvent::new("C", "context", process, NO_LANE, Context { prompt_tokens });
        self.put(&context.at(span.begin_ms, "tokens"))?;
        if let Some((cached_tokens, read_tokens)) = timing.cached_tokens.get().zip(timing.read_tokens.get()) {
            let cache =
                TraceEvent::new("C", "cache", process, NO_LANE, CacheCounter { cached_tokens, read_tokens });
            self.put(&cache.at(span.begin_ms, "tokens"))?;
        }
        Ok(())
    }

    fn finding(&mut self, process: usize, ms: u64, finding: &Finding) -> io::Result<()> {
        let name = serde_json::to_value(finding.kind)?;
        let args = FindingArgs {
            evidence: without_error(&finding.evidence),
            advice: finding.advice.as_ref(),
            cost_ms: finding.cost_ms,
            requests: finding.requests.len(),
        };
        let instant = TraceEvent::new("i", name.as_str().unwrap_or_default(), process, NO_LANE, args);
        self.put(&TraceEvent { s: Some("p"), ..instant.at(ms, "finding") })
    }
}

/// What was found, unless it holds the words of an error: the server's, or the SDK's that
/// repeats the request.
fn without_error(evidence: &Evidence) -> Option<&Evidence> {
    Some(evidence).filter(|evidence| !matches!(evidence, Evidence::Failed(failed) if failed.error.is_some()))
}

#[derive(Debug, Serialize)]
struct Context {
    prompt_tokens: u64,
}

#[derive(Debug, Serialize)]
struct CacheCounter {
    cached_tokens: u64,
    read_tokens: u64,
}

#[derive(Debug, Serialize)]
struct FindingArgs<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<&'a Evidence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'a anyclaude_traces::findings::Advice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_ms: Option<u64>,
    /// How many requests it is about.
    requests: usize,
}

/// The numbers of a request; names as in its JSON.
#[derive(Debug, Serialize)]
struct RequestArgs<'a> {
    id: RequestId,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<Confidence>,
    #[serde(skip_serializing_if = "is_unknown")]
    body_bytes: Amount,
    #[serde(skip_serializing_if = "is_unknown")]
    system_bytes: Amount,
    #[serde(skip_serializing_if = "is_unknown")]
    tools_bytes: Amount,
    #[serde(skip_serializing_if = "is_unknown")]
    messages_bytes: Amount,
    #[serde(skip_serializing_if = "is_unknown")]
    tool_count: Amount,
    #[serde(skip_serializing_if = "is_unknown")]
    message_count: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cached_source: Option<CachedSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needed_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    again_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttft_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttft_source: Option<TtftSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wall_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keepalives: Option<u64>,
}

impl<'a> RequestArgs<'a> {
    fn of(request: &'a Request) -> Self {
        let timing = request.timing.as_deref();
        let Sizes {
            body_bytes, system_bytes, tools_bytes, messages_bytes, tool_count, message_count, ..
        } = request.sizes;
        Self {
            id: request.id,
            session: request.session.as_deref(),
            thread: request.thread.as_deref(),
            run: request.run.as_deref(),
            outcome: timing.and_then(|timing| timing.outcome),
            confidence: request.join.as_ref().map(|join| join.confidence),
            body_bytes,
            system_bytes,
            tools_bytes,
            messages_bytes,
            tool_count,
            message_count,
            prompt_tokens: timing.and_then(|timing| timing.believed_prompt_tokens()),
            cached_tokens: timing.and_then(|timing| timing.cached_tokens.get()),
            cached_source: timing.and_then(|timing| timing.cached_source),
            read_tokens: timing.and_then(|timing| timing.read_tokens.get()),
            needed_tokens: timing.and_then(|timing| timing.needed_tokens.get()),
            again_tokens: timing.and_then(|timing| timing.again_tokens),
            output_tokens: timing.and_then(|timing| timing.believed_output_tokens()),
            ttft_ms: timing.and_then(|timing| timing.ttft_ms.get()),
            ttft_source: timing.and_then(|timing| timing.ttft_source),
            total_ms: timing.and_then(|timing| timing.total_ms.get()),
            wall_ms: timing.and_then(|timing| timing.wall_ms.get()),
            keepalives: timing.and_then(|timing| timing.keepalives.get()),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_unknown(size: &Amount) -> bool {
    !size.is_known()
}
