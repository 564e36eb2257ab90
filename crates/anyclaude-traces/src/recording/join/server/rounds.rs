//! Which log is that of which recording: all are tried against each other, round by round.

use std::collections::{BTreeMap, BTreeSet};

use super::matching::{Fit, Offered, Wanted, fit};

/// A root and a log, by their places among those that are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub(super) root: usize,
    pub(super) log: usize,
}

/// The requests and tasks that are left, and how well each log fits each root. Each round takes
/// the pair that fits best.
pub(super) struct Rounds {
    /// The requests that are left, by root.
    wanted: Vec<Vec<Wanted>>,
    /// The tasks that are left, by log.
    offered: Vec<Vec<Offered>>,
    /// Roots that had one request from the beginning.
    of_one: BTreeSet<usize>,
    fits: BTreeMap<Pair, Fit>,
}

impl Rounds {
    pub(super) fn new(wanted: Vec<Vec<Wanted>>, offered: Vec<Vec<Offered>>) -> Self {
        let of_one = (0..wanted.len()).filter(|root| wanted.get(*root).is_some_and(|of| of.len() == 1));
        let of_one = of_one.collect();
        let mut rounds = Self { wanted, offered, of_one, fits: BTreeMap::new() };
        rounds.fit_again(|_| true);
        rounds
    }

    /// Fits these logs with these roots, by what is left of both.
    fn fit_again(&mut self, is_one: impl Fn(Pair) -> bool) {
        for (root, wanted) in self.wanted.iter().enumerate() {
            for (log, offered) in self.offered.iter().enumerate() {
                let pair = Pair { root, log };
                if is_one(pair) {
                    self.fits.insert(pair, fit(wanted, offered, self.of_one.contains(&root)));
                }
            }
        }
    }

    /// Takes away what a pair has matched.
    fn take(&mut self, Pair { root, log }: Pair, fit: &Fit) {
        let requests: BTreeSet<usize> = fit.matched.iter().map(|one| one.request).collect();
        let tasks: BTreeSet<usize> = fit.matched.iter().map(|one| one.task).collect();
        if let Some(wanted) = self.wanted.get_mut(root) {
            wanted.retain(|one| !requests.contains(&one.at));
        }
        if let Some(offered) = self.offered.get_mut(log) {
            offered.retain(|one| !tasks.contains(&one.at));
        }
    }
}

impl Iterator for Rounds {
    type Item = (Pair, Fit);

    fn next(&mut self) -> Option<(Pair, Fit)> {
        let matching = self.fits.iter().filter(|(_, fit)| !fit.matched.is_empty());
        let pair = *matching.min_by_key(|(pair, fit)| (fit.rank(), **pair))?.0;
        let fit = self.fits.remove(&pair)?;
        self.take(pair, &fit);
        self.fit_again(|other| other.root == pair.root || other.log == pair.log);
        Some((pair, fit))
    }
}
