//! The backend reads prompts again that its cache could have held.
//!
//! Condition: [`LEAST_REQUESTS`] requests or more repeat half of an earlier prompt, and one of
//! three things shows that this was read again: the backend is seen to reuse nothing; by its own
//! count it took less than half of what it could have; or each request took as long as reading
//! all of its prompt takes. Requests that read less than [`LEAST_TOKENS`] again do not count.
//! Cost: the time to read that again. Refuted where the backend's own counts say that it did
//! reuse.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::model_load::loaded_ms;
use super::model_swap::swaps;
use super::scene::{Entry, Model, Scene, finding, float, whole};
use super::words::{Count, ModelName, Ms, Of, TokenCount, by_number};
use super::{Advice, CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck};
use crate::analysis::prefix::Addition;
use crate::model::CacheUse;
use crate::model::request::TracePath;

pub(super) const LEAST_REQUESTS: usize = 3;
/// At least this share of a prompt must repeat an earlier one.
pub(super) const LEAST_REUSABLE: f64 = 0.5;

/// A request that read fewer tokens again does not count.
const LEAST_TOKENS: u64 = 500;
/// A shorter time without a request is not named as a possible reason.
const LEAST_IDLE_MINUTES: u64 = 5;

pub(super) struct CacheUnused;

impl Rule for CacheUnused {
    fn kind(&self) -> FindingKind {
        FindingKind::CacheUnused
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        let known = scene.by_model(is_known);
        if known.values().all(|entries| entries.len() < LEAST_REQUESTS) {
            return RuleCheck::NotEnoughData;
        }
        let found = |(model, entries): (&Model, &Vec<&Entry<'_>>)| build_finding(scene, model, entries);
        let found: Vec<Finding> = known.iter().filter_map(found).collect();
        RuleCheck::of(found)
    }

    fn is_refuted(&self, finding: &Finding, scene: &Scene<'_>) -> bool {
        let did_reuse = |entry: &Entry<'_>| {
            let reusable = entry.reusable_tokens().unwrap_or(0);
            entry.counts_cached() && reusable > 0 && cached(entry).unwrap_or(0) * 2 >= reusable
        };
        let says_never = matches!(finding.evidence, Evidence::ReadsAll(_));
        let mut of_model = scene.of_model(&finding.model);
        says_never && of_model.any(did_reuse)
    }
}

fn build_finding(scene: &Scene<'_>, model: &Model, entries: &[&Entry<'_>]) -> Option<Finding> {
    let reads_all = scene.cache(model) == CacheUse::ReadsAll;
    let wasted = wasted(scene, model, entries)?;
    let reusable: u64 = wasted.iter().filter_map(|entry| entry.reusable_tokens()).sum();
    let taken: u64 = wasted.iter().filter_map(|entry| cached(entry)).sum();
    let cost = scene.sum_reading_ms(wasted.iter().map(|entry| (*entry, missed(entry))));
    let count = |n: usize| n as u64;
    let (requests, of) = (count(wasted.len()), count(entries.len()));
    let each_ms = cost.map(|cost| whole(float(cost) / float(requests)));
    let model_name = model.clone();
    let idle = idle_minutes(scene, &wasted);
    let mut advice = Advice::CacheSettings;
    let evidence = if reads_all {
        advice = Advice::OtherEngine;
        let speed = scene.read_tokens_per_second(model);
        let reading = speed.zip(each_ms);
        let reading =
            reading.map(|(tokens_per_second, each_ms)| RepeatedReading { tokens_per_second, each_ms });
        Evidence::ReadsAll(ReadsAll { model: model_name, requests, of, tokens: reusable, reading })
    } else if wasted.iter().all(|entry| is_read_whole_unchanged(entry)) {
        let idle_minutes = idle.map(|(least, _)| least);
        Evidence::ReadsWhole(ReadsWhole {
            model: model_name,
            requests,
            of,
            tokens: reusable,
            each_ms,
            idle_minutes,
        })
    } else {
        let adds = addition(entries, &wasted);
        if let Some(adds) = adds {
            advice = Advice::AppendOnly(adds);
        } else if let Some((_, most)) = idle.filter(|_| may_be_unloaded(&wasted, taken, reusable)) {
            advice = Advice::KeepLoaded { idle_minutes: Some(most) };
        }
        Evidence::ReusesLittle(ReusesLittle {
            model: model_name,
            requests,
            cached_tokens: taken,
            reusable_tokens: reusable,
            idle_minutes: idle.map(|(least, _)| least),
            adds,
        })
    };
    let mut found = finding(FindingKind::CacheUnused, wasted, evidence).costing(cost, CostBasis::Fitted);
    found.advice = Some(advice);
    Some(found)
}

/// The requests of a model that read again what its cache could have held, if they are at least
/// [`LEAST_REQUESTS`].
fn wasted<'s, 'a>(scene: &Scene<'a>, model: &Model, entries: &[&'s Entry<'a>]) -> Option<Vec<&'s Entry<'a>>> {
    // The cost of a load includes what it emptied the cache of.
    let is_loaded = |entry: &Entry<'_>| loaded_ms(entry).is_some_and(|ms| ms > 0);
    // The cost of a swap includes the cache that it emptied.
    let swapped = swaps(scene).get(model).into_iter().flatten().filter_map(|at| scene.entries.get(*at));
    let swapped: BTreeSet<&TracePath> = swapped.map(|entry| &entry.request.path).collect();
    let repeats = |entry: &Entry<'_>| {
        entry.reusable_share().is_some_and(|share| share >= LEAST_REUSABLE)
            && !is_loaded(entry)
            && !swapped.contains(&entry.request.path)
    };
    let reads_all = scene.cache(model) == CacheUse::ReadsAll;
    let is_little = |entry: &Entry<'_>| {
        entry.counts_cached() && cached(entry).unwrap_or(0) * 2 < entry.reusable_tokens().unwrap_or(0)
    };
    let is_wasted = |entry: &&&Entry<'_>| {
        repeats(entry)
            && missed(entry) >= LEAST_TOKENS
            && (is_little(entry) || is_read_whole_unchanged(entry) || reads_all && !entry.counts_cached())
    };
    let wasted: Vec<&Entry<'_>> = entries.iter().filter(is_wasted).copied().collect();
    (wasted.len() >= LEAST_REQUESTS).then_some(wasted)
}

/// Whether it was read whole, and no other finding accounts for that by a change in its prompt.
fn is_read_whole_unchanged(entry: &Entry<'_>) -> bool {
    entry.is_read_whole() && entry.loss.is_none()
}

/// What all of these prompts append, and none of those that the cache did serve.
fn addition(entries: &[&Entry<'_>], wasted: &[&Entry<'_>]) -> Option<Addition> {
    let adds = |entry: &&Entry<'_>| entry.cached.and_then(|cached| cached.adds);
    let reason = adds(wasted.first()?)?;
    let is_served = |entry: &&&Entry<'_>| {
        let repeats = entry.reusable_share().is_some_and(|share| share >= LEAST_REUSABLE);
        repeats && entry.counts_cached() && missed(entry) < LEAST_TOKENS
    };
    let served: Vec<_> = entries.iter().filter(is_served).collect();
    // Users write now and then; who adds a system message may do so each time.
    let are_enough = reason == Addition::SystemMessage || served.len() >= LEAST_REQUESTS;
    let is_reason = wasted.iter().all(|entry| adds(entry) == Some(reason))
        && served.iter().all(|entry| adds(entry) != Some(reason));
    (are_enough && is_reason).then_some(reason)
}

/// Whether the cache was empty, and no time to first token tells whether the model was loaded.
fn may_be_unloaded(wasted: &[&Entry<'_>], taken: u64, reusable: u64) -> bool {
    let tells = |entry: &&Entry<'_>| entry.timing().is_some_and(|timing| timing.ttft_ms.is_known());
    taken * 10 < reusable && !wasted.iter().any(tells)
}

/// The tokens that the cache could have held and that were read again.
fn missed(entry: &Entry<'_>) -> u64 {
    entry.reusable_tokens().unwrap_or(0).saturating_sub(cached(entry).unwrap_or(0))
}

/// Whether it is known what came from the cache, and what could have.
fn is_known(entry: &Entry<'_>) -> bool {
    cached(entry).is_some() && entry.reusable_tokens().is_some()
}

/// For how long at least, and at most, the backend had no request before these; `None` where
/// one of them came sooner after another.
fn idle_minutes(scene: &Scene<'_>, wasted: &[&Entry<'_>]) -> Option<(u64, u64)> {
    let idle_minutes = |entry: &&Entry<'_>| {
        let idle_ms = entry.start()?.ms_since(scene.before_entry(entry)?.end()?);
        u64::try_from(idle_ms / 60_000).ok().filter(|minutes| *minutes >= LEAST_IDLE_MINUTES)
    };
    let idle: Vec<u64> = wasted.iter().map(idle_minutes).collect::<Option<_>>()?;
    Some((*idle.iter().min()?, *idle.iter().max()?))
}

fn cached(entry: &Entry<'_>) -> Option<u64> {
    entry.timing()?.cached_tokens.get()
}

/// What a backend that reuses nothing reads again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ReadsAll {
    /// The model.
    pub model: Option<Arc<str>>,
    /// How many requests repeated half of an earlier prompt or more.
    pub requests: u64,
    /// How many there were.
    pub of: u64,
    /// What could have been reused of them.
    pub tokens: u64,
    /// How long reading that again takes, where it is known.
    pub reading: Option<RepeatedReading>,
}

/// How long a prompt that could have been reused takes to be read again.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RepeatedReading {
    /// How fast the model reads.
    pub tokens_per_second: f64,
    /// What each request lost, in the mean.
    pub each_ms: u64,
}

/// Which requests took as long as reading all of their prompt takes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ReadsWhole {
    /// The model.
    pub model: Option<Arc<str>>,
    /// How many requests.
    pub requests: u64,
    /// How many there were.
    pub of: u64,
    /// What could have been reused of them.
    pub tokens: u64,
    /// What each lost, in the mean.
    pub each_ms: Option<u64>,
    /// Each came so many minutes after the request before it, or more; `None` where
    /// not all came after a pause.
    pub idle_minutes: Option<u64>,
}

/// How much less a backend reuses than it could.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ReusesLittle {
    /// The model.
    pub model: Option<Arc<str>>,
    /// How many requests.
    pub requests: u64,
    /// What it says it took from its cache.
    pub cached_tokens: u64,
    /// What it could have taken.
    pub reusable_tokens: u64,
    /// Each came so many minutes after the request before it, or more; `None` where
    /// not all came after a pause.
    pub idle_minutes: Option<u64>,
    /// What all of them append, and none of those that the cache did serve.
    pub adds: Option<Addition>,
}

impl Display for ReadsAll {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let requests = self.requests;
        write!(
            f,
            "{} reads its whole prompt again on every turn: its backend reuses no prompt cache, although \
             {} {} most of an earlier prompt, {}{}",
            ModelName(&self.model).leading(),
            Of(requests, self.of),
            by_number(requests, "repeats", "repeat"),
            TokenCount(self.tokens),
            by_number(requests, "", " in all"),
        )?;
        if let Some(RepeatedReading { tokens_per_second, each_ms }) = self.reading {
            write!(f, "; at {tokens_per_second:.0} tokens/s that is {} each time", Ms(each_ms))?;
        }
        f.write_str(".")
    }
}

impl Display for ReadsWhole {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let requests = self.requests;
        write!(
            f,
            "{} to {} took as long as reading all of {} takes, although the backend had read {} of {} before",
            Of(requests, self.of),
            ModelName(&self.model),
            by_number(requests, "its prompt", "their prompts"),
            TokenCount(self.tokens),
            by_number(requests, "it", "them"),
        )?;
        if let Some(each_ms) = self.each_ms {
            write!(f, ": {} more each time", Ms(each_ms))?;
        }
        if let Some(minutes) = self.idle_minutes {
            write!(f, ", each after {} or more without a request", Count(minutes, "minute"))?;
        }
        f.write_str(".")
    }
}

impl Display for ReusesLittle {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "The backend of {} took {} of {} from its cache by its own count, although {} {} of earlier ones",
            ModelName(&self.model),
            TokenCount(self.cached_tokens),
            Count(self.requests, "request"),
            by_number(self.requests, "its prompt repeats", "their prompts repeat"),
            TokenCount(self.reusable_tokens),
        )?;
        if let Some(minutes) = self.idle_minutes {
            write!(f, "; each came after {} or more without a request", Count(minutes, "minute"))?;
        }
        f.write_str(match self.adds {
            Some(Addition::SystemMessage) => {
                "; each of them adds a message of the role system, which some servers move to the front of the \
                 prompt."
            }
            Some(Addition::UserText) => {
                "; they are those in which the user writes again, at which some chat templates drop the \
                 thinking of earlier turns."
            }
            None => ".",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check_with, refuted_with, speeds};
    use super::*;

    /// 10,000 tokens of which so many percent are a repetition; 500 tokens/s.
    fn turn(percent: u64, cached: u64) -> Made {
        Made::new().prompt(10_000).reusable(percent).cached(cached, false).read(10_000 - cached, 20_000)
    }

    fn check(cache: CacheUse, made: &[Made]) -> RuleCheck {
        check_with(&CacheUnused, made, |input| input.speeds = speeds(cache))
    }

    #[test]
    fn three_requests_that_repeat_half_and_are_read_whole_show_it() {
        let made = [turn(0, 0), turn(50, 0), turn(60, 0), turn(90, 0)];
        let RuleCheck::Found(found) = check(CacheUse::ReadsAll, &made) else { panic!() };
        assert_eq!((found[0].requests.len(), found[0].cost_ms), (3, Some(40_000)));
        assert_eq!(found[0].advice, Some(Advice::OtherEngine));
    }

    #[test]
    fn prompts_of_a_few_words_are_not_worth_it() {
        let title = |tokens| Made::new().prompt(tokens).reusable(50).cached(0, false).read(tokens, 900);
        let found = |tokens| check(CacheUse::ReadsAll, &vec![title(tokens); 3]);
        assert_eq!(found(998), RuleCheck::Ok);
        assert!(matches!(found(1_000), RuleCheck::Found(_)));
    }

    #[test]
    fn a_cache_that_a_load_emptied_is_not_unused() {
        let made = [turn(0, 0), turn(50, 0), turn(60, 0), turn(90, 0).load(9_000)];
        assert_eq!(check(CacheUse::ReadsAll, &made), RuleCheck::Ok);
    }

    #[test]
    fn two_requests_or_smaller_repetitions_do_not_show_it() {
        let made = [turn(0, 0), turn(49, 0), turn(60, 0), turn(90, 0)];
        assert_eq!(check(CacheUse::ReadsAll, &made), RuleCheck::Ok);
        let made = [turn(50, 0), turn(60, 0), turn(90, 0)];
        assert_eq!(check(CacheUse::Reuses, &made), RuleCheck::Ok);
        assert_eq!(check(CacheUse::ReadsAll, &made[..2]), RuleCheck::NotEnoughData);
    }

    #[test]
    fn counts_below_half_of_what_was_there_show_it_too() {
        let counted = |cached| turn(80, cached).cached(cached, true);
        let made = [counted(3_999), counted(3_999), counted(3_999)];
        let RuleCheck::Found(found) = check(CacheUse::Reuses, &made) else { panic!() };
        assert_eq!(found[0].advice, Some(Advice::CacheSettings));
        let made = [counted(4_000), counted(3_999), counted(3_999)];
        assert_eq!(check(CacheUse::Reuses, &made), RuleCheck::Ok);
    }

    /// 10,000 tokens, of which an earlier prompt had 9,000; so many came from the cache.
    fn counted(cached: u64) -> Made {
        turn(90, cached).cached(cached, true).again(9_000 - i64::try_from(cached).unwrap())
    }

    #[test]
    fn what_all_of_them_append_and_no_other_is_named() {
        let said = |adds, made: &[Made]| {
            let all: Vec<Made> =
                vec![counted(4_000).adds(adds); 3].into_iter().chain(made.to_vec()).collect();
            let RuleCheck::Found(found) = check(CacheUse::Reuses, &all) else { panic!() };
            (found[0].advice.clone().unwrap(), found[0].evidence.to_string())
        };
        let (advice, evidence) = said(Addition::SystemMessage, &[]);
        assert_eq!(advice, Advice::AppendOnly(Addition::SystemMessage));
        assert!(
            evidence.contains("of the role system") && advice.to_string().contains("totalTokensReminder")
        );
        let served = |n: usize| vec![counted(9_000); n];
        let (advice, evidence) = said(Addition::UserText, &served(3));
        assert!(evidence.contains("the user writes again") && advice.to_string().contains("thinking"));
        assert_eq!(said(Addition::UserText, &served(2)).0, Advice::CacheSettings, "too few others");
        let other = [counted(9_000).adds(Addition::SystemMessage)];
        assert_eq!(said(Addition::SystemMessage, &other).0, Advice::CacheSettings, "one came from the cache");
        let other = [counted(4_000)];
        assert_eq!(said(Addition::SystemMessage, &other).0, Advice::CacheSettings, "one without it did not");
    }

    #[test]
    fn a_cache_that_is_empty_after_each_pause_may_have_been_unloaded() {
        let after = |minutes: i64| counted(0).at(minutes * 60_000);
        let made = |last: Made| [turn(0, 0).at(0), after(7), after(20), last];
        let said = |last: Made| {
            let RuleCheck::Found(found) = check(CacheUse::Reuses, &made(last)) else { panic!() };
            (found[0].advice.clone(), found[0].evidence.to_string())
        };
        let (advice, evidence) = said(after(40));
        assert_eq!(advice, Some(Advice::KeepLoaded { idle_minutes: Some(19) }));
        assert!(evidence.contains("each came after 6 minutes or more"), "{evidence}");
        assert_eq!(
            said(after(40).first_token(20_000)).0,
            Some(Advice::CacheSettings),
            "no load was waited for"
        );
        assert_eq!(said(after(21)).0, Some(Advice::CacheSettings));
    }

    #[test]
    fn requests_whose_time_is_that_of_their_whole_prompt_show_it_and_after_which_pause() {
        let read_whole = |minutes: i64| turn(90, 0).at(minutes * 60_000).read_whole();
        let made =
            [turn(0, 0).at(0), read_whole(7), read_whole(20), read_whole(40), turn(90, 9_000).at(2_401_000)];
        let RuleCheck::Found(found) = check(CacheUse::Reuses, &made) else { panic!() };
        let Evidence::ReadsWhole(ReadsWhole { requests, of, tokens, each_ms, idle_minutes, .. }) =
            found[0].evidence
        else {
            panic!()
        };
        assert_eq!((requests, of, tokens, each_ms), (3, 5, 27_000, Some(18_000)));
        assert_eq!(idle_minutes, Some(6));
        assert_eq!(found[0].advice, Some(Advice::CacheSettings));
        let made = [turn(0, 0).at(0), read_whole(7), read_whole(8), read_whole(40)];
        let RuleCheck::Found(found) = check(CacheUse::Reuses, &made) else { panic!() };
        assert!(matches!(found[0].evidence, Evidence::ReadsWhole(ReadsWhole { idle_minutes: None, .. })));
        assert_eq!(check(CacheUse::Reuses, &made[..3]), RuleCheck::Ok, "two are too few");
    }

    #[test]
    fn a_log_without_bodies_tells_what_its_slots_held() {
        let held = |tokens| turn(0, 0).cached(100, true).held(tokens);
        let made = [held(9_000), held(8_000), held(7_000)];
        let RuleCheck::Found(found) = check(CacheUse::Unknown, &made) else { panic!() };
        let Evidence::ReusesLittle(ReusesLittle { cached_tokens, reusable_tokens, .. }) = &found[0].evidence
        else {
            panic!()
        };
        assert_eq!((*cached_tokens, *reusable_tokens), (300, 24_000));
        let made = [held(9_000), held(8_000), held(4_000)];
        assert_eq!(check(CacheUse::Unknown, &made), RuleCheck::Ok);
    }

    #[test]
    fn a_count_of_reused_tokens_refutes_a_backend_that_reuses_nothing() {
        let made = [turn(50, 0), turn(60, 0), turn(90, 0), turn(90, 4_500).cached(4_500, true)];
        let set = |input: &mut super::super::FindingsInput<'_>| input.speeds = speeds(CacheUse::ReadsAll);
        assert!(refuted_with(&CacheUnused, &made, set));
        assert!(!refuted_with(&CacheUnused, &made[..3], set));
    }
}
