//! What stands around a whole log: another encoding, or the records of a container's log driver.
//!
//! ```text
//! FF FE 5B 00 32 00 …                                             UTF-16, as `>>` of Windows PowerShell 5 writes
//! {"log":"slot …\n","stream":"stderr","time":"2026-09-11T00:04:26.123Z"}     Docker's driver `json-file`
//! ```

use std::borrow::Cow;

use memchr::memchr;
use serde::Deserialize;

/// Marks of byte order at the beginning of a file in UTF-16, and whether the larger byte is first.
const BYTE_ORDERS: [(&[u8], bool); 2] = [(&[0xFF, 0xFE], false), (&[0xFE, 0xFF], true)];
/// How lines of Docker begin.
const DOCKER: [&[u8]; 2] = [b"{\"log\":\"", b"{\"log\": \""];
/// Docker divides lines of more than 16 KB. Escaped, a byte takes six at most.
const LONGEST_RECORD: usize = 1 << 18;

/// Takes off what is around a log, in chunks of any size and constant memory.
#[derive(Debug, Default, Clone)]
pub(super) struct Unwrapper {
    wrapping: Wrapping,
    /// Bytes of the file, and of the log in it.
    bytes: (u64, u64),
}

#[derive(Debug, Clone)]
enum Wrapping {
    /// The beginning of a file, too short to tell.
    Unknown(Vec<u8>),
    None,
    Utf16(Utf16),
    Docker(DockerRecords),
}

impl Default for Wrapping {
    fn default() -> Self {
        Self::Unknown(Vec::new())
    }
}

impl Wrapping {
    /// That of a file that begins so; `None` where more of it tells.
    fn of(beginning: &[u8], is_all: bool) -> Option<Self> {
        let marks = BYTE_ORDERS.map(|(mark, _)| mark).into_iter().chain(DOCKER);
        let is_cut =
            marks.into_iter().any(|mark| beginning.len() < mark.len() && mark.starts_with(beginning));
        if is_cut && !is_all {
            return None;
        }
        if let Some((_, is_big_endian)) = BYTE_ORDERS.iter().find(|(mark, _)| beginning.starts_with(mark)) {
            return Some(Self::Utf16(Utf16 { is_big_endian: *is_big_endian, half: None, high: None }));
        }
        let is_docker = DOCKER.iter().any(|mark| beginning.starts_with(mark));
        Some(if is_docker { Self::Docker(DockerRecords::default()) } else { Self::None })
    }
}

impl Unwrapper {
    /// Hands over the text of the next bytes of a file.
    #[inline]
    pub(super) fn feed(&mut self, chunk: &[u8], take: &mut impl FnMut(&[u8])) {
        if matches!(self.wrapping, Wrapping::None) {
            return take(chunk);
        }
        self.bytes.0 += chunk.len() as u64;
        if let Wrapping::Unknown(beginning) = &mut self.wrapping {
            beginning.extend_from_slice(chunk);
            let Some(wrapping) = Wrapping::of(beginning, false) else { return };
            self.begin(wrapping, take);
        } else {
            self.unwrap(chunk, take);
        }
    }

    /// Ends the file. What comes next is the beginning of another.
    pub(super) fn finish(&mut self, take: &mut impl FnMut(&[u8])) {
        if let Wrapping::Unknown(beginning) = &self.wrapping {
            let wrapping = Wrapping::of(beginning, true).unwrap_or(Wrapping::None);
            self.begin(wrapping, take);
        }
        if let Wrapping::Docker(records) = &mut self.wrapping {
            let mut text = Vec::new();
            records.finish(&mut text);
            self.give(&text, take);
        }
        self.wrapping = Wrapping::default();
    }

    /// How many bytes a file has whose log has so many.
    pub(super) fn bytes_of_file(&self, bytes: u64) -> u64 {
        (bytes + self.bytes.0).saturating_sub(self.bytes.1)
    }

    fn begin(&mut self, wrapping: Wrapping, take: &mut impl FnMut(&[u8])) {
        let Wrapping::Unknown(beginning) = std::mem::replace(&mut self.wrapping, wrapping) else { return };
        let mark = if matches!(self.wrapping, Wrapping::Utf16(_)) { BYTE_ORDERS[0].0.len() } else { 0 };
        self.unwrap(beginning.get(mark..).unwrap_or_default(), take);
    }

    fn unwrap(&mut self, chunk: &[u8], take: &mut impl FnMut(&[u8])) {
        let mut text = Vec::new();
        match &mut self.wrapping {
            Wrapping::Utf16(decoder) => decoder.decode(chunk, &mut text),
            Wrapping::Docker(records) => records.read(chunk, &mut text),
            Wrapping::Unknown(_) | Wrapping::None => return self.give(chunk, take),
        }
        self.give(&text, take);
    }

    fn give(&mut self, text: &[u8], take: &mut impl FnMut(&[u8])) {
        self.bytes.1 += text.len() as u64;
        take(text);
    }
}

/// Makes UTF-8 of UTF-16.
#[derive(Debug, Clone)]
struct Utf16 {
    is_big_endian: bool,
    /// The first byte of a unit.
    half: Option<u8>,
    /// The first unit of a pair.
    high: Option<u16>,
}

impl Utf16 {
    fn decode(&mut self, chunk: &[u8], text: &mut Vec<u8>) {
        let bytes: Vec<u8> = self.half.take().into_iter().chain(chunk.iter().copied()).collect();
        let (pairs, rest) = bytes.as_chunks::<2>();
        self.half = rest.first().copied();
        let unit = if self.is_big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
        let mut units: Vec<u16> =
            self.high.take().into_iter().chain(pairs.iter().map(|pair| unit(*pair))).collect();
        self.high = units.pop_if(|unit| (0xD800..0xDC00).contains(unit));
        for decoded in char::decode_utf16(units) {
            let decoded = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
            text.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// Makes lines of the records of Docker, each behind its time.
#[derive(Debug, Default, Clone)]
struct DockerRecords {
    /// A record that has not ended.
    record: Vec<u8>,
    /// The line goes on that the last record began.
    is_in_line: bool,
}

#[derive(Deserialize)]
struct DockerRecord<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Option<Cow<'a, str>>,
}

impl DockerRecords {
    fn read(&mut self, mut chunk: &[u8], text: &mut Vec<u8>) {
        while let Some(end) = memchr(b'\n', chunk) {
            let (line, rest) = chunk.split_at(end + 1);
            self.record.extend_from_slice(line);
            self.finish(text);
            chunk = rest;
        }
        self.record.extend_from_slice(chunk);
        if self.record.len() > LONGEST_RECORD {
            self.finish(text);
        }
    }

    /// The text of the record; what is none stays as it is.
    fn finish(&mut self, text: &mut Vec<u8>) {
        match serde_json::from_slice::<DockerRecord<'_>>(&self.record) {
            Ok(record) => {
                if let Some(time) = record.time.filter(|_| !self.is_in_line) {
                    text.extend_from_slice(time.as_bytes());
                    text.push(b' ');
                }
                text.extend_from_slice(record.log.as_bytes());
                self.is_in_line = !record.log.ends_with('\n');
            }
            Err(_) => text.extend_from_slice(&self.record),
        }
        self.record.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn unwrapped(file: &[u8], size: usize) -> String {
        let (mut text, mut unwrapper) = (Vec::new(), Unwrapper::default());
        let mut take = |chunk: &[u8]| text.extend_from_slice(chunk);
        file.chunks(size).for_each(|chunk| unwrapper.feed(chunk, &mut take));
        unwrapper.finish(&mut take);
        let wrapped = unwrapper.bytes.0 > 0;
        if wrapped {
            assert_eq!(unwrapper.bytes_of_file(text.len() as u64), file.len() as u64);
        }
        String::from_utf8(text).unwrap()
    }

    /// Whatever the size of the chunks.
    #[track_caller]
    fn check(file: &[u8], text: &str) {
        for size in [1, 2, 3, 5, 7, 8, 11, file.len().max(1)] {
            assert_eq!(unwrapped(file, size), text, "chunks of {size}");
        }
    }

    #[test]
    fn utf_16_of_either_order_is_read_as_its_text() {
        let text = "[2026-06-24 13:09:41][DEBUG] Grüße, 日本語 𝄞\r\n{\"a\": 1}\n";
        for (mark, bytes) in
            [([0xFF, 0xFE], u16::to_le_bytes as fn(u16) -> [u8; 2]), ([0xFE, 0xFF], u16::to_be_bytes)]
        {
            let mut file = mark.to_vec();
            file.extend(text.encode_utf16().flat_map(bytes));
            check(&file, text);
        }
        // Half of a pair, and half of a unit at the end.
        check(&[0xFF, 0xFE, 0x00, 0xD8, b'a', 0, b'b', 0, b'c'], "\u{FFFD}ab");
        check(&[0xFF, 0xFE], "");
    }

    #[test]
    fn records_of_docker_are_lines_behind_their_time() {
        let file = "{\"log\":\"slot a \\\"x\\\"\\n\",\"stream\":\"stderr\",\"time\":\"2026-09-11T00:04:26.123456789Z\"}\n\
                    {\"log\": \"one \", \"stream\": \"stdout\", \"attrs\": {\"a\": \"b\"}, \"time\": \"T1\"}\n\
                    {\"log\": \"line\\n\", \"time\": \"T2\"}\n\
                    Dear diary\n\
                    {\"log\":\"no time\\n\"}\n\
                    {\"log\":\"cut";
        let text =
            "2026-09-11T00:04:26.123456789Z slot a \"x\"\nT1 one line\nDear diary\nno time\n{\"log\":\"cut";
        check(file.as_bytes(), text);
    }

    proptest! {
        /// No byte is lost or counted twice, and pieces make no difference.
        #[test]
        fn any_bytes_behind_a_mark_are_read(
            mark in 0..4_usize,
            parts in vec(prop_oneof![
                vec(any::<u8>(), 0..9),
                Just(b"{\"log\":\"slot\\n\",\"time\":\"T\"}\n".to_vec()),
                Just(b"{\"log\": \"cut \"}\n".to_vec()),
            ], 0..9),
            size in 1..40_usize,
        ) {
            let mark = BYTE_ORDERS.map(|(mark, _)| mark).into_iter().chain(DOCKER).nth(mark).unwrap();
            let file = [mark, &parts.concat()].concat();
            let read = |size: usize| {
                let (mut text, mut unwrapper) = (Vec::new(), Unwrapper::default());
                let mut take = |chunk: &[u8]| text.extend_from_slice(chunk);
                file.chunks(size).for_each(|chunk| unwrapper.feed(chunk, &mut take));
                unwrapper.finish(&mut take);
                assert_eq!(unwrapper.bytes_of_file(text.len() as u64), file.len() as u64);
                text
            };
            prop_assert_eq!(read(size), read(file.len()));
        }
    }

    #[test]
    fn any_other_file_is_handed_over_as_it_is() {
        for file in ["", "{", "{\"log\"", "{\"log\":1}\n{\"log\":\"a\"}", "slot a\n", "\u{FEFF}a", "\n"] {
            check(file.as_bytes(), file);
        }
        let long = format!("{{\"log\":\"{}", "x".repeat(2 * LONGEST_RECORD));
        assert_eq!(unwrapped(long.as_bytes(), 1_000), long);
    }
}
