//! Prompts do not fit into the context that the model was loaded with.
//!
//! Condition: the backend refused requests in words that name its context; or its log says
//! that it dropped tokens; or its count of prompt tokens stays the same in [`LEAST_PLATEAU`]
//! requests of a thread while their prompts grow, and the proxy did not cut the history. The
//! cost is unknown: nothing tells how long requests with a larger context would take.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::history_truncated::truncation;
use super::scene::{Entry, Scene, finding, float, whole};
use super::words::{ModelName, Of, WholeNumber};
use super::{Advice, Evidence, Finding, FindingKind, Rule, RuleCheck};
use crate::model::ContextCut;
use crate::model::intern::FastMap;
use crate::model::timing::Outcome;

const LEAST_PLATEAU: usize = 3;
/// Counts that differ by no more than this are the same.
const PLATEAU_WIDTH: f64 = 0.01;
/// Meanwhile prompts must grow to at least this many times their size.
const LEAST_GROWTH: f64 = 1.1;
/// A larger number is no number of tokens of a context.
const MOST_CONTEXT: u64 = 10_000_000;

pub(super) struct ContextOverflow;

impl Rule for ContextOverflow {
    fn kind(&self) -> FindingKind {
        FindingKind::ContextOverflow
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        let refused = scene
            .by_model(|entry| entry.claim == Some(FindingKind::ContextOverflow))
            .into_values()
            .filter_map(|entries| refused(scene, &entries));
        let dropped = scene.by_model(|entry| cut(entry).is_some()).into_values();
        let dropped = dropped.filter_map(|entries| dropped_tokens(scene, &entries));
        let stopped = plateaus(scene).filter_map(|entries| stopped(scene, &entries));
        let found: Vec<Finding> = refused.chain(dropped).chain(stopped).collect();
        RuleCheck::of(found)
    }
}

/// Whether the backend refused it because of its size.
pub(super) fn is_refused(entry: &Entry<'_>) -> bool {
    let Some(error) = entry.timing().and_then(|timing| timing.error.as_deref()) else { return false };
    let error = error.to_ascii_lowercase();
    let words = [
        "n_ctx",
        "n_keep",
        "context length",
        "context size",
        "context window",
        "context_length_exceeded",
        "exceed_context_size",
        "maximum context",
        "prompt is too long",
    ];
    words.iter().any(|word| error.contains(word))
}

fn refused(scene: &Scene<'_>, entries: &[&Entry<'_>]) -> Option<Finding> {
    let last = entries.last()?;
    let figures: Vec<RefusalCounts> = entries
        .iter()
        .filter_map(|entry| Some(RefusalCounts::of(entry.timing()?.error.as_deref()?)))
        .collect();
    let needed_tokens = figures.iter().filter_map(|figures| figures.needed).max();
    let context_tokens = figures.iter().filter_map(|figures| figures.context).max();
    Some(build_finding(scene, last, entries, OverflowSign::Refused { needed_tokens, context_tokens }))
}

/// What the server's log says of tokens that it dropped.
fn cut(entry: &Entry<'_>) -> Option<ContextCut> {
    entry.request.server_task()?.cut.as_deref().copied()
}

fn dropped_tokens(scene: &Scene<'_>, entries: &[&Entry<'_>]) -> Option<Finding> {
    let last = entries.last()?;
    let most = |of: fn(ContextCut) -> Option<u64>| entries.iter().filter_map(|entry| of(cut(entry)?)).max();
    let context_tokens = most(|cut| cut.context_tokens);
    let sign = match most(|cut| cut.whole_prompt_tokens) {
        Some(needed_tokens) => OverflowSign::Cut { needed_tokens, context_tokens },
        None => OverflowSign::Full { context_tokens },
    };
    Some(build_finding(scene, last, entries, sign))
}

fn build_finding(scene: &Scene<'_>, last: &Entry<'_>, entries: &[&Entry<'_>], sign: OverflowSign) -> Finding {
    let of = scene.count_of_model(&last.model);
    let evidence = Evidence::ContextOverflow(ContextOverflows {
        model: last.model.clone(),
        requests: entries.len() as u64,
        of: of as u64,
        sign,
    });
    let mut found = finding(FindingKind::ContextOverflow, entries.iter().copied(), evidence);
    found.advice = Some(larger_context(scene, last, sign.least_tokens()));
    found
}

/// What to do where prompts of this model need so many tokens. A server that divides its context
/// among slots has to be given as much for each of them: its log says so of the requests that it
/// answered, which those that it refused are not.
fn larger_context(scene: &Scene<'_>, last: &Entry<'_>, needed_tokens: Option<u64>) -> Advice {
    let of_model = scene.of_model(&last.model);
    let divisors = of_model.filter_map(|entry| entry.request.server_task()?.context_divisor);
    let slots = divisors.max().map(|slots| u64::from(slots.get()));
    Advice::LargerContext { tokens: needed_tokens.map(enough), slots }
}

/// A usual size of contexts that leaves an answer a quarter of the prompt's room.
fn enough(needed: u64) -> u64 {
    needed.saturating_add(needed / 4).checked_next_power_of_two().unwrap_or(needed)
}

/// The figures in the words of a refusal.
#[derive(Debug, Default, PartialEq, Eq)]
struct RefusalCounts {
    needed: Option<u64>,
    context: Option<u64>,
}

impl RefusalCounts {
    /// The two largest figures that can be numbers of tokens: what does not fit is the
    /// larger one.
    fn of(error: &str) -> Self {
        let is_joint = |c: char| c.is_ascii_digit() || c == ',';
        let numbers = error.split(|c| !is_joint(c)).filter_map(|word| {
            let digits: String = word.chars().filter(char::is_ascii_digit).collect();
            digits.parse().ok().filter(|number| (512..MOST_CONTEXT).contains(number))
        });
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable();
        numbers.dedup();
        match *numbers.as_slice() {
            [] => Self::default(),
            [context] => Self { needed: None, context: Some(context) },
            [.., context, needed] => Self { needed: Some(needed), context: Some(context) },
        }
    }
}

/// The ends of threads in which the count of prompt tokens stays the same while prompts
/// grow.
pub(super) fn plateaus<'s, 'a>(scene: &'s Scene<'a>) -> impl Iterator<Item = Vec<&'s Entry<'a>>> {
    // Two rules ask. To group the requests by thread for each, in a sorted map, took a twentieth
    // of `summary`'s time after reading.
    let plateaus = scene.plateaus.get_or_init(|| found_plateaus(&scene.entries));
    plateaus.iter().map(|places| places.iter().filter_map(|at| scene.entries.get(*at)).collect())
}

fn found_plateaus(entries: &[Entry<'_>]) -> Vec<Vec<usize>> {
    let mut threads: FastMap<_, Vec<usize>> = FastMap::default();
    let is_uncut = |entry: &Entry<'_>| reported(entry).is_some() && cut(entry).is_none();
    for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| is_uncut(entry)) {
        let key = (&entry.model, &entry.request.session, &entry.request.thread);
        threads.entry(key).or_default().push(at);
    }
    let mut threads: Vec<_> = threads.into_iter().collect();
    threads.sort_unstable();
    let plateau = |(_, mut places): (_, Vec<usize>)| {
        let thread: Vec<&Entry<'_>> = places.iter().filter_map(|at| entries.get(*at)).collect();
        places.drain(..plateau_from(&thread)?);
        Some(places)
    };
    threads.into_iter().filter_map(plateau).collect()
}

/// The index of the request of a thread from which on the count stays the same.
fn plateau_from(thread: &[&Entry<'_>]) -> Option<usize> {
    let most = thread.iter().filter_map(|entry| reported(entry)).max()?;
    let is_on_it = |entry: &Entry<'_>| {
        reported(entry).is_some_and(|tokens| float(tokens) >= float(most) * (1.0 - PLATEAU_WIDTH))
    };
    let from = thread.iter().rposition(|entry| !is_on_it(entry))? + 1;
    let (before, on_it) = thread.split_at_checked(from)?;
    let (first, last) = (on_it.first()?, on_it.last()?);
    let bytes = |entry: &Entry<'_>| entry.request.sizes.body_bytes.get().map(float);
    let has_grown = bytes(last)? >= bytes(first)? * LEAST_GROWTH;
    // Counts that were lower before did follow the sizes, so that they are counts at all.
    let lowest = before.iter().filter_map(|entry| reported(entry)).min()?;
    let follows = float(lowest) < float(most) * (1.0 - 5.0 * PLATEAU_WIDTH);
    let is_cut_by_proxy = on_it.iter().any(|entry| truncation(entry).is_some());
    (on_it.len() >= LEAST_PLATEAU && has_grown && follows && !is_cut_by_proxy).then_some(from)
}

fn stopped(scene: &Scene<'_>, entries: &[&Entry<'_>]) -> Option<Finding> {
    let last = entries.last()?;
    let most = entries.iter().filter_map(|entry| reported(entry)).max()?;
    // The first one filled the context; the last one is larger by as much as its body.
    let first = float(entries.first()?.request.sizes.body_bytes.get()?);
    let needed_tokens = whole(float(most) * float(last.request.sizes.body_bytes.get()?) / first);
    let sign = OverflowSign::StoppedGrowing { needed_tokens, context_tokens: most };
    Some(build_finding(scene, last, entries, sign))
}

/// What the backend reported as prompt tokens of a request that it answered.
fn reported(entry: &Entry<'_>) -> Option<u64> {
    let timing = entry.timing()?;
    let is_answered = timing.outcome == Some(Outcome::Completed);
    timing.prompt_tokens.get().filter(|tokens| is_answered && (1..MOST_CONTEXT).contains(tokens))
}

/// Which prompts do not fit, and what tells.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ContextOverflows {
    /// The model.
    pub model: Option<Arc<str>>,
    /// How many requests.
    pub requests: u64,
    /// How many there were.
    pub of: u64,
    /// What tells, and the sizes that it tells.
    pub sign: OverflowSign,
}

/// What tells that prompts do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverflowSign {
    /// The backend refused them.
    Refused {
        /// The largest prompt, where its words tell.
        needed_tokens: Option<u64>,
        /// What fits, where its words tell.
        context_tokens: Option<u64>,
    },
    /// Its log says that it cut prompts.
    Cut {
        /// The largest prompt before it was cut.
        needed_tokens: u64,
        /// What fits.
        context_tokens: Option<u64>,
    },
    /// Its log says that it dropped tokens when its context was full.
    Full {
        /// What fits.
        context_tokens: Option<u64>,
    },
    /// Its count of prompt tokens stays where it is while prompts grow.
    StoppedGrowing {
        /// The largest prompt, by the growth of the bodies.
        needed_tokens: u64,
        /// Where the count stays.
        context_tokens: u64,
    },
}

impl OverflowSign {
    /// The tokens that a context needs room for, answers not counted.
    fn least_tokens(self) -> Option<u64> {
        match self {
            Self::Refused { needed_tokens, .. } => needed_tokens,
            Self::Cut { needed_tokens, .. } | Self::StoppedGrowing { needed_tokens, .. } => {
                Some(needed_tokens)
            }
            // An answer that fills the context needs more than that.
            Self::Full { context_tokens } => context_tokens,
        }
    }
}

impl Display for ContextOverflows {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (model, requests) = (ModelName(&self.model), Of(self.requests, self.of));
        match self.sign {
            OverflowSign::Refused { needed_tokens, context_tokens } => {
                write!(f, "The backend refused {requests} to {model}: ")?;
                refusal(f, needed_tokens, context_tokens)
            }
            OverflowSign::Cut { needed_tokens, context_tokens } => {
                write!(
                    f,
                    "The server of {model} cut the prompts of {requests}, and told nobody but its log"
                )?;
                if let Some(fits) = context_tokens {
                    let (needed, fits) = (WholeNumber(needed_tokens), WholeNumber(fits));
                    write!(f, ": {needed} tokens do not fit into its context of {fits}")?;
                }
                f.write_str(".")
            }
            OverflowSign::Full { context_tokens } => {
                write!(
                    f,
                    "The context of {model} was full in {requests}, so that its server dropped a part of the \
                     prompt or of the answer, and told nobody but its log"
                )?;
                if let Some(fits) = context_tokens {
                    write!(f, " (at {} tokens)", WholeNumber(fits))?;
                }
                f.write_str(".")
            }
            OverflowSign::StoppedGrowing { context_tokens, .. } => write!(
                f,
                "The backend of {model} cut {requests}: its count of prompt tokens stays where it is while \
                 prompts grow (at {} tokens).",
                WholeNumber(context_tokens)
            ),
        }
    }
}

/// What a refusal says of sizes.
fn refusal(f: &mut Formatter<'_>, needed_tokens: Option<u64>, context_tokens: Option<u64>) -> fmt::Result {
    match (needed_tokens, context_tokens.map(WholeNumber)) {
        (Some(needed), Some(fits)) => write!(
            f,
            "{} tokens do not fit into the context of {fits} that it was loaded with.",
            WholeNumber(needed)
        ),
        (None, Some(fits)) => write!(f, "the prompt does not fit into its context of {fits} tokens."),
        (_, None) => f.write_str("the prompt does not fit into its context."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check};
    use super::*;

    const SAID: &str = "The number of tokens to keep from the initial prompt is greater than the context length \
                        (n_keep: 16603>= n_ctx: 16384)";

    #[test]
    fn a_refusal_tells_what_did_not_fit() {
        let made = [Made::new(), Made::new().failed(SAID), Made::new().failed(SAID)];
        let RuleCheck::Found(found) = check(&ContextOverflow, &made) else { panic!() };
        assert_eq!((found.len(), found[0].requests.len(), found[0].cost_ms), (1, 2, None));
        let said = found[0].evidence.to_string();
        assert!(
            said.contains("2 of 3 requests") && said.contains("16,603") && said.contains("16,384"),
            "{said}"
        );
        assert_eq!(found[0].advice, Some(Advice::LargerContext { tokens: Some(32_768), slots: None }));
        assert_eq!(check(&ContextOverflow, &[Made::new().failed("connect ECONNREFUSED")]), RuleCheck::Ok);
    }

    #[test]
    fn words_of_several_backends_are_read() {
        let figures = |needed, context| RefusalCounts { needed: Some(needed), context: Some(context) };
        assert_eq!(RefusalCounts::of(SAID), figures(16_603, 16_384));
        let openai =
            "This model's maximum context length is 8192 tokens. However, you requested 9,100 tokens";
        assert_eq!(RefusalCounts::of(openai), figures(9_100, 8_192));
        let llama =
            "request (17000 tokens) exceeds the available context size (16384 tokens), try increasing it";
        assert_eq!(RefusalCounts::of(llama), figures(17_000, 16_384));
    }

    #[test]
    fn what_only_the_servers_log_tells_is_said() {
        let made = [Made::new().cut(4_096, Some(22_714)), Made::new(), Made::new().cut(4_096, Some(9_000))];
        let RuleCheck::Found(found) = check(&ContextOverflow, &made) else { panic!() };
        assert_eq!((found.len(), found[0].requests.len(), found[0].cost_ms), (1, 2, None));
        let said = found[0].evidence.to_string();
        assert!(
            said.contains("2 of 3 requests") && said.contains("22,714") && said.contains("4,096"),
            "{said}"
        );
        assert_eq!(found[0].advice, Some(Advice::LargerContext { tokens: Some(32_768), slots: None }));
        let RuleCheck::Found(found) = check(&ContextOverflow, &[Made::new().cut(8_192, None)]) else {
            panic!()
        };
        assert_eq!(found[0].advice, Some(Advice::LargerContext { tokens: Some(16_384), slots: None }));
    }

    #[test]
    fn what_the_log_tells_is_not_said_again_of_counts_that_stop() {
        let made = growing(&[5_000, 6_500, 8_000, 8_190, 8_192, 8_192]);
        let made: Vec<Made> = made
            .into_iter()
            .enumerate()
            .map(|(at, one)| if at < 3 { one } else { one.cut(8_192, Some(9_000)) })
            .collect();
        let RuleCheck::Found(found) = check(&ContextOverflow, &made) else { panic!() };
        assert_eq!((found.len(), found[0].requests.len()), (1, 3));
    }

    fn growing(tokens: &[u64]) -> Vec<Made> {
        let made = tokens.iter().zip(0..);
        made.map(|(&tokens, at)| Made::new().prompt(tokens).body_bytes(20_000 + 6_000 * at)).collect()
    }

    #[test]
    fn counts_that_stop_while_prompts_grow_show_it() {
        let made = growing(&[5_000, 6_500, 8_000, 8_190, 8_192, 8_192]);
        let RuleCheck::Found(found) = check(&ContextOverflow, &made) else { panic!() };
        assert_eq!(found[0].requests.len(), 3);
        assert!(found[0].evidence.to_string().contains("8,192"), "{}", found[0].evidence);
        assert_eq!(check(&ContextOverflow, &growing(&[5_000, 6_500, 8_000, 8_192, 8_192])), RuleCheck::Ok);
    }

    #[test]
    fn a_proxy_that_cuts_refutes_it() {
        let mut made = growing(&[5_000, 6_500, 8_190, 8_192, 8_192]);
        assert!(matches!(check(&ContextOverflow, &made), RuleCheck::Found(_)));
        made[4] = made[4].clone().truncated(2, 8_192);
        assert_eq!(check(&ContextOverflow, &made), RuleCheck::Ok);
    }
}
