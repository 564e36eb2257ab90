//! The bytes of one trace → a [`TraceRecord`], in one pass that shows every
//! element of the prompt to a [`Visit`]or on the way.
//!
//! A trace is what anyclaude writes for one request:
//! `{"timestamp", "mode", "request": {"method", "url", "headers", "body"}, "response"?}`.
//! The parser checks the full JSON grammar and UTF-8, and takes what lesser
//! parsers refuse but JavaScript writes: lone surrogates, any depth, any number,
//! duplicate members (the last one wins), a byte order mark.

use crate::error::ParseError;
use crate::formats::body::{Body, Raw, Section, Visit, item};
use crate::formats::headers;
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::RawStr;
use crate::formats::record::{RecordDraft, Sender, TraceRecord, path_of};
use crate::formats::response::AnswerFacts;
use crate::formats::source::{Format, Input, RecordSink};
use crate::model::Response;
use crate::model::request::{Api, Source};

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
        parse_input(&Input { bytes }, &mut self.scratch, visit)
    }
}

/// A trace of anyclaude.
#[derive(Debug)]
pub(crate) struct AnyclaudeTrace;

impl Format for AnyclaudeTrace {
    fn read(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        sink: &mut dyn RecordSink,
    ) -> Result<(), ParseError> {
        let number = sink.begin();
        let record = parse_input(input, scratch, sink.visitor(number))?;
        sink.finish(number, record);
        Ok(())
    }
}

fn parse_input<V: Visit + ?Sized>(
    input: &Input<'_>,
    scratch: &mut Scratch,
    mut visit: &mut V,
) -> Result<TraceRecord, ParseError> {
    let text = input.text()?;
    let read = read_trace(text.as_str(), scratch, &mut visit).map_err(|fault| text.fault(*fault))?;
    read.and_then(|draft| draft.finish(input.len())).map_err(|why| text.not_a_trace(why))
}

/// A trace's facts, or why the JSON is no trace.
type FoundTrace = Result<RecordDraft, &'static str>;

fn read_trace<V: Visit>(text: &str, scratch: &mut Scratch, visit: &mut V) -> ParseResult<FoundTrace> {
    let mut cursor = Cursor::comparing(text, scratch);
    if cursor.shape()? != Shape::Object {
        cursor.skip()?;
        cursor.end()?;
        return Ok(Err("the file holds no JSON object"));
    }
    let mut draft = RecordDraft::new(Source::Anyclaude);
    draft.api = Some(Api::Anthropic);
    let (mut walk, mut has_request) = (Walk::default(), false);
    while let Some(key) = cursor.next_member(&mut walk)? {
        match key.as_ref() {
            "timestamp" => {
                draft.timestamp = cursor.string_or_skip()?.and_then(|stamp| stamp.decode().parse().ok());
            }
            "mode" => draft.mode = cursor.string_or_skip()?.map(|mode| cursor.name(&mode.decode())),
            "request" => has_request = read_request(&mut cursor, &mut draft, visit)?,
            "response" => draft.response = read_response(&mut cursor)?.map(Box::new),
            _ => cursor.skip()?,
        }
    }
    cursor.end()?;
    if let Some(span) = draft.body().and_then(|body| body.span.as_ref()) {
        visit.body(&Raw::new(&cursor, span));
        if draft.mode.as_deref() == Some("claude") {
            let body = text.get(span.range.clone()).unwrap_or_default();
            draft.body_identity = item::identity(body, false);
        }
    }
    Ok(if has_request { Ok(draft) } else { Err("it has no object at `request`") })
}

/// Reads the value of `request`, which replaces an earlier one; whether it is an object.
fn read_request<V: Visit>(
    cursor: &mut Cursor<'_, '_>,
    draft: &mut RecordDraft,
    visit: &mut V,
) -> ParseResult<bool> {
    visit.restart(Section::Body);
    (draft.endpoint, draft.sender) = (None, Sender::default());
    draft.set_body(None);
    if cursor.shape()? != Shape::Object {
        cursor.skip()?;
        return Ok(false);
    }
    let mut walk = Walk::default();
    while let Some(key) = cursor.next_member(&mut walk)? {
        match key.as_ref() {
            "url" => {
                let url = cursor.string_or_skip()?.map(RawStr::decode);
                draft.endpoint = url.map(|url| cursor.name(path_of(&url)));
            }
            "headers" => draft.sender = headers::read(cursor)?,
            "body" => {
                visit.restart(Section::Body);
                draft.set_body(match cursor.shape()? {
                    Shape::Object => Some(Body::read_anthropic(cursor, visit)?),
                    _ => cursor.skip().map(|()| None)?,
                });
            }
            _ => cursor.skip()?,
        }
    }
    Ok(true)
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
            "body" => response = AnswerFacts::read(cursor)?.response,
            _ => cursor.skip()?,
        }
    }
    Ok(Some(Response { status, ..response }))
}
