//! One connection's HTTP/1.1: as much of it as exporters of OTLP use, each part within its
//! limit. Nothing of a request but its path and its body is kept.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;

use crate::limits::{Limits, Share};
use crate::otlp::Signal;
use crate::refusal::Refusal;

/// How often a connection without a request checks whether it should end.
const TICK: Duration = Duration::from_millis(100);
/// How much is read at once.
const CHUNK: usize = 64 << 10;
/// The most headers that a request may have.
const MAX_HEADERS: usize = 64;
/// The longest line that gives the size of a chunk, with its extensions.
const MAX_CHUNK_LINE: usize = 1 << 10;
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A stream on which reading ends after a while.
pub(crate) trait TimedStream: Read + Write {
    /// How long the next read may take.
    fn set_timeout(&mut self, timeout: Duration) -> io::Result<()>;
}

impl TimedStream for TcpStream {
    fn set_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(timeout))
    }
}

/// A request that is taken.
#[derive(Debug)]
pub(crate) struct Post {
    /// What it reports.
    pub(crate) signal: Signal,
    /// Its body, decompressed.
    pub(crate) body: Vec<u8>,
    /// The memory that the body takes.
    pub(crate) share: Share,
    /// Whether the client may send another request on this connection.
    pub(crate) keeps_alive: bool,
}

/// A connection, and what was read of it but not used.
pub(crate) struct ClientConnection<'a, S> {
    stream: S,
    unused: Vec<u8>,
    limits: &'a Limits,
    /// The receiver's port: what `Host` must name.
    port: u16,
    deadline: Instant,
}

impl<'a, S: TimedStream> ClientConnection<'a, S> {
    pub(crate) fn new(stream: S, port: u16, limits: &'a Limits) -> Self {
        Self { stream, unused: Vec::new(), limits, port, deadline: Instant::now() }
    }

    /// Waits for the first byte of a request; whether there is one. There is none where the
    /// connection ended, was idle for too long, or nothing has arrived and `ends` says so.
    pub(crate) fn waits(&mut self, ends: impl Fn() -> bool) -> bool {
        let idle_until = Instant::now() + self.limits.idle_time;
        while self.unused.is_empty() {
            if self.stream.set_timeout(TICK).is_err() {
                return false;
            }
            match self.read() {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) if is_timeout(&error) && !ends() && Instant::now() < idle_until => {}
                Err(_) => return false,
            }
        }
        self.deadline = Instant::now() + self.limits.request_time;
        true
    }

    /// Reads one request. After an error nothing more can be read of this connection.
    pub(crate) fn post(&mut self, mut share: Share) -> Result<Post, Refusal> {
        let head = self.head()?;
        if head.expects_continue {
            self.stream.write_all(CONTINUE).map_err(|_| Refusal::Cut)?;
        }
        let mut body = Vec::new();
        match head.length {
            Length::Bytes(bytes) => self.take(bytes, &mut body, &mut share)?,
            Length::Chunked => self.chunks(&mut body, &mut share)?,
        }
        if head.is_gzip {
            body = self.gunzip(&body, &mut share)?;
        }
        Ok(Post { signal: head.signal, body, share, keeps_alive: head.keeps_alive })
    }

    /// Answers a request that was taken.
    pub(crate) fn accept(&mut self) -> io::Result<()> {
        self.answer("200 OK", "{}", "")
    }

    /// Answers a request that was not, and ends the connection.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        let Some(status) = refusal.status() else { return };
        // The client may be gone, and there is nobody else to tell.
        let _ = self.answer(status, "{\"message\":\"refused\"}", "connection: close\r\n");
        self.drain();
    }

    /// Reads on for a moment: a connection that is closed with something unread loses the
    /// answer before the client reads it.
    fn drain(&mut self) {
        let until = Instant::now() + Duration::from_millis(500);
        let mut buffer = vec![0; CHUNK];
        let mut left = 1_usize << 20;
        while Instant::now() < until && left > 0 && self.stream.set_timeout(TICK).is_ok() {
            match self.stream.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => left = left.saturating_sub(count),
                Err(error) if is_timeout(&error) => {}
                Err(_) => return,
            }
        }
    }

    fn answer(&mut self, status: &str, body: &str, more: &str) -> io::Result<()> {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n{body}"
        );
        self.stream.write_all(answer.as_bytes())
    }

    /// Reads what has arrived.
    fn read(&mut self) -> io::Result<usize> {
        let start = self.unused.len();
        self.unused.resize(start + CHUNK, 0);
        let read = self.stream.read(self.unused.get_mut(start..).unwrap_or_default());
        self.unused.truncate(start + read.as_ref().copied().unwrap_or(0));
        read
    }

    /// Waits until more of the request arrives.
    fn more(&mut self) -> Result<(), Refusal> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Refusal::TooSlow);
            }
            self.stream.set_timeout(left).map_err(|_| Refusal::Cut)?;
            match self.read() {
                Ok(0) => return Err(Refusal::Cut),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(Refusal::TooSlow),
                Err(_) => return Err(Refusal::Cut),
            }
        }
    }

    fn head(&mut self) -> Result<RequestHead, Refusal> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            let mut request = httparse::Request::new(&mut headers);
            match request.parse(&self.unused) {
                Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooLarge),
                Err(_) => return Err(Refusal::Malformed),
                Ok(httparse::Status::Complete(bytes)) if bytes <= self.limits.head_bytes => {
                    let head = RequestHead::new(&request, self.port, self.limits)?;
                    self.unused.drain(..bytes);
                    return Ok(head);
                }
                _ if self.unused.len() >= self.limits.head_bytes => return Err(Refusal::TooLarge),
                _ => self.more()?,
            }
        }
    }

    /// Takes so many bytes of the body.
    fn take(&mut self, mut bytes: usize, body: &mut Vec<u8>, share: &mut Share) -> Result<(), Refusal> {
        if body.len().saturating_add(bytes) > self.limits.body_bytes {
            return Err(Refusal::TooLarge);
        }
        while bytes > 0 {
            if self.unused.is_empty() {
                self.more()?;
            }
            let here = bytes.min(self.unused.len());
            share.grow(here)?;
            body.extend(self.unused.drain(..here));
            bytes -= here;
        }
        Ok(())
    }

    fn chunks(&mut self, body: &mut Vec<u8>, share: &mut Share) -> Result<(), Refusal> {
        loop {
            let size = self.chunk_size()?;
            if size == 0 {
                return self.trailers();
            }
            self.take(size, body, share)?;
            let mut end = Vec::new();
            while self.unused.len() < 2 {
                self.more()?;
            }
            end.extend(self.unused.drain(..2));
            if end != b"\r\n" {
                return Err(Refusal::Malformed);
            }
        }
    }

    fn chunk_size(&mut self) -> Result<usize, Refusal> {
        loop {
            match httparse::parse_chunk_size(&self.unused) {
                Ok(httparse::Status::Complete((line, size))) if line <= MAX_CHUNK_LINE => {
                    self.unused.drain(..line);
                    return usize::try_from(size).map_err(|_| Refusal::TooLarge);
                }
                Ok(httparse::Status::Partial) if self.unused.len() < MAX_CHUNK_LINE => self.more()?,
                _ => return Err(Refusal::Malformed),
            }
        }
    }

    /// Passes over the lines after the last chunk.
    fn trailers(&mut self) -> Result<(), Refusal> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
            match httparse::parse_headers(&self.unused, &mut headers) {
                Ok(httparse::Status::Complete((bytes, _))) if bytes <= self.limits.head_bytes => {
                    self.unused.drain(..bytes);
                    return Ok(());
                }
                Ok(httparse::Status::Partial) if self.unused.len() < self.limits.head_bytes => self.more()?,
                _ => return Err(Refusal::Malformed),
            }
        }
    }

    fn gunzip(&self, body: &[u8], share: &mut Share) -> Result<Vec<u8>, Refusal> {
        let mut decoder = MultiGzDecoder::new(body);
        let mut plain = Vec::new();
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = decoder.read(&mut buffer).map_err(|_| Refusal::Malformed)?;
            if count == 0 {
                return Ok(plain);
            }
            if plain.len() + count > self.limits.body_bytes {
                return Err(Refusal::TooLarge);
            }
            share.grow(count)?;
            plain.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// How long a body is.
#[derive(Debug, Clone, Copy)]
enum Length {
    Bytes(usize),
    Chunked,
}

/// What a request's head says.
#[derive(Debug)]
struct RequestHead {
    signal: Signal,
    length: Length,
    is_gzip: bool,
    expects_continue: bool,
    keeps_alive: bool,
}

impl RequestHead {
    fn new(request: &httparse::Request<'_, '_>, port: u16, limits: &Limits) -> Result<Self, Refusal> {
        let headers = Headers(request.headers);
        // A page in a browser can be made to send requests here (DNS rebinding): those name
        // another host, or say which page they come from.
        let host = headers.only("host")?.ok_or(Refusal::Malformed)?;
        let is_ours = ["127.0.0.1", "localhost"].iter().any(|name| {
            let rest = host.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name));
            rest.and(host.get(name.len()..)) == Some(&format!(":{port}"))
        });
        if !is_ours || headers.only("origin")?.is_some() {
            return Err(Refusal::Foreign);
        }
        let path = request.path.unwrap_or_default().split('?').next().unwrap_or_default();
        let signal = Signal::of_path(path).ok_or(Refusal::UnknownPath)?;
        if request.method != Some("POST") {
            return Err(Refusal::Method);
        }
        let media_type = headers.only("content-type")?.unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::NotJson);
        }
        let is_gzip = match headers.only("content-encoding")? {
            Some(name) if name.eq_ignore_ascii_case("gzip") => true,
            None => false,
            Some(name) if name.eq_ignore_ascii_case("identity") => false,
            Some(_) => return Err(Refusal::Encoding),
        };
        let length = match (headers.only("transfer-encoding")?, headers.only("content-length")?) {
            (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Length::Chunked,
            (None, Some(digits)) => Length::Bytes(content_length(digits)?),
            (None, None) => return Err(Refusal::Length),
            // Two lengths that may differ are how requests are smuggled past a check.
            _ => return Err(Refusal::Malformed),
        };
        if matches!(length, Length::Bytes(bytes) if bytes > limits.body_bytes) {
            return Err(Refusal::TooLarge);
        }
        let connection = headers.only("connection")?.unwrap_or_default();
        let asks = |word: &str| connection.split(',').any(|part| part.trim().eq_ignore_ascii_case(word));
        let is_new = request.version == Some(1);
        Ok(Self {
            signal,
            length,
            is_gzip,
            expects_continue: is_new
                && headers.only("expect")?.is_some_and(|word| word.eq_ignore_ascii_case("100-continue")),
            keeps_alive: is_new && !asks("close"),
        })
    }
}

/// A number of bytes: digits and nothing else.
fn content_length(digits: &str) -> Result<usize, Refusal> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::Malformed);
    }
    digits.parse().map_err(|_| Refusal::TooLarge)
}

struct Headers<'a>(&'a [httparse::Header<'a>]);

impl<'a> Headers<'a> {
    /// The value of a header that may stand once only.
    fn only(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let mut values = self.0.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        let first = values.next();
        if values.next().is_some() {
            return Err(Refusal::Malformed);
        }
        let text = |header: &httparse::Header<'a>| std::str::from_utf8(header.value).map(str::trim);
        first.map(text).transpose().map_err(|_| Refusal::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::MAX_CHUNK_LINE;
    use crate::fuzzing::received;

    const HEAD: &str = "POST /v1/logs HTTP/1.1\r\nHost: 127.0.0.1:4318\r\nContent-Type: application/json\r\n";

    /// Bytes that get far: parts of requests, changed here and there.
    fn requests() -> impl Strategy<Value = Vec<u8>> {
        let parts = prop_oneof![
            4 => Just(format!("{HEAD}Content-Length: 2\r\n\r\n{{}}")),
            4 => Just(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n")),
            1 => Just(format!("{HEAD}Expect: 100-continue\r\nContent-Length: 900\r\n\r\n{}", " ".repeat(900))),
            1 => Just(format!("{HEAD}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{{}}")),
            1 => "\\PC{0,40}|[\r\n :0-9a-fA-F]{0,40}",
        ];
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
        (prop::collection::vec(parts, 0..4), changes).prop_map(|(parts, changes)| {
            let mut bytes = parts.concat().into_bytes();
            for (at, byte) in changes.into_iter().filter(|_| !parts.is_empty()) {
                let length = bytes.len();
                if length > 0 {
                    bytes[at.index(length)] = byte;
                }
            }
            bytes
        })
    }

    #[test]
    fn a_line_of_a_chunk_is_too_long_however_it_comes() {
        for (length, is_taken) in [(MAX_CHUNK_LINE, true), (MAX_CHUNK_LINE + 1, false)] {
            let extension = "x".repeat(length - "2;\r\n".len());
            let bytes = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n2;{extension}\r\n{{}}\r\n0\r\n\r\n");
            for piece in [1, 7, usize::MAX] {
                assert_eq!(
                    received(bytes.as_bytes(), piece).0.len(),
                    usize::from(is_taken),
                    "{length} {piece}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(bytes in requests(), piece in 1_usize..50) {
            let whole = received(&bytes, usize::MAX);
            prop_assert_eq!(received(&bytes, piece), whole.clone());
            for (_, body, _) in whole.0 {
                prop_assert!(body.len() <= 1000);
            }
        }
    }
}
