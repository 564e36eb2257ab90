//! Two prompts, element by element.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::collate;
use super::elements::{ElementId, ElementKind, ListId, Lists, Prompt, Prompts, Role};
use super::tree::{Node, Tree};
use super::{Order, View};
use crate::error::Error;
use crate::formats::body::ElementPath;

/// Reads an element again, of which only the beginning was kept.
pub type Fetch<'a> = dyn FnMut(&Path, ElementPath) -> Result<String, Error> + 'a;

/// How many bytes of fetched text are kept for the next question.
const MOST_FETCHED_BYTES: usize = 16 << 20;

/// A prompt, as the backend is assumed to see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    system: ListId,
    tools: ListId,
    messages: Node,
}

/// A part of the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    System,
    Tools,
    Messages,
}

/// How far two prompts are the same, element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shared {
    /// The bytes of the elements that both begin with.
    pub(super) bytes: u64,
    /// The part in which they differ first, and at which of its elements.
    pub(super) part: Part,
    pub(super) index: u32,
    /// What follows on either side; `None` where that prompt ends.
    pub(super) left: Option<ElementId>,
    pub(super) right: Option<ElementId>,
}

impl Shared {
    /// Whether one of them is the beginning of the other.
    pub(super) fn is_all_of_one(&self) -> bool {
        self.left.is_none() || self.right.is_none()
    }
}

/// Where prompts are compared.
pub(super) struct PromptComparer<'a> {
    pub(super) prompts: &'a Prompts,
    order: Order,
    lists: Lists,
    /// What the backend sees of each list.
    viewed: HashMap<ListId, ListId>,
    /// Lists and histories in the order of their content.
    list_ranks: HashMap<ListId, u32>,
    history_ranks: Vec<u32>,
    texts: Texts<'a>,
}

impl<'a> PromptComparer<'a> {
    pub(super) fn new(prompts: &'a Prompts, order: Order, view: View, fetch: &'a mut Fetch<'a>) -> Self {
        let mut lists = prompts.lists().clone();
        let viewed = match view {
            View::Sent => HashMap::new(),
            View::Proxied => {
                let ids = prompts.lists().all();
                ids.map(|list| (list, proxied(prompts, &mut lists, list))).collect()
            }
        };
        let content = |element: &ElementId| (prompts.kind(*element).rank(), prompts.head(*element), *element);
        let mut by_content: Vec<ListId> = lists.all().collect();
        by_content.sort_by(|a, b| {
            let [a, b] = [a, b].map(|list| lists.elements(*list).iter().map(content));
            a.cmp(b)
        });
        let list_ranks = (0..).zip(by_content).map(|(rank, list)| (list, rank)).collect();
        let history_ranks = prompts.tree.ranks(|element| content(&element));
        let texts = Texts {
            prompts,
            fetch,
            fetched: HashMap::new(),
            bytes: 0,
            pairs: HashMap::new(),
            errors: Vec::new(),
        };
        Self { prompts, order, lists, viewed, list_ranks, history_ranks, texts }
    }

    pub(super) fn sequence(&self, prompt: &Prompt) -> Sequence {
        let viewed = |list: ListId| self.viewed.get(&list).copied().unwrap_or(list);
        Sequence { system: viewed(prompt.system), tools: viewed(prompt.tools), messages: prompt.messages }
    }

    fn parts(&self) -> [Part; 3] {
        match self.order {
            Order::SystemFirst => [Part::System, Part::Tools, Part::Messages],
            Order::ToolsFirst => [Part::Tools, Part::System, Part::Messages],
        }
    }

    fn elements(&self, sequence: Sequence, part: Part) -> &[ElementId] {
        match part {
            Part::System => self.lists.elements(sequence.system),
            Part::Tools => self.lists.elements(sequence.tools),
            Part::Messages => &[],
        }
    }

    pub(super) fn bytes(&self, sequence: Sequence) -> u64 {
        let whole = |list| self.lists.bytes_of(list, self.lists.elements(list).len());
        whole(sequence.system) + whole(sequence.tools) + self.prompts.tree.bytes(sequence.messages)
    }

    /// Where a prompt stands among all others when they are sorted by content:
    /// those that share most with it are next to it.
    pub(super) fn rank(&self, sequence: Sequence) -> [u32; 3] {
        let list = |list| self.list_ranks.get(&list).copied().unwrap_or(u32::MAX);
        let history = self.history_ranks.get(Tree::index(sequence.messages));
        self.parts().map(|part| match part {
            Part::System => list(sequence.system),
            Part::Tools => list(sequence.tools),
            Part::Messages => history.copied().unwrap_or(u32::MAX),
        })
    }

    pub(super) fn shared(&self, left: Sequence, right: Sequence) -> Shared {
        let mut bytes = 0;
        for (at, part) in self.parts().into_iter().enumerate() {
            let list = match part {
                Part::System => [left.system, right.system],
                Part::Tools => [left.tools, right.tools],
                Part::Messages => break,
            };
            let [a, b] = list.map(|list| self.lists.elements(list));
            let n = if list[0] == list[1] {
                a.len()
            } else {
                a.iter().zip(b).take_while(|(a, b)| a == b).count()
            };
            bytes += self.lists.bytes_of(list[0], n);
            if n < a.len() || n < b.len() {
                let index = u32::try_from(n).unwrap_or(u32::MAX);
                let [left, right] = [left, right].map(|sequence| self.following(sequence, at, n));
                return Shared { bytes, part, index, left, right };
            }
        }
        let tree = &self.prompts.tree;
        let common = tree.common(left.messages, right.messages);
        let index = tree.depth(common);
        let [left, right] = [left, right].map(|sequence| self.message_element(sequence, index));
        Shared { bytes: bytes + tree.bytes(common), part: Part::Messages, index, left, right }
    }

    /// Where a prompt begins, when there is nothing to compare it with.
    pub(super) fn beginning(&self, sequence: Sequence) -> Shared {
        let parts = self.parts();
        let has_any = |part: &Part| *part == Part::Messages || !self.elements(sequence, *part).is_empty();
        let part = parts.into_iter().find(has_any).unwrap_or(Part::Messages);
        Shared { bytes: 0, part, index: 0, left: self.following(sequence, 0, 0), right: None }
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
    pub(super) fn message_element(&self, sequence: Sequence, index: u32) -> Option<ElementId> {
        let tree = &self.prompts.tree;
        let has_it = index < tree.depth(sequence.messages);
        has_it.then(|| tree.element(tree.first(sequence.messages, index + 1)))
    }

    /// The common leading bytes of the first elements that differ, where these
    /// can be compared; 0 otherwise.
    pub(super) fn common_bytes(&mut self, shared: &Shared) -> u64 {
        let (Some(left), Some(right)) = (shared.left, shared.right) else { return 0 };
        if !self.prompts.kind(left).is_comparable(self.prompts.kind(right)) {
            return 0;
        }
        self.texts.common(left, right)
    }

    /// The whole of an element; what was kept of it where it cannot be read again.
    pub(super) fn text(&mut self, element: ElementId) -> Arc<str> {
        self.texts.get(element)
    }

    pub(super) fn kind(&self, element: Option<ElementId>) -> Option<ElementKind> {
        element.map(|element| self.prompts.kind(element))
    }

    pub(super) fn role(&self, element: Option<ElementId>) -> Option<Role> {
        element.map(|element| self.prompts.role(element))
    }

    pub(super) fn tools(&self, sequence: Sequence) -> &[ElementId] {
        self.lists.elements(sequence.tools)
    }

    /// The elements of a history from one on, last first.
    pub(super) fn history_from(
        &self,
        sequence: Sequence,
        index: u32,
    ) -> impl Iterator<Item = (u32, ElementId)> {
        let tree = &self.prompts.tree;
        let below = tree.up(sequence.messages).map(|node| (tree.depth(node) - 1, tree.element(node)));
        below.take_while(move |(at, _)| *at >= index)
    }

    /// The bytes of what both prompts hold, in whatever place: of the histories
    /// what they begin with.
    pub(super) fn held_by_both(&self, left: Sequence, right: Sequence) -> u64 {
        let in_both = |a: ListId, b: ListId| {
            let (whole, b) = (self.lists.elements(a), self.lists.elements(b));
            if whole == b {
                return self.lists.bytes_of(a, whole.len());
            }
            let b: HashSet<&ElementId> = b.iter().collect();
            let both = whole.iter().filter(|element| b.contains(element));
            both.filter_map(|element| self.prompts.known(*element)).map(|known| known.bytes).sum()
        };
        let tree = &self.prompts.tree;
        in_both(left.system, right.system)
            + in_both(left.tools, right.tools)
            + tree.bytes(tree.common(left.messages, right.messages))
    }

    pub(super) fn into_errors(self) -> Vec<Error> {
        self.texts.errors
    }
}

/// What the proxy sends of a list: no billing header, and tools sorted by name.
fn proxied(prompts: &Prompts, lists: &mut Lists, list: ListId) -> ListId {
    let is_kept = |element: &&ElementId| prompts.kind(**element) != ElementKind::BillingHeader;
    let mut elements: Vec<ElementId> = lists.elements(list).iter().filter(is_kept).copied().collect();
    if elements.iter().all(|element| prompts.role(*element) == Role::Tools) {
        let name = |element: &ElementId| prompts.known(*element).and_then(|known| known.name.as_deref());
        elements.sort_by(|a, b| collate::compare(name(a).unwrap_or_default(), name(b).unwrap_or_default()));
    }
    prompts.intern_list(lists, elements)
}

/// The texts of elements: the kept beginnings, and the rest where it is needed.
struct Texts<'a> {
    prompts: &'a Prompts,
    fetch: &'a mut Fetch<'a>,
    fetched: HashMap<ElementId, Arc<str>>,
    bytes: usize,
    /// The common bytes of elements that had to be fetched.
    pairs: HashMap<(ElementId, ElementId), u64>,
    errors: Vec<Error>,
}

impl Texts<'_> {
    fn common(&mut self, left: ElementId, right: ElementId) -> u64 {
        let (a, b) = (self.prompts.head(left), self.prompts.head(right));
        let kept = common_bytes(a, b);
        let is_decided =
            kept < a.len().min(b.len()) || self.is_whole(left, kept) || self.is_whole(right, kept);
        if is_decided {
            return kept as u64;
        }
        let pair = (left.min(right), left.max(right));
        if let Some(known) = self.pairs.get(&pair) {
            return *known;
        }
        let (a, b) = (self.get(left), self.get(right));
        let common = common_bytes(a.as_bytes(), b.as_bytes()) as u64;
        self.pairs.insert(pair, common);
        common
    }

    fn is_whole(&self, element: ElementId, kept: usize) -> bool {
        self.prompts.known(element).is_none_or(|known| known.bytes <= kept as u64)
    }

    fn get(&mut self, element: ElementId) -> Arc<str> {
        let head = self.prompts.head(element);
        if !head.is_empty() && self.is_whole(element, head.len()) {
            return String::from_utf8_lossy(head).into();
        }
        if let Some(text) = self.fetched.get(&element) {
            return text.clone();
        }
        let text: Arc<str> = match self.read_again(element) {
            Ok(text) => text.into(),
            Err(error) => {
                self.errors.extend(error);
                String::from_utf8_lossy(head).into()
            }
        };
        if self.bytes + text.len() > MOST_FETCHED_BYTES {
            self.fetched.clear();
            self.bytes = 0;
        }
        self.bytes += text.len();
        self.fetched.insert(element, text.clone());
        text
    }

    fn read_again(&mut self, element: ElementId) -> Result<String, Option<Error>> {
        let (path, place) = self.prompts.source(element).ok_or(None)?;
        let text = (self.fetch)(path, place)?;
        let is_same = self.prompts.known(element).is_some_and(|known| known.bytes == text.len() as u64);
        let changed = || std::io::Error::other("the file changed while it was read");
        if is_same { Ok(text) } else { Err(Some(Error::new(path, changed()))) }
    }
}

fn common_bytes(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
