//! What a fuzzer needs and nobody else: no other build has it.

use std::time::{Duration, Instant};

use crate::error::Failure;
use crate::measure::{Measured, Source, read_body};
use crate::run::{Api, Run};
use crate::watch::Watch;

/// Bytes that come in pieces, one each millisecond.
struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
    now: Instant,
}

impl Source for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        let read = self.size.min(self.rest.len()).min(buffer.len());
        let (piece, rest) = self.rest.split_at(read);
        buffer[..read].copy_from_slice(piece);
        self.rest = rest;
        self.now += Duration::from_millis(1);
        Ok(read)
    }

    fn rest(&mut self) -> Result<Vec<u8>, Failure> {
        Ok(std::mem::take(&mut self.rest).to_vec())
    }

    fn heard(&self) {}

    fn now(&self) -> Instant {
        self.now
    }
}

/// The run of an answer with this body, read in pieces of a size, and why it failed.
#[must_use]
pub fn measured(api: Api, body: &[u8], size: usize) -> (Run, Option<Failure>) {
    let sent = Instant::now();
    let mut measured = Measured::new(api, sent, true);
    let mut pieces = Pieces { rest: body, size, now: sent };
    let failure = read_body(&mut pieces, &mut measured, &Watch::default()).err();
    (measured.into_run(), failure)
}
