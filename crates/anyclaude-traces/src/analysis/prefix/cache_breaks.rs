//! What broke prefixes, in groups of one cause, and what each group cost.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::cause::Cause;
use super::report::Rates;
use super::row::{Broken, SimulatedRow, rounded};
use super::volatile::Volatile;
use super::{Break, ElementName, PrefixRequest, ToolsDifference};
use crate::model::request::{Kind, Request, TracePath};

/// One thing that broke prefixes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Breaker {
    /// What happened.
    pub cause: Cause,
    /// What sort of line changed.
    pub volatile: Option<Volatile>,
    /// How many requests it broke, …
    pub requests: u64,
    /// … and of one session at most.
    pub most_per_session: u64,
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
}

/// What requests cost that took the slot of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// The breaks in groups of one cause and one sort of line, the dearest first.
pub(super) fn breakers(requests: &[PrefixRequest]) -> Vec<Breaker> {
    let mut groups: BTreeMap<(Cause, Option<Volatile>), Vec<Broke<'_>>> = BTreeMap::new();
    for request in requests {
        if let Some(break_) = request.break_.as_deref().filter(|break_| !break_.cause.is_new_prompt()) {
            groups.entry((break_.cause, break_.volatile)).or_default().push((request, break_));
        }
    }
    let mut breakers: Vec<Breaker> = groups.into_values().filter_map(|group| Breaker::of(&group)).collect();
    breakers.sort_by(|a, b| {
        b.lost_bytes.cmp(&a.lost_bytes).then_with(|| (a.cause, a.volatile).cmp(&(b.cause, b.volatile)))
    });
    breakers
}

/// How many of these requests, each of which is given by its session, one session has at most.
pub(crate) fn most_per_session<'s>(of_requests: impl Iterator<Item = &'s Option<Arc<str>>>) -> u64 {
    let mut sessions: BTreeMap<_, u64> = BTreeMap::new();
    for session in of_requests {
        *sessions.entry(session).or_default() += 1;
    }
    sessions.into_values().max().unwrap_or(0)
}

impl Breaker {
    fn of(group: &[Broke<'_>]) -> Option<Self> {
        // `max_by_key` keeps the last of equals: reversed, that is the first.
        let (request, worst) = group.iter().rev().max_by_key(|(_, break_)| break_.lost_bytes)?;
        Some(Self {
            cause: worst.cause,
            volatile: worst.volatile,
            requests: group.len() as u64,
            most_per_session: most_per_session(group.iter().map(|(request, _)| &request.session)),
            lost_bytes: group.iter().map(|(_, break_)| break_.lost_bytes).sum(),
            lost_tokens: Sum::of(group.iter().map(|(_, break_)| break_.lost_tokens)),
            lost_ms: Sum::of(group.iter().map(|(_, break_)| break_.lost_ms)),
            worst: request.path.clone(),
            element: worst.element,
            tools: worst.tools.clone(),
            was: worst.was.clone(),
            now: worst.now.clone(),
        })
    }
}

/// A reported request and its row.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountedRow<'a> {
    pub(super) request: &'a Request,
    pub(super) row: &'a SimulatedRow,
}

/// What was lost to a lack of slots, by the kind of request that took them, the
/// dearest first.
pub(super) fn evictions(
    counted: &[CountedRow<'_>],
    rates: &Rates<'_>,
    kind: impl Fn(usize) -> Option<Kind>,
    broken: impl Fn(&SimulatedRow) -> Option<&Broken>,
    cost_ms: impl Fn(&Request, Option<f64>) -> Option<f64>,
) -> Vec<Evictions> {
    let mut by_kind: BTreeMap<Option<Kind>, Vec<(CountedRow<'_>, u64)>> = BTreeMap::new();
    for one in counted {
        if let Some(broken) = broken(one.row).filter(|broken| broken.change.cause == Cause::Evicted) {
            let kind = broken.evicted_by.and_then(&kind);
            by_kind.entry(kind).or_default().push((*one, broken.lost_bytes));
        }
    }
    let evictions = |(kind, lost): (Option<Kind>, Vec<(CountedRow<'_>, u64)>)| {
        let tokens = |(one, bytes): &(CountedRow<'_>, u64)| rates.tokens(one.request, one.row, *bytes);
        Evictions {
            kind,
            requests: lost.len() as u64,
            lost_bytes: lost.iter().map(|(_, bytes)| bytes).sum(),
            lost_tokens: Sum::of(lost.iter().map(|lost| tokens(lost).and_then(rounded))),
            lost_ms: Sum::of(lost.iter().map(|lost| cost_ms(lost.0.request, tokens(lost)).and_then(rounded))),
        }
    };
    let mut evictions: Vec<Evictions> = by_kind.into_iter().map(evictions).collect();
    evictions.sort_by(|a, b| b.lost_bytes.cmp(&a.lost_bytes).then_with(|| a.kind.cmp(&b.kind)));
    evictions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_unknown_as_soon_as_one_part_is() {
        assert_eq!(Sum::of([Some(2), Some(3)].into_iter()), Some(5));
        assert_eq!(Sum::of([Some(2), None, Some(3)].into_iter()), None);
        assert_eq!(Sum::of(std::iter::empty()), Some(0));
    }
}
