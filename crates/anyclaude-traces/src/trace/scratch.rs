//! What the cursor writes down; kept between files to save allocations.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::compact::Compact;

/// Memory of a cursor.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(super) nest: Nest,
    pub(super) compact: Compact,
    pub(super) names: Names,
}

/// Names that were read before, of tools and models, say: each is kept once.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<Arc<str>, NameHashing>);

/// Hashes short texts at little cost; with a seed that no recording can know, so
/// that none can make them collide.
#[derive(Debug, Clone)]
pub(crate) struct NameHashing(u64);

impl Default for NameHashing {
    fn default() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }
}

impl BuildHasher for NameHashing {
    type Hasher = NameHasher;

    fn build_hasher(&self) -> NameHasher {
        NameHasher(self.0)
    }
}

#[derive(Debug)]
pub(crate) struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u8(&mut self, byte: u8) {
        self.0 ^= u64::from(byte);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Names {
    /// More than this many names are no names.
    const MOST: usize = 4096;

    pub(super) fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        if self.0.len() == Self::MOST {
            self.0.clear();
        }
        let name: Arc<str> = Arc::from(name);
        self.0.insert(name.clone());
        name
    }
}

/// The containers that are open, one bit each: a file of nothing but brackets
/// then costs an eighth of its size.
#[derive(Debug, Default)]
pub(super) struct Nest {
    objects: Vec<u64>,
    depth: usize,
}

impl Nest {
    pub(super) fn is_empty(&self) -> bool {
        self.depth == 0
    }

    pub(super) fn clear(&mut self) {
        self.depth = 0;
    }

    pub(super) fn push(&mut self, object: bool) {
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if word == self.objects.len() {
            self.objects.push(0);
        }
        if let Some(bits) = self.objects.get_mut(word) {
            *bits = if object { *bits | bit } else { *bits & !bit };
        }
        self.depth += 1;
    }

    pub(super) fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    pub(super) fn top_is_object(&self) -> bool {
        let Some(top) = self.depth.checked_sub(1) else { return false };
        self.objects.get(top / 64).is_some_and(|bits| bits & (1 << (top % 64)) != 0)
    }
}
