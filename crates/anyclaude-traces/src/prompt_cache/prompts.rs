//! What the prompts of a recording are made of: every distinct element once, and for each prompt
//! only which elements it has.
//!
//! A [`PrefixVisitor`] sees the elements of one record while it is parsed; [`Prompts::add`]
//! interns them. Of texts only the beginnings are kept; the few that must be compared further are
//! read again from the record that held them first ([`Prompts::source`]).

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

use super::ids::{ElementId, ListId};
use super::lists::Lists;
use super::observe::{ElementKind, KeptBytes, ObservedElement, PrefixVisitor, Role, Tail, text_begin};
use super::recorded::{PromptParts, RecordedPrompts};
use super::texts::FetchedTexts;
use super::tree::{Node, Tree};
use crate::formats::body::ElementPath;
use crate::model::Identity;
use crate::model::intern::Interner;
use crate::model::request::TracePath;
use crate::read::TraceFile;

/// What is known of a distinct element.
#[derive(Debug)]
pub(crate) struct ElementInfo {
    pub(crate) identity: Identity,
    pub(crate) bytes: u64,
    pub(crate) kind: ElementKind,
    pub(crate) role: Role,
    /// The tool's name; of a call, that of the tool that is called.
    pub(crate) name: Option<Arc<str>>,
    /// Where its beginning stands in [`Prompts::heads`].
    head: (usize, usize),
    /// How many bytes of JSON stand in front of a text block's text. Every comparison asks.
    before_text: u32,
    pub(crate) tail: Tail,
    /// The first record that holds it.
    file: u32,
    /// Where it stands in that record.
    place: ElementPath,
}

impl ElementInfo {
    fn is_tool(&self) -> bool {
        matches!(self.place, ElementPath::Tool(_))
    }
}

/// The prompt that was added last, most of which the next one repeats.
#[derive(Debug, Default)]
struct LastPrompt {
    system: LastList,
    tools: LastList,
    blocks: Vec<PassedBlock>,
}

/// The system blocks or the tools of the prompt that was added last.
#[derive(Debug, Default)]
struct LastList {
    identities: Vec<Identity>,
    /// `None` before the first prompt.
    list: Option<ListId>,
}

/// A block, and the history up to it.
#[derive(Debug)]
struct PassedBlock {
    identity: Identity,
    role: Role,
    node: Node,
}

impl PassedBlock {
    fn is(&self, block: &ObservedElement) -> bool {
        (self.identity, self.role) == (block.identity, block.role)
    }
}

/// The prompts of a recording: no text but the beginnings of distinct texts and
/// tools.
#[derive(Debug, Default)]
pub struct Prompts {
    known: Vec<ElementInfo>,
    /// The beginnings of all elements, one behind the other.
    heads: Vec<u8>,
    /// The elements by their identities and roles.
    ids: HashTable<ElementId>,
    lists: Lists,
    pub(crate) tree: Tree,
    recorded: RecordedPrompts,
    /// The prompt that was added last, which the next one most likely repeats.
    before: LastPrompt,
    /// The names of called tools, each once.
    called_names: Interner<str>,
    /// Whether any element is one that anyclaude's conversion leaves out.
    has_left_out: bool,
    fetched: Mutex<FetchedTexts>,
}

impl Prompts {
    /// Whether no prompt was added yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.recorded.is_empty()
    }

    /// Frees the memory that is reserved for more prompts.
    pub(crate) fn shrink(&mut self) {
        self.known.shrink_to_fit();
        self.heads.shrink_to_fit();
        self.tree.shrink();
        self.recorded.shrink();
    }

    /// Takes what was seen of one more record. One whose prompt was not recorded whole is
    /// left out: what a cache held of it is unknown.
    pub fn add(&mut self, file: &TraceFile, seen: PrefixVisitor) {
        self.add_seen(file, &seen);
    }

    /// The same, where the visitor is used again.
    pub(crate) fn add_seen(&mut self, file: &TraceFile, seen: &PrefixVisitor) {
        if !file.record.sizes.prompt_bytes().is_known() {
            return;
        }
        let number = self.recorded.number_of(&file.path);
        let name = |place: ElementPath| match place {
            ElementPath::Tool(at) => file.record.tools.get(at as usize).and_then(|tool| tool.name.clone()),
            ElementPath::System(_) | ElementPath::Block { .. } => None,
        };
        let mut before = std::mem::take(&mut self.before);
        let system = self.list(&mut before.system, seen.system(), |prompts, one| {
            prompts.intern(one, &seen.heads, number, &name)
        });
        let tools = self.list(&mut before.tools, seen.tools(), |prompts, one| {
            prompts.intern(one, &seen.heads, number, &name)
        });
        let is_same = |(was, now): &(&PassedBlock, &ObservedElement)| was.is(now);
        let repeated = before.blocks.iter().zip(seen.blocks()).take_while(is_same).count();
        before.blocks.truncate(repeated);
        let mut messages = before.blocks.last().map_or(Tree::ROOT, |last| last.node);
        for block in seen.blocks().skip(repeated) {
            let element = self.intern(block, &seen.heads, number, &name);
            messages = self.tree.grown(messages, element, block.bytes, block_of(block.place));
            before.blocks.push(PassedBlock { identity: block.identity, role: block.role, node: messages });
        }
        let as_in_tree = |(passed, block): (&PassedBlock, &ObservedElement)| {
            self.tree.at(passed.node) == block_of(block.place)
        };
        let as_in_tree = before.blocks.iter().zip(seen.blocks()).all(as_in_tree);
        let places = || seen.blocks().map(|block| block_of(block.place)).collect();
        let places = (!as_in_tree).then(places);
        self.before = before;
        let opening = seen.opening.map(|(_, identity)| identity);
        let is_continuation = seen.is_continuation;
        let parts = PromptParts { system, tools, messages, places, opening, is_continuation };
        self.recorded.set(number, parts);
    }

    /// The identifier of an element; a new one where it was not seen before.
    fn intern(
        &mut self,
        seen: &ObservedElement,
        heads: &[u8],
        file: u32,
        name: &impl Fn(ElementPath) -> Option<Arc<str>>,
    ) -> ElementId {
        let next = ElementId(u32::try_from(self.known.len()).unwrap_or(u32::MAX));
        let info = |element: &ElementId| self.known.get(element.0 as usize);
        let is_it = |element: &ElementId| {
            info(element).is_some_and(|known| (known.identity, known.role) == (seen.identity, seen.role))
        };
        // An identity is a hash already. Few elements occur in several roles, so that these need
        // not be hashed.
        let rehash = |element: &ElementId| info(element).map_or(0, |known| known.identity.bits());
        let id = *self.ids.entry(seen.identity.bits(), is_it, rehash).or_insert(next).get();
        if id != next {
            return id;
        }
        self.has_left_out |= matches!(seen.kind, ElementKind::Thinking | ElementKind::Image);
        let begin = self.heads.len();
        let called = self.keep_bytes(seen.kept, heads);
        let name = called.or_else(|| name(seen.place));
        let kind = match seen.kind {
            ElementKind::Tool(_) => {
                ElementKind::Tool(name.as_ref().map(|name| Identity::of_parts([name.as_bytes()])))
            }
            kind => kind,
        };
        let is_text = matches!(kind, ElementKind::Text | ElementKind::BillingHeader);
        let before_text = self.heads.get(begin..).filter(|_| is_text).and_then(text_begin);
        self.known.push(ElementInfo {
            identity: seen.identity,
            bytes: seen.bytes,
            kind,
            role: seen.role,
            name,
            head: (begin, self.heads.len()),
            before_text: before_text.and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(0),
            tail: seen.tail,
            file,
            place: seen.place,
        });
        id
    }

    /// Keeps the beginning of an element, or returns the name of the tool that it calls: the
    /// visitor puts both into `heads`.
    fn keep_bytes(&mut self, kept: KeptBytes, heads: &[u8]) -> Option<Arc<str>> {
        match kept {
            KeptBytes::Nothing => None,
            KeptBytes::Head(from, to) => {
                self.heads.extend_from_slice(heads.get(from..to).unwrap_or_default());
                None
            }
            KeptBytes::Called(from, to) => {
                let called = heads.get(from..to).and_then(|name| str::from_utf8(name).ok())?;
                Some(self.called_names.once(called))
            }
        }
    }

    /// The list of these elements: that of the record before, if it has the same.
    fn list<'s>(
        &mut self,
        before: &mut LastList,
        elements: impl Iterator<Item = &'s ObservedElement> + Clone,
        mut intern: impl FnMut(&mut Self, &ObservedElement) -> ElementId,
    ) -> ListId {
        let LastList { identities, list } = before;
        if let Some(list) = list
            && elements.clone().map(|one| &one.identity).eq(identities.iter())
        {
            return *list;
        }
        identities.clear();
        identities.extend(elements.clone().map(|one| one.identity));
        let elements = elements.map(|one| intern(self, one)).collect();
        let known = &self.known;
        *list.insert(self.lists.intern(elements, |element| bytes_of(known, element)))
    }

    pub(crate) fn prompt(&self, path: &TracePath) -> Option<&PromptParts> {
        self.recorded.get(path)
    }

    pub(crate) fn known(&self, element: ElementId) -> Option<&ElementInfo> {
        self.known.get(element.0 as usize)
    }

    /// The tools that a prompt offers, in the order of the request.
    pub(crate) fn tools(&self, prompt: &PromptParts) -> &[ElementId] {
        self.lists.elements(prompt.tools)
    }

    /// The first record that holds an element.
    pub(crate) fn path_of(&self, element: &ElementInfo) -> Option<&TracePath> {
        self.recorded.path(element.file)
    }

    /// The tools that a conversation has called so far, by name.
    pub(crate) fn called_tools(&self, prompt: &PromptParts) -> BTreeSet<Arc<str>> {
        let said = self.tree.up(prompt.messages).filter_map(|node| self.known(self.tree.element(node)));
        let mut names: Vec<&Arc<str>> = said.filter_map(|element| element.name.as_ref()).collect();
        // Equal names share one `Arc`, so that comparing pointers removes most of them.
        names.sort_unstable_by_key(|name| Arc::as_ptr(name));
        names.dedup_by(|a, b| Arc::ptr_eq(a, b));
        names.into_iter().cloned().collect()
    }

    /// The tools whose names are wanted.
    pub(crate) fn tools_named(&self, is_wanted: impl Fn(&str) -> bool) -> HashSet<ElementId> {
        let tools = (0..).map(ElementId).zip(&self.known).filter(|(_, known)| known.is_tool());
        let named = tools.filter(|(_, known)| known.name.as_deref().is_some_and(&is_wanted));
        named.map(|(element, _)| element).collect()
    }

    pub(crate) fn kind(&self, element: ElementId) -> ElementKind {
        self.known(element).map_or(ElementKind::Other, |known| known.kind)
    }

    pub(crate) fn role(&self, element: ElementId) -> Role {
        self.known(element).map_or(Role::Nobody, |known| known.role)
    }

    /// The beginning of a text or tool; the whole of it where it is short.
    pub(crate) fn head(&self, element: ElementId) -> &[u8] {
        self.known(element).and_then(|known| self.heads.get(known.head.0..known.head.1)).unwrap_or_default()
    }

    /// The JSON in front of a text block's text; 0 of other elements.
    pub(crate) fn bytes_before_text(&self, element: ElementId) -> u64 {
        self.known(element).map_or(0, |known| known.before_text.into())
    }

    /// Where the whole of an element can be read again.
    pub(crate) fn source(&self, element: ElementId) -> Option<(&TracePath, ElementPath)> {
        let known = self.known(element)?;
        Some((self.path_of(known)?, known.place))
    }

    pub(crate) fn bytes(&self, element: ElementId) -> u64 {
        bytes_of(&self.known, element)
    }

    /// What was read again of these elements.
    pub(super) fn fetched(&self) -> MutexGuard<'_, FetchedTexts> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_left_out(&self) -> bool {
        self.has_left_out
    }

    pub(crate) fn lists(&self) -> &Lists {
        &self.lists
    }
}

fn bytes_of(known: &[ElementInfo], element: ElementId) -> u64 {
    known.get(element.0 as usize).map_or(0, |known| known.bytes)
}

fn block_of(place: ElementPath) -> (u32, u32) {
    match place {
        ElementPath::Block { message, block } => (message, block),
        ElementPath::System(at) | ElementPath::Tool(at) => (at, 0),
    }
}
