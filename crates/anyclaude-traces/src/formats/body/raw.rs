//! A value's bytes as they stand in the file, and their canonical forms.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::item::{self, TEXT_BLOCK};
use crate::formats::json::compact::HEAD_BYTES;
use crate::formats::json::cursor::{Cursor, Shape, ValueSpan};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::scratch::Scratch;
use crate::formats::json::text::RawStr;
use crate::model::Identity;

/// The bytes of a value as they stand in the file.
#[derive(Debug)]
pub struct Raw<'a> {
    text: &'a str,
    compact_bytes: u64,
    content_bytes: u64,
    /// Whether `cache_control` is no part of the content.
    is_element: bool,
    identity: OnceCell<Identity>,
    /// The beginning of an element's content, where that was built when it was parsed. A
    /// copy of it in every element took a fiftieth of the instructions of reading small files.
    head: &'a [u8],
}

impl<'a> Raw<'a> {
    pub(crate) fn new(cursor: &Cursor<'a, '_>, span: &ValueSpan) -> Self {
        let text = cursor.text().get(span.range.clone()).unwrap_or_default();
        let bytes = span.compact_bytes;
        let identity = OnceCell::new();
        Self { text, compact_bytes: bytes, content_bytes: bytes, is_element: false, identity, head: &[] }
    }

    /// The bytes of an element, whose identity may be known; `left_out` is the
    /// size of its `cache_control` members.
    pub(crate) fn of_element(
        cursor: &Cursor<'a, '_>,
        span: &ValueSpan,
        left_out: u64,
        identity: Option<Identity>,
    ) -> Self {
        let identity = identity.map_or_else(OnceCell::new, OnceCell::from);
        let raw = Self::new(cursor, span);
        Self { is_element: true, content_bytes: raw.content_bytes - left_out, identity, ..raw }
    }

    /// The same, of which the parser has built the beginning of the content.
    pub(crate) fn with_head(self, begin: &'a [u8]) -> Self {
        Self { head: begin.get(..HEAD_BYTES).unwrap_or(begin), ..self }
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
        item::compact_text(self.text, false)
    }

    /// Its compact JSON; of an element without its `cache_control` members, so that it does not
    /// depend on what was marked for caching.
    #[must_use]
    pub fn content(&self) -> String {
        item::compact_text(self.text, self.is_element)
    }

    /// The identity of [`content`](Self::content), computed once. A string has
    /// that of a text block with the same text.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let content = self.is_element || self.is_string();
        // The text passed the grammar once, so that this cannot fail.
        *self
            .identity
            .get_or_init(|| item::identity(self.text, content).unwrap_or_else(|| Identity::of_hash(0)))
    }

    /// What [`identity`](Self::identity) stands for: [`content`](Self::content),
    /// or the text block that a string is one form of.
    #[must_use]
    pub fn canonical(&self) -> String {
        if self.is_string() {
            return [TEXT_BLOCK.0, self.text, TEXT_BLOCK.1].concat();
        }
        self.content()
    }

    /// The first bytes of the [canonical](Self::canonical) form, at most this many. Reads no
    /// more of the value than it needs.
    #[must_use]
    pub fn canonical_prefix(&self, most_bytes: usize) -> Cow<'_, [u8]> {
        let head = self.head;
        if head.len() >= most_bytes || head.len() as u64 == self.canonical_len() {
            return Cow::Borrowed(head.get(..most_bytes).unwrap_or(head));
        }
        if self.is_string() {
            let mut prefix = Vec::with_capacity(most_bytes);
            for part in [TEXT_BLOCK.0, self.text, TEXT_BLOCK.1].map(str::as_bytes) {
                let room = most_bytes - prefix.len();
                prefix.extend_from_slice(part.get(..room).unwrap_or(part));
            }
            return Cow::Owned(prefix);
        }
        let mut look = most_bytes.saturating_mul(4);
        loop {
            let end = (0..=look.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at));
            let begin = end.and_then(|end| self.text.get(..end)).unwrap_or_default();
            let content = item::compact_text(begin, self.is_element);
            if begin.len() == self.text.len() || content.len() >= most_bytes {
                let mut content = content.into_bytes();
                content.truncate(most_bytes);
                return Cow::Owned(content);
            }
            look = look.saturating_mul(8);
        }
    }

    /// The last bytes of the [canonical](Self::canonical) form before a quotation mark and a
    /// brace, at most this many; fewer where the string that ends there is shorter. Empty
    /// where no string ends there, or that cannot be told cheaply.
    #[must_use]
    pub fn last_string_suffix(&self, most_bytes: usize) -> &'a [u8] {
        let is_whole = self.content_bytes == self.compact_bytes;
        let object = self.text.strip_suffix('}').map(str::trim_ascii_end);
        let text = if self.is_string() { Some(self.text) } else { object };
        let Some(text) = text.filter(|_| is_whole).and_then(|text| text.strip_suffix('"')) else {
            return &[];
        };
        let last = text.as_bytes();
        let last = last.get(last.len().saturating_sub(most_bytes)..).unwrap_or_default();
        last.rsplit(|byte| *byte == b'"').next().unwrap_or_default()
    }

    /// The size in bytes of the [canonical](Self::canonical) form, so that equal identities
    /// have equal sizes.
    #[must_use]
    pub fn canonical_len(&self) -> u64 {
        let block = if self.is_string() { TEXT_BLOCK.0.len() + TEXT_BLOCK.1.len() } else { 0 };
        self.content_bytes + block as u64
    }

    fn is_string(&self) -> bool {
        self.text.starts_with('"')
    }

    /// The texts in it that a model reads, decoded: the string itself, or the
    /// `text`, `thinking`, `description`, text `content` or text `output` of an object.
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

/// Collects the texts of a value: strings of the members that hold text, and of
/// the blocks inside `content`, which is as deep as the format goes.
fn collect_texts<'a>(
    cursor: &mut Cursor<'a, '_>,
    texts: &mut Vec<Cow<'a, str>>,
    depth: u8,
) -> ParseResult<()> {
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
) -> ParseResult<()> {
    let mut members: Vec<(Cow<'a, str>, Vec<Cow<'a, str>>)> = Vec::new();
    let mut walk = Walk::default();
    while let Some(key) = cursor.next_member(&mut walk)? {
        let found = match key.as_ref() {
            "text" | "thinking" | "description" => {
                cursor.string_or_skip()?.map(RawStr::decode).into_iter().collect()
            }
            "content" | "output" if depth < 2 => {
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
