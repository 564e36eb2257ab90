//! Where bytes stop being JSON, and how far a walk has come.

use std::ops::Range;

/// Where and why the bytes stop being JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The text ends inside a value.
    Truncated,
    /// Something else stands where this was expected.
    Expected(&'static str),
}

/// What passing a value gives. A fault is rare; in a box it makes the rest small
/// enough for registers.
pub(crate) type ParseResult<T> = Result<T, Box<Fault>>;

/// How far a walk through an object or array has come.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) begun: bool,
    /// The present member's key, quotes included.
    pub(crate) key: Range<usize>,
}
