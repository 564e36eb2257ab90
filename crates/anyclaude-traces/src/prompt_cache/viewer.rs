//! Prompts as the backend got them: the edits of a [`View`] on lists and histories.

use std::borrow::Cow;
use std::collections::HashSet;

use super::collate;
use super::compare::{PromptPart, Sequence};
use super::ids::{ElementId, ListId};
use super::lists::Lists;
use super::observe::{ElementKind, Role};
use super::prompts::Prompts;
use super::recorded::PromptParts;
use super::tree::{Node, Tree};
use super::view::View;
use crate::formats::body::ElementPath;
use crate::model::intern::FastMap;

/// What was done to one request's prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Edits {
    pub(crate) view: View,
    /// Of the messages only those from this one on were sent.
    pub(crate) first_message: u32,
}

/// Edits prompts; equal results are one list, one history.
pub(crate) struct Viewer<'a> {
    pub(crate) prompts: &'a Prompts,
    pub(crate) lists: Lists,
    /// All histories as they were sent and, once there are any, those that were edited.
    pub(crate) tree: Cow<'a, Tree>,
    listed: FastMap<(ListId, View), ListId>,
    /// Tools that are taken out of every prompt.
    left_out: HashSet<ElementId>,
    /// Histories without what [`View::text_only`] drops.
    text_only: FastMap<Node, Node>,
}

impl<'a> Viewer<'a> {
    pub(crate) fn new(prompts: &'a Prompts) -> Self {
        Self::without(prompts, HashSet::new())
    }

    /// The same, with these tools taken out of every prompt.
    pub(crate) fn without(prompts: &'a Prompts, left_out: HashSet<ElementId>) -> Self {
        Self {
            prompts,
            lists: prompts.lists().clone(),
            tree: Cow::Borrowed(&prompts.tree),
            listed: FastMap::default(),
            left_out,
            text_only: FastMap::default(),
        }
    }

    pub(crate) fn sequence(&mut self, prompt: &PromptParts, edits: Edits) -> Sequence {
        Sequence {
            system: self.list(prompt.system, View { no_header: edits.view.no_header, ..View::default() }),
            tools: self.list(prompt.tools, View { sorted: edits.view.sorted, ..View::default() }),
            messages: self.messages(prompt, edits),
        }
    }

    /// A prompt without elements.
    pub(crate) fn nothing(&mut self) -> Sequence {
        let list = self.lists.intern(Vec::new(), |_| 0);
        Sequence { system: list, tools: list, messages: Tree::ROOT }
    }

    fn list(&mut self, list: ListId, view: View) -> ListId {
        if view == View::default() && self.left_out.is_empty() {
            return list;
        }
        if let Some(known) = self.listed.get(&(list, view)) {
            return *known;
        }
        let prompts = self.prompts;
        let mut elements = self.lists.elements(list).to_vec();
        elements.retain(|element| !self.left_out.contains(element));
        if view.no_header {
            elements.retain(|element| prompts.kind(*element) != ElementKind::BillingHeader);
        }
        if view.sorted {
            let name = |element: &ElementId| prompts.known(*element).and_then(|known| known.name.as_deref());
            elements
                .sort_by(|a, b| collate::compare(name(a).unwrap_or_default(), name(b).unwrap_or_default()));
        }
        let viewed = self.lists.intern(elements, |element| prompts.bytes(element));
        self.listed.insert((list, view), viewed);
        viewed
    }

    fn messages(&mut self, prompt: &PromptParts, edits: Edits) -> Node {
        if edits.view.truncated && edits.first_message > 0 {
            let prompts = self.prompts;
            let kept: Vec<PlacedElement> =
                placed(prompts, prompt).into_iter().filter(|at| at.is_in(edits)).collect();
            return kept.into_iter().fold(Tree::ROOT, |node, at| self.grown(node, at.element, at.place));
        }
        if edits.view.text_only && self.prompts.has_left_out() {
            return self.without_left_out(prompt.messages);
        }
        prompt.messages
    }

    fn grown(&mut self, parent: Node, element: ElementId, at: (u32, u32)) -> Node {
        let bytes = self.prompts.bytes(element);
        self.tree.to_mut().grown(parent, element, bytes, at)
    }

    fn without_left_out(&mut self, node: Node) -> Node {
        let prompts = self.prompts;
        let unknown = prompts.tree.up(node).take_while(|at| !self.text_only.contains_key(at));
        let unknown: Vec<Node> = unknown.collect();
        let above = unknown.last().map_or(node, |first| prompts.tree.parent(*first));
        let mut viewed = self.text_only.get(&above).copied().unwrap_or(Tree::ROOT);
        for at in unknown.into_iter().rev() {
            let element = prompts.tree.element(at);
            if !is_left_out(prompts, element) {
                viewed = self.grown(viewed, element, prompts.tree.at(at));
            }
            self.text_only.insert(at, viewed);
        }
        viewed
    }

    /// Where an element of the edited prompt stands in what Claude Code sent.
    pub(crate) fn place(
        &self,
        prompt: &PromptParts,
        edits: Edits,
        part: PromptPart,
        index: u32,
    ) -> ElementPath {
        let in_list = |raw: ListId, viewed: ListId| {
            let (raw, viewed) = (self.lists.elements(raw), self.lists.elements(viewed));
            let at = match viewed.get(index as usize) {
                Some(element) => {
                    let is_same = |other: &&ElementId| *other == element;
                    let earlier = viewed.iter().take(index as usize).filter(is_same).count();
                    let places = raw.iter().enumerate().filter(|(_, other)| is_same(other));
                    places.map(|(at, _)| at).nth(earlier).unwrap_or(raw.len())
                }
                // Behind the last that was kept.
                None => raw.iter().rposition(|other| viewed.contains(other)).map_or(0, |at| at + 1),
            };
            u32::try_from(at).unwrap_or(u32::MAX)
        };
        let viewed = |list, view| self.listed.get(&(list, view)).copied().unwrap_or(list);
        match part {
            PromptPart::System if edits.view.no_header => {
                let view = View { no_header: true, ..View::default() };
                ElementPath::System(in_list(prompt.system, viewed(prompt.system, view)))
            }
            PromptPart::Tools if edits.view.sorted => {
                let view = View { sorted: true, ..View::default() };
                ElementPath::Tool(in_list(prompt.tools, viewed(prompt.tools, view)))
            }
            PromptPart::System => ElementPath::System(index),
            PromptPart::Tools => ElementPath::Tool(index),
            PromptPart::Messages => {
                let all = placed(self.prompts, prompt);
                let mut kept = all.iter().filter(|at| at.is_in(edits));
                let at = kept.nth(index as usize).or(all.last()).map_or((0, 0), |at| at.place);
                ElementPath::Block { message: at.0, block: at.1 }
            }
        }
    }
}

/// An element of a history, and its message and block.
struct PlacedElement {
    element: ElementId,
    place: (u32, u32),
    is_left_out: bool,
}

impl PlacedElement {
    fn is_in(&self, edits: Edits) -> bool {
        let is_cut = edits.view.truncated && self.place.0 < edits.first_message;
        !(is_cut || edits.view.text_only && self.is_left_out)
    }
}

/// The elements of a history as it was sent, first to last.
fn placed(prompts: &Prompts, prompt: &PromptParts) -> Vec<PlacedElement> {
    let mut nodes: Vec<Node> = prompts.tree.up(prompt.messages).collect();
    nodes.reverse();
    let placed = |(at, node): (usize, Node)| {
        let stated = prompt.places.as_ref().and_then(|places| places.get(at).copied());
        let element = prompts.tree.element(node);
        let place = stated.unwrap_or_else(|| prompts.tree.at(node));
        PlacedElement { element, place, is_left_out: is_left_out(prompts, element) }
    };
    nodes.into_iter().enumerate().map(placed).collect()
}

/// Whether anyclaude's conversion leaves it out.
pub(super) fn is_left_out(prompts: &Prompts, element: ElementId) -> bool {
    match prompts.kind(element) {
        ElementKind::Thinking => true,
        ElementKind::Image => prompts.role(element) == Role::User,
        _ => false,
    }
}
