//! Walks `request.body`: counts and measures its content, and calls the visitor for it.

use std::borrow::Cow;
use std::sync::Arc;

use self::item::Item;
use crate::formats::json::compact::CompactMode;
use crate::formats::json::cursor::{Cursor, Shape, Span};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::{RawStr, TextSize};
use crate::formats::record::Sender;
use crate::model::{Identity, Sizes, ToolSize};

pub(crate) mod item;
mod raw;
mod visit;

pub use raw::Raw;
pub use visit::{Element, ElementPath, Message, Section, Visit};

/// The facts about the body. Reset where the file has a second `body` member.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) model: Option<Arc<str>>,
    pub(crate) sender: Sender,
    pub(crate) sizes: Sizes,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) stream: bool,
    pub(crate) tools: Vec<ToolSize>,
    pub(crate) history: Vec<Identity>,
    pub(crate) span: Option<Span>,
    present: Present,
}

/// Which members have a value, of those by which a request to a model is recognised.
#[derive(Debug, Default)]
struct Present {
    model: bool,
    messages: bool,
    system: bool,
    tools: bool,
}

impl Body {
    /// Whether any member says that this is a request to a model.
    pub(crate) fn is_prompt(&self) -> bool {
        self.present.model || self.present.messages || self.present.system || self.present.tools
    }

    /// Walks the object that the cursor stands before.
    pub(crate) fn read<V: Visit>(cursor: &mut Cursor<'_, '_>, visit: &mut V) -> ParseResult<Self> {
        let mut body = Self::default();
        let mark = cursor.mark();
        let mut walk = Walk::default();
        while let Some(key) = cursor.next_member(&mut walk)? {
            body.member(cursor, &key, visit)?;
        }
        let span = cursor.since(mark);
        let sizes = &mut body.sizes;
        sizes.body_bytes = span.compact_bytes;
        sizes.other_bytes = sizes.body_bytes - sizes.system_bytes - sizes.tools_bytes - sizes.messages_bytes;
        body.span = Some(span);
        Ok(body)
    }

    fn member<V: Visit>(&mut self, cursor: &mut Cursor<'_, '_>, key: &str, visit: &mut V) -> ParseResult<()> {
        let null = cursor.at_null();
        let mark = cursor.mark();
        match key {
            "system" => {
                self.system(cursor, visit)?;
                self.present.system = !null;
                self.sizes.system_bytes = cursor.since(mark).compact_bytes;
            }
            "tools" => {
                self.tools(cursor, visit)?;
                self.present.tools = !null;
                self.sizes.tools_bytes = cursor.since(mark).compact_bytes;
            }
            "messages" => {
                self.messages(cursor, visit)?;
                self.present.messages = !null;
                self.sizes.messages_bytes = cursor.since(mark).compact_bytes;
            }
            _ => {
                match key {
                    "model" => {
                        self.model = cursor.string_or_skip()?.map(|model| cursor.name(&model.decode()));
                        self.present.model = !null;
                    }
                    "max_tokens" => self.max_tokens = cursor.u64_or_skip()?,
                    "stream" => {
                        let span = cursor.skip_value()?;
                        self.stream = cursor.text().get(span.range) == Some("true");
                    }
                    "metadata" => self.sender = read_sender(cursor)?,
                    _ => cursor.skip()?,
                }
                visit.parameter(key, &Raw::new(cursor, &cursor.since(mark)));
            }
        }
        Ok(())
    }

    fn system<V: Visit>(&mut self, cursor: &mut Cursor<'_, '_>, visit: &mut V) -> ParseResult<()> {
        visit.restart(Section::System);
        let (mut size, mut blocks) = (TextSize::default(), 0_u32);
        match cursor.shape()? {
            Shape::String => {
                let mark = cursor.mark();
                let text = cursor.string()?;
                size = text.size();
                if size.chars > 0 {
                    blocks = 1;
                    show_string(cursor, &cursor.since(mark), text, ElementPath::System(0), None, visit);
                }
            }
            Shape::Array => {
                let mut walk = Walk::default();
                while cursor.next_item(&mut walk)? {
                    let block = Item::read(cursor, wanted_by(visit))?;
                    size += block.text.map(RawStr::size).unwrap_or_default();
                    visit.element(&block.element(cursor, ElementPath::System(blocks)));
                    blocks += 1;
                }
            }
            _ => cursor.skip()?,
        }
        self.sizes.system_chars = size.chars;
        self.sizes.system_text_bytes = size.utf8_bytes;
        self.sizes.system_blocks = u64::from(blocks);
        Ok(())
    }

    fn tools<V: Visit>(&mut self, cursor: &mut Cursor<'_, '_>, visit: &mut V) -> ParseResult<()> {
        visit.restart(Section::Tools);
        self.tools.clear();
        if cursor.shape()? == Shape::Array {
            let mut walk = Walk::default();
            while cursor.next_item(&mut walk)? {
                let tool = Item::read(cursor, wanted_by(visit))?;
                visit.element(&tool.element(cursor, ElementPath::Tool(index(self.tools.len()))));
                let name = tool.name.map(|name| cursor.name(&name.decode()));
                self.tools.push(ToolSize { name, bytes: tool.span.compact_bytes });
            }
        } else {
            cursor.skip()?;
        }
        self.sizes.tool_count = self.tools.len() as u64;
        Ok(())
    }

    fn messages<V: Visit>(&mut self, cursor: &mut Cursor<'_, '_>, visit: &mut V) -> ParseResult<()> {
        visit.restart(Section::Messages);
        self.history.clear();
        if cursor.shape()? == Shape::Array {
            let (mut walk, mut blocks) = (Walk::default(), Vec::new());
            while cursor.next_item(&mut walk)? {
                let identity = read_message(cursor, index(self.history.len()), &mut blocks, visit)?;
                self.history.push(identity);
            }
        } else {
            cursor.skip()?;
        }
        self.sizes.message_count = self.history.len() as u64;
        Ok(())
    }
}

/// What is computed for system blocks and tools while they are passed.
fn wanted_by<V: Visit>(visit: &V) -> CompactMode {
    if visit.wants_identities() { CompactMode::Identity } else { CompactMode::Nothing }
}

/// An index in 32 bits, which only a file with gigabytes of commas could exceed.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Walks a message; `blocks` is a buffer for the identities of its blocks.
fn read_message<V: Visit>(
    cursor: &mut Cursor<'_, '_>,
    index: u32,
    blocks: &mut Vec<[u8; 16]>,
    visit: &mut V,
) -> ParseResult<Identity> {
    let mark = cursor.mark();
    let mut role = None;
    blocks.clear();
    let object = cursor.shape()? == Shape::Object;
    if object {
        let (mut walk, mut seen) = (Walk::default(), false);
        while let Some(key) = cursor.next_member(&mut walk)? {
            match key.as_ref() {
                "role" => role = cursor.string_or_skip()?,
                "content" => {
                    if seen {
                        visit.restart(Section::Message(index));
                    }
                    seen = true;
                    blocks.clear();
                    read_content(cursor, index, blocks, visit)?;
                }
                _ => cursor.skip()?,
            }
        }
    } else {
        cursor.skip()?;
    }
    let raw = Raw::new(cursor, &cursor.since(mark));
    let role = role.map(RawStr::decode);
    let identity = if object {
        Identity::of_parts([role.as_deref().unwrap_or_default().as_bytes(), blocks.as_flattened()])
    } else {
        raw.identity()
    };
    visit.message(&Message { index, role, raw, identity });
    Ok(identity)
}

/// Walks a message's content and adds the identities of its blocks.
fn read_content<V: Visit>(
    cursor: &mut Cursor<'_, '_>,
    message: u32,
    blocks: &mut Vec<[u8; 16]>,
    visit: &mut V,
) -> ParseResult<()> {
    let mark = cursor.mark();
    let place = |block| ElementPath::Block { message, block: index(block) };
    let identity = match cursor.shape()? {
        Shape::String => {
            let text = cursor.string()?;
            cursor.compact().begin(CompactMode::Identity);
            cursor.compact().push_text_block(text);
            let identity = cursor.compact().identity();
            show_string(cursor, &cursor.since(mark), text, place(0), identity, visit);
            identity
        }
        Shape::Array => {
            let mut walk = Walk::default();
            while cursor.next_item(&mut walk)? {
                let part = Item::read(cursor, CompactMode::Identity)?;
                let element = part.element(cursor, place(blocks.len()));
                visit.element(&element);
                blocks.push(element.raw.identity().hash().to_le_bytes());
            }
            return Ok(());
        }
        _ => {
            let span = cursor.skip_value()?;
            Some(Raw::new(cursor, &span).identity())
        }
    };
    blocks.extend(identity.map(|identity| identity.hash().to_le_bytes()));
    Ok(())
}

/// Calls the visitor with a bare string as an element.
fn show_string<'a, V: Visit>(
    cursor: &Cursor<'a, '_>,
    span: &Span,
    text: RawStr<'a>,
    place: ElementPath,
    identity: Option<Identity>,
    visit: &mut V,
) {
    let raw = Raw::of_element(cursor, span, 0, identity);
    let kind = Some(Cow::Borrowed("text"));
    visit.element(&Element { place, kind, name: None, raw, text: Some(text) });
}

impl<'a> Item<'a> {
    fn element(&self, cursor: &Cursor<'a, '_>, place: ElementPath) -> Element<'a> {
        Element {
            place,
            kind: self.kind.map(RawStr::decode),
            name: self.name.map(RawStr::decode),
            raw: Raw::of_element(cursor, &self.span, self.left_out, self.identity).with_head(cursor.head()),
            text: self.text,
        }
    }
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
