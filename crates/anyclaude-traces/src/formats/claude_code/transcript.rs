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

/// Reads a line; `None` where it tells of no request.
///
/// # Errors
///
/// When it is not JSON.
pub(crate) fn read_line(line: &str, scratch: &mut Scratch) -> ParseResult<Option<TranscriptTold>> {
    let (mut at, mut is_answer, mut usage) = (None, false, Usage::default());
    let (mut is_failed, mut words, mut plain, mut status) = (false, None, None, None);
    let (mut session, mut agent, mut client_version) = (None, None, None);
    let (mut message, mut model) = (None, None);
    let mut cursor = Cursor::new(line, scratch);
    cursor.members_or_skip(|cursor, key| {
        let place = match key {
            "type" => {
                let kind = cursor.string_or_skip()?.map(RawStr::decode);
                is_answer = kind.as_deref() == Some("assistant");
                return Ok(());
            }
            "timestamp" => {
                at = cursor.string_or_skip()?.and_then(|at| at.decode().parse().ok());
                return Ok(());
            }
            "subtype" => {
                let kind = cursor.string_or_skip()?.map(RawStr::decode);
                is_failed = kind.as_deref() == Some("api_error");
                return Ok(());
            }
            "error" => {
                return cursor.members_or_skip(|cursor, key| {
                    match key {
                        "formatted" => words = text(cursor)?,
                        "message" => plain = text(cursor)?,
                        "status" => status = cursor.u64_or_skip()?,
                        _ => cursor.skip()?,
                    }
                    Ok(())
                });
            }
            "message" => {
                return cursor.members_or_skip(|cursor, key| {
                    match key {
                        "id" => message = name(cursor)?,
                        "model" => model = name(cursor)?,
                        "usage" => usage = read_usage(cursor)?,
                        _ => cursor.skip()?,
                    }
                    Ok(())
                });
            }
            "sessionId" => &mut session,
            "agentId" => &mut agent,
            "version" => &mut client_version,
            _ => return cursor.skip(),
        };
        *place = name(cursor)?;
        Ok(())
    })?;
    cursor.end()?;
    if is_failed {
        return Ok(Some(TranscriptTold::FailedTry(FailedTry {
            at,
            session,
            agent,
            words: words.or(plain),
            status,
        })));
    }
    let Some(message) = message.filter(|_| is_answer) else { return Ok(None) };
    Ok(Some(TranscriptTold::Answer(TranscriptAnswer {
        at,
        session,
        agent,
        client_version,
        message,
        model,
        usage,
    })))
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
