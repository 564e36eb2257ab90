//! What a body of OTLP in JSON reports: enough to tell whether a recording is whole. The
//! body itself is stored as it came.

use std::collections::BTreeSet;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The most versions of reporting clients that are kept.
const MAX_VERSIONS: usize = 8;

/// What a request reports, by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Signal {
    /// Events: `/v1/logs`.
    Logs,
    /// Spans: `/v1/traces`.
    Traces,
    /// Metrics, which are not kept: `/v1/metrics`.
    Metrics,
}

impl Signal {
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        Some(match path {
            "/v1/logs" => Self::Logs,
            "/v1/traces" => Self::Traces,
            "/v1/metrics" => Self::Metrics,
            _ => return None,
        })
    }

    /// The file that it is kept in.
    pub(crate) fn file_name(self) -> Option<&'static str> {
        match self {
            Self::Logs => Some("logs.jsonl"),
            Self::Traces => Some("traces.jsonl"),
            Self::Metrics => None,
        }
    }
}

/// How many events and spans arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Arrived {
    /// Events of every kind.
    pub events: u64,
    /// `api_request_body`: a request begins.
    pub request_bodies: u64,
    /// `api_request`: a request was answered.
    pub requests: u64,
    /// `api_error`: a request failed.
    pub errors: u64,
    /// Spans of every kind.
    pub spans: u64,
    /// `claude_code.llm_request`.
    pub request_spans: u64,
    /// `claude_code.interaction`: a turn has ended.
    pub interaction_spans: u64,
    /// The clients' versions, as they report them.
    pub client_versions: BTreeSet<String>,
}

impl Arrived {
    /// Counts what a body reports.
    ///
    /// # Errors
    ///
    /// The body is no OTLP of this kind in JSON.
    pub(crate) fn of(signal: Signal, body: &[u8]) -> Result<Self, serde_json::Error> {
        let mut found = Self::default();
        // What is passed over must be text as well: it becomes a line of a file of JSON.
        let body = std::str::from_utf8(body).map_err(serde::de::Error::custom)?;
        match signal {
            Signal::Logs => {
                for group in serde_json::from_str::<LogsData>(body)?.resource_logs {
                    found.note_version(&group.resource);
                    let records = group.scope_logs.iter().flat_map(|scope| &scope.log_records);
                    records.for_each(|record| found.note_event(record));
                }
            }
            Signal::Traces => {
                for group in serde_json::from_str::<Traces>(body)?.resource_spans {
                    found.note_version(&group.resource);
                    let spans = group.scope_spans.iter().flat_map(|scope| &scope.spans);
                    spans.for_each(|span| found.note_span(span));
                }
            }
            Signal::Metrics => drop(serde_json::from_str::<Metrics>(body)?),
        }
        Ok(found)
    }

    fn note_event(&mut self, record: &LogRecord<'_>) {
        self.events += 1;
        let name = record.body.as_ref().and_then(|body| text(body.string_value));
        match name.unwrap_or_default().trim_start_matches("claude_code.") {
            "api_request_body" => self.request_bodies += 1,
            "api_request" => self.requests += 1,
            "api_error" => self.errors += 1,
            _ => {}
        }
    }

    fn note_span(&mut self, span: &OtlpSpan<'_>) {
        self.spans += 1;
        match text(span.name).unwrap_or_default() {
            "claude_code.llm_request" => self.request_spans += 1,
            "claude_code.interaction" => self.interaction_spans += 1,
            _ => {}
        }
    }

    fn note_version(&mut self, resource: &Option<Resource<'_>>) {
        let attributes = resource.iter().flat_map(|resource| &resource.attributes);
        let named = attributes.filter(|attribute| text(attribute.key) == Some("service.version"));
        let versions = named.filter_map(|attribute| text(attribute.value.as_ref()?.string_value));
        self.add_versions(versions.filter(|version| is_version(version)).map(str::to_owned));
    }

    fn add_versions(&mut self, versions: impl IntoIterator<Item = String>) {
        for version in versions {
            if self.client_versions.len() < MAX_VERSIONS {
                self.client_versions.insert(version);
            }
        }
    }

    /// Adds what another body reports.
    pub(crate) fn add(&mut self, other: Self) {
        let Self {
            events, request_bodies, requests, errors, spans, request_spans, interaction_spans, ..
        } = other;
        self.events += events;
        self.request_bodies += request_bodies;
        self.requests += requests;
        self.errors += errors;
        self.spans += spans;
        self.request_spans += request_spans;
        self.interaction_spans += interaction_spans;
        self.add_versions(other.client_versions);
    }
}

/// What stands between the quotes of a string. It is compared with words that need no
/// escapes, and need not be decoded: a lone surrogate is no reason to refuse a body.
fn text(value: Option<&RawValue>) -> Option<&str> {
    value?.get().strip_prefix('"')?.strip_suffix('"')
}

/// Whether a text looks like a version: it comes from the network, and is printed.
fn is_version(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".+-_".contains(&byte);
    (1..=40).contains(&text.len()) && text.bytes().all(is_part)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogsData<'a> {
    #[serde(borrow)]
    resource_logs: Vec<ResourceLogs<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceLogs<'a> {
    #[serde(borrow)]
    resource: Option<Resource<'a>>,
    #[serde(borrow, default)]
    scope_logs: Vec<ScopeLogs<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScopeLogs<'a> {
    #[serde(borrow, default)]
    log_records: Vec<LogRecord<'a>>,
}

#[derive(Deserialize)]
struct LogRecord<'a> {
    #[serde(borrow)]
    body: Option<AnyValue<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Traces<'a> {
    #[serde(borrow)]
    resource_spans: Vec<ResourceSpans<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    #[serde(borrow)]
    resource: Option<Resource<'a>>,
    #[serde(borrow, default)]
    scope_spans: Vec<ScopeSpans<'a>>,
}

#[derive(Deserialize)]
struct ScopeSpans<'a> {
    #[serde(borrow, default)]
    spans: Vec<OtlpSpan<'a>>,
}

#[derive(Deserialize)]
struct OtlpSpan<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    #[serde(rename = "resourceMetrics")]
    _resource_metrics: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow, default)]
    attributes: Vec<OtlpAttribute<'a>>,
}

#[derive(Deserialize)]
struct OtlpAttribute<'a> {
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    value: Option<AnyValue<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyValue<'a> {
    #[serde(borrow)]
    string_value: Option<&'a RawValue>,
}
