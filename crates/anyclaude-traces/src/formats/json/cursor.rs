//! A cursor over JSON text: walks from member to member and from item to item, builds no
//! tree, and measures the values it passed.
//!
//! Levels whose members matter are walked with [`Cursor::next_member`] and
//! [`Cursor::next_item`]; everything deeper goes through [`Cursor::skip`], which does not
//! recurse and so takes any depth. The grammar is in [`scan`](super::scan).

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::compact::{Compact, CompactMode};
use super::fault::{ParseResult, Walk};
use super::known::KnownItem;
use super::scan::{Escaped, Scan, expected};
use super::scratch::Scratch;
use super::text::RawStr;

/// A position to measure from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    at: usize,
    blank: usize,
}

/// A place in the text that the cursor can go back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a>(Scan<'a>);

/// A value that the cursor passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ValueSpan {
    /// The value's bytes in the text.
    pub(crate) range: Range<usize>,
    /// How many of them are not white space outside strings.
    pub(crate) compact_bytes: u64,
}

/// The type of the value that the cursor stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Object,
    Array,
    String,
    Scalar,
}

pub(crate) struct Cursor<'a, 's> {
    scan: Scan<'a>,
    scratch: &'s mut Scratch,
    /// Whether items may be those of the text before.
    compares: bool,
}

impl<'a, 's> Cursor<'a, 's> {
    /// A cursor at the first byte that is not white space.
    pub(crate) fn new(text: &'a str, scratch: &'s mut Scratch) -> Self {
        scratch.nesting.clear();
        scratch.compact.begin(CompactMode::Nothing);
        let mut cursor = Self { scan: Scan::new(text), scratch, compares: false };
        cursor.pass_blank();
        cursor
    }

    /// The same; items that stood in the text before are not parsed again. That is the one
    /// that `scratch.known` was told to keep.
    pub(crate) fn comparing(text: &'a str, scratch: &'s mut Scratch) -> Self {
        scratch.known.begin(text.len());
        Self { compares: true, ..Self::new(text, scratch) }
    }

    /// Passes an item that the text before had too, and tells what was found out of it.
    pub(crate) fn pass_known(&mut self, wanted: CompactMode) -> Option<KnownItem> {
        if !self.compares {
            return None;
        }
        let rest = self.scan.text.as_bytes().get(self.scan.at..).unwrap_or_default();
        let Scratch { known, compact, .. } = &mut *self.scratch;
        let item = known.find(rest, self.scan.at, wanted)?;
        compact.begin_known(wanted, known.head());
        self.scan.at += item.part.bytes();
        self.scan.blank += item.part.bytes() - item.compact_bytes as usize;
        Some(item)
    }

    /// Keeps what was found out of the item that was passed last.
    pub(crate) fn keep_known(&mut self, item: KnownItem) {
        self.scratch.known.add(item, self.scratch.compact.head());
    }

    /// Whether items are to be kept.
    pub(crate) fn compares(&self) -> bool {
        self.compares
    }

    pub(crate) fn text(&self) -> &'a str {
        self.scan.text
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { at: self.scan.at, blank: self.scan.blank }
    }

    /// The span since `mark`. Call it right after a value, before the white space that follows.
    pub(crate) fn since(&self, mark: Mark) -> ValueSpan {
        ValueSpan {
            range: mark.at..self.scan.at,
            compact_bytes: ((self.scan.at - mark.at) - (self.scan.blank - mark.blank)) as u64,
        }
    }

    /// Where the cursor stands, to go back to.
    pub(crate) fn place(&self) -> Place<'a> {
        Place(self.scan)
    }

    /// Walks from a place that the cursor has passed, and returns to where it stands.
    pub(crate) fn at<T>(
        &mut self,
        place: Place<'a>,
        walk: impl FnOnce(&mut Self) -> ParseResult<T>,
    ) -> ParseResult<T> {
        let here = std::mem::replace(&mut self.scan, place.0);
        let walked = walk(self);
        self.scan = here;
        walked
    }

    /// Interns a name, which most likely occurs in the next trace too.
    pub(crate) fn name(&mut self, name: &str) -> Arc<str> {
        self.scratch.names.shared(name)
    }

    /// The compact JSON that is being built.
    pub(crate) fn compact(&mut self) -> &mut Compact {
        &mut self.scratch.compact
    }

    /// The beginning of the compact JSON that was built last.
    pub(crate) fn head(&self) -> &[u8] {
        self.scratch.compact.head()
    }

    /// Passes a value and adds its compact JSON to the one that is being built.
    pub(crate) fn compacted(&mut self, pass: impl FnOnce(&mut Self) -> ParseResult<()>) -> ParseResult<()> {
        self.scratch.compact.resume(self.scan.at);
        let passed = pass(self);
        self.scratch.compact.pause(self.scan.text, self.scan.at);
        passed
    }

    pub(crate) fn shape(&self) -> ParseResult<Shape> {
        Ok(match self.scan.peek()? {
            b'{' => Shape::Object,
            b'[' => Shape::Array,
            b'"' => Shape::String,
            _ => Shape::Scalar,
        })
    }

    /// Whether the value that the cursor stands before is `null`.
    pub(crate) fn at_null(&self) -> bool {
        self.scan.peek() == Ok(b'n')
    }

    /// Fails unless only white space is left.
    pub(crate) fn end(&mut self) -> ParseResult<()> {
        self.pass_blank();
        let at = self.scan.at;
        if at == self.scan.text.len() { Ok(()) } else { expected(at, "the end of the file") }
    }

    /// The next key of the object that the cursor stands before or in, with the
    /// cursor before its value; `None` once the object is passed.
    pub(crate) fn next_member(&mut self, walk: &mut Walk) -> ParseResult<Option<Cow<'a, str>>> {
        let passed = self.moving(|scan, scratch| {
            let compact = &mut scratch.compact;
            if !scan.pass_step(walk, b'{', b'}', "`,` or `}` after a member", compact)? {
                return Ok(None);
            }
            let start = scan.at;
            scan.pass_key(compact).map(|(key, end)| Some((start, key, end)))
        })?;
        let Some((start, key, end)) = passed else { return Ok(None) };
        walk.key = start..end;
        Ok(Some(self.raw_str(start, end, key).decode()))
    }

    /// Whether the array that the cursor stands before or in has another item;
    /// the cursor is then before it, else behind the array.
    pub(crate) fn next_item(&mut self, walk: &mut Walk) -> ParseResult<bool> {
        self.moving(|scan, scratch| {
            scan.pass_step(walk, b'[', b']', "`,` or `]` after an item", &mut scratch.compact)
        })
    }

    /// Passes a value; calls `member` with each key, the cursor before its value, if it is
    /// an object.
    pub(crate) fn members_or_skip(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> ParseResult<()>,
    ) -> ParseResult<()> {
        if self.shape()? != Shape::Object {
            return self.skip();
        }
        let mut walk = Walk::default();
        while let Some(key) = self.next_member(&mut walk)? {
            member(self, &key)?;
        }
        Ok(())
    }

    /// Passes a value; calls `item` with the cursor before each item, if it is an array.
    pub(crate) fn items_or_skip(
        &mut self,
        mut item: impl FnMut(&mut Self) -> ParseResult<()>,
    ) -> ParseResult<()> {
        if self.shape()? != Shape::Array {
            return self.skip();
        }
        let mut walk = Walk::default();
        while self.next_item(&mut walk)? {
            item(self)?;
        }
        Ok(())
    }

    /// Passes a value of any type and depth.
    pub(crate) fn skip(&mut self) -> ParseResult<()> {
        self.moving(Scan::pass_value)
    }

    /// Passes a value of any type and depth, and measures it.
    pub(crate) fn skip_value(&mut self) -> ParseResult<ValueSpan> {
        let mark = self.mark();
        self.skip()?;
        Ok(self.since(mark))
    }

    /// Passes a value; the string if it is one.
    pub(crate) fn string_or_skip(&mut self) -> ParseResult<Option<RawStr<'a>>> {
        if self.shape()? == Shape::String {
            return self.string().map(Some);
        }
        self.skip()?;
        Ok(None)
    }

    /// Passes a value; the number if it is a plain whole one that fits.
    pub(crate) fn u64_or_skip(&mut self) -> ParseResult<Option<u64>> {
        let span = self.skip_value()?;
        let digits = self.scan.text.get(span.range).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        Ok(digits.and_then(|digits| digits.parse().ok()))
    }

    /// Passes the string that the cursor stands before.
    pub(crate) fn string(&mut self) -> ParseResult<RawStr<'a>> {
        let start = self.scan.at;
        let escaped = self.moving(|scan, _| scan.pass_string())?;
        Ok(self.raw_str(start, self.scan.at, escaped))
    }

    /// The string between these two quotes.
    fn raw_str(&self, start: usize, end: usize, escaped: Escaped) -> RawStr<'a> {
        let inner = self.scan.text.get(start + 1..end - 1).unwrap_or_default();
        RawStr { inner, escaped: escaped.0 }
    }

    fn pass_blank(&mut self) {
        self.moving(|scan, scratch| scan.pass_blank(&mut scratch.compact));
    }

    /// Runs `Scan` code on a copy, so that the position stays in registers.
    #[inline(always)]
    fn moving<T>(&mut self, pass: impl FnOnce(&mut Scan<'a>, &mut Scratch) -> T) -> T {
        let mut scan = self.scan;
        let passed = pass(&mut scan, self.scratch);
        self.scan = scan;
        passed
    }
}

#[cfg(test)]
mod tests;
