//! The largest prompt of a folder: its file, its size, and the section that takes
//! the most room in it.
//!
//! ```text
//! cargo run -q -p traces-examples --example largest_prompt -- testdata/home/.anyclaude/traces
//! ```

use std::env;
use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyclaude_traces::model::Amount;
use anyclaude_traces::{Recording, Request};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let Some(folder) = env::args_os().nth(1) else {
        writeln!(io::stderr(), "usage: largest_prompt FOLDER")?;
        return Ok(ExitCode::from(2));
    };
    let recording = Recording::open(folder)?;
    // What could not be read comes beside what could: one bad file hides no other.
    for error in recording.skipped() {
        writeln!(io::stderr(), "skipped {error}")?;
    }
    let largest = recording.requests().iter().max_by_key(|request| request.sizes.body_bytes);
    let Some(largest) = largest else {
        writeln!(io::stderr(), "no request found")?;
        return Ok(ExitCode::from(2));
    };
    let (section, bytes) = biggest_section(largest);
    let mut out = io::stdout().lock();
    writeln!(out, "path     {}", largest.path.as_ref().display())?;
    writeln!(out, "body     {} bytes", largest.sizes.body_bytes)?;
    writeln!(out, "biggest  {section}, {bytes} bytes")?;
    Ok(ExitCode::SUCCESS)
}

/// The four sections add up to the body, so that each has a share of it.
fn biggest_section(request: &Request) -> (&'static str, Amount) {
    let sizes = &request.sizes;
    let sections = [
        ("system", sizes.system_bytes),
        ("tools", sizes.tools_bytes),
        ("messages", sizes.messages_bytes),
        ("other", sizes.other_bytes),
    ];
    sections.into_iter().max_by_key(|(_, bytes)| *bytes).unwrap_or(("other", sizes.other_bytes))
}
