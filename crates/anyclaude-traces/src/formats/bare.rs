//! The body of a request alone, as `jq '.request.body'` prints it.

use crate::error::ParseError;
use crate::formats::body::{Body, Raw};
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::scratch::Scratch;
use crate::formats::record::RecordDraft;
use crate::formats::source::{Format, Input, RecordSink};
use crate::model::request::Source;

/// A body that is a file of its own.
#[derive(Debug)]
pub(crate) struct BareBody;

impl Format for BareBody {
    fn read(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        sink: &mut dyn RecordSink,
    ) -> Result<(), ParseError> {
        let text = input.text()?;
        let number = sink.begin();
        let mut cursor = Cursor::new(text.as_str(), scratch);
        if cursor.shape() != Ok(Shape::Object) {
            return Err(text.not_a_trace("the file holds no JSON object"));
        }
        let mut visit = sink.visitor(number);
        let walked = Body::read(&mut cursor, &mut visit).and_then(|body| cursor.end().map(|()| body));
        let body = walked.map_err(|fault| text.fault(*fault))?;
        if let Some(span) = &body.span {
            visit.body(&Raw::new(&cursor, span));
        }
        let mut draft = RecordDraft::new(Source::Body);
        draft.set_body(Some(body));
        let record = draft.finish(input.len()).map_err(|why| text.not_a_trace(why))?;
        sink.finish(number, record);
        Ok(())
    }
}
