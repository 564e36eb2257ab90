//! What two requests must have in common to have answered the same prompt.

use std::collections::BTreeMap;

use crate::formats::body::{Element, ElementPath, Message, Raw, Section, Visit};
use crate::model::Identity;

/// Members of a body that do not count: the model that was asked for, and who asked.
const ASIDE: [&str; 2] = ["model", "metadata"];

/// What tells the prompts of two requests apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prompt {
    /// The body but for `model`, `metadata` and marks for caching.
    pub body: Identity,
    /// What the first message of the user says; `None` where there is none.
    pub first_user_text: Option<Identity>,
    /// What the last one says: a question, or the results of tool calls. The ids of these
    /// calls do not count, as they are the model's own.
    pub last_user_text: Option<Identity>,
}

/// The visitor that makes a [`Prompt`].
#[derive(Debug, Clone, Default)]
pub struct PromptVisitor {
    system: Vec<Identity>,
    tools: Vec<Identity>,
    messages: Vec<Identity>,
    parameters: BTreeMap<String, Identity>,
    /// The blocks of the message that is being read.
    blocks: Vec<Identity>,
    /// What the messages of the user say.
    first_user_text: Option<Identity>,
    last_user_text: Option<Identity>,
}

impl PromptVisitor {
    /// What was seen.
    #[must_use]
    pub fn finish(&self) -> Prompt {
        let mut parts = vec![bytes(&self.system), bytes(&self.tools), bytes(&self.messages)];
        for (name, value) in &self.parameters {
            parts.push(name.as_bytes().to_vec());
            parts.push(bytes(&[*value]));
        }
        Prompt {
            body: Identity::of_parts(parts.iter().map(Vec::as_slice)),
            first_user_text: self.first_user_text,
            last_user_text: self.last_user_text,
        }
    }
}

impl Visit for PromptVisitor {
    fn wants_identities(&self) -> bool {
        true
    }

    fn element(&mut self, element: &Element<'_>) {
        match element.place {
            ElementPath::System(_) => self.system.push(element.raw.identity()),
            ElementPath::Tool(_) => self.tools.push(element.raw.identity()),
            ElementPath::Block { .. } => match element.kind.as_deref() {
                Some("thinking" | "redacted_thinking") => {}
                Some("tool_result") => {
                    let result = without_call_ids(&element.raw.content());
                    self.blocks.push(Identity::of_parts([result.as_bytes()]));
                }
                _ => self.blocks.push(element.raw.identity()),
            },
        }
    }

    fn message(&mut self, message: &Message<'_>) {
        self.messages.push(message.identity);
        // In `OpenAI`'s shapes the results of tool calls are messages of their own.
        if matches!(message.role.as_deref(), Some("user" | "tool")) {
            let said = Identity::of_parts([bytes(&self.blocks).as_slice()]);
            self.first_user_text.get_or_insert(said);
            self.last_user_text = Some(said);
        }
        self.blocks.clear();
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
                self.blocks.clear();
                (self.first_user_text, self.last_user_text) = (None, None);
            }
            Section::Message(_) => self.blocks.clear(),
        }
    }
}

fn bytes(identities: &[Identity]) -> Vec<u8> {
    identities.iter().flat_map(|identity| identity.hash().to_le_bytes()).collect()
}

/// Compact JSON with the values of `tool_use_id` emptied. Inside of strings quotation
/// marks are escaped, so that the member's name is found nowhere else.
fn without_call_ids(json: &str) -> String {
    const MEMBER: &str = "\"tool_use_id\":\"";
    let mut pieces = json.split(MEMBER);
    let mut without = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        without.push_str(MEMBER);
        without.push_str(piece.find('"').and_then(|end| piece.get(end..)).unwrap_or_default());
    }
    without
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
    fn the_words_of_the_user_hold_results_but_not_the_ids_of_calls() {
        let ask = r#"{"role":"user","content":"do it"}"#;
        let call = |id: &str| {
            format!(
                r#"{{"role":"assistant","content":[{{"type":"tool_use","id":"{id}","name":"Bash","input":{{}}}}]}}"#
            )
        };
        let result = |id: &str, text: &str| {
            format!(
                r#"{{"role":"user","content":[{{"tool_use_id":"{id}","type":"tool_result","content":"{text}",
                "cache_control":{{}}}}]}}"#
            )
        };
        let turn = |id: &str, text: &str| {
            prompt(&format!(r#"{{"messages":[{ask},{},{}]}}"#, call(id), result(id, text)))
        };
        let first = prompt(&format!(r#"{{"messages":[{ask}]}}"#));
        assert_eq!(first.first_user_text, first.last_user_text);
        let one = turn("toolu_1", r#"say \"tool_use_id\":\"x\""#);
        assert_eq!(one.first_user_text, first.first_user_text);
        assert_ne!(one.last_user_text, first.last_user_text);
        let other = turn("call_2", r#"say \"tool_use_id\":\"x\""#);
        assert_ne!(one.body, other.body);
        assert_eq!(one.last_user_text, other.last_user_text);
        assert_ne!(one.last_user_text, turn("toolu_1", r#"say \"tool_use_id\":\"y\""#).last_user_text);
        assert_eq!(prompt(r#"{"messages":[]}"#).last_user_text, None);
    }

    #[test]
    fn thinking_and_a_repeated_member_do_not_count() {
        let user =
            |content: &str| prompt(&format!(r#"{{"messages":[{{"role":"user","content":{content}}}]}}"#));
        let plain = user(r#"[{"type":"text","text":"hi"}]"#);
        let thinks = user(r#"[{"type":"thinking","thinking":"hm"},{"type":"text","text":"hi"}]"#);
        assert_eq!(plain.last_user_text, thinks.last_user_text);
        let twice = prompt(
            r#"{"messages":[{"role":"user","content":"no"}],"messages":[{"role":"user","content":"hi"}]}"#,
        );
        assert_eq!(twice.first_user_text, plain.first_user_text);
    }
}
