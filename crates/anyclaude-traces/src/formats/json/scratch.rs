//! What the cursor writes down; kept between files to save allocations.

use std::sync::Arc;

use super::compact::Compact;
use crate::model::intern::Interner;

/// Memory of a cursor.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) open: BitStack,
    pub(crate) compact: Compact,
    pub(crate) names: Names,
}

/// Names that were read before, of tools and models, say: each is kept once.
#[derive(Debug, Default)]
pub(crate) struct Names(Interner<str>);

impl Names {
    /// More than this many names are no names.
    const MOST: usize = 4096;

    pub(crate) fn shared(&mut self, name: &str) -> Arc<str> {
        let name = self.0.once(name);
        if self.0.len() > Self::MOST {
            self.0.clear();
        }
        name
    }
}

/// The containers that are open, one bit each: a file of nothing but brackets
/// then costs an eighth of its size.
#[derive(Debug, Default)]
pub(crate) struct BitStack {
    objects: Vec<u64>,
    depth: usize,
}

impl BitStack {
    pub(crate) fn is_empty(&self) -> bool {
        self.depth == 0
    }

    pub(crate) fn clear(&mut self) {
        self.depth = 0;
    }

    pub(crate) fn push(&mut self, object: bool) {
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if word == self.objects.len() {
            self.objects.push(0);
        }
        if let Some(bits) = self.objects.get_mut(word) {
            *bits = if object { *bits | bit } else { *bits & !bit };
        }
        self.depth += 1;
    }

    pub(crate) fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    pub(crate) fn top_is_object(&self) -> bool {
        let Some(top) = self.depth.checked_sub(1) else { return false };
        self.objects.get(top / 64).is_some_and(|bits| bits & (1 << (top % 64)) != 0)
    }
}
