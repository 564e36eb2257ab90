//! Hashes that identify content.

use xxhash_rust::xxh3::Xxh3;

/// A 128-bit hash of a piece of content: equal content has equal identities, and different
/// content practically never has.
///
/// Stored as two halves, as a `u128` has a larger alignment and would pad the types with it.
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

    /// 64 of its bits, for hash tables.
    pub(crate) fn bits(self) -> u64 {
        self.0[1]
    }

    /// The index of its shard, of this many.
    #[allow(clippy::cast_possible_truncation, reason = "any bits will do")]
    pub(crate) fn shard(self, shards: usize) -> usize {
        (self.bits() as usize) % shards.max(1)
    }

    /// The identity of a sequence of pieces. Their lengths count: `ab`, `c` is not `a`, `bc`.
    pub(crate) fn of_parts<'b>(parts: impl IntoIterator<Item = &'b [u8]>) -> Self {
        let mut hasher = Xxh3::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self::of_hash(hasher.digest128())
    }
}
