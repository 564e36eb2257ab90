//! Attributes of OTLP/JSON: `{"key": …, "value": {"stringValue": …}}`.

use std::borrow::Cow;
use std::sync::Arc;

use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::ParseResult;
use crate::formats::json::text::RawStr;

/// The value of an attribute. Protobuf's JSON writes whole numbers of 64 bits as strings,
/// and takes them as numbers too.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum AttributeValue<'a> {
    Text(RawStr<'a>),
    /// A number, as it is written.
    Number(&'a str),
    Flag(bool),
    /// A list, a map, bytes, or nothing.
    #[default]
    Other,
}

impl<'a> AttributeValue<'a> {
    /// The text, unless it is empty.
    pub(super) fn name(self, cursor: &mut Cursor<'_, '_>) -> Option<Arc<str>> {
        let Self::Text(text) = self else { return None };
        let text = text.decode();
        (!text.is_empty()).then(|| cursor.name(&text))
    }

    /// The text, for what hardly repeats.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        let Self::Text(text) = self else { return None };
        Some(text.decode())
    }

    /// The string as it stands in the file.
    pub(super) fn raw(self) -> Option<RawStr<'a>> {
        let Self::Text(text) = self else { return None };
        Some(text)
    }

    /// A whole number that is not negative, in any of the shapes in which it may be written.
    pub(super) fn whole(self) -> Option<u64> {
        let digits = match self {
            Self::Text(text) => text.inner,
            Self::Number(number) => number,
            Self::Flag(_) | Self::Other => return None,
        };
        let digits = digits.strip_suffix(".0").unwrap_or(digits);
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    }

    /// Whether it is true, as a flag or as a word.
    pub(super) fn is_true(self) -> bool {
        match self {
            Self::Flag(flag) => flag,
            Self::Text(text) => text.inner == "true",
            Self::Number(_) | Self::Other => false,
        }
    }
}

/// Reads a list of attributes, and calls `attribute` with each.
pub(super) fn read<'a>(
    cursor: &mut Cursor<'a, '_>,
    mut attribute: impl FnMut(&mut Cursor<'a, '_>, &str, AttributeValue<'a>),
) -> ParseResult<()> {
    cursor.items_or_skip(|cursor| {
        let (mut key, mut value) = (None, AttributeValue::Other);
        cursor.members_or_skip(|cursor, name| {
            match name {
                "key" => key = cursor.string_or_skip()?,
                "value" => value = read_value(cursor)?,
                _ => cursor.skip()?,
            }
            Ok(())
        })?;
        if let Some(key) = key {
            attribute(cursor, &key.decode(), value);
        }
        Ok(())
    })
}

/// Reads an `AnyValue`.
pub(super) fn read_value<'a>(cursor: &mut Cursor<'a, '_>) -> ParseResult<AttributeValue<'a>> {
    let mut value = AttributeValue::Other;
    cursor.members_or_skip(|cursor, kind| {
        match kind {
            "stringValue" => {
                value = cursor.string_or_skip()?.map_or(AttributeValue::Other, AttributeValue::Text)
            }
            "intValue" | "doubleValue" => value = read_number(cursor)?,
            "boolValue" => {
                let span = cursor.skip_value()?;
                value = match cursor.text().get(span.range) {
                    Some("true") => AttributeValue::Flag(true),
                    Some("false") => AttributeValue::Flag(false),
                    _ => AttributeValue::Other,
                };
            }
            _ => cursor.skip()?,
        }
        Ok(())
    })?;
    Ok(value)
}

/// Reads a number, which may be written as a string.
pub(super) fn read_number<'a>(cursor: &mut Cursor<'a, '_>) -> ParseResult<AttributeValue<'a>> {
    match cursor.shape()? {
        Shape::String => cursor.string().map(AttributeValue::Text),
        Shape::Scalar => {
            let span = cursor.skip_value()?;
            Ok(cursor.text().get(span.range).map_or(AttributeValue::Other, AttributeValue::Number))
        }
        Shape::Object | Shape::Array => cursor.skip().map(|()| AttributeValue::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::json::scratch::Scratch;

    fn whole(value: &str) -> Option<u64> {
        let mut scratch = Scratch::default();
        read_value(&mut Cursor::new(value, &mut scratch)).unwrap().whole()
    }

    #[test]
    fn whole_numbers_come_in_every_shape() {
        for value in [
            r#"{"intValue": 42}"#,
            r#"{"intValue": "42"}"#,
            r#"{"stringValue": "42"}"#,
            r#"{"doubleValue": 42}"#,
            r#"{"doubleValue": 42.0}"#,
        ] {
            assert_eq!(whole(value), Some(42), "{value}");
        }
        for value in [
            r#"{"intValue": -1}"#,
            r#"{"intValue": "99999999999999999999"}"#,
            r#"{"intValue": ""}"#,
            r#"{"doubleValue": 0.5}"#,
            r#"{"arrayValue": {"values": [{"intValue": 42}]}}"#,
            r#"{"intValue": null}"#,
            "{}",
            "42",
        ] {
            assert_eq!(whole(value), None, "{value}");
        }
    }
}
