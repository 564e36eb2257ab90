//! The one request that a verb is about.

use std::ffi::OsStr;

use anyclaude_traces::Kind;
use anyclaude_traces::Request;
use anyclaude_traces::model::scope::KindFilter;
use anyhow::{anyhow, bail};

use super::{reading, report_skipped};
use crate::cli::{Filter, Output};
use crate::exit::Status;
use crate::render::notes;
use crate::select::{Reader, Selection, Selector};

/// A request, and what was found on the way to it.
pub(crate) struct SelectedRequest<'a> {
    pub(crate) reader: Reader<'a>,
    pub(crate) selector: Selector,
    pub(crate) request: Request,
    /// That request alone, with the others besides.
    pub(crate) selection: Selection,
    /// What the files that were skipped mean for the exit code.
    pub(crate) status: Status,
}

/// The newest of the requests that the input selects; says so if there are others.
pub(crate) fn newest<'a>(
    input: &OsStr,
    filter: &'a Filter,
    output: &Output,
    doing: &str,
) -> anyhow::Result<SelectedRequest<'a>> {
    let selector = Selector::parse(input)?;
    let reader = Reader::new(filter, KindFilter::Only(Kind::Conversation))?;
    let selection = reading(&reader, output, || reader.select_each(&[&selector]))?.pop();
    let mut selection = selection.ok_or_else(|| anyhow!("there is no request"))?;
    let status = report_skipped(&selection.skipped, output);
    let Some(request) = selection.requests.last().cloned() else {
        bail!("none of these files could be read as a trace")
    };
    if selection.requests.len() > 1 && !output.quiet {
        notes::warn(&format!(
            "{} requests fit; {doing} the newest. `traces list` shows them all",
            selection.requests.len()
        ));
    }
    // The others are still there to tell how this one's backend counts.
    let others = std::mem::replace(&mut selection.requests, vec![request.clone()]);
    selection.rest.extend(others);
    Ok(SelectedRequest { reader, selector, request, selection, status })
}
