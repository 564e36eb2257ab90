//! Turns the recorded body into the body that is sent.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};

use crate::error::Error;
use crate::ordered_object::{OrderedObject, json};
use crate::surrogates::replace_lone_surrogates;

/// A recorded body in Anthropic's form, ready to be sent many times.
#[derive(Debug)]
pub(crate) struct PreparedBody {
    json: String,
}

impl PreparedBody {
    /// Sets `model`, `max_tokens` and `stream`. All else stays as it was written, except
    /// for lone surrogates, which a Rust string cannot hold.
    pub(crate) fn new(recorded: &str, model: &str, max_tokens: u64) -> Result<Self, Error> {
        let recorded = replace_lone_surrogates(recorded);
        let mut members = OrderedObject::parse(&recorded).ok_or(Error::NoBody)?;
        members.set("model", json(model));
        members.set("max_tokens", json(&max_tokens));
        members.set("stream", "true");
        Ok(Self { json: members.json() })
    }

    /// The body for a run that does nothing about the prompt cache.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// The body with a random word at its beginning, so that no prompt cache can help.
    /// It goes first into the system text and into the description of the first tool,
    /// as chat templates begin with one or the other.
    pub(crate) fn cold(&self) -> String {
        let nonce = nonce();
        let Some(mut members) = OrderedObject::parse(&self.json) else { return self.json.clone() };
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
            let blocks = crate::ordered_object::items(blocks);
            let all: Vec<String> =
                std::iter::once(block()).chain(blocks.into_iter().map(str::to_owned)).collect();
            format!("[{}]", all.join(","))
        }
        _ => json(nonce),
    }
}

fn marked_tools(tools: &[&str], nonce: &str) -> Option<String> {
    let (first, rest) = tools.split_first()?;
    let mut marked = OrderedObject::parse(first)?;
    let description = marked.text("description").unwrap_or_default();
    marked.set("description", json(&format!("{nonce} {description}")));
    let all: Vec<String> =
        std::iter::once(marked.json()).chain(rest.iter().map(|tool| (*tool).to_owned())).collect();
    Some(format!("[{}]", all.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(recorded: &str) -> PreparedBody {
        PreparedBody::new(recorded, "m", 8).unwrap()
    }

    #[test]
    fn all_but_the_set_members_stays_as_recorded() {
        let recorded =
            r#"{"tools":[{"z":1.50,"a":"\u00e9\ud83d"}],"model":"claude","stream":false,"x":1e400}"#;
        let expected =
            r#"{"tools":[{"z":1.50,"a":"\u00e9\ufffd"}],"model":"m","stream":true,"x":1e400,"max_tokens":8}"#;
        assert_eq!(body(recorded).json(), expected);
        assert!(matches!(PreparedBody::new("[]", "m", 8), Err(Error::NoBody)));
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
            assert!(OrderedObject::parse(&one).unwrap().get("system").is_some(), "{one}");
        }
    }
}
