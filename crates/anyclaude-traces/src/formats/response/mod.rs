//! What an answer says of itself: usage, stop reason, tool calls, the model that ran. Whether
//! it comes as one JSON value, as a text of server-sent events or event by event, and
//! whichever API it is in.

mod event;
mod reply;
mod usage;

use std::borrow::Cow;

use event::ResponseEvent;
use reply::Reply;
use usage::ResponseUsage;

use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::sse::EventReader;
use crate::model::{AnswerContent, Response};

/// What is known of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AnswerFacts {
    /// Its figures. The status is not among them.
    pub(crate) response: Response,
    /// The model that it names.
    pub(crate) model: Option<String>,
    /// The server's words, where it is an error.
    pub(crate) error: Option<String>,
    /// Whether it has its end: a value in one piece, or the event that closes a stream.
    pub(crate) is_complete: bool,
}

impl AnswerFacts {
    /// Reads the value that the cursor stands before: an answer in one piece, or a string of
    /// events. Anything else tells nothing.
    pub(crate) fn read(cursor: &mut Cursor<'_, '_>) -> ParseResult<Self> {
        match cursor.shape()? {
            Shape::Object => Self::read_object(cursor),
            Shape::String => Ok(Self::read_stream(&cursor.string()?.decode())),
            _ => cursor.skip().map(|()| Self::default()),
        }
    }

    fn read_object(cursor: &mut Cursor<'_, '_>) -> ParseResult<Self> {
        let mut answer = Self { is_complete: true, ..Self::default() };
        answer.response.tool_calls = Some(0);
        answer.learn(Reply::read(cursor)?);
        Ok(answer)
    }

    /// Reads a usage that stands for itself.
    pub(crate) fn of_usage(cursor: &mut Cursor<'_, '_>) -> ParseResult<Self> {
        let mut answer = Self::default();
        answer.learn(Reply { usage: ResponseUsage::read(cursor)?, ..Reply::default() });
        Ok(answer)
    }

    /// Reads what a server sent: one JSON value, or events.
    pub(crate) fn read_text(text: &str) -> Self {
        if text.trim_start().starts_with('{') {
            let mut scratch = Scratch::default();
            let mut cursor = Cursor::new(text, &mut scratch);
            if let Ok(answer) = Self::read_object(&mut cursor)
                && cursor.end().is_ok()
            {
                return answer;
            }
        }
        Self::read_stream(text)
    }

    /// Merges the events of a stream; later figures replace earlier ones.
    pub(crate) fn read_stream(stream: &str) -> Self {
        let mut answer = Self::default();
        let mut scratch = Scratch::default();
        // The whole stream is in memory: no event of it is too long.
        let (mut reader, mut bytes) = (EventReader::new(usize::MAX), stream.as_bytes());
        while let Ok(Some(event)) = reader.read_event(&mut bytes) {
            answer.add_data(&event.data, &mut scratch);
        }
        if let Ok(Some(event)) = reader.finish() {
            answer.add_data(&event.data, &mut scratch);
        }
        answer
    }

    /// Adds the data of one event of a stream. What is no JSON object tells nothing.
    pub(crate) fn add_data(&mut self, data: &str, scratch: &mut Scratch) {
        if data.trim() == "[DONE]" {
            self.is_complete = true;
            return;
        }
        let mut cursor = Cursor::new(data, scratch);
        let Ok(event) = ResponseEvent::read(&mut cursor) else { return };
        if cursor.end().is_ok() {
            self.add(event);
        }
    }

    /// Adds the event that the cursor stands before.
    pub(crate) fn add_event(&mut self, cursor: &mut Cursor<'_, '_>) -> ParseResult<()> {
        if cursor.shape()? == Shape::Object {
            let event = ResponseEvent::read(cursor)?;
            self.add(event);
            return Ok(());
        }
        cursor.skip()
    }

    fn add(&mut self, event: ResponseEvent<'_>) {
        if !event.is_known {
            return;
        }
        if event.begins {
            self.response.tool_calls = None;
            self.response.content = AnswerContent::default();
        }
        self.is_complete |= event.ends;
        let calls = self.response.tool_calls.unwrap_or(0);
        self.response.tool_calls = Some(calls.max(event.calls_in_all) + event.calls);
        self.learn(event.reply);
    }

    fn learn(&mut self, reply: Reply<'_>) {
        let ResponseUsage { input, output, cache_creation, cache_read, reasoning } = reply.usage;
        let response = &mut self.response;
        response.input_tokens = input.or(reply.bare_input).or(response.input_tokens);
        response.output_tokens = output.or(response.output_tokens);
        response.cache_creation_tokens = cache_creation.or(response.cache_creation_tokens);
        response.cache_read_tokens = cache_read.or(response.cache_read_tokens);
        learn_text(&mut response.stop_reason, reply.stop_reason);
        response.tool_calls = response.tool_calls.map(|calls| calls + reply.tool_calls);
        response.content.add(AnswerContent { reasoning_tokens: reasoning.into(), ..reply.content });
        learn_text(&mut self.model, reply.model);
        learn_text(&mut self.error, reply.error);
    }

    /// This answer, and what only `other`, another recording of it, knows.
    pub(crate) fn or(self, other: Self) -> Self {
        let (mine, others) = (self.response, other.response);
        let knows_usage = mine.input_tokens.is_some() || mine.output_tokens.is_some();
        let usage = if knows_usage { &mine } else { &others };
        Self {
            response: Response {
                input_tokens: usage.input_tokens,
                output_tokens: usage.output_tokens,
                cache_creation_tokens: usage.cache_creation_tokens,
                cache_read_tokens: usage.cache_read_tokens,
                status: mine.status.or(others.status),
                stop_reason: mine.stop_reason.or(others.stop_reason),
                tool_calls: mine.tool_calls.or(others.tool_calls),
                content: mine.content.or(others.content),
            },
            model: self.model.or(other.model),
            error: self.error.or(other.error),
            is_complete: self.is_complete || other.is_complete,
        }
    }
}

/// Takes a text that is told, unless it is the one that is known.
fn learn_text(known: &mut Option<String>, told: Option<Cow<'_, str>>) {
    if told.is_some() && told.as_deref() != known.as_deref() {
        *known = told.map(Cow::into_owned);
    }
}

#[cfg(test)]
mod tests;
