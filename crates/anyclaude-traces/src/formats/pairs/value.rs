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

/// How many bytes of a literal lie between two marks, at least.
const MARK_BYTES: usize = 4 << 10;
/// No larger literal is kept, for it would be in memory twice.
const MOST_KEPT_BYTES: usize = 32 << 20;

/// Reads JSON that stands in a string of another JSON text. It keeps its memory, and what two
/// bodies in a row begin with is decoded once: of HAR, decoding was a quarter of all time.
#[derive(Debug, Default)]
pub(super) struct Inner {
    /// The body that was decoded last, …
    text: Vec<u8>,
    /// … the literal that it was, …
    literal: Vec<u8>,
    /// … and ends of stretches in both that can be decoded by themselves.
    marks: Vec<(usize, usize)>,
    answer: Vec<u8>,
    scratch: Scratch,
}

impl Inner {
    /// The body in a string; `None` where there is none.
    pub(super) fn body<V: Visit>(&mut self, string: RawStr<'_>, visit: &mut V) -> Option<Body> {
        self.decode(string);
        self.body_of_text(visit)
    }

    fn decode(&mut self, string: RawStr<'_>) {
        let literal = string.inner.as_bytes();
        if literal.len() > MOST_KEPT_BYTES {
            self.marks.clear();
            self.text.clear();
            return string.decode_into(&mut self.text);
        }
        let mut known = 0;
        let is_repeated = |(end, _): &&(usize, usize)| {
            let stretch = known..*end;
            known = *end;
            literal.get(stretch.clone()).is_some_and(|now| self.literal.get(stretch) == Some(now))
        };
        let repeated = self.marks.iter().take_while(is_repeated).count();
        self.marks.truncate(repeated);
        let (mut at, decoded) = self.marks.last().copied().unwrap_or_default();
        self.text.truncate(decoded);
        self.literal.truncate(at);
        self.literal.extend_from_slice(literal.get(at..).unwrap_or_default());
        while let Some(rest) = string.inner.get(at..).filter(|rest| !rest.is_empty()) {
            // No escape has a space in it, and none goes on behind one.
            let behind = rest.as_bytes().get(MARK_BYTES..).unwrap_or_default();
            let space = memchr::memchr(b' ', behind).map(|space| MARK_BYTES + space + 1);
            let stretch = space.and_then(|end| rest.get(..end)).unwrap_or(rest);
            RawStr { inner: stretch, ..string }.decode_into(&mut self.text);
            at += stretch.len();
            if space.is_some() {
                self.marks.push((at, self.text.len()));
            }
        }
    }

    /// The body in a text that is put together of pieces.
    pub(super) fn body_of<V: Visit>(&mut self, pieces: &[&str], visit: &mut V) -> Option<Body> {
        self.marks.clear();
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
        self.answer.clear();
        string.decode_into(&mut self.answer);
        simdutf8::basic::from_utf8(&self.answer).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Many pieces, in an order that the seed decides.
    fn literal(seed: usize, pieces: usize) -> String {
        const PIECES: [&str; 8] =
            ["plain ", "\\n", "\\\"x\\\" ", "\\ud83d\\ude00", "é ", "\\u00e9", "\\ud83d ", "\\ude00"];
        (0..pieces).map(|at| PIECES[(at * seed + at / 7) % PIECES.len()]).collect()
    }

    #[test]
    fn a_body_is_decoded_alike_whatever_was_decoded_before() {
        let mut inner = Inner::default();
        let (short, long) = (literal(3, 6_000), literal(3, 9_000));
        let other_end = short.clone() + &literal(5, 4_000);
        let unspaced = "\\n".repeat(9_000);
        for literal in [&short, &long, &other_end, &short, &literal(5, 9_000), &unspaced, "", &long] {
            let string = RawStr { inner: literal, escaped: true };
            inner.decode(string);
            let mut alone = Vec::new();
            string.decode_into(&mut alone);
            assert!(inner.text == alone, "{} bytes", literal.len());
            assert!(literal.len() < 2 * MARK_BYTES || literal == unspaced || !inner.marks.is_empty());
        }
    }
}
