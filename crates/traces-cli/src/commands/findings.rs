//! What costs time in what a verb selected.

use std::collections::HashSet;

use anyclaude_traces::Request;
use anyclaude_traces::Store;
use anyclaude_traces::analysis::prefix::{CacheInput, PrefixInput, Prompts, prefix};
use anyclaude_traces::analysis::tool_cost::ToolCosts;
use anyclaude_traces::findings::{Finding, FindingsInput, find};
use anyclaude_traces::model::request::TracePath;
use anyclaude_traces::prompt_cache::CacheOptions;
use anyclaude_traces::recording::element_text;

use super::prefix::Passing;
use crate::select::Selection;

/// The findings about requests of every kind in the scope of a selection.
pub(super) fn findings(
    store: &Store,
    prompts: &Prompts,
    selection: &Selection,
    tool_costs: Option<&ToolCosts>,
) -> Vec<Finding> {
    let shown: HashSet<&TracePath> =
        selection.of_all_kinds().into_iter().map(|request| &request.path).collect();
    let passing = selection.passing();
    let inputs: Vec<CacheInput<'_>> = passing
        .iter()
        .map(|input| CacheInput { reported: shown.contains(&input.request.path), ..*input })
        .collect();
    let mut passing = Passing::of(&inputs);
    let mut fetch = |path: &_, place| element_text(store, path, place);
    let mut simulation = passing.through(prompts, CacheOptions::default(), &mut [], &mut fetch);
    let inputs = passing.inputs();
    let mut input = PrefixInput::new(selection.scope, &inputs);
    input.speeds = passing.speeds(selection.scope);
    let rows = prefix(input, &mut simulation);
    let requests: Vec<&Request> =
        inputs.iter().filter(|input| input.reported).map(|input| input.request).collect();
    let speeds = passing.speeds(selection.scope);
    find(&FindingsInput::new(requests, speeds, prompts, &rows, &mut simulation, tool_costs))
}
