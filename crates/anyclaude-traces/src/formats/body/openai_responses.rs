//! Walks Responses' `instructions` and `input`.

use std::borrow::Cow;

use super::Walker;
use super::anthropic::message_identity;
use super::element::{TEXT, show_string};
use super::outline::Outline;
use super::raw::Raw;
use super::visit::{ElementPath, Message, Visit};
use crate::formats::json::compact::CompactMode;
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::text::RawStr;

impl<'a> Walker<'a> {
    /// Walks the prompt, once it is known that the body has no `messages`. Items of the
    /// system and the developer are the system prompt up to the first other item.
    pub(super) fn responses<V: Visit>(
        &mut self,
        cursor: &mut Cursor<'a, '_>,
        visit: &mut V,
    ) -> ParseResult<()> {
        if let Some((instructions, _)) = self.instructions {
            cursor.at(instructions, |cursor| self.system(cursor, visit))?;
        }
        if let Some((input, span)) = self.input.clone() {
            cursor.at(input, |cursor| match cursor.shape()? {
                Shape::Array => self.items(cursor, visit),
                Shape::String => {
                    self.tally.messages_bytes = span.compact_bytes;
                    self.question(cursor, visit)
                }
                _ => {
                    self.tally.messages_bytes = span.compact_bytes;
                    cursor.skip()
                }
            })?;
        }
        for tools in std::mem::take(&mut self.additional_tools) {
            cursor.at(tools, |cursor| {
                let mark = cursor.mark();
                self.add_tools(cursor, None, visit)?;
                self.tally.tools_bytes += cursor.since(mark).compact_bytes;
                Ok(())
            })?;
        }
        Ok(())
    }

    fn items<V: Visit>(&mut self, cursor: &mut Cursor<'a, '_>, visit: &mut V) -> ParseResult<()> {
        let (mut walk, mut bytes, mut blocks) = (Walk::default(), 0, Vec::new());
        while cursor.next_item(&mut walk)? {
            let item = Outline::read(cursor)?;
            let kind = item.kind.map(RawStr::decode);
            let is_message = matches!(kind.as_deref(), None | Some("message"));
            if kind.as_deref() == Some("additional_tools") {
                self.additional_tools.extend(item.tools);
                continue;
            }
            if is_message && item.is_system() && self.body.history.is_empty() {
                self.add_system(cursor, &item, visit)?;
                continue;
            }
            bytes += item.span.compact_bytes;
            blocks.clear();
            if is_message {
                self.add_message(cursor, &item, &mut blocks, visit)?;
            } else {
                self.add_block(cursor, item.place, None, &mut blocks, visit)?;
                let role = Some(Cow::Borrowed(speaker(kind.as_deref().unwrap_or_default())));
                self.finish_message(cursor, &item, role, &blocks, visit);
            }
        }
        self.tally.set_messages(self.body.history.len(), bytes);
        Ok(())
    }

    /// Walks an input that is a string: what the user asks.
    fn question<V: Visit>(&mut self, cursor: &mut Cursor<'a, '_>, visit: &mut V) -> ParseResult<()> {
        let mark = cursor.mark();
        let text = cursor.string()?;
        let span = cursor.since(mark);
        cursor.compact().begin(CompactMode::Identity);
        cursor.compact().push_text_block(text);
        let block = cursor.compact().identity();
        let place = ElementPath::Block { message: 0, block: 0 };
        show_string(cursor, &span, text, (place, TEXT), block, visit);
        let blocks: Vec<_> = block.iter().map(|block| block.hash().to_le_bytes()).collect();
        let identity = message_identity(Some("user"), &blocks);
        let role = Some(Cow::Borrowed("user"));
        visit.message(&Message { index: 0, role, raw: Raw::new(cursor, &span), identity });
        self.body.history.push(identity);
        Ok(())
    }
}

/// Whose item it is: calls and reasoning are the model's, results the tools'.
fn speaker(kind: &str) -> &'static str {
    if kind.ends_with("_output") { "tool" } else { "assistant" }
}
