//! The arguments of `traces report`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::help::{help, shared};
use super::{CacheArgs, FilterArgs, Formats, MeasuredArgs, OutputArgs, OutputFormat};

#[derive(Debug, Args)]
#[command(
    mut_arg("format", |format| {
        format.default_value("html").value_parser(Formats(&[OutputFormat::Html, OutputFormat::Markdown, OutputFormat::Json]))
    }),
    after_long_help = help!("\
The two models used last are compared, as `traces explain` does, among the
INPUTs if there are any. The HTML page is one file that loads nothing else; the
Markdown has the five points of anyclaude's performance guide and the verdict.
Neither holds text of prompts without --include-text. --open shows the page in
the browser.

Examples:
  traces report -o report.html         the two models used last
  traces report --format markdown      to paste
  traces report model:gpt-oss model:qwen3-42b -o report.html --force
  traces report --direct fast.json slow.json -o report.html
  traces report --all --include-text -o everything.html")
)]
pub(crate) struct ReportArgs {
    /// Files, folders or selectors
    #[arg(value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<OsString>,
    /// The file to write; it must be new
    ///
    /// Only its owner may read it. `-` is the standard output, where Markdown and JSON go
    /// without this option too; HTML needs it.
    #[arg(long = "output", short = 'o', value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Overwrite an existing file
    #[arg(long, requires = "file")]
    pub(crate) force: bool,
    /// Open the page in the browser
    ///
    /// Without -o it is written to a new temporary file. Its path is printed either way. Where
    /// there is no desktop, as over SSH, this is an error, and the page is written all the same.
    #[arg(long)]
    pub(crate) open: bool,
    /// Add prompts: they may hold secrets
    ///
    /// Of each model the newest one: its system prompt, the descriptions of its tools, and its last message.
    #[arg(long)]
    pub(crate) include_text: bool,
    #[command(flatten)]
    pub(crate) measured: MeasuredArgs,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
