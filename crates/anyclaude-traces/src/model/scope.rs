//! Which requests an answer is about.

use serde::{Deserialize, Serialize};

use crate::model::request::Kind;
use crate::model::time::Timestamp;

/// Which requests an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Scope {
    /// The earliest moment included; `None` where there is no such bound.
    pub from: Option<Timestamp>,
    /// The latest moment included; `None` where there is no such bound.
    pub to: Option<Timestamp>,
    /// Which kinds of request.
    pub kind: KindFilter,
    /// How many requests there were before any of them was left out.
    pub requests_seen: u64,
}

impl Scope {
    /// A scope with these bounds.
    #[must_use]
    pub fn new(from: Option<Timestamp>, to: Option<Timestamp>, kind: KindFilter, requests_seen: u64) -> Self {
        Self { from, to, kind, requests_seen }
    }

    /// Whether this moment lies in its bounds, as far as is known.
    pub(crate) fn holds(&self, moment: Option<Timestamp>) -> bool {
        let is_after = |from: Timestamp| moment.is_none_or(|moment| from <= moment);
        let is_before = |to: Timestamp| moment.is_none_or(|moment| moment <= to);
        self.from.is_none_or(is_after) && self.to.is_none_or(is_before)
    }
}

/// One kind of request, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KindFilter {
    /// This kind.
    Only(Kind),
    /// Every kind.
    All,
}

impl KindFilter {
    /// Whether a request of this kind is in.
    #[must_use]
    pub fn admits(self, kind: Kind) -> bool {
        self == Self::All || self == Self::Only(kind)
    }

    /// Its name in JSON and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Only(kind) => kind.name(),
            Self::All => "all",
        }
    }
}

impl Serialize for KindFilter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
