//! A short piece near the beginning is another in each conversation.
//!
//! Condition: first requests of a conversation that lost [`LEAST_TOKENS`] or more behind
//! such a piece. Cost: the time to read that again. Refuted where the backend reuses
//! nothing anyway.

use std::fmt::{self, Display, Formatter};

use super::scene::{Entry, Model, Scene, finding};
use super::words::{Count, TokenCount, VolatilePiece};
use super::{Advice, CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck};
use crate::analysis::prefix::{ElementName, Volatile};
use crate::model::CacheUse;

const LEAST_TOKENS: u64 = 500;

pub(super) struct VolatileOpening;

impl Rule for VolatileOpening {
    fn kind(&self) -> FindingKind {
        FindingKind::VolatileOpening
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        if scene.entries.iter().all(|entry| entry.cached.is_none()) {
            return RuleCheck::NotEnoughData;
        }
        let is_one = |entry: &Entry<'_>| {
            entry.loss == Some(FindingKind::VolatileOpening) && entry.lost_tokens() >= Some(LEAST_TOKENS)
        };
        let of = |(_, entries): (Model, Vec<&Entry<'_>>)| {
            let worst = entries.iter().rev().max_by_key(|entry| entry.lost_tokens())?.broken()?;
            let (tokens, cost) = scene.loss(&entries);
            let (volatile, element) = (worst.volatile, worst.element);
            let evidence = Evidence::VolatileOpening(VolatileOpenings {
                volatile,
                element,
                requests: entries.len() as u64,
                tokens,
            });
            let mut found =
                finding(FindingKind::VolatileOpening, entries, evidence).costing(cost, CostBasis::Fitted);
            found.advice = Some(Advice::MovePiece { volatile, element });
            Some(found)
        };
        let found: Vec<Finding> = scene.by_model(is_one).into_iter().filter_map(of).collect();
        RuleCheck::of(found)
    }

    fn is_refuted(&self, finding: &Finding, scene: &Scene<'_>) -> bool {
        scene.cache(&finding.model) == CacheUse::ReadsAll
    }
}

/// The volatile piece that new conversations begin with, and what it cost.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct VolatileOpenings {
    /// What sort of piece it is, where it is known.
    pub volatile: Option<Volatile>,
    /// Where it stands.
    pub element: ElementName,
    /// How many conversations began so.
    pub requests: u64,
    /// What had to be read again.
    pub tokens: u64,
}

impl Display for VolatileOpenings {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} began with the same prompt as the one before but for {} in {}, so that the {} behind it had to \
             be read again.",
            Count(self.requests, "new conversation"),
            VolatilePiece(self.volatile),
            self.element,
            TokenCount(self.tokens),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check_with, find_with, speeds};
    use super::*;
    use crate::analysis::prefix::Cause;

    fn opening(lost: u64) -> [Made; 1] {
        [Made::new().prompt(10_000).read(9_000, 18_000).broke(Cause::VolatileOpening, lost)]
    }

    #[test]
    fn five_hundred_tokens_behind_the_piece_show_it_and_less_do_not() {
        let check = |lost| {
            check_with(&VolatileOpening, &opening(lost), |input| input.speeds = speeds(CacheUse::Reuses))
        };
        let RuleCheck::Found(found) = check(500) else { panic!() };
        assert_eq!(found[0].cost_ms, Some(1_000));
        assert_eq!(check(499), RuleCheck::Ok);
    }

    #[test]
    fn a_backend_that_reuses_nothing_refutes_it() {
        assert!(find_with(&opening(500), |input| input.speeds = speeds(CacheUse::ReadsAll)).is_empty());
    }
}
