//! The arguments of `traces export`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::help::{help, shared};
use super::{CacheArgs, FilterArgs, Formats, OutputArgs, OutputFormat};

#[derive(Debug, Args)]
#[command(
    mut_arg("format", |format| format.default_value("chrome").value_parser(Formats(OutputFormat::EXPORTS))),
    after_long_help = help!("\
Requests of every kind are exported, unless --kind says otherwise. `traces help
export` says what is in the file.

Examples:
  traces export -o timeline.json       the last 24 hours, as a timeline
  traces export session:1111 -o timeline.json
  traces export model:gpt-oss --kind conversation -o timeline.json --force
  traces export --all | gzip > timeline.json.gz
  traces export --all --format otlp -o spans.jsonl
  traces export --all --format parquet -o tables
  traces export --all --format parquet -o tables --append")
)]
pub(crate) struct ExportArgs {
    /// Files, folders or selectors
    #[arg(value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<OsString>,
    /// Write to this file, which must not exist yet; of Parquet, a folder
    ///
    /// Only its owner may read it. `-` is the standard output, where it goes without this
    /// option too unless that is a terminal.
    #[arg(long = "output", short = 'o', value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
    /// Overwrite an existing file; of Parquet, the days that are exported
    ///
    /// A day that the folder holds is never replaced by a part of it.
    #[arg(long, requires = "file")]
    pub(crate) force: bool,
    /// Write only days that the folder does not hold whole yet
    ///
    /// A day of which it holds a part, or that was not over when it was written, is written
    /// anew. A day of which only a part is asked for is left out.
    #[arg(long, requires = "file", conflicts_with = "force")]
    pub(crate) append: bool,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
