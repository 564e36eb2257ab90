//! Content, known by its hash.

use xxhash_rust::xxh3::Xxh3;

/// A 128-bit hash that stands for a piece of content: equal content has equal
/// identities, and different content practically never has.
///
/// In two halves: a number of 128 bits would make what holds it larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity([u64; 2]);

impl Identity {
    #[allow(clippy::cast_possible_truncation, reason = "the halves are meant")]
    pub(crate) fn of_hash(hash: u128) -> Self {
        Self([(hash >> 64) as u64, hash as u64])
    }

    pub(crate) fn hash(self) -> u128 {
        let [high, low] = self.0;
        u128::from(high) << 64 | u128::from(low)
    }

    /// Enough of it to find it in a table.
    pub(crate) fn bits(self) -> u64 {
        self.0[1]
    }

    /// Which of so many shards it is in.
    #[allow(clippy::cast_possible_truncation, reason = "any bits will do")]
    pub(crate) fn shard(self, shards: usize) -> usize {
        (self.bits() as usize) % shards.max(1)
    }

    /// The identity of a sequence of pieces, told apart by their lengths.
    pub(crate) fn of_parts<'b>(parts: impl IntoIterator<Item = &'b [u8]>) -> Self {
        let mut hasher = Xxh3::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self::of_hash(hasher.digest128())
    }
}
