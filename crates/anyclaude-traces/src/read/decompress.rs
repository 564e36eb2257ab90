//! Files that are compressed with gzip or zstd, which their first bytes tell.

use std::io::{self, Read as _};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use crate::error::ErrorKind;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// A frame that is to be skipped begins with its magic number and its length.
const SKIP_HEADER_BYTES: usize = 8;
/// No header of a frame is longer.
const LONGEST_HEADER_BYTES: usize = 18;
/// How much memory is asked for at once: a small file may claim to hold very much.
const CHUNK_BYTES: usize = 1 << 18;

/// What a compressed file holds, of at most so many bytes; `None` where it is not
/// compressed.
///
/// # Errors
///
/// When it is cut, damaged, or holds more.
pub(super) fn decompress(bytes: &[u8], limit: u64) -> Result<Option<Vec<u8>>, ErrorKind> {
    if !is_compressed(bytes) {
        return Ok(None);
    }
    let mut content: Vec<u8> = Vec::new();
    decompress_to(bytes, limit, &mut |chunk| {
        let bytes = (content.len() + chunk.len()) as u64;
        content.try_reserve(chunk.len()).map_err(|_| ErrorKind::OutOfMemory { bytes })?;
        content.extend_from_slice(chunk);
        Ok(())
    })?;
    Ok(Some(content))
}

/// Whether a file that begins like this is compressed.
pub(super) fn is_compressed(bytes: &[u8]) -> bool {
    bytes.starts_with(&GZIP) || bytes.starts_with(&ZSTD)
}

/// Takes what was decompressed next.
type Take<'t> = dyn FnMut(&[u8]) -> Result<(), ErrorKind> + 't;

/// Hands over what a compressed file holds, in chunks, of at most so many bytes together.
///
/// # Errors
///
/// When it is cut, damaged, or holds more. What comes before that was handed over.
pub(super) fn decompress_to(bytes: &[u8], limit: u64, take: &mut Take<'_>) -> Result<(), ErrorKind> {
    let mut decompressor = Decompressor::default();
    let mut content = decompressor.content(bytes);
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut left = limit;
    loop {
        let count = content.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        let within = usize::try_from(left).unwrap_or(usize::MAX).min(count);
        take(chunk.get(..within).unwrap_or_default())?;
        if within < count {
            return Err(ErrorKind::DecompressedTooLarge { limit });
        }
        left -= within as u64;
    }
}

/// What decompresses one file after the other in the same memory: to grow anew for each what
/// zstd looks back at took a third of the time of files of 5 MB.
#[derive(Default)]
pub(super) struct Decompressor {
    zstd: FrameDecoder,
}

impl Decompressor {
    /// What a compressed file holds.
    pub(super) fn content<'c>(&'c mut self, bytes: &'c [u8]) -> Content<'c> {
        if bytes.starts_with(&ZSTD) {
            Content::Zstd(Frames { decoder: &mut self.zstd, rest: bytes, is_in_frame: false })
        } else {
            Content::Gzip(Box::new(MultiGzDecoder::new(bytes)))
        }
    }
}

/// What a compressed file holds, from its beginning to its end.
pub(super) enum Content<'c> {
    Gzip(Box<MultiGzDecoder<&'c [u8]>>),
    Zstd(Frames<'c>),
}

impl Content<'_> {
    /// The next bytes, as many as there is room for or fewer; 0 at the end.
    ///
    /// # Errors
    ///
    /// When the file is cut or damaged.
    pub(super) fn read(&mut self, room: &mut [u8]) -> Result<usize, ErrorKind> {
        match self {
            Self::Gzip(members) => members.read(room).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => ErrorKind::CutCompressed,
                _ => ErrorKind::DamagedCompressed,
            }),
            Self::Zstd(frames) => frames.read(room),
        }
    }
}

/// The frames of zstd, one after the other.
pub(super) struct Frames<'c> {
    decoder: &'c mut FrameDecoder,
    rest: &'c [u8],
    is_in_frame: bool,
}

impl Frames<'_> {
    fn read(&mut self, room: &mut [u8]) -> Result<usize, ErrorKind> {
        loop {
            if !self.is_in_frame && !self.next_frame()? {
                return Ok(0);
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let read = self.decoder.decode_blocks(&mut self.rest, BlockDecodingStrategy::UptoBlocks(1));
                read.map_err(|_| self.cut_or_damaged())?;
            }
            let count = self.decoder.read(room).map_err(|_| ErrorKind::DamagedCompressed)?;
            if count > 0 || room.is_empty() {
                return Ok(count);
            }
            if !self.has_its_checksum() {
                return Err(ErrorKind::DamagedCompressed);
            }
            self.is_in_frame = false;
        }
    }

    /// Whether a frame that was read to its end holds what its checksum says, if it has one.
    fn has_its_checksum(&self) -> bool {
        let written = self.decoder.get_checksum_from_data();
        written.is_none_or(|checksum| self.decoder.get_calculated_checksum() == Some(checksum))
    }

    /// Goes on to the next frame that is not to be skipped; false where there is none.
    fn next_frame(&mut self) -> Result<bool, ErrorKind> {
        while !self.rest.is_empty() {
            let frame = self.rest;
            match self.decoder.init(&mut self.rest) {
                Ok(()) => {
                    self.is_in_frame = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let bytes =
                        usize::try_from(length).unwrap_or(usize::MAX).saturating_add(SKIP_HEADER_BYTES);
                    self.rest = frame.get(bytes..).ok_or(ErrorKind::CutCompressed)?;
                }
                Err(_) if frame.len() < LONGEST_HEADER_BYTES => return Err(ErrorKind::CutCompressed),
                Err(_) => return Err(ErrorKind::DamagedCompressed),
            }
        }
        Ok(false)
    }

    /// The decoder does not tell a cut from damage; at a cut, all was read.
    fn cut_or_damaged(&self) -> ErrorKind {
        if self.rest.is_empty() { ErrorKind::CutCompressed } else { ErrorKind::DamagedCompressed }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        compress_to_vec(content, CompressionLevel::Fastest)
    }

    #[test]
    fn members_and_frames_follow_one_another() {
        for compress in [gzip, zstd] {
            let both = [compress(b"one "), compress(b"two")].concat();
            assert_eq!(decompress(&both, 100).unwrap().unwrap(), b"one two");
        }
        assert_eq!(decompress(b"{}", 100).unwrap(), None);
        let skippable = [&zstd(b"one")[..], b"\x50\x2a\x4d\x18\x02\0\0\0xx", &zstd(b"two")].concat();
        assert_eq!(decompress(&skippable, 100).unwrap().unwrap(), b"onetwo");
    }

    #[test]
    fn a_flipped_bit_is_damage_wherever_it_stands() {
        let content: Vec<u8> =
            (0..24_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for compressed in [gzip(&content), zstd(&content)] {
            // Behind the magic number, by which a file is known to be compressed.
            for bit in 32..compressed.len() * 8 {
                let mut damaged = compressed.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                let read = decompress(&damaged, 10_000);
                let is_as_before = matches!(&read, Ok(Some(read)) if *read == content);
                assert!(is_as_before || read.is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn one_decompressor_reads_file_after_file() {
        let texts: Vec<Vec<u8>> = (1..9_u8)
            .map(|n| b"words and ".repeat(usize::from(n) * 40_000))
            .chain([b"short".to_vec()])
            .collect();
        let mut decompressor = Decompressor::default();
        let mut read = |file: &[u8]| {
            let (mut content, mut found) = (decompressor.content(file), Vec::new());
            let mut room = vec![0; 70_000];
            loop {
                match content.read(&mut room)? {
                    0 => return Ok::<_, ErrorKind>(found),
                    count => found.extend_from_slice(&room[..count]),
                }
            }
        };
        for compress in [gzip, zstd] {
            for text in &texts {
                let file = compress(text);
                assert!(read(&file).unwrap() == *text);
                // What is left of a file that was given up is no part of the next.
                assert!(matches!(read(&file[..file.len() / 2]), Err(ErrorKind::CutCompressed)));
            }
        }
    }

    #[test]
    fn what_is_cut_anywhere_or_damaged_is_an_error() {
        let text: Vec<u8> = (0..=250).cycle().take(2_000).collect();
        for compress in [gzip, zstd] {
            let whole = compress(&text);
            for end in 4..whole.len() {
                let cut = decompress(&whole[..end], 1 << 20);
                assert!(matches!(cut, Err(ErrorKind::CutCompressed)), "{end} of {}: {cut:?}", whole.len());
            }
            for at in 4..whole.len() {
                let mut damaged = whole.clone();
                damaged[at] ^= 0x55;
                // It must come to an end, whatever that is.
                let _ = decompress(&damaged, 1 << 20);
            }
        }
    }

    #[test]
    fn a_bomb_is_left_as_soon_as_it_is_known() {
        let large = vec![0; 64 << 20];
        for compress in [gzip, zstd] {
            let bomb = compress(&large);
            assert!(bomb.len() < 1 << 18, "{}", bomb.len());
            assert!(matches!(
                decompress(&bomb, 1 << 20),
                Err(ErrorKind::DecompressedTooLarge { limit: 1_048_576 })
            ));
        }
    }
}
