//! What broke a prefix: the first difference, recognised.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use super::cache::Reuse;
use super::compare::{Part, PromptComparer, Sequence};
use super::conversation::is_distinctive;
use super::elements::{ElementId, ElementKind, Role};
use super::volatile::{self, Volatile};

/// Why a prompt could not be reused from some element on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "BreakCause"))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// Nothing came before.
    FirstRequest,
    /// The first of its conversation in this cache.
    OtherConversation,
    /// An earlier request of its conversation would have given more, but the
    /// cache no longer held it.
    Evicted,
    /// The header for billing, which is another in every request.
    BillingHeader,
    /// A date or time.
    DateChanged,
    /// A tool was added, removed, changed or moved.
    ToolsChanged,
    /// Anything else in the system prompt.
    SystemChanged,
    /// Messages were changed, or the conversation went back to one of them.
    HistoryEdited,
    /// A message of the role `system` came, moved or went.
    SystemMessageInserted,
    /// Messages were dropped, or replaced by fewer.
    Compacted,
    /// The system prompt equals the previous conversation's but for a short piece.
    VolatileOpening,
    /// Another model answered in between.
    ModelSwapped,
    /// The git status in the system prompt.
    GitStatus,
    /// The same tools in another order.
    ToolOrder,
    /// The same members of a tool in another order.
    SchemaOrder,
    /// Old tool results were replaced.
    ResultsCleared,
}

impl Cause {
    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FirstRequest => "first_request",
            Self::OtherConversation => "other_conversation",
            Self::Evicted => "evicted",
            Self::BillingHeader => "billing_header",
            Self::DateChanged => "date_changed",
            Self::ToolsChanged => "tools_changed",
            Self::SystemChanged => "system_changed",
            Self::HistoryEdited => "history_edited",
            Self::SystemMessageInserted => "system_message_inserted",
            Self::Compacted => "compacted",
            Self::VolatileOpening => "volatile_opening",
            Self::ModelSwapped => "model_swapped",
            Self::GitStatus => "git_status",
            Self::ToolOrder => "tool_order",
            Self::SchemaOrder => "schema_order",
            Self::ResultsCleared => "results_cleared",
        }
    }

    /// Whether the prompt had to be read from there on, as it was new.
    #[must_use]
    pub fn is_new_prompt(self) -> bool {
        matches!(self, Self::FirstRequest | Self::OtherConversation)
    }
}

/// How the tools of two requests differ.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
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

/// What changed where two prompts differ first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) cause: Cause,
    pub(super) volatile: Option<Volatile>,
    pub(super) tools: Option<ToolsDifference>,
}

impl Change {
    pub(super) fn only(cause: Cause) -> Self {
        Self { cause, volatile: None, tools: None }
    }
}

/// What changed from the sequence that was held (`right`) to the request (`left`).
pub(super) fn change(
    comparer: &mut PromptComparer<'_>,
    left: Sequence,
    right: Sequence,
    reuse: &Reuse,
) -> Change {
    let shared = &reuse.shared;
    let sorts = [comparer.kind(shared.left), comparer.kind(shared.right)];
    if shared.part == Part::System && sorts.contains(&Some(ElementKind::BillingHeader)) {
        return Change::only(Cause::BillingHeader);
    }
    if shared.part == Part::Tools {
        let tools = Some(tools_difference(comparer, left, right));
        return Change { tools, ..Change::only(Cause::ToolsChanged) };
    }
    let volatile = match (shared.left, shared.right) {
        (Some(a), Some(b)) if sorts == [Some(ElementKind::Text); 2] => {
            volatile::recognise(&comparer.text(a), &comparer.text(b), reuse.common_bytes)
        }
        _ => None,
    };
    let cause = match (volatile, shared.part) {
        (Some(Volatile::DateOrTime), _) => Cause::DateChanged,
        (_, Part::Messages) => history_change(comparer, left, right, reuse),
        _ => Cause::SystemChanged,
    };
    Change { cause, volatile, tools: None }
}

/// How a history differs from the one that was held: where the first thing that
/// both still say stands now.
fn history_change(comparer: &PromptComparer<'_>, left: Sequence, right: Sequence, reuse: &Reuse) -> Cause {
    let shared = &reuse.shared;
    // How many system messages stand at the difference on either side, and what
    // follows them.
    let run = |sequence: Sequence| {
        let is_system =
            |at: &u32| comparer.role(comparer.message_element(sequence, *at)) == Some(Role::SystemMessage);
        let n = (shared.index..).take_while(is_system).zip(1..).last().map_or(0, |(_, n)| n);
        (n, comparer.message_element(sequence, shared.index + n))
    };
    let ((now, now_next), (was, was_next)) = (run(left), run(right));
    if now != was && (now_next == was_next || now_next.is_none() || was_next.is_none()) {
        return Cause::SystemMessageInserted;
    }
    let telling = |(_, element): &(u32, ElementId)| is_distinctive(comparer.prompts, *element);
    let now: Vec<(u32, ElementId)> = comparer.history_from(left, shared.index).filter(telling).collect();
    let wanted: HashSet<ElementId> = now.iter().map(|(_, element)| *element).collect();
    let was =
        comparer.history_from(right, shared.index).filter(|(_, element)| wanted.contains(element)).last();
    let anchor = was.and_then(|(was, element)| {
        let (now, _) = now.iter().rev().find(|(_, said)| *said == element)?;
        Some((was, *now))
    });
    if anchor.is_some_and(|(was, now)| now < was) { Cause::Compacted } else { Cause::HistoryEdited }
}

fn tools_difference(comparer: &PromptComparer<'_>, left: Sequence, right: Sequence) -> ToolsDifference {
    let (now, was) = (comparer.tools(left), comparer.tools(right));
    let same = |list: &[ElementId]| list.iter().copied().collect::<HashSet<ElementId>>();
    let (in_now, in_was) = (same(now), same(was));
    let named = |list: &[ElementId], other: &HashSet<ElementId>| -> Vec<Arc<str>> {
        let missing = list.iter().filter(|element| !other.contains(element));
        let unnamed = || Arc::from("(unnamed)");
        missing
            .map(|element| {
                comparer.prompts.known(*element).and_then(|known| known.name.clone()).unwrap_or_else(unnamed)
            })
            .collect()
    };
    let (came, went) = (named(now, &in_was), named(was, &in_now));
    let (names_came, names_went): (HashSet<_>, HashSet<_>) = (came.iter().collect(), went.iter().collect());
    ToolsDifference {
        added: came.iter().filter(|name| !names_went.contains(name)).cloned().collect(),
        removed: went.iter().filter(|name| !names_came.contains(name)).cloned().collect(),
        changed: came.iter().filter(|name| names_went.contains(name)).cloned().collect(),
        reordered: came.is_empty() && went.is_empty(),
    }
}
