//! `<id>.response.json`: the answer, put together from its stream.

use std::sync::Arc;

use crate::formats::json::cursor::Cursor;
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::RawStr;
use crate::formats::response;
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
    let mut message = None;
    let mut cursor = Cursor::new(text, scratch);
    // The id and the figures are read in two passes: answers are small.
    cursor.members_or_skip(|cursor, key| {
        if key != "id" {
            return cursor.skip();
        }
        let id = cursor.string_or_skip()?.map(RawStr::decode);
        message = id.filter(|id| !id.is_empty()).map(|id| id.as_ref().into());
        Ok(())
    })?;
    cursor.end()?;
    let answer = response::AnswerFacts::read(&mut Cursor::new(text, scratch))?;
    let model = answer.model.filter(|model| !model.is_empty()).map(Into::into);
    Ok(RecordedResponse { message, model, response: answer.response })
}
