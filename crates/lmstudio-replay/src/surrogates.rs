//! Lone surrogates in JSON.
//!
//! JavaScript writes text that was cut inside an emoji as half of a pair, `\ud83d`.
//! That is valid JSON, but not valid Unicode, and most parsers refuse it.

use std::borrow::Cow;

/// Writes every lone surrogate as `\ufffd`, as JavaScript does when it encodes a string
/// as UTF-8: so a model reads the same as through the proxy.
pub(crate) fn replace_lone_surrogates(json: &str) -> Cow<'_, str> {
    let mut replaced = String::new();
    let (mut done, mut at) = (0, 0);
    while let Some(escape) = json.get(at..).and_then(|rest| rest.find('\\')).map(|offset| at + offset) {
        at = match code_unit(json, escape) {
            None => escape + 2,
            Some(0xD800..=0xDBFF) if matches!(code_unit(json, escape + 6), Some(0xDC00..=0xDFFF)) => {
                escape + 12
            }
            Some(0xD800..=0xDFFF) => {
                replaced.push_str(json.get(done..escape).unwrap_or_default());
                replaced.push_str("\\ufffd");
                done = escape + 6;
                done
            }
            Some(_) => escape + 6,
        };
    }
    if done == 0 {
        return Cow::Borrowed(json);
    }
    replaced.push_str(json.get(done..).unwrap_or_default());
    Cow::Owned(replaced)
}

/// The code unit of the escape `\uXXXX` at this place.
fn code_unit(json: &str, at: usize) -> Option<u32> {
    let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lone_surrogates_are_replaced() {
        for (json, expected) in [
            (r#""plain""#, r#""plain""#),
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud83d\ud83d\ude00\ude00""#, r#""\ufffd\ud83d\ude00\ufffd""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d é""#, r#""\\\ufffd é""#),
            (r#""\ud83"#, r#""\ud83"#),
            (r"é\", r"é\"),
        ] {
            assert_eq!(replace_lone_surrogates(json), expected);
        }
    }
}
