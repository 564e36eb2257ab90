//! Requests that only ask for a token count are answered by a full generation.
//!
//! Condition: such requests that took time in a local backend. Cost: their time. Refuted
//! where the backend's answer is recorded and holds no generation.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::scene::{Entry, Model, Scene, finding, median, sum_whole};
use super::words::{Count, ModelName, Ms, by_number};
use super::{CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck};
use crate::model::request::Kind;

/// Counting alone takes less.
const LEAST_MS: u64 = 500;

pub(super) struct Counting;

impl Rule for Counting {
    fn kind(&self) -> FindingKind {
        FindingKind::Counting
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        let is_count = |entry: &Entry<'_>| {
            entry.request.kind == Kind::CountTokens && entry.request.mode.as_deref() != Some("claude")
        };
        let counts = scene.by_model(|entry| is_count(entry) && entry.claim.is_none());
        if counts.values().flatten().all(|entry| total_ms(entry).is_none()) {
            return if counts.is_empty() { RuleCheck::Ok } else { RuleCheck::NotEnoughData };
        }
        let of = |(model, entries): (Model, Vec<&Entry<'_>>)| {
            let took: Vec<&Entry<'_>> = entries
                .into_iter()
                .filter(|entry| total_ms(entry).is_some_and(|ms| ms >= LEAST_MS))
                .collect();
            let evidence = Evidence::Counting(CountingRequests {
                model,
                requests: took.len() as u64,
                median_ms: median(took.iter().filter_map(|entry| total_ms(entry)))?,
            });
            let cost = sum_whole(took.iter().map(|entry| total_ms(entry)));
            Some(finding(FindingKind::Counting, took, evidence).costing(cost, CostBasis::Measured))
        };
        let found: Vec<Finding> = counts.into_iter().filter_map(of).collect();
        RuleCheck::of(found)
    }

    fn is_refuted(&self, finding: &Finding, scene: &Scene<'_>) -> bool {
        let only_counted = |entry: &Entry<'_>| {
            entry.request.response.as_ref().is_some_and(|response| response.output_tokens.is_none())
        };
        scene.of(finding).all(only_counted)
    }
}

fn total_ms(entry: &Entry<'_>) -> Option<u64> {
    entry.timing()?.total_ms.get()
}

/// What requests for a token count took.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CountingRequests {
    /// The model.
    pub model: Option<Arc<str>>,
    /// How many.
    pub requests: u64,
    /// The median time of one.
    pub median_ms: u64,
}

impl Display for CountingRequests {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} that only asked how many tokens a prompt has made {} read the prompt and write an answer, which \
             took {}{}.",
            Count(self.requests, "request"),
            ModelName(&self.model),
            Ms(self.median_ms),
            by_number(self.requests, "", " each (median)"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check};
    use super::*;

    #[test]
    fn counts_that_took_a_generation_show_it() {
        let count = |ms| Made::new().counting().times(0, ms);
        let RuleCheck::Found(found) = check(&Counting, &[count(8_000), count(500), count(499)]) else {
            panic!()
        };
        assert_eq!((found[0].requests.len(), found[0].cost_ms), (2, Some(8_500)));
        assert_eq!(check(&Counting, &[count(499)]), RuleCheck::Ok);
        assert_eq!(check(&Counting, &[Made::new().counting()]), RuleCheck::NotEnoughData);
        assert_eq!(check(&Counting, &[count(8_000).claude()]), RuleCheck::Ok);
    }
}
