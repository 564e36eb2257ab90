//! claude-tap's records: `{timestamp, duration_ms, request: {method, path, headers, body},
//! response: {status, body, sse_events?, ws_events?}}`, one a line. `timestamp` is the end.

use super::exchange::Exchange;
use super::lines::{ReadLine, read_lines};
use super::survey::Survey;
use super::value::{body, instant, millis, text};
use crate::error::ParseError;
use crate::formats::headers;
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::response::AnswerFacts;
use crate::formats::source::{Format, Input, RecordNumber, RecordSink};
use crate::model::request::Source;
use crate::model::time::Timestamp;

/// claude-tap's JSON Lines.
#[derive(Debug)]
pub(crate) struct ClaudeTap;

impl Format for ClaudeTap {
    fn holds_counted_requests(&self) -> bool {
        true
    }

    fn read(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        sink: &mut dyn RecordSink,
    ) -> Result<(), ParseError> {
        read_lines(TapRecords, (Source::ClaudeTap, "a recording of claude-tap"), input, scratch, sink)
    }
}

struct TapRecords;

impl ReadLine for TapRecords {
    type LineContent<'a> = (RecordNumber, Exchange);

    fn read(
        &mut self,
        cursor: &mut Cursor<'_, '_>,
        survey: &mut Survey<'_, '_>,
    ) -> ParseResult<(RecordNumber, Exchange)> {
        let number = survey.sink.begin();
        read_record(cursor, number, survey).map(|exchange| (number, exchange))
    }

    fn take(&mut self, (number, exchange): (RecordNumber, Exchange), survey: &mut Survey<'_, '_>) {
        survey.add(number, exchange);
    }
}

/// Reads a record.
pub(super) fn read_record(
    cursor: &mut Cursor<'_, '_>,
    number: RecordNumber,
    survey: &mut Survey<'_, '_>,
) -> ParseResult<Exchange> {
    let (mut exchange, mut end) = (Exchange::default(), None::<Timestamp>);
    cursor.members_or_skip(|cursor, key| {
        match key {
            "timestamp" => end = instant(cursor)?,
            "duration_ms" => exchange.total_ms = millis(cursor)?,
            "request" => read_request(cursor, number, &mut exchange, survey)?,
            "response" => read_response(cursor, &mut exchange)?,
            "error" => exchange.error = text(cursor)?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    let duration_ms = exchange.total_ms.and_then(|ms| i64::try_from(ms).ok());
    exchange.start = end.map(|end| end.plus_ms(-duration_ms.unwrap_or(0)));
    Ok(exchange)
}

fn read_request(
    cursor: &mut Cursor<'_, '_>,
    number: RecordNumber,
    exchange: &mut Exchange,
    survey: &mut Survey<'_, '_>,
) -> ParseResult<()> {
    cursor.members_or_skip(|cursor, key| {
        match key {
            "path" => exchange.read_url(cursor)?,
            "headers" => exchange.sender = headers::read(cursor)?,
            "body" => exchange.body = body(cursor, &mut survey.sink.visitor(number))?,
            _ => cursor.skip()?,
        }
        Ok(())
    })
}

fn read_response(cursor: &mut Cursor<'_, '_>, exchange: &mut Exchange) -> ParseResult<()> {
    if cursor.shape()? != Shape::Object {
        return cursor.skip();
    }
    let (mut whole, mut events, mut has_events) = (AnswerFacts::default(), AnswerFacts::default(), false);
    cursor.members_or_skip(|cursor, key| {
        match key {
            "status" => exchange.status = cursor.u64_or_skip()?,
            "body" => whole = AnswerFacts::read(cursor)?,
            "sse_events" | "ws_events" => cursor.items_or_skip(|cursor| {
                has_events = true;
                read_event(cursor, key == "sse_events", &mut events)
            })?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    if has_events {
        // The body is put together of the events, whether or not the stream had its end.
        whole.is_complete = events.is_complete;
    }
    exchange.answer = Some(whole.or(events));
    Ok(())
}

/// An event of a stream stands in its `data`, one of a socket for itself.
fn read_event(cursor: &mut Cursor<'_, '_>, in_data: bool, events: &mut AnswerFacts) -> ParseResult<()> {
    if !in_data {
        return events.add_event(cursor);
    }
    cursor.members_or_skip(|cursor, key| match (key, cursor.shape()?) {
        ("data", Shape::String) => {
            events.add_data(&cursor.string()?.decode(), &mut Scratch::default());
            Ok(())
        }
        ("data", _) => events.add_event(cursor),
        _ => cursor.skip(),
    })
}
