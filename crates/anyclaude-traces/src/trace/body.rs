//! Walks `request.body`: counts, measures, and shows everything to the visitor.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::cursor::{Cursor, Fault, Scratch, Shape, Span, Walk};
use super::record::{Sender, Sizes, ToolSize};
use super::text::{RawStr, TextSize};
use super::visit::{Element, Identity, Message, Place, Raw, Section, Visit};

type Checked<T> = Result<T, Fault>;

/// What is known of the body; starts anew where the file repeats it.
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

/// Which of the members that make a trace a trace have a value.
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
    pub(crate) fn read<V: Visit>(cursor: &mut Cursor<'_, '_>, visit: &mut V) -> Checked<Self> {
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

    fn member<V: Visit>(&mut self, cursor: &mut Cursor<'_, '_>, key: &str, visit: &mut V) -> Checked<()> {
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
                        self.model = cursor.string_or_skip()?.map(|model| Arc::from(model.decode()));
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
                visit.parameter(key, &Raw::new(cursor, &cursor.since(mark), &[]));
            }
        }
        Ok(())
    }

    fn system<V: Visit>(&mut self, cursor: &mut Cursor<'_, '_>, visit: &mut V) -> Checked<()> {
        visit.restart(Section::System);
        let (mut size, mut blocks) = (TextSize::default(), 0_u32);
        match cursor.shape()? {
            Shape::String => {
                let mark = cursor.mark();
                let text = cursor.string()?;
                size = text.size();
                if size.chars > 0 {
                    blocks = 1;
                    show_string(cursor, &cursor.since(mark), text, Place::System(0), visit);
                }
            }
            Shape::Array => {
                let mut walk = Walk::default();
                while cursor.next_item(&mut walk)? {
                    let block = Part::read(cursor)?;
                    size += block.text.map(RawStr::size).unwrap_or_default();
                    block.show(cursor, Place::System(blocks), visit);
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

    fn tools<V: Visit>(&mut self, cursor: &mut Cursor<'_, '_>, visit: &mut V) -> Checked<()> {
        visit.restart(Section::Tools);
        self.tools.clear();
        if cursor.shape()? == Shape::Array {
            let mut walk = Walk::default();
            while cursor.next_item(&mut walk)? {
                let tool = Part::read(cursor)?;
                tool.show(cursor, Place::Tool(index(self.tools.len())), visit);
                let name = tool.name.map(|name| Arc::from(name.decode()));
                self.tools.push(ToolSize { name, bytes: tool.span.compact_bytes });
            }
        } else {
            cursor.skip()?;
        }
        self.sizes.tool_count = self.tools.len() as u64;
        Ok(())
    }

    fn messages<V: Visit>(&mut self, cursor: &mut Cursor<'_, '_>, visit: &mut V) -> Checked<()> {
        visit.restart(Section::Messages);
        self.history.clear();
        if cursor.shape()? == Shape::Array {
            let mut walk = Walk::default();
            while cursor.next_item(&mut walk)? {
                let identity = read_message(cursor, index(self.history.len()), visit)?;
                self.history.push(identity);
            }
        } else {
            cursor.skip()?;
        }
        self.sizes.message_count = self.history.len() as u64;
        Ok(())
    }
}

/// Indices are 32 bits wide; a file would need gigabytes of commas to pass them.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn read_message<V: Visit>(cursor: &mut Cursor<'_, '_>, index: u32, visit: &mut V) -> Checked<Identity> {
    let mark = cursor.mark();
    let mut role = None;
    let mut blocks = Vec::new();
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
                    blocks = read_content(cursor, index, visit)?;
                }
                _ => cursor.skip()?,
            }
        }
    } else {
        cursor.skip()?;
    }
    let raw = Raw::new(cursor, &cursor.since(mark), &[]);
    let role = role.map(RawStr::decode);
    let identity = if object {
        let role = role.as_deref().unwrap_or_default().as_bytes();
        let blocks: Vec<[u8; 16]> = blocks.iter().map(|block| block.0.to_le_bytes()).collect();
        Identity::of_parts([role, blocks.as_flattened()])
    } else {
        raw.identity()
    };
    visit.message(&Message { index, role, raw, identity });
    Ok(identity)
}

/// Walks a message's content and returns the identities of its blocks.
fn read_content<V: Visit>(
    cursor: &mut Cursor<'_, '_>,
    message: u32,
    visit: &mut V,
) -> Checked<Vec<Identity>> {
    let mark = cursor.mark();
    let mut blocks = Vec::new();
    match cursor.shape()? {
        Shape::String => {
            let text = cursor.string()?;
            let place = Place::Block { message, block: 0 };
            blocks.push(show_string(cursor, &cursor.since(mark), text, place, visit));
        }
        Shape::Array => {
            let mut walk = Walk::default();
            while cursor.next_item(&mut walk)? {
                let part = Part::read(cursor)?;
                let place = Place::Block { message, block: index(blocks.len()) };
                blocks.push(part.show(cursor, place, visit));
            }
        }
        _ => {
            let span = cursor.skip_value()?;
            blocks.push(Raw::new(cursor, &span, &[]).identity());
        }
    }
    Ok(blocks)
}

fn show_string<V: Visit>(
    cursor: &Cursor<'_, '_>,
    span: &Span,
    text: RawStr<'_>,
    place: Place,
    visit: &mut V,
) -> Identity {
    let raw = Raw::new(cursor, span, &[]);
    let element = Element { place, kind: Some(Cow::Borrowed("text")), name: None, raw, text: Some(text) };
    visit.element(&element);
    element.raw.identity()
}

/// An item of `system`, `tools` or `content`, with the members we look at.
struct Part<'a> {
    span: Span,
    cuts: Vec<Range<usize>>,
    kind: Option<RawStr<'a>>,
    name: Option<RawStr<'a>>,
    text: Option<RawStr<'a>>,
}

impl<'a> Part<'a> {
    fn read(cursor: &mut Cursor<'a, '_>) -> Checked<Self> {
        let mark = cursor.mark();
        let (mut kind, mut name, mut text, mut cuts) = (None, None, None, Cuts::default());
        if cursor.shape()? == Shape::Object {
            let mut walk = Walk::default();
            while let Some(key) = cursor.next_member(&mut walk)? {
                cuts.before_member(&walk);
                match key.as_ref() {
                    "type" => kind = cursor.string_or_skip()?,
                    "name" => name = cursor.string_or_skip()?,
                    "text" => text = cursor.string_or_skip()?,
                    "cache_control" => {
                        let end = cursor.skip_value()?.range.end;
                        cuts.cut(&walk, end);
                        continue;
                    }
                    _ => cursor.skip()?,
                }
                cuts.kept = true;
            }
        } else {
            cursor.skip()?;
        }
        let cuts = cuts.ranges;
        Ok(Self { span: cursor.since(mark), cuts, kind, name, text })
    }

    fn show<V: Visit>(&self, cursor: &Cursor<'_, '_>, place: Place, visit: &mut V) -> Identity {
        let element = Element {
            place,
            kind: self.kind.map(RawStr::decode),
            name: self.name.map(RawStr::decode),
            raw: Raw::new(cursor, &self.span, &self.cuts),
            text: self.text,
        };
        visit.element(&element);
        element.raw.identity()
    }
}

/// The `cache_control` members of an object, each with the comma that ties it to
/// the others: the one before it, or behind it while no member was kept yet.
#[derive(Default)]
struct Cuts {
    ranges: Vec<Range<usize>>,
    kept: bool,
}

impl Cuts {
    fn before_member(&mut self, walk: &Walk) {
        if let (false, Some(cut), Some(comma)) = (self.kept, self.ranges.last_mut(), walk.comma) {
            cut.end = comma + 1;
        }
    }

    fn cut(&mut self, walk: &Walk, end: usize) {
        let start = walk.comma.filter(|_| self.kept).unwrap_or(walk.key_at);
        self.ranges.push(start..end);
    }
}

/// Reads `metadata` for the session that `user_id` names, in any of its three
/// shapes: JSON with a `session_id`, `user_…_session_<id>`, or a bare hash.
fn read_sender(cursor: &mut Cursor<'_, '_>) -> Checked<Sender> {
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
    Ok(Sender { session_id: session_id(&user_id), user: Some(Identity::of_parts([user_id.as_bytes()])) })
}

fn session_id(user_id: &str) -> Option<Arc<str>> {
    let named = json_session_id(user_id).unwrap_or_else(|_| {
        let (_, id) = user_id.rsplit_once("_session_")?;
        Some(id.to_owned())
    });
    named.filter(|id| !id.is_empty()).map(Arc::from)
}

/// The `session_id` of a JSON object in a string; a fault where it is none.
fn json_session_id(user_id: &str) -> Checked<Option<String>> {
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
