//! An interner: equal values share one Arc and a small id.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Interns values, such as names of models and lists of tools. Ids count up from 0.
pub(crate) struct Interner<T: ?Sized> {
    values: Vec<Arc<T>>,
    /// The hash and id of each value. Hashes are stored so that growing need not rehash values.
    numbers: HashTable<(u64, u32)>,
    hashing: NameHashing,
    /// The id that was asked for last, which is most likely the next one too.
    last: u32,
}

impl<T: ?Sized> Default for Interner<T> {
    fn default() -> Self {
        Self { values: Vec::new(), numbers: HashTable::new(), hashing: NameHashing::default(), last: 0 }
    }
}

impl<T: ?Sized + Eq + Hash> Interner<T> {
    /// The id of a value. `keep` provides the Arc to store where the value is new.
    pub(crate) fn number(&mut self, value: &T, keep: impl FnOnce() -> Arc<T>) -> u32 {
        let is_it = |number: u32| self.get(number).is_some_and(|known| **known == *value);
        if is_it(self.last) {
            return self.last;
        }
        let hash = self.hashing.hash_one(value);
        let known = self.numbers.find(hash, |(known, number)| *known == hash && is_it(*number));
        self.last = match known {
            Some((_, number)) => *number,
            None => {
                let number = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
                self.values.push(keep());
                self.numbers.insert_unique(hash, (hash, number), |(hash, _)| *hash);
                number
            }
        };
        self.last
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Arc<T>> {
        self.values.get(number as usize)
    }

    /// Replaces a value by the stored equal one, and returns its id.
    pub(crate) fn unify(&mut self, value: &mut Arc<T>) -> u32 {
        let number = self.number(value, || value.clone());
        if let Some(first) = self.get(number) {
            value.clone_from(first);
        }
        number
    }

    /// The stored Arc of this value.
    pub(crate) fn once(&mut self, value: &T) -> Arc<T>
    where
        for<'v> Arc<T>: From<&'v T>,
    {
        let number = self.number(value, || Arc::from(value));
        self.get(number).cloned().unwrap_or_else(|| Arc::from(value))
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.numbers.clear();
    }
}

impl<T: ?Sized> fmt::Debug for Interner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interner").field("values", &self.values.len()).finish_non_exhaustive()
    }
}

/// A map with short keys: the standard library's hashing took an eighth of `summary`'s
/// instructions over small files, and this a third of that.
pub(crate) type FastMap<K, V> = HashMap<K, V, NameHashing>;
/// A set of short values.
pub(crate) type FastSet<T> = HashSet<T, NameHashing>;

/// A fast hasher for numbers and short texts. Its seed is random, so that no recording can be
/// crafted to make names collide.
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

/// A number without a pattern in its bits: what is multiplied by it changes in all of them.
const ODD_BITS: u64 = 0x9E37_79B9_7F4A_7C15;

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn write_u8(&mut self, byte: u8) {
        self.0 ^= u64::from(byte);
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number) * u128::from(ODD_BITS);
        let [low, high] = bytemuck::cast::<u128, [u64; 2]>(product);
        self.0 = low ^ high;
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_one() {
        let mut interner = Interner::<str>::default();
        let names: Vec<String> = (0..1000).map(|number| format!("name {number}")).collect();
        for _ in 0..2 {
            for (number, name) in names.iter().enumerate() {
                let mut value: Arc<str> = Arc::from(name.as_str());
                assert_eq!(interner.unify(&mut value) as usize, number);
                assert!(Arc::ptr_eq(&value, interner.get(number as u32).unwrap()));
                assert!(Arc::ptr_eq(&value, &interner.once(name)));
            }
        }
        assert_eq!(interner.len(), names.len());
        interner.clear();
        assert_eq!(interner.number("name 7", || Arc::from("name 7")), 0);
    }
}
