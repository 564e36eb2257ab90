//! What requests tell of their tools: the newest definition of each, and which were called.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::tool_cost::representative;
use crate::error::Error;
use crate::model::ToolSize;
use crate::model::intern::FastSet;
use crate::model::request::{Request, TracePath};
use crate::prompt_cache::{ElementInfo, PromptParts, Prompts};
use crate::read::Store;
use crate::tokens::{MilliTokens, PromptTokens, TokenCache, count_tools_in};

/// The tools of some requests, as far as they can be read.
#[derive(Debug, Default)]
pub(crate) struct OfferedTools {
    /// The bytes and the estimated tokens of the newest definition of each, by its name.
    pub(crate) newest: BTreeMap<Option<Arc<str>>, (u64, MilliTokens)>,
    /// Those that a conversation has called.
    pub(crate) called: BTreeSet<Arc<str>>,
}

/// The requests that are asked for their tools.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ToolGroup<'a> {
    /// Those that offer them, in order of time.
    pub(crate) requests: &'a [&'a Request],
    /// Those that tell which were called: these, and maybe others, in order of time.
    pub(crate) callers: &'a [&'a Request],
}

impl<'a> ToolGroup<'a> {
    /// Requests that offer tools and call them.
    pub(crate) fn of(requests: &'a [&'a Request]) -> Self {
        Self { requests, callers: requests }
    }
}

/// The tools of each of these groups. Files that cannot be read any more are returned besides.
///
/// Of requests that `prompts` hold, only the few files are read again that hold the newest
/// definitions first. To read each request again that tells of a thread took a
/// twentieth of the time of `summary` over small files.
pub(crate) fn read_offered_tools(
    store: &Store,
    prompts: &Prompts,
    groups: &[ToolGroup<'_>],
) -> (Vec<OfferedTools>, Vec<Error>) {
    let groups: Vec<TellingRequests<'_>> =
        groups.iter().map(|group| TellingRequests::of(group, prompts)).collect();
    let memo = TokenCache::default();
    let tokens =
        |tool: &ElementInfo| memo.of_tool(tool.identity).or_else(|| store.counted_tool(tool.identity));
    let mut files: Vec<&TracePath> = Vec::new();
    for group in &groups {
        let unknown = group.newest_definitions(prompts).filter(|tool| tokens(tool).is_none());
        files.extend(unknown.filter_map(|tool| prompts.path_of(tool)));
        files.extend(group.without_prompts());
    }
    let (counted, errors) = count_tools_in(store, &memo, files);
    let tools = |group: &TellingRequests<'_>| OfferedTools {
        newest: group.newest(prompts, &counted, tokens),
        called: group.called(prompts, &counted),
    };
    (groups.iter().map(tools).collect(), errors)
}

/// A request, and what its prompt is made of where that is known.
type Telling<'a> = (&'a Request, Option<&'a PromptParts>);

/// The requests of a group that tell all of its tools, newest first.
struct TellingRequests<'a> {
    requests: Vec<Telling<'a>>,
    other_callers: Vec<Telling<'a>>,
}

impl<'a> TellingRequests<'a> {
    fn of(group: &ToolGroup<'a>, prompts: &'a Prompts) -> Self {
        let telling = |requests| {
            let telling = representative(requests).into_iter();
            telling.map(|request| (request, prompts.prompt(&request.path))).collect()
        };
        let has_others = !std::ptr::eq(group.requests, group.callers);
        let other_callers = if has_others { telling(group.callers) } else { Vec::new() };
        Self { requests: telling(group.requests), other_callers }
    }

    fn callers(&self) -> impl Iterator<Item = &Telling<'a>> {
        self.requests.iter().chain(&self.other_callers)
    }

    /// Those that must be read again.
    fn without_prompts(&self) -> impl Iterator<Item = &'a TracePath> {
        let unknown = self.callers().filter(|(request, prompt)| prompt.is_none() && !request.is_task_only());
        unknown.map(|(request, _)| &request.path)
    }

    /// The newest definition of each tool of those whose prompts are known.
    fn newest_definitions(&self, prompts: &'a Prompts) -> impl Iterator<Item = &'a ElementInfo> {
        let mut names = FastSet::default();
        let known = self.requests.iter().filter_map(|(request, prompt)| Some((*request, (*prompt)?)));
        let all = known.flat_map(|(request, prompt)| definitions(request, prompt, prompts));
        all.filter_map(move |(tool, element)| names.insert(&tool.name).then_some(element))
    }

    fn newest(
        &self,
        prompts: &Prompts,
        counted: &HashMap<TracePath, PromptTokens>,
        tokens: impl Fn(&ElementInfo) -> Option<MilliTokens>,
    ) -> BTreeMap<Option<Arc<str>>, (u64, MilliTokens)> {
        let mut newest = BTreeMap::new();
        let mut add = |tool: &ToolSize, tokens| {
            newest.entry(tool.name.clone()).or_insert((tool.bytes, tokens));
        };
        for (request, prompt) in &self.requests {
            if let Some(prompt) = prompt {
                for (tool, element) in definitions(request, prompt, prompts) {
                    tokens(element).into_iter().for_each(|tokens| add(tool, tokens));
                }
            } else if let Some(found) = counted.get(&request.path) {
                let tools = request.tools().iter().zip(&found.tools).rev();
                tools.for_each(|(tool, (_, tokens))| add(tool, *tokens));
            }
        }
        newest
    }

    fn called(&self, prompts: &Prompts, counted: &HashMap<TracePath, PromptTokens>) -> BTreeSet<Arc<str>> {
        let mut called = BTreeSet::new();
        for (request, prompt) in self.callers() {
            match prompt {
                Some(prompt) => called.extend(prompts.called_tools(prompt)),
                None => {
                    let found = counted.get(&request.path).into_iter().flat_map(|found| &found.called);
                    called.extend(found.cloned());
                }
            }
        }
        called
    }
}

/// The tools of a request and their elements, last first: of two of one name the last counts.
fn definitions<'a>(
    request: &'a Request,
    prompt: &PromptParts,
    prompts: &'a Prompts,
) -> impl Iterator<Item = (&'a ToolSize, &'a ElementInfo)> {
    let tools = request.tools().iter().zip(prompts.tools(prompt)).rev();
    tools.filter_map(|(tool, element)| Some((tool, prompts.known(*element)?)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::prompt_cache::PrefixVisitor;
    use crate::recording::RequestSet;

    /// Three turns of one conversation, each with other tools and a call more.
    fn write_turns(folder: &std::path::Path) {
        let tool = |name: &str, says: &str| json!({ "name": name, "description": says });
        let call = |name: &str, id: u32| json!({ "type": "tool_use", "id": format!("t{id}"), "name": name, "input": {} });
        let tools = [
            json!([tool("Bash", "Runs a command."), tool("Gone", "Was there once.")]),
            json!([tool("Bash", "Runs a command in a shell.")]),
            json!([tool("Bash", "Runs a command in a shell."), tool("Read", "Reads a file.")]),
        ];
        let said = [call("Bash", 1), json!({ "type": "text", "text": "Bash" }), call("Read", 2)];
        for (at, tools) in tools.into_iter().enumerate() {
            let mut messages = vec![json!({ "role": "user", "content": "Look." })];
            let answers = said.iter().take(at + 1);
            messages.extend(answers.map(|block| json!({ "role": "assistant", "content": [block] })));
            let body = json!({ "model": "m", "tools": tools, "messages": messages });
            let timestamp = format!("2025-11-16T03:20:0{at}.000Z");
            let trace = json!({ "timestamp": timestamp, "mode": "lmstudio", "request": { "body": body } });
            std::fs::write(folder.join(format!("{at}.json")), trace.to_string()).unwrap();
        }
    }

    #[test]
    fn prompts_tell_the_same_as_the_files_of_all_requests_read_again() {
        let folder = tempfile::tempdir().unwrap();
        write_turns(folder.path());
        let (store, mut prompts) = (Store::default(), Prompts::default());
        let add = |file: &_, seen| prompts.add(file, seen);
        let set = RequestSet::read_with(&store, [folder.path()], PrefixVisitor::default, add);
        let requests: Vec<&Request> = set.requests.iter().collect();
        let tools = |prompts: &Prompts| {
            let (mut tools, errors) = read_offered_tools(&store, prompts, &[ToolGroup::of(&requests)]);
            let OfferedTools { newest, called } = tools.pop().unwrap();
            (newest, called, errors.len())
        };
        let read_again = tools(&Prompts::default());
        assert_eq!(tools(&prompts), read_again);
        let (newest, called, unreadable) = &read_again;
        let names: Vec<_> = newest.keys().map(|name| name.as_deref().unwrap()).collect();
        assert_eq!((names, unreadable), (vec!["Bash", "Gone", "Read"], &0));
        assert_eq!(called.iter().map(|name| &**name).collect::<Vec<_>>(), ["Bash", "Read"]);
        let bytes = json!({ "name": "Bash", "description": "Runs a command in a shell." }).to_string().len();
        assert_eq!(newest[&Some("Bash".into())].0, bytes as u64);
    }
}
