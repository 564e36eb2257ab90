//! `traces completions` and `traces man`.

use std::io::Write;

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::exit::Status;

pub(crate) fn completions(shell: clap_complete::Shell, out: &mut impl Write) -> anyhow::Result<Status> {
    // The generator panics when its writer fails, so that it gets memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "traces", &mut script);
    out.write_all(&script)?;
    Ok(Status::Done)
}

/// The page of `traces` and one of every verb, in one stream.
pub(crate) fn page(out: &mut impl Write) -> anyhow::Result<Status> {
    let mut command = Cli::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(out)?;
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let name: &'static str = format!("traces-{}", verb.get_name()).leak();
        clap_mangen::Man::new(verb.clone().name(name)).render(out)?;
    }
    Ok(Status::Done)
}
