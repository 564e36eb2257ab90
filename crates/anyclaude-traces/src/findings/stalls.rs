//! Answers stood still.
//!
//! Condition: stall parts. Cost: their sum. There is no advice that is known to help: it
//! says when, and whether anything else was in the backend then.

use std::cmp::Reverse;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::scene::{Entry, Scene, finding, sum_whole};
use super::words::{Count, ModelName, Ms, TimeOfDay, WholeNumber};
use super::{CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck};
use crate::model::time::Timestamp;

/// How many stalls a sentence lists.
const MOST_STALLS: usize = 3;

pub(super) struct Stalls;

impl Rule for Stalls {
    fn kind(&self) -> FindingKind {
        FindingKind::Stalls
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        let known = scene.by_model(|entry| stall_ms(entry).is_some());
        if known.is_empty() {
            return RuleCheck::NotEnoughData;
        }
        let mut found: Vec<Finding> = Vec::new();
        for (model, entries) in known {
            let stalled: Vec<&Entry<'_>> =
                entries.iter().copied().filter(|entry| stall_ms(entry).is_some_and(|ms| ms > 0)).collect();
            if stalled.is_empty() {
                continue;
            }
            let cost = sum_whole(stalled.iter().map(|entry| stall_ms(entry)));
            let stall = |entry: &&Entry<'_>| Some(Stall { ms: stall_ms(entry)?, start: entry.start() });
            let mut stalls: Vec<Stall> = stalled.iter().filter_map(stall).collect();
            stalls.sort_by_key(|stall| (Reverse(stall.ms), stall.start));
            let is_shared =
                |entry: &&&Entry<'_>| entry.request.concurrency().is_some_and(|one| one.overlapped);
            let evidence = Evidence::Stalls(StalledAnswers {
                model,
                stalls,
                of: entries.len() as u64,
                overlapped: stalled.iter().filter(is_shared).count() as u64,
            });
            found.push(finding(FindingKind::Stalls, stalled, evidence).costing(cost, CostBasis::Measured));
        }
        RuleCheck::of(found)
    }
}

fn stall_ms(entry: &Entry<'_>) -> Option<u64> {
    entry.timing()?.stall_ms.get()
}

/// How long answers stood still.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StalledAnswers {
    /// The model.
    pub model: Option<Arc<str>>,
    /// Each answer that did, the longest first.
    pub stalls: Vec<Stall>,
    /// How many requests there were.
    pub of: u64,
    /// How many of them shared the backend with another request.
    pub overlapped: u64,
}

/// One answer that stood still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stall {
    /// For how long, in all.
    pub ms: u64,
    /// When its request began.
    pub start: Option<Timestamp>,
}

impl Display for StalledAnswers {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let n = self.stalls.len() as u64;
        let model = ModelName(&self.model);
        match n {
            1 => write!(f, "An answer by {model} stood still in the middle for ")?,
            n => write!(
                f,
                "{} of {} by {model} stood still in the middle, {} in all: ",
                WholeNumber(n),
                Count(self.of, "answer"),
                Ms(self.stalls.iter().map(|stall| stall.ms).sum())
            )?,
        }
        for (at, stall) in self.stalls.iter().take(MOST_STALLS).enumerate() {
            write!(f, "{}{stall}", if at == 0 { "" } else { ", " })?;
        }
        if self.stalls.len() > MOST_STALLS {
            write!(f, " and {} more", self.stalls.len() - MOST_STALLS)?;
        }
        match (self.overlapped, n) {
            (0, 1) => f.write_str("; no other recorded request ran beside it."),
            (0, _) => f.write_str("; no other recorded request ran beside them."),
            (_, 1) => f.write_str("; it shared the backend with another request."),
            (shared, _) => write!(f, "; {shared} of them shared the backend with another request."),
        }
    }
}

impl Display for Stall {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Ms(self.ms))?;
        self.start.map_or(Ok(()), |start| write!(f, " (request of {})", TimeOfDay(start)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check};
    use super::*;

    #[test]
    fn silences_are_summed_and_named() {
        let made = [Made::new().stall(0), Made::new().stall(64_000), Made::new().stall(90_000).overlapped()];
        let RuleCheck::Found(found) = check(&Stalls, &made) else { panic!() };
        assert_eq!((found[0].requests.len(), found[0].cost_ms), (2, Some(154_000)));
        let said = found[0].evidence.to_string();
        assert!(
            said.contains("2 of 3 answers") && said.contains("1 m 30 s") && said.contains("1 of them shared"),
            "{said}"
        );
    }

    #[test]
    fn answers_without_stalls_are_no_finding_and_unknown_ones_not_enough_data() {
        assert_eq!(check(&Stalls, &[Made::new().stall(0)]), RuleCheck::Ok);
        assert_eq!(check(&Stalls, &[Made::new()]), RuleCheck::NotEnoughData);
    }
}
