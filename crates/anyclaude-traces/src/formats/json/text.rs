//! JSON string literals, and the texts that they decode to.

use std::borrow::Cow;

use super::block::{BLOCK, BlockMasks, LAST, RUN, equal, run};

/// The inside of a JSON string literal: checked against the grammar, escapes
/// not yet decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawStr<'a> {
    /// What stands between the quotes.
    pub(crate) inner: &'a str,
    /// Whether there is a backslash in it.
    pub(crate) escaped: bool,
}

/// The size of a decoded text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TextSize {
    pub(crate) chars: u64,
    pub(crate) utf8_bytes: u64,
}

impl std::ops::AddAssign for TextSize {
    fn add_assign(&mut self, other: Self) {
        self.chars += other.chars;
        self.utf8_bytes += other.utf8_bytes;
    }
}

impl<'a> RawStr<'a> {
    /// The text, escapes decoded. A lone surrogate becomes U+FFFD.
    #[inline]
    pub(crate) fn decode(self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(self.unescaped()) } else { Cow::Borrowed(self.inner) }
    }

    fn unescaped(self) -> String {
        let mut text = Vec::new();
        self.decode_into(&mut text);
        // What was UTF-8 with escapes is UTF-8 without them.
        String::from_utf8(text).unwrap_or_default()
    }

    /// Adds the text, escapes decoded, to another, in UTF-8.
    ///
    /// Whole runs of a fixed size are copied, beyond the next backslash too, and what was too
    /// much is overwritten: bodies in strings have an escape every ten bytes, so that finding
    /// and copying each stretch by itself takes twice as long.
    pub(crate) fn decode_into(self, text: &mut Vec<u8>) {
        let mut to = text.len();
        text.resize(to + self.inner.len() + RUN, 0);
        let mut at = 0;
        // A run may end inside a character, an escape begins at one.
        while let Some(rest @ [_, ..]) = self.inner.as_bytes().get(at..) {
            let (run, plain) = run(rest);
            if let Some(room) = text.get_mut(to..to + RUN) {
                room.copy_from_slice(&run);
            }
            to += plain;
            at += plain;
            if plain == RUN {
                continue;
            }
            let simple = rest.get(plain + 1).map_or(0, |byte| SIMPLE[usize::from(*byte)]);
            if let (1.., Some(room)) = (simple, text.get_mut(to)) {
                *room = simple;
                to += 1;
                at += 2;
                continue;
            }
            let Some((c, length)) = self.inner.get(at..).and_then(escape) else { break };
            if let Some(room) = text.get_mut(to..to + c.len_utf8()) {
                c.encode_utf8(room);
            }
            to += c.len_utf8();
            at += length;
        }
        text.truncate(to);
    }

    /// The size of [`decode`](Self::decode)'s result, without building it: the size of the
    /// literal, less the surplus of its escapes over the characters they stand for.
    pub(crate) fn size(self) -> TextSize {
        let (chars, bytes) = (self.inner.chars().count(), self.inner.len());
        let saved = if self.escaped { self.saved() } else { TextSize::default() };
        TextSize { chars: chars as u64 - saved.chars, utf8_bytes: bytes as u64 - saved.utf8_bytes }
    }

    /// The surplus of the escapes over their characters. All but `\u` escapes take two bytes
    /// for one, so these are only counted, a block of bytes at a time.
    fn saved(self) -> TextSize {
        let text = self.inner.as_bytes();
        let (mut saved, mut start) = (TextSize::default(), 0);
        while start < text.len() {
            let block = BlockMasks::of(text, start);
            let escaped = block.escaped();
            let units = escaped & equal(text, start, b'u');
            let short = u64::from((escaped & units.wrapping_sub(1) & !units).count_ones());
            saved += TextSize { chars: short, utf8_bytes: short };
            if units == 0 {
                // An escape whose backslash ends the block is left for the next block.
                let cut = block.slashes & !escaped & LAST != 0;
                start += BLOCK - usize::from(cut);
                continue;
            }
            start += units.trailing_zeros() as usize - 1;
            let Some((c, length)) = self.inner.get(start..).and_then(escape) else { break };
            start += length;
            saved.chars += length as u64 - 1;
            saved.utf8_bytes += (length - c.len_utf8()) as u64;
        }
        saved
    }
}

/// What a byte behind a backslash stands for; 0 for `u`.
const SIMPLE: [u8; 256] = {
    let (mut bytes, mut at) = ([0; 256], 0_u8);
    while at < u8::MAX {
        bytes[at as usize] = match at {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 0x8,
            b'f' => 0xC,
            b'u' | 0x80.. => 0,
            other => other,
        };
        at += 1;
    }
    bytes
};

/// The character of the escape that `text` starts with, and how many bytes it
/// takes; `None` at the end of the text.
fn escape(text: &str) -> Option<(char, usize)> {
    match SIMPLE[usize::from(*text.as_bytes().get(1)?)] {
        0 => Some(unicode_escape(text)),
        simple => Some((char::from(simple), 2)),
    }
}

fn unicode_escape(text: &str) -> (char, usize) {
    let unit = code_unit(text).unwrap_or(0xFFFD);
    if let Some(c) = char::from_u32(unit) {
        return (c, 6);
    }
    let low = text.get(6..).filter(|next| next.starts_with("\\u")).and_then(code_unit);
    match low {
        Some(low @ 0xDC00..=0xDFFF) if unit < 0xDC00 => {
            let scalar = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            (char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
        }
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}

/// The four hexadecimal digits after `\u`.
fn code_unit(text: &str) -> Option<u32> {
    u32::from_str_radix(text.get(2..6)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(inner: &str) -> RawStr<'_> {
        RawStr { inner, escaped: inner.contains('\\') }
    }

    #[test]
    fn escapes_decode() {
        assert_eq!(raw(r#"a\n\t\r\b\f\"\\\/b"#).decode(), "a\n\t\r\u{8}\u{c}\"\\/b");
        assert_eq!(raw(r"\u00e9\u20AC\ud83d\ude00").decode(), "é€😀");
    }

    #[test]
    fn a_lone_surrogate_is_one_replacement_character() {
        for (inner, text) in [
            (r"\ud83d", "\u{fffd}"),
            (r"\ude00x", "\u{fffd}x"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\ud83d\n", "\u{fffd}\n"),
            (r"\ud83d\u0041", "\u{fffd}A"),
        ] {
            assert_eq!(raw(inner).decode(), text, "{inner}");
        }
    }

    #[test]
    fn the_size_is_that_of_the_decoded_text() {
        let sized = |inner: &str| {
            let text = raw(inner).decode().into_owned();
            let size = TextSize { chars: text.chars().count() as u64, utf8_bytes: text.len() as u64 };
            assert_eq!(raw(inner).size(), size, "{inner}");
        };
        let pieces =
            ["", "abc", "é😀", r"\u00e9\ud83d\ude00", r"\ud83d x\n", r"日本\\語", r"\\\\u", r"\ude00\n"];
        for piece in pieces {
            sized(piece);
            // At every place of a block, and over its end.
            for before in 0..2 * BLOCK {
                sized(&format!("{}{piece}{piece}z", "y".repeat(before)));
                sized(&format!("{}{piece}{piece}{}", r"\n".repeat(before), "z".repeat(BLOCK)));
            }
        }
    }
}
