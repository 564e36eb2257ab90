//! JSON text, byte by byte: the grammar, a cursor, and compact JSON.

mod block;
pub(crate) mod compact;
pub(crate) mod cursor;
pub(crate) mod fault;
mod scan;
pub(crate) mod scratch;
pub(crate) mod text;
