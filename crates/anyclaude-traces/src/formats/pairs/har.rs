//! HTTP Archive 1.2, as mitmproxy, browsers and Charles write it:
//! `log.entries[]: {startedDateTime, time, request, response}`.
//!
//! `timings.wait` is the time to the answer's headers, which a streaming server sends long
//! before the first token: it is not used.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::exchange::Exchange;
use super::survey::Survey;
use super::value::{Inner, instant, millis, text};
use crate::error::ParseError;
use crate::formats::headers;
use crate::formats::json::cursor::Cursor;
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::record::Sender;
use crate::formats::response::AnswerFacts;
use crate::formats::source::{Format, Input, RecordNumber, RecordSink};
use crate::model::request::Source;

/// An HTTP Archive.
#[derive(Debug)]
pub(crate) struct Har;

impl Format for Har {
    fn holds_counted_requests(&self) -> bool {
        true
    }

    fn read(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        sink: &mut dyn RecordSink,
    ) -> Result<(), ParseError> {
        let text = input.text()?;
        let mut survey = Survey::new(Source::Har, input, sink);
        let mut cursor = Cursor::new(text.as_str(), scratch);
        let mut inner = Inner::default();
        cursor
            .members_or_skip(|cursor, key| match key {
                "log" => cursor.members_or_skip(|cursor, key| match key {
                    "entries" => cursor.items_or_skip(|cursor| {
                        let number = survey.sink.begin();
                        let exchange = read_entry(cursor, number, &mut inner, &mut survey)?;
                        survey.add(number, exchange);
                        Ok(())
                    }),
                    _ => cursor.skip(),
                }),
                _ => cursor.skip(),
            })
            .and_then(|()| cursor.end())
            .map_err(|fault| text.fault(*fault))?;
        survey.finish("a HAR file")
    }
}

fn read_entry(
    cursor: &mut Cursor<'_, '_>,
    number: RecordNumber,
    inner: &mut Inner,
    survey: &mut Survey<'_, '_>,
) -> ParseResult<Exchange> {
    let mut exchange = Exchange::default();
    cursor.members_or_skip(|cursor, key| {
        match key {
            "startedDateTime" => exchange.start = instant(cursor)?,
            "time" => exchange.total_ms = millis(cursor)?,
            "request" => read_request(cursor, number, &mut exchange, inner, survey)?,
            "response" => read_response(cursor, &mut exchange, inner)?,
            // Chrome's and mitmproxy's member for what went over it.
            "_webSocketMessages" => {
                exchange.is_socket = true;
                cursor.skip()?;
            }
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    Ok(exchange)
}

fn read_request(
    cursor: &mut Cursor<'_, '_>,
    number: RecordNumber,
    exchange: &mut Exchange,
    inner: &mut Inner,
    survey: &mut Survey<'_, '_>,
) -> ParseResult<()> {
    cursor.members_or_skip(|cursor, key| {
        match key {
            "url" => exchange.read_url(cursor)?,
            "headers" => exchange.sender = read_headers(cursor)?,
            "postData" => cursor.members_or_skip(|cursor, key| {
                if key != "text" {
                    return cursor.skip();
                }
                let string = cursor.string_or_skip()?;
                exchange.body = string.and_then(|body| inner.body(body, &mut survey.sink.visitor(number)));
                Ok(())
            })?,
            _ => cursor.skip()?,
        }
        Ok(())
    })
}

/// Headers are a list of names and values.
fn read_headers(cursor: &mut Cursor<'_, '_>) -> ParseResult<Sender> {
    let mut sender = Sender::default();
    cursor.items_or_skip(|cursor| {
        let (mut name, mut value) = (None, None);
        cursor.members_or_skip(|cursor, key| {
            match key {
                "name" => name = text(cursor)?,
                "value" => value = text(cursor)?,
                _ => cursor.skip()?,
            }
            Ok(())
        })?;
        if let (Some(name), Some(value)) = (name, value) {
            headers::note(&mut sender, &name, &value);
        }
        Ok(())
    })?;
    Ok(sender)
}

fn read_response(cursor: &mut Cursor<'_, '_>, exchange: &mut Exchange, inner: &mut Inner) -> ParseResult<()> {
    cursor.members_or_skip(|cursor, key| {
        match key {
            "status" => exchange.status = cursor.u64_or_skip()?,
            // Chrome's and Firefox's word for a connection that failed.
            "_error" => exchange.error = text(cursor)?,
            "content" => {
                let (mut content, mut encoding) = (None, None);
                cursor.members_or_skip(|cursor, key| {
                    match key {
                        "text" => content = cursor.string_or_skip()?,
                        "encoding" => encoding = text(cursor)?,
                        _ => cursor.skip()?,
                    }
                    Ok(())
                })?;
                exchange.answer = content.map(|content| {
                    let content = inner.decoded(content);
                    match encoding.as_deref() {
                        Some("base64") => read_base64(content),
                        _ => AnswerFacts::read_text(content),
                    }
                });
            }
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    // An entry without an answer has a content without a text.
    if exchange.status.is_none_or(|status| status == 0) {
        exchange.answer = exchange.answer.take().filter(|answer| *answer != AnswerFacts::default());
    }
    Ok(())
}

/// Content that is not text, or was not taken for it.
fn read_base64(content: &str) -> AnswerFacts {
    let bytes = STANDARD.decode(content.trim()).unwrap_or_default();
    AnswerFacts::read_text(&String::from_utf8_lossy(&bytes))
}
