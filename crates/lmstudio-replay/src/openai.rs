//! Converts a body of Anthropic's API into one of OpenAI's, for `/v1/chat/completions`.

use std::collections::BTreeMap;

use crate::ordered_object::{OrderedObject, items, json, text};
use crate::run::LeftOut;

/// Converts a body. System text, messages, tool calls with their results, images,
/// tools and sampling parameters are carried over. Reasoning of earlier turns, and what
/// only Anthropic's own servers support, is left out and counted.
pub(crate) fn converted(body: &str) -> (String, Vec<LeftOut>) {
    let Some(body) = OrderedObject::parse(body) else { return (body.to_owned(), Vec::new()) };
    let mut conversion = Conversion::default();
    conversion.system(body.get("system"));
    body.items("messages").into_iter().for_each(|message| conversion.message(message));
    let mut openai = OrderedObject::default();
    let mut tools = Vec::new();
    for name in body.names() {
        let Some(value) = body.get(name) else { continue };
        match name {
            // `metadata` names the user, and is no part of the prompt.
            "system" | "messages" | "metadata" => {}
            "model" | "max_tokens" | "temperature" | "top_p" | "top_k" | "stream" => {
                openai.set(name, value.to_owned());
            }
            "stop_sequences" => openai.set("stop", value.to_owned()),
            "tools" => tools = items(value).into_iter().filter_map(|tool| conversion.tool(tool)).collect(),
            "tool_choice" => openai.set("tool_choice", tool_choice(value)),
            other => conversion.leave_out(other),
        }
    }
    openai.set("messages", format!("[{}]", conversion.messages.join(",")));
    if !tools.is_empty() {
        openai.set("tools", format!("[{}]", tools.join(",")));
    }
    openai.set("stream_options", r#"{"include_usage":true}"#);
    let left_out = conversion.left_out.into_iter().map(|(what, n)| LeftOut { what, n }).collect();
    (openai.json(), left_out)
}

#[derive(Default)]
struct Conversion {
    messages: Vec<String>,
    left_out: BTreeMap<String, u64>,
}

impl Conversion {
    fn leave_out(&mut self, what: &str) {
        *self.left_out.entry(what.to_owned()).or_default() += 1;
    }

    fn push(&mut self, role: &str, content: String, more: impl IntoIterator<Item = (&'static str, String)>) {
        let mut message = OrderedObject::default();
        message.set("role", json(role));
        message.set("content", content);
        more.into_iter().for_each(|(name, value)| message.set(name, value));
        self.messages.push(message.json());
    }

    /// The system blocks as one message, joined by line feeds.
    fn system(&mut self, system: Option<&str>) {
        let Some(system) = system else { return };
        let blocks =
            || items(system).into_iter().filter_map(|block| OrderedObject::parse(block)?.text("text"));
        let system = text(system).unwrap_or_else(|| blocks().collect::<Vec<_>>().join("\n"));
        if !system.is_empty() {
            self.push("system", json(&system), []);
        }
    }

    fn message(&mut self, message: &str) {
        let Some(message) = OrderedObject::parse(message) else { return self.leave_out("message") };
        let role = message.text("role").unwrap_or_default();
        let Some(content) = message.get("content") else { return self.leave_out("message") };
        if content.starts_with('"') {
            return self.push(&role, content.to_owned(), []);
        }
        let mut parts = MessageParts::default();
        for block in items(content) {
            self.block(block, &mut parts);
        }
        // Results come first, as they answer the calls of the message before.
        for (id, result) in std::mem::take(&mut parts.results) {
            self.push("tool", json(&result), [("tool_call_id", id)]);
        }
        let calls = (!parts.calls.is_empty()).then(|| ("tool_calls", format!("[{}]", parts.calls.join(","))));
        match parts.content() {
            Some(content) => self.push(&role, content, calls),
            None if calls.is_some() => self.push(&role, "null".to_owned(), calls),
            None => {}
        }
    }

    fn block(&mut self, block: &str, parts: &mut MessageParts) {
        let Some(block) = OrderedObject::parse(block) else { return self.leave_out("block") };
        let kind = block.text("type").unwrap_or_default();
        match kind.as_str() {
            "text" => parts.text(block.text("text").unwrap_or_default()),
            "image" => match image(&block) {
                Some(image) => parts.content.push(image),
                None => self.leave_out("image"),
            },
            "tool_use" => parts.calls.push(tool_call(&block)),
            "tool_result" => {
                let id = block.get("tool_use_id").unwrap_or("\"\"").to_owned();
                let result = self.result(&block, parts);
                parts.results.push((id, result));
            }
            other => self.leave_out(if other.is_empty() { "block" } else { other }),
        }
    }

    /// The text of a tool's result. A `tool` message cannot hold images: they follow as
    /// content of the user.
    fn result(&mut self, block: &OrderedObject<'_>, parts: &mut MessageParts) -> String {
        if let Some(text) = block.text("content") {
            return text;
        }
        let mut texts = Vec::new();
        for item in block.items("content") {
            let Some(item) = OrderedObject::parse(item) else { continue };
            match (item.text("text"), image(&item)) {
                (Some(text), _) => texts.push(text),
                (None, Some(image)) => parts.content.push(image),
                (None, None) => self.leave_out(&item.text("type").unwrap_or_else(|| "block".to_owned())),
            }
        }
        texts.join("\n")
    }

    /// Converts a tool that the client runs. Those that Anthropic's servers run have no
    /// schema and are left out.
    fn tool(&mut self, tool: &str) -> Option<String> {
        let Some(tool) = OrderedObject::parse(tool) else {
            self.leave_out("tool");
            return None;
        };
        let Some(schema) = tool.get("input_schema") else {
            self.leave_out(&tool.text("type").unwrap_or_else(|| "tool".to_owned()));
            return None;
        };
        let mut function = OrderedObject::default();
        function.set("name", tool.get("name").unwrap_or("\"\"").to_owned());
        if let Some(description) = tool.get("description") {
            function.set("description", description.to_owned());
        }
        function.set("parameters", schema.to_owned());
        Some(format!(r#"{{"type":"function","function":{}}}"#, function.json()))
    }
}

/// The blocks of one message, by where OpenAI's form has them.
#[derive(Default)]
struct MessageParts {
    content: Vec<String>,
    only_text: Vec<String>,
    calls: Vec<String>,
    results: Vec<(String, String)>,
}

impl MessageParts {
    fn text(&mut self, text: String) {
        self.content.push(format!(r#"{{"type":"text","text":{}}}"#, json(&text)));
        self.only_text.push(text);
    }

    /// A single text becomes a string, which every server takes; anything else a list.
    fn content(&self) -> Option<String> {
        match (self.content.as_slice(), self.only_text.as_slice()) {
            ([], _) => None,
            ([_], [text]) => Some(json(text)),
            (parts, _) => Some(format!("[{}]", parts.join(","))),
        }
    }
}

fn tool_call(block: &OrderedObject<'_>) -> String {
    let (id, name) = (block.get("id").unwrap_or("\"\""), block.get("name").unwrap_or("\"\""));
    let arguments = json(block.get("input").unwrap_or("{}"));
    format!(r#"{{"id":{id},"type":"function","function":{{"name":{name},"arguments":{arguments}}}}}"#)
}

/// An image as a part: its URL, or its data as a `data:` URL.
fn image(block: &OrderedObject<'_>) -> Option<String> {
    let source = OrderedObject::parse(block.get("source")?)?;
    let url = source.text("url").or_else(|| {
        let (kind, data) = (source.text("media_type")?, source.text("data")?);
        Some(format!("data:{kind};base64,{data}"))
    })?;
    Some(format!(r#"{{"type":"image_url","image_url":{{"url":{}}}}}"#, json(&url)))
}

fn tool_choice(choice: &str) -> String {
    let choice = OrderedObject::parse(choice).unwrap_or_default();
    match choice.text("type").as_deref() {
        Some("any") => json("required"),
        Some("none") => json("none"),
        Some("tool") => {
            let name = choice.get("name").unwrap_or("\"\"");
            format!(r#"{{"type":"function","function":{{"name":{name}}}}}"#)
        }
        _ => json("auto"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn convert(body: &Value) -> (Value, Vec<(String, u64)>) {
        let (json, left_out) = converted(&body.to_string());
        let left_out = left_out.into_iter().map(|left| (left.what, left.n)).collect();
        (serde_json::from_str(&json).unwrap(), left_out)
    }

    #[test]
    fn a_whole_conversation_is_carried_over() {
        let image = json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "QQ==" } });
        let (found, left_out) = convert(&json!({
            "model": "m", "max_tokens": 8, "stream": true, "temperature": 0.5, "stop_sequences": ["x"],
            "metadata": { "user_id": "u" }, "thinking": { "type": "enabled" }, "tool_choice": { "type": "any" },
            "system": [{ "type": "text", "text": "Be brief.", "cache_control": {} }, { "type": "text", "text": "Be kind." }],
            "tools": [
                { "name": "Read", "description": "Reads.", "input_schema": { "type": "object" } },
                { "type": "web_search_20250305", "name": "web_search" },
            ],
            "messages": [
                { "role": "user", "content": "Hello" },
                { "role": "assistant", "content": [
                    { "type": "thinking", "thinking": "Hm." },
                    { "type": "text", "text": "I read." },
                    { "type": "tool_use", "id": "t1", "name": "Read", "input": { "path": "a" } },
                ] },
                { "role": "user", "content": [
                    { "type": "tool_result", "tool_use_id": "t1", "content": [{ "type": "text", "text": "A" }, image] },
                    { "type": "text", "text": "Go on." },
                ] },
                { "role": "assistant", "content": [{ "type": "tool_use", "id": "t2", "name": "Read", "input": {} }] },
                { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t2", "content": "B" }] },
            ],
        }));
        let call = |id: &str, arguments: &str| json!({ "id": id, "type": "function", "function": { "name": "Read", "arguments": arguments } });
        let expected = json!({
            "model": "m", "max_tokens": 8, "stream": true, "temperature": 0.5, "stop": ["x"], "tool_choice": "required",
            "stream_options": { "include_usage": true },
            "tools": [{ "type": "function", "function": { "name": "Read", "description": "Reads.", "parameters": { "type": "object" } } }],
            "messages": [
                { "role": "system", "content": "Be brief.\nBe kind." },
                { "role": "user", "content": "Hello" },
                { "role": "assistant", "content": "I read.", "tool_calls": [call("t1", r#"{"path":"a"}"#)] },
                { "role": "tool", "tool_call_id": "t1", "content": "A" },
                { "role": "user", "content": [
                    { "type": "image_url", "image_url": { "url": "data:image/png;base64,QQ==" } },
                    { "type": "text", "text": "Go on." },
                ] },
                { "role": "assistant", "content": null, "tool_calls": [call("t2", "{}")] },
                { "role": "tool", "tool_call_id": "t2", "content": "B" },
            ],
        });
        assert_eq!(found, expected);
        assert_eq!(left_out, [("thinking".to_owned(), 2), ("web_search_20250305".to_owned(), 1)]);
    }

    #[test]
    fn what_has_an_unknown_shape_is_counted_and_not_invented() {
        let (found, left_out) = convert(&json!({
            "model": "m", "system": 7, "tools": {}, "messages": [7, { "role": "user" }, { "role": "user", "content": [7] }],
        }));
        assert_eq!(found["messages"], json!([]));
        assert_eq!(found.get("tools"), None);
        assert_eq!(left_out, [("block".to_owned(), 1), ("message".to_owned(), 2)]);
    }
}
