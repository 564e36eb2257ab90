//! Builds compact JSON from the stretches between white space while the cursor passes, to
//! hash it or to return it.

use std::fmt;
use std::ops::Range;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::model::Identity;

/// Pieces are collected up to this size before they are hashed: hashing many short pieces
/// one by one takes several times as long as copying them first.
const GATHERED_BYTES: usize = 4096;

/// How much of the beginning of compact JSON is kept beside its identity.
pub(crate) const HEAD_BYTES: usize = 160;

/// What compact JSON is built for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum CompactMode {
    #[default]
    Nothing,
    Identity,
    Text,
}

/// Compact JSON that is being built.
#[derive(Default)]
pub(crate) struct Compact {
    wanted: CompactMode,
    /// Where the current stretch begins; `None` while the cursor passes text that is left out.
    from: Option<usize>,
    gathered: Vec<u8>,
    /// Hashes the part that no longer fits into the buffer.
    hasher: Option<Box<Xxh3>>,
    overflowed: bool,
    /// The beginning of what overflowed.
    head: Vec<u8>,
}

impl Compact {
    /// Starts again for another value.
    pub(crate) fn begin(&mut self, wanted: CompactMode) {
        self.wanted = wanted;
        self.from = None;
        self.gathered.clear();
        self.overflowed = false;
    }

    /// Stands for a value whose compact JSON begins so, and is known already.
    pub(super) fn begin_known(&mut self, wanted: CompactMode, head: &[u8]) {
        self.begin(wanted);
        self.gathered.extend_from_slice(head);
    }

    /// Adds a piece that is compact already.
    pub(crate) fn push(&mut self, piece: &str) {
        match self.wanted {
            CompactMode::Nothing => {}
            CompactMode::Identity if self.gathered.len() + piece.len() > GATHERED_BYTES => self.hash(piece),
            CompactMode::Identity | CompactMode::Text => self.gathered.extend_from_slice(piece.as_bytes()),
        }
    }

    fn hash(&mut self, piece: &str) {
        let hasher = self.hasher.get_or_insert_default();
        if !self.overflowed {
            self.overflowed = true;
            hasher.reset();
            self.head.clear();
            self.head.extend(self.gathered.iter().chain(piece.as_bytes()).take(HEAD_BYTES));
        }
        hasher.update(&self.gathered);
        self.gathered.clear();
        hasher.update(piece.as_bytes());
    }

    /// Adds the text that the cursor passes from here on.
    pub(crate) fn resume(&mut self, at: usize) {
        self.from = (self.wanted != CompactMode::Nothing).then_some(at);
    }

    /// Leaves out the white space that the cursor passed.
    #[inline]
    pub(crate) fn leave_out(&mut self, text: &str, gap: Range<usize>) {
        if self.from.is_some() {
            self.pause(text, gap.start);
            self.from = Some(gap.end);
        }
    }

    /// Leaves out the text that the cursor passes from here on.
    pub(crate) fn pause(&mut self, text: &str, at: usize) {
        if let Some(from) = self.from.take() {
            self.push(text.get(from..at).unwrap_or_default());
        }
    }

    /// The identity of the compact JSON, where the mode asked for it.
    pub(crate) fn identity(&mut self) -> Option<Identity> {
        if self.wanted != CompactMode::Identity {
            return None;
        }
        let hasher = self.hasher.as_mut().filter(|_| self.overflowed);
        Some(Identity::of_hash(hasher.map_or_else(
            || xxh3_128(&self.gathered),
            |hasher| {
                hasher.update(&self.gathered);
                hasher.digest128()
            },
        )))
    }

    /// The beginning of the compact JSON, up to [`HEAD_BYTES`], where the mode asked for its
    /// identity; empty otherwise.
    pub(crate) fn head(&self) -> &[u8] {
        let built = if self.overflowed { &self.head } else { &self.gathered };
        let is_known = self.wanted == CompactMode::Identity;
        built.get(..built.len().min(HEAD_BYTES)).filter(|_| is_known).unwrap_or_default()
    }

    /// The compact JSON, where the mode asked for it.
    pub(crate) fn into_text(self) -> String {
        String::from_utf8(self.gathered).unwrap_or_default()
    }
}

impl fmt::Debug for Compact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compact").field("wanted", &self.wanted).finish_non_exhaustive()
    }
}
