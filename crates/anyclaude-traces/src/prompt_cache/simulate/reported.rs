//! Which view of the prompts, and which cache, agree best with the counts of cached tokens
//! that a backend reported.

use std::num::NonZeroUsize;

use super::PassedRequests;
use super::turns::Turns;
use crate::model::SimulatedReuse;
use crate::model::request::Request;
use crate::model::timing::CachedSource;
use crate::prompt_cache::by_times::{LEAST_READ, prove_one_slot};
use crate::prompt_cache::compare::PromptComparer;
use crate::prompt_cache::slots::Capacity;
use crate::prompt_cache::tokens::{AnswerTokens, answer_tokens, cached_tokens};

/// At most so many requests with reported counts are used as evidence.
const MOST_EVIDENCE: usize = 2000;

/// What the backend counted of single requests.
pub(super) struct ReportedCounts {
    /// Of each request, at its index; empty where no cached tokens were reported at all.
    pub(super) counted: Vec<Option<Counted>>,
    /// The index of the last request that is used as evidence.
    pub(super) last: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    pub(super) prompt_tokens: u64,
    pub(super) answer: AnswerTokens,
    pub(super) cached_tokens: Option<u64>,
}

impl ReportedCounts {
    pub(super) fn of(requests: &[&Request]) -> Self {
        let counted = |request: &&Request| {
            let answer = answer_tokens(request)?;
            let timing = request.timing.as_ref()?;
            let is_evidence =
                matches!(timing.cached_source, Some(CachedSource::Reported | CachedSource::ServerLog));
            let cached_tokens = timing.cached_tokens.get().filter(|_| is_evidence);
            Some(Counted { prompt_tokens: answer.prompt_tokens, answer, cached_tokens })
        };
        let is_evident = |request: &&Request| counted(request).is_some_and(|one| one.cached_tokens.is_some());
        let evident = requests.iter().enumerate().filter(|(_, request)| is_evident(request));
        match evident.take(MOST_EVIDENCE).last() {
            Some((last, _)) => Self { counted: requests.iter().map(counted).collect(), last },
            None => Self { counted: Vec::new(), last: 0 },
        }
    }

    pub(super) fn is_any(&self) -> bool {
        !self.counted.is_empty()
    }

    /// The view and whether there is main memory that agree best with what was
    /// reported; the first of equals.
    pub(super) fn choose(
        &self,
        comparer: &PromptComparer<'_>,
        passed: &PassedRequests<'_>,
        turns: &Turns,
        slots: NonZeroUsize,
        ram: &[bool],
    ) -> (usize, bool) {
        let first = (0, ram.first().copied().unwrap_or(true));
        if !self.is_any() || passed.sequences.len() * ram.len() < 2 {
            return first;
        }
        let turns = Turns::of(&passed.requests, turns.each().filter(|at| *at <= self.last).collect());
        let size = |ram| Capacity { slots, ram };
        let mut best: Option<(f64, (usize, bool))> = None;
        for view in 0..passed.sequences.len() {
            let members = passed.members(view);
            let runs = match ram {
                [first, second] => {
                    let sizes = [size(*first), size(*second)];
                    <[_; 2]>::from(turns.held_by_both(comparer, members, sizes)).into()
                }
                _ => ram.iter().map(|ram| turns.held(comparer, members, size(*ram))).collect::<Vec<_>>(),
            };
            for (held, ram) in runs.iter().zip(ram) {
                let error = self.error(held);
                if best.is_none_or(|(least, _)| error < least) {
                    best = Some((error, (view, *ram)));
                }
            }
        }
        best.map_or(first, |(_, choice)| choice)
    }

    /// Whether the reported counts, or without any the times, prove a cache of one slot. `large`
    /// and `small` are what either cache held of each request.
    pub(super) fn prove_one_slot(
        &self,
        requests: &[&Request],
        large: &[SimulatedReuse],
        small: &[SimulatedReuse],
    ) -> bool {
        if self.is_any() { self.need_small(large, small) } else { prove_one_slot(requests, large, small) }
    }

    /// Whether the small cache agrees with the reported counts and the large one does not: its
    /// error is twice as large, and for [`LEAST_READ`] requests or more it is larger by at least
    /// half of the prompt.
    pub(super) fn need_small(&self, large: &[SimulatedReuse], small: &[SimulatedReuse]) -> bool {
        let missed = self.shares(large).zip(self.shares(small));
        let is_clear = |(large, small): &(Option<f64>, Option<f64>)| {
            large.zip(*small).is_some_and(|(large, small)| large >= small + 0.5)
        };
        missed.filter(is_clear).count() >= LEAST_READ && self.error(large) >= 2.0 * self.error(small)
    }

    /// How far simulated tokens are from those reported, in shares of the prompts.
    pub(super) fn error(&self, reuse: &[SimulatedReuse]) -> f64 {
        self.shares(reuse).flatten().sum()
    }

    /// The same of each request; `None` where nothing was reported.
    fn shares<'s>(&'s self, reuse: &'s [SimulatedReuse]) -> impl Iterator<Item = Option<f64>> + 's {
        let error = |(one, reuse): (&Option<Counted>, &SimulatedReuse)| {
            let one = one.as_ref()?;
            let earlier = reuse.continues.and_then(|continued| *self.counted.get(continued.from)?);
            let simulated = cached_tokens(reuse, one.prompt_tokens, earlier.map(|earlier| earlier.answer));
            #[allow(clippy::cast_precision_loss, reason = "tokens stay far below 2^53")]
            let share = simulated.abs_diff(one.cached_tokens?) as f64 / one.prompt_tokens as f64;
            Some(share)
        };
        self.counted.iter().zip(reuse).take(self.last + 1).map(error)
    }
}
