//! Why nothing could be selected, and what to do about it: the library's errors in the
//! words of the command line.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyclaude_traces::analysis::what_if::UnknownName;
use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::select::{Field, SelectError};
use clap::{Command, CommandFactory as _};

use super::page::quoted;
use super::{sanitize, units};
use crate::cli::Cli;

/// How to have two models where two are compared.
pub(crate) const FEW_MODELS: &str = "two models are compared, and fewer are known here. Run the same task with \
                                     another model, look further back with --all, or name the model of a session: \
                                     --label NAME=session:ID";

/// The error, and what to do.
pub(crate) fn words(error: &SelectError) -> String {
    use SelectError as E;
    match error {
        E::NotFound { path, models } => format!(
            "{error}. {}An INPUT is a path, `latest`, `latest~N`, `model:NAME`, `session:ID` or `run:ID`; \
             `traces --help` lists the verbs",
            did_you_mean(path, models)
        ),
        E::NoRoot(_) => format!("--root: {error}"),
        E::NoRoots => "your home folder is unknown; name the folder with --root DIR".to_owned(),
        E::NothingRecorded { near, .. } if !near.is_empty() => {
            let near: Vec<String> = near.iter().map(|root| format!("`--root {}`", root.display())).collect();
            format!("{error}. Did you mean {}?", near.join(" "))
        }
        E::NothingRecorded { places, server_logs, .. } => nothing_recorded(places, server_logs),
        E::NoTraces(places) => {
            let is_log = |place: &PathBuf| place.extension().is_some_and(|ending| ending != "json");
            let advice =
                if places.iter().any(is_log) { "; name a server's log with --server-log" } else { "" };
            format!(
                "{}: there are no recordings there (`traces help formats` lists what is read){advice}",
                few_places(places)
            )
        }
        E::NothingLeft { kinds, kind, newest, .. } => {
            let kinds: Vec<String> = kinds.iter().map(|(kind, n)| format!("{n} {}", kind.name())).collect();
            let newest = newest.map_or_else(String::new, |newest| {
                format!(" The newest is of {}.", units::stamp(Some(newest)))
            });
            let advice = if *kind == KindFilter::All { "" } else { " --kind all takes every kind." };
            format!("{error}. There are: {}.{newest}{advice}", kinds.join(", "))
        }
        E::NothingLogged { first, last, .. } => match (first, last) {
            (Some(_), Some(_)) => {
                format!("{error}. They are from {} to {}.", units::stamp(*first), units::stamp(*last))
            }
            _ => format!("{error}: their log has no dates."),
        },
        E::NoRequestLines(_) => format!("{error}: `traces timing` shows what they tell of each task"),
        E::NoNames { .. } => format!("{error}; --label NAME=INPUT names the model of some"),
        E::NoSuchName { part, names, .. } => {
            let meant = nearest(part, names.iter().map(AsRef::as_ref)).or_else(|| near_part(part, names));
            let meant =
                meant.map_or_else(String::new, |meant| format!(" Did you mean `{}`?", sanitize::line(meant)));
            format!("{error}.{meant} There are: {}", few_names(names))
        }
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

/// How to come by a recording: what is there already is the shortest way.
fn nothing_recorded(places: &[PathBuf], server_logs: &[PathBuf]) -> String {
    let places: Vec<String> = places.iter().map(|traces| traces.display().to_string()).collect();
    let logs: Vec<String> = server_logs
        .iter()
        .map(|folder| format!(" --server-log {}", quoted(&folder.display().to_string())))
        .collect();
    let record = match logs.as_slice() {
        [] => "Record".to_owned(),
        logs => format!("LM Studio has written logs: read them with `traces{}`. Or record", logs.concat()),
    };
    format!(
        "nothing is recorded in {} yet. {record} a session with `traces record`, or with `ANYCLAUDE_DEBUG=2 \
         anyclaude`, or name another folder: traces FOLDER, or --root DIR",
        places.join(" or ")
    )
}

/// A tool or a server that no request offers, and which it may be.
pub(crate) fn unknown_name(unknown: &UnknownName) -> String {
    let known: Vec<Arc<str>> = unknown.known.iter().map(|name| name.as_str().into()).collect();
    let meant = nearest_of(&unknown.name, known.iter().map(AsRef::as_ref));
    let meant = meant.map_or_else(String::new, |meant| format!(" Did you mean `{}`?", sanitize::line(meant)));
    let known = if known.is_empty() { "none".to_owned() } else { few_names(&known) };
    format!("{unknown}.{meant} There are: {known}")
}

/// What the user may have meant, as a sentence before another one.
fn did_you_mean(path: &Path, models: &[Arc<str>]) -> String {
    let meant = path.to_str().and_then(|word| near(word, models));
    meant.map_or_else(String::new, |meant| format!("Did you mean `{}`? ", sanitize::line(&meant)))
}

/// The verb or selector that is most like a word.
fn near(word: &str, models: &[Arc<str>]) -> Option<String> {
    if let Some((field, name)) = word.split_once(':') {
        let fields = [Field::Model, Field::Session, Field::Run].map(Field::name);
        return nearest(field, fields).map(|field| format!("{field}:{name}"));
    }
    let verbs = Cli::command();
    let verbs = verbs.get_subcommands().map(Command::get_name).chain(["latest"]);
    if let Some(verb) = nearest(word, verbs) {
        return Some(verb.to_owned());
    }
    let model = nearest_of(word, models.iter().map(AsRef::as_ref))?;
    Some(format!("model:{model}"))
}

/// The known word with the smallest edit distance, which must be at most a third of the word's
/// length.
fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (word.chars().count() / 3).clamp(1, 3);
    let changes = known.into_iter().map(|known| (strsim::osa_distance(word, known), known));
    let (_, meant) = changes.filter(|(changes, _)| *changes <= most).min()?;
    Some(meant)
}

/// The only known word that contains this one; without such a word, the nearest.
pub(crate) fn nearest_of<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let mut holding = known.clone().filter(|known| known.contains(word));
    match (holding.next(), holding.next()) {
        (Some(only), None) => Some(only),
        _ => nearest(word, known),
    }
}

/// The name of which one word is nearest to this part: people mostly type a part of a name.
fn near_part<'a>(part: &str, names: &'a [Arc<str>]) -> Option<&'a str> {
    let words = |name: &'a Arc<str>| name.split(['/', '-', ':', '_']).map(move |word| (word, name.as_ref()));
    let known: Vec<(&str, &str)> = names.iter().flat_map(words).collect();
    let word = nearest(part, known.iter().map(|(word, _)| *word))?;
    known.iter().find(|(known, _)| *known == word).map(|(_, name)| *name)
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
