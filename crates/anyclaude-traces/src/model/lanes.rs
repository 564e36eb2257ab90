//! Assigns the intervals of a timeline to lanes, so that none overlaps another in its lane.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// The lanes of one track: stretches that overlap are in different ones.
///
/// ```
/// use anyclaude_traces::model::Lanes;
///
/// let mut lanes = Lanes::default();
/// let placed = [(0, 5), (1, 2), (2, 9), (5, 6)].map(|(begin, end)| lanes.place(begin, end));
/// assert_eq!((placed, lanes.count()), ([0, 1, 1, 0], 2));
/// ```
#[derive(Debug, Clone)]
pub struct Lanes<T> {
    /// The lanes in use, by when they are free again.
    busy: BinaryHeap<Reverse<(T, usize)>>,
    free: BTreeSet<usize>,
}

impl<T: Ord> Default for Lanes<T> {
    fn default() -> Self {
        Self { busy: BinaryHeap::new(), free: BTreeSet::new() }
    }
}

impl<T: Ord + Copy> Lanes<T> {
    /// The first lane that is free when the stretch begins. Stretches come in the order of
    /// their beginnings.
    pub fn place(&mut self, begin: T, end: T) -> usize {
        let is_over = |&&Reverse((free_at, _)): &&Reverse<(T, usize)>| free_at <= begin;
        while let Some(&Reverse((_, lane))) = self.busy.peek().filter(is_over) {
            self.busy.pop();
            self.free.insert(lane);
        }
        let lane = self.free.pop_first().unwrap_or(self.busy.len());
        self.busy.push(Reverse((end, lane)));
        lane
    }

    /// How many lanes there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.busy.len() + self.free.len()
    }
}
