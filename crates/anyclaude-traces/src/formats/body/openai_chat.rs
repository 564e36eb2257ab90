//! Walks Chat's `messages`, the first of which are the system prompt.

use std::borrow::Cow;

use super::anthropic::{message_identity, read_content};
use super::element::{THINKING, TOOL_RESULT, TOOL_USE, show_string};
use super::item::Item;
use super::outline::Outline;
use super::raw::Raw;
use super::visit::{ElementPath, Message, Section, Visit};
use super::{Walker, index};
use crate::formats::json::compact::CompactMode;
use crate::formats::json::cursor::{Cursor, Place, Shape};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::text::RawStr;

/// Whether the first message of an array is the system's.
pub(super) fn begins_with_system(cursor: &mut Cursor<'_, '_>) -> ParseResult<bool> {
    let mut walk = Walk::default();
    Ok(cursor.shape()? == Shape::Array && cursor.next_item(&mut walk)? && Outline::read(cursor)?.is_system())
}

impl<'a> Walker<'a> {
    /// Walks `messages`. Messages of the system and the developer are the system prompt up
    /// to the first other message; later ones are said in the conversation.
    pub(super) fn chat<V: Visit>(&mut self, cursor: &mut Cursor<'a, '_>, visit: &mut V) -> ParseResult<()> {
        self.restart_system(visit);
        visit.restart(Section::Messages);
        self.body.history.clear();
        let (mut walk, mut bytes, mut blocks) = (Walk::default(), 0, Vec::new());
        while cursor.next_item(&mut walk)? {
            let message = Outline::read(cursor)?;
            if message.is_system() && self.body.history.is_empty() {
                self.add_system(cursor, &message, visit)?;
                continue;
            }
            bytes += message.span.compact_bytes;
            blocks.clear();
            self.add_message(cursor, &message, &mut blocks, visit)?;
        }
        self.tally.set_messages(self.body.history.len(), bytes);
        Ok(())
    }

    /// Adds the content of a message to the system prompt.
    pub(super) fn add_system<V: Visit>(
        &mut self,
        cursor: &mut Cursor<'a, '_>,
        message: &Outline<'a>,
        visit: &mut V,
    ) -> ParseResult<()> {
        message.content.map_or(Ok(()), |content| cursor.at(content, |cursor| self.system(cursor, visit)))
    }

    /// Adds a message: its reasoning, its content and its tool calls, each a block or more.
    /// A tool's result is one block.
    pub(super) fn add_message<V: Visit>(
        &mut self,
        cursor: &mut Cursor<'a, '_>,
        message: &Outline<'a>,
        blocks: &mut Vec<[u8; 16]>,
        visit: &mut V,
    ) -> ParseResult<()> {
        let number = index(self.body.history.len());
        let role = message.role.map(RawStr::decode);
        if matches!(role.as_deref(), Some("tool" | "function")) {
            self.add_block(cursor, message.place, Some(TOOL_RESULT), blocks, visit)?;
        } else {
            if let Some(reasoning) = message.reasoning {
                cursor.at(reasoning, |cursor| read_reasoning(cursor, number, blocks, visit))?;
            }
            if let Some(content) = message.content {
                cursor.at(content, |cursor| read_content(cursor, number, blocks, visit))?;
            }
            if let Some(calls) = message.tool_calls {
                cursor.at(calls, |cursor| self.add_calls(cursor, blocks, visit))?;
            }
        }
        self.finish_message(cursor, message, role, blocks, visit);
        Ok(())
    }

    fn add_calls<V: Visit>(
        &self,
        cursor: &mut Cursor<'a, '_>,
        blocks: &mut Vec<[u8; 16]>,
        visit: &mut V,
    ) -> ParseResult<()> {
        if cursor.shape()? != Shape::Array {
            return cursor.skip();
        }
        let mut walk = Walk::default();
        while cursor.next_item(&mut walk)? {
            let place = cursor.place();
            self.add_block(cursor, place, Some(TOOL_USE), blocks, visit)?;
            cursor.skip()?;
        }
        Ok(())
    }

    /// Shows the value at a place as a block of the message that comes next, of this kind or
    /// of the one that it states.
    pub(super) fn add_block<V: Visit>(
        &self,
        cursor: &mut Cursor<'a, '_>,
        place: Place<'a>,
        kind: Option<&'static str>,
        blocks: &mut Vec<[u8; 16]>,
        visit: &mut V,
    ) -> ParseResult<()> {
        let message = index(self.body.history.len());
        cursor.at(place, |cursor| {
            let item = Item::read(cursor, CompactMode::Identity)?;
            let place = ElementPath::Block { message, block: index(blocks.len()) };
            let element = match kind {
                Some(kind) => item.element_as(cursor, place, Some(Cow::Borrowed(kind))),
                None => item.element(cursor, place),
            };
            visit.element(&element);
            blocks.push(element.raw.identity().hash().to_le_bytes());
            Ok(())
        })
    }

    /// Shows the message whose blocks these are.
    pub(super) fn finish_message<V: Visit>(
        &mut self,
        cursor: &Cursor<'a, '_>,
        message: &Outline<'a>,
        role: Option<Cow<'a, str>>,
        blocks: &[[u8; 16]],
        visit: &mut V,
    ) {
        let identity = message_identity(role.as_deref(), blocks);
        let index = index(self.body.history.len());
        visit.message(&Message { index, role, raw: Raw::new(cursor, &message.span), identity });
        self.body.history.push(identity);
    }
}

/// Walks the reasoning of an earlier answer, which some backends want back.
fn read_reasoning<V: Visit>(
    cursor: &mut Cursor<'_, '_>,
    message: u32,
    blocks: &mut Vec<[u8; 16]>,
    visit: &mut V,
) -> ParseResult<()> {
    if cursor.shape()? != Shape::String {
        return cursor.skip();
    }
    let mark = cursor.mark();
    let text = cursor.string()?;
    let place = ElementPath::Block { message, block: index(blocks.len()) };
    let span = cursor.since(mark);
    show_string(cursor, &span, text, (place, THINKING), None, visit);
    blocks.push(Raw::new(cursor, &span).identity().hash().to_le_bytes());
    Ok(())
}
