//! What the parser says of a trace, in types that can be compared, and the
//! comparison itself.

use std::cell::RefCell;
use std::collections::HashMap;

use anyclaude_traces::error::{ParseError, SkipReason};
use anyclaude_traces::formats::anyclaude::trace::Parser;
use anyclaude_traces::formats::body::{Element, ElementPath, Message, Raw, Section, Visit};
use anyclaude_traces::formats::record::TraceRecord;
use anyclaude_traces::model::Identity;
use anyclaude_traces::model::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::definition;
use crate::json::Json;

/// A trace's record and events, with what stands for its identities apart.
#[derive(Debug, Clone)]
pub(crate) struct Seen<I> {
    pub(crate) record: Record,
    pub(crate) events: Vec<Event>,
    /// User, body and messages of the record, then those of the events.
    pub(crate) identities: Vec<I>,
}

/// A [`TraceRecord`] without its identities.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) mode: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) requested_model: Option<String>,
    pub(crate) session_id: Option<String>,
    pub(crate) sizes: Value,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) stream: bool,
    pub(crate) tools: Vec<(Option<String>, u64)>,
    pub(crate) response: Value,
}

/// A call of a [`Visit`] method.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    Restart(Section),
    Element {
        place: ElementPath,
        kind: Option<String>,
        name: Option<String>,
        text: Option<String>,
        value: Shown,
    },
    Message {
        index: u32,
        role: Option<String>,
        value: Shown,
    },
    Parameter {
        name: String,
        value: Shown,
    },
}

/// A value that a visitor is shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    pub(crate) written: String,
    pub(crate) compact: String,
    pub(crate) compact_bytes: u64,
    pub(crate) content: String,
    pub(crate) texts: Vec<String>,
}

/// What an identity stands for. A string is the same content as a text block.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Content(String),
    Message { role: String, blocks: Vec<Key> },
    User(String),
}

impl Key {
    pub(crate) fn content(content: &str) -> Self {
        match content.starts_with('"') {
            true => Self::Content(format!(r#"{{"type":"text","text":{content}}}"#)),
            false => Self::Content(content.to_owned()),
        }
    }
}

impl Shown {
    pub(crate) fn new(value: Json<'_>, content: String) -> Self {
        Self {
            written: value.0.to_owned(),
            compact: value.compact(),
            compact_bytes: value.compact_bytes(),
            content,
            texts: definition::texts(value, 0),
        }
    }

    fn of(raw: &Raw<'_>) -> Self {
        Self {
            written: raw.as_str().to_owned(),
            compact: raw.compact(),
            compact_bytes: raw.compact_bytes(),
            content: raw.content(),
            texts: raw.texts().into_iter().map(Into::into).collect(),
        }
    }
}

/// Writes down everything that the parser shows.
#[derive(Default)]
struct Recorder {
    events: Vec<Event>,
    identities: Vec<Identity>,
}

impl Visit for Recorder {
    fn element(&mut self, element: &Element<'_>) {
        self.identities.push(element.raw.identity());
        self.events.push(Event::Element {
            place: element.place,
            kind: element.kind.as_deref().map(str::to_owned),
            name: element.name.as_deref().map(str::to_owned),
            text: element.text().map(Into::into),
            value: Shown::of(&element.raw),
        });
    }

    fn message(&mut self, message: &Message<'_>) {
        self.identities.extend([message.raw.identity(), message.identity]);
        let role = message.role.as_deref().map(str::to_owned);
        self.events.push(Event::Message { index: message.index, role, value: Shown::of(&message.raw) });
    }

    fn parameter(&mut self, name: &str, value: &Raw<'_>) {
        self.identities.push(value.identity());
        self.events.push(Event::Parameter { name: name.to_owned(), value: Shown::of(value) });
    }

    fn restart(&mut self, section: Section) {
        self.events.push(Event::Restart(section));
    }
}

/// A [`Parser`] keeps its memory, so that the tests use one for all traces.
fn parse(bytes: &[u8]) -> Result<Seen<Identity>, ParseError> {
    thread_local!(static PARSER: RefCell<Parser> = RefCell::default());
    let mut recorder = Recorder::default();
    let record = PARSER.with_borrow_mut(|parser| parser.parse(bytes, &mut recorder))?;
    let mut identities: Vec<Identity> = record.sender.user.into_iter().chain(record.body).collect();
    identities.extend(&record.history);
    identities.extend(recorder.identities);
    Ok(Seen { record: compared(&record), events: recorder.events, identities })
}

fn compared(record: &TraceRecord) -> Record {
    let tools = record.tools.iter().map(|tool| (tool.name.as_deref().map(str::to_owned), tool.bytes));
    Record {
        timestamp: record.timestamp,
        mode: record.mode.as_deref().map(str::to_owned),
        endpoint: record.endpoint.as_deref().map(str::to_owned),
        requested_model: record.requested_model.as_deref().map(str::to_owned),
        session_id: record.sender.session_id.as_deref().map(str::to_owned),
        sizes: json!(record.sizes),
        max_tokens: record.max_tokens,
        stream: record.stream,
        tools: tools.collect(),
        response: json!(record.response),
    }
}

/// What the parser makes of some bytes.
pub(crate) type Verdict = Result<Seen<Identity>, SkipReason>;

/// Parses, fails unless the definition says the same of the bytes in every
/// respect, and returns what both say.
pub(crate) fn agreed(bytes: &[u8]) -> Result<Verdict, TestCaseError> {
    match (parse(bytes), definition::read(bytes)) {
        (Ok(parsed), Ok(defined)) => {
            prop_assert_eq!(&parsed.record, &defined.record, "the record");
            prop_assert_eq!(parsed.events.len(), defined.events.len(), "how many events there are");
            for (parsed, defined) in parsed.events.iter().zip(&defined.events) {
                prop_assert_eq!(parsed, defined, "what a visitor sees");
            }
            check_identities(&parsed.identities, &defined.identities)?;
            Ok(Ok(parsed))
        }
        (Err(error), Err(reason)) => {
            prop_assert_eq!(error.reason(), reason, "{}", error);
            check_place(bytes, &error)?;
            Ok(Err(reason))
        }
        (Ok(_), Err(reason)) => Err(TestCaseError::fail(format!("accepted, but it is {reason:?}"))),
        (Err(error), Ok(_)) => Err(TestCaseError::fail(format!("refused: {error}"))),
    }
}

/// Equal content has equal identities and different content different ones,
/// over all traces that this thread parsed.
fn check_identities(identities: &[Identity], keys: &[Key]) -> Result<(), TestCaseError> {
    type Known = (HashMap<Identity, Key>, HashMap<Key, Identity>);
    thread_local!(static KNOWN: RefCell<Known> = RefCell::default());
    prop_assert_eq!(identities.len(), keys.len(), "how many identities there are");
    KNOWN.with_borrow_mut(|(key_of, identity_of)| {
        for (identity, key) in identities.iter().zip(keys) {
            let known = key_of.entry(*identity).or_insert_with(|| key.clone());
            prop_assert_eq!(&*known, key, "one identity for two contents");
            let known = identity_of.entry(key.clone()).or_insert(*identity);
            prop_assert_eq!(&*known, identity, "two identities for {:?}", key);
        }
        Ok(())
    })
}

/// An error shows at the first byte with which the text cannot be the beginning
/// of JSON any more, at its end where it was cut.
fn check_place(bytes: &[u8], error: &ParseError) -> Result<(), TestCaseError> {
    let at = usize::try_from(error.byte()).unwrap();
    let before = &bytes[..at];
    let lines = before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
    prop_assert_eq!(error.line(), lines, "the line of byte {}", at);
    match error.reason() {
        SkipReason::Truncated | SkipReason::InvalidUtf8 => prop_assert_eq!(at, valid_text(bytes).len()),
        SkipReason::InvalidJson => {
            let next = at + valid_text(bytes)[at..].chars().next().unwrap().len_utf8();
            let wrong = |bytes| definition::read(bytes).err() == Some(SkipReason::InvalidJson);
            prop_assert!(!wrong(before), "it is no JSON before byte {} already", at);
            prop_assert!(wrong(&bytes[..next]), "it can still be JSON behind byte {}", at);
        }
        _ => {}
    }
    Ok(())
}

fn valid_text(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}
