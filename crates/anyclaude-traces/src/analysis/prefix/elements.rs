//! What the prompts of a recording are made of: every distinct element once, and
//! of each prompt only which ones.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::tree::{Node, Tree};
use crate::formats::body::{Element, ElementPath, Message, Section, Visit};
use crate::model::Identity;
use crate::read::TraceFile;

/// How the header begins that tells Anthropic whom to bill, and that is another
/// in every request.
const BILLING_HEADER: &str = "x-anthropic-billing-header";

/// How much of a text or a tool is kept. Most of them differ within that; of
/// others the rest is read again.
const HEAD_BYTES: usize = 160;

/// A distinct element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ElementId(u32);

impl ElementId {
    /// Stands where there is no element.
    pub(super) const NONE: Self = Self(u32::MAX);

    #[cfg(test)]
    pub(super) fn new(id: u32) -> Self {
        Self(id)
    }
}

/// Whose words an element is: what is said in another's name is another element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    SystemPrompt,
    Tools,
    User,
    Assistant,
    /// A message of the role `system`.
    SystemMessage,
    /// A message of another role.
    Other(Identity),
    /// A message without a role.
    Nobody,
}

/// What sort of element it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementKind {
    /// Text in the system prompt that names itself the billing header.
    BillingHeader,
    Text,
    /// A tool, by its name.
    Tool(Option<Identity>),
    /// A tool call or its result, which names the call.
    Call,
    Other,
}

impl ElementKind {
    /// Whether of two different elements the common beginning counts.
    pub(super) fn is_comparable(self, other: Self) -> bool {
        match (self, other) {
            (Self::Text | Self::BillingHeader, Self::Text | Self::BillingHeader) => true,
            (Self::Tool(a), Self::Tool(b)) => a == b,
            _ => false,
        }
    }

    /// Sorts those together that can be compared.
    pub(super) fn rank(self) -> (u8, Option<Identity>) {
        match self {
            Self::Text | Self::BillingHeader => (0, None),
            Self::Tool(name) => (1, name),
            Self::Call | Self::Other => (2, None),
        }
    }
}

/// An element as a file shows it.
#[derive(Debug, Clone, Copy)]
struct ObservedElement {
    identity: Identity,
    bytes: u64,
    sort: ElementKind,
    role: Role,
    place: ElementPath,
    /// Where its beginning stands among the kept ones.
    head: (usize, usize),
}

/// Sees of one request what [`Prompts`] keeps of it.
#[derive(Debug, Default)]
pub struct PrefixVisitor {
    system: Vec<ObservedElement>,
    tools: Vec<ObservedElement>,
    blocks: Vec<ObservedElement>,
    heads: Vec<u8>,
    /// The first message that is not the system's.
    opening: Option<(u32, Identity)>,
}

impl PrefixVisitor {
    fn keep_head(&mut self, element: &Element<'_>) -> (usize, usize) {
        let begin = self.heads.len();
        self.heads.extend(element.raw.canonical_prefix(HEAD_BYTES));
        (begin, self.heads.len())
    }
}

impl Visit for PrefixVisitor {
    fn wants_identities(&self) -> bool {
        true
    }

    fn element(&mut self, element: &Element<'_>) {
        let kind = element.kind.as_deref();
        let is_system = matches!(element.place, ElementPath::System(_));
        let is_header = || element.text.is_some_and(|text| text.inner.starts_with(BILLING_HEADER));
        let (sort, role) = match element.place {
            ElementPath::Tool(_) => {
                let name = element.name.as_ref().map(|name| Identity::of_parts([name.as_bytes()]));
                (ElementKind::Tool(name), Role::Tools)
            }
            _ if kind == Some("text") && is_system && is_header() => {
                (ElementKind::BillingHeader, Role::SystemPrompt)
            }
            ElementPath::System(_) if kind == Some("text") => (ElementKind::Text, Role::SystemPrompt),
            ElementPath::System(_) => (ElementKind::Other, Role::SystemPrompt),
            ElementPath::Block { .. } => {
                let sort = match kind {
                    Some("text") => ElementKind::Text,
                    Some("tool_use" | "tool_result") => ElementKind::Call,
                    _ => ElementKind::Other,
                };
                (sort, Role::Nobody)
            }
        };
        let has_head = matches!(sort, ElementKind::BillingHeader | ElementKind::Text | ElementKind::Tool(_));
        let head = if has_head { self.keep_head(element) } else { (0, 0) };
        let (identity, bytes) = (element.raw.identity(), element.raw.canonical_len());
        let seen = ObservedElement { identity, bytes, sort, role, place: element.place, head };
        match element.place {
            ElementPath::System(_) => self.system.push(seen),
            ElementPath::Tool(_) => self.tools.push(seen),
            ElementPath::Block { .. } => self.blocks.push(seen),
        }
    }

    fn message(&mut self, message: &Message<'_>) {
        let role = match message.role.as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::SystemMessage,
            Some(role) => Role::Other(Identity::of_parts([role.as_bytes()])),
            None => Role::Nobody,
        };
        let is_of_it = |block: &&mut ObservedElement| message_of(block.place) == Some(message.index);
        self.blocks.iter_mut().rev().take_while(is_of_it).for_each(|block| block.role = role);
        if self.opening.is_none() && role != Role::SystemMessage {
            self.opening = Some((message.index, message.identity));
        }
    }

    fn restart(&mut self, section: Section) {
        match section {
            Section::Body => *self = Self::default(),
            Section::System => self.system.clear(),
            Section::Tools => self.tools.clear(),
            Section::Messages => {
                self.blocks.clear();
                self.opening = None;
            }
            Section::Message(index) => self.blocks.retain(|block| message_of(block.place) != Some(index)),
        }
    }
}

fn message_of(place: ElementPath) -> Option<u32> {
    match place {
        ElementPath::Block { message, .. } => Some(message),
        ElementPath::System(_) | ElementPath::Tool(_) => None,
    }
}

/// A list of system blocks or tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ListId(u32);

/// A prompt: which system blocks, which tools, which history.
#[derive(Debug, Clone)]
pub(super) struct Prompt {
    pub(super) system: ListId,
    pub(super) tools: ListId,
    pub(super) messages: Node,
    /// Message and block of every element of the history, where these are not as
    /// in the tree: there the same words were cut into other messages.
    pub(super) places: Option<Box<[(u32, u32)]>>,
    pub(super) opening: Option<Identity>,
}

/// What is known of a distinct element.
#[derive(Debug)]
pub(super) struct ElementInfo {
    pub(super) bytes: u64,
    pub(super) sort: ElementKind,
    pub(super) role: Role,
    /// The tool's name.
    pub(super) name: Option<Arc<str>>,
    head: (usize, usize),
    /// The first file that holds it, and where.
    file: u32,
    place: ElementPath,
}

/// The prompts of a recording: no text but the beginnings of distinct texts and
/// tools.
#[derive(Debug, Default)]
pub struct Prompts {
    known: Vec<ElementInfo>,
    heads: Vec<u8>,
    ids: HashMap<(Identity, Role), ElementId>,
    lists: Lists,
    pub(super) tree: Tree,
    files: Vec<Arc<Path>>,
    by_path: HashMap<Arc<Path>, Prompt>,
}

impl Prompts {
    /// Takes what was seen of one more file.
    pub fn add(&mut self, file: &TraceFile, seen: PrefixVisitor) {
        let number = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.files.push(file.path.clone());
        let name = |place: ElementPath| match place {
            ElementPath::Tool(at) => file.record.tools.get(at as usize).and_then(|tool| tool.name.clone()),
            ElementPath::System(_) | ElementPath::Block { .. } => None,
        };
        let list = |prompts: &mut Self, elements: &[ObservedElement]| {
            let ids: Vec<ElementId> =
                elements.iter().map(|one| prompts.intern(one, &seen.heads, number, &name)).collect();
            prompts.list(ids)
        };
        let (system, tools) = (list(self, &seen.system), list(self, &seen.tools));
        let (mut messages, mut as_in_tree) = (Tree::ROOT, true);
        for block in &seen.blocks {
            let element = self.intern(block, &seen.heads, number, &name);
            let at = block_of(block.place);
            messages = self.tree.grown(messages, element, block.bytes, at);
            as_in_tree &= self.tree.at(messages) == at;
        }
        let places = || seen.blocks.iter().map(|block| block_of(block.place)).collect();
        let places = (!as_in_tree).then(places);
        let opening = seen.opening.map(|(_, identity)| identity);
        self.by_path.insert(file.path.clone(), Prompt { system, tools, messages, places, opening });
    }

    fn intern(
        &mut self,
        seen: &ObservedElement,
        heads: &[u8],
        file: u32,
        name: &impl Fn(ElementPath) -> Option<Arc<str>>,
    ) -> ElementId {
        let next = ElementId(u32::try_from(self.known.len()).unwrap_or(u32::MAX));
        *self.ids.entry((seen.identity, seen.role)).or_insert_with(|| {
            let begin = self.heads.len();
            self.heads.extend_from_slice(heads.get(seen.head.0..seen.head.1).unwrap_or_default());
            self.known.push(ElementInfo {
                bytes: seen.bytes,
                sort: seen.sort,
                role: seen.role,
                name: name(seen.place),
                head: (begin, self.heads.len()),
                file,
                place: seen.place,
            });
            next
        })
    }

    fn list(&mut self, elements: Vec<ElementId>) -> ListId {
        self.lists.intern(elements, &self.known)
    }

    pub(super) fn prompt(&self, path: &Path) -> Option<&Prompt> {
        self.by_path.get(path)
    }

    pub(super) fn known(&self, element: ElementId) -> Option<&ElementInfo> {
        self.known.get(element.0 as usize)
    }

    pub(super) fn kind(&self, element: ElementId) -> ElementKind {
        self.known(element).map_or(ElementKind::Other, |known| known.sort)
    }

    pub(super) fn role(&self, element: ElementId) -> Role {
        self.known(element).map_or(Role::Nobody, |known| known.role)
    }

    /// The beginning of a text or tool; the whole of it where it is short.
    pub(super) fn head(&self, element: ElementId) -> &[u8] {
        self.known(element).and_then(|known| self.heads.get(known.head.0..known.head.1)).unwrap_or_default()
    }

    /// Where the whole of an element can be read again.
    pub(super) fn source(&self, element: ElementId) -> Option<(&Path, ElementPath)> {
        let known = self.known(element)?;
        Some((self.files.get(known.file as usize)?, known.place))
    }

    pub(super) fn intern_list(&self, lists: &mut Lists, elements: Vec<ElementId>) -> ListId {
        lists.intern(elements, &self.known)
    }

    pub(super) fn lists(&self) -> &Lists {
        &self.lists
    }
}

fn block_of(place: ElementPath) -> (u32, u32) {
    match place {
        ElementPath::Block { message, block } => (message, block),
        ElementPath::System(at) | ElementPath::Tool(at) => (at, 0),
    }
}

/// Distinct lists of elements.
#[derive(Debug, Clone, Default)]
pub(super) struct Lists {
    lists: Vec<List>,
    ids: HashMap<Arc<[ElementId]>, ListId>,
}

#[derive(Debug, Clone)]
struct List {
    elements: Arc<[ElementId]>,
    /// The bytes of the elements up to and with each.
    bytes: Box<[u64]>,
}

impl Lists {
    pub(super) fn intern(&mut self, elements: Vec<ElementId>, known: &[ElementInfo]) -> ListId {
        if let Some(id) = self.ids.get(elements.as_slice()) {
            return *id;
        }
        let id = ListId(u32::try_from(self.lists.len()).unwrap_or(u32::MAX));
        let elements: Arc<[ElementId]> = elements.into();
        let size = |element: &ElementId| known.get(element.0 as usize).map_or(0, |known| known.bytes);
        let sums = elements.iter().scan(0, |sum, element| {
            *sum += size(element);
            Some(*sum)
        });
        self.lists.push(List { bytes: sums.collect(), elements: elements.clone() });
        self.ids.insert(elements, id);
        id
    }

    pub(super) fn elements(&self, list: ListId) -> &[ElementId] {
        self.lists.get(list.0 as usize).map(|list| &*list.elements).unwrap_or_default()
    }

    /// The bytes of the first `n` elements.
    pub(super) fn bytes_of(&self, list: ListId, n: usize) -> u64 {
        let sums = self.lists.get(list.0 as usize).map(|list| &*list.bytes).unwrap_or_default();
        n.checked_sub(1).and_then(|last| sums.get(last)).copied().unwrap_or(0)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = ListId> + use<> {
        (0..u32::try_from(self.lists.len()).unwrap_or(u32::MAX)).map(ListId)
    }
}
