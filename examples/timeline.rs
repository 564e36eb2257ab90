//! A timeline of what is recorded in a folder, for Perfetto or `chrome://tracing`.
//!
//! ```text
//! cargo run -q -p traces-examples --example timeline -- testdata/home/.anyclaude timeline.json
//! ```

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use anyclaude_traces::Recording;
use traces_export::chrome;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut args = env::args_os().skip(1);
    let (Some(root), Some(file), None) = (args.next(), args.next(), args.next()) else {
        writeln!(io::stderr(), "usage: timeline FOLDER FILE")?;
        return Ok(ExitCode::from(2));
    };
    let recording = Recording::open(root)?;
    let findings = recording.findings()?;
    let mut out = BufWriter::new(File::create_new(file)?);
    let written = chrome::write(&mut out, recording.requests(), &findings)?;
    out.flush()?;
    writeln!(io::stdout(), "{} requests, {} without a time", written.requests, written.without_time)?;
    Ok(ExitCode::SUCCESS)
}
