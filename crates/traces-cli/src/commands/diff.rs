//! `traces diff`: two requests or two groups, side by side.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyclaude_traces::diff::{Side, diff};
use anyclaude_traces::recording::read_side;
use anyclaude_traces::scope::KindFilter;
use anyclaude_traces::{Error, Kind, Request};
use anyhow::{Context as _, anyhow, bail};

use super::{check_format, report_skipped};
use crate::cli::{DiffArgs, Format};
use crate::exit::Status;
use crate::render::{csv, diff as render, json, notes, page};
use crate::select::{Field, Reader, Selector};

/// A side before its content is read.
struct Draft {
    selector: String,
    requests: Vec<Request>,
}

impl Draft {
    fn read(&self, reader: &Reader<'_>, text: bool) -> Result<Side<'_>, Error> {
        read_side(reader.store(), self.selector.clone(), self.requests.iter().collect(), text)
    }
}

/// Both sides, and what was skipped on the way to them.
type Sides = ([Draft; 2], Vec<Error>);

pub(crate) fn run(args: &DiffArgs, out: &mut impl Write) -> anyhow::Result<Status> {
    use Format::{Csv, Json, Markdown, Table};
    check_format(&args.output, "diff", &[Table, Json, Csv, Markdown])?;
    let reader = Reader::new(&args.filter, KindFilter::Only(Kind::Conversation))?;
    let ([left, right], skipped) = match (&args.left, &args.right) {
        (Some(left), Some(right)) => two(&reader, left, right)?,
        (Some(one), None) => against_its_like(&reader, one)?,
        _ => last_two_models(&reader, args)?,
    };
    let status = report_skipped(&skipped, &args.output);
    let found = diff(&left.read(&reader, args.text)?, &right.read(&reader, args.text)?);
    match args.output.format {
        Csv => csv::measures(out, &found.measures)?,
        Json => json::document(out, &found)?,
        _ => page::print(out, &render::page(&found), &args.output)?,
    }
    Ok(Status::exceeded_if(args.exit_code && !found.is_empty()).and(status))
}

fn two(reader: &Reader<'_>, left: &OsStr, right: &OsStr) -> anyhow::Result<Sides> {
    let selectors = [Selector::parse(left)?, Selector::parse(right)?];
    let selections = reader.select_each(&[&selectors[0], &selectors[1]])?;
    let mut skipped = Vec::new();
    let mut sides = Vec::new();
    for (selection, name) in selections.into_iter().zip([left, right]) {
        if selection.requests.is_empty() {
            bail!(unreadable(name, &selection.skipped));
        }
        skipped.extend(selection.skipped);
        sides.push(Draft { selector: name.to_string_lossy().into_owned(), requests: selection.requests });
    }
    let sides = <[Draft; 2]>::try_from(sides).map_err(|_| anyhow!("diff takes two sides"))?;
    Ok((sides, skipped))
}

fn unreadable(name: &OsStr, skipped: &[Error]) -> String {
    let why = skipped.first().map_or_else(|| "no request fits".to_owned(), |error| error.kind().to_string());
    format!("{}: {why}", name.to_string_lossy())
}

/// A request against its predecessor in the thread, or a model against the
/// model used last besides it; the older one left.
fn against_its_like(reader: &Reader<'_>, one: &OsStr) -> anyhow::Result<Sides> {
    let selector = Selector::parse(one)?;
    let name = one.to_string_lossy();
    if !selector.is_single() && !matches!(selector, Selector::Named(Field::Model, _)) {
        bail!("`{name}` is a group: name the other side too, as in `traces diff {name} OTHER`");
    }
    let pool = reader.surroundings(&selector)?;
    let picked = reader.pick(&pool.requests, &selector)?;
    let Some(newest) = picked.last() else { bail!(unreadable(one, &pool.skipped)) };
    reader.check_labels()?;
    if selector.is_single() {
        let right = Draft { selector: name.into_owned(), requests: vec![newest.clone()] };
        return Ok(([predecessor(&pool.requests, newest)?, right], pool.skipped));
    }
    let models = models_by_last_use(&pool.requests, reader.kind);
    let other = models.iter().rev().find(|model| Some(*model) != newest.model.as_ref());
    let other = other.with_context(|| format!("`{name}` is the only model that is known"))?;
    let of_both = |model: &&Arc<str>| *model == other || Some(*model) == newest.model.as_ref();
    let names: Vec<&Arc<str>> = models.iter().filter(of_both).collect();
    sides_of(&names, &pool.requests, reader.kind).map(|sides| (sides, pool.skipped))
}

fn last_two_models(reader: &Reader<'_>, args: &DiffArgs) -> anyhow::Result<Sides> {
    let selection = reader.select(&[])?;
    let models = models_by_last_use(&selection.requests, reader.kind);
    if let [.., older, newer] = models.as_slice() {
        let sides = sides_of(&[older, newer], &selection.requests, reader.kind)?;
        return Ok((sides, selection.skipped));
    }
    if !args.output.quiet {
        notes::say(
            "fewer than two models are known here: comparing the newest request with the one before. \
             `--label NAME=session:ID` names the model of a session",
        );
    }
    let newest = selection.requests.last().context("there is no request to compare")?.clone();
    let left = predecessor(&selection.requests, &newest)?;
    Ok(([left, Draft { selector: "latest".to_owned(), requests: vec![newest] }], selection.skipped))
}

/// The request before this one in its thread.
fn predecessor(requests: &[Request], of: &Request) -> anyhow::Result<Draft> {
    let in_thread = |request: &&Request| {
        request.session == of.session
            && request.thread == of.thread
            && request.path != of.path
            && request.order() < of.order()
    };
    let path: &Path = of.path.as_ref();
    let before = requests
        .iter()
        .rfind(in_thread)
        .with_context(|| format!("{} is the first of its thread: name the other side too", path.display()))?;
    let selector = before.path.as_ref().display().to_string();
    Ok(Draft { selector, requests: vec![before.clone()] })
}

/// The models of these requests, the one used last last.
fn models_by_last_use(requests: &[Request], kind: KindFilter) -> Vec<Arc<str>> {
    let mut models: Vec<Arc<str>> = Vec::new();
    for request in requests.iter().rev().filter(|request| kind.admits(request.kind)) {
        if let Some(model) = request.model.as_ref().filter(|model| !models.contains(model)) {
            models.push(model.clone());
        }
    }
    models.reverse();
    models
}

fn sides_of(models: &[&Arc<str>], requests: &[Request], kind: KindFilter) -> anyhow::Result<[Draft; 2]> {
    let of_model = |model: &&Arc<str>| {
        let of_model =
            |request: &&Request| kind.admits(request.kind) && request.model.as_ref() == Some(*model);
        let requests = requests.iter().filter(of_model).cloned().collect();
        Draft { selector: format!("model:{model}"), requests }
    };
    let sides: Vec<Draft> = models.iter().map(of_model).collect();
    <[Draft; 2]>::try_from(sides).map_err(|_| anyhow!("diff takes two models"))
}
