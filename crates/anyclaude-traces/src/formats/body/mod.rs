//! Walks the body of a request: counts and measures its content, and calls the visitor for it.
//!
//! Bodies come in three shapes, which have a file each: `anthropic`, `openai_chat` and
//! `openai_responses`. All of them reach the visitor in the same words: system blocks,
//! tools, and messages made of blocks, whose kinds are Anthropic's.

use std::borrow::Cow;
use std::sync::Arc;

use self::tally::Tally;
use crate::formats::json::cursor::{Cursor, Place, Shape, ValueSpan};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::RawStr;
use crate::formats::record::Sender;
use crate::model::request::Api;
use crate::model::{Identity, Sizes, ToolSize};

mod anthropic;
mod element;
pub(crate) mod item;
mod openai_chat;
mod openai_responses;
mod outline;
mod raw;
mod tally;
mod tools;
mod visit;

pub use raw::Raw;
pub use visit::{Element, ElementPath, Message, Section, Visit};

/// The facts about the body. Reset where the file has a second `body` member.
#[derive(Debug)]
pub(crate) struct Body {
    /// The API whose shape it has; `None` where its members do not tell.
    pub(crate) api: Option<Api>,
    pub(crate) model: Option<Arc<str>>,
    pub(crate) sender: Sender,
    pub(crate) sizes: Sizes,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) stream: bool,
    pub(crate) tools: Vec<ToolSize>,
    pub(crate) history: Vec<Identity>,
    pub(crate) span: Option<ValueSpan>,
    present: Present,
}

/// Which members have a value, of those by which a request to a model is recognised.
#[derive(Debug, Default)]
struct Present {
    model: bool,
    messages: bool,
    system: bool,
    tools: bool,
    input: bool,
    instructions: bool,
}

/// In which shapes a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shapes {
    /// Anthropic's alone: anyclaude records nothing else.
    Anthropic,
    /// Whichever its members tell.
    Any,
}

impl Default for Body {
    fn default() -> Self {
        Self {
            api: None,
            model: None,
            sender: Sender::default(),
            sizes: Sizes::EMPTY,
            max_tokens: None,
            stream: false,
            tools: Vec::new(),
            history: Vec::new(),
            span: None,
            present: Present::default(),
        }
    }
}

impl Body {
    /// A body that was not recorded.
    pub(crate) fn unknown() -> Self {
        Self { sizes: Sizes::UNKNOWN, ..Self::default() }
    }

    /// Whether any member says that this is a request to a model.
    pub(crate) fn is_prompt(&self) -> bool {
        let Present { model, messages, system, tools, input, instructions } = self.present;
        model || messages || system || tools || input || instructions
    }

    /// Whether it holds a conversation, or the beginning of one, and not only a model's name.
    pub(crate) fn has_messages(&self) -> bool {
        self.present.messages || self.present.input
    }

    /// Walks the object that the cursor stands before, in whichever shape it is.
    pub(crate) fn read<V: Visit>(cursor: &mut Cursor<'_, '_>, visit: &mut V) -> ParseResult<Self> {
        Walker::new(Shapes::Any).walk(cursor, visit)
    }

    /// Passes the object that the cursor stands before, and reads what it holds beside its
    /// prompt: the model, who sent it.
    pub(crate) fn read_parameters(cursor: &mut Cursor<'_, '_>) -> ParseResult<Self> {
        let (mut walker, mut walk) = (Walker::new(Shapes::Any), Walk::default());
        while let Some(key) = cursor.next_member(&mut walk)? {
            match key.as_ref() {
                "system" | "tools" | "messages" | "instructions" | "input" => cursor.skip()?,
                key => {
                    let null = cursor.at_null();
                    walker.parameter(cursor, key, null)?;
                }
            }
        }
        let Walker { mut body, cache_key, .. } = walker;
        body.sender.session_id = body.sender.session_id.or(cache_key);
        Ok(body)
    }

    /// Walks the object that the cursor stands before, in Anthropic's shape.
    pub(crate) fn read_anthropic<V: Visit>(cursor: &mut Cursor<'_, '_>, visit: &mut V) -> ParseResult<Self> {
        Walker::new(Shapes::Anthropic).walk(cursor, visit)
    }
}

/// A body that is being walked.
struct Walker<'a> {
    shapes: Shapes,
    body: Body,
    tally: Tally,
    /// What its parameters and tools tell of its shape.
    hint: Option<Api>,
    /// Whether its messages were walked as Chat's.
    is_chat: bool,
    messages: Option<Place<'a>>,
    /// `prompt_cache_key`, which clients make of their session.
    cache_key: Option<Arc<str>>,
    /// Members that are prompt in Responses' shape and parameters in others, which the end of
    /// the body decides.
    instructions: Option<(Place<'a>, ValueSpan)>,
    input: Option<(Place<'a>, ValueSpan)>,
    /// Arrays of tools among the items of the input.
    additional_tools: Vec<Place<'a>>,
}

impl<'a> Walker<'a> {
    fn new(shapes: Shapes) -> Self {
        Self {
            shapes,
            body: Body::default(),
            tally: Tally::default(),
            hint: (shapes == Shapes::Anthropic).then_some(Api::Anthropic),
            is_chat: false,
            messages: None,
            cache_key: None,
            instructions: None,
            input: None,
            additional_tools: Vec::new(),
        }
    }

    fn walk<V: Visit>(mut self, cursor: &mut Cursor<'a, '_>, visit: &mut V) -> ParseResult<Body> {
        let mark = cursor.mark();
        let mut walk = Walk::default();
        while let Some(key) = cursor.next_member(&mut walk)? {
            self.member(cursor, &key, visit)?;
        }
        let span = cursor.since(mark);
        if self.shapes == Shapes::Any {
            self.settle(cursor, visit)?;
        }
        let Self { mut body, tally, hint, cache_key, .. } = self;
        body.sender.session_id = body.sender.session_id.or(cache_key);
        Ok(Body {
            api: body.api.or(hint),
            sizes: tally.sizes(&body, span.compact_bytes),
            span: Some(span),
            ..body
        })
    }

    fn member<V: Visit>(&mut self, cursor: &mut Cursor<'a, '_>, key: &str, visit: &mut V) -> ParseResult<()> {
        let is_any = self.shapes == Shapes::Any;
        let null = cursor.at_null();
        let (place, mark) = (cursor.place(), cursor.mark());
        match key {
            // Beside a system prompt among the messages, it is as if it were missing.
            "system" if null && self.is_chat => cursor.skip()?,
            "system" => {
                self.restart_system(visit);
                self.system(cursor, visit)?;
                self.body.present.system = !null;
            }
            "tools" => {
                self.tools(cursor, visit)?;
                self.body.present.tools = !null;
                self.tally.tools_bytes = cursor.since(mark).compact_bytes;
            }
            "messages" => {
                self.body.present.messages = !null;
                self.messages = Some(place);
                self.conversation(cursor, visit)?;
            }
            "instructions" if is_any => {
                self.instructions = Some((place, cursor.skip_value()?));
                self.body.present.instructions = !null;
            }
            "input" if is_any => {
                self.input = Some((place, cursor.skip_value()?));
                self.body.present.input = !null;
            }
            _ => {
                self.parameter(cursor, key, null)?;
                visit.parameter(key, &Raw::new(cursor, &cursor.since(mark)));
            }
        }
        Ok(())
    }

    fn parameter(&mut self, cursor: &mut Cursor<'_, '_>, key: &str, null: bool) -> ParseResult<()> {
        let is_any = self.shapes == Shapes::Any;
        let body = &mut self.body;
        match key {
            "model" => {
                body.model = cursor.string_or_skip()?.map(|model| cursor.name(&model.decode()));
                body.present.model = !null;
            }
            "max_tokens" => body.max_tokens = cursor.u64_or_skip()?,
            "max_completion_tokens" | "max_output_tokens" if is_any => {
                body.max_tokens = cursor.u64_or_skip()?;
            }
            "stream" => {
                let span = cursor.skip_value()?;
                body.stream = cursor.text().get(span.range) == Some("true");
            }
            "metadata" => body.sender = read_sender(cursor)?,
            "prompt_cache_key" if is_any => {
                let key = cursor.string_or_skip()?.map(RawStr::decode);
                self.cache_key = key.filter(|key| !key.is_empty()).map(Arc::from);
            }
            _ => cursor.skip()?,
        }
        if is_any {
            self.hint = self.hint.or(api_of_parameter(key));
        }
        Ok(())
    }

    /// Walks `messages` in the shape that is known so far. Of Chat's, the first message is
    /// the system's, or some call tools in Chat's way.
    fn conversation<V: Visit>(&mut self, cursor: &mut Cursor<'a, '_>, visit: &mut V) -> ParseResult<()> {
        let place = cursor.place();
        if std::mem::take(&mut self.is_chat) {
            self.restart_system(visit);
        }
        self.is_chat = self.shapes == Shapes::Any
            && !self.body.present.system
            && cursor.at(place, openai_chat::begins_with_system)?;
        if self.is_chat {
            return self.chat(cursor, visit);
        }
        let is_chat = self.anthropic_messages(cursor, visit)?;
        if is_chat && self.shapes == Shapes::Any && !self.body.present.system {
            self.is_chat = true;
            cursor.at(place, |cursor| self.chat(cursor, visit))?;
        }
        Ok(())
    }

    /// Does what only the end of the body decides.
    fn settle<V: Visit>(&mut self, cursor: &mut Cursor<'a, '_>, visit: &mut V) -> ParseResult<()> {
        let present = &self.body.present;
        let (has_system, has_messages) = (present.system, present.messages);
        let is_responses = !has_messages && (present.input || present.instructions);
        if is_responses {
            self.responses(cursor, visit)?;
        } else {
            for (name, slot) in [("instructions", &self.instructions), ("input", &self.input)] {
                if let Some((_, span)) = slot {
                    visit.parameter(name, &Raw::new(cursor, span));
                }
            }
        }
        if self.is_chat && has_system {
            self.is_chat = false;
            if let Some(place) = self.messages {
                cursor.at(place, |cursor| self.anthropic_messages(cursor, visit))?;
            }
        }
        self.body.api = match () {
            () if is_responses => Some(Api::OpenaiResponses),
            () if has_system => Some(Api::Anthropic),
            () if self.is_chat => Some(Api::OpenaiChat),
            () => None,
        };
        Ok(())
    }
}

/// The API that alone has this parameter.
fn api_of_parameter(key: &str) -> Option<Api> {
    match key {
        "anthropic_version" | "anthropic_beta" | "betas" | "thinking" | "stop_sequences"
        | "context_management" | "output_config" => Some(Api::Anthropic),
        "max_completion_tokens"
        | "stream_options"
        | "response_format"
        | "frequency_penalty"
        | "presence_penalty"
        | "logit_bias"
        | "logprobs"
        | "reasoning_effort" => Some(Api::OpenaiChat),
        "previous_response_id" | "max_output_tokens" => Some(Api::OpenaiResponses),
        _ => None,
    }
}

/// An index in 32 bits, which only a file with gigabytes of commas could exceed.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Reads `metadata` for the session that `user_id` names, in any of its three
/// shapes: JSON with a `session_id`, `user_…_session_<id>`, or a bare hash.
fn read_sender(cursor: &mut Cursor<'_, '_>) -> ParseResult<Sender> {
    let mut user_id = None;
    if cursor.shape()? == Shape::Object {
        let mut walk = Walk::default();
        while let Some(key) = cursor.next_member(&mut walk)? {
            if key == "user_id" {
                user_id = cursor.string_or_skip()?;
            } else {
                cursor.skip()?;
            }
        }
    } else {
        cursor.skip()?;
    }
    let Some(user_id) = user_id.map(RawStr::decode) else { return Ok(Sender::default()) };
    let session_id = session_id(&user_id).filter(|id| !id.is_empty()).map(Arc::from);
    Ok(Sender { session_id, user: Some(Identity::of_parts([user_id.as_bytes()])), ..Sender::default() })
}

fn session_id(user_id: &str) -> Option<Cow<'_, str>> {
    // Most are not JSON, which their first character shows.
    if user_id.trim_start().starts_with('{')
        && let Ok(id) = json_session_id(user_id)
    {
        return id.map(Cow::Owned);
    }
    user_id.rsplit_once("_session_").map(|(_, id)| Cow::Borrowed(id))
}

/// The `session_id` of a JSON object in a string; a fault where the string holds none.
fn json_session_id(user_id: &str) -> ParseResult<Option<String>> {
    let mut scratch = Scratch::default();
    let mut cursor = Cursor::new(user_id, &mut scratch);
    let (mut walk, mut id) = (Walk::default(), None);
    while let Some(key) = cursor.next_member(&mut walk)? {
        if key == "session_id" {
            id = cursor.string_or_skip()?.map(|id| id.decode().into_owned());
        } else {
            cursor.skip()?;
        }
    }
    cursor.end()?;
    Ok(id)
}

#[cfg(test)]
mod tests;
