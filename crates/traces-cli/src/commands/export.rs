//! `traces export`: requests for other tools.

#[cfg(feature = "parquet")]
mod days;
#[cfg(feature = "parquet")]
mod tables;

use std::io::{self, IsTerminal as _, Write};

use anyclaude_traces::Request;
use anyclaude_traces::ask::answers;
use anyclaude_traces::findings::Finding;
use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::select::{Reader, Selection};
use anyhow::{anyhow, bail};
use traces_export::{Written, chrome, has_time, otlp};

#[cfg(feature = "parquet")]
use super::now;
use super::{nothing_read, reading, report_skipped};
use crate::cli::{ExportArgs, OutputFormat};
use crate::exit::Status;
use crate::render::json::Escaping;
use crate::render::{notes, units};
use crate::save::{OutputFile, is_stdout};
use crate::select;

pub(crate) fn run(args: &ExportArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    if args.output.format == OutputFormat::Parquet {
        return tables(args);
    }
    if args.append {
        bail!("--append is for --format parquet: any other format is one file");
    }
    if args.file.is_none() && io::stdout().is_terminal() {
        bail!("name a file, as in `traces export -o timeline.json` (-o - prints it)");
    }
    let file = args.file.as_deref().filter(|file| !is_stdout(file));
    let target = file.map(|file| OutputFile::new(file, args.force)).transpose()?;
    let found = read(args)?;
    let skipped = report_skipped(&found.selection.skipped_list(), &args.output);
    if found.selection.requests.is_empty() {
        return Err(nothing_read(&args.filter, &args.inputs));
    }
    if !found.selection.requests.iter().any(has_time) {
        return Err(no_times(&found.selection.requests));
    }
    let written = match target {
        None => found.write(out)?,
        Some(target) => {
            let (bytes, written) = target.write_with(|mut out| found.write(&mut out))?;
            if !args.output.quiet {
                let requests = units::count(written.requests, "request");
                let size = units::bytes(bytes);
                notes::warn(&format!("wrote {} ({requests}, {size})", target.path().display()));
            }
            written
        }
    };
    if !args.output.quiet {
        say_what_is_missing(written, found.selection.is_sitting);
    }
    // Process exits now: skip dropping 100k requests.
    std::mem::forget(found);
    Ok(skipped)
}

/// What goes into the file.
struct ExportInput {
    selection: Selection,
    /// What a timeline has besides; `None` for spans.
    findings: Option<Vec<Finding>>,
}

impl ExportInput {
    fn write(&self, out: &mut impl Write) -> io::Result<Written> {
        let requests = &self.selection.requests;
        match &self.findings {
            Some(findings) => chrome::write(&mut Escaping(out), requests, findings),
            None => otlp::write(&mut Escaping(out), requests),
        }
    }
}

fn read(args: &ExportArgs) -> anyhow::Result<ExportInput> {
    let (reader, inputs) = select::reader_of(&args.filter, &args.inputs, KindFilter::All)?;
    let reader = reader.with_tasks();
    let has_findings = args.output.format == OutputFormat::Chrome;
    let cache = args.cache.options();
    let reader: Reader = if has_findings { reader.with_costs(cache) } else { reader.with_times(cache) };
    reading(&reader, &args.output, || {
        let mut selection = reader.select(&inputs)?;
        let findings = has_findings.then(|| answers::findings(&reader, &mut selection));
        Ok(ExportInput { selection, findings })
    })
}

/// Why there is nothing to draw, and what helps.
fn no_times(requests: &[Request]) -> anyhow::Error {
    let all = units::count(requests.len() as u64, "request");
    let times = if requests.iter().any(Request::is_task_only) {
        "A server's log without dates gets them from the requests that it answered: export their recording \
         with it, as in `traces export --root DIR --server-log FILE -o timeline.json`. "
    } else {
        ""
    };
    anyhow!("no time is known of {all}: nothing can be drawn. {times}`--format parquet` needs no times")
}

/// Says which requests are not in the file.
fn say_what_is_missing(written: Written, is_sitting: bool) {
    if written.without_time > 0 {
        let requests = units::count(written.without_time, "request");
        notes::warn(&format!("left out {requests} without a time"));
    }
    say_scope(is_sitting);
}

fn say_scope(is_sitting: bool) {
    if is_sitting {
        notes::warn("these are the last 24 hours of activity; --all exports everything");
    }
}

#[cfg(feature = "parquet")]
use tables::run as tables;

#[cfg(not(feature = "parquet"))]
fn tables(_: &ExportArgs) -> anyhow::Result<Status> {
    bail!("this program was built without Parquet: `cargo install traces-cli` builds it with it")
}
