//! Entry points for tests and fuzz targets; compiled for them alone.

use std::io::{self, Read, Write};
use std::time::Duration;

use crate::http::{ClientConnection, TimedStream};
use crate::limits::{Budget, Limits};
use crate::otlp::{Arrived, Signal};
use crate::refusal::Refusal;

/// A client whose bytes arrive in pieces.
struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.size.min(buffer.len());
        let count = self.rest.read(&mut buffer[..size])?;
        Ok(count)
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TimedStream for Pieces<'_> {
    fn set_timeout(&mut self, _: Duration) -> io::Result<()> {
        Ok(())
    }
}

/// A body that was posted, and whether it is OTLP.
type PostedBody = (Signal, Vec<u8>, bool);

/// What is made of a connection's bytes that arrive in pieces of this size: every body,
/// whether it is OTLP, and what ended it. The receiver's port is 4318, a body has 1,000
/// bytes at most.
#[must_use]
#[cfg_attr(not(fuzzing), allow(unreachable_pub, reason = "fuzz targets use it"))]
pub fn received(bytes: &[u8], size: usize) -> (Vec<PostedBody>, Option<Refusal>) {
    let limits = Limits { head_bytes: 1000, body_bytes: 1000, ..Limits::default() };
    let budget = Budget::new(10_000);
    let mut connection = ClientConnection::new(Pieces { rest: bytes, size }, 4318, &limits);
    let mut posts = Vec::new();
    while connection.waits(|| false) {
        match connection.post(budget.share()) {
            Ok(post) => {
                let is_otlp = Arrived::of(post.signal, &post.body).is_ok();
                posts.push((post.signal, post.body, is_otlp));
            }
            Err(refusal) => return (posts, Some(refusal)),
        }
    }
    (posts, None)
}

/// A body without its texts; `None` where it is no JSON.
#[cfg(fuzzing)]
#[must_use]
pub fn masked(body: &str) -> Option<String> {
    String::from_utf8(crate::mask::masked(body, &[7; 32]).ok()?).ok()
}
