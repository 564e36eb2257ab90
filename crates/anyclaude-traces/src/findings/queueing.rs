//! Requests waited for others in the backend.
//!
//! Condition: queue parts. Cost: their sum. Refuted where none of the requests shared the
//! backend with another.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::scene::{self, Entry, Model, Scene, finding, float, sum_whole};
use super::words::{ModelName, Ms, Of, WholeNumber, by_number};
use super::{Advice, Evidence, Finding, FindingKind, Rule, RuleCheck};
use crate::cost::LEAST_QUEUE_MS;
use crate::model::time::Timestamp;

/// The largest number of slots that is simulated.
const MOST_SLOTS: usize = 16;
/// A wait of at most this share of the present one is as good as none; and a simulated wait that
/// differs from the measured one by at most this share stands for it.
const STILL_WAITING: f64 = 0.2;

pub(super) struct Queueing;

impl Rule for Queueing {
    fn kind(&self) -> FindingKind {
        FindingKind::Queueing
    }

    fn check(&self, scene: &Scene<'_>) -> RuleCheck {
        let known = scene.by_model(|entry| queue_ms(entry).is_some());
        if known.is_empty() {
            return RuleCheck::NotEnoughData;
        }
        let (mut found, present) = (Vec::new(), Present::of(scene));
        for (model, entries) in known {
            let queued: Vec<&Entry<'_>> = entries
                .iter()
                .copied()
                .filter(|entry| queue_ms(entry).is_some_and(|ms| ms >= LEAST_QUEUE_MS))
                .collect();
            let Some(cost) = sum_whole(queued.iter().map(|entry| queue_ms(entry))).filter(|ms| *ms > 0)
            else {
                continue;
            };
            let most_at_once = present.most_at_starts(&queued);
            let evidence = Evidence::Queueing(QueuedRequests {
                model: model.clone(),
                requests: queued.len() as u64,
                of: entries.len() as u64,
                queue_ms: cost,
                most_at_once,
            });
            let basis = scene::basis(&queued);
            let mut one = finding(FindingKind::Queueing, queued, evidence).costing(Some(cost), basis);
            // Fewer at once would not help if no other request is known to have been there.
            one.advice =
                (most_at_once > 1).then(|| Advice::FewerAtOnce { slots: slots(scene, &model, cost) });
            found.push(one);
        }
        RuleCheck::of(found)
    }

    fn is_refuted(&self, finding: &Finding, scene: &Scene<'_>) -> bool {
        scene.of(finding).all(|entry| entry.request.concurrency().is_some_and(|one| !one.overlapped))
    }
}

fn queue_ms(entry: &Entry<'_>) -> Option<u64> {
    entry.timing()?.queue_ms.get()
}

/// The smallest number of slots with which hardly any of the wait would be left, and the
/// milliseconds that this saves of `cost`. The queue is simulated: it serves the requests in the order in
/// which they came, each for as long as it took less its own wait. `None` where no number of
/// slots makes the simulated wait like the measured one.
fn slots(scene: &Scene<'_>, model: &Model, cost: u64) -> Option<(u64, u64)> {
    let stays = scene.of_model(model).filter_map(|entry| {
        let total = entry.timing()?.total_ms.get()?;
        Some((entry.start()?.unix_ms(), total.saturating_sub(queue_ms(entry).unwrap_or(0))))
    });
    let mut stays: Vec<(i64, u64)> = stays.collect();
    stays.sort_unstable();
    let measured: u64 = scene.of_model(model).filter_map(queue_ms).sum();
    let waits: Vec<u64> = (1..=MOST_SLOTS).map(|slots| simulated_wait_ms(&stays, slots)).collect();
    let (now, wait) = waits.iter().enumerate().min_by_key(|(_, wait)| wait.abs_diff(measured))?;
    let (enough, left) = waits
        .iter()
        .enumerate()
        .skip(now + 1)
        .find(|(_, left)| float(**left) <= float(*wait) * STILL_WAITING)?;
    // What a server does before it begins to read is in the measured sum, and is not waited for.
    let gain = cost.saturating_sub(*left);
    let is_like_this = float(wait.abs_diff(measured)) <= float(measured) * STILL_WAITING;
    (gain > 0 && is_like_this).then_some((u64::try_from(enough + 1).ok()?, gain))
}

/// How many milliseconds these requests, by start and time of service, wait in all if so many
/// are served at a time.
fn simulated_wait_ms(stays: &[(i64, u64)], slots: usize) -> u64 {
    let mut free = vec![i64::MIN; slots];
    let mut waited = 0;
    for &(start, service) in stays {
        let Some(slot) = free.iter_mut().min() else { return 0 };
        let begins = start.max(*slot);
        waited += u64::try_from(begins - start).unwrap_or(0);
        *slot = begins.saturating_add_unsigned(service);
    }
    waited
}

/// When each request came to the backend, and when each left it, both in order: so many had come
/// by a moment, and so many had left.
struct Present {
    came: Vec<Timestamp>,
    left: Vec<Timestamp>,
}

impl Present {
    fn of(scene: &Scene<'_>) -> Self {
        // No end is logged of an answer in one piece, but how long it was in the backend.
        let backend_end = |entry: &Entry<'_>| {
            let backend_ms = entry.request.log_facts()?.backend_ms.get()?;
            Some(entry.start()?.plus_ms(i64::try_from(backend_ms).ok()?))
        };
        let span = |entry: &Entry<'_>| Some((entry.start()?, entry.end().or_else(|| backend_end(entry))?));
        Self::of_spans(scene.entries.iter().filter_map(span))
    }

    fn of_spans(spans: impl Iterator<Item = (Timestamp, Timestamp)>) -> Self {
        let (mut came, mut left): (Vec<_>, Vec<_>) = spans.unzip();
        came.sort_unstable();
        left.sort_unstable();
        Self { came, left }
    }

    /// How many requests were in the backend at a moment: none leaves before it comes.
    fn at(&self, moment: Timestamp) -> usize {
        let until = |moments: &[Timestamp]| moments.partition_point(|one| *one <= moment);
        until(&self.came).saturating_sub(until(&self.left))
    }

    /// The most requests that were in the backend when one of these began.
    fn most_at_starts(&self, queued: &[&Entry<'_>]) -> u64 {
        let starts = queued.iter().filter_map(|entry| entry.start());
        starts.map(|start| self.at(start) as u64).max().unwrap_or(0)
    }
}

/// How long requests waited for others.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct QueuedRequests {
    /// The model.
    pub model: Option<Arc<str>>,
    /// How many waited.
    pub requests: u64,
    /// How many there were.
    pub of: u64,
    /// How long they waited.
    pub queue_ms: u64,
    /// How many were in the backend at a time, at most.
    pub most_at_once: u64,
}

impl Display for QueuedRequests {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let requests = self.requests;
        write!(
            f,
            "{} to {} waited for others to end before the backend began with {}, {}{}",
            Of(requests, self.of).leading(),
            ModelName(&self.model),
            by_number(requests, "it", "them"),
            Ms(self.queue_ms),
            by_number(requests, "", " in all"),
        )?;
        if self.most_at_once > 1 {
            write!(f, "; up to {} were there at a time", WholeNumber(self.most_at_once))?;
        }
        f.write_str(".")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{Made, check, refuted};
    use super::*;

    proptest! {
        #[test]
        fn present_is_who_came_and_has_not_left(
            spans in prop::collection::vec((0..40i64, 0..20i64), 0..12),
            moment in 0..70i64,
        ) {
            let at = |ms: i64| Timestamp::from_unix_ms(ms).unwrap();
            let there = spans.iter().filter(|(from, ms)| *from <= moment && moment < from + ms).count();
            let present = Present::of_spans(spans.iter().map(|(from, ms)| (at(*from), at(from + ms))));
            prop_assert_eq!(present.at(at(moment)), there);
        }
    }

    fn waits() -> Vec<Made> {
        (0..3)
            .map(|at| Made::new().at(at * 100).queue(u64::try_from(at).unwrap() * 2_000).overlapped())
            .collect()
    }

    #[test]
    fn what_waited_is_summed() {
        let RuleCheck::Found(found) = check(&Queueing, &waits()) else { panic!() };
        assert_eq!((found[0].requests.len(), found[0].cost_ms), (2, Some(6_000)));
        assert_eq!(found[0].advice, Some(Advice::FewerAtOnce { slots: None }));
        assert_eq!(check(&Queueing, &[Made::new().queue(0)]), RuleCheck::Ok);
        assert_eq!(check(&Queueing, &[Made::new()]), RuleCheck::NotEnoughData);
    }

    #[test]
    fn slots_are_named_where_the_simulation_gains() {
        // Three that came together, 2 s each, one after the other.
        let one = |at: u64| Made::new().at(0).times(0, 2_000 * (at + 1)).queue(2_000 * at).overlapped();
        let RuleCheck::Found(found) = check(&Queueing, &[one(0), one(1), one(2)]) else { panic!() };
        assert_eq!(found[0].advice, Some(Advice::FewerAtOnce { slots: Some((3, 6_000)) }));
        // Nothing like the times of any queue.
        let one = |at: u64| Made::new().at(0).times(0, 90_000).queue(2_000 * at).overlapped();
        let RuleCheck::Found(found) = check(&Queueing, &[one(0), one(1), one(2)]) else { panic!() };
        assert_eq!(found[0].advice, Some(Advice::FewerAtOnce { slots: None }));
    }

    #[test]
    fn no_more_is_saved_than_was_waited() {
        let one = |at: u64| Made::new().at(0).times(0, 2_000 * (at + 1)).queue(2_000 * at + 60).overlapped();
        let RuleCheck::Found(found) = check(&Queueing, &[one(0), one(1), one(2)]) else { panic!() };
        let Some(Advice::FewerAtOnce { slots: Some((_, gain)) }) = found[0].advice else { panic!() };
        assert!(Some(gain) <= found[0].cost_ms, "{gain} of {:?}", found[0].cost_ms);
    }

    #[test]
    fn who_was_alone_did_not_wait() {
        assert!(refuted(&Queueing, &[Made::new().queue(500).alone()]));
        assert!(!refuted(&Queueing, &waits()));
    }
}
