//! Why nothing could be selected, and what to do about it: the library's errors in the
//! words of the command line.

use std::path::PathBuf;
use std::sync::Arc;

use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::select::SelectError;

use super::sanitize;
use super::units;

/// How to have two models where two are compared.
pub(crate) const FEW_MODELS: &str = "two models are compared, and fewer are known here. Run the same task with \
                                     another model, look further back with --all, or name the model of a session: \
                                     --label NAME=session:ID";

/// The error, and what to do.
pub(crate) fn words(error: &SelectError) -> String {
    use SelectError as E;
    match error {
        E::NotFound(_) => format!(
            "{error}. An INPUT is a path, `latest`, `latest~N`, `model:NAME`, `session:ID` or `run:ID`; \
             `traces --help` lists the verbs"
        ),
        E::NoRoot(_) => format!("--root: {error}"),
        E::NoRoots => "your home folder is unknown; name the folder with --root DIR".to_owned(),
        E::NothingRecorded(places) => {
            let places: Vec<String> = places.iter().map(|traces| traces.display().to_string()).collect();
            format!(
                "nothing is recorded in {} yet. Record a session with `ANYCLAUDE_DEBUG=2 anyclaude`, or name \
                 another folder: traces FOLDER, or --root DIR",
                places.join(" or ")
            )
        }
        E::NoTraces(places) => format!("{}: there are no traces (*.json) there", few_places(places)),
        E::NothingLeft { kinds, kind, newest, .. } => {
            let kinds: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} {}", kind.name())).collect();
            let newest = newest.map_or_else(String::new, |newest| {
                format!(" The newest is of {}.", units::stamp(Some(newest)))
            });
            let advice = if *kind == KindFilter::All { "" } else { " --kind all takes every kind." };
            format!("{error}. There are: {}.{newest}{advice}", kinds.join(", "))
        }
        E::NoNames { .. } => format!("{error}; --label NAME=INPUT names the model of some"),
        E::NoSuchName { names, .. } => format!("{error}; there are: {}", few_names(names)),
        E::Ambiguous { names, .. } => format!("{error}: {}", few_names(names)),
        E::Filter { field, source } => format!("--{}: {}", field.name(), words(source)),
        E::Label { model, input, reason } => {
            let label = format!("--label {model}={}", input.to_string_lossy());
            match reason {
                Some(reason) => format!("{label}: {}", words(reason)),
                None => format!("{label}: no request is there to name"),
            }
        }
        E::OneGroup(name) => format!("`{name}` is a group: name the other side too, behind it"),
        E::FewModels => FEW_MODELS.to_owned(),
        E::Io { source, .. } => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}

/// How many places an error names.
const MOST_PLACES: usize = 3;

fn few_places(places: &[PathBuf]) -> String {
    let most = places.iter().take(MOST_PLACES).map(|place| place.display().to_string());
    let more = if places.len() > MOST_PLACES { ", …" } else { "" };
    format!("{}{more}", most.collect::<Vec<_>>().join(", "))
}

/// How many names an error lists.
const MOST_NAMES: usize = 12;

fn few_names(names: &[Arc<str>]) -> String {
    let most: Vec<_> = names.iter().take(MOST_NAMES).map(|name| sanitize::line(name)).collect();
    let more = names.len().saturating_sub(MOST_NAMES);
    let most = most.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", ");
    if more == 0 { most } else { format!("{most} and {more} more") }
}
