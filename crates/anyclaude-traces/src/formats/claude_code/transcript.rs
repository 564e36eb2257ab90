//! Transcripts (`~/.claude/projects/<folder>/<session>.jsonl`): the answers of a session
//! with their usage. They hold neither system prompts nor tools.

use std::sync::Arc;

use super::Usage;
use crate::formats::json::cursor::Cursor;
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::RawStr;
use crate::model::time::Timestamp;

/// A line of a transcript that holds an answer, or a part of one: several lines share the
/// id of their message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TranscriptAnswer {
    /// The end, within 1 ms.
    pub(crate) at: Option<Timestamp>,
    pub(crate) session: Option<Arc<str>>,
    /// The subagent that got it.
    pub(crate) agent: Option<Arc<str>>,
    pub(crate) client_version: Option<Arc<str>>,
    pub(crate) message: Arc<str>,
    pub(crate) model: Option<Arc<str>>,
    pub(crate) usage: Usage,
}

/// A line of a transcript about a request that failed and was sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedTry {
    /// When it failed, within 10 ms.
    pub(crate) at: Option<Timestamp>,
    pub(crate) session: Option<Arc<str>>,
    /// The subagent that sent it.
    pub(crate) agent: Option<Arc<str>>,
    /// The words of the backend, or of what kept it from being reached.
    pub(crate) words: Option<String>,
    pub(crate) status: Option<u64>,
}

/// What a line of a transcript tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TranscriptTold {
    Answer(TranscriptAnswer),
    FailedTry(FailedTry),
}

/// The members of a line.
#[derive(Default)]
struct TranscriptLine {
    at: Option<Timestamp>,
    session: Option<Arc<str>>,
    agent: Option<Arc<str>>,
    client_version: Option<Arc<str>>,
    is_answer: bool,
    message: Option<Arc<str>>,
    model: Option<Arc<str>>,
    usage: Usage,
    is_failed: bool,
    /// The words of an error as Claude Code shows them, …
    words: Option<String>,
    /// … and as the backend sent them.
    plain_words: Option<String>,
    status: Option<u64>,
}

/// Reads a line; `None` where it tells of no request.
///
/// # Errors
///
/// When it is not JSON.
pub(crate) fn read_line(line: &str, scratch: &mut Scratch) -> ParseResult<Option<TranscriptTold>> {
    let mut told = TranscriptLine::default();
    let mut cursor = Cursor::new(line, scratch);
    cursor.members_or_skip(|cursor, key| told.member(cursor, key))?;
    cursor.end()?;
    Ok(told.told())
}

impl TranscriptLine {
    fn member(&mut self, cursor: &mut Cursor<'_, '_>, key: &str) -> ParseResult<()> {
        match key {
            "type" => self.is_answer = is_word(cursor, "assistant")?,
            "subtype" => self.is_failed = is_word(cursor, "api_error")?,
            "timestamp" => self.at = cursor.string_or_skip()?.and_then(|at| at.decode().parse().ok()),
            "sessionId" => self.session = name(cursor)?,
            "agentId" => self.agent = name(cursor)?,
            "version" => self.client_version = name(cursor)?,
            "message" => cursor.members_or_skip(|cursor, key| {
                match key {
                    "id" => self.message = name(cursor)?,
                    "model" => self.model = name(cursor)?,
                    "usage" => self.usage = read_usage(cursor)?,
                    _ => cursor.skip()?,
                }
                Ok(())
            })?,
            "error" => cursor.members_or_skip(|cursor, key| {
                match key {
                    "formatted" => self.words = text(cursor)?,
                    "message" => self.plain_words = text(cursor)?,
                    "status" => self.status = cursor.u64_or_skip()?,
                    _ => cursor.skip()?,
                }
                Ok(())
            })?,
            _ => cursor.skip()?,
        }
        Ok(())
    }

    fn told(self) -> Option<TranscriptTold> {
        let Self { at, session, agent, .. } = self;
        if self.is_failed {
            let words = self.words.or(self.plain_words);
            return Some(TranscriptTold::FailedTry(FailedTry {
                at,
                session,
                agent,
                words,
                status: self.status,
            }));
        }
        let message = self.message.filter(|_| self.is_answer)?;
        Some(TranscriptTold::Answer(TranscriptAnswer {
            at,
            session,
            agent,
            client_version: self.client_version,
            message,
            model: self.model,
            usage: self.usage,
        }))
    }
}

/// Passes a value; whether it is this string.
fn is_word(cursor: &mut Cursor<'_, '_>, word: &str) -> ParseResult<bool> {
    Ok(cursor.string_or_skip()?.is_some_and(|text| text.decode() == word))
}

fn text(cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<String>> {
    let text = cursor.string_or_skip()?.map(|text| text.decode().into_owned());
    Ok(text.filter(|text| !text.is_empty()))
}

fn name(cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<Arc<str>>> {
    let name = cursor.string_or_skip()?.map(RawStr::decode);
    Ok(name.filter(|name| !name.is_empty()).map(|name| cursor.name(&name)))
}

/// Reads a `usage` in Anthropic's shape.
fn read_usage(cursor: &mut Cursor<'_, '_>) -> ParseResult<Usage> {
    let mut usage = Usage::default();
    cursor.members_or_skip(|cursor, key| {
        match key {
            "input_tokens" => usage.input = cursor.u64_or_skip()?,
            "output_tokens" => usage.output = cursor.u64_or_skip()?,
            "cache_read_input_tokens" => usage.cache_read = cursor.u64_or_skip()?,
            "cache_creation_input_tokens" => usage.cache_creation = cursor.u64_or_skip()?,
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_of_a_model_count() {
        let read = |line: &str| read_line(line, &mut Scratch::default()).unwrap();
        let Some(TranscriptTold::Answer(answer)) = read(
            r#"{"type":"assistant","sessionId":"s","agentId":"a1","version":"2.1.332",
            "timestamp":"2026-01-02T03:04:05.678Z","message":{"id":"msg","model":"m","content":[],
            "usage":{"input_tokens":5,"cache_read_input_tokens":40,"output_tokens":7}}}"#,
        ) else {
            panic!()
        };
        assert_eq!((&*answer.message, answer.agent.as_deref()), ("msg", Some("a1")));
        assert_eq!((answer.usage.prompt(), answer.usage.output), (Some(45), Some(7)));
        assert_eq!(read(r#"{"type":"user","message":{"id":"msg"}}"#), None);
        assert_eq!(read(r#"{"type":"assistant","message":"text"}"#), None);
        assert_eq!(read("[1]"), None);
        assert!(read_line(r#"{"type":"assistant"#, &mut Scratch::default()).is_err());
    }

    #[test]
    fn a_failed_try_has_its_words() {
        let told = read_line(
            r#"{"type":"system","subtype":"api_error","error":{"message":"503 {}","status":503,
            "formatted":"503 Loading model"},"retryAttempt":1,"timestamp":"2026-01-02T03:04:05.678Z","sessionId":"s"}"#,
            &mut Scratch::default(),
        );
        let Ok(Some(TranscriptTold::FailedTry(failed))) = told else { panic!("{told:?}") };
        assert_eq!((failed.words.as_deref(), failed.status), (Some("503 Loading model"), Some(503)));
        assert_eq!(failed.session.as_deref(), Some("s"));
        let told = read_line(r#"{"subtype":"api_error","error":"x"}"#, &mut Scratch::default()).unwrap();
        assert!(matches!(told, Some(TranscriptTold::FailedTry(FailedTry { words: None, status: None, .. }))));
    }
}
