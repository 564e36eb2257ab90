//! `traces`: why one local model is slower than another, from what anyclaude
//! recorded.

mod cli;
mod commands;
mod duration;
mod exit;
mod render;
mod select;

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse_from(cli::verb_first(std::env::args_os()));
    let mut out = BufWriter::new(io::stdout().lock());
    let done = commands::run(cli.verb, &mut out).and_then(|status| Ok(out.flush().map(|()| status)?));
    match done {
        Ok(status) => status.into(),
        Err(error) if exit::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            render::notes::complain(&error);
            exit::Status::Unusable.into()
        }
    }
}
