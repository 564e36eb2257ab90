//! Which cause leads, which scenario that is, and how sure the verdict is.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::cause::{DelayCause, PerCause};
use super::interval::Intervals;
use super::millis::Millis;

/// Two sides take about as long if they differ by less than this, …
const LEAST_DIFFERENCE_MS: f64 = 500.0;
/// … or by less than this share of the faster side's time.
const LEAST_SHARE_OF_FASTER: f64 = 0.1;
/// Where there is no pair, each side must have at least this many completed requests.
pub(super) const LEAST_REQUESTS: usize = 3;
/// If at least this share of the difference is unexplained, there is no verdict.
const MOST_UNEXPLAINED: f64 = 0.4;
/// If loads, queueing and stalls explain at least this share of the difference, they are named
/// although the difference itself may be chance: they did happen. So did reading larger prompts.
const SINGLE_REQUESTS_SHARE: f64 = 0.8;
/// A scenario must make up at least this share of the difference.
const SCENARIO_SHARE: f64 = 0.6;
/// With at least this share of the difference the proxy is the bottleneck, …
const BOTTLENECK_SHARE: f64 = 0.5;
/// … and with less than this share it is not.
const NO_BOTTLENECK_SHARE: f64 = 0.25;
/// Shares are floating-point quotients: a threshold counts as reached within this tolerance.
const SLACK: f64 = 1e-9;

/// The scenarios of anyclaude's performance guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Scenario {
    /// LM Studio, the model or the machine is slow: it would be slow without the proxy too.
    A,
    /// The proxy is slow, or answers are longer.
    B,
    /// Prompts are larger, or less of them comes from the prompt cache.
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

impl Scenario {
    /// The scenario that a cause belongs to.
    fn of(cause: DelayCause) -> Option<Self> {
        match cause {
            DelayCause::PromptProcessingSpeed
            | DelayCause::GenerationSpeed
            | DelayCause::ModelLoad
            | DelayCause::Queueing
            | DelayCause::Stalls => Some(Self::A),
            DelayCause::Proxy | DelayCause::OutputLength => Some(Self::B),
            DelayCause::PromptSize | DelayCause::PromptCache => Some(Self::C),
            DelayCause::Other => None,
        }
    }
}

/// How sure a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VerdictConfidence {
    /// Few requests, or no clear lead.
    Low,
    /// At least three pairs or ten requests a side, and a lead of ten points.
    Medium,
    /// At least five pairs, a lead of twenty points whose interval excludes 0 and of
    /// which nothing is unknown, and cached tokens that are not all simulated.
    High,
}

/// Why there is no verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Undetermined {
    /// A side has no request to compare.
    Nothing,
    /// A side has fewer than [`LEAST_REQUESTS`], and there is no pair.
    TooFew,
    /// Both sides take about as long.
    Alike,
    /// This share of the difference is in no part.
    Unexplained(f64),
    /// Requests differ so much among themselves that the difference may be chance.
    Uncertain,
}

/// What leads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lead {
    pub(super) cause: DelayCause,
    pub(super) scenario: Scenario,
    pub(super) confidence: VerdictConfidence,
    /// Whether it is said although the difference itself is uncertain.
    pub(super) in_single_requests: bool,
}

/// What there is to weigh.
pub(super) struct VerdictCase<'a> {
    pub(super) delta: Millis,
    pub(super) contributions: &'a PerCause<Option<Millis>>,
    pub(super) intervals: &'a Intervals,
    pub(super) paired: bool,
    /// Pairs, or the requests of the smaller group.
    pub(super) n: usize,
    /// What the faster side takes in the mean.
    pub(super) faster_ms: f64,
    /// Whether cached counts are known, and every one of them is simulated.
    pub(super) only_simulated: bool,
    /// Whether the prompts of the slower side were read at so different speeds that something else than
    /// the speed of reading made some of them slow.
    pub(super) is_read_unevenly: bool,
    /// Whether the cause is unknown in one of the pairs.
    pub(super) is_unknown_somewhere: &'a PerCause<bool>,
}

/// Each contribution as a share of everything that has the difference's sign.
pub(super) fn shares(delta: Millis, contributions: &PerCause<Option<Millis>>) -> PerCause<Option<f64>> {
    let sign = f64::from(i8::from(delta.0 > 0) - i8::from(delta.0 < 0));
    let signed = |cause| contributions.get(cause).map(|ms: Millis| ms.as_f64() * sign);
    let whole: f64 = DelayCause::ALL.into_iter().filter_map(signed).filter(|ms| *ms > 0.0).sum();
    PerCause::from_fn(|cause| signed(cause).filter(|_| whole > 0.0).map(|ms| ms / whole))
}

/// The largest share, and how far it is ahead of the next.
fn lead(shares: &PerCause<Option<f64>>) -> Option<(DelayCause, f64)> {
    let mut known: Vec<(DelayCause, f64)> =
        shares.iter().filter_map(|(cause, share)| Some((cause, share?))).collect();
    // Stable: of two that are equal the first in the list leads.
    known.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (cause, share) = *known.first()?;
    let next = known.get(1).map_or(0.0, |(_, next)| next.max(0.0));
    Some((cause, share - next))
}

/// What leads, or why that cannot be said.
pub(super) fn weigh(case: &VerdictCase<'_>) -> Result<Lead, Undetermined> {
    if case.n < LEAST_REQUESTS && !case.paired {
        return Err(Undetermined::TooFew);
    }
    let size = case.delta.as_f64().abs();
    if size + SLACK < LEAST_DIFFERENCE_MS.max(LEAST_SHARE_OF_FASTER * case.faster_ms) {
        return Err(Undetermined::Alike);
    }
    let shares = shares(case.delta, case.contributions);
    let share = |cause| shares.get(cause).unwrap_or(0.0);
    if share(DelayCause::Other) + SLACK >= MOST_UNEXPLAINED {
        return Err(Undetermined::Unexplained(share(DelayCause::Other)));
    }
    let (cause, ahead) = lead(&shares).ok_or(Undetermined::Nothing)?;
    let is_uncertain = case.intervals.delta.is_some_and(super::Interval::includes_zero);
    let has_happened = || cause.is_of_single_requests() && explained_by_single_requests(case);
    if is_uncertain && !has_happened() && !is_read_once(case, cause) {
        return Err(Undetermined::Uncertain);
    }
    let confidence = if is_uncertain { VerdictConfidence::Low } else { confidence(case, cause, ahead) };
    Ok(Lead { cause, scenario: scenario(&shares), confidence, in_single_requests: is_uncertain })
}

/// Whether loads, queueing and stalls explain most of the difference.
fn explained_by_single_requests(case: &VerdictCase<'_>) -> bool {
    let of_single = |cause: &DelayCause| cause.is_of_single_requests();
    let ms = |cause| case.contributions.get(cause).map_or(0.0, Millis::as_f64);
    let explained: f64 = DelayCause::ALL.into_iter().filter(of_single).map(ms).sum();
    explained / case.delta.as_f64() + SLACK >= SINGLE_REQUESTS_SHARE
}

/// Whether larger prompts explain most of the difference between two groups, by counts that were
/// reported. What is new in a prompt is read once, most of it with the first of a conversation,
/// so that single requests make up the difference, and it happened all the same.
fn is_read_once(case: &VerdictCase<'_>, cause: DelayCause) -> bool {
    let ms = case.contributions.get(DelayCause::PromptSize).map_or(0.0, Millis::as_f64);
    let explains_most = ms / case.delta.as_f64() + SLACK >= SINGLE_REQUESTS_SHARE;
    cause == DelayCause::PromptSize && explains_most && !case.paired && !case.only_simulated
}

fn scenario(shares: &PerCause<Option<f64>>) -> Scenario {
    let share = |scenario| -> f64 {
        let belongs = |cause: DelayCause| Scenario::of(cause) == Some(scenario);
        let mine = shares.iter().filter(|(cause, _)| belongs(*cause));
        mine.filter_map(|(_, share)| share).filter(|share| *share > 0.0).sum()
    };
    let is_it = |scenario: &Scenario| share(*scenario) + SLACK >= SCENARIO_SHARE;
    [Scenario::A, Scenario::B, Scenario::C].into_iter().find(is_it).unwrap_or(Scenario::Mixed)
}

fn confidence(case: &VerdictCase<'_>, cause: DelayCause, ahead: f64) -> VerdictConfidence {
    let is_certain = case.intervals.causes.get(cause).is_some_and(|interval| !interval.includes_zero())
        && !case.is_unknown_somewhere.get(cause);
    let ahead = ahead + SLACK;
    if case.is_read_unevenly && cause == DelayCause::PromptProcessingSpeed {
        VerdictConfidence::Low
    } else if case.paired && case.n >= 5 && ahead >= 0.2 && is_certain && !case.only_simulated {
        VerdictConfidence::High
    } else if ahead >= 0.1 && (case.n >= 10 || case.paired && case.n >= 3) {
        VerdictConfidence::Medium
    } else {
        VerdictConfidence::Low
    }
}

/// Whether the proxy is the bottleneck, by its share among others of the same whole, of
/// which it may be the largest; `None` where that does not settle it.
pub(super) fn is_bottleneck(share: Option<f64>, is_largest: bool, unexplained: f64) -> Option<bool> {
    let share = share?;
    if is_largest || share + SLACK >= BOTTLENECK_SHARE {
        Some(true)
    } else if share + SLACK < NO_BOTTLENECK_SHARE && unexplained + SLACK < MOST_UNEXPLAINED {
        Some(false)
    } else {
        None
    }
}

/// The same of the difference between two sides, whatever is said of its cause.
pub(super) fn proxy_is_bottleneck(
    finding: Result<Lead, Undetermined>,
    shares: &PerCause<Option<f64>>,
) -> Option<bool> {
    let largest = lead(shares).map(|(cause, _)| cause);
    let unexplained = shares.get(DelayCause::Other).unwrap_or(0.0);
    let answer =
        is_bottleneck(shares.get(DelayCause::Proxy), largest == Some(DelayCause::Proxy), unexplained);
    match finding {
        Ok(_) => answer,
        Err(Undetermined::Nothing | Undetermined::TooFew) => None,
        // What may be chance, or is next to nothing, has no bottleneck.
        Err(_) => answer.filter(|is| !is),
    }
}
