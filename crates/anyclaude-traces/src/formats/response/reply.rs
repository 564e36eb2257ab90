//! An answer in one piece, or the part of one that an event carries.

use std::borrow::Cow;

use super::usage::ResponseUsage;
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::text::RawStr;

/// What an object tells of an answer. Its texts are borrowed: a stream has thousands of events
/// that name the same model.
#[derive(Debug, Default)]
pub(super) struct Reply<'a> {
    pub(super) usage: ResponseUsage,
    /// The reply to `count_tokens` is this member alone.
    pub(super) bare_input: Option<u64>,
    pub(super) stop_reason: Option<Cow<'a, str>>,
    pub(super) tool_calls: u64,
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
            "content" | "output" => self.tool_calls = count_tool_calls(cursor)?,
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
        self.tool_calls = 0;
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
                    "message" | "delta" => self.tool_calls += count_chat_calls(cursor)?,
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

/// How many blocks of a content, or items of an output, call a tool.
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

/// Whether a content block or an item calls a tool; passes it.
pub(super) fn is_tool_call(cursor: &mut Cursor<'_, '_>) -> ParseResult<bool> {
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
    Ok(matches!(
        kind.as_deref(),
        Some(
            "tool_use"
                | "server_tool_use"
                | "mcp_tool_use"
                | "function_call"
                | "custom_tool_call"
                | "local_shell_call"
        )
    ))
}

/// How many tool calls begin in a message or delta of Chat: a call's first piece names the
/// tool, the others go on with its arguments.
fn count_chat_calls(cursor: &mut Cursor<'_, '_>) -> ParseResult<u64> {
    if cursor.shape()? != Shape::Object {
        cursor.skip()?;
        return Ok(0);
    }
    let (mut walk, mut calls) = (Walk::default(), 0);
    while let Some(key) = cursor.next_member(&mut walk)? {
        if key != "tool_calls" || cursor.shape()? != Shape::Array {
            cursor.skip()?;
            continue;
        }
        calls = 0;
        let mut items = Walk::default();
        while cursor.next_item(&mut items)? {
            calls += u64::from(names_a_tool(cursor)?);
        }
    }
    Ok(calls)
}

fn names_a_tool(cursor: &mut Cursor<'_, '_>) -> ParseResult<bool> {
    if cursor.shape()? != Shape::Object {
        cursor.skip()?;
        return Ok(false);
    }
    let (mut walk, mut name) = (Walk::default(), None);
    while let Some(key) = cursor.next_member(&mut walk)? {
        if key == "function" {
            name = member(cursor, "name", text)?;
        } else {
            cursor.skip()?;
        }
    }
    Ok(name.is_some_and(|name| !name.is_empty()))
}
