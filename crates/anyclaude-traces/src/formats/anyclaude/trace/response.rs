//! Walks `response`: status, usage, stop reason and tool calls, whether the body
//! is a JSON object or one string of server-sent events.

use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::RawStr;
use crate::formats::sse::EventReader;
use crate::model::Response;

/// Reads the value of the trace's `response`; `None` where it is null.
pub(crate) fn read(cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<Response>> {
    if cursor.shape()? != Shape::Object {
        let null = cursor.at_null();
        cursor.skip()?;
        return Ok((!null).then(Response::default));
    }
    let (mut walk, mut status, mut response) = (Walk::default(), None, Response::default());
    while let Some(key) = cursor.next_member(&mut walk)? {
        match key.as_ref() {
            "statusCode" => status = cursor.u64_or_skip()?,
            "body" => response = read_body(cursor)?,
            _ => cursor.skip()?,
        }
    }
    Ok(Some(Response { status, ..response }))
}

/// Reads an answer: a message, or one string of server-sent events.
pub(crate) fn read_body(cursor: &mut Cursor<'_, '_>) -> ParseResult<Response> {
    match cursor.shape()? {
        Shape::Object => {
            let reply = Reply::read(cursor)?;
            let mut response = Response { tool_calls: Some(reply.tool_calls), ..Response::default() };
            response.learn(reply);
            Ok(response)
        }
        Shape::String => Ok(read_stream(&cursor.string()?.decode())),
        _ => cursor.skip().map(|()| Response::default()),
    }
}

/// Merges the events of a stream; later figures replace earlier ones.
fn read_stream(stream: &str) -> Response {
    let mut response = Response::default();
    let mut scratch = Scratch::default();
    let mut learn = |data: &str| {
        let Ok(event) = Event::read(&mut Cursor::new(data, &mut scratch)) else { return };
        if event.kind.is_some() {
            let calls = response.tool_calls.unwrap_or(0) + u64::from(event.starts_tool_call);
            response.tool_calls = Some(calls);
            response.learn(event.reply);
        }
    };
    // The whole stream is in memory: no event of it is too long.
    let (mut reader, mut bytes) = (EventReader::new(usize::MAX), stream.as_bytes());
    while let Ok(Some(event)) = reader.read_event(&mut bytes) {
        learn(&event.data);
    }
    if let Ok(Some(event)) = reader.finish() {
        learn(&event.data);
    }
    response
}

impl Response {
    fn learn(&mut self, reply: Reply) {
        let Usage { input, output, cache_creation, cache_read } = reply.usage;
        self.input_tokens = input.or(reply.bare_input).or(self.input_tokens);
        self.output_tokens = output.or(self.output_tokens);
        self.cache_creation_tokens = cache_creation.or(self.cache_creation_tokens);
        self.cache_read_tokens = cache_read.or(self.cache_read_tokens);
        self.stop_reason = reply.stop_reason.or(self.stop_reason.take());
    }
}

/// An Anthropic message, or the part of one that an event carries.
#[derive(Default)]
struct Reply {
    usage: Usage,
    /// The reply to `count_tokens` is this member alone.
    bare_input: Option<u64>,
    stop_reason: Option<String>,
    tool_calls: u64,
}

#[derive(Default)]
struct Usage {
    input: Option<u64>,
    output: Option<u64>,
    cache_creation: Option<u64>,
    cache_read: Option<u64>,
}

impl Reply {
    fn read(cursor: &mut Cursor<'_, '_>) -> ParseResult<Self> {
        let mut reply = Self::default();
        let mut walk = Walk::default();
        while let Some(key) = cursor.next_member(&mut walk)? {
            reply.member(cursor, &key)?;
        }
        Ok(reply)
    }

    fn read_or_skip(cursor: &mut Cursor<'_, '_>) -> ParseResult<Self> {
        if cursor.shape()? == Shape::Object {
            return Self::read(cursor);
        }
        cursor.skip().map(|()| Self::default())
    }

    fn member(&mut self, cursor: &mut Cursor<'_, '_>, key: &str) -> ParseResult<()> {
        match key {
            "usage" => self.usage = Usage::read(cursor)?,
            "input_tokens" => self.bare_input = cursor.u64_or_skip()?,
            "stop_reason" => {
                self.stop_reason = cursor.string_or_skip()?.map(|reason| reason.decode().into_owned());
            }
            "content" => self.tool_calls = count_tool_calls(cursor)?,
            _ => cursor.skip()?,
        }
        Ok(())
    }
}

impl Usage {
    fn read(cursor: &mut Cursor<'_, '_>) -> ParseResult<Self> {
        let mut usage = Self::default();
        if cursor.shape()? != Shape::Object {
            cursor.skip()?;
            return Ok(usage);
        }
        let mut walk = Walk::default();
        while let Some(key) = cursor.next_member(&mut walk)? {
            let tokens = cursor.u64_or_skip()?;
            match key.as_ref() {
                "input_tokens" => usage.input = tokens,
                "output_tokens" => usage.output = tokens,
                "cache_creation_input_tokens" => usage.cache_creation = tokens,
                "cache_read_input_tokens" => usage.cache_read = tokens,
                _ => {}
            }
        }
        Ok(usage)
    }
}

/// One event of a stream.
#[derive(Default)]
struct Event {
    kind: Option<String>,
    starts_tool_call: bool,
    /// From `message_start`'s message, or `message_delta`'s usage and delta.
    reply: Reply,
}

impl Event {
    fn read(cursor: &mut Cursor<'_, '_>) -> ParseResult<Self> {
        let (mut kind, mut message, mut delta) = (None, Reply::default(), Reply::default());
        let (mut usage, mut starts_tool_call) = (Usage::default(), false);
        let mut walk = Walk::default();
        while let Some(key) = cursor.next_member(&mut walk)? {
            match key.as_ref() {
                "type" => kind = cursor.string_or_skip()?.map(|kind| kind.decode().into_owned()),
                "message" => message = Reply::read_or_skip(cursor)?,
                "delta" => delta = Reply::read_or_skip(cursor)?,
                "usage" => usage = Usage::read(cursor)?,
                "content_block" => starts_tool_call = is_tool_call(cursor)?,
                _ => cursor.skip()?,
            }
        }
        cursor.end()?;
        let reply = match kind.as_deref() {
            Some("message_start") => Reply { usage: message.usage, ..Reply::default() },
            Some("message_delta") => Reply { usage, stop_reason: delta.stop_reason, ..Reply::default() },
            _ => Reply::default(),
        };
        starts_tool_call &= kind.as_deref() == Some("content_block_start");
        Ok(Self { kind, starts_tool_call, reply })
    }
}

fn count_tool_calls(cursor: &mut Cursor<'_, '_>) -> ParseResult<u64> {
    let mut calls = 0;
    if cursor.shape()? == Shape::Array {
        let mut walk = Walk::default();
        while cursor.next_item(&mut walk)? {
            calls += u64::from(is_tool_call(cursor)?);
        }
    } else {
        cursor.skip()?;
    }
    Ok(calls)
}

/// Whether a content block calls a tool; passes it.
fn is_tool_call(cursor: &mut Cursor<'_, '_>) -> ParseResult<bool> {
    if cursor.shape()? != Shape::Object {
        cursor.skip()?;
        return Ok(false);
    }
    let (mut walk, mut kind) = (Walk::default(), None);
    while let Some(key) = cursor.next_member(&mut walk)? {
        if key == "type" {
            kind = cursor.string_or_skip()?.map(RawStr::decode);
        } else {
            cursor.skip()?;
        }
    }
    Ok(matches!(kind.as_deref(), Some("tool_use" | "server_tool_use" | "mcp_tool_use")))
}
