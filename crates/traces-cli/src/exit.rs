//! Exit codes, as the contract gives them.

use std::io;
use std::process::ExitCode;

/// The exit code of a program that the user stopped.
pub(crate) const INTERRUPTED: u8 = 130;

/// The result of a verb. Of several, the first in this order wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// A command that was run ended with this code.
    Command(u8),
    /// The user stopped it.
    Interrupted,
    /// Usage, or nothing could be read or matched.
    Unusable,
    /// A difference was found, or a limit exceeded.
    Exceeded,
    /// Done, but some files were skipped.
    Skipped,
    /// Done.
    Done,
}

impl Status {
    /// The one of two results that decides the exit code.
    pub(crate) fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// [`Exceeded`](Self::Exceeded) if so.
    pub(crate) fn exceeded_if(exceeded: bool) -> Self {
        if exceeded { Self::Exceeded } else { Self::Done }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(match status {
            Status::Command(code) => code,
            Status::Done => 0,
            Status::Exceeded => 1,
            Status::Unusable => 2,
            Status::Interrupted => INTERRUPTED,
            Status::Skipped => 3,
        })
    }
}

/// Whether the reader of our output has closed it, which is not an error.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(closed)
            || cause.downcast_ref().and_then(serde_json::Error::io_error_kind)
                == Some(io::ErrorKind::BrokenPipe)
            || matches!(cause.downcast_ref().map(csv::Error::kind), Some(csv::ErrorKind::Io(error)) if closed(error))
    })
}
