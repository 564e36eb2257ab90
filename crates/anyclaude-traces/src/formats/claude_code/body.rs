//! `<uuid>.request.json`: the body of a request, with a member more than was sent.

use crate::formats::body::{Element, Message, Raw, Section, Visit};
use crate::model::Sizes;

/// What the name of a body's file ends in.
pub(crate) const REQUEST_SUFFIX: &str = ".request.json";

/// What stands in place of thinking, which is not recorded.
const REDACTED: &str = "<REDACTED>";

/// Shows a recorded body to a visitor as it was sent: without the member `betas`, which is
/// a header on the wire.
pub(crate) struct LessBetas<V> {
    inner: V,
    betas_bytes: Option<u64>,
    is_redacted: bool,
}

impl<V: Visit> LessBetas<V> {
    pub(crate) fn new(inner: V) -> Self {
        Self { inner, betas_bytes: None, is_redacted: false }
    }

    /// Whether the body had the member, which only Claude Code's recordings have.
    pub(crate) fn has_betas(&self) -> bool {
        self.betas_bytes.is_some()
    }

    /// Whether the body is not the one that was sent, as its thinking was replaced.
    pub(crate) fn is_redacted(&self) -> bool {
        self.is_redacted
    }

    /// Bytes of the member with its name and comma.
    pub(crate) fn betas_bytes(&self) -> u64 {
        const NAME: u64 = r#""betas":"#.len() as u64;
        const COMMA: u64 = 1;
        self.betas_bytes.map_or(0, |value| NAME + value + COMMA)
    }
}

impl<V: Visit> Visit for LessBetas<V> {
    fn element(&mut self, element: &Element<'_>) {
        let is_thinking = matches!(element.kind.as_deref(), Some("thinking" | "redacted_thinking"));
        self.is_redacted |= is_thinking && element.raw.as_str().contains(REDACTED);
        self.inner.element(element);
    }
    fn message(&mut self, message: &Message<'_>) {
        self.inner.message(message);
    }
    fn parameter(&mut self, name: &str, value: &Raw<'_>) {
        if name == "betas" {
            self.betas_bytes = Some(value.compact_bytes());
        } else {
            self.inner.parameter(name, value);
        }
    }
    fn body(&mut self, body: &Raw<'_>) {
        self.inner.body(body);
    }
    fn restart(&mut self, section: Section) {
        if section == Section::Body {
            (self.betas_bytes, self.is_redacted) = (None, false);
        }
        self.inner.restart(section);
    }
    fn wants_identities(&self) -> bool {
        self.inner.wants_identities()
    }
}
