//! claude-trace's records, one a line: `{request: {timestamp, method, url, headers, body},
//! response: {timestamp, status_code, body | body_raw} | null, logged_at}`.
//!
//! Its first generation, in Python, writes the answer's end into `response.timestamp`, and
//! `logged_at` as local time without a zone. The one for Node writes when the headers came
//! into `response.timestamp`, and the end into `logged_at`, in UTC.

use super::exchange::Exchange;
use super::lines::{ReadLine, read_lines};
use super::survey::Survey;
use super::value::{Inner, body, instant, seconds};
use crate::error::ParseError;
use crate::formats::headers;
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::response::AnswerFacts;
use crate::formats::source::{Format, Input, RecordNumber, RecordSink};
use crate::model::request::Source;

/// claude-trace's JSON Lines.
#[derive(Debug)]
pub(crate) struct ClaudeTrace;

impl Format for ClaudeTrace {
    fn holds_counted_requests(&self) -> bool {
        true
    }

    fn read(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        sink: &mut dyn RecordSink,
    ) -> Result<(), ParseError> {
        read_lines(
            TraceRecords::default(),
            (Source::ClaudeTrace, "a recording of claude-trace"),
            input,
            scratch,
            sink,
        )
    }
}

/// The text of an answer is decoded into the same memory each time.
#[derive(Default)]
struct TraceRecords {
    inner: Inner,
}

impl ReadLine for TraceRecords {
    type LineContent<'a> = (RecordNumber, Exchange);

    fn read(
        &mut self,
        cursor: &mut Cursor<'_, '_>,
        survey: &mut Survey<'_, '_>,
    ) -> ParseResult<(RecordNumber, Exchange)> {
        let number = survey.sink.begin();
        let mut exchange = Exchange::default();
        let (mut answered, mut logged) = (None, None);
        cursor.members_or_skip(|cursor, key| {
            match key {
                "request" => read_request(cursor, number, &mut exchange, survey)?,
                "response" => answered = read_response(cursor, &mut exchange, &mut self.inner)?,
                "logged_at" => logged = instant(cursor)?,
                _ => cursor.skip()?,
            }
            Ok(())
        })?;
        // A record without an answer is written when the client ends, whenever that is.
        if exchange.answer.is_some() {
            exchange.set_end(logged.or(answered));
        }
        Ok((number, exchange))
    }

    fn take(&mut self, (number, exchange): (RecordNumber, Exchange), survey: &mut Survey<'_, '_>) {
        survey.add(number, exchange);
    }
}

fn read_request(
    cursor: &mut Cursor<'_, '_>,
    number: RecordNumber,
    exchange: &mut Exchange,
    survey: &mut Survey<'_, '_>,
) -> ParseResult<()> {
    cursor.members_or_skip(|cursor, key| {
        match key {
            "timestamp" => exchange.start = seconds(cursor)?,
            "url" => exchange.read_url(cursor)?,
            "headers" => exchange.sender = headers::read(cursor)?,
            "body" => exchange.body = body(cursor, &mut survey.sink.visitor(number))?,
            _ => cursor.skip()?,
        }
        Ok(())
    })
}

/// Returns `response.timestamp`.
fn read_response(
    cursor: &mut Cursor<'_, '_>,
    exchange: &mut Exchange,
    inner: &mut Inner,
) -> ParseResult<Option<crate::model::time::Timestamp>> {
    if cursor.shape()? != Shape::Object {
        return cursor.skip().map(|()| None);
    }
    let (mut stamp, mut answer) = (None, AnswerFacts::default());
    cursor.members_or_skip(|cursor, key| {
        match key {
            "timestamp" => stamp = seconds(cursor)?,
            "status_code" => exchange.status = cursor.u64_or_skip()?,
            "body" => answer = AnswerFacts::read(cursor)?.or(std::mem::take(&mut answer)),
            "body_raw" => {
                let raw = cursor.string_or_skip()?.map(|raw| AnswerFacts::read_text(inner.decoded(raw)));
                answer = std::mem::take(&mut answer).or(raw.unwrap_or_default());
            }
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    exchange.answer = Some(answer);
    Ok(stamp)
}
