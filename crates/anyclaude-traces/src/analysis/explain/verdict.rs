//! What leads, how far, and how sure that is.

use std::fmt;

use serde::Serialize;

use super::split::{Split, Us};

/// A difference below this is none, …
const LEAST_DIFFERENCE: Us = 500_000;
/// … and so is one below this part of the faster side.
const LEAST_SHARE_OF_FASTER: f64 = 0.1;
/// With so much unknown there is no verdict.
const MOST_UNKNOWN: f64 = 0.4;
/// A scenario needs this share.
const SCENARIO_SHARE: f64 = 0.6;
/// By so much the slower side's predicted reuse must be lower.
const REUSE_GAP: f64 = 0.2;
/// Shares are floating-point quotients: a threshold counts as reached within this.
const SLACK: f64 = 1e-9;

/// What makes one side slower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The proxy's own work before it sends.
    Proxy,
    /// More tokens to read.
    PromptSize,
    /// Fewer tokens read in a second.
    PromptProcessingSpeed,
    /// More tokens to write.
    OutputLength,
    /// Fewer tokens written in a second.
    GenerationSpeed,
    /// Reading speed leads because less of the prompt could be reused. Only in a
    /// verdict: its milliseconds are those of `prompt_processing_speed`.
    PrefixCache,
}

impl Cause {
    /// The causes that contribute, in the order in which they are listed.
    pub const CONTRIBUTING: [Self; 5] = [
        Self::Proxy,
        Self::PromptSize,
        Self::PromptProcessingSpeed,
        Self::OutputLength,
        Self::GenerationSpeed,
    ];

    pub(super) fn part(self, split: &Split) -> Option<Us> {
        match self {
            Self::Proxy => split.proxy,
            Self::PromptSize => split.prompt_size,
            Self::PromptProcessingSpeed | Self::PrefixCache => split.prompt_processing_speed(),
            Self::OutputLength => split.output_length,
            Self::GenerationSpeed => split.generation_speed(),
        }
    }
}

/// The performance guide's scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Scenario {
    /// The backend reads the prompt slowly.
    A,
    /// Generation or the proxy is slow.
    B,
    /// The prompt is too big, or too little of it is reused.
    C,
    /// No scenario makes up 60 % of the difference.
    #[serde(rename = "mixed")]
    Mixed,
    /// The recordings do not tell.
    #[serde(rename = "undetermined")]
    Undetermined,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::Mixed => "mixed",
            Self::Undetermined => "undetermined",
        })
    }
}

/// How sure a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VerdictConfidence {
    /// Few requests, or no clear lead.
    Low,
    /// At least two pairs or ten requests a side, and a lead of ten points.
    Medium,
    /// At least five pairs, a lead of twenty points, the same sign in four of five,
    /// and nothing unknown.
    High,
}

/// Why there is no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undetermined {
    /// No requests to compare on one side.
    Nothing,
    /// Reasoning hid the first tokens of all requests of one side.
    Hidden,
    /// Both sides take about as long.
    Alike,
    /// Too much of the difference is unknown.
    Unknown,
}

/// What is weighed.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) split: Split,
    /// The pairs one by one; empty for groups.
    pub(super) pairs: &'a [Split],
    /// Pairs, or the requests of the smaller group.
    pub(super) n: usize,
    /// How long the faster side takes in the mean.
    pub(super) faster: Us,
    /// Nothing was left on some side but what should have been left out.
    pub(super) is_makeshift: bool,
    /// What share of the prompt a cache could have reused, left and right.
    pub(super) reuse: Option<(f64, f64)>,
}

/// What was found, before it is put into words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Finding {
    pub(super) cause: Cause,
    pub(super) share: f64,
    pub(super) scenario: Scenario,
    pub(super) certainty: VerdictConfidence,
}

/// The share of each cause in the difference; `None` where it is unknown.
pub(super) fn shares(split: &Split) -> [Option<f64>; 5] {
    let whole = whole(split);
    #[allow(clippy::cast_precision_loss, reason = "times stay far below 2^53 µs")]
    Cause::CONTRIBUTING.map(|cause| {
        let part = cause.part(split)?;
        (whole != 0).then(|| part as f64 / whole as f64)
    })
}

/// The sum of everything that has the difference's sign, known or not.
pub(super) fn whole(split: &Split) -> Us {
    let sign = split.delta().signum();
    let known = Cause::CONTRIBUTING.iter().filter_map(|cause| cause.part(split));
    known.chain(split.unsplit()).filter(|part| part.signum() == sign).sum()
}

pub(super) fn weigh(case: &Case<'_>) -> Result<Finding, Undetermined> {
    let split = &case.split;
    let delta = split.delta();
    if case.n == 0 {
        return Err(Undetermined::Nothing);
    }
    #[allow(clippy::cast_precision_loss, reason = "times stay far below 2^53 µs")]
    let is_small = (delta.abs() as f64) < LEAST_SHARE_OF_FASTER * case.faster as f64;
    if delta.abs() < LEAST_DIFFERENCE || is_small {
        return Err(Undetermined::Alike);
    }
    let sign = delta.signum();
    let unknown: Us = split.unsplit().filter(|part| part.signum() == sign).sum();
    #[allow(clippy::cast_precision_loss, reason = "times stay far below 2^53 µs")]
    if unknown.abs() as f64 >= MOST_UNKNOWN * whole(split).abs() as f64 {
        return Err(Undetermined::Unknown);
    }
    let shares = shares(split).map(|share| share.unwrap_or(0.0));
    let (lead, share, second) = leader(&shares).ok_or(Undetermined::Unknown)?;
    let [proxy, size, reading, length, writing] = shares;
    let reaches = |share: f64| share >= SCENARIO_SHARE - SLACK;
    let cause =
        if lead == Cause::PromptProcessingSpeed && reuses_less(case) { Cause::PrefixCache } else { lead };
    let scenario = match cause {
        Cause::PrefixCache if reaches(reading) => Scenario::C,
        _ if reaches(reading) => Scenario::A,
        _ if reaches(proxy + length + writing) => Scenario::B,
        _ if reaches(size) => Scenario::C,
        _ => Scenario::Mixed,
    };
    Ok(Finding { cause, share, scenario, certainty: certainty(case, lead, share - second) })
}

/// The cause with the largest share, that share, and the next one.
fn leader(shares: &[f64; 5]) -> Option<(Cause, f64, f64)> {
    let mut ranked: Vec<(f64, Cause)> = shares.iter().copied().zip(Cause::CONTRIBUTING).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let [(share, cause), (second, _), ..] = ranked.as_slice() else { return None };
    (*share > 0.0).then_some((*cause, *share, *second))
}

/// Whether a cache could have reused less on the slower side, by much.
fn reuses_less(case: &Case<'_>) -> bool {
    let Some((left, right)) = case.reuse else { return false };
    let (faster, slower) = if case.split.delta() < 0 { (right, left) } else { (left, right) };
    faster - slower >= REUSE_GAP - SLACK
}

fn certainty(case: &Case<'_>, lead: Cause, points: f64) -> VerdictConfidence {
    if case.is_makeshift {
        return VerdictConfidence::Low;
    }
    let sign = case.split.delta().signum();
    let alike = |split: &&Split| lead.part(split).is_some_and(|part| part.signum() == sign);
    let agreeing = case.pairs.iter().filter(alike).count();
    let is_paired = !case.pairs.is_empty();
    let nothing_unknown = Cause::CONTRIBUTING.iter().all(|cause| cause.part(&case.split).is_some());
    if is_paired && case.n >= 5 && points >= 0.2 - SLACK && agreeing * 5 >= case.n * 4 && nothing_unknown {
        VerdictConfidence::High
    } else if case.n >= if is_paired { 2 } else { 10 } && points >= 0.1 - SLACK {
        VerdictConfidence::Medium
    } else {
        VerdictConfidence::Low
    }
}
