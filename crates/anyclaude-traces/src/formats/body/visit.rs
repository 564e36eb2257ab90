//! The visitor interface of the trace parser.

use super::raw::Raw;
use crate::formats::json::text::RawStr;
use crate::model::Identity;
use std::borrow::Cow;

/// Sees the content of a trace while [`parse`](crate::formats::anyclaude::trace::parse) passes it.
///
/// Content is borrowed for the length of a call; a visitor copies what it needs.
/// Every method does nothing by default. `()` ignores everything, and a pair of visitors calls
/// both.
///
/// ```
/// use anyclaude_traces::formats::anyclaude::trace::parse;
/// use anyclaude_traces::formats::body::{Element, ElementPath, Visit};
///
/// /// Finds the name of the largest tool.
/// #[derive(Default)]
/// struct Largest(u64, String);
///
/// impl Visit for Largest {
///     fn element(&mut self, element: &Element<'_>) {
///         let bytes = element.raw.compact_bytes();
///         if matches!(element.place, ElementPath::Tool(_)) && bytes > self.0 {
///             *self = Self(bytes, element.name.as_deref().unwrap_or_default().to_owned());
///         }
///     }
/// }
///
/// let trace = br#"{"request": {"body": {"tools": [{"name": "A"}, {"name": "B", "type": "custom"}]}}}"#;
/// let mut largest = Largest::default();
/// parse(trace, &mut largest)?;
/// assert_eq!((largest.0, largest.1.as_str()), (28, "B"));
/// # Ok::<(), anyclaude_traces::error::ParseError>(())
/// ```
pub trait Visit {
    /// A system block, a tool, or a content block of a message, in the order of
    /// the file.
    fn element(&mut self, element: &Element<'_>) {
        let _ = element;
    }

    /// A message, after all its blocks.
    fn message(&mut self, message: &Message<'_>) {
        let _ = message;
    }

    /// A member of the body other than `system`, `tools` and `messages`. When
    /// one comes again under the same name, the later value holds.
    fn parameter(&mut self, name: &str, value: &Raw<'_>) {
        let _ = (name, value);
    }

    /// The whole body, after everything in it; called once, for the last of several.
    fn body(&mut self, body: &Raw<'_>) {
        let _ = body;
    }

    /// The file repeats a member. As the last one counts, everything that was seen of this
    /// section is void.
    fn restart(&mut self, section: Section) {
        let _ = section;
    }

    /// Whether it will ask for the identities of most system blocks and tools. They
    /// are then taken in the same pass, as those of message blocks always are; else
    /// each that is asked for is passed again.
    fn wants_identities(&self) -> bool {
        false
    }
}

impl Visit for () {}

impl<V: Visit + ?Sized> Visit for &mut V {
    fn element(&mut self, element: &Element<'_>) {
        (**self).element(element);
    }
    fn message(&mut self, message: &Message<'_>) {
        (**self).message(message);
    }
    fn parameter(&mut self, name: &str, value: &Raw<'_>) {
        (**self).parameter(name, value);
    }
    fn body(&mut self, body: &Raw<'_>) {
        (**self).body(body);
    }
    fn restart(&mut self, section: Section) {
        (**self).restart(section);
    }
    fn wants_identities(&self) -> bool {
        (**self).wants_identities()
    }
}

impl<A: Visit, B: Visit> Visit for (A, B) {
    fn element(&mut self, element: &Element<'_>) {
        self.0.element(element);
        self.1.element(element);
    }
    fn message(&mut self, message: &Message<'_>) {
        self.0.message(message);
        self.1.message(message);
    }
    fn parameter(&mut self, name: &str, value: &Raw<'_>) {
        self.0.parameter(name, value);
        self.1.parameter(name, value);
    }
    fn body(&mut self, body: &Raw<'_>) {
        self.0.body(body);
        self.1.body(body);
    }
    fn restart(&mut self, section: Section) {
        self.0.restart(section);
        self.1.restart(section);
    }
    fn wants_identities(&self) -> bool {
        self.0.wants_identities() || self.1.wants_identities()
    }
}

impl<V: Visit> Visit for Option<V> {
    fn element(&mut self, element: &Element<'_>) {
        self.iter_mut().for_each(|visitor| visitor.element(element));
    }
    fn message(&mut self, message: &Message<'_>) {
        self.iter_mut().for_each(|visitor| visitor.message(message));
    }
    fn parameter(&mut self, name: &str, value: &Raw<'_>) {
        self.iter_mut().for_each(|visitor| visitor.parameter(name, value));
    }
    fn body(&mut self, body: &Raw<'_>) {
        self.iter_mut().for_each(|visitor| visitor.body(body));
    }
    fn restart(&mut self, section: Section) {
        self.iter_mut().for_each(|visitor| visitor.restart(section));
    }
    fn wants_identities(&self) -> bool {
        self.as_ref().is_some_and(V::wants_identities)
    }
}

/// The part of the body that [`Visit::restart`] declares void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Everything: parameters, system, tools and messages.
    Body,
    /// The system blocks.
    System,
    /// The tools.
    Tools,
    /// All messages and their blocks.
    Messages,
    /// The blocks of the message with this index.
    Message(u32),
}

/// Where in the prompt an element stands; indices count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ElementPath {
    /// A block of the system prompt; a string prompt is block 0.
    System(u32),
    /// A tool definition.
    Tool(u32),
    /// A content block of a message; string content is block 0.
    Block {
        /// The message's index.
        message: u32,
        /// The block's index in that message.
        block: u32,
    },
}

/// A part of the prompt: a system block, a tool, or a content block.
#[derive(Debug)]
#[non_exhaustive]
pub struct Element<'a> {
    /// Where it stands.
    pub place: ElementPath,
    /// Its `type` member; `text` for a bare string, `None` where it has none.
    pub kind: Option<Cow<'a, str>>,
    /// Its `name` member (tools and tool calls).
    pub name: Option<Cow<'a, str>>,
    /// Its bytes.
    pub raw: Raw<'a>,
    pub(crate) text: Option<RawStr<'a>>,
}

impl<'a> Element<'a> {
    /// Its `text` member, decoded, or the bare string that it is.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'a, str>> {
        self.text.map(RawStr::decode)
    }

    /// Whether it is the call of a tool.
    pub(crate) fn is_call(&self) -> bool {
        matches!(self.kind.as_deref(), Some("tool_use" | "server_tool_use" | "mcp_tool_use"))
    }

    /// The name of the tool that it calls.
    pub(crate) fn called_tool(&self) -> Option<&str> {
        self.name.as_deref().filter(|_| self.is_call())
    }
}

/// A message of the conversation.
#[derive(Debug)]
#[non_exhaustive]
pub struct Message<'a> {
    /// Its index.
    pub index: u32,
    /// Its `role` member, where that is a string.
    pub role: Option<Cow<'a, str>>,
    /// Its bytes.
    pub raw: Raw<'a>,
    /// Its role and the identities of its blocks in one; string content and a
    /// single text block of the same text are the same.
    pub identity: Identity,
}
