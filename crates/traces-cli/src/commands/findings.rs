//! What costs time in what a verb selected: one way for all verbs.

use anyclaude_traces::Request;
use anyclaude_traces::Store;
use anyclaude_traces::analysis::prefix::{CacheInput, Prompts};
use anyclaude_traces::analysis::tool_cost::{ToolCosts, read_tool_costs_of};
use anyclaude_traces::cost::speeds_by_model;
use anyclaude_traces::findings::{Finding, find_in};
use anyclaude_traces::model::scope::{KindFilter, Scope};
use anyclaude_traces::prompt_cache::{CacheOptions, element_text};

/// Where findings look.
pub(super) struct Ground<'a> {
    pub(super) store: &'a Store,
    pub(super) prompts: &'a Prompts,
    pub(super) scope: Scope,
    pub(super) cache: CacheOptions,
}

impl Ground<'_> {
    /// What costs time in the shown ones of these requests. Speeds are those of all
    /// requests of `speeds_of`.
    pub(super) fn find<'r>(
        &self,
        passing: &[CacheInput<'_>],
        speeds_of: impl IntoIterator<Item = &'r Request>,
        tool_costs: &ToolCosts,
    ) -> Vec<Finding> {
        let mut fetch = |path: &_, place| element_text(self.store, path, place);
        let speeds = speeds_by_model(speeds_of);
        find_in(self.scope, passing, speeds, self.prompts, self.cache, &mut fetch, Some(tool_costs))
    }
}

/// What the tools of the shown conversations cost, where no verb shows them. Files that
/// cannot be read any more were said already.
pub(super) fn tool_costs(store: &Store, kind: KindFilter, passing: &[CacheInput<'_>]) -> ToolCosts {
    let everything: Vec<&Request> = passing.iter().map(|input| input.request).collect();
    let shown: Vec<&Request> = passing
        .iter()
        .filter(|input| input.reported && kind.admits(input.request.kind))
        .map(|input| input.request)
        .collect();
    let speeds = speeds_by_model(everything.iter().copied());
    read_tool_costs_of(store, &shown, &everything, &speeds).0
}
