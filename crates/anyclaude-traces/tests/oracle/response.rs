//! What a recorded response says of itself.

use serde_json::{Map, Value, json};

use crate::json::Json;

const TOOL_CALLS: [&str; 3] = ["tool_use", "server_tool_use", "mcp_tool_use"];

/// The response in the shape in which the library serialises it.
pub(crate) fn read(response: Option<Json<'_>>) -> Value {
    let Some(response) = response.filter(|response| !response.is_null()) else { return Value::Null };
    let mut found = Map::new();
    for name in ["input_tokens", "output_tokens", "cache_creation_tokens", "cache_read_tokens"] {
        found.insert(name.to_owned(), Value::Null);
    }
    found.insert("stop_reason".to_owned(), Value::Null);
    found.insert("tool_calls".to_owned(), Value::Null);
    found.insert("status".to_owned(), json!(response.last("statusCode").and_then(Json::whole)));
    if let Some(body) = response.last("body") {
        match body.string() {
            Some(stream) => read_stream(&stream, &mut found),
            None => read_reply(body, &mut found),
        }
    }
    Value::Object(found)
}

/// A whole reply; that to a count of tokens is a bare `input_tokens`.
fn read_reply(body: Json<'_>, found: &mut Map<String, Value>) {
    if body.members().is_none() {
        return;
    }
    set(found, "input_tokens", body.last("input_tokens").and_then(Json::whole));
    add_usage(body.last("usage"), found);
    set(found, "stop_reason", body.last("stop_reason").and_then(Json::string));
    let content = body.last("content").and_then(Json::items).unwrap_or_default();
    set(found, "tool_calls", Some(content.into_iter().filter(|block| is_tool_call(*block)).count()));
}

fn set(found: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        found.insert(name.to_owned(), value.into());
    }
}

fn add_usage(usage: Option<Json<'_>>, found: &mut Map<String, Value>) {
    let tokens = |name| usage.and_then(|usage| usage.last(name)).and_then(Json::whole);
    set(found, "input_tokens", tokens("input_tokens"));
    set(found, "output_tokens", tokens("output_tokens"));
    set(found, "cache_creation_tokens", tokens("cache_creation_input_tokens"));
    set(found, "cache_read_tokens", tokens("cache_read_input_tokens"));
}

fn is_tool_call(block: Json<'_>) -> bool {
    let kind = block.last("type").and_then(Json::string);
    kind.is_some_and(|kind| TOOL_CALLS.contains(&kind.as_str()))
}

/// A stream of events that are JSON objects with a `type`, or with the words of an error
/// alone; what is no such event is passed over.
fn read_stream(stream: &str, found: &mut Map<String, Value>) {
    for data in event_data(stream) {
        let event = Json(&data);
        match event.last("type").and_then(Json::string) {
            Some(kind) => read_event(&kind, event, found),
            None if tells_error(event) => {
                read_event("error", event, found);
                add_usage(event.last("usage"), found);
            }
            None => {}
        }
    }
}

/// Whether an event has an error's words, as the servers of OpenAI's API send one.
fn tells_error(event: Json<'_>) -> bool {
    let words = |error: Json<'_>| error.string().or_else(|| error.last("message").and_then(Json::string));
    event.last("error").and_then(words).is_some()
}

fn read_event(kind: &str, event: Json<'_>, found: &mut Map<String, Value>) {
    let starts_call = kind == "content_block_start" && event.last("content_block").is_some_and(is_tool_call);
    let calls = found["tool_calls"].as_u64().unwrap_or(0) + u64::from(starts_call);
    set(found, "tool_calls", Some(calls));
    if kind == "message_start" {
        add_usage(event.last("message").and_then(|message| message.last("usage")), found);
    }
    if kind == "message_delta" {
        add_usage(event.last("usage"), found);
        let stop = event.last("delta").and_then(|delta| delta.last("stop_reason"));
        set(found, "stop_reason", stop.and_then(Json::string));
    }
}

/// The `data` lines of every event, an empty line ending each event.
fn event_data(stream: &str) -> Vec<String> {
    let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream);
    let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
    stream.split("\n\n").filter_map(data_of).collect()
}

fn data_of(event: &str) -> Option<String> {
    let lines = event.split('\n').filter_map(|line| line.strip_prefix("data:"));
    let data: Vec<&str> = lines.map(|data| data.strip_prefix(' ').unwrap_or(data)).collect();
    (!data.is_empty()).then(|| data.join("\n"))
}
