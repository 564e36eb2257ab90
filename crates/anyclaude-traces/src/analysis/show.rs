//! One request → everything in it, measured.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use crate::analysis::content::{Block, Content, ParameterValue};
use crate::analysis::tool_cost::ToolCosts;
use crate::analysis::tools::{self, ServerUse};
use crate::findings::Finding;
use crate::model::request::Request;

/// One request, taken apart.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct RequestDetail {
    /// The request itself.
    #[serde(flatten)]
    pub request: Request,
    /// The blocks of its system prompt.
    pub system: Vec<ShownSystem>,
    /// Its tools, largest first, then by name.
    pub tools: Vec<ShownTool>,
    /// The MCP servers behind them, largest first.
    pub mcp_servers: Vec<ServerUse>,
    /// What its tools cost, once its tokens are counted.
    pub price_list: Option<ToolCosts>,
    /// What cost time in it, the dearest first.
    pub findings: Vec<Finding>,
    /// Its messages.
    pub messages: Vec<ShownMessage>,
    /// Every other member of the body, by its name.
    #[serde(serialize_with = "by_name", deserialize_with = "crate::deserialize::parameters")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::parameters"))]
    pub parameters: Vec<ShownParameter>,
}

/// A block of the system prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ShownSystem {
    /// Its size as compact JSON, in bytes.
    pub bytes: u64,
    /// Characters of its text.
    pub chars: u64,
    /// Its text, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ShownTool {
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Its size as compact JSON, in bytes.
    pub bytes: u64,
    /// The MCP server that offers it.
    pub server: Option<String>,
    /// Its description, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ShownMessage {
    /// Its role.
    pub role: Option<String>,
    /// Its size as compact JSON, in bytes.
    pub bytes: u64,
    /// Its content blocks.
    pub blocks: Vec<Block>,
}

/// A member of the body other than system, tools and messages.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ShownParameter {
    /// Its name.
    pub name: String,
    /// Its value, or the size of it.
    pub value: ParameterValue,
}

fn by_name<S: Serializer>(parameters: &[ShownParameter], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(parameters.iter().map(|parameter| (&parameter.name, &parameter.value)))
}

/// Takes a request apart.
///
/// ```
/// use anyclaude_traces::analysis::content::Content;
/// use anyclaude_traces::analysis::show::show;
/// use anyclaude_traces::formats::anyclaude::trace::parse;
/// use anyclaude_traces::Request;
///
/// let trace = br#"{"request": {"body": {"model": "m", "tools": [{"name": "Bash"}]}}}"#;
/// let mut content = Content::sizes();
/// let request = Request::from_record("a.json", parse(trace, &mut content)?);
/// let shown = show(request, content, None, Vec::new());
/// assert_eq!(shown.request.sizes.tool_count, shown.tools.len() as u64);
/// # Ok::<(), anyclaude_traces::error::ParseError>(())
/// ```
#[must_use]
pub fn show(
    request: Request,
    content: Content,
    price_list: Option<ToolCosts>,
    findings: Vec<Finding>,
) -> RequestDetail {
    let mut tools: Vec<ShownTool> = content.tools.into_iter().map(shown_tool).collect();
    tools.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    let mcp_servers = tools::servers(tools.iter().map(|tool| (tool.name.as_deref(), tool.bytes)));
    let system = content.system.into_iter();
    let messages = content.messages.into_iter();
    let parameters = content.parameters.into_iter();
    RequestDetail {
        request,
        system: system
            .map(|block| ShownSystem { bytes: block.bytes, chars: block.chars, text: block.text })
            .collect(),
        tools,
        mcp_servers,
        price_list,
        findings,
        messages: messages
            .map(|message| ShownMessage { role: message.role, bytes: message.bytes, blocks: message.blocks })
            .collect(),
        parameters: parameters.map(|one| ShownParameter { name: one.name, value: one.value }).collect(),
    }
}

fn shown_tool(tool: crate::analysis::content::Tool) -> ShownTool {
    let server = tool.name.as_deref().and_then(tools::server).map(str::to_owned);
    ShownTool { name: tool.name, bytes: tool.bytes, server, text: tool.text }
}
