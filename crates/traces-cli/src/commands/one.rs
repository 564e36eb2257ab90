//! The one request that a verb is about.

use std::ffi::OsStr;

use anyclaude_traces::Kind;
use anyclaude_traces::Request;
use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::prompt_cache::CacheOptions;

use super::{nothing_read, reading, report_skipped};
use crate::cli::{FilterArgs, OutputArgs};
use crate::exit::Status;
use crate::render::notes;
use crate::select;
use anyclaude_traces::select::{Reader, Selection};

/// A request, and what was found on the way to it.
pub(crate) struct SelectedRequest {
    pub(crate) reader: Reader,
    /// Whether a file or folder was named.
    pub(crate) is_path: bool,
    pub(crate) request: Request,
    /// That request alone, with the others besides.
    pub(crate) selection: Selection,
    /// What the files that were skipped mean for the exit code.
    pub(crate) status: Status,
}

/// Whether the parts of its time are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Costs {
    /// They are.
    Fitted,
    /// They are not, which spares reading what prompts are made of.
    Unknown,
}

/// The newest of the requests that the input selects; says so if there are others.
pub(crate) fn newest(
    input: &OsStr,
    filter: &FilterArgs,
    output: &OutputArgs,
    doing: &str,
    costs: Costs,
) -> anyhow::Result<SelectedRequest> {
    let kind = KindFilter::Only(Kind::Conversation);
    let named = [input.to_owned()];
    let (mut reader, inputs) = select::reader_of(filter, &named, kind)?;
    if costs == Costs::Fitted {
        reader = reader.with_costs(CacheOptions::default());
    }
    let selector = inputs.first().map(|input| reader.selector(input)).transpose()?;
    let mut selection = reading(&reader, output, || match &selector {
        Some(selector) => reader.select_one(selector),
        None => reader.select(&[]),
    })?;
    let status = report_skipped(&selection.skipped_list(), output);
    let Some(request) = selection.requests.last().cloned() else { return Err(nothing_read(filter, &named)) };
    if selection.requests.len() > 1 && !output.quiet {
        notes::warn(&format!(
            "{} requests fit; {doing} the newest. `traces list` shows them all",
            selection.requests.len()
        ));
    }
    selection.keep_newest();
    let is_path = selector.is_none_or(|selector| selector.is_path());
    Ok(SelectedRequest { reader, is_path, request, selection, status })
}
