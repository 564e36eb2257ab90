//! The order into which the proxy sorts tools: JavaScript's `localeCompare`.

use std::cmp::Ordering;

/// Punctuation in the order of the Unicode root collation, which is before all
/// digits and letters.
const PUNCTUATION: &str = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";

/// Compares two names as `localeCompare` does for ASCII: punctuation before
/// digits before letters, case only where nothing else differs, and then lower
/// case first. Other characters come after ASCII, by their code.
///
/// Tool names are ASCII: the API takes letters, digits, `_` and `-`.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let letters = |text: &str| text.chars().map(weight).collect::<Vec<_>>();
    let cases = |text: &str| text.chars().map(|c| c.is_ascii_uppercase()).collect::<Vec<_>>();
    letters(a).cmp(&letters(b)).then_with(|| cases(a).cmp(&cases(b)))
}

/// The place of a character among others, whatever its case.
fn weight(c: char) -> (u8, u32) {
    match PUNCTUATION.find(c) {
        Some(at) => (0, u32::try_from(at).unwrap_or(u32::MAX)),
        None if c.is_ascii_digit() => (1, u32::from(c)),
        None if c.is_ascii_alphabetic() => (2, u32::from(c.to_ascii_lowercase())),
        None => (3, u32::from(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `[…].kind((a, b) => a.localeCompare(b))` gives in Node 20.
    #[test]
    fn names_sort_as_javascript_sorts_them() {
        let ascii = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789aAbBcCdDeEfFgGhHiIjJkKlLmMnNoOpPqQrRsStTuUvVwWxXyYzZ";
        let mut sorted: Vec<String> = ascii.chars().rev().map(String::from).collect();
        sorted.sort_by(|a, b| compare(a, b));
        assert_eq!(sorted.concat(), ascii);
        let names =
            ["a", "A", "a_b", "a-b", "a1", "a10", "a2", "aB", "Ab", "mcp__a__b", "mcpa", "Read", "read_x"];
        let mut shuffled = names;
        shuffled.reverse();
        shuffled.sort_by(|a, b| compare(a, b));
        assert_eq!(shuffled, names);
    }
}
