//! A message or item in `OpenAI`'s shapes, looked over before it is walked: what it is stands
//! in members that may come after its content.

use crate::formats::json::compact::CompactMode;
use crate::formats::json::cursor::{Cursor, Place, Shape, ValueSpan};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::text::RawStr;

/// Where the members of a message stand; the last one of a name.
pub(super) struct Outline<'a> {
    pub(super) place: Place<'a>,
    pub(super) span: ValueSpan,
    pub(super) role: Option<RawStr<'a>>,
    pub(super) kind: Option<RawStr<'a>>,
    pub(super) content: Option<Place<'a>>,
    pub(super) reasoning: Option<Place<'a>>,
    pub(super) tool_calls: Option<Place<'a>>,
    pub(super) tools: Option<Place<'a>>,
}

impl<'a> Outline<'a> {
    /// Passes a value of any shape.
    pub(super) fn read(cursor: &mut Cursor<'a, '_>) -> ParseResult<Self> {
        cursor.compact().begin(CompactMode::Nothing);
        let (place, mark) = (cursor.place(), cursor.mark());
        let mut outline = Self {
            place,
            span: cursor.since(mark),
            role: None,
            kind: None,
            content: None,
            reasoning: None,
            tool_calls: None,
            tools: None,
        };
        if cursor.shape()? == Shape::Object {
            outline.members(cursor)?;
        } else {
            cursor.skip()?;
        }
        outline.span = cursor.since(mark);
        Ok(outline)
    }

    fn members(&mut self, cursor: &mut Cursor<'a, '_>) -> ParseResult<()> {
        let mut walk = Walk::default();
        while let Some(key) = cursor.next_member(&mut walk)? {
            let member = match key.as_ref() {
                "role" => {
                    self.role = cursor.string_or_skip()?;
                    continue;
                }
                "type" => {
                    self.kind = cursor.string_or_skip()?;
                    continue;
                }
                "content" => &mut self.content,
                "reasoning" | "reasoning_content" => &mut self.reasoning,
                "tool_calls" => &mut self.tool_calls,
                "tools" => &mut self.tools,
                _ => {
                    cursor.skip()?;
                    continue;
                }
            };
            *member = (!cursor.at_null()).then(|| cursor.place());
            cursor.skip()?;
        }
        Ok(())
    }

    /// Whether its role is that of instructions.
    pub(super) fn is_system(&self) -> bool {
        self.role.is_some_and(|role| matches!(role.inner, "system" | "developer"))
    }
}
