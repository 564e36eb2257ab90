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
use std::path::Path;
use std::sync::Arc;

use anyclaude_traces::Request;
use anyclaude_traces::error::Skipped;
use anyclaude_traces::model::group::Grouping;

use crate::cli::{By, Filter, Output, Verb};
use crate::exit::Status;
use crate::parse::Limit;
use crate::render::page::{Next, quoted};
use crate::render::{notes, progress, units};
use anyclaude_traces::select::Reader;

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

/// Reads while a terminal shows how far it is.
fn reading<T>(reader: &Reader, output: &Output, read: impl FnOnce() -> T) -> T {
    let progress = reader.store().progress();
    progress::while_reading(&progress, !output.quiet && !output.no_progress, read)
}

/// How the next command finds what this one looked at.
fn next_step(filter: &Filter, inputs: &[OsString], requests: &[Request]) -> Next {
    let is_of_environment = |root: &Path| std::env::var_os("TRACES_ROOT").is_some_and(|env| env == *root);
    let roots = filter.roots.iter().filter(|root| !is_of_environment(root));
    let root = roots.map(|root| format!(" --root {}", quoted(&root.display().to_string()))).collect();
    let newest = requests.last().map(|newest| quoted(&newest.path.as_ref().display().to_string()));
    Next { root, newest: newest.filter(|_| !inputs.is_empty()) }
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

/// Says which files were skipped, and returns the exit status that this means.
fn report_skipped(skipped: &[Skipped], output: &Output) -> Status {
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
            notes::warn(&format!(
                "{} of {} is {}, over the limit of {}",
                limit.measure,
                request.path.as_ref().display(),
                units::show(value, limit.measure.unit()),
                units::show(limit.most, limit.measure.unit()),
            ));
        }
    }
    Status::exceeded_if(exceeded)
}
