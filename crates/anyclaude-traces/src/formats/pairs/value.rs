//! Values that several recorders write alike.

use std::borrow::Cow;

use crate::formats::body::{Body, Visit};
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::RawStr;
use crate::model::time::Timestamp;

/// Passes a value; the number if it is one.
pub(super) fn number(cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<f64>> {
    let span = cursor.skip_value()?;
    let number = cursor.text().get(span.range).and_then(|text| text.parse::<f64>().ok());
    Ok(number.filter(|number| number.is_finite()))
}

/// Passes a value; whole milliseconds if it is a number of them that is not negative.
pub(super) fn millis(cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<u64>> {
    Ok(number(cursor)?.and_then(whole_millis))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before")]
fn whole_millis(ms: f64) -> Option<u64> {
    (0.0..=LONGEST_MS).contains(&ms).then(|| ms.round() as u64)
}

/// No request takes a hundred years.
const LONGEST_MS: f64 = 3.2e12;

/// Passes a value; the instant if it is a text in RFC 3339, zone included.
pub(super) fn instant(cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<Timestamp>> {
    Ok(cursor.string_or_skip()?.and_then(|text| text.decode().parse().ok()))
}

/// Passes a value; the instant if it is a number of seconds since 1970.
pub(super) fn seconds(cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<Timestamp>> {
    Ok(number(cursor)?.and_then(|seconds| unix_millis(seconds * 1000.0)))
}

/// The instant so many milliseconds after 1970.
#[allow(clippy::cast_possible_truncation, reason = "bounded by the check of the instant")]
pub(super) fn unix_millis(ms: f64) -> Option<Timestamp> {
    Timestamp::from_unix_ms(ms.round() as i64)
}

/// Passes a value; the text if it is one.
pub(super) fn text(cursor: &mut Cursor<'_, '_>) -> ParseResult<Option<String>> {
    Ok(cursor.string_or_skip()?.map(|text| text.decode().into_owned()))
}

/// Passes a value; the text if it is one, borrowed where it has no escapes.
pub(super) fn borrowed<'a>(cursor: &mut Cursor<'a, '_>) -> ParseResult<Option<Cow<'a, str>>> {
    Ok(cursor.string_or_skip()?.map(RawStr::decode))
}

/// Reads JSON that stands in a string of another JSON text. It keeps its memory.
#[derive(Debug, Default)]
pub(super) struct Inner {
    text: Vec<u8>,
    scratch: Scratch,
}

impl Inner {
    /// The body in a string; `None` where there is none.
    pub(super) fn body<V: Visit>(&mut self, string: RawStr<'_>, visit: &mut V) -> Option<Body> {
        self.text.clear();
        string.decode_into(&mut self.text);
        self.body_of_text(visit)
    }

    /// The body in a text that is put together of pieces.
    pub(super) fn body_of<V: Visit>(&mut self, pieces: &[&str], visit: &mut V) -> Option<Body> {
        self.text.clear();
        pieces.iter().for_each(|piece| self.text.extend_from_slice(piece.as_bytes()));
        self.body_of_text(visit)
    }

    fn body_of_text<V: Visit>(&mut self, visit: &mut V) -> Option<Body> {
        visit.restart(crate::formats::body::Section::Body);
        let text = simdutf8::basic::from_utf8(&self.text).ok()?;
        let mut cursor = Cursor::comparing(text, &mut self.scratch);
        if cursor.shape() != Ok(Shape::Object) {
            return None;
        }
        let body = Body::read(&mut cursor, visit).ok()?;
        cursor.end().ok()?;
        show_whole(&cursor, &body, visit);
        self.scratch.known.keep_copy(text.as_bytes());
        Some(body)
    }

    /// What is decoded of a string.
    pub(super) fn decoded(&mut self, string: RawStr<'_>) -> &str {
        self.text.clear();
        string.decode_into(&mut self.text);
        simdutf8::basic::from_utf8(&self.text).unwrap_or_default()
    }
}

/// Reads a body that the cursor stands before; `None` where it is no object.
pub(super) fn body<V: Visit>(cursor: &mut Cursor<'_, '_>, visit: &mut V) -> ParseResult<Option<Body>> {
    visit.restart(crate::formats::body::Section::Body);
    if cursor.shape()? != Shape::Object {
        return cursor.skip().map(|()| None);
    }
    let body = Body::read(cursor, visit)?;
    show_whole(cursor, &body, visit);
    Ok(Some(body))
}

/// Shows the visitor the whole body.
fn show_whole<V: Visit>(cursor: &Cursor<'_, '_>, body: &Body, visit: &mut V) {
    if let Some(span) = &body.span {
        visit.body(&crate::formats::body::Raw::new(cursor, span));
    }
}
