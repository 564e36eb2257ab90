//! JSON faults, and the state of a walk through a container.

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
    /// This was expected, and something else was found.
    Expected(&'static str),
}

/// The result of passing a value. The error is boxed to keep Ok in registers.
pub(crate) type ParseResult<T> = Result<T, Box<Fault>>;

/// The state of a walk through an object or array.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) begun: bool,
    /// The present member's key, quotes included.
    pub(crate) key: Range<usize>,
}
