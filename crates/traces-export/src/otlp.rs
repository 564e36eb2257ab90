//! OTLP/JSON lines, as OpenTelemetry's file exporter writes them and its collector reads
//! them: each line is the message `TracesData` with one request.
//!
//! A request is a trace of its own: a span of kind CLIENT, and below it a span for each
//! part of its time. What tells requests of one conversation is `gen_ai.conversation.id`.
//! Ids are made of what identifies the request, so that the same recording exported again
//! gives the same ids.
//!
//! The format: OpenTelemetry Protocol 1.x, JSON Protobuf encoding: 64-bit integers are
//! strings, enumerations numbers, ids hexadecimal. Names of attributes: semantic
//! conventions for generative AI, version 1.41, and ours below `traces.`.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use anyclaude_traces::Request;
use anyclaude_traces::model::Amount;
use anyclaude_traces::model::request::{Api, Kind, Source};
use anyclaude_traces::model::timing::{CachedSource, Outcome, Timing, TokenSource};
use serde::{Serialize, Serializer};
use xxhash_rust::xxh3::Xxh3;

use crate::Written;
use crate::timeline::TimeSpan;
use crate::words;

/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u8 = 1;
/// `SPAN_KIND_CLIENT`.
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;
/// What made the spans.
const SCOPE: &str = "traces";

/// Writes a line for each request, in their order. A request whose end is unknown is a span
/// without length, with the attribute `traces.end_unknown`.
///
/// # Errors
///
/// When writing fails.
pub fn write(out: &mut impl Write, requests: &[Request]) -> io::Result<Written> {
    let mut written = Written::default();
    let mut line = Vec::new();
    for request in requests {
        let Some(span) = TimeSpan::of(request) else {
            written.without_time += 1;
            continue;
        };
        line.clear();
        serde_json::to_writer(&mut line, &TracesData::of(request, span))?;
        line.push(b'\n');
        out.write_all(&line)?;
        written.requests += 1;
    }
    Ok(written)
}

/// An attribute of a request's span, and where it comes from; `None` leaves it out.
struct RequestAttribute {
    name: &'static str,
    of: for<'a> fn(&'a Request) -> Option<OtlpValue<'a>>,
}

macro_rules! attributes {
    ($($name:literal: $of:expr,)*) => { &[$(RequestAttribute { name: $name, of: $of }),*] };
}

/// The attributes of the semantic conventions. A count is there only where somebody
/// counted: what was simulated or derived is below `traces.`.
const CONVENTIONS: &[RequestAttribute] = attributes! {
    "gen_ai.operation.name": |request| text(if request.kind == Kind::CountTokens { "count_tokens" } else { "chat" }),
    "gen_ai.provider.name": |request| Some(OtlpValue::Text(provider(request)?.into())),
    "gen_ai.request.model": |request| text(request.caller.requested_model.as_deref().or(request.model.as_deref())?),
    "gen_ai.response.model": |request| text(request.model.as_deref()?),
    "gen_ai.request.max_tokens": |request| whole(request.max_tokens),
    "gen_ai.request.stream": |request| Some(OtlpValue::Truth(request.stream)),
    "gen_ai.usage.input_tokens": |request| whole(input_tokens(request)),
    "gen_ai.usage.cache_read.input_tokens": |request| whole(cache_read_tokens(request)),
    "gen_ai.usage.output_tokens": |request| whole(output_tokens(request)),
    "gen_ai.response.time_to_first_chunk": |request| Some(OtlpValue::Seconds(timing(request)?.ttft_ms.get()?)),
    "gen_ai.conversation.id": |request| text(request.session.as_deref()?),
    "server.address": |request| text(backend(request)?.0),
    "server.port": |request| Some(OtlpValue::Whole(backend(request)?.1?.into())),
    "http.response.status_code": |request| whole(request.response.as_ref()?.status),
    "error.type": |request| error_type(request).map(OtlpValue::Text),
};

/// Ours: the members of a request's JSON.
const OURS: &[RequestAttribute] = attributes! {
    "traces.id": |request| Some(OtlpValue::Text(request.id.to_string().into())),
    "traces.source": |request| text(request.source.name()),
    "traces.end_unknown": |request| is_end_unknown(request).then_some(OtlpValue::Truth(true)),
    "traces.kind": |request| text(request.kind.name()),
    "traces.thread": |request| text(request.thread.as_deref()?),
    "traces.run": |request| text(request.run.as_deref()?),
    "traces.agent": |request| text(request.caller.agent.as_deref()?),
    "traces.client_version": |request| text(request.caller.client_version.as_deref()?),
    "traces.system_bytes": |request| size(request.sizes.system_bytes),
    "traces.tools_bytes": |request| size(request.sizes.tools_bytes),
    "traces.messages_bytes": |request| size(request.sizes.messages_bytes),
    "traces.body_bytes": |request| size(request.sizes.body_bytes),
    "traces.tool_count": |request| size(request.sizes.tool_count),
    "traces.message_count": |request| size(request.sizes.message_count),
    "traces.join.confidence": |request| word(request.join.as_ref()?.confidence),
    "traces.timing.outcome": |request| word(timing(request)?.outcome?),
    "traces.timing.ttft_source": |request| word(timing(request)?.ttft_source?),
    "traces.timing.proxy_ms": |request| whole(timing(request)?.proxy_ms.get()),
    "traces.timing.ttft_ms": |request| whole(timing(request)?.ttft_ms.get()),
    "traces.timing.total_ms": |request| whole(timing(request)?.total_ms.get()),
    "traces.timing.wall_ms": |request| whole(timing(request)?.wall_ms.get()),
    "traces.timing.keepalives": |request| whole(timing(request)?.keepalives.get()),
    "traces.timing.prompt_tokens": |request| whole(timing(request)?.believed_prompt_tokens()),
    "traces.timing.cached_tokens": |request| whole(timing(request)?.cached_tokens.get()),
    "traces.timing.cached_source": |request| word(timing(request)?.cached_source?),
    "traces.timing.read_tokens": |request| whole(timing(request)?.read_tokens.get()),
    "traces.timing.needed_tokens": |request| whole(timing(request)?.needed_tokens.get()),
    "traces.timing.again_tokens": |request| Some(OtlpValue::Whole(timing(request)?.again_tokens?)),
    "traces.timing.output_tokens": |request| whole(timing(request)?.believed_output_tokens()),
};

fn timing(request: &Request) -> Option<&Timing> {
    request.timing.as_deref()
}

/// A span has to end: that of a request whose end is unknown ends where it begins.
fn is_end_unknown(request: &Request) -> bool {
    TimeSpan::of(request).is_some_and(|span| span.length_ms.is_none())
}

fn text(text: &str) -> Option<OtlpValue<'_>> {
    Some(OtlpValue::Text(text.into()))
}

/// A number that OTLP can hold: it knows none of 64 bits without a sign, and a collector
/// refuses the line that has one.
fn whole<'a>(number: Option<u64>) -> Option<OtlpValue<'a>> {
    Some(OtlpValue::Whole(i64::try_from(number?).ok()?))
}

fn size<'a>(size: Amount) -> Option<OtlpValue<'a>> {
    whole(size.get())
}

/// An enumeration's name in JSON.
fn word<'a>(word: impl Serialize) -> Option<OtlpValue<'a>> {
    Some(OtlpValue::Text(words::name(word)?.into()))
}

/// Who ran the model: the proxy's mode, else the recorder, else the API's maker. Names are
/// those of the conventions where these have one.
fn provider(request: &Request) -> Option<&str> {
    match request.mode.as_deref() {
        Some("claude") => return Some("anthropic"),
        Some("lmstudio") => return Some("lm_studio"),
        Some(mode) => return Some(mode),
        None => {}
    }
    match (request.source, request.api) {
        (Source::LmStudio | Source::LlamaServer | Source::Ollama, _) => Some(request.source.name()),
        (_, Some(Api::Anthropic)) => Some("anthropic"),
        (_, Some(Api::OpenaiChat | Api::OpenaiResponses)) => Some("openai"),
        _ => None,
    }
}

/// Tokens of the whole prompt, cached ones included.
fn input_tokens(request: &Request) -> Option<u64> {
    timing(request).and_then(Timing::believed_prompt_tokens).or_else(|| {
        let response = request.response.as_ref()?;
        let cached = [response.cache_read_tokens, response.cache_creation_tokens];
        cached.into_iter().flatten().try_fold(response.input_tokens?, u64::checked_add)
    })
}

fn cache_read_tokens(request: &Request) -> Option<u64> {
    let counted = timing(request).filter(|timing| {
        matches!(timing.cached_source, Some(CachedSource::ServerLog | CachedSource::Reported))
    });
    counted
        .and_then(|timing| timing.cached_tokens.get())
        .or_else(|| request.response.as_ref().and_then(|response| response.cache_read_tokens))
}

fn output_tokens(request: &Request) -> Option<u64> {
    let counted = timing(request).filter(|timing| timing.output_tokens_source != Some(TokenSource::Derived));
    counted
        .and_then(Timing::believed_output_tokens)
        .or_else(|| request.response.as_ref().and_then(|response| response.output_tokens))
}

/// Host and port of the backend.
fn backend(request: &Request) -> Option<(&str, Option<u16>)> {
    let url = request.process()?.backend_url.as_deref()?;
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    // What stands before an @ may be a password.
    let place = authority.rsplit('@').next()?;
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (place, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then_some((host, port))
}

/// How it failed, in one of few words; `None` where it is not known to have failed.
fn error_type(request: &Request) -> Option<Cow<'_, str>> {
    let status = request.response.as_ref().and_then(|response| response.status);
    match timing(request).and_then(|timing| timing.outcome) {
        Some(Outcome::TimedOut) => Some("timeout".into()),
        Some(Outcome::Disconnected) => Some("client_disconnected".into()),
        outcome => match status.filter(|status| *status >= 400) {
            Some(status) => Some(status.to_string().into()),
            // What the conventions write for an error of no known sort.
            None => (outcome == Some(Outcome::Failed)).then_some("_OTHER".into()),
        },
    }
}

/// A value as OTLP writes it.
#[derive(Debug, Serialize)]
enum OtlpValue<'a> {
    #[serde(rename = "stringValue")]
    Text(Cow<'a, str>),
    #[serde(rename = "boolValue")]
    Truth(bool),
    #[serde(rename = "intValue", serialize_with = "as_text")]
    Whole(i64),
    /// A time in milliseconds.
    #[serde(rename = "doubleValue", serialize_with = "as_seconds")]
    Seconds(u64),
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn as_text<S: Serializer>(number: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

#[allow(clippy::cast_precision_loss, reason = "times stay far below 2^53")]
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn as_seconds<S: Serializer>(ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(*ms as f64 / 1000.0)
}

#[derive(Debug, Serialize)]
struct KeyValue<'a> {
    key: &'static str,
    value: OtlpValue<'a>,
}

/// A line of the file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TracesData<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
    schema_url: &'static str,
}

#[derive(Debug, Serialize)]
struct Resource<'a> {
    attributes: [KeyValue<'a>; 1],
}

#[derive(Debug, Serialize)]
struct ScopeSpans<'a> {
    scope: InstrumentationScope,
    spans: Vec<SpanData<'a>>,
}

#[derive(Debug, Serialize)]
struct InstrumentationScope {
    name: &'static str,
    version: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanData<'a> {
    trace_id: TraceId,
    span_id: SpanId,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<SpanId>,
    name: Cow<'a, str>,
    kind: u8,
    #[serde(serialize_with = "as_text")]
    start_time_unix_nano: u64,
    #[serde(serialize_with = "as_text")]
    end_time_unix_nano: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<KeyValue<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<SpanStatus>,
}

#[derive(Debug, Serialize)]
struct SpanStatus {
    code: u8,
}

impl<'a> TracesData<'a> {
    fn of(request: &'a Request, span: TimeSpan) -> Self {
        let service = request.mode.as_deref().map_or_else(|| request.source.name(), |_| "anyclaude");
        let resource = KeyValue { key: "service.name", value: OtlpValue::Text(service.into()) };
        let scope = InstrumentationScope { name: SCOPE, version: env!("CARGO_PKG_VERSION") };
        let scope_spans = [ScopeSpans { scope, spans: spans(request, span) }];
        let resource = Resource { attributes: [resource] };
        let schema_url = "https://opentelemetry.io/schemas/1.41.0";
        Self { resource_spans: [ResourceSpans { resource, scope_spans, schema_url }] }
    }
}

/// The request's span, then those of its parts.
fn spans(request: &Request, span: TimeSpan) -> Vec<SpanData<'_>> {
    let trace_id = TraceId::of(request);
    let of = |name: Cow<'static, str>, word: &str, span: TimeSpan| SpanData {
        trace_id,
        span_id: SpanId::of(trace_id, word),
        parent_span_id: None,
        name,
        kind: INTERNAL,
        start_time_unix_nano: span.begin_ms * 1_000_000,
        end_time_unix_nano: span.end_ms() * 1_000_000,
        attributes: Vec::new(),
        status: None,
    };
    let attributes = CONVENTIONS.iter().chain(OURS).filter_map(|attribute| {
        let value = (attribute.of)(request)?;
        Some(KeyValue { key: attribute.name, value })
    });
    let whole = SpanData {
        kind: CLIENT,
        attributes: attributes.collect(),
        status: error_type(request).map(|_| SpanStatus { code: ERROR }),
        ..of(name(request).into(), "request", span)
    };
    let parent_span_id = Some(whole.span_id);
    let parts = span.parts(request);
    let parts = parts.map(|(part, span)| SpanData { parent_span_id, ..of(part.into(), part, span) });
    std::iter::once(whole).chain(parts).collect()
}

/// What the conventions call a span: the operation and the model that was asked for.
fn name(request: &Request) -> String {
    let operation = if request.kind == Kind::CountTokens { "count_tokens" } else { "chat" };
    match request.caller.requested_model.as_deref().or(request.model.as_deref()) {
        Some(model) => format!("{operation} {model}"),
        None => operation.to_owned(),
    }
}

/// An id of 16 bytes, in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TraceId(u128);

impl TraceId {
    /// From what the recording says of the request, and not from what was joined to it: a
    /// label, or a log that is read besides, changes no id. Its short id alone would be
    /// another request's too where millions are put together.
    fn of(request: &Request) -> Self {
        let mut hash = Xxh3::new();
        let mut part = |part: &[u8]| {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        part(request.id.to_string().as_bytes());
        part(&request.timestamp.map_or(0, |stamp| stamp.unix_ms()).to_le_bytes());
        part(request.source.name().as_bytes());
        part(request.kind.name().as_bytes());
        part(&request.sizes.body_bytes.get().unwrap_or(0).to_le_bytes());
        // An id of zeros is invalid.
        Self(hash.digest128().max(1))
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0))
    }
}

/// An id of 8 bytes, in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SpanId(u64);

impl SpanId {
    fn of(trace: TraceId, part: &str) -> Self {
        let mut hash = Xxh3::new();
        hash.update(&trace.0.to_le_bytes());
        hash.update(part.as_bytes());
        Self(hash.digest().max(1))
    }
}

impl Serialize for SpanId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_attribute_has_a_name_of_its_own() {
        let all = || CONVENTIONS.iter().chain(OURS).map(|attribute| attribute.name);
        assert_eq!(all().collect::<BTreeSet<_>>().len(), all().count());
        assert!(OURS.iter().all(|attribute| attribute.name.starts_with("traces.")));
    }

    #[test]
    fn a_time_is_written_in_seconds_and_a_number_as_text() {
        let of = |value: OtlpValue<'_>| serde_json::to_string(&value).unwrap();
        assert_eq!(of(OtlpValue::Seconds(1_250)), r#"{"doubleValue":1.25}"#);
        assert_eq!(of(OtlpValue::Whole(-7)), r#"{"intValue":"-7"}"#);
        assert_eq!(of(whole(Some(7)).unwrap()), r#"{"intValue":"7"}"#);
        assert!(whole(Some(u64::MAX)).is_none(), "a collector refuses it");
        assert_eq!(of(OtlpValue::Truth(false)), r#"{"boolValue":false}"#);
    }
}
