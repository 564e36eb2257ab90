//! Why there is nothing to show, and what to do about it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyclaude_traces::Kind;
use anyclaude_traces::Timestamp;
use anyclaude_traces::model::scope::KindFilter;
use anyhow::anyhow;

use crate::render::units;

pub(super) fn explain_missing(path: &Path) -> anyhow::Result<()> {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(anyhow!(
            "{}: no such file or folder. An INPUT is a path, `latest`, `latest~N`, `model:NAME`, \
             `session:ID` or `run:ID`; `traces --help` lists the verbs",
            path.display()
        )),
        _ => Ok(()),
    }
}

pub(super) fn nothing_recorded(traces: &[PathBuf]) -> String {
    let places: Vec<String> = traces.iter().map(|traces| traces.display().to_string()).collect();
    format!(
        "nothing is recorded in {} yet. Record a session with `ANYCLAUDE_DEBUG=2 anyclaude`, or name \
         another folder: traces FOLDER, or --root DIR",
        places.join(" or ")
    )
}

/// How many places an error names.
const MOST_PLACES: usize = 3;

pub(super) fn nothing_left(
    places: &[PathBuf],
    seen: usize,
    kinds: &BTreeMap<Kind, usize>,
    kind: KindFilter,
    newest: Option<Timestamp>,
) -> String {
    if seen == 0 {
        let most = places.iter().take(MOST_PLACES).map(|place| place.display().to_string());
        let more = if places.len() > MOST_PLACES { ", …" } else { "" };
        return format!("{}{more}: there are no traces (*.json) there", most.collect::<Vec<_>>().join(", "));
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} {}", kind.name())).collect();
    let newest = newest
        .map_or_else(String::new, |newest| format!(" The newest is of {}.", units::stamp(Some(newest))));
    let advice = if kind == KindFilter::All { "" } else { " --kind all takes every kind." };
    format!(
        "none of the {seen} requests passes the filters (kind {}). There are: {}.{newest}{advice}",
        kind.name(),
        kinds.join(", ")
    )
}
