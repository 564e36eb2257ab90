//! The same wait before every answer, whatever there is to read.
//!
//! Condition: the cost model found a constant beside the time that reading takes. Cost: the sum
//! of these waits. Where most of these answers came right after another model's, loading is the
//! likely reason. Refuted where one of these answers came in clearly less than the constant.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::scene::{Entry, Model, Scene, finding, float, median, sum_whole, whole};
use super::words::{Count, ModelName, Ms, WholeNumber};
use super::{Advice, CostBasis, Evidence, Finding, FindingKind, Rule, RuleCheck, model_swap};

pub(super) struct ConstantWait;

/// An answer that came in less than this share of the wait refutes it.
const CLEARLY_SOONER: f64 = 0.5;

impl Rule for ConstantWait {
    fn kind(&self) -> FindingKind {
        FindingKind::ConstantWait
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        let known = scene.by_model(|entry| ttft_ms(entry).is_some());
        if known.is_empty() {
            return RuleCheck::NotEnoughData;
        }
        let mut found = Vec::new();
        for (model, entries) in known {
            let waited: Vec<&Entry<'_>> =
                entries.iter().copied().filter(|entry| wait_ms(entry).is_some()).collect();
            let Some(each_ms) = median(waited.iter().filter_map(|entry| wait_ms(entry))) else { continue };
            let before: Vec<Model> = waited.iter().filter_map(|entry| other_before(scene, entry)).collect();
            let count = |n: usize| n as u64;
            let advice = if is_loading(count(before.len()), count(waited.len())) {
                model_swap::advice(scene, &before.iter().cloned().chain([model.clone()]).collect())
            } else {
                Advice::AskBackendItself
            };
            let evidence = Evidence::ConstantWait(ConstantWaits {
                model,
                requests: count(waited.len()),
                of: count(entries.len()),
                each_ms,
                after_others: count(before.len()),
            });
            let cost = sum_whole(waited.iter().map(|entry| wait_ms(entry)));
            let mut one =
                finding(FindingKind::ConstantWait, waited, evidence).costing(cost, CostBasis::Fitted);
            one.advice = Some(advice);
            found.push(one);
        }
        RuleCheck::of(found)
    }

    fn is_refuted(&self, finding: &Finding, scene: &Scene<'_>) -> bool {
        let least_ms = |ms: u64| whole(float(ms) * CLEARLY_SOONER);
        let Evidence::ConstantWait(ConstantWaits { each_ms, .. }) = finding.evidence else { return false };
        scene.of(finding).filter_map(ttft_ms).any(|ttft| ttft < least_ms(each_ms))
    }
}

/// Whether so many of these answers came right after another model's that loading the model
/// again is the likely reason.
pub(super) fn is_loading(after_others: u64, of: u64) -> bool {
    after_others * 2 > of
}

/// The model that answered in the same backend right before, if it is another.
fn other_before(scene: &Scene<'_>, entry: &Entry<'_>) -> Option<Model> {
    Some(scene.before_entry(entry)?.model.clone()).filter(|before| *before != entry.model)
}

fn ttft_ms(entry: &Entry<'_>) -> Option<u64> {
    entry.timing()?.ttft_ms.get()
}

fn wait_ms(entry: &Entry<'_>) -> Option<u64> {
    Some(entry.request.speed_sample().constant_wait_ms).filter(|ms| *ms > 0)
}

/// How long the wait is that comes before every answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConstantWaits {
    /// The model.
    pub model: Option<Arc<str>>,
    /// Before how many answers.
    pub requests: u64,
    /// How many there were.
    pub of: u64,
    /// How long it is, the median.
    pub each_ms: u64,
    /// How many of them came right after another model had answered in the same backend.
    pub after_others: u64,
}

impl Display for ConstantWaits {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Before ")?;
        if self.requests < self.of {
            write!(f, "{} of ", WholeNumber(self.requests))?;
        }
        write!(
            f,
            "{} by {} {} pass, whatever there is to read: ",
            Count(self.of, "answer"),
            ModelName(&self.model),
            Ms(self.each_ms)
        )?;
        if is_loading(self.after_others, self.requests) {
            write!(
                f,
                "{} of them came right after another model had answered in the same backend, so that loading \
                 the model again is the likely reason.",
                WholeNumber(self.after_others)
            )
        } else {
            f.write_str("a tunnel, a gateway, or something that the backend does for each request.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Made, check, refuted};
    use super::*;

    fn waited(ttft_ms: u64) -> Made {
        Made::new().times(100, 5_000).first_token(ttft_ms).constant_wait(2_400)
    }

    #[test]
    fn what_comes_before_every_answer_is_summed() {
        let made: Vec<Made> = (0..6).map(|_| waited(3_000)).collect();
        let RuleCheck::Found(found) = check(&ConstantWait, &made) else { panic!() };
        assert_eq!((found[0].requests.len(), found[0].cost_ms), (6, Some(14_400)));
        let said = found[0].evidence.to_string();
        assert!(said.contains("2.4 s") && said.contains("6 answers"), "{said}");
        assert!(found[0].advice.is_some());
    }

    #[test]
    fn an_answer_that_came_sooner_refutes_it() {
        let mut made: Vec<Made> = (0..6).map(|_| waited(3_000)).collect();
        assert!(!refuted(&ConstantWait, &made));
        made.push(waited(900));
        assert!(refuted(&ConstantWait, &made));
    }

    #[test]
    fn where_another_model_answered_before_it_is_loading() {
        let turn = |at: i64| waited(3_000).at(at * 10_000);
        let made: Vec<Made> = (0..8)
            .map(|at| {
                if at % 2 == 1 {
                    turn(at).model("m")
                } else {
                    Made::new().at(at * 10_000).model("o").background()
                }
            })
            .collect();
        let RuleCheck::Found(found) = check(&ConstantWait, &made) else { panic!() };
        let said = found[0].evidence.to_string();
        assert!(said.contains("4 of them came right after another model had answered"), "{said}");
        assert!(!said.contains("tunnel"), "{said}");
        assert_eq!(found[0].advice, Some(Advice::OneModel { main: "m".into() }));
        let made: Vec<Made> = (0..8).map(|at| turn(at).model("m")).collect();
        let RuleCheck::Found(found) = check(&ConstantWait, &made) else { panic!() };
        assert_eq!(found[0].advice, Some(Advice::AskBackendItself));
    }

    #[test]
    fn no_constant_wait_is_no_finding() {
        assert_eq!(check(&ConstantWait, &[Made::new().times(100, 5_000).first_token(3_000)]), RuleCheck::Ok);
        assert_eq!(check(&ConstantWait, &[Made::new()]), RuleCheck::NotEnoughData);
    }
}
