//! Sizes of a prompt.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A size or count; unknown where what it measures was not recorded.
///
/// It takes 8 bytes, where an `Option<u64>` takes 16. A sum or difference with an unknown
/// part is unknown. Serialised as a number or null.
///
/// ```
/// use anyclaude_traces::model::Size;
///
/// let sum = Size::from(3) + Size::from(4);
/// assert_eq!(sum.get(), Some(7));
/// assert_eq!((sum + Size::UNKNOWN).get(), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size(u64);

impl Size {
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

    fn with(self, other: Self, join: fn(u64, u64) -> u64) -> Self {
        match (self.get(), other.get()) {
            (Some(a), Some(b)) => join(a, b).into(),
            _ => Self::UNKNOWN,
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(size) => size.fmt(f),
            None => f.pad("unknown"),
        }
    }
}

impl fmt::Debug for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is unknown comes before all numbers, as it does in an `Option`.
impl Ord for Size {
    fn cmp(&self, other: &Self) -> Ordering {
        self.get().cmp(&other.get())
    }
}

impl PartialOrd for Size {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialOrd<u64> for Size {
    fn partial_cmp(&self, other: &u64) -> Option<Ordering> {
        self.get().partial_cmp(&Some(*other))
    }
}

impl From<u64> for Size {
    fn from(size: u64) -> Self {
        Self(size.min(u64::MAX - 1))
    }
}

impl From<Option<u64>> for Size {
    fn from(size: Option<u64>) -> Self {
        size.map_or(Self::UNKNOWN, Self::from)
    }
}

impl Add for Size {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }
}

impl Sub for Size {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.with(other, u64::saturating_sub)
    }
}

impl PartialEq<u64> for Size {
    fn eq(&self, other: &u64) -> bool {
        self.get() == Some(*other)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.get() {
            Some(size) => serializer.serialize_u64(size),
            None => serializer.serialize_none(),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<u64>::deserialize(deserializer).map(Self::from)
    }
}

/// Sizes of a request's prompt. Bytes are of compact JSON: a value's own bytes
/// as they stand in the file, less the white space outside strings. What was not recorded
/// is unknown.
///
/// Where all of them are known,
/// `system_bytes + tools_bytes + messages_bytes + other_bytes == body_bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Sizes {
    /// Unicode scalar values of the system text, escapes decoded.
    pub system_chars: Size,
    /// The same text in bytes of UTF-8.
    pub system_text_bytes: Size,
    /// 1 for a string, 0 for an empty one, else the number of blocks.
    pub system_blocks: Size,
    /// Compact JSON of `body.system`; 0 where it is missing.
    pub system_bytes: Size,
    /// Length of `body.tools`; 0 where that is missing or no array.
    pub tool_count: Size,
    /// Compact JSON of `body.tools`; 0 where it is missing.
    pub tools_bytes: Size,
    /// Length of `body.messages`; 0 where that is missing or no array.
    pub message_count: Size,
    /// Compact JSON of `body.messages`; 0 where it is missing.
    pub messages_bytes: Size,
    /// `body_bytes` less system, tools and messages.
    pub other_bytes: Size,
    /// Compact JSON of the body.
    pub body_bytes: Size,
    /// The file's size on disk.
    pub file_bytes: Size,
}

impl Sizes {
    /// The sizes of a body without members.
    pub const EMPTY: Self = Self::all(Size::ZERO);
    /// The sizes of a body that was not recorded.
    pub const UNKNOWN: Self = Self::all(Size::UNKNOWN);

    const fn all(size: Size) -> Self {
        Self {
            system_chars: size,
            system_text_bytes: size,
            system_blocks: size,
            system_bytes: size,
            tool_count: size,
            tools_bytes: size,
            message_count: size,
            messages_bytes: size,
            other_bytes: size,
            body_bytes: size,
            file_bytes: size,
        }
    }

    /// System, tools and messages: what a model reads of the body.
    #[must_use]
    pub fn prompt_bytes(&self) -> Size {
        self.system_bytes + self.tools_bytes + self.messages_bytes
    }
}

/// A tool and how much of the prompt it takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ToolSize {
    /// Its name, where it has one.
    pub name: Option<Arc<str>>,
    /// Compact JSON of its definition.
    pub bytes: u64,
}
