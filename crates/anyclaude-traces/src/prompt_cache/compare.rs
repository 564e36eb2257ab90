//! Compares two prompts, element by element: how far they are the same, where they differ first,
//! and what stands in both all the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Order;
use super::ids::{ElementId, ListId};
use super::observe::{AFTER_TEXT, ElementKind, Role};
use super::prompts::Prompts;
use super::recorded::PromptParts;
use super::texts::{Fetch, Texts};
use super::tree::{Node, Tree};
use super::viewer::{Edits, Viewer};
use crate::error::Error;
use crate::formats::body::ElementPath;
use crate::model::intern::FastMap;

/// A prompt, as the backend is assumed to see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Sequence {
    pub(super) system: ListId,
    pub(super) tools: ListId,
    pub(super) messages: Node,
}

/// Where a prompt stands among all others when they are sorted by content, part by
/// part in the order of the prompt.
pub(crate) type Rank = [u32; 3];

/// A part of the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PromptPart {
    System,
    Tools,
    Messages,
}

/// What two texts have in common before and behind the piece in which they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TextDifference {
    pub(crate) equal_before: u64,
    pub(crate) equal_behind: u64,
    /// The bytes of the longer piece.
    pub(crate) longest: u64,
}

/// How far two prompts are the same, element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SharedPrefix {
    /// The bytes of the elements that both begin with.
    pub(crate) bytes: u64,
    /// The part in which they differ first, and at which of its elements.
    pub(crate) part: PromptPart,
    pub(crate) index: u32,
    /// What follows on either side; `None` where that prompt ends.
    pub(crate) left: Option<ElementId>,
    pub(crate) right: Option<ElementId>,
}

impl SharedPrefix {
    /// Whether one of them is the beginning of the other.
    pub(crate) fn is_all_of_one(&self) -> bool {
        self.left.is_none() || self.right.is_none()
    }
}

/// Compares prompts as the backend got them.
pub(crate) struct PromptComparer<'a> {
    pub(crate) prompts: &'a Prompts,
    order: Order,
    viewer: Viewer<'a>,
    /// Where lists and histories stand when all are sorted by content.
    list_ranks: FastMap<ListId, u32>,
    history_ranks: Vec<u32>,
    texts: Texts<'a>,
}

impl<'a> PromptComparer<'a> {
    pub(super) fn new(viewer: Viewer<'a>, order: Order, fetch: &'a mut Fetch<'a>) -> Self {
        let prompts = viewer.prompts;
        let lists = &viewer.lists;
        // A role before the text: only what one role says can be partly the same.
        let content = |element: &ElementId| {
            (prompts.kind(*element).rank(), prompts.role(*element), prompts.head(*element), *element)
        };
        let mut by_content: Vec<ListId> = lists.all().collect();
        by_content.sort_by(|a, b| {
            let [a, b] = [a, b].map(|list| lists.elements(*list).iter().map(content));
            a.cmp(b)
        });
        let list_ranks = (0..).zip(by_content).map(|(rank, list)| (list, rank)).collect();
        let history_ranks = viewer.tree.ranks(|element| content(&element));
        Self { prompts, order, viewer, list_ranks, history_ranks, texts: Texts::new(prompts, fetch) }
    }

    /// Where an element of a prompt stands in what Claude Code sent.
    pub(crate) fn place(&self, prompt: &PromptParts, edits: Edits, shared: &SharedPrefix) -> ElementPath {
        self.viewer.place(prompt, edits, shared.part, shared.index)
    }

    fn tree(&self) -> &Tree {
        &self.viewer.tree
    }

    fn parts(&self) -> [PromptPart; 3] {
        match self.order {
            Order::SystemFirst => [PromptPart::System, PromptPart::Tools, PromptPart::Messages],
            Order::ToolsFirst => [PromptPart::Tools, PromptPart::System, PromptPart::Messages],
        }
    }

    fn elements(&self, sequence: Sequence, part: PromptPart) -> &[ElementId] {
        match part {
            PromptPart::System => self.viewer.lists.elements(sequence.system),
            PromptPart::Tools => self.viewer.lists.elements(sequence.tools),
            PromptPart::Messages => &[],
        }
    }

    pub(crate) fn bytes(&self, sequence: Sequence) -> u64 {
        let lists = &self.viewer.lists;
        lists.bytes(sequence.system) + lists.bytes(sequence.tools) + self.tree().bytes(sequence.messages)
    }

    /// Where a prompt stands among all others when they are sorted by content:
    /// those that share most with it are next to it.
    pub(crate) fn rank(&self, sequence: Sequence) -> Rank {
        let list = |list| self.list_ranks.get(&list).copied().unwrap_or(u32::MAX);
        let history = self.history_ranks.get(Tree::index(sequence.messages));
        self.parts().map(|part| match part {
            PromptPart::System => list(sequence.system),
            PromptPart::Tools => list(sequence.tools),
            PromptPart::Messages => history.copied().unwrap_or(u32::MAX),
        })
    }

    /// How far two prompts are the same.
    pub(crate) fn shared(&self, left: Sequence, right: Sequence) -> SharedPrefix {
        let mut bytes = 0;
        for (at, part) in self.parts().into_iter().enumerate() {
            let list = match part {
                PromptPart::System => [left.system, right.system],
                PromptPart::Tools => [left.tools, right.tools],
                PromptPart::Messages => break,
            };
            let [a, b] = list.map(|list| self.viewer.lists.elements(list));
            let n = if list[0] == list[1] {
                a.len()
            } else {
                a.iter().zip(b).take_while(|(a, b)| a == b).count()
            };
            bytes += self.viewer.lists.bytes_of(list[0], n);
            if n < a.len() || n < b.len() {
                let index = u32::try_from(n).unwrap_or(u32::MAX);
                let [left, right] = [left, right].map(|sequence| self.following(sequence, at, n));
                return SharedPrefix { bytes, part, index, left, right };
            }
        }
        let tree = self.tree();
        let common = tree.common(left.messages, right.messages);
        let index = tree.depth(common);
        let [left, right] = [left, right].map(|sequence| self.message_element(sequence, index));
        SharedPrefix { bytes: bytes + tree.bytes(common), part: PromptPart::Messages, index, left, right }
    }

    /// The prompt that ends where a history differs from another first; `None` where they
    /// differ before.
    pub(super) fn shared_sequence(&self, sequence: Sequence, shared: &SharedPrefix) -> Option<Sequence> {
        let messages = self.tree().first(sequence.messages, shared.index);
        (shared.part == PromptPart::Messages).then_some(Sequence { messages, ..sequence })
    }

    /// Where a prompt begins, when there is nothing to compare it with.
    pub(crate) fn beginning(&self, sequence: Sequence) -> SharedPrefix {
        let parts = self.parts();
        let has_any =
            |part: &PromptPart| *part == PromptPart::Messages || !self.elements(sequence, *part).is_empty();
        let part = parts.into_iter().find(has_any).unwrap_or(PromptPart::Messages);
        SharedPrefix { bytes: 0, part, index: 0, left: self.following(sequence, 0, 0), right: None }
    }

    /// The n-th element of a part, or what follows where the part has no more.
    fn following(&self, sequence: Sequence, part: usize, n: usize) -> Option<ElementId> {
        let parts = self.parts();
        let rest = parts.get(part..).unwrap_or_default().iter();
        let lists = rest
            .enumerate()
            .map(|(at, part)| self.elements(sequence, *part).get(if at == 0 { n } else { 0 }));
        lists.flatten().next().copied().or_else(|| self.message_element(sequence, 0))
    }

    /// The element of the history at this index.
    pub(crate) fn message_element(&self, sequence: Sequence, index: u32) -> Option<ElementId> {
        let tree = self.tree();
        let has_it = index < tree.depth(sequence.messages);
        has_it.then(|| tree.element(tree.first(sequence.messages, index + 1)))
    }

    /// The common leading bytes of the first elements that differ, where these
    /// can be compared; 0 otherwise.
    pub(crate) fn common_bytes(&self, shared: &SharedPrefix) -> u64 {
        let (Some(left), Some(right)) = (shared.left, shared.right) else { return 0 };
        // A template writes the role before the text, so that other roles share nothing.
        let same_role = self.prompts.role(left) == self.prompts.role(right);
        if !same_role || !self.prompts.kind(left).is_comparable(self.prompts.kind(right)) {
            return 0;
        }
        self.texts.common(left, right)
    }

    /// Of the common leading bytes of two elements those that a template may write:
    /// of text blocks without the JSON in front of the text.
    pub(super) fn reusable_within(&self, shared: &SharedPrefix, common_bytes: u64) -> u64 {
        let before = shared.left.map_or(0, |element| self.prompts.bytes_before_text(element));
        common_bytes.saturating_sub(before)
    }

    /// Where two texts differ, by their kept beginnings and ends: at most so many bytes are
    /// equal, and at least so many differ.
    pub(crate) fn difference(&self, left: ElementId, right: ElementId) -> TextDifference {
        let heads = [left, right].map(|element| self.prompts.head(element));
        let before = heads[0].iter().zip(heads[1]).take_while(|(a, b)| a == b).count();
        let is_decided = before < heads[0].len().min(heads[1].len());
        let tail = |element| self.prompts.known(element).map(|known| known.tail).unwrap_or_default();
        let behind = tail(left).common(tail(right));
        let bytes = [left, right].map(|element| self.prompts.bytes(element));
        let (longest, shortest) = (bytes[0].max(bytes[1]), bytes[0].min(bytes[1]));
        let between = longest - shortest;
        let before = if is_decided { before as u64 } else { shortest };
        let differing = match behind.filter(|_| is_decided) {
            Some(behind) => between.max(longest.saturating_sub(before + behind + AFTER_TEXT)),
            None => between,
        };
        TextDifference {
            equal_before: before.saturating_sub(self.prompts.bytes_before_text(left)),
            equal_behind: behind.unwrap_or(shortest),
            longest: differing,
        }
    }

    /// The whole of an element; what was kept of it where it cannot be read again.
    pub(crate) fn text(&self, element: ElementId) -> Arc<str> {
        self.texts.get(element)
    }

    pub(crate) fn kind(&self, element: Option<ElementId>) -> Option<ElementKind> {
        element.map(|element| self.prompts.kind(element))
    }

    pub(crate) fn role(&self, element: Option<ElementId>) -> Option<Role> {
        element.map(|element| self.prompts.role(element))
    }

    pub(crate) fn tools(&self, sequence: Sequence) -> &[ElementId] {
        self.viewer.lists.elements(sequence.tools)
    }

    /// The elements of a history from one on, last first.
    pub(crate) fn history_from(
        &self,
        sequence: Sequence,
        index: u32,
    ) -> impl Iterator<Item = (u32, ElementId)> {
        let tree = self.tree();
        let below = tree.up(sequence.messages).map(|node| (tree.depth(node) - 1, tree.element(node)));
        below.take_while(move |(at, _)| *at >= index)
    }

    /// The bytes of what stands behind the first difference of a prompt and stood in
    /// an earlier one too, wherever: elements are the same by identity, and each of
    /// the earlier ones counts once.
    pub(crate) fn bytes_in_both(
        &self,
        now: Sequence,
        first_difference: &SharedPrefix,
        earlier: Sequence,
    ) -> u64 {
        let mut common = CommonElements::default();
        let mut is_behind = false;
        for part in self.parts().into_iter().take_while(|part| *part != PromptPart::Messages) {
            let from = match (part == first_difference.part, is_behind) {
                (true, _) => first_difference.index as usize,
                (false, true) => 0,
                (false, false) => usize::MAX,
            };
            is_behind |= part == first_difference.part;
            let list = |of: Sequence| if part == PromptPart::System { of.system } else { of.tools };
            self.add_lists(&mut common, [list(now), list(earlier)], from);
        }
        let from = if first_difference.part == PromptPart::Messages { first_difference.index } else { 0 };
        self.add_histories(&mut common, [now, earlier], from);
        common.bytes(|element| self.prompts.bytes(element))
    }

    /// Adds a list of the later prompt from one of its elements on, and the same part's list of
    /// the earlier one.
    fn add_lists(&self, common: &mut CommonElements, [now, earlier]: [ListId; 2], from: usize) {
        let lists = &self.viewer.lists;
        if now == earlier && from == 0 {
            common.equal_bytes += lists.bytes(now);
            return;
        }
        let elements = lists.elements(now);
        let (before, behind) = elements.split_at(from.min(elements.len()));
        common.wanted.extend(behind);
        lists.elements(earlier).iter().for_each(|element| common.count(*element, 1));
        // What stands before the difference took one of the earlier elements each.
        before.iter().for_each(|element| common.count(*element, -1));
    }

    /// The same for two histories. They are paths in one tree, so that what they have in common
    /// need not be looked at.
    fn add_histories(&self, common: &mut CommonElements, [now, earlier]: [Sequence; 2], from: u32) {
        let tree = self.tree();
        let fork = tree.common(now.messages, earlier.messages);
        let (shared, from) = (tree.depth(fork), from.min(tree.depth(now.messages)));
        common.equal_bytes += tree.bytes(fork).saturating_sub(tree.bytes(tree.first(now.messages, from)));
        let behind = |sequence: Sequence, from: u32| {
            tree.up(sequence.messages).take_while(move |node| tree.depth(*node) > from)
        };
        behind(earlier, shared).for_each(|node| common.count(tree.element(node), 1));
        common.wanted.extend(behind(now, shared.max(from)).map(|node| tree.element(node)));
    }

    /// Whether two system prompts have as many blocks, and differ in one of them.
    pub(crate) fn system_differs_once(&self, now: Sequence, was: Sequence) -> bool {
        let [now, was] = [now, was].map(|sequence| self.elements(sequence, PromptPart::System));
        now.len() == was.len() && now.iter().zip(was).filter(|(now, was)| now != was).count() == 1
    }

    /// The bytes of a prompt's system part but for one of its elements.
    pub(crate) fn system_bytes_without(&self, sequence: Sequence, element: ElementId) -> u64 {
        self.viewer.lists.bytes(sequence.system).saturating_sub(self.prompts.bytes(element))
    }

    /// Whether no message of the assistant stands before this element of a history.
    pub(crate) fn is_before_any_answer(&self, sequence: Sequence, index: u32) -> bool {
        let role = |at: u32| self.role(self.message_element(sequence, at));
        (0..=index).all(|at| role(at) != Some(Role::Assistant))
    }

    /// The bytes of the elements behind an answer, which stands at this index of a
    /// history.
    pub(super) fn bytes_behind_answer(&self, sequence: Sequence, index: u32) -> u64 {
        let tree = self.tree();
        let is_answer = |at: &u32| self.role(self.message_element(sequence, *at)) == Some(Role::Assistant);
        let end = (index..).find(|at| !is_answer(at)).unwrap_or(index);
        tree.bytes(sequence.messages).saturating_sub(tree.bytes(tree.first(sequence.messages, end)))
    }

    /// Has the order of errors not depend on that of threads.
    pub(super) fn sort_errors(&self) {
        self.texts.sort_errors();
    }

    /// The files that could not be read again.
    pub(super) fn errors(&self) -> Vec<Error> {
        self.texts.errors()
    }
}

/// The elements of an earlier prompt, and those of a later one that may be among them.
#[derive(Default)]
struct CommonElements {
    /// Bytes of lists and histories that are equal as a whole.
    equal_bytes: u64,
    /// How often each element is still to be found in the earlier prompt.
    left: BTreeMap<ElementId, i64>,
    /// The elements of the later prompt that are looked for there.
    wanted: Vec<ElementId>,
}

impl CommonElements {
    fn count(&mut self, element: ElementId, n: i64) {
        *self.left.entry(element).or_default() += n;
    }

    /// The bytes of the wanted elements that are found, each of the earlier ones once.
    fn bytes(mut self, bytes_of: impl Fn(ElementId) -> u64) -> u64 {
        let mut bytes = self.equal_bytes;
        for element in self.wanted {
            if let Some(left) = self.left.get_mut(&element).filter(|left| **left > 0) {
                *left -= 1;
                bytes += bytes_of(element);
            }
        }
        bytes
    }
}
