//! What a proxy makes of a request before the backend gets it.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The edits between what Claude Code sent and what the backend got. Without any it
/// is what was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct View {
    /// Tools are sorted by name, as JavaScript's `localeCompare` sorts.
    pub sorted: bool,
    /// The system block that holds the billing header is dropped.
    pub no_header: bool,
    /// Thinking blocks, and images of user messages, are dropped.
    pub text_only: bool,
    /// Histories are cut as the log says.
    pub truncated: bool,
}

impl View {
    const NAMES: [&str; 4] = ["sorted", "no-header", "text-only", "truncated"];

    /// No edit: what Claude Code sent.
    #[must_use]
    pub fn sent() -> Self {
        Self::default()
    }

    fn edits(self) -> [bool; 4] {
        [self.sorted, self.no_header, self.text_only, self.truncated]
    }

    /// The edits of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            sorted: self.sorted || other.sorted,
            no_header: self.no_header || other.no_header,
            text_only: self.text_only || other.text_only,
            truncated: self.truncated || other.truncated,
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = Self::NAMES.iter().zip(self.edits()).filter(|(_, made)| *made);
        let names: Vec<&str> = made.map(|(name, _)| *name).collect();
        f.write_str(if names.is_empty() { "sent" } else { "" })?;
        f.write_str(&names.join(","))
    }
}

/// A word that is no edit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of sent, sorted, no-header, text-only, truncated")]
pub struct UnknownEdit(String);

impl FromStr for View {
    type Err = UnknownEdit;

    fn from_str(text: &str) -> Result<Self, UnknownEdit> {
        let mut view = Self::default();
        for word in text.split(',').map(str::trim) {
            match word {
                "sent" => {}
                "sorted" => view.sorted = true,
                "no-header" => view.no_header = true,
                "text-only" => view.text_only = true,
                "truncated" => view.truncated = true,
                other => return Err(UnknownEdit(other.to_owned())),
            }
        }
        Ok(view)
    }
}

impl Serialize for View {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_written_as_it_is_read() {
        for text in ["sent", "sorted", "no-header,text-only", "sorted,no-header,text-only,truncated"] {
            assert_eq!(text.parse::<View>().unwrap().to_string(), text);
        }
        assert_eq!("sent,sorted".parse::<View>().unwrap().to_string(), "sorted");
        assert!("proxied".parse::<View>().unwrap_err().to_string().contains("`proxied` is none of"));
    }
    #[test]
    fn the_edits_of_both_are_those_of_either() {
        for word in View::NAMES {
            let one: View = word.parse().unwrap();
            assert_eq!((one.and(View::sent()), View::sent().and(one)), (one, one));
        }
        assert_eq!(View::sent().and(View::sent()), View::sent());
    }
}
