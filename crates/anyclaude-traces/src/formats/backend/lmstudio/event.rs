//! A line of `lms log stream --json`: an event with a line of the log in it, or a prediction.

use std::borrow::Cow;

use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::RawStr;
use crate::model::time::Timestamp;

/// What an event is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LmStudioEvent<'l> {
    /// Lines of the log, or of an engine.
    Log { model: Option<Cow<'l, str>>, content: Cow<'l, str> },
    /// A model begins to work on a prompt.
    Input { model: Cow<'l, str> },
    /// It has answered; its `stats` as JSON.
    Output { model: Cow<'l, str>, stats: &'l str },
    /// Another one.
    Other,
}

/// Reads an event and when it was. `None` where the line holds none.
pub(super) fn read<'l>(line: &'l str, scratch: &mut Scratch) -> Option<(Timestamp, LmStudioEvent<'l>)> {
    let mut cursor = Cursor::new(line, scratch);
    let (at, data) = members(&mut cursor).ok()?;
    Some((Timestamp::from_unix_ms(i64::try_from(at?).ok()?)?, data?.event()))
}

#[derive(Default)]
struct Data<'l> {
    kind: Option<RawStr<'l>>,
    content: Option<RawStr<'l>>,
    model: Option<RawStr<'l>>,
    stats: Option<&'l str>,
}

fn members<'l>(cursor: &mut Cursor<'l, '_>) -> ParseResult<(Option<u64>, Option<Data<'l>>)> {
    let (mut at, mut data) = (None, None);
    if cursor.shape()? != Shape::Object {
        return Ok((at, data));
    }
    let mut walk = Walk::default();
    while let Some(key) = cursor.next_member(&mut walk)? {
        match key.as_ref() {
            "timestamp" => at = cursor.u64_or_skip()?,
            "data" if cursor.shape()? == Shape::Object => data = Some(Data::read(cursor)?),
            _ => cursor.skip()?,
        }
    }
    cursor.end()?;
    Ok((at, data))
}

impl<'l> Data<'l> {
    fn read(cursor: &mut Cursor<'l, '_>) -> ParseResult<Self> {
        let (mut walk, mut data) = (Walk::default(), Self::default());
        while let Some(key) = cursor.next_member(&mut walk)? {
            match key.as_ref() {
                "type" => data.kind = cursor.string_or_skip()?,
                // An engine's own lines are messages.
                "content" | "message" => data.content = cursor.string_or_skip()?,
                "modelIdentifier" => data.model = cursor.string_or_skip()?,
                "stats" => {
                    let span = cursor.skip_value()?;
                    data.stats = cursor.text().get(span.range);
                }
                _ => cursor.skip()?,
            }
        }
        Ok(data)
    }

    fn event(self) -> LmStudioEvent<'l> {
        let model = self.model.map(RawStr::decode);
        let kind = self.kind.map(RawStr::decode);
        match (kind.as_deref(), model, self.content) {
            (Some("llm.prediction.input"), Some(model), _) => LmStudioEvent::Input { model },
            (Some("llm.prediction.output"), Some(model), _) => {
                LmStudioEvent::Output { model, stats: self.stats.unwrap_or_default() }
            }
            (_, model, Some(content)) => LmStudioEvent::Log { model, content: content.decode() },
            _ => LmStudioEvent::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(line: &str) -> Option<(i64, LmStudioEvent<'_>)> {
        read(line, &mut Scratch::default()).map(|(at, event)| (at.unix_ms(), event))
    }

    #[test]
    fn a_line_of_the_log_is_decoded() {
        let line = r#"{"timestamp":1790470470123,"data":{"type":"server.log","content":"one\n\ud83dtwo","level":"debug"}}"#;
        let content = "one\n\u{fffd}two".into();
        assert_eq!(event(line), Some((1_790_470_470_123, LmStudioEvent::Log { model: None, content })));
    }

    #[test]
    fn predictions_have_a_model() {
        let line = r#"{"timestamp":1,"data":{"type":"llm.prediction.output","output":"x","stats":{"a": 1},"modelIdentifier":"m"}}"#;
        assert_eq!(event(line), Some((1, LmStudioEvent::Output { model: "m".into(), stats: "{\"a\": 1}" })));
        let line =
            r#"{"timestamp":1,"data":{"type":"llm.prediction.input","input":"x","modelIdentifier":"m"}}"#;
        assert_eq!(event(line), Some((1, LmStudioEvent::Input { model: "m".into() })));
    }

    #[test]
    fn other_json_is_no_event() {
        for line in [
            "{}",
            "{\"timestamp\":1}",
            "{\"timestamp\":\"1\",\"data\":{}}",
            "{\"timestamp\":1,\"data\":{}",
            "[]",
        ] {
            assert_eq!(event(line), None, "{line}");
        }
        assert_eq!(event("{\"timestamp\":1,\"data\":{}}"), Some((1, LmStudioEvent::Other)));
    }
}
