//! What a trace's record and events are, said as directly as possible.

use anyclaude_traces::error::SkipReason;
use anyclaude_traces::formats::body::{ElementPath, Section};
use anyclaude_traces::model::time::Timestamp;
use serde_json::{Value, json};

use crate::json::{Json, Member, WHITE, fault};
use crate::response;
use crate::seen::{Event, Key, Record, Seen, Shown};

/// Everything about a trace, or why it is none.
pub(crate) fn read(bytes: &[u8]) -> Result<Seen<Key>, SkipReason> {
    let text = std::str::from_utf8(bytes).map_err(|error| bad_utf8(bytes, error))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(reason) = fault(text) {
        return Err(reason);
    }
    let trace = Json(text.trim_matches(WHITE));
    let request = trace.last("request").ok_or(SkipReason::NotATrace)?;
    let body = request.last("body").ok_or(SkipReason::NotATrace)?;
    let says = |name: &&str| body.last(name).is_some_and(|value| !value.is_null());
    if !["model", "messages", "system", "tools"].iter().any(says) {
        return Err(SkipReason::NotATrace);
    }
    let record = record(trace, request, body, bytes.len());
    let mut seen = Seen { record, events: Vec::new(), identities: identities(trace, body) };
    show_trace(trace, &mut seen);
    Ok(seen)
}

/// Cut inside the last character, unless the text before is no JSON anyway.
fn bad_utf8(bytes: &[u8], error: std::str::Utf8Error) -> SkipReason {
    if error.error_len().is_some() {
        return SkipReason::InvalidUtf8;
    }
    match read(&bytes[..error.valid_up_to()]) {
        Err(SkipReason::InvalidJson) => SkipReason::InvalidJson,
        _ => SkipReason::Truncated,
    }
}

fn record(trace: Json<'_>, request: Json<'_>, body: Json<'_>, file_bytes: usize) -> Record {
    let string = |object: Json<'_>, name| object.last(name).and_then(Json::string);
    let tools = body.last("tools").and_then(Json::items).unwrap_or_default();
    Record {
        timestamp: string(trace, "timestamp").and_then(|stamp| stamp.parse::<Timestamp>().ok()),
        mode: string(trace, "mode"),
        endpoint: string(request, "url").map(|url| path_of(&url).to_owned()),
        requested_model: string(body, "model"),
        session_id: header_session(request).or_else(|| user_id(body).and_then(|id| session_id(&id))),
        sizes: sizes(body, file_bytes),
        max_tokens: body.last("max_tokens").and_then(Json::whole),
        stream: body.last("stream") == Some(Json("true")),
        tools: tools.into_iter().map(|tool| (string(tool, "name"), tool.compact_bytes())).collect(),
        response: response::read(trace.last("response")),
    }
}

/// A URL that starts with `/` is a path already; before another one's path
/// stand the scheme and the host.
fn path_of(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap();
    match path.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => path,
    }
}

/// The session by the headers: Claude Code's own counts before what other clients send.
fn header_session(request: Json<'_>) -> Option<String> {
    let headers = request.last("headers").and_then(Json::members).unwrap_or_default();
    let said = headers.iter().filter_map(|header| {
        let value = header.value.string().filter(|value| !value.is_empty())?;
        Some((header.name.to_ascii_lowercase(), value))
    });
    let said: Vec<(String, String)> = said.collect();
    let own = said.iter().rev().find(|(name, _)| name == "x-claude-code-session-id");
    let other =
        || said.iter().find(|(name, _)| matches!(&**name, "session_id" | "session-id" | "x-session-id"));
    own.or_else(other).map(|(_, value)| value.clone())
}

fn user_id(body: Json<'_>) -> Option<String> {
    body.last("metadata")?.last("user_id")?.string()
}

fn session_id(user_id: &str) -> Option<String> {
    let object = Json(user_id).members().is_some();
    let id = if object {
        Json(user_id).last("session_id")?.string()?
    } else {
        user_id.rsplit_once("_session_")?.1.to_owned()
    };
    (!id.is_empty()).then_some(id)
}

fn sizes(body: Json<'_>, file_bytes: usize) -> Value {
    let bytes = |name| body.last(name).map_or(0, Json::compact_bytes);
    let count = |name| body.last(name).and_then(Json::items).unwrap_or_default().len();
    let system_string = body.last("system").and_then(Json::string);
    let system_blocks = match &system_string {
        Some(text) => usize::from(!text.is_empty()),
        None => count("system"),
    };
    let text = system_string.unwrap_or_else(|| block_texts(body.last("system")));
    let (system, tools, messages) = (bytes("system"), bytes("tools"), bytes("messages"));
    json!({
        "system_chars": text.chars().count(),
        "system_text_bytes": text.len(),
        "system_blocks": system_blocks,
        "system_bytes": system,
        "tool_count": count("tools"),
        "tools_bytes": tools,
        "message_count": count("messages"),
        "messages_bytes": messages,
        "other_bytes": body.compact_bytes() - system - tools - messages,
        "body_bytes": body.compact_bytes(),
        "file_bytes": file_bytes,
    })
}

fn block_texts(system: Option<Json<'_>>) -> String {
    let blocks = system.and_then(Json::items).unwrap_or_default();
    blocks.into_iter().filter_map(|block| block.last("text")?.string()).collect()
}

/// What the record's identities stand for: the user, the body in mode `claude`,
/// and every message.
fn identities(trace: Json<'_>, body: Json<'_>) -> Vec<Key> {
    let mut keys: Vec<Key> = user_id(body).map(Key::User).into_iter().collect();
    if trace.last("mode").and_then(Json::string).as_deref() == Some("claude") {
        keys.push(Key::content(&body.compact()));
    }
    let messages = body.last("messages").and_then(Json::items).unwrap_or_default();
    keys.extend(messages.into_iter().map(message_key));
    keys
}

/// A message is its role and blocks; content that is no array counts as one
/// block, whatever it is.
fn message_key(message: Json<'_>) -> Key {
    if message.members().is_none() {
        return Key::content(&message.compact());
    }
    let role = message.last("role").and_then(Json::string).unwrap_or_default();
    let content = message.last("content");
    let blocks = match content.and_then(Json::items) {
        Some(blocks) => blocks.into_iter().map(Json::content).collect(),
        None => content.into_iter().map(Json::compact).collect::<Vec<_>>(),
    };
    Key::Message { role, blocks: blocks.iter().map(|block| Key::content(block)).collect() }
}

fn show_trace(trace: Json<'_>, seen: &mut Seen<Key>) {
    for request in all(trace, "request") {
        seen.events.push(Event::Restart(Section::Body));
        for body in all(request, "body") {
            seen.events.push(Event::Restart(Section::Body));
            show_body(body, seen);
        }
    }
}

fn all<'a>(object: Json<'a>, name: &str) -> Vec<Json<'a>> {
    let members = object.members().unwrap_or_default();
    members.into_iter().filter(|member| member.name == name).map(|member| member.value).collect()
}

fn show_body(body: Json<'_>, seen: &mut Seen<Key>) {
    for member in body.members().unwrap_or_default() {
        match member.name.as_str() {
            "system" => {
                seen.events.push(Event::Restart(Section::System));
                if member.value.0 != "\"\"" {
                    show_blocks(member.value, ElementPath::System, seen);
                }
            }
            "tools" => {
                seen.events.push(Event::Restart(Section::Tools));
                for (index, tool) in numbered(member.value) {
                    show_part(tool, ElementPath::Tool(index), seen);
                }
            }
            "messages" => {
                seen.events.push(Event::Restart(Section::Messages));
                for (index, message) in numbered(member.value) {
                    show_message(message, index, seen);
                }
            }
            _ => {
                let value = Shown::new(member.value, member.value.compact());
                seen.identities.push(Key::content(&value.content));
                seen.events.push(Event::Parameter { name: member.name, value });
            }
        }
    }
}

fn numbered(array: Json<'_>) -> impl Iterator<Item = (u32, Json<'_>)> {
    (0..).zip(array.items().unwrap_or_default())
}

fn show_message(message: Json<'_>, index: u32, seen: &mut Seen<Key>) {
    for (repeat, content) in all(message, "content").into_iter().enumerate() {
        if repeat > 0 {
            seen.events.push(Event::Restart(Section::Message(index)));
        }
        show_blocks(content, |block| ElementPath::Block { message: index, block }, seen);
    }
    let value = Shown::new(message, message.compact());
    let role = message.last("role").and_then(Json::string);
    seen.identities.extend([Key::content(&value.content), message_key(message)]);
    seen.events.push(Event::Message { index, role, value });
}

/// A string is one text block; anything but a string or an array is none.
fn show_blocks(value: Json<'_>, place: impl Fn(u32) -> ElementPath, seen: &mut Seen<Key>) {
    if let Some(text) = value.string() {
        show(value, place(0), [Some("text".to_owned()), None, Some(text)], seen);
    }
    for (index, block) in numbered(value) {
        show_part(block, place(index), seen);
    }
}

fn show_part(part: Json<'_>, place: ElementPath, seen: &mut Seen<Key>) {
    let strings = ["type", "name", "text"].map(|name| part.last(name).and_then(Json::string));
    show(part, place, strings, seen);
}

fn show(value: Json<'_>, place: ElementPath, strings: [Option<String>; 3], seen: &mut Seen<Key>) {
    let ([kind, name, text], value) = (strings, Shown::new(value, value.content()));
    seen.identities.push(Key::content(&value.content));
    seen.events.push(Event::Element { place, kind, name, text, value });
}

/// The texts of an element at `level` 0, or of what its content holds: one
/// value at level 1, or blocks at level 2 in an array, as deep as the format goes.
pub(crate) fn texts(value: Json<'_>, level: u32) -> Vec<String> {
    if let Some(text) = value.string() {
        return vec![text];
    }
    if let (1, Some(items)) = (level, value.items()) {
        return items.into_iter().flat_map(|item| texts(item, 2)).collect();
    }
    let texts_of = |member: Member<'_>| match member.name.as_str() {
        "text" | "thinking" | "description" => member.value.string().into_iter().collect(),
        "content" if level < 2 => texts(member.value, level + 1),
        _ => Vec::new(),
    };
    value.last_members().into_iter().flat_map(texts_of).collect()
}
