//! Spans of Claude Code's traces: a request to a model with all its attempts, and a whole
//! turn of the user.

use std::sync::Arc;

use super::Usage;
use super::attribute::{self, AttributeValue};
use super::telemetry::{Records, unix_nanos};
use crate::formats::json::cursor::Cursor;
use crate::formats::json::fault::ParseResult;
use crate::formats::json::text::RawStr;
use crate::model::time::Timestamp;

/// Span `claude_code.llm_request`: a request to a model, from its first attempt to its end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModelSpan {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// When each attempt began, in order of time.
    pub(crate) attempts: Vec<Timestamp>,
    /// The number of the first attempt as a request of its own; the others follow.
    pub(crate) record: u32,
    pub(crate) session: Option<Arc<str>>,
    pub(crate) query_source: Option<Arc<str>>,
    pub(crate) model: Option<Arc<str>>,
    /// The model that the answer names.
    pub(crate) response_model: Option<Arc<str>>,
    pub(crate) agent: Option<Arc<str>>,
    pub(crate) client_version: Option<Arc<str>>,
    /// To the first content of the answer, from the last attempt on.
    pub(crate) first_content_ms: Option<u64>,
    /// To `message_start`, from the last attempt on: a backend may send that at once.
    pub(crate) ttft_ms: Option<u64>,
    pub(crate) usage: Usage,
    pub(crate) has_failed: bool,
    pub(crate) stop_reason: Option<String>,
    /// Of a request that failed.
    pub(crate) error: Option<String>,
    pub(crate) status: Option<u64>,
}

/// Span `claude_code.interaction`: a turn of the user. Where it was interrupted, its end is
/// the end of the request that was open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interaction {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) session: Option<Arc<str>>,
}

/// A span that matters.
#[derive(Debug)]
pub(super) enum TelemetrySpan {
    Model(Box<ModelSpan>),
    Interaction(Interaction),
    /// Another one of Claude Code's.
    Other,
}

#[derive(Default)]
struct SpanAttributes {
    session: Option<Arc<str>>,
    query_source: Option<Arc<str>>,
    safe_query_source: Option<Arc<str>>,
    model: Option<Arc<str>>,
    response_model: Option<Arc<str>>,
    agent: Option<Arc<str>>,
    first_content_ms: Option<u64>,
    ttft_ms: Option<u64>,
    usage: Usage,
    is_success: Option<bool>,
    stop_reason: Option<String>,
    error: Option<String>,
    status: Option<u64>,
}

impl TelemetrySpan {
    /// Reads a span; `None` where it is none of Claude Code's, or its times are missing.
    pub(super) fn read(cursor: &mut Cursor<'_, '_>, records: &mut dyn Records) -> ParseResult<Option<Self>> {
        let (mut name, mut start, mut end) = (None, None, None);
        let (mut attempts, mut found) = (Vec::new(), SpanAttributes::default());
        cursor.members_or_skip(|cursor, key| {
            match key {
                "name" => name = cursor.string_or_skip()?.map(RawStr::decode),
                "startTimeUnixNano" => start = unix_nanos(cursor)?,
                "endTimeUnixNano" => end = unix_nanos(cursor)?,
                "events" => cursor.items_or_skip(|cursor| {
                    attempts.extend(read_attempt(cursor)?);
                    Ok(())
                })?,
                "attributes" => attribute::read(cursor, |cursor, key, value| {
                    found.learn(cursor, key, value);
                })?,
                _ => cursor.skip()?,
            }
            Ok(())
        })?;
        let Some(name) = name.as_deref().and_then(|name| name.strip_prefix("claude_code.")) else {
            return Ok(None);
        };
        let (Some(start), Some(end)) = (start, end) else { return Ok(None) };
        Ok(Some(match name {
            "llm_request" => {
                attempts.sort_unstable();
                let record = records.begin();
                for _ in attempts.iter().skip(1) {
                    records.begin();
                }
                let span = found.into_model_span(start, end, attempts);
                Self::Model(Box::new(ModelSpan { record, ..span }))
            }
            "interaction" => Self::Interaction(Interaction { start, end, session: found.session }),
            _ => Self::Other,
        }))
    }
}

/// The time of a span's event, if that is the beginning of an attempt.
fn read_attempt(cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<Timestamp>> {
    let (mut is_attempt, mut at) = (false, None);
    cursor.members_or_skip(|cursor, key| {
        match key {
            "name" => {
                let name = cursor.string_or_skip()?.map(RawStr::decode);
                is_attempt = name.as_deref() == Some("gen_ai.request.attempt");
            }
            "timeUnixNano" => at = unix_nanos(cursor)?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    Ok(at.filter(|_| is_attempt))
}

impl SpanAttributes {
    fn learn<'a>(&mut self, cursor: &mut Cursor<'a, '_>, key: &str, value: AttributeValue<'a>) {
        match key {
            "session.id" => self.session = value.name(cursor),
            "query_source" => self.query_source = value.name(cursor),
            "query_source_safe" => self.safe_query_source = value.name(cursor),
            "model" => self.model = value.name(cursor),
            "gen_ai.response.model" => self.response_model = value.name(cursor),
            "agent.id" | "agent_id" => self.agent = value.name(cursor),
            "first_content_ms" => self.first_content_ms = value.whole(),
            "ttft_ms" => self.ttft_ms = value.whole(),
            "input_tokens" => self.usage.input = value.whole(),
            "output_tokens" => self.usage.output = value.whole(),
            "cache_read_tokens" => self.usage.cache_read = value.whole(),
            "cache_creation_tokens" => self.usage.cache_creation = value.whole(),
            "success" => self.is_success = Some(value.is_true()),
            "stop_reason" => self.stop_reason = value.text().map(|reason| reason.into_owned()),
            "error" => self.error = value.text().map(|error| error.into_owned()),
            "status_code" => self.status = value.whole(),
            _ => {}
        }
    }

    fn into_model_span(self, start: Timestamp, end: Timestamp, attempts: Vec<Timestamp>) -> ModelSpan {
        let has_failed = self.is_success.map_or(self.error.is_some(), |is_success| !is_success);
        ModelSpan {
            start,
            end,
            attempts,
            record: 0,
            session: self.session,
            query_source: self.query_source.or(self.safe_query_source),
            model: self.model,
            response_model: self.response_model,
            agent: self.agent,
            client_version: None,
            first_content_ms: self.first_content_ms,
            ttft_ms: self.ttft_ms,
            usage: self.usage,
            has_failed,
            stop_reason: self.stop_reason,
            error: self.error.filter(|_| has_failed),
            status: self.status,
        }
    }
}
