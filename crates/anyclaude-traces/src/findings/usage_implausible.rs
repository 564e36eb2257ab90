//! The backend reported token counts that cannot be true.
//!
//! Condition: counts that the cost model refused. They take part in nothing, so they cost
//! nothing: what they would have told is unknown. Counts that stay where they are because
//! the backend cut the prompts are true of what was left: `context_overflow` names them.

use std::collections::HashSet;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::scene::{Entry, Model, Scene, finding};
use super::words::{ModelName, Of, WholeNumber};
use super::{Evidence, Finding, FindingKind, Rule, RuleCheck, context_overflow};
use crate::model::request::TracePath;
use crate::model::timing::TokenSource;

pub(super) struct UsageImplausible;

impl Rule for UsageImplausible {
    fn kind(&self) -> FindingKind {
        FindingKind::UsageImplausible
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        let known = scene.by_model(|entry| counts_source(entry).is_some());
        if known.is_empty() {
            return RuleCheck::NotEnoughData;
        }
        let cut: HashSet<&TracePath> =
            context_overflow::plateaus(scene).flatten().map(|entry| &entry.request.path).collect();
        let of = |(model, entries): (Model, Vec<&Entry<'_>>)| {
            let is_refused =
                |entry: &&Entry<'_>| refused_tokens(entry).is_some() && !cut.contains(&entry.request.path);
            let refused: Vec<&Entry<'_>> = entries.iter().copied().filter(is_refused).collect();
            let worst = refused.iter().max_by_key(|entry| refused_tokens(entry))?;
            let evidence = Evidence::UsageImplausible(ImplausibleUsage {
                model,
                requests: refused.len() as u64,
                of: entries.len() as u64,
                tokens: refused_tokens(worst)?,
                body_bytes: worst.request.sizes.body_bytes.get(),
            });
            Some(finding(FindingKind::UsageImplausible, refused, evidence))
        };
        let found: Vec<Finding> = known.into_iter().filter_map(of).collect();
        RuleCheck::of(found)
    }
}

/// Where the counts of a request come from, if any were reported.
fn counts_source(entry: &Entry<'_>) -> Option<TokenSource> {
    let timing = entry.timing()?;
    timing.prompt_tokens_source.or(timing.output_tokens_source)
}

/// The count of a request that the cost model refused: that of its prompt, else of its answer.
fn refused_tokens(entry: &Entry<'_>) -> Option<u64> {
    let timing = entry.timing()?;
    let prompt = (timing.prompt_tokens_source, timing.prompt_tokens);
    let output = (timing.output_tokens_source, timing.output_tokens);
    let refused = [prompt, output].into_iter().find(|(source, _)| *source == Some(TokenSource::Implausible));
    refused.map(|(_, tokens)| tokens.get().unwrap_or(0))
}

/// Which token counts cannot be true.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ImplausibleUsage {
    /// The model.
    pub model: Option<Arc<str>>,
    /// How many requests.
    pub requests: u64,
    /// How many there were.
    pub of: u64,
    /// The largest count, …
    pub tokens: u64,
    /// … and the size of that prompt.
    pub body_bytes: Option<u64>,
}

impl Display for ImplausibleUsage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The backend of {} reported token counts that cannot be true for {} (such as {} tokens",
            ModelName(&self.model),
            Of(self.requests, self.of),
            WholeNumber(self.tokens),
        )?;
        if let Some(bytes) = self.body_bytes {
            write!(f, " for {} kB", WholeNumber(bytes.div_ceil(1000)))?;
        }
        f.write_str("); they take part in no figure here.")
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check};
    use super::*;

    #[test]
    fn refused_counts_show_it() {
        let made = [Made::new().prompt(9_000), Made::new().implausible(81_000_000)];
        let RuleCheck::Found(found) = check(&UsageImplausible, &made) else { panic!() };
        assert_eq!((found[0].requests.len(), found[0].cost_ms), (1, None));
        assert!(found[0].evidence.to_string().contains("81,000,000"));
        assert_eq!(check(&UsageImplausible, &made[..1]), RuleCheck::Ok);
        assert_eq!(check(&UsageImplausible, &[]), RuleCheck::NotEnoughData);
    }

    #[test]
    fn a_count_that_stays_because_the_prompt_was_cut_is_true() {
        let grown = |at: u64| Made::new().body_bytes(20_000 + 6_000 * at);
        let mut made: Vec<Made> =
            [5_000, 6_500, 8_000].into_iter().zip(0..).map(|(n, at)| grown(at).prompt(n)).collect();
        made.extend((3..6).map(|at| grown(at).implausible(8_192)));
        assert_eq!(check(&UsageImplausible, &made), RuleCheck::Ok);
        made.push(Made::new().implausible(81_000_000).session("other"));
        let RuleCheck::Found(found) = check(&UsageImplausible, &made) else { panic!() };
        assert_eq!(found[0].requests.len(), 1);
    }
}
