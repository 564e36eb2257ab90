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
pub(crate) struct Answer {
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

/// Reads a line; `None` where it holds no answer.
///
/// # Errors
///
/// When it is not JSON.
pub(crate) fn read_answer(line: &str, scratch: &mut Scratch) -> ParseResult<Option<Answer>> {
    let (mut at, mut is_answer, mut usage) = (None, false, Usage::default());
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
    let Some(message) = message.filter(|_| is_answer) else { return Ok(None) };
    Ok(Some(Answer { at, session, agent, client_version, message, model, usage }))
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
        let read = |line: &str| read_answer(line, &mut Scratch::default()).unwrap();
        let answer = read(
            r#"{"type":"assistant","sessionId":"s","agentId":"a1","version":"2.1.332",
            "timestamp":"2026-01-02T03:04:05.678Z","message":{"id":"msg","model":"m","content":[],
            "usage":{"input_tokens":5,"cache_read_input_tokens":40,"output_tokens":7}}}"#,
        )
        .unwrap();
        assert_eq!((&*answer.message, answer.agent.as_deref()), ("msg", Some("a1")));
        assert_eq!((answer.usage.prompt(), answer.usage.output), (Some(45), Some(7)));
        assert_eq!(read(r#"{"type":"user","message":{"id":"msg"}}"#), None);
        assert_eq!(read(r#"{"type":"assistant","message":"text"}"#), None);
        assert_eq!(read("[1]"), None);
        assert!(read_answer(r#"{"type":"assistant"#, &mut Scratch::default()).is_err());
    }
}
