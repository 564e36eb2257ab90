//! LiteLLM's standard logging payload, one a line, as its callbacks, S3 and GCS write it.
//!
//! It holds no body: `messages` as the client sent them, and the rest in `model_parameters`,
//! where a system prompt may have become `instructions`. The sections are measured, the
//! body's size is unknown.

use super::exchange::Exchange;
use super::lines::{ReadLine, read_lines};
use super::survey::Survey;
use super::value::{Inner, seconds, text};
use crate::error::ParseError;
use crate::formats::body::Body;
use crate::formats::headers;
use crate::formats::json::cursor::{Cursor, ValueSpan};
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::record::{RecordDraft, TraceRecord};
use crate::formats::response::AnswerFacts;
use crate::formats::source::{Format, Input, RecordNumber, RecordSink};
use crate::model::request::{Api, ModelSource, Source};
use crate::model::time::Timestamp;
use crate::model::{Amount, Sizes};

/// LiteLLM's payloads as JSON Lines.
#[derive(Debug)]
pub(crate) struct Litellm;

impl Format for Litellm {
    fn holds_counted_requests(&self) -> bool {
        true
    }

    fn read(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        sink: &mut dyn RecordSink,
    ) -> Result<(), ParseError> {
        let what = (Source::Litellm, "a log of LiteLLM");
        read_lines(Payloads::default(), what, input, scratch, sink)
    }
}

/// What stands where messages were not to be logged.
const REDACTED: &str = "redacted-by-litellm";

#[derive(Default)]
struct Payloads {
    inner: Inner,
}

/// The members of a payload.
#[derive(Default)]
struct Payload {
    call_type: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    start: Option<Timestamp>,
    first: Option<Timestamp>,
    end: Option<Timestamp>,
    stream: bool,
    status: Option<String>,
    /// Where they stand in the line.
    messages: Option<ValueSpan>,
    model_group: Option<ValueSpan>,
    parameters: Vec<(String, ValueSpan)>,
    exchange: Exchange,
    usage: Option<AnswerFacts>,
    answer: Option<AnswerFacts>,
    /// The counts beside the metadata, which are of the whole prompt: all that versions have
    /// that know no `usage_object`.
    counts: AnswerFacts,
}

impl ReadLine for Payloads {
    type LineContent<'a> = Option<(RecordNumber, TraceRecord)>;

    fn read(
        &mut self,
        cursor: &mut Cursor<'_, '_>,
        survey: &mut Survey<'_, '_>,
    ) -> ParseResult<Option<(RecordNumber, TraceRecord)>> {
        let number = survey.sink.begin();
        let mut payload = Payload::default();
        cursor.members_or_skip(|cursor, key| payload.member(cursor, key))?;
        Ok(payload.record(cursor.text(), number, &mut self.inner, survey).map(|record| (number, record)))
    }

    fn take(&mut self, record: Option<(RecordNumber, TraceRecord)>, survey: &mut Survey<'_, '_>) {
        if let Some((number, record)) = record {
            survey.add_parts(number, record);
        }
    }
}

impl Payload {
    fn member(&mut self, cursor: &mut Cursor<'_, '_>, key: &str) -> ParseResult<()> {
        match key {
            "call_type" => self.call_type = text(cursor)?,
            "custom_llm_provider" => self.provider = text(cursor)?,
            "model" => self.model = text(cursor)?,
            "model_group" => self.model_group = Some(cursor.skip_value()?),
            "startTime" => self.start = seconds(cursor)?,
            "completionStartTime" => self.first = seconds(cursor)?,
            "endTime" => self.end = seconds(cursor)?,
            "stream" => {
                let span = cursor.skip_value()?;
                self.stream = cursor.text().get(span.range) == Some("true");
            }
            "status" => self.status = text(cursor)?,
            "prompt_tokens" => self.counts.response.input_tokens = count(cursor)?,
            "completion_tokens" => self.counts.response.output_tokens = count(cursor)?,
            "error_str" => self.exchange.error = text(cursor)?.filter(|words| !words.is_empty()),
            "messages" => self.messages = Some(cursor.skip_value()?),
            "response" => self.answer = Some(AnswerFacts::read(cursor)?),
            "metadata" => self.metadata(cursor)?,
            "model_parameters" => {
                self.parameters.clear();
                cursor.members_or_skip(|cursor, key| {
                    let span = cursor.skip_value()?;
                    self.parameters.push((key.to_owned(), span));
                    Ok(())
                })?;
            }
            _ => cursor.skip()?,
        }
        Ok(())
    }

    fn metadata(&mut self, cursor: &mut Cursor<'_, '_>) -> ParseResult<()> {
        let mut agent = None;
        cursor.members_or_skip(|cursor, key| {
            match key {
                "usage_object" => self.usage = Some(AnswerFacts::of_usage(cursor)?),
                "user_api_key_request_route" => {
                    if let Some(route) = text(cursor)? {
                        self.exchange.set_url(&route);
                    }
                }
                "requester_custom_headers" => self.exchange.sender = headers::read(cursor)?,
                "user_agent" => agent = text(cursor)?,
                _ => cursor.skip()?,
            }
            Ok(())
        })?;
        if let Some(agent) = agent {
            headers::note(&mut self.exchange.sender, "user-agent", &agent);
        }
        Ok(())
    }

    /// The record, if it is of a call that sends messages to a model.
    fn record(
        mut self,
        line: &str,
        number: RecordNumber,
        inner: &mut Inner,
        survey: &mut Survey<'_, '_>,
    ) -> Option<TraceRecord> {
        let call = self.call_type.clone().unwrap_or_default();
        let calls = ["anthropic_messages", "completion", "acompletion", "responses", "aresponses"];
        let messages = self.messages.clone().filter(|_| calls.contains(&call.as_str()))?;
        let messages = line.get(messages.range).unwrap_or_default();
        let is_redacted = messages.len() < 200 && messages.contains(REDACTED);
        let body = if is_redacted || !messages.starts_with(['[', '"']) {
            None
        } else {
            self.body(line, &call, messages, number, inner, survey)
        };
        self.times(&call);
        let model = self.model.take();
        let provider = self.provider.take();
        let answer = self.answer.take().unwrap_or_default();
        let counts = std::mem::take(&mut self.counts);
        let mut answer = self.usage.take().unwrap_or_default().or(answer).or(counts);
        // A call is logged as a success once it has ended, whether its answer is logged or not.
        answer.is_complete |= self.status.as_deref() == Some("success");
        self.exchange.answer = Some(answer);
        if self.status.as_deref() == Some("failure") {
            self.exchange.error.get_or_insert_with(|| "LiteLLM logged a failure".to_owned());
        }
        let mut draft = self.exchange.into_draft(Source::Litellm);
        if call == "anthropic_messages" {
            draft.api = Some(Api::Anthropic);
        }
        // The answer names the group that was asked for, not the model behind it.
        draft.model = model.map(|model| {
            let name = strip_provider(&model, provider.as_deref());
            (name.into(), ModelSource::Response)
        });
        Some(finish(draft, body, is_redacted, survey.file_bytes()))
    }

    /// Walks the sections, put together as the body that they come from.
    fn body(
        &self,
        line: &str,
        call: &str,
        messages: &str,
        number: RecordNumber,
        inner: &mut Inner,
        survey: &mut Survey<'_, '_>,
    ) -> Option<Body> {
        let raw = |span: &ValueSpan| line.get(span.range.clone()).unwrap_or_default();
        let is_anthropic = call == "anthropic_messages";
        let messages_name = if call.ends_with("responses") { "\"input\":" } else { "\"messages\":" };
        let mut pieces = vec!["{", messages_name, messages];
        if let Some(group) = &self.model_group {
            pieces.extend([",\"model\":", raw(group)]);
        }
        let names: Vec<(String, &str)> = self
            .parameters
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "messages" | "input" | "model"))
            .map(|(name, span)| {
                let name = if is_anthropic && name == "instructions" { "system" } else { name };
                (format!(",{}:", serde_json::Value::from(name)), raw(span))
            })
            .collect();
        for (name, value) in &names {
            pieces.extend([name.as_str(), value]);
        }
        pieces.push("}");
        let body = inner.body_of(&pieces, &mut survey.sink.visitor(number))?;
        body.is_prompt().then_some(body)
    }

    /// Only for a streamed chat completion is `completionStartTime` the first chunk; for
    /// Anthropic's API it is the headers, and without a stream the end.
    fn times(&mut self, call: &str) {
        self.exchange.start = self.start;
        self.exchange.set_end(self.end);
        if call == "acompletion" && self.stream {
            let ttft = self.first.zip(self.start).map(|(first, start)| first.ms_since(start));
            self.exchange.ttft_ms = ttft.and_then(|ms| u64::try_from(ms).ok());
        }
    }
}

/// Passes a value; the count if it is one. LiteLLM writes 0 for what was not counted.
fn count(cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<u64>> {
    Ok(cursor.u64_or_skip()?.filter(|tokens| *tokens > 0))
}

/// The name of a model without that of LiteLLM's provider before it.
fn strip_provider<'m>(model: &'m str, provider: Option<&str>) -> &'m str {
    match model.split_once('/') {
        Some((first, rest)) if provider.is_none_or(|provider| provider == first) => rest,
        _ => model,
    }
}

/// The record, with the size of the body unknown.
fn finish(mut draft: RecordDraft, body: Option<Body>, is_redacted: bool, file_bytes: usize) -> TraceRecord {
    draft.body_redacted = is_redacted;
    let Some(mut body) = body else { return draft.finish_without_body(file_bytes) };
    body.sizes = Sizes { body_bytes: Amount::UNKNOWN, other_bytes: Amount::UNKNOWN, ..body.sizes };
    draft.finish_with(body, file_bytes)
}
