//! An entry point for the fuzz targets; compiled for them alone.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::measure::{BodySource, MeasureLimits, MeasuredAnswer, read_body};
use crate::progress::ProgressHandle;
use crate::run::{Api, Run};

/// Bytes that come in pieces, one every millisecond.
struct Pieces<'a> {
    rest: &'a [u8],
    size: usize,
    now: Instant,
}

impl BodySource for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let read = self.size.min(self.rest.len()).min(buffer.len());
        let (piece, rest) = self.rest.split_at(read);
        buffer[..read].copy_from_slice(piece);
        self.rest = rest;
        self.now += Duration::from_millis(1);
        Ok(read)
    }

    fn rest(&mut self) -> Result<Vec<u8>, Error> {
        Ok(std::mem::take(&mut self.rest).to_vec())
    }

    fn reset_timeout(&self) {}

    fn now(&self) -> Instant {
        self.now
    }
}

/// The run of an answer with this body, read in pieces of this size, and why it failed.
#[must_use]
pub fn measured(api: Api, body: &[u8], size: usize) -> (Run, Option<Error>) {
    let sent = Instant::now();
    let mut measured = MeasuredAnswer::new(api, sent, MeasureLimits::of(256), true);
    let mut pieces = Pieces { rest: body, size, now: sent };
    let error = read_body(&mut pieces, &mut measured, &ProgressHandle::default()).err();
    (measured.into_run(), error)
}
