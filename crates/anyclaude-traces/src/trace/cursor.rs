//! A cursor over JSON text: checks the whole grammar, keeps nothing, and counts
//! the white space that it passes.
//!
//! The levels whose members we know are walked with [`Cursor::next_member`] and
//! [`Cursor::next_item`]; everything deeper goes through [`Cursor::skip`],
//! which needs no recursion and so takes any depth.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::block::{BLOCK, Block, LAST, blank_length, usual_escapes};
use super::compact::{Compact, Wanted};
use super::scratch::Scratch;
use super::text::RawStr;

/// Where and why the bytes stop being JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The text ends inside a value.
    Truncated,
    /// Something else stands where this was expected.
    Expected(&'static str),
}

/// A place that the cursor passed, to measure from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    at: usize,
    blank: usize,
}

/// A value that the cursor passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
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

/// How far a walk through an object or array has come.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    begun: bool,
    /// The present member's key, quotes included.
    pub(crate) key: Range<usize>,
}

pub(crate) struct Cursor<'a, 's> {
    text: &'a str,
    at: usize,
    blank: usize,
    /// The block that was looked at last, and where it begins.
    block: Block,
    block_at: usize,
    scratch: &'s mut Scratch,
}

/// What passing a value gives. A fault is rare; in a box it makes the rest small
/// enough for registers.
pub(crate) type Checked<T> = Result<T, Box<Fault>>;

impl<'a, 's> Cursor<'a, 's> {
    /// A cursor at the first byte that is not white space.
    pub(crate) fn new(text: &'a str, scratch: &'s mut Scratch) -> Self {
        scratch.nest.clear();
        scratch.compact.begin(Wanted::Nothing);
        let block = Block::of(text.as_bytes(), 0);
        let mut cursor = Self { text, at: 0, blank: 0, block, block_at: 0, scratch };
        cursor.pass_blank();
        cursor
    }

    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { at: self.at, blank: self.blank }
    }

    /// What was passed since `mark`; call it right behind a value, before the
    /// white space that follows it.
    pub(crate) fn since(&self, mark: Mark) -> Span {
        Span {
            range: mark.at..self.at,
            compact_bytes: ((self.at - mark.at) - (self.blank - mark.blank)) as u64,
        }
    }

    /// A name that is most likely repeated in the next trace.
    pub(crate) fn name(&mut self, name: RawStr<'_>) -> Arc<str> {
        self.scratch.names.shared(&name.decode())
    }

    /// The compact JSON that is being put together.
    pub(crate) fn compact(&mut self) -> &mut Compact {
        &mut self.scratch.compact
    }

    /// Passes a value and adds its compact JSON to what is being put together.
    pub(crate) fn compacted(&mut self, pass: impl FnOnce(&mut Self) -> Checked<()>) -> Checked<()> {
        self.scratch.compact.resume(self.at);
        let passed = pass(self);
        self.scratch.compact.pause(self.text, self.at);
        passed
    }

    pub(crate) fn shape(&self) -> Checked<Shape> {
        Ok(match self.peek()? {
            b'{' => Shape::Object,
            b'[' => Shape::Array,
            b'"' => Shape::String,
            _ => Shape::Scalar,
        })
    }

    /// Whether the value that the cursor stands before is `null`.
    pub(crate) fn at_null(&self) -> bool {
        self.peek() == Ok(b'n')
    }

    /// Fails unless only white space is left.
    pub(crate) fn end(&mut self) -> Checked<()> {
        self.pass_blank();
        if self.at == self.text.len() { Ok(()) } else { self.expected("the end of the file") }
    }

    /// The next key of the object that the cursor stands before or in, with the
    /// cursor before its value; `None` once the object is passed.
    pub(crate) fn next_member(&mut self, walk: &mut Walk) -> Checked<Option<Cow<'a, str>>> {
        if !self.step(walk, b'{', b'}', "`,` or `}` after a member")? {
            return Ok(None);
        }
        let start = self.at;
        let (key, end) = self.key()?;
        walk.key = start..end;
        Ok(Some(self.raw_str(start, end, key).decode()))
    }

    /// Whether the array that the cursor stands before or in has another item;
    /// the cursor is then before it, else behind the array.
    pub(crate) fn next_item(&mut self, walk: &mut Walk) -> Checked<bool> {
        self.step(walk, b'[', b']', "`,` or `]` after an item")
    }

    /// Passes a value of any type and depth.
    pub(crate) fn skip(&mut self) -> Checked<()> {
        while self.enter_or_pass()? || !self.leave()? {}
        Ok(())
    }

    /// Passes a value of any type and depth, and measures it.
    pub(crate) fn skip_value(&mut self) -> Checked<Span> {
        let mark = self.mark();
        self.skip()?;
        Ok(self.since(mark))
    }

    /// Passes a value; the string if it is one.
    pub(crate) fn string_or_skip(&mut self) -> Checked<Option<RawStr<'a>>> {
        if self.shape()? == Shape::String {
            return self.string().map(Some);
        }
        self.skip()?;
        Ok(None)
    }

    /// Passes a value; the number if it is a plain whole one that fits.
    pub(crate) fn u64_or_skip(&mut self) -> Checked<Option<u64>> {
        let span = self.skip_value()?;
        let digits = self.text.get(span.range).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        Ok(digits.and_then(|digits| digits.parse().ok()))
    }

    /// Passes the string that the cursor stands before.
    pub(crate) fn string(&mut self) -> Checked<RawStr<'a>> {
        let start = self.at;
        let escaped = self.pass_string()?;
        Ok(self.raw_str(start, self.at, escaped))
    }

    /// The string between these two quotes.
    fn raw_str(&self, start: usize, end: usize, escaped: Escaped) -> RawStr<'a> {
        let inner = self.text.get(start + 1..end - 1).unwrap_or_default();
        RawStr { inner, escaped: escaped.0 }
    }

    /// Passes a string, a block of bytes at a time: what stands between two
    /// escapes is never looked at byte by byte, nor are the usual escapes.
    #[inline]
    fn pass_string(&mut self) -> Checked<Escaped> {
        self.expect(b'"', "a string")?;
        let mut escaped = Escaped(false);
        loop {
            let mut block = self.block_here();
            if block.slashes & block.before_stop() != 0 {
                escaped.0 = true;
                if let Some(unusual) = self.pass_escapes(&mut block) {
                    self.at = unusual;
                    self.pass_escape()?;
                    continue;
                }
            }
            if block.stops != 0 {
                self.at = self.block_at + block.stops.trailing_zeros() as usize;
                if self.peek()? == b'"' {
                    self.at += 1;
                    return Ok(escaped);
                }
                return self.expected("an escape such as `\\n`, not a raw control character");
            }
            self.at = self.block_at + BLOCK;
            if self.at >= self.text.len() {
                self.at = self.text.len();
                return self.truncated();
            }
        }
    }

    /// The block that the cursor stands in, less what lies before the cursor.
    #[inline]
    fn block_here(&mut self) -> Block {
        let start = self.at - self.at % BLOCK;
        if start != self.block_at {
            self.block = Block::of(self.text.as_bytes(), start);
            self.block_at = start;
        }
        self.block.from(self.at % BLOCK)
    }

    /// Takes the quotes that are escaped from the stops of the present block.
    /// Returns the first escape before a stop that wants a closer look: an
    /// unusual one, or one that the block cuts in two.
    #[inline]
    fn pass_escapes(&self, block: &mut Block) -> Option<usize> {
        let escaped = block.escaped();
        let usual = escaped & usual_escapes(self.text.as_bytes(), self.block_at);
        let cut = block.slashes & !escaped & LAST;
        block.stops &= !usual;
        let unusual = ((escaped & !usual) >> 1 | cut) & block.before_stop();
        (unusual != 0).then(|| self.block_at + unusual.trailing_zeros() as usize)
    }

    /// Either opens a container that has something in it (true), or passes a
    /// whole value.
    fn enter_or_pass(&mut self) -> Checked<bool> {
        match self.peek()? {
            b'"' => self.pass_string().map(|_| false),
            b'{' => {
                self.at += 1;
                self.pass_blank();
                if self.passed(b'}') {
                    return Ok(false);
                }
                self.scratch.nest.push(true);
                self.key().map(|_| true)
            }
            b'[' => {
                self.at += 1;
                self.pass_blank();
                if self.passed(b']') {
                    return Ok(false);
                }
                self.scratch.nest.push(false);
                Ok(true)
            }
            b't' => self.literal("true").map(|()| false),
            b'f' => self.literal("false").map(|()| false),
            b'n' => self.literal("null").map(|()| false),
            b'-' | b'0'..=b'9' => self.number().map(|()| false),
            _ => self.expected("a JSON value"),
        }
    }

    /// Behind a value: passes closing brackets up to the next value (false) or
    /// to the end of the outermost container (true).
    fn leave(&mut self) -> Checked<bool> {
        while !self.scratch.nest.is_empty() {
            self.pass_blank();
            let in_object = self.scratch.nest.top_is_object();
            if self.passed(b',') {
                self.pass_blank();
                if in_object {
                    self.key()?;
                }
                return Ok(false);
            }
            let (close, what) = if in_object {
                (b'}', "`,` or `}` after a member")
            } else {
                (b']', "`,` or `]` after an item")
            };
            self.expect(close, what)?;
            self.scratch.nest.pop();
        }
        Ok(true)
    }

    fn step(&mut self, walk: &mut Walk, open: u8, close: u8, what: &'static str) -> Checked<bool> {
        if walk.begun {
            self.pass_blank();
            if !self.passed(b',') {
                self.expect(close, what)?;
                return Ok(false);
            }
            self.pass_blank();
            return Ok(true);
        }
        walk.begun = true;
        self.expect(open, "an object or array")?;
        self.pass_blank();
        Ok(!self.passed(close))
    }

    /// Passes a key and the colon behind it; where the key ends.
    fn key(&mut self) -> Checked<(Escaped, usize)> {
        if self.peek()? != b'"' {
            return self.expected("a member's name in double quotes");
        }
        let escaped = self.pass_string()?;
        let end = self.at;
        self.pass_blank();
        self.expect(b':', "`:` after a member's name")?;
        self.pass_blank();
        Ok((escaped, end))
    }

    /// Passes one escape of any kind.
    #[cold]
    fn pass_escape(&mut self) -> Checked<()> {
        self.at += 1;
        match self.peek()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek()?.is_ascii_hexdigit() {
                        return self.expected("four hexadecimal digits after `\\u`");
                    }
                    self.at += 1;
                }
            }
            _ => return self.expected("one of `\"\\/bfnrtu` after a backslash"),
        }
        Ok(())
    }

    fn literal(&mut self, word: &'static str) -> Checked<()> {
        for &byte in word.as_bytes() {
            self.expect(byte, "`true`, `false` or `null`")?;
        }
        Ok(())
    }

    fn number(&mut self) -> Checked<()> {
        self.passed(b'-');
        if !self.passed(b'0') {
            self.digits()?;
        }
        if self.passed(b'.') {
            self.digits()?;
        }
        if self.passed(b'e') || self.passed(b'E') {
            let _ = self.passed(b'+') || self.passed(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Checked<()> {
        if !self.peek()?.is_ascii_digit() {
            return self.expected("a digit");
        }
        while self.text.as_bytes().get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        Ok(())
    }

    #[inline]
    fn pass_blank(&mut self) {
        let bytes = self.text.as_bytes();
        match bytes.get(self.at) {
            // What stands behind most colons.
            Some(b' ') if bytes.get(self.at + 1).is_some_and(|&byte| byte > b' ') => {
                self.at += 1;
                self.blank += 1;
                self.scratch.compact.leave_out(self.text, self.at - 1..self.at);
            }
            Some(..=b' ') => self.pass_gap(),
            _ => {}
        }
    }

    /// Passes white space, if it is any.
    fn pass_gap(&mut self) {
        let start = self.at;
        self.at += blank_length(self.text.as_bytes(), start);
        self.blank += self.at - start;
        self.scratch.compact.leave_out(self.text, start..self.at);
    }

    fn peek(&self) -> Checked<u8> {
        match self.text.as_bytes().get(self.at) {
            Some(byte) => Ok(*byte),
            None => self.truncated(),
        }
    }

    fn passed(&mut self, byte: u8) -> bool {
        let there = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Checked<()> {
        if self.peek()? != byte {
            return self.expected(what);
        }
        self.at += 1;
        Ok(())
    }

    #[cold]
    fn truncated<T>(&self) -> Checked<T> {
        Err(Box::new(Fault { at: self.at, kind: FaultKind::Truncated }))
    }

    #[cold]
    fn expected<T>(&self, what: &'static str) -> Checked<T> {
        Err(Box::new(Fault { at: self.at, kind: FaultKind::Expected(what) }))
    }
}

/// Whether a string that was passed has escapes in it.
#[derive(Debug, Clone, Copy)]
struct Escaped(bool);

#[cfg(test)]
mod tests;
