//! A budget for prompts, to run in CI: names every request with more bytes or
//! more tools than allowed, and exits with 1 when there is one. Wrong usage, or
//! nothing to check, exits with 2: a check that saw nothing has not passed.
//!
//! ```text
//! cargo run -q -p traces-examples --example budget_check -- 20000 24 testdata/home/.anyclaude/traces
//! ```

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyclaude_traces::{Recording, RecordingBuilder};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<OsString> = env::args_os().skip(1).collect();
    let Some((max_bytes, max_tools, folders)) = parse(&args) else {
        writeln!(io::stderr(), "usage: budget_check MAX_BYTES MAX_TOOLS FOLDER…")?;
        return Ok(ExitCode::from(2));
    };
    let recording = folders.iter().fold(Recording::builder(), RecordingBuilder::root).open()?;
    for error in recording.skipped() {
        writeln!(io::stderr(), "skipped {error}")?;
    }
    let mut out = io::stdout().lock();
    let mut within = true;
    for request in recording.requests() {
        let path = request.path.as_ref().display();
        let (bytes, tools) = (request.sizes.body_bytes, request.sizes.tool_count);
        if bytes > max_bytes {
            within = false;
            writeln!(out, "{path}: {bytes} bytes, {max_bytes} allowed")?;
        }
        if tools > max_tools {
            within = false;
            writeln!(out, "{path}: {tools} tools, {max_tools} allowed")?;
        }
    }
    writeln!(out, "{} requests checked", recording.requests().len())?;
    Ok(match (recording.requests().is_empty(), within) {
        (true, _) => ExitCode::from(2),
        (false, false) => ExitCode::from(1),
        (false, true) => ExitCode::SUCCESS,
    })
}

fn parse(args: &[OsString]) -> Option<(u64, u64, &[OsString])> {
    let [bytes, tools, folders @ ..] = args else { return None };
    let number = |arg: &OsString| arg.to_str()?.parse().ok();
    Some((number(bytes)?, number(tools)?, folders)).filter(|_| !folders.is_empty())
}
