//! What goes to the standard error stream.

use std::io::{self, Write as _};

use anyclaude_traces::Error;
use anyclaude_traces::SkipReason;

use super::{plain, units};

/// Says something beside the data, in one line: a line break in a file's name or a
/// server's words would begin one that looks like ours. When even that stream is closed there is
/// nowhere left to say so.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "traces: {}", plain::line(text));
}

/// Says why the program ends, cause by cause.
pub(crate) fn complain(error: &anyhow::Error) {
    say(&format!("{error:#}"));
}

/// Says which files were skipped; of many, the first few.
pub(crate) fn say_skipped(skipped: &[Error]) {
    const MOST: usize = 5;
    say(&format!("skipped {}:", units::count(skipped.len() as u64, "file")));
    let mut lines = String::new();
    for error in skipped.iter().take(MOST) {
        let path = error.path().to_string_lossy();
        let line = format!("{path}: {}: {}", error.reason().name(), error.kind());
        lines += &format!("  {}\n", plain::line(&line));
    }
    if skipped.iter().any(|error| error.reason() == SkipReason::TooLarge) {
        lines += "  --max-file-size BYTES takes larger files\n";
    }
    if let Some(more) = skipped.len().checked_sub(MOST).filter(|more| *more > 0) {
        lines += &format!("  and {more} more; `traces list --format json` names them all\n");
    }
    let _ = write!(io::stderr(), "{lines}");
}
