//! A comparison → the facts that its sentences are made of. Every figure was measured,
//! and every fact names the requests that it rests on.

use super::cause::{DelayCause, Part};
use super::compare::{ComparedRequests, Difference, Sampled, mean_of};
use super::direct::Direct;
use super::evidence::{CitedFact, Fact, FigureUnit, Figures, Headline, Occurrences};
use super::missing::{Missing, WouldTell, missing_of};
use super::one_side::{is_explained, is_rough, is_uneven, tokens, tokens_per_second};
use super::side::Side;
use super::verdict::{Lead, Undetermined};
use crate::cost::LEAST_QUEUE_MS;
use crate::model::request::{Request, Source};
use crate::model::stats::float;
use crate::model::timing::{CachedSource, Timing};
use crate::model::{CacheUse, SpeedSource, Speeds};

/// Contributions below this share are not worth a sentence.
const LEAST_SHARE: f64 = 0.05;
/// Everything that facts are made of. Left comes first in each pair.
pub(super) struct Narrative<'a> {
    pub(super) names: [&'a str; 2],
    pub(super) sides: [&'a Side; 2],
    /// The requests of both sides, before any was left out.
    pub(super) given: [&'a [&'a Request]; 2],
    pub(super) comparison: &'a ComparedRequests<'a>,
    pub(super) difference: Option<&'a Difference>,
    pub(super) finding: Result<Lead, Undetermined>,
    /// The measurements without the proxy, and what of the difference they show.
    pub(super) direct: Option<(&'a Direct, &'a Direct, Option<f64>)>,
}

impl Narrative<'_> {
    /// What the right side takes longer.
    fn delta_ms(&self) -> f64 {
        self.difference.map_or(0.0, |difference| difference.delta.as_f64())
    }

    fn requests(&self) -> [&[Sampled<'_>]; 2] {
        [&self.comparison.left, &self.comparison.right]
    }

    /// The slower of two, then the faster: of left and right.
    fn ordered<T: Copy>(&self, [left, right]: [T; 2]) -> [T; 2] {
        if self.delta_ms() < 0.0 { [left, right] } else { [right, left] }
    }

    fn slower(&self) -> String {
        let [slower, _] = self.ordered(self.names);
        slower.to_owned()
    }

    fn walls_ms(&self) -> [f64; 2] {
        self.requests().map(|side| self.comparison.mean_wall_ms(side))
    }

    pub(super) fn headline(&self) -> Headline {
        let slower = self.slower();
        let [left, right] = self.names.map(str::to_owned);
        match self.finding {
            Ok(finding) => Headline::Slower {
                slower,
                cause: finding.cause,
                figures: self.figures(finding.cause),
                occurrences: self.occurrences(finding.cause),
            },
            Err(Undetermined::Nothing | Undetermined::TooFew) => {
                let completed = self.comparison.completed.map(|n| n as u64);
                let sides = [left, right].into_iter().zip(completed);
                let least = super::verdict::LEAST_REQUESTS as u64;
                Headline::TooFew { sides: sides.filter(|(_, n)| *n < least).collect() }
            }
            Err(Undetermined::Alike) => {
                let [left_ms, right_ms] = self.walls_ms();
                Headline::Alike { left, right, left_ms, right_ms }
            }
            Err(Undetermined::Uncertain) => Headline::Uncertain {
                slower,
                delta_ms: self.delta_ms().abs(),
                interval: self.difference.and_then(|difference| difference.intervals.delta),
            },
            Err(Undetermined::Unexplained(share)) => {
                Headline::Unexplained { slower, share, constant_ms: self.constant_ms() }
            }
        }
    }

    /// How much longer the slower side waits before every answer, where that is most of what
    /// is in no part.
    fn constant_ms(&self) -> Option<f64> {
        let [slower, faster] = self.ordered(self.requests().map(constant_wait_ms));
        let more = slower.unwrap_or(0.0) - faster.unwrap_or(0.0);
        let other = self.difference?.contributions.get(DelayCause::Other)?.as_f64().abs();
        (more > 0.0 && (other - more).abs() <= other / 2.0).then_some(more)
    }

    /// The figures behind a cause, of the slower side and of the faster; `None` where they
    /// are unknown, or do not show what the cause says.
    fn figures(&self, cause: DelayCause) -> Option<Figures> {
        let of = |value: &dyn Fn(&Sampled<'_>) -> Option<f64>, unit| {
            let mean = |side: &[Sampled<'_>]| mean_of(side.iter().filter_map(value));
            let [slower, faster] = self.ordered(self.requests().map(mean));
            Some(Figures { slower: slower?, faster: faster?, unit, are_rough: [false; 2] })
        };
        let figures = match cause {
            DelayCause::Proxy => of(&|one| one.sample.proxy, FigureUnit::Ms),
            DelayCause::ModelLoad => of(&|one| one.sample.load, FigureUnit::Ms),
            DelayCause::Queueing => of(&|one| one.sample.queue, FigureUnit::Ms),
            DelayCause::Stalls => of(&|one| one.sample.stall, FigureUnit::Ms),
            DelayCause::PromptSize => of(&|one| Some(one.sample.prompt?.needed), FigureUnit::Tokens),
            DelayCause::PromptCache => {
                let again = |one: &Sampled<'_>| one.sample.prompt.map(|prompt| prompt.read - prompt.needed);
                of(&again, FigureUnit::Tokens).and_then(|again| self.cache_figures(again))
            }
            DelayCause::OutputLength => of(&|one| one.sample.output_tokens, FigureUnit::Tokens),
            DelayCause::PromptProcessingSpeed => self.speed_figures(Part::Read),
            DelayCause::GenerationSpeed => self.speed_figures(Part::Write),
            DelayCause::Other => None,
        }?;
        // A contribution is a mean of pairs: the means of both sides may tell otherwise.
        let adds = self.difference?.contributions.get(cause)?.as_f64() * self.delta_ms() > 0.0;
        let is_more = match figures.unit {
            FigureUnit::TokensPerSecond | FigureUnit::CachedShare => figures.slower < figures.faster,
            FigureUnit::Ms | FigureUnit::Tokens => figures.slower > figures.faster,
        };
        (adds == is_more).then_some(figures)
    }

    /// The tokens that were read again; where a side read fewer than its own thread had new,
    /// which an earlier recording may have left in the cache, what came from the cache.
    fn cache_figures(&self, again: Figures) -> Option<Figures> {
        let (slower, faster) = (again.slower.max(0.0), again.faster.max(0.0));
        if (slower - faster).abs() * 2.0 >= (again.slower - again.faster).abs() {
            return Some(Figures { slower, faster, ..again });
        }
        let [slower, faster] = self.ordered(self.requests().map(cached_share));
        Some(Figures { slower: slower?, faster: faster?, unit: FigureUnit::CachedShare, ..again })
    }

    /// The speeds of both models, where these explain how long the part takes.
    fn speed_figures(&self, part: Part) -> Option<Figures> {
        let [left, right] = self.sides.map(|side| tokens_per_second(part, side));
        let rough = |side: &Side| side.speeds.is_some_and(|speeds| is_rough(part, &speeds));
        let [slower, faster] = self.ordered([left, right]);
        let unit = FigureUnit::TokensPerSecond;
        let are_rough = self.ordered(self.sides).map(rough);
        let figures = Figures { slower: slower?, faster: faster?, unit, are_rough };
        (!self.is_shared(part)).then_some(figures)
    }

    /// Whether the slower side's requests overlap, so that the speed of those that had the
    /// backend for themselves does not explain how long a part takes.
    fn is_shared(&self, part: Part) -> bool {
        let [requests, _] = self.ordered(self.requests());
        let [side, _] = self.ordered(self.sides);
        let ms = side.time.as_ref().and_then(|time| part.of(time));
        let told = ms.zip(tokens(part, requests)).zip(tokens_per_second(part, side));
        let is_told = told.is_none_or(|((ms, tokens), speed)| is_explained(ms, tokens, speed));
        !is_told && overlapping(requests) * 2 >= requests.len() as u64
    }

    /// In how many requests of the slower side something happened that happens to single
    /// ones.
    fn occurrences(&self, cause: DelayCause) -> Option<Occurrences> {
        let [slower, _] = self.ordered(self.requests());
        occurrences(slower, cause)
    }

    /// Whether something that happens to single requests happened to any of them.
    fn has_happened(&self, cause: DelayCause) -> bool {
        !cause.is_of_single_requests()
            || self.requests().into_iter().any(|side| occurrences(side, cause).is_some())
    }

    pub(super) fn evidence(&self) -> Vec<CitedFact> {
        let Some(difference) = self.difference else { return Vec::new() };
        let mut facts = vec![self.times()];
        facts.extend(self.contributions(difference));
        if matches!(self.finding, Err(Undetermined::Unexplained(_))) {
            let sides = self.names.into_iter().zip(self.requests());
            let works: Option<Vec<Fact>> = sides.map(|(name, side)| work(name, side)).collect();
            facts.extend(works.into_iter().flatten());
        }
        facts.extend(self.speeds_of_single_requests(difference));
        for (name, side) in self.names.into_iter().zip(self.requests()) {
            facts.extend(cached(name, side));
            facts.extend(constant_wait(name, side));
        }
        for (name, side) in self.names.into_iter().zip(self.requests()) {
            let most = most_keepalives(side).filter(|most| *most > 0);
            facts.extend(most.map(|most| Fact::Keepalives { side: name.to_owned(), most }));
        }
        let basis = self.basis();
        let mut evidence: Vec<CitedFact> =
            facts.into_iter().map(|fact| CitedFact { fact, requests: basis.clone() }).collect();
        let [left, right] = self.names.map(str::to_owned);
        evidence.extend(self.direct.map(|(left_direct, right_direct, share)| CitedFact {
            fact: Fact::Direct {
                left,
                left_direct: left_direct.clone(),
                right,
                right_direct: right_direct.clone(),
                share,
            },
            requests: None,
        }));
        evidence
    }

    fn times(&self) -> Fact {
        let [slower, faster] = self.ordered(self.names).map(str::to_owned);
        let [slower_ms, faster_ms] = self.ordered(self.walls_ms());
        let with_proxy = self.comparison.with_proxy || !self.went_through_a_proxy();
        Fact::Times { slower, faster, slower_ms, faster_ms, with_proxy }
    }

    /// What counts of the contributions, the largest first.
    fn contributions(&self, difference: &Difference) -> Vec<Fact> {
        let shares = difference.shares();
        let mut parts: Vec<(f64, f64, DelayCause)> = shares
            .iter()
            .filter_map(|(cause, share)| Some((share?, difference.contributions.get(cause)?.as_f64(), cause)))
            .filter(|(share, _, cause)| share.abs() >= LEAST_SHARE && self.has_happened(*cause))
            .collect();
        parts.sort_by(|a, b| b.0.total_cmp(&a.0));
        let delta_ms = difference.delta.as_f64().abs();
        let fact = |(share, ms, cause): (f64, f64, DelayCause)| Fact::Contribution {
            cause,
            ms: ms.abs(),
            delta_ms,
            share,
            figures: self.figures(cause),
            occurrences: self.occurrences(cause),
        };
        parts.into_iter().map(fact).collect()
    }

    /// What single requests tell of a speed that adds to the difference, where the speed of all
    /// does not explain it.
    fn speeds_of_single_requests(&self, difference: &Difference) -> Vec<Fact> {
        let shares = difference.shares();
        let adds = |cause| shares.get(cause).is_some_and(|share: f64| share >= LEAST_SHARE);
        let mut facts = Vec::new();
        if adds(DelayCause::PromptProcessingSpeed) {
            let sides = self.names.into_iter().zip(self.sides).zip(self.requests());
            facts.extend(sides.filter_map(|((name, side), requests)| uneven_reading(name, side, requests)));
        }
        if adds(DelayCause::GenerationSpeed) && self.is_shared(Part::Write) {
            let [(name, side), _] = self.ordered([0, 1].map(|at| (self.names[at], self.sides[at])));
            let [requests, _] = self.ordered(self.requests());
            facts.extend(tokens_per_second(Part::Write, side).map(|alone| Fact::SharedWriting {
                side: name.to_owned(),
                n: overlapping(requests),
                of: requests.len() as u64,
                alone,
            }));
        }
        facts
    }

    /// The requests that are compared, by the names of their files.
    fn basis(&self) -> Option<String> {
        let [left, right] = self.requests();
        let (first, second) = (stem(left.first()?), stem(right.first()?));
        if self.comparison.is_paired() {
            return Some(format!("{first} / {second}{}", more(left.len())));
        }
        Some(format!("{first}{} / {second}{}", more(left.len()), more(right.len())))
    }

    /// Whether a proxy may have stood between client and server.
    pub(super) fn went_through_a_proxy(&self) -> bool {
        let compared: Vec<&Request> = self.comparison.both().map(|one| one.request).collect();
        may_have_a_proxy(&if compared.is_empty() { self.given.concat() } else { compared })
    }

    pub(super) fn missing(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        let sides = self.names.into_iter().zip(self.given);
        for ((name, given), completed) in sides.zip(self.comparison.completed) {
            let (side, completed) = (name.to_owned(), completed as u64);
            if completed == 0 {
                missing.push(Missing::Requests { side, would_tell: WouldTell::of_untimed(given) });
            } else if self.finding == Err(Undetermined::TooFew)
                && completed < super::verdict::LEAST_REQUESTS as u64
            {
                missing.push(Missing::MoreRequests { side, completed });
            }
        }
        if self.difference.is_none() {
            return missing;
        }
        let (known, of) = self.comparison.proxy_known;
        if !self.comparison.with_proxy && self.went_through_a_proxy() {
            missing.push(Missing::ProxyTime { known: known as u64, of: of as u64 });
        }
        for (name, side) in self.names.into_iter().zip(self.requests()) {
            missing.extend(missing_of(name, side));
        }
        missing.sort_by_key(|missing| matches!(missing, Missing::WaitBeforeTheProxy { .. }));
        if !self.comparison.is_paired() {
            missing.push(Missing::SamePrompts { pairs: self.comparison.same_prompts as u64 });
        }
        let is_doubtful = |direct: &Direct| direct.doubt.is_some();
        let is_told = self.direct.is_some_and(|(left, right, _)| !is_doubtful(left) && !is_doubtful(right));
        if self.went_through_a_proxy() && !is_told {
            missing.push(Missing::DirectMeasurement);
        }
        missing
    }
}

/// Whether any of these requests was recorded by a proxy; other recorders tell of none.
/// Without requests nothing is told.
pub(super) fn may_have_a_proxy(requests: &[&Request]) -> bool {
    requests.is_empty() || requests.iter().any(|request| request.source == Source::Anyclaude)
}

fn stem(one: &Sampled<'_>) -> String {
    one.request.path.as_ref().file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn more(n: usize) -> String {
    if n > 1 { format!(" and {} more", n - 1) } else { String::new() }
}

/// The requests of one side, by the names of their files.
pub(super) fn basis_of(side: &[Sampled<'_>]) -> Option<String> {
    Some(format!("{}{}", stem(side.first()?), more(side.len())))
}

/// How long the part of a cause is that comes from single requests.
fn single_request_ms(cause: DelayCause) -> Option<fn(&Sampled<'_>) -> Option<f64>> {
    match cause {
        DelayCause::ModelLoad => Some(|one| one.sample.load),
        DelayCause::Queueing => Some(|one| one.sample.queue.filter(|ms| *ms >= float(LEAST_QUEUE_MS))),
        DelayCause::Stalls => Some(|one| one.sample.stall),
        _ => None,
    }
}

/// In how many requests of a side something happened that happens to single ones; `None`
/// where it happened to none.
pub(super) fn occurrences(side: &[Sampled<'_>], cause: DelayCause) -> Option<Occurrences> {
    let ms = single_request_ms(cause)?;
    let n = side.iter().filter(|one| ms(one).is_some_and(|ms| ms > 0.0)).count();
    (n > 0).then_some(Occurrences { n: n as u64, of: side.len() as u64 })
}

fn timing<'a>(one: &'a Sampled<'_>) -> Option<&'a Timing> {
    one.request.timing.as_deref()
}

/// What of a side's prompts came from the prompt cache, as far as that is known.
pub(super) fn cached(name: &str, side: &[Sampled<'_>]) -> Option<Fact> {
    let rank = |source: &CachedSource| match source {
        CachedSource::ServerLog => 0,
        CachedSource::Reported => 1,
        CachedSource::Simulated => 2,
        // Seen of the whole model: what is simulated beside it is next to nothing.
        CachedSource::None => 3,
    };
    let source = |one: &Sampled<'_>| match one.cached_source()? {
        // Seen of this request alone: the others are simulated.
        CachedSource::None if one.request.speed_sample().cache == CacheUse::Reuses => {
            Some(CachedSource::Simulated)
        }
        source => Some(source),
    };
    let share = cached_share(side)?;
    let source = side.iter().filter_map(source).max_by_key(rank)?;
    Some(Fact::Cached { side: name.to_owned(), share, source, evictions: evictions(side, share) })
}

/// In how many requests another prompt gave way in the slot, by the server's log. Where most of
/// the prompts came from the cache all the same, that is no reason for anything.
fn evictions(side: &[Sampled<'_>], cached_share: f64) -> Option<Occurrences> {
    const MOST_CACHED: f64 = 0.5;
    let has_evicted = |one: &&Sampled<'_>| one.request.server_task().is_some_and(|task| task.has_evicted);
    let n = side.iter().filter(has_evicted).count() as u64;
    (n > 0 && cached_share < MOST_CACHED).then_some(Occurrences { n, of: side.len() as u64 })
}

fn cached_share(side: &[Sampled<'_>]) -> Option<f64> {
    let known = || side.iter().filter_map(|one| one.sample.prompt);
    let (mut read, mut all) = (0.0, 0.0);
    for prompt in known() {
        (read, all) = (read + prompt.read, all + prompt.tokens);
    }
    (all > 0.0 && is_most(known().count(), side.len())).then_some(1.0 - read / all)
}

/// How fast single prompts of a side were read, where that differs much and no log of the server
/// tells why.
fn uneven_reading(name: &str, side: &Side, requests: &[Sampled<'_>]) -> Option<Fact> {
    let is_untold = |speeds: &Speeds| is_uneven(speeds) && speeds.source != Some(SpeedSource::ServerLog);
    side.speeds.filter(is_untold)?;
    let told = requests.iter().filter(|one| one.request.speed_sample().reads);
    let mut speeds: Vec<f64> = told.filter_map(|one| timing(one)?.read_tokens_per_second()).collect();
    speeds.sort_by(f64::total_cmp);
    let (least, most) = (*speeds.first()?, *speeds.last()?);
    let middle = *speeds.get(speeds.len() / 2)?;
    Some(Fact::UnevenReading { side: name.to_owned(), n: speeds.len() as u64, least, middle, most })
}

/// How many requests of a side overlapped others.
pub(super) fn overlapping(side: &[Sampled<'_>]) -> u64 {
    let is_overlapping = |one: &&Sampled<'_>| one.request.concurrency().is_some_and(|with| with.overlapped);
    side.iter().filter(is_overlapping).count() as u64
}

/// What passes before every answer of a side whatever there is to read, in the mean.
fn constant_wait_ms(side: &[Sampled<'_>]) -> Option<f64> {
    let ms = mean_of(side.iter().map(|one| float(one.request.speed_sample().constant_wait_ms)));
    ms.filter(|ms| *ms > 0.0)
}

pub(super) fn constant_wait(name: &str, side: &[Sampled<'_>]) -> Option<Fact> {
    constant_wait_ms(side).map(|ms| Fact::ConstantWait { side: name.to_owned(), ms })
}

/// How much longer reading took where the backend had other requests at the same time.
pub(super) fn shared(name: &str, side: &[Sampled<'_>], speeds: Speeds) -> Option<Fact> {
    const LEAST_RATIO: f64 = 1.5;
    const LEAST_EXTRA_MS: f64 = 500.0;
    let is_shared = |one: &&Sampled<'_>| one.request.concurrency().is_some_and(|at_once| at_once.overlapped);
    let times = |one: &Sampled<'_>| {
        let timing = timing(one)?;
        Some((float(timing.read_ms.get()?), speeds.reading_ms(float(timing.read_tokens.get()?))?))
    };
    let known: Vec<(f64, f64)> = side.iter().filter(is_shared).filter_map(times).collect();
    let ms = mean_of(known.iter().map(|(ms, _)| *ms))?;
    let alone_ms = mean_of(known.iter().map(|(_, alone)| *alone))?;
    let requests = Occurrences { n: known.len() as u64, of: side.len() as u64 };
    let is_worth_it = ms >= LEAST_RATIO * alone_ms && ms - alone_ms >= LEAST_EXTRA_MS;
    is_worth_it.then(|| Fact::Shared { side: name.to_owned(), requests, ms, alone_ms })
}

/// Whether `known` of `all` requests are enough to speak of all of them.
pub(super) fn is_most(known: usize, all: usize) -> bool {
    const MOST_PERCENT: usize = 90;
    known > 0 && known * 100 >= all * MOST_PERCENT
}

fn most_keepalives(side: &[Sampled<'_>]) -> Option<u64> {
    let keepalives = side.iter().map(|one| timing(one)?.keepalives.get());
    keepalives.reduce(|a, b| Some(a?.max(b?))).flatten()
}

/// How much a side reads and writes, where most of its requests tell.
pub(super) fn work(name: &str, side: &[Sampled<'_>]) -> Option<Fact> {
    let mean = |tokens: &dyn Fn(&Sampled<'_>) -> Option<f64>| {
        let known = || side.iter().filter_map(tokens);
        mean_of(known()).filter(|_| is_most(known().count(), side.len()))
    };
    let read = mean(&|one| Some(one.sample.prompt?.read))?;
    Some(Fact::Work { side: name.to_owned(), read, written: mean(&|one| one.sample.output_tokens)? })
}
