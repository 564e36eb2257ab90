//! Server-sent events, as the bytes of a stream arrive.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html>, section
//! “Interpreting an event stream”.

/// The longest line, and the most data of one event, that is kept. The events of
/// language models are below a kilobyte.
pub const MAX_EVENT_BYTES: usize = 8 << 20;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Its type; `None` where the stream gives none.
    pub name: Option<String>,
    /// Its `data` lines, joined by line feeds. What is not UTF-8 is replaced.
    pub data: String,
}

impl Event {
    /// An event of this type, with this data.
    #[must_use]
    pub fn new(name: Option<String>, data: String) -> Self {
        Self { name, data }
    }
}

/// A line or an event is longer than [`MAX_EVENT_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {} MiB", MAX_EVENT_BYTES >> 20)]
pub struct TooLong;

/// Takes the bytes of a stream in pieces of any size, and gives its events.
///
/// Lines end in LF, CRLF or CR. Comments, `id` and `retry` are passed over. Unlike
/// a browser, [`finish`](Self::finish) gives an event that the end cuts short.
///
/// ```
/// use lmstudio_replay::sse::Parser;
///
/// let mut parser = Parser::default();
/// assert_eq!(parser.feed(b"event: ping\r\nda")?, []);
/// let events = parser.feed(b"ta: {}\r\n\r\n")?;
/// assert_eq!((events[0].name.as_deref(), events[0].data.as_str()), (Some("ping"), "{}"));
/// # Ok::<(), lmstudio_replay::sse::TooLong>(())
/// ```
#[derive(Debug, Default)]
pub struct Parser {
    /// The line that is being read.
    line: Vec<u8>,
    name: Option<String>,
    data: Option<Vec<u8>>,
    /// Whether the last byte was a CR, which an LF may belong to.
    after_cr: bool,
    /// Whether a line was read, so that no byte order mark can come any more.
    begun: bool,
}

impl Parser {
    /// Takes the next bytes, and returns the events that end in them.
    ///
    /// # Errors
    ///
    /// When a line or an event is too long. The stream cannot be read on then.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        if bytes.is_empty() {
            return Ok(events);
        }
        if std::mem::take(&mut self.after_cr) {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, rest) = bytes.split_at(end);
            self.extend_line(line)?;
            let line = std::mem::take(&mut self.line);
            events.extend(self.end_line(&line)?);
            self.line = line;
            self.line.clear();
            bytes = match rest {
                [b'\r', b'\n', tail @ ..] => tail,
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                [_, tail @ ..] => tail,
                [] => &[],
            };
        }
        self.extend_line(bytes)?;
        Ok(events)
    }

    /// Ends the stream, and returns the event that no empty line has ended.
    ///
    /// # Errors
    ///
    /// When that event is too long.
    pub fn finish(mut self) -> Result<Option<Event>, TooLong> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.end_line(&line)?;
        }
        Ok(self.take_event())
    }

    fn extend_line(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.line.len() + bytes.len() > MAX_EVENT_BYTES {
            return Err(TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, line: &[u8]) -> Result<Option<Event>, TooLong> {
        let first = !std::mem::replace(&mut self.begun, true);
        let line = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| first).unwrap_or(line);
        if line.is_empty() {
            return Ok(self.take_event());
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at(colon);
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"event" => self.name = Some(String::from_utf8_lossy(value).into_owned()),
            b"data" => self.extend_data(value)?,
            _ => {}
        }
        Ok(None)
    }

    fn extend_data(&mut self, value: &[u8]) -> Result<(), TooLong> {
        match &mut self.data {
            Some(data) if data.len() + value.len() >= MAX_EVENT_BYTES => return Err(TooLong),
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            None => self.data = Some(value.to_vec()),
        }
        Ok(())
    }

    /// What the lines since the last event make; nothing without `data`.
    fn take_event(&mut self) -> Option<Event> {
        let name = self.name.take().filter(|name| !name.is_empty());
        let data = String::from_utf8_lossy(&self.data.take()?).into_owned();
        Some(Event { name, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<Event> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for piece in pieces {
            events.extend(parser.feed(piece).unwrap());
        }
        events.extend(parser.finish().unwrap());
        events
    }

    fn data(pieces: &[&[u8]]) -> Vec<String> {
        events(pieces).into_iter().map(|event| event.data).collect()
    }

    #[test]
    fn any_line_end_comments_and_unknown_fields() {
        for eol in ["\n", "\r\n", "\r"] {
            let lines = [": keepalive", "event: a", "data: 1", "data:2", "id: 7", "retry: 9", "", "", "data"];
            let stream = lines.join(eol);
            let named = Event { name: Some("a".to_owned()), data: "1\n2".to_owned() };
            let empty = Event { name: None, data: String::new() };
            assert_eq!(events(&[stream.as_bytes()]), [named, empty], "{eol:?}");
        }
    }

    #[test]
    fn a_cr_at_the_end_of_a_piece_is_one_line_end_with_the_lf_of_the_next() {
        assert_eq!(data(&[b"data: 1\r", b"\ndata: 2\r", b"", b"\ndata: 3\r\n\r", b"\n"]), ["1\n2\n3"]);
        assert_eq!(data(&[b"data: 1\r", b"\r", b"data: 2\n\n"]), ["1", "2"]);
        // An event is there as soon as its last CR is.
        let mut parser = Parser::default();
        assert_eq!(parser.feed(b"data: 1\r\n\r").unwrap().len(), 1);
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
    }

    #[test]
    fn lines_and_events_are_bounded() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; MAX_EVENT_BYTES / 2];
        assert!(parser.feed(b"data: ").is_ok());
        assert!(parser.feed(&piece).is_ok());
        assert_eq!(parser.feed(&piece), Err(TooLong));
        let mut parser = Parser::default();
        let line = [b"data: ".as_slice(), &piece, b"\n"].concat();
        assert!(parser.feed(&line).is_ok());
        assert_eq!(parser.feed(&line), Err(TooLong));
    }
}
