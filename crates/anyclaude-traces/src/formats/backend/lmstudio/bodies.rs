//! Who is shown the bodies of requests that a log holds.

use crate::formats::body::{Body, Visit};

/// Receives the request bodies in a log while it is read.
pub(crate) trait BodySink {
    /// The visitor of this request's body; the request is the n-th request line of the file.
    fn visitor(&mut self, request: u32) -> &mut dyn Visit;
    /// The body was whole.
    fn body(&mut self, request: u32, body: Body);
}

/// Ignores bodies.
#[derive(Default)]
pub(crate) struct NoBodies(());

impl BodySink for NoBodies {
    fn visitor(&mut self, _: u32) -> &mut dyn Visit {
        &mut self.0
    }

    fn body(&mut self, _: u32, _: Body) {}
}
