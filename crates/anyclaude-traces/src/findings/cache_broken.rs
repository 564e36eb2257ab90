//! Something changed early in the prompt, and what follows was read again.
//!
//! Condition: breaks of one cause that lost [`LEAST_TOKENS`] or more each. Cost: the time
//! to read that again. Refuted where the backend reuses nothing anyway. Breaks that other
//! rules account for are left to them.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use super::remedy::is_expected;
use super::scene::{Entry, Model, Scene, finding, sum_whole};
use super::words::{Ms, NameList, Of, TokenCount, by_number};
use super::{
    Advice, CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck, Setting, SettingValue,
    compaction_loop,
};
use crate::analysis::prefix::{Cause, ElementName, ToolsDifference, Volatile, most_per_session};
use crate::model::CacheUse;

const LEAST_TOKENS: u64 = 500;

pub(super) struct CacheBroken;

impl Rule for CacheBroken {
    fn kind(&self) -> FindingKind {
        FindingKind::CacheBroken
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        if scene.entries.iter().all(|entry| entry.cached.is_none()) {
            return RuleCheck::NotEnoughData;
        }
        let mut breaks: BTreeMap<(Cause, Model), Vec<(usize, u64)>> = BTreeMap::new();
        for (at, entry) in scene.entries.iter().enumerate() {
            let Some(cause) = entry.cause().filter(|_| entry.loss == Some(FindingKind::CacheBroken)) else {
                continue;
            };
            if let Some(lost) = lost(entry).filter(|lost| *lost >= LEAST_TOKENS) {
                breaks.entry((cause, entry.model.clone())).or_default().push((at, lost));
            }
        }
        let found = |((cause, _), breaks): (&(Cause, Model), &Vec<(usize, u64)>)| {
            build_finding(scene, *cause, breaks)
        };
        let found: Vec<Finding> = breaks.iter().filter_map(found).collect();
        RuleCheck::of(found)
    }

    fn is_refuted(&self, finding: &Finding, scene: &Scene<'_>) -> bool {
        scene.cache(&finding.model) == CacheUse::ReadsAll
    }
}

/// The tokens that a break cost. After a compaction that is everything behind the summary.
fn lost(entry: &Entry<'_>) -> Option<u64> {
    match entry.cause()? {
        Cause::Compacted => entry.tokens_behind_difference(),
        _ => entry.lost_tokens(),
    }
}

fn build_finding(scene: &Scene<'_>, cause: Cause, breaks: &[(usize, u64)]) -> Option<Finding> {
    let lost: Vec<(&Entry<'_>, u64)> =
        breaks.iter().filter_map(|(at, lost)| Some((scene.entries.get(*at)?, *lost))).collect();
    // `max_by_key` keeps the last of equals: reversed, that is the first.
    let (worst, _) = lost.iter().rev().max_by_key(|(_, lost)| *lost)?;
    let broken = worst.broken()?;
    let requests = lost.len() as u64;
    let of = scene.of_model(&worst.model).filter(|entry| entry.cached.is_some());
    let summaries = breaks.iter().map(|(at, _)| compaction_loop::summary_ms(scene, *at));
    let evidence = Evidence::CacheBroken(CacheBreaks {
        change: PromptChange {
            cause,
            volatile: broken.volatile,
            element: broken.element,
            tools: broken.tools.clone(),
        },
        requests,
        of: of.count() as u64,
        tokens: lost.iter().map(|(_, lost)| lost).sum(),
        summary_ms: sum_whole(summaries).filter(|_| cause == Cause::Compacted),
    });
    let cost = scene.sum_reading_ms(lost.iter().copied());
    let mut found = finding(FindingKind::CacheBroken, lost.iter().map(|(entry, _)| *entry), evidence)
        .costing(cost, CostBasis::Fitted);
    found.cause = Some(cause);
    let most_per_session = most_per_session(lost.iter().map(|(entry, _)| &entry.request.session));
    let mend = || Advice::Mend {
        cause,
        volatile: broken.volatile,
        tools: broken.tools.clone(),
        element: broken.element,
        most_per_session,
    };
    found.advice = (!is_expected(cause, broken.volatile, most_per_session)).then(mend);
    found.settings = setting(cause).map(|setting| vec![setting]);
    Some(found)
}

/// The switch that ends it, where there is one.
fn setting(cause: Cause) -> Option<Setting> {
    match cause {
        Cause::BillingHeader => Some(Setting::of_claude_code(
            "env.CLAUDE_CODE_ATTRIBUTION_HEADER",
            SettingValue::Text("0".to_owned()),
        )),
        Cause::GitStatus => {
            Some(Setting::of_claude_code("includeGitInstructions", SettingValue::Bool(false)))
        }
        _ => None,
    }
}

/// What changed early in prompts, and what had to be read again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CacheBreaks {
    /// What changed.
    pub change: PromptChange,
    /// How many requests it broke.
    pub requests: u64,
    /// How many requests of the model there were.
    pub of: u64,
    /// What had to be read again, in all of them.
    pub tokens: u64,
    /// The time that the summaries before it took, where it is compaction.
    pub summary_ms: Option<u64>,
}

/// What changed in a prompt.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PromptChange {
    /// What.
    pub cause: Cause,
    /// What sort of line changed, where it is one that often does.
    pub volatile: Option<Volatile>,
    /// Where, in the request that lost most.
    pub element: ElementName,
    /// How the tools differ, where they do.
    pub tools: Option<ToolsDifference>,
}

impl Display for CacheBreaks {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "In {} {}, so that the backend had to read {} again{}",
            Of(self.requests, self.of),
            self.change,
            TokenCount(self.tokens),
            by_number(self.requests, "", " in all"),
        )?;
        match self.summary_ms {
            Some(ms) => write!(f, "; writing the summary before that took {}.", Ms(ms)),
            None => f.write_str("."),
        }
    }
}

/// The change as a clause: it follows where it happened, and what it cost follows it.
impl Display for PromptChange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let at = &self.element;
        match self.cause {
            Cause::BillingHeader => write!(f, "the billing header in {at} changed"),
            Cause::DateChanged => write!(f, "the date in {at} changed"),
            Cause::GitStatus => write!(f, "the git status in {at} changed"),
            Cause::ToolsChanged => {
                write!(f, "the tools changed at {at}")?;
                self.tools.as_ref().map_or(Ok(()), |tools| difference(f, tools))
            }
            Cause::ToolOrder => write!(f, "the same tools came in another order from {at} on"),
            Cause::SchemaOrder => write!(f, "the members of {at} came in another order"),
            Cause::SystemMessageInserted => {
                write!(f, "a message of the role system came, moved or went at {at}")
            }
            Cause::HistoryEdited => write!(f, "earlier messages are others from {at} on"),
            Cause::ResultsCleared => {
                write!(f, "old tool results were replaced by placeholders (such as {at})")
            }
            Cause::Compacted => write!(f, "the history was replaced by its summary at {at}"),
            _ => match self.volatile {
                Some(volatile) => write!(f, "{} in {at} changed", volatile.words()),
                None => write!(f, "{at} of the prompt changed"),
            },
        }
    }
}

/// Which tools came, went or changed.
fn difference(f: &mut Formatter<'_>, tools: &ToolsDifference) -> fmt::Result {
    let lists = [("added", &tools.added), ("removed", &tools.removed), ("changed", &tools.changed)];
    let mut joint = " (";
    for (what, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
        write!(f, "{joint}{what}: {}", NameList(names))?;
        joint = "; ";
    }
    if joint == "; " { f.write_str(")") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check_with, find_with, speeds};
    use super::*;

    fn broke(cause: Cause, lost: u64) -> Made {
        Made::new().prompt(10_000).read(9_000, 18_000).broke(cause, lost)
    }

    fn check(made: &[Made]) -> RuleCheck {
        check_with(&CacheBroken, made, |input| input.speeds = speeds(CacheUse::Reuses))
    }

    #[test]
    fn breaks_that_lost_500_tokens_are_summed_by_cause() {
        let made = [
            broke(Cause::GitStatus, 500),
            broke(Cause::GitStatus, 499),
            broke(Cause::GitStatus, 4_500),
            broke(Cause::DateChanged, 1_000),
        ];
        let RuleCheck::Found(found) = check(&made) else { panic!() };
        let git = found.iter().find(|one| one.cause == Some(Cause::GitStatus)).unwrap();
        assert_eq!((git.requests.len(), git.cost_ms), (2, Some(10_000)));
        assert_eq!(git.settings.as_ref().map(Vec::len), Some(1));
        let date = found.iter().find(|one| one.cause == Some(Cause::DateChanged)).unwrap();
        assert!(date.advice.as_ref().unwrap().to_string().contains("once a day"));
        assert_eq!(check(&[broke(Cause::GitStatus, 499)]), RuleCheck::Ok);
    }

    #[test]
    fn a_request_cannot_lose_more_than_it_read() {
        let short = Made::new().prompt(10_000).read(800, 1_600).broke(Cause::ToolsChanged, 9_000);
        let RuleCheck::Found(found) = check(&[short]) else { panic!() };
        assert_eq!(found[0].cost_ms, Some(1_600));
    }

    #[test]
    fn what_was_read_whole_after_a_change_was_lost_whole() {
        // Half of it stands before the change.
        let whole = || Made::new().prompt(10_000).reusable(50).read(10_000, 20_000).read_whole();
        let RuleCheck::Found(found) = check(&[whole().broke(Cause::ToolsChanged, 4_000)]) else { panic!() };
        assert_eq!(found[0].cost_ms, Some(18_000));
    }

    #[test]
    fn a_backend_that_reuses_nothing_refutes_it() {
        let made = [broke(Cause::GitStatus, 4_500)];
        let find = |cache| find_with(&made, |input| input.speeds = speeds(cache));
        assert_eq!(find(CacheUse::Reuses).len(), 1);
        assert!(find(CacheUse::ReadsAll).is_empty());
    }

    #[test]
    fn what_came_once_in_a_session_needs_no_advice() {
        let made = [broke(Cause::Compacted, 900), broke(Cause::Compacted, 900).session("other")];
        let said = |made: &[Made]| match check(made) {
            RuleCheck::Found(found) => found[0].advice.as_ref().map(ToString::to_string),
            other => panic!("{other:?}"),
        };
        assert_eq!(said(&made), None);
        let far = (0..12).map(|_| Made::new()).collect::<Vec<_>>();
        let twice: Vec<Made> = [made[0].clone()].into_iter().chain(far).chain([made[0].clone()]).collect();
        assert!(said(&twice).unwrap().contains("2 times"));
    }

    #[test]
    fn other_causes_are_left_to_their_rules() {
        for cause in [Cause::Evicted, Cause::ModelSwapped, Cause::VolatileOpening, Cause::FirstRequest] {
            assert_eq!(check(&[broke(cause, 4_000)]), RuleCheck::Ok, "{cause:?}");
        }
    }
}
