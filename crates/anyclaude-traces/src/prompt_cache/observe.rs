//! What is seen of one request's prompt as the parser passes over it.

use crate::formats::body::{Element, ElementPath, Message, Section, Visit};
use crate::formats::json::compact::HEAD_BYTES;
use crate::model::Identity;

/// The beginning of the header that tells Anthropic whom to bill. It differs in
/// every request of some versions of Claude Code.
const BILLING_HEADER: &str = "x-anthropic-billing-header";

/// How the message begins with which Claude Code goes on after it compacted a
/// conversation: the summary follows.
const CONTINUATION: &str = "This session is being continued from a previous conversation";

/// Room for so many elements is made at once: to grow by ones and twos took a twentieth of the
/// instructions of `summary` over small files.
const FIRST_ELEMENTS: usize = 32;

/// The JSON behind the text of a block: a quotation mark and a brace.
pub(super) const AFTER_TEXT: u64 = 2;

/// How much of the end of a text is kept: enough to see that two differ there.
const TAIL_BYTES: usize = 16;

/// Who speaks an element: equal blocks of different roles are different elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Role {
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
pub(crate) enum ElementKind {
    /// Text in the system prompt that names itself the billing header.
    BillingHeader,
    Text,
    /// A tool, by its name; `None` until it is known to be another than those before.
    Tool(Option<Identity>),
    /// A tool call or its result, which names the call.
    Call,
    /// Reasoning of an earlier answer, which is sent back.
    Thinking,
    Image,
    Other,
}

impl ElementKind {
    /// Whether of two different elements the common beginning counts.
    pub(crate) fn is_comparable(self, other: Self) -> bool {
        match (self, other) {
            (Self::Text | Self::BillingHeader, Self::Text | Self::BillingHeader) => true,
            (Self::Tool(a), Self::Tool(b)) => a == b,
            _ => false,
        }
    }

    /// Sorts those together that can be compared.
    pub(crate) fn rank(self) -> (u8, Option<Identity>) {
        match self {
            Self::Text | Self::BillingHeader => (0, None),
            Self::Tool(name) => (1, name),
            Self::Call | Self::Thinking | Self::Image | Self::Other => (2, None),
        }
    }
}

/// An element as a file shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ObservedElement {
    pub(super) identity: Identity,
    pub(super) bytes: u64,
    pub(super) kind: ElementKind,
    pub(super) role: Role,
    pub(super) place: ElementPath,
    pub(super) kept: KeptBytes,
    pub(super) tail: Tail,
}

/// What is kept of an element's bytes, and where it stands in [`PrefixVisitor::heads`].
#[derive(Debug, Clone, Copy)]
pub(super) enum KeptBytes {
    Nothing,
    /// The beginning of a text or a tool.
    Head(usize, usize),
    /// The name of the tool that it calls.
    Called(usize, usize),
}

/// The end of a text, before the quotation mark and the brace that close its block. Empty
/// where it is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    bytes: [u8; TAIL_BYTES],
    length: u8,
}

impl Tail {
    fn of(element: &Element<'_>) -> Self {
        let last = match element.raw.last_string_suffix(TAIL_BYTES) {
            [] => suffix_of_last_text(element).unwrap_or_default(),
            last => last,
        };
        let mut tail = Self { length: u8::try_from(last.len()).unwrap_or(0), ..Self::default() };
        tail.bytes.iter_mut().zip(last).for_each(|(to, from)| *to = *from);
        tail
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// How many bytes two texts have in common at their ends; `None` where they differ
    /// further in front than is kept.
    pub(crate) fn common(self, other: Self) -> Option<u64> {
        let (mut a, mut b) = (self.bytes().iter().rev(), other.bytes().iter().rev());
        let mut common = 0;
        loop {
            match (a.next(), b.next()) {
                (Some(a), Some(b)) if a == b => common += 1,
                (Some(_), Some(_)) => return Some(common),
                _ => return None,
            }
        }
    }
}

/// The end of a text with nothing behind it but a mark for caching, which is no part of it: the
/// blocks of most system prompts.
fn suffix_of_last_text<'e>(element: &'e Element<'_>) -> Option<&'e [u8]> {
    let text = element.text?.inner.as_bytes();
    let begin = text_begin(&element.raw.canonical_prefix(HEAD_BYTES))?;
    let is_last = (begin + text.len()) as u64 + AFTER_TEXT == element.raw.canonical_len();
    let last = text.get(text.len().saturating_sub(TAIL_BYTES)..).filter(|_| is_last)?;
    last.rsplit(|byte| *byte == b'"').next()
}

/// Where the text of a block begins, by the beginning of its JSON.
pub(super) fn text_begin(head: &[u8]) -> Option<usize> {
    const TEXT: &[u8] = br#""text":""#;
    let found = head.windows(TEXT.len()).position(|bytes| bytes == TEXT)?;
    Some(found + TEXT.len())
}

/// Sees of one request what [`Prompts`](super::Prompts) keeps of it.
#[derive(Debug, Default)]
pub struct PrefixVisitor {
    /// In one list, which another thread frees: three took longer.
    elements: Vec<ObservedElement>,
    pub(super) heads: Vec<u8>,
    /// The first message that is not the system's.
    pub(super) opening: Option<(u32, Identity)>,
    /// Whether a text in that message continues an earlier conversation.
    pub(super) is_continuation: bool,
    /// The newest message with a text that begins so.
    continued_in: Option<u32>,
}

impl PrefixVisitor {
    /// One that has seen nothing, in the memory of this one.
    pub(crate) fn anew(self) -> Self {
        let Self { mut elements, mut heads, .. } = self;
        elements.clear();
        heads.clear();
        Self { elements, heads, ..Self::default() }
    }

    pub(super) fn system(&self) -> impl Iterator<Item = &ObservedElement> + Clone {
        self.elements.iter().filter(|one| matches!(one.place, ElementPath::System(_)))
    }

    pub(super) fn tools(&self) -> impl Iterator<Item = &ObservedElement> + Clone {
        self.elements.iter().filter(|one| matches!(one.place, ElementPath::Tool(_)))
    }

    pub(super) fn blocks(&self) -> impl Iterator<Item = &ObservedElement> {
        self.elements.iter().filter(|one| matches!(one.place, ElementPath::Block { .. }))
    }

    /// Keeps the beginning of a text or a tool. Most differ within that; where two do not,
    /// both are read from their files again.
    fn keep_head(&mut self, element: &Element<'_>) -> KeptBytes {
        let (begin, end) = self.keep(&element.raw.canonical_prefix(HEAD_BYTES));
        KeptBytes::Head(begin, end)
    }

    /// Keeps the name of the tool that is called: which ones were is asked of many requests.
    fn keep_called(&mut self, element: &Element<'_>) -> KeptBytes {
        let Some(name) = element.called_tool() else { return KeptBytes::Nothing };
        let (begin, end) = self.keep(name.as_bytes());
        KeptBytes::Called(begin, end)
    }

    fn keep(&mut self, bytes: &[u8]) -> (usize, usize) {
        let begin = self.heads.len();
        if begin == 0 {
            self.heads.reserve(FIRST_ELEMENTS * HEAD_BYTES);
        }
        self.heads.extend_from_slice(bytes);
        (begin, self.heads.len())
    }
}

impl Visit for PrefixVisitor {
    fn wants_identities(&self) -> bool {
        true
    }

    fn element(&mut self, element: &Element<'_>) {
        let stated = element.kind.as_deref();
        let is_system = matches!(element.place, ElementPath::System(_));
        let is_header = || element.text.is_some_and(|text| text.inner.starts_with(BILLING_HEADER));
        let (kind, role) = match element.place {
            ElementPath::Tool(_) => (ElementKind::Tool(None), Role::Tools),
            _ if stated == Some("text") && is_system && is_header() => {
                (ElementKind::BillingHeader, Role::SystemPrompt)
            }
            ElementPath::System(_) if stated == Some("text") => (ElementKind::Text, Role::SystemPrompt),
            ElementPath::System(_) => (ElementKind::Other, Role::SystemPrompt),
            ElementPath::Block { message, .. } => {
                if element.text.is_some_and(|text| text.inner.starts_with(CONTINUATION)) {
                    self.continued_in = Some(message);
                }
                let kind = match stated {
                    Some("text") => ElementKind::Text,
                    Some("tool_use" | "tool_result") => ElementKind::Call,
                    Some("thinking" | "redacted_thinking") => ElementKind::Thinking,
                    Some("image") => ElementKind::Image,
                    _ => ElementKind::Other,
                };
                (kind, Role::Nobody)
            }
        };
        let has_head = matches!(kind, ElementKind::BillingHeader | ElementKind::Text | ElementKind::Tool(_));
        let kept = if has_head { self.keep_head(element) } else { self.keep_called(element) };
        let tail = if kind == ElementKind::Text { Tail::of(element) } else { Tail::default() };
        let (identity, bytes) = (element.raw.identity(), element.raw.canonical_len());
        let seen = ObservedElement { identity, bytes, kind, role, place: element.place, kept, tail };
        if self.elements.is_empty() {
            self.elements.reserve(FIRST_ELEMENTS);
        }
        self.elements.push(seen);
    }

    fn message(&mut self, message: &Message<'_>) {
        let role = match message.role.as_deref() {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system") => Role::SystemMessage,
            Some(role) => Role::Other(Identity::of_parts([role.as_bytes()])),
            None => Role::Nobody,
        };
        let blocks = self.elements.iter_mut().rev().filter(|one| message_of(one.place).is_some());
        let is_of_it = |block: &&mut ObservedElement| message_of(block.place) == Some(message.index);
        blocks.take_while(is_of_it).for_each(|block| block.role = role);
        if self.opening.is_none() && role != Role::SystemMessage {
            self.opening = Some((message.index, message.identity));
            self.is_continuation = self.continued_in == Some(message.index);
        }
    }

    fn restart(&mut self, section: Section) {
        match section {
            Section::Body => *self = Self::default(),
            Section::System => self.elements.retain(|one| !matches!(one.place, ElementPath::System(_))),
            Section::Tools => self.elements.retain(|one| !matches!(one.place, ElementPath::Tool(_))),
            Section::Messages => {
                self.elements.retain(|one| message_of(one.place).is_none());
                self.opening = None;
                self.continued_in = None;
                self.is_continuation = false;
            }
            Section::Message(index) => {
                self.elements.retain(|one| message_of(one.place) != Some(index));
                self.continued_in = self.continued_in.filter(|message| *message != index);
            }
        }
    }
}

fn message_of(place: ElementPath) -> Option<u32> {
    match place {
        ElementPath::Block { message, .. } => Some(message),
        ElementPath::System(_) | ElementPath::Tool(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(text: &[u8]) -> Tail {
        let mut tail = Tail { length: text.len() as u8, ..Tail::default() };
        tail.bytes[..text.len()].copy_from_slice(text);
        tail
    }

    /// What is seen of the blocks of a system prompt.
    fn system(blocks: &str) -> PrefixVisitor {
        let mut seen = PrefixVisitor::default();
        let trace = format!(r#"{{"request":{{"body":{{"system":[{blocks}],"messages":[]}}}}}}"#);
        crate::formats::anyclaude::trace::parse(trace.as_bytes(), &mut seen).unwrap();
        seen
    }

    #[test]
    fn a_mark_for_caching_hides_no_end() {
        for (block, expected) in [
            (r#"{"type":"text","text":"Be brief, or do not answer."}"#, "r do not answer."),
            (
                r#"{"type":"text", "text": "Be brief, or do not answer.", "cache_control": {"type":"ephemeral"}}"#,
                "r do not answer.",
            ),
            (r#"{"cache_control":{"type":"e"},"type":"text","text":"Say \"yes"}"#, "yes"),
            (r#"{"text":"Be brief.","type":"text","cache_control":{"type":"e"}}"#, ""),
        ] {
            let seen = system(block);
            let tails: Vec<&[u8]> = seen.system().map(|one| one.tail.bytes()).collect();
            assert_eq!(tails, [expected.as_bytes()], "{block}");
        }
    }

    #[test]
    fn ends_are_compared_from_behind_as_far_as_they_are_kept() {
        let common = |a: &[u8], b: &[u8]| tail(a).common(tail(b));
        assert_eq!(common(b"at ten.", b"at six."), Some(1));
        assert_eq!(common(b"a", b"b"), Some(0));
        assert_eq!(common(b"same", b"same"), None, "they may differ further in front");
        assert_eq!(common(b"ends", b"s"), None);
        assert_eq!(common(b"", b"s"), None, "unknown");
    }
}
