//! The bytes of one trace → a [`TraceRecord`], in one pass that shows every
//! element of the prompt to a [`Visit`]or on the way.
//!
//! A trace is what anyclaude writes for one request:
//! `{"timestamp", "mode", "request": {"method", "url", "headers", "body"}, "response"?}`.
//! The parser checks the full JSON grammar and UTF-8, and takes what lesser
//! parsers refuse but JavaScript writes: lone surrogates, any depth, any number,
//! duplicate members (the last one wins), a byte order mark.

mod headers;

use std::sync::Arc;

use crate::error::{ParseError, SkipReason};
use crate::formats::body::{Body, Raw, Section, Visit, item};
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::{Fault, FaultKind, ParseResult, Walk};
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::RawStr;
use crate::formats::record::{Sender, TraceRecord};
use crate::formats::response::Answer;
use crate::model::time::Timestamp;
use crate::model::{Identity, Response};

/// Parses one trace.
///
/// ```
/// use anyclaude_traces::formats::anyclaude::trace::parse;
///
/// let trace = br#"{"request": {"body": {"model": "m", "system": "Be brief.", "tools": []}}}"#;
/// let record = parse(trace, &mut ())?;
/// assert_eq!(record.sizes.system_chars, 9);
/// assert_eq!(record.sizes.tools_bytes, 2);
/// # Ok::<(), anyclaude_traces::error::ParseError>(())
/// ```
///
/// # Errors
///
/// When the bytes are no trace; the error says why, and at which byte and line.
pub fn parse<V: Visit + ?Sized>(bytes: &[u8], visit: &mut V) -> Result<TraceRecord, ParseError> {
    Parser::default().parse(bytes, visit)
}

impl TraceRecord {
    /// Parses the bytes of one trace.
    ///
    /// ```
    /// use anyclaude_traces::TraceRecord;
    ///
    /// let trace = br#"{"request": {"body": {"model": "m", "system": "Be brief.", "tools": []}}}"#;
    /// assert_eq!(TraceRecord::from_slice(trace)?.sizes.system_chars, 9);
    /// # Ok::<(), anyclaude_traces::error::ParseError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the bytes are no trace; the error says why, and at which byte and line.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ParseError> {
        parse(bytes, &mut ())
    }
}

/// A parser that keeps its memory from one trace to the next.
#[derive(Debug, Default)]
pub struct Parser {
    scratch: Scratch,
}

impl Parser {
    /// Parses one trace; see [`parse`].
    ///
    /// # Errors
    ///
    /// When the bytes are no trace; the error says why, and at which byte and line.
    pub fn parse<V: Visit + ?Sized>(
        &mut self,
        bytes: &[u8],
        visit: &mut V,
    ) -> Result<TraceRecord, ParseError> {
        let text = match simdutf8::basic::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => return Err(self.explain_bad_utf8(bytes)),
        };
        self.parse_text(text, visit)
    }

    fn parse_text<V: Visit + ?Sized>(
        &mut self,
        whole: &str,
        visit: &mut V,
    ) -> Result<TraceRecord, ParseError> {
        let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
        let bom = whole.len() - text.len();
        let mut visit = visit;
        read_trace(text, &mut self.scratch, &mut visit)
            .and_then(|found| found.into_record(whole.len()))
            .map_err(|refusal| refusal.into_error(whole, bom))
    }

    /// The bytes are not UTF-8: cut inside the last character, or broken.
    fn explain_bad_utf8(&mut self, bytes: &[u8]) -> ParseError {
        let Err(fault) = std::str::from_utf8(bytes) else {
            return ParseError::new(SkipReason::InvalidUtf8, bytes, 0, "not UTF-8");
        };
        let at = fault.valid_up_to();
        if fault.error_len().is_some() {
            return ParseError::new(SkipReason::InvalidUtf8, bytes, at, "a byte that is not UTF-8");
        }
        let whole = bytes.get(..at).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or_default();
        match self.parse_text(whole, &mut ()) {
            Err(error) if error.reason() == SkipReason::InvalidJson => error,
            _ => ParseError::new(SkipReason::Truncated, bytes, at, "the file ends inside a character"),
        }
    }
}

/// Why a text is no trace, in terms of the text without a byte order mark.
enum Refusal {
    Fault(Fault),
    NotATrace(&'static str),
}

impl From<Box<Fault>> for Refusal {
    fn from(fault: Box<Fault>) -> Self {
        Self::Fault(*fault)
    }
}

impl Refusal {
    fn into_error(self, whole: &str, bom: usize) -> ParseError {
        let bytes = whole.as_bytes();
        let blank = || bytes.get(bom..).unwrap_or_default().iter().all(|byte| b" \t\r\n".contains(byte));
        match self {
            Self::NotATrace(why) => ParseError::new(SkipReason::NotATrace, bytes, bom, why),
            Self::Fault(_) if blank() => ParseError::new(SkipReason::Empty, bytes, 0, "the file is empty"),
            Self::Fault(Fault { at, kind: FaultKind::Truncated }) => {
                ParseError::new(SkipReason::Truncated, bytes, at + bom, "the file ends inside a value")
            }
            Self::Fault(Fault { at, kind: FaultKind::Expected(what) }) => {
                ParseError::new(SkipReason::InvalidJson, bytes, at + bom, format!("expected {what}"))
            }
        }
    }
}

/// The members of a trace, each as its last occurrence left it.
#[derive(Default)]
struct Found {
    timestamp: Option<Timestamp>,
    mode: Option<Arc<str>>,
    request: Option<Request>,
    response: Option<Box<Response>>,
    body_identity: Option<Identity>,
}

#[derive(Default)]
struct Request {
    endpoint: Option<Arc<str>>,
    sender: Sender,
    body: Option<Body>,
}

fn read_trace<V: Visit>(text: &str, scratch: &mut Scratch, visit: &mut V) -> Result<Found, Refusal> {
    let mut cursor = Cursor::new(text, scratch);
    if cursor.shape()? != Shape::Object {
        cursor.skip()?;
        cursor.end()?;
        return Err(Refusal::NotATrace("the file holds no JSON object"));
    }
    let (mut walk, mut found) = (Walk::default(), Found::default());
    while let Some(key) = cursor.next_member(&mut walk)? {
        match key.as_ref() {
            "timestamp" => {
                found.timestamp = cursor.string_or_skip()?.and_then(|stamp| stamp.decode().parse().ok());
            }
            "mode" => found.mode = cursor.string_or_skip()?.map(|mode| cursor.name(&mode.decode())),
            "request" => found.request = read_request(&mut cursor, visit)?,
            "response" => found.response = read_response(&mut cursor)?.map(Box::new),
            _ => cursor.skip()?,
        }
    }
    cursor.end()?;
    let body = found.request.as_ref().and_then(|request| request.body.as_ref());
    if let (Some("claude"), Some(span)) = (found.mode.as_deref(), body.and_then(|body| body.span.as_ref())) {
        let body = text.get(span.range.clone()).unwrap_or_default();
        found.body_identity = item::identity(body, false);
    }
    if let Some(span) = body.and_then(|body| body.span.as_ref()) {
        visit.body(&Raw::new(&cursor, span));
    }
    Ok(found)
}

fn read_request<V: Visit>(cursor: &mut Cursor<'_, '_>, visit: &mut V) -> ParseResult<Option<Request>> {
    visit.restart(Section::Body);
    if cursor.shape()? != Shape::Object {
        cursor.skip()?;
        return Ok(None);
    }
    let (mut walk, mut request) = (Walk::default(), Request::default());
    while let Some(key) = cursor.next_member(&mut walk)? {
        match key.as_ref() {
            "url" => {
                let url = cursor.string_or_skip()?.map(RawStr::decode);
                request.endpoint = url.map(|url| cursor.name(path_of(&url)));
            }
            "headers" => request.sender = headers::read(cursor)?,
            "body" => {
                visit.restart(Section::Body);
                request.body = match cursor.shape()? {
                    Shape::Object => Some(Body::read_anthropic(cursor, visit)?),
                    _ => cursor.skip().map(|()| None)?,
                };
            }
            _ => cursor.skip()?,
        }
    }
    Ok(Some(request))
}

/// Reads the value of `response`; `None` where it is null.
fn read_response(cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<Response>> {
    if cursor.shape()? != Shape::Object {
        let null = cursor.at_null();
        cursor.skip()?;
        return Ok((!null).then(Response::default));
    }
    let (mut walk, mut status, mut response) = (Walk::default(), None, Response::default());
    while let Some(key) = cursor.next_member(&mut walk)? {
        match key.as_ref() {
            "statusCode" => status = cursor.u64_or_skip()?,
            "body" => response = Answer::read(cursor)?.response,
            _ => cursor.skip()?,
        }
    }
    Ok(Some(Response { status, ..response }))
}

/// A URL's path: without query and fragment, and without scheme and host.
fn path_of(url: &str) -> &str {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = url.get(..end).unwrap_or(url);
    let Some((scheme, host_and_path)) = url.split_once("://") else { return url };
    if scheme.contains('/') {
        return url;
    }
    host_and_path.find('/').and_then(|slash| host_and_path.get(slash..)).unwrap_or("/")
}

impl Found {
    fn into_record(self, file_bytes: usize) -> Result<TraceRecord, Refusal> {
        let request = self.request.ok_or(Refusal::NotATrace("it has no object at `request`"))?;
        let body = request.body.ok_or(Refusal::NotATrace("it has no object at `request.body`"))?;
        if !body.is_prompt() {
            return Err(Refusal::NotATrace(
                "its `request.body` has none of `model`, `messages`, `system` and `tools`",
            ));
        }
        let mut sizes = body.sizes;
        sizes.file_bytes = file_bytes as u64;
        Ok(TraceRecord {
            timestamp: self.timestamp,
            mode: self.mode,
            endpoint: request.endpoint,
            requested_model: body.model,
            sender: Sender {
                session_id: request.sender.session_id.or(body.sender.session_id),
                user: body.sender.user,
                ..request.sender
            },
            sizes,
            max_tokens: body.max_tokens,
            stream: body.stream,
            tools: body.tools,
            history: body.history,
            body: self.body_identity,
            response: self.response,
        })
    }
}
