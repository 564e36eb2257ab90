//! `traces`: why a local model is slow, from recordings of Claude Code, anyclaude, servers
//! and others.

mod browser;
mod cli;
mod commands;
mod exit;
mod interrupt;
mod parse;
mod render;
mod save;
mod select;

use std::io::{self, BufWriter, IsTerminal, Write as _};
use std::process::ExitCode;

/// Output is written in pieces as large as a pipe's buffer.
const OUT_BYTES: usize = 1 << 16;

fn main() -> ExitCode {
    let args = cli::verb_first(std::env::args_os());
    let cli = match cli::parse(&args) {
        Ok(cli) => cli,
        Err(error) => return refuse(&args, error),
    };
    let mut out = BufWriter::with_capacity(OUT_BYTES, io::stdout().lock());
    let done = interrupt::watch().map_err(Into::into).and_then(|()| commands::run(cli.verb, &mut out));
    ended(done.and_then(|status| Ok(out.flush().map(|()| status)?)))
}

/// Prints the error that ended the program, unless it is that nobody reads its output
/// any more.
fn ended(done: anyhow::Result<impl Into<ExitCode>>) -> ExitCode {
    match done {
        Ok(status) => status.into(),
        Err(error) if exit::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            render::notes::error(&error);
            exit::Status::Unusable.into()
        }
    }
}

/// Prints what clap has to say, which may be help. Arguments are sanitised first.
fn refuse(args: &[std::ffi::OsString], error: clap::Error) -> ExitCode {
    let safe = args.iter().map(|arg| render::sanitize::line(&arg.to_string_lossy()).into_owned());
    let error = cli::parse(safe).err().unwrap_or(error);
    if error.use_stderr() {
        // There is no other stream to report a failure on.
        let _ = print(&error, &mut io::stderr());
        return exit::Status::Unusable.into();
    }
    let printed = print(&error, &mut io::stdout());
    ended(printed.map(|()| exit::Status::Done).map_err(Into::into))
}

/// Prints clap's message, in colour under the rule that tables follow. Its own `print`
/// heeds other variables too, such as `CI`.
fn print(error: &clap::Error, out: &mut (impl io::Write + IsTerminal)) -> io::Result<()> {
    let text = error.render();
    if render::color::is_shown(cli::ColorChoice::Auto, out) {
        write!(out, "{}", text.ansi())?;
    } else {
        write!(out, "{text}")?;
    }
    out.flush()
}
