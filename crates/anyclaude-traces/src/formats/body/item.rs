//! An item of `system`, `tools` or a message's `content`.

use crate::formats::json::compact::{Compact, CompactMode};
use crate::formats::json::cursor::{Cursor, Place, Shape, ValueSpan};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::known::{KnownItem, KnownString, KnownStrings, Part};
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::RawStr;
use crate::model::Identity;

/// The compact JSON of a text block before and after its text literal.
pub(super) const TEXT_BLOCK: (&str, &str) = ("{\"type\":\"text\",\"text\":", "}");

/// An item, with the members that the parser reads.
pub(crate) struct Item<'a> {
    pub(crate) span: ValueSpan,
    pub(crate) kind: Option<RawStr<'a>>,
    pub(crate) name: Option<RawStr<'a>>,
    pub(crate) text: Option<RawStr<'a>>,
    /// `namespace`: where Codex keeps the tool.
    pub(crate) namespace: Option<RawStr<'a>>,
    /// Where the array of its `tools` begins, of a namespace of tools.
    pub(crate) tools: Option<Place<'a>>,
    /// The `name` in its `function`, where Chat's tools and calls have it.
    pub(crate) function: Option<RawStr<'a>>,
    /// Whether it has a member `input_schema`, as Anthropic's tools do.
    pub(crate) has_input_schema: bool,
    /// The bytes of its `cache_control` members, each with a comma.
    pub(crate) left_out: u64,
    /// The identity of its content, where that was wanted.
    pub(crate) identity: Option<Identity>,
}

impl<'a> Item<'a> {
    /// Passes an item and builds its content: its compact JSON without `cache_control` and the
    /// comma between that and the other members.
    pub(crate) fn read(cursor: &mut Cursor<'a, '_>, wanted: CompactMode) -> ParseResult<Self> {
        let shape = cursor.shape()?;
        if shape == Shape::Object
            && let Some(item) = cursor.pass_known(wanted)
        {
            return Ok(Self::of_known(&item, cursor.text()));
        }
        let mark = cursor.mark();
        cursor.compact().begin(wanted);
        let span = cursor.since(mark);
        let mut part = Self {
            span,
            kind: None,
            name: None,
            text: None,
            namespace: None,
            tools: None,
            function: None,
            has_input_schema: false,
            left_out: 0,
            identity: None,
        };
        match shape {
            Shape::Object => part.members(cursor)?,
            Shape::String if wanted == CompactMode::Identity => {
                let string = cursor.string()?;
                cursor.compact().push_text_block(string);
            }
            _ => cursor.compacted(Cursor::skip)?,
        }
        part.span = cursor.since(mark);
        part.identity = cursor.compact().identity();
        if shape == Shape::Object && cursor.compares() {
            part.keep(cursor, wanted);
        }
        Ok(part)
    }

    /// An item of which this is known, in this text.
    fn of_known(item: &KnownItem, text: &'a str) -> Self {
        let range = item.part.range();
        let bytes = text.get(range.clone()).unwrap_or_default();
        let string = |string: Option<KnownString>| Some(string?.within(bytes));
        let KnownStrings { kind, name, text, namespace, function } = item.strings;
        Self {
            span: ValueSpan { range, compact_bytes: item.compact_bytes.into() },
            kind: string(kind),
            name: string(name),
            text: string(text),
            namespace: string(namespace),
            tools: None,
            function: string(function),
            has_input_schema: item.has_input_schema,
            left_out: item.left_out.into(),
            identity: item.identity,
        }
    }

    fn keep(&self, cursor: &mut Cursor<'a, '_>, wanted: CompactMode) {
        // A namespace's tools are walked by themselves.
        if self.tools.is_some() {
            return;
        }
        let compact_bytes = u32::try_from(self.span.compact_bytes);
        let (Some(part), Ok(compact_bytes), Ok(left_out)) =
            (Part::of(&self.span.range), compact_bytes, u32::try_from(self.left_out))
        else {
            return;
        };
        let bytes = cursor.text().get(self.span.range.clone()).unwrap_or_default();
        let string = |string: Option<RawStr<'_>>| KnownString::of(string?, bytes);
        let strings = KnownStrings {
            kind: string(self.kind),
            name: string(self.name),
            text: string(self.text),
            namespace: string(self.namespace),
            function: string(self.function),
        };
        cursor.keep_known(KnownItem {
            part,
            compact_bytes,
            left_out,
            wanted,
            identity: self.identity,
            strings,
            has_input_schema: self.has_input_schema,
            head: Part::default(),
        });
    }

    fn members(&mut self, cursor: &mut Cursor<'a, '_>) -> ParseResult<()> {
        let (mut walk, mut before) = (Walk::default(), "{");
        while let Some(key) = cursor.next_member(&mut walk)? {
            if key == "cache_control" {
                let value = cursor.skip_value()?;
                // With the colon, and a comma that ties it to another member.
                self.left_out += walk.key.len() as u64 + 1 + value.compact_bytes + 1;
                continue;
            }
            for piece in [before, cursor.text().get(walk.key.clone()).unwrap_or_default(), ":"] {
                cursor.compact().push(piece);
            }
            before = ",";
            cursor.compacted(|cursor| {
                match key.as_ref() {
                    "type" => self.kind = cursor.string_or_skip()?,
                    "name" => self.name = cursor.string_or_skip()?,
                    "text" => self.text = cursor.string_or_skip()?,
                    "namespace" => self.namespace = cursor.string_or_skip()?,
                    "function" => self.function = read_name(cursor)?,
                    "tools" => {
                        self.tools = (cursor.shape()? == Shape::Array).then(|| cursor.place());
                        cursor.skip()?;
                    }
                    _ => {
                        self.has_input_schema |= key == "input_schema";
                        cursor.skip()?;
                    }
                }
                Ok(())
            })?;
        }
        let empty = before == "{";
        // Where all members are left out, the first of them had no comma.
        self.left_out = self.left_out.saturating_sub(u64::from(empty));
        cursor.compact().push(if empty { "{}" } else { "}" });
        Ok(())
    }
}

/// The `name` of an object; passes a value of any shape.
fn read_name<'a>(cursor: &mut Cursor<'a, '_>) -> ParseResult<Option<RawStr<'a>>> {
    let mut name = None;
    if cursor.shape()? != Shape::Object {
        cursor.skip()?;
        return Ok(None);
    }
    let mut walk = Walk::default();
    while let Some(key) = cursor.next_member(&mut walk)? {
        if key == "name" {
            name = cursor.string_or_skip()?;
        } else {
            cursor.skip()?;
        }
    }
    Ok(name)
}

impl Compact {
    /// Adds the text block that a string stands for, so that string content
    /// equals the block that a proxy or client makes of it.
    pub(crate) fn push_text_block(&mut self, string: RawStr<'_>) {
        for piece in [TEXT_BLOCK.0, "\"", string.inner, "\"", TEXT_BLOCK.1] {
            self.push(piece);
        }
    }
}

/// The compact JSON of a value that passed the grammar once, or of as much of it
/// as there is; as `content`, without its `cache_control` members.
pub(crate) fn compact_text(text: &str, content: bool) -> String {
    let mut scratch = Scratch::default();
    let mut cursor = Cursor::new(text, &mut scratch);
    // The text passed the grammar once, so the only possible fault is an early end.
    let _ = if content {
        Item::read(&mut cursor, CompactMode::Text).map(drop)
    } else {
        cursor.compact().begin(CompactMode::Text);
        cursor.compacted(Cursor::skip)
    };
    scratch.compact.into_text()
}

/// The identity of a value that passed the grammar once: of its content, or of
/// everything in it.
pub(crate) fn identity(text: &str, content: bool) -> Option<Identity> {
    let mut scratch = Scratch::default();
    let mut cursor = Cursor::new(text, &mut scratch);
    if content {
        return Item::read(&mut cursor, CompactMode::Identity).ok()?.identity;
    }
    cursor.compact().begin(CompactMode::Identity);
    cursor.compacted(Cursor::skip).ok()?;
    cursor.compact().identity()
}
