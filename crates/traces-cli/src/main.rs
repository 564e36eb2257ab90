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
mod zone;

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write as _};
use std::process::ExitCode;

/// Output is written in pieces as large as a pipe's buffer.
const OUT_BYTES: usize = 1 << 16;

fn main() -> ExitCode {
    let args = cli::verb_first(std::env::args_os());
    let cli = match cli::parse(&args) {
        Ok(cli) => cli,
        Err(error) => return refuse(&args, error),
    };
    let mut out = BufWriter::with_capacity(OUT_BYTES, Stdout(io::stdout().lock()));
    let ready = zone::check_environment().and_then(|()| Ok(interrupt::watch()?));
    let done = ready.and_then(|()| commands::run(cli.verb, &mut out));
    ended(done.and_then(|status| Ok(out.flush().map(|()| status)?)))
}

/// The standard output, whose errors say that they are its own.
struct Stdout<W>(W);

impl<W: io::Write> io::Write for Stdout<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(of_stdout)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(of_stdout)
    }
}

fn of_stdout(error: io::Error) -> io::Error {
    match error.kind() {
        // These are no failures: writing goes on, or ends in silence.
        ErrorKind::Interrupted | ErrorKind::BrokenPipe => error,
        kind => io::Error::new(kind, format!("cannot write to the standard output: {error}")),
    }
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
    ended(printed.map(|()| exit::Status::Done).map_err(|error| of_stdout(error).into()))
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
