//! Compares two sides: chooses the requests that take part, pairs them or takes them as groups,
//! and puts together the contributions (`decompose`), their intervals (`interval`), the verdict
//! (`verdict`) and the facts (`narrative`).

use super::cause::{DelayCause, MainCause, PerCause};
use super::decompose::{Delays, RequestSample, Sums, delta, of_groups, of_pair};
use super::evidence::{CitedFact, KeyAnswer, ShareOf};
use super::interval::{self, Intervals};
use super::millis::Millis;
use super::missing::Missing;
use super::narrative::Narrative;
use super::one_side::is_uneven;
use super::pairs::{Pair, pair};
use super::verdict::{
    LEAST_REQUESTS, Lead, Scenario, Undetermined, VerdictCase, proxy_is_bottleneck, shares, weigh,
};
use super::{Contribution, ExplainInput, Explanation, Side, SideInput, Verdict, direct, names};
use crate::model::eligibility::{ExclusionCounts, LeftOutReason, eligible};
use crate::model::request::Request;
use crate::model::timing::CachedSource;

/// A request that takes part, and what is known of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampled<'a> {
    pub(super) request: &'a Request,
    pub(super) sample: RequestSample,
}

impl<'a> Sampled<'a> {
    fn of(request: &'a Request) -> Result<Self, LeftOutReason> {
        let sample = RequestSample::of(eligible(request)?).ok_or(LeftOutReason::NoTotal)?;
        Ok(Self { request, sample })
    }

    pub(super) fn cached_source(&self) -> Option<CachedSource> {
        self.request.timing.as_ref()?.cached_source
    }
}

/// The requests of one side that take part; the others are counted.
pub(super) fn choose<'a>(requests: &[&'a Request], counts: &mut ExclusionCounts) -> Vec<Sampled<'a>> {
    let mut chosen = Vec::new();
    for &request in requests {
        match Sampled::of(request) {
            Ok(one) => chosen.push(one),
            Err(reason) => counts.add(reason, 1),
        }
    }
    chosen
}

pub(super) fn requests<'a>(side: &[Sampled<'a>]) -> Vec<&'a Request> {
    side.iter().map(|one| one.request).collect()
}

/// What is compared with what.
#[derive(Debug)]
pub(super) struct ComparedRequests<'a> {
    /// Of pairs, those at the same place belong together.
    pub(super) left: Vec<Sampled<'a>>,
    pub(super) right: Vec<Sampled<'a>>,
    /// Of each pair, whether the bodies are equal; `None` where groups are compared.
    equal: Option<Vec<bool>>,
    /// Whether the proxy's own time takes part.
    pub(super) with_proxy: bool,
    /// How many completed requests there were before any was left out.
    pub(super) completed: [usize; 2],
    /// Of how many pairs or requests the proxy's own time is known, of how many.
    pub(super) proxy_known: (usize, usize),
    /// Of groups, how many pairs there were, which are too few to stand for them.
    pub(super) same_prompts: usize,
}

impl<'a> ComparedRequests<'a> {
    fn of(input: &ExplainInput<'a>, right: &SideInput<'a>, counts: &mut ExclusionCounts) -> Self {
        let sides = [choose(&input.left.requests, counts), choose(&right.requests, counts)];
        let completed = [sides[0].len(), sides[1].len()];
        let prompt_of = |request: &Request| input.prompts.get(&request.path).copied();
        let pairs = pair(&requests(&sides[0]), &requests(&sides[1]), prompt_of);
        if !are_enough(pairs.len(), completed) {
            return Self { same_prompts: pairs.len(), ..Self::groups(sides, completed, counts) };
        }
        counts.add(LeftOutReason::Unpaired, completed[0] + completed[1] - 2 * pairs.len());
        Self::pairs(&pairs, completed, counts)
    }

    fn pairs(pairs: &[Pair<'a>], completed: [usize; 2], counts: &mut ExclusionCounts) -> Self {
        let both = |pair: &Pair<'a>| {
            let (left, right) = (Sampled::of(pair.left).ok()?, Sampled::of(pair.right).ok()?);
            Some((left, right, pair.equal))
        };
        let mut all: Vec<(Sampled<'_>, Sampled<'_>, bool)> = pairs.iter().filter_map(both).collect();
        let knows_proxy = |(left, right, _): &(Sampled<'_>, Sampled<'_>, bool)| {
            left.sample.proxy.is_some() && right.sample.proxy.is_some()
        };
        let proxy_known = (all.iter().filter(|pair| knows_proxy(pair)).count(), all.len());
        let with_proxy = proxy_known.0 * 2 >= proxy_known.1;
        if with_proxy {
            all.retain(knows_proxy);
            counts.add(LeftOutReason::NoProxyTime, 2 * (proxy_known.1 - proxy_known.0));
        }
        let equal = Some(all.iter().map(|(.., equal)| *equal).collect());
        let (left, right) = all.into_iter().map(|(left, right, _)| (left, right)).unzip();
        Self { left, right, equal, with_proxy, completed, proxy_known, same_prompts: 0 }
    }

    fn groups(
        [mut left, mut right]: [Vec<Sampled<'a>>; 2],
        completed: [usize; 2],
        counts: &mut ExclusionCounts,
    ) -> Self {
        let known = |side: &[Sampled<'_>]| side.iter().filter(|one| one.sample.proxy.is_some()).count();
        let (known_left, known_right) = (known(&left), known(&right));
        let with_proxy = known_left * 2 >= left.len() && known_right * 2 >= right.len();
        let proxy_known = (known_left + known_right, left.len() + right.len());
        if with_proxy {
            for side in [&mut left, &mut right] {
                side.retain(|one| one.sample.proxy.is_some());
            }
            counts.add(LeftOutReason::NoProxyTime, proxy_known.1 - proxy_known.0);
        }
        Self { left, right, equal: None, with_proxy, completed, proxy_known, same_prompts: 0 }
    }

    pub(super) fn is_paired(&self) -> bool {
        self.equal.is_some()
    }

    /// Pairs, or the requests of the smaller group.
    pub(super) fn n(&self) -> usize {
        self.left.len().min(self.right.len())
    }

    pub(super) fn both(&self) -> impl Iterator<Item = &Sampled<'a>> {
        self.left.iter().chain(&self.right)
    }

    /// The difference of each pair.
    fn delays_of_pairs(&self) -> Vec<Delays> {
        let pairs = self.left.iter().zip(&self.right).zip(self.equal.iter().flatten());
        pairs.map(|((a, b), equal)| of_pair(&a.sample, &b.sample, *equal, self.with_proxy)).collect()
    }

    /// What it comes to in the mean, and how far that may be off.
    fn difference(&self) -> Option<Difference> {
        if self.n() == 0 {
            return None;
        }
        if self.is_paired() {
            let pairs = self.delays_of_pairs();
            let unknown = PerCause::from_fn(|cause| pairs.iter().any(|delays| delays.get(cause).is_none()));
            return Some(Difference::new(&mean(&pairs), interval::of_pairs(&pairs), unknown));
        }
        let samples = |side: &[Sampled<'_>]| side.iter().map(|one| one.sample).collect::<Vec<_>>();
        let (left, right) = (samples(&self.left), samples(&self.right));
        let sums = |side: &[RequestSample]| {
            side.iter().fold(Sums::default(), |mut sums, sample| {
                sums.add(sample);
                sums
            })
        };
        let delays = of_groups(&sums(&left), &sums(&right), self.with_proxy);
        // Drawn in the order of time, so that swapping the sides changes signs alone.
        let first = |side: &[Sampled<'a>]| side.first().map(|one| one.request.order());
        let intervals = if first(&self.left) <= first(&self.right) {
            interval::of_two_groups(&left, &right, self.with_proxy)
        } else {
            interval::of_two_groups(&right, &left, self.with_proxy).swapped()
        };
        let unknown = PerCause::from_fn(|cause| delays.get(cause).is_none());
        Some(Difference::new(&delays, intervals, unknown))
    }

    /// What the requests of a side take in the mean.
    pub(super) fn mean_wall_ms(&self, side: &[Sampled<'_>]) -> f64 {
        mean_of(side.iter().map(|one| one.sample.wall(self.with_proxy))).unwrap_or(0.0)
    }

    fn weigh(&self, difference: Option<&Difference>, is_read_unevenly: bool) -> Result<Lead, Undetermined> {
        let few = self.completed.iter().any(|completed| *completed < LEAST_REQUESTS);
        let Some(difference) = difference else { return Err(Undetermined::Nothing) };
        if few && !self.is_paired() {
            return Err(Undetermined::TooFew);
        }
        let sources: Vec<CachedSource> = self.both().filter_map(Sampled::cached_source).collect();
        // That a backend reuses nothing is seen by times and a simulation, too.
        let is_simulated =
            |source: &CachedSource| matches!(source, CachedSource::Simulated | CachedSource::None);
        weigh(&VerdictCase {
            delta: difference.delta,
            contributions: &difference.contributions,
            intervals: &difference.intervals,
            paired: self.is_paired(),
            n: self.n(),
            faster_ms: self.mean_wall_ms(&self.left).min(self.mean_wall_ms(&self.right)),
            only_simulated: !sources.is_empty() && sources.iter().all(is_simulated),
            is_read_unevenly,
            is_unknown_somewhere: &difference.is_unknown_somewhere,
        })
    }
}

/// Whether the pairs stand for both sides. Three or more do. One or two have no interval: they do
/// only where groups would have none either, or where they are half of a side. Otherwise they may
/// be just the first prompts of two conversations that went apart, and only these are read whole.
fn are_enough(pairs: usize, completed: [usize; 2]) -> bool {
    let fewest = completed[0].min(completed[1]);
    pairs >= LEAST_REQUESTS || pairs > 0 && (fewest < LEAST_REQUESTS || pairs * 2 >= fewest)
}

/// The mean of these values; `None` where there are none.
#[allow(clippy::cast_precision_loss, reason = "there are fewer than 2^53 requests")]
pub(super) fn mean_of(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut n, mut sum) = (0u64, 0.0);
    for value in values {
        n += 1;
        sum += value;
    }
    (n > 0).then(|| sum / n as f64)
}

/// The means of what each cause adds; unknown where it is so of every pair.
#[allow(clippy::cast_precision_loss, reason = "there are fewer than 2^53 pairs")]
fn mean(pairs: &[Delays]) -> Delays {
    let n = pairs.len() as f64;
    PerCause::from_fn(|cause| {
        let known = pairs.iter().filter_map(|delays| delays.get(cause));
        known.reduce(|a, b| a + b).map(|sum| sum / n)
    })
}

/// A difference and its contributions, in whole microseconds.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) delta: Millis,
    pub(super) contributions: PerCause<Option<Millis>>,
    pub(super) intervals: Intervals,
    is_unknown_somewhere: PerCause<bool>,
}

impl Difference {
    /// Rounds the parts so that they still add up: the largest one takes the few
    /// microseconds that rounding leaves.
    fn new(delays: &Delays, intervals: Intervals, is_unknown_somewhere: PerCause<bool>) -> Self {
        let delta = Millis::from_f64(delta(delays));
        let mut contributions = PerCause::from_fn(|cause| delays.get(cause).map(Millis::from_f64));
        let sum: i64 = contributions.iter().filter_map(|(_, ms)| ms).map(|ms| ms.0).sum();
        let largest = DelayCause::ALL
            .into_iter()
            .rev()
            .max_by_key(|cause| contributions.get(*cause).map(|ms| ms.0.abs()));
        if let Some(Some(largest)) = largest.map(|cause| contributions.get_mut(cause)) {
            largest.0 += delta.0 - sum;
        }
        Self { delta, contributions, intervals, is_unknown_somewhere }
    }

    pub(super) fn shares(&self) -> PerCause<Option<f64>> {
        shares(self.delta, &self.contributions)
    }

    fn list(&self) -> Vec<Contribution> {
        let shares = self.shares();
        let contribution = |(cause, ms): (DelayCause, Option<Millis>)| Contribution {
            cause,
            ms,
            share: shares.get(cause),
            interval: self.intervals.causes.get(cause).filter(|_| ms.is_some()),
        };
        self.contributions.iter().map(contribution).collect()
    }
}

fn unknown_contributions() -> Vec<Contribution> {
    let unknown = |cause| Contribution { cause, ms: None, share: None, interval: None };
    DelayCause::ALL.into_iter().map(unknown).collect()
}

/// Compares both sides; without a right one there is nothing to compare.
pub(super) fn explain(input: ExplainInput<'_>) -> Explanation {
    let mut counts = ExclusionCounts::default();
    let nobody = SideInput { selector: "", requests: Vec::new(), speeds: Vec::new() };
    let right_input = input.right.as_ref().unwrap_or(&nobody);
    let comparison = ComparedRequests::of(&input, right_input, &mut counts);
    let difference = comparison.difference();
    let left = Side::of(&input.left, &requests(&comparison.left), comparison.with_proxy);
    let right = Side::of(right_input, &requests(&comparison.right), comparison.with_proxy);
    let is_left_slower = difference.as_ref().is_some_and(|difference| difference.delta.0 < 0);
    let slower = if is_left_slower { &left } else { &right };
    let is_read_unevenly = slower.speeds.is_some_and(|speeds| is_uneven(&speeds));
    let finding = comparison.weigh(difference.as_ref(), is_read_unevenly);
    let direct_share = direct_share(&input, &comparison, difference.as_ref(), finding);
    let names = names(&left, &right);
    let narrative = Narrative {
        names: [&names.0, &names.1],
        sides: [&left, &right],
        given: [&input.left.requests, &right_input.requests],
        comparison: &comparison,
        difference: difference.as_ref(),
        finding,
        direct: input.direct.as_ref().map(|(left, right)| (left, right, direct_share)),
    };
    let verdict = verdict(&narrative, finding, difference.as_ref(), direct_share);
    let (evidence, missing): (Vec<CitedFact>, Vec<Missing>) = (narrative.evidence(), narrative.missing());
    Explanation {
        scope: input.scope,
        paired: comparison.is_paired(),
        n: comparison.n() as u64,
        delta_ms: difference.as_ref().map(|difference| difference.delta),
        delta_interval: difference.as_ref().and_then(|difference| difference.intervals.delta),
        contributions: difference.as_ref().map_or_else(unknown_contributions, Difference::list),
        verdict,
        evidence,
        missing,
        findings: input.findings,
        left_out: counts.list(),
        what_if: None,
        left,
        right: Some(right),
    }
}

/// What of the difference the models show without the proxy, where there is one.
fn direct_share(
    input: &ExplainInput<'_>,
    comparison: &ComparedRequests<'_>,
    difference: Option<&Difference>,
    finding: Result<Lead, Undetermined>,
) -> Option<f64> {
    if matches!(finding, Err(Undetermined::Nothing | Undetermined::TooFew | Undetermined::Alike)) {
        return None;
    }
    let (left, right) = input.direct.as_ref()?;
    let output = |side: &[Sampled<'_>]| mean_of(side.iter().filter_map(|one| one.sample.output_tokens));
    let output = (output(&comparison.left), output(&comparison.right));
    direct::share_of_difference((left, right), output, difference?.delta.as_f64())
}

fn verdict(
    narrative: &Narrative<'_>,
    finding: Result<Lead, Undetermined>,
    difference: Option<&Difference>,
    direct_share: Option<f64>,
) -> Verdict {
    let shares = difference.map(Difference::shares).unwrap_or_default();
    let proxy_share = shares.get(DelayCause::Proxy);
    let proxy_is_bottleneck = match direct_share {
        Some(share) => Some(direct::proxy_is_bottleneck(share)),
        None => proxy_is_bottleneck(finding, &shares),
    };
    Verdict {
        headline: narrative.headline(),
        cause: finding.ok().map(|finding| MainCause::Difference(finding.cause)),
        scenario: finding.map_or(Scenario::Undetermined, |finding| finding.scenario),
        confidence: finding.ok().map(|finding| finding.confidence),
        proxy_is_bottleneck,
        proxy_share,
        key_answer: KeyAnswer {
            text: None,
            has_proxy: narrative.went_through_a_proxy(),
            is_bottleneck: proxy_is_bottleneck,
            share: proxy_share,
            share_of: ShareOf::Difference,
            share_without_proxy: direct_share,
        },
    }
}
