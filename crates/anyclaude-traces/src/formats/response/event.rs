//! One event of a stream.

use std::borrow::Cow;

use super::reply::{Reply, read_block, text};
use crate::formats::json::cursor::Cursor;
use crate::formats::json::fault::{ParseResult, Walk};

/// What an event adds to an answer.
#[derive(Debug, Default)]
pub(super) struct ResponseEvent<'a> {
    /// Whether it is an event of an API that is read.
    pub(super) is_known: bool,
    /// Whether an answer begins with it: what came before was of another.
    pub(super) begins: bool,
    pub(super) ends: bool,
    /// Tool calls that begin in it.
    pub(super) calls: u64,
    /// Tool calls of the whole answer, where it tells.
    pub(super) calls_in_all: u64,
    pub(super) reply: Reply<'a>,
}

impl<'a> ResponseEvent<'a> {
    /// Reads the object that the cursor stands before.
    pub(super) fn read(cursor: &mut Cursor<'a, '_>) -> ParseResult<Self> {
        let start = cursor.place();
        let mut members = EventMembers::default();
        members.read(cursor, Pieces::Passed)?;
        if members.is_retyped {
            members = EventMembers::default();
            cursor.at(start, |cursor| members.read(cursor, Pieces::Read))?;
        }
        Ok(members.into_event())
    }
}

/// What is done with the members of an event whose `type` says that it adds to the text alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pieces {
    Passed,
    Read,
}

/// The members of an event of any API.
#[derive(Default)]
struct EventMembers<'a> {
    kind: Option<Cow<'a, str>>,
    /// Whether another `type` follows members that were passed because of the first.
    is_retyped: bool,
    message: Reply<'a>,
    delta: Reply<'a>,
    response: Reply<'a>,
    /// What the event itself tells, in OpenAI's Chat and in errors.
    own: Reply<'a>,
    has_choices: bool,
    has_block_call: bool,
    has_item_call: bool,
}

impl<'a> EventMembers<'a> {
    fn read(&mut self, cursor: &mut Cursor<'a, '_>, pieces: Pieces) -> ParseResult<()> {
        let (mut has_passed, mut walk) = (false, Walk::default());
        while let Some(key) = cursor.next_member(&mut walk)? {
            match key.as_ref() {
                "type" => {
                    self.kind = text(cursor)?;
                    self.is_retyped = has_passed;
                }
                // Nearly all events of a stream: passing these, and owning no text before it counts,
                // reads claude-trace's files a fifth faster.
                _ if pieces == Pieces::Passed && self.kind.as_deref().is_some_and(is_a_piece) => {
                    has_passed = true;
                    cursor.skip()?;
                }
                "message" => self.message = Reply::read_or_skip(cursor)?,
                "delta" => self.delta = Reply::read_or_skip(cursor)?,
                "response" => self.response = Reply::read_or_skip(cursor)?,
                "content_block" => self.has_block_call = read_block(cursor)?.0,
                "item" => self.has_item_call = read_block(cursor)?.0,
                "usage" | "model" | "error" => self.own.member(cursor, &key)?,
                "choices" => {
                    self.has_choices = true;
                    self.own.member(cursor, &key)?;
                }
                _ => cursor.skip()?,
            }
        }
        Ok(())
    }

    fn into_event(self) -> ResponseEvent<'a> {
        let Self { message, delta, mut response, mut own, .. } = self;
        let mut event = ResponseEvent { is_known: self.kind.is_some(), ..ResponseEvent::default() };
        match self.kind.as_deref() {
            None if self.has_choices || own.error.is_some() => {
                event.is_known = true;
                event.ends = own.stop_reason.is_some();
                event.calls = std::mem::take(&mut own.tool_calls);
                event.reply = own;
            }
            Some("message_start") => {
                event.reply = Reply { usage: message.usage, model: message.model, ..Reply::default() };
            }
            Some("message_delta") => {
                event.reply = Reply { usage: own.usage, stop_reason: delta.stop_reason, ..Reply::default() };
            }
            Some("message_stop") => event.ends = true,
            Some("content_block_start") => event.calls = u64::from(self.has_block_call),
            Some("error") => event.reply.error = own.error,
            Some("response.created") => {
                event.begins = true;
                event.reply.model = response.model;
            }
            Some("response.output_item.done") => event.calls = u64::from(self.has_item_call),
            Some("response.completed" | "response.incomplete" | "response.failed") => {
                event.ends = true;
                event.calls_in_all = std::mem::take(&mut response.tool_calls);
                event.reply = response;
            }
            _ => {}
        }
        event
    }
}

/// Whether events of this type add to the text of an answer, and tell nothing of it.
fn is_a_piece(kind: &str) -> bool {
    kind.ends_with("delta") && kind != "message_delta"
}
