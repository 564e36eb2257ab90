//! Figures, names and numbers as sentences show them.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;

use super::scene::float;
use crate::analysis::duration::Duration;
use crate::analysis::prefix::Volatile;
use crate::model::time::Timestamp;

/// How many names of tools or servers a sentence lists.
const MOST_NAMES: usize = 5;
/// Milliseconds, as a sentence shows them.
pub(super) struct Ms(pub(super) u64);

impl Display for Ms {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Duration(float(self.0)).fmt(f)
    }
}

/// A number of tokens that is a sum or a mean.
pub(super) struct TokenCount(pub(super) u64);

impl Display for TokenCount {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let count = float(self.0);
        match self.0 {
            ..10_000 => write!(f, "{}", Count(self.0, "token")),
            10_000..999_950 => write!(f, "{:.1} k tokens", count / 1e3),
            _ => write!(f, "{:.1} M tokens", count / 1e6),
        }
    }
}

/// A whole number with its thousands parted.
pub(super) struct WholeNumber(pub(super) u64);

impl Display for WholeNumber {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A count with its noun.
pub(super) struct Count(pub(super) u64, pub(super) &'static str);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}{}", WholeNumber(self.0), self.1, if self.0 == 1 { "" } else { "s" })
    }
}

/// `7 of 8 requests`, or `all 8 requests`, or `this request`.
pub(super) struct Of(pub(super) u64, pub(super) u64);

impl Display for Of {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (1, ..=1) => f.write_str("this request"),
            (n, of) if n >= of => write!(f, "all {}", Count(n, "request")),
            (n, of) => write!(f, "{} of {}", WholeNumber(n), Count(of, "request")),
        }
    }
}

impl Of {
    /// The same at the beginning of a sentence.
    pub(super) fn leading(self) -> String {
        let words = self.to_string();
        let rest = words.strip_prefix("all ").map(|rest| ("All ", rest));
        let rest = rest.or(words.strip_prefix("this ").map(|rest| ("This ", rest)));
        rest.map_or(words.clone(), |(first, rest)| format!("{first}{rest}"))
    }
}

/// What one or several are called.
pub(super) fn by_number<'w>(n: u64, one: &'w str, several: &'w str) -> &'w str {
    if n == 1 { one } else { several }
}

/// The name of a model, which may be unknown.
pub(super) struct ModelName<'a>(pub(super) &'a Option<Arc<str>>);

impl Display for ModelName<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("the model"))
    }
}

impl ModelName<'_> {
    /// The same at the beginning of a sentence.
    pub(super) fn leading(&self) -> &str {
        self.0.as_deref().unwrap_or("The model")
    }
}

/// Names in a row, the last ones counted.
pub(super) struct NameList<'a, T>(pub(super) &'a [T]);

impl<T: AsRef<str>> Display for NameList<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shown = if self.0.len() > MOST_NAMES + 1 { MOST_NAMES } else { self.0.len() };
        for (at, name) in self.0.iter().take(shown).enumerate() {
            let joint = match at {
                0 => "",
                _ if at + 1 == self.0.len() => " and ",
                _ => ", ",
            };
            write!(f, "{joint}{}", name.as_ref())?;
        }
        match self.0.len() - shown {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// A share as a percentage.
pub(super) struct Percent(pub(super) u64, pub(super) u64);

impl Display for Percent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} %", float(self.0) * 100.0 / float(self.1.max(1)))
    }
}

/// A time of day in UTC.
pub(super) struct TimeOfDay(pub(super) Timestamp);

impl Display for TimeOfDay {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let stamp = self.0.to_string();
        write!(f, "{} UTC", stamp.get(11..19).unwrap_or(&stamp))
    }
}

/// A volatile piece.
pub(super) struct VolatilePiece(pub(super) Option<Volatile>);

impl Display for VolatilePiece {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.map_or("the short piece that changes", Volatile::words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_like_words() {
        for (ms, text) in [(950, "950 ms"), (10_600, "10.6 s"), (59_960, "1 m 00 s"), (3_900_000, "1 h 05 m")]
        {
            assert_eq!(Ms(ms).to_string(), text);
        }
        for (tokens, text) in
            [(9_999, "9,999 tokens"), (12_410, "12.4 k tokens"), (1_250_000, "1.2 M tokens")]
        {
            assert_eq!(TokenCount(tokens).to_string(), text);
        }
        assert_eq!(WholeNumber(81_000_000).to_string(), "81,000,000");
        assert_eq!(Of(8, 8).to_string(), "all 8 requests");
        assert_eq!(Of(1, 8).to_string(), "1 of 8 requests");
        assert_eq!(Of(1, 1).to_string(), "this request");
    }

    #[test]
    fn long_lists_of_names_are_cut() {
        assert_eq!(NameList(&["a", "b", "c"]).to_string(), "a, b and c");
        assert_eq!(NameList(&["a", "b", "c", "d", "e", "f"]).to_string(), "a, b, c, d, e and f");
        assert_eq!(NameList(&["a", "b", "c", "d", "e", "f", "g"]).to_string(), "a, b, c, d, e and 2 more");
    }
}
