//! What broke a prefix: the first difference, recognised.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::history;
use super::volatile::{self, Volatile};
use crate::model::intern::{FastMap, FastSet};
use crate::prompt_cache::Simulation;
use crate::prompt_cache::compare::{PromptComparer, PromptPart, Sequence};
use crate::prompt_cache::ids::ElementId;
use crate::prompt_cache::observe::ElementKind;
use crate::prompt_cache::slots::Reuse;

/// Why a prompt could not be reused from some element on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "BreakCause"))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// Nothing came before.
    FirstRequest,
    /// The first of its conversation, which shares nothing else worth naming.
    OtherConversation,
    /// The first of its conversation; it begins as the previous one did, but for a
    /// short piece.
    VolatileOpening,
    /// A request of another conversation took the slot that an earlier one of its own
    /// conversation had left.
    Evicted,
    /// Another model answered in between.
    ModelSwapped,
    /// The billing header, which some versions write anew for every request.
    BillingHeader,
    /// A date or time.
    DateChanged,
    /// The git status in the system prompt.
    GitStatus,
    /// A tool was added, removed or changed.
    ToolsChanged,
    /// The same tools in another order.
    ToolOrder,
    /// The same tools, with members of their JSON in another order.
    SchemaOrder,
    /// Anything else in the system prompt.
    SystemChanged,
    /// A message of the role `system` came, moved or went.
    SystemMessageInserted,
    /// Messages were changed, or the conversation went back to one of them.
    HistoryEdited,
    /// Old tool results were replaced while the rest stayed.
    ResultsCleared,
    /// The history, or its beginning, was replaced by a summary.
    Compacted,
}

impl Cause {
    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstRequest => "first_request",
            Self::OtherConversation => "other_conversation",
            Self::VolatileOpening => "volatile_opening",
            Self::Evicted => "evicted",
            Self::ModelSwapped => "model_swapped",
            Self::BillingHeader => "billing_header",
            Self::DateChanged => "date_changed",
            Self::GitStatus => "git_status",
            Self::ToolsChanged => "tools_changed",
            Self::ToolOrder => "tool_order",
            Self::SchemaOrder => "schema_order",
            Self::SystemChanged => "system_changed",
            Self::SystemMessageInserted => "system_message_inserted",
            Self::HistoryEdited => "history_edited",
            Self::ResultsCleared => "results_cleared",
            Self::Compacted => "compacted",
        }
    }

    /// Whether the prompt had to be read from there on, as it was new.
    #[must_use]
    pub fn is_new_prompt(self) -> bool {
        matches!(self, Self::FirstRequest | Self::OtherConversation)
    }
}

/// How the tools of two requests differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ToolsDifference {
    /// Names that are new.
    pub added: Vec<Arc<str>>,
    /// Names that are gone.
    pub removed: Vec<Arc<str>>,
    /// Names whose definition is another.
    pub changed: Vec<Arc<str>>,
    /// Whether they are the same, in another order.
    pub reordered: bool,
}

impl ToolsDifference {
    /// Of all that came, went or changed.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.added.iter().chain(&self.removed).chain(&self.changed).map(|name| &**name)
    }
}

/// What changed where two prompts differ first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FirstDifference {
    pub(super) cause: Cause,
    pub(super) volatile: Option<Volatile>,
    pub(super) tools: Option<ToolsDifference>,
}

impl FirstDifference {
    pub(super) fn only(cause: Cause) -> Self {
        Self { cause, volatile: None, tools: None }
    }
}

/// What changed from an earlier request of the conversation to this one. `reuse` is what the two
/// share.
pub(super) fn change(simulation: &Simulation<'_>, request: usize, reuse: &Reuse) -> Option<FirstDifference> {
    let (now, was) = (simulation.sequence(request)?, simulation.sequence(reuse.from)?);
    let shared = &reuse.shared;
    let kinds = [shared.left, shared.right].map(|element| simulation.comparer.kind(element));
    if shared.part == PromptPart::System && kinds.contains(&Some(ElementKind::BillingHeader)) {
        return Some(FirstDifference::only(Cause::BillingHeader));
    }
    if shared.part == PromptPart::Tools {
        let (cause, tools) = tools_change(&simulation.comparer, now, was);
        return Some(FirstDifference { tools: Some(tools), ..FirstDifference::only(cause) });
    }
    let volatile = match (shared.left, shared.right) {
        (Some(a), Some(b)) if kinds == [Some(ElementKind::Text); 2] => {
            let (a, b) = (simulation.comparer.text(a), simulation.comparer.text(b));
            volatile::recognise(&a, &b, reuse.common_bytes)
        }
        _ => None,
    };
    let cause = match (volatile, shared.part) {
        (Some(Volatile::DateOrTime), _) => Cause::DateChanged,
        (_, PromptPart::Messages) => history::change(simulation, request, reuse)?,
        (Some(Volatile::GitStatus), _) => Cause::GitStatus,
        _ => Cause::SystemChanged,
    };
    Some(FirstDifference { cause, volatile, tools: None })
}

/// How the tools differ, and whether that is their order, that of their members, or more.
fn tools_change(comparer: &PromptComparer<'_>, now: Sequence, was: Sequence) -> (Cause, ToolsDifference) {
    let only_in = |list: &[ElementId], other: &[ElementId]| -> Vec<ElementId> {
        let other: HashSet<&ElementId> = other.iter().collect();
        list.iter().filter(|element| !other.contains(element)).copied().collect()
    };
    let (now, was) = (comparer.tools(now), comparer.tools(was));
    let (came, went) = (only_in(now, was), only_in(was, now));
    let names = |elements: &[ElementId]| -> Vec<Arc<str>> {
        let name =
            |element: &ElementId| comparer.prompts.known(*element).and_then(|known| known.name.clone());
        elements.iter().map(|element| name(element).unwrap_or_else(|| Arc::from("(unnamed)"))).collect()
    };
    let (names_came, names_went) = (names(&came), names(&went));
    let [all_came, all_went] = [&names_came, &names_went].map(FastSet::from_iter);
    let tools = ToolsDifference {
        added: names_came.iter().filter(|name| !all_went.contains(name)).cloned().collect(),
        removed: names_went.iter().filter(|name| !all_came.contains(name)).cloned().collect(),
        changed: names_came.iter().filter(|name| all_went.contains(name)).cloned().collect(),
        reordered: came.is_empty() && went.is_empty() && now.len() == was.len(),
    };
    let are_same = !came.is_empty() && came.len() == went.len() && names_came.len() == tools.changed.len();
    let cause = if tools.reordered {
        Cause::ToolOrder
    } else if are_same && same_members(comparer, came.iter().zip(&names_came), went.iter().zip(&names_went)) {
        Cause::SchemaOrder
    } else {
        Cause::ToolsChanged
    };
    (cause, tools)
}

/// Whether these definitions, which come with their names, are the same but for the order of
/// members. Only those of one name are compared with each other.
fn same_members<'n>(
    comparer: &PromptComparer<'_>,
    mut came: impl Iterator<Item = (&'n ElementId, &'n Arc<str>)>,
    went: impl Iterator<Item = (&'n ElementId, &'n Arc<str>)>,
) -> bool {
    let parsed = |element: &ElementId| serde_json::from_str::<serde_json::Value>(&comparer.text(*element));
    let mut by_name: FastMap<&Arc<str>, Vec<serde_json::Value>> = FastMap::default();
    for (element, name) in went {
        let Ok(tool) = parsed(element) else { return false };
        by_name.entry(name).or_default().push(tool);
    }
    came.all(|(element, name)| {
        let (Ok(tool), Some(went)) = (parsed(element), by_name.get_mut(name)) else { return false };
        let same = went.iter().position(|other| *other == tool);
        same.map(|at| went.swap_remove(at)).is_some()
    })
}
