//! An element of the prompt as the visitor gets it: its kind and its name.

use std::borrow::Cow;

use super::item::Item;
use super::raw::Raw;
use super::visit::{Element, ElementPath, Visit};
use crate::formats::json::compact::CompactMode;
use crate::formats::json::cursor::{Cursor, ValueSpan};
use crate::formats::json::text::RawStr;
use crate::model::Identity;

/// The kinds that the analyses know, by Anthropic's names.
pub(super) const TEXT: &str = "text";
pub(super) const TOOL_USE: &str = "tool_use";
pub(super) const TOOL_RESULT: &str = "tool_result";
pub(super) const THINKING: &str = "thinking";
const IMAGE: &str = "image";

impl<'a> Item<'a> {
    /// The element that it is, of the kind and name that it states.
    pub(super) fn element<'e>(&self, cursor: &'e Cursor<'a, '_>, place: ElementPath) -> Element<'e>
    where
        'a: 'e,
    {
        self.element_as(cursor, place, self.kind.map(|kind| canonical_kind(kind.decode())))
    }

    /// The element that it is, of this kind.
    pub(super) fn element_as<'e>(
        &self,
        cursor: &'e Cursor<'a, '_>,
        place: ElementPath,
        kind: Option<Cow<'e, str>>,
    ) -> Element<'e>
    where
        'a: 'e,
    {
        let raw = Raw::of_element(cursor, &self.span, self.left_out, self.identity).with_head(cursor.head());
        Element { place, kind, name: self.tool_name(), raw, text: self.text }
    }

    /// The name of the tool that it is or calls. A tool of an MCP server that Codex keeps in
    /// the server's namespace gets the name that it has without.
    pub(super) fn tool_name(&self) -> Option<Cow<'a, str>> {
        let name = self.name.or(self.function)?.decode();
        Some(match self.namespace {
            Some(namespace) => qualified(&namespace.decode(), name),
            None => name,
        })
    }
}

/// The name of a tool in a namespace.
pub(super) fn qualified<'a>(namespace: &str, name: Cow<'a, str>) -> Cow<'a, str> {
    if !namespace.starts_with("mcp__") {
        return name;
    }
    let joint = if namespace.ends_with("__") { "" } else { "__" };
    Cow::Owned([namespace, joint, &name].concat())
}

/// Anthropic's name of a kind that `OpenAI` names otherwise.
fn canonical_kind(kind: Cow<'_, str>) -> Cow<'_, str> {
    let known = match kind.as_ref() {
        "input_text" | "output_text" => TEXT,
        "image_url" | "input_image" => IMAGE,
        "function_call" | "custom_tool_call" | "local_shell_call" => TOOL_USE,
        "function_call_output" | "custom_tool_call_output" | "local_shell_call_output" => TOOL_RESULT,
        "reasoning" => THINKING,
        _ => return kind,
    };
    Cow::Borrowed(known)
}

/// What is computed for system blocks and tools while they are passed.
pub(super) fn wanted_by<V: Visit>(visit: &V) -> CompactMode {
    if visit.wants_identities() { CompactMode::Identity } else { CompactMode::Nothing }
}

/// Calls the visitor with a bare string as an element. Where its identity is known, the text
/// block that it stands for was built last.
pub(super) fn show_string<'a, V: Visit>(
    cursor: &Cursor<'a, '_>,
    span: &ValueSpan,
    text: RawStr<'a>,
    (place, kind): (ElementPath, &'static str),
    identity: Option<Identity>,
    visit: &mut V,
) {
    let head = if identity.is_some() { cursor.head() } else { &[] };
    let raw = Raw::of_element(cursor, span, 0, identity).with_head(head);
    let kind = Some(Cow::Borrowed(kind));
    visit.element(&Element { place, kind, name: None, raw, text: Some(text) });
}
