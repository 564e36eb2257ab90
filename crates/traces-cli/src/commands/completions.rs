//! `traces completions`.

use std::io::Write;

use clap::{Args as _, Command, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::{Cli, SummaryArgs};
use crate::exit::Status;

pub(crate) fn script(shell: Shell, out: &mut impl Write) -> anyhow::Result<Status> {
    // The generator panics when its writer fails, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut with_options_of_summary(), "traces", &mut script);
    if shell == Shell::Zsh {
        script = of_verbs_alone(&script);
    }
    out.write_all(&script)?;
    Ok(Status::Done)
}

/// Without a verb it is `summary`, whose options may stand alone.
fn with_options_of_summary() -> Command {
    let summary = SummaryArgs::augment_args(Command::new("summary"));
    let options = summary.get_arguments().filter(|argument| !argument.is_positional());
    Cli::command().args(options.cloned())
}

/// Keeps zsh from completing options after a verb with those of `traces` itself: the
/// generator of clap_complete cannot write `-A`.
fn of_verbs_alone(script: &[u8]) -> Vec<u8> {
    const CALL: &str = "_arguments \"${_arguments_options[@]}\"";
    String::from_utf8_lossy(script).replacen(CALL, &format!("{CALL} -A '-*'"), 1).into_bytes()
}
