//! Most of a model's output is thinking.
//!
//! Condition: half of the output of [`LEAST_REQUESTS`] or more answers whose thinking is
//! known. Cost: its share of the time in which they were written. Refuted where their
//! writing took no time worth naming.

use super::scene::{Entry, Model, Scene, finding, float, sum, whole};
use super::{Advice, Check, CostBasis, Evidence, Finding, FindingKind, Rule};

const LEAST_SHARE: f64 = 0.5;
const LEAST_REQUESTS: usize = 3;

pub(super) struct Thinking;

impl Rule for Thinking {
    fn kind(&self) -> FindingKind {
        FindingKind::Thinking
    }

    fn check(&self, scene: &Scene<'_>) -> Check {
        let known = scene.by_model(|entry| tokens(entry).is_some());
        if known.values().all(|entries| entries.len() < LEAST_REQUESTS) {
            return Check::NotEnoughData;
        }
        let found: Vec<Finding> = known.into_iter().filter_map(of).collect();
        if found.is_empty() { Check::Ok } else { Check::Found(found) }
    }

    fn is_refuted(&self, finding: &Finding, _scene: &Scene<'_>) -> bool {
        finding.cost_ms == Some(0)
    }
}

fn of((model, entries): (Model, Vec<&Entry<'_>>)) -> Option<Finding> {
    let (thinking_tokens, output_tokens) = entries
        .iter()
        .filter_map(|entry| tokens(entry))
        .fold((0, 0), |(thinking, output), one| (thinking + one.0, output + one.1));
    if entries.len() < LEAST_REQUESTS || float(thinking_tokens) < float(output_tokens) * LEAST_SHARE {
        return None;
    }
    let ms = |entry: &&Entry<'_>| {
        let (thinking, output) = tokens(entry)?;
        Some(float(entry.timing()?.write_ms?) * float(thinking) / float(output))
    };
    let cost = sum(entries.iter().map(ms)).map(whole);
    let evidence = Evidence::Thinking {
        model,
        requests: u64::try_from(entries.len()).unwrap_or(u64::MAX),
        thinking_tokens,
        output_tokens,
    };
    let mut found = finding(FindingKind::Thinking, entries, evidence).costing(cost, CostBasis::Fitted);
    found.advice = Some(Advice::LessThinking);
    Some(found)
}

/// Tokens of thinking, and all tokens of the answer.
fn tokens(entry: &Entry<'_>) -> Option<(u64, u64)> {
    let output = entry.timing()?.output_tokens.filter(|tokens| *tokens > 0)?;
    Some((entry.thinking_tokens?.min(output), output))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check};
    use super::*;

    fn answers(thinking: u64) -> Vec<Made> {
        vec![Made::new().output(1_000, 20_000).thinking(thinking); 3]
    }

    #[test]
    fn half_of_the_output_shows_it_and_less_does_not() {
        let Check::Found(found) = check(&Thinking, &answers(500)) else { panic!() };
        assert_eq!(found[0].cost_ms, Some(30_000));
        assert_eq!(check(&Thinking, &answers(499)), Check::Ok);
        assert_eq!(check(&Thinking, &answers(900)[..2]), Check::NotEnoughData);
    }
}
