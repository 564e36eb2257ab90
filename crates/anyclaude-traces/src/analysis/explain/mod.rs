//! Requests of a fast and of a slow side → where the slower one lost its time; of one
//! side alone, where its time goes.
//!
//! Requests that answered the same prompt are compared in pairs; where there are none,
//! groups are compared by their means. The difference is the sum of ten contributions,
//! each with its confidence interval.

mod cause;
mod compare;
mod decompose;
mod direct;
mod evidence;
mod interval;
mod millis;
mod missing;
mod narrative;
mod one_side;
mod pairs;
mod prompt;
mod prose;
mod read;
mod side;
#[cfg(test)]
pub(crate) mod tests;
mod verdict;
mod writing;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

pub use cause::{DelayCause, MainCause, Part};
pub use direct::{Direct, Doubt};
pub use evidence::{CitedFact, Fact, FigureUnit, Figures, Headline, KeyAnswer, Occurrences, ShareOf};
pub use millis::{Interval, Millis};
pub use missing::{Missing, WouldTell};
pub use prompt::{Prompt, PromptVisitor};
pub use read::read_prompts;
pub use side::{Side, SideModel, names};
pub use verdict::{Scenario, VerdictConfidence};
pub use writing::{WritingChange, WritingRate};

use crate::analysis::what_if::WhatIf;
use crate::findings::Finding;
use crate::model::ModelSpeeds;
pub use crate::model::eligibility::{LeftOut, LeftOutReason};
use crate::model::request::{Request, TracePath};
use crate::model::scope::Scope;

/// What [`explain`] is asked.
#[derive(Debug)]
pub struct ExplainInput<'a> {
    /// Which requests it is about.
    pub scope: Scope,
    /// The fast side, or the only one.
    pub left: SideInput<'a>,
    /// The slow side; `None` where one side is looked at alone.
    pub right: Option<SideInput<'a>>,
    /// What the requests asked, as far as it was read; see [`PromptVisitor`].
    /// Requests that are missing here are in no pair.
    pub prompts: &'a HashMap<TracePath, Prompt>,
    /// What both models took without the proxy, where that was measured.
    pub direct: Option<(Direct, Direct)>,
    /// What costs time here; passed on.
    pub findings: Vec<Finding>,
}

/// One side, as it is asked about.
#[derive(Debug)]
pub struct SideInput<'a> {
    /// How the user named it.
    pub selector: &'a str,
    /// Its requests, in order of time, with the parts of their times.
    pub requests: Vec<&'a Request>,
    /// The speeds of its models, of requests of every kind.
    pub speeds: Vec<ModelSpeeds>,
}

/// What [`explain`] finds. Left is the fast side, as the user sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Explanation {
    /// Which requests it is about.
    pub scope: Scope,
    /// The left side, or the only one.
    pub left: Side,
    /// The right side; `None` where one side is looked at alone.
    pub right: Option<Side>,
    /// Whether requests with the same prompt were compared; else groups were.
    pub paired: bool,
    /// How many pairs, or how many requests the smaller group has.
    pub n: u64,
    /// What the right side takes longer in the mean: of `wall_ms`, or of `total_ms`
    /// where the proxy's own time is unknown of most. `None` without requests.
    pub delta_ms: Option<Millis>,
    /// How far the difference may be off (95 %); `None` of fewer than three pairs, or
    /// requests on a side.
    pub delta_interval: Option<Interval>,
    /// What makes up the difference; empty of one side alone.
    pub contributions: Vec<Contribution>,
    /// The answer.
    pub verdict: Verdict,
    /// What it rests on.
    pub evidence: Vec<CitedFact>,
    /// What is unknown.
    pub missing: Vec<Missing>,
    /// What costs time here, and what to do.
    pub findings: Vec<Finding>,
    /// The requests that took no part.
    pub left_out: Vec<LeftOut>,
    /// What is predicted of a change, where one was asked about.
    pub what_if: Option<WhatIf>,
}

impl Explanation {
    /// The finding that matters most here: the dearest, of two models the dearest of the
    /// slower one, if it is known to cost anything.
    #[must_use]
    pub fn leading_finding(&self) -> Option<&Finding> {
        let Some(right) = &self.right else { return self.findings.first() };
        let is_left = self.delta_ms.is_some_and(|delta| delta.as_f64() < 0.0);
        let slower = if is_left { &self.left } else { right };
        let is_of_it = |finding: &&Finding| {
            let model = finding.model.as_deref();
            finding.cost_ms.is_some()
                && (model.is_none() || slower.model().is_none() || model == slower.model())
        };
        self.findings.iter().find(is_of_it)
    }
}

/// What one cause adds to the difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Contribution {
    /// The cause.
    pub cause: DelayCause,
    /// Milliseconds; negative where it makes the right side faster, `None` where it
    /// is unknown, and then part of `other`.
    pub ms: Option<Millis>,
    /// Its share of everything that has the difference's sign: a fraction, negative
    /// where it makes the slower side faster.
    pub share: Option<f64>,
    /// How far it may be off (95 %).
    pub interval: Option<Interval>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Verdict {
    /// The answer in one sentence.
    pub headline: Headline,
    /// What leads: the largest contribution to the difference, or of one side alone the
    /// largest part of its time. `None` where it is undetermined.
    pub cause: Option<MainCause>,
    /// Which of the guide's scenarios it is.
    pub scenario: Scenario,
    /// How sure it is; `None` where it is undetermined, and of one side alone.
    pub confidence: Option<VerdictConfidence>,
    /// The guide's key question; `None` where it cannot be answered.
    pub proxy_is_bottleneck: Option<bool>,
    /// The proxy's own share of the difference, or of the time of one side alone, as a fraction.
    pub proxy_share: Option<f64>,
    /// The key question and its answer, with what it rests on.
    pub key_answer: KeyAnswer,
}

/// Says where the slower side lost its time, or where the time of one side goes.
///
/// Only streamed, completed requests whose log lines are certainly theirs take part.
/// None of them is left out for being cold, queued or stalled: that time is a part of
/// its own.
#[must_use]
pub fn explain(input: ExplainInput<'_>) -> Explanation {
    match input.right {
        Some(_) => compare::explain(input),
        None => one_side::explain(input),
    }
}
