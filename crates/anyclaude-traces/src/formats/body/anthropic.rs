//! Walks Anthropic's `system` and `messages`.

use super::element::{TEXT, show_string, wanted_by};
use super::item::Item;
use super::raw::Raw;
use super::visit::{ElementPath, Message, Section, Visit};
use super::{Walker, index};
use crate::formats::json::compact::CompactMode;
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::text::RawStr;
use crate::model::Identity;

impl<'a> Walker<'a> {
    /// Forgets what was seen of the system prompt.
    pub(super) fn restart_system<V: Visit>(&mut self, visit: &mut V) {
        visit.restart(Section::System);
        self.tally.system_text = Default::default();
        self.tally.system_blocks = 0;
        self.tally.system_bytes = 0;
    }

    /// Adds a string or an array of blocks to the system prompt.
    pub(super) fn system<V: Visit>(&mut self, cursor: &mut Cursor<'a, '_>, visit: &mut V) -> ParseResult<()> {
        let mark = cursor.mark();
        match cursor.shape()? {
            Shape::String => {
                let text = cursor.string()?;
                let size = text.size();
                if size.chars > 0 {
                    let place = ElementPath::System(self.tally.system_blocks);
                    show_string(cursor, &cursor.since(mark), text, (place, TEXT), None, visit);
                    self.tally.system_text += size;
                    self.tally.system_blocks += 1;
                }
            }
            Shape::Array => {
                let mut walk = Walk::default();
                while cursor.next_item(&mut walk)? {
                    let block = Item::read(cursor, wanted_by(visit))?;
                    self.tally.system_text += block.text.map(RawStr::size).unwrap_or_default();
                    visit.element(&block.element(cursor, ElementPath::System(self.tally.system_blocks)));
                    self.tally.system_blocks += 1;
                }
            }
            _ => cursor.skip()?,
        }
        self.tally.system_bytes += cursor.since(mark).compact_bytes;
        Ok(())
    }

    /// Walks `messages`. Returns whether any of them has what only Chat's have.
    pub(super) fn anthropic_messages<V: Visit>(
        &mut self,
        cursor: &mut Cursor<'a, '_>,
        visit: &mut V,
    ) -> ParseResult<bool> {
        visit.restart(Section::Messages);
        let (mark, mut is_chat) = (cursor.mark(), false);
        let history = &mut self.body.history;
        history.clear();
        if cursor.shape()? == Shape::Array {
            let (mut walk, mut blocks) = (Walk::default(), Vec::new());
            while cursor.next_item(&mut walk)? {
                history.push(read_message(cursor, index(history.len()), &mut blocks, &mut is_chat, visit)?);
            }
        } else {
            cursor.skip()?;
        }
        self.tally.messages_bytes = cursor.since(mark).compact_bytes;
        Ok(is_chat)
    }
}

/// Walks a message; `blocks` is a buffer for the identities of its blocks.
fn read_message<V: Visit>(
    cursor: &mut Cursor<'_, '_>,
    index: u32,
    blocks: &mut Vec<[u8; 16]>,
    is_chat: &mut bool,
    visit: &mut V,
) -> ParseResult<Identity> {
    let mark = cursor.mark();
    let mut role = None;
    blocks.clear();
    let object = cursor.shape()? == Shape::Object;
    if object {
        let (mut walk, mut seen) = (Walk::default(), false);
        while let Some(key) = cursor.next_member(&mut walk)? {
            match key.as_ref() {
                "role" => {
                    role = cursor.string_or_skip()?;
                    *is_chat |= role.is_some_and(|role| matches!(role.inner, "tool" | "developer"));
                }
                "content" => {
                    if seen {
                        visit.restart(Section::Message(index));
                    }
                    seen = true;
                    blocks.clear();
                    read_content(cursor, index, blocks, visit)?;
                }
                other => {
                    *is_chat |= other == "tool_calls";
                    cursor.skip()?;
                }
            }
        }
    } else {
        cursor.skip()?;
    }
    let raw = Raw::new(cursor, &cursor.since(mark));
    let role = role.map(RawStr::decode);
    let identity = if object { message_identity(role.as_deref(), blocks) } else { raw.identity() };
    visit.message(&Message { index, role, raw, identity });
    Ok(identity)
}

/// The identity of a message with this role and these blocks.
pub(super) fn message_identity(role: Option<&str>, blocks: &[[u8; 16]]) -> Identity {
    Identity::of_parts([role.unwrap_or_default().as_bytes(), blocks.as_flattened()])
}

/// Walks a message's content and adds the identities of its blocks.
pub(super) fn read_content<V: Visit>(
    cursor: &mut Cursor<'_, '_>,
    message: u32,
    blocks: &mut Vec<[u8; 16]>,
    visit: &mut V,
) -> ParseResult<()> {
    let mark = cursor.mark();
    let place = |block| ElementPath::Block { message, block: index(block) };
    let identity = match cursor.shape()? {
        Shape::String => {
            let text = cursor.string()?;
            cursor.compact().begin(CompactMode::Identity);
            cursor.compact().push_text_block(text);
            let identity = cursor.compact().identity();
            show_string(cursor, &cursor.since(mark), text, (place(blocks.len()), TEXT), identity, visit);
            identity
        }
        Shape::Array => {
            let mut walk = Walk::default();
            while cursor.next_item(&mut walk)? {
                let part = Item::read(cursor, CompactMode::Identity)?;
                let element = part.element(cursor, place(blocks.len()));
                visit.element(&element);
                blocks.push(element.raw.identity().hash().to_le_bytes());
            }
            return Ok(());
        }
        _ => {
            let span = cursor.skip_value()?;
            Some(Raw::new(cursor, &span).identity())
        }
    };
    blocks.extend(identity.map(|identity| identity.hash().to_le_bytes()));
    Ok(())
}
