//! JSON Lines whose records stand each on a line of its own, or are told by several.

use super::survey::Survey;
use crate::error::ParseError;
use crate::formats::json::cursor::Cursor;
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::source::{Input, RecordSink};
use crate::model::request::Source;

/// Reads the lines of one kind of file.
pub(super) trait ReadLine {
    /// What a line tells.
    type LineContent<'a>;

    /// Reads the value of a line.
    fn read<'a>(
        &mut self,
        cursor: &mut Cursor<'a, '_>,
        survey: &mut Survey<'_, '_>,
    ) -> ParseResult<Self::LineContent<'a>>;

    /// Takes what a line tells, once it is known to be whole.
    fn take(&mut self, line: Self::LineContent<'_>, survey: &mut Survey<'_, '_>);

    /// The file is at its end.
    fn finish(&mut self, survey: &mut Survey<'_, '_>) {
        let _ = survey;
    }
}

/// Reads every line as one value. A line that is no JSON is skipped, and the others count.
/// `what` is the kind of file.
pub(super) fn read_lines<R: ReadLine>(
    mut reader: R,
    (source, what): (Source, &str),
    input: &Input<'_>,
    scratch: &mut Scratch,
    sink: &mut dyn RecordSink,
) -> Result<(), ParseError> {
    let mut survey = Survey::new(source, input, sink);
    for line in input.lines() {
        let text = match line.text {
            Ok(text) => text,
            Err(error) => {
                survey.skip(error);
                continue;
            }
        };
        let mut cursor = Cursor::comparing(text.as_str(), scratch);
        match reader.read(&mut cursor, &mut survey).and_then(|told| cursor.end().map(|()| told)) {
            Ok(told) => reader.take(told, &mut survey),
            Err(fault) => survey.skip(text.fault(*fault)),
        }
        scratch.known.keep_copy(text.as_str().as_bytes());
    }
    reader.finish(&mut survey);
    survey.finish(what)
}
