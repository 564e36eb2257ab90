//! Finds quotes, control characters and backslashes in 64 bytes of JSON text at a time.
//!
//! There is one bit for each byte. The bits depend on these bytes alone, not on earlier
//! ones, so a block can be read from any position in it. The vectors
//! are sixteen bytes wide, which every x86-64 (SSE2) and every 64-bit ARM (NEON)
//! has; elsewhere the same code runs on arrays.

use wide::u8x16;

/// The size of a block in bytes.
pub(crate) const BLOCK: usize = 64;

/// The last byte of a block.
pub(super) const LAST: u64 = 1 << 63;

/// The positions of special bytes in a block: bit 0 is the first byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockMasks {
    /// Quotes and control characters.
    pub(super) stops: u64,
    /// Backslashes.
    pub(super) slashes: u64,
}

impl BlockMasks {
    /// The block of `text` that begins at `start`. Bytes after the end of the text have no bits.
    #[inline]
    pub(super) fn of(text: &[u8], start: usize) -> Self {
        let rest = text.get(start..).unwrap_or_default();
        rest.first_chunk().map_or_else(|| Self::of_whole(&padded(rest)), Self::of_whole)
    }

    #[inline]
    fn of_whole(bytes: &[u8; BLOCK]) -> Self {
        let stops = mask(bytes, |part| {
            let controls = part.min(u8x16::splat(0x1f)).cmp_eq(part);
            part.cmp_eq(u8x16::splat(b'"')) | controls
        });
        Self { stops, slashes: mask(bytes, |part| part.cmp_eq(u8x16::splat(b'\\'))) }
    }

    /// The block without its first `count` bytes, which are fewer than all.
    #[inline]
    pub(super) fn from(self, count: usize) -> Self {
        let kept = u64::MAX << count;
        Self { stops: self.stops & kept, slashes: self.slashes & kept }
    }

    /// The bytes before the first stop.
    #[inline]
    pub(super) fn before_stop(self) -> u64 {
        self.stops.wrapping_sub(1) & !self.stops
    }

    /// What stands behind a backslash that is not escaped itself, where the block
    /// begins with no escape. Of a run of backslashes every second one escapes:
    /// a subtraction that borrows through the run tells which, as simdjson does.
    #[inline]
    pub(super) fn escaped(self) -> u64 {
        const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
        let behind = self.slashes << 1;
        (((behind | ODD).wrapping_sub(self.slashes)) ^ ODD) ^ self.slashes
    }
}

/// Where the block that begins at `start` has a byte that makes an escape as it
/// stands, one of the frequent ones.
#[inline]
pub(super) fn usual_escapes(text: &[u8], start: usize) -> u64 {
    let Some(bytes) = text.get(start..).and_then(<[u8]>::first_chunk) else { return 0 };
    mask(bytes, |part| {
        let is = |byte| part.cmp_eq(u8x16::splat(byte));
        (is(b'n') | is(b'"')) | (is(b't') | is(b'\\'))
    })
}

/// Where the block that begins at `start` has this byte, which is no space.
#[inline]
pub(crate) fn equal(text: &[u8], start: usize, byte: u8) -> u64 {
    let rest = text.get(start..).unwrap_or_default();
    let equal = |bytes: &[u8; BLOCK]| mask(bytes, |part| part.cmp_eq(u8x16::splat(byte)));
    rest.first_chunk().map_or_else(|| equal(&padded(rest)), equal)
}

/// How many bytes [`run`] looks at.
pub(super) const RUN: usize = 16;

/// The first bytes of `text`, and how many of them stand before the first backslash.
#[inline]
pub(super) fn run(text: &[u8]) -> ([u8; RUN], usize) {
    let mut run = [0; RUN];
    match text.first_chunk() {
        Some(first) => run = *first,
        None => run.iter_mut().zip(text).for_each(|(to, from)| *to = *from),
    }
    let slashes = bits(u8x16::new(run).cmp_eq(u8x16::splat(b'\\')));
    let plain = (slashes | 1 << RUN).trailing_zeros() as usize;
    (run, plain.min(text.len()))
}

/// One bit for each byte of a block.
#[inline]
fn mask(bytes: &[u8; BLOCK], of: impl Fn(u8x16) -> u8x16) -> u64 {
    let (parts, _) = bytes.as_chunks();
    parts.iter().enumerate().fold(0, |all, (at, part)| all | bits(of(u8x16::new(*part))) << (16 * at))
}

/// The end of a text, padded to a block with spaces.
#[cold]
fn padded(rest: &[u8]) -> [u8; BLOCK] {
    let mut whole = [b' '; BLOCK];
    whole.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    whole
}

/// How many bytes of white space `text` has from `at` on. The usual case, a new line and its
/// indent, takes one vector comparison and no branch on its length.
#[inline]
pub(super) fn blank_length(text: &[u8], at: usize) -> usize {
    let mut end = at;
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(end) {
        end += 1;
        end += leading_spaces(text.get(end..).unwrap_or_default());
    }
    end - at
}

/// How many spaces `bytes` begins with, up to the width of one vector.
#[inline]
fn leading_spaces(bytes: &[u8]) -> usize {
    let Some(bytes) = bytes.first_chunk::<32>() else { return 0 };
    let (parts, _) = bytes.as_chunks();
    let spaces = parts
        .iter()
        .enumerate()
        .fold(0, |all, (at, part)| all | bits(u8x16::new(*part).cmp_eq(u8x16::splat(b' '))) << (16 * at));
    spaces.trailing_ones() as usize
}

#[inline]
fn bits(mask: u8x16) -> u64 {
    u64::from(mask.move_mask().cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, byte by byte.
    fn slowly(text: &[u8]) -> (u64, u64) {
        let bits = |wanted: fn(u8) -> bool| {
            text.iter()
                .take(BLOCK)
                .enumerate()
                .filter(|(_, byte)| wanted(**byte))
                .fold(0, |all, (at, _)| all | 1 << at)
        };
        (bits(|byte| byte == b'"' || byte < 0x20), bits(|byte| byte == b'\\'))
    }

    #[test]
    fn every_second_backslash_of_a_run_escapes() {
        for bits in 0..1_u64 << 16 {
            // At both ends of the block, and whatever comes behind.
            for slashes in [bits, bits << 48, bits | 1 << 40, bits << 20 | 0b11 << 61] {
                let mut expected = 0_u64;
                for at in 0..63 {
                    let escapes = slashes >> at & 1 == 1 && expected >> at & 1 == 0;
                    expected |= u64::from(escapes) << (at + 1);
                }
                assert_eq!(BlockMasks { stops: 0, slashes }.escaped(), expected, "{slashes:b}");
            }
        }
    }

    #[test]
    fn white_space_is_counted_up_to_whatever_else_stands_there() {
        for length in 0..100 {
            for byte in 0..=u8::MAX {
                let blank = matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
                let mut text: Vec<u8> = b" \n\t\r".iter().copied().cycle().take(length).collect();
                assert_eq!(blank_length(&text, 0), length);
                text.extend([byte, b'x']);
                assert_eq!(blank_length(&text, 0), length + usize::from(blank), "{byte} behind {length}");
                text.extend([b'x'; 40]);
                assert_eq!(blank_length(&text, 0), length + usize::from(blank), "{byte} behind {length}");
            }
        }
    }

    #[test]
    fn every_byte_at_every_place_is_told_apart() {
        for at in 0..BLOCK {
            for byte in 0..=u8::MAX {
                let mut text = [b'x'; BLOCK + 1];
                text[at] = byte;
                for length in [BLOCK + 1, BLOCK, at + 1] {
                    let block = BlockMasks::of(&text[..length], 0);
                    assert_eq!(
                        (block.stops, block.slashes),
                        slowly(&text[..length]),
                        "{byte} at {at} of {length}"
                    );
                }
            }
        }
    }
}
