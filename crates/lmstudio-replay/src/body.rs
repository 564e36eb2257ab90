//! The recorded body → the body that is sent.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

use crate::error::Failure;
use crate::members::{Members, json};
use crate::surrogates::mended;

/// A recorded body in Anthropic's form, ready to be sent many times.
#[derive(Debug)]
pub(crate) struct Body {
    json: String,
}

impl Body {
    /// Takes a recorded body and sets what a replay sets: the model, the limit on
    /// the answer, and that it is streamed. All else stays as it was written, but
    /// for lone surrogates, which no text can hold.
    pub(crate) fn new(recorded: &str, model: &str, max_tokens: u64) -> Result<Self, Failure> {
        let recorded = mended(recorded);
        let mut members = Members::of(&recorded).ok_or(Failure::NoBody)?;
        members.set("model", json(model));
        members.set("max_tokens", json(&max_tokens));
        members.set("stream", "true");
        Ok(Self { json: members.json() })
    }

    /// The body as it is.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// The body with a word that no prompt has begun with before, so that no
    /// prompt cache can help. It comes first in the system text and first in the
    /// description of the first tool: templates begin with the one or the other.
    pub(crate) fn cold(&self) -> String {
        let nonce = nonce();
        let Some(mut members) = Members::of(&self.json) else { return self.json.clone() };
        let system = marked_system(members.get("system"), &nonce);
        let tools = marked_tools(&members.items("tools"), &nonce);
        members.set("system", system);
        if let Some(tools) = tools {
            members.set("tools", tools);
        }
        members.json()
    }
}

/// 16 random hexadecimal digits.
fn nonce() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

fn marked_system(system: Option<&str>, nonce: &str) -> String {
    let block = || format!("{{\"type\":\"text\",\"text\":{}}}", json(nonce));
    match system.and_then(|system| Some((system, system.chars().next()?))) {
        Some((text, '"')) => format!("\"{nonce} {}", text.get(1..).unwrap_or_default()),
        Some((blocks, '[')) => {
            let blocks = crate::members::items(blocks);
            let all: Vec<String> =
                std::iter::once(block()).chain(blocks.into_iter().map(str::to_owned)).collect();
            format!("[{}]", all.join(","))
        }
        _ => json(nonce),
    }
}

fn marked_tools(tools: &[&str], nonce: &str) -> Option<String> {
    let (first, rest) = tools.split_first()?;
    let mut marked = Members::of(first)?;
    let description = marked.text("description").unwrap_or_default();
    marked.set("description", json(&format!("{nonce} {description}")));
    let all: Vec<String> =
        std::iter::once(marked.json()).chain(rest.iter().map(|tool| (*tool).to_owned())).collect();
    Some(format!("[{}]", all.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(recorded: &str) -> Body {
        Body::new(recorded, "m", 8).unwrap()
    }

    #[test]
    fn all_but_the_set_members_stays_as_recorded() {
        let recorded =
            r#"{"tools":[{"z":1.50,"a":"\u00e9\ud83d"}],"model":"claude","stream":false,"x":1e400}"#;
        let expected =
            r#"{"tools":[{"z":1.50,"a":"\u00e9\ufffd"}],"model":"m","stream":true,"x":1e400,"max_tokens":8}"#;
        assert_eq!(body(recorded).json(), expected);
        assert!(matches!(Body::new("[]", "m", 8), Err(Failure::NoBody)));
    }

    #[test]
    fn a_cold_body_begins_with_something_new_each_time() {
        for (recorded, before) in [
            (r#"{"system":"Be brief."}"#, r#"{"system":""#),
            (r#"{"system":[{"type":"text","text":"Be brief."}]}"#, r#"{"system":[{"type":"text","text":""#),
            (r#"{"system":[]}"#, r#"{"system":[{"type":"text","text":""#),
            (r#"{"tools":[{"name":"a","description":"b"},{}]}"#, r#"{"tools":[{"name":"a","description":""#),
        ] {
            let body = body(recorded);
            let (one, other) = (body.cold(), body.cold());
            assert_ne!(one, other);
            let digits = one.strip_prefix(before).unwrap_or_else(|| panic!("{one}"));
            assert!(digits.chars().take(16).all(|c| c.is_ascii_hexdigit()), "{one}");
            assert!(Members::of(&one).unwrap().get("system").is_some(), "{one}");
        }
    }
}
