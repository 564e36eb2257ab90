//! `<id>.response.json`: the answer, put together from its stream.

use std::sync::Arc;

use crate::formats::anyclaude::trace::read_reply;
use crate::formats::json::cursor::Cursor;
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::RawStr;
use crate::model::Response;

/// A recorded answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RecordedResponse {
    /// The message's id.
    pub(crate) message: Option<Arc<str>>,
    /// The model that it names.
    pub(crate) model: Option<Arc<str>>,
    pub(crate) response: Response,
}

/// Reads an answer.
///
/// # Errors
///
/// When it is not JSON.
pub(crate) fn read_response(text: &str, scratch: &mut Scratch) -> ParseResult<RecordedResponse> {
    let (mut message, mut model) = (None, None);
    let mut cursor = Cursor::new(text, scratch);
    // Names and figures are read in two passes: answers are small.
    cursor.members_or_skip(|cursor, key| {
        let place = match key {
            "id" => &mut message,
            "model" => &mut model,
            _ => return cursor.skip(),
        };
        let name = cursor.string_or_skip()?.map(RawStr::decode);
        *place = name.filter(|name| !name.is_empty()).map(|name| cursor.name(&name));
        Ok(())
    })?;
    cursor.end()?;
    let response = read_reply(&mut Cursor::new(text, scratch))?;
    Ok(RecordedResponse { message, model, response })
}
