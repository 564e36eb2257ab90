//! `traces record`: runs a client that records itself, then sums up the recording.

mod delete;
mod folders;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use tempfile::NamedTempFile;
use traces_record::{
    Exit, Folder, Keep, Receipt, Recorder, SettingsFiles, SettingsNote, Shortcoming, is_claude,
};

use super::summary;
use crate::cli::{Cli, RecordArgs, Verb};
use crate::exit::Status;
use crate::interrupt;
use crate::render::{notes, record as render};
use folders::Folders;

/// How long the report of the last turn may take after the client's end.
const PATIENCE: Duration = Duration::from_millis(2500);
/// How often a receiver without a command looks whether it should end.
const TICK: Duration = Duration::from_millis(100);
/// Exit codes of a command that could not be run, as shells have them.
const CANNOT_START: u8 = 126;
const NOT_FOUND: u8 = 127;

pub(crate) fn run(args: &RecordArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    let folders = Folders::of_environment()?;
    if let Some(which) = &args.delete {
        return delete::run(which.as_deref(), args.yes, &folders, out);
    }
    // Impatience must not cost the receipt.
    let recorded = match interrupt::held(|| record(args, &folders, out))? {
        Ok(recorded) => recorded,
        Err(status) => return Ok(status),
    };
    let summed_up = match recorded.status {
        Status::Unusable => Status::Unusable,
        status if args.quiet => status,
        status => status.and(sum_up(&recorded.path, args, out)?),
    };
    Ok(match recorded.exit.map(Exit::code) {
        None | Some(0) => summed_up,
        Some(code) => Status::Command(u8::try_from(code).unwrap_or(1)),
    })
}

/// A recording that was made.
struct FinishedRecording {
    path: PathBuf,
    /// How the command ended; `None` where none was run.
    exit: Option<Exit>,
    /// Whether it is whole.
    status: Status,
}

/// Makes a recording; an exit status where the command could not be started.
fn record(
    args: &RecordArgs,
    folders: &Folders,
    out: &mut impl Write,
) -> anyhow::Result<Result<FinishedRecording, Status>> {
    let folder = match &args.dir {
        Some(dir) => Folder::create(dir)?,
        None => Folder::create_in(&folders.recordings, super::now())?,
    };
    if !args.quiet {
        folders.warn_once();
    }
    let keep = if args.no_bodies { Keep::Sizes } else { Keep::Bodies };
    let settings = SettingsFiles::new(&folders.config, &folders.project);
    let mut recorder = Recorder::start(folder, keep, folders.no_proxy(&settings).as_deref())?;
    let started = if args.print_env {
        print_env(&recorder, out)?;
        Ok(None)
    } else {
        run_command(&mut recorder, &args.command, args.quiet)?.map(Some)
    };
    let exit = match started {
        Ok(exit) => exit,
        Err(status) => {
            // Nothing was started, so that there is nothing to keep.
            recorder.discard()?;
            return Ok(Err(status));
        }
    };
    let path = recorder.folder().to_owned();
    let mut overrides = settings.overrides(recorder.variables());
    let has_settings = exit.is_some() && is_claude(program(&args.command));
    // What is given by `--settings` wins over all but an administrator's.
    overrides.retain(|found| found.is_managed || !has_settings);
    let stops = interrupt::pressed_from_here()?;
    let patience = if exit.is_some() { PATIENCE } else { Duration::ZERO };
    let receipt = recorder.finish(patience, || stops.load(Ordering::SeqCst))?;
    let shortcomings = receipt.shortcomings();
    for line in render::shortcomings(&shortcomings, &receipt.reasons(&overrides)) {
        notes::warn(&line);
    }
    let status = match shortcomings.first() {
        Some(Shortcoming::Nothing) => Status::Unusable,
        _ => status_of(&receipt),
    };
    Ok(Ok(FinishedRecording { path, exit, status }))
}

fn program(command: &[OsString]) -> &OsStr {
    command.first().map_or(OsStr::new("claude"), OsString::as_os_str)
}

/// Runs the command; an exit status where it could not be started.
fn run_command(
    recorder: &mut Recorder,
    command: &[OsString],
    quiet: bool,
) -> anyhow::Result<Result<Exit, Status>> {
    let program = program(command);
    let note = |note: &SettingsNote| {
        if !quiet {
            notes::warn(&render::settings_note(note));
        }
    };
    let ran = recorder.run(program, command.get(1..).unwrap_or_default(), note);
    Ok(match ran {
        Ok(exit) => Ok(exit),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            notes::warn(&render::not_found(&program.to_string_lossy()));
            Err(Status::Command(NOT_FOUND))
        }
        Err(error) => {
            notes::warn(&format!("cannot start {}: {error}", program.to_string_lossy()));
            Err(Status::Command(CANNOT_START))
        }
    })
}

/// Prints the variables, and receives until Ctrl-C or `kill`.
fn print_env(recorder: &Recorder, out: &mut impl Write) -> anyhow::Result<()> {
    let stops = interrupt::pressed_from_here()?;
    #[cfg(unix)]
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, stops.clone())?;
    }
    render::variables(recorder.variables(), out)?;
    out.flush()?;
    notes::warn(&format!(
        "recording into {}: start Claude Code with these variables; Ctrl-C ends the recording",
        recorder.folder().display()
    ));
    while !stops.load(Ordering::SeqCst) {
        thread::sleep(TICK);
    }
    Ok(())
}

/// What `traces FOLDER` prints.
fn sum_up(path: &Path, args: &RecordArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    notes::warn(&format!("recorded in {}", path.display()));
    let color = match args.color {
        crate::cli::ColorChoice::Auto => "auto",
        crate::cli::ColorChoice::Always => "always",
        crate::cli::ColorChoice::Never => "never",
    };
    let line = ["traces", "summary", "--color", color].map(OsString::from);
    let cli = Cli::try_parse_from(line.into_iter().chain([path.as_os_str().to_owned()]))?;
    let Verb::Summary(summary) = cli.verb else { return Ok(Status::Done) };
    match summary::run(&summary, out) {
        Err(error) if !crate::exit::is_closed_pipe(&error) => {
            notes::error(&error);
            Ok(Status::Unusable)
        }
        done => done,
    }
}

fn status_of(receipt: &Receipt) -> Status {
    let is_whole = receipt.lost == 0 && receipt.refused.is_empty() && receipt.bodies_removed == 0;
    if is_whole { Status::Done } else { Status::Skipped }
}

/// Writes what recordings are and how they are deleted beside them; whether that was not
/// there yet.
fn explain_beside(recordings: &Path) -> anyhow::Result<bool> {
    let path = recordings.join("README.txt");
    if path.symlink_metadata().is_ok() {
        return Ok(false);
    }
    let at = || format!("cannot write {}", path.display());
    fs::create_dir_all(recordings).with_context(at)?;
    let mut file = NamedTempFile::new_in(recordings).with_context(at)?;
    file.write_all(render::README.as_bytes()).with_context(at)?;
    file.persist(&path).with_context(at)?;
    Ok(true)
}
