//! Explains one side alone: where the time of its requests goes, in the mean, and which part is
//! the largest.

use super::cause::{DelayCause, MainCause, Part};
use super::compare::{Sampled, choose, mean_of};
use super::evidence::{CitedFact, Fact, Headline, KeyAnswer, ShareOf};
use super::missing::{Missing, WouldTell, missing_of};
use super::narrative::{
    basis_of, cached, constant_wait, is_most, may_have_a_proxy, occurrences, shared, work,
};
use super::verdict::{LEAST_REQUESTS, Scenario, is_bottleneck};
use super::writing::{WritingChange, WritingRate};
use super::{ExplainInput, Explanation, Side, Verdict};
use crate::model::eligibility::ExclusionCounts;
use crate::model::group::Group;
use crate::model::request::Request;
use crate::model::stats::float;
use crate::model::{Speeds, TimeBreakdown};
use crate::select::ALL_REQUESTS;

/// Parts below this share are not worth a sentence.
const LEAST_SHARE: f64 = 0.05;

/// The breakdown of the left side.
pub(super) fn explain(input: ExplainInput<'_>) -> Explanation {
    let mut counts = ExclusionCounts::default();
    let chosen = choose(&input.left.requests, &mut counts);
    let requests: Vec<_> = chosen.iter().map(|one| one.request).collect();
    let left = Side::of(&input.left, &requests, true);
    // Those that are left out may have another model, or none.
    let name = model_of(&requests).or(left.model()).unwrap_or(input.left.selector).to_owned();
    let has_proxy = may_have_a_proxy(if requests.is_empty() { &input.left.requests } else { &requests });
    let missing = if chosen.is_empty() {
        let would_tell = WouldTell::of_untimed(&input.left.requests);
        vec![Missing::Requests { side: name.clone(), would_tell }]
    } else {
        missing_of(&name, &chosen)
    };
    Explanation {
        scope: input.scope,
        paired: false,
        n: chosen.len() as u64,
        delta_ms: None,
        delta_interval: None,
        contributions: Vec::new(),
        verdict: verdict(&name, left.time.as_ref(), writing(&left, &chosen), has_proxy),
        evidence: evidence(&name, &left, &chosen),
        missing,
        findings: input.findings,
        left_out: counts.list(),
        what_if: None,
        left,
        right: None,
    }
}

/// The model of these requests, where it is known and the same for all.
fn model_of<'a>(requests: &[&'a Request]) -> Option<&'a str> {
    let model = requests.first()?.model.as_deref()?;
    requests.iter().all(|request| request.model.as_deref() == Some(model)).then_some(model)
}

/// The total of the parts.
fn wall_ms(time: &TimeBreakdown) -> Option<f64> {
    let parts: f64 = Part::ALL.into_iter().filter_map(|part| part.of(time)).sum();
    time.wall_ms.or(Some(parts)).filter(|wall_ms| *wall_ms > 0.0)
}

/// The largest part; of two that are equal the one that happens first.
fn largest(time: &TimeBreakdown) -> Option<(Part, f64)> {
    let known = Part::ALL.into_iter().filter_map(|part| Some((part, part.of(time)?)));
    known.rev().max_by(|a, b| a.1.total_cmp(&b.1))
}

impl Headline {
    /// Where the time of these groups of one model each goes: of the one first that most
    /// of it was spent on. `None` where no times are known. `requests` are those of the groups,
    /// where it is to say how much is written.
    #[must_use]
    pub fn of_models(groups: &[Group], requests: &[&Request]) -> Option<Self> {
        let timed = groups.iter().filter_map(|group| {
            let time = group.time.as_ref()?;
            Some((group, wall_ms(time)?, largest(time)?, time.requests))
        });
        let timed: Vec<_> = timed.collect();
        let spent = |at: &usize| timed.get(*at).map_or(0.0, |(_, wall_ms, _, n)| wall_ms * float(*n));
        let most = (0..timed.len()).rev().max_by(|a, b| spent(a).total_cmp(&spent(b)))?;
        let (group, wall_ms, (part, part_ms), _) = *timed.get(most)?;
        let (name, writing) = (&group.name, writing_of(group, part, part_ms, requests));
        let text = |name: &Option<std::sync::Arc<str>>| name.as_deref().map(str::to_owned);
        if timed.len() == 1 && groups.len() == 1 {
            let name = text(name).unwrap_or_else(|| ALL_REQUESTS.to_owned());
            return Some(Self::OneSide { name, wall_ms, part, part_ms, writing });
        }
        let others = timed.iter().enumerate().filter(|(at, _)| *at != most);
        let others = others.map(|(_, (group, wall_ms, ..))| (text(&group.name), *wall_ms)).collect();
        Some(Self::Models { name: text(name), wall_ms, part, part_ms, writing, others })
    }
}

/// How much the requests of a group write, and how fast, where that is its largest part.
fn writing_of(group: &Group, part: Part, part_ms: f64, requests: &[&Request]) -> Option<WritingRate> {
    if part != Part::Write {
        return None;
    }
    let own: Vec<&Request> =
        requests.iter().copied().filter(|request| request.model_group() == group.name).collect();
    let chosen = choose(&own, &mut ExclusionCounts::default());
    rate(part_ms, tokens(part, &chosen)?, group.speeds?)
}

/// The same of a side.
fn writing(side: &Side, chosen: &[Sampled<'_>]) -> Option<WritingRate> {
    let ms = Part::Write.of(side.time.as_ref()?)?;
    rate(ms, tokens(Part::Write, chosen)?, side.speeds?)
}

fn rate(ms: f64, tokens: f64, speeds: Speeds) -> Option<WritingRate> {
    let tokens_per_second = speeds.write_tokens_per_second?;
    let is_rough = is_rough(Part::Write, &speeds);
    is_explained(ms, tokens, tokens_per_second).then_some(WritingRate { tokens, tokens_per_second, is_rough })
}

fn verdict(
    name: &str,
    time: Option<&TimeBreakdown>,
    writing: Option<WritingRate>,
    has_proxy: bool,
) -> Verdict {
    let wall_ms = time.and_then(wall_ms);
    let largest = time.filter(|_| wall_ms.is_some()).and_then(largest);
    let share = |part: Part| Some(part.of(time?)? / wall_ms?);
    let proxy_share = share(Part::Proxy);
    let is_largest = largest.is_some_and(|(part, _)| part == Part::Proxy);
    let proxy_is_bottleneck = is_bottleneck(proxy_share, is_largest, share(Part::Other).unwrap_or(0.0));
    let headline = match (largest, wall_ms) {
        (Some((part, part_ms)), Some(wall_ms)) => {
            let writing = writing.filter(|_| part == Part::Write);
            Headline::OneSide { name: name.to_owned(), wall_ms, part, part_ms, writing }
        }
        _ => match time.map_or(0, |time| time.requests) {
            0 => Headline::TooFew { sides: vec![(name.to_owned(), 0)] },
            requests => Headline::NoTime { name: name.to_owned(), requests },
        },
    };
    Verdict {
        headline,
        cause: largest.map(|(part, _)| MainCause::Time(part)),
        scenario: Scenario::Undetermined,
        confidence: None,
        proxy_is_bottleneck,
        proxy_share,
        key_answer: KeyAnswer {
            text: None,
            has_proxy,
            is_bottleneck: proxy_is_bottleneck,
            share: proxy_share,
            share_of: ShareOf::Wait,
            share_without_proxy: None,
        },
    }
}

fn evidence(name: &str, side: &Side, chosen: &[Sampled<'_>]) -> Vec<CitedFact> {
    let Some((time, wall_ms)) = side.time.as_ref().and_then(|time| Some((time, wall_ms(time)?))) else {
        return Vec::new();
    };
    let mut parts: Vec<(Part, f64)> =
        Part::ALL.into_iter().filter_map(|part| Some((part, part.of(time)?))).collect();
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    parts.retain(|(part, ms)| {
        let is_told = single(*part).is_none_or(|cause| occurrences(chosen, cause).is_some());
        *ms >= LEAST_SHARE * wall_ms && is_told
    });
    let fact = |(part, ms): (Part, f64)| {
        let tokens = tokens(part, chosen);
        let speed = tokens_per_second(part, side);
        Fact::Part {
            part,
            ms,
            wall_ms,
            tokens,
            tokens_per_second: speed.filter(|speed| tokens.is_some_and(|n| is_explained(ms, n, *speed))),
            is_rough: side.speeds.is_some_and(|speeds| is_rough(part, &speeds)),
            occurrences: single(part).and_then(|cause| occurrences(chosen, cause)),
        }
    };
    let is_untold = parts.first().is_some_and(|(part, _)| *part == Part::Other);
    let work = work(name, chosen).filter(|_| is_untold);
    let change = WritingChange::of(chosen).filter(|_| side.model().is_some());
    let change = change.map(|change| Fact::Writing { side: name.to_owned(), change });
    let shared =
        side.speeds.filter(|_| side.model().is_some()).and_then(|speeds| shared(name, chosen, speeds));
    let facts = parts.into_iter().map(fact).chain(work).chain(shared).chain(change);
    let facts = facts.chain(cached(name, chosen)).chain(constant_wait(name, chosen));
    let requests = basis_of(chosen);
    facts.map(|fact| CitedFact { fact, requests: requests.clone() }).collect()
}

pub(super) fn tokens(part: Part, chosen: &[Sampled<'_>]) -> Option<f64> {
    let tokens: fn(&Sampled<'_>) -> Option<f64> = match part {
        Part::Read => |one| Some(one.sample.prompt?.read),
        Part::Write => |one| one.sample.output_tokens,
        _ => return None,
    };
    let known = || chosen.iter().filter_map(tokens);
    mean_of(known()).filter(|_| is_most(known().count(), chosen.len()))
}

/// Whether `tokens` at this speed take about `ms`. They need not: the speed is that of requests
/// that had the backend for themselves, and others shared it.
pub(super) fn is_explained(ms: f64, tokens: f64, tokens_per_second: f64) -> bool {
    const MOST_APART: f64 = 0.25;
    let explained_ms = tokens * 1000.0 / tokens_per_second;
    (explained_ms - ms).abs() <= MOST_APART * ms
}

pub(super) fn tokens_per_second(part: Part, side: &Side) -> Option<f64> {
    match part {
        Part::Read => side.speeds?.read_tokens_per_second,
        Part::Write => side.speeds?.write_tokens_per_second,
        _ => None,
    }
}

/// Whether the speed of a part comes from few requests, or from some that differ much.
pub(super) fn is_rough(part: Part, speeds: &Speeds) -> bool {
    let few = LEAST_REQUESTS as u64;
    match part {
        Part::Read => speeds.n_read < few || is_uneven(speeds),
        _ => speeds.n_write < few,
    }
}

/// Whether prompts were read at so different speeds that the speed of all is of none.
pub(super) fn is_uneven(speeds: &Speeds) -> bool {
    const WIDE_SPREAD: f64 = 0.5;
    speeds.spread.is_some_and(|spread| spread > WIDE_SPREAD)
}

/// The cause of a part that happens to single requests.
fn single(part: Part) -> Option<DelayCause> {
    match part {
        Part::Load => Some(DelayCause::ModelLoad),
        Part::Queue => Some(DelayCause::Queueing),
        Part::Stall => Some(DelayCause::Stalls),
        _ => None,
    }
}
