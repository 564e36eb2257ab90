//! Which request the same backend answered before each.

use std::collections::BTreeMap;

use super::scene::Entry;

/// For each entry, the index of that request in `entries` followed by `others`. All are walked
/// once, in order of time: looking back from each entry would walk all that came before it, again
/// and again, where none of these has a model.
pub(super) fn served_before(entries: &[Entry<'_>], others: &[Entry<'_>]) -> Vec<Option<usize>> {
    let mut all: Vec<(usize, &Entry<'_>)> = entries.iter().chain(others).enumerate().collect();
    all.sort_by_key(|(_, entry)| entry.request.order());
    let mut last_timed = BTreeMap::new();
    let mut last_of_run = BTreeMap::new();
    let mut before = vec![None; entries.len()];
    for (turn, (index, entry)) in all.into_iter().enumerate() {
        let root = entry.request.path.root();
        let run = (root, entry.request.run.as_deref());
        let latest: Option<&(usize, usize)> = last_timed.get(&root).max(last_of_run.get(&run));
        if let Some(before) = before.get_mut(index) {
            *before = latest.map(|(_, index)| *index);
        }
        if entry.model.is_some() {
            last_of_run.insert(run, (turn, index));
            if entry.timing().is_some() {
                last_timed.insert(root, (turn, index));
            }
        }
    }
    before
}
