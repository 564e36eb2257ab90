//! `traces`: why one local model is slower than another, from what anyclaude
//! recorded.

mod cli;
mod commands;
mod duration;
mod exit;
mod interrupt;
mod render;
mod save;
mod select;

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

/// How much output is written at once: what a pipe takes.
const OUT_BYTES: usize = 1 << 16;

fn main() -> ExitCode {
    let args = cli::verb_first(std::env::args_os());
    let cli = cli::Cli::try_parse_from(&args).unwrap_or_else(|error| refuse(&args, &error));
    let mut out = BufWriter::with_capacity(OUT_BYTES, io::stdout().lock());
    let done = interrupt::watch().map_err(Into::into).and_then(|()| commands::run(cli.verb, &mut out));
    let done = done.and_then(|status| Ok(out.flush().map(|()| status)?));
    match done {
        Ok(status) => status.into(),
        Err(error) if exit::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            render::notes::complain(&error);
            exit::Status::Unusable.into()
        }
    }
}

/// Ends the program with clap's own words, in which the arguments are made safe
/// to print.
fn refuse(args: &[std::ffi::OsString], error: &clap::Error) -> ! {
    let safe = args.iter().map(|arg| render::plain::line(&arg.to_string_lossy()).into_owned());
    cli::Cli::try_parse_from(safe).err().as_ref().unwrap_or(error).exit()
}
