//! An answer in one piece, or the part of one that an event carries.

use std::borrow::Cow;

use super::usage::ResponseUsage;
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::text::RawStr;
use crate::model::{Amount, AnswerContent};

/// What an object tells of an answer. Its texts are borrowed: a stream has thousands of events
/// that name the same model.
#[derive(Debug, Default)]
pub(super) struct Reply<'a> {
    pub(super) usage: ResponseUsage,
    /// The reply to `count_tokens` is this member alone.
    pub(super) bare_input: Option<u64>,
    pub(super) stop_reason: Option<Cow<'a, str>>,
    pub(super) tool_calls: u64,
    pub(super) content: AnswerContent,
    pub(super) model: Option<Cow<'a, str>>,
    pub(super) error: Option<Cow<'a, str>>,
}

impl<'a> Reply<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a, '_>) -> ParseResult<Self> {
        let mut reply = Self::default();
        let mut walk = Walk::default();
        while let Some(key) = cursor.next_member(&mut walk)? {
            reply.member(cursor, &key)?;
        }
        Ok(reply)
    }

    /// Passes a value of any shape.
    pub(super) fn read_or_skip(cursor: &mut Cursor<'a, '_>) -> ParseResult<Self> {
        if cursor.shape()? == Shape::Object {
            return Self::read(cursor);
        }
        cursor.skip().map(|()| Self::default())
    }

    pub(super) fn member(&mut self, cursor: &mut Cursor<'a, '_>, key: &str) -> ParseResult<()> {
        match key {
            "usage" => self.usage = ResponseUsage::read(cursor)?,
            "input_tokens" => self.bare_input = cursor.u64_or_skip()?,
            "stop_reason" => self.stop_reason = text(cursor)?,
            "model" => self.model = text(cursor)?.filter(|model| !model.is_empty()),
            "error" => self.error = read_error(cursor)?,
            "content" | "output" => (self.tool_calls, self.content) = read_blocks(cursor)?,
            "choices" => self.choices(cursor)?,
            "incomplete_details" => {
                self.stop_reason = member(cursor, "reason", text)?.or(self.stop_reason.take())
            }
            _ => cursor.skip()?,
        }
        Ok(())
    }

    /// Chat's answers, of which there is nearly always one.
    fn choices(&mut self, cursor: &mut Cursor<'a, '_>) -> ParseResult<()> {
        if cursor.shape()? != Shape::Array {
            return cursor.skip();
        }
        (self.tool_calls, self.content) = (0, AnswerContent::default());
        let mut items = Walk::default();
        while cursor.next_item(&mut items)? {
            if cursor.shape()? != Shape::Object {
                cursor.skip()?;
                continue;
            }
            let mut walk = Walk::default();
            while let Some(key) = cursor.next_member(&mut walk)? {
                match key.as_ref() {
                    "finish_reason" => self.stop_reason = text(cursor)?.or(self.stop_reason.take()),
                    "message" | "delta" => {
                        let (calls, content) = read_chat(cursor)?;
                        self.tool_calls += calls;
                        self.content.add(content);
                    }
                    _ => cursor.skip()?,
                }
            }
        }
        Ok(())
    }
}

/// One member of an object; passes a value of any shape.
pub(super) fn member<'a, 's, T>(
    cursor: &mut Cursor<'a, 's>,
    name: &str,
    read: impl Fn(&mut Cursor<'a, 's>) -> ParseResult<Option<T>>,
) -> ParseResult<Option<T>> {
    let mut found = None;
    cursor.members_or_skip(|cursor, key| {
        if key != name {
            return cursor.skip();
        }
        found = read(cursor)?;
        Ok(())
    })?;
    Ok(found)
}

/// The string that the cursor stands before; passes a value of any shape.
pub(super) fn text<'a>(cursor: &mut Cursor<'a, '_>) -> ParseResult<Option<Cow<'a, str>>> {
    Ok(cursor.string_or_skip()?.map(RawStr::decode))
}

/// An error's message, whether it is an object or the message itself.
fn read_error<'a>(cursor: &mut Cursor<'a, '_>) -> ParseResult<Option<Cow<'a, str>>> {
    match cursor.shape()? {
        Shape::String => text(cursor),
        _ => member(cursor, "message", text),
    }
}

/// How many blocks of a content, or items of an output, call a tool, and what they hold.
fn read_blocks(cursor: &mut Cursor<'_, '_>) -> ParseResult<(u64, AnswerContent)> {
    let (mut calls, mut content) = (0, AnswerContent::default());
    if cursor.shape()? == Shape::Array {
        content.bytes = Amount::ZERO;
        let mut walk = Walk::default();
        while cursor.next_item(&mut walk)? {
            let (is_call, block) = read_block(cursor)?;
            calls += u64::from(is_call);
            content.add(block);
        }
    } else {
        cursor.skip()?;
    }
    Ok((calls, content))
}

/// Whether a content block or an item calls a tool, and what it holds; passes it.
pub(super) fn read_block(cursor: &mut Cursor<'_, '_>) -> ParseResult<(bool, AnswerContent)> {
    if cursor.shape()? != Shape::Object {
        cursor.skip()?;
        return Ok((false, AnswerContent::default()));
    }
    let (mut walk, mut kind, mut bytes) = (Walk::default(), None, 0u64);
    while let Some(key) = cursor.next_member(&mut walk)? {
        match key.as_ref() {
            "type" => kind = cursor.string_or_skip()?.map(RawStr::decode),
            "text" | "content" | "name" | "input" | "arguments" => bytes += value_bytes(cursor)?,
            _ => cursor.skip()?,
        }
    }
    let is_call = matches!(
        kind.as_deref(),
        Some(
            "tool_use"
                | "server_tool_use"
                | "mcp_tool_use"
                | "function_call"
                | "custom_tool_call"
                | "local_shell_call"
        )
    );
    let has_reasoning = matches!(kind.as_deref(), Some("thinking" | "redacted_thinking" | "reasoning"));
    Ok((is_call, AnswerContent { bytes: bytes.into(), has_reasoning, ..AnswerContent::default() }))
}

/// Passes a value; how many bytes it has, a string without its quotes.
fn value_bytes(cursor: &mut Cursor<'_, '_>) -> ParseResult<u64> {
    let frame = match cursor.shape()? {
        Shape::String => 2,
        Shape::Array | Shape::Object => 0,
        _ => return cursor.skip().map(|()| 0),
    };
    Ok(cursor.skip_value()?.range.len().saturating_sub(frame) as u64)
}

/// How many tool calls begin in a message or delta of Chat, and what it holds: a call's first
/// piece names the tool, the others go on with its arguments.
fn read_chat(cursor: &mut Cursor<'_, '_>) -> ParseResult<(u64, AnswerContent)> {
    let mut content = AnswerContent::default();
    if cursor.shape()? != Shape::Object {
        cursor.skip()?;
        return Ok((0, content));
    }
    let (mut walk, mut calls, mut bytes) = (Walk::default(), 0, 0);
    while let Some(key) = cursor.next_member(&mut walk)? {
        match key.as_ref() {
            "content" => bytes += value_bytes(cursor)?,
            "reasoning_content" | "reasoning" => content.has_reasoning |= value_bytes(cursor)? > 0,
            "tool_calls" if cursor.shape()? == Shape::Array => {
                calls = 0;
                let mut items = Walk::default();
                while cursor.next_item(&mut items)? {
                    let (names_a_tool, size) = read_chat_call(cursor)?;
                    calls += u64::from(names_a_tool);
                    bytes += size;
                }
            }
            _ => cursor.skip()?,
        }
    }
    content.bytes = bytes.into();
    Ok((calls, content))
}

/// Whether a call, or a piece of one, names its tool, and how large its name and arguments are.
fn read_chat_call(cursor: &mut Cursor<'_, '_>) -> ParseResult<(bool, u64)> {
    let (mut names_a_tool, mut bytes) = (false, 0);
    cursor.members_or_skip(|cursor, key| {
        if key != "function" {
            return cursor.skip();
        }
        cursor.members_or_skip(|cursor, key| {
            match key {
                "name" => {
                    let size = value_bytes(cursor)?;
                    names_a_tool = size > 0;
                    bytes += size;
                }
                "arguments" => bytes += value_bytes(cursor)?,
                _ => cursor.skip()?,
            }
            Ok(())
        })
    })?;
    Ok((names_a_tool, bytes))
}
