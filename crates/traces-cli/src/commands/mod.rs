//! One file a verb: call the library, hand the result to `render`.

mod completions;
mod diff;
mod direct;
mod explain;
mod export;
mod help;
mod list;
mod man;
mod one;
mod prefix;
mod record;
mod replay;
mod report;
mod show;
mod summary;
mod timing;
mod watch;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyclaude_traces::error::Skipped;
use anyclaude_traces::model::group::Grouping;
use anyclaude_traces::model::time::Timestamp;
use anyclaude_traces::{Request, Store};
use anyhow::anyhow;

use crate::cli::{By, FilterArgs, OutputArgs, Verb};
use crate::exit::Status;
use crate::parse::Limit;
use crate::render::page::{Next, quoted};
use crate::render::{notes, progress, units};
use anyclaude_traces::select::{Reader, SelectError};
use clap::ValueEnum as _;

/// Runs a verb.
pub(crate) fn run(verb: Verb, out: &mut impl Write) -> anyhow::Result<Status> {
    match verb {
        Verb::Summary(args) => summary::run(&args, out),
        Verb::List(args) => list::run(&args, out),
        Verb::Show(args) => show::run(&args, out),
        Verb::Diff(args) => diff::run(&args, out),
        Verb::Timing(args) => timing::run(&args, out),
        Verb::Explain(args) => explain::run(&args, out),
        Verb::Replay(mut args) => replay::run(&mut args, out),
        Verb::Prefix(args) => prefix::run(&args, out),
        Verb::Watch(args) => watch::run(&args, out),
        Verb::Record(args) => record::run(&args, out),
        Verb::Report(args) => report::run(&args, out),
        Verb::Export(args) => export::run(&args, out),
        Verb::Help(args) => help::run(&args, out),
        Verb::Completions(args) => completions::script(args.shell, out),
        Verb::Man => man::page(out),
    }
}

/// The time, to the millisecond.
fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH.plus_ms(chrono::Utc::now().timestamp_millis())
}

/// Reads while a terminal shows how far it is.
fn reading<T>(reader: &Reader, output: &OutputArgs, read: impl FnOnce() -> T) -> T {
    let progress = reader.store().progress();
    progress::while_reading(&progress, !output.quiet && !output.no_progress, read)
}

/// The same with a reader that is asked nothing else.
fn reading_once<T>(reader: Reader, output: &OutputArgs, read: impl FnOnce(Reader) -> T) -> T {
    let progress = reader.store().progress();
    progress::while_reading(&progress, !output.quiet && !output.no_progress, || read(reader))
}

/// How the next command finds what this one looked at.
fn next_step(reader: &Reader, filter: &FilterArgs, inputs: &[OsString], requests: &[Request]) -> Next {
    let has_paths =
        inputs.iter().any(|input| reader.selector(input).is_ok_and(|selector| selector.is_path()));
    next_step_of(filter, inputs, requests, has_paths)
}

/// The same, where it is known whether an input is a file or folder.
fn next_step_of(filter: &FilterArgs, inputs: &[OsString], requests: &[Request], has_paths: bool) -> Next {
    let is_of_environment = |root: &Path| std::env::var_os("TRACES_ROOT").is_some_and(|env| env == *root);
    let roots = filter.roots.iter().filter(|root| !is_of_environment(root));
    let roots = roots.map(|root| option("root", root));
    let logs = filter.server_logs.iter().map(|log| option("server-log", log));
    let labels = filter.labels.iter().map(|label| {
        let mut whole = OsString::from(&label.model);
        whole.push("=");
        whole.push(&label.input);
        option("label", whole)
    });
    // What only a server's log tells of is no file to be shown.
    let newest = requests.last().filter(|newest| !newest.is_task_only()).map(|newest| {
        if has_paths { quoted(&newest.path.as_ref().display().to_string()) } else { newest.id.to_string() }
    });
    Next {
        options: roots.chain(logs).chain(labels).collect(),
        filters: filters(filter),
        inputs: inputs.iter().map(|input| format!(" {}", quoted(&input.to_string_lossy()))).collect(),
        has_paths,
        newest,
    }
}

fn option(name: &str, value: impl AsRef<std::ffi::OsStr>) -> String {
    format!(" --{name} {}", quoted(&value.as_ref().to_string_lossy()))
}

/// The options that say which of the requests that were read.
fn filters(filter: &FilterArgs) -> String {
    let given = [
        ("mode", filter.mode.clone()),
        ("model", filter.model.clone()),
        ("session", filter.session.clone()),
        ("run", filter.run.clone()),
        ("since", filter.since.clone()),
        ("until", filter.until.clone()),
        ("last", filter.last.map(|last| last.to_string())),
        ("kind", filter.kind.and_then(|kind| Some(kind.to_possible_value()?.get_name().to_owned()))),
    ];
    let all = if filter.all { " --all" } else { "" };
    let given = given.into_iter().filter_map(|(name, value)| Some(option(name, value?)));
    given.chain([all.to_owned()]).collect()
}

/// What requests are grouped by.
fn grouping(by: By) -> Grouping {
    let day = |request: &Request| request.timestamp.map(|stamp| Arc::from(units::day(stamp)));
    let level = |request: &Request| request.process()?.level.map(|level| level.to_string().into());
    match by {
        By::Model => Grouping::by_model(),
        By::Mode => Grouping::by_name(|request| request.mode.clone()),
        By::Kind => Grouping::by_name(|request| Some(request.kind.name().into())),
        By::Session => Grouping::by_time(|request| request.session.clone()),
        By::Run => Grouping::by_time(|request| request.run.clone()),
        By::Level => Grouping::by_step(level),
        By::Day => Grouping::by_time(day),
    }
}

/// Why nothing is shown where logs alone would do.
const NOTHING_READ: &str =
    "none of these files could be read as a trace or a log: `traces help formats` lists what is read";

/// Why nothing is shown: of logs, that no request line is in them; of files, which have
/// been named where they were skipped.
fn nothing_read(filter: &FilterArgs, inputs: &[OsString]) -> anyhow::Error {
    let is_log = |input: &&OsString| Store::is_server_log(Path::new(input));
    let named = inputs.iter().filter(is_log).map(PathBuf::from);
    let logs: Vec<PathBuf> = filter.server_logs.iter().cloned().chain(named).collect();
    if logs.is_empty() {
        return anyhow!(
            "none of these files could be read as a trace: `traces help formats` lists what is read"
        );
    }
    SelectError::NoRequestLines(logs).into()
}

/// Says which files were skipped, and returns the exit status that this means.
fn report_skipped(skipped: &[Skipped], output: &OutputArgs) -> Status {
    if skipped.is_empty() {
        return Status::Done;
    }
    if !output.quiet {
        notes::warn_skipped(skipped);
    }
    Status::Skipped
}

/// Says which requests exceed a limit, and returns the exit status that this means.
fn check_limits(requests: &[Request], limits: &[Limit]) -> Status {
    let mut exceeded = false;
    for request in requests {
        for limit in limits {
            let Some(value) = limit.measure.of(request).filter(|value| *value > limit.most) else { continue };
            exceeded = true;
            let figures = [value, limit.most];
            let mut shown = figures.map(|figure| units::show(figure, limit.measure.unit()));
            if shown[0] == shown[1] {
                shown = figures.map(|figure| units::exact(figure, limit.measure.unit()));
            }
            let [value, most] = shown;
            let path = request.path.as_ref().display();
            notes::warn(&format!("{} of {path} is {value}, over the limit of {most}", limit.measure));
        }
    }
    Status::exceeded_if(exceeded)
}
