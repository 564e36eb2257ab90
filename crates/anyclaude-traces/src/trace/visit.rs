//! What a visitor sees while the parser passes over a trace.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

use xxhash_rust::xxh3::Xxh3;

use super::cursor::{Cursor, Fault, Gap, Scratch, Shape, Span, Walk};
use super::text::RawStr;

/// Looks on while [`parse`](super::parse) passes over a trace's content.
///
/// Content is lent for the length of a call; a visitor keeps what it needs.
/// Every method does nothing unless implemented. `()` looks at nothing, and a
/// pair of visitors looks with both.
pub trait Visit {
    /// A system block, a tool, or a content block of a message, in the order of
    /// the file.
    fn element(&mut self, element: &Element<'_>) {
        let _ = element;
    }

    /// A message, after all its blocks.
    fn message(&mut self, message: &Message<'_>) {
        let _ = message;
    }

    /// A member of the body other than `system`, `tools` and `messages`. When
    /// one comes again under the same name, the later value holds.
    fn parameter(&mut self, name: &str, value: &Raw<'_>) {
        let _ = (name, value);
    }

    /// The whole body, after everything in it; called once, for the last of several.
    fn body(&mut self, body: &Raw<'_>) {
        let _ = body;
    }

    /// The file repeats a member: all that was seen of this section is void,
    /// for the last one wins.
    fn restart(&mut self, section: Section) {
        let _ = section;
    }
}

impl Visit for () {}

impl<V: Visit + ?Sized> Visit for &mut V {
    fn element(&mut self, element: &Element<'_>) {
        (**self).element(element);
    }
    fn message(&mut self, message: &Message<'_>) {
        (**self).message(message);
    }
    fn parameter(&mut self, name: &str, value: &Raw<'_>) {
        (**self).parameter(name, value);
    }
    fn body(&mut self, body: &Raw<'_>) {
        (**self).body(body);
    }
    fn restart(&mut self, section: Section) {
        (**self).restart(section);
    }
}

impl<A: Visit, B: Visit> Visit for (A, B) {
    fn element(&mut self, element: &Element<'_>) {
        self.0.element(element);
        self.1.element(element);
    }
    fn message(&mut self, message: &Message<'_>) {
        self.0.message(message);
        self.1.message(message);
    }
    fn parameter(&mut self, name: &str, value: &Raw<'_>) {
        self.0.parameter(name, value);
        self.1.parameter(name, value);
    }
    fn body(&mut self, body: &Raw<'_>) {
        self.0.body(body);
        self.1.body(body);
    }
    fn restart(&mut self, section: Section) {
        self.0.restart(section);
        self.1.restart(section);
    }
}

/// What [`Visit::restart`] declares void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Everything: parameters, system, tools and messages.
    Body,
    /// The system blocks.
    System,
    /// The tools.
    Tools,
    /// All messages and their blocks.
    Messages,
    /// The blocks of the message with this index.
    Message(u32),
}

/// Where in the prompt an element stands; indices count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A block of the system prompt; a string prompt is block 0.
    System(u32),
    /// A tool definition.
    Tool(u32),
    /// A content block of a message; string content is block 0.
    Block {
        /// The message's index.
        message: u32,
        /// The block's index in that message.
        block: u32,
    },
}

/// A part of the prompt: a system block, a tool, or a content block.
#[derive(Debug)]
#[non_exhaustive]
pub struct Element<'a> {
    /// Where it stands.
    pub place: Place,
    /// Its `type` member; `text` for a bare string, `None` where it has none.
    pub kind: Option<Cow<'a, str>>,
    /// Its `name` member (tools and tool calls).
    pub name: Option<Cow<'a, str>>,
    /// Its bytes.
    pub raw: Raw<'a>,
    pub(crate) text: Option<RawStr<'a>>,
}

impl<'a> Element<'a> {
    /// Its `text` member, decoded, or the bare string that it is.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'a, str>> {
        self.text.map(RawStr::decode)
    }
}

/// A message of the conversation.
#[derive(Debug)]
#[non_exhaustive]
pub struct Message<'a> {
    /// Its index.
    pub index: u32,
    /// Its `role` member, where that is a string.
    pub role: Option<Cow<'a, str>>,
    /// Its bytes.
    pub raw: Raw<'a>,
    /// Its role and the identities of its blocks in one; string content and a
    /// single text block of the same text are the same.
    pub identity: Identity,
}

/// A 128-bit hash that stands for a piece of content: equal content has equal
/// identities, and different content practically never has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub(crate) u128);

impl Identity {
    /// Which of so many shards it is in.
    #[allow(clippy::cast_possible_truncation, reason = "any bits will do")]
    pub(crate) fn shard(self, shards: usize) -> usize {
        (self.0 as usize) % shards.max(1)
    }

    /// The identity of a sequence of pieces, told apart by their lengths.
    pub(crate) fn of_parts<'b>(parts: impl IntoIterator<Item = &'b [u8]>) -> Self {
        let mut hasher = Xxh3::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.digest128())
    }

    /// The identity of a text block that holds this text (escapes as written),
    /// so that string content equals the block that a proxy or client makes of it.
    pub(crate) fn of_text_block(inner: &str) -> Self {
        let mut hasher = Xxh3::new();
        for part in [TEXT_BLOCK.0, "\"", inner, "\"", TEXT_BLOCK.1] {
            hasher.update(part.as_bytes());
        }
        Self(hasher.digest128())
    }
}

/// What stands before and behind a text, quotes included, in a text block.
const TEXT_BLOCK: (&str, &str) = ("{\"type\":\"text\",\"text\":", "}");

/// The bytes of a value as they stand in the file.
#[derive(Debug)]
pub struct Raw<'a> {
    text: &'a str,
    /// Where `text` begins in the file, as `gaps` and `cuts` count from there.
    offset: usize,
    gaps: &'a [Gap],
    /// The `cache_control` members, each with a comma.
    cuts: &'a [Range<usize>],
    compact_bytes: u64,
    identity: OnceCell<Identity>,
}

impl<'a> Raw<'a> {
    pub(crate) fn new(cursor: &'a Cursor<'_, '_>, span: &Span, cuts: &'a [Range<usize>]) -> Self {
        Self {
            text: cursor.text().get(span.range.clone()).unwrap_or_default(),
            offset: span.range.start,
            gaps: cursor.gaps(span),
            cuts,
            compact_bytes: span.compact_bytes,
            identity: OnceCell::new(),
        }
    }

    /// The value as it stands in the file, white space and all.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// The size of its compact JSON in bytes: its own bytes less the white
    /// space outside strings.
    #[must_use]
    pub fn compact_bytes(&self) -> u64 {
        self.compact_bytes
    }

    /// Its compact JSON.
    #[must_use]
    pub fn compact(&self) -> String {
        self.runs(&[]).collect()
    }

    /// Its compact JSON without its `cache_control` members: what it says,
    /// whatever was marked for caching.
    #[must_use]
    pub fn content(&self) -> String {
        self.runs(self.cuts).collect()
    }

    /// The identity of [`content`](Self::content), computed once. A string has
    /// that of a text block with the same text.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let string = || self.text.strip_prefix('"')?.strip_suffix('"').map(Identity::of_text_block);
        *self.identity.get_or_init(|| string().unwrap_or_else(|| self.hash(self.cuts)))
    }

    /// What [`identity`](Self::identity) stands for, in pieces:
    /// [`content`](Self::content), or the text block that a string is one form of.
    pub fn said(&self) -> impl Iterator<Item = &'a str> {
        let (before, after) = if self.is_string() { TEXT_BLOCK } else { ("", "") };
        std::iter::once(before).chain(self.runs(self.cuts)).chain(std::iter::once(after))
    }

    /// The size in bytes of what is [`said`](Self::said), so that equal
    /// identities have equal sizes.
    #[must_use]
    pub fn said_bytes(&self) -> u64 {
        if self.cuts.is_empty() && !self.is_string() {
            return self.compact_bytes;
        }
        self.said().map(|piece| piece.len() as u64).sum()
    }

    fn is_string(&self) -> bool {
        self.text.starts_with('"')
    }

    /// The identity of the value with everything in it.
    pub(crate) fn exact_identity(&self) -> Identity {
        self.hash(&[])
    }

    fn hash(&self, cuts: &[Range<usize>]) -> Identity {
        let mut hasher = Xxh3::new();
        for run in self.runs(cuts) {
            hasher.update(run.as_bytes());
        }
        Identity(hasher.digest128())
    }

    /// The texts in it that a model reads, decoded: the string itself, or the
    /// `text`, `thinking`, `description` or text `content` of an object.
    ///
    /// A tool's schema and a tool call's input are JSON, not text, and are left
    /// out: see [`as_str`](Self::as_str).
    #[must_use]
    pub fn texts(&self) -> Vec<Cow<'a, str>> {
        let mut scratch = Scratch::default();
        let mut texts = Vec::new();
        // The text passed the grammar once, so that this cannot fail.
        let _ = collect_texts(&mut Cursor::new(self.text, &mut scratch), &mut texts, 0);
        texts
    }

    /// The value's stretches between white space and cuts.
    fn runs<'b>(&'b self, cuts: &'b [Range<usize>]) -> impl Iterator<Item = &'a str> + use<'a, 'b> {
        let text = self.text;
        let mut at = 0;
        let mut holes = merged(self.gaps, cuts);
        let mut done = false;
        std::iter::from_fn(move || {
            if done {
                return None;
            }
            let hole = holes.next();
            let end = hole.as_ref().map_or(text.len(), |hole| hole.start - self.offset);
            let run = text.get(at..end).unwrap_or_default();
            at = hole.as_ref().map_or(text.len(), |hole| hole.end - self.offset).max(at);
            done = hole.is_none();
            Some(run)
        })
    }
}

/// Two ordered lists of ranges as one, ordered by start.
fn merged<'b>(a: &'b [Range<usize>], b: &'b [Range<usize>]) -> impl Iterator<Item = &'b Range<usize>> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    std::iter::from_fn(move || match (a.peek(), b.peek()) {
        (Some(left), Some(right)) if right.start < left.start => b.next(),
        (Some(_), _) => a.next(),
        (None, _) => b.next(),
    })
}

/// Gathers the texts of a value: strings of the members that hold text, and of
/// the blocks inside `content`, which is as deep as the format goes.
fn collect_texts<'a>(
    cursor: &mut Cursor<'a, '_>,
    texts: &mut Vec<Cow<'a, str>>,
    depth: u8,
) -> Result<(), Fault> {
    match cursor.shape()? {
        Shape::String => texts.push(cursor.string()?.decode()),
        Shape::Object => collect_member_texts(cursor, texts, depth)?,
        Shape::Array if depth == 1 => {
            let mut walk = Walk::default();
            while cursor.next_item(&mut walk)? {
                collect_texts(cursor, texts, depth + 1)?;
            }
        }
        Shape::Array | Shape::Scalar => cursor.skip()?,
    }
    Ok(())
}

fn collect_member_texts<'a>(
    cursor: &mut Cursor<'a, '_>,
    texts: &mut Vec<Cow<'a, str>>,
    depth: u8,
) -> Result<(), Fault> {
    let mut members: Vec<(Cow<'a, str>, Vec<Cow<'a, str>>)> = Vec::new();
    let mut walk = Walk::default();
    while let Some(key) = cursor.next_member(&mut walk)? {
        let found = match key.as_ref() {
            "text" | "thinking" | "description" => {
                cursor.string_or_skip()?.map(RawStr::decode).into_iter().collect()
            }
            "content" if depth < 2 => {
                let mut inner = Vec::new();
                collect_texts(cursor, &mut inner, depth + 1)?;
                inner
            }
            _ => {
                cursor.skip()?;
                continue;
            }
        };
        members.retain(|(seen, _)| *seen != key);
        members.push((key, found));
    }
    texts.extend(members.into_iter().flat_map(|(_, found)| found));
    Ok(())
}
