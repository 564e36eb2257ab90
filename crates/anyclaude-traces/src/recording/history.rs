//! A prefix tree of the conversations of all requests.

use hashbrown::HashTable;

use crate::model::Identity;

/// A node of a [`HistoryTree`]: one history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct HistoryId(u32);

impl HistoryId {
    /// The id as an index into a vector with one value per history.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// All histories as a prefix tree: a history is a node, and its prefixes are the node's
/// ancestors. A session repeats its conversation in every request, and costs no more
/// memory than its last request here.
#[derive(Debug)]
pub(crate) struct HistoryTree {
    /// The parent of each node.
    parents: Vec<HistoryId>,
    /// The last message of each node's history.
    messages: Vec<Identity>,
    /// Child lookup by (parent, message). Stores ids only, so it stays in cache.
    nodes: HashTable<HistoryId>,
    /// The path to the node inserted last, as the next history most likely continues it.
    last: Vec<HistoryId>,
}

impl Default for HistoryTree {
    fn default() -> Self {
        let root = (vec![Self::ROOT], vec![Identity::of_hash(0)]);
        Self { parents: root.0, messages: root.1, nodes: HashTable::new(), last: Vec::new() }
    }
}

impl HistoryTree {
    /// The history without messages; [`prefixes`](Self::prefixes) leaves it out.
    pub(crate) const ROOT: HistoryId = HistoryId(0);

    pub(crate) fn insert(&mut self, messages: &[Identity]) -> HistoryId {
        let known = self.last.iter().zip(messages);
        let known = known.take_while(|(node, message)| self.messages.get(node.index()) == Some(*message));
        let known = known.count();
        self.last.truncate(known);
        for message in messages.get(known..).unwrap_or_default() {
            let node = self.node(self.last.last().copied().unwrap_or(Self::ROOT), *message);
            self.last.push(node);
        }
        self.last.last().copied().unwrap_or(Self::ROOT)
    }

    fn node(&mut self, parent: HistoryId, message: Identity) -> HistoryId {
        let (parents, messages) = (&self.parents, &self.messages);
        let is_it = |node: &HistoryId| {
            parents.get(node.index()) == Some(&parent) && messages.get(node.index()) == Some(&message)
        };
        let rehash = |node: &HistoryId| match (parents.get(node.index()), messages.get(node.index())) {
            (Some(parent), Some(message)) => hash(*parent, *message),
            _ => 0,
        };
        let next = HistoryId(u32::try_from(parents.len()).unwrap_or(u32::MAX));
        let node = *self.nodes.entry(hash(parent, message), is_it, rehash).or_insert(next).get();
        if node == next {
            self.parents.push(parent);
            self.messages.push(message);
        }
        node
    }

    /// The number of histories, the empty one included.
    pub(crate) fn len(&self) -> usize {
        self.parents.len()
    }

    /// The history itself and all its prefixes, longest first, down to its first message.
    pub(crate) fn prefixes(&self, history: HistoryId) -> impl Iterator<Item = HistoryId> {
        let up = |at: &HistoryId| self.parents.get(at.index()).copied();
        std::iter::successors(Some(history), up).take_while(|at| *at != Self::ROOT)
    }
}

/// Messages are hashes already, so mixing in the parent is enough.
fn hash(parent: HistoryId, message: Identity) -> u64 {
    (u64::from(parent.0) ^ message.bits()).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(messages: &[u128]) -> Vec<Identity> {
        messages.iter().map(|message| Identity::of_hash(*message)).collect()
    }

    #[test]
    fn equal_histories_are_one_and_begin_with_their_beginnings() {
        let mut tree = HistoryTree::default();
        let short = tree.insert(&history(&[1, 2]));
        let other = tree.insert(&history(&[2, 1]));
        let long = tree.insert(&history(&[1, 2, 1]));
        assert_eq!(tree.insert(&[]), HistoryTree::ROOT);
        assert_eq!(tree.insert(&history(&[1, 2])), short);
        assert_eq!(tree.insert(&history(&[1, 2, 1])), long);
        assert_eq!(tree.prefixes(long).nth(1), Some(short));
        assert!(!tree.prefixes(long).any(|prefix| prefix == other));
        assert_eq!(tree.len(), 6, "the empty one, two and one more, and two");
    }
}
