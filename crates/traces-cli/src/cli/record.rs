//! The arguments of `traces record`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::ColorChoice;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Claude Code (2.1.111 or newer) records itself: it writes the bodies of its
requests into a folder, and reports to a receiver on 127.0.0.1 when each began,
how long it took and how many tokens it had. No request passes through traces,
so that recording costs no time; it works with every server that Claude Code
works with.

A recording holds whole prompts, with your code and whatever else they quote.
Its folder is for you alone; nothing is sent anywhere.

Where the command is claude, it gets the variables by --settings too, as those
of a settings.json would win over the environment; your own --settings is kept.
Other commands (a script, npx) get them by the environment alone.

Examples:
  traces record                             claude, recorded
  traces record -- claude --resume
  traces record -- claude -p \"say hello\" --model gpt-oss-20b
  traces record --no-bodies                 sizes and hashes instead of prompts
  traces record --print-env                 for a client that you start yourself
  traces record --delete                    what there is to delete
  traces record --delete all --yes

Exit codes: those of the command, and where it ends with 0:
  0  recorded
  2  wrong usage, or nothing was recorded
  3  recorded, but something was refused or could not be written
  126  the command could not be started
  127  there is no such command

Environment:
  XDG_DATA_HOME      where recordings are kept [default: ~/.local/share]
  CLAUDE_CONFIG_DIR  where Claude Code's settings are [default: ~/.claude]

Files:
  ~/.local/share/traces/START/bodies/        what was sent and answered
  ~/.local/share/traces/START/logs.jsonl     events: times and tokens
  ~/.local/share/traces/START/traces.jsonl   spans: times to the first token
  ~/.local/share/traces/START/receipt.json   versions, variables, what came")]
pub(crate) struct RecordArgs {
    /// The command to run [default: claude]
    #[arg(value_name = "COMMAND", last = true, value_hint = ValueHint::CommandWithArguments)]
    pub(crate) command: Vec<OsString>,
    /// Record into this folder, which must be new or empty
    ///
    /// By default each recording has a folder of its own in ~/.local/share/traces.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,
    /// Keep sizes and hashes only, no text of any prompt or answer
    ///
    /// Once the command has ended, every text in the bodies is replaced by as many characters
    /// of a hash. Names of tools and of their parameters, models, ids and counts stay.
    #[arg(long)]
    pub(crate) no_bodies: bool,
    /// Print the variables for a client that you start yourself
    ///
    /// As lines for a shell. It records until Ctrl-C.
    #[arg(long, conflicts_with = "command")]
    pub(crate) print_env: bool,
    /// Delete a recording, or all
    ///
    /// It has the name of its folder; without a name, all recordings are listed.
    #[arg(
        long,
        value_name = "RECORDING|all",
        num_args = 0..=1,
        conflicts_with_all = ["command", "dir", "no_bodies", "print_env"]
    )]
    pub(crate) delete: Option<Option<PathBuf>>,
    /// Delete without asking
    #[arg(long, short, requires = "delete")]
    pub(crate) yes: bool,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub(crate) color: ColorChoice,
    /// Print neither the summary nor notes
    ///
    /// The output is the command's alone. Errors are still printed, and what was not recorded.
    #[arg(long, short, help_heading = "Output")]
    pub(crate) quiet: bool,
}
