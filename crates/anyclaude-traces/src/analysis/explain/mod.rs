//! Requests of a fast and of a slow model → where the slower one lost its time.
//!
//! Requests that answered the same prompt are compared in pairs; where there are
//! none, the groups are compared by their means. The difference is taken apart into
//! five contributions that add up to it: the proxy's own work, the prompt's size
//! and the speed of reading it, the answer's length and the speed of writing it.

mod direct;
mod eligible;
mod figures;
mod pairs;
mod prompt;
mod prose;
mod read;
mod split;
#[cfg(test)]
pub(crate) mod tests;
mod verdict;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::{Serialize, Serializer};

pub use direct::{Direct, Doubt};
pub(crate) use eligible::tells_reading_time;
use eligible::{Candidate, Eligible, ExclusionCounts, choose};
pub use eligible::{LeftOut, LeftOutReason};
use pairs::{Pair, pair};
pub use prompt::{Prompt, PromptVisitor};
use prose::Narrative;
pub use read::read_prompts;
use split::{Sample, Split, Us};
use verdict::{Case, Undetermined, shares, weigh};
pub use verdict::{Cause, Scenario, VerdictConfidence};

use crate::model::SideName;
use crate::model::request::{Request, TracePath};
use crate::model::scope::Scope;

/// What [`explain`] is asked.
#[derive(Debug)]
pub struct ExplainInput<'a> {
    /// Which requests it is about.
    pub scope: Scope,
    /// How the user named the fast side.
    pub left_selector: &'a str,
    /// The requests of the fast side, in order of time.
    pub left: Vec<&'a Request>,
    /// How the user named the slow side.
    pub right_selector: &'a str,
    /// The requests of the slow side, in order of time.
    pub right: Vec<&'a Request>,
    /// What the requests asked, as far as it was read; see [`PromptVisitor`].
    /// Requests that are missing here are in no pair.
    pub prompts: &'a HashMap<TracePath, Prompt>,
    /// What a prompt cache could have reused, where that was worked out.
    pub reuse: &'a HashMap<TracePath, Reuse>,
    /// What both models took without the proxy, where that was measured.
    pub direct: Option<(Direct, Direct)>,
}

/// What a prompt cache could have reused of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reuse {
    /// Bytes that an earlier request had in common with it.
    pub reusable_bytes: u64,
    /// Bytes of the prompt.
    pub prompt_bytes: u64,
}

/// What [`explain`] finds. Left is the fast side, as the user sees it.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Explanation {
    /// Which requests it is about.
    pub scope: Scope,
    /// The left side.
    pub left: SideName,
    /// The right side.
    pub right: SideName,
    /// Whether requests with the same prompt were compared; else groups were.
    pub paired: bool,
    /// How many pairs, or how many requests the smaller group has.
    pub n: u64,
    /// What the right side takes longer in the mean: of `wall_ms`, or of `total_ms`
    /// where the proxy's own time is unknown on a side. `None` without requests.
    pub delta_ms: Option<Millis>,
    /// What makes up the difference.
    pub contributions: Vec<Contribution>,
    /// The answer.
    pub verdict: Verdict,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// What is unknown, and how to find out.
    pub missing: Vec<String>,
    /// What could be done.
    pub advice: Vec<String>,
    /// The requests that took no part.
    pub left_out: Vec<LeftOut>,
}

/// A sentence with figures, and the requests that they are of. Serialised as one
/// text, with the requests in brackets behind the sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evidence {
    /// The sentence.
    pub sentence: String,
    /// The names of the trace files, without their ending: the first pair or the
    /// first of each side, and how many more there are.
    pub requests: Option<String>,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        self.requests.as_ref().map_or(Ok(()), |requests| write!(f, " [{requests}]"))
    }
}

impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Milliseconds, kept as whole microseconds so that sums are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(Us);

impl Millis {
    /// As a number of milliseconds, with up to three decimals.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "times stay far below 2^53 µs")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1000 == 0 {
            return serializer.serialize_i64(self.0 / 1000);
        }
        serializer.serialize_f64(self.as_f64())
    }
}

/// What one cause adds to the difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Contribution {
    /// The cause.
    pub cause: Cause,
    /// Milliseconds; negative where it makes the right side faster, `None` where it
    /// is unknown.
    pub ms: Option<Millis>,
    /// Its share of everything that has the difference's sign: a fraction, negative
    /// where it makes the slower side faster.
    pub share: Option<f64>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Verdict {
    /// The answer in one sentence.
    pub headline: String,
    /// What leads; `None` where it is undetermined.
    pub cause: Option<Cause>,
    /// Which of the guide's scenarios it is.
    pub scenario: Scenario,
    /// How sure it is; `None` where it is undetermined.
    pub confidence: Option<VerdictConfidence>,
}

/// Says where the slower side lost its time.
///
/// The definitions are in the words of the README: only streamed, completed
/// requests whose log lines are certainly theirs are compared; requests that
/// overlap others in the backend and the first one of a process are left out while
/// others remain; and there is no verdict without the figures for it.
///
/// ```
/// use std::collections::HashMap;
///
/// use anyclaude_traces::analysis::explain::{ExplainInput, Scenario, explain};
/// use anyclaude_traces::analysis::explain::read_prompts;
/// use anyclaude_traces::model::scope::{KindFilter, Scope};
///
/// # use anyclaude_traces::Kind;
/// # use anyclaude_traces::Recording;
/// # use anyclaude_traces::Request;
/// # use anyclaude_traces::Store;
/// # let store = Store::default();
/// # let mut recording = Recording::read(&store, ["../../testdata/home/.anyclaude/traces"]);
/// # let window = "2025-10-01T00:00:00Z".parse()?..="2025-12-01T00:00:00Z".parse()?;
/// # recording.join_logs(&store, &[], window, &[]);
/// let of = |model: &str| -> Vec<&Request> {
///     recording.requests.iter().filter(|request| request.model.as_deref() == Some(model)).collect()
/// };
/// let (left, right) = (of("openai/gpt-oss-20b"), of("qwen3-42b-a3b-2507-thinking"));
/// let (prompts, _) = read_prompts(&store, left.iter().chain(&right).copied());
/// let scope = Scope::new(None, None, KindFilter::Only(Kind::Conversation), recording.requests.len() as u64);
/// let (left_selector, right_selector) = ("model:gpt-oss", "model:qwen3-42b");
/// let reuse = &HashMap::new();
/// let question =
///     ExplainInput { scope, left_selector, left, right_selector, right, prompts: &prompts, reuse, direct: None };
/// let found = explain(&question);
/// assert_eq!(found.verdict.scenario, Scenario::A, "{}", found.verdict.headline);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn explain(question: &ExplainInput<'_>) -> Explanation {
    let mut tally = ExclusionCounts::default();
    let left = choose(&question.left, &mut tally);
    let right = choose(&question.right, &mut tally);
    let basis = Comparison::of(question, &left, &right, &mut tally);
    let hidden = (!left.hidden.is_empty() && left.candidates.is_empty())
        || (!right.hidden.is_empty() && right.candidates.is_empty());
    let splits = basis.splits();
    let split = if basis.is_paired() { Split::mean(&splits) } else { splits.first().copied() };
    let totals = hidden.then(|| totals_only(&left, &right)).flatten();
    let finding = match split {
        Some(split) => weigh(&Case {
            split,
            pairs: if basis.is_paired() { &splits } else { &[] },
            n: basis.n(),
            faster: basis.faster(split.proxy.is_some()),
            is_makeshift: basis.is_makeshift,
            reuse: basis.reuse(question.reuse),
        }),
        None if hidden => Err(Undetermined::Hidden),
        None => Err(Undetermined::Nothing),
    };
    let account = Narrative::new(question, &basis, split.as_ref(), totals, finding);
    Explanation {
        scope: question.scope,
        left: SideName::of(question.left_selector, &question.left),
        right: SideName::of(question.right_selector, &question.right),
        paired: basis.is_paired(),
        n: basis.n() as u64,
        delta_ms: split.map(|split| split.delta()).or(totals.map(|totals| totals.delta())).map(Millis),
        contributions: contributions(split.as_ref(), totals),
        verdict: account.verdict(),
        evidence: account.evidence(),
        missing: account.missing(),
        advice: account.advice(),
        left_out: tally.list(),
    }
}

/// Those of these requests whose times can be compared, and how many cannot.
pub(crate) fn timed<'a>(requests: &[&'a Request]) -> (Vec<&'a Request>, Vec<LeftOut>) {
    let mut tally = ExclusionCounts::default();
    let chosen = choose(requests, &mut tally);
    (chosen.candidates.iter().map(|one| one.request).collect(), tally.list())
}

fn contributions(split: Option<&Split>, totals: Option<Totals>) -> Vec<Contribution> {
    let shares = split.map(shares).unwrap_or_default();
    let ms = |cause: Cause| match (split, cause) {
        (Some(split), _) => cause.part(split),
        (None, Cause::Proxy) => totals.and_then(|totals| totals.proxy),
        (None, _) => None,
    };
    let contribution =
        |(cause, share): (Cause, Option<f64>)| Contribution { cause, ms: ms(cause).map(Millis), share };
    Cause::CONTRIBUTING.into_iter().zip(shares).map(contribution).collect()
}

/// The difference where nothing is known of how it splits.
#[derive(Debug, Clone, Copy)]
struct Totals {
    proxy: Option<Us>,
    total: Us,
}

impl Totals {
    fn delta(self) -> Us {
        self.proxy.unwrap_or(0) + self.total
    }
}

/// Compares the totals of everything that has one, where one side has no time to
/// first token that means anything.
fn totals_only(left: &Eligible<'_>, right: &Eligible<'_>) -> Option<Totals> {
    let mean = |chosen: &Eligible<'_>| {
        let all = chosen.candidates.iter().chain(&chosen.hidden);
        Sample::mean(all.map(|one| one.sample()))
    };
    let (left, right) = (mean(left)?, mean(right)?);
    let proxy = left.proxy.zip(right.proxy).map(|(left, right)| right - left);
    Some(Totals { proxy, total: right.total() - left.total() })
}

/// What is compared, and whether nothing was left on some side but requests that
/// should have been left out.
struct Comparison<'a> {
    compared: Compared<'a>,
    is_makeshift: bool,
}

enum Compared<'a> {
    Pairs(Vec<Pair<'a>>),
    Groups(Vec<Candidate<'a>>, Vec<Candidate<'a>>),
}

impl<'a> Comparison<'a> {
    fn of(
        question: &ExplainInput<'_>,
        left: &Eligible<'a>,
        right: &Eligible<'a>,
        tally: &mut ExclusionCounts,
    ) -> Self {
        let prompt_of = |one: &Candidate<'a>| question.prompts.get(&one.request.path).copied();
        let pairs = pair(&left.candidates, &right.candidates, prompt_of);
        if pairs.is_empty() {
            return Self::groups(left, right, tally);
        }
        tally.add(LeftOutReason::Unpaired, left.candidates.len() + right.candidates.len() - 2 * pairs.len());
        let is_calm = |pair: &Pair<'_>| pair.sides().iter().all(|one| one.disturbance().is_none());
        let (pairs, disturbed) = preferring(pairs, is_calm);
        for one in disturbed.iter().flat_map(Pair::sides) {
            tally.add(one.disturbance().unwrap_or(LeftOutReason::Unpaired), 1);
        }
        let is_complete = |pair: &Pair<'_>| pair.sides().iter().all(|one| one.sample().is_complete());
        let (pairs, incomplete) = preferring(pairs, is_complete);
        tally.add(LeftOutReason::NoUsage, 2 * incomplete.len());
        let is_makeshift = !pairs.iter().any(is_calm);
        Self { compared: Compared::Pairs(pairs), is_makeshift }
    }

    fn groups(left: &Eligible<'a>, right: &Eligible<'a>, tally: &mut ExclusionCounts) -> Self {
        let mut is_makeshift = false;
        let mut group = |side: &Eligible<'a>| {
            let is_calm = |one: &Candidate<'_>| one.disturbance().is_none();
            let (calm, disturbed) = preferring(side.candidates.clone(), is_calm);
            disturbed.iter().filter_map(Candidate::disturbance).for_each(|reason| tally.add(reason, 1));
            is_makeshift |= !calm.is_empty() && !calm.iter().any(is_calm);
            let (complete, incomplete) = preferring(calm, |one| one.sample().is_complete());
            tally.add(LeftOutReason::NoUsage, incomplete.len());
            complete
        };
        let (left, right) = (group(left), group(right));
        Self { compared: Compared::Groups(left, right), is_makeshift }
    }

    fn is_paired(&self) -> bool {
        matches!(self.compared, Compared::Pairs(_))
    }

    /// Pairs, or the requests of the smaller group.
    fn n(&self) -> usize {
        match &self.compared {
            Compared::Pairs(pairs) => pairs.len(),
            Compared::Groups(left, right) => left.len().min(right.len()),
        }
    }

    /// The candidates of both sides.
    fn sides(&self) -> [Cow<'_, [Candidate<'a>]>; 2] {
        match &self.compared {
            Compared::Pairs(pairs) => {
                let (left, right): (Vec<_>, Vec<_>) =
                    pairs.iter().map(|pair| (pair.left, pair.right)).unzip();
                [left.into(), right.into()]
            }
            Compared::Groups(left, right) => [left.into(), right.into()],
        }
    }

    /// The samples of both sides in the mean.
    fn means(&self) -> Option<(Sample, Sample)> {
        let [left, right] = self.sides();
        let mean = |side: &[Candidate<'_>]| Sample::mean(side.iter().map(|one| one.sample()));
        mean(&left).zip(mean(&right))
    }

    /// The difference of each pair, or the one of the groups.
    fn splits(&self) -> Vec<Split> {
        match &self.compared {
            Compared::Pairs(pairs) => pairs
                .iter()
                .map(|pair| Split::of(&pair.left.sample(), &pair.right.sample(), pair.equal))
                .collect(),
            Compared::Groups(..) => {
                self.means().map(|(left, right)| Split::of(&left, &right, false)).into_iter().collect()
            }
        }
    }

    /// How long the faster side takes in the mean.
    fn faster(&self, with_proxy: bool) -> Us {
        let time = |sample: Sample| sample.total() + sample.proxy.filter(|_| with_proxy).unwrap_or(0);
        self.means().map_or(0, |(left, right)| time(left).min(time(right)))
    }

    /// What share of both sides' prompts a cache could have reused.
    fn reuse(&self, known: &HashMap<TracePath, Reuse>) -> Option<(f64, f64)> {
        let share = |side: &[Candidate<'_>]| {
            let known: Option<Vec<&Reuse>> = side.iter().map(|one| known.get(&one.request.path)).collect();
            let (reusable, prompt) = known?.iter().fold((0, 0), |(reusable, prompt), reuse| {
                (reusable + reuse.reusable_bytes, prompt + reuse.prompt_bytes)
            });
            #[allow(clippy::cast_precision_loss, reason = "sizes stay far below 2^53")]
            (prompt > 0).then(|| reusable as f64 / prompt as f64)
        };
        let [left, right] = self.sides();
        share(&left).zip(share(&right))
    }
}

/// Those that are preferred, and the others; all of them where none is preferred.
fn preferring<T>(all: Vec<T>, is_preferred: impl Fn(&T) -> bool) -> (Vec<T>, Vec<T>) {
    let preferred = all.iter().filter(|one| is_preferred(one)).count();
    if preferred == 0 || preferred == all.len() {
        return (all, Vec::new());
    }
    all.into_iter().partition(is_preferred)
}
