//! What broke prefixes, in groups: what each cost, and what to do about it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cause::Cause;
use super::report::{Broken, Row, Speeds, rounded};
use super::volatile::Volatile;
use super::{Break, ElementName, PrefixRequest, ToolsDifference};
use crate::model::request::{Kind, Request, TracePath};

/// One thing that broke prefixes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Breaker {
    /// What happened.
    pub cause: Cause,
    /// What sort of line changed.
    pub volatile: Option<Volatile>,
    /// How many requests it broke.
    pub requests: u64,
    /// What was read again because of it.
    pub lost_bytes: u64,
    /// The same in tokens; `None` unless known for every one.
    pub lost_tokens: Option<u64>,
    /// How long that took; `None` unless known for every one.
    pub lost_ms: Option<u64>,
    /// The request that lost most, …
    pub worst: TracePath,
    /// … where, …
    pub element: ElementName,
    /// … and how its tools changed.
    pub tools: Option<ToolsDifference>,
    /// What was there, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What is there now, where asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// What to do.
    pub advice: String,
}

/// What requests cost that took the slot of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Evictions {
    /// Which kind of request took the slots; `None` where the conversation did so
    /// itself.
    pub kind: Option<Kind>,
    /// How many requests found their sequence gone.
    pub requests: u64,
    /// What these had to read again.
    pub lost_bytes: u64,
    /// The same in tokens; `None` unless known for every one.
    pub lost_tokens: Option<u64>,
    /// How long that took; `None` unless known for every one.
    pub lost_ms: Option<u64>,
}

/// A sum that is unknown as soon as one of its parts is.
#[derive(Debug, Clone, Copy)]
struct Sum(Option<u64>);

impl Sum {
    fn of(values: impl Iterator<Item = Option<u64>>) -> Option<u64> {
        values.fold(Self(Some(0)), |sum, value| Self(sum.0.zip(value).map(|(a, b)| a + b))).0
    }
}

/// A request and where it broke.
type Broke<'a> = (&'a PrefixRequest, &'a Break);

/// The breaks in groups of one cause and one sort of line, the costliest first.
pub(super) fn breakers(requests: &[PrefixRequest]) -> Vec<Breaker> {
    let mut groups: BTreeMap<(Cause, Option<Volatile>), Vec<Broke<'_>>> = BTreeMap::new();
    for request in requests {
        if let Some(break_) = request.break_.as_ref().filter(|break_| !break_.cause.is_new_prompt()) {
            groups.entry((break_.cause, break_.volatile)).or_default().push((request, break_));
        }
    }
    let mut breakers: Vec<Breaker> = groups.into_values().filter_map(|group| Breaker::of(&group)).collect();
    breakers.sort_by(|a, b| {
        b.lost_bytes.cmp(&a.lost_bytes).then_with(|| (a.cause, a.volatile).cmp(&(b.cause, b.volatile)))
    });
    breakers
}

impl Breaker {
    fn of(group: &[Broke<'_>]) -> Option<Self> {
        // Of equals, the first.
        let (request, worst) = group.iter().rev().max_by_key(|(_, break_)| break_.lost_bytes)?;
        Some(Self {
            cause: worst.cause,
            volatile: worst.volatile,
            requests: group.len() as u64,
            lost_bytes: group.iter().map(|(_, break_)| break_.lost_bytes).sum(),
            lost_tokens: Sum::of(group.iter().map(|(_, break_)| break_.lost_tokens)),
            lost_ms: Sum::of(group.iter().map(|(_, break_)| break_.lost_ms)),
            worst: request.path.clone(),
            element: worst.element,
            tools: worst.tools.clone(),
            was: worst.was.clone(),
            now: worst.now.clone(),
            advice: advice(worst),
        })
    }
}

/// What to do about a break.
fn advice(break_: &Break) -> String {
    match (break_.cause, break_.volatile) {
        (Cause::BillingHeader, _) => {
            "set \"CLAUDE_CODE_ATTRIBUTION_HEADER\": \"0\" under \"env\" in Claude Code's settings.json, or let the \
             proxy strip the header (--as proxied shows what that gives)"
        }
        (Cause::DateChanged, _) => {
            "keep dates and times out of CLAUDE.md, output styles and hooks, or put them last; the date that Claude \
             Code writes itself changes at midnight only"
        }
        (Cause::ToolsChanged, _) => return tools_advice(break_.tools.as_ref()),
        (Cause::SystemChanged, Some(Volatile::GitStatus)) => {
            "git status is taken once a session: expect this once for each, and go on in a session rather than \
             starting another"
        }
        (Cause::SystemChanged, Some(Volatile::WorkingDirectory)) => {
            "another folder has another system prompt: expect this once for each session"
        }
        (_, Some(Volatile::RandomId)) => {
            "find what writes this id into the prompt (CLAUDE.md, a hook, an MCP server) and have it written once; \
             --text shows the line"
        }
        (Cause::SystemChanged, _) => "--text shows what changed in the system prompt: make that constant, or put it last",
        (Cause::SystemMessageInserted, _) => {
            "messages of the role system between others move or come late: reminders that hooks or the client add; \
             fewer hooks mean fewer of them"
        }
        (Cause::Compacted, _) => "compaction is read once, and the prompts after it are shorter: nothing to do",
        (Cause::Evicted, _) => {
            "give the backend more parallel slots, so that requests on the side do not take the conversation's"
        }
        (Cause::HistoryEdited, _) => {
            "going back to an earlier message makes everything after it new; if that was not you, a hook or the \
             client rewrites old messages (--text shows which)"
        }
        (_, _) => "a new prompt is read once: nothing to do",
    }
    .to_owned()
}

fn tools_advice(tools: Option<&ToolsDifference>) -> String {
    let Some(tools) = tools else { return String::new() };
    if tools.reordered {
        return "the tools are the same in another order: let the proxy sort them by name (--as proxied shows what \
                that gives)"
            .to_owned();
    }
    "have MCP servers connected before the first message, and disable those that come and go or describe their \
     tools anew"
        .to_owned()
}

/// A reported request and its row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Priced<'a> {
    pub(super) request: &'a Request,
    pub(super) row: &'a Row,
}

/// What was lost to a lack of slots, by the kind of request that took them, the
/// costliest first.
pub(super) fn evictions(
    priced: &[Priced<'_>],
    speeds: &Speeds,
    kind: impl Fn(usize) -> Option<Kind>,
    broken: impl Fn(&Row) -> Option<&Broken>,
) -> Vec<Evictions> {
    let mut by_kind: BTreeMap<Option<Kind>, Vec<(Priced<'_>, u64)>> = BTreeMap::new();
    for one in priced {
        if let Some(broken) = broken(one.row).filter(|broken| broken.change.cause == Cause::Evicted) {
            let kind = broken.evicted_by.and_then(&kind);
            by_kind.entry(kind).or_default().push((*one, broken.lost_bytes));
        }
    }
    let evictions = |(kind, lost): (Option<Kind>, Vec<(Priced<'_>, u64)>)| {
        let tokens = |(one, bytes): &(Priced<'_>, u64)| speeds.tokens(one.request, one.row, *bytes);
        Evictions {
            kind,
            requests: lost.len() as u64,
            lost_bytes: lost.iter().map(|(_, bytes)| bytes).sum(),
            lost_tokens: Sum::of(lost.iter().map(|lost| tokens(lost).and_then(rounded))),
            lost_ms: Sum::of(
                lost.iter().map(|lost| speeds.ms(lost.0.request, tokens(lost)).and_then(rounded)),
            ),
        }
    };
    let mut evictions: Vec<Evictions> = by_kind.into_iter().map(evictions).collect();
    evictions.sort_by(|a, b| b.lost_bytes.cmp(&a.lost_bytes).then_with(|| a.kind.cmp(&b.kind)));
    evictions
}
