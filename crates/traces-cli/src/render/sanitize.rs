//! Makes untrusted text safe for a terminal or a page.

use std::borrow::Cow;

/// The text without control, escape and bidirectional characters. Line breaks
/// and tabs become spaces, so that a row stays a row.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    clean(text, |c| matches!(c, '\n' | '\r' | '\t').then_some(' '))
}

/// The same for text of several lines: line breaks and tabs stay.
pub(crate) fn block(text: &str) -> Cow<'_, str> {
    clean(text, |c| matches!(c, '\n' | '\t').then_some(c))
}

fn clean(text: &str, replacement: impl Fn(char) -> Option<char>) -> Cow<'_, str> {
    // Nearly all of what is shown: to look at every character of it took a thirtieth of
    // the instructions of a table with very many rows.
    if is_plain(text) || !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let kept = |c: char| if is_unsafe(c) { replacement(c) } else { Some(c) };
    Cow::Owned(text.chars().filter_map(kept).collect())
}

/// Whether a text is of printable ASCII: it is safe, and each of its bytes is one wide.
pub(super) fn is_plain(text: &str) -> bool {
    // Without a way out at the first other byte, several are looked at at once: that is a fiftieth
    // of the instructions of a table with very many rows.
    text.bytes().fold(true, |is_plain, byte| is_plain & matches!(byte, b' '..=b'~'))
}

/// Control characters (C0, DEL, C1), line and paragraph separators, what changes the
/// direction of text, and what cannot be seen, by which two names look like one. The
/// joiners that Persian and emoji are written with stay.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}')
        // Tags: letters that no one sees.
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_passes() {
        assert_eq!(line("a\u{1b}]52;c;eA==\u{7}b\u{9b}31mc\u{7f}"), "a]52;c;eA==b31mc");
        assert_eq!(line("x\u{202e}y\u{2066}z\u{200f}\u{61c}"), "xyz");
        assert_eq!(line("in\u{200b}vi\u{ad}si\u{2060}b\u{e0061}le\u{feff}"), "invisible");
        assert_eq!(line("two\nlines\tand\r\na half"), "two lines and  a half");
        assert_eq!(block("two\nlines\u{1b}[0m"), "two\nlines[0m");
    }

    #[test]
    fn plain_text_passes_as_it_is() {
        assert!(matches!(line("日本語 é 👩\u{200d}👧 می\u{200c}خواهم · ▁▂"), Cow::Borrowed(_)));
    }
}
