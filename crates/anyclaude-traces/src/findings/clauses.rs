//! Parts of sentences that say what changed, and which servers there are.

use std::fmt::{self, Display, Formatter};

use super::statement::Server;
use super::words::{Count, NameList, WholeNumber};
use crate::analysis::prefix::{Cause, ElementName, ToolsDifference, Volatile};

/// What changed, as the second half of a sentence.
pub(super) struct ChangeClause<'a> {
    pub(super) cause: Cause,
    pub(super) volatile: Option<Volatile>,
    pub(super) element: &'a ElementName,
    pub(super) tools: &'a Option<ToolsDifference>,
}

impl Display for ChangeClause<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let at = self.element;
        match self.cause {
            Cause::BillingHeader => write!(f, "the billing header in {at} changed"),
            Cause::DateChanged => write!(f, "the date in {at} changed"),
            Cause::GitStatus => write!(f, "the git status in {at} changed"),
            Cause::ToolsChanged => {
                write!(f, "the tools changed at {at}")?;
                self.tools.as_ref().map_or(Ok(()), |tools| difference(f, tools))
            }
            Cause::ToolOrder => write!(f, "the same tools came in another order from {at} on"),
            Cause::SchemaOrder => write!(f, "the members of {at} came in another order"),
            Cause::SystemMessageInserted => {
                write!(f, "a message of the role system came, moved or went at {at}")
            }
            Cause::HistoryEdited => write!(f, "earlier messages are others from {at} on"),
            Cause::ResultsCleared => {
                write!(f, "old tool results were replaced by placeholders (such as {at})")
            }
            Cause::Compacted => write!(f, "the history was replaced by its summary at {at}"),
            _ => match self.volatile {
                Some(volatile) => write!(f, "{} in {at} changed", volatile.words()),
                None => write!(f, "{at} of the prompt changed"),
            },
        }
    }
}

/// Which tools came, went or changed.
fn difference(f: &mut Formatter<'_>, tools: &ToolsDifference) -> fmt::Result {
    let lists = [("added", &tools.added), ("removed", &tools.removed), ("changed", &tools.changed)];
    let mut joint = " (";
    for (what, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
        write!(f, "{joint}{what}: {}", NameList(names))?;
        joint = "; ";
    }
    if joint == "; " { f.write_str(")") } else { Ok(()) }
}

/// Servers with what their tools take, the largest first.
pub(super) struct ServerList<'a>(pub(super) &'a [Server]);

impl Display for ServerList<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let [server] = self.0 {
            return write!(f, "the MCP server {}", server.name);
        }
        let n = self.0.len() as u64;
        let server = |server: &Server| format!("{} {}", server.name, WholeNumber(server.tokens));
        let names: Vec<String> = self.0.iter().map(server).collect();
        write!(f, "{} ({})", Count(n, "MCP server"), NameList(&names))
    }
}
