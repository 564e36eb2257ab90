//! Most of a model's output is thinking.
//!
//! Condition: at least half of the output, in [`LEAST_REQUESTS`] answers or more that hold any
//! thinking. How much that is tells the backend's count of reasoning, else what was generated
//! before anything was streamed, else the streamed chunks of reasoning. Cost: the same share of
//! the time in which the answers were written. Refuted where that is 0.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::scene::{Entry, Model, Scene, finding, float, sum, whole};
use super::words::{Count, ModelName, Percent, TokenCount, WholeNumber};
use super::{Advice, CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck};
use crate::model::LogFacts;

const LEAST_SHARE: f64 = 0.5;
const LEAST_REQUESTS: usize = 3;

pub(super) struct Thinking;

impl Rule for Thinking {
    fn kind(&self) -> FindingKind {
        FindingKind::Thinking
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        let answers = scene.by_model(|entry| tokens(entry).is_some());
        let thinks = |entry: &&&Entry<'_>| tokens(entry).is_some_and(|(thinking, _)| thinking > 0);
        let known =
            answers.into_iter().filter(|(_, all)| all.iter().filter(thinks).count() >= LEAST_REQUESTS);
        let known: Vec<_> = known.collect();
        if known.is_empty() {
            return RuleCheck::NotEnoughData;
        }
        let found: Vec<Finding> = known.into_iter().filter_map(build_finding).collect();
        RuleCheck::of(found)
    }

    fn is_refuted(&self, finding: &Finding, _scene: &Scene<'_>) -> bool {
        finding.cost_ms == Some(0)
    }
}

fn build_finding((model, entries): (Model, Vec<&Entry<'_>>)) -> Option<Finding> {
    let (thinking_tokens, output_tokens) = entries
        .iter()
        .filter_map(|entry| tokens(entry))
        .fold((0, 0), |(thinking, output), one| (thinking + one.0, output + one.1));
    if float(thinking_tokens) < float(output_tokens) * LEAST_SHARE {
        return None;
    }
    let ms = |entry: &&Entry<'_>| {
        let (thinking, output) = tokens(entry)?;
        Some(float(entry.timing()?.write_ms.get()?) * float(thinking) / float(output))
    };
    let cost = sum(entries.iter().map(ms)).map(whole);
    let evidence = Evidence::Thinking(ThinkingShare {
        model,
        requests: entries.len() as u64,
        thinking_tokens,
        output_tokens,
    });
    let mut found = finding(FindingKind::Thinking, entries, evidence).costing(cost, CostBasis::Fitted);
    found.advice = Some(Advice::LessThinking);
    Some(found)
}

/// Tokens of thinking, as far as anything tells of them, and all tokens of the answer.
fn tokens(entry: &Entry<'_>) -> Option<(u64, u64)> {
    let output = entry.timing()?.believed_output_tokens().filter(|tokens| *tokens > 0)?;
    let facts = entry.request.log_facts();
    let by_answer = || entry.request.response.as_deref()?.content.reasoning_tokens.get();
    let counted = facts.and_then(|facts| facts.reasoning_tokens.get()).or_else(by_answer);
    let counted = counted.filter(|tokens| *tokens > 0);
    let streamed = || facts.and_then(|facts| streamed(facts, output));
    let thinking =
        counted.max(entry.request.speed_sample().hidden_tokens.get()).or_else(streamed).unwrap_or(0);
    Some((thinking.min(output), output))
}

/// Reasoning that was streamed and not counted: its share of the chunks, which hold about as
/// many tokens each, of the answer.
fn streamed(facts: &LogFacts, output: u64) -> Option<u64> {
    let (reasoning, all) = facts.reasoning_chunks.get().zip(facts.text_chunks.get())?;
    (reasoning > 0).then(|| whole(float(output) * float(reasoning) / float(all.max(reasoning))))
}

/// How much of a model's output is thinking.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ThinkingShare {
    /// The model.
    pub model: Option<Arc<str>>,
    /// Of how many requests.
    pub requests: u64,
    /// Tokens of thinking.
    pub thinking_tokens: u64,
    /// All tokens of their answers.
    pub output_tokens: u64,
}

impl Display for ThinkingShare {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of what {} wrote in {} is thinking: {} of {}.",
            Percent(self.thinking_tokens, self.output_tokens),
            ModelName(&self.model),
            Count(self.requests, "answer"),
            WholeNumber(self.thinking_tokens),
            TokenCount(self.output_tokens),
        )
    }
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
        let RuleCheck::Found(found) = check(&Thinking, &answers(500)) else { panic!() };
        assert_eq!(found[0].cost_ms, Some(30_000));
        assert_eq!(check(&Thinking, &answers(499)), RuleCheck::Ok);
        assert_eq!(check(&Thinking, &answers(900)[..2]), RuleCheck::NotEnoughData);
    }

    #[test]
    fn reasoning_that_was_streamed_counts_by_its_share_of_the_chunks() {
        let answers = |reasoning| vec![Made::new().output(1_000, 20_000).chunks(reasoning, 400); 3];
        let RuleCheck::Found(found) = check(&Thinking, &answers(200)) else { panic!() };
        assert_eq!(found[0].cost_ms, Some(30_000));
        assert_eq!(check(&Thinking, &answers(199)), RuleCheck::Ok);
        assert_eq!(check(&Thinking, &answers(0)), RuleCheck::NotEnoughData);
    }
}
