//! What two requests must have in common to have answered the same prompt.

use std::collections::BTreeMap;

use crate::formats::body::{Element, ElementPath, Message, Raw, Section, Visit};
use crate::model::Identity;

/// Body members that may differ: they say who asked, and what Claude Code thought
/// that it was talking to.
const ASIDE: [&str; 2] = ["model", "metadata"];

/// A request's prompt, in so far as prompts are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prompt {
    /// The body but for `model`, `metadata` and marks for caching.
    pub body: Identity,
    /// The last text that the user wrote; `None` where there is none.
    pub last_user_text: Option<Identity>,
}

/// The visitor that takes down a [`Prompt`].
#[derive(Debug, Clone, Default)]
pub struct PromptVisitor {
    system: Vec<Identity>,
    tools: Vec<Identity>,
    messages: Vec<Identity>,
    parameters: BTreeMap<String, Identity>,
    /// The last text block of the message that is being read.
    text: Option<Identity>,
    last_user_text: Option<Identity>,
}

impl PromptVisitor {
    /// What was seen.
    #[must_use]
    pub fn finish(&self) -> Prompt {
        let bytes = |identities: &[Identity]| -> Vec<u8> {
            identities.iter().flat_map(|identity| identity.hash().to_le_bytes()).collect()
        };
        let mut parts = vec![bytes(&self.system), bytes(&self.tools), bytes(&self.messages)];
        for (name, value) in &self.parameters {
            parts.push(name.as_bytes().to_vec());
            parts.push(bytes(&[*value]));
        }
        Prompt {
            body: Identity::of_parts(parts.iter().map(Vec::as_slice)),
            last_user_text: self.last_user_text,
        }
    }
}

impl Visit for PromptVisitor {
    fn wants_identities(&self) -> bool {
        true
    }

    fn element(&mut self, element: &Element<'_>) {
        let identity = element.raw.identity();
        match element.place {
            ElementPath::System(_) => self.system.push(identity),
            ElementPath::Tool(_) => self.tools.push(identity),
            ElementPath::Block { .. } if element.text().is_some() => self.text = Some(identity),
            ElementPath::Block { .. } => {}
        }
    }

    fn message(&mut self, message: &Message<'_>) {
        self.messages.push(message.identity);
        let text = self.text.take();
        if message.role.as_deref() == Some("user") {
            self.last_user_text = text.or(self.last_user_text);
        }
    }

    fn parameter(&mut self, name: &str, value: &Raw<'_>) {
        if !ASIDE.contains(&name) {
            self.parameters.insert(name.to_owned(), value.identity());
        }
    }

    fn restart(&mut self, section: Section) {
        match section {
            Section::Body => *self = Self::default(),
            Section::System => self.system.clear(),
            Section::Tools => self.tools.clear(),
            Section::Messages => {
                self.messages.clear();
                self.last_user_text = None;
            }
            Section::Message(_) => self.text = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::anyclaude::trace::parse;

    fn prompt(body: &str) -> Prompt {
        let mut visitor = PromptVisitor::default();
        let trace = format!("{{\"request\":{{\"body\":{body}}}}}");
        parse(trace.as_bytes(), &mut visitor).unwrap();
        visitor.finish()
    }

    #[test]
    fn model_metadata_and_marks_for_caching_do_not_count() {
        let one = prompt(
            r#"{"model":"a","max_tokens":9,"system":"s","messages":[{"role":"user","content":"hi"}]}"#,
        );
        let same = prompt(
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{}}]}],
                "system":[{"type":"text","text":"s"}],"metadata":{"user_id":"x"},"model":"b","max_tokens":9}"#,
        );
        assert_eq!(one, same);
        let more = prompt(
            r#"{"model":"a","max_tokens":8,"system":"s","messages":[{"role":"user","content":"hi"}]}"#,
        );
        assert_ne!(one.body, more.body);
        assert_eq!(one.last_user_text, more.last_user_text);
    }

    #[test]
    fn the_last_text_of_the_user_is_not_a_tool_result_or_an_answer() {
        let ask = r#"{"role":"user","content":"do it"}"#;
        let answer = r#"{"role":"assistant","content":"well"}"#;
        let result = r#"{"role":"user","content":[{"type":"tool_result","content":"42"}]}"#;
        let one = prompt(&format!(r#"{{"messages":[{ask}]}}"#));
        let later = prompt(&format!(r#"{{"messages":[{ask},{answer},{result}]}}"#));
        assert_eq!(one.last_user_text, later.last_user_text);
        assert!(one.last_user_text.is_some());
        assert_eq!(prompt(r#"{"messages":[]}"#).last_user_text, None);
    }
}
