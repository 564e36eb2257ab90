//! The content of one request, for the analyses that look inside.

use std::borrow::Cow;
use std::sync::Arc;

use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::formats::body::{Element, ElementPath, Message, Raw, Section, Visit};
use crate::model::Identity;

/// The parts of a request, each with its size and identity; with their text
/// where that was asked for.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Content {
    /// The system blocks.
    pub system: Vec<SystemBlock>,
    /// The tools, in the order of the file.
    pub tools: Vec<Tool>,
    /// The messages.
    pub messages: Vec<MessageContent>,
    /// Every other member of the body, in the order of the file.
    pub parameters: Vec<Parameter>,
    keeps_text: bool,
    /// The blocks of the message that is being read.
    blocks: Vec<Block>,
}

/// A block of the system prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemBlock {
    /// Its size as compact JSON, in bytes.
    pub bytes: u64,
    /// Characters of its text.
    pub chars: u64,
    /// Identity of its content.
    pub identity: Identity,
    /// Its text, where kept.
    pub text: Option<String>,
}

/// A tool's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tool {
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Its size as compact JSON, in bytes.
    pub bytes: u64,
    /// Identity of its content.
    pub identity: Identity,
    /// Its description, where kept.
    pub text: Option<String>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageContent {
    /// Its role.
    pub role: Option<String>,
    /// Its size as compact JSON, in bytes.
    pub bytes: u64,
    /// Identity of its role and content.
    pub identity: Identity,
    /// Its content blocks.
    pub blocks: Vec<Block>,
}

/// A content block of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Block {
    /// Its type; string content is one `text` block.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its size as compact JSON, in bytes.
    pub bytes: u64,
    /// Its text, where kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A member of the body other than system, tools and messages.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value, or the size of it.
    pub value: ParameterValue,
    pub(crate) identity: Identity,
}

/// A parameter's value.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ParameterValue {
    /// Compact JSON of up to 200 bytes.
    Json(Box<RawValue>),
    /// What is longer is only measured. Serialised as `{"bytes": N}`.
    Large {
        /// Compact JSON.
        bytes: u64,
    },
}

/// Values longer than this are only measured.
const MAX_VALUE_BYTES: u64 = 200;

impl ParameterValue {
    fn of(raw: &Raw<'_>) -> Self {
        let bytes = raw.compact_bytes();
        let json = Some(raw).filter(|_| bytes <= MAX_VALUE_BYTES);
        let json = json.and_then(|raw| RawValue::from_string(raw.compact()).ok());
        json.map_or(Self::Large { bytes }, Self::Json)
    }
}

impl Serialize for ParameterValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(json) => json.serialize(serializer),
            Self::Large { bytes } => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("bytes", bytes)?;
                map.end()
            }
        }
    }
}

impl Content {
    /// A visitor that keeps sizes and identities only.
    #[must_use]
    pub fn sizes() -> Self {
        Self::default()
    }

    /// A visitor that also keeps the text of system blocks, tools and messages.
    #[must_use]
    pub fn with_text() -> Self {
        Self { keeps_text: true, ..Self::default() }
    }

    /// The text of all system blocks, each beginning a line; `None` where text was
    /// not kept.
    #[must_use]
    pub fn system_lines(&self) -> Option<String> {
        let texts: Vec<&str> = self.system.iter().filter_map(|block| block.text.as_deref()).collect();
        self.keeps_text.then(|| texts.join("\n"))
    }

    fn text_of(&self, raw: &Raw<'_>) -> Option<String> {
        self.keeps_text.then(|| raw.texts().concat())
    }

    /// Text where there is any, else the JSON itself: a tool call's input, say.
    fn text_or_json(&self, raw: &Raw<'_>) -> Option<String> {
        self.text_of(raw).map(|text| if text.is_empty() { raw.compact() } else { text })
    }
}

/// A visitor that keeps the body of one request as it was recorded: its compact
/// JSON, escapes as they were written, lone surrogates (`\ud83d`) among them.
///
/// ```
/// use anyclaude_traces::analysis::content::BodyJson;
/// use anyclaude_traces::formats::anyclaude::trace::parse;
///
/// let mut body = BodyJson::default();
/// parse(br#"{"request": {"body": {"model": "\u006d", "max_tokens": 1.0}}}"#, &mut body)?;
/// assert_eq!(body.json, r#"{"model":"\u006d","max_tokens":1.0}"#);
/// # Ok::<(), anyclaude_traces::error::ParseError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyJson {
    /// The body.
    pub json: String,
}

impl Visit for BodyJson {
    fn body(&mut self, body: &Raw<'_>) {
        self.json = body.compact();
    }
}

impl Visit for Content {
    fn wants_identities(&self) -> bool {
        true
    }

    fn element(&mut self, element: &Element<'_>) {
        let (bytes, raw) = (element.raw.compact_bytes(), &element.raw);
        match element.place {
            ElementPath::System(_) => self.system.push(SystemBlock {
                bytes,
                chars: element.text().map_or(0, |text| text.chars().count() as u64),
                identity: raw.identity(),
                text: element.text().filter(|_| self.keeps_text).map(Cow::into_owned),
            }),
            ElementPath::Tool(_) => self.tools.push(Tool {
                name: element.name.as_deref().map(Arc::from),
                bytes,
                identity: raw.identity(),
                text: self.text_of(raw),
            }),
            ElementPath::Block { .. } => self.blocks.push(Block {
                kind: element.kind.as_deref().map(str::to_owned),
                bytes,
                text: self.text_or_json(raw),
            }),
        }
    }

    fn message(&mut self, message: &Message<'_>) {
        self.messages.push(MessageContent {
            role: message.role.as_deref().map(str::to_owned),
            bytes: message.raw.compact_bytes(),
            identity: message.identity,
            blocks: std::mem::take(&mut self.blocks),
        });
    }

    fn parameter(&mut self, name: &str, raw: &Raw<'_>) {
        self.parameters.retain(|known| known.name != name);
        let (value, identity) = (ParameterValue::of(raw), raw.identity());
        self.parameters.push(Parameter { name: name.to_owned(), value, identity });
    }

    fn restart(&mut self, section: Section) {
        match section {
            Section::Body => *self = Self { keeps_text: self.keeps_text, ..Self::default() },
            Section::System => self.system.clear(),
            Section::Tools => self.tools.clear(),
            Section::Messages => self.messages.clear(),
            Section::Message(_) => self.blocks.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::anyclaude::trace::parse;

    #[test]
    fn the_body_is_the_last_one_byte_for_byte_without_white_space() {
        let trace = r#"{ "request": { "body": { "model": "old" }, "url": "/v1",
            "body": { "model": "a b",  "x": [1.50, "\ud83d", 1e400], "x": 1 } } }"#;
        let mut body = BodyJson::default();
        let record = parse(trace.as_bytes(), &mut body).unwrap();
        assert_eq!(body.json, r#"{"model":"a b","x":[1.50,"\ud83d",1e400],"x":1}"#);
        assert_eq!(record.sizes.body_bytes, body.json.len() as u64);
    }
}
