//! Passes JSON text value by value, checks the whole grammar, and counts white space.
//!
//! The state is passed by value, and the functions called from here are inlined or take and
//! return plain numbers. That keeps the position in registers: with many short strings,
//! writing it to memory and back at every step is most of the work.

use super::block::{BLOCK, BlockMasks, LAST, blank_length, usual_escapes};
use super::compact::Compact;
use super::fault::{Fault, FaultKind, ParseResult, Walk};
use super::scratch::Scratch;

/// A position in a text, and the white space counted up to there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// How many bytes of white space were passed.
    pub(super) blank: usize,
    /// The block that was read last, and where it begins.
    block: BlockMasks,
    block_at: usize,
}

/// Whether a string that was passed has escapes in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Escaped(pub(super) bool);

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, blank: 0, block: BlockMasks::of(text.as_bytes(), 0), block_at: 0 }
    }

    /// The byte that comes next.
    #[inline(always)]
    pub(super) fn peek(&self) -> ParseResult<u8> {
        match self.text.as_bytes().get(self.at) {
            Some(byte) => Ok(*byte),
            None => truncated(self.at),
        }
    }

    /// Passes this byte, if it comes next.
    #[inline(always)]
    pub(super) fn passed(&mut self, byte: u8) -> bool {
        let there = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    /// Passes this byte, which must come next.
    #[inline(always)]
    pub(super) fn expect(&mut self, byte: u8, what: &'static str) -> ParseResult<()> {
        if self.peek()? != byte {
            return expected(self.at, what);
        }
        self.at += 1;
        Ok(())
    }

    /// Passes white space, if any comes next.
    #[inline(always)]
    pub(super) fn pass_blank(&mut self, compact: &mut Compact) {
        let bytes = self.text.as_bytes();
        let length = match bytes.get(self.at) {
            // Most colons are followed by one space.
            Some(b' ') if bytes.get(self.at + 1).is_some_and(|&byte| byte > b' ') => 1,
            Some(..=b' ') => blank_length(bytes, self.at),
            _ => return,
        };
        compact.leave_out(self.text, self.at..self.at + length);
        self.at += length;
        self.blank += length;
    }

    /// Passes a value of any type and depth.
    #[inline(always)]
    pub(super) fn pass_value(&mut self, scratch: &mut Scratch) -> ParseResult<()> {
        let Scratch { nesting, compact, .. } = scratch;
        loop {
            match self.peek()? {
                b'"' => {
                    self.pass_string()?;
                }
                b'{' => {
                    self.at += 1;
                    self.pass_blank(compact);
                    if !self.passed(b'}') {
                        nesting.push(true);
                        self.pass_key(compact)?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    self.pass_blank(compact);
                    if !self.passed(b']') {
                        nesting.push(false);
                        continue;
                    }
                }
                _ => self.at = scalar_end(self.text.as_bytes(), self.at)?,
            }
            // After a value: passes closing brackets, up to the next value or the end.
            loop {
                if nesting.is_empty() {
                    return Ok(());
                }
                self.pass_blank(compact);
                let in_object = nesting.top_is_object();
                if self.passed(b',') {
                    self.pass_blank(compact);
                    if in_object {
                        self.pass_key(compact)?;
                    }
                    break;
                }
                if in_object {
                    self.expect(b'}', "`,` or `}` after a member")?;
                } else {
                    self.expect(b']', "`,` or `]` after an item")?;
                }
                nesting.pop();
            }
        }
    }

    /// Passes the comma or bracket before the next member or item; false once the container
    /// is passed.
    #[inline(always)]
    pub(super) fn pass_step(
        &mut self,
        walk: &mut Walk,
        open: u8,
        close: u8,
        what: &'static str,
        compact: &mut Compact,
    ) -> ParseResult<bool> {
        if walk.begun {
            self.pass_blank(compact);
            if !self.passed(b',') {
                self.expect(close, what)?;
                return Ok(false);
            }
            self.pass_blank(compact);
            return Ok(true);
        }
        walk.begun = true;
        self.expect(open, "an object or array")?;
        self.pass_blank(compact);
        Ok(!self.passed(close))
    }

    /// Passes a key and the colon after it, and returns where the key ends.
    #[inline(always)]
    pub(super) fn pass_key(&mut self, compact: &mut Compact) -> ParseResult<(Escaped, usize)> {
        if self.peek()? != b'"' {
            return expected(self.at, "a member's name in double quotes");
        }
        let escaped = self.pass_string()?;
        let end = self.at;
        self.pass_blank(compact);
        self.expect(b':', "`:` after a member's name")?;
        self.pass_blank(compact);
        Ok((escaped, end))
    }

    /// Passes a string, a block of bytes at a time. Only unusual escapes are read byte by byte.
    #[inline(always)]
    pub(super) fn pass_string(&mut self) -> ParseResult<Escaped> {
        self.expect(b'"', "a string")?;
        let mut escaped = Escaped(false);
        loop {
            let mut block = self.block_here();
            if block.slashes & block.before_stop() != 0 {
                escaped.0 = true;
                if let Some(unusual) = self.pass_escapes(&mut block) {
                    self.at = escape_end(self.text.as_bytes(), unusual)?;
                    continue;
                }
            }
            if block.stops != 0 {
                self.at = self.block_at + block.stops.trailing_zeros() as usize;
                if self.peek()? == b'"' {
                    self.at += 1;
                    return Ok(escaped);
                }
                return expected(self.at, "an escape such as `\\n`, not a raw control character");
            }
            self.at = self.block_at + BLOCK;
            if self.at >= self.text.len() {
                return truncated(self.text.len());
            }
        }
    }

    /// The block around the position, without the bytes before it.
    #[inline(always)]
    fn block_here(&mut self) -> BlockMasks {
        let start = self.at - self.at % BLOCK;
        if start != self.block_at {
            self.block = BlockMasks::of(self.text.as_bytes(), start);
            self.block_at = start;
        }
        self.block.from(self.at % BLOCK)
    }

    /// Takes the quotes that are escaped from the stops of the present block.
    /// Returns the first escape before a stop that has to be read byte by byte: an unusual one,
    /// or one that the end of the block cuts in two.
    #[inline(always)]
    fn pass_escapes(&self, block: &mut BlockMasks) -> Option<usize> {
        let escaped = block.escaped();
        let usual = escaped & usual_escapes(self.text.as_bytes(), self.block_at);
        let cut = block.slashes & !escaped & LAST;
        block.stops &= !usual;
        let unusual = ((escaped & !usual) >> 1 | cut) & block.before_stop();
        (unusual != 0).then(|| self.block_at + unusual.trailing_zeros() as usize)
    }
}

/// The end of the escape, of any kind, whose backslash is at this position.
#[cold]
fn escape_end(bytes: &[u8], backslash: usize) -> ParseResult<usize> {
    let at = backslash + 1;
    match bytes.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
        Some(b'u') => {
            let end = at + 5;
            match (at + 1..end).find(|&at| !bytes.get(at).is_some_and(u8::is_ascii_hexdigit)) {
                Some(at) => unlike(bytes, at, "four hexadecimal digits after `\\u`"),
                None => Ok(end),
            }
        }
        _ => unlike(bytes, at, "one of `\"\\/bfnrtu` after a backslash"),
    }
}

/// The end of the number or literal that begins at this position.
fn scalar_end(bytes: &[u8], at: usize) -> ParseResult<usize> {
    let literal = match bytes.get(at) {
        Some(b't') => "true",
        Some(b'f') => "false",
        Some(b'n') => "null",
        Some(b'-' | b'0'..=b'9') => return number_end(bytes, at),
        _ => return unlike(bytes, at, "a JSON value"),
    };
    let end = at + literal.len();
    let rest = bytes.get(at..end.min(bytes.len())).unwrap_or_default();
    match rest.iter().zip(literal.bytes()).position(|(there, wanted)| *there != wanted) {
        Some(offset) => expected(at + offset, "`true`, `false` or `null`"),
        None if rest.len() < literal.len() => truncated(bytes.len()),
        None => Ok(end),
    }
}

fn number_end(bytes: &[u8], start: usize) -> ParseResult<usize> {
    let is = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|byte| wanted.contains(byte));
    let mut at = start + usize::from(is(start, b"-"));
    at = if is(at, b"0") { at + 1 } else { digits_end(bytes, at)? };
    if is(at, b".") {
        at = digits_end(bytes, at + 1)?;
    }
    if is(at, b"eE") {
        at += 1 + usize::from(is(at + 1, b"+-"));
        at = digits_end(bytes, at)?;
    }
    Ok(at)
}

/// The end of at least one digit.
fn digits_end(bytes: &[u8], at: usize) -> ParseResult<usize> {
    let count = bytes.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 { unlike(bytes, at, "a digit") } else { Ok(at + count) }
}

/// The fault for a position where something else was expected, or the end of the text.
#[cold]
fn unlike<T>(bytes: &[u8], at: usize, what: &'static str) -> ParseResult<T> {
    if at < bytes.len() { expected(at, what) } else { truncated(at) }
}

#[cold]
pub(super) fn truncated<T>(at: usize) -> ParseResult<T> {
    Err(Box::new(Fault { at, kind: FaultKind::Truncated }))
}

#[cold]
pub(super) fn expected<T>(at: usize, what: &'static str) -> ParseResult<T> {
    Err(Box::new(Fault { at, kind: FaultKind::Expected(what) }))
}
