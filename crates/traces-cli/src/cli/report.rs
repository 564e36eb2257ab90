//! The arguments of `traces report`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::{Filter, Format, Measured, Output};

#[derive(Debug, Args)]
#[command(
    mut_arg("format", |format| format.default_value("html").value_parser(ReportFormat)),
    after_long_help = "\
The two models used last are compared, as `traces explain` does, among the INPUTs
if there are any. The HTML page is one file that opens nothing else; the Markdown
has the performance guide's five points and the verdict. Neither holds text of
prompts without --include-text.

Examples:
  traces report -o report.html
  traces report --format markdown
  traces report model:gpt-oss model:qwen3-42b -o report.html --force
  traces report --direct fast.json slow.json -o report.html"
)]
pub(crate) struct ReportArgs {
    /// Files, folders or selectors
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<OsString>,
    /// Write to this file, which must not exist yet
    #[arg(long = "output", short = 'o', value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Write over a file that exists
    #[arg(long, requires = "file")]
    pub(crate) force: bool,
    /// Add text of the newest prompt of each model: it may hold secrets
    #[arg(long)]
    pub(crate) include_text: bool,
    #[command(flatten)]
    pub(crate) measured: Measured,
    #[command(flatten)]
    pub(crate) filter: Filter,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Knows the formats of a report, of which HTML is one that no other verb has.
#[derive(Debug, Clone, Copy)]
struct ReportFormat;

impl TypedValueParser for ReportFormat {
    type Value = Format;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Format, clap::Error> {
        let name = PossibleValuesParser::new(REPORT_FORMATS.map(|(name, _)| name));
        let name = name.parse_ref(command, arg, value)?;
        let format = REPORT_FORMATS.iter().find(|(known, _)| *known == name);
        Ok(format.map_or(Format::Html, |(_, format)| *format))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(REPORT_FORMATS.iter().map(|(name, _)| PossibleValue::new(*name))))
    }
}

const REPORT_FORMATS: [(&str, Format); 3] =
    [("html", Format::Html), ("markdown", Format::Markdown), ("json", Format::Json)];
