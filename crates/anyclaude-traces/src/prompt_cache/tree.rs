//! All message histories of a recording as one prefix tree: a history is a node, and
//! the histories that it begins with are the nodes above it.
//!
//! So a session that repeats its conversation in every request takes no more room
//! than its last request, and the common beginning of two histories is found in a
//! number of steps that grows with the logarithm of their length (by jump pointers, as in
//! a skew-binary random-access list).

use super::ids::ElementId;
use crate::model::intern::FastMap;

/// A history's place in a [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Node(u32);

#[derive(Debug, Clone, Copy)]
struct TreeEntry {
    parent: Node,
    /// A node further up. It is chosen so that any node above is reached in a logarithmic
    /// number of jumps, and that nodes of one depth jump to the same depth.
    jump: Node,
    depth: u32,
    /// The last element of the history, and its message and block.
    element: ElementId,
    at: (u32, u32),
    /// The bytes of all elements.
    bytes: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Tree {
    entries: Vec<TreeEntry>,
    children: FastMap<(Node, ElementId), Node>,
}

impl TreeEntry {
    const ROOT: Self = Self {
        parent: Tree::ROOT,
        jump: Tree::ROOT,
        depth: 0,
        element: ElementId::NONE,
        at: (0, 0),
        bytes: 0,
    };
}

impl Default for Tree {
    fn default() -> Self {
        Self { entries: vec![TreeEntry::ROOT], children: FastMap::default() }
    }
}

impl Tree {
    /// The history without messages.
    pub(crate) const ROOT: Node = Node(0);

    pub(super) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
    }

    /// The history with one element more; `bytes` is its length, and `at` the message and block
    /// in which it stands.
    pub(crate) fn grown(&mut self, parent: Node, element: ElementId, bytes: u64, at: (u32, u32)) -> Node {
        let next = Node(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        if let Some(known) = self.children.get(&(parent, element)) {
            return *known;
        }
        let above = self.entry(parent);
        let far = self.entry(above.jump);
        let even = above.depth - far.depth == far.depth - self.entry(far.jump).depth;
        let jump = if even { far.jump } else { parent };
        let (depth, bytes) = (above.depth + 1, above.bytes + bytes);
        self.entries.push(TreeEntry { parent, jump, depth, element, at, bytes });
        self.children.insert((parent, element), next);
        next
    }

    fn entry(&self, node: Node) -> TreeEntry {
        self.entries.get(node.0 as usize).copied().unwrap_or(TreeEntry::ROOT)
    }

    pub(crate) fn depth(&self, node: Node) -> u32 {
        self.entry(node).depth
    }

    pub(crate) fn bytes(&self, node: Node) -> u64 {
        self.entry(node).bytes
    }

    pub(crate) fn element(&self, node: Node) -> ElementId {
        self.entry(node).element
    }

    /// The history without its last element.
    pub(crate) fn parent(&self, node: Node) -> Node {
        self.entry(node).parent
    }

    /// The message and block of the last element, as the first file had them
    /// that held this history.
    pub(crate) fn at(&self, node: Node) -> (u32, u32) {
        self.entry(node).at
    }

    /// The history itself and all that it begins with, longest first, down to its
    /// first element.
    pub(crate) fn up(&self, node: Node) -> impl Iterator<Item = Node> {
        std::iter::successors(Some(node), |at| Some(self.entry(*at).parent))
            .take_while(|at| *at != Self::ROOT)
    }

    /// The first `depth` elements of a history.
    pub(crate) fn first(&self, node: Node, depth: u32) -> Node {
        let mut at = node;
        loop {
            let entry = self.entry(at);
            if entry.depth <= depth {
                return at;
            }
            at = if self.depth(entry.jump) >= depth { entry.jump } else { entry.parent };
        }
    }

    /// What two histories have in common.
    pub(crate) fn common(&self, a: Node, b: Node) -> Node {
        let depth = self.depth(a).min(self.depth(b));
        let (mut a, mut b) = (self.first(a, depth), self.first(b, depth));
        while a != b {
            let (left, right) = (self.entry(a), self.entry(b));
            (a, b) =
                if left.jump == right.jump { (left.parent, right.parent) } else { (left.jump, right.jump) };
        }
        a
    }

    /// For every node its place in the lexicographic order of all histories,
    /// under this order of elements.
    pub(crate) fn ranks<K: Ord>(&self, order: impl Fn(ElementId) -> K) -> Vec<u32> {
        let key = |at: &u32| {
            let entry = self.entry(Node(*at));
            (entry.parent, order(entry.element))
        };
        let mut nodes: Vec<u32> = (1..u32::try_from(self.entries.len()).unwrap_or(u32::MAX)).collect();
        nodes.sort_by_cached_key(key);
        let parent = |at: &u32| self.entry(Node(*at)).parent;
        let mut ranks = vec![0; self.entries.len()];
        let (mut due, mut next) = (vec![0_u32], 0);
        while let Some(at) = due.pop() {
            if let Some(rank) = ranks.get_mut(at as usize) {
                *rank = next;
            }
            next += 1;
            let first = nodes.partition_point(|node| parent(node) < Node(at));
            let children = nodes.iter().skip(first).take_while(|node| parent(node) == Node(at));
            let begin = due.len();
            due.extend(children.copied());
            due[begin..].reverse();
        }
        ranks
    }

    /// The index of a node in a list that has one item for each node.
    pub(crate) fn index(node: Node) -> usize {
        node.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grow(tree: &mut Tree, history: &[u32]) -> Node {
        history.iter().fold(Tree::ROOT, |node, &element| tree.grown(node, ElementId::new(element), 1, (0, 0)))
    }

    proptest! {
        #[test]
        fn what_is_common_is_the_longest_common_prefix(
            histories in prop::collection::vec(prop::collection::vec(0..3_u32, 0..40), 2..8)
        ) {
            let mut tree = Tree::default();
            let nodes: Vec<Node> = histories.iter().map(|history| grow(&mut tree, history)).collect();
            let ranks = tree.ranks(|element| element);
            for (a, left) in histories.iter().zip(&nodes) {
                for (b, right) in histories.iter().zip(&nodes) {
                    let shared = a.iter().zip(b).take_while(|(a, b)| a == b).count();
                    let common = tree.common(*left, *right);
                    prop_assert_eq!(tree.depth(common) as usize, shared);
                    prop_assert_eq!(common, tree.first(*left, shared as u32));
                    let rank = |node: &Node| ranks[Tree::index(*node)];
                    prop_assert_eq!(rank(left).cmp(&rank(right)), a.cmp(b));
                }
            }
        }
    }
}
