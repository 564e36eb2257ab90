//! An item of `system`, `tools` or a message's `content`.

use super::compact::{Compact, Wanted};
use super::cursor::{Checked, Cursor, Shape, Span, Walk};
use super::scratch::Scratch;
use super::text::RawStr;
use super::visit::Identity;

/// An item, with the members that we look at.
pub(crate) struct Part<'a> {
    pub(crate) span: Span,
    pub(crate) kind: Option<RawStr<'a>>,
    pub(crate) name: Option<RawStr<'a>>,
    pub(crate) text: Option<RawStr<'a>>,
    /// What it says, where that was wanted.
    pub(crate) identity: Option<Identity>,
}

impl<'a> Part<'a> {
    /// Passes an item, and puts its content together: its compact JSON without
    /// `cache_control` and the comma that ties that to the others.
    pub(crate) fn read(cursor: &mut Cursor<'a, '_>, wanted: Wanted) -> Checked<Self> {
        let mark = cursor.mark();
        cursor.compact().begin(wanted);
        let mut part = Self { span: cursor.since(mark), kind: None, name: None, text: None, identity: None };
        match cursor.shape()? {
            Shape::Object => part.members(cursor)?,
            Shape::String if wanted == Wanted::Identity => {
                let string = cursor.string()?;
                cursor.compact().push_text_block(string);
            }
            _ => cursor.compacted(Cursor::skip)?,
        }
        part.span = cursor.since(mark);
        part.identity = cursor.compact().identity();
        Ok(part)
    }

    fn members(&mut self, cursor: &mut Cursor<'a, '_>) -> Checked<()> {
        let (mut walk, mut before) = (Walk::default(), "{");
        while let Some(key) = cursor.next_member(&mut walk)? {
            if key == "cache_control" {
                cursor.skip()?;
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
                    _ => cursor.skip()?,
                }
                Ok(())
            })?;
        }
        cursor.compact().push(if before == "{" { "{}" } else { "}" });
        Ok(())
    }
}

impl Compact {
    /// Adds the text block that a string stands for, so that string content
    /// equals the block that a proxy or client makes of it.
    pub(crate) fn push_text_block(&mut self, string: RawStr<'_>) {
        for piece in ["{\"type\":\"text\",\"text\":\"", string.inner, "\"}"] {
            self.push(piece);
        }
    }
}

/// The compact JSON of a value that passed the grammar once; as `content`,
/// without its `cache_control` members.
pub(crate) fn compact_text(text: &str, content: bool) -> String {
    let mut scratch = Scratch::default();
    let mut cursor = Cursor::new(text, &mut scratch);
    // A text that passed once cannot fail.
    let _ = if content {
        Part::read(&mut cursor, Wanted::Text).map(drop)
    } else {
        cursor.compact().begin(Wanted::Text);
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
        return Part::read(&mut cursor, Wanted::Identity).ok()?.identity;
    }
    cursor.compact().begin(Wanted::Identity);
    cursor.compacted(Cursor::skip).ok()?;
    cursor.compact().identity()
}
