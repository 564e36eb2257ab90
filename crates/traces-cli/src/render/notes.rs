//! What goes to the standard error stream.

use std::io::{self, Write as _};

use anyclaude_traces::SkipReason;
use anyclaude_traces::error::Skipped;
use anyclaude_traces::select::{SelectError, UnknownColumn};

use super::{columns, sanitize, select_error, units};

/// Prints a warning or a note on one line: a line break in a file's name or in a
/// server's message must not begin a line that looks like ours. A failure is ignored, as
/// there is no other stream to report it on.
pub(crate) fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "traces: {}", sanitize::line(text));
}

/// Prints an error with its causes.
pub(crate) fn error(error: &anyhow::Error) {
    match error.downcast_ref::<SelectError>() {
        Some(known) => warn(&select_error::words(known)),
        None => match error.downcast_ref::<UnknownColumn>() {
            Some(name) => warn(&columns::unknown(name)),
            None => warn(&with_causes(error)),
        },
    }
}

/// An error and its causes, without a cause whose words the text before it ends with.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().skip(1).map(ToString::to_string).fold(error.to_string(), |said, cause| {
        if said.ends_with(&cause) { said } else { format!("{said}: {cause}") }
    })
}

/// Names the files that were skipped: the first few of many.
pub(crate) fn warn_skipped(skipped: &[Skipped]) {
    const MOST: usize = 5;
    warn(&format!("skipped {}:", units::count(skipped.len() as u64, "file")));
    let mut lines = String::new();
    for error in skipped.iter().take(MOST) {
        let line = format!("{}: {}: {}", error.path, error.reason.name(), error.detail);
        lines += &format!("  {}\n", sanitize::line(&line));
    }
    if skipped.iter().any(|error| error.reason == SkipReason::TooLarge) {
        lines += "  --max-file-size BYTES reads larger files\n";
    }
    if let Some(more) = skipped.len().checked_sub(MOST).filter(|more| *more > 0) {
        lines += &format!("  and {more} more; `traces list --format json` names them all\n");
    }
    let _ = write!(io::stderr(), "{lines}");
}
