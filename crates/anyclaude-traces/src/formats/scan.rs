//! Parsers of numbers, stamps and JSON members, on bytes that may be cut anywhere.

use std::borrow::Cow;

use crate::model::time;
pub(crate) use crate::model::time::STAMP_LEN;

/// Milliseconds since the Unix epoch of `2025-11-16T02:30:45.123Z`, in exactly this form.
#[inline]
pub(crate) fn stamp(text: &[u8]) -> Option<i64> {
    time::fixed_form_ms(text, *b"::.")
}

/// The whole number at the start of `text` and what follows it. At most 18 digits.
#[inline]
pub(crate) fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    const MOST_DIGITS: usize = 18;
    let (mut value, mut digits) = (0, 0);
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if digits == MOST_DIGITS {
            return None;
        }
        value = value * 10 + u64::from(digit);
        digits += 1;
    }
    if digits > 0 { Some((value, text.get(digits..)?)) } else { None }
}

/// Like [`number`], with an optional minus sign: a clock set back makes durations negative.
#[inline]
pub(crate) fn signed(text: &[u8]) -> Option<(i64, &[u8])> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (value, rest) = number(digits)?;
    let value = i64::try_from(value).ok()?;
    Some((if negative { -value } else { value }, rest))
}

/// A finite, non-negative decimal number that fills `text`.
#[inline]
pub(crate) fn decimal(text: &[u8]) -> Option<f64> {
    short_decimal(text).or_else(|| {
        let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        (value.is_finite() && value >= 0.0).then_some(value)
    })
}

/// `733.03`, as logs have it: both numbers of the division are exact, so that it rounds as
/// `parse` does. `None` for anything longer.
#[inline]
#[allow(clippy::cast_precision_loss, reason = "both are below 2^53")]
fn short_decimal(text: &[u8]) -> Option<f64> {
    const SCALES: [u64; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];
    const MOST: u64 = 1 << 32;
    let (whole, rest) = number(text)?;
    let digits = rest.strip_prefix(b".")?;
    let scale = *SCALES.get(digits.len())?;
    let (part, end) = number(digits)?;
    let is_short = end.is_empty() && whole < MOST;
    is_short.then(|| (whole * scale + part) as f64 / scale as f64)
}

/// The raw text after each first `"name":` in a JSON object that may be cut off.
///
/// Inside a JSON string every quote follows a backslash, so `"name":` with an unescaped
/// closing quote can only be a member, never text.
pub(crate) fn members<'a, const N: usize>(json: &'a [u8], names: [&str; N]) -> [Option<&'a [u8]>; N] {
    let mut found = [None; N];
    let mut missing = N;
    for colon in memchr::memchr_iter(b':', json) {
        let Some((before, value)) = json.split_at_checked(colon) else { break };
        let Some(before) = before.strip_suffix(b"\"") else { continue };
        let quote = memchr::memrchr(b'"', before);
        let Some(name) = quote.and_then(|quote| before.get(quote + 1..)) else { continue };
        let place = names.iter().position(|wanted| wanted.as_bytes() == name);
        let Some(found @ None) = place.and_then(|place| found.get_mut(place)) else { continue };
        let value = value.get(1..).unwrap_or_default();
        *found = Some(value.strip_prefix(b" ").unwrap_or(value));
        missing -= 1;
        if missing == 0 {
            break;
        }
    }
    found
}

/// The raw text after the first `"name":`, as [`members`] finds it.
pub(crate) fn member<'a>(json: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let [value] = members(json, [name]);
    value
}

/// The whole number in member `name`; `None` where the end of `json` may have cut it short.
pub(crate) fn member_number(json: &[u8], name: &str) -> Option<u64> {
    let (value, rest) = number(member(json, name)?)?;
    matches!(rest.first(), Some(b',' | b'}' | b'\n')).then_some(value)
}

/// The string in member `name`, where it holds no escapes.
pub(crate) fn member_text<'a>(json: &'a [u8], name: &str) -> Option<&'a [u8]> {
    text_of_value(member(json, name)?)
}

/// The string that a value is, where it holds no escapes.
pub(crate) fn text_of_value(value: &[u8]) -> Option<&[u8]> {
    let text = value.strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', text)?;
    text.get(..end).filter(|text| !text.contains(&b'\\'))
}

/// A value of a flat JSON object.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FlatValue<'a> {
    Text(Cow<'a, str>),
    Number(Option<u64>),
    Bool(bool),
    Null,
}

/// Parses one JSON object that holds no arrays or objects, and calls `each` for every
/// member. `None` when `text` is anything else.
pub(crate) fn flat_object<'a>(text: &'a str, mut each: impl FnMut(&str, FlatValue<'a>)) -> Option<()> {
    let mut rest = text.trim_ascii().strip_prefix('{')?.trim_ascii_start();
    if let Some(end) = rest.strip_prefix('}') {
        return end.is_empty().then_some(());
    }
    loop {
        let (name, after) = json_string(rest)?;
        let after = after.trim_ascii_start().strip_prefix(':')?.trim_ascii_start();
        let (value, after) = json_value(after)?;
        each(&name, value);
        rest = after.trim_ascii_start();
        if let Some(end) = rest.strip_prefix('}') {
            return end.is_empty().then_some(());
        }
        rest = rest.strip_prefix(',')?.trim_ascii_start();
    }
}

fn json_value(text: &str) -> Option<(FlatValue<'_>, &str)> {
    if text.starts_with('"') {
        return json_string(text).map(|(value, rest)| (FlatValue::Text(value), rest));
    }
    let end = text.find([',', '}'])?;
    let (word, rest) = text.split_at_checked(end)?;
    let value = match word.trim_ascii_end() {
        "true" => FlatValue::Bool(true),
        "false" => FlatValue::Bool(false),
        "null" => FlatValue::Null,
        number => {
            number.parse::<f64>().ok()?;
            FlatValue::Number(number.parse().ok())
        }
    };
    Some((value, rest))
}

fn json_string(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let text = text.strip_prefix('"')?;
    let end = text.find(['"', '\\'])?;
    let (plain, mut rest) = text.split_at_checked(end)?;
    if let Some(rest) = rest.strip_prefix('"') {
        return Some((Cow::Borrowed(plain), rest));
    }
    let mut units: Vec<u16> = plain.encode_utf16().collect();
    loop {
        let end = rest.find(['"', '\\'])?;
        let (plain, tail) = rest.split_at_checked(end)?;
        units.extend(plain.encode_utf16());
        if let Some(tail) = tail.strip_prefix('"') {
            return Some((Cow::Owned(String::from_utf16_lossy(&units)), tail));
        }
        let mut tail = tail.strip_prefix('\\')?.chars();
        let unit = match tail.next()? {
            'n' => 0x0A,
            't' => 0x09,
            'r' => 0x0D,
            'b' => 0x08,
            'f' => 0x0C,
            'u' => {
                let (hex, after) = tail.as_str().split_at_checked(4)?;
                tail = after.chars();
                u16::from_str_radix(hex, 16).ok()?
            }
            other @ ('"' | '\\' | '/') => other as u16,
            _ => return None,
        };
        units.push(unit);
        rest = tail.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Timestamp;

    #[test]
    fn stamps_agree_with_the_calendar() {
        for text in [
            "2025-11-16T02:30:45.123Z",
            "1970-01-01T00:00:00.000Z",
            "1969-12-31T23:59:59.999Z",
            "2000-02-29T12:00:00.001Z",
            "2024-12-31T23:59:59.999Z",
            "0000-03-01T00:00:00.000Z",
            "9999-12-31T23:59:59.999Z",
        ] {
            let expected = text.parse::<Timestamp>().unwrap().unix_ms();
            assert_eq!(stamp(text.as_bytes()), Some(expected), "{text}");
        }
        for text in [
            "2025-11-16T02:30:45.123",
            "2025-11-16T02:30:45.123z",
            "2025-13-16T02:30:45.123Z",
            "2025-02-29T02:30:45.123Z",
            "2025-11-16T24:30:45.123Z",
            "2025-11-16T02:60:45.123Z",
            "2025-11-1xT02:30:45.123Z",
            "",
        ] {
            assert_eq!(stamp(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn numbers_stop_where_they_end_and_stay_small() {
        assert_eq!(number(b"16408ms"), Some((16408, b"ms".as_slice())));
        assert_eq!(signed(b"-3ms"), Some((-3, b"ms".as_slice())));
        assert_eq!(number(b"ms"), None);
        assert_eq!(number(b"9999999999999999999999"), None);
        assert_eq!(decimal(b"9.6"), Some(9.6));
        assert_eq!(
            (number(b"999999999999999999"), number(b"9999999999999999999")),
            (Some((999_999_999_999_999_999, &b""[..])), None)
        );
        assert_eq!(decimal(b"inf"), None);
        assert_eq!(decimal(b"-1"), None);
    }

    #[test]
    fn short_decimals_are_rounded_as_all_others() {
        for whole in [0, 1, 7, 733, 10_111, 16_777_217, 4_294_967_295, 4_294_967_296, 1_099_511_627_775_u64] {
            for part in
                ["0", "1", "03", "05", "99", "125", "001", "999", "0005", "614035", "000001", "9999999", ""]
            {
                let text = format!("{whole}.{part}");
                assert_eq!(decimal(text.as_bytes()), text.parse().ok(), "{text}");
            }
        }
        for text in ["", ".", ".5", "1.-5", "1.5x", "1.5 "] {
            assert_eq!(decimal(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn members_are_found_in_json_that_is_cut_and_not_in_text() {
        let json = br#"{"system":"say \"toolCount\":9, then","toolCount":17,"messageCount":12"#;
        assert_eq!(member_number(json, "toolCount"), Some(17));
        assert_eq!(member_number(json, "messageCount"), None, "the cut may have shortened it");
        assert_eq!(member_number(json, "maxTokens"), None);
        assert_eq!(member_text(br#"{"a":"b c","d":1}"#, "a"), Some(b"b c".as_slice()));
        assert_eq!(member_text(br#"{"a":"b \" c"}"#, "a"), None);
    }

    #[test]
    fn flat_objects() {
        let read = |text: &str| {
            let mut members = Vec::new();
            flat_object(text, |name, value| members.push(format!("{name}={value:?}"))).map(|()| members)
        };
        let text = r#" {"a" : "x\n\u00e9\ud83d\ude00\/", "b":12 ,"c":true,"d":null,"e":-1.5} "#;
        let expected = ["a=Text(\"x\\né😀/\")", "b=Number(Some(12))", "c=Bool(true)", "d=Null"];
        let members = read(text).unwrap();
        assert_eq!(members[..4], expected);
        assert_eq!(members[4], "e=Number(None)");
        assert_eq!(read("{}").unwrap(), [""; 0]);
        for bad in ["", "{", "[]", r#"{"a":1"#, r#"{"a":{}}"#, r#"{"a":1} x"#, r#"{"a":"\q"}"#, r#"{"a":x}"#]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
