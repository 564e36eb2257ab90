//! What is asked of `traces explain` to be different.

use anyclaude_traces::analysis::what_if::Change;
use clap::Args;

use super::CacheArgs;

/// A change, of which the times are predicted.
#[derive(Debug, Args)]
#[command(next_help_heading = "What if")]
pub(crate) struct WhatIfArgs {
    /// Predict a turn without these tools
    ///
    /// The names as Claude Code sends them, separated by spaces or commas: FAST and SLOW stand
    /// before this option. The time of a turn is predicted beside the measured one, cold and
    /// warm, with the setting that does it.
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub(crate) without_tool: Vec<String>,
    /// The same, without these MCP servers
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub(crate) without_server: Vec<String>,
    /// The same, without the billing header
    ///
    /// A short piece of the system prompt that changes, in some versions of Claude Code.
    #[arg(long)]
    pub(crate) no_header: bool,
}

impl WhatIfArgs {
    /// What is to be different; a number of slots that is given counts too.
    pub(crate) fn change(&self, cache: &CacheArgs) -> Change {
        let mut change = Change::default();
        change.without_tools.clone_from(&self.without_tool);
        change.without_servers.clone_from(&self.without_server);
        change.slots = cache.slots;
        change.no_header = self.no_header;
        change
    }
}
