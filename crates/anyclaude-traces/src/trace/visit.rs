//! What a visitor sees while the parser passes over a trace.

use std::borrow::Cow;
use std::cell::OnceCell;

use xxhash_rust::xxh3::Xxh3;

use super::cursor::{Checked, Cursor, Shape, Span, Walk};
use super::part;
use super::scratch::Scratch;
use super::text::RawStr;

/// Looks on while [`parse`](super::parse) passes over a trace's content.
///
/// Content is lent for the length of a call; a visitor keeps what it needs.
/// Every method does nothing unless implemented. `()` looks at nothing, and a
/// pair of visitors looks with both.
///
/// ```
/// use anyclaude_traces::trace::{Element, Place, Visit, parse};
///
/// /// Finds the name of the largest tool.
/// #[derive(Default)]
/// struct Largest(u64, String);
///
/// impl Visit for Largest {
///     fn element(&mut self, element: &Element<'_>) {
///         let bytes = element.raw.compact_bytes();
///         if matches!(element.place, Place::Tool(_)) && bytes > self.0 {
///             *self = Self(bytes, element.name.as_deref().unwrap_or_default().to_owned());
///         }
///     }
/// }
///
/// let trace = br#"{"request": {"body": {"tools": [{"name": "A"}, {"name": "B", "type": "custom"}]}}}"#;
/// let mut largest = Largest::default();
/// parse(trace, &mut largest)?;
/// assert_eq!((largest.0, largest.1.as_str()), (28, "B"));
/// # Ok::<(), anyclaude_traces::error::ParseError>(())
/// ```
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

    /// Whether it will ask for the identities of most system blocks and tools. They
    /// are then taken in the same pass, as those of message blocks always are; else
    /// each that is asked for is passed again.
    fn wants_identities(&self) -> bool {
        false
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
    fn wants_identities(&self) -> bool {
        (**self).wants_identities()
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
    fn wants_identities(&self) -> bool {
        self.0.wants_identities() || self.1.wants_identities()
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
///
/// In two halves: a number of 128 bits would make what holds it larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity([u64; 2]);

impl Identity {
    #[allow(clippy::cast_possible_truncation, reason = "the halves are meant")]
    pub(crate) fn of_hash(hash: u128) -> Self {
        Self([(hash >> 64) as u64, hash as u64])
    }

    pub(crate) fn hash(self) -> u128 {
        let [high, low] = self.0;
        u128::from(high) << 64 | u128::from(low)
    }

    /// Enough of it to find it in a table.
    pub(crate) fn bits(self) -> u64 {
        self.0[1]
    }

    /// Which of so many shards it is in.
    #[allow(clippy::cast_possible_truncation, reason = "any bits will do")]
    pub(crate) fn shard(self, shards: usize) -> usize {
        (self.bits() as usize) % shards.max(1)
    }

    /// The identity of a sequence of pieces, told apart by their lengths.
    pub(crate) fn of_parts<'b>(parts: impl IntoIterator<Item = &'b [u8]>) -> Self {
        let mut hasher = Xxh3::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self::of_hash(hasher.digest128())
    }
}

/// What stands before and behind a text, quotes included, in a text block.
pub(super) const TEXT_BLOCK: (&str, &str) = ("{\"type\":\"text\",\"text\":", "}");

/// The bytes of a value as they stand in the file.
#[derive(Debug)]
pub struct Raw<'a> {
    text: &'a str,
    compact_bytes: u64,
    content_bytes: u64,
    /// Whether `cache_control` is no part of the content.
    is_element: bool,
    identity: OnceCell<Identity>,
}

impl<'a> Raw<'a> {
    pub(crate) fn new(cursor: &Cursor<'a, '_>, span: &Span) -> Self {
        let text = cursor.text().get(span.range.clone()).unwrap_or_default();
        let bytes = span.compact_bytes;
        let identity = OnceCell::new();
        Self { text, compact_bytes: bytes, content_bytes: bytes, is_element: false, identity }
    }

    /// The bytes of an element, whose identity may be known; `left_out` is the
    /// size of its `cache_control` members.
    pub(crate) fn of_element(
        cursor: &Cursor<'a, '_>,
        span: &Span,
        left_out: u64,
        identity: Option<Identity>,
    ) -> Self {
        let identity = identity.map_or_else(OnceCell::new, OnceCell::from);
        let raw = Self::new(cursor, span);
        Self { is_element: true, content_bytes: raw.content_bytes - left_out, identity, ..raw }
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
        part::compact_text(self.text, false)
    }

    /// Its compact JSON; of an element without its `cache_control` members: what
    /// it says, whatever was marked for caching.
    #[must_use]
    pub fn content(&self) -> String {
        part::compact_text(self.text, self.is_element)
    }

    /// The identity of [`content`](Self::content), computed once. A string has
    /// that of a text block with the same text.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let content = self.is_element || self.is_string();
        // The text passed the grammar once, so that this cannot fail.
        *self.identity.get_or_init(|| part::identity(self.text, content).unwrap_or(Identity([0, 0])))
    }

    /// What [`identity`](Self::identity) stands for: [`content`](Self::content),
    /// or the text block that a string is one form of.
    #[must_use]
    pub fn said(&self) -> String {
        if self.is_string() {
            return [TEXT_BLOCK.0, self.text, TEXT_BLOCK.1].concat();
        }
        self.content()
    }

    /// The first bytes of what is [`said`](Self::said), at most this many. It
    /// looks no further than it must.
    #[must_use]
    pub fn said_head(&self, most_bytes: usize) -> Vec<u8> {
        let (before, after) = if self.is_string() { TEXT_BLOCK } else { ("", "") };
        let mut look = most_bytes.saturating_mul(4);
        loop {
            let end = (0..=look.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at));
            let begin = end.and_then(|end| self.text.get(..end)).unwrap_or_default();
            let is_all = begin.len() == self.text.len();
            let content = part::compact_text(begin, self.is_element);
            if is_all || before.len() + content.len() >= most_bytes {
                let mut head = [before, &content, if is_all { after } else { "" }].concat().into_bytes();
                head.truncate(most_bytes);
                return head;
            }
            look = look.saturating_mul(8);
        }
    }

    /// The size in bytes of what is [`said`](Self::said), so that equal
    /// identities have equal sizes.
    #[must_use]
    pub fn said_bytes(&self) -> u64 {
        let block = if self.is_string() { TEXT_BLOCK.0.len() + TEXT_BLOCK.1.len() } else { 0 };
        self.content_bytes + block as u64
    }

    fn is_string(&self) -> bool {
        self.text.starts_with('"')
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
}

/// Gathers the texts of a value: strings of the members that hold text, and of
/// the blocks inside `content`, which is as deep as the format goes.
fn collect_texts<'a>(cursor: &mut Cursor<'a, '_>, texts: &mut Vec<Cow<'a, str>>, depth: u8) -> Checked<()> {
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
) -> Checked<()> {
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
