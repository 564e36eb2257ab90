//! Two requests, or two groups of them → what differs.

mod read;

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use similar::TextDiff;

pub use read::read_side;

use crate::analysis::content::{Content, ParameterValue, SystemBlock, Tool};
use crate::analysis::logging_cost::{self, RunChange};
use crate::model::Identity;
use crate::model::SideName;
use crate::model::measure::{Measure, Subject, Value};
use crate::model::request::Request;
use crate::model::stats::Stats;

/// One side of a comparison: a request or a group, and what must be known of
/// their content.
#[derive(Debug, Clone)]
pub struct DiffSide<'a> {
    /// How the user named it.
    pub selector: String,
    /// Its requests, in order of time.
    pub requests: Vec<&'a Request>,
    /// The content of the newest one; `None` where it was not recorded.
    pub newest: Option<Content>,
    /// Every tool of any of them, by its newest definition; `None` where no body was
    /// recorded.
    pub tools: Option<Vec<Tool>>,
}

/// What [`diff`] finds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Diff {
    /// The left side.
    pub left: SideName,
    /// The right side.
    pub right: SideName,
    /// Every measure on both sides; of a group, the median.
    pub measures: Vec<MeasureChange>,
    /// What happened to the tools; `None` where a side's prompts were not recorded.
    pub tools: Option<ToolChanges>,
    /// What happened to the system prompt; `None` where a side's was not recorded.
    pub system: Option<SystemChange>,
    /// How far the conversations agree; `None` for groups, and where one was not recorded.
    pub messages: Option<MessageChange>,
    /// The other members of the body that differ.
    pub parameters: Vec<ParameterChange>,
    /// What the processes took and wrote, where each side is of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<RunChange>,
    /// What differs in the text, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextChange>,
}

/// A measure on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MeasureChange {
    /// The measure.
    pub name: Measure,
    /// Its value, or its median, on the left.
    pub left: Option<Value>,
    /// Its value, or its median, on the right.
    pub right: Option<Value>,
    /// right − left.
    pub delta: Option<Value>,
    /// right ÷ left; `None` where left is 0.
    pub ratio: Option<f64>,
}

/// What happened to the tools, each by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ToolChanges {
    /// On the right only.
    pub added: Vec<OneSidedTool>,
    /// On the left only.
    pub removed: Vec<OneSidedTool>,
    /// On both, defined differently.
    pub changed: Vec<ChangedTool>,
    /// How many are the same on both.
    pub unchanged_count: u64,
}

/// A tool that only one side has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OneSidedTool {
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Its size as compact JSON, in bytes.
    pub bytes: u64,
}

/// A tool that both sides have, defined differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ChangedTool {
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Its size as compact JSON on the left, in bytes.
    pub left: u64,
    /// Its size as compact JSON on the right, in bytes.
    pub right: u64,
    /// right − left.
    pub delta: i64,
}

/// What happened to the system prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SystemChange {
    /// Whether both say the same, marks for caching aside.
    pub equal: bool,
    /// Characters on the left.
    pub left_chars: u64,
    /// Characters on the right.
    pub right_chars: u64,
}

/// How far two conversations agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MessageChange {
    /// Equal messages at the beginning.
    pub common: u64,
    /// Messages after these on the left.
    pub left_only: u64,
    /// Messages after these on the right.
    pub right_only: u64,
}

/// A member of the body that differs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ParameterChange {
    /// Its name.
    pub name: String,
    /// Its value on the left; `None` where it is missing.
    pub left: Option<ParameterValue>,
    /// Its value on the right; `None` where it is missing.
    pub right: Option<ParameterValue>,
}

/// What differs in the text, as unified diffs; empty where nothing does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct TextChange {
    /// The system text.
    pub system: String,
    /// The descriptions of tools whose description differs, in one.
    pub tools: String,
}

impl Diff {
    /// Whether both sides would have sent the same prompt, as far as prompts were
    /// recorded. Times and the size of the files do not count.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let tools = self.tools.as_ref();
        self.measures
            .iter()
            .filter(|change| change.name.subject() == Subject::Prompt)
            .all(MeasureChange::is_zero)
            && tools.is_none_or(ToolChanges::is_empty)
            && self.system.is_none_or(|system| system.equal)
            && self.messages.is_none_or(|messages| messages.left_only == 0 && messages.right_only == 0)
            && self.parameters.is_empty()
    }
}

impl ToolChanges {
    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

impl MeasureChange {
    fn of(name: Measure, left: &[&Request], right: &[&Request]) -> Self {
        let median = |requests: &[&Request]| {
            Stats::of(requests.iter().filter_map(|request| name.of(request))).map(|stats| stats.p50)
        };
        let (left, right) = (median(left), median(right));
        let both = left.zip(right);
        Self {
            name,
            left,
            right,
            delta: both.map(|(left, right)| right.minus(left)),
            ratio: both.and_then(|(left, right)| right.over(left)),
        }
    }

    fn is_zero(&self) -> bool {
        self.left == self.right
    }
}

/// Compares two sides. Texts are compared where both sides kept them.
///
/// ```
/// use anyclaude_traces::Store;
/// use anyclaude_traces::analysis::diff::{diff, read_side};
/// use anyclaude_traces::recording::RequestSet;
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// # let trace = |n: u32| format!(
/// #     r#"{{"timestamp": "2025-11-16T03:20:0{n}.000Z", "request": {{"body": {{"system": "Be brief.",
/// #         "tools": [{{"name": "Bash"}}], "messages": [{{"role": "user", "content": "Hello {n}"}}]}}}}}}"#
/// # );
/// # std::fs::write(folder.join("a.json"), trace(1))?;
/// # std::fs::write(folder.join("b.json"), trace(2))?;
/// let (store, set) = (Store::default(), RequestSet::read(&Store::default(), [folder]));
/// let side = |at: usize| read_side(&store, format!("request {at}"), vec![&set.requests[at]], false);
/// let found = diff(&side(0)?, &side(1)?);
/// assert!(found.measures.iter().any(|measure| measure.name.name() == "body_bytes"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn diff(left: &DiffSide<'_>, right: &DiffSide<'_>) -> Diff {
    let single = left.requests.len() == 1 && right.requests.len() == 1;
    let newest = left.newest.as_ref().zip(right.newest.as_ref());
    let tools = left.tools.as_deref().zip(right.tools.as_deref());
    Diff {
        left: SideName::of(&left.selector, &left.requests),
        right: SideName::of(&right.selector, &right.requests),
        measures: Measure::ALL
            .iter()
            .map(|&measure| MeasureChange::of(measure, &left.requests, &right.requests))
            .collect(),
        tools: tools.map(|(left, right)| diff_tools(left, right)),
        system: newest.map(|(left, right)| diff_system(&left.system, &right.system)),
        messages: newest.filter(|_| single).map(|(left, right)| diff_messages(left, right)),
        parameters: newest.map_or_else(Vec::new, |(left, right)| diff_parameters(left, right)),
        runs: logging_cost::compare(&left.requests, &right.requests)
            .filter(|runs| runs.left.id != runs.right.id),
        text: diff_text(left, right),
    }
}

/// Tools by name; where one name comes several times, by its turn too.
fn by_name(tools: &[Tool]) -> Vec<((Option<&str>, usize), &Tool)> {
    let mut turns: HashMap<Option<&str>, usize> = HashMap::new();
    let mut key = |tool| {
        let tool: &Tool = tool;
        let turn = turns.entry(tool.name.as_deref()).or_default();
        *turn += 1;
        ((tool.name.as_deref(), *turn), tool)
    };
    let mut keyed: Vec<_> = tools.iter().map(&mut key).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed
}

fn diff_tools(left: &[Tool], right: &[Tool]) -> ToolChanges {
    let (left, right) = (by_name(left), by_name(right));
    let (lefts, rights): (HashMap<_, _>, HashMap<_, _>) =
        (left.iter().copied().collect(), right.iter().copied().collect());
    let only = |tools: &[((Option<&str>, usize), &Tool)], others: &HashMap<_, _>| {
        let mut only: Vec<OneSidedTool> = tools
            .iter()
            .filter(|(key, _)| !others.contains_key(key))
            .map(|(_, tool)| OneSidedTool { name: tool.name.clone(), bytes: tool.bytes })
            .collect();
        only.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        only
    };
    let pairs: Vec<(&Tool, &Tool)> =
        left.iter().filter_map(|(key, tool)| Some((*tool, *rights.get(key)?))).collect();
    let (same, different): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|(a, b)| a.identity == b.identity);
    let mut changed: Vec<ChangedTool> = different.into_iter().map(|(a, b)| ChangedTool::of(a, b)).collect();
    changed.sort_by(|a, b| b.delta.abs().cmp(&a.delta.abs()).then_with(|| a.name.cmp(&b.name)));
    ToolChanges {
        added: only(&right, &lefts),
        removed: only(&left, &rights),
        changed,
        unchanged_count: same.len() as u64,
    }
}

impl ChangedTool {
    fn of(left: &Tool, right: &Tool) -> Self {
        let delta = i64::try_from(i128::from(right.bytes) - i128::from(left.bytes)).unwrap_or(0);
        Self { name: left.name.clone(), left: left.bytes, right: right.bytes, delta }
    }
}

fn diff_system(left: &[SystemBlock], right: &[SystemBlock]) -> SystemChange {
    let chars = |blocks: &[SystemBlock]| blocks.iter().map(|block| block.chars).sum();
    let said =
        |blocks: &[SystemBlock]| -> Vec<Identity> { blocks.iter().map(|block| block.identity).collect() };
    SystemChange { equal: said(left) == said(right), left_chars: chars(left), right_chars: chars(right) }
}

fn diff_messages(left: &Content, right: &Content) -> MessageChange {
    let pairs = left.messages.iter().zip(&right.messages);
    let common = pairs.take_while(|(a, b)| a.identity == b.identity).count();
    MessageChange {
        common: common as u64,
        left_only: (left.messages.len() - common) as u64,
        right_only: (right.messages.len() - common) as u64,
    }
}

fn diff_parameters(left: &Content, right: &Content) -> Vec<ParameterChange> {
    let mut names: Vec<&String> =
        left.parameters.iter().chain(&right.parameters).map(|parameter| &parameter.name).collect();
    names.sort();
    names.dedup();
    let find = |content: &Content, name: &str| {
        content.parameters.iter().find(|parameter| parameter.name == name).cloned()
    };
    let change = |name: &String| {
        let (left, right) = (find(left, name), find(right, name));
        let same = left.as_ref().map(|p| p.identity) == right.as_ref().map(|p| p.identity);
        (!same).then(|| ParameterChange {
            name: name.clone(),
            left: left.map(|parameter| parameter.value),
            right: right.map(|parameter| parameter.value),
        })
    };
    names.into_iter().filter_map(change).collect()
}

fn diff_text(left: &DiffSide<'_>, right: &DiffSide<'_>) -> Option<TextChange> {
    let lines = |side: &DiffSide<'_>| side.newest.as_ref()?.system_lines();
    let system = unified("system", &lines(left)?, &lines(right)?);
    let (lefts, rights) = (by_name(left.tools.as_deref()?), by_name(right.tools.as_deref()?));
    let mut keys: Vec<_> = lefts.iter().chain(&rights).map(|(key, _)| *key).collect();
    keys.sort_unstable();
    keys.dedup();
    let (lefts, rights): (HashMap<_, _>, HashMap<_, _>) =
        (lefts.into_iter().collect(), rights.into_iter().collect());
    let text = |tools: &HashMap<_, &Tool>, key| {
        tools.get(key).and_then(|tool| tool.text.clone()).unwrap_or_default()
    };
    let tools = keys
        .iter()
        .map(|key| {
            unified(
                &format!("tool {}", key.0.unwrap_or("(unnamed)").escape_debug()),
                &text(&lefts, key),
                &text(&rights, key),
            )
        })
        .collect();
    Some(TextChange { system, tools })
}

/// A unified diff under one name; empty where the texts are equal.
fn unified(name: &str, left: &str, right: &str) -> String {
    if left == right {
        return String::new();
    }
    TextDiff::from_lines(left, right).unified_diff().context_radius(3).header(name, name).to_string()
}
