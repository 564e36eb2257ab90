//! Numbers that may be unknown.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A size, a count, or how many milliseconds; unknown where it was not recorded.
///
/// It takes 8 bytes, where an `Option<u64>` takes 16: `u64::MAX` stands for unknown, as nothing
/// is as much. A sum or difference with an unknown part is unknown. Serialised as a number or
/// null.
///
/// ```
/// use anyclaude_traces::model::Amount;
///
/// let sum = Amount::from(3) + Amount::from(4);
/// assert_eq!(sum.get(), Some(7));
/// assert_eq!((sum + Amount::UNKNOWN).get(), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Amount(u64);

impl Default for Amount {
    fn default() -> Self {
        Self::UNKNOWN
    }
}

impl Amount {
    /// Not recorded.
    pub const UNKNOWN: Self = Self(u64::MAX);
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The number, where it is known.
    #[must_use]
    pub const fn get(self) -> Option<u64> {
        if self.0 == u64::MAX { None } else { Some(self.0) }
    }

    /// Whether it is known.
    #[must_use]
    pub const fn is_known(self) -> bool {
        self.0 != u64::MAX
    }

    /// This one, or the other where this one is unknown.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        if self.is_known() { self } else { other }
    }

    fn with(self, other: Self, join: fn(u64, u64) -> u64) -> Self {
        match (self.get(), other.get()) {
            (Some(a), Some(b)) => join(a, b).into(),
            _ => Self::UNKNOWN,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(size) => size.fmt(f),
            None => f.pad("unknown"),
        }
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is unknown comes before all numbers, as it does in an `Option`.
impl Ord for Amount {
    fn cmp(&self, other: &Self) -> Ordering {
        self.get().cmp(&other.get())
    }
}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialOrd<u64> for Amount {
    fn partial_cmp(&self, other: &u64) -> Option<Ordering> {
        self.get().partial_cmp(&Some(*other))
    }
}

impl From<u64> for Amount {
    fn from(amount: u64) -> Self {
        Self(amount)
    }
}

impl From<Option<u64>> for Amount {
    fn from(size: Option<u64>) -> Self {
        size.map_or(Self::UNKNOWN, Self::from)
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }
}

impl Sub for Amount {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.with(other, u64::saturating_sub)
    }
}

impl PartialEq<u64> for Amount {
    fn eq(&self, other: &u64) -> bool {
        self.get() == Some(*other)
    }
}

/// With what `Some` number it is, or with `None`.
impl PartialEq<Option<u64>> for Amount {
    fn eq(&self, other: &Option<u64>) -> bool {
        self.get() == *other
    }
}

impl PartialEq<Amount> for Option<u64> {
    fn eq(&self, other: &Amount) -> bool {
        *self == other.get()
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.get() {
            Some(size) => serializer.serialize_u64(size),
            None => serializer.serialize_none(),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<u64>::deserialize(deserializer).map(Self::from)
    }
}
