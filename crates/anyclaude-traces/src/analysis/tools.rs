//! The tools that requests carry: which take the most room, and whose they are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::ToolSize;
use crate::model::intern::{FastMap, FastSet};
use crate::model::request::Request;

/// The MCP server of a tool named `mcp__SERVER__TOOL`.
///
/// ```
/// use anyclaude_traces::analysis::tools::server;
///
/// assert_eq!(server("mcp__github__create_issue"), Some("github"));
/// assert_eq!(server("Bash"), None);
/// ```
#[must_use]
pub fn server(tool: &str) -> Option<&str> {
    let (server, tool) = tool.strip_prefix("mcp__")?.split_once("__")?;
    (!server.is_empty() && !tool.is_empty()).then_some(server)
}

/// A tool and the requests that carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ToolUse {
    /// Its name.
    pub name: Option<Arc<str>>,
    /// The size of its newest definition as compact JSON, in bytes.
    pub bytes: u64,
    /// How many requests carry it.
    pub requests: u64,
}

/// An MCP server's tools in one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ServerUse {
    /// The server.
    pub name: String,
    /// How many tools it offers.
    pub tools: u64,
    /// The size of their newest definitions as compact JSON, in bytes.
    pub bytes: u64,
}

/// Every tool of these requests, largest first, then by name. `requests` are in
/// order of time.
///
/// ```
/// use anyclaude_traces::Request;
/// use anyclaude_traces::analysis::tools::largest;
///
/// let requests = [Request::builder("a.json").tool("Bash", 900).tool("Task", 2000).build()];
/// assert_eq!(largest(requests.iter())[0].name.as_deref(), Some("Task"));
/// ```
#[must_use]
pub fn largest<'a>(requests: impl DoubleEndedIterator<Item = &'a Request>) -> Vec<ToolUse> {
    // A list that many requests share is looked at once.
    let (mut lists, mut places): (Vec<(&[ToolSize], u64)>, _) = (Vec::new(), FastMap::default());
    for request in requests.rev() {
        let list = request.tools();
        let place = *places.entry((list.as_ptr().addr(), list.len())).or_insert(lists.len());
        match lists.get_mut(place) {
            Some((_, requests)) => *requests += 1,
            None => lists.push((list, 1)),
        }
    }
    let mut uses: HashMap<Option<Arc<str>>, ToolUse> = HashMap::new();
    for (list, requests) in lists {
        let mut seen = FastSet::default();
        for tool in list.iter().rev().filter(|tool| seen.insert(&tool.name)) {
            let fresh = || ToolUse { name: tool.name.clone(), bytes: tool.bytes, requests: 0 };
            uses.entry(tool.name.clone()).or_insert_with(fresh).requests += requests;
        }
    }
    let mut uses: Vec<ToolUse> = uses.into_values().collect();
    uses.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    uses
}

/// The MCP servers of these tools, largest first, then by name.
///
/// ```
/// let tools = [(Some("mcp__github__search"), 300), (Some("Bash"), 900), (Some("mcp__github__open"), 200)];
/// let servers = anyclaude_traces::analysis::tools::servers(tools);
/// assert_eq!((servers[0].name.as_str(), servers[0].tools, servers[0].bytes), ("github", 2, 500));
/// ```
#[must_use]
pub fn servers<'a>(tools: impl IntoIterator<Item = (Option<&'a str>, u64)>) -> Vec<ServerUse> {
    let mut servers: BTreeMap<&str, ServerUse> = BTreeMap::new();
    for (name, bytes) in tools {
        let Some(server) = name.and_then(server) else { continue };
        let fresh = || ServerUse { name: server.to_owned(), tools: 0, bytes: 0 };
        let entry = servers.entry(server).or_insert_with(fresh);
        entry.tools += 1;
        entry.bytes += bytes;
    }
    let mut servers: Vec<ServerUse> = servers.into_values().collect();
    servers.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    servers
}
