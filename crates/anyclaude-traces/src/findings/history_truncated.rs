//! The proxy cut the history to stay under a limit that it believes in.
//!
//! Condition: lines of its log that say so. Cost: the time to read again what the backend's cache
//! lost because the history begins elsewhere. Where the backend reuses nothing, nothing was lost.

use std::fmt::{self, Display, Formatter};

use super::scene::{Entry, Scene, finding};
use super::words::{Count, TokenCount, WholeNumber, by_number};
use super::{Advice, CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck};
use crate::model::{CacheUse, Truncation};

pub(super) struct HistoryTruncated;

impl Rule for HistoryTruncated {
    fn kind(&self) -> FindingKind {
        FindingKind::HistoryTruncated
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        let found: Vec<Finding> = scene
            .by_model(|entry| truncation(entry).is_some())
            .into_values()
            .filter_map(|entries| build_finding(scene, &entries))
            .collect();
        RuleCheck::of(found)
    }
}

fn build_finding(scene: &Scene<'_>, entries: &[&Entry<'_>]) -> Option<Finding> {
    let last = entries.last()?;
    let cuts = || entries.iter().filter_map(|entry| truncation(entry));
    let limit_tokens = cuts().filter_map(|cut| cut.limit_tokens).max();
    let largest_tokens = cuts().filter_map(|cut| cut.prompt_tokens).max();
    let reuses = scene.cache(&last.model) != CacheUse::ReadsAll;
    let lost = |entry: &Entry<'_>| entry.lost_tokens().filter(|_| reuses);
    let evidence = Evidence::HistoryTruncated(TruncatedHistories {
        requests: entries.len() as u64,
        removed_messages: truncation(last).and_then(|cut| cut.removed_messages),
        limit_tokens,
        largest_tokens,
        tokens: entries.iter().filter_map(|entry| lost(entry)).sum(),
    });
    let cost = scene.sum_reading_ms(entries.iter().filter_map(|entry| Some((*entry, lost(entry)?))));
    let mut found = finding(FindingKind::HistoryTruncated, entries.iter().copied(), evidence)
        .costing(cost, CostBasis::Fitted);
    let context_tokens = last.request.process().and_then(|process| process.context_length_tokens);
    found.advice = Some(Advice::LargerLimit { limit_tokens, context_tokens, needed_tokens: largest_tokens });
    Some(found)
}

/// What the proxy says that it cut of a request's history.
pub(super) fn truncation(entry: &Entry<'_>) -> Option<Truncation> {
    let facts = entry.request.log_facts()?;
    let by_edit =
        || Some(Truncation { removed_messages: Some(facts.messages_removed()?), ..Truncation::default() });
    facts.truncation.as_deref().copied().or_else(by_edit).filter(|cut| cut.removed_messages != Some(0))
}

/// How many histories the proxy cut, and by how much.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TruncatedHistories {
    /// How many requests.
    pub requests: u64,
    /// How many messages it dropped of the last of them.
    pub removed_messages: Option<u64>,
    /// The limit that it believes in.
    pub limit_tokens: Option<u64>,
    /// The largest prompt before that, by its own count.
    pub largest_tokens: Option<u64>,
    /// What had to be read again because the histories began elsewhere.
    pub tokens: u64,
}

impl Display for TruncatedHistories {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let requests = self.requests;
        write!(f, "The proxy dropped the oldest messages of {}", Count(requests, "request"))?;
        if let Some(limit) = self.limit_tokens {
            write!(f, " to stay under a limit of {} tokens", WholeNumber(limit))?;
        }
        if let Some(largest) = self.largest_tokens {
            write!(f, " (the largest prompt had {} by its count)", WholeNumber(largest))?;
        }
        if let Some(removed) = self.removed_messages {
            write!(f, ", {removed}{}", by_number(requests, "", " of the last one"))?;
        }
        if self.tokens > 0 {
            write!(
                f,
                "; so {} begins elsewhere, and {} that the backend had read before had to be read again",
                by_number(requests, "its history", "every history"),
                TokenCount(self.tokens)
            )?;
        }
        f.write_str(".")
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check_with, find_with, speeds};
    use super::*;
    use crate::analysis::prefix::Cause;

    fn cut(removed: u64) -> [Made; 2] {
        let cut = Made::new().prompt(10_000).read(9_000, 18_000).broke(Cause::HistoryEdited, 4_000);
        [Made::new(), cut.truncated(removed, 26_214)]
    }

    #[test]
    fn dropped_messages_show_it_and_a_line_that_drops_none_does_not() {
        let check = |removed| {
            check_with(&HistoryTruncated, &cut(removed), |input| input.speeds = speeds(CacheUse::Reuses))
        };
        let RuleCheck::Found(found) = check(4) else { panic!() };
        assert_eq!((found[0].requests.len(), found[0].cost_ms), (1, Some(8_000)));
        assert!(found[0].evidence.to_string().contains("26,214"));
        assert_eq!(check(0), RuleCheck::Ok);
    }

    #[test]
    fn it_alone_accounts_for_the_break() {
        let kinds = |cache| -> Vec<FindingKind> {
            let found = find_with(&cut(4), |input| input.speeds = speeds(cache));
            found.iter().map(|one| one.kind).collect()
        };
        assert_eq!(kinds(CacheUse::Reuses), [FindingKind::HistoryTruncated]);
    }

    #[test]
    fn without_a_cache_it_cost_nothing() {
        let found = find_with(&cut(4), |input| input.speeds = speeds(CacheUse::ReadsAll));
        assert_eq!(found[0].cost_ms, None);
    }
}
