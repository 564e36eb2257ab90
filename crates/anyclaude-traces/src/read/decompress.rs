//! Files that are compressed with gzip or zstd, which their first bytes tell.

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

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
    let mut content = Decompressed { bytes: 0, limit, take };
    if bytes.starts_with(&ZSTD) {
        return read_zstd(bytes, &mut content);
    }
    content.read_all(MultiGzDecoder::new(bytes), |error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ErrorKind::CutCompressed,
        _ => ErrorKind::DamagedCompressed,
    })
}

/// Reads all frames, one after the other.
fn read_zstd(mut bytes: &[u8], content: &mut Decompressed<'_, '_>) -> Result<(), ErrorKind> {
    while !bytes.is_empty() {
        match StreamingDecoder::new(bytes) {
            Ok(mut frame) => {
                let read = content.read_all(&mut frame, |_| ErrorKind::DamagedCompressed);
                bytes = frame.into_inner();
                read.map_err(|error| match error {
                    // The decoder does not tell a cut from damage; at a cut, all was read.
                    ErrorKind::DamagedCompressed if bytes.is_empty() => ErrorKind::CutCompressed,
                    other => other,
                })?;
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => {
                let frame = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(SKIP_HEADER_BYTES);
                bytes = bytes.get(frame..).ok_or(ErrorKind::CutCompressed)?;
            }
            Err(_) if bytes.len() < LONGEST_HEADER_BYTES => return Err(ErrorKind::CutCompressed),
            Err(_) => return Err(ErrorKind::DamagedCompressed),
        }
    }
    Ok(())
}

/// What was decompressed so far, and who takes it.
struct Decompressed<'c, 't> {
    bytes: u64,
    limit: u64,
    take: &'c mut Take<'t>,
}

impl Decompressed<'_, '_> {
    fn read_all(
        &mut self,
        mut from: impl Read,
        refuse: impl Fn(io::Error) -> ErrorKind,
    ) -> Result<(), ErrorKind> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match from.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    self.bytes = self.bytes.saturating_add(count as u64);
                    if self.bytes > self.limit {
                        return Err(ErrorKind::DecompressedTooLarge { limit: self.limit });
                    }
                    (self.take)(chunk.get(..count).unwrap_or_default())?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(refuse(error)),
            }
        }
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
