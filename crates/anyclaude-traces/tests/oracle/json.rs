//! JSON as `serde_json` reads it, one level at a time.
//!
//! A value stays the text that stands in the file; each question parses that
//! text again. `serde_json` passes over what is not asked for without recursion
//! and without reading numbers, so that neither depth nor range is a limit.

use std::fmt;

use anyclaude_traces::error::SkipReason;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// All that JSON takes for white space.
pub(crate) const WHITE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Why a text is no JSON; `None` where it is.
pub(crate) fn fault(text: &str) -> Option<SkipReason> {
    if text.trim_matches(WHITE).is_empty() {
        Some(SkipReason::Empty)
    } else if serde_json::from_str::<IgnoredAny>(text).is_ok() {
        None
    } else if ENDINGS.iter().any(|ending| leads_on(&format!("{text}{ending}"))) {
        Some(SkipReason::Truncated)
    } else {
        Some(SkipReason::InvalidJson)
    }
}

/// One of these carries on any text that is cut inside a value: inside a string,
/// number or escape, behind a backslash, behind a value, before or behind a key,
/// inside a word. `serde_json` alone would call a cut number (`-`, `1e`) a syntax
/// error, and any escape cut short (`\ug`) an end of input. The blanks are there
/// because it takes the four digits of an escape at once.
const ENDINGS: [&str; 14] = [
    "1111", "u1111", ",    ", "\"    ", ":    ", "rue    ", "ue    ", "e    ", "alse    ", "lse    ",
    "se    ", "ull    ", "ll    ", "l    ",
];

fn leads_on(text: &str) -> bool {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => true,
        Err(error) => error.is_eof(),
    }
}

/// A JSON value as it stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Json<'a>(pub(crate) &'a str);

/// A member of an object.
#[derive(Debug, Clone)]
pub(crate) struct Member<'a> {
    /// Its name as written, with the quotes.
    pub(crate) key: Json<'a>,
    /// Its name.
    pub(crate) name: String,
    pub(crate) value: Json<'a>,
}

impl<'a> Json<'a> {
    pub(crate) fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// The characters of a string. A lone surrogate is U+FFFD.
    pub(crate) fn string(self) -> Option<String> {
        serde_json::from_str(self.0).ok().map(|Text(text)| text)
    }

    /// A number of digits only, if it fits.
    pub(crate) fn whole(self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The items of an array.
    pub(crate) fn items(self) -> Option<Vec<Json<'a>>> {
        let items: Vec<&RawValue> = serde_json::from_str(self.0).ok()?;
        Some(items.into_iter().map(|item| Json(item.get())).collect())
    }

    /// The members of an object, duplicates and all.
    pub(crate) fn members(self) -> Option<Vec<Member<'a>>> {
        serde_json::from_str(self.0).ok().map(|Members(members)| members)
    }

    /// The members of an object that no later one replaces.
    pub(crate) fn last_members(self) -> Vec<Member<'a>> {
        let members = self.members().unwrap_or_default();
        let later = |at: usize| members.iter().skip(at + 1);
        let lasts = members.iter().enumerate();
        lasts.filter(|(at, m)| later(*at).all(|l| l.name != m.name)).map(|(_, m)| m.clone()).collect()
    }

    /// The value of the last member of that name.
    pub(crate) fn last(self, name: &str) -> Option<Json<'a>> {
        let members = self.members().unwrap_or_default();
        members.iter().rev().find(|member| member.name == name).map(|member| member.value)
    }

    /// The bytes less the white space outside strings.
    pub(crate) fn compact(self) -> String {
        let (mut compact, mut in_string, mut escaped) = (String::new(), false, false);
        for c in self.0.chars() {
            if in_string || !WHITE.contains(&c) {
                compact.push(c);
            }
            if c == '"' && !escaped {
                in_string = !in_string;
            }
            escaped = c == '\\' && !escaped;
        }
        compact
    }

    pub(crate) fn compact_bytes(self) -> u64 {
        self.compact().len() as u64
    }

    /// The compact JSON without members called `cache_control`.
    pub(crate) fn content(self) -> String {
        let Some(members) = self.members() else { return self.compact() };
        let kept = members.iter().filter(|member| member.name != "cache_control");
        let kept: Vec<String> =
            kept.map(|member| format!("{}:{}", member.key.0, member.value.compact())).collect();
        format!("{{{}}}", kept.join(","))
    }
}

struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text, E> {
        Ok(Text(with_replacements(bytes)))
    }
}

/// `serde_json` writes a lone surrogate into bytes as UTF-8 would if it were
/// allowed to: 0xED, then a byte from 0xA0 on, then one more.
fn with_replacements(bytes: &[u8]) -> String {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len().saturating_sub(2) {
        if bytes[at] == 0xED && bytes[at + 1] >= 0xA0 {
            bytes[at..at + 3].copy_from_slice("\u{fffd}".as_bytes());
        }
    }
    String::from_utf8(bytes).unwrap()
}

struct Members<'a>(Vec<Member<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let key = Json(key.get());
            members.push(Member { key, name: key.string().unwrap(), value: Json(value.get()) });
        }
        Ok(Members(members))
    }
}
