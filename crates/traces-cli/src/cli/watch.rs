//! The arguments of `traces watch`.

use clap::Args;

use super::help::{help, shared};
use super::shared::Formats;
use super::{CacheArgs, FilterArgs, OutputArgs, OutputFormat};

#[derive(Debug, Args)]
#[command(
    mut_arg("format", |arg| arg.value_parser(Formats(&[OutputFormat::Table, OutputFormat::Ndjson]))),
    after_long_help = help!("\
On a terminal it draws a picture: the request that is being worked on, the last
ones, and what costs time. Piped, or with --plain, it prints one line for each
event. It ends with q or Ctrl-C. Keys: arrows or j and k choose a request, Enter
shows it, p pauses, ? explains the picture.

A request is expected to take as long as its unread tokens take at this model's
speed, as far as earlier requests tell both.

Examples:
  traces watch                         while a session goes on
  traces watch --bell                  ring when a late answer begins
  traces watch --once                  the picture as it is now
  traces watch --plain                 one line an event
  traces watch --format ndjson | jq -c 'select(.event == \"first_token\")'")
)]
pub(crate) struct WatchArgs {
    /// Print the picture as it is now, and end; with --plain or ndjson, the events so far
    #[arg(long)]
    pub(crate) once: bool,
    /// One line for each event, also on a terminal
    #[arg(long)]
    pub(crate) plain: bool,
    /// Ring the terminal's bell when a request that waited for 10 s or more begins to answer
    #[arg(long)]
    pub(crate) bell: bool,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
