//! Gives the first parts that are possible for each request to the requests, together: a first
//! part belongs to one request only.
//!
//! What only one request can have is given to it, and is no longer possible for others, which may
//! leave these with one. Where that ends, the pace of the answer chooses among several.

use std::collections::HashMap;

use super::{FirstPartIndex, LoggedParts, Possible};

/// The last part of an answer precedes the end of its request by at most this.
const CLOSING_MS: i64 = 250;

/// A streamed request whose first part is to be found.
#[derive(Debug, Clone)]
pub(in super::super) struct Claim {
    /// The request's index.
    pub(in super::super) request: usize,
    /// When its stream began.
    pub(in super::super) from: i64,
    /// When it ended.
    pub(in super::super) to: i64,
    /// The first parts that are possible by the numbers of the parts.
    pub(in super::super) possible: Possible,
    /// Output tokens and the proxy's tokens per second, rounded to a tenth. Their quotient is
    /// the time from the first part to the end.
    pub(in super::super) pace: Option<(u64, f64)>,
}

impl Claim {
    /// Whether a first part at this time agrees with the pace.
    fn expects(&self, first: i64) -> bool {
        let Some((tokens, per_second)) = self.pace else { return false };
        let duration = |per_second: f64| tokens as f64 * 1000.0 / per_second;
        let before_end = self.to.saturating_sub(first) as f64;
        let shortest = duration(per_second + 0.05) - 2.0;
        let longest = duration((per_second - 0.05).max(0.01)) + 2.0 + CLOSING_MS as f64;
        (shortest..=longest).contains(&before_end)
    }
}

/// The first part that a claim is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Settled {
    /// No first part was seen.
    None,
    /// Only this one was possible.
    Exact(i64),
    /// Only this one was left, or only this one agrees with the pace.
    Likely(i64),
    /// Several are possible.
    Ambiguous,
}

impl LoggedParts {
    /// Settles all claims together, as a first part belongs to one request only.
    pub(in super::super) fn settle(&self, claims: &[Claim]) -> Vec<(usize, Settled)> {
        let mut settlement = Settlement::of(self, claims);
        settlement.settle_all(Choice::OnlyOne);
        settlement.single.extend(0..claims.len());
        settlement.settle_all(Choice::ByPace);
        settlement.results()
    }
}

/// By what a claim's first part is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// It is the only one left.
    OnlyOne,
    /// It is the only one left, or of these the only one that agrees with the pace.
    ByPace,
}

/// Claims while they are being settled; a claim is named by its index.
struct Settlement<'a> {
    parts: &'a LoggedParts,
    claims: &'a [Claim],
    /// The first parts that each claim can still be given.
    left: Vec<Vec<FirstPartIndex>>,
    /// The claims that each first part was possible for.
    wanted: HashMap<FirstPartIndex, Vec<usize>>,
    settled: Vec<Option<Settled>>,
    /// The claims to be looked at next.
    single: Vec<usize>,
}

impl<'a> Settlement<'a> {
    fn of(parts: &'a LoggedParts, claims: &'a [Claim]) -> Self {
        let left: Vec<Vec<FirstPartIndex>> = claims.iter().map(|claim| parts.during(claim)).collect();
        let mut wanted: HashMap<FirstPartIndex, Vec<usize>> = HashMap::new();
        for (index, parts) in left.iter().enumerate() {
            for part in parts {
                wanted.entry(*part).or_default().push(index);
            }
        }
        let mut settled = vec![None; claims.len()];
        let mut single = Vec::new();
        for (index, (claim, left)) in claims.iter().zip(&left).enumerate() {
            match left.len() {
                _ if claim.possible.crowded => settled[index] = Some(Settled::Ambiguous),
                0 if claim.possible.parts.is_empty() => settled[index] = Some(Settled::None),
                // The parts that were counted for it are another request's.
                0 => settled[index] = Some(Settled::Ambiguous),
                1 => single.push(index),
                _ => {}
            }
        }
        Self { parts, claims, left, wanted, settled, single }
    }

    fn settle_all(&mut self, choice: Choice) {
        while let Some(index) = self.single.pop() {
            if self.settled[index].is_some() {
                continue;
            }
            if self.left[index].is_empty() {
                self.settled[index] = Some(Settled::Ambiguous);
            } else if let Some(part) = self.chosen(index, choice) {
                self.give(part, index);
            }
        }
    }

    /// The one first part that is left for a claim by this choice.
    fn chosen(&self, index: usize, choice: Choice) -> Option<FirstPartIndex> {
        let left = self.left[index].as_slice();
        match (left, choice) {
            (&[part], _) => Some(part),
            (_, Choice::OnlyOne) => None,
            (_, Choice::ByPace) => {
                let expects = |at: i64| self.claims[index].expects(at);
                let mut agreeing = left.iter().filter(|part| self.parts.stamp(**part).is_some_and(expects));
                agreeing.next().copied().filter(|_| agreeing.next().is_none())
            }
        }
    }

    /// Gives a first part to a claim. Where it is the only one left for others too, all of them
    /// are ambiguous.
    fn give(&mut self, part: FirstPartIndex, index: usize) {
        let rivals = self.wanted.get(&part).map(Vec::as_slice).unwrap_or_default();
        let contests =
            |other: usize| other != index && self.settled[other].is_none() && self.left[other] == [part];
        let contesting: Vec<usize> = rivals.iter().copied().filter(|other| contests(*other)).collect();
        if !contesting.is_empty() {
            self.settled[index] = Some(Settled::Ambiguous);
            contesting.iter().for_each(|&other| self.settled[other] = Some(Settled::Ambiguous));
            return;
        }
        self.settled[index] = Some(self.sureness(part, index));
        for &other in rivals {
            self.left[other].retain(|candidate| *candidate != part);
            if self.left[other].len() == 1 {
                self.single.push(other);
            }
        }
    }

    /// How sure it is that an uncontested first part is this claim's.
    fn sureness(&self, part: FirstPartIndex, index: usize) -> Settled {
        let claim = &self.claims[index];
        let first = self.parts.stamp(part).unwrap_or_default();
        if claim.possible.parts.len() == 1 {
            Settled::Exact(first)
        } else if claim.pace.is_some() && !claim.expects(first) {
            Settled::Ambiguous
        } else {
            Settled::Likely(first)
        }
    }

    /// What became of the request of each claim.
    fn results(self) -> Vec<(usize, Settled)> {
        let settled = self.settled.into_iter().map(|settled| settled.unwrap_or(Settled::Ambiguous));
        self.claims.iter().map(|claim| claim.request).zip(settled).collect()
    }
}

impl LoggedParts {
    /// When a first part was logged.
    fn stamp(&self, part: FirstPartIndex) -> Option<i64> {
        self.firsts.get(part as usize).copied()
    }

    /// The first parts that are possible for a claim and came during its stream.
    fn during(&self, claim: &Claim) -> Vec<FirstPartIndex> {
        let came = |part: &&FirstPartIndex| {
            self.stamp(**part).is_some_and(|at| (claim.from..=claim.to).contains(&at))
        };
        claim.possible.parts.iter().filter(came).copied().collect()
    }
}
