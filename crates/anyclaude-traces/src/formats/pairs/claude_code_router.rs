//! The log of claude-code-router up to 2.0: lines of pino, several for each request, which
//! `pid` and `reqId` tie together.
//!
//! At its default level, debug, it has the body that the backend got (`final request`) and
//! every chunk of the answer; at level info only the body that the client sent.

use std::borrow::Cow;
use std::collections::HashMap;

use super::exchange::Exchange;
use super::lines::{ReadLine, read_lines};
use super::survey::Survey;
use super::value::{Inner, borrowed, millis, number, unix_millis};
use crate::error::ParseError;
use crate::formats::body::Body;
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::RawStr;
use crate::formats::record::path_of;
use crate::formats::response::AnswerFacts;
use crate::formats::source::{Format, Input, RecordNumber, RecordSink};
use crate::model::request::Source;
use crate::model::time::Timestamp;

/// claude-code-router's log.
#[derive(Debug)]
pub(crate) struct ClaudeCodeRouter;

impl Format for ClaudeCodeRouter {
    fn holds_counted_requests(&self) -> bool {
        true
    }

    fn read(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        sink: &mut dyn RecordSink,
    ) -> Result<(), ParseError> {
        let what = (Source::ClaudeCodeRouter, "a log of claude-code-router");
        read_lines(OpenRequests::default(), what, input, scratch, sink)
    }
}

/// What ties the lines of a request together: `reqId` counts in each process.
type RequestKey = (u64, String);

/// The requests whose end has not been read.
#[derive(Debug, Default)]
struct OpenRequests {
    open: HashMap<RequestKey, OpenRequest>,
    inner: Inner,
    scratch: Scratch,
}

#[derive(Debug)]
struct OpenRequest {
    number: RecordNumber,
    exchange: Exchange,
    client: Option<ClientBody>,
    answer: AnswerFacts,
    first_chunk: Option<Timestamp>,
    is_final: bool,
}

/// The client's body says who sent it, and the model that was asked for.
#[derive(Debug)]
struct ClientBody {
    parameters: Body,
    /// All of it, which is looked at where no line tells what the backend got.
    text: Box<str>,
}

/// What one line tells, of which request.
struct RouterTold<'a> {
    key: Option<RequestKey>,
    time: Option<Timestamp>,
    fact: RouterFact<'a>,
}

/// What a line is about.
enum RouterFact<'a> {
    Incoming { url: Cow<'a, str> },
    Client(ClientBody),
    Final { url: Option<Cow<'a, str>>, body: Option<Body> },
    Chunk(RawStr<'a>),
    Completed { status: Option<u64>, took_ms: Option<u64> },
    Error(Cow<'a, str>),
    Nothing,
}

impl ReadLine for OpenRequests {
    type LineContent<'a> = RouterTold<'a>;

    fn read<'a>(
        &mut self,
        cursor: &mut Cursor<'a, '_>,
        survey: &mut Survey<'_, '_>,
    ) -> ParseResult<RouterTold<'a>> {
        let mut line = RouterLine::default();
        cursor.members_or_skip(|cursor, key| self.member(cursor, key, &mut line, survey))?;
        let key = line.process.zip(line.request.map(Cow::into_owned));
        Ok(RouterTold { key, time: line.time, fact: line.parts.fact() })
    }

    fn take(&mut self, told: RouterTold<'_>, survey: &mut Survey<'_, '_>) {
        let RouterTold { key: Some(key), time, fact } = told else { return };
        if let RouterFact::Incoming { url } = fact {
            let mut exchange = Exchange { received: time, start: time, ..Exchange::default() };
            exchange.set_url(&url);
            let open = OpenRequest {
                number: survey.sink.begin(),
                exchange,
                client: None,
                answer: AnswerFacts::default(),
                first_chunk: None,
                is_final: false,
            };
            if let Some(earlier) = self.open.insert(key, open) {
                earlier.finish(&mut self.inner, survey);
            }
            return;
        }
        let Some(open) = self.open.get_mut(&key) else { return };
        match fact {
            RouterFact::Client(body) => open.client = Some(body),
            RouterFact::Final { url, body } => open.set_final(time, url, body),
            RouterFact::Chunk(data) => open.chunk(time, self.inner.decoded(data), &mut self.scratch),
            RouterFact::Error(words) => open.exchange.error = Some(words.into_owned()),
            RouterFact::Completed { status, took_ms } => {
                if let Some(mut open) = self.open.remove(&key) {
                    open.complete(time, status, took_ms);
                    open.finish(&mut self.inner, survey);
                }
            }
            RouterFact::Incoming { .. } | RouterFact::Nothing => {}
        }
    }

    fn finish(&mut self, survey: &mut Survey<'_, '_>) {
        let mut open: Vec<OpenRequest> = self.open.drain().map(|(_, open)| open).collect();
        open.sort_by_key(|open| open.number);
        open.into_iter().for_each(|open| open.finish(&mut self.inner, survey));
    }
}

/// The members of a line, in the order in which they come.
#[derive(Default)]
struct RouterLine<'a> {
    time: Option<Timestamp>,
    process: Option<u64>,
    request: Option<Cow<'a, str>>,
    parts: RequestParts<'a>,
}

/// Its texts are borrowed, and decoded only if they count: most lines are copies of chunks for
/// the client.
#[derive(Default)]
struct RequestParts<'a> {
    message: Option<Cow<'a, str>>,
    kind: Option<Cow<'a, str>>,
    url: Option<Cow<'a, str>>,
    request_url: Option<Cow<'a, str>>,
    data: Option<RawStr<'a>>,
    client: Option<ClientBody>,
    body: Option<Body>,
    status: Option<u64>,
    took_ms: Option<u64>,
    error: Option<Cow<'a, str>>,
}

impl<'a> RequestParts<'a> {
    fn fact(self) -> RouterFact<'a> {
        match (self.kind.as_deref(), self.message.as_deref()) {
            (Some("request body"), _) => self.client.map_or(RouterFact::Nothing, RouterFact::Client),
            (Some("recieved data"), _) => self.data.map_or(RouterFact::Nothing, RouterFact::Chunk),
            (_, Some("incoming request")) => RouterFact::Incoming { url: self.url.unwrap_or_default() },
            (_, Some("final request")) => RouterFact::Final { url: self.request_url, body: self.body },
            (_, Some("request completed")) => {
                RouterFact::Completed { status: self.status, took_ms: self.took_ms }
            }
            _ => self.error.map_or(RouterFact::Nothing, RouterFact::Error),
        }
    }
}

impl OpenRequests {
    fn member<'a>(
        &mut self,
        cursor: &mut Cursor<'a, '_>,
        key: &str,
        line: &mut RouterLine<'a>,
        survey: &mut Survey<'_, '_>,
    ) -> ParseResult<()> {
        let parts = &mut line.parts;
        match key {
            "time" => line.time = number(cursor)?.and_then(unix_millis),
            "pid" => line.process = cursor.u64_or_skip()?,
            "reqId" => line.request = borrowed(cursor)?,
            "msg" => parts.message = borrowed(cursor)?,
            "type" => parts.kind = borrowed(cursor)?,
            "requestUrl" => parts.request_url = borrowed(cursor)?,
            "responseTime" => parts.took_ms = millis(cursor)?,
            "req" => cursor.members_or_skip(|cursor, key| {
                if key == "url" {
                    parts.url = borrowed(cursor)?;
                    return Ok(());
                }
                cursor.skip()
            })?,
            "res" => cursor.members_or_skip(|cursor, key| {
                if key == "statusCode" {
                    parts.status = cursor.u64_or_skip()?;
                    return Ok(());
                }
                cursor.skip()
            })?,
            "err" => cursor.members_or_skip(|cursor, key| {
                if key == "message" {
                    parts.error = borrowed(cursor)?;
                    return Ok(());
                }
                cursor.skip()
            })?,
            "data" if cursor.shape()? == Shape::String => parts.data = cursor.string_or_skip()?,
            "data" => parts.client = client_body(cursor)?,
            "request" => cursor.members_or_skip(|cursor, key| {
                if key != "body" {
                    return cursor.skip();
                }
                let string = cursor.string_or_skip()?;
                line.parts.body = string.and_then(|string| self.final_body(string, line, survey));
                Ok(())
            })?,
            _ => cursor.skip()?,
        }
        Ok(())
    }

    /// The number of the request that a line is about, which names itself before its data.
    fn number(&self, line: &RouterLine<'_>) -> Option<RecordNumber> {
        let key = line.process.zip(line.request.as_deref().map(str::to_owned))?;
        self.open.get(&key).map(|open| open.number)
    }

    fn final_body(
        &mut self,
        string: RawStr<'_>,
        line: &RouterLine<'_>,
        survey: &mut Survey<'_, '_>,
    ) -> Option<Body> {
        let number = self.number(line)?;
        self.inner.body(string, &mut survey.sink.visitor(number))
    }
}

/// Reads the client's body; passes a value that is none.
fn client_body(cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<ClientBody>> {
    if cursor.shape()? != Shape::Object {
        return cursor.skip().map(|()| None);
    }
    let mark = cursor.mark();
    let parameters = Body::read_parameters(cursor)?;
    let text = cursor.text().get(cursor.since(mark).range).unwrap_or_default().into();
    Ok(Some(ClientBody { parameters, text }))
}

impl OpenRequest {
    /// From here on the request is the backend's. What it got is what is measured.
    fn set_final(&mut self, time: Option<Timestamp>, url: Option<Cow<'_, str>>, body: Option<Body>) {
        self.is_final = true;
        self.exchange.start = time.or(self.exchange.start);
        if body.is_some() {
            self.exchange.body = body;
            self.exchange.endpoint = url.map(|url| path_of(&url).into()).or(self.exchange.endpoint.take());
        }
    }

    fn chunk(&mut self, time: Option<Timestamp>, data: &str, scratch: &mut Scratch) {
        self.first_chunk = self.first_chunk.or(time);
        self.answer.add_data(data, scratch);
    }

    fn complete(&mut self, time: Option<Timestamp>, status: Option<u64>, took_ms: Option<u64>) {
        self.exchange.status = status;
        self.answer.is_complete = true;
        if self.is_final {
            self.exchange.set_end(time);
        } else {
            self.exchange.total_ms = took_ms;
        }
    }

    fn finish(mut self, inner: &mut Inner, survey: &mut Survey<'_, '_>) {
        let exchange = &mut self.exchange;
        if self.is_final {
            let waited = self.first_chunk.zip(exchange.start).map(|(first, start)| first.ms_since(start));
            exchange.ttft_ms = waited.and_then(|ms| u64::try_from(ms).ok());
        } else {
            // When the backend was asked is not logged.
            exchange.received = None;
        }
        if let Some(client) = self.client {
            if exchange.body.is_none() {
                exchange.body = inner.body_of(&[&client.text], &mut survey.sink.visitor(self.number));
            }
            if exchange.body.is_some() {
                exchange.adopt(client.parameters);
            }
        }
        if self.answer != AnswerFacts::default() {
            exchange.answer = Some(self.answer);
        }
        survey.add(self.number, self.exchange);
    }
}
