//! Short names of requests.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::model::Identity;

/// A short name of a request: ten hexadecimal digits, the same whenever the same file is
/// read, wherever it lies. No two requests that were read together share one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

impl RequestId {
    const DIGITS: usize = 10;
    const BITS: u32 = 4 * 10;

    pub(crate) fn of(identity: Identity) -> Self {
        Self(identity.bits() >> (u64::BITS - Self::BITS))
    }

    /// What to try next where another request has this id.
    pub(crate) fn next(self) -> Self {
        Self::of(Identity::of_parts([&self.0.to_le_bytes()[..]]))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$x}", self.0, width = Self::DIGITS)
    }
}

/// The text is no id of a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id has ten hexadecimal digits")]
pub struct InvalidRequestId;

impl FromStr for RequestId {
    type Err = InvalidRequestId;

    fn from_str(text: &str) -> Result<Self, InvalidRequestId> {
        let is_id = text.len() == Self::DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digits = if is_id { text } else { "" };
        u64::from_str_radix(digits, 16).map(Self).map_err(|_| InvalidRequestId)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_nothing_else_is_one() {
        let id = RequestId::of(Identity::of_parts([&b"a"[..]]));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(RequestId(0x2a).to_string(), "000000002a");
        assert_ne!(id.next(), id);
        for text in ["", "latest", "000000002", "000000002ag", "+00000002a"] {
            assert_eq!(text.parse::<RequestId>(), Err(InvalidRequestId), "{text}");
        }
    }
}
