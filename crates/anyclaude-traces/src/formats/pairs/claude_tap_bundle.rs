//! claude-tap's compact bundle: records in which repeated values are references to `blobs`.
//! It is the file that claude-tap exports of its database.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use memchr::memmem;

use super::claude_tap::read_record;
use super::survey::Survey;
use super::value::text;
use crate::error::{ParseError, SkipReason};
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::ParseResult;
use crate::formats::json::scratch::Scratch;
use crate::formats::source::{Format, Input, RecordSink, SourceText};
use crate::model::request::Source;

/// claude-tap's compact bundle.
#[derive(Debug)]
pub(crate) struct ClaudeTapBundle;

/// claude-tap's export `json`, which is not read.
#[derive(Debug)]
pub(crate) struct ClaudeTapFlat;

/// The member of an object that stands for a blob.
const REFERENCE: &str = "\"__claude_tap_blob_ref__\"";
/// How large a record may become. Small files can be made that refer to one blob very often.
const MAX_RECORD_BYTES: usize = 1 << 28;

impl Format for ClaudeTapFlat {
    fn holds_counted_requests(&self) -> bool {
        true
    }

    fn read(&self, input: &Input<'_>, _: &mut Scratch, _: &mut dyn RecordSink) -> Result<(), ParseError> {
        let why = "claude-tap's export `json`, which leaves out most of the requests and has no sizes: \
                   export the session again as `compact`";
        Err(ParseError::new(SkipReason::NotATrace, input.bytes, 0, why))
    }
}

impl Format for ClaudeTapBundle {
    fn holds_counted_requests(&self) -> bool {
        true
    }

    fn read(
        &self,
        input: &Input<'_>,
        scratch: &mut Scratch,
        sink: &mut dyn RecordSink,
    ) -> Result<(), ParseError> {
        let text = input.text()?;
        let mut cursor = Cursor::new(text.as_str(), scratch);
        let bundle = Bundle::read(&mut cursor).and_then(|bundle| cursor.end().map(|()| bundle));
        let bundle = bundle.map_err(|fault| text.fault(*fault))?;
        let mut survey = Survey::new(Source::ClaudeTap, input, sink);
        for range in &bundle.records {
            let number = survey.sink.begin();
            let record = match bundle.resolved(&text, range.clone()) {
                Ok(record) => record,
                Err(error) => {
                    survey.skip(error);
                    continue;
                }
            };
            let mut cursor = Cursor::new(&record, scratch);
            match read_record(&mut cursor, number, &mut survey) {
                Ok(exchange) => survey.add(number, exchange),
                Err(_) => survey.skip(text.refuse(
                    SkipReason::InvalidJson,
                    range.start,
                    "a record that is no JSON once its references are filled in",
                )),
            }
        }
        survey.finish("a recording of claude-tap")
    }
}

/// Where things stand in the file.
#[derive(Debug, Default)]
struct Bundle {
    records: Vec<Range<usize>>,
    blobs: HashMap<String, Range<usize>>,
}

impl Bundle {
    fn read(cursor: &mut Cursor<'_, '_>) -> ParseResult<Self> {
        let mut bundle = Self::default();
        cursor.members_or_skip(|cursor, key| match key {
            "records" => cursor.items_or_skip(|cursor| {
                let mut record = None;
                let whole = {
                    let mark = cursor.mark();
                    cursor.members_or_skip(|cursor, key| {
                        let span = cursor.skip_value()?;
                        if key == "record" {
                            record = Some(span.range);
                        }
                        Ok(())
                    })?;
                    cursor.since(mark).range
                };
                bundle.records.push(record.unwrap_or(whole));
                Ok(())
            }),
            "blobs" => cursor.members_or_skip(|cursor, hash| {
                cursor.members_or_skip(|cursor, key| {
                    let span = cursor.skip_value()?;
                    if key == "payload" {
                        bundle.blobs.insert(hash.to_owned(), span.range);
                    }
                    Ok(())
                })
            }),
            _ => cursor.skip(),
        })?;
        Ok(bundle)
    }

    /// A record with its references filled in.
    fn resolved<'a>(&self, text: &SourceText<'a>, record: Range<usize>) -> Result<Cow<'a, str>, ParseError> {
        let whole = text.as_str();
        let record_text = whole.get(record.clone()).unwrap_or_default();
        let (mut resolved, mut copied) = (String::new(), 0);
        for found in memmem::find_iter(record_text.as_bytes(), REFERENCE) {
            let before = record_text.get(..found).unwrap_or_default().trim_end();
            // Only a member's name follows a bracket; a string of these words follows a colon.
            let Some(before) = before.strip_suffix('{').filter(|_| found >= copied) else { continue };
            let (begin, rest) = (before.len(), record_text.get(before.len()..).unwrap_or_default());
            let Some((hash, length)) = read_reference(rest) else { continue };
            let at = record.start + begin;
            let Some(payload) = self.blobs.get(&hash).and_then(|range| whole.get(range.clone())) else {
                let what = format!("a record refers to the blob `{hash}`, which is missing");
                return Err(text.refuse(SkipReason::InvalidJson, at, what));
            };
            if resolved.len() + payload.len() > MAX_RECORD_BYTES {
                return Err(text.refuse(SkipReason::TooLarge, at, "a record of more than 256 MiB"));
            }
            resolved.push_str(record_text.get(copied..begin).unwrap_or_default());
            resolved.push_str(payload);
            copied = begin + length;
        }
        if copied == 0 {
            return Ok(Cow::Borrowed(record_text));
        }
        resolved.push_str(record_text.get(copied..).unwrap_or_default());
        Ok(Cow::Owned(resolved))
    }
}

/// The hash in the reference that a text begins with, and how long the reference is.
fn read_reference(rest: &str) -> Option<(String, usize)> {
    let mut scratch = Scratch::default();
    let mut cursor = Cursor::new(rest, &mut scratch);
    let (mark, mut hash) = (cursor.mark(), None);
    cursor
        .members_or_skip(|cursor, _| {
            if cursor.shape()? != Shape::Object {
                return cursor.skip();
            }
            cursor.members_or_skip(|cursor, key| {
                if key == "hash" {
                    hash = text(cursor)?;
                    return Ok(());
                }
                cursor.skip()
            })
        })
        .ok()?;
    Some((hash?, cursor.since(mark).range.end))
}
