//! One event of Claude Code's log: a log record of OTLP.

use std::sync::Arc;

use super::Usage;
use super::attribute::{self, AttributeValue};
use super::response::{RecordedResponse, read_response};
use super::telemetry::{Records, unix_nanos};
use crate::formats::json::cursor::Cursor;
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::RawStr;
use crate::model::time::Timestamp;

/// What an event's name begins with in the body of its log record.
const PREFIX: &str = "claude_code.";

/// An event of Claude Code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaudeCodeEvent {
    pub(crate) at: Timestamp,
    /// Counts up within one process of Claude Code.
    pub(crate) sequence: Option<u64>,
    pub(crate) session: Option<Arc<str>>,
    /// What in Claude Code asked: `sdk`, `repl_main_thread`, `generate_session_title`, ….
    pub(crate) query_source: Option<Arc<str>>,
    pub(crate) model: Option<Arc<str>>,
    pub(crate) agent: Option<Arc<str>>,
    pub(crate) client_version: Option<Arc<str>>,
    /// A number of its own in the file, by which a request goes that is known by it; 0
    /// where it is of no request.
    pub(crate) record: u32,
    pub(crate) kind: EventKind,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// An attempt begins.
    RequestBody {
        body: EventBody,
        /// The name of its body file, without an ending.
        id: Option<Arc<str>>,
    },
    /// A request was answered.
    Answered { duration_ms: Option<u64>, ttft_ms: Option<u64>, usage: Usage },
    /// The answer was recorded.
    ResponseBody {
        /// The name of the file with the answer.
        file: Option<Arc<str>>,
        /// The body that it answers.
        request: Option<Arc<str>>,
        message: Option<Arc<str>>,
        /// The answer, where it stands in the event.
        inline: Option<Box<RecordedResponse>>,
    },
    /// A request failed for good.
    Failed { error: Option<String>, status: Option<u64>, duration_ms: Option<u64> },
    /// Anything else: its sequence number tells one process from the next.
    Other,
}

/// Where a request's body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EventBody {
    /// In a file of this name.
    File(Arc<str>),
    /// In the event, and read as the one of the event's number.
    Inline,
    /// Cut, withheld, or not readable.
    Unknown,
}

/// The attributes that matter, as they are passed.
#[derive(Default)]
struct EventAttributes<'a> {
    name: Option<RawStr<'a>>,
    at: Option<Timestamp>,
    sequence: Option<u64>,
    session: Option<Arc<str>>,
    query_source: Option<Arc<str>>,
    model: Option<Arc<str>>,
    agent: Option<Arc<str>>,
    body: Option<RawStr<'a>>,
    body_file: Option<Arc<str>>,
    is_cut: bool,
    request: Option<Arc<str>>,
    message: Option<Arc<str>>,
    duration_ms: Option<u64>,
    ttft_ms: Option<u64>,
    usage: Usage,
    error: Option<String>,
    status: Option<u64>,
}

impl ClaudeCodeEvent {
    /// Reads a log record; `None` where it is none of Claude Code's, or has no time.
    pub(super) fn read(cursor: &mut Cursor<'_, '_>, records: &mut dyn Records) -> ParseResult<Option<Self>> {
        let (mut found, mut logged_at, mut title) = (EventAttributes::default(), None, AttributeValue::Other);
        cursor.members_or_skip(|cursor, key| {
            match key {
                "timeUnixNano" => logged_at = unix_nanos(cursor)?.or(logged_at),
                "observedTimeUnixNano" => logged_at = logged_at.or(unix_nanos(cursor)?),
                "body" => title = attribute::read_value(cursor)?,
                "attributes" => attribute::read(cursor, |cursor, key, value| {
                    found.learn(cursor, key, value);
                })?,
                _ => cursor.skip()?,
            }
            Ok(())
        })?;
        let title = title.text().unwrap_or_default();
        let Some(title) = title.strip_prefix(PREFIX) else { return Ok(None) };
        let Some(at) = found.at.or(logged_at) else { return Ok(None) };
        let name = found.name.map(RawStr::decode);
        Ok(Some(found.into_event(name.as_deref().unwrap_or(title), at, records)))
    }
}

impl<'a> EventAttributes<'a> {
    fn learn(&mut self, cursor: &mut Cursor<'a, '_>, key: &str, value: AttributeValue<'a>) {
        match key {
            "event.name" => self.name = value.raw(),
            "event.timestamp" => self.at = value.text().and_then(|at| at.parse().ok()),
            "event.sequence" => self.sequence = value.whole(),
            "session.id" => self.session = value.name(cursor),
            "query_source" => self.query_source = value.name(cursor),
            "model" => self.model = value.name(cursor),
            "agent.id" | "agent_id" => self.agent = value.name(cursor),
            "body" => self.body = value.raw(),
            "body_ref" => self.body_file = value.text().as_deref().and_then(file_name),
            "body_truncated" | "body_withheld" => self.is_cut |= value.is_true(),
            "request_body_id" => self.request = value.text().map(|id| id.as_ref().into()),
            "message.id" => self.message = value.text().map(|id| id.as_ref().into()),
            "duration_ms" => self.duration_ms = value.whole(),
            "ttft_ms" => self.ttft_ms = value.whole(),
            "input_tokens" => self.usage.input = value.whole(),
            "output_tokens" => self.usage.output = value.whole(),
            "cache_read_tokens" => self.usage.cache_read = value.whole(),
            "cache_creation_tokens" => self.usage.cache_creation = value.whole(),
            "error" => self.error = value.text().map(|error| error.into_owned()),
            "status_code" => self.status = value.whole(),
            _ => {}
        }
    }

    fn into_event(self, name: &str, at: Timestamp, records: &mut dyn Records) -> ClaudeCodeEvent {
        let is_of_request =
            matches!(name, "api_request_body" | "api_request" | "api_response_body" | "api_error");
        let record = if is_of_request { records.begin() } else { 0 };
        let kind = match name {
            "api_request_body" => {
                let inline = self.body.filter(|_| !self.is_cut);
                let body = match (self.body_file, inline) {
                    (Some(file), _) => EventBody::File(file),
                    (None, Some(body)) if records.read(record, &body.decode()) => EventBody::Inline,
                    (None, _) => EventBody::Unknown,
                };
                EventKind::RequestBody { body, id: self.request }
            }
            "api_request" => EventKind::Answered {
                duration_ms: self.duration_ms,
                ttft_ms: self.ttft_ms,
                usage: self.usage,
            },
            "api_response_body" => EventKind::ResponseBody {
                file: self.body_file,
                request: self.request,
                message: self.message,
                inline: self.body.filter(|_| !self.is_cut).and_then(|body| read_inline(&body.decode())),
            },
            "api_error" => {
                EventKind::Failed { error: self.error, status: self.status, duration_ms: self.duration_ms }
            }
            _ => EventKind::Other,
        };
        ClaudeCodeEvent {
            at,
            sequence: self.sequence,
            session: self.session,
            query_source: self.query_source,
            model: self.model,
            agent: self.agent,
            client_version: None,
            record,
            kind,
        }
    }
}

fn read_inline(body: &str) -> Option<Box<RecordedResponse>> {
    read_response(body, &mut Scratch::default()).ok().map(Box::new)
}

/// The last part of a path, which is all of it that holds once a recording was moved.
fn file_name(path: &str) -> Option<Arc<str>> {
    path.rsplit(['/', '\\']).next().filter(|name| !name.is_empty()).map(Arc::from)
}
