//! Server-sent events, read as the bytes of a stream arrive.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>, section
//! “Interpreting an event stream”.

use std::borrow::Cow;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SseEvent<'a> {
    /// Its type; `None` where the stream gives none.
    pub name: Option<Cow<'a, str>>,
    /// Its `data` lines, joined by line feeds. Bytes that are not UTF-8 are replaced.
    pub data: Cow<'a, str>,
}

impl<'a> SseEvent<'a> {
    /// An event of this type, with this data.
    #[must_use]
    pub fn new(name: Option<&'a str>, data: &'a str) -> Self {
        Self { name: name.map(Cow::Borrowed), data: Cow::Borrowed(data) }
    }
}

/// A line or an event is longer than the reader's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {} MB", max_event_bytes / 1_000_000)]
#[non_exhaustive]
pub struct TooLong {
    /// The limit.
    pub max_event_bytes: usize,
}

/// Takes the bytes of a stream in pieces of any size, and gives its events.
///
/// Lines end in LF, CRLF or CR. Comments, `id` and `retry` are ignored. Unlike a
/// browser, [`finish`](Self::finish) gives an event that the end cuts short.
///
/// ```
/// use anyclaude_traces::formats::sse::{SseEvent, EventReader};
///
/// let mut reader = EventReader::new(8_000_000);
/// let mut piece: &[u8] = b"event: ping\r\nda";
/// assert_eq!(reader.read_event(&mut piece)?, None);
/// let mut piece: &[u8] = b"ta: {}\r\n\r\ndata: cut";
/// assert_eq!(reader.read_event(&mut piece)?, Some(SseEvent::new(Some("ping"), "{}")));
/// assert_eq!(reader.read_event(&mut piece)?, None);
/// assert_eq!(reader.finish()?, Some(SseEvent::new(None, "cut")));
/// # Ok::<(), anyclaude_traces::formats::sse::TooLong>(())
/// ```
#[derive(Debug)]
pub struct EventReader {
    max_event_bytes: usize,
    /// The beginning of a line that a piece has cut.
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    /// Whether the event has data, which may be empty.
    has_data: bool,
    /// Whether the last call has returned the event.
    is_returned: bool,
    /// Whether the last byte was a CR, so that an LF belongs to the same line end.
    after_cr: bool,
    /// Whether a line was read, so that no byte order mark can follow.
    begun: bool,
}

impl EventReader {
    /// A reader that fails at a line, or at the data of an event, of more bytes than this.
    #[must_use]
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            max_event_bytes,
            line: Vec::new(),
            name: Vec::new(),
            data: Vec::new(),
            has_data: false,
            is_returned: false,
            after_cr: false,
            begun: false,
        }
    }

    /// Takes bytes up to the end of the next event, and returns that event. `None`: all
    /// bytes are taken, and the event goes on in the next piece.
    ///
    /// # Errors
    ///
    /// When a line or an event is too long. The stream cannot be read on then.
    pub fn read_event(&mut self, bytes: &mut &[u8]) -> Result<Option<SseEvent<'_>>, TooLong> {
        self.forget_returned();
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr) {
                *bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) else {
                self.extend_line(bytes)?;
                *bytes = &[];
                break;
            };
            let (line, rest) = bytes.split_at(end);
            self.after_cr = rest.first() == Some(&b'\r');
            *bytes = rest.get(1..).unwrap_or_default();
            if self.take_line(line)? {
                return Ok(self.returned());
            }
        }
        Ok(None)
    }

    /// Ends the stream, and returns the event that no empty line has ended.
    ///
    /// # Errors
    ///
    /// When that event is too long.
    pub fn finish(&mut self) -> Result<Option<SseEvent<'_>>, TooLong> {
        self.forget_returned();
        if !self.line.is_empty() {
            self.take_line(b"")?;
        }
        Ok(self.returned())
    }

    /// The event that the lines so far make, if they hold data.
    fn returned(&mut self) -> Option<SseEvent<'_>> {
        self.is_returned = true;
        let name = (!self.name.is_empty()).then(|| text(&self.name));
        self.has_data.then(|| SseEvent { name, data: text(&self.data) })
    }

    fn forget_returned(&mut self) {
        if std::mem::take(&mut self.is_returned) {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.name.clear();
        self.data.clear();
        self.has_data = false;
    }

    fn check(&self, bytes: usize) -> Result<(), TooLong> {
        let max_event_bytes = self.max_event_bytes;
        if bytes > max_event_bytes { Err(TooLong { max_event_bytes }) } else { Ok(()) }
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        self.check(self.line.len().saturating_add(bytes.len()))?;
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    /// Takes a line that ends in these bytes; whether it ends an event. A line that lies
    /// whole in one piece is not copied.
    fn take_line(&mut self, end: &[u8]) -> Result<bool, TooLong> {
        if self.line.is_empty() {
            self.check(end.len())?;
            return self.field(end);
        }
        self.extend_line(end)?;
        let mut line = std::mem::take(&mut self.line);
        let ends_event = self.field(&line);
        line.clear();
        self.line = line;
        ends_event
    }

    fn field(&mut self, line: &[u8]) -> Result<bool, TooLong> {
        let is_first = !std::mem::replace(&mut self.begun, true);
        let line = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| is_first).unwrap_or(line);
        if line.is_empty() {
            if !self.has_data {
                self.clear();
            }
            return Ok(self.has_data);
        }
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            b"data" => self.extend_data(value)?,
            _ => {}
        }
        Ok(false)
    }

    fn extend_data(&mut self, value: &[u8]) -> Result<(), TooLong> {
        self.check(self.data.len().saturating_add(value.len()).saturating_add(1))?;
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        Ok(())
    }
}

/// Bytes as text; what is not UTF-8 is replaced.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    simdutf8::basic::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 100;

    /// The type and data of every event of a stream that comes in these pieces.
    fn events(pieces: &[&[u8]]) -> Vec<(Option<String>, String)> {
        let owned = |event: SseEvent<'_>| (event.name.map(Cow::into_owned), event.data.into_owned());
        let mut reader = EventReader::new(MAX);
        let mut events = Vec::new();
        for piece in pieces {
            let mut bytes = *piece;
            while let Some(event) = reader.read_event(&mut bytes).unwrap() {
                events.push(owned(event));
            }
        }
        events.extend(reader.finish().unwrap().map(owned));
        events
    }

    fn data(pieces: &[&[u8]]) -> Vec<String> {
        events(pieces).into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn any_line_end_comments_and_unknown_fields() {
        for eol in ["\n", "\r\n", "\r"] {
            let lines = [": keepalive", "event: a", "data: 1", "data:2", "id: 7", "retry: 9", "", "", "data"];
            let stream = lines.join(eol);
            let expected = [(Some("a".to_owned()), "1\n2".to_owned()), (None, String::new())];
            assert_eq!(events(&[stream.as_bytes()]), expected, "{eol:?}");
        }
    }

    #[test]
    fn a_cr_at_the_end_of_a_piece_is_one_line_end_with_the_lf_of_the_next() {
        assert_eq!(data(&[b"data: 1\r", b"\ndata: 2\r", b"", b"\ndata: 3\r\n\r", b"\n"]), ["1\n2\n3"]);
        assert_eq!(data(&[b"data: 1\r", b"\r", b"data: 2\n\n"]), ["1", "2"]);
        // An event is there as soon as its last CR is.
        let mut reader = EventReader::new(MAX);
        let mut bytes: &[u8] = b"data: 1\r\n\r";
        assert_eq!(reader.read_event(&mut bytes), Ok(Some(SseEvent::new(None, "1"))));
    }

    #[test]
    fn a_type_without_data_is_no_event_and_not_the_next_one_s_type() {
        let expected = [(None, "1".to_owned()), (Some("b".to_owned()), "2".to_owned())];
        assert_eq!(events(&[b"event: a\n\ndata: 1\n\nevent: x\nevent: b\ndata: 2\n\n"]), expected);
    }

    #[test]
    fn a_byte_order_mark_counts_at_the_very_start_only() {
        assert_eq!(data(&[b"\xef\xbb", b"\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\n"]), ["1"]);
    }

    #[test]
    fn what_is_not_utf_8_is_replaced_and_characters_may_be_cut() {
        assert_eq!(data(&[b"data: \xe2\x82", b"\xac\n\ndata: \xff\n\n"]), ["€", "\u{fffd}"]);
    }

    #[test]
    fn an_event_that_the_end_cuts_short_counts() {
        assert_eq!(data(&[b"data: [DONE]"]), ["[DONE]"]);
        assert_eq!(data(&[b"data: [DONE]\n"]), ["[DONE]"]);
        assert!(data(&[b"event: x\n: y\n"]).is_empty());
        assert!(data(&[b"hello\nworld\n", b""]).is_empty());
    }

    #[test]
    fn lines_and_events_are_bounded() {
        let read = |pieces: &[&[u8]]| {
            let mut reader = EventReader::new(MAX);
            pieces.iter().try_for_each(|piece| reader.read_event(&mut &**piece).map(|_| ()))
        };
        let too_long = Err(TooLong { max_event_bytes: MAX });
        let piece = [b'x'; MAX / 2];
        assert_eq!(read(&[b"data: ", &piece]), Ok(()));
        assert_eq!(read(&[b"data: ", &piece, &piece]), too_long, "a line in pieces");
        assert_eq!(read(&[&[b'x'; MAX + 1]]), too_long, "a line without an end");
        assert_eq!(read(&[&[[b'x'; MAX + 1].as_slice(), b"\n"].concat()]), too_long, "a whole line");
        let line = [b"data: ".as_slice(), &piece, b"\n"].concat();
        assert_eq!(read(&[&line]), Ok(()));
        assert_eq!(read(&[&line, &line]), too_long, "an event of two lines");
        assert_eq!(read(&[&b"data:\n".repeat(MAX + 2)]), too_long, "an event of empty lines");
    }
}
