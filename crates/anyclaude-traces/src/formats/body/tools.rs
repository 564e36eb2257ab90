//! Walks arrays of tools: of any API, and of namespaces that hold tools.

use super::element::{qualified, wanted_by};
use super::item::Item;
use super::visit::{Element, ElementPath, Section, Visit};
use super::{Shapes, Walker, index};
use crate::formats::json::cursor::{Cursor, Shape};
use crate::formats::json::fault::{ParseResult, Walk};
use crate::formats::json::text::RawStr;
use crate::model::ToolSize;
use crate::model::request::Api;

impl<'a> Walker<'a> {
    /// Walks the body's member `tools`.
    pub(super) fn tools<V: Visit>(&mut self, cursor: &mut Cursor<'a, '_>, visit: &mut V) -> ParseResult<()> {
        visit.restart(Section::Tools);
        self.body.tools.clear();
        self.add_tools(cursor, None, visit)
    }

    /// Adds the tools of an array; those in a namespace in its stead.
    pub(super) fn add_tools<V: Visit>(
        &mut self,
        cursor: &mut Cursor<'a, '_>,
        namespace: Option<&str>,
        visit: &mut V,
    ) -> ParseResult<()> {
        if cursor.shape()? != Shape::Array {
            return cursor.skip();
        }
        let mut walk = Walk::default();
        while cursor.next_item(&mut walk)? {
            let tool = Item::read(cursor, wanted_by(visit))?;
            match tool.tools.filter(|_| self.shapes == Shapes::Any && namespace.is_none()) {
                Some(tools) if tool.kind.is_some_and(|kind| kind.inner == "namespace") => {
                    let name = tool.name.map(RawStr::decode).unwrap_or_default();
                    cursor.at(tools, |cursor| self.add_tools(cursor, Some(&name), visit))?;
                }
                _ => self.add_tool(cursor, &tool, namespace, visit),
            }
        }
        Ok(())
    }

    fn add_tool<V: Visit>(
        &mut self,
        cursor: &mut Cursor<'a, '_>,
        tool: &Item<'a>,
        namespace: Option<&str>,
        visit: &mut V,
    ) {
        let place = ElementPath::Tool(index(self.body.tools.len()));
        let kind = tool.kind.map(RawStr::decode);
        let name = if self.shapes == Shapes::Any {
            self.hint = self.hint.or(match () {
                () if tool.function.is_some() => Some(Api::OpenaiChat),
                () if tool.has_input_schema => Some(Api::Anthropic),
                () => None,
            });
            // A tool that the server runs itself has a type and no name.
            let name = tool.tool_name().or_else(|| kind.clone());
            name.map(|name| match namespace {
                Some(namespace) => qualified(namespace, name),
                None => name,
            })
        } else {
            tool.name.map(RawStr::decode)
        };
        let shared_name = name.as_deref().map(|name| cursor.name(name));
        visit.element(&Element { name, ..tool.element_as(cursor, place, kind) });
        self.body.tools.push(ToolSize { name: shared_name, bytes: tool.span.compact_bytes });
    }
}
