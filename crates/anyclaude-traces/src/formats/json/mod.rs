//! JSON text, byte by byte: the grammar, a cursor, and compact JSON.

pub(crate) mod aligned;
pub(crate) mod block;
pub(crate) mod compact;
pub(crate) mod cursor;
pub(crate) mod fault;
pub(crate) mod known;
mod scan;
pub(crate) mod scratch;
pub(crate) mod text;
