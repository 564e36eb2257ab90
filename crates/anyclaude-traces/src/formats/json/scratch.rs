//! The cursor's buffers, reused between files to save allocations.

use std::sync::Arc;

use super::compact::Compact;
use super::known::KnownItems;
use crate::model::intern::Interner;

/// The buffers of a cursor.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) nesting: BitStack,
    pub(crate) compact: Compact,
    pub(crate) names: Names,
    pub(crate) known: KnownItems,
}

/// Nothing in the buffers outlives a value that is read: a copy begins with empty ones.
impl Clone for Scratch {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Interns names, such as those of tools and models.
#[derive(Debug, Default)]
pub(crate) struct Names(Interner<str>);

impl Names {
    /// Beyond this many names the interner starts anew, as such values hardly repeat.
    const MOST: usize = 4096;

    pub(crate) fn shared(&mut self, name: &str) -> Arc<str> {
        let name = self.0.once(name);
        if self.0.len() > Self::MOST {
            self.0.clear();
        }
        name
    }
}

/// The types of the containers around the current value, one bit each, so that a file of
/// nothing but brackets takes an eighth of its size.
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
