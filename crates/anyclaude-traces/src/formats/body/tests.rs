//! Bodies in `OpenAI`'s shapes, against the definitions once more over `serde_json`.

use serde_json::{Value, json};

use super::*;
use crate::model::Amount;

/// What a visitor is shown, as text.
#[derive(Debug, Default)]
struct Shown {
    system: Vec<String>,
    tools: Vec<String>,
    messages: Vec<String>,
    blocks: Vec<String>,
    parameters: Vec<String>,
}

impl Visit for Shown {
    fn element(&mut self, element: &Element<'_>) {
        let kind = element.kind.as_deref().unwrap_or("-");
        match element.place {
            ElementPath::System(at) => {
                assert_eq!(at as usize, self.system.len());
                self.system.push(format!("{kind}:{}", element.text().unwrap_or_default()));
            }
            ElementPath::Tool(at) => {
                assert_eq!(at as usize, self.tools.len());
                self.tools.push(element.name.as_deref().unwrap_or("-").to_owned());
            }
            ElementPath::Block { message, block } => {
                assert_eq!((message as usize, block as usize), (self.messages.len(), self.blocks.len()));
                let name = element.name.as_deref().map(|name| format!("({name})")).unwrap_or_default();
                self.blocks.push(format!("{kind}{name}={}", element.raw.texts().concat()));
            }
        }
    }

    fn message(&mut self, message: &Message<'_>) {
        assert_eq!(message.index as usize, self.messages.len());
        let role = message.role.as_deref().unwrap_or("-");
        self.messages.push(format!("{role}: {}", std::mem::take(&mut self.blocks).join(" | ")));
    }

    fn parameter(&mut self, name: &str, _: &Raw<'_>) {
        self.parameters.push(name.to_owned());
    }

    fn restart(&mut self, section: Section) {
        match section {
            Section::Body => *self = Self::default(),
            Section::System => self.system.clear(),
            Section::Tools => self.tools.clear(),
            Section::Messages => {
                self.messages.clear();
                self.blocks.clear();
            }
            Section::Message(_) => self.blocks.clear(),
        }
    }
}

fn read(text: &str) -> (Body, Shown) {
    let mut scratch = Scratch::default();
    let mut shown = Shown::default();
    let mut cursor = Cursor::new(text, &mut scratch);
    let body = Body::read(&mut cursor, &mut shown).unwrap();
    cursor.end().unwrap();
    let Sizes { system_bytes, tools_bytes, messages_bytes, other_bytes, body_bytes, .. } = body.sizes;
    assert_eq!(system_bytes + tools_bytes + messages_bytes + other_bytes, body_bytes, "{text}");
    assert_eq!(body.history.len(), shown.messages.len());
    assert_eq!(body.tools.len(), shown.tools.len());
    (body, shown)
}

fn bytes(value: &Value) -> u64 {
    value.to_string().len() as u64
}

fn chat() -> Value {
    json!({
        "model": "qwen3",
        "messages": [
            {"role": "system", "content": "Be \"brief\".\n"},
            {"role": "developer", "content": [{"type": "text", "text": "Really: é"}]},
            {"role": "user", "content": [{"type": "text", "text": "Read a/b"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]},
            {"role": "assistant", "reasoning_content": "Hm.", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "Read", "arguments": "{\"path\":\"a/b\"}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "forty-two"},
            {"role": "system", "content": "A hook ran."},
            {"role": "user", "content": "Thanks"}
        ],
        "tools": [
            {"type": "function", "function": {"name": "Read", "description": "Reads.", "parameters": {"type": "object"}}},
            {"type": "function", "function": {"name": "mcp__docs__find", "parameters": {}}}
        ],
        "max_completion_tokens": 4096,
        "stream": true,
        "stream_options": {"include_usage": true}
    })
}

#[test]
fn a_body_in_chat_s_shape() {
    let value = chat();
    let (body, shown) = read(&serde_json::to_string_pretty(&value).unwrap());
    assert_eq!(body.api, Some(Api::OpenaiChat));
    assert_eq!((body.model.as_deref(), body.max_tokens, body.stream), (Some("qwen3"), Some(4096), true));
    let messages = value["messages"].as_array().unwrap();
    let sizes = body.sizes;
    assert_eq!(sizes.body_bytes, bytes(&value));
    assert_eq!(sizes.system_bytes, bytes(&messages[0]["content"]) + bytes(&messages[1]["content"]));
    assert_eq!(sizes.messages_bytes, bytes(&json!(messages[2..])));
    assert_eq!(sizes.tools_bytes, bytes(&value["tools"]));
    assert_eq!(
        [sizes.system_blocks, sizes.tool_count, sizes.message_count].map(Amount::get),
        [2, 2, 5].map(Some)
    );
    assert_eq!([sizes.system_chars, sizes.system_text_bytes].map(Amount::get), [12 + 9, 12 + 10].map(Some));
    assert_eq!(body.tools[0].bytes, bytes(&value["tools"][0]));
    assert_eq!(shown.system, ["text:Be \"brief\".\n", "text:Really: é"]);
    assert_eq!(shown.tools, ["Read", "mcp__docs__find"]);
    assert_eq!(
        shown.messages,
        [
            "user: text=Read a/b | image=",
            "assistant: thinking=Hm. | tool_use(Read)=",
            "tool: tool_result=forty-two",
            "system: text=A hook ran.",
            "user: text=Thanks",
        ]
    );
}

fn responses() -> Value {
    json!({
        "model": "qwen3",
        "instructions": "You are brief.",
        "input": [
            {"type": "additional_tools", "tools": [{"type": "function", "name": "late", "parameters": {}}]},
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Sandbox: none"}]},
            {"role": "user", "content": [{"type": "input_text", "text": "Read a/b"}]},
            {"type": "reasoning", "summary": [], "encrypted_content": "xyz"},
            {"type": "function_call", "name": "find", "namespace": "mcp__docs", "arguments": "{}", "call_id": "c1"},
            {"type": "function_call_output", "call_id": "c1", "output": "forty-two"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]}
        ],
        "tools": [
            {"type": "function", "name": "exec", "parameters": {}},
            {"type": "namespace", "name": "mcp__docs", "tools": [
                {"type": "function", "name": "find"}, {"type": "function", "name": "get"}]},
            {"type": "namespace", "name": "agents", "tools": [{"type": "function", "name": "spawn"}]},
            {"type": "web_search", "external_web_access": false}
        ],
        "max_output_tokens": 100,
        "prompt_cache_key": "session-1",
        "stream": true
    })
}

#[test]
fn a_body_in_responses_shape() {
    let value = responses();
    let (body, shown) = read(&serde_json::to_string_pretty(&value).unwrap());
    assert_eq!(body.api, Some(Api::OpenaiResponses));
    assert_eq!(body.sender.session_id.as_deref(), Some("session-1"));
    let (sizes, input) = (body.sizes, value["input"].as_array().unwrap());
    assert_eq!(sizes.system_bytes, bytes(&value["instructions"]) + bytes(&input[1]["content"]));
    assert_eq!(sizes.messages_bytes, bytes(&json!(input[2..])));
    assert_eq!(sizes.tools_bytes, bytes(&value["tools"]) + bytes(&input[0]["tools"]));
    assert_eq!(
        [sizes.system_chars, sizes.tool_count, sizes.message_count].map(Amount::get),
        [14 + 13, 6, 5].map(Some)
    );
    assert_eq!(body.max_tokens, Some(100));
    assert_eq!(shown.tools, ["exec", "mcp__docs__find", "mcp__docs__get", "spawn", "web_search", "late"]);
    assert_eq!(
        shown.messages,
        [
            "user: text=Read a/b",
            "assistant: thinking=",
            "assistant: tool_use(mcp__docs__find)=",
            "tool: tool_result=forty-two",
            "assistant: text=Done.",
        ]
    );
    assert!(!shown.parameters.iter().any(|name| name == "input" || name == "instructions"));
}

/// Nothing but the order of members changes: every fact stays, but for where a visitor
/// meets it.
#[test]
fn the_order_of_members_makes_no_difference() {
    for value in [chat(), responses()] {
        let expected = read(&value.to_string()).0;
        let members: Vec<(String, Value)> = value.as_object().unwrap().clone().into_iter().collect();
        for first in 0..members.len() {
            let mut order = members.clone();
            order.rotate_left(first);
            let written: Vec<String> =
                order.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
            let (body, _) = read(&format!("{{{}}}", written.join(",")));
            assert_eq!(body.sizes, expected.sizes);
            assert_eq!((body.api, &body.history), (expected.api, &expected.history));
            assert_eq!(body.tools, expected.tools);
        }
    }
}

/// Claude Code sends a message of the role `system` in the middle of the conversation, and
/// its `system` after its messages.
#[test]
fn an_anthropic_body_stays_one_whatever_its_messages_roles() {
    let messages = r#"[{"role":"system","content":"A"},{"role":"user","content":"B"}]"#;
    let text =
        format!(r#"{{"messages":{messages},"system":"S","tools":[{{"name":"T","input_schema":{{}}}}]}}"#);
    let (body, shown) = read(&text);
    assert_eq!(body.api, Some(Api::Anthropic));
    assert_eq!([body.sizes.system_chars, body.sizes.message_count].map(Amount::get), [1, 2].map(Some));
    assert_eq!(body.sizes.messages_bytes, messages.len() as u64);
    assert_eq!(shown.messages, ["system: text=A", "user: text=B"]);
    let anthropic = {
        let mut scratch = Scratch::default();
        let mut cursor = Cursor::new(&text, &mut scratch);
        Body::read_anthropic(&mut cursor, &mut ()).unwrap()
    };
    assert_eq!((anthropic.sizes, anthropic.history), (body.sizes, body.history));
}

#[test]
fn chat_is_known_by_its_calls_where_it_has_no_system_prompt() {
    let (body, shown) = read(
        r#"{"messages":[{"role":"user","content":"A"},{"content":"","role":"assistant",
            "tool_calls":[{"function":{"name":"F"}}]},{"role":"tool","content":[{"type":"text","text":"R"}]}]}"#,
    );
    assert_eq!(body.api, Some(Api::OpenaiChat));
    assert_eq!(shown.messages, ["user: text=A", "assistant: text= | tool_use(F)=", "tool: tool_result=R"]);
    for (body, api) in [
        (r#"{"messages":[],"stream_options":{}}"#, Some(Api::OpenaiChat)),
        (r#"{"messages":[],"tools":[{"type":"function","function":{"name":"F"}}]}"#, Some(Api::OpenaiChat)),
        (r#"{"messages":[],"tools":[{"name":"F","input_schema":{}}]}"#, Some(Api::Anthropic)),
        (r#"{"messages":[{"role":"user","content":"A"}],"max_tokens":1}"#, None),
        (r#"{"input":"A"}"#, Some(Api::OpenaiResponses)),
    ] {
        assert_eq!(read(body).0.api, api, "{body}");
    }
}

#[test]
fn the_last_of_repeated_members_counts() {
    let (body, shown) = read(
        r#"{"input":"gone","input":[{"role":"user","content":"x"}],"instructions":"gone","instructions":"S"}"#,
    );
    assert_eq!((shown.system, shown.messages), (vec!["text:S".to_owned()], vec!["user: text=x".to_owned()]));
    assert_eq!([body.sizes.system_bytes, body.sizes.message_count].map(Amount::get), [3, 1].map(Some));
    let (body, shown) = read(
        r#"{"messages":[{"role":"system","content":"gone"}],"messages":[{"role":"user","role":"system",
            "content":"a","content":"b"},{"content":"gone","content":"c","role":"user"}]}"#,
    );
    assert_eq!((shown.system, shown.messages), (vec!["text:b".to_owned()], vec!["user: text=c".to_owned()]));
    assert_eq!(body.sizes.system_chars, 1);
    let (body, shown) =
        read(r#"{"messages":[{"role":"system","content":"gone"}],"messages":[{"role":"user"}]}"#);
    assert_eq!((body.sizes.system_chars.get().unwrap(), shown.system.len(), shown.messages.len()), (0, 0, 1));
}

/// Any shape of any member is measured, and none is a fault.
#[test]
fn members_of_unusual_types_are_measured() {
    for body in [
        r#"{"input":{"a":1}}"#,
        r#"{"input":[1,null,"x",[],{"type":7},{"role":[]},{"type":"additional_tools"},{"type":"additional_tools","tools":7}]}"#,
        r#"{"instructions":[{"type":"text","text":"x"}],"input":null}"#,
        r#"{"messages":[{"role":"system"},{"role":"system","content":7},{"role":"assistant","tool_calls":7,
            "reasoning":[]},{"role":"tool"},{"role":"assistant","tool_calls":[7,{"function":[]}]}]}"#,
        r#"{"messages":"x","input":[]}"#,
        r#"{"messages":null,"input":"x"}"#,
        r#"{"tools":[{"type":"namespace","tools":[{"type":"namespace","tools":[]}]},{"type":"namespace"},7]}"#,
        r#"{"messages":[{"role":"system","content":"a"}],"system":null}"#,
        "{}",
    ] {
        read(body);
    }
}
