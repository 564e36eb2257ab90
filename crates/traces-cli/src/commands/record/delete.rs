//! `traces record --delete`.

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;

use anyhow::bail;
use traces_record::{Recording, recordings};

use super::folders::Folders;
use crate::exit::Status;
use crate::render::{notes, record as render, sanitize};

/// Deletes the recordings that are named, or lists all.
pub(super) fn run(
    which: Option<&Path>,
    yes: bool,
    folders: &Folders,
    out: &mut impl Write,
) -> anyhow::Result<Status> {
    let all = recordings(&folders.recordings)?;
    let Some(which) = which else {
        if all.is_empty() {
            notes::warn(&format!("there is no recording in {}", folders.recordings.display()));
        }
        for recording in &all {
            writeln!(out, "{}", sanitize::line(&render::recording(recording)))?;
        }
        return Ok(Status::Done);
    };
    let named = if which.as_os_str() == "all" { all } else { vec![named(which, folders)?] };
    if named.is_empty() {
        bail!("there is no recording in {}", folders.recordings.display());
    }
    if !yes && !is_confirmed(&named)? {
        notes::warn("nothing was deleted");
        return Ok(Status::Unusable);
    }
    let mut status = Status::Done;
    let is_all = named.len() > 1;
    for recording in &named {
        if is_all && recording.is_in_progress() {
            notes::warn(&format!("{} stays: it is being recorded", recording.path.display()));
            status = Status::Skipped;
            continue;
        }
        let is_left = recording.delete()?;
        notes::warn(&format!("deleted {}", recording.path.display()));
        if is_left {
            notes::warn(&format!(
                "{} stays: it holds what is not of the recording, or is a link",
                recording.path.display()
            ));
            status = Status::Skipped;
        }
    }
    Ok(status)
}

/// A recording by its folder's name, or by its path.
fn named(which: &Path, folders: &Folders) -> anyhow::Result<Recording> {
    let is_name = which.components().count() == 1;
    let beside = folders.recordings.join(which);
    if is_name && beside.is_dir() {
        return Ok(Recording::open(&beside)?);
    }
    if !which.is_dir() {
        bail!("there is no recording {}: `traces record --delete` lists them", which.display());
    }
    Ok(Recording::open(which)?)
}

fn is_confirmed(named: &[Recording]) -> anyhow::Result<bool> {
    for recording in named {
        notes::warn(&render::recording(recording));
    }
    if !io::stdin().is_terminal() {
        bail!("--yes deletes without asking: there is no terminal to ask at");
    }
    let what = if named.len() == 1 { "this recording" } else { "these recordings" };
    write!(io::stderr(), "Delete {what}? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
