//! The one request that a verb is about.

use std::ffi::OsStr;

use anyclaude_traces::Kind;
use anyclaude_traces::Request;
use anyclaude_traces::model::scope::KindFilter;
use anyclaude_traces::prompt_cache::CacheOptions;
use anyhow::bail;

use super::{reading, report_skipped};
use crate::cli::{FilterArgs, OutputArgs};
use crate::exit::Status;
use crate::render::notes;
use crate::select;
use anyclaude_traces::select::{Reader, Selection, Selector};

/// A request, and what was found on the way to it.
pub(crate) struct SelectedRequest {
    pub(crate) reader: Reader,
    pub(crate) selector: Selector,
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
    let mut reader = select::reader(filter, KindFilter::Only(Kind::Conversation))?;
    if costs == Costs::Fitted {
        reader = reader.with_costs(CacheOptions::default());
    }
    let selector = reader.selector(input)?;
    let mut selection = reading(&reader, output, || reader.select_one(&selector))?;
    let status = report_skipped(&selection.skipped_list(), output);
    let Some(request) = selection.requests.last().cloned() else {
        bail!("none of these files could be read as a trace")
    };
    if selection.requests.len() > 1 && !output.quiet {
        notes::warn(&format!(
            "{} requests fit; {doing} the newest. `traces list` shows them all",
            selection.requests.len()
        ));
    }
    selection.keep_newest();
    Ok(SelectedRequest { reader, selector, request, selection, status })
}
