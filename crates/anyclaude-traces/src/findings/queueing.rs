//! Requests waited for others in the backend.
//!
//! Condition: queue parts. Cost: their sum. Refuted where none of the requests shared the
//! backend with another.

use super::scene::{Entry, Scene, finding, sum_whole};
use super::{Advice, Check, CostBasis, Evidence, Finding, FindingKind, Rule};

pub(super) struct Queueing;

impl Rule for Queueing {
    fn kind(&self) -> FindingKind {
        FindingKind::Queueing
    }

    fn check(&self, scene: &Scene<'_>) -> Check {
        let known = scene.by_model(|entry| queue_ms(entry).is_some());
        if known.is_empty() {
            return Check::NotEnoughData;
        }
        let mut found = Vec::new();
        for (model, entries) in known {
            let queued: Vec<&Entry<'_>> =
                entries.iter().copied().filter(|entry| queue_ms(entry).is_some_and(|ms| ms > 0)).collect();
            let Some(cost) = sum_whole(queued.iter().map(|entry| queue_ms(entry))).filter(|ms| *ms > 0)
            else {
                continue;
            };
            let evidence = Evidence::Queueing {
                model: model.clone(),
                requests: u64::try_from(queued.len()).unwrap_or(u64::MAX),
                of: u64::try_from(entries.len()).unwrap_or(u64::MAX),
                queue_ms: cost,
                most_at_once: most_at_once(scene, &queued),
            };
            let mut one =
                finding(FindingKind::Queueing, queued, evidence).costing(Some(cost), CostBasis::Fitted);
            one.advice = Some(Advice::FewerAtOnce { slots: slots(scene, &model) });
            found.push(one);
        }
        if found.is_empty() { Check::Ok } else { Check::Found(found) }
    }

    fn is_refuted(&self, finding: &Finding, scene: &Scene<'_>) -> bool {
        scene.of(finding).all(|entry| entry.request.concurrency.is_some_and(|one| !one.overlapped))
    }
}

fn queue_ms(entry: &Entry<'_>) -> Option<u64> {
    entry.timing()?.queue_ms
}

/// The smallest number of slots with which the simulation waits least, and what that
/// saves against the fewest.
fn slots(scene: &Scene<'_>, model: &super::scene::Model) -> Option<(u64, u64)> {
    let waits: Vec<(u64, u64)> =
        scene.slots_of(model).filter_map(|outcome| Some((outcome.slots, outcome.queue_ms?))).collect();
    let now = waits.first()?.1;
    let least = waits.iter().map(|(_, ms)| *ms).min()?;
    let (slots, ms) = waits.iter().find(|(_, ms)| *ms == least)?;
    (*ms < now).then(|| (*slots, now - ms))
}

/// How many requests of the scene were in the backend at a time with one of these.
fn most_at_once(scene: &Scene<'_>, queued: &[&Entry<'_>]) -> u64 {
    let spans: Vec<_> =
        scene.entries.iter().filter_map(|entry| Some((entry.start()?, entry.end()?))).collect();
    let at_start = |entry: &&Entry<'_>| {
        let start = entry.start()?;
        let there = spans.iter().filter(|(from, to)| *from <= start && start < *to).count();
        u64::try_from(there).ok()
    };
    queued.iter().filter_map(at_start).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::SlotOutcome;
    use super::super::testing::{Made, check, check_with, refuted};
    use super::*;

    fn waits() -> Vec<Made> {
        (0..3).map(|at| Made::new().at(at * 100).queue(u64::try_from(at).unwrap() * 2_000).overlapped()).collect()
    }

    #[test]
    fn what_waited_is_summed() {
        let Check::Found(found) = check(&Queueing, &waits()) else { panic!() };
        assert_eq!((found[0].requests.len(), found[0].cost_ms), (2, Some(6_000)));
        assert_eq!(found[0].advice, Some(Advice::FewerAtOnce { slots: None }));
        assert_eq!(check(&Queueing, &[Made::new().queue(0)]), Check::Ok);
        assert_eq!(check(&Queueing, &[Made::new()]), Check::NotEnoughData);
    }

    #[test]
    fn slots_are_named_where_the_simulation_gains() {
        let outcome = |slots, ms| SlotOutcome {
            model: Some("m".into()),
            slots,
            queue_ms: Some(ms),
            ..SlotOutcome::default()
        };
        let Check::Found(found) =
            check_with(&Queueing, &waits(), |input| input.slots = vec![outcome(1, 6_000), outcome(2, 0), outcome(4, 0)])
        else {
            panic!()
        };
        assert_eq!(found[0].advice, Some(Advice::FewerAtOnce { slots: Some((2, 6_000)) }));
    }

    #[test]
    fn who_was_alone_did_not_wait() {
        assert!(refuted(&Queueing, &[Made::new().queue(500).alone()]));
        assert!(!refuted(&Queueing, &waits()));
    }
}
