//! Bodies of which nothing can be read any more, but that are as large as before: every
//! text is replaced by its hash, made as long as the text.
//!
//! Equal texts become equal ones, and texts that begin alike begin alike, in steps of
//! [`STEP`] characters: what a prompt cache could reuse stays as it was. The hash is keyed
//! with a random number that is forgotten, so that no text can be tried out, and texts of
//! two recordings never become equal.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha512};

use crate::error::Error;
use crate::folder::set_private;

/// The member that marks a body as masked; it is none of the request's own.
const MARK: &str = "\"traces_masked\":1";
/// The hash of a text changes after this many characters.
const STEP: usize = 64;
/// What hashes are written with: one byte each in JSON.
const DIGITS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
/// What Claude Code writes itself instead of thoughts.
const REDACTED: &str = "<REDACTED>";
/// The line about the client's version that Claude Code puts first.
const BILLING: &str = "x-anthropic-billing-header";
/// The longest that this line may be.
const MAX_BILLING: usize = 512;
/// How many other names are tried for a member whose name is taken.
const MAX_TRIES: u32 = 64;

type Salt = [u8; 32];

/// Masks every body in a folder. One that is no JSON is removed; returns how many were.
pub(crate) fn replace_bodies(folder: &Path) -> Result<u64, Error> {
    let mut salt = Salt::default();
    getrandom::fill(&mut salt).map_err(|error| Error::folder(folder)(error.into()))?;
    let mut removed = 0;
    for entry in fs::read_dir(folder).map_err(Error::folder(folder))? {
        let entry = entry.map_err(Error::folder(folder))?;
        let name = entry.file_name();
        let is_body = name
            .to_str()
            .is_some_and(|name| name.ends_with(".request.json") || name.ends_with(".response.json"));
        if is_body && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let path = entry.path();
            removed += u64::from(!replace(&path, &salt).map_err(Error::folder(&path))?);
        }
    }
    Ok(removed)
}

/// Masks a file; false where it was removed.
fn replace(path: &Path, salt: &Salt) -> io::Result<bool> {
    let bytes = fs::read(path)?;
    let Some(masked) = std::str::from_utf8(&bytes).ok().and_then(|text| masked(text, salt).ok()) else {
        fs::remove_file(path)?;
        return Ok(false);
    };
    let written = fs::metadata(path)?.modified()?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&masked)?;
    file.as_file().set_modified(written)?;
    file.persist(path)?;
    set_private(path, 0o600)?;
    Ok(true)
}

/// The body with every text masked, and marked.
pub(crate) fn masked(body: &str, salt: &Salt) -> serde_json::Result<Vec<u8>> {
    let body: &RawValue = serde_json::from_str(body)?;
    let mut masker = Masker { salt, out: Vec::with_capacity(body.get().len() + MARK.len() + 1) };
    masker.value(body, BodyPlace::Fields)?;
    let mut out = masker.out;
    if out.first() == Some(&b'{') {
        let separator = if out.get(1) == Some(&b'}') { "" } else { "," };
        out.splice(1..1, MARK.bytes().chain(separator.bytes()));
    }
    Ok(out)
}

/// Where in a body a value stands: what of it is somebody's text?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyPlace {
    /// The API's own members.
    Fields,
    /// Something that holds no text: counts, settings, ids.
    Kept,
    /// The definition of a tool's arguments.
    Schema,
    /// The arguments of a tool's call: their names are the tool's.
    Arguments,
    /// Inside of these, where names may be text too.
    Inside,
}

impl BodyPlace {
    /// Where a member of an object in this place is.
    fn of_member(self, name: &str) -> Self {
        match (self, name) {
            (Self::Arguments | Self::Inside, _) => Self::Inside,
            (Self::Fields, "input") => Self::Arguments,
            (Self::Fields, "input_schema") => Self::Schema,
            (Self::Fields, "metadata" | "usage" | "betas" | "cache_control" | "tool_choice") => Self::Kept,
            (place, _) => place,
        }
    }

    /// Whether a string of this name is a word of the API, and no text.
    fn keeps(self, name: &str) -> bool {
        match self {
            Self::Kept => true,
            Self::Fields => matches!(
                name,
                "type" | "role" | "model" | "name" | "id" | "tool_use_id" | "stop_reason" | "media_type"
            ),
            Self::Schema => name == "type",
            Self::Arguments | Self::Inside => false,
        }
    }
}

struct Masker<'a> {
    salt: &'a Salt,
    out: Vec<u8>,
}

impl Masker<'_> {
    fn value(&mut self, raw: &RawValue, place: BodyPlace) -> serde_json::Result<()> {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'{') => self.object(serde_json::from_str(text)?, place),
            Some(b'[') => {
                self.out.push(b'[');
                for (at, element) in serde_json::from_str::<Vec<&RawValue>>(text)?.into_iter().enumerate() {
                    self.separate(at);
                    self.value(element, place)?;
                }
                self.out.push(b']');
                Ok(())
            }
            Some(b'"') if place != BodyPlace::Kept => {
                self.string(text);
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') if matches!(place, BodyPlace::Arguments | BodyPlace::Inside) => {
                let ones = text.bytes().map(|byte| if byte.is_ascii_digit() { b'1' } else { byte });
                self.out.extend(ones);
                Ok(())
            }
            _ => {
                self.out.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
    }

    fn object(&mut self, members: ObjectMembers<'_>, place: BodyPlace) -> serde_json::Result<()> {
        self.out.push(b'{');
        let mut names: Vec<Vec<u8>> = Vec::new();
        for (at, (name, value)) in members.0.iter().enumerate() {
            self.separate(at);
            if place == BodyPlace::Inside {
                let masked = self.other_name(name.get(), &names);
                self.out.extend_from_slice(&masked);
                names.push(masked);
            } else {
                self.out.extend_from_slice(name.get().as_bytes());
            }
            self.out.push(b':');
            let name = name.get().trim_matches('"');
            if value.get().starts_with('"') && place.keeps(name) {
                self.out.extend_from_slice(value.get().as_bytes());
            } else {
                self.value(value, place.of_member(name))?;
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn separate(&mut self, at: usize) {
        if at > 0 {
            self.out.push(b',');
        }
    }

    fn string(&mut self, token: &str) {
        let masked = mask(token, self.salt, 0);
        self.out.extend_from_slice(&masked);
    }

    /// A name that no other member of the object has: of two, only one would be seen.
    fn other_name(&self, token: &str, taken: &[Vec<u8>]) -> Vec<u8> {
        let mut names = (0..MAX_TRIES).map(|tried| mask(token, self.salt, tried));
        names.find(|name| !taken.contains(name)).unwrap_or_else(|| token.as_bytes().to_vec())
    }
}

/// A string of JSON, quotes included, as a string of as many characters and bytes.
fn mask(token: &str, salt: &Salt, tried: u32) -> Vec<u8> {
    let text = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    if text == REDACTED || (text.starts_with(BILLING) && text.len() <= MAX_BILLING) {
        return token.as_bytes().to_vec();
    }
    let mut out = Vec::with_capacity(token.len());
    out.push(b'"');
    let mut hash = Sha512::new().chain_update(salt).chain_update(tried.to_le_bytes());
    let mut rest = text;
    while !rest.is_empty() {
        let mut sizes = CharCounts::default();
        let mut bytes = 0;
        for _ in 0..STEP {
            let Some(unit) = rest.get(bytes..).filter(|rest| !rest.is_empty()) else { break };
            bytes += sizes.note(unit);
        }
        let (step, after) = rest.split_at(bytes);
        hash.update(step);
        sizes.write(&hash.clone().finalize(), &mut out);
        rest = after;
    }
    out.push(b'"');
    out
}

/// How many characters of each size a piece of a text has.
#[derive(Default)]
struct CharCounts {
    /// One byte each.
    plain: usize,
    /// Others, in the order of [`OTHERS`].
    others: [usize; OTHERS.len()],
}

/// For each size that a character can have, in JSON and in UTF-8, one that has it.
const OTHERS: [&str; 7] = ["\\n", "\u{e9}", "\u{2014}", "\u{1f600}", "\\u001f", "\\u00e9", "\\u2014"];

impl CharCounts {
    /// Notes the first character of the rest of a text, and returns its length in JSON.
    fn note(&mut self, rest: &str) -> usize {
        let (kind, length) = match rest.as_bytes() {
            [b'\\', b'u', ..] => {
                let code = rest.get(2..6).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                // A pair counts as two: no client that records here writes one.
                (
                    Some(match code.unwrap_or_default() {
                        0..0x80 => 4,
                        0x80..0x800 => 5,
                        _ => 6,
                    }),
                    6,
                )
            }
            [b'\\', ..] => (Some(0), 2),
            _ => match rest.chars().next().map_or(1, char::len_utf8) {
                1 => (None, 1),
                length => (Some(length - 1), length),
            },
        };
        match kind.and_then(|kind| self.others.get_mut(kind)) {
            Some(count) => *count += 1,
            None => self.plain += 1,
        }
        length.min(rest.len())
    }

    fn write(&self, hash: &[u8], out: &mut Vec<u8>) {
        let digit = |byte: &u8| DIGITS.get(usize::from(byte % 64)).copied().unwrap_or(b'0');
        out.extend(hash.iter().take(self.plain).map(digit));
        for (other, count) in OTHERS.iter().zip(self.others) {
            out.extend(other.as_bytes().repeat(count));
        }
    }
}

/// The members of an object in their order, names and values as they are written.
struct ObjectMembers<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for ObjectMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = ObjectMembers<'de>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ObjectMembers<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(ObjectMembers(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const SALT: Salt = [7; 32];

    fn masked_text(body: &str) -> String {
        String::from_utf8(masked(body, &SALT).unwrap()).unwrap()
    }

    #[test]
    fn a_body_keeps_its_shape_and_loses_its_text() {
        let body = r#"{"model":"m","max_tokens":10,"system":[{"type":"text","text":"Be secret."}],"tools":[{"name":"Read","description":"Reads a secret.","input_schema":{"type":"object","properties":{"path":{"type":"string","description":"secret"}}}}],"messages":[{"role":"user","content":"my secret\n\"42\""},{"role":"assistant","content":[{"type":"thinking","thinking":"<REDACTED>"},{"type":"tool_use","id":"t1","name":"Read","input":{"path":"/secret","answers":{"a secret":"secret","b":1234}}}]}],"metadata":{"user_id":"u"}}"#;
        let masked = masked_text(body);
        assert!(!masked.contains("secret"), "{masked}");
        assert!(!masked.contains("42"), "{masked}");
        assert_eq!(masked.len(), body.len() + MARK.len() + 1);
        for kept in [
            MARK,
            r#""model":"m""#,
            r#""name":"Read""#,
            r#""path":{"type":"string""#,
            r#""role":"user""#,
            REDACTED,
            r#""id":"t1""#,
            r#""user_id":"u""#,
            r#""max_tokens":10"#,
            r#""input":{"path":"#,
        ] {
            assert!(masked.contains(kept), "{kept} is not in {masked}");
        }
        assert!(serde_json::from_str::<Value>(&masked).is_ok());
    }

    #[test]
    fn equal_beginnings_stay_equal() {
        let (one, other) = ("a word ".repeat(100) + "one", "a word ".repeat(100) + "two");
        let [one, other] = [one, other].map(|text| mask(&format!("{text:?}"), &SALT, 0));
        let common = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
        assert_eq!(common, 1 + 703 / STEP * STEP);
        assert_ne!(mask("\"a\"", &SALT, 0), mask("\"a\"", &[8; 32], 0));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for body in ["", "{", "{\"a\":", "[1,]", "nothing"] {
            assert!(masked(body, &SALT).is_err(), "{body}");
        }
        assert_eq!(masked_text("{}"), format!("{{{MARK}}}"));
    }

    #[test]
    fn names_stay_different() {
        let names: Vec<String> = (b'a'..=b'z').map(|name| format!("\"{}\":1", char::from(name))).collect();
        let body = format!("{{\"input\":{{\"x\":{{{}}}}}}}", names.join(","));
        let masked: Value = serde_json::from_str(&masked_text(&body)).unwrap();
        assert_eq!(masked["input"]["x"].as_object().unwrap().len(), 26);
    }

    proptest! {
        #[test]
        fn every_text_keeps_its_characters_and_bytes(text in "\\PC{0,200}|[a-z\\n\\t\"\\\\\u{1}é—😀]{0,200}") {
            let token = serde_json::to_string(&text).unwrap();
            let masked = String::from_utf8(mask(&token, &SALT, 0)).unwrap();
            prop_assert_eq!(masked.len(), token.len());
            let decoded: String = serde_json::from_str(&masked).unwrap();
            prop_assert_eq!(decoded.chars().count(), text.chars().count());
            prop_assert_eq!(decoded.len(), text.len());
        }
    }
}
